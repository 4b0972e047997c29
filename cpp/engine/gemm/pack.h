// Elements as they lie, and their packing into panels. As simd/vec.h: units of one
// instruction-set level, internal linkage.
#pragma once
#include <cstring>

#include "engine/gemm/panels.h"
#include "simd/turn.h"

namespace lazulite::engine {
namespace {

using simd::Half;
using simd::Vec;

// ---- elements as they lie in memory

template <class T>
struct Plain {
  using Memory = T;
  using Sum = T;
  static constexpr int group = 1;  // elements that a lane takes
  LAZULITE_INLINE static Vec<T> load(const T* p) { return Vec<T>::load(p); }
  LAZULITE_INLINE static T one(T x) { return x; }
};
template <Half h>
struct Halves {
  using Memory = uint16_t;
  using Sum = float;
  static constexpr int group = 1;
  LAZULITE_INLINE static Vec<float> load(const uint16_t* p) { return simd::load_half<h>(p); }
  LAZULITE_INLINE static float one(uint16_t x) {
    float out;
    simd::load_half<h>(&x, &out, 1);
    return out;
  }
};

// n elements of T to or from an array of `size`, of which the others are zeros.
template <int size, class T>
LAZULITE_INLINE void copy_part(const T* from, T* to, int64_t n) {
#if defined(LAZULITE_SIMD_AVX512)
  if constexpr (sizeof(T) == 1 && size == 64) {
    _mm512_storeu_si512(to, _mm512_maskz_loadu_epi8((__mmask64{1} << n) - 1, from));  // n < 64
    return;
  }
  if constexpr (sizeof(T) * size == 64) {
    const __mmask32 there = __mmask32((uint64_t{1} << (uint64_t(n) * sizeof(T) / 2)) - 1);
    _mm512_storeu_si512(to, _mm512_maskz_loadu_epi16(there, from));
    return;
  }
  if constexpr (sizeof(T) * size == 32) {
    const __mmask16 there = __mmask16((1u << (uint64_t(n) * sizeof(T) / 2)) - 1);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_maskz_loadu_epi16(there, from));
    return;
  }
#endif
  for (int i = 0; i < size; ++i) to[i] = T(0);
  std::memcpy(to, from, size_t(n) * sizeof(T));
}
template <int size, class T>
LAZULITE_INLINE void store_part(const T* from, T* to, int64_t n) {
#if defined(LAZULITE_SIMD_AVX512)
  if constexpr (sizeof(T) * size == 64) {
    const __mmask32 there = __mmask32((uint64_t{1} << (uint64_t(n) * sizeof(T) / 2)) - 1);
    _mm512_mask_storeu_epi16(to, there, _mm512_loadu_si512(from));
    return;
  }
#endif
  std::memcpy(to, from, size_t(n) * sizeof(T));
}

// Up to a register of elements; the others are zeros.
template <class E>
LAZULITE_INLINE Vec<typename E::Sum> load_part(const typename E::Memory* p, int64_t n) {
  constexpr int size = Vec<typename E::Sum>::size * E::group;
  typename E::Memory in[size];
  copy_part<size>(p, in, n);
  return E::load(in);
}

template <class V>
LAZULITE_INLINE auto total(V v) {
  typename V::scalar x[V::size];
  v.store(x);
  for (int n = V::size / 2; n > 0; n /= 2)
    for (int i = 0; i < n; ++i) x[i] += x[i + n];
  return x[0];
}

// ---- packing

// Lines whose steps stand side by side: squares of them are turned. The vectors that are stored may
// reach beyond the width, into steps that are stored after them: the last lines come first.
template <class E>
void pack_along(const PackCall& p) {
  using M = typename E::Memory;
  using T = typename E::Sum;
  using V = Vec<T>;
  constexpr int L = V::size, G = E::group;
  const M* from = static_cast<const M*>(p.from);
  T* to = static_cast<T*>(p.to);
  const int64_t steps = (p.steps + G - 1) / G;
  for (int64_t k = 0; k < steps; k += L) {
    const int64_t count = steps - k < L ? steps - k : L, left = p.steps - k * G;
    for (int64_t first = (p.width - 1) / L * L; first >= 0; first -= L) {
      const int64_t wide = p.width - first < L ? p.width - first : L;
      T* out = to + k * p.width + first;
      // So many steps may be stored whole; of the others `wide` lines.
      const int64_t behind = (steps - k) * p.width - first - L,
                    room = behind < 0 ? 0 : behind / p.width + 1,
                    whole = room < count ? room : count;
      typename V::raw row[L];
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i) {
        const M* at = from + (first + i) * p.line + k * G;
        if (first + i >= p.lines) row[i] = V(T(0)).v;
        else row[i] = (left >= L * G ? E::load(at) : load_part<E>(at, left)).v;
      }
      simd::turn(row);
      if (whole == L) {
#pragma GCC unroll 16
        for (int i = 0; i < L; ++i) V::from(row[i]).store(out + i * p.width);
        continue;
      }
      T square[L][L];
      for (int i = 0; i < L; ++i) V::from(row[i]).store(square[i]);
      int64_t i = 0;
      for (; i < whole; ++i) V::load(square[i]).store(out + i * p.width);
      for (; i < count; ++i)
        store_part<L>(square[i], out + i * p.width, wide);
    }
  }
}
// Lines side by side. A vector that reaches beyond the lines is read where memory of other steps
// lies behind them, and written where other steps are written after it.
template <class E>
void pack_across(const PackCall& p) {
  using M = typename E::Memory;
  using T = typename E::Sum;
  using I = simd::int_like<T>;
  constexpr int L = Vec<T>::size;
  const M* from = static_cast<const M*>(p.from);
  T* to = static_cast<T*>(p.to);
  const int64_t whole = p.lines / L * L, left = p.lines - whole;
  // So many steps from the end of memory a vector reaches beyond it; likewise when written.
  const int64_t apart = p.step < 0 ? -p.step : p.step,
                beyond = apart == 0 ? p.steps : (L - left + apart - 1) / apart;
  const bool fills = p.width - whole >= L, vectors = fills || p.width == p.lines;
  const int64_t written = p.steps - (whole + L + p.width - 1) / p.width + 1;
  I lane[L];
  for (int i = 0; i < L; ++i) lane[i] = I(i);
  const auto inside = Vec<I>::load(lane) < Vec<I>(I(left));
  for (int64_t k = 0; k < p.steps; ++k, from += p.step, to += p.width) {
    for (int64_t i = 0; i < whole; i += L) E::load(from + i).store(to + i);
    if (left == 0) {
      for (int64_t i = whole; i < p.width; ++i) to[i] = T(0);
      continue;
    }
    const bool readable = p.step > 0 ? k < p.steps - beyond : p.step < 0 && k >= beyond;
    if (vectors && readable && k < written) {
      const Vec<T> v = E::load(from + whole);
      (fills ? select(inside, v, Vec<T>(T(0))) : v).store(to + whole);
      continue;
    }
    for (int64_t i = whole; i < p.lines; ++i) to[i] = E::one(from[i]);
    for (int64_t i = p.lines; i < p.width; ++i) to[i] = T(0);
  }
}
template <class E>
void pack(const PackCall& p) {
  using M = typename E::Memory;
  using T = typename E::Sum;
  if (p.line == 1) return pack_across<E>(p);
  if (p.step == 1) return pack_along<E>(p);
  const M* from = static_cast<const M*>(p.from);
  T* to = static_cast<T*>(p.to);
  for (int64_t k = 0; k < p.steps; ++k)
    for (int64_t i = 0; i < p.width; ++i)
      to[k * p.width + i] = i < p.lines ? E::one(from[i * p.line + k * p.step]) : T(0);
}

}  // namespace
}  // namespace lazulite::engine
