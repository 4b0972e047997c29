// Factorisations of one dense matrix in row-major order: LAPACK's, from the OpenBLAS that products
// use too, one thread per call; of few rows by loops of our own, which need no library. T is float,
// double, or a complex number of these. Singular input, no convergence and a missing library are
// LinAlgErrors that name `op`.
//
// LAPACK counts columns first: it sees the transposed matrix. Where a factorisation of that says
// what one of the matrix would, nothing is transposed.
#pragma once
#include <complex>
#include <cstdint>

namespace lazulite::engine::linalg {

template <class T>
struct RealOf { using type = T; };
template <class T>
struct RealOf<std::complex<T>> { using type = T; };
template <class T>
using Real = typename RealOf<T>::type;
template <class T>
using Complex = std::complex<Real<T>>;

inline constexpr int64_t small = 16;  // rows of a matrix that our own loops factor

template <class T>
struct Factor {
  // b (n x k) becomes the solution; a is written over. Of a `lower` b only the triangle below the
  // diagonal is not 0.
  static void solve(const char* op, T* a, T* b, int64_t n, int64_t k, bool lower = false);
  static void inverse(const char* op, T* a, int64_t n);  // in place
  // The determinant, and its parts: det = sign * exp(log).
  static void determinant(const char* op, T* a, int64_t n, T* det, T* sign, Real<T>* log);
  static void triangular(const char* op, const T* a, T* b, int64_t n, int64_t k, bool upper);
  // Reads the lower triangle, leaves the factor there, and zeros above.
  static void cholesky(const char* op, T* a, int64_t n);
  // L below the diagonal and U; row i changed places with row pivots[i], in order; row i of
  // the matrix is row places[i] of L U.
  static void lu(const char* op, const T* a, int64_t m, int64_t n, T* out, uint32_t* pivots,
                 uint32_t* places);
  // q (m x cols) and r (cols x n): cols is m or the smaller size; null q: r alone.
  static void qr(const char* op, const T* a, int64_t m, int64_t n, int64_t cols, T* q, T* r);
  // u (m x cols of u), s, vh; null u and vh: singular values alone. a is written over.
  static void svd(const char* op, T* a, int64_t m, int64_t n, bool full, T* u, Real<T>* s, T* vh);
  // Values in ascending order; a becomes the vectors, as columns, if they are asked for.
  static void eigh(const char* op, T* a, int64_t n, bool upper, bool vectors, Real<T>* w);
  static void eig(const char* op, const T* a, int64_t n, Complex<T>* w, Complex<T>* v);
  static void pinv(const char* op, T* a, int64_t m, int64_t n, double rtol, T* out);
  static void exp(const char* op, T* a, int64_t n, T* out);  // a is written over
};

}  // namespace lazulite::engine::linalg
