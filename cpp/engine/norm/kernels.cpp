// Normalisations of one row, per instruction-set level.
#include "device/cpu/level.h"
#include "engine/norm/norm.h"
#include "engine/norm/vectors.h"

namespace lazulite::engine {
namespace {

#define LAZULITE_TERMS \
  [&]<bool full>(int64_t i, int64_t m, auto* term) __attribute__((always_inline))

// The sums of `count` terms of each element, by the fixed tree: f(i, m, term) gives the terms of m
// elements from i on.
template <int count, class V, class A, class F>
LAZULITE_INLINE void chunk_sums(int64_t from, int64_t n, F&& f, A* out) {
  constexpr int registers = int(reduce_lanes) / V::size;
  V r[count][registers], term[count];
  int64_t i = 0;
  if (n >= reduce_lanes) {
    for (int k = 0; k < registers; ++k) {
      f.template operator()<true>(from + k * V::size, V::size, term);
      for (int c = 0; c < count; ++c) r[c][k] = term[c];
    }
    for (i = reduce_lanes; i + reduce_lanes <= n; i += reduce_lanes)
      for (int k = 0; k < registers; ++k) {
        f.template operator()<true>(from + i + k * V::size, V::size, term);
        for (int c = 0; c < count; ++c) r[c][k] = r[c][k] + term[c];
      }
  } else {  // lanes of no term are -0, which changes no sum
    for (int c = 0; c < count; ++c)
      for (int k = 0; k < registers; ++k) r[c][k] = V(-A(0));
  }
  for (int k = 0; i < n && k < registers; ++k, i += V::size) {
    const int64_t m = n - i;
    if (m >= V::size) {
      f.template operator()<true>(from + i, V::size, term);
      for (int c = 0; c < count; ++c) r[c][k] = r[c][k] + term[c];
    } else {
      f.template operator()<false>(from + i, m, term);
      for (int c = 0; c < count; ++c) r[c][k] = r[c][k] + first_of(m, term[c], V(-A(0)));
    }
  }
  for (int c = 0; c < count; ++c) out[c] = fold_registers<monoid::Sum, registers>(r[c]);
}
template <int count, class V, class A, class F>
LAZULITE_INLINE void tree_sums(int64_t n, F&& f, A* out) {
  A stack[64][count];  // the sums of 2^k chunks
  for (int c = 0; c < count; ++c) stack[0][c] = A(0);
  int depth = 0;
  int64_t done = 0;
  auto join = [&] {
    for (int c = 0; c < count; ++c) stack[depth - 2][c] = stack[depth - 2][c] + stack[depth - 1][c];
    --depth;
  };
  for (int64_t from = 0; from < n; from += reduce_chunk) {
    chunk_sums<count, V>(from, n - from < reduce_chunk ? n - from : reduce_chunk, f,
                         stack[depth++]);
    for (int64_t c = ++done; c % 2 == 0; c /= 2) join();
  }
  while (depth > 1) join();
  for (int c = 0; c < count; ++c) out[c] = stack[0][c];
}

inline float root(float x) { return __builtin_sqrtf(x); }
inline double root(double x) { return __builtin_sqrt(x); }

template <class A> struct Moments {
  A mean, scale;
};
template <class In>
LAZULITE_INLINE auto moments(const void* x, double eps, bool centred, int64_t n) {
  using V = typename In::V;
  using A = typename In::accumulator;
  Moments<A> out{A(0), A(0)};
  if (centred) {
    tree_sums<1, V>(n, LAZULITE_TERMS { term[0] = get<In, full>(x, i, m); }, &out.mean);
    out.mean = out.mean / A(n);
  }
  const V mean(out.mean);
  A square;
  tree_sums<1, V>(n, LAZULITE_TERMS {
    const V d = get<In, full>(x, i, m) - mean;
    term[0] = d * d;
  }, &square);
  out.scale = A(1) / root(square / A(n) + A(eps));
  return out;
}

template <class In, class Out, bool has_weight, bool has_bias>
void forward_row(const void* x, const void* weight, const void* bias, double eps, bool centred,
                 int64_t n, void* out) {
  using V = typename In::V;
  using P = Plain<typename In::accumulator>;
  const auto at = moments<In>(x, eps, centred, n);
  const V mean(at.mean), scale(at.scale);
  for_vectors<V>(n, LAZULITE_EACH {
    V v = (get<In, full>(x, i, m) - mean) * scale;
    if constexpr (has_weight) v = v * get<P, full>(weight, i, m);
    if constexpr (has_bias) v = v + get<P, full>(bias, i, m);
    put<Out, full>(v, out, i, m);
  });
}
template <class In, class Out>
void forward(const void* x, const void* weight, const void* bias, double eps, bool centred,
             int64_t n, void* out) {
  const auto run = weight
                       ? bias ? forward_row<In, Out, true, true> : forward_row<In, Out, true, false>
                   : bias ? forward_row<In, Out, false, true>
                          : forward_row<In, Out, false, false>;
  run(x, weight, bias, eps, centred, n, out);
}

template <class In, class Ct, bool has_weight>
void backward_row(const void* x, const void* weight, const void* ct, double eps, bool centred,
                  int64_t n, void* dx, void* dweight, void* dbias) {
  using V = typename In::V;
  using A = typename In::accumulator;
  using P = Plain<typename In::accumulator>;
  const auto at = moments<In>(x, eps, centred, n);
  const V mean(at.mean), scale(at.scale);
  A sums[2];
  tree_sums<2, V>(n, LAZULITE_TERMS {
    V g = get<Ct, full>(ct, i, m);
    if constexpr (has_weight) g = g * get<P, full>(weight, i, m);
    term[0] = g;
    term[1] = g * ((get<In, full>(x, i, m) - mean) * scale);
  }, sums);
  const V shift(centred ? sums[0] / A(n) : A(0)), slope(sums[1] / A(n));
  for_vectors<V>(n, LAZULITE_EACH {
    const V t = get<Ct, full>(ct, i, m), y = (get<In, full>(x, i, m) - mean) * scale;
    V g = t;
    if constexpr (has_weight) g = g * get<P, full>(weight, i, m);
    if (dweight) put<P, full>(get<P, full>(dweight, i, m) + t * y, dweight, i, m);
    if (dbias) put<P, full>(get<P, full>(dbias, i, m) + t, dbias, i, m);
    put<In, full>((g - shift - y * slope) * scale, dx, i, m);
  });
}
template <class In, class Ct>
void backward(const void* x, const void* weight, const void* ct, double eps, bool centred,
              int64_t n, void* dx, void* dweight, void* dbias) {
  (weight ? backward_row<In, Ct, true> : backward_row<In, Ct, false>)(
      x, weight, ct, eps, centred, n, dx, dweight, dbias);
}

template <class In>
LAZULITE_INLINE auto largest(const void* x, int64_t n) {
  using V = typename In::V;
  constexpr int64_t few = 256;  // elements, of which nothing is worth finding side by side
  const auto* const from = static_cast<const typename In::memory*>(x);
  if (n > few) return reduce_row<monoid::Max, In>(from, n);
  V top(In::one(from));
  for_vectors<V>(n, LAZULITE_EACH {
    const V v = get<In, full>(x, i, m);
    top = monoid::Max::combine<V>(top, full ? v : first_of(m, v, top));
  });
  return fold_vector<monoid::Max, V::size / 2>(top)[0];
}

// Halves would be rounded twice: what has been computed of the first elements of their rows is kept
// beside, of the others it is computed again.
constexpr int64_t kept_elements = 4096;
template <class In, bool half>
void softmax(const void* x, void* out, int64_t n) {
  using V = typename In::V;
  using A = typename In::accumulator;
  using P = Plain<A>;
  alignas(64) A kept[half ? kept_elements : V::size];
  const V top(largest<In>(x, n));
  A sum;
  tree_sums<1, V>(n, LAZULITE_TERMS {
    term[0] = simd::exp(get<In, full>(x, i, m) - top);
    if constexpr (!half) put<In, full>(term[0], out, i, m);
    else if (i < kept_elements) put<P, full>(term[0], kept, i, m);
  }, &sum);
  const V scale(A(1) / sum);
  for_vectors<V>(n, LAZULITE_EACH {
    V e;
    if constexpr (!half) e = get<In, full>(out, i, m);
    else if (i < kept_elements) e = get<P, full>(kept, i, m);
    else e = simd::exp(get<In, full>(x, i, m) - top);
    put<In, full>(e * scale, out, i, m);
  });
}

// Rows of n elements from their columns, one behind the other. What a store puts behind a row is
// written over by the next one; behind the last one nothing is written.
template <class In>
LAZULITE_INLINE void put_turned(const typename In::V* lane, int64_t n, int64_t count,
                                typename In::memory* out) {
  using V = typename In::V;
  constexpr int L = V::size;
  V rows[longest_short_row];  // square by square
  for (int64_t k = 0; k < n; k += L) {
    typename V::raw square[L];
    for (int r = 0; r < L; ++r) square[r] = lane[k + r].v;
    simd::turn(square);
    for (int r = 0; r < L; ++r) rows[k + r] = V::from(square[r]);
  }
  for (int64_t r = 0; r < count; ++r)
    for (int64_t k = 0; k < n; k += L) {
      const int64_t at = r * n + k, left = (r + 1) * n - at;
      if (at + L <= count * n) put<In, true>(rows[k + r], out, at, L);
      else put<In, false>(rows[k + r], out, at, left);
    }
}
template <class In>
void short_softmax(const void* x, int64_t n, int64_t stride, int64_t count, void* out) {
  using V = typename In::V;
  using A = typename In::accumulator;
  auto* const to = static_cast<typename In::memory*>(out);
  for_turned_rows<In>(static_cast<const typename In::memory*>(x), n, stride, count,
                      [&](int64_t row, int64_t some, V* lane) __attribute__((always_inline)) {
    V folded[longest_short_row];
    for (int64_t k = 0; k < n; ++k) folded[k] = lane[k];
    fold_halves<longest_short_row>(folded, n, monoid::Max::combine<V>);
    const V top = folded[0];
    for (int64_t k = 0; k < n; ++k) folded[k] = lane[k] = simd::exp(lane[k] - top);
    fold_halves<longest_short_row>(folded, n, monoid::Sum::combine<V>);
    const V scale = V(A(1)) / folded[0];
    for (int64_t k = 0; k < n; ++k) lane[k] = lane[k] * scale;
    put_turned<In>(lane, n, some, to + row * n);
  });
}

template <class In>
void softmax_slope(const void* y, const void* t, void* out, int64_t n) {
  using V = typename In::V;
  typename In::accumulator sum;
  tree_sums<1, V>(n, LAZULITE_TERMS {
    term[0] = get<In, full>(t, i, m) * get<In, full>(y, i, m);
  }, &sum);
  const V all(sum);
  for_vectors<V>(n, LAZULITE_EACH {
    put<In, full>(get<In, full>(y, i, m) * (get<In, full>(t, i, m) - all), out, i, m);
  });
}

template <class In>
void short_softmax_slope(const void* y, int64_t y_stride, const void* t, int64_t t_stride,
                         int64_t n, int64_t count, void* out) {
  using V = typename In::V;
  using M = typename In::memory;
  const auto* const right = static_cast<const M*>(t);
  auto* const to = static_cast<M*>(out);
  for_turned_rows<In>(static_cast<const M*>(y), n, y_stride, count,
                      [&](int64_t row, int64_t some, V* lane) __attribute__((always_inline)) {
    V other[longest_short_row], folded[longest_short_row];
    turn_rows_from<In>(row, right, n, t_stride, count, other);
    for (int64_t k = 0; k < n; ++k) folded[k] = other[k] * lane[k];
    fold_halves<longest_short_row>(folded, n, monoid::Sum::combine<V>);
    const V all = folded[0];
    for (int64_t k = 0; k < n; ++k) lane[k] = lane[k] * (other[k] - all);
    put_turned<In>(lane, n, some, to + row * n);
  });
}

template <int... d>
constexpr NormKernels make_table(std::integer_sequence<int, d...>) {
  NormKernels table{};
  auto one = [&]<int dtype>() {
    if constexpr (is_floating(Dtype(dtype))) {
      using In = typename InputOf<dtype>::t;
      constexpr bool half = is_half(Dtype(dtype));
      table.forward[dtype][0] = forward<In, In>;
      table.forward[dtype][1] = forward<In, Plain<typename In::accumulator>>;
      table.backward[dtype][0] = backward<In, In>;
      table.backward[dtype][1] = backward<In, Plain<typename In::accumulator>>;
      table.softmax[dtype] = softmax<In, half>;
      table.short_softmax[dtype] = short_softmax<In>;
      if constexpr (!half) {
        table.softmax_slope[dtype] = softmax_slope<In>;
        table.short_softmax_slope[dtype] = short_softmax_slope<In>;
      }
    }
  };
  (one.template operator()<d>(), ...);
  return table;
}

constexpr NormKernels table = make_table(std::make_integer_sequence<int, dtype_count>{});

}  // namespace

const NormKernels& LAZULITE_AT_LEVEL(norm_kernels)();
const NormKernels& LAZULITE_AT_LEVEL(norm_kernels)() { return table; }

}  // namespace lazulite::engine
