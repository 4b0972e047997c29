// Fourier transforms of lines of memory at any strides, of any length: products of primes to 61 by
// mixed radices, several lines side by side in the lanes of vectors; a long line as a matrix, its
// columns and then its rows; other lengths by Bluestein's way. Deterministic: the bits depend on
// the sizes alone.
#pragma once
#include "base/dtype.h"
#include "base/shape.h"

namespace lazulite::engine {

enum class Fourier : uint8_t { complex, real_to_half, half_to_real };

// Lines along one axis: where they begin follows from the other axes. Strides count elements of
// their own side.
struct FourierLines {
  Fourier kind;
  Dtype type;        // float32 or float64: of the parts
  bool inverse;      // exp(+...); half_to_real always is
  double scale;
  int64_t n;         // of the transform: the real side of halves
  int64_t in_count;  // elements of the input's axis that are read; what lacks is zero
  Shape kept;
  Strides in_strides, out_strides;  // of the kept axes
  int64_t in_step, out_step;        // along the axis
  const char* in;
  char* out;  // complex: may be `in`, at the same strides
};
void fourier(const FourierLines&);

}  // namespace lazulite::engine
