// Attention of bfloat16 by AVX-512's dot products of pairs.
#include "device/cpu/level.h"
#include "engine/attention/pairs.h"

namespace lazulite::engine {

void LAZULITE_AT_LEVEL(fill_attention_kernels)(AttentionTable& table);
void LAZULITE_AT_LEVEL(fill_attention_kernels)(AttentionTable& table) {
  fill_pairs(table.of[int(Dtype::bfloat16)]);
}

}  // namespace lazulite::engine
