// Functions: a row is a signature, a C++ function and a doc. One callable type parses arguments by
// the signature, so that keywords, defaults, inspect.signature and error texts are right everywhere.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "bind/array_class.h"

namespace lazulite::bind {

using Invoke = std::function<PyObject*(PyObject* const*)>;

struct Def {
  std::string signature, doc;
  Invoke invoke;
  bool is_method = false;
  std::string rename{};
  std::vector<std::string> samples{};  // arguments with which the table tests call it
  std::string reference{};             // what the tests compare with; empty: NumPy's function of that name
  const void* op = nullptr;          // of an elementwise row
  std::vector<std::string> types{};  // of the parameters in order, then of the result, as Python writes them
  bool any_layout = true;            // the same bits whatever the layout of the arguments
  Def&& method(const char* name = "") && {
    is_method = true;
    rename = name;
    return std::move(*this);
  }
  Def&& by_layout() && {
    any_layout = false;
    return std::move(*this);
  }
  Def&& cases(std::vector<std::string> arguments, const char* expected = "") && {
    samples = std::move(arguments);
    reference = expected;
    return std::move(*this);
  }
};

// A table of rows for a sub-module ("" is core), collected before main and added by add_functions.
struct Register {
  Register(const char* submodule, std::vector<Def> rows);
};
void add_functions(PyObject* module);  // also the methods of array; rows for "array" are methods only
const std::map<std::string, std::vector<Def>>& all_functions();

// ---- arguments -----------------------------------------------------------------------------------
template <class T>
struct From;
template <> struct From<Operand> { static Operand of(PyObject* o, const char* f) { return to_operand(o, f); } };
template <> struct From<array> { static array of(PyObject* o, const char* f) { return to_array(o, f); } };
template <> struct From<Scalar> { static Scalar of(PyObject* o, const char* f) { return to_scalar(o, f); } };
template <> struct From<Stream> { static Stream of(PyObject* o, const char*) { return to_stream(o); } };
template <> struct From<bool> { static bool of(PyObject* o, const char* f); };
template <> struct From<int64_t> { static int64_t of(PyObject* o, const char* f); };
template <> struct From<uint64_t> { static uint64_t of(PyObject* o, const char* f); };
template <> struct From<int> { static int of(PyObject* o, const char* f); };
template <> struct From<double> { static double of(PyObject* o, const char* f); };
template <> struct From<std::string> { static std::string of(PyObject* o, const char* f); };
template <> struct From<Shape> { static Shape of(PyObject* o, const char* f); };
template <> struct From<Axes> { static Axes of(PyObject* o, const char* f); };
template <> struct From<Dtype> { static Dtype of(PyObject* o, const char* f); };
template <> struct From<PyObject*> { static PyObject* of(PyObject* o, const char*) { return o; } };
template <> struct From<std::vector<array>> { static std::vector<array> of(PyObject* o, const char* f); };
template <class T> struct From<std::optional<T>> {
  static std::optional<T> of(PyObject* o, const char* f) {
    if (o == Py_None) return std::nullopt;
    return From<T>::of(o, f);
  }
};

// ---- results -------------------------------------------------------------------------------------
inline PyObject* to_py(array a) { return wrap(std::move(a)); }
inline PyObject* to_py(PyObject* o) { return o; }
inline PyObject* to_py(bool b) { return PyBool_FromLong(b); }
inline PyObject* to_py(Dtype t) { return from_dtype(t); }
PyObject* to_py(const std::vector<array>&);
PyObject* to_py(const Shape&);

// ---- how stubs name the types ----------------------------------------------------------------------
template <class T> struct IsOptional : std::false_type {};
template <class T> struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
std::string type_name() {
  if constexpr (IsOptional<T>::value) return type_name<typename T::value_type>() + " | None";
  else if constexpr (std::is_same_v<T, Operand>) return "array | scalar";
  else if constexpr (std::is_same_v<T, array>) return "array";
  else if constexpr (std::is_same_v<T, Scalar>) return "scalar";
  else if constexpr (std::is_same_v<T, Stream>) return "Stream | Device | DeviceType | None";
  else if constexpr (std::is_same_v<T, bool>) return "bool";
  else if constexpr (std::is_integral_v<T>) return "int";
  else if constexpr (std::is_same_v<T, double>) return "float";
  else if constexpr (std::is_same_v<T, std::string>) return "str";
  else if constexpr (std::is_same_v<T, Shape> || std::is_same_v<T, Axes>) return "int | Sequence[int]";
  else if constexpr (std::is_same_v<T, Dtype>) return "Dtype";
  else if constexpr (std::is_same_v<T, std::vector<array>>) return "Sequence[array]";
  else return "Any";
}
template <class R> std::string result_name() {
  if constexpr (std::is_same_v<R, std::vector<array>>) return "list[array]";
  else return type_name<R>();
}

template <class R, class... A, size_t... i>
Def make_def(const char* signature, R (*function)(A...), const char* doc, std::index_sequence<i...>) {
  std::string text = signature;
  std::string name = text.substr(0, text.find('('));
  Def out{text, doc, [function, name](PyObject* const* args) -> PyObject* {
            (void)args;
            return to_py(function(From<std::remove_cvref_t<A>>::of(args[i], name.c_str())...));
          }};
  out.types = {type_name<std::remove_cvref_t<A>>()..., result_name<std::remove_cvref_t<R>>()};
  return out;
}
template <class R, class... A>
Def def(const char* signature, R (*function)(A...), const char* doc) {
  return make_def(signature, function, doc, std::index_sequence_for<A...>{});
}
template <class F>
Def def(const char* signature, F function, const char* doc) { return def(signature, +function, doc); }

}  // namespace lazulite::bind
