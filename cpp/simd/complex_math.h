// Math on complex vectors. Included by math.h; not by itself.
//
// The branch cuts, the signs of zero and the values at infinities and nans are those of C (Kahan,
// "Branch cuts for complex elementary functions"; annex G). Errors are in ulp of |result|:
// complex64, complex128.
#pragma once

#include "simd/complex.h"
#include "simd/math.h"

namespace lazulite::simd {
namespace {

/// The parts exchanged: f(z) = swap(g(swap(z))) makes sin of sinh, arcsinh of arcsin ....
template <class V> LAZULITE_INLINE Cx<V> swap_parts(Cx<V> z) { return {z.im, z.re}; }

template <class V> LAZULITE_INLINE V angle(Cx<V> z) { return arctan2(z.im, z.re); }
template <class V> LAZULITE_INLINE auto is_infinite(V x) { return abs(x) == infinity<V>(); }
/// True unless both parts are below the limit: also where one is nan.
template <class V> LAZULITE_INLINE auto is_beyond(Cx<V> z, V limit) {
  return ~((abs(z.re) < limit) & (abs(z.im) < limit));
}
/// As 1 / z, but no zero is added to a zero, which could lose its sign. 1.8, 1.8 ulp.
template <class V> LAZULITE_INLINE Cx<V> reciprocal(Cx<V> z) {
  auto real = ~(abs(z.re) < abs(z.im));   // beside a nan: then r is nan
  V big = select(real, z.re, z.im), small = select(real, z.im, z.re);
  auto alone = ((big == V(0)) | is_infinite(big)) & ~is_nan(small);
  V r = select(alone, flip_sign(flip_sign(V(0), small), big), small / big);
  V d = select(alone, big, big + small * r);
  V p = V(1) / d, q = r / d;
  return {select(real, p, q), -select(real, q, p)};
}
/// 1.9, 1.8 ulp.
template <class V> LAZULITE_INLINE Cx<V> square(Cx<V> z) { return z * z; }
template <class V> LAZULITE_INLINE Cx<V> round(Cx<V> z) { return {rint(z.re), rint(z.im)}; }
/// z / |z|, 0 at 0, and a unit where one part alone is infinite. 2.0, 1.9 ulp.
template <class V> LAZULITE_INLINE Cx<V> sign(Cx<V> z) {
  Scaling<V> s = scaling_of(max(abs(z.re), abs(z.im)));
  Cx<V> w = z * s.down;
  V size = sqrt(fma(w.re, w.re, w.im * w.im));
  auto zero = (z.re == V(0)) & (z.im == V(0));
  Cx<V> r = select(zero, Cx<V>(V(0)), {w.re / size, w.im / size});
  auto beyond = is_beyond(z, infinity<V>());
  if (any(beyond)) [[unlikely]] {
    auto across = is_infinite(z.re), along = is_infinite(z.im);
    V none = select((across & along) | is_nan(z), quiet_nan<V>(), V(0));
    Cx<V> unit = {none + select(across, copysign(V(1), z.re), V(0)),
                  none + select(along, copysign(V(1), z.im), V(0))};
    r = select(beyond, unit, r);
  }
  return r;
}

template <class V> LAZULITE_INLINE Cx<V> sqrt(Cx<V> z) {
  using T = typename V::scalar;
  V x = abs(z.re), y = abs(z.im), large = max(x, y);
  // Scaled by an even power of two, so that the root of the scale is one as well.
  auto high = large > pick<V>(0x1p100, 0x1p1000), low = large < pick<V>(0x1p-90, 0x1p-900);
  V s = select(high, pick<V>(0x1p-40, 0x1p-200), select(low, pick<V>(0x1p60, 0x1p300), V(1)));
  V root = select(high, pick<V>(0x1p20, 0x1p100), select(low, pick<V>(0x1p-30, 0x1p-150), V(1)));
  V a = x * s, b = y * s;
  V t = sqrt((a + hypot(a, b)) * V(0.5));
  V u = select(t == V(0), V(0), b / (t + t));
  auto left = bit_cast<int_like<T>>(z.re) < IntOf<V>(0);
  Cx<V> r = {select(left, u, t) * root, select(left, t, u) * root};
  auto flat = (x == infinity<V>()) & ~is_nan(y);
  r.re = select(flat, select(left, V(0), infinity<V>()), r.re);
  r.im = select(flat, select(left, infinity<V>(), V(0)), r.im);
  r.re = select(y == infinity<V>(), infinity<V>(), r.re);
  r.im = select(y == infinity<V>(), infinity<V>(), r.im);
  return {r.re, copysign(r.im, z.im)};
}
/// 2.4, 2.6 ulp.
template <class V> LAZULITE_INLINE Cx<V> rsqrt(Cx<V> z) { return reciprocal(sqrt(z)); }

/// e^re (cos im + i sin im); the scale is applied last, so that only a result too large overflows.
/// 2.6, 2.7 ulp.
template <class V> LAZULITE_INLINE Cx<V> exp(Cx<V> z) {
  using I = IntOf<V>;
  using T = typename V::scalar;
  V s, c;
  sincos(z.im, s, c);
  I k = select(z.re > V(0), I(int_like<T>(12)), I(int_like<T>(0)));
  V up = select(z.re > V(0), V(4096), V(1));
  V e = exp_times(z.re, -k);
  Cx<V> r = {e * c * up, select(z.im == V(0), z.im, e * s * up)};
  auto lost = is_nan(s);   // no angle: the size remains where it is infinite or 0
  if (any(lost)) [[unlikely]] {
    r.re = select(lost & is_infinite(z.re), e, r.re);
    r.im = select(lost & (z.re == -infinity<V>()), e, r.im);
  }
  return r;
}

/// log |z| where |z| is near 1: log1p(|z|^2 - 1) / 2, the difference in two parts.
template <class V> LAZULITE_INLINE V log_abs_near(V large, V small) {
  Two<V> p = two_product(large, large), q = two_product(small, small);
  Two<V> s = two_sum(p.hi - V(1), q.hi);
  return V(0.5) * log1p(s.hi + (s.lo + (p.lo + q.lo)));
}
template <class V> LAZULITE_INLINE V log_abs(Cx<V> z) {
  V x = abs(z.re), y = abs(z.im);
  V large = max(x, y), small = min(x, y);
  auto near = (large > V(0.5)) & (large < V(2));
  Scaling<V> s = scaling_of(large);
  V p = large * s.down, q = small * s.down;
  V away = log(fma(p, p, q * q)) * V(0.5);
  // The scale is 2^k: k ln 2 comes back in two parts.
  V k = log_parts(s.up).k;
  away = fma(k, ln2_hi<V>(), fma(k, ln2_lo<V>(), away));
  V one = select(near, large, V(1)), rest = select(near, small, V(0));
  V r = select(near, log_abs_near(one, rest), away);
  r = select(large == V(0), -infinity<V>(), r);
  r = select(is_nan(x) | is_nan(y), x + y, r);   // the larger of 0 and nan may be either
  auto endless = (x == infinity<V>()) | (y == infinity<V>());
  return select(endless, infinity<V>(), r);
}
/// 3.0, 3.1 ulp.
template <class V> LAZULITE_INLINE Cx<V> log(Cx<V> z) { return {log_abs(z), angle(z)}; }
/// 3.1, 3.6 ulp.
template <class V> LAZULITE_INLINE Cx<V> log2(Cx<V> z) {
  return log(z) * K<V>(1.4426950408889634074);
}
/// 3.3, 3.4 ulp.
template <class V> LAZULITE_INLINE Cx<V> log10(Cx<V> z) {
  return log(z) * K<V>(0.43429448190325182765);
}
template <class V> LAZULITE_INLINE Cx<V> log1p(Cx<V> z) {
  V u = V(1) + z.re;
  // Near 0: |1 + z|^2 - 1 = 2 re + re^2 + im^2, summed in two parts.
  auto near = (abs(z.re) < V(0.5)) & (abs(z.im) < V(1));
  V x = select(near, z.re, V(0)), y = select(near, z.im, V(0));
  Two<V> p = two_product(x, x), q = two_product(y, y);
  Two<V> s = two_sum(x + x, q.hi), t = two_sum(s.hi, p.hi);
  V r = V(0.5) * log1p(t.hi + (t.lo + (s.lo + (p.lo + q.lo))));
  return {select(near, r, log_abs(Cx<V>(u, z.im))), arctan2(z.im, u)};
}
/// log(e^z + e^w), from the number with the larger real part; -inf where both real parts are.
template <class V> LAZULITE_INLINE Cx<V> logaddexp(Cx<V> z, Cx<V> w) {
  // e^-inf is 0 at any angle, also none.
  z.im = select(z.re == -infinity<V>(), V(0), z.im);
  w.im = select(w.re == -infinity<V>(), V(0), w.im);
  auto first = is_nan(z) | (~is_nan(w) & (z > w));
  Cx<V> top = select(first, z, w), low = select(first, w, z);
  Cx<V> r = top + log1p(exp(low - top));
  r = select(top.re == -infinity<V>(), Cx<V>(-infinity<V>()), r);
  return select(z == w, top + Cx<V>(K<V>(0.69314718055994530942)), r);
}
/// e^z - 1: the real part as expm1(re) cos(im) - 2 sin^2(im / 2). 3.0, 4.0 ulp.
template <class V> LAZULITE_INLINE Cx<V> expm1(Cx<V> z) {
  Cx<V> e = exp(z);
  V half = sin(z.im * V(0.5)), s, c;
  sincos(z.im, s, c);
  V small = fma(V(-2) * half, half, expm1(z.re) * c);
  return {select(abs(z.re) < V(1), small, e.re - V(1)), e.im};
}
/// z^w = exp(w log z); 0^0 = 1, and 0 to a positive real part is 0.
template <class V> LAZULITE_INLINE Cx<V> power(Cx<V> z, Cx<V> w) {
  Cx<V> l = log(z), p = w * l;
  auto base_zero = (z.re == V(0)) & (z.im == V(0));
  // A real exponent scales the size and the angle, also an infinite size.
  auto real = is_nan(p) & (w.im == V(0)) & ~base_zero;
  bool some = any(real);
  if (some) [[unlikely]] p = select(real, l * w.re, p);
  Cx<V> r = exp(p);
  if (some) [[unlikely]] r = select(real & (w.re == V(1)), z, r);
  auto none = (w.re == V(0)) & (w.im == V(0));
  r = select(base_zero & (w.re > V(0)), Cx<V>(V(0)), r);
  return select(none, Cx<V>(V(1)), r);
}

/// sinh x and cosh x times a factor, which keeps 2^k of it back so that products overflow late.
template <class V> struct Hyperbolic {
  V sinh, cosh, up;
};
template <class V> LAZULITE_INLINE Hyperbolic<V> hyperbolic(V x) {
  using I = IntOf<V>;
  V a = abs(x);
  auto large = a > pick<V>(20, 40);
  V e = exp_times(a, I(-13));                           // e^a / 2, less 2^12
  V up = select(large, V(4096), V(1));
  V c = min(a, pick<V>(20, 40));
  V h = V(2) * expm1_times(c, -2), w = h + V(0.5);
  V s = select(large, e, h + h / (h + h + V(1)));
  s = select(a < pick<V>(0x1p-30, 0x1p-60), a, s);
  V cosh = select(large, e, w + V(0.25) / w);
  return {copysign(select(is_nan(x), x, s), x), select(is_nan(x), x, cosh), up};
}
/// 3.0, 3.5 ulp.
template <class V> LAZULITE_INLINE Cx<V> sinh(Cx<V> z) {
  V s, c;
  sincos(z.im, s, c);
  Hyperbolic<V> h = hyperbolic(z.re);
  V re = h.sinh * c * h.up, im = h.cosh * s * h.up;
  auto lost = is_nan(s);   // no angle
  if (any(lost)) [[unlikely]]
    re = select(lost & ((z.re == V(0)) | is_infinite(z.re)), z.re, re);
  return {re, select(z.im == V(0), z.im, im)};
}
/// 3.3, 3.0 ulp.
template <class V> LAZULITE_INLINE Cx<V> cosh(Cx<V> z) {
  V s, c;
  sincos(z.im, s, c);
  Hyperbolic<V> h = hyperbolic(z.re);
  V re = h.cosh * c * h.up, im = h.sinh * s * h.up;
  auto flat = z.im == V(0), lost = is_nan(s);
  if (any(lost)) [[unlikely]] {
    re = select(lost & is_infinite(z.re), infinity<V>(), re);
    flat = flat | (lost & (z.re == V(0)));
  }
  return {re, select(flat, flip_sign(flip_sign(V(0), z.re), z.im), im)};
}
/// 3.7, 3.2 ulp.
template <class V> LAZULITE_INLINE Cx<V> sin(Cx<V> z) { return swap_parts(sinh(swap_parts(z))); }
/// 3.0, 3.0 ulp.
template <class V> LAZULITE_INLINE Cx<V> cos(Cx<V> z) { return cosh(Cx<V>(-z.im, z.re)); }

/// 4.3, 5.3 ulp.
template <class V> LAZULITE_INLINE Cx<V> tanh(Cx<V> z) {
  V sn, cs;
  sincos(z.im, sn, cs);
  V a = abs(z.re);
  auto far = a > pick<V>(11, 22);
  // sinh, cosh of re; sin, cos of im: tanh z = (sinh cosh + i sin cos) / (sinh^2 + cos^2).
  V h = V(2) * expm1_times(min(a, pick<V>(11, 22)), -2), w = h + V(0.5);
  V s = h + h / (h + h + V(1)), c = w + V(0.25) / w;
  V d = fma(s, s, cs * cs);
  V e = exp(V(-2) * a);
  V re = copysign(select(far, V(1), s * c / d), z.re);
  V im = select(far, V(4) * sn * cs * e, sn * cs / d);
  auto lost = is_nan(sn);   // no angle
  if (any(lost | is_nan(a))) [[unlikely]] {
    auto end = lost & is_infinite(a);
    re = select(lost & (a == V(0)), z.re, select((lost & ~end) | is_nan(a), quiet_nan<V>(), re));
    im = select(end, copysign(V(0), z.im), select(is_nan(a), a, im));
  }
  return {re, select(z.im == V(0), z.im, im)};
}
/// 4.3, 4.8 ulp.
template <class V> LAZULITE_INLINE Cx<V> tan(Cx<V> z) { return swap_parts(tanh(swap_parts(z))); }

/// From here on z^2 +- 1 is z^2 in every bit of a result, and its parts need not be finite.
template <class V> LAZULITE_INLINE V far_out() { return pick<V>(0x1p60, 0x1p500); }
/// log(2 z); not inlined: it is long and rarely used.
template <class V> [[gnu::noinline]] inline Cx<V> log_of_twice(Cx<V> z) {
  return {log_abs(z) + K<V>(0.69314718055994530942), angle(z)};
}

/// 2.9, 3.1 ulp. Computed of |re|, which makes it odd to the last bit: fma(a, b, -(c d)) is not
/// -fma(c, d, -(a b)).
template <class V> LAZULITE_INLINE Cx<V> arcsin(Cx<V> z) {
  V x = abs(z.re);
  Cx<V> m = sqrt(Cx<V>(V(1) - x, -z.im)), p = sqrt(Cx<V>(V(1) + x, z.im));
  V d = fma(m.re, p.re, -(m.im * p.im));
  V re = arctan2(x, d);
  V im = arcsinh(fma(m.re, p.im, -(m.im * p.re)));
  auto far = is_beyond(z, far_out<V>());
  if (any(far)) [[unlikely]] {
    Cx<V> w = log_of_twice(Cx<V>(abs(z.im), x));
    re = select(far, select(z.re == V(0), V(0), w.im), re);
    im = select(far, w.re, im);
  }
  return {copysign(re, z.re), copysign(im, z.im)};
}
/// 3.0, 2.9 ulp.
template <class V> LAZULITE_INLINE Cx<V> arccos(Cx<V> z) {
  Cx<V> m = sqrt(Cx<V>(V(1) - z.re, -z.im)), p = sqrt(Cx<V>(V(1) + z.re, z.im));
  V re = V(2) * arctan2(m.re, p.re);
  V im = arcsinh(fma(p.re, m.im, -(p.im * m.re)));
  auto far = is_beyond(z, far_out<V>());
  if (any(far)) [[unlikely]] {
    Cx<V> w = log_of_twice(Cx<V>(z.re, abs(z.im)));
    re = select(far, select(z.re == V(0), V(0.5) * pi_hi<V>(), w.im), re);
    im = select(far, w.re, im);
  }
  return {re, flip_sign(abs(im), -z.im)};
}
/// 2.9, 3.6 ulp.
template <class V> LAZULITE_INLINE Cx<V> arcsinh(Cx<V> z) {
  return swap_parts(arcsin(swap_parts(z)));
}
/// 3.0, 2.9 ulp.
template <class V> LAZULITE_INLINE Cx<V> arccosh(Cx<V> z) {
  Cx<V> w = arccos(z);
  // arccosh z = i arccos z or its opposite, whichever has a real part that is not negative.
  return {abs(w.im), copysign(w.re, z.im)};
}
/// 2.9, 3.2 ulp.
template <class V> LAZULITE_INLINE Cx<V> arctanh(Cx<V> z) {
  V x = abs(z.re), y = z.im;
  V h = hypot(V(1) - x, y);
  V re = V(0.25) * log1p(V(4) * x / h / h);
  V im = V(0.5) * arctan2(y + y, fma(V(1) - x, V(1) + x, -(y * y)));
  auto far = is_beyond(z, far_out<V>()), close = h < pick<V>(0x1p-50, 0x1p-400);
  if (any(far | close)) [[unlikely]] {
    // Next to 1, where h^2 is lost: log(2 / h) / 2.
    re = select(close, V(0.5) * (K<V>(0.69314718055994530942) - log(h)), re);
    // Far out: 1 / z and a quarter turn.
    auto up = is_infinite(y), end = up | is_infinite(x);
    h = hypot(x, y);
    re = select(far, select(end | (x == V(0)), V(0), x / h / h), re);
    V turn = select(is_nan(z) & ~up, quiet_nan<V>(), copysign(V(0.5) * pi_hi<V>(), y));
    im = select(far, turn, im);
  }
  return {copysign(re, z.re), im};
}
/// 2.9, 3.3 ulp.
template <class V> LAZULITE_INLINE Cx<V> arctan(Cx<V> z) {
  return swap_parts(arctanh(swap_parts(z)));
}

}  // namespace
}  // namespace lazulite::simd
