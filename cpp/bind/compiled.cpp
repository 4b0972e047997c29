// The way of a call to a compiled function: arguments and state become a key, the key finds a
// graph, the graph is replayed. core/_compile.py makes the graphs and says what a call means; this
// makes it quick.
#include <pybind11/pybind11.h>

#include <algorithm>
#include <memory>
#include <string>
#include <unordered_map>

#include "bind/array_class.h"
#include "bind/module.h"
#include "bind/transforms.h"
#include "bind/trees.h"
#include "graph/trace.h"
#include "ops/random/random.h"
#include "transform/kept.h"

namespace py = pybind11;

namespace lazulite::bind {

namespace {

using Cells = std::vector<py::object>;

// ---- keys: everything that a trace depends on, as bytes; and the arrays, in order

struct Key {
  std::string bytes;
  ArrayList arrays;
  std::vector<py::object> named;  // what `bytes` names by address
  const Cells* own = nullptr;     // cells that the function itself binds: they say nothing about it

  void tag(char c) { bytes.push_back(c); }
  template <class T>
  void raw(const T& v) { bytes.append(reinterpret_cast<const char*>(&v), sizeof v); }
  void text(const char* data, Py_ssize_t n) {
    raw(n);
    bytes.append(data, size_t(n));
  }
  void add_array(PyObject* o) {
    const array& a = unwrap(o);
    tag('a');
    raw(uint8_t(a.dtype()));
    raw(uint32_t(a.ndim()));
    for (int64_t n : a.shape()) raw(n);
    arrays.push_back(a);
    held.push_back(o);
  }
  // bool, int, float, complex, str, bytes, None; false: something else.
  bool add_constant(PyObject* o) {
    if (o == Py_None) return tag('0'), true;
    PyTypeObject* type = Py_TYPE(o);
    if (PyBool_Check(o)) {
      tag(o == Py_True ? 'T' : 'F');
    } else if (PyFloat_Check(o)) {
      tag('f'), raw(type), raw(PyFloat_AS_DOUBLE(o));
    } else if (PyLong_Check(o)) {
      int overflow = 0;
      const long long v = PyLong_AsLongLongAndOverflow(o, &overflow);
      tag('i'), raw(type);
      if (!overflow) raw(v);
      else add_repr(o);
    } else if (PyUnicode_Check(o)) {
      Py_ssize_t n;
      const char* data = PyUnicode_AsUTF8AndSize(o, &n);
      tag('s'), raw(type);
      if (data) text(data, n);
      else PyErr_Clear(), add_repr(o);
    } else if (PyComplex_Check(o)) {
      tag('c'), raw(type), raw(PyComplex_AsCComplex(o));
    } else if (PyBytes_Check(o)) {
      tag('b'), raw(type), text(PyBytes_AS_STRING(o), PyBytes_GET_SIZE(o));
    } else {
      return false;
    }
    return true;
  }
  void add_repr(PyObject* o) {
    const auto text_object = py::reinterpret_steal<py::object>(PyObject_Repr(o));
    if (!text_object) throw PythonError{};
    Py_ssize_t n;
    const char* data = PyUnicode_AsUTF8AndSize(text_object.ptr(), &n);
    if (!data) throw PythonError{};
    text(data, n);
  }
  void add_name(PyObject* name) {  // of a dict's entry
    if (!PyUnicode_CheckExact(name) || !add_constant(name))
      tag('r'), raw(Py_TYPE(name)), add_repr(name);
  }

  // A tree in depth-first order: `visit` gets a part, its depth, and what takes the parts inside
  // it. Deep ones on a stack of their own: a thread's may be small.
  template <class Visit>
  void walk(PyObject* o, size_t depth, const Visit& visit) {
    if (depth < 32)
      return visit(o, depth, [&](PyObject* inside) { walk(inside, depth + 1, visit); });
    std::vector<std::pair<py::object, size_t>> left;
    left.emplace_back(py::reinterpret_borrow<py::object>(o), depth);
    while (!left.empty()) {
      const auto [part, at] = std::move(left.back());
      left.pop_back();
      const size_t first = left.size(), below = at + 1;
      visit(part.ptr(), at, [&](PyObject* inside) {
        left.emplace_back(py::reinterpret_borrow<py::object>(inside), below);
      });
      std::reverse(left.begin() + ptrdiff_t(first), left.end());
    }
  }

  // Arguments: entries of dicts in the order of _describe, which is that of their sorted names.
  Ancestors line{"compile"};
  void add_tree(PyObject* tree) {
    walk(tree, 0, [this](PyObject* o, size_t depth, const auto& inside) {
      add_part(o, depth, inside);
    });
  }
  template <class Inside>
  void add_part(PyObject* o, size_t depth, const Inside& inside) {
    if (is_array(o)) return add_array(o);
    if (PyDict_Check(o)) {
      line.enter(o, depth);
      tag('d'), raw(PyDict_GET_SIZE(o));
      if (PyDict_GET_SIZE(o) == 0) return;
      const auto names = py::reinterpret_steal<py::object>(PyObject_CallOneArg(sorted_names, o));
      if (!names) throw PythonError{};
      for (Py_ssize_t i = 0; i < PyList_GET_SIZE(names.ptr()); ++i)
        add_name(PyList_GET_ITEM(names.ptr(), i));
      for (Py_ssize_t i = 0; i < PyList_GET_SIZE(names.ptr()); ++i) {
        PyObject* name = PyList_GET_ITEM(names.ptr(), i);
        const auto value = py::reinterpret_borrow<py::object>(PyDict_GetItemWithError(o, name));
        if (!value && PyErr_Occurred()) throw PythonError{};
        if (!value) fail(Kind::value, "compile", "a dict that changes while it is read");
        inside(value.ptr());
      }
    } else if (PyTuple_Check(o) || PyList_Check(o)) {
      line.enter(o, depth);
      const bool tuple = PyTuple_Check(o);
      const Py_ssize_t n = tuple ? PyTuple_GET_SIZE(o) : PyList_GET_SIZE(o);
      tag('('), raw(Py_TYPE(o)), raw(n);
      for (Py_ssize_t i = 0; i < n; ++i) {
        if (!tuple && i >= PyList_GET_SIZE(o))
          fail(Kind::value, "compile", "a list that changes while it is read");
        const auto item = py::reinterpret_borrow<py::object>(tuple ? PyTuple_GET_ITEM(o, i)
                                                                   : PyList_GET_ITEM(o, i));
        inside(item.ptr());
      }
    } else if (add_constant(o)) {
    } else if (PyObject* fields = record_fields(o)) {
      line.enter(o, depth);
      tag('R'), raw(Py_TYPE(o));
      each_field(o, fields, inside);
    } else {
      fail(Kind::value, "compile", "an argument is neither an array nor a constant: got ",
           Py_TYPE(o)->tp_name,
           ", expected a tree (list, tuple, dict, what register_tree knows) of arrays, numbers, "
           "strings and None");
    }
  }

  // Which of the arrays, of arguments and state, are one object: a change in place of one is one of
  // the other.
  void add_aliases() {
    if (held.size() <= 8) {
      for (size_t i = 1; i < held.size(); ++i)
        for (size_t k = 0; k < i; ++k)
          if (held[k] == held[i]) {
            tag('='), raw(int64_t(i)), raw(int64_t(k));
            break;
          }
      return;
    }
    size_t places = 32;
    while (places < 2 * held.size()) places *= 2;
    table.assign(places, -1);
    for (size_t i = 0; i < held.size(); ++i) {
      size_t at =
          (reinterpret_cast<size_t>(held[i]) >> 4) * 0x9e3779b97f4a7c15ull >> 20 & (places - 1);
      while (table[at] >= 0 && held[size_t(table[at])] != held[i]) at = (at + 1) & (places - 1);
      if (table[at] >= 0) tag('='), raw(int64_t(i)), raw(table[at]);
      else table[at] = int64_t(i);
    }
  }
  SmallVector<PyObject*, 8> held;  // the objects of `arrays`
  std::vector<int64_t> table;
  // Containers in their own order; what is neither array nor constant is passed over.
  void add_held(PyObject* tree) {
    walk(tree, 0, [this](PyObject* o, size_t depth, const auto& inside) {
      add_held_part(o, depth, inside);
    });
  }
  template <class Inside>
  void add_held_part(PyObject* o, size_t depth, const Inside& inside) {
    if (is_array(o)) return add_array(o);
    if (PyTuple_Check(o)) {
      line.enter(o, depth);
      for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(o); ++i) inside(PyTuple_GET_ITEM(o, i));
    } else if (PyDict_Check(o)) {
      line.enter(o, depth);
      tag('D'), raw(PyDict_GET_SIZE(o));
      PyObject *name, *value;
      Py_ssize_t at = 0;
      // Names first, and all held: what follows may run Python code.
      std::vector<std::pair<py::object, py::object>> entries;
      while (PyDict_Next(o, &at, &name, &value))
        entries.emplace_back(py::reinterpret_borrow<py::object>(name),
                             py::reinterpret_borrow<py::object>(value));
      for (auto& entry : entries) add_name(entry.first.ptr());
      for (auto& entry : entries) inside(entry.second.ptr());
    } else if (PyList_Check(o)) {
      line.enter(o, depth);
      tag('L'), raw(PyList_GET_SIZE(o));
      for (Py_ssize_t i = 0; i < PyList_GET_SIZE(o); ++i)
        inside(py::reinterpret_borrow<py::object>(PyList_GET_ITEM(o, i)).ptr());
    } else if (PyObject* fields = record_fields(o)) {
      line.enter(o, depth);
      tag('R'), raw(Py_TYPE(o));
      each_field(o, fields, inside);
    } else if (!PyUnicode_Check(o) && !PyBytes_Check(o) &&
               PyObject_HasAttrString(o, "__setitem__") && PyObject_HasAttrString(o, "__len__")) {
      const Py_ssize_t n = PyObject_Length(o);
      if (n < 0) throw PythonError{};
      line.enter(o, depth);
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
  // The function behind a method, and behind what wraps functions: transforms, functools.partial,
  // lru_cache.
  static py::object called(py::object fun) {
    for (int depth = 0; depth < 64; ++depth) {
      PyObject* const o = fun.ptr();
      const char* inside = nullptr;
      if (PyFunction_Check(o)) return fun;
      if (PyMethod_Check(o)) {
        fun = py::reinterpret_borrow<py::object>(PyMethod_GET_FUNCTION(o));
        continue;
      }
      for (const auto& [type, attribute] : wrappers)
        if (PyObject_TypeCheck(o, reinterpret_cast<PyTypeObject*>(type.ptr())))
          inside = attribute.c_str();
      const std::string_view name = Py_TYPE(o)->tp_name;
      if (name == "functools.partial") inside = "func";
      if (name == "functools._lru_cache_wrapper" || name == "staticmethod") inside = "__wrapped__";
      if (!inside) return fun;
      PyObject* const next = PyObject_GetAttrString(o, inside);
      if (!next) throw PythonError{};
      fun = py::reinterpret_steal<py::object>(next);
    }
    return fun;
  }
  // f(cell) for the cells of a function, and of the functions that these hold (what grad returns
  // holds the user's), in lists and tuples and as defaults too.
  template <class F>
  static void each_cell(PyObject* o, F&& f, std::vector<PyObject*>& seen) {
    auto known = [&](PyObject* one) {
      if (seen.size() > 100 || std::find(seen.begin(), seen.end(), one) != seen.end()) return true;
      seen.push_back(one);
      return false;
    };
    if (PyTuple_CheckExact(o) || PyList_CheckExact(o)) {
      if (known(o)) return;
      const auto items = py::reinterpret_steal<py::object>(PySequence_Tuple(o));
      if (!items) throw PythonError{};
      const Py_ssize_t n = std::min<Py_ssize_t>(PyTuple_GET_SIZE(items.ptr()), 64);
      for (Py_ssize_t i = 0; i < n; ++i) each_cell(PyTuple_GET_ITEM(items.ptr(), i), f, seen);
      return;
    }
    const py::object fun = called(py::reinterpret_borrow<py::object>(o));
    if (!PyFunction_Check(fun.ptr()) || known(fun.ptr())) return;
    PyObject* const cells = PyFunction_GET_CLOSURE(fun.ptr());
    for (Py_ssize_t i = 0; cells && i < PyTuple_GET_SIZE(cells); ++i) {
      PyObject* const cell = PyTuple_GET_ITEM(cells, i);
      if (f(cell) && PyCell_GET(cell))
        each_cell(py::reinterpret_borrow<py::object>(PyCell_GET(cell)).ptr(), f, seen);
    }
    if (PyObject* const defaults = PyFunction_GET_DEFAULTS(fun.ptr())) each_cell(defaults, f, seen);
  }
  // What cells hold: numbers and text by value, all else by identity. The entry keeps what is named
  // by its address.
  void add_closure(PyObject* fun) {
    std::vector<PyObject*> seen;
    each_cell(
        fun,
        [&](PyObject* cell) {
          if (own && std::any_of(own->begin(), own->end(),
                                 [&](const py::object& c) { return c.ptr() == cell; }))
            return false;
          PyObject* const held = PyCell_GET(cell);
          if (!held)
            tag('-');
          else if (!add_constant(held)) {
            tag('@'), raw(held);
            named.push_back(py::reinterpret_borrow<py::object>(held));
            return true;
          }
          return false;
        },
        seen);
  }
  // The cells that add_closure looks at, and what they hold.
  static void collect(PyObject* fun, std::vector<std::pair<py::object, py::object>>& out) {
    std::vector<PyObject*> seen;
    each_cell(
        fun,
        [&](PyObject* cell) {
          out.emplace_back(py::reinterpret_borrow<py::object>(cell),
                           py::reinterpret_borrow<py::object>(PyCell_GET(cell)));
          return true;
        },
        seen);
  }
  static PyObject* sorted_names;
  static std::vector<std::pair<py::object, std::string>>&
      wrappers;  // types, and where they hold the function
};
PyObject* Key::sorted_names = nullptr;
std::vector<std::pair<py::object, std::string>>& Key::wrappers =
    *new std::vector<std::pair<py::object, std::string>>;

// ---- results: a tree whose arrays are to be filled in

struct Result {
  enum Kind { leaf, constant, tuple, list, dict, other } kind = constant;
  Py_ssize_t index = 0;
  py::object object;             // a constant, or a template that Python fills
  std::vector<Result> parts;
  std::vector<py::object> names;

  static PyObject *leaf_type, *fill;
  static Result of(py::handle tree, int depth = 0) {
    Result r;
    if (depth > 100) {
      r.kind = other;
      r.object = py::reinterpret_borrow<py::object>(tree);
      return r;
    }
    if (Py_TYPE(tree.ptr()) == reinterpret_cast<PyTypeObject*>(leaf_type)) {
      r.kind = leaf;
      r.index = tree.attr("index").cast<Py_ssize_t>();
    } else if (PyTuple_CheckExact(tree.ptr()) || PyList_CheckExact(tree.ptr())) {
      r.kind = PyTuple_CheckExact(tree.ptr()) ? tuple : list;
      for (py::handle item : tree) r.parts.push_back(of(item, depth + 1));
    } else if (PyDict_CheckExact(tree.ptr())) {
      r.kind = dict;
      for (auto [name, item] : py::reinterpret_borrow<py::dict>(tree)) {
        r.names.push_back(py::reinterpret_borrow<py::object>(name));
        r.parts.push_back(of(item, depth + 1));
      }
    } else {
      const bool tree_like = PyTuple_Check(tree.ptr()) || PyList_Check(tree.ptr()) ||
                             PyDict_Check(tree.ptr()) || record_fields(tree.ptr());
      r.kind = tree_like ? other : constant;
      r.object = py::reinterpret_borrow<py::object>(tree);
    }
    return r;
  }
  py::object make(const ArrayList& values) const {
    switch (kind) {
      case leaf: {
        PyObject* made = wrap(values[size_t(index)]);
        if (!made) throw PythonError{};
        return py::reinterpret_steal<py::object>(made);
      }
      case constant: return object;
      case tuple: {
        py::tuple out(parts.size());
        for (size_t i = 0; i < parts.size(); ++i)
          PyTuple_SET_ITEM(out.ptr(), Py_ssize_t(i), parts[i].make(values).release().ptr());
        return out;
      }
      case list: {
        py::list out;
        for (const Result& part : parts) out.append(part.make(values));
        return out;
      }
      case dict: {
        py::dict out;
        for (size_t i = 0; i < parts.size(); ++i) out[names[i]] = parts[i].make(values);
        return out;
      }
      case other: return py::reinterpret_borrow<py::object>(fill)(object, to_list(values));
    }
    return py::none();
  }
};
PyObject* Result::leaf_type = nullptr;
PyObject* Result::fill = nullptr;

// ---- the object

struct Entry {
  Ref<const FunctionGraph> graph;
  Ref<const KeptCall> kept;  // null: replayed
  Result result;
  py::object made;         // the _Entry of Python
  std::vector<py::object> named;  // keeps what the key names by address
  bool writes = false;     // it has state to write
  Py_ssize_t random = -1;  // which value is the next random state
  uint64_t used = 0;
  uint64_t traced = 0,
           looked =
               0;  // by the clock of captures: when it was made, and last found to be up to date
  // False when an array that it captured has been changed in place since.
  bool fresh() {
    const uint64_t now = capture_clock().load();
    if (looked == now) return true;
    for (const array& a : graph->sources())
      if (a.node()->captured.load() > traced) return false;
    looked = now;
    return true;
  }
};

// A call holds its entry: while Python runs, another thread, or the call itself, may drop it from
// the cache.
using EntryRef = std::shared_ptr<Entry>;

struct State {
  py::object fun, inputs, outputs, dynamic;
  std::unordered_map<std::string, EntryRef> entries;
  Cells own;  // cells that the function binds when it is traced: a side effect
  size_t limit = 64;
  uint64_t clock = 0;
};

struct PyCompiled {
  PyObject_HEAD
  State* state;
};
State& state_of(PyObject* self) { return *reinterpret_cast<PyCompiled*>(self)->state; }

bool enabled = true;

PyObject* construct(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self) reinterpret_cast<PyCompiled*>(self)->state = new State;
  return self;
}
int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  State& s = state_of(self);
  for (auto* o : {&s.fun, &s.inputs, &s.outputs, &s.dynamic}) Py_VISIT(o->ptr());
  for (auto& cell : s.own) Py_VISIT(cell.ptr());
  for (auto& [key, entry] : s.entries) {
    if (entry.use_count() > 1) continue;  // a call has it, too
    Py_VISIT(entry->made.ptr());
    for (auto& o : entry->named) Py_VISIT(o.ptr());
  }
  return 0;
}
int clear(PyObject* self) {
  State& s = state_of(self);
  // What dies may run Python code: the members are empty by then.
  State old;
  for (auto member : {&State::fun, &State::inputs, &State::outputs, &State::dynamic})
    std::swap(old.*member, s.*member);
  std::swap(old.entries, s.entries);
  std::swap(old.own, s.own);
  return 0;
}
void dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  delete reinterpret_cast<PyCompiled*>(self)->state;
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

// One thread at a time calls functions that have state: while one is traced, the state's objects
// hold leaves.
PyObject* state_lock = nullptr;  // a threading.RLock
struct Turn {
  const bool taken;
  explicit Turn(bool wanted) : taken(wanted) {
    if (taken &&
        !py::reinterpret_steal<py::object>(PyObject_CallMethod(state_lock, "acquire", nullptr)))
      throw PythonError{};
  }
  Turn(const Turn&) = delete;
  ~Turn() {
    if (!taken) return;
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    Py_XDECREF(PyObject_CallMethod(state_lock, "release", nullptr));
    PyErr_Restore(type, value, trace);
  }
};

EntryRef insert(State& s, Key& key, py::object made) {
  auto entry = std::make_shared<Entry>();
  entry->graph = made.attr("graph").cast<PyGraph&>().graph;
  entry->kept = KeptCall::of(*entry->graph);
  entry->result = Result::of(made.attr("result"));
  entry->writes = !made.attr("state").is_none();
  const py::object random = made.attr("random");
  if (!random.is_none()) entry->random = random.attr("index").cast<Py_ssize_t>();
  entry->made = std::move(made);
  entry->named = std::move(key.named);
  std::vector<EntryRef> dropped;  // die last: that may run Python code
  EntryRef& place = s.entries[std::move(key.bytes)];
  dropped.push_back(std::exchange(place, entry));
  while (s.entries.size() > s.limit) {
    auto oldest = s.entries.end();
    for (auto at = s.entries.begin(); at != s.entries.end(); ++at)
      if (at->second != entry &&
          (oldest == s.entries.end() || at->second->used < oldest->second->used))
        oldest = at;
    dropped.push_back(std::move(oldest->second));
    s.entries.erase(oldest);
  }
  return entry;
}

PyObject* call(PyObject* self, PyObject* args, PyObject* kwargs) {
  return guarded([&]() -> PyObject* {
    State& s = state_of(self);
    if (!s.fun) fail(Kind::runtime, "compile", "a compiled function that was not set up");
    if (!enabled || current_trace()) return PyObject_Call(s.fun.ptr(), args, kwargs);
    py::object converted;
    if (s.dynamic) {
      converted = py::reinterpret_borrow<py::object>(self).attr("_with_inputs")(
          py::handle(args), kwargs ? py::handle(kwargs) : py::handle(Py_None));
      args = PyTuple_GET_ITEM(converted.ptr(), 0);
      kwargs = PyTuple_GET_ITEM(converted.ptr(), 1);
    }
    const Turn turn(s.inputs || s.outputs);
    Key key;
    key.own = &s.own;
    key.add_tree(args);
    if (kwargs && PyDict_GET_SIZE(kwargs)) key.add_tree(kwargs);
    key.tag('S');
    if (s.inputs) key.add_held(s.inputs.ptr());
    key.add_aliases();
    const size_t closure = key.bytes.size();
    key.add_closure(s.fun.ptr());
    auto found = s.entries.find(key.bytes);
    EntryRef entry;
    if (found != s.entries.end() && found->second->fresh()) {
      entry = found->second;
    } else {
      const uint64_t now = capture_clock().load();
      std::vector<std::pair<py::object, py::object>> cells;
      Key::collect(s.fun.ptr(), cells);
      py::object made = py::reinterpret_borrow<py::object>(self).attr("_trace")(
          py::handle(args),
          kwargs ? py::reinterpret_borrow<py::object>(kwargs) : py::object(py::dict()));
      bool bound = false;  // a counter of traces, say; an array would be a value of the trace
      for (auto& [cell, held] : cells)
        if (PyObject* const holds = PyCell_GET(cell.ptr());
            holds != held.ptr() && !(holds && is_array(holds)) && !(held && is_array(held.ptr())))
          s.own.push_back(std::move(cell)), bound = true;
      if (bound) {
        key.bytes.resize(closure);
        key.named.clear();
        key.add_closure(s.fun.ptr());
      }
      entry = insert(s, key, std::move(made));
      entry->traced = entry->looked = now;
    }
    entry->used = ++s.clock;
    key.arrays.push_back(random::default_key());
    const ArrayList values =
        entry->kept ? (*entry->kept)(key.arrays) : (*entry->graph)(key.arrays);
    const Entry& e = *entry;
    if (e.random >= 0) random::set_default_key(values[size_t(e.random)]);
    if (!e.writes) return e.result.make(values).release().ptr();
    py::object result = e.result.make(values);
    py::reinterpret_borrow<py::object>(self)
        .attr("_outputs")
        .attr("write")(e.made.attr("state"), to_list(values));
    return result.release().ptr();
  });
}

PyObject* setup(PyObject* self, PyObject* args) {
  return guarded([&]() -> PyObject* {
    PyObject *fun, *inputs, *outputs, *dynamic;
    Py_ssize_t limit;
    if (!PyArg_ParseTuple(args, "OOOnO", &fun, &inputs, &outputs, &limit, &dynamic)) return nullptr;
    State& s = state_of(self);
    auto hold = [](PyObject* o) {
      return o == Py_None ? py::object() : py::reinterpret_borrow<py::object>(o);
    };
    s.fun = hold(fun);
    s.inputs = hold(inputs);
    s.outputs = hold(outputs);
    s.dynamic = hold(dynamic);
    s.limit = size_t(std::max<Py_ssize_t>(1, limit));
    Py_RETURN_NONE;
  });
}

PyObject* entries_of(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* { return PyLong_FromSize_t(state_of(self).entries.size()); });
}

PyMethodDef methods[] = {
    {"_setup", setup, METH_VARARGS, "_setup(fun, inputs, outputs, cache_size, dynamic)"},
    {"_entries", entries_of, METH_NOARGS, "The number of traces that are kept."},
    {nullptr, nullptr, 0, nullptr},
};
PyType_Slot slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(construct)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_call, reinterpret_cast<void*>(call)},
    {Py_tp_methods, methods},
    {0, nullptr},
};
PyType_Spec spec{"lazulite.core._core._Compiled", sizeof(PyCompiled), 0,
                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};

}  // namespace

void add_compiled(py::module_& m) {
  m.attr("_Compiled") = py::reinterpret_steal<py::object>(PyType_FromSpec(&spec));
  m.def("_set_compile", [](bool on) { enabled = on; });
  // What the call above needs of Python.
  m.def("_compile_helpers", [](py::object leaf, py::object fill, py::object sorted_names,
                               py::object lock) {
    state_lock = lock.release().ptr();
    Result::leaf_type = leaf.release().ptr();
    Result::fill = fill.release().ptr();
    Key::sorted_names = sorted_names.release().ptr();
  });
  m.def("_wraps_functions", [](py::object type, std::string attribute) {
    Key::wrappers.emplace_back(std::move(type), std::move(attribute));
  });
  py::class_<PyGraph>(m, "_Graph")
      .def(py::init([](py::object fun, py::list like, int64_t fold_bytes, bool report,
                       bool rules) {
        auto graph = make_ref<FunctionGraph>(
            flat(fun), specs_of(from_list(like)), "compile",
            FunctionGraph::Options{
                .fold_bytes = fold_bytes, .report = report, .sources = true, .rules = rules});
        for (const array& a : graph->sources()) note_captured(a);
        return PyGraph{std::move(graph)};
      }))
      .def("__call__",
           [](const PyGraph& g, py::list args) { return to_list((*g.graph)(from_list(args))); })
      .def("report",
           [](const PyGraph& g) {
             const auto& r = g.graph->report();
             return py::make_tuple(r.recorded, r.dead, r.merged, r.folded, r.before);
           })
      .def("__len__", [](const PyGraph& g) { return g.graph->steps().size(); })
      .def("__str__", [](const PyGraph& g) { return g.graph->print(); });
}

}  // namespace lazulite::bind
