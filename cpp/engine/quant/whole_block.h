// Blocks of some rows beside a panel of codes, in whole numbers: lanes are lines, and each takes
// two codes and two numbers of x at a time, in 16 bits. What a group adds up is exact; then it is
// scaled and added to sums of floats, group after group, so that a row's bits follow from its own
// numbers alone. As simd/vec.h: units of one instruction-set level, internal linkage.
#pragma once
#include "engine/gemm/sum_block.h"
#include "engine/quant/dots.h"

namespace lazulite::engine {
namespace {

#if defined(LAZULITE_SIMD_AVX512) || defined(LAZULITE_SIMD_AVX2)

template <int rows, int vectors>
struct WholeBlock {
  static void run(const WholeCall& p) {
    using V = Vec<float>;
    constexpr int L = V::size;
    V total[rows][vectors];
    alignas(64) float part[L];
    // So many columns of the last vector are there.
    const int64_t last = p.cols - (vectors - 1) * L;
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
      for (int j = 0; j < vectors; ++j) {
        const float* at = p.out + r * p.out_row + j * L;
        total[r][j] = !p.add                          ? V(0.0f)
                      : j + 1 < vectors || last == L ? V::load(at)
                                                      : load_part<Plain<float>>(at, last);
      }
    const uint32_t *x = p.x, *panel = p.panel;
    for (int64_t g = 0; g < p.groups; ++g) {
      Sums sum[rows][vectors];
#pragma GCC unroll 16
      for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; ++j) sum[r][j] = Sums{};
      for (int k = 0; k < p.pairs; ++k, x += rows, panel += p.width) {
        Lanes y[vectors];
#pragma GCC unroll 4
        for (int j = 0; j < vectors; ++j) y[j] = load_lanes(panel + j * L);
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r) {
          const Lanes of_x = Lanes(Vec<uint32_t>(x[r]).v);
#pragma GCC unroll 4
          for (int j = 0; j < vectors; ++j) sum[r][j] = add_dots(sum[r][j], y[j], of_x);
        }
      }
      const float *scales = p.scales + g * p.width, *of_x = p.x_scales + g * rows;
#pragma GCC unroll 16
      for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; ++j) {
          const V whole = V::from(__builtin_convertvector(sum[r][j], V::raw));
          total[r][j] = fma(whole * V(of_x[r]), V::load(scales + j * L), total[r][j]);
        }
      if (!p.biases) continue;
      const float *biases = p.biases + g * p.width, *sums = p.x_sums + g * rows;
#pragma GCC unroll 16
      for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; ++j)
          total[r][j] = fma(V::load(biases + j * L), V(sums[r]), total[r][j]);
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
      for (int j = 0; j < vectors; ++j) {
        float* at = p.out + r * p.out_row + j * L;
        if (j + 1 < vectors || last == L) {
          total[r][j].store(at);
          continue;
        }
        total[r][j].store(part);
        store_part<L>(part, at, last);
      }
  }
};

#if defined(LAZULITE_SIMD_AVX512)
constexpr int whole_rows = 12;
#else
constexpr int whole_rows = 6;
#endif
constexpr void add_whole(QuantKernels& k) {
  k.rows = whole_rows;
  k.width = 2 * Vec<float>::size;
  k.multiply = Blocks<WholeBlock, Vec<float>::size, whole_rows, 2>::run;
}

#else
constexpr void add_whole(QuantKernels&) {}
#endif

}  // namespace
}  // namespace lazulite::engine
