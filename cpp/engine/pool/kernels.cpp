// Windows of pooling per instruction-set level. What a register holds behind the last channel is
// stored over by the next window; the last windows are stored in part.
#include "engine/pool/kernels.h"

#include <cstring>
#include <limits>
#include <type_traits>

#include "device/cpu/level.h"
#include "engine/gemm/pack.h"

namespace lazulite::engine {
namespace {

using simd::Mask;

template <class T>
LAZULITE_INLINE void store(Plain<T>, Vec<T> v, T* p) { v.store(p); }
template <Half h>
LAZULITE_INLINE void store(Halves<h>, Vec<float> v, uint16_t* p) { simd::store_half<h>(v, p); }

// The first n of its elements. (The parts of gemm's packing are of 16 bits and more.)
template <class E, class V>
LAZULITE_INLINE void store_some(V v, typename E::Memory* p, int64_t n) {
  typename E::Memory part[V::size];
  store(E{}, v, part);
  if constexpr (sizeof(part[0]) == 1) std::memcpy(p, part, size_t(n));
  else store_part<V::size>(part, p, n);
}
template <class E>
LAZULITE_INLINE auto load_some(const typename E::Memory* p, int64_t n, bool whole) {
  if (whole) return E::load(p);
  if constexpr (sizeof(*p) == 1) {
    typename E::Memory part[Vec<typename E::Sum>::size] = {};
    std::memcpy(part, p, size_t(n));
    return E::load(part);
  } else {
    return load_part<E>(p, n);
  }
}

template <class T>
constexpr T lowest() {
  if constexpr (std::is_floating_point_v<T>) return -std::numeric_limits<T>::infinity();
  else return std::numeric_limits<T>::lowest();
}

struct Max {
  template <class T>
  LAZULITE_INLINE static Vec<T> join(Vec<T> a, Vec<T> b) { return simd::maximum(a, b); }
  template <class T>
  LAZULITE_INLINE static Vec<T> end(Vec<T> a, Vec<T>) { return a; }
  template <class T>
  static constexpr T nothing = lowest<T>();
};
struct Sum {
  template <class T>
  LAZULITE_INLINE static Vec<T> join(Vec<T> a, Vec<T> b) { return a + b; }
  template <class T>
  LAZULITE_INLINE static Vec<T> end(Vec<T> a, Vec<T> divisor) { return a / divisor; }
  template <class T>
  static constexpr T nothing = T(0);
};

template <class E, class F>
void windows(const PoolRun& p) {
  using M = typename E::Memory;
  using T = typename E::Sum;
  using V = Vec<T>;
  constexpr int L = V::size, some = 4;
  const M* x = static_cast<const M*>(p.x);
  M* out = static_cast<M*>(p.out);
  const int64_t all = p.windows * p.channels;
  const V divisor{T(p.divisor)};
  for (int64_t o = 0; o < p.windows; ++o, x += p.step) {
    int64_t c = 0;
    M* to = out + o * p.channels;
    for (; c + some * L <= p.channels; c += some * L) {
      V sum[some];
#pragma GCC unroll 4
      for (int j = 0; j < some; ++j)
        sum[j] = p.count ? E::load(x + p.taps[0] + c + j * L) : V(F::template nothing<T>);
      for (int64_t t = 1; t < p.count; ++t) {
        const M* at = x + p.taps[t] + c;
#pragma GCC unroll 4
        for (int j = 0; j < some; ++j) sum[j] = F::join(sum[j], E::load(at + j * L));
      }
#pragma GCC unroll 4
      for (int j = 0; j < some; ++j) store(E{}, F::end(sum[j], divisor), to + c + j * L);
    }
    for (; c < p.channels; c += L) {
      const int64_t left = p.channels - c;
      const bool whole = left >= L || o * p.step + c + L <= p.room;
      V sum(F::template nothing<T>);
      if (p.count) sum = load_some<E>(x + p.taps[0] + c, left, whole);
      for (int64_t t = 1; t < p.count; ++t)
        sum = F::join(sum, load_some<E>(x + p.taps[t] + c, left, whole));
      sum = F::end(sum, divisor);
      if (left >= L || o * p.channels + c + L <= all) store(E{}, sum, to + c);
      else store_some<E>(sum, to + c, left);
    }
  }
}

// Calls f(tap, where it is the first largest of the window); of nan, the first.
template <class E, class F>
LAZULITE_INLINE void first_largest(const typename E::Memory* x, const int64_t* taps, int64_t count,
                                   int64_t left, bool whole, F&& f) {
  using T = typename E::Sum;
  using V = Vec<T>;
  V best = load_some<E>(x + taps[0], left, whole);
  for (int64_t t = 1; t < count; ++t)
    best = simd::maximum(best, load_some<E>(x + taps[t], left, whole));
  Mask<T> open(true);
  for (int64_t t = 0; t < count; ++t) {
    const V v = load_some<E>(x + taps[t], left, whole);
    const Mask<T> here = ((v == best) | simd::is_nan(v)) & open;
    open = open & ~here;
    f(t, here);
  }
}

template <class E>
void at(const PoolRun& p) {
  using M = typename E::Memory;
  using T = typename E::Sum;
  using V = Vec<T>;
  constexpr int L = V::size;
  const int64_t all = p.windows * p.channels;
  for (int64_t o = 0; o < p.windows; ++o)
    for (int64_t c = 0; c < p.channels; c += L) {
      const int64_t left = p.channels - c;
      const bool whole = left >= L || o * p.step + c + L <= p.room;
      const M *x = static_cast<const M*>(p.x) + o * p.step + c,
              *y = static_cast<const M*>(p.y) + o * p.step + c;
      V found(T(0));
      if (p.count)
        first_largest<E>(x, p.taps, p.count, left, whole, [&](int64_t t, Mask<T> here) {
          found = select(here, load_some<E>(y + p.taps[t], left, whole), found);
        });
      M* to = static_cast<M*>(p.out) + o * p.channels + c;
      if (left >= L || o * p.channels + c + L <= all) store(E{}, found, to);
      else store_some<E>(found, to, left);
    }
}

template <class E>
void slope(const PoolSlope& p) {
  using M = typename E::Memory;
  using T = typename E::Sum;
  using V = Vec<T>;
  using P = Plain<T>;
  constexpr int L = V::size;
  if (p.count == 0) return;
  for (int64_t o = 0; o < p.windows; ++o)
    for (int64_t c = 0; c < p.channels; c += L) {
      const int64_t left = p.channels - c;
      const bool whole = left >= L;
      const M* x = static_cast<const M*>(p.x) + o * p.step + c;
      T* dx = static_cast<T*>(p.dx);
      const int64_t base = p.to + o * p.step + c;
      const V ct = load_some<E>(static_cast<const M*>(p.ct) + o * p.channels + c, left, whole);
      first_largest<E>(x, p.taps, p.count, left, whole, [&](int64_t t, Mask<T> here) {
        if (p.mine && !p.mine[t]) return;
        T* to = dx + (base + p.taps[t]);
        V sum = select(here, ct, V(T(0)));
        if (p.add) sum = load_some<P>(to, left, whole) + sum;
        if (whole) sum.store(to);
        else store_some<P>(sum, to, left);
      });
    }
}

// The sum of `count` lines (0: of `all`, any number).
template <class E, int count>
LAZULITE_INLINE void weigh_lines(const typename E::Memory* x, const int64_t* lines,
                                 const double* weights, int64_t all, int64_t n,
                                 typename E::Memory* out) {
  using T = typename E::Sum;
  using V = Vec<T>;
  constexpr int L = V::size;
  V by[count ? count : 1];
#pragma GCC unroll 4
  for (int t = 0; t < (count ? count : 1); ++t) by[t] = V(T(weights[t]));
  for (int64_t i = 0; i < n; i += L) {
    const int64_t left = n - i;
    const bool whole = left >= L;
    V sum = load_some<E>(x + lines[0] + i, left, whole) * by[0];
    if constexpr (count > 0) {
#pragma GCC unroll 4
      for (int t = 1; t < count; ++t)
        sum = sum + load_some<E>(x + lines[t] + i, left, whole) * by[t];
    } else {
      for (int64_t t = 1; t < all; ++t)
        sum = sum + load_some<E>(x + lines[t] + i, left, whole) * V(T(weights[t]));
    }
    if (whole) store(E{}, sum, out + i);
    else store_some<E>(sum, out + i, left);
  }
}
template <class E>
void weigh(const WeighedLines& p) {
  using M = typename E::Memory;
  const M* x = static_cast<const M*>(p.x);
  M* out = static_cast<M*>(p.out);
  for (int64_t o = 0; o < p.results; ++o, out += p.n) {
    const int64_t t = p.first[o], count = p.first[o + 1] - t;
    const int64_t* lines = p.lines + t;
    const double* weights = p.weights + t;
    if (count == 2) weigh_lines<E, 2>(x, lines, weights, 2, p.n, out);
    else if (count == 0) std::memset(out, 0, size_t(p.n) * sizeof(M));
    else if (count == 1 && weights[0] == 1)  // as it is
      std::memcpy(out, x + lines[0], size_t(p.n) * sizeof(M));
    else if (count == 4) weigh_lines<E, 4>(x, lines, weights, 4, p.n, out);
    else weigh_lines<E, 0>(x, lines, weights, count, p.n, out);
  }
}

template <class E>
constexpr PoolKernels kernels() {
  PoolKernels k{Vec<typename E::Sum>::size, windows<E, Max>, nullptr, at<E>, slope<E>, nullptr};
  if constexpr (std::is_floating_point_v<typename E::Sum>) {
    k.sum = windows<E, Sum>;
    k.weigh = weigh<E>;
  }
  return k;
}
constexpr PoolTable make_table() {
  PoolTable table{};
  table.of[int(Dtype::bool_)] = table.of[int(Dtype::uint8)] = kernels<Plain<uint8_t>>();
  table.of[int(Dtype::uint16)] = kernels<Plain<uint16_t>>();
  table.of[int(Dtype::uint32)] = kernels<Plain<uint32_t>>();
  table.of[int(Dtype::uint64)] = kernels<Plain<uint64_t>>();
  table.of[int(Dtype::int8)] = kernels<Plain<int8_t>>();
  table.of[int(Dtype::int16)] = kernels<Plain<int16_t>>();
  table.of[int(Dtype::int32)] = kernels<Plain<int32_t>>();
  table.of[int(Dtype::int64)] = kernels<Plain<int64_t>>();
  table.of[int(Dtype::float16)] = kernels<Halves<Half::f16>>();
  table.of[int(Dtype::bfloat16)] = kernels<Halves<Half::bf16>>();
  table.of[int(Dtype::float32)] = kernels<Plain<float>>();
  table.of[int(Dtype::float64)] = kernels<Plain<double>>();
  return table;
}
constexpr PoolTable table = make_table();

}  // namespace

const PoolTable& LAZULITE_AT_LEVEL(pool_kernels)();
const PoolTable& LAZULITE_AT_LEVEL(pool_kernels)() { return table; }

}  // namespace lazulite::engine
