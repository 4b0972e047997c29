// What each instruction-set level provides to products and convolutions of int8.
#pragma once
#include "device/limits.h"
#include "engine/conv/kernels.h"
#include "engine/gemm/panels.h"

namespace lazulite::engine {

// As ConvBlock, of whole numbers: x holds numbers of `each` bytes (Int8Kernels), w groups of them,
// packed; steps and strides of w are in groups, those of x in numbers. The last groups of x may
// reach beyond its run, where those of w are zeros. Sums begin with `start` (of whole registers),
// or are added to `out`.
struct Int8Block {
  const void *x, *w;
  int32_t* out;
  const int32_t* start;
  const Run* runs;
  int64_t count, steps;
  int64_t x_stride, w_step, out_row;
  int rows, cols;
  bool add;
};

// As BlockCall, of groups, for all `lines` of a left operand whose panels, of so many rows as
// Int8Kernels::begin says, come one after the other; `rows` and a_step are not read. Sums begin
// with `start` (of whole registers), or with zeros.
struct Int8Panel : BlockCall {
  int64_t lines = 0;
  const int32_t* start = nullptr;
};

constexpr int few_int8 = 2 * few;

// out[r][i] = the sum over steps of x[r][step] * lines[i][step]; steps lie side by side.
struct Int8Dots {
  const int8_t *x, *lines;
  int32_t* out;
  int64_t x_row, line, out_row;
  int64_t count, steps;
  int rows;  // up to `few_int8`
};

// As those of PanelKernels: a value is a group of steps in 32 bits, and groups come `together`,
// those that are missing as zeros. Of the left operand the groups of a row that are together lie
// side by side, row after row; of the right one lines lie side by side. The left operand's numbers
// are `above` more than they are, so that they have no sign.
struct Int8Kernels {
  int rows = 0, cols = 0, lanes = 0, group = 0;
  int together = 1;
  int deep = inner_panel;  // groups that `block` takes at a time, in a strip that stays in a cache
  int above = 0;
  double rate = 1;         // beside that of dot products in registers, about
  void (*pack_left)(const PackCall&) = nullptr;
  void (*pack_right)(const PackCall&) = nullptr;
  void (*block)(const Int8Panel&) = nullptr;
  // What sums of a packed strip begin with, less what its columns have too much.
  void (*starts)(const void* strip, int64_t groups, int32_t* to) = nullptr;
  void (*along)(const Int8Block&) = nullptr;
  void (*dots)(const Int8Dots&) = nullptr;
  // Numbers as `along` takes them, of 4 / group bytes: of two bytes less `zero`, of one byte
  // `above` more than they are. `to` may be `from` where they have one byte. Null: they are taken
  // as they lie.
  void (*widen)(const int8_t* from, void* to, int64_t n, int zero) = nullptr;

  // The first of `lines` rows in a panel: tiles take whole ones, registers about as many in each.
  int64_t panels(int64_t lines) const { return (lines + rows - 1) / rows; }
  int64_t begin(int64_t lines, int64_t panel) const {
    const int64_t count = panels(lines), whole = panel * rows;
    if (together > 1) return whole < lines ? whole : lines;
    return lines * panel / count;
  }
  // That so many steps fill.
  int64_t groups(int64_t steps) const {
    const int64_t each = int64_t{group} * together;
    return (steps + each - 1) / each * together;
  }
};

}  // namespace lazulite::engine
