// Pairs of numbers of a row turned by an angle each (rotary positions).
#pragma once
#include "base/dtype.h"
#include "engine/attention/attention.h"

namespace lazulite::engine {

struct Rotation {
  Dtype type;  // of x and the result; cosines and sines are of that of sums
  int64_t batch, heads, places, length;  // of a row
  int64_t pairs;    // of its first numbers; the others stay
  bool neighbours;  // pairs are numbers 2 i, 2 i + 1; else i, pairs + i
  bool back;        // by the angles' negatives
};

// cos, sin: (batch, places, pairs), in strides of the first two; out: dense, may be x.
void rotate(const Rotation&, const HeadsView& x, const char* cos, const char* sin,
            const int64_t (&angle_strides)[2], char* out);

}  // namespace lazulite::engine
