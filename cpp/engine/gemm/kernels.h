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

// Columns and inner axis of tiny products, at most.
inline constexpr int64_t tiny_columns = 16, tiny_inner = 16;

// A stack of tiny products, out dense, strides in elements; all but `rows` are small.
struct TinyCall {
  const void *a, *b;
  void* out;
  int64_t lanes, rows, cols, inner;
  int64_t a_lane, b_lane, a_row, a_col, b_row, b_col;
};

struct TinyKernels {
  void (*product[dtype_count])(const TinyCall&);  // null where there is none
};

}  // namespace lazulite::engine
