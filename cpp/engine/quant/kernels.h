// What each instruction-set level provides to packed numbers.
#pragma once
#include <cstdint>

#include "base/dtype.h"
#include "engine/quant/format.h"

namespace lazulite::engine {

// A panel of lines of packed codes: to[step * width + line] = code * scale + bias, for 32 * blocks
// steps. Lines beyond those that there are, up to the width, get zeros. `scales` are those of a
// step's group at scales[group * width + line], from the first step on.
struct ExpandCall {
  const char* codes;
  int64_t line;    // bytes from line to line
  int64_t words;   // of codes in a line: steps beyond them are made of codes 0
  int64_t lines, width, blocks;  // width: a multiple of a register's lanes; at most 12 blocks
  const float *scales, *biases;  // biases: null where codes are floats
  int group;
  void* to;  // float32; of `pairs` bfloat16, two steps of a line side by side
};

// 32 numbers of each line, side by side: to[line * to_line + i], those from 16 on `half` elements
// after the first. scales[i * lines + line] are those of the line's halves (i = 0, 1), of which
// groups of 32 and more have one.
struct DecodeCall {
  const char* codes;
  int64_t line;   // bytes from line to line
  int64_t words;  // of codes in a line, up to 32 * bits / 32
  int64_t lines;
  const float *scales, *biases;
  int group;
  float* to;
  int64_t to_line, half;
};

// Codes of a group of numbers, each in a byte, and its scale and bias (the scale's byte, where
// scales are bytes).
struct EncodeCall {
  const void* from;  // float or double
  int64_t groups;
  Format format;
  double factor;     // of the scales (1, but for scales of scales)
  uint8_t* codes;
  void *scales, *biases;  // as `from`; uint8_t
};

// A few rows of x beside rows of packed codes, in whole numbers: each group of x is rounded to 16
// bits at a scale of its own, and multiplied by the codes exactly.
struct PrepareCall {
  const float* x;
  int64_t count;   // of numbers, in whole groups
  Format format;
  int16_t* to;     // in the order in which `dots` meets them: up to 256 more than count
  float *scales, *sums;  // of each group: its scale, and its sum
};
struct DotsCall {
  const char *codes, *scales, *biases;  // biases: null where there are none, or `centre` says them
  float centre;              // biases are scales times that; 0: they are read
  int64_t line, scale_line;  // bytes of codes, elements of scales from line to line
  int64_t lines, count;      // count: numbers of a line
  Format format;
  Dtype scale_type;          // floating, or uint8
  float factor;              // of the scales
  const int16_t* x;          // prepared; of row r at x + r * x_row
  const float *x_scales, *x_sums;  // of row r at r * groups
  int64_t x_row;
  int rows;
  float* out;  // row r at out + r * out_row
  int64_t out_row;
};

// Rows beside a panel of codes, in pairs: the numbers of a block of 32 in an order of the kernels'
// own, of which neighbours are one value. out[r][line] = or += what `groups` groups add up to.
struct WholeCall {
  const uint32_t *x, *panel;         // x[pair * rows + r] (or QuantKernels::rows_apart),
                                     // panel[pair * width + line]
  const float *x_scales, *x_sums;    // [group * rows + r]
  const float *scales, *biases;      // [group * width + line]; biases: or null
  int64_t width, groups;
  int pairs;  // of a group
  float* out;
  int64_t out_row;
  int rows, cols;
  bool add;
  int64_t x_row = 0;      // in x, where rows stay apart
  bool negative = false;  // codes may be
};

struct QuantKernels {
  // By slot_of(codes, bits).
  void (*expand[code_slots])(const ExpandCall&) = {};
  void (*expand_pairs[code_slots])(const ExpandCall&) = {};
  void (*decode[code_slots])(const DecodeCall&) = {};
  void (*encode)(const EncodeCall&) = nullptr;          // of float
  void (*encode_doubles)(const EncodeCall&) = nullptr;
  // Null where the level has none. prepare: false where a row's numbers do not fit (infinities,
  // nan, only tiny ones).
  bool (*prepare[code_slots])(const PrepareCall&) = {};
  void (*dots[code_slots])(const DotsCall&) = {};
  // The same of a panel: up to so many rows, and so many lines, at a time. prepare_pairs: a row's
  // pairs one after the other, in blocks of 16. Scales of expand_whole are not read. rows_apart:
  // rows are multiplied as they were prepared, x[r * x_row + pair].
  int rows = 0, width = 0;
  bool rows_apart = false;
  bool (*prepare_pairs[code_slots])(const PrepareCall&) = {};
  void (*expand_whole[code_slots])(const ExpandCall&) = {};
  void (*multiply)(const WholeCall&) = nullptr;
};

}  // namespace lazulite::engine
