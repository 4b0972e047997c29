#include "bind/trees.h"

#include <algorithm>
#include <string>
#include <unordered_set>

#include "base/fail.h"
#include "bind/module.h"

namespace py = pybind11;

namespace lazulite::bind {

namespace {

constexpr size_t most_levels = 10000;

PyObject* records = nullptr;  // {class: names of its fields}, shared with core/_trees.py

// What a caller most likely meant by something without arrays.
void refuse(PyObject* o, const char* op) {
  const std::string type = Py_TYPE(o)->tp_name;
  if (PyFunction_Check(o) || PyMethod_Check(o) || PyCFunction_Check(o) || PyType_Check(o)) {
    const auto found = py::reinterpret_steal<py::object>(PyObject_GetAttrString(o, "__name__"));
    if (!found) PyErr_Clear();
    const std::string name = found ? std::string(py::str(found)) : type;
    fail(Kind::type, op, "a ", type, " holds no arrays: got ", name,
         ", expected arrays or trees of them; was ", name, "() meant?");
  }
  if (PyIter_Check(o) || PyAnySet_Check(o) || PyDictKeys_Check(o) || PyDictValues_Check(o) ||
      PyDictItems_Check(o))
    fail(Kind::type, op, "a ", type, " is no tree: got ", type,
         ", expected arrays in lists, tuples and dicts; was list(...) meant?");
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

void collect_arrays(PyObject* tree, std::vector<array>& out, const char* op) {
  if (is_array(tree)) return out.push_back(peek(tree));
  struct Task {
    py::object object;  // held: reading a field may run Python code, which may change the container
                        // it came from
    size_t depth;
  };
  Ancestors line(op);
  std::vector<Task> tasks;
  auto add = [&](PyObject* o, size_t depth) {
    tasks.push_back({py::reinterpret_borrow<py::object>(o), depth});
  };
  add(tree, 0);
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
      while (PyDict_Next(o, &at, &key, &value)) add(value, below);
    } else if (PyList_Check(o) || PyTuple_Check(o)) {
      line.enter(o, task.depth);
      for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i)
        add(PySequence_Fast_GET_ITEM(o, i), below);
    } else if (PyObject* fields = record_fields(o)) {
      line.enter(o, task.depth);
      each_field(o, fields, [&](PyObject* value) { add(value, below); });
    } else {
      refuse(o, op);
    }
    std::reverse(tasks.begin() + Py_ssize_t(first), tasks.end());
  }
}

void add_trees(py::module_& m) {
  records = PyDict_New();
  if (!records) throw py::error_already_set();
  m.attr("_tree_records") = py::reinterpret_borrow<py::object>(records);
}

}  // namespace lazulite::bind
