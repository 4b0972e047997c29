// Keys of a[...] as Python gives them, and a.at[...].
#include <pybind11/pybind11.h>

#include "bind/array_class.h"
#include "bind/def.h"
#include "bind/module.h"
#include "graph/shown.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/index.h"
#include "ops/shape/shape.h"

namespace py = pybind11;

namespace lazulite::bind {

namespace {

// NumPy's integers; its arrays have the slot, too, but only 0-d ones give a number: null for
// others.
py::object index_of(PyObject* o) {
  auto number = py::reinterpret_steal<py::object>(PyIndex_Check(o) ? PyNumber_Index(o) : nullptr);
  if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_TypeError)) throw PythonError{};
  PyErr_Clear();
  return number;
}

std::optional<int64_t> bound(PyObject* o) {
  if (o == Py_None) return std::nullopt;
  if (is_array(o)) {
    if (!is_integral(unwrap(o).dtype())) wrong_kind(o, {"index", "slice"}, "an integer");
    const array a = unwrap(o);
    if (a.dtype() != uint64) return array(a).item<int64_t>();
    return int64_t(std::min<uint64_t>(array(a).item<uint64_t>(), INT64_MAX));
  }
  const py::object number = index_of(o);
  if (!number) {
    if (PyObject_HasAttrString(o, "__array__")) {  // NumPy's of one element
      const array a = to_array(o, {"index", "slice"});
      if (is_integer(a.dtype()) && a.size() == 1) return array(reshape(a, {})).item<int64_t>();
    }
    wrong_kind(o, {"index", "slice"}, "an integer or None");
  }
  int overflow = 0;
  const long long v = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
  return overflow > 0 ? INT64_MAX : overflow < 0 ? INT64_MIN + 1 : v;
}

IndexItem number_item(int64_t at) { return {IndexItem::number, at, {}, {}, {}, {}}; }
IndexItem indices_item(const array& a) {
  if (!is_integral(a.dtype()))
    fail(Kind::value, "index", "indices of ", a.dtype(), ", expected integers or bool");
  return {IndexItem::indices, 0, {}, {}, {}, a};
}

IndexItem read_item(PyObject* o, bool writing) {
  if (PyLong_CheckExact(o)) {
    int overflow = 0;
    const long long v = PyLong_AsLongLongAndOverflow(o, &overflow);
    if (overflow) fail(Kind::index, "index", "index out of range: does not fit in 64 bits");
    return number_item(v);
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
    return indices_item(constant(o == Py_True, {}, bool_));
  }
  if (is_array(o)) return indices_item(unwrap(o));
  if (const py::object number = index_of(o)) return number_item(*bound(number.ptr()));
  if (PyList_Check(o) || PyTuple_Check(o) || PyRange_Check(o) || PyObject_CheckBuffer(o)) {
    const array a = make_array(o, std::nullopt);
    const bool untyped = a.size() == 0 && a.dtype() == float32 && !PyObject_CheckBuffer(o);
    return indices_item(untyped ? astype(a, int64) : a);  // [] has no dtype of its own
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
inline bool plain_bound(PyObject* o, int64_t none, int64_t& out) {
  out = none;
  if (o == Py_None) return true;
  if (!PyLong_CheckExact(o)) return false;
  int overflow = 0;
  out = PyLong_AsLongLongAndOverflow(o, &overflow);
  return !overflow && out < (int64_t(1) << 62) && out > -(int64_t(1) << 62);
}

// What an item takes of an axis.
struct Taken {
  int64_t start = 0, step = 1, size;
  bool number = false;  // the axis goes
};
// Of a number within the axis, or a slice of numbers; false: another item. Inlined: a[1] takes 70
// ns.
[[gnu::always_inline]] inline bool take_plain(PyObject* item, int64_t n, Taken& part) {
  if (PyLong_CheckExact(item)) {
    part.number = true;
    if (!plain_bound(item, 0, part.start)) return false;
    if (part.start < 0) part.start += n;
    return part.start >= 0 && part.start < n;
  }
  if (!PySlice_Check(item)) return false;
  auto* s = reinterpret_cast<PySliceObject*>(item);
  if (!plain_bound(s->step, 1, part.step) || part.step == 0) return false;
  const bool up = part.step > 0;
  int64_t stop;
  if (!plain_bound(s->start, up ? 0 : n - 1, part.start) ||
      !plain_bound(s->stop, up ? n : -n - 1, stop))
    return false;
  Py_ssize_t from = part.start, to = stop;
  part.size = PySlice_AdjustIndices(n, &from, &to, part.step);
  part.start = from;
  return true;
}

// Numbers and slices of an array that is there: its memory, shown at once. Null for other keys, for
// those that are wrong, and where there is nothing to show: the long way says what becomes of them.
array shown_part(const array& a, PyObject* key) {
  const bool many = PyTuple_CheckExact(key);
  const Py_ssize_t items = many ? PyTuple_GET_SIZE(key) : 1;
  if (items > a.ndim() || !shows_at_once(a)) return array();
  const Slot& slot = a.slot();
  Slot made{{{}, slot.spec.type}, {{}, slot.storage.offset, {}}};
  for (int axis = 0; axis < a.ndim(); ++axis) {
    const int64_t n = slot.spec.shape[axis], stride = slot.storage.strides[axis];
    Taken part{0, 1, n};
    if (axis < items && !take_plain(many ? PyTuple_GET_ITEM(key, axis) : key, n, part))
      return array();
    if (part.size == 0) return array();
    made.storage.offset += part.start * stride;
    if (part.number) continue;
    made.storage.strides.push_back(part.size == 1 ? stride : stride * part.step);
    made.spec.shape.push_back(part.size);
  }
  made.storage.buffer = slot.storage.buffer;
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

array set_item(const array& a, PyObject* key, PyObject* value) {
  return index_update(a, read_key(key, true), value_of(value));
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
