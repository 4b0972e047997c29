// Linear algebra on the CPU: one matrix is one thread's, the pool has the batch.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <vector>

#include "engine/linalg/linalg.h"
#include "ops/cpu.h"
#include "ops/linalg/ops.h"

namespace lazulite::linalg {
namespace {

using engine::linalg::Complex;
using engine::linalg::Factor;
using engine::linalg::Real;

template <class F>
void with_type(Dtype t, F&& f) {
  switch (t) {
    case float32: return f.template operator()<float>();
    case float64: return f.template operator()<double>();
    case complex64: return f.template operator()<std::complex<float>>();
    default: return f.template operator()<std::complex<double>>();
  }
}

struct Sizes {
  int64_t count = 1, m, n;  // matrices, and the size of each
  explicit Sizes(const TensorView& a)
      : m(a.shape()[a.shape().size() - 2]), n(a.shape().back()) {
    for (size_t i = 0; i + 2 < a.shape().size(); ++i) count *= a.shape()[i];
  }
  int64_t size() const { return m * n; }
};

// f(i) for each matrix; `steps`: multiplications of one.
template <class F>
void for_each(int64_t count, double steps, F&& f) {
  const double ns = 200 + steps / 4;
  const int64_t part = std::max<int64_t>(1, int64_t(20000 / ns));
  cpu::parallel_for(
      (count + part - 1) / part,
      [&](int64_t chunk) {
        const int64_t end = std::min(count, (chunk + 1) * part);
        for (int64_t i = chunk * part; i < end; ++i) f(i);
      },
      double(count) * ns);
}

double cube(double n) { return n * n * n; }

template <class T>
T* part(const TensorView& a, int64_t i, int64_t size) {
  return reinterpret_cast<T*>(a.data) + i * size;
}
// A copy of one matrix that may be written over.
template <class T>
struct Copy {
  Copy(const Dense& from, int64_t i, int64_t size)
      : held(size * int64_t(sizeof(T)) > int64_t(sizeof few) ? allocate(size * int64_t(sizeof(T)))
                                                             : Ref<Buffer>()),
        data(held ? static_cast<T*>(held->data) : reinterpret_cast<T*>(few)) {
    std::memcpy(static_cast<void*>(data), from.data + i * size * int64_t(sizeof(T)),
                size_t(size) * sizeof(T));
  }
  alignas(64) char few[4096];
  Ref<Buffer> held;
  T* data;
};
template <class T>
const T* at(const Dense& from, int64_t i, int64_t size) {
  return reinterpret_cast<const T*>(from.data) + i * size;
}
template <class T>
T* copied(const Dense& from, const TensorView& to, int64_t i, int64_t size) {
  T* out = part<T>(to, i, size);
  std::memcpy(static_cast<void*>(out), at<T>(from, i, size), size_t(size) * sizeof(T));
  return out;
}

void solve_kernel(const KernelCall& call) {
  const Sizes of(call.in[0]), right(call.in[1]);
  const Dense a(call.in[0]), b(call.in[1]);
  if (of.count * of.n == 0) return;  // no columns: still an error if singular
  with_type(call.in[0].type(), [&]<class T>() {
    for_each(of.count, cube(double(of.n)) / 3 + double(of.size() * right.n), [&](int64_t i) {
      Copy<T> factor(a, i, of.size());
      Factor<T>::solve("solve", factor.data, copied<T>(b, call.out[0], i, right.size()), of.n,
                       right.n);
    });
  });
}

void triangular_kernel(const KernelCall& call) {
  const Sizes of(call.in[0]), right(call.in[1]);
  const Dense a(call.in[0]), b(call.in[1]);
  if (of.count * of.n == 0) return;
  const bool upper = call.node.get<Triangular>().upper;
  with_type(call.in[0].type(), [&]<class T>() {
    for_each(of.count, double(of.size() * right.n) / 2, [&](int64_t i) {
      Factor<T>::triangular("solve_triangular", at<T>(a, i, of.size()),
                            copied<T>(b, call.out[0], i, right.size()), of.n, right.n, upper);
    });
  });
}

void inv_kernel(const KernelCall& call) {
  const Sizes of(call.in[0]);
  const Dense a(call.in[0]);
  if (of.count * of.n == 0) return;
  with_type(call.in[0].type(), [&]<class T>() {
    for_each(of.count, cube(double(of.n)), [&](int64_t i) {
      Factor<T>::inverse("inv", copied<T>(a, call.out[0], i, of.size()), of.n);
    });
  });
}

void cholesky_kernel(const KernelCall& call) {
  const Sizes of(call.in[0]);
  const Dense a(call.in[0]);
  if (of.count * of.n == 0) return;
  with_type(call.in[0].type(), [&]<class T>() {
    for_each(of.count, cube(double(of.n)) / 6, [&](int64_t i) {
      Factor<T>::cholesky("cholesky", copied<T>(a, call.out[0], i, of.size()), of.n);
    });
  });
}

// det, or sign and log
void determinant_kernel(const KernelCall& call) {
  const Sizes of(call.in[0]);
  const Dense a(call.in[0]);
  const bool parts = call.out.size() == 2;
  with_type(call.in[0].type(), [&]<class T>() {
    for_each(of.count, cube(double(of.n)) / 3, [&](int64_t i) {
      Copy<T> factor(a, i, of.size());
      T det, sign;
      Real<T> log;
      Factor<T>::determinant(parts ? "slogdet" : "det", factor.data, of.n, &det, &sign, &log);
      *part<T>(call.out[0], i, 1) = parts ? sign : det;
      if (parts) *part<Real<T>>(call.out[1], i, 1) = log;
    });
  });
}

template <class T>
double length_of(const T* a, int64_t size) {
  double sum = 0;
  for (int64_t i = 0; i < size; ++i) sum += double(std::norm(a[i]));
  return std::sqrt(sum);
}
template <class T>
T turned(T v) {
  if constexpr (std::is_floating_point_v<T>) return v;
  else return std::conj(v);
}
// det(U Vh) V diag(products of the other singular values) U*.
template <class T>
void singular_adjugate(const Dense& a, int64_t i, int64_t n, T* out) {
  Copy<T> factor(a, i, n * n);
  std::vector<T> u(size_t(n * n)), vh(u), held;
  std::vector<Real<T>> s(size_t(n), 0), others(size_t(n), 1);
  Factor<T>::svd("det", factor.data, n, n, true, u.data(), s.data(), vh.data());
  for (int64_t k = 0; k < n; ++k)
    for (int64_t j = 0; j < n; ++j)
      if (j != k) others[size_t(k)] *= s[size_t(j)];
  T sign(1);
  for (const auto* vectors : {&u, &vh}) {
    T det, part;
    Real<T> log;
    held = *vectors;
    Factor<T>::determinant("det", held.data(), n, &det, &part, &log);
    sign *= part;
  }
  for (int64_t row = 0; row < n; ++row)
    for (int64_t column = 0; column < n; ++column) {
      T sum(0);
      for (int64_t k = 0; k < n; ++k)
        sum +=
            turned(vh[size_t(k * n + row)]) * others[size_t(k)] * turned(u[size_t(column * n + k)]);
      out[row * n + column] = sign * sum;
    }
}
// The determinant times the inverse, where that is known well enough.
template <class T>
bool regular_adjugate(const Dense& a, int64_t i, int64_t n, T* out) {
  Copy<T> factor(a, i, n * n);
  T det, sign;
  Real<T> log;
  Factor<T>::determinant("det", factor.data, n, &det, &sign, &log);
  if (det == T(0)) return false;
  std::memcpy(static_cast<void*>(out), at<T>(a, i, n * n), size_t(n * n) * sizeof(T));
  try {
    Factor<T>::inverse("det", out, n);
  } catch (const Error& error) {
    if (error.kind() != Kind::linalg) throw;
    return false;
  }
  const double most = sizeof(Real<T>) == 4 ? 1e3 : 1e7;
  if (length_of(at<T>(a, i, n * n), n * n) * length_of(out, n * n) > most * double(n)) return false;
  for (int64_t k = 0; k < n * n; ++k) out[k] *= det;
  return true;
}
void adjugate_kernel(const KernelCall& call) {
  const Sizes of(call.in[0]);
  const Dense a(call.in[0]);
  if (of.count * of.n == 0) return;
  with_type(call.in[0].type(), [&]<class T>() {
    for_each(of.count, 2 * cube(double(of.n)), [&](int64_t i) {
      T* out = part<T>(call.out[0], i, of.size());
      if (!regular_adjugate(a, i, of.n, out)) singular_adjugate(a, i, of.n, out);
    });
  });
}

void lu_kernel(const KernelCall& call) {
  const Sizes of(call.in[0]);
  const Dense a(call.in[0]);
  const int64_t k = std::min(of.m, of.n);
  with_type(call.in[0].type(), [&]<class T>() {
    for_each(of.count, cube(double(k)) / 3 + double(of.size()), [&](int64_t i) {
      uint32_t* places = part<uint32_t>(call.out[2], i, of.m);
      for (int64_t row = 0; k == 0 && row < of.m; ++row) places[row] = uint32_t(row);
      if (k == 0) return;
      Factor<T>::lu("lu", at<T>(a, i, of.size()), of.m, of.n, part<T>(call.out[0], i, of.size()),
                    part<uint32_t>(call.out[1], i, k), places);
    });
  });
}

template <class T>
void set_identity(T* to, int64_t n) {
  std::fill(to, to + n * n, T(0));
  for (int64_t i = 0; i < n; ++i) to[i * n + i] = T(1);
}

void qr_kernel(const KernelCall& call) {
  const bool vectors = call.node.get<Qr>().vectors;
  const auto& last = call.out[vectors];
  const Sizes of(call.in[0]), r(last);
  const Dense a(call.in[0]);
  with_type(call.in[0].type(), [&]<class T>() {
    for_each(of.count, 2 * cube(double(std::max(of.m, of.n))), [&](int64_t i) {
      T* q = vectors ? part<T>(call.out[0], i, of.m * r.m) : nullptr;
      if (of.size() == 0) {
        if (q && of.m == r.m) set_identity(q, of.m);
        return;
      }
      Factor<T>::qr("qr", at<T>(a, i, of.size()), of.m, of.n, r.m, q, part<T>(last, i, r.size()));
    });
  });
}

void svd_kernel(const KernelCall& call) {
  const Sizes of(call.in[0]);
  const Dense a(call.in[0]);
  const auto& how = call.node.get<Svd>();
  const int64_t k = std::min(of.m, of.n);
  const int64_t size_u = of.m * (how.full ? of.m : k), size_v = of.n * (how.full ? of.n : k);
  with_type(call.in[0].type(), [&]<class T>() {
    for_each(of.count, 10 * cube(double(std::max(of.m, of.n))), [&](int64_t i) {
      T *u = nullptr, *vh = nullptr;
      if (how.vectors) {
        u = part<T>(call.out[0], i, size_u);
        vh = part<T>(call.out[2], i, size_v);
      }
      if (k == 0) {
        if (how.vectors && how.full) set_identity(u, of.m), set_identity(vh, of.n);
        return;
      }
      Copy<T> factor(a, i, of.size());
      Factor<T>::svd("svd", factor.data, of.m, of.n, how.full, u,
                     part<Real<T>>(call.out[how.vectors ? 1 : 0], i, k), vh);
    });
  });
}

void eigh_kernel(const KernelCall& call) {
  const Sizes of(call.in[0]);
  const Dense a(call.in[0]);
  const auto& how = call.node.get<Eigh>();
  if (of.count * of.n == 0) return;
  with_type(call.in[0].type(), [&]<class T>() {
    for_each(of.count, 5 * cube(double(of.n)), [&](int64_t i) {
      Real<T>* w = part<Real<T>>(call.out[0], i, of.n);
      if (how.vectors) {
        Factor<T>::eigh("eigh", copied<T>(a, call.out[1], i, of.size()), of.n, how.upper, true, w);
      } else {
        Copy<T> factor(a, i, of.size());
        Factor<T>::eigh("eigvalsh", factor.data, of.n, how.upper, false, w);
      }
    });
  });
}

void eig_kernel(const KernelCall& call) {
  const Sizes of(call.in[0]);
  const Dense a(call.in[0]);
  const bool vectors = call.node.get<Eig>().vectors;
  if (of.count * of.n == 0) return;
  with_type(call.in[0].type(), [&]<class T>() {
    for_each(of.count, 25 * cube(double(of.n)), [&](int64_t i) {
      Factor<T>::eig(vectors ? "eig" : "eigvals", at<T>(a, i, of.size()), of.n,
                     part<Complex<T>>(call.out[0], i, of.n),
                     vectors ? part<Complex<T>>(call.out[1], i, of.size()) : nullptr);
    });
  });
}

void pinv_kernel(const KernelCall& call) {
  const Sizes of(call.in[0]);
  const Dense a(call.in[0]);
  if (of.count * of.size() == 0) return;
  const double rtol = call.node.get<Pinv>().rtol.real();
  with_type(call.in[0].type(), [&]<class T>() {
    for_each(of.count, 12 * cube(double(std::max(of.m, of.n))), [&](int64_t i) {
      Copy<T> factor(a, i, of.size());
      Factor<T>::pinv("pinv", factor.data, of.m, of.n, rtol, part<T>(call.out[0], i, of.size()));
    });
  });
}

void exp_kernel(const KernelCall& call) {
  const Sizes of(call.in[0]);
  const Dense a(call.in[0]);
  if (of.count * of.n == 0) return;
  with_type(call.in[0].type(), [&]<class T>() {
    for_each(of.count, 12 * cube(double(of.n)), [&](int64_t i) {
      Copy<T> factor(a, i, of.size());
      Factor<T>::exp("matrix_exp", factor.data, of.n, part<T>(call.out[0], i, of.size()));
    });
  });
}

}  // namespace
}  // namespace lazulite::linalg

namespace lazulite {

void register_linalg(cpu::Kernels& kernels) {
  using namespace linalg;
  kernels[solve_op] = {solve_kernel};
  kernels[triangular_op] = {triangular_kernel};
  kernels[inv_op] = {inv_kernel};
  kernels[cholesky_op] = {cholesky_kernel};
  kernels[det_op] = {determinant_kernel};
  kernels[slogdet_op] = {determinant_kernel};
  kernels[adjugate_op] = {adjugate_kernel};
  kernels[lu_op] = {lu_kernel};
  kernels[qr_op] = {qr_kernel};
  kernels[svd_op] = {svd_kernel};
  kernels[eigh_op] = {eigh_kernel};
  kernels[eig_op] = {eig_kernel};
  kernels[pinv_op] = {pinv_kernel};
  kernels[exp_op] = {exp_kernel};
}

}  // namespace lazulite
