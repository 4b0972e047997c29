// Functions of angles: see unary.h and binary.h.
#pragma once
#include "ops/elementwise/row.h"

namespace lazulite {

using trigonometric_rows =
    RowLists<rows<struct Sin, struct Cos, struct Tan, struct Arcsin, struct Arccos, struct Arctan>,
           rows<struct Arctan2>>;

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
                           .hi = 1.2,
                           .ulp = 4};
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

struct Arctan2 {
  static constexpr Row row{.name = "arctan2",
                           .promote = Promote::inexact,
                           .types = floats,
                           .doc = "The angle of the point (b, a), in radians.",
                           .lo = 0.3,
                           .hi = 3};
  template <class V> static V f(V a, V b) { return arctan2(a, b); }
  template <class A>
  static A d0(const A& t, const A& a, const A& b, const A&) {
    return t * b / (a * a + b * b);
  }
  template <class A>
  static A d1(const A& t, const A& a, const A& b, const A&) {
    return -(t * a) / (a * a + b * b);
  }
};
LAZULITE_BINARY(Arctan2, arctan2)

}  // namespace lazulite
