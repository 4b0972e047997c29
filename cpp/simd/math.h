// Math on vectors.
#pragma once

#include "simd/complex.h"

namespace lazulite::simd {
namespace {

template <FloatVec V> inline V exp(V x) {
  using T = typename V::scalar;
  return V::map([](T a) { return T(__builtin_exp(a)); }, x);
}
template <FloatVec V> inline V exp2(V x) {
  using T = typename V::scalar;
  return V::map([](T a) { return T(__builtin_exp2(a)); }, x);
}
template <FloatVec V> inline V expm1(V x) {
  using T = typename V::scalar;
  return V::map([](T a) { return T(__builtin_expm1(a)); }, x);
}
template <FloatVec V> inline V log(V x) {
  using T = typename V::scalar;
  return V::map([](T a) { return T(__builtin_log(a)); }, x);
}
template <FloatVec V> inline V log2(V x) {
  using T = typename V::scalar;
  return V::map([](T a) { return T(__builtin_log2(a)); }, x);
}
template <FloatVec V> inline V log10(V x) {
  using T = typename V::scalar;
  return V::map([](T a) { return T(__builtin_log10(a)); }, x);
}
template <FloatVec V> inline V log1p(V x) {
  using T = typename V::scalar;
  return V::map([](T a) { return T(__builtin_log1p(a)); }, x);
}
template <FloatVec V> inline V sin(V x) {
  using T = typename V::scalar;
  return V::map([](T a) { return T(__builtin_sin(a)); }, x);
}
template <FloatVec V> inline V cos(V x) {
  using T = typename V::scalar;
  return V::map([](T a) { return T(__builtin_cos(a)); }, x);
}
template <FloatVec V> inline V tan(V x) {
  using T = typename V::scalar;
  return V::map([](T a) { return T(__builtin_tan(a)); }, x);
}
template <FloatVec V> inline V sinh(V x) {
  using T = typename V::scalar;
  return V::map([](T a) { return T(__builtin_sinh(a)); }, x);
}
template <FloatVec V> inline V cosh(V x) {
  using T = typename V::scalar;
  return V::map([](T a) { return T(__builtin_cosh(a)); }, x);
}
template <FloatVec V> inline V tanh(V x) {
  using T = typename V::scalar;
  return V::map([](T a) { return T(__builtin_tanh(a)); }, x);
}
template <FloatVec V> inline V erf(V x) {
  using T = typename V::scalar;
  return V::map([](T a) { return T(__builtin_erf(a)); }, x);
}
template <FloatVec V> inline V erfc(V x) {
  using T = typename V::scalar;
  return V::map([](T a) { return T(__builtin_erfc(a)); }, x);
}
template <FloatVec V> inline V arcsin(V x) {
  using T = typename V::scalar;
  return V::map([](T a) { return T(__builtin_asin(a)); }, x);
}
template <FloatVec V> inline V arccos(V x) {
  using T = typename V::scalar;
  return V::map([](T a) { return T(__builtin_acos(a)); }, x);
}
template <FloatVec V> inline V arctan(V x) {
  using T = typename V::scalar;
  return V::map([](T a) { return T(__builtin_atan(a)); }, x);
}
template <FloatVec V> inline V arcsinh(V x) {
  using T = typename V::scalar;
  return V::map([](T a) { return T(__builtin_asinh(a)); }, x);
}
template <FloatVec V> inline V arccosh(V x) {
  using T = typename V::scalar;
  return V::map([](T a) { return T(__builtin_acosh(a)); }, x);
}
template <FloatVec V> inline V arctanh(V x) {
  using T = typename V::scalar;
  return V::map([](T a) { return T(__builtin_atanh(a)); }, x);
}
template <FloatVec V> inline V arctan2(V x, V y) {
  using T = typename V::scalar;
  return V::map([](T a, T b) { return T(__builtin_atan2(a, b)); }, x, y);
}
template <FloatVec V> inline V power(V x, V y) {
  using T = typename V::scalar;
  return V::map([](T a, T b) { return T(__builtin_pow(a, b)); }, x, y);
}
// ---- simple functions ----------------------------------------------------------------------------

template <FloatVec V> LAZULITE_INLINE V reciprocal(V x) { return V(1) / x; }
template <FloatVec V> LAZULITE_INLINE V rsqrt(V x) { return V(1) / sqrt(x); }
template <FloatVec V> LAZULITE_INLINE V round(V x) { return rint(x); }
template <IntegerVec V> LAZULITE_INLINE V round(V x) { return x; }
template <class V> LAZULITE_INLINE V square(V x) { return x * x; }
template <FloatVec V> LAZULITE_INLINE V sign(V x) {
  V one = copysign(V(1), x);
  return select((x == V(0)) | is_nan(x), select(is_nan(x), x, V(0)), one);
}
template <IntegerVec V> LAZULITE_INLINE V sign(V x) {
  V positive = select(x > V(0), V(1), V(0));
  if constexpr (is_signed_vec<V>::value) return select(x < V(0), V(-1), positive);
  return positive;
}
template <IntegerVec V> LAZULITE_INLINE V floor_divide(V a, V b) { return a / b; }
template <IntegerVec V> LAZULITE_INLINE V remainder(V a, V b) { return a % b; }

/// Powers by squaring, modulo 2^bits. A negative exponent gives 0; anything to the 0 is 1.
template <IntegerVec V> LAZULITE_INLINE V power(V a, V n) {
  V r(1);
  V e = n;
  if constexpr (is_signed_vec<V>::value) {
    r = select(n < V(0), V(0), r);
    e = select(n < V(0), V(0), n);
  }
  while (any(e != V(0))) {
    r = select((e & V(1)) != V(0), r * a, r);
    a = a * a;
    e = V::from(e.v >> 1);
  }
  return r;
}
template <FloatVec V> inline V sigmoid(V x) { return V(1) / (V(1) + exp(-x)); }
template <FloatVec V> inline V logaddexp(V a, V b) {
  V top = maximum(a, b);
  return select(a == b, a + V(0.6931471805599453), top + log1p(exp(-abs(a - b))));
}
template <FloatVec V> inline V remainder(V a, V b) {
  using T = typename V::scalar;
  return V::map([](T x, T y) {
    T r = T(__builtin_fmod(x, y));
    return r != 0 && (r < 0) != (y < 0) ? r + y : r == 0 ? T(__builtin_copysign(r, y)) : r;
  }, a, b);
}
template <FloatVec V> inline V floor_divide(V a, V b) { return floor(a / b); }
template <FloatVec V> inline V erfinv(V x) {
  V w = -log((V(1) - x) * (V(1) + x)), y = x;
  for (int i = 0; i < 6; ++i) {
    y = y - (erf(y) - x) * exp(min(y * y, w)) * V(0.886226925452758);
  }
  return y;
}
template <class V> inline V angle(Cx<V> z) { return arctan2(z.im, z.re); }
template <class V> inline Cx<V> exp(Cx<V> z) {
  V e = exp(z.re);
  return {e * cos(z.im), e * sin(z.im)};
}
template <class V> inline Cx<V> log(Cx<V> z) { return {log(abs(z)), angle(z)}; }

}  // namespace
}  // namespace lazulite::simd
