// The callable type of all functions.
#include "bind/def.h"

#include <pybind11/pybind11.h>
#include <structmember.h>

#include <cstring>
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

PyObject* call_function(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* names) {
  auto* f = reinterpret_cast<PyFunction*>(self);
  const auto& parameters = *f->parameters;
  auto name = [f] {  // of _print_graph and others: what Python calls print_graph
    const char* text = PyUnicode_AsUTF8(f->name);
    return text + (text[0] == '_');
  };
  Py_ssize_t given = PyVectorcall_NARGS(nargsf);
  PyObject* slots[most_parameters];
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
  bool by_name = false;
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
    by_name |= parameters[i].name == f->def->keyword;
  }
  if (by_name)  // rare: only of functions with such a pair
    for (size_t i = 0; i < parameters.size(); ++i)
      if (parameters[i].name == f->def->partner && (!slots[i] || slots[i] == Py_None)) {
        PyErr_Format(PyExc_TypeError, "%s() missing argument '%s' beside '%s'", name(),
                     f->def->partner.c_str(), f->def->keyword.c_str());
        return nullptr;
      }
  for (size_t i = 0; i < parameters.size(); ++i)
    if (!slots[i] && !(slots[i] = parameters[i].fallback)) {
      PyErr_Format(PyExc_TypeError, "%s() missing required argument '%s'", name(),
                   parameters[i].name.c_str());
      return nullptr;
    }
  try {
    return f->def->invoke(slots);
  } catch (...) {
    const char* const called = name();  // _depends stands behind depends
    set_error(called[0] == '_' && called[1] != '_' ? called + 1 : called);
    return nullptr;
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
  // The call fills an array by the signature, which the C++ function reads by its own parameters.
  if (f->parameters->size() > most_parameters || int(f->parameters->size()) != def->arity)
    fail(Kind::runtime, "import", "signature and function differ: got ", def->signature,
         " for a function of ", def->arity, " parameters");
  const std::string name = def->signature.substr(0, def->signature.find('('));
  f->name =
      PyUnicode_FromString(method && !def->rename.empty() ? def->rename.c_str() : name.c_str());
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

Names::Names(const std::string& signature)
    : function(signature.substr(signature[0] == '_', signature.find('(') - (signature[0] == '_'))) {
  for (std::string p : parts_of(signature)) {
    if (p == "/" || p == "*") continue;
    if (p[0] == '*') p = p.substr(1);
    parameters.push_back(p.substr(0, p.find('=')));
  }
  hints.resize(parameters.size());
}

Def&& Def::hint(const char* parameter, const char* text) && {
  for (size_t i = 0; i < names->parameters.size(); ++i)
    if (names->parameters[i] == parameter) names->hints[i] = text;
  return std::move(*this);
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

// ---- arguments and results
// -----------------------------------------------------------------------
std::string describe(PyObject* o) {
  const bool text = PyUnicode_Check(o);
  if (is_array(o)) return "array";
  if (!text && o != Py_None && !PyBool_Check(o) && !PyLong_CheckExact(o) && !PyFloat_CheckExact(o))
    return Py_TYPE(o)->tp_name;
  PyObject* shown = PyObject_Repr(o);
  const char* utf8 = shown ? PyUnicode_AsUTF8(shown) : nullptr;
  std::string out = utf8 ? utf8 : Py_TYPE(o)->tp_name;
  Py_XDECREF(shown);
  PyErr_Clear();  // an int of ten thousand digits has no repr
  if (out.size() > 60) {
    size_t end = 57;
    while (end && (out[end] & 0xc0) == 0x80) --end;
    out = out.substr(0, end) + "...";
  }
  return text ? "str " + out : out;
}

void wrong_kind(PyObject* got, const Argument& at, const char* expected) {
  fail(Kind::argument, at.function, at.name ? at.name : "", at.name ? ": " : "", "got ",
       describe(got), ", expected ", expected, at.hint ? "; " : "", at.hint ? at.hint : "");
}

std::string text_of(PyObject* o, const Argument& at) {
  if (!PyUnicode_Check(o)) wrong_kind(o, at, "a str");
  Py_ssize_t n;
  const char* data = PyUnicode_AsUTF8AndSize(o, &n);
  if (!data) {  // half of a surrogate pair
    PyErr_Clear();
    wrong_kind(o, at, "a str of valid characters");
  }
  return {data, size_t(n)};
}

namespace {
// An exception that Python code of an argument raised is the caller's, unless it only says "not of
// this kind".
void pass_unless_type_error() {
  if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_TypeError)) throw PythonError{};
  PyErr_Clear();
}

// How numbers beyond 64 (or, of axes, 32) bits are answered depends on what they stand for.
bool is_axis(const Argument& at) {
  return at.name && (std::strstr(at.name, "axis") || std::strstr(at.name, "axes") ||
                     !std::strcmp(at.name, "source") || !std::strcmp(at.name, "destination"));
}
bool is_size(const Argument& at) {
  for (const char* name :
       {"shape", "reps", "repeats", "n", "m", "num", "M", "num_samples", "pad_width", "slice_size"})
    if (at.name && !std::strcmp(at.name, name)) return true;
  return false;
}
[[noreturn]] void too_large(const Argument& at, bool negative) {
  const char *name = at.name ? at.name : "", *colon = at.name ? ": " : "";
  if (is_axis(at))
    fail(Kind::index, at.function, name, colon, "out of range: a number beyond 64 bits");
  if (is_size(at) && negative) fail(Kind::value, at.function, name, colon, "negative size");
  if (is_size(at)) fail(Kind::memory, at.function, name, colon, "too large: a size beyond 2^63");
  fail(Kind::overflow, at.function, name, colon, "number does not fit in 64 bits");
}

int64_t from_index(PyObject* index, const Argument& at) {
  int overflow = 0;
  const long long v = PyLong_AsLongLongAndOverflow(index, &overflow);
  Py_DECREF(index);
  if (overflow) too_large(at, overflow < 0);
  return v;
}
}  // namespace

bool is_whole(PyObject* o) {
  if (PyLong_Check(o)) return true;
  if (is_array(o)) return unwrap(o).ndim() == 0 && is_integer(unwrap(o).dtype());
  PyObject* index = PyIndex_Check(o) ? PyNumber_Index(o) : nullptr;
  if (!index) pass_unless_type_error();
  Py_XDECREF(index);
  return index;
}

Items::Items(PyObject* o, const Argument& at, const char* expected, Py_ssize_t most) {
  if (PyTuple_Check(o) || PyList_Check(o)) {
    tuple = PySequence_Tuple(o);
    if (!tuple) throw PythonError{};
    return;
  }
  // Of others the length is asked first: what has none may have no end.
  const bool sized = !PyUnicode_Check(o) && !PyBytes_Check(o) && !PyByteArray_Check(o) &&
                     !PyDict_Check(o) && !PyAnySet_Check(o) && !PyType_Check(o);
  if (!sized || PyObject_Size(o) < 0) {
    pass_unless_type_error();
    wrong_kind(o, at, expected);
  }
  PyObject* iterator = PyObject_GetIter(o);
  if (!iterator) {
    pass_unless_type_error();
    wrong_kind(o, at, expected);
  }
  PyObject* list = PyList_New(0);
  bool good = list != nullptr;
  while (PyObject* item = good ? PyIter_Next(iterator) : nullptr) {
    good = PyList_Append(list, item) == 0;
    Py_DECREF(item);
    if (good && PyList_GET_SIZE(list) > most) {
      Py_DECREF(list);
      Py_DECREF(iterator);
      fail(Kind::value, at.function, at.name ? at.name : "", at.name ? ": " : "",
           "too many items: got ", Py_TYPE(o)->tp_name, ", expected a list, or at most ", most);
    }
  }
  Py_DECREF(iterator);
  tuple = good && !PyErr_Occurred() ? PyList_AsTuple(list) : nullptr;
  Py_XDECREF(list);
  if (!tuple) throw PythonError{};
}

Operand From<Operand>::of(PyObject* o, const Argument& at) { return to_operand(o, at); }
array From<array>::of(PyObject* o, const Argument& at) { return to_array(o, at); }
Scalar From<Scalar>::of(PyObject* o, const Argument& at) { return to_scalar(o, at); }
Stream From<Stream>::of(PyObject* o, const Argument& at) { return to_stream(o, at); }

bool From<bool>::of(PyObject* o, const Argument&) {
  const int truth = PyObject_IsTrue(o);
  if (truth < 0) throw PythonError{};
  return truth;
}
// An int, or what stands for one: NumPy's integers, and arrays of one integer.
int64_t From<int64_t>::of(PyObject* o, const Argument& at) {
  if (PyLong_Check(o)) return from_index(Py_NewRef(o), at);
  if (is_array(o)) {
    const array a = unwrap(o);
    if (!is_integer(a.dtype()) || a.size() != 1) wrong_kind(o, at, "an int");
    const Scalar v = a.item();
    if (v.kind() == 'u') too_large(at, false);
    return v.wrapped();
  }
  if (!PyIndex_Check(o)) wrong_kind(o, at, "an int");
  PyObject* index = PyNumber_Index(o);
  if (!index) {
    pass_unless_type_error();
    // NumPy's arrays of one integer with axes
    PyObject* item = PyObject_HasAttrString(o, "__array_interface__")
                         ? PyObject_CallMethod(o, "item", nullptr)
                         : nullptr;
    PyErr_Clear();
    const bool whole = item && PyLong_Check(item) && !PyBool_Check(item);
    if (!whole) {
      Py_XDECREF(item);
      wrong_kind(o, at, "an int");
    }
    index = item;
  }
  return from_index(index, at);
}
uint64_t From<uint64_t>::of(PyObject* o, const Argument& at) {
  if (is_array(o) || !PyIndex_Check(o)) wrong_kind(o, at, "an int");
  PyObject* index = PyNumber_Index(o);
  if (!index) {
    pass_unless_type_error();
    wrong_kind(o, at, "an int");
  }
  const unsigned long long v = PyLong_AsUnsignedLongLong(index);
  Py_DECREF(index);
  if (v == static_cast<unsigned long long>(-1) && PyErr_Occurred()) {
    PyErr_Clear();
    wrong_kind(o, at, "a non-negative int below 2^64");
  }
  return v;
}
int From<int>::of(PyObject* o, const Argument& at) {
  const int64_t v = From<int64_t>::of(o, at);
  if (v == int(v)) return int(v);
  const char *name = at.name ? at.name : "", *colon = at.name ? ": " : "";
  if (is_axis(at)) fail(Kind::index, at.function, name, colon, "out of range: got ", v);
  if (is_size(at))
    fail(v < 0 ? Kind::value : Kind::memory, at.function, name, colon,
         v < 0 ? "negative size: got " : "too large: got ", v);
  fail(Kind::overflow, at.function, name, colon, "number does not fit in 32 bits: got ", v);
}
double From<double>::of(PyObject* o, const Argument& at) {
  // NumPy would drop the imaginary part.
  if (PyComplex_Check(o) || std::string_view(Py_TYPE(o)->tp_name).rfind("numpy.complex", 0) == 0)
    wrong_kind(o, at, "a real number");
  const double v = PyFloat_AsDouble(o);
  if (v == -1.0 && PyErr_Occurred()) {
    if (PyErr_ExceptionMatches(PyExc_OverflowError) && PyLong_Check(o)) {
      PyErr_Clear();
      return to_scalar(o, at).real();  // infinite
    }
    pass_unless_type_error();
    wrong_kind(o, at, "a number");
  }
  return v;
}
std::string From<std::string>::of(PyObject* o, const Argument& at) { return text_of(o, at); }
Shape From<Shape>::of(PyObject* o, const Argument& at) {
  constexpr const char* expected = "an int or a sequence of ints";
  Shape out;
  if (PyLong_Check(o)) {
    out.push_back(From<int64_t>::of(o, at));
    return out;
  }
  if (is_array(o)) {
    const array a = unwrap(o);
    if (!(is_integer(a.dtype()) || (a.size() == 0 && a.ndim() == 1)) || a.ndim() > 1)
      wrong_kind(o, at, expected);
    const char* data = static_cast<const char*>(a.raw());
    const int64_t step = a.ndim() ? a.strides()[0] * size_of(a.dtype()) : 0;
    for (int64_t i = 0; i < a.size(); ++i) {
      const Scalar v = Scalar::read(a.dtype(), data + i * step);
      if (v.kind() == 'u') too_large(at, false);
      out.push_back(v.wrapped());
    }
    return out;
  }
  if (PyIndex_Check(o)) {  // NumPy's arrays have the slot too, but only 0-d ones are numbers
    if (PyObject* index = PyNumber_Index(o)) {
      out.push_back(from_index(index, at));
      return out;
    }
    pass_unless_type_error();
  }
  const Items items(o, at, expected);
  for (Py_ssize_t i = 0; i < items.size(); ++i) out.push_back(From<int64_t>::of(items[i], at));
  return out;
}
Axes From<Axes>::of(PyObject* o, const Argument& at) {
  Axes out;
  for (int64_t v : From<Shape>::of(o, at)) {
    if (v != int(v))
      fail(Kind::index, at.function, at.name ? at.name : "axis", ": out of range: got ", v);
    out.push_back(int(v));
  }
  return out;
}
Dtype From<Dtype>::of(PyObject* o, const Argument& at) {
  auto t = to_dtype(o, at);
  if (!t) wrong_kind(o, at, "a dtype");
  return *t;
}
std::vector<array> From<std::vector<array>>::of(PyObject* o, const Argument& at) {
  const Items items(o, at, "a list of arrays");
  std::vector<array> out;
  out.reserve(size_t(items.size()));
  for (Py_ssize_t i = 0; i < items.size(); ++i) out.push_back(to_array(items[i], at));
  return out;
}
PyObject* to_py(const std::vector<array>& arrays) {
  PyObject* list = PyList_New(Py_ssize_t(arrays.size()));
  for (size_t i = 0; i < arrays.size(); ++i) PyList_SET_ITEM(list, Py_ssize_t(i), wrap(arrays[i]));
  return list;
}
PyObject* to_py(const ArrayTuple& arrays) {
  PyObject* tuple = PyTuple_New(Py_ssize_t(arrays.size()));
  for (size_t i = 0; i < arrays.size(); ++i)
    PyTuple_SET_ITEM(tuple, Py_ssize_t(i), wrap(arrays[i]));
  return tuple;
}
PyObject* to_py(const Shape& shape) {
  PyObject* tuple = PyTuple_New(Py_ssize_t(shape.size()));
  for (size_t i = 0; i < shape.size(); ++i)
    PyTuple_SET_ITEM(tuple, Py_ssize_t(i), PyLong_FromLongLong(shape[i]));
  return tuple;
}

}  // namespace lazulite::bind
