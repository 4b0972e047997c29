// Weights of bfloat16 values as pairs, for AVX-512's dot products of pairs.
#include "engine/attention/kernels.h"

#include "device/cpu/level.h"
#include "engine/attention/round_pairs.h"

namespace lazulite::engine {
namespace {

// A row of pairs may be written where rows were read.
void pair(const void* scores, int64_t keys, int64_t width, void* to) {
  for (int64_t k = 0; k < keys; k += 2)
    for (int64_t i = 0; i < width; i += L)
      _mm512_storeu_si512(static_cast<float*>(to) + k / 2 * width + i,
                          rounded_pair(static_cast<const float*>(scores), k, keys, width, i));
}

}  // namespace

void LAZULITE_AT_LEVEL(fill_attention_kernels)(AttentionTable& table);
void LAZULITE_AT_LEVEL(fill_attention_kernels)(AttentionTable& table) {
  table.of[int(Dtype::bfloat16)].pair = pair;
}

}  // namespace lazulite::engine
