// Softmax along an axis with others behind it: sweeps over rows of neighbouring columns, in strips
// that stay in cache. Sums have the tree of rows (norm.h): the same bits as of a transposed copy.
#pragma once
#include "engine/norm/norm.h"

namespace lazulite::engine {

// Columns that lie side by side: n rows of them, `stride` elements apart.
struct Strip {
  const void* x;
  int64_t stride;
};

// What each instruction-set level provides, of `columns` neighbours of n elements each; rows of the
// result are `step` apart. `room`: for column_room(n, columns) accumulators, which are kept between
// sweeps, or null. The result may lie where an operand does.
struct ColumnKernels {
  void (*softmax[dtype_count])(Strip x, int64_t n, int64_t columns, void* room, void* out,
                               int64_t step);
  void (*softmax_slope[dtype_count])(Strip y, Strip t, int64_t n, int64_t columns, void* out,
                                     int64_t step);
};
inline constexpr int64_t widest_strip = 1024;  // columns
// Rows begin at whole vectors.
constexpr int64_t column_pitch(int64_t columns) { return (columns + 15) / 16 * 16; }
constexpr int64_t column_room(int64_t n, int64_t columns) { return n * column_pitch(columns); }

// Of rows whose elements are those along an axis of the dense result, with `inner` elements behind
// it. `after`: told of strips as they are there.
void softmax_columns(const Rows& x, int64_t inner, char* out, const After* after = nullptr);
void softmax_slope_columns(const Rows& y, const Rows& t, int64_t inner, char* out,
                           const After* after = nullptr);

}  // namespace lazulite::engine
