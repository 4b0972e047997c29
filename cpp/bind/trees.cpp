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

PyObject* records = nullptr;  // {class: names of its fields}, shared with core/_trees.py

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

PyObject* record_fields(PyObject* o) {
  return PyDict_GET_SIZE(records) ? PyDict_GetItem(records, reinterpret_cast<PyObject*>(Py_TYPE(o)))
                                  : nullptr;
}

void collect_arrays(PyObject* tree, std::vector<array>& out, const char* op, Values values) {
  if (is_array(tree)) return out.push_back(peek(tree));
  struct Task {
    py::object object;  // held: reading a field may run Python code, which may change the container
                        // it came from
    size_t depth;
    bool listed;  // in lists and tuples alone, as an argument is: no part of a dict or module
  };
  Ancestors line(op);
  std::vector<Task> tasks;
  auto add = [&](PyObject* o, size_t depth, bool listed) {
    tasks.push_back({py::reinterpret_borrow<py::object>(o), depth, listed});
  };
  add(tree, 0, true);
  while (!tasks.empty()) {
    const Task task = std::move(tasks.back());
    tasks.pop_back();
    PyObject* const o = task.object.ptr();
    const size_t first = tasks.size(), below = task.depth + 1;
    if (is_array(o)) {
      out.push_back(peek(o));
      continue;
    }
    if (PyDict_Check(o)) {
      line.enter(o, task.depth);
      PyObject *key, *value;
      Py_ssize_t at = 0;
      while (PyDict_Next(o, &at, &key, &value)) add(value, below, false);
    } else if (PyList_Check(o) || PyTuple_Check(o)) {
      line.enter(o, task.depth);
      for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i)
        add(PySequence_Fast_GET_ITEM(o, i), below, task.listed);
    } else if (PyObject* fields = record_fields(o)) {
      line.enter(o, task.depth);
      each_field(o, fields, [&](PyObject* value) { add(value, below, false); });
    } else if (is_random_state(o)) {
      out.push_back(random::default_key());
    } else if (task.depth == 0 || (task.listed && PyMethod_Check(o))) {
      refuse(o, op, values);
    }
    std::reverse(tasks.begin() + Py_ssize_t(first), tasks.end());
  }
}

std::vector<array> arrays_of(PyObject* arguments, const char* op, Values values) {
  std::vector<array> arrays;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(arguments); ++i)
    collect_arrays(PyTuple_GET_ITEM(arguments, i), arrays, op, values);
  return arrays;
}

void add_trees(py::module_& m) {
  records = PyDict_New();
  if (!records) throw py::error_already_set();
  m.attr("_tree_records") = py::reinterpret_borrow<py::object>(records);
}

}  // namespace lazulite::bind
