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

bool is_random_state(PyObject*);  // random.state: a list of one key (random_state.cpp)
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

// Whether an argument that holds no arrays may be a value: a number, a str, None, NumPy's arrays.
enum class Values { passed_over, refused };
// Appends the arrays of a tree in order. An argument that is neither tree nor value (a function, a
// generator, an optimizer) raises TypeError with what was meant, and so does a method in a list of
// arguments; other leaves of trees may be anything.
void collect_arrays(PyObject* tree, std::vector<array>& out, const char* op,
                    Values = Values::passed_over);
// The same of each of a tuple of arguments.
std::vector<array> arrays_of(PyObject* arguments, const char* op, Values);

void add_trees(pybind11::module_& m);

}  // namespace lazulite::bind
