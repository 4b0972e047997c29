// Lines of an array, along one of its axes: sorted, their order, their parts above and below a
// place.
//
// NaN comes last (first in descending order), complex numbers are ordered by their real parts, then
// by their imaginary ones; those with a nan come last: in the imaginary part, the real one, both.
#pragma once
#include "base/dtype.h"
#include "base/shape.h"

namespace lazulite::engine {

struct Lines {
  Dtype type;
  const void* from;
  int64_t length, step;     // of a line, in elements
  Shape kept;               // the other axes
  Strides kept_strides;
  // Results are dense, in row-major order of the array's axes.
  int64_t to_step;          // along the axis
  int64_t result_length;    // of a line of results
};
// Lines of a not empty array along an axis, whose results have `result_length` there.
Lines lines_of(const void* from, Dtype, const Shape&, const Strides&, int axis,
               int64_t result_length);

void sort_lines(const Lines&, bool descending, void* to);
// The stable order, as uint32, or int64 (`wide`). -0.0 equals 0.0.
void argsort_lines(const Lines&, bool descending, bool wide, void* to);
// What is below the element that would stand at `kth`, its equals, what is above, each in their
// order.
void partition_lines(const Lines&, int64_t kth, void* to);
void argpartition_lines(const Lines&, int64_t kth, bool wide, void* to);
// The largest, ascending: as many as a line of results has.
void topk_lines(const Lines&, void* to);

// Dense rows: to[r, i] is how many of the n sorted elements of row r are below values[r, i], or
// below or equal (`right`).
void search_rows(Dtype, const void* sorted, int64_t rows, int64_t n, const void* values,
                 int64_t count, bool right, bool wide, void* to);

// Of each of `count` dense lines of n elements of float32 or float64 those at (n - 1) / 2 and n / 2
// in order; nan where one is.
void middles_of_lines(Dtype, const void* from, int64_t n, int64_t count, void* low, void* high);

// The different elements of a dense row of n, ascending; each nan is one of its own, or all are one
// (`equal_nan`). Returns how many there are; null: not wanted.
struct Distinct {
  int64_t room;       // for how many of `first` and `counts`
  uint32_t* first;    // where each comes first; of places that are left: where the first does
  uint32_t* inverse;  // of each element: which it is
  int32_t* counts;    // of places that are left: 0
};
int64_t distinct_elements(Dtype, const void* from, int64_t n, bool equal_nan, const Distinct&);

}  // namespace lazulite::engine
