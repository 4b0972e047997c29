// Trees as Python has them: dicts, lists and tuples, and instances of classes given to
// register_tree.
#pragma once

#include <pybind11/pybind11.h>

#include <algorithm>
#include <utility>
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

// Whether it is a dict with methods, which a function calls: a module of lazulite.nn.
bool is_model(PyObject*);
bool is_random_state(PyObject*);  // random.state: a list of one key (random_state.cpp)
// The names of the fields of an instance of a registered class (a borrowed tuple), or null.
PyObject* record_fields(PyObject* o);
// Of one of those: the names of attributes that are constants of it (a borrowed tuple), or null.
PyObject* record_forms(PyObject* o);

// ---- the one walk
// Where a part stands: so many containers around it, and whether all of these are lists and tuples,
// as an argument of several arrays is.
struct Place {
  size_t depth = 0;
  bool listed = true;
};

// The parts of a tree in depth-first order, containers before what is in them: `visit(o, place,
// inside)` hands on what is in `o` by inside(part, listed). Deep trees are walked on a stack of
// their own: a thread's may be small.
template <class Visit>
void walk_tree(PyObject* o, const Visit& visit, Place at = {}) {
  using pybind11::object;
  auto below = [](const Place& place, bool listed) {
    return Place{place.depth + 1, place.listed && listed};
  };
  if (at.depth < 32)
    return visit(o, at, [&](PyObject* part, bool listed = false) {
      walk_tree(part, visit, below(at, listed));
    });
  std::vector<std::pair<object, Place>> left;
  left.emplace_back(pybind11::reinterpret_borrow<object>(o), at);
  while (!left.empty()) {
    const auto [part, place] = std::move(left.back());
    left.pop_back();
    const size_t first = left.size();
    visit(part.ptr(), place, [&, here = place](PyObject* next, bool listed = false) {
      left.emplace_back(pybind11::reinterpret_borrow<object>(next), below(here, listed));
    });
    std::reverse(left.begin() + ptrdiff_t(first), left.end());
  }
}

// `f(item)` for the items of a list or tuple. f may run Python code: what a list holds is held
// meanwhile; false: the list shrank.
template <class F>
bool each_item(PyObject* o, F&& f) {
  if (PyTuple_Check(o)) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(o); ++i) f(PyTuple_GET_ITEM(o, i));
    return true;
  }
  for (Py_ssize_t i = 0, n = PyList_GET_SIZE(o); i < n; ++i) {
    if (i >= PyList_GET_SIZE(o)) return false;
    f(pybind11::reinterpret_borrow<pybind11::object>(PyList_GET_ITEM(o, i)).ptr());
  }
  return true;
}

// The entries of a dict in its own order, held: what is done with them may run Python code.
struct Entries : SmallVector<std::pair<pybind11::object, pybind11::object>, 8> {
  explicit Entries(PyObject* dict) {
    PyObject *name, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(dict, &at, &name, &value))
      push_back({pybind11::reinterpret_borrow<pybind11::object>(name),
                 pybind11::reinterpret_borrow<pybind11::object>(value)});
  }
};

// `f(value)` for each field of `o`; values live until it returns.
template <class F>
void each_field(PyObject* o, PyObject* fields, F&& f) {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(fields); ++i) {
    const auto value = pybind11::reinterpret_steal<pybind11::object>(
        PyObject_GetAttr(o, PyTuple_GET_ITEM(fields, i)));
    if (!value) throw PythonError{};
    f(value.ptr());
  }
}

// ---- arrays of a tree
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
