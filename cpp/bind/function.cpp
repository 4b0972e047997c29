// The callable type of all functions.
#include "bind/def.h"

#include <pybind11/pybind11.h>
#include <structmember.h>

#include <map>

namespace lazulite::bind {

namespace {

struct Parameter {
  std::string name;
  PyObject* fallback = nullptr;  // owned; null: required
  bool positional_only = false, keyword_only = false, variadic = false;
  PyObject* interned = nullptr;
};

struct PyFunction {
  PyObject_HEAD
  vectorcallfunc call;
  Def* def;
  std::vector<Parameter>* parameters;
  PyObject* name;
  PyObject* module;
  bool bound_first;
};

PyTypeObject* function_type = nullptr;

std::map<std::string, std::vector<Def>>& tables() {
  static auto* all = new std::map<std::string, std::vector<Def>>;
  return *all;
}

// Defaults are evaluated in `scope`: numbers, None, and names of the module such as float32.
std::vector<Parameter> parse(const std::string& signature, PyObject* scope) {
  std::vector<Parameter> out;
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
  bool keyword_only = false;
  for (auto& p : parts) {
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

PyObject* call_function(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* names) {
  auto* f = reinterpret_cast<PyFunction*>(self);
  const auto& parameters = *f->parameters;
  auto name = [f] { return PyUnicode_AsUTF8(f->name); };
  Py_ssize_t given = PyVectorcall_NARGS(nargsf);
  constexpr size_t most = 16;
  PyObject* slots[most];
  for (size_t i = 0; i < parameters.size(); ++i) slots[i] = nullptr;
  PyObject* rest = nullptr;
  struct Drop {
    PyObject*& o;
    ~Drop() { Py_XDECREF(o); }
  } drop{rest};
  Py_ssize_t at = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].variadic) {
      rest = PyTuple_New(given - at);
      if (!rest) return nullptr;
      for (Py_ssize_t k = at; k < given; ++k) PyTuple_SET_ITEM(rest, k - at, Py_NewRef(args[k]));
      at = given;
      slots[i] = rest;
    } else if (at < given && !parameters[i].keyword_only) {
      slots[i] = args[at++];
    }
  }
  if (at < given) {
    PyErr_Format(PyExc_TypeError, "%s() takes fewer positional arguments: got %zd", name(), given);
    return nullptr;
  }
  const Py_ssize_t keywords = names ? PyTuple_GET_SIZE(names) : 0;
  for (Py_ssize_t k = 0; k < keywords; ++k) {
    PyObject* key = PyTuple_GET_ITEM(names, k);
    size_t i = 0;
    for (; i < parameters.size(); ++i)
      if (!parameters[i].positional_only && !parameters[i].variadic &&
          (parameters[i].interned == key || PyUnicode_Compare(parameters[i].interned, key) == 0))
        break;
    if (i == parameters.size()) {
      PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", name(), key);
      return nullptr;
    }
    if (slots[i]) {
      PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'", name(), key);
      return nullptr;
    }
    slots[i] = args[given + k];
  }
  for (size_t i = 0; i < parameters.size(); ++i)
    if (!slots[i] && !(slots[i] = parameters[i].fallback)) {
      PyErr_Format(PyExc_TypeError, "%s() missing required argument '%s'", name(), parameters[i].name.c_str());
      return nullptr;
    }
  return guarded([&] { return f->def->invoke(slots); });
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
    return inspect.attr("Signature")(parameters).release().ptr();
  });
}
PyObject* get_doc(PyObject* self, void*) {
  auto* f = reinterpret_cast<PyFunction*>(self);
  return PyUnicode_FromString(f->def->doc.c_str());
}
PyObject* get_name(PyObject* self, void*) { return Py_NewRef(reinterpret_cast<PyFunction*>(self)->name); }
PyObject* get_module(PyObject* self, void*) { return Py_NewRef(reinterpret_cast<PyFunction*>(self)->module); }

PyObject* bind_method(PyObject* self, PyObject* instance, PyObject*) {
  auto* f = reinterpret_cast<PyFunction*>(self);
  if (!instance || instance == Py_None || !f->bound_first) return Py_NewRef(self);
  return PyMethod_New(self, instance);
}
PyObject* repr_function(PyObject* self) {
  return PyUnicode_FromFormat("<function %U>", reinterpret_cast<PyFunction*>(self)->name);
}
PyObject* reduce_function(PyObject* self, PyObject*) { return Py_NewRef(reinterpret_cast<PyFunction*>(self)->name); }

PyGetSetDef function_properties[] = {
    {"__text_signature__", get_signature, nullptr, nullptr, nullptr},
    {"__signature__", get_signature_object, nullptr, nullptr, nullptr},
    {"__doc__", get_doc, nullptr, nullptr, nullptr},
    {"__name__", get_name, nullptr, nullptr, nullptr},
    {"__qualname__", get_name, nullptr, nullptr, nullptr},
    {"__module__", get_module, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyMethodDef function_methods[] = {{"__reduce__", reduce_function, METH_NOARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};
PyMemberDef function_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(PyFunction, call), READONLY, nullptr}, {nullptr, 0, 0, 0, nullptr}};

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
                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR, slots};
  function_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
}

PyObject* make_function(Def* def, const char* module, bool method, PyObject* scope) {
  auto* f = PyObject_New(PyFunction, function_type);
  f->call = call_function;
  f->def = def;
  f->parameters = new std::vector<Parameter>(parse(def->signature, scope));
  const std::string name = def->signature.substr(0, def->signature.find('('));
  f->name = PyUnicode_FromString(method && !def->rename.empty() ? def->rename.c_str() : name.c_str());
  f->module = PyUnicode_FromString(module);
  f->bound_first = method;
  return reinterpret_cast<PyObject*>(f);
}

}  // namespace

Register::Register(const char* submodule, std::vector<Def> rows) {
  auto& table = tables()[submodule];
  for (auto& row : rows) table.push_back(std::move(row));
}

const std::map<std::string, std::vector<Def>>& all_functions() { return tables(); }

void add_functions(PyObject* module) {
  make_type();
  PyObject* scope = PyModule_GetDict(module);
  PyDict_SetItemString(scope, "__builtins__", PyEval_GetBuiltins());
  auto add_method = [&](Def& row, const std::string& name, const char* path) {
    PyObject* method = make_function(&row, path, true, scope);
    PyObject_SetAttrString(reinterpret_cast<PyObject*>(array_type), name.c_str(), method);
    Py_DECREF(method);
  };
  for (auto& [submodule, rows] : tables()) {
    PyObject* target = module;
    std::string path = "lazulite.core";
    const bool methods_only = submodule == "array";
    if (!submodule.empty() && !methods_only) {
      path += "." + submodule;
      target = PyModule_New(path.c_str());
      PyModule_AddObject(module, submodule.c_str(), target);
    }
    for (auto& row : rows) {
      const std::string name = row.signature.substr(0, row.signature.find('('));
      if (methods_only) {
        add_method(row, name, path.c_str());
        continue;
      }
      PyModule_AddObject(target, name.c_str(), make_function(&row, path.c_str(), false, scope));
      if (row.is_method) add_method(row, row.rename.empty() ? name : row.rename, path.c_str());
    }
  }
}

// ---- arguments and results -----------------------------------------------------------------------
namespace {
[[noreturn]] void bad(const char* f, const char* expected, PyObject* o) {
  fail(Kind::type, f, "wrong type: got ", Py_TYPE(o)->tp_name, ", expected ", expected);
}
}  // namespace

bool From<bool>::of(PyObject* o, const char*) {
  const int truth = PyObject_IsTrue(o);
  if (truth < 0) throw PythonError{};
  return truth;
}
int64_t From<int64_t>::of(PyObject* o, const char* f) {
  if (PyFloat_Check(o)) bad(f, "an int", o);
  PyObject* index = PyNumber_Index(o);
  if (!index) {
    PyErr_Clear();
    bad(f, "an int", o);
  }
  const long long v = PyLong_AsLongLong(index);
  Py_DECREF(index);
  if (v == -1 && PyErr_Occurred()) {
    PyErr_Clear();
    fail(Kind::overflow, f, "number does not fit in 64 bits");
  }
  return v;
}
uint64_t From<uint64_t>::of(PyObject* o, const char* f) {
  if (!PyLong_Check(o)) bad(f, "an int", o);
  const unsigned long long v = PyLong_AsUnsignedLongLong(o);
  if (v == static_cast<unsigned long long>(-1) && PyErr_Occurred()) {
    PyErr_Clear();
    fail(Kind::type, f, "number out of range: expected a non-negative int below 2^64");
  }
  return v;
}
int From<int>::of(PyObject* o, const char* f) {
  const int64_t v = From<int64_t>::of(o, f);
  if (v != int(v)) fail(Kind::overflow, f, "number does not fit in 32 bits: got ", v);
  return int(v);
}
double From<double>::of(PyObject* o, const char* f) {
  const double v = PyFloat_AsDouble(o);
  if (v == -1.0 && PyErr_Occurred()) {
    PyErr_Clear();
    bad(f, "a number", o);
  }
  return v;
}
std::string From<std::string>::of(PyObject* o, const char* f) {
  if (!PyUnicode_Check(o)) bad(f, "a str", o);
  return PyUnicode_AsUTF8(o);
}
Shape From<Shape>::of(PyObject* o, const char* f) {
  Shape out;
  if (PyLong_Check(o) || PyIndex_Check(o)) {
    out.push_back(From<int64_t>::of(o, f));
    return out;
  }
  PyObject* items = PySequence_Fast(o, "");
  if (!items) {
    PyErr_Clear();
    bad(f, "an int or a sequence of ints", o);
  }
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items); ++i) {
    try {
      out.push_back(From<int64_t>::of(PySequence_Fast_GET_ITEM(items, i), f));
    } catch (...) {
      Py_DECREF(items);
      throw;
    }
  }
  Py_DECREF(items);
  return out;
}
Axes From<Axes>::of(PyObject* o, const char* f) {
  Axes out;
  for (int64_t v : From<Shape>::of(o, f)) out.push_back(int(v));
  return out;
}
Dtype From<Dtype>::of(PyObject* o, const char* f) {
  auto t = to_dtype(o);
  if (!t) bad(f, "a dtype", o);
  return *t;
}
std::vector<array> From<std::vector<array>>::of(PyObject* o, const char* f) {
  PyObject* items = PySequence_Fast(o, "");
  if (!items) {
    PyErr_Clear();
    bad(f, "a list of arrays", o);
  }
  std::vector<array> out;
  try {
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items); ++i)
      out.push_back(to_array(PySequence_Fast_GET_ITEM(items, i), f));
  } catch (...) {
    Py_DECREF(items);
    throw;
  }
  Py_DECREF(items);
  return out;
}
PyObject* to_py(const std::vector<array>& arrays) {
  PyObject* list = PyList_New(Py_ssize_t(arrays.size()));
  for (size_t i = 0; i < arrays.size(); ++i) PyList_SET_ITEM(list, Py_ssize_t(i), wrap(arrays[i]));
  return list;
}
PyObject* to_py(const Shape& shape) {
  PyObject* tuple = PyTuple_New(Py_ssize_t(shape.size()));
  for (size_t i = 0; i < shape.size(); ++i) PyTuple_SET_ITEM(tuple, Py_ssize_t(i), PyLong_FromLongLong(shape[i]));
  return tuple;
}

}  // namespace lazulite::bind
