// Plain ops of one operand. f is the kernel on vectors (names from simd/), d0 the derivative
// applied to t, in terms of the operand x and the result y; v0 the pullback where it is not d0 on
// conjugated values.
#pragma once
#include "ops/elementwise/row.h"

namespace lazulite {

using unary_rows =
    RowLists<rows<struct Abs, struct Negative, struct Sign, struct Square, struct Sqrt,
                struct Rsqrt, struct Reciprocal, struct Floor, struct Ceil, struct Trunc,
                struct Rint, struct LogicalNot, struct BitwiseInvert, struct Isnan,
                struct NanToNum, struct Real, struct Imag, struct Conjugate>,
           rows<>>;

struct Abs {
  static constexpr Row row{.name = "abs",
                           .result = Result::real,
                           .doc = "|a|; a real number for complex ones.",
                           .ulp = 1, .light = true};
  template <class V> static auto f(V a) { return abs(a); }
  template <class A>
  static A d0(const A& t, const A& x, const A&) {
    return real_if(x, t * conjugate(sign(x)));
  }
  template <class A> static A v0(const A& ct, const A& x, const A&) { return ct * sign(x); }
};
LAZULITE_UNARY(Abs, abs)

struct Negative {
  static constexpr Row row{
      .name = "negative", .types = numbers, .doc = "-a; unsigned integers wrap.", .ulp = 0,
      .light = true};
  template <class V> static V f(V a) { return -a; }
  template <class A> static A d0(const A& t, const A&, const A&) { return -t; }
};
LAZULITE_UNARY(Negative, negative)

struct Sign {
  static constexpr Row row{
      .name = "sign", .doc = "-1, 0 or 1; a / |a| for complex; nan stays nan.", .ulp = 2,
      .light = true};
  template <class V> static V f(V a) { return sign(a); }
  template <class A> static A d0(const A& t, const A& x, const A& y) { return sign_slope(t, x, y); }
  template <class A>
  static A v0(const A& ct, const A& x, const A& y) {
    return sign_slope(ct, x, y);
  }
};
LAZULITE_UNARY(Sign, sign)

struct Square {
  static constexpr Row row{.name = "square", .doc = "a * a.", .ulp = 1, .light = true};
  template <class V> static V f(V a) { return square(a); }
  template <class A> static A d0(const A& t, const A& x, const A&) { return t * x * 2; }
};
LAZULITE_UNARY(Square, square)

struct Sqrt {
  static constexpr Row row{.name = "sqrt",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "The square root.",
                           .lo = 0,
                           .hi = 9,
                           .ulp = 1, .light = true};
  template <class V> static V f(V a) { return sqrt(a); }
  template <class A> static A d0(const A& t, const A&, const A& y) { return t * 0.5 / y; }
};
LAZULITE_UNARY(Sqrt, sqrt)

struct Rsqrt {
  static constexpr Row row{.name = "rsqrt",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "1 / sqrt(a).",
                           .lo = 0.1,
                           .hi = 9,
                           .ulp = 2};
  template <class V> static V f(V a) { return rsqrt(a); }
  template <class A> static A d0(const A& t, const A& x, const A& y) { return t * -0.5 * y / x; }
};
LAZULITE_UNARY(Rsqrt, rsqrt)

struct Reciprocal {
  static constexpr Row row{.name = "reciprocal",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "1 / a.",
                           .lo = 0.1,
                           .hi = 9,
                           .ulp = 1, .light = true};
  template <class V> static V f(V a) { return reciprocal(a); }
  template <class A> static A d0(const A& t, const A&, const A& y) { return -(t * y * y); }
};
LAZULITE_UNARY(Reciprocal, reciprocal)

struct Floor {
  static constexpr Row row{.name = "floor",
                           .types = ordered,
                           .doc = "The largest integer not above a; the dtype is kept.",
                           .ulp = 0, .light = true};
  template <class V> static V f(V a) { return floor(a); }
  template <class A> static A d0(const A& t, const A&, const A&) { return zeros_like(t); }
};
LAZULITE_UNARY(Floor, floor)

struct Ceil {
  static constexpr Row row{.name = "ceil",
                           .types = ordered,
                           .doc = "The smallest integer not below a; the dtype is kept.",
                           .ulp = 0, .light = true};
  template <class V> static V f(V a) { return ceil(a); }
  template <class A> static A d0(const A& t, const A&, const A&) { return zeros_like(t); }
};
LAZULITE_UNARY(Ceil, ceil)

struct Trunc {
  static constexpr Row row{.name = "trunc",
                           .types = ordered,
                           .doc = "a without its fraction; the dtype is kept.",
                           .ulp = 0, .light = true};
  template <class V> static V f(V a) { return trunc(a); }
  template <class A> static A d0(const A& t, const A&, const A&) { return zeros_like(t); }
};
LAZULITE_UNARY(Trunc, trunc)

struct Rint {
  static constexpr Row row{.name = "rint",
                           .doc = "The nearest integer, halves to even; both parts of complex.",
                           .ulp = 0, .light = true};
  template <class V> static V f(V a) { return round(a); }
  template <class A> static A d0(const A& t, const A&, const A&) { return zeros_like(t); }
};
LAZULITE_UNARY(Rint, rint)

struct LogicalNot {
  static constexpr Row row{.name = "logical_not",
                           .promote = Promote::logical,
                           .types = bools,
                           .result = Result::boolean,
                           .doc = "True where a is zero.",
                           .ulp = 0, .light = true};
  template <class V> static auto f(V a) { return a == V(0); }
};
LAZULITE_UNARY(LogicalNot, logical_not)

struct BitwiseInvert {
  static constexpr Row row{.name = "bitwise_invert",
                           .types = integrals,
                           .doc = "Every bit the other way; not for bool.",
                           .ulp = 0, .light = true};
  template <class V> static V f(V a) { return ~a; }
};
LAZULITE_UNARY(BitwiseInvert, bitwise_invert_bits)

struct Isnan {
  static constexpr Row row{.name = "isnan",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .result = Result::boolean,
                           .doc = "True where a is nan.",
                           .ulp = 0, .light = true};
  template <class V> static auto f(V a) { return is_nan(a); }
};
LAZULITE_UNARY(Isnan, isnan)

struct NanToNum {
  static constexpr Row row{.name = "nan_to_num",
                           .types = only(float32) | only(float64),
                           .doc = "0 for nan, the largest finite numbers for infinities.",
                           .ulp = 0, .light = true};
  template <class V> static V f(V a) { return nan_to_num(a); }
  template <class A>
  static A d0(const A& t, const A& x, const A&) {
    return where(isfinite(x), t, 0);
  }
};
LAZULITE_UNARY(NanToNum, finite_numbers)

struct Real {
  static constexpr Row row{.name = "real",
                           .types = complexes,
                           .result = Result::real,
                           .doc = "The real part.",
                           .ulp = 0};
  template <class V> static auto f(V a) { return a.re; }
  template <class A> static A d0(const A& t, const A&, const A&) { return real(t); }
  template <class A>
  static A v0(const A& ct, const A& x, const A&) {
    return astype(ct, x.dtype());
  }
};
LAZULITE_UNARY(Real, real_part)

struct Imag {
  static constexpr Row row{.name = "imag",
                           .types = complexes,
                           .result = Result::real,
                           .doc = "The imaginary part.",
                           .ulp = 0};
  template <class V> static auto f(V a) { return a.im; }
  template <class A> static A d0(const A& t, const A&, const A&) { return imag(t); }
  template <class A>
  static A v0(const A& ct, const A&, const A&) {
    return ct * std::complex<double>(0, 1);
  }
};
LAZULITE_UNARY(Imag, imag_part)

struct Conjugate {
  static constexpr Row row{
      .name = "conjugate", .types = complexes, .doc = "The complex conjugate.", .ulp = 0};
  template <class V> static V f(V a) { return conj(a); }
  template <class A> static A d0(const A& t, const A&, const A&) { return conjugate(t); }
  template <class A> static A v0(const A& ct, const A&, const A&) { return conjugate(ct); }
};
LAZULITE_UNARY(Conjugate, conjugate_complex)

}  // namespace lazulite
