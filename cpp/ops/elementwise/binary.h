// Ops of two operands: see unary.h. d1 is the derivative with respect to the second.
#pragma once
#include "ops/elementwise/row.h"

#ifdef LAZULITE_LEVEL
#define LAZULITE_BINARY(Row, name)
#else
#define LAZULITE_BINARY(Row, name)                                                        \
  inline array name(const Operand& a, const Operand& b, Stream s = default_stream()) {    \
    return binary(elementwise_op<Row>(), a, b, s);                                        \
  }
#endif

namespace lazulite {

struct Add {
  static constexpr Row row{.name = "add",
                           .doc = "a + b; `or` for bool.",
                           .ulp = 1,
                           .light = true,
                           .pairs = true,
                           .opcode = 0x58};
  template <class V> static V f(V a, V b) { return a + b; }
  template <class A> static A d0(const A& t, const A&, const A&, const A&) { return t; }
  template <class A> static A d1(const A& t, const A&, const A&, const A&) { return t; }
};
LAZULITE_BINARY(Add, add)

struct Subtract {
  static constexpr Row row{.name = "subtract",
                           .doc = "a - b; `xor` for bool.",
                           .ulp = 1,
                           .light = true,
                           .pairs = true,
                           .opcode = 0x5c};
  template <class V> static V f(V a, V b) { return a - b; }
  template <class A> static A d0(const A& t, const A&, const A&, const A&) { return t; }
  template <class A> static A d1(const A& t, const A&, const A&, const A&) { return -t; }
};
LAZULITE_BINARY(Subtract, subtract)

struct Multiply {
  static constexpr Row row{.name = "multiply",
                           .doc = "a * b; `and` for bool.",
                           .ulp = 1,
                           .light = true,
                           .pairs = true,
                           .opcode = 0x59};
  template <class V> static V f(V a, V b) { return a * b; }
  template <class A> static A d0(const A& t, const A&, const A& b, const A&) { return t * b; }
  template <class A> static A d1(const A& t, const A& a, const A&, const A&) { return t * a; }
};
LAZULITE_BINARY(Multiply, multiply)

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

struct Power {
  static constexpr Row row{
      .name = "power",
      .types = numbers,
      .doc = "a to the power b; integers wrap, a negative exponent of an integer gives 0.",
      .lo = 0.3,
      .hi = 3};
  template <class V> static V f(V a, V b) { return power(a, b); }
  template <class A> static A d0(const A& t, const A& a, const A& b, const A&) {
    return t * where(equal(b, 0), 0, b * power(a, b - 1));
  }
  template <class A> static A d1(const A& t, const A& a, const A&, const A& y) {
    return t * where(equal(a, 0), 0, y * log(where(equal(a, 0), 1, a)));
  }
};
LAZULITE_BINARY(Power, power)

struct Maximum {
  static constexpr Row row{
      .name = "maximum", .doc = "The larger; nan if either is.", .ulp = 0, .light = true,
      .bounds = true};
  template <class V> static V f(V a, V b) { return maximum(a, b); }
  template <class A>
  static A d0(const A& t, const A& a, const A& b, const A&) {
    return where(greater(a, b), t, 0);
  }
  template <class A>
  static A d1(const A& t, const A& a, const A& b, const A&) {
    return where(greater(a, b), 0, t);
  }
};
LAZULITE_BINARY(Maximum, maximum)

struct Minimum {
  static constexpr Row row{
      .name = "minimum", .doc = "The smaller; nan if either is.", .ulp = 0, .light = true,
      .bounds = true};
  template <class V> static V f(V a, V b) { return minimum(a, b); }
  template <class A>
  static A d0(const A& t, const A& a, const A& b, const A&) {
    return where(less(a, b), t, 0);
  }
  template <class A>
  static A d1(const A& t, const A& a, const A& b, const A&) {
    return where(less(a, b), 0, t);
  }
};
LAZULITE_BINARY(Minimum, minimum)

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

struct Logaddexp {
  static constexpr Row row{.name = "logaddexp",
                           .promote = Promote::inexact,
                           .types = inexacts,
                           .doc = "log(exp(a) + exp(b)) without overflow.",
                           .lo = 0,
                           .hi = 4};
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

using binary_rows =
    rows<Add, Subtract, Multiply, Divide, FloorDivide, Remainder, Power, Maximum, Minimum, Arctan2,
         Logaddexp, Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual, LogicalAnd, LogicalOr,
         LogicalXor, BitwiseAnd, BitwiseOr, BitwiseXor, LeftShift, RightShift>;

}  // namespace lazulite
