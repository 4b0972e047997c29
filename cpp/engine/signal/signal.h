// Sliding sums of products and Hadamard transforms of lines in memory, on all threads. The bits do
// not depend on threads or levels.
#pragma once
#include <cstdint>
#include <optional>

#include "base/dtype.h"

namespace lazulite::engine {

// out[line, i] = sum over j of x[line, i + j] * w[line, j], for every i at which all are there.
// All dense, of one dtype: integers (which wrap), float32 or float64.
struct Correlation {
  Dtype type;
  int64_t lines, length, terms;  // of x, of w: 0 < terms <= length
  const char *x, *w;
  char* out;
};
void correlate(const Correlation&);

// Lengths that Hadamard matrices are known for here: order * 2^k.
struct HadamardSize {
  int64_t order;  // 1, 12, 20 or 28
  int64_t power;  // 2^k
};
std::optional<HadamardSize> hadamard_size(int64_t n);

// Dense lines of n floats, each times the Hadamard matrix of that order (or its transpose) and the
// scale. Halves are computed in float32 and rounded once.
struct HadamardLines {
  Dtype type;
  int64_t lines, n;
  double scale;
  bool transposed;
  const char* x;
  char* out;
};
void hadamard(const HadamardLines&);

}  // namespace lazulite::engine
