// Special functions, and others that are rarely used: see unary.h and binary.h. Their vector code
// is in simd/special.h.
#pragma once
#include "ops/elementwise/row.h"

namespace lazulite {

using special_rows =
    RowLists<rows<struct Erf, struct Erfinv, struct Erfc, struct Ndtr, struct Logit, struct Entr,
                  struct Gammaln, struct Digamma, struct I0, struct I1, struct Signbit,
                  struct Isinf, struct Isfinite, struct FrexpMantissa, struct FrexpExponent>,
             rows<struct Hypot, struct Copysign, struct Nextafter, struct Ldexp, struct Gcd,
                  struct Lcm, struct Xlogy, struct Zeta, struct ZetaSlope>>;

struct Erf {
  static constexpr Row row{
      .name = "erf", .promote = Promote::inexact, .types = floats, .doc = "The error function."};
  template <class V> static V f(V a) { return erf(a); }
  template <class A>
  static A d0(const A& t, const A& x, const A&) {
    return t * (exp(-(x * x)) * 1.1283791670955126);
  }
};
LAZULITE_UNARY(Erf, erf)

struct Erfinv {
  static constexpr Row row{.name = "erfinv",
                           .promote = Promote::inexact,
                           .types = floats,
                           .doc = "The inverse of erf.",
                           .lo = -0.9,
                           .hi = 0.9,
                           .ulp = 4};
  template <class V> static V f(V a) { return erfinv(a); }
  template <class A>
  static A d0(const A& t, const A&, const A& y) {
    return t * (exp(y * y) * 0.886226925452758);
  }
};
LAZULITE_UNARY(Erfinv, erfinv)

struct Erfc {
  static constexpr Row row{.name = "erfc",
                           .promote = Promote::inexact,
                           .types = floats,
                           .doc = "1 - erf(a), exact where erf is nearly 1.",
                           .ulp = 3};
  template <class V> static V f(V a) { return erf_rest(a); }
  template <class A>
  static A d0(const A& t, const A& x, const A&) {
    return t * (exp(-(x * x)) * -1.1283791670955126);
  }
};
LAZULITE_UNARY(Erfc, erfc)

struct Ndtr {
  static constexpr Row row{.name = "ndtr",
                           .promote = Promote::inexact,
                           .types = floats,
                           .doc = "The share of the normal distribution below a.",
                           .ulp = 3};
  template <class V> static V f(V a) { return ndtr(a); }
  template <class A>
  static A d0(const A& t, const A& x, const A&) {
    return t * (exp(x * x * -0.5) * 0.3989422804014327);
  }
};
LAZULITE_UNARY(Ndtr, ndtr)

struct Logit {
  static constexpr Row row{.name = "logit",
                           .promote = Promote::inexact,
                           .types = floats,
                           .doc = "log(a / (1 - a)), the inverse of expit; nan outside of [0, 1].",
                           .lo = 0.05,
                           .hi = 0.45};
  template <class V> static V f(V a) { return logit(a); }
  template <class A> static A d0(const A& t, const A& x, const A&) { return t / (x * (1 - x)); }
};
LAZULITE_UNARY(Logit, logit)

struct Entr {
  static constexpr Row row{.name = "entr",
                           .promote = Promote::inexact,
                           .types = floats,
                           .doc = "-a log(a), an entropy's part; 0 at 0 and -inf below it.",
                           .lo = 0.1,
                           .hi = 0.9,
                           .ulp = 3};
  template <class V> static V f(V a) { return entr(a); }
  template <class A> static A d0(const A& t, const A& x, const A&) { return -(t * (log(x) + 1)); }
};
LAZULITE_UNARY(Entr, entr)

struct Gammaln {
  static constexpr Row row{.name = "gammaln",
                           .promote = Promote::inexact,
                           .types = floats,
                           .doc = "The logarithm of |gamma(a)|; inf at 0, -1, -2 ....",
                           .lo = 2.5,
                           .hi = 9};
  template <class V> static V f(V a) { return gammaln(a); }
  template <class A> static A d0(const A& t, const A& x, const A&) { return t * digamma(x); }
};
LAZULITE_UNARY(Gammaln, gammaln)

struct Digamma {
  static constexpr Row row{.name = "digamma",
                           .promote = Promote::inexact,
                           .types = floats,
                           .doc = "The derivative of gammaln; nan at -1, -2 ....",
                           .lo = 2,
                           .hi = 9};
  template <class V> static V f(V a) { return digamma(a); }
  template <class A> static A d0(const A& t, const A& x, const A&) { return t * zeta(2.0, x); }
};
LAZULITE_UNARY(Digamma, digamma)

struct I0 {
  static constexpr Row row{.name = "i0",
                           .promote = Promote::inexact,
                           .types = floats,
                           .doc = "The modified Bessel function of the first kind, of order 0."};
  template <class V> static V f(V a) { return i0(a); }
  template <class A> static A d0(const A& t, const A& x, const A&) { return t * i1(x); }
};
LAZULITE_UNARY(I0, i0)

struct I1 {
  static constexpr Row row{.name = "i1",
                           .promote = Promote::inexact,
                           .types = floats,
                           .doc = "The modified Bessel function of the first kind, of order 1."};
  template <class V> static V f(V a) { return i1(a); }
  template <class A>
  static A d0(const A& t, const A& x, const A& y) {
    return t * (i0(x) - where(equal(x, 0), 0.5, y / where(equal(x, 0), 1, x)));
  }
};
LAZULITE_UNARY(I1, i1)

struct Signbit {
  static constexpr Row row{.name = "signbit",
                           .types = reals,
                           .result = Result::boolean,
                           .doc = "True where the sign is minus, also of zero and nan.",
                           .ulp = 0, .light = true};
  template <class V> static auto f(V a) { return signbit(a); }
};
LAZULITE_UNARY(Signbit, signbit)

struct Isinf {
  static constexpr Row row{.name = "isinf",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .result = Result::boolean,
                           .doc = "True where a is infinite; of complex numbers in any part.",
                           .ulp = 0, .light = true};
  template <class V> static auto f(V a) { return holds_infinity(a); }
};
LAZULITE_UNARY(Isinf, isinf)

struct Isfinite {
  static constexpr Row row{.name = "isfinite",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .result = Result::boolean,
                           .doc = "True where a is neither infinite nor nan.",
                           .ulp = 0, .light = true};
  template <class V> static auto f(V a) { return holds_numbers(a); }
};
LAZULITE_UNARY(Isfinite, isfinite)

struct FrexpMantissa {
  static constexpr Row row{.name = "frexp_mantissa",
                           .promote = Promote::inexact,
                           .types = floats,
                           .doc = "a less its power of two, between 0.5 and 1.",
                           .lo = 0.6,
                           .hi = 0.9,
                           .ulp = 0};
  template <class V> static V f(V a) { return frexp_mantissa(a); }
  template <class A>
  static A d0(const A& t, const A& x, const A&) {
    return scale_by_power(t, -frexp_exponent(x));
  }
};
LAZULITE_UNARY(FrexpMantissa, frexp_mantissa)

struct FrexpExponent {
  static constexpr Row row{.name = "frexp_exponent",
                           .promote = Promote::inexact,
                           .types = floats,
                           .doc = "The power of two that frexp_mantissa leaves out.",
                           .lo = 0.6,
                           .hi = 0.9,
                           .ulp = 0};
  template <class V> static V f(V a) { return frexp_exponent(a); }
  template <class A> static A d0(const A& t, const A&, const A&) { return zeros_like(t); }
};
LAZULITE_UNARY(FrexpExponent, frexp_exponent)

struct Hypot {
  static constexpr Row row{.name = "hypot",
                           .promote = Promote::inexact,
                           .types = floats,
                           .doc = "sqrt(a^2 + b^2) without overflow."};
  template <class V> static V f(V a, V b) { return hypot(a, b); }
  template <class A>
  static A d0(const A& t, const A& a, const A&, const A& y) {
    return t * where(equal(y, 0), 0, a / where(equal(y, 0), 1, y));
  }
  template <class A>
  static A d1(const A& t, const A&, const A& b, const A& y) {
    return t * where(equal(y, 0), 0, b / where(equal(y, 0), 1, y));
  }
};
LAZULITE_BINARY(Hypot, hypot)

struct Copysign {
  static constexpr Row row{.name = "copysign",
                           .promote = Promote::inexact,
                           .types = floats,
                           .doc = "|a| with the sign of b, also of a zero or nan.",
                           .ulp = 0, .light = true};
  template <class V> static V f(V a, V b) { return copysign(a, b); }
  template <class A>
  static A d0(const A& t, const A& a, const A& b, const A&) {
    return where(equal(signbit(a), signbit(b)), t, -t);
  }
  template <class A> static A d1(const A& t, const A&, const A&, const A&) { return zeros_like(t); }
};
LAZULITE_BINARY(Copysign, copysign)

struct Nextafter {
  static constexpr Row row{.name = "nextafter",
                           .promote = Promote::inexact,
                           .types = floats,
                           .doc = "The number of the dtype next to a, on the way to b.",
                           .ulp = 0, .light = true};
  template <class V> static V f(V a, V b) { return nextafter(a, b); }
  template <auto h, class V> static V f_half(V a, V b) { return next_half<h>(a, b); }
  template <class A> static A d0(const A& t, const A&, const A&, const A&) { return t; }
  template <class A> static A d1(const A& t, const A&, const A&, const A&) { return zeros_like(t); }
};
LAZULITE_BINARY(Nextafter, nextafter)

struct Ldexp {
  static constexpr Row row{.name = "ldexp",
                           .types = only(float32) | only(float64),
                           .doc = "a times 2 to the power b, which is integral.",
                           .ulp = 0};
  template <class V> static V f(V a, V b) { return ldexp(a, b); }
  template <class A>
  static A d0(const A& t, const A&, const A& b, const A&) {
    return scale_by_power(t, b);
  }
  template <class A> static A d1(const A& t, const A&, const A&, const A&) { return zeros_like(t); }
};
LAZULITE_BINARY(Ldexp, scale_by_power)

struct Gcd {
  static constexpr Row row{.name = "gcd",
                           .types = integers,
                           .doc = "The greatest common divisor of |a| and |b|.",
                           .ulp = 0};
  template <class V> static V f(V a, V b) { return gcd(a, b); }
};
LAZULITE_BINARY(Gcd, gcd)

struct Lcm {
  static constexpr Row row{.name = "lcm",
                           .types = integers,
                           .doc = "The least common multiple of |a| and |b|; wraps.",
                           .ulp = 0};
  template <class V> static V f(V a, V b) { return lcm(a, b); }
};
LAZULITE_BINARY(Lcm, lcm)

struct Xlogy {
  static constexpr Row row{.name = "xlogy",
                           .promote = Promote::inexact,
                           .types = floats,
                           .doc = "a log(b); 0 where a is 0 and b is not nan.",
                           .lo = 1.2,
                           .hi = 9,
                           .ulp = 3};
  template <class V> static V f(V a, V b) { return xlogy(a, b); }
  template <class A>
  static A d0(const A& t, const A& a, const A& b, const A&) {
    return t * xlogy(where(equal(a, 0), where(greater(b, 0), 1, 0), ones_like(b)), b);
  }
  template <class A> static A d1(const A& t, const A& a, const A& b, const A&) { return t * a / b; }
};
LAZULITE_BINARY(Xlogy, xlogy)

struct Zeta {
  static constexpr Row row{.name = "zeta",
                           .promote = Promote::inexact,
                           .types = floats,
                           .doc = "Hurwitz's zeta function: the sum of (b + k)^-a over k = 0, 1 "
                                  "...; inf at a = 1, nan below.",
                           .lo = 1.3,
                           .hi = 6};
  template <class V> static V f(V a, V b) { return zeta(a, b); }
  template <class A>
  static A d0(const A& t, const A& a, const A& b, const A&) {
    return t * zeta_slope(a, b);
  }
  template <class A>
  static A d1(const A& t, const A& a, const A& b, const A&) {
    return -(t * a * zeta(a + 1, b));
  }
};
LAZULITE_BINARY(Zeta, zeta)

struct ZetaSlope {
  static constexpr Row row{.name = "zeta_slope",
                           .promote = Promote::inexact,
                           .types = floats,
                           .doc = "The derivative of zeta by a, for b > 0.",
                           .lo = 1.3,
                           .hi = 6};
  template <class V> static V f(V a, V b) { return zeta_slope(a, b); }
};
LAZULITE_BINARY(ZetaSlope, zeta_slope)

}  // namespace lazulite
