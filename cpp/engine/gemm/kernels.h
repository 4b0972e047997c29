// What each instruction-set level provides to products.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace lazulite::engine {

// One tile of a product, in memory of one dtype; strides in elements.
struct TileCall {
  const void *a, *b;
  void* out;
  int64_t rows, cols, inner;
  int64_t a_row, a_col, b_row, out_row;  // b and out: neighbours in a row stand side by side
};

struct GemmKernels {
  // out = a b; each element adds its products in the order of the inner axis, however it is tiled,
  // so that every level gives the same bits. Null for halves.
  void (*tile[dtype_count])(const TileCall&);
};

// Columns of the widest block of sums; numbers of a right operand that is copied, at most, in whole
// blocks; lines that many others are multiplied by.
inline constexpr int64_t tiny_columns = 16, tiny_copied = 1024, tiny_lines = 8;

// A stack of tiny products, out dense, strides in elements; `rows` may be any, `cols` and `inner`
// such that whole blocks of b can be copied.
struct TinyCall {
  const void *a, *b;
  const void *a_end, *b_end;  // of the memory that these are in; null where a stride is below 0
  void* out;
  int64_t lanes, rows, cols, inner;
  int64_t a_lane, b_lane, a_row, a_col, b_row, b_col;
};

// Dot products of many lines, whose elements lie side by side, with a few: that of line i and few r
// goes to out[i + r * out_row].
struct LinesCall {
  const void *lines, *few;
  const void* end;  // of the memory that the lines are in; null where they stand in reverse
  void* out;
  int64_t count, few_count, inner, line, few_row, few_step, out_row;
};

struct TinyKernels {
  void (*product[dtype_count])(const TinyCall&);  // null where there is none
  void (*lines[dtype_count])(const LinesCall&);
};

}  // namespace lazulite::engine
