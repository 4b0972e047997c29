// The ops of two operands of which two or more become one instruction: see binary.h. The kernels of
// pairs and of expressions are made of this list.
#pragma once
#include "ops/elementwise/row.h"

namespace lazulite {

using arithmetic_rows =
    RowLists<rows<>,
           rows<struct Add, struct Subtract, struct Multiply, struct Maximum, struct Minimum>>;

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

}  // namespace lazulite
