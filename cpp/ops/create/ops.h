// The ops of this room and their attributes: for the files of this room.
#pragma once
#include "ops/create/create.h"
#include "ops/rooms.h"

namespace lazulite {

// start + i * step, in int64 (wrapping) or double.
struct Ramp {
  Scalar start, step;
  int64_t count;
  Dtype type;
  LAZULITE_FIELDS(start, step, count, type)
};

// One where low <= column - row <= high, else zero; the bounds lie between -rows and columns.
struct Band {
  int64_t rows, columns, low, high;
  Dtype type;
  LAZULITE_FIELDS(rows, columns, low, high, type)
};

// The elements of matrices where column - row is at least, or at most, a bound; zeros
// elsewhere.
struct Triangle {
  int64_t bound;
  bool upper;
  LAZULITE_FIELDS(bound, upper)
};

extern const Op ramp_op, band_op, triangle_op;

}  // namespace lazulite
