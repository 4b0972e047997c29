// The way of a call to a compiled function: arguments and state become a key, the key finds a
// graph, the graph is replayed. core/_compile.py makes the graphs and says what a call means; this
// makes it quick.
#include <pybind11/pybind11.h>

#include <algorithm>
#include <memory>
#include <string>
#include <unordered_map>

#include "bind/array_class.h"
#include "bind/key.h"
#include "bind/module.h"
#include "bind/transforms.h"
#include "bind/trees.h"
#include "graph/trace.h"
#include "ops/random/random.h"
#include "transform/kept.h"

namespace py = pybind11;

namespace lazulite::bind {

namespace {

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
  bool gives = false;      // and modules among its arguments
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

void drop_oldest(State& s, const EntryRef& but, std::vector<EntryRef>& dropped) {
  auto oldest = s.entries.end();
  for (auto at = s.entries.begin(); at != s.entries.end(); ++at)
    if (at->second != but &&
        (oldest == s.entries.end() || at->second->used < oldest->second->used))
      oldest = at;
  dropped.push_back(std::move(oldest->second));
  s.entries.erase(oldest);
}

EntryRef insert(State& s, Key& key, py::object made) {
  auto entry = std::make_shared<Entry>();
  entry->graph = made.attr("graph").cast<PyGraph&>().graph;
  entry->kept = KeptCall::of(*entry->graph);
  entry->result = Result::of(made.attr("result"));
  entry->writes = !made.attr("state").is_none();
  entry->gives = !made.attr("given").is_none();
  const py::object random = made.attr("random");
  if (!random.is_none()) entry->random = random.attr("index").cast<Py_ssize_t>();
  entry->made = std::move(made);
  entry->named = std::move(key.named);
  for (py::object& type : key.classes) entry->named.push_back(std::move(type));
  std::vector<EntryRef> dropped;  // die last: that may run Python code
  EntryRef& place = s.entries[std::move(key.bytes)];
  dropped.push_back(std::exchange(place, entry));
  while (s.entries.size() > s.limit) drop_oldest(s, entry, dropped);
  return entry;
}

// A call, once its function is neither disabled nor traced by another.
struct Call {
  PyObject *self, *args, *kwargs;
  State& s = state_of(self);
  Key key{s.own};
  size_t given = 0, closure = 0;  // where what is given ends in the key, and where this begins

  void add_given(Key& to) const {
    to.add_tree(args);
    if (kwargs && PyDict_GET_SIZE(kwargs)) to.add_tree(kwargs);
  }
  void make_key() {
    add_given(key);
    given = key.bytes.size();
    key.tag('S');
    if (s.inputs) key.add_held(s.inputs.ptr());
    key.add_aliases();
    closure = key.bytes.size();
    key.add_closure(s.fun.ptr());
  }

  EntryRef entry() {
    const auto found = s.entries.find(key.bytes);
    return found != s.entries.end() && found->second->fresh() ? found->second : trace();
  }

  EntryRef trace() {
    const uint64_t now = capture_clock().load();
    auto cells = cells_of(s.fun.ptr());
    py::object made = py::reinterpret_borrow<py::object>(self).attr("_trace")(
        py::handle(args),
        kwargs ? py::reinterpret_borrow<py::object>(kwargs) : py::object(py::dict()));
    check_same(*made.attr("graph").cast<PyGraph&>().graph);
    if (note_own(cells)) {
      key.drop_closure(closure);
      key.add_closure(s.fun.ptr());
    }
    EntryRef entry = insert(s, key, std::move(made));
    entry->traced = entry->looked = now;
    return entry;
  }

  // What was traced is what the key is of: other threads may change containers in between.
  void check_same(const FunctionGraph& graph) const {
    Key again{s.own};
    add_given(again);
    const auto& specs = graph.argument_specs();  // the last is of the random state
    bool same = again.bytes.size() == given && !key.bytes.compare(0, given, again.bytes) &&
                specs.size() == key.arrays.size() + 1;
    for (size_t i = 0; same && i < key.arrays.size(); ++i) {
      const Spec& spec = key.arrays[i].slot().spec;
      same = specs[i].type == spec.type && specs[i].shape == spec.shape;
    }
    if (!same) fail(Kind::value, "compile", "arguments or state that change while they are read");
  }

  // Cells that the function bound while it was traced: a counter of traces, say. An array there
  // would be a value of the trace.
  bool note_own(std::vector<std::pair<py::object, py::object>>& cells) {
    const size_t before = s.own.size();
    for (auto& [cell, held] : cells) {
      PyObject* const holds = PyCell_GET(cell.ptr());
      const bool arrays = (holds && is_array(holds)) || (held && is_array(held.ptr()));
      if (holds != held.ptr() && !arrays) s.own.push_back(std::move(cell));
    }
    return s.own.size() > before;
  }

  PyObject* run(Entry& e) {
    e.used = ++s.clock;
    key.arrays.push_back(random::default_key());
    const ArrayList values = e.kept ? (*e.kept)(key.arrays) : (*e.graph)(key.arrays);
    if (e.random >= 0) random::set_default_key(values[size_t(e.random)]);
    py::object result = e.result.make(values);
    if (e.writes)
      py::reinterpret_borrow<py::object>(self)
          .attr("_outputs")
          .attr("write")(e.made.attr("state"), to_list(values));
    if (e.gives)
      py::reinterpret_borrow<py::object>(self).attr("_give")(
          e.made.attr("given"), py::handle(args),
          kwargs ? py::reinterpret_borrow<py::object>(kwargs) : py::object(py::dict()),
          to_list(values));
    return result.release().ptr();
  }
};

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
    Call one{self, args, kwargs};
    one.make_key();
    if (!one.key.modules || turn.taken) return one.run(*one.entry());
    const Turn now(true);  // modules are state, too
    Call again{self, args, kwargs};
    again.make_key();
    return again.run(*again.entry());
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
    set_sorted_names(std::move(sorted_names));
  });
  m.def("_wraps_functions", [](py::object type, std::string attribute) {
    add_wrapper(std::move(type), std::move(attribute));
  });
  py::class_<PyGraph>(m, "_Graph")
      .def(py::init([](py::object fun, py::list like, int64_t fold_bytes, bool report,
                       bool rules) {
        auto graph = make_ref<FunctionGraph>(
            flat(fun), specs_of(from_list(like)), rules ? "linearize" : "compile",
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
