#include "engine/linalg/linalg.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "device/cpu/pool.h"
#include "engine/linalg/lapack.h"
#include "engine/linalg/reflections.h"

namespace lazulite::engine::linalg {
namespace {

template <class T>
constexpr bool is_complex_number = !std::is_floating_point_v<T>;
template <class T>
T conj_of(T v) {
  if constexpr (is_complex_number<T>) return std::conj(v);
  else return v;
}
// How LAPACK compares pivots.
template <class T>
Real<T> size_of_pivot(T v) {
  if constexpr (is_complex_number<T>) return std::abs(v.real()) + std::abs(v.imag());
  else return std::abs(v);
}
template <class T>
T times(T a, T b) {  // without the tests for infinities of C++
  if constexpr (is_complex_number<T>)
    return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
  else return a * b;
}

[[noreturn]] void singular(const char* op) { fail(Kind::linalg, op, "the matrix is singular"); }
[[noreturn]] void not_converged(const char* op) {
  fail(Kind::linalg, op, "no convergence");
}
[[noreturn]] void not_positive(const char* op, int64_t order) {
  fail(Kind::linalg, op, "the matrix is not positive definite: its leading minor of order ", order,
       " is not");
}

template <class T>
void check_finite(const char* op, const T* a, int64_t count) {
  const Real<T>* v = reinterpret_cast<const Real<T>*>(a);
  Real<T> zero = 0;  // nan as soon as any is not finite
  for (int64_t i = 0; i < count * int64_t(sizeof(T) / sizeof(Real<T>)); ++i) zero += v[i] * 0;
  if (zero != 0) fail(Kind::linalg, op, "the matrix holds infinities or nans: there is no result");
}

// to (cols x rows) = from (rows x cols), transposed, by squares that stay in the cache.
template <class T, class U = T>
void turn(const T* from, int64_t rows, int64_t cols, U* to) {
  constexpr int64_t side = 32;
  for (int64_t i = 0; i < rows; i += side)
    for (int64_t j = 0; j < cols; j += side)
      for (int64_t y = i; y < std::min(i + side, rows); ++y)
        for (int64_t x = j; x < std::min(j + side, cols); ++x)
          to[x * rows + y] = from[y * cols + x];
}

// In place, of a square; conjugated.
template <class T>
void turn_conjugated(T* a, int64_t n) {
  constexpr int64_t side = 32;
  for (int64_t i = 0; i < n; i += side)
    for (int64_t j = 0; j <= i; j += side)
      for (int64_t y = i; y < std::min(i + side, n); ++y)
        for (int64_t x = j; x < std::min(j + side, n); ++x) {
          if (x > y) continue;
          const T low = a[y * n + x], high = a[x * n + y];
          a[y * n + x] = conj_of(high);
          a[x * n + y] = conj_of(low);
        }
}

// ---- few rows: loops that the compiler unrolls

// Gaussian elimination with row pivots. False: singular, at a pivot of zero. `swap` is told of rows
// that change places, `eliminate` of multiples of rows that are subtracted.
template <class T, class Swap, class Eliminate>
bool eliminate_small(T* a, int64_t n, Swap swap, Eliminate eliminate) {
  bool regular = true;
  for (int64_t j = 0; j < n; ++j) {
    int64_t p = j;
    for (int64_t i = j + 1; i < n; ++i)
      if (size_of_pivot(a[i * n + j]) > size_of_pivot(a[p * n + j])) p = i;
    if (a[p * n + j] == T(0)) {
      regular = false;
      continue;
    }
    if (p != j) {
      for (int64_t x = 0; x < n; ++x) std::swap(a[p * n + x], a[j * n + x]);
      swap(p, j);
    }
    const T scale = T(1) / a[j * n + j];
    for (int64_t i = j + 1; i < n; ++i) {
      const T f = times(a[i * n + j], scale);
      if (f == T(0)) continue;
      for (int64_t x = j + 1; x < n; ++x) a[i * n + x] -= times(f, a[j * n + x]);
      eliminate(i, j, f);
    }
  }
  return regular;
}

template <class T>
void solve_small(const char* op, T* a, T* b, int64_t n, int64_t k) {
  const bool regular = eliminate_small(
      a, n, [&](int64_t p, int64_t j) { std::swap_ranges(b + p * k, b + p * k + k, b + j * k); },
      [&](int64_t i, int64_t j, T f) {
        for (int64_t x = 0; x < k; ++x) b[i * k + x] -= times(f, b[j * k + x]);
      });
  if (!regular) singular(op);
  for (int64_t i = n - 1; i >= 0; --i) {
    for (int64_t j = i + 1; j < n; ++j)
      for (int64_t x = 0; x < k; ++x) b[i * k + x] -= times(a[i * n + j], b[j * k + x]);
    const T scale = T(1) / a[i * n + i];
    for (int64_t x = 0; x < k; ++x) b[i * k + x] = times(b[i * k + x], scale);
  }
}

// ---- BLAS, row-major

template <class T, class... A>
void blas_call(const char* op, Routine routine, A... arguments) {
  reinterpret_cast<void (*)(A...)>(find_routine(op, routine, which_type<T>))(arguments...);
}

// b (rows of ldb) = inverse of a triangle of a (rows of lda), times b
template <class T>
void solve_triangle(const char* op, const T* a, int lda, T* b, int n, int k, int ldb, bool upper,
                    bool unit) {
  const int order = 101, left = 141, uplo = upper ? 121 : 122, plain = 111, diag = unit ? 132 : 131;
  const T one(1);
  if constexpr (is_complex_number<T>)
    blas_call<T>(op, trsm, order, left, uplo, plain, diag, n, k, static_cast<const void*>(&one),
                 static_cast<const void*>(a), lda, static_cast<void*>(b), ldb);
  else blas_call<T>(op, trsm, order, left, uplo, plain, diag, n, k, one, a, lda, b, ldb);
}

// c (m x n) = alpha a b
template <class T>
void product(const char* op, const T* a, const T* b, T* c, int m, int n, int k, bool adjoint_a,
             bool adjoint_b) {
  const int order = 101, ta = adjoint_a ? 113 : 111, tb = adjoint_b ? 113 : 111;
  const int lda = adjoint_a ? m : k, ldb = adjoint_b ? k : n;
  const T one(1), zero(0);
  std::fill(c, c + int64_t(m) * n, zero);
  if constexpr (is_complex_number<T>)
    blas_call<T>(op, gemm, order, ta, tb, m, n, k, static_cast<const void*>(&one),
                 static_cast<const void*>(a), lda, static_cast<const void*>(b), ldb,
                 static_cast<const void*>(&zero), static_cast<void*>(c), n);
  else blas_call<T>(op, gemm, order, ta, tb, m, n, k, one, a, lda, b, ldb, zero, c, n);
}

// f(first column, columns) for strips of k columns, which have nothing to do with each other: by
// the pool. They are cut by k alone, so that bits do not depend on threads.
template <class F>
void for_strips(int64_t n, int64_t k, F&& f) {
  constexpr int64_t width = 128;
  cpu::parallel_for(
      (k + width - 1) / width,
      [&](int64_t i) { f(i * width, int(std::min(width, k - i * width))); },
      double(n) * double(n) * double(k) / 20);
}

// b = inverse of a times b, where the transposed a is P L U: a = (L U) transposed times P. Of
// `lower` b only the triangle below the diagonal is not 0.
template <class T>
void solve_factored(const char* op, const T* lu, const std::vector<int>& pivots, T* b, int64_t n,
                    int64_t k, bool lower) {
  const int size = int(n);
  find_routine(op, trsm, which_type<T>);
  for_strips(n, k, [&](int64_t first, int columns) {
    Scratch<T> held(n * columns);  // side by side: rows a power of two apart share lines of caches
    T *const strip = held, *const from = b + first;
    for (int64_t i = 0; i < n; ++i) std::copy_n(from + i * k, columns, strip + i * columns);
    const int64_t zeros = lower ? first : 0;  // rows of this strip, which stay so
    solve_triangle(op, lu + zeros * (n + 1), size, strip + zeros * columns, int(n - zeros), columns,
                   columns, false, false);
    solve_triangle(op, lu, size, strip, size, columns, columns, true, true);
    std::vector<int64_t> row(size_t(n), 0);
    std::iota(row.begin(), row.end(), 0);
    for (int64_t i = n - 1; i >= 0; --i)
      std::swap(row[size_t(i)], row[size_t(pivots[size_t(i)] - 1)]);
    for (int64_t i = 0; i < n; ++i)
      std::copy_n(strip + row[size_t(i)] * columns, columns, from + i * k);
  });
}

// What a query of the best size of the work array answered.
template <class T>
int work_size(T answer) {
  return std::max(1, int(std::real(answer)) + 1);
}

}  // namespace

template <class T>
void Factor<T>::solve(const char* op, T* a, T* b, int64_t n, int64_t k, bool lower) {
  if (n <= small) return solve_small(op, a, b, n, k);
  const int size = narrow(op, n);
  narrow(op, k);
  std::vector<int> pivots(size_t(n), 0);
  int info = 0;
  call<T>(op, getrf, &size, &size, a, &size, pivots.data(), &info);  // of a transposed: P L U
  if (info > 0) singular(op);
  solve_factored(op, static_cast<const T*>(a), pivots, b, n, k, lower);
}

template <class T>
void Factor<T>::inverse(const char* op, T* a, int64_t n) {
  if (n <= small) {
    T b[small * small] = {};
    for (int64_t i = 0; i < n; ++i) b[i * n + i] = T(1);
    solve_small(op, a, b, n, n);
    std::copy(b, b + n * n, a);
    return;
  }
  Scratch<T> factor(n * n);
  std::copy(a, a + n * n, static_cast<T*>(factor));
  std::fill(a, a + n * n, T(0));
  for (int64_t i = 0; i < n; ++i) a[i * n + i] = T(1);
  solve(op, static_cast<T*>(factor), a, n, n, true);
}

template <class T>
void Factor<T>::determinant(const char* op, T* a, int64_t n, T* det, T* sign, Real<T>* log) {
  bool odd = false;
  if (n <= small) {
    eliminate_small(a, n, [&](int64_t, int64_t) { odd = !odd; }, [](int64_t, int64_t, T) {});
  } else {
    const int size = narrow(op, n);
    std::vector<int> pivots(size_t(n), 0);
    int info = 0;
    call<T>(op, getrf, &size, &size, a, &size, pivots.data(), &info);
    for (int i = 0; i < size; ++i) odd ^= pivots[size_t(i)] != i + 1;
  }
  T product(odd ? -1 : 1), unit = product;
  Real<T> sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const T d = a[i * n + i];
    product = times(product, d);
    const Real<T> length = std::abs(d);
    unit = length == 0 ? T(0) : times(unit, d / length);
    sum += std::log(length);
  }
  *det = product;
  *sign = unit;
  *log = sum;
}

template <class T>
void Factor<T>::triangular(const char* op, const T* a, T* b, int64_t n, int64_t k, bool upper) {
  for (int64_t i = 0; i < n; ++i)
    if (a[i * n + i] == T(0)) singular(op);
  if (n > small) {
    const int size = narrow(op, n), columns = narrow(op, k);
    find_routine(op, trsm, which_type<T>);
    return for_strips(n, k, [&](int64_t first, int count) {
      solve_triangle(op, a, size, b + first, size, count, columns, upper, false);
    });
  }
  for (int64_t step = 0; step < n; ++step) {
    const int64_t i = upper ? n - 1 - step : step;
    for (int64_t j = upper ? i + 1 : 0; j < (upper ? n : i); ++j)
      for (int64_t x = 0; x < k; ++x) b[i * k + x] -= times(a[i * n + j], b[j * k + x]);
    const T scale = T(1) / a[i * n + i];
    for (int64_t x = 0; x < k; ++x) b[i * k + x] = times(b[i * k + x], scale);
  }
}

template <class T>
void Factor<T>::cholesky(const char* op, T* a, int64_t n) {
  if (n <= small) {
    for (int64_t j = 0; j < n; ++j) {
      Real<T> d = std::real(a[j * n + j]);
      for (int64_t x = 0; x < j; ++x) d -= std::norm(a[j * n + x]);
      if (!(d > 0)) not_positive(op, j + 1);
      d = std::sqrt(d);
      a[j * n + j] = d;
      for (int64_t i = j + 1; i < n; ++i) {
        T v = a[i * n + j];
        for (int64_t x = 0; x < j; ++x) v -= times(a[i * n + x], conj_of(a[j * n + x]));
        a[i * n + j] = v / d;
      }
    }
  } else {
    const int size = narrow(op, n);
    int info = 0;
    const char uplo = 'U';  // of the transposed matrix, whose factor is the transposed one
    call<T>(op, potrf, &uplo, &size, a, &size, &info);
    if (info > 0) not_positive(op, info);
    for (int64_t i = 0; i < n; ++i)  // of nans it does not tell
      if (!(std::real(a[i * n + i]) > 0)) not_positive(op, i + 1);
  }
  for (int64_t i = 0; i < n; ++i) std::fill(a + i * n + i + 1, a + i * n + n, T(0));
}

template <class T>
void Factor<T>::lu(const char* op, const T* a, int64_t m, int64_t n, T* out, uint32_t* pivots,
                   uint32_t* places) {
  const int rows = narrow(op, m), cols = narrow(op, n);
  const int64_t k = std::min(m, n);
  Scratch<T> turned(m * n);
  turn(a, m, n, static_cast<T*>(turned));
  std::vector<int> swaps(size_t(k) + 1, 0);
  int info = 0;
  call<T>(op, getrf, &rows, &cols, static_cast<T*>(turned), &rows, swaps.data(), &info);
  turn(static_cast<const T*>(turned), n, m, out);
  std::vector<uint32_t> order;  // row order[i] of the matrix is row i of L U
  for (int64_t i = 0; i < m; ++i) order.push_back(uint32_t(i));
  for (int64_t i = 0; i < k; ++i) {
    pivots[i] = uint32_t(swaps[size_t(i)] - 1);
    std::swap(order[size_t(i)], order[pivots[i]]);
  }
  for (int64_t i = 0; i < m; ++i) places[order[size_t(i)]] = uint32_t(i);
}

template <class T>
void Factor<T>::qr(const char* op, const T* a, int64_t m, int64_t n, int64_t cols, T* q, T* r) {
  const int rows = narrow(op, m), columns = narrow(op, n), of_q = narrow(op, cols), query = -1;
  const int k = std::min(rows, columns);
  Scratch<T> turned(m * std::max(n, cols)), tau(k);
  T* f = turned;
  turn(a, m, n, f);
  auto keep_r = [&] {
    for (int64_t i = 0; i < cols; ++i)
      for (int64_t j = 0; j < n; ++j) r[i * n + j] = j >= i ? f[j * m + i] : T(0);
  };
  if constexpr (!is_complex_number<T>) {
    if (k >= reflected_least) {
      Scratch<T> factor(q ? m * cols : 0);
      reflect<T>(op, f, m, n, cols, q ? static_cast<T*>(factor) : nullptr);
      keep_r();
      if (q) turn(static_cast<const T*>(factor), cols, m, q);
      return;
    }
  }
  int info = 0;
  T best(0), best_q(0);
  call<T>(op, geqrf, &rows, &columns, f, &rows, static_cast<T*>(tau), &best, &query, &info);
  if (q)
    call<T>(op, orgqr, &rows, &of_q, &k, f, &rows, static_cast<T*>(tau), &best_q, &query, &info);
  const int room = std::max(work_size(best), work_size(best_q));
  Scratch<T> work(room);
  call<T>(op, geqrf, &rows, &columns, f, &rows, static_cast<T*>(tau), static_cast<T*>(work), &room,
          &info);
  keep_r();
  if (!q) return;
  call<T>(op, orgqr, &rows, &of_q, &k, f, &rows, static_cast<T*>(tau), static_cast<T*>(work), &room,
          &info);
  turn(static_cast<const T*>(f), cols, m, q);
}

template <class T>
void Factor<T>::svd(const char* op, T* a, int64_t m, int64_t n, bool full, T* u, Real<T>* s,
                    T* vh) {
  check_finite(op, a, m * n);
  // Of the transposed matrix: its left vectors are ours on the right.
  const int rows = narrow(op, n), cols = narrow(op, m), k = std::min(rows, cols), query = -1;
  const char job = !u ? 'N' : full ? 'A' : 'S';
  const int ld_left = rows, ld_right = full ? cols : std::max(k, 1);
  std::vector<int> steps(size_t(8 * k) + 1);
  const int64_t more = int64_t(k) * std::max(5 * int64_t(k) + 7,
                                             2 * int64_t(std::max(rows, cols)) + 2 * k + 1);
  Scratch<Real<T>> reals(is_complex_number<T> ? more : 1);
  Real<T>* rwork = reals;
  int info = 0;
  auto run = [&](T* work, const int* room) {
    if constexpr (is_complex_number<T>)
      call<T>(op, gesdd, &job, &rows, &cols, a, &rows, s, vh, &ld_left, u, &ld_right, work, room,
              rwork, steps.data(), &info);
    else
      call<T>(op, gesdd, &job, &rows, &cols, a, &rows, s, vh, &ld_left, u, &ld_right, work, room,
              steps.data(), &info);
  };
  T best(0);
  run(&best, &query);
  const int room = work_size(best);
  Scratch<T> work(room);
  run(work, &room);
  if (info != 0) not_converged(op);
}

template <class T>
void Factor<T>::eigh(const char* op, T* a, int64_t n, bool upper, bool vectors, Real<T>* w) {
  for (int64_t i = 0; i < n; ++i)  // the other triangle is not read
    upper ? check_finite(op, a + i * n + i, n - i) : check_finite(op, a + i * n, i + 1);
  const int size = narrow(op, n), query = -1;
  const char job = vectors ? 'V' : 'N', uplo = upper ? 'L' : 'U';
  int info = 0, ints = 0;
  T best(0);
  Real<T> reals(0);
  auto run = [&](T* work, const int* room, Real<T>* rwork, const int* rroom, int* iwork,
                 const int* iroom) {
    if constexpr (is_complex_number<T>)
      call<T>(op, heevd, &job, &uplo, &size, a, &size, w, work, room, rwork, rroom, iwork, iroom,
              &info);
    else call<T>(op, heevd, &job, &uplo, &size, a, &size, w, work, room, iwork, iroom, &info);
  };
  run(&best, &query, &reals, &query, &ints, &query);
  const int room = work_size(best), rroom = work_size(reals);
  Scratch<T> work(room);
  Scratch<Real<T>> rwork(rroom);
  Scratch<int> iwork(ints);
  run(work, &room, rwork, &rroom, iwork, &ints);
  if (info != 0) not_converged(op);
  if (vectors) turn_conjugated(a, n);  // those of the transposed matrix, in rows
}

template <class T>
void Factor<T>::eig(const char* op, const T* a, int64_t n, Complex<T>* w, Complex<T>* v) {
  check_finite(op, a, n * n);
  const int size = narrow(op, n), query = -1, one = 1;
  const char none = 'N', right = v ? 'V' : 'N';
  Scratch<T> turned(n * n), vectors(v ? n * n : 1);
  Scratch<Real<T>> reals(2 * n);
  T *f = turned, *found = vectors;
  Real<T>* parts = reals;
  turn(a, n, n, f);
  int info = 0;
  auto run = [&](T* work, const int* room) {
    if constexpr (is_complex_number<T>)
      call<T>(op, geev, &none, &right, &size, f, &size, w, static_cast<T*>(nullptr), &one, found,
              &size, work, room, parts, &info);
    else
      call<T>(op, geev, &none, &right, &size, f, &size, parts, parts + n, static_cast<T*>(nullptr),
              &one, found, &size, work, room, &info);
  };
  T best(0);
  run(&best, &query);
  const int room = work_size(best);
  Scratch<T> work(room);
  run(work, &room);
  if (info != 0) not_converged(op);
  if constexpr (is_complex_number<T>) {
    if (v) turn(static_cast<const T*>(found), n, n, v);
  } else {
    for (int64_t j = 0; j < n; ++j) w[j] = {parts[j], parts[n + j]};
    for (int64_t j = 0; v && j < n; ++j) {  // pairs: columns of real and imaginary parts
      const bool pair = parts[n + j] > 0;
      for (int64_t i = 0; i < n; ++i) {
        const T re = found[j * n + i], im = pair ? found[(j + 1) * n + i] : T(0);
        v[i * n + j] = {re, im};
        if (pair) v[i * n + j + 1] = {re, -im};
      }
      j += pair;
    }
  }
}

// vh adjoint, divided by the singular values that count, times u adjoint.
template <class T>
void Factor<T>::pinv(const char* op, T* a, int64_t m, int64_t n, double rtol, T* out) {
  const int64_t k = std::min(m, n);
  Scratch<T> u(m * k), vh(k * n);
  Scratch<Real<T>> s(k);
  svd(op, a, m, n, false, u, s, vh);
  const Real<T>* values = s;
  const Real<T> least = Real<T>(rtol) * (k ? values[0] : 0);
  T* rows = vh;
  for (int64_t i = 0; i < k; ++i) {
    const Real<T> f = values[i] > least ? 1 / values[i] : 0;
    for (int64_t j = 0; j < n; ++j) rows[i * n + j] *= f;
  }
  product<T>(op, vh, u, out, int(n), int(m), int(k), true, true);
}

// Scaling and squaring with the Pade approximant of degree 13 (Higham, 2005).
template <class T>
void Factor<T>::exp(const char* op, T* a, int64_t n, T* out) {
  check_finite(op, a, n * n);
  static constexpr double b[] = {64764752532480000., 32382376266240000., 7771770303897600.,
                                 1187353796428800.,  129060195264000.,   10559470521600.,
                                 670442572800.,      33522128640.,       1323241920.,
                                 40840800.,          960960.,            16380.,
                                 182.,               1.};
  const int size = narrow(op, n);
  const int64_t count = n * n;
  std::vector<Real<T>> columns(size_t(n), 0);
  for (int64_t i = 0; i < count; ++i) columns[size_t(i % n)] += std::abs(a[i]);
  const double norm = double(*std::max_element(columns.begin(), columns.end()));
  const double most = std::is_same_v<Real<T>, float> ? 3.9 : 4.25;
  int halvings = 0;
  if (norm > most) std::frexp(norm / most, &halvings);
  if (halvings > 0)
    for (int64_t i = 0; i < count; ++i) a[i] *= Real<T>(std::ldexp(1.0, -halvings));
  Scratch<T> memory(5 * count);
  T *a2 = memory, *a4 = a2 + count, *a6 = a4 + count, *u = a6 + count, *t = u + count;
  auto times_of = [&](const T* x, const T* y, T* to) {
    product<T>(op, x, y, to, size, size, size, false, false);
  };
  times_of(a, a, a2);
  times_of(a2, a2, a4);
  times_of(a2, a4, a6);
  // high(first) = a6 (b[first + 6] a6 + b[first + 4] a4 + b[first + 2] a2), then the rest
  auto half = [&](int first, T* to) {
    auto f = [&](int i) { return Real<T>(b[i] / b[0]); };
    for (int64_t i = 0; i < count; ++i)
      t[i] = f(first + 12) * a6[i] + f(first + 10) * a4[i] + f(first + 8) * a2[i];
    times_of(a6, t, to);
    for (int64_t i = 0; i < count; ++i)
      to[i] += f(first + 6) * a6[i] + f(first + 4) * a4[i] + f(first + 2) * a2[i];
    for (int64_t i = 0; i < n; ++i) to[i * n + i] += f(first);
  };
  half(1, out);
  times_of(a, out, u);  // odd powers
  half(0, out);         // even ones
  for (int64_t i = 0; i < count; ++i) {
    a[i] = out[i] - u[i];
    out[i] += u[i];
  }
  solve(op, a, out, n, n);
  for (; halvings > 0; --halvings) {
    times_of(out, out, t);
    std::copy(t, t + count, out);
  }
}

template struct Factor<float>;
template struct Factor<double>;
template struct Factor<std::complex<float>>;
template struct Factor<std::complex<double>>;

}  // namespace lazulite::engine::linalg
