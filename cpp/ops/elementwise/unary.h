// Ops of one operand. f is the kernel on vectors (names from simd/math.h), d0 the derivative
// applied to t, in terms of the operand x and the result y; v0 the pullback where it is not d0 on
// conjugated values.
#pragma once
#include "ops/elementwise/row.h"

#ifdef LAZULITE_LEVEL
#define LAZULITE_UNARY(Row, name)
#else
#define LAZULITE_UNARY(Row, name)                                    \
  inline array name(const Operand& a, Stream s = default_stream()) { \
    return unary(elementwise_op<Row>(), a, s);                       \
  }
#endif

namespace lazulite {

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

struct Exp {
  static constexpr Row row{
      .name = "exp", .promote = Promote::inexact, .types = inexacts, .doc = "e to the power a."};
  template <class V> static V f(V a) { return exp(a); }
  template <class A> static A d0(const A& t, const A&, const A& y) { return t * y; }
};
LAZULITE_UNARY(Exp, exp)

struct Expm1 {
  static constexpr Row row{.name = "expm1",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "exp(a) - 1, exact near 0."};
  template <class V> static V f(V a) { return expm1(a); }
  template <class A> static A d0(const A& t, const A&, const A& y) { return t * (y + 1); }
};
LAZULITE_UNARY(Expm1, expm1)

struct Log {
  static constexpr Row row{.name = "log",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "The natural logarithm.",
                           .lo = 0.1,
                           .hi = 9};
  template <class V> static V f(V a) { return log(a); }
  template <class A> static A d0(const A& t, const A& x, const A&) { return t / x; }
};
LAZULITE_UNARY(Log, log)

struct Log2 {
  static constexpr Row row{.name = "log2",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "The logarithm to base 2.",
                           .lo = 0.1,
                           .hi = 9};
  template <class V> static V f(V a) { return log2(a); }
  template <class A>
  static A d0(const A& t, const A& x, const A&) {
    return t / (x * 0.6931471805599453);
  }
};
LAZULITE_UNARY(Log2, log2)

struct Log10 {
  static constexpr Row row{.name = "log10",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "The logarithm to base 10.",
                           .lo = 0.1,
                           .hi = 9};
  template <class V> static V f(V a) { return log10(a); }
  template <class A>
  static A d0(const A& t, const A& x, const A&) {
    return t / (x * 2.302585092994046);
  }
};
LAZULITE_UNARY(Log10, log10)

struct Log1p {
  static constexpr Row row{.name = "log1p",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "log(1 + a), exact near 0.",
                           .lo = -0.9,
                           .hi = 9};
  template <class V> static V f(V a) { return log1p(a); }
  template <class A> static A d0(const A& t, const A& x, const A&) { return t / (x + 1); }
};
LAZULITE_UNARY(Log1p, log1p)

struct Sin {
  static constexpr Row row{.name = "sin",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "The sine of an angle in radians."};
  template <class V> static V f(V a) { return sin(a); }
  template <class A> static A d0(const A& t, const A& x, const A&) { return t * cos(x); }
};
LAZULITE_UNARY(Sin, sin)

struct Cos {
  static constexpr Row row{.name = "cos",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "The cosine of an angle in radians."};
  template <class V> static V f(V a) { return cos(a); }
  template <class A> static A d0(const A& t, const A& x, const A&) { return -(t * sin(x)); }
};
LAZULITE_UNARY(Cos, cos)

struct Tan {
  static constexpr Row row{.name = "tan",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "The tangent of an angle in radians.",
                           .lo = -1.2,
                           .hi = 1.2};
  template <class V> static V f(V a) { return tan(a); }
  template <class A> static A d0(const A& t, const A&, const A& y) { return t * (y * y + 1); }
};
LAZULITE_UNARY(Tan, tan)

struct Arcsin {
  static constexpr Row row{.name = "arcsin",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "The inverse sine, in radians.",
                           .lo = -0.9,
                           .hi = 0.9};
  template <class V> static V f(V a) { return arcsin(a); }
  template <class A> static A d0(const A& t, const A& x, const A&) { return t * rsqrt(1 - x * x); }
};
LAZULITE_UNARY(Arcsin, arcsin)

struct Arccos {
  static constexpr Row row{.name = "arccos",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "The inverse cosine, in radians.",
                           .lo = -0.9,
                           .hi = 0.9};
  template <class V> static V f(V a) { return arccos(a); }
  template <class A>
  static A d0(const A& t, const A& x, const A&) {
    return -(t * rsqrt(1 - x * x));
  }
};
LAZULITE_UNARY(Arccos, arccos)

struct Arctan {
  static constexpr Row row{.name = "arctan",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "The inverse tangent, in radians."};
  template <class V> static V f(V a) { return arctan(a); }
  template <class A> static A d0(const A& t, const A& x, const A&) { return t / (x * x + 1); }
};
LAZULITE_UNARY(Arctan, arctan)

struct Sinh {
  static constexpr Row row{.name = "sinh",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "The hyperbolic sine."};
  template <class V> static V f(V a) { return sinh(a); }
  template <class A> static A d0(const A& t, const A& x, const A&) { return t * cosh(x); }
};
LAZULITE_UNARY(Sinh, sinh)

struct Cosh {
  static constexpr Row row{.name = "cosh",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "The hyperbolic cosine."};
  template <class V> static V f(V a) { return cosh(a); }
  template <class A> static A d0(const A& t, const A& x, const A&) { return t * sinh(x); }
};
LAZULITE_UNARY(Cosh, cosh)

struct Tanh {
  static constexpr Row row{.name = "tanh",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "The hyperbolic tangent."};
  template <class V> static V f(V a) { return tanh(a); }
  template <class A> static A d0(const A& t, const A&, const A& y) { return t * (1 - y * y); }
};
LAZULITE_UNARY(Tanh, tanh)

struct Arcsinh {
  static constexpr Row row{.name = "arcsinh",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "The inverse hyperbolic sine."};
  template <class V> static V f(V a) { return arcsinh(a); }
  template <class A> static A d0(const A& t, const A& x, const A&) { return t * rsqrt(x * x + 1); }
};
LAZULITE_UNARY(Arcsinh, arcsinh)

struct Arccosh {
  static constexpr Row row{.name = "arccosh",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "The inverse hyperbolic cosine.",
                           .lo = 1.1,
                           .hi = 9};
  template <class V> static V f(V a) { return arccosh(a); }
  template <class A>
  static A d0(const A& t, const A& x, const A&) {
    return t * rsqrt(x - 1) * rsqrt(x + 1);
  }
};
LAZULITE_UNARY(Arccosh, arccosh)

struct Arctanh {
  static constexpr Row row{.name = "arctanh",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "The inverse hyperbolic tangent.",
                           .lo = -0.9,
                           .hi = 0.9};
  template <class V> static V f(V a) { return arctanh(a); }
  template <class A> static A d0(const A& t, const A& x, const A&) { return t / (1 - x * x); }
};
LAZULITE_UNARY(Arctanh, arctanh)

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
                           .hi = 0.9};
  template <class V> static V f(V a) { return erfinv(a); }
  template <class A>
  static A d0(const A& t, const A&, const A& y) {
    return t * (exp(y * y) * 0.886226925452758);
  }
};
LAZULITE_UNARY(Erfinv, erfinv)

struct Sigmoid {
  static constexpr Row row{
      .name = "sigmoid", .promote = Promote::inexact, .types = floats, .doc = "1 / (1 + exp(-a))."};
  template <class V> static V f(V a) { return sigmoid(a); }
  template <class A> static A d0(const A& t, const A&, const A& y) { return t * y * (1 - y); }
};
LAZULITE_UNARY(Sigmoid, sigmoid)

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

using unary_rows = rows<Abs, Negative, Sign, Square, Sqrt, Rsqrt, Reciprocal, Exp, Expm1, Log, Log2,
                        Log10, Log1p, Sin, Cos, Tan, Arcsin, Arccos, Arctan, Sinh, Cosh, Tanh,
                        Arcsinh, Arccosh, Arctanh, Erf, Erfinv, Sigmoid, Floor, Ceil, Trunc, Rint,
                        LogicalNot, BitwiseInvert, Isnan, NanToNum, Real, Imag, Conjugate>;

}  // namespace lazulite
