// What each instruction-set level provides to convolutions: blocks of sums in registers over runs
// of steps. Sums take their steps in order, whatever the block.
#pragma once
#include <cstdint>

#include "base/dtype.h"
#include "engine/gemm/panels.h"

namespace lazulite::engine {

// Where the steps of a run begin in the two operands, in elements.
struct Run {
  int64_t x, w;
};

// out[row][col] (= or +=) the sum over runs and steps of x(row, step) * w(step, col); columns lie
// side by side. Of w whole registers are read.
struct ConvBlock {
  const void *x, *w;
  void* out;
  const Run* runs;
  int64_t count, steps;  // runs, and steps of each
  int64_t x_stride;      // from row to row where steps lie side by side (`along`), from step to
                         // step where rows do (`across`)
  int64_t w_step, out_row;
  int rows, cols;
  bool add;
  Kept* kept = nullptr;
};

// For each channel by itself, channels side by side: out[row][channel] (= or +=) the sum over runs
// of x(row, channel) * w(channel).
struct ChannelBlock {
  const void *x, *w;
  void* out;
  const Run* runs;
  int64_t count;
  int64_t x_row, out_row;
  int64_t channels;
  int rows;
};
// out[run][channel] += the sum over steps of x(step, channel) at the run * y(step, channel).
struct ChannelDots {
  const void *x, *y;
  void* out;
  const Run* runs;  // w: where the sum stands in `out`
  int64_t count, steps;
  int64_t x_step, y_step;
  int64_t channels;
};

struct ConvKernels {
  int rows, cols, lanes;  // of the largest block, and of a register
  void (*along)(const ConvBlock&);
  void (*across)(const ConvBlock&);
  void (*channels)(const ChannelBlock&);
  void (*channel_dots)(const ChannelDots&);
  // to[i] = sums[i] + sums[stride + i] + ... of `count` of them, in order.
  void (*total)(void* to, const void* sums, int64_t count, int64_t stride, int64_t n);
};
struct ConvTable {
  ConvKernels of_floats, of_doubles;
};

}  // namespace lazulite::engine
