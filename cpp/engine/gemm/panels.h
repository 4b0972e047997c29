// What each instruction-set level provides to products of packed panels, and to those with a few
// rows. Sums are made with fused multiply-adds (or dot products of pairs), in the order of the
// inner axis: they depend on it alone, never on how rows and columns are cut.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace lazulite::engine {

// Lines of an operand (rows of the left one, columns of the right one), packed: the values of all
// lines at step 0 of the inner axis, then at step 1 ... Where the kernels take steps in groups
// (PanelKernels::group), a value is a group; steps that the last one lacks are zeros. What lies how
// inside of the values of one group is between a level's pack and its block.
struct PackCall {
  const void* from;     // of the memory's dtype
  void* to;             // values as wide as sums, or as the elements of a group
  int64_t lines, width; // lines beyond those that there are, up to the width, are zeros
  int64_t line, step;   // strides in `from`, in elements
  int64_t steps;
};

// What a level keeps from one block to the next in a thread (how tiles are set up), where blocks
// are given one. PanelKernels::leave ends it: nothing else may use the same units meanwhile.
struct Kept {
  uint32_t state = 0;  // 0: nothing
};

// out[rows x cols] = or += a panel of lines times a strip of lines, both packed or as they lie with
// their lines side by side. cols <= width of the strip, a multiple of lanes.
struct BlockCall {
  const void *a, *b;
  void* out;
  int64_t steps;  // groups of them
  int64_t a_step, b_step, out_row;  // in values
  int rows, cols;
  bool add;
  int64_t a_line = 1;  // read by block_along alone
  Kept* kept = nullptr;
  void* rounded = nullptr;  // where sums go instead, as elements of memory: of kernels that round
  int64_t rounded_row = 0;  // in elements
};

// out[r][i] (+)= sum over steps of x[r][step] * line i at that step, for up to `few` rows r.
struct FewCall {
  const void* x;      // of the dtype of the sums, or of memory's where `dots` takes groups; row r
                      // begins at x + r * x_row
  const void* lines;  // of the memory's dtype
  void* out;          // of the dtype of the sums
  int64_t x_row, out_row;
  int64_t count, line, step;  // how many lines, and strides in `lines`
  int64_t steps;
  int rows;
};

constexpr int few = 4;

struct ConvBlock;

// For one dtype in memory. Null where the level has none.
struct PanelKernels {
  int rows = 0, cols = 0, lanes = 0;  // of the largest block, and of a register
  int group = 1;                      // steps that pack, block and dots take as one
  int deep = 0;                       // groups in a block of the inner axis; 0: as many as usual
  int panels = 0;                     // of a task whose operands are both packed; 0: never are
  bool rounds = false;                // sums of a last block as they leave the registers
  void (*leave)(Kept&) = nullptr;     // after blocks with one Kept; null: nothing is kept
  void (*pack)(const PackCall&) = nullptr;
  void (*pack_left)(const PackCall&) = nullptr;  // of panels, where these are packed otherwise
  void (*block)(const BlockCall&) = nullptr;
  void (*block_along)(const BlockCall&) = nullptr;  // of a panel whose lines lie apart, a_step == 1
  void (*widen)(const PackCall&) = nullptr;   // pack, each step a value
  void (*dots)(const FewCall&) = nullptr;     // step == 1; sets out
  void (*sweep)(const FewCall&) = nullptr;    // line == 1; adds to out
  // Sums over runs of rows as they lie, whole groups each (engine/conv/kernels.h), set and rounded:
  // steps in groups, x and out in elements, w packed, in words of 32 bits. Null: there are none.
  void (*runs)(const ConvBlock&) = nullptr;
  void (*sum_runs)(const ConvBlock&) = nullptr;  // the same into sums, set or added to
  // to[i] = sums[i] + sums[stride + i] + ... of `count` of them, in order. `to` may be `sums`.
  void (*total)(void* to, const void* sums, int64_t count, int64_t stride, int64_t n) = nullptr;
  // Elements of memory from sums, where these are of another dtype.
  void (*round)(void* to, const void* sums, int64_t n) = nullptr;
};
struct PanelTable {
  PanelKernels of[dtype_count];
};

}  // namespace lazulite::engine
