// Attention of bfloat16 by the kernels of level amx on machines without AMX: the same units, over
// tiles in plain C++.
#include "emulated_pairs.h"
#include "emulated_tiles.h"

#include "engine/attention/kernels.amx.cpp"
#include "engine/gemm/kernels_panels.amx.cpp"

#include "attention_samples.h"

namespace lazulite::engine {
const PanelTable& panel_kernels_avx512();  // what the level lies on
const AttentionTable& attention_kernels_avx512();
}

using namespace lazulite;

TEST(AmxAttention, IsTheSoftmaxOfAllScoresAndItsSlopes) {
  engine::PanelTable panels = engine::panel_kernels_avx512();
  engine::AttentionTable kernels = engine::attention_kernels_avx512();
  engine::LAZULITE_AT_LEVEL(fill_panel_kernels)(panels);
  engine::LAZULITE_AT_LEVEL(fill_attention_kernels)(kernels);
  const engine::AttentionLevel level{&panels, &kernels};
  tests::compare<bfloat16_t>(bfloat16, 60, 3e-2, 6e-2, &level);
}
