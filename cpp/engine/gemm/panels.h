// What each instruction-set level provides to products of packed panels, and to those with a few
// rows. Sums are made with fused multiply-adds, in the order of the inner axis: they depend on it
// alone, never on how rows and columns are cut.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace lazulite::engine {

// Lines of an operand (rows of the left one, columns of the right one), packed: the values of all
// lines at step 0 of the inner axis, then at step 1 ...
struct PackCall {
  const void* from;     // of the memory's dtype
  void* to;             // of the dtype of the sums
  int64_t lines, width; // lines beyond those that there are, up to the width, are zeros
  int64_t line, step;   // strides in `from`, in elements
  int64_t steps;
};

// out[rows x cols] = or += a panel of `rows` lines times a strip of `width` lines.
struct BlockCall {
  const void *a, *b;
  void* out;
  int64_t steps, width, out_row;
  int rows, cols;
  bool add;
};

// out[r][i] (+)= sum over steps of x[r][step] * line i at that step, for up to `few` rows r.
struct FewCall {
  const void* x;  // of the dtype of the sums; row r begins at x + r * x_row
  const void* lines;  // of the memory's dtype
  void* out;          // of the dtype of the sums
  int64_t x_row, out_row;
  int64_t count, line, step;  // how many lines, and strides in `lines`
  int64_t steps;
  int rows;
};

constexpr int few = 4;

// For one dtype in memory. Null where the level has none.
struct PanelKernels {
  int rows = 0, cols = 0, lanes = 0;          // of the largest block, and of a register
  void (*pack)(const PackCall&) = nullptr;
  void (*block)(const BlockCall&) = nullptr;  // cols <= width: a multiple of lanes
  void (*dots)(const FewCall&) = nullptr;     // step == 1; sets out
  void (*sweep)(const FewCall&) = nullptr;    // line == 1; adds to out
  // Elements of memory from sums, where these are of another dtype.
  void (*round)(void* to, const void* sums, int64_t n) = nullptr;
};
struct PanelTable {
  PanelKernels of[dtype_count];
};

}  // namespace lazulite::engine
