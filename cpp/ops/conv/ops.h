// The ops of this room and their attributes: for the files of this room.
#pragma once
#include "ops/conv/conv.h"
#include "ops/rooms.h"

namespace lazulite {

// One number for each axis.
struct Conv {
  Shape taps, stride, low, high, dilation, spread;  // spread: dilation of the input
  int64_t groups;
  bool flip;  // taps in reverse
  LAZULITE_FIELDS(taps, stride, low, high, dilation, spread, groups, flip)
};

// conv: of (x, w); conv_weights: of (x, gradient of the result), its gradient with respect to w.
extern const Op conv_op, conv_weights_op;
// Of (x, w, zero), int8: the convolution of x less zero, a scalar, with sums of int32.
extern const Op int8_conv_op;

}  // namespace lazulite
