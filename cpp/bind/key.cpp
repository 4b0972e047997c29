#include "bind/key.h"

#include <algorithm>
#include <string_view>

namespace py = pybind11;

namespace lazulite::bind {

namespace {

PyObject* sorted_names = nullptr;
// Types, and where they hold the function.
std::vector<std::pair<py::object, std::string>>& wrappers() {
  static auto* all = new std::vector<std::pair<py::object, std::string>>;
  return *all;
}

// The attributes that a class names as part of what is traced; null: none.
py::object traced_attributes(PyObject* o) {
  static PyObject* const name = PyUnicode_InternFromString("_traced_attributes");
  auto names = py::reinterpret_steal<py::object>(
      PyObject_GetAttr(reinterpret_cast<PyObject*>(Py_TYPE(o)), name));
  if (!names) PyErr_Clear();
  return names && PyTuple_CheckExact(names.ptr()) ? names : py::object();
}
bool is_traced_attribute(PyObject* o, PyObject* name) {
  const py::object names = traced_attributes(o);
  const int found = names ? PySequence_Contains(names.ptr(), name) : 0;
  if (found < 0) throw PythonError{};
  return found;
}

}  // namespace

void set_sorted_names(py::object function) { sorted_names = function.release().ptr(); }
void add_wrapper(py::object type, std::string attribute) {
  wrappers().emplace_back(std::move(type), std::move(attribute));
}

// ---- values

// A class that goes leaves its address to another; those of Python's own never go.
void Key::class_of(PyTypeObject* type) {
  raw(type);
  if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE)) return;
  auto* const o = reinterpret_cast<PyObject*>(type);
  if (classes.empty() || classes.back().ptr() != o)
    classes.push_back(py::reinterpret_borrow<py::object>(o));
}

void Key::add_array(PyObject* o) {
  const array& a = unwrap(o);
  tag('a');
  raw(uint8_t(a.dtype()));
  raw(uint32_t(a.ndim()));
  for (int64_t n : a.shape()) raw(n);
  arrays.push_back(a);
  held_.push_back(o);
}

bool Key::add_constant(PyObject* o) {
  if (o == Py_None) return tag('0'), true;
  PyTypeObject* type = Py_TYPE(o);
  if (PyBool_Check(o)) {
    tag(o == Py_True ? 'T' : 'F');
  } else if (PyFloat_Check(o)) {
    tag('f'), class_of(type), raw(PyFloat_AS_DOUBLE(o));
  } else if (PyLong_Check(o)) {
    int overflow = 0;
    const long long v = PyLong_AsLongLongAndOverflow(o, &overflow);
    tag('i'), class_of(type);
    if (!overflow) raw(v);
    else add_repr(o);
  } else if (PyUnicode_Check(o)) {
    Py_ssize_t n;
    const char* data = PyUnicode_AsUTF8AndSize(o, &n);
    tag('s'), class_of(type);
    if (data) text(data, n);
    else PyErr_Clear(), add_repr(o);
  } else if (PyComplex_Check(o)) {
    tag('c'), class_of(type), raw(PyComplex_AsCComplex(o));
  } else if (PyBytes_Check(o)) {
    tag('b'), class_of(type), text(PyBytes_AS_STRING(o), PyBytes_GET_SIZE(o));
  } else if (is_number(o)) {  // NumPy's: their text tells all digits
    tag('n'), class_of(type), add_repr(o);
  } else {
    return false;
  }
  return true;
}

void Key::add_repr(PyObject* o) {
  const auto shown = py::reinterpret_steal<py::object>(PyObject_Repr(o));
  Py_ssize_t n;
  const char* data = shown ? PyUnicode_AsUTF8AndSize(shown.ptr(), &n) : nullptr;
  if (!data) throw PythonError{};
  text(data, n);
}

void Key::add_name(PyObject* name) {
  if (!PyUnicode_CheckExact(name) || !add_constant(name))
    tag('r'), class_of(Py_TYPE(name)), add_repr(name);
}

// ---- trees

void Key::add_tree(PyObject* tree) {
  walk_tree(tree, [this](PyObject* o, const Place& at, const auto& inside) {
    add_part(o, at.depth, inside);
  });
}

template <class Inside>
void Key::add_part(PyObject* o, size_t depth, const Inside& inside) {
  if (is_array(o)) return add_array(o);
  if (is_model(o)) {
    add_module(o, depth);
  } else if (PyDict_Check(o)) {
    line_.enter(o, depth);
    tag('d'), raw(PyDict_GET_SIZE(o));
    if (!PyDict_CheckExact(o)) add_subclass(o);
    if (PyDict_GET_SIZE(o)) add_sorted(o, inside);
  } else if (PyTuple_Check(o) || PyList_Check(o)) {
    line_.enter(o, depth);
    tag('('), class_of(Py_TYPE(o)), raw(PySequence_Fast_GET_SIZE(o));
    if (PyList_Check(o) && !PyList_CheckExact(o)) add_subclass(o);
    if (!each_item(o, inside))
      fail(Kind::value, "compile", "a list that changes while it is read");
  } else if (add_constant(o)) {
  } else if (PyObject* fields = record_fields(o)) {
    add_record(o, fields, depth, inside);
  } else {
    fail(Kind::value, "compile", "an argument is neither an array nor a constant: got ",
         Py_TYPE(o)->tp_name,
         ", expected a tree (list, tuple, dict, what register_tree knows) of arrays, numbers, "
         "strings and None");
  }
}

template <class Inside>
void Key::add_record(PyObject* o, PyObject* fields, size_t depth, const Inside& inside) {
  line_.enter(o, depth);
  tag('R'), class_of(Py_TYPE(o));
  each_field(o, fields, inside);
  if (PyObject* forms = record_forms(o)) each_field(o, forms, inside);
}

// What comes before the names of a dict that may be a module.
void Key::add_dict(PyObject* o, size_t depth) {
  line_.enter(o, depth);
  tag('D'), raw(PyDict_GET_SIZE(o));
  if (!PyDict_CheckExact(o)) add_class(o);
}

template <class Inside>
void Key::add_module_part(PyObject* o, size_t depth, const Inside& inside) {
  if (is_array(o)) return add_array(o);
  if (PyDict_Check(o)) {
    add_dict(o, depth);
    if (is_model(o)) add_attributes(o);
    if (PyDict_GET_SIZE(o)) add_sorted(o, inside);
  } else if (PyTuple_Check(o) || PyList_Check(o) || record_fields(o)) {
    add_part(o, depth, inside);
  } else {
    add_value(o);
  }
}

void Key::add_module(PyObject* module, size_t depth) {
  modules = true;
  const auto visit = [this](PyObject* part, const Place& at, const auto& below) {
    add_module_part(part, at.depth, below);
  };
  walk_tree(module, visit, Place{depth, false});
}

void Key::add_value(PyObject* o) {
  if (add_constant(o)) return;
  tag('@'), raw(o);
  classes.push_back(py::reinterpret_borrow<py::object>(o));
}

// Of a dict or list that is no model.
void Key::add_subclass(PyObject* o) {
  tag('m'), class_of(Py_TYPE(o));
  if (PyObject_HasAttrString(o, "__dict__")) add_attributes(o);
}

void Key::add_attributes(PyObject* module) {
  const auto own = py::reinterpret_steal<py::object>(PyObject_GetAttrString(module, "__dict__"));
  if (!own) throw PythonError{};
  for (const auto& [name, value] : Entries(own.ptr())) {
    const bool private_one = is_traced_attribute(module, name.ptr());  // as add_class adds them
    if (!private_one) add_name(name.ptr()), add_value(value.ptr());
  }
}

template <class Inside>
void Key::add_sorted(PyObject* dict, const Inside& inside) {
  const auto names = py::reinterpret_steal<py::object>(PyObject_CallOneArg(sorted_names, dict));
  if (!names) throw PythonError{};
  const Py_ssize_t n = PyList_GET_SIZE(names.ptr());
  for (Py_ssize_t i = 0; i < n; ++i) add_name(PyList_GET_ITEM(names.ptr(), i));
  for (Py_ssize_t i = 0; i < n; ++i) {
    const auto value = py::reinterpret_borrow<py::object>(
        PyDict_GetItemWithError(dict, PyList_GET_ITEM(names.ptr(), i)));
    if (!value && PyErr_Occurred()) throw PythonError{};
    if (!value) fail(Kind::value, "compile", "a dict that changes while it is read");
    inside(value.ptr());
  }
}

void Key::add_held(PyObject* tree) {
  walk_tree(tree, [this](PyObject* o, const Place& at, const auto& inside) {
    add_held_part(o, at.depth, inside);
  });
}

void Key::add_class(PyObject* o) {
  PyTypeObject* const type = Py_TYPE(o);
  tag('M'), class_of(type);
  const py::object names = traced_attributes(o);
  if (!names) return;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names.ptr()); ++i) {
    const auto value = py::reinterpret_steal<py::object>(
        PyObject_GetAttr(o, PyTuple_GET_ITEM(names.ptr(), i)));
    if (!value) throw PythonError{};
    if (add_constant(value.ptr())) continue;
    const Py_hash_t hash = PyObject_Hash(value.ptr());
    if (hash == -1) throw PythonError{};
    tag('h'), raw(hash);
  }
}

template <class Inside>
void Key::add_held_part(PyObject* o, size_t depth, const Inside& inside) {
  if (is_array(o)) return add_array(o);
  if (PyDict_Check(o)) {
    add_dict(o, depth);
    const Entries entries(o);
    for (const auto& entry : entries) add_name(entry.first.ptr());
    for (const auto& entry : entries) inside(entry.second.ptr());
  } else if (PyTuple_Check(o) || PyList_Check(o)) {
    line_.enter(o, depth);
    if (PyList_Check(o)) tag('L'), raw(PyList_GET_SIZE(o));
    each_item(o, inside);
  } else if (PyObject* fields = record_fields(o)) {
    add_record(o, fields, depth, inside);
  } else if (!PyUnicode_Check(o) && !PyBytes_Check(o) && PyObject_HasAttrString(o, "__setitem__") &&
             PyObject_HasAttrString(o, "__len__")) {
    const Py_ssize_t n = PyObject_Length(o);
    if (n < 0) throw PythonError{};
    line_.enter(o, depth);
    tag('C'), raw(n);
    for (Py_ssize_t i = 0; i < n; ++i) {
      const auto item = py::reinterpret_steal<py::object>(PySequence_GetItem(o, i));
      if (!item) throw PythonError{};
      inside(item.ptr());
    }
  } else {
    add_constant(o);
  }
}

void Key::add_aliases() {
  auto same = [this](size_t i, size_t k) { tag('='), raw(int64_t(i)), raw(int64_t(k)); };
  if (held_.size() <= 8) {
    for (size_t i = 1; i < held_.size(); ++i) {
      const size_t k =
          size_t(std::find(held_.begin(), held_.begin() + i, held_[i]) - held_.begin());
      if (k < i) same(i, k);
    }
    return;
  }
  size_t places = 32;
  while (places < 2 * held_.size()) places *= 2;
  std::vector<int64_t> table(places, -1);
  for (size_t i = 0; i < held_.size(); ++i) {
    size_t at =
        (reinterpret_cast<size_t>(held_[i]) >> 4) * 0x9e3779b97f4a7c15ull >> 20 & (places - 1);
    while (table[at] >= 0 && held_[size_t(table[at])] != held_[i]) at = (at + 1) & (places - 1);
    if (table[at] >= 0) same(i, size_t(table[at]));
    else table[at] = int64_t(i);
  }
}

// ---- closures

namespace {

// Where an object that wraps a function holds it; null: it is no such object.
const char* place_of_function(PyObject* o) {
  for (const auto& [type, attribute] : wrappers())
    if (PyObject_TypeCheck(o, reinterpret_cast<PyTypeObject*>(type.ptr())))
      return attribute.c_str();
  const std::string_view name = Py_TYPE(o)->tp_name;
  if (name == "functools.partial") return "func";
  if (name == "functools._lru_cache_wrapper" || name == "staticmethod") return "__wrapped__";
  return nullptr;
}

// The function behind a method, and behind what wraps functions: transforms, functools.partial,
// lru_cache.
py::object called(py::object fun) {
  for (int depth = 0; depth < 64 && !PyFunction_Check(fun.ptr()); ++depth) {
    if (PyMethod_Check(fun.ptr())) {
      fun = py::reinterpret_borrow<py::object>(PyMethod_GET_FUNCTION(fun.ptr()));
      continue;
    }
    const char* const inside = place_of_function(fun.ptr());
    if (!inside) return fun;
    PyObject* const next = PyObject_GetAttrString(fun.ptr(), inside);
    if (!next) throw PythonError{};
    fun = py::reinterpret_steal<py::object>(next);
  }
  return fun;
}

// f(cell) for the cells of a function, and of the functions that these hold (what grad returns
// holds the user's), in lists and tuples and as defaults too; f says whether to look into a cell.
template <class F>
class CellWalk {
 public:
  explicit CellWalk(F&& f) : f_(f) {}

  void look_at(PyObject* o) {
    if (PyTuple_CheckExact(o) || PyList_CheckExact(o)) {
      if (!known(o)) look_at_items(o);
      return;
    }
    const py::object fun = called(py::reinterpret_borrow<py::object>(o));
    if (!PyFunction_Check(fun.ptr()) || known(fun.ptr())) return;
    PyObject* const cells = PyFunction_GET_CLOSURE(fun.ptr());
    for (Py_ssize_t i = 0; cells && i < PyTuple_GET_SIZE(cells); ++i) {
      PyObject* const cell = PyTuple_GET_ITEM(cells, i);
      if (f_(cell) && PyCell_GET(cell))
        look_at(py::reinterpret_borrow<py::object>(PyCell_GET(cell)).ptr());
    }
    if (PyObject* const defaults = PyFunction_GET_DEFAULTS(fun.ptr())) look_at(defaults);
  }

 private:
  void look_at_items(PyObject* o) {
    const auto items = py::reinterpret_steal<py::object>(PySequence_Tuple(o));
    if (!items) throw PythonError{};
    const Py_ssize_t n = std::min<Py_ssize_t>(PyTuple_GET_SIZE(items.ptr()), 64);
    for (Py_ssize_t i = 0; i < n; ++i) look_at(PyTuple_GET_ITEM(items.ptr(), i));
  }
  bool known(PyObject* one) {
    if (seen_.size() > 100 || std::find(seen_.begin(), seen_.end(), one) != seen_.end())
      return true;
    seen_.push_back(one);
    return false;
  }
  F& f_;
  std::vector<PyObject*> seen_;
};
template <class F>
void each_cell(PyObject* fun, F&& f) {
  CellWalk<F>(std::forward<F>(f)).look_at(fun);
}

}  // namespace

void Key::add_closure(PyObject* fun) {
  each_cell(fun, [this](PyObject* cell) {
    for (const py::object& own : own_)
      if (own.ptr() == cell) return false;
    PyObject* const held = PyCell_GET(cell);
    if (!held) return tag('-'), false;
    if (add_constant(held)) return false;
    tag('@'), raw(held);
    named.push_back(py::reinterpret_borrow<py::object>(held));
    return true;
  });
}

std::vector<std::pair<py::object, py::object>> cells_of(PyObject* fun) {
  std::vector<std::pair<py::object, py::object>> out;
  each_cell(fun, [&](PyObject* cell) {
    out.emplace_back(py::reinterpret_borrow<py::object>(cell),
                     py::reinterpret_borrow<py::object>(PyCell_GET(cell)));
    return true;
  });
  return out;
}

}  // namespace lazulite::bind
