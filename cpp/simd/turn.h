// Squares of elements turned in registers: rows become columns. As vec.h: units of one
// instruction-set level, internal linkage.
#pragma once
#include "simd/vec.h"

namespace lazulite::simd {
namespace {

// Lanes of the first (or second) halves of a and b, in turn.
template <bool second, class R, int... lane>
LAZULITE_INLINE R interleave(R a, R b, std::integer_sequence<int, lane...>) {
  constexpr int L = int(sizeof...(lane)), from = second ? L / 2 : 0;
  return __builtin_shufflevector(a, b, ((lane % 2) * L + lane / 2 + from)...);
}

// L rows of L lanes each, R a vector of the compiler: after log2(L) shuffles of row i with row
// i + L / 2 the rows are the columns.
template <class R, int L>
LAZULITE_INLINE void turn(R (&row)[L]) {
  constexpr auto lanes = std::make_integer_sequence<int, L>{};
  R next[L];
#pragma GCC unroll 4
  for (int step = 1; step < L; step *= 2) {
#pragma GCC unroll 16
    for (int i = 0; i < L / 2; ++i) {
      next[2 * i] = interleave<false>(row[i], row[i + L / 2], lanes);
      next[2 * i + 1] = interleave<true>(row[i], row[i + L / 2], lanes);
    }
#pragma GCC unroll 16
    for (int i = 0; i < L; ++i) row[i] = next[i];
  }
}

}  // namespace
}  // namespace lazulite::simd
