// What each instruction-set level provides to random draws. A key has one stream of 32-bit words:
// word i is half i % 2 of Threefry's counter i / 2, so that elements can be drawn in any order and
// by any thread. Elements of 8 bytes take two words.
#pragma once
#include "base/dtype.h"
#include "engine/random/threefry.h"

namespace lazulite::engine {

struct Uniform {
  double scale, offset;  // of a number in [0, 1): skipped where they are 1 and 0
  double limit;          // no draw is above it; infinity: no limit
};

struct RandomKernels {
  // Words first ... first + n - 1.
  void (*words)(Key key, uint64_t first, int64_t n, uint32_t* out);
  // Elements first ... first + n - 1, of floating dtypes. Multiples of 2^-24 (2^-53 for float64),
  // scaled, shifted and limited; halves are rounded at the end.
  void (*uniform[dtype_count])(Key key, uint64_t first, int64_t n, const Uniform& how, void* out);
  // The inverse error function of such numbers in (-1, 1), times the factor: normal numbers.
  void (*normal[dtype_count])(Key key, uint64_t first, int64_t n, double factor, void* out);
  // Integers low + floor(word * range / 2^64) with words of 64 bits, by the number of bytes
  // (1, 2, 4, 8: log2); what does not fit wraps. A range of 0 is one of 2^64.
  void (*integers[4])(Key key, uint64_t first, int64_t n, uint64_t low, uint64_t range, void* out);
};

}  // namespace lazulite::engine
