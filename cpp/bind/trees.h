// Trees as Python has them: dicts, lists and tuples, and instances of classes given to
// register_tree.
#pragma once

#include <pybind11/pybind11.h>

#include <vector>

#include "bind/array_class.h"
#include "graph/array.h"

namespace lazulite::bind {

// The containers between the root of a walk and where it stands; says so when one contains itself.
class Ancestors {
 public:
  explicit Ancestors(const char* op) : op_(op) {}
  // `o` is a container, `depth` containers below the root; called in depth-first order.
  void enter(PyObject* o, size_t depth) {
    if (depth < first) return;  // most trees end here
    line_.resize(depth - first);
    line_.push_back(o);
    if (line_.size() % first == 0) check();
  }

 private:
  static constexpr size_t first = 64;
  void check() const;
  const char* op_;
  std::vector<PyObject*> line_;
};

// The names of the fields of an instance of a registered class (a borrowed tuple), or null.
PyObject* record_fields(PyObject* o);

// `visit(value)` for each field of `o`; values live until it returns.
template <class Visit>
void each_field(PyObject* o, PyObject* fields, Visit visit) {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(fields); ++i) {
    const auto value = pybind11::reinterpret_steal<pybind11::object>(
        PyObject_GetAttr(o, PyTuple_GET_ITEM(fields, i)));
    if (!value) throw PythonError{};
    visit(value.ptr());
  }
}

// Appends the arrays of a tree in order. Raises TypeError for what holds no array and cannot, such
// as a function or a generator; other objects are passed over.
void collect_arrays(PyObject* tree, std::vector<array>& out, const char* op);

void add_trees(pybind11::module_& m);

}  // namespace lazulite::bind
