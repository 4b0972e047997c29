// Arrays from nothing: what each instruction-set level provides.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace lazulite::engine {

// Numbers at equal steps: start + i * step in int64 (`whole`), which wraps, or from + i * by in
// double; then converted.
struct RampSteps {
  bool whole;
  int64_t start, step;
  double from, by;
};
// A matrix that is one where low <= column - row <= high, between -rows and columns, else zero.
struct BandShape {
  int64_t columns, low, high;
};

struct CreateKernels {
  // Numbers [begin, begin + n).
  void (*ramp[dtype_count])(const RampSteps&, int64_t begin, int64_t n, void* to);
  // Rows [begin, end), `to` the first of them; of elements of 1, 2, 4, 8 and 16 bytes.
  void (*band[5])(const BandShape&, const void* one, int64_t begin, int64_t end, void* to);
};

}  // namespace lazulite::engine
