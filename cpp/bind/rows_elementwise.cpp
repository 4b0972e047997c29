// Elementwise functions: the family's rows by a loop, then what is made of them.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstring>

#include "bind/def.h"
#include "bind/module.h"
#include "device/cpu/pool.h"
#include "device/limits.h"
#include "ops/elementwise/elementwise.h"
#include "engine/reduce/kernels.h"
#include "ops/shape/shape.h"

namespace py = pybind11;

namespace lazulite::bind {

namespace {

using A = const array&;
using O = const Operand&;
using S = Stream;

// Python's name of a row where it is not the op's; null: the row is reached through another function.
struct Renamed {
  const char *op, *name;
};
constexpr Renamed renamed[] = {{"rint", nullptr}, {"real", nullptr}, {"imag", nullptr}, {"conjugate", nullptr},
                               {"bitwise_invert", nullptr}};
constexpr Renamed aliases[] = {
    {"arccos", "acos"}, {"arccosh", "acosh"}, {"arcsin", "asin"}, {"arcsinh", "asinh"}, {"arctan", "atan"},
    {"arctanh", "atanh"}, {"arctan2", "atan2"}, {"power", "pow"}, {"left_shift", "bitwise_left_shift"},
    {"right_shift", "bitwise_right_shift"},
};

std::string kinds_of(DtypeSet types) {
  std::string text;
  if (types.has(bool_)) text += "bool, ";
  if (types.has(int32)) text += "integers, ";
  if (types.has(float32)) text += "floating, ";
  if (types.has(complex64)) text += "complex, ";
  return text.substr(0, text.size() - 2);
}

std::string doc_of(const Row& row, bool two, const std::string& name) {
  std::string doc = std::string(row.doc) + "\n\nElementwise";
  doc += two ? ", after broadcasting and promotion; a Python number takes the dtype of the array beside it."
             : ": the result has the shape of a.";
  if (row.promote == Promote::inexact) doc += " Integers and bool become float32 first.";
  if (row.result == Result::boolean || row.promote == Promote::logical) doc += " The result is bool.";
  doc += " Dtypes: " + kinds_of(row.types) + "; others raise ValueError.";
  if (row.ulp) doc += " Accurate to " + std::to_string(row.ulp) + (row.ulp == 1 ? " unit" : " units") + " in the last place, with the same bits on every instruction set.";
  doc += "\n\n>>> mx." + name + (two ? "(mx.array([1, 2]), mx.array([2, 1])).shape\n(2,)" : row.types.has(float32) ? "(mx.array([0.5, 0.75])).shape\n(2,)" : "(mx.array([1, 2])).shape\n(2,)");
  return doc;
}

std::vector<Def> family_rows() {
  std::vector<Def> rows;
  for (const Op* op : elementwise_ops()) {
    const auto& family = *static_cast<const ElementwiseFamily*>(op->family);
    bool hidden = false;
    for (auto& r : renamed) hidden |= std::strcmp(r.op, op->name) == 0;
    if (hidden) continue;
    const bool two = family.operands == 2;
    auto add = [&](const std::string& name, bool method) {
      Def d{name + (two ? "(a, b, stream=None)" : "(a, stream=None)"), doc_of(family.row, two, name), {}, method, "", {}, "", op};
      d.arity = two ? 3 : 2;
      d.types = {type_name<Operand>(), type_name<Stream>(), type_name<array>()};
      if (two) d.types.insert(d.types.begin(), type_name<Operand>());
      if (two)
        d.invoke = [op](PyObject* const* v) {
          const Stream s = v[2] == Py_None ? default_stream() : to_stream(v[2], {op->name, "stream"});
          if (is_array(v[0]) && is_array(v[1])) return wrap(binary(*op, peek(v[0]), peek(v[1]), s));
          const Operand a = to_operand(v[0], {op->name, "a"}), b = to_operand(v[1], {op->name, "b"});
          return wrap(binary(*op, a, b, s));
        };
      else
        d.invoke = [op](PyObject* const* v) {
          const Operand a = to_operand(v[0], {op->name, "a"});
          return wrap(unary(*op, a, to_stream(v[1], {op->name, "stream"})));
        };
      rows.push_back(std::move(d));
    };
    add(op->name, !two);
    for (auto& a : aliases)
      if (std::strcmp(a.op, op->name) == 0) add(a.name, false);
  }
  return rows;
}

const Register family{"", family_rows()};

std::optional<Operand> optional_operand(PyObject* o, const Argument& op) {
  if (o == Py_None) return std::nullopt;
  return to_operand(o, op);
}

const Register rows{"", {
    def("positive(a, stream=None)", [](O a, S) { return as_array(a, a.natural(), "positive"); },
        "a itself.\n\n>>> mx.positive(mx.array(-1))\narray(-1, dtype=int32)").cases({"x(2, 3)"})
        .large({"x(2, chunk + 1)"}),
    def("real(a, stream=None)", [](A a, S s) { return real(a, s); },
        "The real part; a itself where it is real.\n\n>>> mx.real(mx.array([1 + 2j]))\narray([1], dtype=float32)").cases({"x(2, 3)"})
        .large({"x(2, chunk + 1)"}),
    def("imag(a, stream=None)", [](A a, S s) { return imag(a, s); },
        "The imaginary part; zeros where a is real.\n\n>>> mx.imag(mx.array([1 + 2j]))\narray([2], dtype=float32)").cases({"x(2, 3)"})
        .large({"x(2, chunk + 1)"}),
    def("conjugate(a, stream=None)", [](A a, S s) { return conjugate(a, s); },
        "The complex conjugate; a itself where it is real.\n\n>>> mx.conjugate(mx.array([1 + 2j]))\narray([1-2j], dtype=complex64)")
        .method().cases({"x(2, 3)"})
        .large({"x(2, chunk + 1)"}),
    def("conj(a, stream=None)", [](A a, S s) { return conjugate(a, s); },
        "The complex conjugate; a itself where it is real.\n\n>>> mx.conj(mx.array([1 + 2j]))\narray([1-2j], dtype=complex64)").method()
        .cases({"x(2, 3)"}, "np.conj"),
    def("bitwise_invert(a, stream=None)", [](O a, S s) { return bitwise_invert(a, s); },
        "Every bit the other way; `not` for bool. ValueError for other dtypes.\n\n>>> mx.bitwise_invert(mx.array([0, 1]))\narray([-1, -2], dtype=int32)")
        .cases({"i(9, 2, 3)"})
        .large({"i(9, 2, chunk + 1)"}),
    def("isinf(a, stream=None)", [](O a, S s) { return isinf(a, s); },
        "True where a (or a part of it) is infinite.\n\n>>> mx.isinf(mx.array([1.0, -mx.inf]))\narray([False, True], dtype=bool)").cases({"x(2, 3)"})
        .large({"x(2, chunk + 1)"}),
    def("isposinf(a, stream=None)", [](O a, S s) { return isposinf(a, s); },
        "True where a is infinity.\n\n>>> mx.isposinf(mx.array([mx.inf, -mx.inf]))\narray([True, False], dtype=bool)")
        .cases({"x(2, 3)"}),
    def("isneginf(a, stream=None)", [](O a, S s) { return isneginf(a, s); },
        "True where a is minus infinity.\n\n>>> mx.isneginf(mx.array([mx.inf, -mx.inf]))\narray([False, True], dtype=bool)")
        .cases({"x(2, 3)"}),
    def("isfinite(a, stream=None)", [](O a, S s) { return isfinite(a, s); },
        "True where a is neither infinite nor nan.\n\n>>> mx.isfinite(mx.array([1.0, mx.nan]))\narray([True, False], dtype=bool)").cases({"x(2, 3)"})
        .large({"x(2, chunk + 1)"}),
    def("isclose(a, b, /, rtol=1e-05, atol=1e-08, *, equal_nan=False, stream=None)",
        [](O a, O b, double rtol, double atol, bool equal_nan, S s) { return isclose(a, b, rtol, atol, equal_nan, s); },
        "True where |a - b| <= atol + rtol * |b|; infinities are close only to themselves, nan (unless equal_nan) to nothing.\n\n"
        ">>> mx.isclose(mx.array([1.0, 2.0]), 1.0)\narray([True, False], dtype=bool)").cases({"x(2, 3), x(2, 3)"})
        .large({"x(2, chunk + 1), x(chunk + 1)", "x(tile + 1, 1), x(1, inner + 1)"}),
    def("round(a, /, decimals=0, stream=None)", [](O a, int decimals, S s) { return round(a, decimals, s); },
        "Rounded to that many decimals, halves to even; negative decimals round left of the point. The dtype is kept.\n\n"
        ">>> mx.round(mx.array([0.5, 1.5, 2.25]), 0)\narray([0, 2, 2], dtype=float32)").method().cases({"x(2, 3)", "x(2, 3), 1"})
        .large({"x(2, chunk + 1)"}),
    def("clip(a, /, a_min, a_max, *, stream=None)",
        [](O a, PyObject* low, PyObject* high, S s) { return clip(a, optional_operand(low, {"clip", "a_min"}), optional_operand(high, {"clip", "a_max"}), s); },
        "a between two bounds, which broadcast; None is no bound.\n\n>>> mx.clip(mx.array([-1, 0, 5]), 0, 3)\narray([0, 0, 3], dtype=int32)")
        .cases({"x(2, 3), -0.5, 0.5", "x(2, 3), x(3), None"})
        .large({"x(2, chunk + 1), -0.5, 0.5", "x(tile + 1, inner + 1), x(inner + 1), None"}),
    def("nan_to_num(a, nan=0, posinf=None, neginf=None, *, stream=None)",
        [](O a, double nan, std::optional<double> posinf, std::optional<double> neginf, S s) { return nan_to_num(a, nan, posinf, neginf, s); },
        "nan and infinities replaced; by default infinities become the largest finite numbers of the dtype.\n\n"
        ">>> mx.nan_to_num(mx.array([mx.nan, 1.0]))\narray([0, 1], dtype=float32)").cases({"x(2, 3)"})
        .large({"x(2, chunk + 1)"}),
    def("degrees(a, stream=None)", [](O a, S s) { return degrees(a, s); },
        "Radians as degrees.\n\n>>> mx.degrees(mx.array(mx.pi))\narray(180, dtype=float32)").cases({"x(2, 3)"})
        .large({"x(2, chunk + 1)"}),
    def("radians(a, stream=None)", [](O a, S s) { return radians(a, s); },
        "Degrees as radians.\n\n>>> mx.radians(mx.array(180.0))\narray(3.14159, dtype=float32)").cases({"x(2, 3)"})
        .large({"x(2, chunk + 1)"}),
    def("where(condition, x, y, /, *, stream=None)", [](O c, O x, O y, S s) { return where(c, x, y, s); },
        "x where the condition is not zero, else y; all three broadcast, x and y promote.\n\n"
        ">>> mx.where(mx.array([True, False]), 1.0, mx.array([5, 6]))\narray([1, 6], dtype=float32)")
        .cases({"b(2, 3), x(2, 3), x(3)", "b(3), x(2, 1), 2.0"})
        .large({"b(2, chunk + 1), x(chunk + 1), x(2, 1)", "b(tile + 1, 1), x(inner + 1), 2.0"}),
    def("divmod(a, b, stream=None)", [](O a, O b, S s) { return std::vector<array>{floor_divide(a, b, s), remainder(a, b, s)}; },
        "[a // b, a % b].\n\n>>> mx.divmod(mx.array(7), 2)\n[array(3, dtype=int32), array(1, dtype=int32)]")
        .cases({"x(2, 3) + 9, x(3) + 7"}, "lambda a, b: list(np.divmod(a, b))"),
    def("astype(a, dtype, /, *, stream=None)", [](A a, Dtype t, S s) { return astype(a, t, s); },
        "The values in another dtype: floats truncate towards zero, integers wrap, what is not zero is True.\n\n"
        ">>> mx.astype(mx.array([1.9, -1.9]), mx.int32)\narray([1, -1], dtype=int32)").cases({"x(2, 3), mx.float64"}, "lambda a, t: a.real.astype('float64')")
        .large({"x(2, chunk + 1), mx.float64"}),
    def("_stop_gradient(a, /, *, stream=None)", [](A a, S s) { return stop_gradient(a, s); }, "a, constant to derivatives."),
    def("zeros_like(a, /, dtype=None, *, stream=None)",
        [](A a, std::optional<Dtype> t, S s) { return constant(0, a.shape(), t.value_or(a.dtype()), s); },
        "Zeros of the shape (and dtype, unless another is given) of a.\n\n>>> mx.zeros_like(mx.array([1, 2]))\narray([0, 0], dtype=int32)").cases({"x(2, 3)"})
        .large({"x(2, chunk + 1)"}),
    def("ones_like(a, /, dtype=None, *, stream=None)",
        [](A a, std::optional<Dtype> t, S s) { return constant(1, a.shape(), t.value_or(a.dtype()), s); },
        "Ones of the shape (and dtype, unless another is given) of a.\n\n>>> mx.ones_like(mx.array([1, 2]))\narray([1, 1], dtype=int32)").cases({"x(2, 3)"})
        .large({"x(2, chunk + 1)"}),
}};

const Register methods{"array", {
    def("astype(a, dtype, stream=None)", [](A a, Dtype t, S s) { return astype(a, t, s); },
        "The values in another dtype; see mx.astype."),
}};

}  // namespace

// Every function with samples, and every elementwise row: what the table tests loop over.
void add_op_table(py::module_& m) {
  m.def("_table", [] {
    py::list out;
    for (auto& [module, defs] : all_functions())
      for (auto& d : defs) {
        py::dict row;
        row["module"] = module;
        row["name"] = d.signature.substr(0, d.signature.find('('));
        row["signature"] = d.signature;
        row["doc"] = d.doc;
        py::list cases;
        for (auto& c : d.samples) cases.append(c);
        row["cases"] = cases;
        py::list large;
        for (auto& c : d.beyond) large.append(c);
        row["large"] = large;
        row["reference"] = d.reference;
        row["method"] = d.is_method;
        row["types"] = py::cast(d.types);
        row["arity"] = d.arity;
        row["same_bits_in_any_layout"] = d.any_layout;
        if (d.op) {
          const auto& op = *static_cast<const Op*>(d.op);
          const auto& family = *static_cast<const ElementwiseFamily*>(op.family);
          py::list types;
          for (int i = 0; i < dtype_count; ++i)
            if (family.row.types.has(Dtype(i))) types.append(name_of(Dtype(i)));
          row["operands"] = family.operands;
          row["dtypes"] = types;
          row["low"] = family.row.lo;
          row["high"] = family.row.hi;
          row["ulp"] = family.row.ulp;
          row["differentiable"] = op.vjp != nullptr;
        }
        out.append(row);
      }
    return out;
  });
  // Where work is cut: what the cases name.
  m.def("_limits", [] {
    return std::map<std::string, int64_t>{
        {"block", block_size}, {"chunk", chunk_size}, {"grain", grain}, {"tile", tile_columns}, {"inner", inner_block},
        {"lanes", reduce_lanes}, {"tree", reduce_chunk}};
  });
  m.def("_set_least_cost", &cpu::set_least_cost);
}

}  // namespace lazulite::bind
