// Functions: a row is a signature, a C++ function and a doc. One callable type parses arguments by
// the signature, so that keywords, defaults, inspect.signature and error texts are right
// everywhere.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
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
  std::string reference{};  // what the tests compare with; empty: NumPy's function of that name;
                            // "-": nothing
  const void* op = nullptr;          // of an elementwise row
  std::vector<std::string>
      types{};             // of the parameters in order, then of the result, as Python writes them
  bool any_layout = true;  // the same bits whatever the layout of the arguments and with any BLAS
  std::vector<std::string>
      beyond{};   // samples past the limits at which work is cut, which they name (device/limits.h)
  int arity = 0;  // of the C++ function: the signature must have as many parameters
  std::shared_ptr<struct Names> names{};
  std::string keyword{}, partner{};  // `keyword` given by name needs `partner`
  Def&& pair(const char* a, const char* b) && {
    keyword = a;
    partner = b;
    return std::move(*this);
  }
  Def&& method(const char* name = "") && {
    is_method = true;
    rename = name;
    return std::move(*this);
  }
  // Said when the kind of an argument is wrong.
  Def&& hint(const char* parameter, const char* text) &&;
  Def&& by_layout() && {
    any_layout = false;
    return std::move(*this);
  }
  Def&& cases(std::vector<std::string> arguments, const char* expected = "") && {
    samples = std::move(arguments);
    reference = expected;
    return std::move(*this);
  }
  Def&& large(std::vector<std::string> arguments) && {
    beyond = std::move(arguments);
    return std::move(*this);
  }
};

// A table of rows for a sub-module ("" is core), collected before main and added by add_functions.
struct Register {
  Register(const char* submodule, std::vector<Def> rows);
};
void add_functions(
    PyObject* module);  // also the methods of array; rows for "array" are methods only
const std::map<std::string, std::vector<Def>>& all_functions();

// ---- arguments
// -----------------------------------------------------------------------------------
template <class T>
struct From;
#define LAZULITE_FROM(T)                          \
  template <>                                     \
  struct From<T> {                                \
    static T of(PyObject* o, const Argument& at); \
  };
LAZULITE_FROM(Operand)
LAZULITE_FROM(array) LAZULITE_FROM(Scalar) LAZULITE_FROM(Stream) LAZULITE_FROM(Dtype)
    LAZULITE_FROM(bool) LAZULITE_FROM(int64_t) LAZULITE_FROM(uint64_t) LAZULITE_FROM(int)
        LAZULITE_FROM(double) LAZULITE_FROM(std::string) LAZULITE_FROM(Shape) LAZULITE_FROM(Axes)
            LAZULITE_FROM(std::vector<array>)
#undef LAZULITE_FROM
                template <>
                struct From<PyObject*> {
  static PyObject* of(PyObject* o, const Argument&) { return o; }
};
template <class T> struct From<std::optional<T>> {
  static std::optional<T> of(PyObject* o, const Argument& at) {
    if (o == Py_None) return std::nullopt;
    return From<T>::of(o, at);
  }
};

// ---- results
// -------------------------------------------------------------------------------------
struct ArrayTuple : std::vector<array> {  // given to Python as a tuple
  ArrayTuple(std::vector<array> all) : std::vector<array>(std::move(all)) {}
};
PyObject* to_py(const ArrayTuple&);
inline PyObject* to_py(array a) { return wrap(std::move(a)); }
inline PyObject* to_py(PyObject* o) { return o; }
inline PyObject* to_py(bool b) { return PyBool_FromLong(b); }
inline PyObject* to_py(Dtype t) { return from_dtype(t); }
PyObject* to_py(const std::vector<array>&);
PyObject* to_py(const Shape&);

// ---- how stubs name the types
// ----------------------------------------------------------------------
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
  else if constexpr (std::is_same_v<T, Shape> || std::is_same_v<T, Axes>)
    return "int | Sequence[int]";
  else if constexpr (std::is_same_v<T, Dtype>) return "Dtype";
  else if constexpr (std::is_same_v<T, std::vector<array>>) return "Sequence[array]";
  else return "Any";
}
template <class R> std::string result_name() {
  if constexpr (std::is_same_v<R, std::vector<array>>) return "list[array]";
  else if constexpr (std::is_same_v<R, ArrayTuple>) return "tuple[array, ...]";
  else return type_name<R>();
}

// The names of a function and of its parameters, for error texts.
struct Names {
  std::string function;
  std::vector<std::string> parameters, hints;
  explicit Names(const std::string& signature);
  Argument operator[](size_t i) const {
    return {function.c_str(), i < parameters.size() ? parameters[i].c_str() : nullptr,
            i < hints.size() && !hints[i].empty() ? hints[i].c_str() : nullptr};
  }
};

template <class R, class... A, size_t... i>
Def make_def(const char* signature, R (*function)(A...), const char* doc,
             std::index_sequence<i...>) {
  auto names = std::make_shared<Names>(signature);
  Def out{signature, doc, [function, names](PyObject* const* args) -> PyObject* {
            (void)args;
            std::tuple<std::remove_cvref_t<A>...> values{
                From<std::remove_cvref_t<A>>::of(args[i], (*names)[i])...};  // in order
            return to_py(function(static_cast<A&&>(std::get<i>(values))...));
          }};
  out.names = std::move(names);
  out.arity = int(sizeof...(A));
  out.types = {type_name<std::remove_cvref_t<A>>()..., result_name<std::remove_cvref_t<R>>()};
  return out;
}
template <class R, class... A>
Def def(const char* signature, R (*function)(A...), const char* doc) {
  return make_def(signature, function, doc, std::index_sequence_for<A...>{});
}
template <class F>
Def def(const char* signature, F function, const char* doc) {
  return def(signature, +function, doc);
}

}  // namespace lazulite::bind
