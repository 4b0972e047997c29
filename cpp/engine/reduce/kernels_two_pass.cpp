// Reductions that look at each chunk twice while it is in cache: a first reduction of the chunk
// gives a parameter, and what a function makes of the elements and it is summed by the same tree.
#include "device/cpu/level.h"
#include "engine/reduce/lanes.h"

namespace lazulite::engine {
namespace {

template <class A> struct real_of { using t = A; };
template <class T> struct real_of<simd::Pair<T>> { using t = T; };
template <class V> struct real_part { using t = V; };
template <class V> struct real_part<Cx<V>> { using t = V; };

struct Variance {
  using First = monoid::Sum;
  static constexpr bool keeps_offsets = true;
  // Of one or more chunks. The mean is mean + rest: an error of half an ulp of it would count like
  // a spread of that size.
  template <class A> struct State {
    using R = typename real_of<A>::t;
    A mean, rest;
    R second, count;
  };
  template <class A> static A parameter(A sum, int64_t n) {
    using R = typename real_of<A>::t;
    if constexpr (monoid::is_pair<A>::value) return {sum.re / R(n), sum.im / R(n)};
    else return sum / R(n);
  }
  template <class V> LAZULITE_INLINE static auto map(V x, V mean) {
    const V d = x - mean;
    if constexpr (simd::is_complex<V>::value) return d.re * d.re + d.im * d.im;
    else return d * d;
  }
  // The corrected two-pass algorithm: the sum of x - mean, which is 0 but for the rounding of the
  // mean, says how far the mean is off, and what that has added to the squares.
  template <class A>
  static State<A> state(A sum, int64_t n, typename real_of<A>::t squares, A offsets) {
    using R = typename real_of<A>::t;
    State<A> s{parameter(sum, n), parameter(offsets, n), squares, R(n)};
    R excess;
    bool finite;
    if constexpr (monoid::is_pair<A>::value) {
      excess = monoid::rounded(offsets.re * s.rest.re) + monoid::rounded(offsets.im * s.rest.im);
      finite = is_finite(s.mean.re) && is_finite(s.mean.im);
    } else {
      excess = offsets * s.rest;
      finite = is_finite(s.mean);
    }
    // What overflows, and infinities and nans, are in the squares already.
    if (!finite) s.mean = A{};
    if (!finite || !is_finite(excess)) s.rest = A{};
    else s.second = excess > squares ? R(0) : squares - excess;
    return s;
  }
  // The same of a vector of real numbers.
  template <class V> requires(!simd::is_complex<V>::value)
  LAZULITE_INLINE static void states(V sum, int64_t n, V squares, V offsets,
                                     State<typename V::scalar>* to) {
    using R = typename V::scalar;
    const V none(R(0)), count{R(n)}, mean = sum / count, rest = offsets / count,
                                     excess = offsets * rest;
    const auto finite = mean - mean == none, known = finite & (excess - excess == none);
    alignas(64) R means[V::size], rests[V::size], seconds[V::size];
    simd::select(finite, mean, none).store(means);
    simd::select(known, rest, none).store(rests);
    simd::select(known, simd::select(excess > squares, none, squares - excess), squares)
        .store(seconds);
    for (int k = 0; k < V::size; ++k) to[k] = {means[k], rests[k], seconds[k], R(n)};
  }
  template <class A> static void merge(State<A>& a, const State<A>& b) {
    using R = typename real_of<A>::t;
    const R share = b.count / (a.count + b.count);
    R square;
    if constexpr (monoid::is_pair<A>::value) {
      const R re = join(a.mean.re, a.rest.re, b.mean.re, b.rest.re, share),
              im = join(a.mean.im, a.rest.im, b.mean.im, b.rest.im, share);
      square = monoid::rounded(re * re) + monoid::rounded(im * im);
    } else {
      const R d = join(a.mean, a.rest, b.mean, b.rest, share);
      square = d * d;
    }
    a.second = a.second + b.second + monoid::rounded(square * (a.count * share));
    a.count += b.count;
  }
  template <class A>
  static void finish(const void* states, int64_t n, double divisor, void* out) {
    using R = typename real_of<A>::t;
    const auto* s = static_cast<const State<A>*>(states);
    for (int64_t i = 0; i < n; ++i) static_cast<R*>(out)[i] = s[i].second / R(divisor);
  }

 private:
  template <class R> static bool is_finite(R x) { return x - x == R(0); }
  // Moves mean + rest by its share of the way to the other, and returns how far that is away. What
  // the sum rounds off is the new rest (Knuth's exact sum of two numbers).
  template <class R> static R join(R& mean, R& rest, R other, R other_rest, R share) {
    const R way = (other - mean) + (other_rest - rest);
    const R step = rest + monoid::rounded(way * share), sum = mean + step, gone = sum - mean;
    rest = (mean - (sum - gone)) + (step - gone);
    mean = sum;
    return way;
  }
};

struct LogSumExp {
  using First = monoid::Max;
  static constexpr bool keeps_offsets = false;
  template <class A> struct State {
    A first;
    A second;
    double count;
  };
  template <class A> static State<A> state(A top, int64_t n, A sum, A) {
    return {top, sum, double(n)};
  }
  // Infinities and nans do not scale.
  template <class A> static A parameter(A top, int64_t) { return top - top == A(0) ? top : A(0); }
  template <class V> LAZULITE_INLINE static V map(V x, V top) { return simd::exp(x - top); }
  template <class A> static A scale(A from, A to) {
    return simd::exp(Vec<A>(parameter(from, 0) - parameter(to, 0)))[0];
  }
  template <class A> static void merge(State<A>& a, const State<A>& b) {
    const A top = monoid::Max::one(a.first, b.first);
    // A chunk of -inf alone has the sum 0 at any scale.
    const A left = a.second == A(0) ? A(0) : a.second * scale(a.first, top);
    const A right = b.second == A(0) ? A(0) : b.second * scale(b.first, top);
    a.first = top;
    a.second = left + right;
    a.count += b.count;
  }
  template <class A>
  static void finish(const void* states, int64_t n, double, void* out) {
    using V = Vec<A>;
    const auto* s = static_cast<const State<A>*>(states);
    A* to = static_cast<A*>(out);
    for (int64_t i = 0; i < n; i += V::size) {
      alignas(64) A sums[V::size];
      const int count = int(n - i < V::size ? n - i : V::size);
      for (int k = 0; k < V::size; ++k) sums[k] = s[i + (k < count ? k : 0)].second;
      simd::log(V::load(sums)).store(sums);
      for (int k = 0; k < count; ++k) to[i + k] = sums[k] + parameter(s[i + k].first, 0);
    }
  }
};

// What is summed of elements: what a function makes of them, and for some what the parameter leaves
// of them.
template <class F, class In> struct Terms {
  using V = typename In::V;
  using W = typename real_part<V>::t;
  using A = typename In::accumulator;
  using R = typename real_of<A>::t;
  W mapped;
  V offset;

  LAZULITE_INLINE static Terms of(V x, V parameter) {
    if constexpr (F::keeps_offsets) return {F::map(x, parameter), x - parameter};
    else return {F::map(x, parameter), {}};
  }
  LAZULITE_INLINE static Terms load(const R* mapped, const A* offsets) {
    if constexpr (F::keeps_offsets) return {W::load(mapped), V::load(offsets)};
    else return {W::load(mapped), {}};
  }
  LAZULITE_INLINE void store(R* mapped_to, A* offsets_to) const {
    mapped.store(mapped_to);
    if constexpr (F::keeps_offsets) offset.store(offsets_to);
  }
  LAZULITE_INLINE Terms operator+(const Terms& b) const {
    if constexpr (F::keeps_offsets) return {mapped + b.mapped, offset + b.offset};
    else return {mapped + b.mapped, {}};
  }
  LAZULITE_INLINE Terms first(int64_t m, const Terms& others) const {
    if constexpr (F::keeps_offsets)
      return {first_of(m, mapped, others.mapped), first_of(m, offset, others.offset)};
    else return {first_of(m, mapped, others.mapped), {}};
  }
};

// The second reduction of a chunk, by the lanes of the first: its state.
template <class F, class In>
LAZULITE_INLINE auto second_pass(const typename In::memory* x, int64_t n,
                                 typename In::accumulator first) {
  using V = typename In::V;
  using A = typename In::accumulator;
  using R = typename real_of<A>::t;
  using T = Terms<F, In>;
  using Sum = monoid::Sum;
  constexpr int registers = int(reduce_lanes) / V::size;
  // Lanes of so many registers at a time: the sums of more would not stay in registers.
  constexpr int some = F::keeps_offsets && registers > 4 ? 4 : registers;
  const V p(F::parameter(first, n));
  alignas(64) R mapped[reduce_lanes];
  alignas(64) A offsets[reduce_lanes] = {};
  const int64_t whole = n / reduce_lanes * reduce_lanes, rest = n - whole;
  for (int from = 0; whole && from < registers; from += some) {
    T r[some];
    for (int k = 0; k < some; ++k) r[k] = T::of(In::load(x + (from + k) * V::size), p);
    for (int64_t i = reduce_lanes; i < whole; i += reduce_lanes)
      for (int k = 0; k < some; ++k)
        r[k] = r[k] + T::of(In::load(x + i + (from + k) * V::size), p);
    for (int k = 0; k < some; ++k)
      r[k].store(mapped + (from + k) * V::size, offsets + (from + k) * V::size);
  }
  for (int64_t at = 0; at < rest; at += V::size) {
    const auto* const now = x + whole + at;
    const int64_t m = rest - at < V::size ? rest - at : V::size;
    T terms;
    if (m == V::size) {
      terms = T::of(In::load(now), p);
    } else if constexpr (!simd::is_complex<V>::value) {
      terms = T::of(first_of(m, some_of<In>(now, m), V(In::one(now))), p);
    } else {
      alignas(64) A last[V::size];
      for (int64_t k = 0; k < V::size; ++k) last[k] = In::one(now + (k < m ? k : 0));
      terms = T::of(V::load(last), p);
    }
    if (whole == 0) {
      terms.store(mapped + at, offsets + at);
    } else {
      const T old = T::load(mapped + at, offsets + at), sums = old + terms;
      if (m == V::size) {
        sums.store(mapped + at, offsets + at);
      } else if constexpr (!simd::is_complex<V>::value) {
        sums.first(m, old).store(mapped + at, offsets + at);
      } else {
        alignas(64) R more[V::size];
        alignas(64) A off[V::size];
        sums.store(more, off);
        for (int64_t k = 0; k < m; ++k) {
          mapped[at + k] = more[k];
          if constexpr (F::keeps_offsets) offsets[at + k] = off[k];
        }
      }
    }
  }
  if (whole) {
    const R sum = fold_all<Sum, registers, Plain<R>>(mapped);
    if constexpr (F::keeps_offsets)
      return F::state(first, n, sum, A(fold_all<Sum, registers, Accumulated<In>>(offsets)));
    else return F::state(first, n, sum, A{});
  }
  fold_lanes<Sum, Plain<R>>(mapped, n, reduce_lanes, 1);
  if constexpr (F::keeps_offsets) fold_lanes<Sum, Accumulated<In>>(offsets, n, reduce_lanes, 1);
  return F::state(first, n, mapped[0], offsets[0]);
}

template <class F, class In>
void chunk_state(const void* input, int64_t n, void* out) {
  using A = typename In::accumulator;
  const auto* x = static_cast<const typename In::memory*>(input);
  A first;
  chunk<typename F::First, In>(x, n, &first);
  const auto state = second_pass<F, In>(x, n, first);
  std::memcpy(out, &state, sizeof state);
}

// The states of a vector of columns.
template <class F, class In>
LAZULITE_INLINE void put_states(typename In::V first, int64_t n, const Terms<F, In>& sums,
                                typename F::template State<typename In::accumulator>* to,
                                int64_t count) {
  using V = typename In::V;
  using A = typename In::accumulator;
  typename F::template State<A> made[V::size];
  if constexpr (requires { F::states(first, n, sums.mapped, sums.offset, made); }) {
    F::states(first, n, sums.mapped, sums.offset, made);
  } else {
    for (int k = 0; k < V::size; ++k)
      made[k] = F::state(first[k], n, sums.mapped[k], F::keeps_offsets ? sums.offset[k] : A{});
  }
  std::memcpy(to, made, size_t(count) * sizeof *to);
}

// What the elements of a vector of rows are compared with.
template <class F, class V>
LAZULITE_INLINE V parameters(V first, int64_t n) {
  alignas(64) decltype(first[0]) of[V::size];
  first.store(of);
  for (int k = 0; k < V::size; ++k) of[k] = F::parameter(of[k], n);
  return V::load(of);
}
template <class T> LAZULITE_INLINE T add_terms(const T& a, const T& b) { return a + b; }

// `count` rows of one chunk, `stride` apart: short ones as many side by side as a register holds.
template <class F, class In>
void rows_state(const void* input, int64_t n, int64_t stride, int64_t count, void* out) {
  using V = typename In::V;
  using T = Terms<F, In>;
  const auto* x = static_cast<const typename In::memory*>(input);
  auto* states = static_cast<typename F::template State<typename In::accumulator>*>(out);
  if constexpr (is_turned<In>) {
    if (n <= reduce_lanes)
      return for_turned_rows<In>(x, n, stride, count, [&](int64_t row, int64_t some, V* lane)
                                                          __attribute__((always_inline)) {
        V first[reduce_lanes];
        T terms[reduce_lanes];
        for (int64_t k = 0; k < n; ++k) first[k] = lane[k];
        fold_halves<reduce_lanes>(first, n, F::First::template combine<V>);
        const V p = parameters<F>(first[0], n);
        for (int64_t k = 0; k < n; ++k) terms[k] = T::of(lane[k], p);
        fold_halves<reduce_lanes>(terms, n, add_terms<T>);
        put_states<F, In>(first[0], n, terms[0], states + row, some);
      });
  }
  for (int64_t row = 0; row < count; ++row) chunk_state<F, In>(x + row * stride, n, states + row);
}

// Neighbouring columns, a strip at a time, which is made dense: it is read twice. A vector of
// columns has its lanes in the first-level cache.
template <class F, class In>
void columns_state(const void* input, int64_t n, int64_t stride, int64_t width, void* scratch,
                   void* out) {
  using V = typename In::V;
  using A = typename In::accumulator;
  using T = Terms<F, In>;
  constexpr int64_t strip = two_pass_strip, step = reduce_lanes * strip;
  static_assert(strip % V::size == 0);
  A* const dense = static_cast<A*>(scratch);
  const auto* x = static_cast<const typename In::memory*>(input);
  auto* states = static_cast<typename F::template State<A>*>(out);
  const int64_t lanes = n < reduce_lanes ? n : reduce_lanes;
  // f(i, l): rows i, i + 32, ... of lane l, as many as the first parameter says.
  auto some_lanes = [&]<int rows>(int64_t i, int64_t from, int64_t to, auto&& take)
                        __attribute__((always_inline)) {
    for (int64_t l = from; l < to; ++l) take.template operator()<rows>(i + l, l);
  };
  auto by_lanes = [&](auto&& take) __attribute__((always_inline)) {
    auto with = [&](int64_t rows, int64_t i, int64_t from, int64_t to)
                    __attribute__((always_inline)) {
      switch (rows) {
        case 0: return;
        case 1: return some_lanes.template operator()<1>(i, from, to, take);
        case 2: return some_lanes.template operator()<2>(i, from, to, take);
        case 3: return some_lanes.template operator()<3>(i, from, to, take);
        default: return some_lanes.template operator()<4>(i, from, to, take);
      }
    };
    int64_t i = 0;
    for (; i + 4 * reduce_lanes <= n; i += 4 * reduce_lanes) with(4, i, 0, lanes);
    const int64_t rows = (n - i) / reduce_lanes, more = (n - i) % reduce_lanes;
    with(rows + 1, i, 0, more);
    with(rows, i, more, lanes);
  };
  for (int64_t from = 0; from < width; from += strip) {
    const int64_t some = width - from < strip ? width - from : strip,
                  filled = (some + V::size - 1) / V::size * V::size;
    for (int64_t i = 0; i < n; ++i) {
      const auto* row = x + from + i * stride;
      A* to = dense + i * strip;
      convert<In>(to, row, some);
      for (int64_t c = some; c < filled; ++c) to[c] = to[0];  // the last vector may be narrower
    }
    for (int64_t c = 0; c < some; c += V::size) {
      auto both = [](V a, V b) __attribute__((always_inline)) {
        return F::First::template combine<V>(a, b);
      };
      V first[reduce_lanes];
      by_lanes([&]<int rows>(int64_t i, int64_t l) __attribute__((always_inline)) {
        const A* const row = dense + i * strip + c;
        V v = V::load(row);
        if (i != l) v = both(first[l], v);
        for (int k = 1; k < rows; ++k) v = both(v, V::load(row + k * step));
        first[l] = v;
      });
      fold_halves<reduce_lanes>(first, lanes, both);
      const V p = parameters<F>(first[0], n);
      T terms[reduce_lanes];
      by_lanes([&]<int rows>(int64_t i, int64_t l) __attribute__((always_inline)) {
        const A* const row = dense + i * strip + c;
        T sums = T::of(V::load(row), p);
        if (i != l) sums = terms[l] + sums;
        for (int k = 1; k < rows; ++k) sums = sums + T::of(V::load(row + k * step), p);
        terms[l] = sums;
      });
      fold_halves<reduce_lanes>(terms, lanes, add_terms<T>);
      put_states<F, In>(first[0], n, terms[0], states + from + c,
                        some - c < V::size ? some - c : V::size);
    }
  }
}

template <class F, class A>
void merge_states(void* a, const void* b, int64_t n) {
  auto* x = static_cast<typename F::template State<A>*>(a);
  const auto* y = static_cast<const typename F::template State<A>*>(b);
  for (int64_t i = 0; i < n; ++i) F::merge(x[i], y[i]);
}

template <class F, class In>
constexpr StateKernel two_pass() {
  using A = typename In::accumulator;
  using State = typename F::template State<A>;
  static_assert(sizeof(State) <= largest_state);
  return {{chunk_state<F, In>, columns_state<F, In>, merge_states<F, A>, sizeof(State), true,
           rows_state<F, In>, nullptr, nullptr},
          F::template finish<A>};
}

template <int... d>
constexpr TwoPassKernels make_table(std::integer_sequence<int, d...>) {
  TwoPassKernels table{};
  auto one = [&]<int dtype>() {
    using In = typename InputOf<dtype>::t;
    if constexpr (is_inexact(Dtype(dtype))) table.variance[dtype] = two_pass<Variance, In>();
    if constexpr (is_floating(Dtype(dtype))) table.logsumexp[dtype] = two_pass<LogSumExp, In>();
  };
  (one.template operator()<d>(), ...);
  return table;
}

constexpr TwoPassKernels table = make_table(std::make_integer_sequence<int, dtype_count>{});

}  // namespace

const TwoPassKernels& LAZULITE_AT_LEVEL(two_pass_kernels)();
const TwoPassKernels& LAZULITE_AT_LEVEL(two_pass_kernels)() { return table; }

}  // namespace lazulite::engine
