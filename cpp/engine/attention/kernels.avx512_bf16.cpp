// Weights of bfloat16 values as pairs, for AVX-512's dot products of pairs.
#include "engine/attention/kernels.h"

#include "device/cpu/level.h"
#include "simd/vec.h"

namespace lazulite::engine {
namespace {

constexpr int L = simd::Vec<float>::size;
typedef uint32_t Words __attribute__((vector_size(64)));

LAZULITE_INLINE Words rounded(const float* p) {
  return Words(_mm512_maskz_cvtepu16_epi32(
      0xffff, (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(0xffff, p))));
}

// A row of pairs is written where rows were read.
void pair(void* scores, int64_t keys, int64_t width) {
  float* rows = static_cast<float*>(scores);
  for (int64_t k = 0; k < keys; k += 2)
    for (int64_t i = 0; i < width; i += L) {
      const float* from = rows + k * width + i;
      const Words first = rounded(from), second = k + 1 < keys ? rounded(from + width) : Words{};
      _mm512_storeu_si512(rows + k / 2 * width + i, __m512i(first | second << 16));
    }
}

}  // namespace

void LAZULITE_AT_LEVEL(fill_attention_kernels)(AttentionTable& table);
void LAZULITE_AT_LEVEL(fill_attention_kernels)(AttentionTable& table) {
  table.of[int(Dtype::bfloat16)].pair = pair;
}

}  // namespace lazulite::engine
