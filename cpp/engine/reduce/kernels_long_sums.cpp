// Sums of long rows and columns. A lane adds its elements eight at a time, as two sums of four;
// what these come to is added with what rounding takes away kept beside, so that no length, order
// or sign of the elements takes more digits than these few additions do.
#include "device/cpu/level.h"
#include "engine/reduce/lanes.h"

namespace lazulite::engine {
namespace {

constexpr int64_t eight = 8 * reduce_lanes;

// Knuth's exact sum of two numbers: sum + rest are both of them, but for the roundings of the rest.
// Rests of infinities are nans, which `finish` leaves out.
template <class V>
LAZULITE_INLINE void join(V& sum, V& rest, V other, V other_rest) {
  const V total = sum + other, part = total - sum;
  rest = (rest + other_rest) + ((sum - (total - part)) + (other - part));
  sum = total;
}

struct WithRest {  // of pairs of a sum and its rest
  template <class V> LAZULITE_INLINE static V combine(V a, V b) {
    join(a.re, a.im, b.re, b.im);
    return a;
  }
  template <class T> static T one(T a, T b) { return combine(a, b); }
};

// n neighbours, from memory: sums[i] with others[i].
template <class T>
LAZULITE_INLINE void join_all(T* sums, T* rests, const T* others, const T* other_rests, int64_t n) {
  using V = Vec<T>;
  int64_t i = 0;
  for (; i + V::size <= n; i += V::size) {
    V sum = V::load(sums + i), rest = V::load(rests + i);
    join(sum, rest, V::load(others + i), V::load(other_rests + i));
    sum.store(sums + i);
    rest.store(rests + i);
  }
  for (; i < n; ++i) join(sums[i], rests[i], others[i], other_rests[i]);
}
// Lanes by halves, as `fold_lanes` does it.
template <class T>
LAZULITE_INLINE void join_lanes(T* sums, T* rests, int64_t live, int64_t width) {
  for (int64_t half = reduce_lanes / 2; half; half /= 2) {
    if (live <= half) continue;
    join_all(sums, rests, sums + half * width, rests + half * width, (live - half) * width);
    live = half;
  }
}
template <int half, int parts, class V>
LAZULITE_INLINE void join_vector(V& sum, V& rest) {
  if constexpr (half >= parts) {
    join(sum, rest, turned<half>(sum), turned<half>(rest));
    join_vector<half / 2, parts>(sum, rest);
  }
}

// parts: how many numbers an element is. Each has lanes of its own.
template <class In, int parts>
void long_chunk(const void* input, int64_t count, void* out) {
  using V = typename In::V;
  using T = typename In::accumulator;
  constexpr int lanes = parts * int(reduce_lanes), registers = lanes / V::size;
  constexpr int64_t step = parts * eight;
  const auto* x = static_cast<const typename In::memory*>(input);
  auto* to = static_cast<simd::Pair<T>*>(out);
  const int64_t n = parts * count;
  V sum[registers], rest[registers];
  alignas(64) T sums[lanes], rests[lanes] = {};
  // So many registers at a time, in the order of memory: each has three others.
  constexpr int some = registers < 4 ? registers : 4;
  auto of_four = [&](const auto* from, V* v) __attribute__((always_inline)) {
    V more[some];
    load_lanes<In, some>(from, v);
    for (int row = 1; row < 4; ++row) {
      load_lanes<In, some>(from + row * lanes, more);
      for (int k = 0; k < some; ++k) v[k] = v[k] + more[k];
    }
  };
  auto of_eight = [&](const auto* from, V* v) __attribute__((always_inline)) {
    V more[some];
    of_four(from, v);
    of_four(from + 4 * lanes, more);
    for (int k = 0; k < some; ++k) v[k] = v[k] + more[k];
  };
  int64_t i = 0;
  for (int k = 0; k < registers; k += some) {
    if (n >= step) of_eight(x + k * V::size, sum + k);
    else
      for (int j = 0; j < some; ++j) sum[k + j] = V(T(0));
    for (int j = 0; j < some; ++j) rest[k + j] = V(T(0));
  }
  if (n >= step) {
    for (i = step; i + step <= n; i += step) {
      for (int k = 0; k < registers; k += some) {
        V v[some];
        of_eight(x + i + k * V::size, v);
        for (int j = 0; j < some; ++j) join(sum[k + j], rest[k + j], v[j], V(T(0)));
      }
    }
    order_lanes<In, registers>(sum);
    order_lanes<In, registers>(rest);
  }
  if (i < n) {  // up to eight rows, the last one cut off
    const int64_t left = n - i, live = left < lanes ? left : lanes;
    alignas(64) T last[lanes], nothing[lanes] = {};
    auto some = [&](int64_t at, T* to) {
      const int64_t all = left - at < 4 * lanes ? left - at : 4 * lanes;
      convert<In>(to, x + i + at, all < lanes ? all : lanes);
      for (int64_t row = lanes; row < all; row += lanes)
        accumulate<monoid::Sum, In>(to, x + i + at + row, all - row < lanes ? all - row : lanes);
      return all < lanes ? all : lanes;
    };
    some(0, last);
    if (left > 4 * lanes) {
      alignas(64) T more[lanes];
      const int64_t width = some(4 * lanes, more);
      accumulate<monoid::Sum, Plain<T>>(last, more, width);
    }
    if (i) {
      for (int k = 0; k < registers; ++k) {
        sum[k].store(sums + k * V::size);
        rest[k].store(rests + k * V::size);
      }
      join_all(sums, rests, last, nothing, live);
    } else {
      std::memcpy(sums, last, size_t(live) * sizeof(T));
      if (live < lanes) {
        join_lanes(sums, rests, count, parts);
        for (int p = 0; p < parts; ++p) to[p] = {sums[p], rests[p]};
        return;
      }
    }
    for (int k = 0; k < registers; ++k) {
      sum[k] = V::load(sums + k * V::size);
      rest[k] = V::load(rests + k * V::size);
    }
  }
  for (int half = registers / 2; half; half /= 2)
    for (int k = 0; k < half; ++k) join(sum[k], rest[k], sum[k + half], rest[k + half]);
  join_vector<V::size / 2, parts>(sum[0], rest[0]);
  for (int p = 0; p < parts; ++p) to[p] = {sum[0][p], rest[0][p]};
}

// Lanes of columns: a plane of sums and one of rests. Takes n neighbours, each the sum of `rows`
// elements, `step` apart.
template <int rows, class V, class F>
LAZULITE_INLINE V sum_of(F&& at) {
  V v = at(0);
  for (int k = 1; k < rows && k < 4; ++k) v = v + at(k);
  if constexpr (rows > 4) {
    V more = at(4);
    for (int k = 5; k < rows; ++k) more = more + at(k);
    v = v + more;
  }
  return v;
}
template <class In, int rows, bool first>
LAZULITE_INLINE void take_sums(const typename In::memory* x, int64_t step, int64_t n,
                               typename In::accumulator* sums,
                               typename In::accumulator* rests) {
  using V = typename In::V;
  using T = typename In::accumulator;
  int64_t i = 0;
  for (; i + V::size <= n; i += V::size) {
    V v = sum_of<rows, V>([&](int k) __attribute__((always_inline)) {
      return In::load(x + i + k * step);
    });
    V rest(T(0));
    if constexpr (!first) {
      V sum = V::load(sums + i);
      rest = V::load(rests + i);
      join(sum, rest, v, V(T(0)));
      v = sum;
    }
    v.store(sums + i);
    rest.store(rests + i);
  }
  for (; i < n; ++i) {
    const T v = sum_of<rows, T>([&](int k) __attribute__((always_inline)) {
      return In::one(x + i + k * step);
    });
    if constexpr (first) {
      sums[i] = v;
      rests[i] = T(0);
    } else {
      join(sums[i], rests[i], v, T(0));
    }
  }
}
template <class In, bool first>
LAZULITE_INLINE void take_some(const typename In::memory* x, int64_t rows, int64_t step, int64_t n,
                               typename In::accumulator* sums,
                               typename In::accumulator* rests) {
  switch (rows) {
    case 1: return take_sums<In, 1, first>(x, step, n, sums, rests);
    case 2: return take_sums<In, 2, first>(x, step, n, sums, rests);
    case 3: return take_sums<In, 3, first>(x, step, n, sums, rests);
    case 4: return take_sums<In, 4, first>(x, step, n, sums, rests);
    case 5: return take_sums<In, 5, first>(x, step, n, sums, rests);
    case 6: return take_sums<In, 6, first>(x, step, n, sums, rests);
    case 7: return take_sums<In, 7, first>(x, step, n, sums, rests);
    default: return take_sums<In, 8, first>(x, step, n, sums, rests);
  }
}

template <class T>
LAZULITE_INLINE void put_columns(T* sums, T* rests, int64_t n, int64_t width, void* out) {
  using V = Vec<T>;
  join_lanes(sums, rests, n < reduce_lanes ? n : reduce_lanes, width);
  auto* to = static_cast<simd::Pair<T>*>(out);
  int64_t i = 0;
  for (; i + V::size <= width; i += V::size)
    Cx<V>(V::load(sums + i), V::load(rests + i)).store(to + i);
  for (; i < width; ++i) to[i] = {sums[i], rests[i]};
}

template <class In, int parts>
void long_columns(const void* input, int64_t n, int64_t stride, int64_t width, void* scratch,
             void* out) {
  using T = typename In::accumulator;
  const auto* x = static_cast<const typename In::memory*>(input);
  stride *= parts;
  width *= parts;
  T *const sums = static_cast<T*>(scratch), *const rests = sums + reduce_lanes * width;
  const int64_t step = reduce_lanes * stride;
  for (int64_t i = 0; i < n; i += eight) {
    const int64_t left = n - i;
    auto take = [&](int64_t lane, int64_t rows, int64_t run) __attribute__((always_inline)) {
      const auto* from = x + (i + lane) * stride;
      T *const to = sums + lane * width, *const beside = rests + lane * width;
      i ? take_some<In, false>(from, rows, step, run, to, beside)
        : take_some<In, true>(from, rows, step, run, to, beside);
    };
    if (left >= eight && stride == width) {  // without gaps a step of all lanes is one run
      take(0, 8, reduce_lanes * width);
    } else {
      for (int64_t lane = 0; lane < reduce_lanes && lane < left; ++lane)
        take(lane, left >= eight ? 8 : (left - lane + reduce_lanes - 1) / reduce_lanes, width);
    }
  }
  put_columns(sums, rests, n, width, out);
}

// The same by steps of 32 rows at most: two more planes have the sums of the last rows, of four and
// of up to three.
template <class In>
void take_long_rows(const void* x, int64_t rows, int64_t width, int64_t step, void* lanes) {
  using V = typename In::V;
  using T = typename In::accumulator;
  const auto* from = static_cast<const typename In::memory*>(x);
  const int64_t plane = reduce_lanes * width, n = rows * width;
  T *const sums = static_cast<T*>(lanes), *const rests = sums + plane,
           *const of_four = rests + plane, *const some = of_four + plane;
  if (step % 4 == 0) return convert<In>(some, from, n);
  if (step % 4 < 3) return accumulate<monoid::Sum, In>(some, from, n);
  int64_t i = 0;
  for (; i + V::size <= n; i += V::size) {
    V sum = V::load(some + i) + In::load(from + i), rest(T(0));
    if (step % 8 == 3) {
      sum.store(of_four + i);
      continue;
    }
    sum = V::load(of_four + i) + sum;
    if (step > 7) {
      const V v = sum;
      sum = V::load(sums + i);
      rest = V::load(rests + i);
      join(sum, rest, v, V(T(0)));
    }
    sum.store(sums + i);
    rest.store(rests + i);
  }
  for (; i < n; ++i) {
    const T sum = some[i] + In::one(from + i);
    if (step % 8 == 3) {
      of_four[i] = sum;
    } else if (step == 7) {
      sums[i] = of_four[i] + sum;
      rests[i] = T(0);
    } else {
      join(sums[i], rests[i], of_four[i] + sum, T(0));
    }
  }
}
template <class In>
void fold_long_rows(void* lanes, int64_t n, int64_t width, void* out) {
  using T = typename In::accumulator;
  const int64_t plane = reduce_lanes * width, steps = n / reduce_lanes,
                cut = n % reduce_lanes * width;
  T *const sums = static_cast<T*>(lanes), *const rests = sums + plane,
           *const of_four = rests + plane, *const some = of_four + plane;
  // Lanes with one row more, and the others: what has not been taken of them.
  auto take = [&](int64_t rows, int64_t from, int64_t to) {
    const int64_t left = rows % 8;
    if (left == 0) return;
    if (left > 4) accumulate<monoid::Sum, Plain<T>>(of_four + from, some + from, to - from);
    const T* const last = (left >= 4 ? of_four : some) + from;
    rows < 8 ? take_sums<Plain<T>, 1, true>(last, 0, to - from, sums + from, rests + from)
             : take_sums<Plain<T>, 1, false>(last, 0, to - from, sums + from, rests + from);
  };
  take(steps + 1, 0, cut);
  take(steps, cut, plane);
  put_columns(sums, rests, n, width, out);
}

template <class T>
void finish(const void* states, int64_t n, double, void* out) {
  const auto* from = static_cast<const simd::Pair<T>*>(states);
  for (int64_t i = 0; i < n; ++i) {
    const T sum = from[i].re, rest = from[i].im;
    // The sum alone where it is not finite; and where nothing was lost: it may be -0.
    static_cast<T*>(out)[i] = rest - rest == T(0) && rest != T(0) ? sum + rest : sum;
  }
}
template <class T, int parts>
void finish_parts(const void* states, int64_t n, double divisor, void* out) {
  finish<T>(states, parts * n, divisor, out);
}

template <class In, int parts>
constexpr StateKernel long_sum() {
  using T = typename In::accumulator;
  using State = Complex<T>;
  ReduceKernel k{long_chunk<In, parts>, long_columns<In, parts>, nullptr,
                 parts * 2 * int64_t(sizeof(T)), false};
  k.combine = [](void* a, const void* b, int64_t n) {
    combine<WithRest, State>(a, b, parts * n);
  };
  if constexpr (parts == 1) {
    k.take = take_long_rows<In>;
    k.fold = fold_long_rows<In>;
    k.lane_bytes = 4 * sizeof(T);
  }
  return {k, finish_parts<T, parts>};
}

template <int... d>
constexpr LongSumKernels make_table(std::integer_sequence<int, d...>) {
  LongSumKernels table{};
  auto one = [&]<int dtype>() {
    using In = typename InputOf<dtype>::t;
    if constexpr (Dtype(dtype) == complex64) table.sum[dtype] = long_sum<Plain<float>, 2>();
    else if constexpr (Dtype(dtype) == complex128) table.sum[dtype] = long_sum<Plain<double>, 2>();
    else if constexpr (is_floating(Dtype(dtype))) {
      table.sum[dtype] = long_sum<In, 1>();
      table.numbers[dtype] = long_sum<Numbers<In, false>, 1>();
      table.count[dtype] = long_sum<Numbers<In, true>, 1>();
    }
  };
  (one.template operator()<d>(), ...);
  return table;
}

constexpr LongSumKernels table = make_table(std::make_integer_sequence<int, dtype_count>{});

}  // namespace

const LongSumKernels& LAZULITE_AT_LEVEL(long_sum_kernels)();
const LongSumKernels& LAZULITE_AT_LEVEL(long_sum_kernels)() { return table; }

}  // namespace lazulite::engine
