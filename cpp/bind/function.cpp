// The callable type of all functions.
#include "bind/def.h"

#include <pybind11/pybind11.h>
#include <structmember.h>

#include <map>

#include "ops/elementwise/elementwise.h"

namespace lazulite::bind {

namespace {

struct Parameter {
  std::string name;
  PyObject* fallback = nullptr;  // owned; null: required
  bool positional_only = false, keyword_only = false, variadic = false;
  PyObject* interned = nullptr;
};
struct OtherName {
  PyObject* interned;
  int at;  // of the parameter
};

struct PyFunction {
  PyObject_HEAD
  vectorcallfunc call;
  Def* def;
  std::vector<Parameter>* parameters;
  std::vector<OtherName>* others;
  PyObject* name;
  PyObject* module;
  bool bound_first;
  int first, second;  // places of Def::alone, or -1
};

PyTypeObject* function_type = nullptr;

std::map<std::string, Functions>& tables() {
  static auto* all = new std::map<std::string, Functions>;
  return *all;
}

// "f(a, /, *, b=(1, 2))": a, /, *, b=(1, 2).
std::vector<std::string> parts_of(const std::string& signature) {
  const size_t open = signature.find('('), close = signature.rfind(')');
  std::string text = signature.substr(open + 1, close - open - 1);
  std::vector<std::string> parts;
  int depth = 0;
  std::string part;
  for (char c : text) {
    if (c == '(' || c == '[') ++depth;
    if (c == ')' || c == ']') --depth;
    if (c == ',' && depth == 0) {
      parts.push_back(part);
      part.clear();
    } else if (c != ' ' || !part.empty()) {
      part += c;
    }
  }
  if (!part.empty()) parts.push_back(part);
  return parts;
}

constexpr size_t most_parameters = 16;

// Defaults are evaluated in `scope`: numbers, None, and names of the module such as float32.
std::vector<Parameter> parse(const std::string& signature, PyObject* scope) {
  std::vector<Parameter> out;
  bool keyword_only = false;
  for (std::string p : parts_of(signature)) {
    if (p == "/") {
      for (auto& q : out) q.positional_only = true;
      continue;
    }
    if (p == "*") {
      keyword_only = true;
      continue;
    }
    Parameter parameter;
    parameter.keyword_only = keyword_only;
    if (p[0] == '*') {
      parameter.variadic = true;
      keyword_only = true;
      p = p.substr(1);
    }
    const size_t equal = p.find('=');
    parameter.name = p.substr(0, equal);
    if (equal != std::string::npos) {
      parameter.fallback = PyRun_String(p.substr(equal + 1).c_str(), Py_eval_input, scope, scope);
      if (!parameter.fallback) throw PythonError{};
    }
    parameter.interned = PyUnicode_InternFromString(parameter.name.c_str());
    out.push_back(std::move(parameter));
  }
  return out;
}

// What a call gives to each parameter.
struct Slots {
  PyObject* at[most_parameters];
  PyObject* rest = nullptr;  // the tuple of *args
  ~Slots() { Py_XDECREF(rest); }
};

// As Python calls it: print_graph of _print_graph.
const char* shown_name(const PyFunction* f) {
  const char* text = PyUnicode_AsUTF8(f->name);
  return text + (text[0] == '_');
}

// Each returns false with an error set.
bool place_positional(const PyFunction* f, PyObject* const* args, Py_ssize_t given, Slots& slots) {
  Py_ssize_t next = 0;
  PyObject** slot = slots.at;
  for (const Parameter& p : *f->parameters) {
    *slot = nullptr;
    if (p.variadic) {
      slots.rest = *slot = PyTuple_New(given - next);
      if (!slots.rest) return false;
      for (Py_ssize_t k = 0; next < given; ++k)
        PyTuple_SET_ITEM(slots.rest, k, Py_NewRef(args[next++]));
    } else if (next < given && !p.keyword_only) {
      *slot = args[next++];
    }
    ++slot;
  }
  if (next == given) return true;
  PyErr_Format(PyExc_TypeError, "%s() takes fewer positional arguments: got %zd", shown_name(f),
               given);
  return false;
}

// The place of the parameter that a keyword names, or -1.
int place_of(const PyFunction* f, PyObject* keyword) {
  int at = 0;
  for (const Parameter& p : *f->parameters) {
    if (!p.positional_only && !p.variadic &&
        (p.interned == keyword || PyUnicode_Compare(p.interned, keyword) == 0))
      return at;
    ++at;
  }
  for (const OtherName& other : *f->others)
    if (other.interned == keyword || PyUnicode_Compare(other.interned, keyword) == 0)
      return other.at;
  return -1;
}

bool place_named(const PyFunction* f, PyObject* const* values, PyObject* names, Slots& slots) {
  bool first_by_name = false;
  for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(names); ++k) {
    PyObject* const name = PyTuple_GET_ITEM(names, k);
    const int at = place_of(f, name);
    if (at < 0 || slots.at[at]) {
      PyErr_Format(PyExc_TypeError,
                   at < 0 ? "%s() got an unexpected keyword argument '%U'"
                          : "%s() got multiple values for argument '%U'",
                   shown_name(f), name);
      return false;
    }
    slots.at[at] = values[k];
    first_by_name |= at == f->first;
  }
  if (!first_by_name || (slots.at[f->second] && slots.at[f->second] != Py_None)) return true;
  PyErr_Format(PyExc_TypeError, "%s() missing argument '%s' beside '%s'", shown_name(f),
               f->def->second.c_str(), f->def->first.c_str());
  return false;
}

bool fill_defaults(const PyFunction* f, Slots& slots) {
  PyObject** slot = slots.at;
  for (const Parameter& p : *f->parameters) {
    if (!*slot && !(*slot = p.fallback)) {
      PyErr_Format(PyExc_TypeError, "%s() missing required argument '%s'", shown_name(f),
                   p.name.c_str());
      return false;
    }
    ++slot;
  }
  if (f->first >= 0 && slots.at[f->second] == Py_None)
    std::swap(slots.at[f->first], slots.at[f->second]);
  return true;
}

// An argument, or an item of one, whose class computes functions of its own; null: there is none.
PyObject* asked_argument(PyObject* o, bool inside = false) {
  PyTypeObject* const type = Py_TYPE(o);
  if (!inside && (PyList_Check(o) || PyTuple_Check(o))) {
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i)
      if (PyObject* found = asked_argument(PySequence_Fast_GET_ITEM(o, i), true)) return found;
    return nullptr;
  }
  return (type->tp_flags & Py_TPFLAGS_HEAPTYPE) &&
                 PyObject_HasAttrString(reinterpret_cast<PyObject*>(type), "__lazulite_function__")
             ? o
             : nullptr;
}
// After an error: what an argument's class (of sparse matrices) makes of the call, by
// __lazulite_function__(name, args, kwargs). So that arrays pay nothing, nobody is asked before.
PyObject* ask_arguments(const PyFunction* f, PyObject* const* args, Py_ssize_t given,
                        PyObject* names) {
  namespace py = pybind11;
  const Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
  py::error_scope error;  // looking is done without it; it comes back unless there is a result
  PyObject* asked = nullptr;
  for (Py_ssize_t i = 0; i < given + named && !asked; ++i) asked = asked_argument(args[i]);
  if (!asked) return nullptr;
  PyObject* out = guarded([&]() -> PyObject* {
    const py::object held = py::reinterpret_borrow<py::object>(asked);
    py::tuple positional{size_t(given)};
    for (Py_ssize_t i = 0; i < given; ++i)
      positional[size_t(i)] = py::reinterpret_borrow<py::object>(args[i]);
    py::dict keywords;
    for (Py_ssize_t i = 0; i < named; ++i)
      keywords[py::reinterpret_borrow<py::object>(PyTuple_GET_ITEM(names, i))] =
          py::reinterpret_borrow<py::object>(args[given + i]);
    std::string name = PyUnicode_AsUTF8(f->module);
    const std::string core = "lazulite.core";
    name = name.size() > core.size() && !f->bound_first ? name.substr(core.size() + 1) + "." : "";
    return held.attr("__lazulite_function__")(name + shown_name(f), positional, keywords)
        .release()
        .ptr();
  });
  if (out == Py_NotImplemented) {
    Py_DECREF(out);
    return nullptr;
  }
  for (PyObject** part : {&error.type, &error.value, &error.trace}) Py_CLEAR(*part);
  if (!out) PyErr_Fetch(&error.type, &error.value, &error.trace);
  return out;
}

PyObject* call_function(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* names) {
  auto* f = reinterpret_cast<PyFunction*>(self);
  const Py_ssize_t given = PyVectorcall_NARGS(nargsf);
  Slots slots;
  if (!place_positional(f, args, given, slots) ||
      (names && !place_named(f, args + given, names, slots)) || !fill_defaults(f, slots))
    return nullptr;
  try {
    return f->def->invoke(slots.at);
  } catch (...) {
    const char* const called = shown_name(f);  // _depends stands behind depends
    set_error(called[0] == '_' && called[1] != '_' ? called + 1 : called);
    return ask_arguments(f, args, given, names);
  }
}

PyObject* get_signature(PyObject* self, void*) {
  auto* f = reinterpret_cast<PyFunction*>(self);
  std::string text = f->def->signature.substr(f->def->signature.find('('));
  if (f->bound_first) {  // as a method of array, the first parameter is self
    const size_t end = text.find_first_of(",)");
    text = "($self" + std::string(text.compare(end, 3, ", /") == 0 ? "" : ", /") + text.substr(end);
  }
  return PyUnicode_FromString(text.c_str());
}
// inspect.signature asks for this first; it understands no text whose defaults are objects.
PyObject* get_signature_object(PyObject* self, void*) {
  auto* f = reinterpret_cast<PyFunction*>(self);
  return guarded([&]() -> PyObject* {
    namespace py = pybind11;
    const py::module_ inspect = py::module_::import("inspect");
    const py::object make = inspect.attr("Parameter");
    py::list parameters;
    bool first = f->bound_first;
    for (const Parameter& p : *f->parameters) {
      const char* kind = p.variadic ? "VAR_POSITIONAL" : p.keyword_only ? "KEYWORD_ONLY"
                         : p.positional_only || first ? "POSITIONAL_ONLY" : "POSITIONAL_OR_KEYWORD";
      py::dict more;
      if (p.fallback) more["default"] = py::reinterpret_borrow<py::object>(p.fallback);
      parameters.append(make(first ? "self" : p.name, make.attr(kind), **more));
      first = false;
    }
    for (const OtherName& other : *f->others) {
      py::dict more;
      PyObject* fallback = (*f->parameters)[size_t(other.at)].fallback;
      more["default"] = py::reinterpret_borrow<py::object>(fallback ? fallback : Py_None);
      parameters.append(make(py::reinterpret_borrow<py::object>(other.interned),
                             make.attr("KEYWORD_ONLY"), **more));
    }
    return inspect.attr("Signature")(parameters).release().ptr();
  });
}
PyObject* get_doc(PyObject* self, void*) {
  auto* f = reinterpret_cast<PyFunction*>(self);
  return PyUnicode_FromString(f->def->doc.c_str());
}
PyObject* get_name(PyObject* self, void*) {
  return Py_NewRef(reinterpret_cast<PyFunction*>(self)->name);
}
PyObject* get_module(PyObject* self, void*) {
  return Py_NewRef(reinterpret_cast<PyFunction*>(self)->module);
}

PyObject* bind_method(PyObject* self, PyObject* instance, PyObject*) {
  auto* f = reinterpret_cast<PyFunction*>(self);
  if (!instance || instance == Py_None || !f->bound_first) return Py_NewRef(self);
  return PyMethod_New(self, instance);
}
PyObject* repr_function(PyObject* self) {
  return PyUnicode_FromFormat("<function %U>", reinterpret_cast<PyFunction*>(self)->name);
}
PyObject* reduce_function(PyObject* self, PyObject*) {
  return Py_NewRef(reinterpret_cast<PyFunction*>(self)->name);
}

PyGetSetDef function_properties[] = {
    {"__text_signature__", get_signature, nullptr, nullptr, nullptr},
    {"__signature__", get_signature_object, nullptr, nullptr, nullptr},
    {"__doc__", get_doc, nullptr, nullptr, nullptr},
    {"__name__", get_name, nullptr, nullptr, nullptr},
    {"__qualname__", get_name, nullptr, nullptr, nullptr},
    {"__module__", get_module, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyMethodDef function_methods[] = {{"__reduce__", reduce_function, METH_NOARGS, nullptr},
                                  {nullptr, nullptr, 0, nullptr}};
PyMemberDef function_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(PyFunction, call), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

void make_type() {
  PyType_Slot slots[] = {
      {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
      {Py_tp_descr_get, reinterpret_cast<void*>(bind_method)},
      {Py_tp_getset, function_properties},
      {Py_tp_members, function_members},
      {Py_tp_methods, function_methods},
      {Py_tp_repr, reinterpret_cast<void*>(repr_function)},
      {0, nullptr},
  };
  PyType_Spec spec{"lazulite.core.Function", sizeof(PyFunction), 0,
                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR,
                   slots};
  function_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
}

PyObject* make_function(Def* def, const char* module, bool method, PyObject* scope) {
  auto* f = PyObject_New(PyFunction, function_type);
  f->call = call_function;
  f->def = def;
  f->parameters = new std::vector<Parameter>(parse(def->signature, scope));
  f->others = new std::vector<OtherName>;
  // The call fills an array by the signature, which the C++ function reads by its own parameters.
  if (f->parameters->size() > most_parameters || int(f->parameters->size()) != def->arity)
    fail(Kind::runtime, "import", "signature and function differ: got ", def->signature,
         " for a function of ", def->arity, " parameters");
  f->name = PyUnicode_FromString(
      (method && !def->rename.empty() ? def->rename : def->name()).c_str());
  f->module = PyUnicode_FromString(module);
  f->bound_first = method;
  f->first = f->second = -1;
  for (int i = 0; i < def->arity; ++i) {
    const std::string& parameter = (*f->parameters)[size_t(i)].name;
    if (parameter == def->first) f->first = i;
    if (parameter == def->second) f->second = i;
    for (const auto& [name, other] : def->others)
      if (name == parameter)
        f->others->push_back({PyUnicode_InternFromString(other.c_str()), i});
  }
  if (f->others->size() != def->others.size())
    fail(Kind::runtime, "import", "another name of no parameter: got ", def->signature);
  return reinterpret_cast<PyObject*>(f);
}

}  // namespace

Register::Register(void (*add)(Functions& core)) { add(tables()[""]); }

const std::map<std::string, Functions>& all_functions() { return tables(); }

Functions& Functions::module(const char* name) { return tables()[name]; }

Def& Functions::elementwise(const Op& op, const std::string& name, std::string doc) {
  const bool two = static_cast<const ElementwiseFamily*>(op.family)->operands == 2;
  Def d{name + (two ? "(a, b, stream=None)" : "(a, stream=None)"), std::move(doc)};
  d.op = &op;
  d.arity = two ? 3 : 2;
  d.types = {type_name<Operand>(), type_name<Stream>(), type_name<array>()};
  if (two) {
    d.types.insert(d.types.begin(), type_name<Operand>());
    d.invoke = [op = &op](PyObject* const* v) {
      const Stream s = v[2] == Py_None ? default_stream() : to_stream(v[2], {op->name, "stream"});
      if (is_array(v[0]) && is_array(v[1])) return wrap(binary(*op, peek(v[0]), peek(v[1]), s));
      const Operand a = to_operand(v[0], {op->name, "a"}), b = to_operand(v[1], {op->name, "b"});
      return wrap(binary(*op, a, b, s));
    };
  } else {
    d.invoke = [op = &op](PyObject* const* v) {
      const Operand a = to_operand(v[0], {op->name, "a"});
      return wrap(unary(*op, a, to_stream(v[1], {op->name, "stream"})));
    };
  }
  return rows.emplace_back(std::move(d));
}

Names::Names(const std::string& signature)
    : function(signature.substr(signature[0] == '_', signature.find('(') - (signature[0] == '_'))) {
  for (std::string p : parts_of(signature)) {
    if (p == "/" || p == "*") continue;
    if (p[0] == '*') p = p.substr(1);
    parameters.push_back(p.substr(0, p.find('=')));
  }
  hints.resize(parameters.size());
  for (const std::string& name : parameters) arguments.emplace_back(function.c_str(), name.c_str());
}

void Names::hint(const char* parameter, const char* text) {
  for (size_t i = 0; i < parameters.size(); ++i)
    if (parameters[i] == parameter) {
      hints[i] = text;
      arguments[i].hint = hints[i].c_str();
    }
}

Def& Def::hint(const char* parameter, const char* text) {
  names->hint(parameter, text);
  return *this;
}

void add_functions(PyObject* module) {
  make_type();
  PyObject* scope = PyModule_GetDict(module);
  PyDict_SetItemString(scope, "__builtins__", PyEval_GetBuiltins());
  auto add_method = [&](Def& row, const std::string& name, const char* path) {
    PyObject* method = make_function(&row, path, true, scope);
    PyObject_SetAttrString(reinterpret_cast<PyObject*>(array_type), name.c_str(), method);
    Py_DECREF(method);
  };
  for (auto& [submodule, functions] : tables()) {
    PyObject* target = module;
    std::string path = "lazulite.core";
    const bool methods_only = submodule == "array";
    if (!submodule.empty() && !methods_only) {
      path += "." + submodule;
      target = PyModule_New(path.c_str());
      PyModule_AddObject(module, submodule.c_str(), target);
    }
    for (auto& row : functions.rows) {
      const std::string name = row.name();
      if (methods_only) {
        add_method(row, name, path.c_str());
        continue;
      }
      PyModule_AddObject(target, name.c_str(), make_function(&row, path.c_str(), false, scope));
      if (row.is_method) add_method(row, row.rename.empty() ? name : row.rename, path.c_str());
    }
  }
}

}  // namespace lazulite::bind
