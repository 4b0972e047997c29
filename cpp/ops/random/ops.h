// The random ops and their attributes: for the files of this room.
#pragma once
#include "ops/rooms.h"

namespace lazulite::random {

struct Bits {
  Shape shape;
  int width;  // 4 or 8 bytes
  LAZULITE_FIELDS(shape, width)
};
struct Uniform {  // bounds that the dtype holds
  Shape shape;
  Dtype type;
  Scalar low, high;
  LAZULITE_FIELDS(shape, type, low, high)
};
struct Normal {  // factor * erfinv of uniform numbers in (-1, 1)
  Shape shape;
  Dtype type;
  Scalar factor;
  LAZULITE_FIELDS(shape, type, factor)
};
struct Integers {  // low + floor(64 random bits * range / 2^64), modulo 2^64; range 0 is 2^64
  Shape shape;
  Dtype type;
  int64_t low, range;
  LAZULITE_FIELDS(shape, type, low, range)
};
struct Split {
  int64_t num;
  LAZULITE_FIELDS(num)
};
struct Shuffle {
  int64_t n;
  LAZULITE_FIELDS(n)
};
struct Reorder {  // rows of x (lanes, n, rest) in the order (lanes, n), or put back
  bool back;
  LAZULITE_FIELDS(back)
};

// Inputs: keys (..., 2) of uint32; each draws an array of the shape.
extern const Op bits_op, uniform_op, normal_op, integers_op, split_op, shuffle_op, reorder_op;

array reorder(const array& x, const array& order, bool back, Stream s = default_stream());
void check_key(const array& key, const char* op);
array key_or_next(const array& key);

double before(double v, Dtype t);  // the number of dtype t before v

}  // namespace lazulite::random
