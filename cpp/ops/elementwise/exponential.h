// Exponentials, logarithms, powers and hyperbolic functions: see unary.h and binary.h.
#pragma once
#include "ops/elementwise/row.h"

namespace lazulite {

using exponential_rows =
    RowLists<rows<struct Exp, struct Expm1, struct Log, struct Log2, struct Log10, struct Log1p,
                struct Sinh, struct Cosh, struct Tanh, struct Arcsinh, struct Arccosh,
                struct Arctanh, struct Sigmoid>,
           rows<struct Power, struct Logaddexp>>;

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

struct Sinh {
  static constexpr Row row{.name = "sinh",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "The hyperbolic sine.",
                           .ulp = 3};
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
                           .doc = "The hyperbolic tangent.",
                           .ulp = 3};
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
                           .hi = 9,
                           .ulp = 3};
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

struct Sigmoid {
  static constexpr Row row{
      .name = "sigmoid", .promote = Promote::inexact, .types = floats, .doc = "1 / (1 + exp(-a))."};
  template <class V> static V f(V a) { return sigmoid(a); }
  template <class A> static A d0(const A& t, const A&, const A& y) { return t * y * (1 - y); }
};
LAZULITE_UNARY(Sigmoid, sigmoid)

struct Power {
  static constexpr Row row{
      .name = "power",
      .types = numbers,
      .doc = "a to the power b; integers wrap, a negative exponent of an integer gives 0.",
      .lo = 0.3,
      .hi = 3,
      .ulp = 3};
  template <class V> static V f(V a, V b) { return power(a, b); }
  template <class A> static A d0(const A& t, const A& a, const A& b, const A&) {
    return t * where(equal(b, 0), 0, b * power(a, b - 1));
  }
  template <class A> static A d1(const A& t, const A& a, const A&, const A& y) {
    return t * where(equal(a, 0), 0, y * log(where(equal(a, 0), 1, a)));
  }
};
LAZULITE_BINARY(Power, power)

struct Logaddexp {
  static constexpr Row row{.name = "logaddexp",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "log(exp(a) + exp(b)) without overflow.",
                           .lo = 0,
                           .hi = 4,
                           .ulp = 3};
  template <class V> static V f(V a, V b) { return logaddexp(a, b); }
  template <class A>
  static A d0(const A& t, const A& a, const A& b, const A&) {
    return t / (1 + exp(b - a));
  }
  template <class A>
  static A d1(const A& t, const A& a, const A& b, const A&) {
    return t / (1 + exp(a - b));
  }
};
LAZULITE_BINARY(Logaddexp, logaddexp)

}  // namespace lazulite
