// Blocks of sums in registers: what the kernels of panels share. As simd/vec.h: units of one
// instruction-set level, internal linkage.
#pragma once
#include <limits>
#include <utility>

#include "engine/gemm/panels.h"
#include "simd/vec.h"

namespace lazulite::engine {
namespace {

using simd::Vec;

// to[i] = sums[i] + sums[stride + i] + ... of `count` of them, in order. `to` may be `sums`.
template <class T>
void add_all(void* to, const void* sums, int64_t count, int64_t stride, int64_t n) {
  using V = Vec<T>;
  constexpr int L = V::size;
  const T* from = static_cast<const T*>(sums);
  T* out = static_cast<T*>(to);
  int64_t i = 0;
  for (; i + L <= n; i += L) {
    V sum = V::load(from + i);
    for (int64_t s = 1; s < count; ++s) sum = sum + V::load(from + s * stride + i);
    sum.store(out + i);
  }
  for (; i < n; ++i) {
    T sum = from[i];
    for (int64_t s = 1; s < count; ++s) sum += from[s * stride + i];
    out[i] = sum;
  }
}

// Elements of lines that lie apart, each of its line's next step. Three pointers and two distances
// are what x86 can address fourteen lines by; compilers that see through them run out of registers.
template <class T>
class Apart {
 public:
  LAZULITE_INLINE Apart(const T* first, int64_t line)
      : from_{first, first + 5 * line, first + 10 * line}, one_(line), three_(3 * line) {
    asm("" : "+r"(from_[0]), "+r"(from_[1]), "+r"(from_[2]), "+r"(one_), "+r"(three_));
  }
  // Of line `i`, `step` steps on.
  LAZULITE_INLINE T at(int i, int step = 0) const {
    const T* at = from_[i / 5] + step;
    return i % 5 == 3 ? at[three_] : at[i % 5 * one_];
  }
  LAZULITE_INLINE void next(int steps = 1) {
    for (const T*& at : from_) at += steps;
  }

 private:
  const T* from_[3];
  int64_t one_, three_;
};

// Complex numbers, a pair of lanes each, times i: (re, im) becomes (-im, re).
template <class V, int... lane>
LAZULITE_INLINE V times_i(V a, std::integer_sequence<int, lane...>) {
  using I = simd::int_like<typename V::scalar>;
  typedef I Bits __attribute__((vector_size(sizeof(typename V::raw))));
  constexpr I sign = std::numeric_limits<I>::min();
  const Bits flipped = {(lane % 2 ? I(0) : sign)...};
  const auto turned = __builtin_shufflevector(a.v, a.v, (lane ^ 1)...);
  return V::from(typename V::raw(Bits(turned) ^ flipped));
}

// sum[i][j] of all steps: `add(sum, x, y)` with element i of a group of `a`, in every lane, and
// vector j of a group of `b`. Values of two parts are complex numbers; lines of `a` that lie along
// memory are read there.
template <class T, int parts = 1, bool along = false, int rows, int vectors, class Add>
LAZULITE_INLINE void sum_steps(const BlockCall& p, Vec<T> (&sum)[rows][vectors], Add&& add) {
  using V = Vec<T>;
  constexpr int L = V::size, ahead = 16 / parts;  // steps
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < vectors; ++j) sum[i][j] = V(T(0));
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < vectors; ++j)
      __builtin_prefetch(static_cast<T*>(p.out) + i * parts * p.out_row + j * L, 1);
  const T *a = static_cast<const T*>(p.a), *b = static_cast<const T*>(p.b);
  const int64_t b_ahead = ahead * parts * p.b_step;
  Apart<T> lines(a, along ? p.a_line : 0);
  for (int64_t k = 0; k < p.steps; ++k, b += parts * p.b_step) {
    if constexpr (sizeof(V) == 64) {
      // Neither strip nor panel fits the first-level cache, and processors read ahead too late.
#pragma GCC unroll 4
      for (int j = 0; j < vectors; ++j) __builtin_prefetch(b + b_ahead + j * L);
      if (!along) __builtin_prefetch(a + ahead * parts * rows);
    }
    V y[vectors];
#pragma GCC unroll 4
    for (int j = 0; j < vectors; ++j) y[j] = V::load(b + j * L);
#pragma GCC unroll 2
    for (int part = 0; part < parts; ++part) {
      if constexpr (parts > 1)
        if (part > 0)
#pragma GCC unroll 4
          for (int j = 0; j < vectors; ++j)
            y[j] = times_i(y[j], std::make_integer_sequence<int, L>{});
#pragma GCC unroll 16
      for (int i = 0; i < rows; ++i) {
        const V x(along ? lines.at(i) : a[parts * i + part]);
#pragma GCC unroll 4
        for (int j = 0; j < vectors; ++j) sum[i][j] = add(sum[i][j], x, y[j]);
      }
    }
    if constexpr (along) lines.next();
    else a += parts * p.a_step;
  }
}

// The block of a call among those of 1 to `rows` rows, and of one register for each row or all of
// `vectors`: Kernel<rows, vectors>::run.
template <template <int, int> class Kernel, int lanes, int rows, int vectors>
struct Blocks {
  template <class Call, int... r>
  static void choose(const Call& p, std::integer_sequence<int, r...>) {
    static constexpr void (*narrow[])(const Call&) = {Kernel<r + 1, 1>::run...};
    static constexpr void (*wide[])(const Call&) = {Kernel<r + 1, vectors>::run...};
    (p.cols <= lanes ? narrow : wide)[p.rows - 1](p);
  }
  template <class Call>
  static void run(const Call& p) {
    choose(p, std::make_integer_sequence<int, rows>{});
  }
};

}  // namespace
}  // namespace lazulite::engine
