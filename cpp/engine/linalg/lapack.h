// LAPACK's routines by dtype, found once in the opened OpenBLAS.
#pragma once
#include <climits>
#include <complex>
#include <cstdint>
#include <type_traits>

#include "base/fail.h"
#include "device/cpu/openblas.h"
#include "device/device.h"

namespace lazulite::engine::linalg {

enum Routine { getrf, potrf, geqrf, orgqr, gesdd, heevd, geev, trsm, gemm, routine_count };

// The routine for float, double, complex<float>, complex<double> (which = 0 ... 3). Without the
// library a LinAlgError that names it.
void* find_routine(const char* op, Routine, int which);

template <class T>
constexpr int which_type = std::is_same_v<T, float> ? 0
                           : std::is_same_v<T, double> ? 1
                           : std::is_same_v<T, std::complex<float>> ? 2 : 3;

// Fortran takes addresses, and the lengths of texts behind all others: a character each.
template <class T, class... A>
void call(const char* op, Routine routine, A... arguments) {
  void* f = find_routine(op, routine, which_type<T>);
  reinterpret_cast<void (*)(A..., size_t, size_t, size_t)>(f)(arguments..., 1, 1, 1);
}

inline int narrow(const char* op, int64_t n) {
  if (n > 1 << 22) fail(Kind::value, op, "matrix too large: got ", n, " rows or columns");
  return int(n);
}

// Memory that is not filled.
template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t n) : held_(allocate((n > 0 ? n : 1) * int64_t(sizeof(T)))) {}
  operator T*() const { return static_cast<T*>(held_->data); }

 private:
  Ref<Buffer> held_;
};

}  // namespace lazulite::engine::linalg
