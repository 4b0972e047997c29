// The ops of this room and their attributes: for the files of this room.
#pragma once
#include "ops/attention/attention.h"
#include "ops/rooms.h"

namespace lazulite {

// Inputs: q, k, v, of one dtype; the mask if there is one, of that dtype or bool, with four axes of
// 1 or all elements; the sinks if there are some, (1 or batch, heads), of the dtype of sums.
struct Attend {
  Scalar scale;
  bool causal;
  int64_t window;  // 0: none
  bool mask, sinks;
  bool keeps;  // a second result: the logarithm of each row's sum of exponentials
  LAZULITE_FIELDS(scale, causal, window, mask, sinks, keeps)
};

// Inputs: x, (batch, heads, places, numbers), cosines and sines, (1 or batch, places, pairs), of
// the dtype of sums.
struct Rotate {
  bool neighbours;  // pairs; see engine/attention/rotate.h
  bool back;
  LAZULITE_FIELDS(neighbours, back)
};

// attention_slope: of the same and the result, the logarithms and the cotangent; the gradients by
// q, k and v, and by the sinks, of each of the batch by itself.
extern const Op attention_op, attention_slope_op, rope_op;

}  // namespace lazulite
