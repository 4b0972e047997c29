// Dtype, DtypeCategory, finfo, iinfo and questions about dtypes.
#include <pybind11/operators.h>
#include <pybind11/pybind11.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "bind/array_class.h"
#include "bind/def.h"
#include "bind/module.h"

namespace py = pybind11;

namespace lazulite::bind {

namespace {

struct PyDtype {
  Dtype type;
};
PyObject* objects[dtype_count];  // one object per dtype, for ever

struct Category {
  const char* name;
  DtypeCategory category;
};
constexpr Category categories[] = {
    {"complexfloating", DtypeCategory::complexfloating}, {"floating", DtypeCategory::floating},
    {"inexact", DtypeCategory::inexact}, {"signedinteger", DtypeCategory::signedinteger},
    {"unsignedinteger", DtypeCategory::unsignedinteger}, {"integer", DtypeCategory::integer},
    {"number", DtypeCategory::number}, {"generic", DtypeCategory::generic},
};

std::optional<Dtype> by_name(std::string_view name) {
  if (name == "float") return float32;
  if (name == "int") return int32;
  if (name == "complex") return complex64;
  if (name == "bool_") return bool_;
  for (int i = 0; i < dtype_count; ++i)
    if (name == dtype_info[i].name) return Dtype(i);
  return std::nullopt;
}

struct FloatLimits {
  double min, max, eps, smallest_normal;
  Dtype dtype;
  int bits;
};
FloatLimits float_limits(Dtype t) {
  switch (real_type(t)) {
    case float16: return {-65504, 65504, 0x1p-10, 0x1p-14, t, 16};
    case bfloat16: return {-0x1.fep127, 0x1.fep127, 0x1p-7, 0x1p-126, t, 16};
    case float32:
      return {-double(std::numeric_limits<float>::max()),
              double(std::numeric_limits<float>::max()),
              0x1p-23,
              0x1p-126,
              t,
              32};
    case float64:
      return {-std::numeric_limits<double>::max(),
              std::numeric_limits<double>::max(),
              0x1p-52,
              0x1p-1022,
              t,
              64};
    default: fail(Kind::value, "finfo", "not a floating dtype: got ", t);
  }
}
struct IntLimits {
  py::object min, max;
  Dtype dtype;
};
IntLimits int_limits(Dtype t) {
  if (!is_integer(t)) fail(Kind::value, "iinfo", "not an integer dtype: got ", t);
  const int bits = int(size_of(t)) * 8;
  if (is_unsigned(t))
    return {py::int_(0), py::int_(bits == 64 ? UINT64_MAX : (uint64_t(1) << bits) - 1), t};
  return {py::int_(-(int64_t(1) << (bits - 2)) * 2),
          py::int_((int64_t(1) << (bits - 2)) - 1 + (int64_t(1) << (bits - 2))), t};
}

Dtype wanted(py::handle o, const char* op) {
  auto t = to_dtype(o.ptr(), op);
  if (!t) wrong_kind(o.ptr(), op, "a dtype");
  return *t;
}
Dtype wanted_or_of(py::handle o, const char* op) {  // of an array: its own
  return is_array(o.ptr()) ? peek(o.ptr()).dtype() : wanted(o, op);
}
py::object as_object(Dtype t) { return py::reinterpret_steal<py::object>(from_dtype(t)); }

bool is_subtype(py::handle a, py::handle b) {
  const bool category_a = py::isinstance<DtypeCategory>(a);
  if (py::isinstance<DtypeCategory>(b)) {
    const auto c = b.cast<DtypeCategory>();
    return category_a ? in_category(a.cast<DtypeCategory>(), c)
                      : in_category(wanted(a, "issubdtype"), c);
  }
  return !category_a && wanted(a, "issubdtype") == wanted(b, "issubdtype");
}

bool is_kind(Dtype d, PyObject* kind) {
  if (!PyUnicode_Check(kind)) return is_subtype(objects[int(d)], kind);
  const std::string name = text_of(kind, {"isdtype", "kind"});
  if (name == "bool") return is_bool(d);
  if (name == "signed integer") return is_signed_int(d);
  if (name == "unsigned integer") return is_unsigned(d);
  if (name == "integral") return is_integer(d);
  if (name == "real floating") return is_floating(d);
  if (name == "complex floating") return is_complex(d);
  if (name == "numeric") return !is_bool(d);
  fail(Kind::value, "isdtype", "unknown kind: got '", name, "'");
}

Dtype dtype_of_all(PyObject* all) {
  std::optional<Dtype> t;
  std::vector<Scalar> numbers;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(all); ++i) {
    PyObject* o = PyTuple_GET_ITEM(all, i);
    if (is_number(o)) {
      numbers.push_back(to_scalar(o, {"result_type"}));
      continue;
    }
    const Dtype d = wanted_or_of(o, "result_type");
    t = t ? promote(*t, d) : d;
  }
  const bool typed = t.has_value();
  for (const Scalar& number : numbers) {
    const Operand weak(number), found(constant(0, {}, t.value_or(bool_)));
    t = !t      ? number.natural()
        : typed ? result_type({&found, &weak})
                : promote(*t, number.natural());
  }
  return *t;
}

void add_rows(Functions& m) {
  m.def(
      "issubdtype(arg1, arg2)", [](PyObject* a, PyObject* b) { return is_subtype(a, b); },
      "True when the dtype or category arg1 belongs to arg2.\n\n"
      ">>> mx.issubdtype(mx.float16, mx.floating)\n"
      "True");
  m.def(
      "isdtype(dtype, kind)",
      [](PyObject* t, PyObject* kind) {
        const Dtype d = wanted(t, "isdtype");
        if (!PyTuple_Check(kind)) return is_kind(d, kind);
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(kind); ++i)
          if (is_kind(d, PyTuple_GET_ITEM(kind, i))) return true;
        return false;
      },
      "True when the dtype is of the kind named as in the array API standard ('integral', "
      "'real floating', ...), of a\n"
      "category or dtype, or of one of a tuple of these.\n\n"
      ">>> mx.isdtype(mx.int8, 'integral')\n"
      "True");
  m.def(
      "can_cast(from_, to)",
      [](PyObject* from, PyObject* to) {
        return can_cast(wanted_or_of(from, "can_cast"), wanted(to, "can_cast"));
      },
      "True when a promotion would turn the first dtype (or array's dtype) into the second.\n\n"
      ">>> mx.can_cast(mx.int32, mx.float16)\n"
      "True");
  m.def(
      "result_type(*arrays_and_dtypes)",
      [](PyObject* all) {
        const Py_ssize_t n = PyTuple_GET_SIZE(all);
        if (n == 0) fail(Kind::value, "result_type", "no arguments: expected arrays or dtypes");
        return dtype_of_all(all);
      },
      "The dtype in which arrays, dtypes and Python numbers meet; a number takes that of the others "
      "where its kind fits.\n\n"
      ">>> mx.result_type(mx.int8, 1)\n"
      "lazulite.core.int8\n"
      ">>> mx.result_type(mx.float16, mx.bfloat16)\n"
      "lazulite.core.float32");
}
const Register rows{add_rows};

py::object numpy_dtype(const PyDtype& t) {
  const py::object make = py::module_::import("numpy").attr("dtype");
  if (t.type != bfloat16) return make(name_of(t.type));
  try {
    return make(py::module_::import("ml_dtypes").attr("bfloat16"));
  } catch (py::error_already_set& e) {
    if (!e.matches(PyExc_ImportError)) throw;
    fail(Kind::type, "dtype", "NumPy has no bfloat16 without the package ml_dtypes");
  }
}

}  // namespace

std::optional<Dtype> dtype_by_name(std::string_view name) { return by_name(name); }

PyObject* from_dtype(Dtype t) { return Py_NewRef(objects[int(t)]); }

std::optional<Dtype> to_dtype(PyObject* o, const Argument& at) {
  if (o == Py_None) return std::nullopt;
  for (int i = 0; i < dtype_count; ++i)
    if (objects[i] == o) return Dtype(i);
  std::optional<Dtype> found;
  if (PyUnicode_Check(o)) {
    found = by_name(text_of(o, at));
  } else if (PyType_Check(o)) {  // float, np.float32
    const char* name = reinterpret_cast<PyTypeObject*>(o)->tp_name;
    if (const char* dot = std::strrchr(name, '.')) name = dot + 1;
    found = by_name(name);
  } else if (PyObject* name = PyObject_GetAttrString(o, "name")) {  // np.dtype
    const char* text = PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : nullptr;
    if (text) found = by_name(text);
    Py_DECREF(name);
  }
  PyErr_Clear();
  if (!found) wrong_kind(o, at, "a dtype such as float32");
  return found;
}

void add_dtypes(py::module_& m) {
  py::options options;
  options.disable_function_signatures();
  py::class_<PyDtype>(m, "Dtype",
                      "The type of an array's elements: lazulite.core.float32 and so on.")
      .def_property_readonly(
          "size", [](const PyDtype& t) { return size_of(t.type); }, "Bytes of an element.")
      .def_property_readonly("name", [](const PyDtype& t) { return name_of(t.type); })
      .def_property_readonly("dtype", numpy_dtype,
                             "The same as a dtype of NumPy: what np.dtype(mx.float32) asks for.")
      .def_property_readonly("__numpy_dtype__", numpy_dtype)
      .def("__repr__",
           [](const PyDtype& t) { return std::string("lazulite.core.") + name_of(t.type); })
      .def("__eq__",
           [](const PyDtype& t, py::object o) {
             return py::isinstance<PyDtype>(o) && o.cast<PyDtype&>().type == t.type;
           })
      .def("__hash__", [](const PyDtype& t) { return 977 + int(t.type); })
      .def("__reduce__", [](const PyDtype& t) {
        return std::string(is_bool(t.type) ? "bool_" : name_of(t.type));
      });
  m.attr("Dtype").attr("__module__") = "lazulite.core";
  for (int i = 0; i < dtype_count; ++i) {
    objects[i] = py::cast(PyDtype{Dtype(i)}).release().ptr();
    m.attr(i == 0 ? "bool_" : dtype_info[i].name) = py::handle(objects[i]);
  }
  py::enum_<DtypeCategory> category(m, "DtypeCategory", "Groups of dtypes, for issubdtype.");
  category.attr("__module__") = "lazulite.core";
  for (auto& c : categories) category.value(c.name, c.category);
  category.export_values();

  py::class_<FloatLimits>(m, "finfo", "Limits of a floating dtype, or of that of an array.")
      .def(py::init([](py::object t) { return float_limits(wanted_or_of(t, "finfo")); }),
           py::arg("dtype"), "__init__(self, type, /)\n--\n\nLimits of a dtype.")
      .def_readonly("min", &FloatLimits::min)
      .def_readonly("max", &FloatLimits::max)
      .def_readonly("eps", &FloatLimits::eps)
      .def_readonly("smallest_normal", &FloatLimits::smallest_normal)
      .def_readonly("tiny", &FloatLimits::smallest_normal)
      .def_readonly("bits", &FloatLimits::bits)
      .def_property_readonly("dtype",
                             [](const FloatLimits& l) { return as_object(real_type(l.dtype)); })
      .def("__repr__", [](const FloatLimits& l) {
        return py::str("finfo(min={}, max={}, dtype={})")
            .format(l.min, l.max, name_of(real_type(l.dtype)));
      });
  py::class_<IntLimits>(m, "iinfo", "Limits of an integer dtype, or of that of an array.")
      .def(py::init([](py::object t) { return int_limits(wanted_or_of(t, "iinfo")); }),
           py::arg("dtype"), "__init__(self, type, /)\n--\n\nLimits of a dtype.")
      .def_readonly("min", &IntLimits::min)
      .def_readonly("max", &IntLimits::max)
      .def_property_readonly("bits", [](const IntLimits& l) { return size_of(l.dtype) * 8; })
      .def_property_readonly("dtype", [](const IntLimits& l) { return as_object(l.dtype); })
      .def("__repr__", [](const IntLimits& l) {
        return py::str("iinfo(min={}, max={}, dtype={})").format(l.min, l.max, name_of(l.dtype));
      });
}

}  // namespace lazulite::bind
