// Parameters of modules and states of optimizers, for nn/module.py and optimizers/base.py: the
// ordinary cases, once in every step of training. Whatever is out of the ordinary (what does not
// fit, contains itself, is deeper than 64 levels, or has a class with methods of its own) is left
// to Python, which does the same and knows what to say.
#include <pybind11/pybind11.h>

#include <vector>

#include "bind/array_class.h"
#include "bind/lent.h"
#include "bind/module.h"
#include "bind/tree_walk.h"

namespace py = pybind11;

namespace lazulite::bind {

namespace {

constexpr size_t most_levels = 64;
struct Unusual {};  // thrown: Python has to look at it

bool is_walked(PyObject* o) { return PyDict_Check(o) || PyList_Check(o); }
bool is_container(PyObject* o) { return is_walked(o) || PyTuple_Check(o); }
void check_plain(PyObject* o, size_t depth) {
  const bool plain = PyDict_Check(o) ? is_plain_dict(o) : is_plain_sequence(o);
  if (!plain || depth >= most_levels) throw Unusual{};
}
bool contains(PyObject* set, PyObject* name) {
  const int found = PySequence_Contains(set, name);
  if (found < 0) throw PythonError{};
  return found;
}

// filter_and_map of nn/module.py with one of its own two filters, and without functions.
struct Selection {
  PyTypeObject* const module_type;
  const bool trainable;

  Object of_module(PyObject* module, size_t depth) const {
    static PyObject* const no_grad = PyUnicode_InternFromString("_no_grad");
    check_plain(module, depth);
    Object frozen;
    if (trainable) frozen = steal(PyObject_GetAttr(module, no_grad));
    if (frozen && PyAnySet_Check(frozen.ptr()) && !PySet_GET_SIZE(frozen.ptr())) frozen = {};
    py::dict made;
    for (const auto& [name, value] : Entries(module)) {
      if (!is_array(value.ptr()) && !is_walked(value.ptr())) continue;
      if (!PyUnicode_Check(name.ptr())) throw Unusual{};
      if (PyUnicode_GET_LENGTH(name.ptr()) && PyUnicode_READ_CHAR(name.ptr(), 0) == '_') continue;
      if (frozen && contains(frozen.ptr(), name.ptr())) continue;
      const Object item = of_value(value.ptr(), frozen, name, depth + 1);
      if (PyDict_SetItem(made.ptr(), name.ptr(), item.ptr()) < 0) throw PythonError{};
    }
    return made;
  }

  // `path` is the name inside of the module that owns the value; without frozen ones nobody asks.
  Object of_value(PyObject* o, const Object& frozen, const Object& path, size_t depth) const {
    if (is_array(o)) return borrow(o);
    if (!is_walked(o)) return py::dict();  // stands for what is left out
    if (PyObject_TypeCheck(o, module_type)) return of_module(o, depth);
    check_plain(o, depth);
    const bool dict = PyDict_Check(o);
    const Keys keys(o, dict ? Branch::dict : Branch::list);
    Object made = dict ? Object(py::dict()) : Object(py::list());
    for (size_t i = 0; i < keys.count; ++i) {
      const Object below = frozen ? joined(path.ptr(), keys, i) : Object();
      const Object part = part_of(o, keys, i);
      const bool left_out = frozen && contains(frozen.ptr(), below.ptr());
      const Object item =
          left_out ? Object(py::dict()) : of_value(part.ptr(), frozen, below, depth + 1);
      const int failed = dict ? PyDict_SetItem(made.ptr(), keys.names[i].ptr(), item.ptr())
                              : PyList_Append(made.ptr(), item.ptr());
      if (failed) throw PythonError{};
    }
    return made;
  }
};

// _parameters_of(module, Module, trainable): the nested dict, or None.
Object parameters_of(PyObject* const* args) {
  if (!PyType_Check(args[1]) || !PyDict_Check(args[0])) return py::none();
  try {
    return Selection{reinterpret_cast<PyTypeObject*>(args[1]), args[2] == Py_True}.of_module(
        args[0], 0);
  } catch (Unusual) {
    return py::none();
  }
}

// What Module.update has to write, found before anything is written.
struct Update {
  struct Write {
    Object container, key, value, old;
  };
  std::vector<Write> writes;
  PyTypeObject* const module_type;

  bool says_nothing(PyObject* o) const {
    return is_container(o) && PyObject_Size(o) == 0 && !PyObject_TypeCheck(o, module_type);
  }
  void gather(PyObject* current, PyObject* given, size_t depth) {
    const bool dict = PyDict_Check(current);
    if (!(dict ? PyDict_Check(given) : PyList_Check(current) && PyList_Check(given)))
      throw Unusual{};
    check_plain(current, depth);
    check_plain(given, depth);
    const Keys keys(given, dict ? Branch::dict : Branch::list);
    for (size_t i = 0; i < keys.count; ++i) {
      const Object value = part_of(given, keys, i);
      Object old;
      if (dict) {
        if (PyObject* const found = PyDict_GetItemWithError(current, keys.names[i].ptr()))
          old = borrow(found);
        else if (PyErr_Occurred())
          throw PythonError{};
      } else if (Py_ssize_t(i) < PyList_GET_SIZE(current)) {
        old = borrow(PyList_GET_ITEM(current, Py_ssize_t(i)));
      }
      const bool known = bool(old);
      if (known && is_array(old.ptr()) && is_array(value.ptr()))
        writes.push_back({borrow(current), keys.at(i), value, old});
      else if (says_nothing(value.ptr()))
        continue;
      else if (!known || !is_container(old.ptr()) || !is_container(value.ptr()))
        throw Unusual{};
      else
        gather(old.ptr(), value.ptr(), depth + 1);
    }
  }
};

// _update_parameters(module, tree, Module): whether it is done; otherwise nothing is.
Object update_parameters(PyObject* const* args) {
  if (!PyType_Check(args[2])) return py::bool_(false);
  Update update{{}, reinterpret_cast<PyTypeObject*>(args[2])};
  try {
    update.gather(args[0], args[1], 0);
  } catch (Unusual) {
    return py::bool_(false);
  }
  for (const Update::Write& write : update.writes) {
    lent::put(write.value.ptr(), write.old.ptr());
    if (PyObject_SetItem(write.container.ptr(), write.key.ptr(), write.value.ptr()) < 0)
      throw PythonError{};
  }
  return py::bool_(true);
}

// Whether the state of an optimizer has all that `init` would make for a tree of parameters.
bool has_state(PyObject* tree, PyObject* state, size_t depth) {
  if (depth >= most_levels) return false;
  if (PyDict_CheckExact(tree)) {
    if (!PyDict_CheckExact(state)) return false;
    PyObject *name, *value;
    for (Py_ssize_t at = 0; PyDict_Next(tree, &at, &name, &value);) {
      if (!PyUnicode_CheckExact(name)) return false;  // the keys of others run Python code
      PyObject* const found = PyDict_GetItemWithError(state, name);
      if (!found || !has_state(value, found, depth + 1)) return false;
    }
    return true;
  }
  if (PyList_CheckExact(tree)) {
    if (!PyList_CheckExact(state) || PyList_GET_SIZE(state) < PyList_GET_SIZE(tree)) return false;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(tree); ++i)
      if (!has_state(PyList_GET_ITEM(tree, i), PyList_GET_ITEM(state, i), depth + 1)) return false;
    return true;
  }
  // Integers have an empty one.
  return is_array(tree) && PyDict_CheckExact(state) &&
         (PyDict_GET_SIZE(state) || !is_inexact(peek(tree).dtype()));
}

// _has_state(parameters, state)
Object has_state(PyObject* const* args) { return py::bool_(has_state(args[0], args[1], 0)); }

PyMethodDef functions[] = {
    fast_row<parameters_of, 3>("_parameters_of"),
    fast_row<update_parameters, 3>("_update_parameters"),
    fast_row<has_state, 2>("_has_state"),
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

void add_parameters(py::module_& m) {
  if (PyModule_AddFunctions(m.ptr(), functions) != 0) throw py::error_already_set();
}

}  // namespace lazulite::bind
