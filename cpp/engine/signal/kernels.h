// What each instruction-set level provides to sliding sums of products and Hadamard transforms.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace lazulite {

struct SignalKernels {
  // out[i] = sum over j < m of x[i + j] * w[j], i < n: j in order, in blocks that are added up in
  // order, at each level and for each n. Dense; x may be read up to `correlate_room` elements
  // behind x[n + m - 2]. Null for bool, halves and complex dtypes; integers wrap.
  void (*correlate[dtype_count])(const void* x, const void* w, int64_t m, int64_t n, void* out);
  // For float32 and float64, in place. Dense lines of `size` (2^k) elements, which follow each
  // other: each times the Hadamard matrix of that size.
  void (*butterflies[2])(void* x, int64_t size, int64_t lines);
  // The steps of that at distance `apart`, and (`both`) at twice that, of n neighbours, a multiple
  // of 16 unless it is `apart`.
  void (*step[2])(void* x, int64_t apart, bool both, int64_t n);
  // Element j of each of `count` lines, `apart` elements from each other: times signs (count rows
  // of as many) and the scale; n neighbours.
  void (*mix[2])(void* x, const int8_t* signs, int64_t count, int64_t apart, int64_t n,
                 double scale);
};
inline constexpr int64_t correlate_room = 256;
inline constexpr int64_t most_mixed = 28;

}  // namespace lazulite
