// What the parameters of functions take from Python, and what is said of anything else; results.
#include <cstring>
#include <memory>

#include "bind/def.h"
#include "ops/attention/attention.h"
#include "ops/compose/einsum.h"
#include "ops/compose/shape.h"
#include "ops/conv/conv.h"
#include "ops/elementwise/elementwise.h"
#include "ops/linalg/linalg.h"
#include "ops/numeric/numeric.h"

namespace lazulite::bind {

std::string describe(PyObject* o) {
  const bool text = PyUnicode_Check(o);
  if (is_array(o)) return "array";
  if (!text && o != Py_None && !PyBool_Check(o) && !PyLong_CheckExact(o) && !PyFloat_CheckExact(o))
    return Py_TYPE(o)->tp_name;
  PyObject* shown = PyObject_Repr(o);
  const char* utf8 = shown ? PyUnicode_AsUTF8(shown) : nullptr;
  std::string out = utf8 ? utf8 : Py_TYPE(o)->tp_name;
  Py_XDECREF(shown);
  PyErr_Clear();  // an int of ten thousand digits has no repr
  if (out.size() > 60) {
    size_t end = 57;
    while (end && (out[end] & 0xc0) == 0x80) --end;
    out = out.substr(0, end) + "...";
  }
  return text ? "str " + out : out;
}

void wrong_kind(PyObject* got, const Argument& at, const char* expected) {
  fail(Kind::argument, at.function, at.name ? at.name : "", at.name ? ": " : "", "got ",
       describe(got), ", expected ", expected, at.hint ? "; " : "", at.hint ? at.hint : "");
}

std::string text_of(PyObject* o, const Argument& at) {
  if (!PyUnicode_Check(o)) wrong_kind(o, at, "a str");
  Py_ssize_t n;
  const char* data = PyUnicode_AsUTF8AndSize(o, &n);
  if (!data) {  // half of a surrogate pair
    PyErr_Clear();
    wrong_kind(o, at, "a str of valid characters");
  }
  return {data, size_t(n)};
}

namespace {
// An exception that Python code of an argument raised is the caller's, unless it only says "not of
// this kind".
void pass_unless_type_error() {
  if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_TypeError)) throw PythonError{};
  PyErr_Clear();
}

// How numbers beyond 64 (or, of axes, 32) bits are answered depends on what they stand for.
bool is_axis(const Argument& at) {
  return at.name && (std::strstr(at.name, "axis") || std::strstr(at.name, "axes") ||
                     !std::strcmp(at.name, "source") || !std::strcmp(at.name, "destination"));
}
bool is_size(const Argument& at) {
  if (at.size) return true;
  for (const char* name :
       {"shape", "reps", "repeats", "n", "m", "num", "M", "num_samples", "pad_width", "slice_size"})
    if (at.name && !std::strcmp(at.name, name)) return true;
  return false;
}
[[noreturn]] void too_large(const Argument& at, bool negative) {
  const char *name = at.name ? at.name : "", *colon = at.name ? ": " : "";
  if (is_axis(at))
    fail(Kind::index, at.function, name, colon, "out of range: a number beyond 64 bits");
  if (is_size(at) && negative) fail(Kind::value, at.function, name, colon, "negative size");
  if (is_size(at)) fail(Kind::memory, at.function, name, colon, "too large: a size beyond 2^63");
  fail(Kind::overflow, at.function, name, colon, "number does not fit in 64 bits");
}
int64_t beyond(const Argument& at, bool negative) {
  if (!at.ends) too_large(at, negative);
  return negative ? INT64_MIN : INT64_MAX;
}

int64_t from_index(PyObject* index, const Argument& at) {
  int overflow = 0;
  const long long v = PyLong_AsLongLongAndOverflow(index, &overflow);
  Py_DECREF(index);
  return overflow ? beyond(at, overflow < 0) : v;
}
}  // namespace

bool is_whole(PyObject* o) {
  if (PyLong_Check(o)) return true;
  if (is_array(o)) return unwrap(o).ndim() == 0 && is_integer(unwrap(o).dtype());
  PyObject* index = PyIndex_Check(o) ? PyNumber_Index(o) : nullptr;
  if (!index) pass_unless_type_error();
  Py_XDECREF(index);
  return index;
}

Items::Items(PyObject* o, const Argument& at, const char* expected, Py_ssize_t most) {
  if (PyTuple_Check(o) || PyList_Check(o)) {
    tuple = PySequence_Tuple(o);
    if (!tuple) throw PythonError{};
    return;
  }
  // Of others the length is asked first: what has none may have no end.
  const bool sized = !PyUnicode_Check(o) && !PyBytes_Check(o) && !PyByteArray_Check(o) &&
                     !PyDict_Check(o) && !PyAnySet_Check(o) && !PyType_Check(o);
  if (!sized || PyObject_Size(o) < 0) {
    pass_unless_type_error();
    wrong_kind(o, at, expected);
  }
  PyObject* iterator = PyObject_GetIter(o);
  if (!iterator) {
    pass_unless_type_error();
    wrong_kind(o, at, expected);
  }
  PyObject* list = PyList_New(0);
  bool good = list != nullptr;
  while (PyObject* item = good ? PyIter_Next(iterator) : nullptr) {
    good = PyList_Append(list, item) == 0;
    Py_DECREF(item);
    if (good && PyList_GET_SIZE(list) > most) {
      Py_DECREF(list);
      Py_DECREF(iterator);
      fail(Kind::value, at.function, at.name ? at.name : "", at.name ? ": " : "",
           "too many items: got ", Py_TYPE(o)->tp_name, ", expected a list, or at most ", most);
    }
  }
  Py_DECREF(iterator);
  tuple = good && !PyErr_Occurred() ? PyList_AsTuple(list) : nullptr;
  Py_XDECREF(list);
  if (!tuple) throw PythonError{};
}

Operand From<Operand>::of(PyObject* o, const Argument& at) { return to_operand(o, at); }
array From<array>::of(PyObject* o, const Argument& at) { return to_array(o, at); }
Scalar From<Scalar>::of(PyObject* o, const Argument& at) { return to_scalar(o, at); }
Stream From<Stream>::of(PyObject* o, const Argument& at) { return to_stream(o, at); }

bool From<bool>::of(PyObject* o, const Argument&) {
  const int truth = PyObject_IsTrue(o);
  if (truth < 0) throw PythonError{};
  return truth;
}
// An int, or what stands for one: NumPy's integers, and arrays of one integer.
int64_t From<int64_t>::of(PyObject* o, const Argument& at) {
  if (PyLong_Check(o)) return from_index(Py_NewRef(o), at);
  if (is_array(o)) {
    const array a = unwrap(o);
    if (!is_integer(a.dtype()) || a.size() != 1) wrong_kind(o, at, "an int");
    const Scalar v = a.item();
    return v.kind() == 'u' ? beyond(at, false) : v.wrapped();
  }
  if (!PyIndex_Check(o)) wrong_kind(o, at, "an int");
  PyObject* index = PyNumber_Index(o);
  if (!index) {
    pass_unless_type_error();
    // NumPy's arrays of one integer with axes
    PyObject* item = PyObject_HasAttrString(o, "__array_interface__")
                         ? PyObject_CallMethod(o, "item", nullptr)
                         : nullptr;
    PyErr_Clear();
    const bool whole = item && PyLong_Check(item) && !PyBool_Check(item);
    if (!whole) {
      Py_XDECREF(item);
      wrong_kind(o, at, "an int");
    }
    index = item;
  }
  return from_index(index, at);
}
uint64_t From<uint64_t>::of(PyObject* o, const Argument& at) {
  if (is_array(o) || !PyIndex_Check(o)) wrong_kind(o, at, "an int");
  PyObject* index = PyNumber_Index(o);
  if (!index) {
    pass_unless_type_error();
    wrong_kind(o, at, "an int");
  }
  const unsigned long long v = PyLong_AsUnsignedLongLong(index);
  Py_DECREF(index);
  if (v == static_cast<unsigned long long>(-1) && PyErr_Occurred()) {
    PyErr_Clear();
    wrong_kind(o, at, "a non-negative int below 2^64");
  }
  return v;
}
int From<int>::of(PyObject* o, const Argument& at) {
  const int64_t v = From<int64_t>::of(o, at);
  if (v == int(v)) return int(v);
  const char *name = at.name ? at.name : "", *colon = at.name ? ": " : "";
  if (is_axis(at)) fail(Kind::index, at.function, name, colon, "out of range: got ", v);
  if (is_size(at))
    fail(v < 0 ? Kind::value : Kind::memory, at.function, name, colon,
         v < 0 ? "negative size: got " : "too large: got ", v);
  fail(Kind::overflow, at.function, name, colon, "number does not fit in 32 bits: got ", v);
}
double From<double>::of(PyObject* o, const Argument& at) {
  // NumPy would drop the imaginary part.
  if (PyComplex_Check(o) || std::string_view(Py_TYPE(o)->tp_name).rfind("numpy.complex", 0) == 0)
    wrong_kind(o, at, "a real number");
  const double v = PyFloat_AsDouble(o);
  if (v == -1.0 && PyErr_Occurred()) {
    if (PyErr_ExceptionMatches(PyExc_OverflowError) && PyLong_Check(o)) {
      PyErr_Clear();
      return to_scalar(o, at).real();  // infinite
    }
    pass_unless_type_error();
    wrong_kind(o, at, "a number");
  }
  return v;
}
std::string From<std::string>::of(PyObject* o, const Argument& at) { return text_of(o, at); }
Shape From<Shape>::of(PyObject* o, const Argument& at) {
  constexpr const char* expected = "an int or a sequence of ints";
  Shape out;
  if (PyLong_Check(o)) {
    out.push_back(From<int64_t>::of(o, at));
    return out;
  }
  if (is_array(o)) {
    const array a = unwrap(o);
    if (!(is_integer(a.dtype()) || (a.size() == 0 && a.ndim() == 1)) || a.ndim() > 1)
      wrong_kind(o, at, expected);
    const char* data = static_cast<const char*>(a.raw());
    const int64_t step = a.ndim() ? a.strides()[0] * size_of(a.dtype()) : 0;
    for (int64_t i = 0; i < a.size(); ++i) {
      const Scalar v = Scalar::read(a.dtype(), data + i * step);
      if (v.kind() == 'u') too_large(at, false);
      out.push_back(v.wrapped());
    }
    return out;
  }
  if (PyIndex_Check(o)) {  // NumPy's arrays have the slot too, but only 0-d ones are numbers
    if (PyObject* index = PyNumber_Index(o)) {
      out.push_back(from_index(index, at));
      return out;
    }
    pass_unless_type_error();
  }
  const Items items(o, at, expected);
  for (Py_ssize_t i = 0; i < items.size(); ++i) out.push_back(From<int64_t>::of(items[i], at));
  return out;
}
Axes From<Axes>::of(PyObject* o, const Argument& at) {
  Axes out;
  for (int64_t v : From<Shape>::of(o, at)) {
    if (v != int(v))
      fail(Kind::index, at.function, at.name ? at.name : "axis", ": out of range: got ", v);
    out.push_back(int(v));
  }
  return out;
}
Dtype From<Dtype>::of(PyObject* o, const Argument& at) {
  auto t = to_dtype(o, at);
  if (!t) wrong_kind(o, at, "a dtype");
  return *t;
}
AxisPairs From<AxisPairs>::of(PyObject* o, const Argument& at) {
  const Items pair(o, at, "an int or a pair of lists of ints");
  if (pair.size() != 2)
    fail(Kind::value, at.function, at.name, ": got ", pair.size(),
         " items, expected an int or a pair of lists");
  return {From<Axes>::of(pair[0], at), From<Axes>::of(pair[1], at)};
}
Indices From<Indices>::of(PyObject* o, const Argument& at) {
  const array a = PyList_Check(o) || PyTuple_Check(o) ? make_array(o, std::nullopt)
                                                      : to_array(o, at);
  return {a.size() == 0 && is_floating(a.dtype()) ? astype(a, int64) : a};
}
NoneOnly From<NoneOnly>::of(PyObject* o, const Argument& at) {
  if (o != Py_None)
    fail(Kind::type, at.function, at.name, ": got ", Py_TYPE(o)->tp_name,
         ", expected None: arrays are not written to");
  return {};
}
Size From<Size>::of(PyObject* o, const Argument& at) {
  Argument size = at;
  size.size = true;
  return {From<int64_t>::of(o, size)};
}
Diagonal From<Diagonal>::of(PyObject* o, const Argument& at) {
  Argument far = at;
  far.ends = true;
  return {From<int64_t>::of(o, far)};
}
std::variant<Size, array> From<std::variant<Size, array>>::of(PyObject* o, const Argument& at) {
  if (!is_array(o) && is_whole(o)) return From<Size>::of(o, at);
  if (is_number(o)) wrong_kind(o, at, "an int or an array");
  return to_array(o, at);
}
Untyped From<Untyped>::of(PyObject* o, const Argument& at) {
  return {to_scalar(o, at).untyped()};
}
// 2, float("inf"), "fro"
linalg::Order From<linalg::Order>::of(PyObject* o, const Argument& at) {
  if (PyUnicode_Check(o)) return {text_of(o, at)};
  return {From<double>::of(o, at)};
}
// 10, "auto", [0, 1, 3]
Bins From<Bins>::of(PyObject* o, const Argument& at) {
  if (PyUnicode_Check(o)) return {text_of(o, at)};
  if (is_whole(o)) return {From<int64_t>::of(o, at)};
  if (is_number(o)) wrong_kind(o, at, "an int, edges, or the name of a rule");
  return {PyList_Check(o) || PyTuple_Check(o) ? make_array(o, std::nullopt) : to_array(o, at)};
}
// The same for both, or two of them in a list.
BinsPair From<BinsPair>::of(PyObject* o, const Argument& at) {
  if (!(PyList_Check(o) || PyTuple_Check(o)) || PySequence_Size(o) != 2) {
    const Bins both = From<Bins>::of(o, at);
    return {both, both};
  }
  const Items pair(o, at, "a pair");
  return {From<Bins>::of(pair[0], at), From<Bins>::of(pair[1], at)};
}
Range From<Range>::of(PyObject* o, const Argument& at) {
  const Items pair(o, at, "a pair of numbers");
  if (pair.size() != 2)
    fail(Kind::value, at.function, at.name, ": got ", pair.size(), " items, expected a pair");
  return {From<double>::of(pair[0], at), From<double>::of(pair[1], at)};
}
RangePair From<RangePair>::of(PyObject* o, const Argument& at) {
  const Items pair(o, at, "two pairs of numbers");
  if (pair.size() != 2)
    fail(Kind::value, at.function, at.name, ": got ", pair.size(), " items, expected two pairs");
  return {From<Range>::of(pair[0], at), From<Range>::of(pair[1], at)};
}
// 4, (1, 2), [(1, 2), (0, 3)]
Widths From<Widths>::of(PyObject* o, const Argument& at) {
  auto pair = [&at](PyObject* p) -> std::pair<int64_t, int64_t> {
    const Shape v = From<Shape>::of(p, at);
    if (v.size() == 1) return {v[0], v[0]};
    if (v.size() != 2) fail(Kind::value, at.function, "widths come in pairs: got ", v);
    return {v[0], v[1]};
  };
  if (is_whole(o)) return {pair(o)};
  const Items items(o, at, "an int, a pair, or a list of pairs");
  bool nested = false;
  for (Py_ssize_t i = 0; i < items.size(); ++i) nested |= !is_whole(items[i]);
  if (!nested || items.size() > max_axes) return {pair(items.tuple)};
  Widths widths;
  for (Py_ssize_t i = 0; i < items.size(); ++i) widths.push_back(pair(items[i]));
  return widths;
}
Margins From<Margins>::of(PyObject* o, const Argument& at) {
  if (!is_whole(o)) {
    const Items items(o, at, "an int, a list of them, or a pair of lists");
    bool nested = false;
    for (Py_ssize_t i = 0; i < items.size(); ++i) nested |= !is_whole(items[i]);
    if (nested) {
      if (items.size() != 2)
        fail(Kind::value, at.function, at.name, ": got ", items.size(),
             " lists, expected a pair: at the beginnings, at the ends");
      return {From<Shape>::of(items[0], at), From<Shape>::of(items[1], at)};
    }
  }
  const Shape both = From<Shape>::of(o, at);
  return {both, both};
}
// 0, (0, 1), [(0, 1), (2, 3)], an array
Sides From<Sides>::of(PyObject* o, const Argument& at) {
  if (PyList_Check(o) || PyTuple_Check(o)) return {make_array(o, std::nullopt)};
  return {From<Operand>::of(o, at)};
}
// True, "greedy", [(0, 1), (0, 1)], and NumPy's ["einsum_path", (0, 1), (0, 1)]
EinsumOrder From<EinsumOrder>::of(PyObject* o, const Argument& at) {
  if (PyUnicode_Check(o)) return {text_of(o, at), {}};
  if (PyBool_Check(o)) return {o == Py_True ? "auto" : "left", {}};
  const Items items(o, at, "a bool, a str, or a list of steps");
  EinsumOrder order{"path", {}};
  for (Py_ssize_t i = 0; i < items.size(); ++i)
    if (i > 0 || !PyUnicode_Check(items[i])) order.steps.push_back(From<Shape>::of(items[i], at));
  return order;
}
// "causal", or an array
AttentionMask From<AttentionMask>::of(PyObject* o, const Argument& at) {
  if (PyUnicode_Check(o)) return {text_of(o, at)};
  return {{}, From<array>::of(o, at)};
}
// A list of what T takes.
template <class T>
std::vector<T> list_of(PyObject* o, const Argument& at, const char* expected) {
  const Items items(o, at, expected);
  std::vector<T> out;
  out.reserve(size_t(items.size()));
  for (Py_ssize_t i = 0; i < items.size(); ++i) out.push_back(From<T>::of(items[i], at));
  return out;
}
std::vector<array> From<std::vector<array>>::of(PyObject* o, const Argument& at) {
  return list_of<array>(o, at, "a list of arrays");
}
std::vector<Shape> From<std::vector<Shape>>::of(PyObject* o, const Argument& at) {
  return list_of<Shape>(o, at, "a list of shapes");
}

PyObject* to_py(const std::vector<array>& arrays) {
  PyObject* list = PyList_New(Py_ssize_t(arrays.size()));
  for (size_t i = 0; i < arrays.size(); ++i) PyList_SET_ITEM(list, Py_ssize_t(i), wrap(arrays[i]));
  return list;
}
PyObject* to_py(const ArrayTuple& arrays) {
  PyObject* tuple = PyTuple_New(Py_ssize_t(arrays.size()));
  for (size_t i = 0; i < arrays.size(); ++i)
    PyTuple_SET_ITEM(tuple, Py_ssize_t(i), wrap(arrays[i]));
  return tuple;
}
PyObject* to_py(const std::string& text) {
  return PyUnicode_FromStringAndSize(text.data(), Py_ssize_t(text.size()));
}
PyObject* to_py(const OneOrMore& arrays) {
  return arrays.size() == 1 ? wrap(arrays[0])
                            : to_py(static_cast<const std::vector<array>&>(arrays));
}
PyObject* to_py(const OneOrTuple& arrays) {
  return arrays.size() == 1 ? wrap(arrays[0]) : to_py(ArrayTuple(arrays));
}
PyObject* to_py(const ArrayOrTuple& result) {
  return std::visit([](const auto& v) { return to_py(v); }, result.value);
}
PyObject* to_py(const EinsumPath& path) {
  PyObject* steps = PyList_New(Py_ssize_t(path.steps.size()));
  for (size_t i = 0; i < path.steps.size(); ++i)
    PyList_SET_ITEM(steps, Py_ssize_t(i), to_py(path.steps[i]));
  return Py_BuildValue("(NN)", steps, to_py(path.text));
}
PyObject* to_named(const char* type, const std::vector<array>& arrays) {
  if (arrays.size() == 1) return wrap(arrays[0]);
  PyObject* const module = PyImport_ImportModule("lazulite.core._results");
  PyObject* const kind = module ? PyObject_GetAttrString(module, type) : nullptr;
  PyObject* const items = kind ? to_py(ArrayTuple(arrays)) : nullptr;
  PyObject* const made = items ? PyObject_CallObject(kind, items) : nullptr;
  Py_XDECREF(module);
  Py_XDECREF(kind);
  Py_XDECREF(items);
  if (!made) throw PythonError{};
  return made;
}
PyObject* to_py(const Shape& shape) {
  PyObject* tuple = PyTuple_New(Py_ssize_t(shape.size()));
  for (size_t i = 0; i < shape.size(); ++i)
    PyTuple_SET_ITEM(tuple, Py_ssize_t(i), PyLong_FromLongLong(shape[i]));
  return tuple;
}

}  // namespace lazulite::bind
