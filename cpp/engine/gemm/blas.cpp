#include "engine/gemm/blas.h"

#include <algorithm>
#include <climits>
#include <complex>
#include <cstring>
#include <type_traits>

#include "engine/gemm/grid.h"

namespace lazulite::engine {
namespace {

constexpr int row_major = 101, no_trans = 111, trans = 112;

int64_t leading(const MatrixView& m) { return m.col == 1 ? m.row : m.col; }

template <class T>
void tile_product(const cpu::Blas& blas, int ta, int tb, int m, int n, int k, const T* a, int lda,
                  const T* b, int ldb, T* c, int ldc) {
  const T one(1), zero(0);
  if constexpr (std::is_same_v<T, float>)
    blas.sgemm(row_major, ta, tb, m, n, k, one, a, lda, b, ldb, zero, c, ldc);
  else if constexpr (std::is_same_v<T, double>)
    blas.dgemm(row_major, ta, tb, m, n, k, one, a, lda, b, ldb, zero, c, ldc);
  else if constexpr (std::is_same_v<T, std::complex<float>>)
    blas.cgemm(row_major, ta, tb, m, n, k, &one, a, lda, b, ldb, &zero, c, ldc);
  else
    blas.zgemm(row_major, ta, tb, m, n, k, &one, a, lda, b, ldb, &zero, c, ldc);
}

// y = A x, y dense; A is rows x cols at (row, col) strides of which one is 1.
template <class T>
void gemv(const cpu::Blas& blas, int64_t rows, int64_t cols, const T* a, int64_t row, int64_t col,
          const T* x, int64_t step, T* y) {
  std::memset(y, 0, size_t(rows) * sizeof(T));  // beta = 1 over zeros: what was in y never counts
  const bool plain = col == 1 && row >= cols;
  const int order = plain ? no_trans : trans;
  const int m = int(plain ? rows : cols), n = int(plain ? cols : rows), ld = int(plain ? row : col);
  if constexpr (std::is_same_v<T, float>)
    blas.sgemv(row_major, order, m, n, 1, a, ld, x, int(step), 1, y, 1);
  else blas.dgemv(row_major, order, m, n, 1, a, ld, x, int(step), 1, y, 1);
}

template <class T>
void product(const cpu::Blas& blas, const Product& p) {
  constexpr bool is_real = std::is_floating_point_v<T>;
  const T *a = reinterpret_cast<const T*>(p.a.data), *b = reinterpret_cast<const T*>(p.b.data);
  T* out = reinterpret_cast<T*>(p.out);
  const int ta = p.a.by_rows() ? no_trans : trans, tb = p.b.by_rows() ? no_trans : trans;
  const int lda = int(leading(p.a)), ldb = int(leading(p.b));
  const double macs_per_ns = 120.0 / double(sizeof(T)) / (is_real ? 1 : 4);
  for_tiles(p, macs_per_ns, [&](const Tile& t) {
    const T *x = a + t.a + t.row * p.a.row, *y = b + t.b + t.col * p.b.col;
    T* to = out + t.out + t.row * p.n + t.col;
    if constexpr (is_real) {
      if (p.n == 1) return gemv(blas, t.rows, p.k, x, p.a.row, p.a.col, y, p.b.row, to);
      if (p.m == 1) return gemv(blas, t.cols, p.k, y, p.b.col, p.b.row, x, p.a.col, to);
    }
    tile_product(blas, ta, tb, int(t.rows), int(t.cols), int(p.k), x, lda, y, ldb, to, int(p.n));
  });
}

}  // namespace

const cpu::Blas* blas_for(const Product& p) {
  if (!is_inexact(p.type) || is_half(p.type) || std::max({p.m, p.n, p.k}) > INT_MAX) return nullptr;
  return cpu::blas();
}

bool blas_reads(const MatrixView& m) {
  return (m.by_rows() || m.by_columns()) && leading(m) <= INT_MAX;
}

void blas_gemm(const cpu::Blas& blas, const Product& p) {
  switch (p.type) {
    case Dtype::float32: return product<float>(blas, p);
    case Dtype::float64: return product<double>(blas, p);
    case Dtype::complex64: return product<std::complex<float>>(blas, p);
    default: return product<std::complex<double>>(blas, p);
  }
}

}  // namespace lazulite::engine
