// Numbers of about twice the precision of a result, for functions whose terms cancel: doubles for
// floats, and Twin, pairs of doubles, for doubles. What is written once for N is both.
#pragma once

#include "simd/math.h"
#include "simd/special_series.h"

namespace lazulite::simd {
namespace {

using D = Vec<double>;

/// hi + lo, of 106 bits; lo is below half a unit in the last place of hi.
struct Twin {
  D hi, lo;
  Twin() = default;
  LAZULITE_INLINE Twin(D h, D l) : hi(h), lo(l) {}
  LAZULITE_INLINE explicit Twin(D h) : hi(h), lo(D(0)) {}
  LAZULITE_INLINE Twin(Two<D> t) : hi(t.hi), lo(t.lo) {}
  LAZULITE_INLINE Twin operator-() const { return {-hi, -lo}; }
};
template <class N> constexpr bool is_twin = std::is_same_v<N, Twin>;

LAZULITE_INLINE Twin operator+(Twin a, Twin b) {
  Two<D> s = two_sum(a.hi, b.hi), t = two_sum(a.lo, b.lo);
  s = fast_sum(s.hi, s.lo + t.hi);
  return fast_sum(s.hi, s.lo + t.lo);
}
LAZULITE_INLINE Twin operator+(Twin a, D b) {
  Two<D> s = two_sum(a.hi, b);
  return fast_sum(s.hi, s.lo + a.lo);
}
LAZULITE_INLINE Twin operator-(Twin a, Twin b) { return a + -b; }
LAZULITE_INLINE Twin operator-(Twin a, D b) { return a + -b; }
LAZULITE_INLINE Twin operator*(Twin a, Twin b) {
  const D p = a.hi * b.hi;
  return fast_sum(p, fma(a.hi, b.hi, -p) + fma(a.hi, b.lo, a.lo * b.hi));
}
LAZULITE_INLINE Twin operator*(Twin a, D b) {
  const D p = a.hi * b;
  return fast_sum(p, fma(a.hi, b, -p) + a.lo * b);
}
LAZULITE_INLINE Twin operator/(Twin a, Twin b) {
  const D q = a.hi / b.hi;
  Twin rest = a - b * q;
  const D r = rest.hi / b.hi;
  rest = rest - b * r;
  const Twin sum = fast_sum(q, r);
  return sum + rest.hi / b.hi;
}
LAZULITE_INLINE Twin select(Mask<double> m, Twin a, Twin b) {
  return {select(m, a.hi, b.hi), select(m, a.lo, b.lo)};
}

LAZULITE_INLINE D head(D a) { return a; }
LAZULITE_INLINE D head(Twin a) { return a.hi; }
/// Rounded; infinite where hi is, whose lo is nothing.
LAZULITE_INLINE D rounded(D a) { return a; }
LAZULITE_INLINE D rounded(Twin a) {
  return select(abs(a.hi) < infinity<D>(), a.hi + a.lo, a.hi);
}
/// a + b of doubles, and a b: exact in a Twin.
template <class N> LAZULITE_INLINE N sum_of(D a, D b) {
  if constexpr (is_twin<N>) return two_sum(a, b);
  else return a + b;
}
template <class N> LAZULITE_INLINE N product_of(D a, D b) {
  if constexpr (is_twin<N>) return two_product(a, b);
  else return a * b;
}
template <class N> LAZULITE_INLINE N number(Wide c) {
  if constexpr (is_twin<N>) return {D(c.hi), D(c.lo)};
  else return D(c.hi);
}

/// c[0] + c[1] x + ... of `count` terms; of a Twin those from `narrow` on, which are small, in
/// doubles.
template <class N>
LAZULITE_INLINE N series(const Wide* c, N x, int count, int narrow) {
  const D h = head(x);
  D low = D(c[count - 1].hi);
  int i = count - 2;
  if constexpr (!is_twin<N>) narrow = 0;
  for (; i >= narrow; --i) low = fma(low, h, D(c[i].hi));
  N y(low);
  if constexpr (is_twin<N>)
    for (; i >= 0; --i) y = y * x + number<N>(c[i]);
  return y;
}

/// k ln 2.
template <class N> LAZULITE_INLINE N times_ln2(D k) {
  if constexpr (is_twin<N>) {
    const Twin low = two_product(k, ln2_lo<D>());
    return Twin(two_product(k, ln2_hi<D>())) + (low + k * D(0x1.7b57a079a1934p-111));
  } else {
    return k * ln2_hi<D>();
  }
}

/// log x of a positive finite x, subnormal or not.
template <class N> LAZULITE_INLINE N log_of(D x) {
  if constexpr (is_twin<N>) {
    const LogParts<D> p = log_parts(x);
    const Twin s = Twin(p.f) / Twin(two_sum(D(2), p.f)), z = s * s;
    return times_ln2<N>(p.k) + s * series<N>(log_series, z, 22, 11);
  } else {
    return log(x);
  }
}
template <class N> LAZULITE_INLINE N log_of(N x)
  requires is_twin<N>
{
  return log_of<N>(x.hi) + x.lo / x.hi;
}

/// e^x, of x between -760 and 709.78 (others are brought there).
LAZULITE_INLINE D exp_of(D x) { return exp(x); }
LAZULITE_INLINE Twin exp_of(Twin x) {
  const D c = min(D(709.782712893384), max(D(-760), x.hi));
  const D k = rint(c * D(1.4426950408889634074));
  Twin r = Twin(c, select(c == x.hi, x.lo, D(0))) - times_ln2<Twin>(k);
  r = {r.hi * D(0.0625), r.lo * D(0.0625)};
  Twin p = r * series<Twin>(exp_series, r, 15, 8);
  for (int i = 0; i < 4; ++i) p = p * (p + D(2));
  p = p + D(1);
  const IntOf<D> n = small_int(k);
  return {scale2(p.hi, n), scale2(p.lo, n)};
}

/// sin(pi x), cos(pi x).
template <class N> struct Turned {
  N sin, cos;
};
template <class N> LAZULITE_INLINE Turned<N> turned(D x) {
  const D n = rint(x + x);
  const D r = x - n * D(0.5);          // exact, at most 1/4
  const N z = product_of<N>(r, r);
  const N s = series<N>(sin_series, z, is_twin<N> ? 14 : 9, 11) * r;
  const N c = series<N>(cos_series, z, is_twin<N> ? 14 : 9, 11);
  const D half = n * D(0.5), quarter = n - D(4) * floor(n * D(0.25));  // 0 to 3
  const auto odd = (half - floor(half)) > D(0);
  const auto sin_down = quarter >= D(2);
  const auto cos_down = (quarter == D(1)) | (quarter == D(2));
  const N a = select(odd, c, s), b = select(odd, s, c);
  return {select(sin_down, -a, a), select(cos_down, -b, b)};
}

/// f of a vector of floats by doubles, of one of doubles by Twins.
template <class F> LAZULITE_INLINE D twice(F f, D a) { return f.template operator()<Twin>(a); }
template <class F> LAZULITE_INLINE Vec<float> twice(F f, Vec<float> a) {
  const Doubles x = widen(a);
  return narrow({f.template operator()<D>(x.low), f.template operator()<D>(x.high)});
}
template <class F> LAZULITE_INLINE D twice(F f, D a, D b) {
  return f.template operator()<Twin>(a, b);
}
template <class F> LAZULITE_INLINE Vec<float> twice(F f, Vec<float> a, Vec<float> b) {
  const Doubles x = widen(a), y = widen(b);
  return narrow(
      {f.template operator()<D>(x.low, y.low), f.template operator()<D>(x.high, y.high)});
}

}  // namespace
}  // namespace lazulite::simd
