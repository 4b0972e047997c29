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

// Of one or more chunks.
template <class A> struct State {
  using R = typename real_of<A>::t;
  A first;
  R second;
  double count;
};

struct Variance {
  using First = monoid::Sum;
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
  template <class A> static void merge(State<A>& a, const State<A>& b) {
    using R = typename real_of<A>::t;
    const R na = R(a.count), nb = R(b.count);
    const R weight = R(a.count * (b.count / (a.count + b.count)));
    R square;
    if constexpr (monoid::is_pair<A>::value) {
      const R re = b.first.re / nb - a.first.re / na, im = b.first.im / nb - a.first.im / na;
      square = monoid::rounded(re * re) + monoid::rounded(im * im);
    } else {
      const R d = b.first / nb - a.first / na;
      square = d * d;
    }
    a.second = a.second + b.second + square * weight;
    a.first = monoid::Sum::one(a.first, b.first);
    a.count += b.count;
  }
  template <class A>
  static void finish(const void* states, int64_t n, double divisor, void* out) {
    using R = typename real_of<A>::t;
    const auto* s = static_cast<const State<A>*>(states);
    for (int64_t i = 0; i < n; ++i) static_cast<R*>(out)[i] = s[i].second / R(divisor);
  }
};

struct LogSumExp {
  using First = monoid::Max;
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

// lane[k] of n elements and a parameter, folded: the second reduction of a chunk.
template <class F, class In>
LAZULITE_INLINE auto second_pass(const typename In::memory* x, int64_t n,
                                 typename In::accumulator parameter) {
  using V = typename In::V;
  using W = typename real_part<V>::t;
  using A = typename In::accumulator;
  using R = typename real_of<A>::t;
  constexpr int registers = int(reduce_lanes) / V::size;
  const V p(parameter);
  alignas(64) R lane[reduce_lanes];
  int64_t i = 0;
  if (n >= reduce_lanes) {
    W r[registers];
    for (int k = 0; k < registers; ++k) r[k] = F::map(In::load(x + k * V::size), p);
    for (i = reduce_lanes; i + reduce_lanes <= n; i += reduce_lanes)
      for (int k = 0; k < registers; ++k) r[k] = r[k] + F::map(In::load(x + i + k * V::size), p);
    if (i == n) return fold_registers<monoid::Sum, registers>(r);
    for (int k = 0; k < registers; ++k) r[k].store(lane + k * V::size);
  }
  if (i < n) {
    alignas(64) A rest[reduce_lanes];
    alignas(64) R mapped[reduce_lanes];
    for (int k = 0; k < reduce_lanes; ++k) rest[k] = In::one(x + (i + k < n ? i + k : i));
    for (int k = 0; k < registers; ++k)
      F::map(V::load(rest + k * V::size), p).store(mapped + k * V::size);
    for (int64_t k = 0; i + k < n; ++k) lane[k] = i ? lane[k] + mapped[k] : mapped[k];
  }
  if (n >= reduce_lanes) return fold_all<monoid::Sum, registers, Plain<R>>(lane);
  fold_lanes<monoid::Sum, Plain<R>>(lane, n, reduce_lanes, 1);
  return lane[0];
}

template <class F, class In>
void chunk_state(const void* input, int64_t n, void* out) {
  using A = typename In::accumulator;
  const auto* x = static_cast<const typename In::memory*>(input);
  State<A> state;
  chunk<typename F::First, In>(x, n, &state.first);
  state.second = second_pass<F, In>(x, n, F::parameter(state.first, n));
  state.count = double(n);
  std::memcpy(out, &state, sizeof state);
}

// g++ 12 warns of what loops over a known number of columns would do, were it another one.
#if defined(__GNUC__) && !defined(__clang__)
#define LAZULITE_UNKNOWN_ARGUMENTS [[gnu::noipa]]
#else
#define LAZULITE_UNKNOWN_ARGUMENTS
#endif
template <class M, class In>
LAZULITE_UNKNOWN_ARGUMENTS void all_columns(const void* x, int64_t n, int64_t width, void* lanes,
                                            void* out) {
  columns<M, In>(x, n, width, width, lanes, out);
}

// Neighbouring columns, a strip at a time, which is made dense: it is read twice.
template <class F, class In>
void columns_state(const void* input, int64_t n, int64_t stride, int64_t width, void* scratch,
                   void* out) {
  using V = typename In::V;
  using W = typename real_part<V>::t;
  using A = typename In::accumulator;
  using R = typename real_of<A>::t;
  using Dense = Accumulated<In>;
  constexpr int64_t strip = 64;
  static_assert(strip % V::size == 0);
  alignas(64) A first[strip], parameter[strip];
  A* const lane = static_cast<A*>(scratch);
  A* const dense = lane + reduce_lanes * strip;
  const auto* x = static_cast<const typename In::memory*>(input);
  auto* states = static_cast<State<A>*>(out);
  for (int64_t from = 0; from < width; from += strip) {
    const int64_t some = width - from < strip ? width - from : strip;
    for (int64_t i = 0; i < n; ++i) {
      const auto* row = x + from + i * stride;
      A* to = dense + i * strip;
      convert<In>(to, row, some);
      for (int64_t c = some; c < strip; ++c) to[c] = to[0];  // the last strip may be narrower
    }
    all_columns<typename F::First, Dense>(dense, n, strip, lane, first);
    for (int64_t c = 0; c < strip; ++c) parameter[c] = F::parameter(first[c], n);
    R* const sums = reinterpret_cast<R*>(lane);
    const int64_t live = n < reduce_lanes ? n : reduce_lanes;
    for (int64_t i = 0; i < n; ++i) {
      R* to = sums + i % reduce_lanes * strip;
      const A* row = dense + i * strip;
      for (int64_t c = 0; c < strip; c += V::size) {
        const W term = F::map(V::load(row + c), V::load(parameter + c));
        (i < live ? term : W::load(to + c) + term).store(to + c);
      }
    }
    fold_lanes<monoid::Sum, Plain<R>>(sums, live, reduce_lanes, strip);
    for (int64_t c = 0; c < some; ++c) {
      State<A> state;
      state.first = first[c];
      state.second = sums[c];
      state.count = double(n);
      std::memcpy(states + from + c, &state, sizeof state);
    }
  }
}

template <class F, class A>
void merge_states(void* a, const void* b, int64_t n) {
  auto* x = static_cast<State<A>*>(a);
  const auto* y = static_cast<const State<A>*>(b);
  for (int64_t i = 0; i < n; ++i) F::merge(x[i], y[i]);
}

template <class F, class In>
constexpr TwoPassKernel two_pass() {
  using A = typename In::accumulator;
  return {{chunk_state<F, In>, columns_state<F, In>, merge_states<F, A>, sizeof(State<A>), true,
           nullptr, nullptr, nullptr},
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
