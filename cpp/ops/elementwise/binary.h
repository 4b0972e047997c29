// Other ops of two operands: see unary.h. d1 is the derivative with respect to the second.
#pragma once
#include "ops/elementwise/row.h"

namespace lazulite {

using binary_rows =
    RowLists<rows<>,
           rows<struct Divide, struct FloorDivide, struct Remainder, struct Equal,
                struct NotEqual, struct Less, struct LessEqual, struct Greater,
                struct GreaterEqual, struct LogicalAnd, struct LogicalOr, struct LogicalXor,
                struct BitwiseAnd, struct BitwiseOr, struct BitwiseXor, struct LeftShift,
                struct RightShift>>;

struct Divide {
  static constexpr Row row{.name = "divide",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "a / b; integers become floating point first.",
                           .lo = 0.3,
                           .hi = 3,
                           .ulp = 2,
                           .light = true};
  template <class V> static V f(V a, V b) { return a / b; }
  template <class A> static A d0(const A& t, const A&, const A& b, const A&) { return t / b; }
  template <class A>
  static A d1(const A& t, const A&, const A& b, const A& y) {
    return -(t * y) / b;
  }
};
LAZULITE_BINARY(Divide, divide)

struct FloorDivide {
  static constexpr Row row{
      .name = "floor_divide",
      .types = reals,
      .doc = "a / b rounded down; integers stay integers, x // 0 is 0 for them.",
      .lo = 0.3,
      .hi = 9,
      .ulp = 0};
  template <class V> static V f(V a, V b) { return floor_divide(a, b); }
  template <class A> static A d0(const A& t, const A&, const A&, const A&) { return zeros_like(t); }
  template <class A> static A d1(const A& t, const A&, const A&, const A&) { return zeros_like(t); }
};
LAZULITE_BINARY(FloorDivide, floor_divide)

struct Remainder {
  static constexpr Row row{.name = "remainder",
                           .types = reals,
                           .doc = "a - b * (a // b), with the sign of b; x % 0 is x for integers.",
                           .lo = 0.3,
                           .hi = 9,
                           .ulp = 1};
  template <class V> static V f(V a, V b) { return remainder(a, b); }
  template <class A> static A d0(const A& t, const A&, const A&, const A&) { return t; }
  template <class A>
  static A d1(const A& t, const A& a, const A& b, const A&) {
    return -(t * floor_divide(a, b));
  }
};
LAZULITE_BINARY(Remainder, remainder)

#define LAZULITE_COMPARISON(Name, fn, op, text)                                              \
  struct Name {                                                                                \
    static constexpr Row row{                                                                  \
        .name = #fn, .result = Result::boolean, .doc = text, .ulp = 0, .light = true};         \
    template <class V> static auto f(V a, V b) { return a op b; }                              \
  };                                                                                           \
  LAZULITE_BINARY(Name, fn)
LAZULITE_COMPARISON(Equal, equal, ==, "True where a == b.")
LAZULITE_COMPARISON(NotEqual, not_equal, !=, "True where a != b.")
LAZULITE_COMPARISON(Less, less, <,
                    "True where a < b; complex numbers by real part, then imaginary.")
LAZULITE_COMPARISON(LessEqual, less_equal, <=, "True where a <= b.")
LAZULITE_COMPARISON(Greater, greater, >, "True where a > b.")
LAZULITE_COMPARISON(GreaterEqual, greater_equal, >=, "True where a >= b.")
#undef LAZULITE_COMPARISON

#define LAZULITE_LOGICAL(Name, fn, op, text)                                              \
  struct Name {                                                                           \
    static constexpr Row row{                                                             \
        .name = #fn, .promote = Promote::logical, .types = bools, .doc = text, .ulp = 0,  \
        .light = true};                                                                   \
    template <class V>                                                                    \
    static V f(V a, V b) {                                                                \
      return a op b;                                                                      \
    }                                                                                     \
  };                                                                                      \
  LAZULITE_BINARY(Name, fn)
LAZULITE_LOGICAL(LogicalAnd, logical_and, &, "True where both are not zero.")
LAZULITE_LOGICAL(LogicalOr, logical_or, |, "True where one is not zero.")
LAZULITE_LOGICAL(LogicalXor, logical_xor, ^, "True where exactly one is not zero.")
#undef LAZULITE_LOGICAL

#define LAZULITE_BITWISE(Name, fn, op, how, text)                                \
  struct Name {                                                                  \
    static constexpr Row row{                                                    \
        .name = #fn, .promote = how, .types = integrals, .doc = text, .ulp = 0,  \
        .light = true};                                                          \
    template <class V>                                                           \
    static V f(V a, V b) {                                                       \
      return a op b;                                                             \
    }                                                                            \
  };                                                                             \
  LAZULITE_BINARY(Name, fn)
LAZULITE_BITWISE(BitwiseAnd, bitwise_and, &, Promote::same, "a & b of integers and bool.")
LAZULITE_BITWISE(BitwiseOr, bitwise_or, |, Promote::same, "a | b of integers and bool.")
LAZULITE_BITWISE(BitwiseXor, bitwise_xor, ^, Promote::same, "a ^ b of integers and bool.")
LAZULITE_BITWISE(LeftShift, left_shift, <<, Promote::shift,
                 "a << b; 0 when b is the width or more.")
LAZULITE_BITWISE(RightShift, right_shift, >>, Promote::shift, "a >> b, keeping the sign.")
#undef LAZULITE_BITWISE

}  // namespace lazulite
