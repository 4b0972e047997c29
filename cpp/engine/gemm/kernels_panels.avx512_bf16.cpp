// bfloat16 products by AVX-512's dot products of pairs: two steps of the inner axis at a time, at
// twice the rate of fused multiply-adds where the processor has them at full speed.
#include <type_traits>

#include "device/cpu/level.h"
#include "engine/gemm/pairs.h"
#include "engine/gemm/sum_block.h"

namespace lazulite::engine {
namespace {

template <int rows, int vectors>
struct BlockOfPairs {
  static void run(const BlockCall& p) {
    using V = Vec<float>;
    V sum[rows][vectors];
    sum_steps<float>(p, sum, add_pairs);
    float* out = static_cast<float*>(p.out);
    const __mmask16 last = __mmask16((1u << (p.cols - (vectors - 1) * L)) - 1);
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < vectors; ++j) {
        float* at = out + i * p.out_row + j * L;
        const __mmask16 here = j + 1 < vectors ? 0xffff : last;
        V v = sum[i][j];
        if (p.add) v = V::from(_mm512_maskz_loadu_ps(here, at)) + v;
        _mm512_mask_storeu_ps(at, here, v.v);
      }
  }
};

}  // namespace

void LAZULITE_AT_LEVEL(fill_panel_kernels)(PanelTable& table);
void LAZULITE_AT_LEVEL(fill_panel_kernels)(PanelTable& table) {
  PanelKernels& k = table.of[int(Dtype::bfloat16)];
  k.group = Pairs::group;
  k.pack = pack_pairs;
  k.block = Blocks<BlockOfPairs, L, 14, 2>::run;
  k.dots = dots_of_halves;
  k.round = round_sums;
}

}  // namespace lazulite::engine
