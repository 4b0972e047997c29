// The ops of this room and their attributes: for the files of this room.
#pragma once
#include "ops/pool/pool.h"
#include "ops/rooms.h"

namespace lazulite {

// One number for each axis. Window o begins at o * stride - low; without sizes the windows are
// those of `out` equal shares of the axis, rounded outwards.
struct Pool {
  Shape in, out, size, stride, low;
  int64_t divisor;  // of sums
  bool back;        // of sums: from (batch, out, channels) to (batch, in, channels)
  LAZULITE_FIELDS(in, out, size, stride, low, divisor, back)
};

// An axis of `in` elements as one of `out`, or two that follow each other; back: the transposed of
// that.
struct Resample {
  int axis;  // the first
  Shape in, out;
  Scalar scale;  // 0: out / in of each
  int mode;      // nearest, linear, cubic
  bool align_corners, antialias, back;
  LAZULITE_FIELDS(axis, in, out, scale, mode, align_corners, antialias, back)
};

// max_pool: of x. max_pool_at: of (x, y), what stands in y where the windows of x have their first
// largest. max_pool_slope: of (x, ct), the transposed of that. sum_pool: of x, its own transposed.
extern const Op max_pool_op, max_pool_at_op, max_pool_slope_op, sum_pool_op, resample_op;

}  // namespace lazulite
