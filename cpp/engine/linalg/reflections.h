// Orthogonal factors by blocks of Householder reflections, in the compact form of Schreiber and Van
// Loan (1989): what is not a panel are products of ours, on all threads, the same bits for any
// number of them.
#pragma once
#include <cstdint>

namespace lazulite::engine::linalg {

// Columns of a panel, and from how many of them on this is faster than LAPACK's.
inline constexpr int64_t reflected_panel = 32, reflected_least = 128;

// Of a (m x n), transposed: n rows of m. R stands on and above its diagonal afterwards, below the
// vectors of the reflections. `q`: cols rows of m, the transposed orthogonal factor, or null. T is
// float or double.
template <class T>
void reflect(const char* op, T* a, int64_t m, int64_t n, int64_t cols, T* q);

}  // namespace lazulite::engine::linalg
