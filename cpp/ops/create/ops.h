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

extern const Op ramp_op, band_op;

}  // namespace lazulite
