// Python's elementwise functions: the rows of the family, then what is made of them.
#pragma once
#include <cstring>

#include "ops/elementwise/elementwise.h"
#include "ops/functions.h"
#include "ops/index/index.h"

namespace lazulite::functions {

// Rows that are reached through functions below, and second names of others.
inline constexpr const char* reached_by_others[] = {
    "rint", "real", "imag", "conjugate", "bitwise_invert", "nan_to_num", "ldexp", "frexp_mantissa",
    "frexp_exponent", "isinf", "isfinite", "zeta_slope"};
struct Alias {
  const char *op, *name;
};
inline constexpr Alias aliases[] = {
    {"arccos", "acos"},
    {"arccosh", "acosh"},
    {"arcsin", "asin"},
    {"arcsinh", "asinh"},
    {"arctan", "atan"},
    {"arctanh", "atanh"},
    {"arctan2", "atan2"},
    {"power", "pow"},
    {"left_shift", "bitwise_left_shift"},
    {"right_shift", "bitwise_right_shift"},
    {"sigmoid", "expit"},
    {"gammaln", "lgamma"},
};

inline std::string kinds_of(DtypeSet types) {
  std::string text;
  if (types.has(bool_)) text += "bool, ";
  if (types.has(int32)) text += "integers, ";
  if (types.has(float32)) text += "floating, ";
  if (types.has(complex64)) text += "complex, ";
  return text.substr(0, text.size() - 2);
}

inline std::string doc_of(const Row& row, bool two, const std::string& name) {
  std::string doc = std::string(row.doc) + "\n\nElementwise";
  doc += two ? ", after broadcasting and promotion; a Python number takes the dtype of the array "
               "beside it."
             : ": the result has the shape of a.";
  if (row.promote == Promote::inexact) doc += " Integers and bool become float32 first.";
  if (row.result == Result::boolean || row.promote == Promote::logical)
    doc += " The result is bool.";
  doc += " Dtypes: " + kinds_of(row.types) + "; others raise ValueError.";
  if (row.ulp)
    doc += " Accurate to " + std::to_string(row.ulp) + (row.ulp == 1 ? " unit" : " units") +
           " in the last place, " +
           (row.types.has(complex64) && row.ulp > 1 ? "complex numbers to 6 of their size, " : "") +
           "with the same bits on every instruction set.";
  doc += "\n\n>>> mx." + name +
         (two                      ? "(mx.array([1, 2]), mx.array([2, 1])).shape\n(2,)"
          : row.types.has(float32) ? "(mx.array([0.5, 0.75])).shape\n(2,)"
                                   : "(mx.array([1, 2])).shape\n(2,)");
  return doc;
}

// A function for each row of the family.
template <class M>
void add_family(M& m) {
  for (const Op* op : rows_of_elementwise()) {
    const auto& family = *static_cast<const ElementwiseFamily*>(op->family);
    bool hidden = false;
    for (const char* name : reached_by_others) hidden |= std::strcmp(name, op->name) == 0;
    if (hidden) continue;
    const bool two = family.operands == 2;
    auto& row = m.elementwise(*op, op->name, doc_of(family.row, two, op->name));
    if (!two) row.method();
    for (const Alias& a : aliases)
      if (std::strcmp(a.op, op->name) == 0)
        m.elementwise(*op, a.name, doc_of(family.row, two, a.name));
  }
}

template <class M>
void add_elementwise(M& m) {
  add_family(m);
  m.def(
       "positive(a, stream=None)", [](O a, S) { return as_array(a, a.natural(), "positive"); },
       "a itself.\n\n"
       ">>> mx.positive(mx.array(-1))\n"
       "array(-1, dtype=int32)")
      .cases({"x(2, 3)"})
      .large({"x(2, chunk + 1)"});
  m.def(
       "real(a, stream=None)", [](A a, S s) { return real(a, s); },
       "The real part; a itself where it is real.\n\n"
       ">>> mx.real(mx.array([1 + 2j]))\n"
       "array([1], dtype=float32)")
      .cases({"x(2, 3)"})
      .large({"x(2, chunk + 1)"});
  m.def(
       "imag(a, stream=None)", [](A a, S s) { return imag(a, s); },
       "The imaginary part; zeros where a is real.\n\n"
       ">>> mx.imag(mx.array([1 + 2j]))\n"
       "array([2], dtype=float32)")
      .cases({"x(2, 3)"})
      .large({"x(2, chunk + 1)"});
  m.def(
       "conjugate(a, stream=None)", [](A a, S s) { return conjugate(a, s); },
       "The complex conjugate; a itself where it is real.\n\n"
       ">>> mx.conjugate(mx.array([1 + 2j]))\n"
       "array([1-2j], dtype=complex64)")
      .method()
      .cases({"x(2, 3)"})
      .large({"x(2, chunk + 1)"});
  m.def(
       "conj(a, stream=None)", [](A a, S s) { return conjugate(a, s); },
       "The complex conjugate; a itself where it is real.\n\n"
       ">>> mx.conj(mx.array([1 + 2j]))\n"
       "array([1-2j], dtype=complex64)")
      .method()
      .cases({"x(2, 3)"}, "np.conj");
  m.def(
       "bitwise_invert(a, stream=None)", [](O a, S s) { return bitwise_invert(a, s); },
       "Every bit the other way; `not` for bool. ValueError for other dtypes.\n\n"
       ">>> mx.bitwise_invert(mx.array([0, 1]))\n"
       "array([-1, -2], dtype=int32)")
      .cases({"i(9, 2, 3)"})
      .large({"i(9, 2, chunk + 1)"});
  m.def(
       "isinf(a, stream=None)", [](O a, S s) { return isinf(a, s); },
       "True where a (or a part of it) is infinite.\n\n"
       ">>> mx.isinf(mx.array([1.0, -mx.inf]))\n"
       "array([False, True], dtype=bool)")
      .cases({"x(2, 3)"})
      .large({"x(2, chunk + 1)"});
  m.def(
       "isposinf(a, stream=None)", [](O a, S s) { return isposinf(a, s); },
       "True where a is infinity.\n\n"
       ">>> mx.isposinf(mx.array([mx.inf, -mx.inf]))\n"
       "array([True, False], dtype=bool)")
      .cases({"x(2, 3)"});
  m.def(
       "isneginf(a, stream=None)", [](O a, S s) { return isneginf(a, s); },
       "True where a is minus infinity.\n\n"
       ">>> mx.isneginf(mx.array([mx.inf, -mx.inf]))\n"
       "array([False, True], dtype=bool)")
      .cases({"x(2, 3)"});
  m.def(
       "isfinite(a, stream=None)", [](O a, S s) { return isfinite(a, s); },
       "True where a is neither infinite nor nan.\n\n"
       ">>> mx.isfinite(mx.array([1.0, mx.nan]))\n"
       "array([True, False], dtype=bool)")
      .cases({"x(2, 3)"})
      .large({"x(2, chunk + 1)"});
  m.def(
       "isclose(a, b, /, rtol=1e-05, atol=1e-08, *, equal_nan=False, stream=None)",
       [](O a, O b, double rtol, double atol, bool equal_nan, S s) {
         return isclose(a, b, rtol, atol, equal_nan, s);
       },
       "True where |a - b| <= atol + rtol * |b|; infinities are close only to themselves, "
       "nan (unless equal_nan) to nothing.\n\n"
       ">>> mx.isclose(mx.array([1.0, 2.0]), 1.0)\n"
       "array([True, False], dtype=bool)")
      .cases({"x(2, 3), x(2, 3)"})
      .large({"x(2, chunk + 1), x(chunk + 1)", "x(tile + 1, 1), x(1, inner + 1)"});
  m.def(
       "round(a, /, decimals=0, stream=None)",
       [](O a, int decimals, S s) { return round(a, decimals, s); },
       "Rounded to that many decimals, halves to even; negative decimals round left of the "
       "point. The dtype is kept.\n\n"
       ">>> mx.round(mx.array([0.5, 1.5, 2.25]), 0)\n"
       "array([0, 2, 2], dtype=float32)")
      .method()
      .cases({"x(2, 3)", "x(2, 3), 1"})
      .large({"x(2, chunk + 1)"});
  m.def(
       "clip(a, /, a_min=None, a_max=None, *, stream=None)",
       [](O a, OptionalOperand low, OptionalOperand high, S s) { return clip(a, low, high, s); },
       "a between two bounds, which broadcast; None is no bound. min and max are other names of "
       "them.\n\n"
       ">>> mx.clip(mx.array([-1, 0, 5]), 0, 3)\n"
       "array([0, 0, 3], dtype=int32)")
      .also("a_min", "min")
      .also("a_max", "max")
      .cases({"x(2, 3), -0.5, 0.5", "x(2, 3), x(3), None"})
      .large({"x(2, chunk + 1), -0.5, 0.5", "x(tile + 1, inner + 1), x(inner + 1), None"});
  m.def(
       "nan_to_num(a, nan=0, posinf=None, neginf=None, *, stream=None)",
       [](O a, double nan, std::optional<double> posinf, std::optional<double> neginf, S s) {
         return nan_to_num(a, nan, posinf, neginf, s);
       },
       "nan and infinities replaced; by default infinities become the largest finite "
       "numbers of the dtype.\n\n"
       ">>> mx.nan_to_num(mx.array([mx.nan, 1.0]))\n"
       "array([0, 1], dtype=float32)")
      .cases({"x(2, 3)"})
      .large({"x(2, chunk + 1)"});
  m.def(
       "frexp(a, /, *, stream=None)", [](O a, S s) { return frexp(a, s); },
       "[mantissa, exponent] of every number: it is mantissa * 2**exponent, with 0.5 <= "
       "abs(mantissa) < 1; 0, infinities and nan have the exponent 0. The exponents are int32.\n\n"
       ">>> mx.frexp(mx.array([8.0, -0.75]))\n"
       "[array([0.5, -0.75], dtype=float32), array([4, 0], dtype=int32)]")
      .cases({"x(2, 3)"})
      .large({"x(2, chunk + 1)"});
  m.def(
       "ldexp(a, exponent, /, *, stream=None)", [](O a, O e, S s) { return ldexp(a, e, s); },
       "a * 2**exponent of integral exponents, rounded once; what frexp takes apart.\n\n"
       ">>> mx.ldexp(mx.array([0.5, -0.75]), mx.array([4, 0]))\n"
       "array([8, -0.75], dtype=float32)")
      .cases({"x(2, 3), i(9, 2, 3)", "x(2, 3), -3"})
      .large({"x(2, chunk + 1), i(9, chunk + 1)"});
  m.def(
       "degrees(a, stream=None)", [](O a, S s) { return degrees(a, s); },
       "Radians as degrees.\n\n"
       ">>> mx.degrees(mx.array(mx.pi))\n"
       "array(180, dtype=float32)")
      .cases({"x(2, 3)"})
      .large({"x(2, chunk + 1)"});
  m.def(
       "radians(a, stream=None)", [](O a, S s) { return radians(a, s); },
       "Degrees as radians.\n\n"
       ">>> mx.radians(mx.array(180.0))\n"
       "array(3.14159, dtype=float32)")
      .cases({"x(2, 3)"})
      .large({"x(2, chunk + 1)"});
  m.def(
       "where(condition, x=None, y=None, /, *, size=None, fill_value=0, stream=None)",
       [](O c, OptionalOperand x, OptionalOperand y, const std::optional<int64_t>& size,
          int64_t fill, S s) -> ArrayOrTuple {
         if (x && y && !size) return {where(c, *x, *y, s)};
         if (x || y)
           fail(Kind::argument, "where",
                !x ? "x: got None" : !y ? "y: got None" : "size: got one beside x and y",
                ", expected x and y, or the condition alone");
         return {ArrayTuple(nonzero(as_array(c, c.natural(), "where", s), size, fill, s, "where"))};
       },
       "x where the condition is not zero, else y; all three broadcast, x and y promote. Without x "
       "and y: where it is not zero,\n"
       "as nonzero gives it; inside compile and vmap that needs a size.\n\n"
       ">>> mx.where(mx.array([True, False]), 1.0, mx.array([5, 6]))\n"
       "array([1, 6], dtype=float32)\n"
       ">>> mx.where(mx.array([0, 5, 7]))\n"
       "(array([1, 2], dtype=int64),)")
      .cases({"b(2, 3), x(2, 3), x(3)", "b(3), x(2, 1), 2.0", "b(2, 3), size=4, fill_value=-1"},
             "where_of_size")
      .large({"b(2, chunk + 1), x(chunk + 1), x(2, 1)", "b(tile + 1, 1), x(inner + 1), 2.0"});
  m.def(
       "divmod(a, b, stream=None)",
       [](O a, O b, S s) {
         return std::vector<array>{floor_divide(a, b, s), remainder(a, b, s)};
       },
       "[a // b, a % b].\n\n"
       ">>> mx.divmod(mx.array(7), 2)\n"
       "[array(3, dtype=int32), array(1, dtype=int32)]")
      .cases({"x(2, 3) + 9, x(3) + 7"}, "lambda a, b: list(np.divmod(a, b))");
  m.def(
      "_stop_gradient(a, /, *, stream=None)", [](A a, S s) { return stop_gradient(a, s); },
      "a, constant to derivatives.");
}

}  // namespace lazulite::functions
