// Weights of bfloat16 values as rows of tiles: of each query the weights of 32 keys side by side.
#include "engine/attention/kernels.h"

#include "device/cpu/level.h"
#include "engine/attention/round_pairs.h"
#include "simd/turn.h"

namespace lazulite::engine {
namespace {

constexpr int keys_of_tile = 32;

void pair(const void* scores, int64_t keys, int64_t width, void* to) {
  using V = simd::Vec<float>;
  const float* rows = static_cast<const float*>(scores);
  float* out = static_cast<float*>(to);
  for (int64_t k = 0; k < keys; k += keys_of_tile)
    for (int64_t i = 0; i < width; i += L, out += L * L) {
      typename V::raw row[L];
#pragma GCC unroll 16
      for (int r = 0; r < L; ++r)
        row[r] = V::from(_mm512_castsi512_ps(rounded_pair(rows, k + 2 * r, keys, width, i))).v;
      simd::turn(row);
      for (int r = 0; r < L; ++r) V::from(row[r]).store(out + r * L);
    }
}

}  // namespace

void LAZULITE_AT_LEVEL(fill_attention_kernels)(AttentionTable& table);
void LAZULITE_AT_LEVEL(fill_attention_kernels)(AttentionTable& table) {
  table.of[int(Dtype::bfloat16)].pair = pair;
}

}  // namespace lazulite::engine
