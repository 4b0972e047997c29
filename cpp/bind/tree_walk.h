// Trees made of trees: what tree_map, tree_flatten and the transforms do (core/_trees.py), on a
// stack of their own, as deep as memory is large.
#pragma once

#include <pybind11/pybind11.h>

#include <type_traits>
#include <utility>
#include <vector>

#include "base/fail.h"
#include "bind/trees.h"

namespace lazulite::bind {

using Object = pybind11::object;
inline Object borrow(PyObject* o) { return pybind11::reinterpret_borrow<Object>(o); }
inline Object steal(PyObject* o) {  // of a call of Python's that may have failed
  if (!o) throw PythonError{};
  return pybind11::reinterpret_steal<Object>(o);
}

enum class Branch { none, dict, list, tuple, record };
inline Branch branch_of(PyObject* o) {
  if (PyDict_Check(o)) return Branch::dict;
  if (PyList_Check(o)) return Branch::list;
  if (PyTuple_Check(o)) return Branch::tuple;
  return record_fields(o) ? Branch::record : Branch::none;
}

// Whether a dict is read as dict itself is: OrderedDict has an order of its own, and subclasses may
// have methods of theirs. (Ours, Module, has none.)
bool is_plain_dict(PyObject* dict);
bool is_plain_sequence(PyObject* list_or_tuple);  // the same of these

// The keys of a container in its order: of a list or tuple none, its places are numbers. Of a
// record the names of its fields, `fixed` ones only where wanted.
struct Keys {
  Keys(PyObject* container, Branch kind, bool fixed = true);
  Branch kind;
  bool plain = false;  // whether the container is read as its base is
  size_t count = 0;
  std::vector<Object> names;
  Object at(size_t i) const {
    return names.empty() ? steal(PyLong_FromSize_t(i)) : names[i];
  }
};
// What stands in a container at the key number `i`; raises as container[key] does.
Object part_of(PyObject* container, const Keys& keys, size_t i);

PyObject* leaf_class();  // stands for an array in a template
// A branch of the class of another, a tuple or record, with other items.
Object rebuilt(PyObject* like, PyObject* items, PyObject* names = Py_None);

// What a walk makes of models, and of other subclasses of dict and list: instances of the same
// class, with the same attributes. Methods of a model that one of them keeps are those of the new
// one in the end.
class Copies {
 public:
  static bool has(PyObject* o, Branch kind) {
    return kind == Branch::dict ? !PyDict_CheckExact(o)
                                : kind == Branch::list && !PyList_CheckExact(o);
  }
  Object made(PyObject* like, PyObject* items);
  void finish();

 private:
  pybind11::list models_;  // pairs of old and new
};

// How a walk goes.
struct Walk {
  const char* name = "tree";     // who walks, for error texts
  bool fixed = true;             // whether it sees fixed fields of records
  bool builds = true;            // whether it makes a tree
  Copies* copies = nullptr;      // for subclasses of dict and list; null: they become plain
  PyObject* path = nullptr;      // what paths begin with; null: there are none
  PyObject* is_leaf = nullptr;   // is_leaf(container): whether it is a leaf
  PyObject* order = nullptr;     // order(dict): its keys in the order of the walk
};

// A container whose items are being visited.
struct OpenBranch {
  OpenBranch(PyObject* o, Branch kind, Object p, Object* others, size_t rest, const Walk&);
  Object node, path;
  Keys keys;
  bool in_model = false;
  size_t next = 0;
  std::vector<Object> parts;  // for each key what stands there, and what stands there in the rest
  Object made;                // a dict or list of what was made of the parts so far
  void add(Object item);
  Object close(const Walk&);
};
Object joined(PyObject* path, const Keys& keys, size_t i);
bool says_leaf(PyObject* is_leaf, PyObject* o);

// A tree of the form of `tree` with `leaf(o, path, others)` for every leaf, in order (that takes
// a fourth argument: whether it stands inside of a model); `others` are
// what stands at the same place in the `rest` trees. All items of a container are looked up before
// any leaf in it is visited.
template <class Leaf>
Object walk_and_build(PyObject* tree, const Walk& how, const Leaf& leaf, Object* others = nullptr,
                      size_t rest = 0) {
  std::vector<OpenBranch> open;
  Ancestors line(how.name);
  Object result;  // of what was visited last
  // Whether it is done: a container is not, and open now.
  auto visit = [&](PyObject* o, Object path, Object* beside) {
    const Branch kind = branch_of(o);
    const bool inside = !open.empty() && open.back().in_model;
    if (kind == Branch::none || (how.is_leaf && says_leaf(how.is_leaf, o))) {
      if constexpr (std::is_invocable_v<Leaf, PyObject*, PyObject*, Object*, bool>)
        result = leaf(o, path.ptr(), beside, inside);
      else
        result = leaf(o, path.ptr(), beside);
      return true;
    }
    line.enter(o, open.size());
    open.emplace_back(o, kind, std::move(path), beside, rest, how);
    open.back().in_model = inside || is_model(o);
    return false;
  };
  if (visit(tree, how.path ? borrow(how.path) : Object(), others)) return result;
  while (true) {
    OpenBranch& top = open.back();
    if (top.next == top.keys.count) {
      result = top.close(how);
      open.pop_back();
      if (open.empty()) {
        if (how.copies) how.copies->finish();
        return result;
      }
    } else {
      const size_t i = top.next++;
      Object* const part = &top.parts[i * (1 + rest)];
      Object path = how.path ? joined(top.path.ptr(), top.keys, i) : Object();
      if (!visit(part->ptr(), std::move(path), part + 1)) continue;
    }
    if (how.builds) open.back().add(std::move(result));
  }
}

// A table row of a function of so many positional arguments, straight against the C API: a step of
// training calls these a dozen times.
template <Object (*f)(PyObject* const* args), Py_ssize_t count>
PyObject* called(PyObject*, PyObject* const* args, Py_ssize_t given) {
  return guarded([&] {
    if (given != count) fail(Kind::type, "tree", "got ", given, " arguments, expected ", count);
    return f(args).release().ptr();
  });
}
template <Object (*f)(PyObject* const* args), Py_ssize_t count>
PyMethodDef fast_row(const char* name) {
  return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(called<f, count>)),
          METH_FASTCALL, nullptr};
}
void add_tree_walks(pybind11::module_& m);

}  // namespace lazulite::bind
