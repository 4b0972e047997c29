#include "bind/tree_walk.h"

#include "base/fail.h"
#include "bind/module.h"

namespace py = pybind11;

namespace lazulite::bind {

namespace {

// Of core/_trees.py: the class that stands for an array in a template, and what makes tuples and
// records of others.
PyObject *leaf_type = nullptr, *rebuild = nullptr;
PyObject *copy_of = nullptr, *rebind = nullptr;  // what Copies calls
PyObject* fixed_fields = nullptr;  // {class: those of its fields that are fixed}, shared with it

bool is_fixed(PyObject* fixed, PyObject* name) {
  const int found = fixed ? PySequence_Contains(fixed, name) : 0;
  if (found < 0) throw PythonError{};
  return found;
}
// What stands in one of the rest trees at a key of the first.
Object entry(PyObject* o, const Keys& keys, size_t i) {
  if (keys.names.empty() && (PyList_CheckExact(o) || PyTuple_CheckExact(o)) &&
      Py_ssize_t(i) < PySequence_Fast_GET_SIZE(o))
    return borrow(PySequence_Fast_GET_ITEM(o, Py_ssize_t(i)));
  const Object key = keys.at(i);
  if (PyDict_CheckExact(o)) {
    PyObject* const found = PyDict_GetItemWithError(o, key.ptr());
    if (found) return borrow(found);
    if (PyErr_Occurred()) throw PythonError{};
  }
  const Branch kind = branch_of(o);
  if (kind == Branch::dict || kind == Branch::list || kind == Branch::tuple)
    return steal(PyObject_GetItem(o, key.ptr()));
  PyObject* const fields = record_fields(o);
  if (fields && is_fixed(fields, key.ptr())) return steal(PyObject_GetAttr(o, key.ptr()));
  PyErr_SetObject(PyExc_KeyError, key.ptr());
  throw PythonError{};
}

}  // namespace

namespace {
// Whether a class has a method of its own in place of one of dict or list: these are no slots that
// subclasses inherit as they are.
bool has_own(PyTypeObject* type, PyTypeObject* base, PyObject* method) {
  const Object mine = steal(PyObject_GetAttr(reinterpret_cast<PyObject*>(type), method));
  return !mine.is(steal(PyObject_GetAttr(reinterpret_cast<PyObject*>(base), method)));
}
PyObject* get_item_name() {
  static PyObject* const name = PyUnicode_InternFromString("__getitem__");
  return name;
}
}  // namespace

bool is_plain_dict(PyObject* o) {
  static PyObject* const contains = PyUnicode_InternFromString("__contains__");
  PyTypeObject* const type = Py_TYPE(o);
  return type == &PyDict_Type ||
         (type->tp_iter == PyDict_Type.tp_iter && !has_own(type, &PyDict_Type, get_item_name()) &&
          !has_own(type, &PyDict_Type, contains));
}
bool is_plain_sequence(PyObject* o) {
  PyTypeObject* const type = Py_TYPE(o);
  PyTypeObject* const base = PyList_Check(o) ? &PyList_Type : &PyTuple_Type;
  return type == base || (type->tp_as_sequence->sq_length == base->tp_as_sequence->sq_length &&
                          !has_own(type, base, get_item_name()));
}

Keys::Keys(PyObject* o, Branch k, bool fixed) : kind(k) {
  if (kind == Branch::list || kind == Branch::tuple) {
    plain = is_plain_sequence(o);
    const Py_ssize_t size = plain ? PySequence_Fast_GET_SIZE(o) : PyObject_Size(o);
    if (size < 0) throw PythonError{};
    count = size_t(size);
    return;
  }
  if (kind == Branch::record) {
    PyObject* const skipped = fixed ? nullptr
                                    : PyDict_GetItem(fixed_fields,
                                                     reinterpret_cast<PyObject*>(Py_TYPE(o)));
    PyObject* const fields = record_fields(o);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(fields); ++i)
      if (!is_fixed(skipped, PyTuple_GET_ITEM(fields, i)))
        names.push_back(borrow(PyTuple_GET_ITEM(fields, i)));
  } else if ((plain = is_plain_dict(o))) {
    names.reserve(size_t(PyDict_GET_SIZE(o)));
    PyObject *name, *value;
    for (Py_ssize_t at = 0; PyDict_Next(o, &at, &name, &value);) names.push_back(borrow(name));
  } else {
    const Object listed = steal(PySequence_List(o));
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(listed.ptr()); ++i)
      names.push_back(borrow(PyList_GET_ITEM(listed.ptr(), i)));
  }
  count = names.size();
}

Object part_of(PyObject* o, const Keys& keys, size_t i) {
  if (keys.kind == Branch::record) return steal(PyObject_GetAttr(o, keys.names[i].ptr()));
  if (keys.kind == Branch::dict) {
    PyObject* const found =
        keys.plain ? PyDict_GetItemWithError(o, keys.names[i].ptr()) : nullptr;
    if (found) return borrow(found);
    if (PyErr_Occurred()) throw PythonError{};
    return steal(PyObject_GetItem(o, keys.names[i].ptr()));
  }
  if (keys.plain && Py_ssize_t(i) < PySequence_Fast_GET_SIZE(o))
    return borrow(PySequence_Fast_GET_ITEM(o, Py_ssize_t(i)));
  return steal(PyObject_GetItem(o, keys.at(i).ptr()));
}

PyObject* leaf_class() { return leaf_type; }
Object rebuilt(PyObject* like, PyObject* items, PyObject* names) {
  if (PyTuple_CheckExact(like)) return steal(PyList_AsTuple(items));
  PyObject* arguments[] = {like, items, names};
  return steal(PyObject_Vectorcall(rebuild, arguments, 3, nullptr));
}

Object Copies::made(PyObject* like, PyObject* items) {
  PyObject* arguments[] = {like, items};
  const Object copy = steal(PyObject_Vectorcall(copy_of, arguments, 2, nullptr));
  if (is_model(like)) models_.append(py::make_tuple(borrow(like), copy));
  return copy;
}
void Copies::finish() {
  if (models_.size()) steal(PyObject_CallOneArg(rebind, models_.ptr()));
}

OpenBranch::OpenBranch(PyObject* o, Branch kind, Object p, Object* others, size_t rest,
                       const Walk& how)
    : node(borrow(o)), path(std::move(p)), keys(o, kind, how.fixed) {
  if (how.builds) made = kind == Branch::dict ? Object(py::dict()) : Object(py::list());
  if (how.order && kind == Branch::dict) {  // the dict that is made has its own order
    if (how.builds)
      for (const Object& name : keys.names)
        if (PyDict_SetItem(made.ptr(), name.ptr(), Py_None) < 0) throw PythonError{};
    const Object ordered = steal(PyObject_CallOneArg(how.order, o));
    keys.names.clear();
    for (py::handle name : ordered) keys.names.push_back(borrow(name.ptr()));
    keys.count = keys.names.size();
  }
  parts.reserve(keys.count * (1 + rest));
  for (size_t i = 0; i < keys.count; ++i) {
    parts.push_back(part_of(o, keys, i));
    for (size_t k = 0; k < rest; ++k) parts.push_back(entry(others[k].ptr(), keys, i));
  }
}

void OpenBranch::add(Object item) {
  const int failed = keys.kind == Branch::dict
                         ? PyDict_SetItem(made.ptr(), keys.names[next - 1].ptr(), item.ptr())
                         : PyList_Append(made.ptr(), item.ptr());
  if (failed) throw PythonError{};
}

Object OpenBranch::close(const Walk& how) {
  if (!how.builds) return Object();
  if (how.copies && Copies::has(node.ptr(), keys.kind))
    return how.copies->made(node.ptr(), made.ptr());
  if (keys.kind == Branch::dict || keys.kind == Branch::list) return std::move(made);
  if (keys.kind == Branch::tuple) return rebuilt(node.ptr(), made.ptr());
  py::list names;
  for (const Object& name : keys.names) names.append(name);
  return rebuilt(node.ptr(), made.ptr(), names.ptr());
}

// As f"{path}.{key}" writes it, or str(key) below an empty path.
Object joined(PyObject* path, const Keys& keys, size_t i) {
  const int below = PyObject_IsTrue(path);
  if (below < 0) throw PythonError{};
  if (keys.names.empty())
    return steal(below ? PyUnicode_FromFormat("%S.%zu", path, i) : PyUnicode_FromFormat("%zu", i));
  PyObject* const key = keys.names[i].ptr();
  if (!below) return steal(PyObject_Str(key));
  return steal(PyUnicode_FromFormat("%S.%U", path, steal(PyObject_Format(key, nullptr)).ptr()));
}

bool says_leaf(PyObject* is_leaf, PyObject* o) {
  const int said = PyObject_IsTrue(steal(PyObject_CallOneArg(is_leaf, o)).ptr());
  if (said < 0) throw PythonError{};
  return said;
}

namespace {

PyObject* or_null(PyObject* o) { return o == Py_None ? nullptr : o; }
void check(bool fits) {
  if (!fits) fail(Kind::type, "tree", "an argument of another type than expected");
}
const char* text(PyObject* o) {
  const char* const utf8 = PyUnicode_AsUTF8(o);
  if (!utf8) throw PythonError{};
  return utf8;
}

// _tree_walk(fn, tree, rest, is_leaf, path, order, name, fixed, classes): see walk of
// core/_trees.py.
Object walk(PyObject* const* args) {
  PyObject* const fn = args[0];
  check(PyTuple_Check(args[2]));
  const size_t rest = size_t(PyTuple_GET_SIZE(args[2]));
  std::vector<Object> others;
  for (size_t k = 0; k < rest; ++k)
    others.push_back(borrow(PyTuple_GET_ITEM(args[2], Py_ssize_t(k))));
  Copies copies;
  Walk how{.name = text(args[6]), .fixed = args[7] == Py_True,
           .copies = args[8] == Py_True ? &copies : nullptr, .path = or_null(args[4]),
           .is_leaf = or_null(args[3]), .order = or_null(args[5])};
  SmallVector<PyObject*, 4> given;
  auto leaf = [&](PyObject* o, PyObject* path, Object* beside) {
    given.clear();
    if (path) given.push_back(path);
    given.push_back(o);
    for (size_t k = 0; k < rest; ++k) given.push_back(beside[k].ptr());
    return steal(PyObject_Vectorcall(fn, given.data(), given.size(), nullptr));
  };
  return walk_and_build(args[1], how, leaf, others.data(), rest);
}

// _tree_leaves(tree, path, is_leaf, name, fixed): pairs of path and leaf; path=None: leaves.
Object leaves(PyObject* const* args) {
  py::list out;
  const Walk how{.name = text(args[3]), .fixed = args[4] == Py_True, .builds = false,
                 .path = or_null(args[1]), .is_leaf = or_null(args[2])};
  walk_and_build(args[0], how, [&](PyObject* o, PyObject* path, Object*) {
    const Object item = path ? steal(PyTuple_Pack(2, path, o)) : borrow(o);
    if (PyList_Append(out.ptr(), item.ptr()) < 0) throw PythonError{};
    return Object();
  });
  return out;
}

// Stands for an array, which is appended to the list.
Object next_leaf(PyObject* o, PyObject* arrays) {
  const Object index = steal(PyLong_FromSsize_t(PyList_GET_SIZE(arrays)));
  if (PyList_Append(arrays, o) < 0) throw PythonError{};
  return steal(PyObject_CallOneArg(leaf_type, index.ptr()));
}

// _template(tree, arrays)
Object make_template(PyObject* const* args) {
  PyObject* const arrays = args[1];
  check(PyList_Check(arrays));
  Copies copies;
  return walk_and_build(args[0], {.copies = &copies}, [&](PyObject* o, PyObject*, Object*) {
    return is_array(o) ? next_leaf(o, arrays) : borrow(o);
  });
}

// _plain_template(tree, arrays): dicts and lists for subclasses of these, as derivatives are.
Object make_plain_template(PyObject* const* args) {
  PyObject* const arrays = args[1];
  check(PyList_Check(arrays));
  return walk_and_build(args[0], {}, [&](PyObject* o, PyObject*, Object*, bool in_model) -> Object {
    if (!is_array(o)) return in_model ? Object(py::dict()) : borrow(o);
    return next_leaf(o, arrays);
  });
}

// The template with values in the places of arrays.
Object filled(PyObject* const* args, Copies* copies) {
  static PyObject* const index = PyUnicode_InternFromString("index");
  auto leaf = [&](PyObject* o, PyObject*, Object*, bool in_model) -> Object {
    if (PyObject_TypeCheck(o, reinterpret_cast<PyTypeObject*>(leaf_type)))
      return steal(PyObject_GetItem(args[1], steal(PyObject_GetAttr(o, index)).ptr()));
    // As parameters() has what is no array.
    return in_model && !copies ? Object(py::dict()) : borrow(o);
  };
  return walk_and_build(args[0], {.copies = copies}, leaf);
}
// _fill(template, values)
Object fill_template(PyObject* const* args) {
  Copies copies;
  return filled(args, &copies);
}
// _fill_plain(template, values): subclasses of dict and list become plain.
Object fill_plain(PyObject* const* args) { return filled(args, nullptr); }

// _map_leaves(f, tree, all): `all`: also of what is no array inside of models.
Object map_leaves(PyObject* const* args) {
  Copies copies;
  auto leaf = [&](PyObject* o, PyObject*, Object*, bool in_model) {
    if (in_model && args[2] != Py_True && !is_array(o)) return borrow(o);
    return steal(PyObject_CallOneArg(args[0], o));
  };
  return walk_and_build(args[1], {.copies = &copies}, leaf);
}

PyMethodDef functions[] = {
    fast_row<walk, 9>("_tree_walk"),
    fast_row<leaves, 5>("_tree_leaves"),
    fast_row<make_template, 2>("_template"),
    fast_row<make_plain_template, 2>("_plain_template"),
    fast_row<fill_template, 2>("_fill"),
    fast_row<fill_plain, 2>("_fill_plain"),
    fast_row<map_leaves, 3>("_map_leaves"),
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

void add_tree_walks(py::module_& m) {
  m.def("_tree_helpers", [](py::object leaf, py::object make, py::object copy, py::object bind) {
    leaf_type = leaf.release().ptr();
    rebuild = make.release().ptr();
    copy_of = copy.release().ptr();
    rebind = bind.release().ptr();
  });
  fixed_fields = PyDict_New();
  if (!fixed_fields || PyModule_AddFunctions(m.ptr(), functions) != 0)
    throw py::error_already_set();
  m.attr("_tree_fixed") = borrow(fixed_fields);
}

}  // namespace lazulite::bind
