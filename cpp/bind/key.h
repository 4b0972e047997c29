// The key of a call to a compiled function: everything that a trace depends on, as bytes; and the
// arrays, in order.
#pragma once
#include <pybind11/pybind11.h>

#include <string>
#include <utility>
#include <vector>

#include "bind/trees.h"
#include "transform/transform.h"

namespace lazulite::bind {

using Cells = std::vector<pybind11::object>;

class Key {
 public:
  // `own`: cells that the function itself binds. They say nothing about it.
  explicit Key(const Cells& own) : own_(own) {}

  // Arguments. Entries of dicts come in the order of _describe, which is that of their sorted
  // names.
  void add_tree(PyObject* tree);
  // State: containers in their own order; what is neither array nor constant is passed over.
  void add_held(PyObject* tree);
  // Which of the arrays, of arguments and state, are one object: a change in place of one is one of
  // the other.
  void add_aliases();
  // What the cells of a function hold, and of functions that these hold: numbers and text by value,
  // all else by identity.
  void add_closure(PyObject* fun);
  void tag(char c) { bytes.push_back(c); }
  // Forgets the closure that was added after `bytes` had that size.
  void drop_closure(size_t size) {
    bytes.resize(size);
    named.clear();
  }

  std::string bytes;
  ArrayList arrays;
  bool modules = false;  // among the arguments
  // What `bytes` names by address, to be held: what closures hold, and classes.
  std::vector<pybind11::object> named, classes;

 private:
  template <class T>
  void raw(const T& v) { bytes.append(reinterpret_cast<const char*>(&v), sizeof v); }
  void text(const char* data, Py_ssize_t n) {
    raw(n);
    bytes.append(data, size_t(n));
  }
  void class_of(PyTypeObject*);
  void add_array(PyObject*);
  bool add_constant(
      PyObject*);  // bool, int, float, complex, str, bytes, None; false: something else
  void add_repr(PyObject*);
  void add_name(PyObject*);  // of a dict's entry
  // Of a dict with a class of its own: which one, and the attributes that this one names as part of
  // what is traced (of a model: whether it is in training, and what is frozen).
  void add_class(PyObject*);
  // Modules among arguments: their arrays as those of dicts; of their other attributes, and of what
  // is neither array nor constant in them, numbers and text by value, all else by identity.
  void add_module(PyObject*, size_t depth);
  void add_subclass(PyObject*);
  void add_attributes(PyObject* module);
  void add_value(PyObject*);
  template <class Inside>
  void add_part(PyObject*, size_t depth, const Inside&);
  template <class Inside>
  void add_module_part(PyObject*, size_t depth, const Inside&);
  template <class Inside>
  void add_record(PyObject*, PyObject* fields, size_t depth, const Inside&);
  void add_dict(PyObject*, size_t depth);
  template <class Inside>
  void add_sorted(PyObject* dict, const Inside&);
  template <class Inside>
  void add_held_part(PyObject*, size_t depth, const Inside&);

  const Cells& own_;
  Ancestors line_{"compile"};
  SmallVector<PyObject*, 8> held_;  // the objects of `arrays`
};

// The cells that add_closure looks at, and what they hold.
std::vector<std::pair<pybind11::object, pybind11::object>> cells_of(PyObject* fun);

void set_sorted_names(pybind11::object sorted_names);  // of a dict, as core/_compile.py sorts them
// Instances of the type hold the function that they call in that attribute.
void add_wrapper(pybind11::object type, std::string attribute);

}  // namespace lazulite::bind
