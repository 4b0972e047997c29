#include "bind/trees.h"

#include <algorithm>
#include <string>
#include <unordered_set>

#include "base/fail.h"
#include "bind/module.h"
#include "ops/random/random.h"

namespace py = pybind11;

namespace lazulite::bind {

namespace {

constexpr size_t most_levels = 10000;

// {class: names of its fields}, shared with core/_trees.py, and of what is no field but part of
// what an instance is: shapes of sparse matrices.
PyObject *records = nullptr, *record_constants = nullptr;

bool has(PyObject* o, const char* name) {
  const bool found = PyObject_HasAttrString(o, name);
  PyErr_Clear();
  return found;
}
bool is_value(PyObject* o) {
  return o == Py_None || PyUnicode_Check(o) || PyObject_CheckBuffer(o) || PyNumber_Check(o) ||
         has(o, "__array__") || has(o, "__numpy_dtype__") || has_dlpack(o);
}

// What a caller most likely meant by an argument without arrays.
void refuse(PyObject* o, const char* op, Values values) {
  const std::string type = Py_TYPE(o)->tp_name;
  const char* const expected = "expected arrays, or lists, tuples, dicts and modules of them";
  if (PyFunction_Check(o) || PyMethod_Check(o) || PyCFunction_Check(o) || PyType_Check(o)) {
    const auto found = py::reinterpret_steal<py::object>(PyObject_GetAttrString(o, "__name__"));
    if (!found) PyErr_Clear();
    const std::string name = found ? std::string(py::str(found)) : type;
    fail(Kind::type, op, "a ", type, " holds no arrays: got ", name, ", ", expected, "; was ", name,
         "() meant?");
  }
  if (PyIter_Check(o) || PyAnySet_Check(o) || PyDictKeys_Check(o) || PyDictValues_Check(o) ||
      PyDictItems_Check(o))
    fail(Kind::type, op, "a ", type, " is no tree: got ", type, ", ", expected,
         "; was list(...) meant?");
  const bool value = is_value(o);
  if (value && values == Values::passed_over) return;
  const std::string got = value ? describe(o) : type;
  if (!value && has(o, "__dataclass_fields__"))
    fail(Kind::type, op, "not a tree: got ", got, ", ", expected,
         "; register_tree makes trees of a dataclass");
  if (!value && has(o, "state"))
    fail(Kind::type, op, "not a tree: got ", got, ", ", expected, "; was its .state meant?");
  fail(Kind::type, op, "not a tree: got ", got, ", ", expected);
}

}  // namespace

void Ancestors::check() const {
  if (line_.size() + first > most_levels)
    fail(Kind::value, op_, "containers nested deeper than ", most_levels);
  if (std::unordered_set<PyObject*>(line_.begin(), line_.end()).size() < line_.size())
    fail(Kind::value, op_, "a container contains itself: got a ", Py_TYPE(line_.back())->tp_name);
}

bool is_model(PyObject* o) {
  static PyObject* const name = PyUnicode_InternFromString("parameters");
  return PyDict_Check(o) && !PyDict_CheckExact(o) &&
         PyObject_HasAttr(reinterpret_cast<PyObject*>(Py_TYPE(o)), name);
}

PyObject* record_fields(PyObject* o) {
  return PyDict_GET_SIZE(records) ? PyDict_GetItem(records, reinterpret_cast<PyObject*>(Py_TYPE(o)))
                                  : nullptr;
}

PyObject* record_forms(PyObject* o) {
  return PyDict_GetItem(record_constants, reinterpret_cast<PyObject*>(Py_TYPE(o)));
}

void collect_arrays(PyObject* tree, std::vector<array>& out, const char* op, Values values) {
  if (is_array(tree)) return out.push_back(peek(tree));
  Ancestors line(op);
  walk_tree(tree, [&](PyObject* o, const Place& at, const auto& inside) {
    if (is_array(o)) return out.push_back(peek(o));
    if (PyDict_Check(o)) {
      line.enter(o, at.depth);
      for (const auto& entry : Entries(o)) inside(entry.second.ptr());
    } else if (PyList_Check(o) || PyTuple_Check(o)) {
      line.enter(o, at.depth);
      each_item(o, [&](PyObject* item) { inside(item, true); });
    } else if (PyObject* fields = record_fields(o)) {
      line.enter(o, at.depth);
      each_field(o, fields, inside);
    } else if (is_random_state(o)) {
      out.push_back(random::default_key());
    } else if (at.depth == 0 || (at.listed && PyMethod_Check(o))) {
      refuse(o, op, values);
    }
  });
}

std::vector<array> arrays_of(PyObject* arguments, const char* op, Values values) {
  std::vector<array> arrays;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(arguments); ++i)
    collect_arrays(PyTuple_GET_ITEM(arguments, i), arrays, op, values);
  return arrays;
}

void add_trees(py::module_& m) {
  m.def("_is_model", [](py::handle o) { return is_model(o.ptr()); });
  records = PyDict_New();
  if (!records) throw py::error_already_set();
  m.attr("_tree_records") = py::reinterpret_borrow<py::object>(records);
  record_constants = PyDict_New();
  if (!record_constants) throw py::error_already_set();
  m.attr("_tree_forms") = py::reinterpret_borrow<py::object>(record_constants);
}

}  // namespace lazulite::bind
