// Weights of two keys, rounded to bfloat16, side by side. For units of levels that have AVX-512's
// bfloat16; internal linkage.
#pragma once
#include "simd/vec.h"

namespace lazulite::engine {
namespace {

constexpr int L = simd::Vec<float>::size;
typedef uint32_t Words __attribute__((vector_size(64)));

LAZULITE_INLINE Words rounded(const float* p) {
  return Words(_mm512_maskz_cvtepu16_epi32(
      0xffff, (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(0xffff, p))));
}
// Of a vector of queries, from row `key` of the scores and the one behind it; zeros behind the
// last.
LAZULITE_INLINE __m512i rounded_pair(const float* rows, int64_t key, int64_t keys, int64_t width,
                                     int64_t query) {
  const float* from = rows + key * width + query;
  const Words first = key < keys ? rounded(from) : Words{},
              second = key + 1 < keys ? rounded(from + width) : Words{};
  return __m512i(first | second << 16);
}

}  // namespace
}  // namespace lazulite::engine
