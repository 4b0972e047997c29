// Packing and blocks of sums of int8, for any way to multiply a group of steps. As simd/vec.h:
// units of one instruction-set level, internal linkage.
#pragma once
#include "engine/gemm/pack.h"
#include "engine/gemm/sum_block.h"
#include "engine/quant/int8_kernels.h"

namespace lazulite::engine {
namespace {

using Whole = Vec<int32_t>;

// Four steps in the bytes of a value, each with `flip` of its bits turned.
template <uint32_t flip>
void pack_quads(const PackCall& p) {
  const auto* from = static_cast<const uint8_t*>(p.from);
  auto* to = static_cast<uint32_t*>(p.to);
  const int64_t groups = (p.steps + 3) / 4, whole = p.steps / 4;
  int64_t done = 0;
  if (p.step == 1 && p.line % 4 == 0) {  // words, turned
    pack_along<Plain<float>>({p.from, p.to, p.lines, p.width, p.line / 4, 1, whole});
    done = whole;
  }
  if (p.line == 1 && p.step != 1)  // steps of neighbouring lines, side by side
    for (; done < whole; ++done) {
      const uint8_t *first = from + done * 4 * p.step, *second = first + p.step,
                    *third = second + p.step, *fourth = third + p.step;
      uint32_t* at = to + done * p.width;
      for (int64_t i = 0; i < p.lines; ++i)
        at[i] = first[i] | uint32_t(second[i]) << 8 | uint32_t(third[i]) << 16 |
                uint32_t(fourth[i]) << 24;
      for (int64_t i = p.lines; i < p.width; ++i) at[i] = 0;
    }
  for (int64_t k = done; k < groups; ++k) {
    const int64_t left = p.steps - k * 4;
    for (int64_t i = 0; i < p.width; ++i) to[k * p.width + i] = 0;
    for (int64_t s = 0; s < (left < 4 ? left : 4); ++s) {
      const uint8_t* at = from + (k * 4 + s) * p.step;
      for (int64_t i = 0; i < p.lines; ++i)
        to[k * p.width + i] |= uint32_t(at[i * p.line]) << (8 * s);
    }
  }
  if constexpr (flip != 0)
    for (int64_t i = 0; i < groups * p.width; ++i) to[i] ^= flip;
}
// Two steps as 16 bits each.
inline void pack_twos(const PackCall& p) {
  const auto* from = static_cast<const int8_t*>(p.from);
  auto* to = static_cast<uint32_t*>(p.to);
  for (int64_t k = 0; k < p.steps; k += 2, to += p.width) {
    const bool two = k + 1 < p.steps;
    for (int64_t i = 0; i < p.width; ++i) {
      const int8_t* at = from + i * p.line + k * p.step;
      to[i] = i < p.lines ? uint32_t(uint16_t(at[0])) | uint32_t(two ? at[p.step] : 0) << 16 : 0;
    }
  }
}

// Add::add(sum, x, y) of groups of x and y.
template <class Add>
struct Int8Blocks {
  template <int rows, int vectors>
  struct Kernel {
    static void run(const BlockCall& p) {
      constexpr int L = Whole::size;
      Whole sum[rows][vectors];
      sum_steps<int32_t>(p, sum, Add::add);
      auto* out = static_cast<int32_t*>(p.out);
      const int64_t last = p.cols - (vectors - 1) * L;
#pragma GCC unroll 16
      for (int i = 0; i < rows; ++i)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; ++j) {
          int32_t* at = out + i * p.out_row + j * L;
          if (j + 1 < vectors || last == L) {
            (p.add ? Whole::load(at) + sum[i][j] : sum[i][j]).store(at);
            continue;
          }
          int32_t v[L];
          sum[i][j].store(v);
          for (int64_t k = 0; k < last; ++k) at[k] = (p.add ? at[k] : 0) + v[k];
        }
    }
  };
  template <int rows>
  static constexpr void (*choose)(const BlockCall&) = Blocks<Kernel, Whole::size, rows, 2>::run;
};

}  // namespace
}  // namespace lazulite::engine
