// The monoids of reductions: how two values combine, on vectors and on single numbers. No identity
// is ever combined: what is missing is skipped. Per-level units only.
#pragma once
#include "simd/complex_math.h"
#include "simd/math.h"

namespace lazulite::engine::monoid {
namespace {

template <class T> struct is_pair { static constexpr bool value = false; };
template <class T> struct is_pair<simd::Pair<T>> { static constexpr bool value = true; };

template <class T> inline bool nan_in(const T& a) {
  if constexpr (is_pair<T>::value) return a.re != a.re || a.im != a.im;
  else return a != a;
}
template <class T> inline bool before(const T& a, const T& b) {
  if constexpr (is_pair<T>::value) return a.re < b.re || (a.re == b.re && a.im < b.im);
  else return a < b;
}

// g++ 12 makes multiply-adds of complex products that it vectorises, whatever -ffp-contract says.
template <class T> LAZULITE_INLINE T rounded(T v) {
#if defined(__GNUC__) && !defined(__clang__)
  return __builtin_assoc_barrier(v);
#else
  return v;
#endif
}

struct Sum {
  template <class V> LAZULITE_INLINE static V combine(V a, V b) { return a + b; }
  template <class T> static T one(T a, T b) {
    if constexpr (is_pair<T>::value) return {a.re + b.re, a.im + b.im};
    else return T(a + b);
  }
};
struct Prod {
  template <class V> LAZULITE_INLINE static V combine(V a, V b) { return a * b; }
  template <class T> static T one(T a, T b) {
    if constexpr (is_pair<T>::value)
      return {rounded(a.re * b.re) - rounded(a.im * b.im),
              rounded(a.re * b.im) + rounded(a.im * b.re)};
    else return T(a * b);
  }
};
// The larger; nan if either is nan.
struct Max {
  template <class V> LAZULITE_INLINE static V combine(V a, V b) {
    if constexpr (simd::is_complex<V>::value) return simd::select(simd::is_nan(a) | (b < a), a, b);
    else return simd::maximum(a, b);
  }
  template <class T> static T one(T a, T b) { return nan_in(a) || before(b, a) ? a : b; }
};
struct Min {
  template <class V> LAZULITE_INLINE static V combine(V a, V b) {
    if constexpr (simd::is_complex<V>::value) return simd::select(simd::is_nan(a) | (a < b), a, b);
    else return simd::minimum(a, b);
  }
  template <class T> static T one(T a, T b) { return nan_in(a) || before(a, b) ? a : b; }
};
// The larger of the numbers; nan if both are nan. Without nan the bits are those of Max.
struct MaxNumber {
  template <class V> LAZULITE_INLINE static V combine(V a, V b) {
    if constexpr (simd::is_complex<V>::value) return simd::select(simd::is_nan(b) | (b < a), a, b);
    else return simd::select(simd::is_nan(b), a, simd::max(a, b));  // b where only a is nan
  }
  template <class T> static T one(T a, T b) { return nan_in(b) || before(b, a) ? a : b; }
};
struct MinNumber {
  template <class V> LAZULITE_INLINE static V combine(V a, V b) {
    if constexpr (simd::is_complex<V>::value) return simd::select(simd::is_nan(b) | (a < b), a, b);
    else return simd::select(simd::is_nan(b), a, simd::min(a, b));
  }
  template <class T> static T one(T a, T b) { return nan_in(b) || before(a, b) ? a : b; }
};
// On bytes of 0 and 1.
struct All {
  template <class V> LAZULITE_INLINE static V combine(V a, V b) { return a & b; }
  template <class T> static T one(T a, T b) { return T(a & b); }
};
struct Any {
  template <class V> LAZULITE_INLINE static V combine(V a, V b) { return a | b; }
  template <class T> static T one(T a, T b) { return T(a | b); }
};

}  // namespace
}  // namespace lazulite::engine::monoid
