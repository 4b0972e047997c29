// Vectors from runs of any length, for per-level units of norms: elements of memory as accumulators
// and back.
#pragma once
#include "engine/reduce/lanes.h"

namespace lazulite::engine {
namespace {

// m elements of `size`, fewer than a register has, in one access of memory: what is stored element
// by element is not there when a whole register is read. The others are 0, or stay.
template <int size, class M>
LAZULITE_INLINE void load_some(M* to, const M* from, int64_t m) {
  [[maybe_unused]] constexpr int bytes = size * int(sizeof(M));
#if defined(LAZULITE_SIMD_AVX512)
  if constexpr (bytes == 64 && sizeof(M) == 4)
    return _mm512_store_si512(to, _mm512_maskz_loadu_epi32(__mmask16((1u << m) - 1), from));
  else if constexpr (bytes == 64 && sizeof(M) == 8)
    return _mm512_store_si512(to, _mm512_maskz_loadu_epi64(__mmask8((1u << m) - 1), from));
  else if constexpr (bytes == 32 && sizeof(M) == 2)
    return _mm256_store_si256(reinterpret_cast<__m256i*>(to),
                              _mm256_maskz_loadu_epi16(__mmask16((1u << m) - 1), from));
#elif defined(LAZULITE_SIMD_AVX2)
  if constexpr (bytes == 32 && sizeof(M) == 4) {
    const __m256i there = _mm256_cmpgt_epi32(_mm256_set1_epi32(int(m)),
                                             _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    return _mm256_store_si256(reinterpret_cast<__m256i*>(to),
                              _mm256_maskload_epi32(reinterpret_cast<const int*>(from), there));
  }
#endif
  for (int64_t k = 0; k < size; ++k) to[k] = M{};
  for (int64_t k = 0; k < m; ++k) to[k] = from[k];
}
template <int size, class M>
LAZULITE_INLINE void store_some(M* to, const M* from, int64_t m) {
  [[maybe_unused]] constexpr int bytes = size * int(sizeof(M));
#if defined(LAZULITE_SIMD_AVX512)
  if constexpr (bytes == 64 && sizeof(M) == 4)
    return _mm512_mask_storeu_epi32(to, __mmask16((1u << m) - 1), _mm512_load_si512(from));
  else if constexpr (bytes == 64 && sizeof(M) == 8)
    return _mm512_mask_storeu_epi64(to, __mmask8((1u << m) - 1), _mm512_load_si512(from));
  else if constexpr (bytes == 32 && sizeof(M) == 2)
    return _mm256_mask_storeu_epi16(to, __mmask16((1u << m) - 1),
                                    _mm256_load_si256(reinterpret_cast<const __m256i*>(from)));
#elif defined(LAZULITE_SIMD_AVX2)
  if constexpr (bytes == 32 && sizeof(M) == 4) {
    const __m256i there = _mm256_cmpgt_epi32(_mm256_set1_epi32(int(m)),
                                             _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    return _mm256_maskstore_epi32(reinterpret_cast<int*>(to), there,
                                  _mm256_load_si256(reinterpret_cast<const __m256i*>(from)));
  }
#endif
  for (int64_t k = 0; k < m; ++k) to[k] = from[k];
}

// m elements from p + i on; the other lanes are 0.
template <class In, bool full>
LAZULITE_INLINE typename In::V get(const void* p, int64_t i, int64_t m) {
  const auto* x = static_cast<const typename In::memory*>(p) + i;
  if constexpr (full) return In::load(x);
  alignas(64) typename In::memory some[In::V::size];
  load_some<In::V::size>(some, x, m);
  return In::load(some);
}
template <class Out, bool full>
LAZULITE_INLINE void put(typename Out::V v, void* p, int64_t i, int64_t m) {
  auto* to = static_cast<typename Out::memory*>(p) + i;
  if constexpr (full) return Out::store(v, to);
  alignas(64) typename Out::memory some[Out::V::size];
  Out::store(v, some);
  store_some<Out::V::size>(to, some, m);
}
// The first m lanes of one, the others of another.
template <class V>
LAZULITE_INLINE V first_of(V v, int64_t m, V others) {
  using A = typename V::scalar;
  alignas(64) static constexpr A numbers[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                8, 9, 10, 11, 12, 13, 14, 15};
  static_assert(V::size <= 16);
  return select(V::load(numbers) < V(A(m)), v, others);
}

template <class V, class F>
LAZULITE_INLINE void for_vectors(int64_t n, F&& f) {
  int64_t i = 0;
  for (; i + V::size <= n; i += V::size) f.template operator()<true>(i, V::size);
  if (i < n) f.template operator()<false>(i, n - i);
}

#define LAZULITE_EACH [&]<bool full>(int64_t i, int64_t m) __attribute__((always_inline))

}  // namespace
}  // namespace lazulite::engine
