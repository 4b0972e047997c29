// Keys of a[...] as Python gives them, and a.at[...].
#include <pybind11/pybind11.h>

#include "bind/array_class.h"
#include "bind/def.h"
#include "bind/module.h"
#include "graph/shown.h"
#include "ops/elementwise/elementwise.h"
#include "ops/shape/shape.h"

namespace py = pybind11;

namespace lazulite::bind {

namespace {

std::optional<int64_t> bound(PyObject* o) {
  if (o == Py_None) return std::nullopt;
  if (is_array(o)) {
    if (!is_integral(unwrap(o).dtype())) wrong_kind(o, {"index", "slice"}, "an integer");
    const array a = unwrap(o);
    if (a.dtype() != uint64) return array(a).item<int64_t>();
    return int64_t(std::min<uint64_t>(array(a).item<uint64_t>(), INT64_MAX));
  }
  PyObject* number = PyIndex_Check(o) ? PyNumber_Index(o) : nullptr;
  if (!number) {
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_TypeError)) throw PythonError{};
    PyErr_Clear();
    if (PyObject_HasAttrString(o, "__array__")) {  // NumPy's of one element
      const array a = to_array(o, {"index", "slice"});
      if (is_integer(a.dtype()) && a.size() == 1) return array(reshape(a, {})).item<int64_t>();
    }
    wrong_kind(o, {"index", "slice"}, "an integer or None");
  }
  int overflow = 0;
  const long long v = PyLong_AsLongLongAndOverflow(number, &overflow);
  Py_DECREF(number);
  return overflow > 0 ? INT64_MAX : overflow < 0 ? INT64_MIN + 1 : v;
}

IndexItem read_item(PyObject* o, bool writing) {
  if (PyLong_CheckExact(o)) {
    int overflow = 0;
    const long long v = PyLong_AsLongLongAndOverflow(o, &overflow);
    if (overflow) fail(Kind::index, "index", "index out of range: does not fit in 64 bits");
    return {IndexItem::number, v, {}, {}, {}, {}};
  }
  if (PySlice_Check(o)) {
    auto* s = reinterpret_cast<PySliceObject*>(o);
    return {IndexItem::range, 0, bound(s->start), bound(s->stop), bound(s->step), {}};
  }
  if (o == Py_None) return {IndexItem::newaxis, 0, {}, {}, {}, {}};
  if (o == Py_Ellipsis) return {IndexItem::ellipsis, 0, {}, {}, {}, {}};
  if (PyBool_Check(o)) {
    if (!writing)
      fail(Kind::value, "index", "a bool as an index: got ", o == Py_True ? "True" : "False",
           ", expected an integer");
    return {IndexItem::indices, 0, {}, {}, {}, constant(o == Py_True, {}, bool_)};
  }
  if (is_array(o)) {
    const array a = unwrap(o);
    if (!is_integral(a.dtype()))
      fail(Kind::value, "index", "indices of ", a.dtype(), ", expected integers or bool");
    return {IndexItem::indices, 0, {}, {}, {}, a};
  }
  if (PyIndex_Check(o)) {  // NumPy's integers; its arrays have the slot, too
    if (PyObject* number = PyNumber_Index(o)) {
      struct Drop {
        PyObject* o;
        ~Drop() { Py_DECREF(o); }
      } drop{number};
      return {IndexItem::number, *bound(number), {}, {}, {}, {}};
    }
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw PythonError{};
    PyErr_Clear();
  }
  if (PyList_Check(o) || PyTuple_Check(o) || PyObject_CheckBuffer(o)) {
    const array a = make_array(o, std::nullopt);
    if (a.size() == 0) return {IndexItem::indices, 0, {}, {}, {}, astype(a, int64)};
    if (!is_integral(a.dtype()))
      fail(Kind::value, "index", "indices of ", a.dtype(), ", expected integers or bool");
    return {IndexItem::indices, 0, {}, {}, {}, a};
  }
  fail(Kind::value, "index", "not an index: got ", Py_TYPE(o)->tp_name,
       ", expected integers, slices, ..., None, or arrays of integers or bool");
}

IndexItems read_key(PyObject* key, bool writing) {
  IndexItems items;
  if (PyTuple_Check(key)) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); ++i)
      items.push_back(read_item(PyTuple_GET_ITEM(key, i), writing));
  } else {
    items.push_back(read_item(key, writing));
  }
  return items;
}

Operand value_of(PyObject* value) {
  if (PyList_Check(value) || PyTuple_Check(value)) return make_array(value, std::nullopt);
  return to_operand(value, "index");
}

// A whole number within 62 bits, or None.
bool plain_bound(PyObject* o, int64_t none, int64_t& out) {
  out = none;
  if (o == Py_None) return true;
  if (!PyLong_CheckExact(o)) return false;
  int overflow = 0;
  out = PyLong_AsLongLongAndOverflow(o, &overflow);
  return !overflow && out < (int64_t(1) << 62) && out > -(int64_t(1) << 62);
}

// Numbers and slices of an array that is there: its memory, shown at once. Null for other keys, for
// those that are wrong, and where there is nothing to show: the long way says what becomes of them.
array shown_part(const array& a, PyObject* key) {
  const bool many = PyTuple_CheckExact(key);
  const Py_ssize_t items = many ? PyTuple_GET_SIZE(key) : 1;
  if (items > a.ndim() || !shows_at_once(a)) return array();
  const Slot& slot = a.slot();
  const Shape& shape = slot.spec.shape;
  const Strides& strides = slot.storage.strides;
  Slot made{{{}, slot.spec.type}, {{}, slot.storage.offset, {}}};
  Storage& part = made.storage;
  for (int axis = 0; axis < a.ndim(); ++axis) {
    const int64_t n = shape[axis];
    int64_t size = n, step = 1, start = 0;
    if (axis < items) {
      PyObject* item = many ? PyTuple_GET_ITEM(key, axis) : key;
      if (PyLong_CheckExact(item)) {
        if (!plain_bound(item, 0, start)) return array();
        if (start < 0) start += n;
        if (start < 0 || start >= n) return array();
        part.offset += start * strides[axis];
        continue;
      }
      if (!PySlice_Check(item)) return array();
      auto* s = reinterpret_cast<PySliceObject*>(item);
      int64_t stop;
      if (!plain_bound(s->step, 1, step) || step == 0 ||
          !plain_bound(s->start, step > 0 ? 0 : n - 1, start) ||
          !plain_bound(s->stop, step > 0 ? n : -n - 1, stop))
        return array();
      Py_ssize_t from = start, to = stop;
      size = PySlice_AdjustIndices(n, &from, &to, step);
      start = from;
    }
    if (size == 0) return array();
    part.offset += start * strides[axis];
    part.strides.push_back(size == 1 ? strides[axis] : strides[axis] * step);
    made.spec.shape.push_back(size);
  }
  part.buffer = slot.storage.buffer;
  return show(std::move(made));
}

struct At {
  array base;
  IndexItems items;
  bool keyed = false;
};
const IndexItems& key_of(const At& at) {
  if (!at.keyed) fail(Kind::value, "at", "no key: expected a.at[key] before the operation");
  return at.items;
}
template <Write mode>
py::object update(const At& at, py::object value) {
  return py::reinterpret_steal<py::object>(
      wrap(index_update(at.base, key_of(at), value_of(value.ptr()), mode)));
}

}  // namespace

array get_item(const array& a, PyObject* key) {
  if (array part = shown_part(a, key)) return part;
  return index(a, read_key(key, false));
}

array set_item(const array& a, PyObject* key, PyObject* value, Write mode) {
  return index_update(a, read_key(key, true), value_of(value), mode);
}

PyObject* make_at(PyObject* a) { return py::cast(At{unwrap(a), {}, false}).release().ptr(); }

void add_indexing(py::module_& m) {
  py::options options;
  options.disable_function_signatures();
  py::class_<At>(m, "ArrayAt", "a.at[key]: the place of an update.")
      .def(
          "__getitem__",
          [](const At& at, py::object key) { return At{at.base, read_key(key.ptr(), true), true}; },
          py::arg("indices"), "__getitem__($self, indices)\n--\n\nThe place of an update.")
      .def("set", update<Write::set>, py::arg("value"),
           "set($self, value)\n--\n\na with a[key] = value.")
      .def("add", update<Write::add>, py::arg("value"),
           "add($self, value)\n--\n\na with value added to a[key]; repeated indices accumulate.")
      .def(
          "subtract",
          [](const At& at, py::object value) {
            return py::reinterpret_steal<py::object>(
                wrap(index_subtract(at.base, key_of(at), value_of(value.ptr()))));
          },
          py::arg("value"),
          "subtract($self, value)\n--\n\na with value subtracted from a[key]; repeated indices "
          "accumulate.")
      .def("multiply", update<Write::multiply>, py::arg("value"),
           "multiply($self, value)\n--\n\na with a[key] multiplied by value; repeated indices "
           "accumulate.")
      .def("divide", update<Write::divide>, py::arg("value"),
           "divide($self, value)\n--\n\na with a[key] divided by value; repeated indices "
           "accumulate.")
      .def("maximum", update<Write::maximum>, py::arg("value"),
           "maximum($self, value)\n--\n\na with the larger of a[key] and value.")
      .def("minimum", update<Write::minimum>, py::arg("value"),
           "minimum($self, value)\n--\n\na with the smaller of a[key] and value.");
}

}  // namespace lazulite::bind
