// Functions: a row is a signature, a C++ function and a doc (ops/functions.h). One callable type
// parses arguments by the signature, so that keywords, defaults, inspect.signature and error texts
// are right everywhere.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "bind/array_class.h"
#include "ops/functions.h"

namespace lazulite {
struct Widths;  // ops/compose/shape.h
struct Margins;   // ops/conv/conv.h
struct AttentionMask;  // ops/attention/attention.h
struct EinsumOrder;  // ops/compose/einsum.h
struct EinsumPath;
struct Bins;    // ops/numeric/numeric.h
struct BinsPair;
struct Range;
struct RangePair;
namespace linalg {
struct Order;   // ops/linalg/linalg.h
}
struct Trees;   // eval/trees.h
struct Facts;   // device/facts.h
struct PlanSummary;
}  // namespace lazulite

namespace lazulite::bind {

using Invoke = std::function<PyObject*(PyObject* const*)>;

struct Def {
  std::string signature, doc;
  Invoke invoke{};
  int arity = 0;  // of the C++ function: the signature must have as many parameters
  std::vector<std::string> types{};  // of the parameters in order, then of the result, for stubs
  std::shared_ptr<struct Names> names{};
  const Op* op = nullptr;  // of an elementwise row
  bool is_method = false;
  std::string rename{};
  std::vector<std::string> samples{};  // arguments with which the table tests call it
  std::string reference{};  // what the tests compare with; empty: NumPy's function of that name;
                            // "-": nothing
  bool any_layout = true;   // the same bits whatever the layout of the arguments and with any BLAS
  std::vector<std::string> beyond{};  // samples past the limits at which work is cut, which they
                                      // name (device/limits.h)
  std::string first{}, second{};      // see `alone`
  std::vector<std::pair<std::string, std::string>> others{};  // see `also`

  std::string name() const { return signature.substr(0, signature.find('(')); }
  // Of two parameters with defaults, the first given alone stands for the second, as in range();
  // given by name it needs the second.
  Def& alone(const char* a, const char* b) {
    first = a;
    second = b;
    return *this;
  }
  Def& method(const char* name = "") {
    is_method = true;
    rename = name;
    return *this;
  }
  // A second name by which a parameter may be given.
  Def& also(const char* parameter, const char* other) {
    others.emplace_back(parameter, other);
    return *this;
  }
  // Said when the kind of an argument is wrong.
  Def& hint(const char* parameter, const char* text);
  Def& by_layout() {
    any_layout = false;
    return *this;
  }
  Def& cases(std::vector<std::string> arguments, const char* expected = "") {
    samples = std::move(arguments);
    reference = expected;
    return *this;
  }
  Def& large(std::vector<std::string> arguments) {
    beyond = std::move(arguments);
    return *this;
  }
};

// ---- arguments
template <class T>
struct From;
#define LAZULITE_FROM(...)                                  \
  template <>                                               \
  struct From<__VA_ARGS__> {                                \
    static __VA_ARGS__ of(PyObject* o, const Argument& at); \
  };
LAZULITE_FROM(Operand)
LAZULITE_FROM(array)
LAZULITE_FROM(Scalar)
LAZULITE_FROM(Stream)
LAZULITE_FROM(Dtype)
LAZULITE_FROM(bool)
LAZULITE_FROM(int64_t)
LAZULITE_FROM(uint64_t)
LAZULITE_FROM(int)
LAZULITE_FROM(double)
LAZULITE_FROM(std::string)
LAZULITE_FROM(Shape)
LAZULITE_FROM(Axes)
LAZULITE_FROM(AxisPairs)
LAZULITE_FROM(Indices)
LAZULITE_FROM(NoneOnly)
LAZULITE_FROM(Size)
LAZULITE_FROM(Diagonal)
LAZULITE_FROM(Untyped)
LAZULITE_FROM(Widths)
LAZULITE_FROM(Sides)
LAZULITE_FROM(Margins)
LAZULITE_FROM(EinsumOrder)
LAZULITE_FROM(AttentionMask)
LAZULITE_FROM(Bins)
LAZULITE_FROM(BinsPair)
LAZULITE_FROM(Range)
LAZULITE_FROM(RangePair)
LAZULITE_FROM(linalg::Order)
LAZULITE_FROM(Trees)
LAZULITE_FROM(Device)
LAZULITE_FROM(std::vector<array>)
LAZULITE_FROM(std::vector<Shape>)
#undef LAZULITE_FROM
template <>
struct From<PyObject*> {
  static PyObject* of(PyObject* o, const Argument&) { return o; }
};
template <class T>
struct From<std::optional<T>> {
  static std::optional<T> of(PyObject* o, const Argument& at) {
    if (o == Py_None) return std::nullopt;
    return From<T>::of(o, at);
  }
};
// Where arrays are taken, one that holds an integer is an array.
template <class I, class T>
struct From<std::variant<I, T>> {
  static constexpr bool arrays = std::is_same_v<T, Indices>;
  static std::variant<I, T> of(PyObject* o, const Argument& at) {
    if (!(arrays && is_array(o)) && is_whole(o)) return From<I>::of(o, at);
    return From<T>::of(o, at);
  }
};
template <>
struct From<std::variant<Size, array>> {
  static std::variant<Size, array> of(PyObject* o, const Argument& at);
};
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct From<Spread<T>> {
  static Spread<T> of(PyObject* o, const Argument& at) {  // always a tuple
    if constexpr (IsOptional<T>::value)
      if (PyTuple_GET_SIZE(o) == 0) return {};
    return {From<T>::of(PyTuple_GET_SIZE(o) == 1 ? PyTuple_GET_ITEM(o, 0) : o, at)};
  }
};

// ---- results
PyObject* to_py(const std::vector<array>&);
PyObject* to_py(const ArrayTuple&);
PyObject* to_py(const OneOrMore&);
PyObject* to_py(const OneOrTuple&);
PyObject* to_py(const ArrayOrTuple&);
PyObject* to_py(const EinsumPath&);
PyObject* to_named(const char* type, const std::vector<array>&);
template <class C>
PyObject* to_py(const NamedTuple<C>& arrays) {
  return to_named(C::name, arrays);
}
PyObject* to_py(const Shape&);
inline PyObject* to_py(array a) { return wrap(std::move(a)); }
inline PyObject* to_py(PyObject* o) { return o; }
template <class T>
requires std::is_integral_v<T> PyObject* to_py(T v) {
  return std::is_same_v<T, bool> ? PyBool_FromLong(v) : PyLong_FromLongLong(v);
}
PyObject* to_py(const std::string&);
PyObject* to_py(const Device&);
PyObject* to_py(const Stream&);
PyObject* to_py(const Facts&);
PyObject* to_py(const PlanSummary&);
inline PyObject* to_py(Dtype t) { return from_dtype(t); }

// ---- how stubs name the types
template <class T>
struct IsIntOr : std::false_type {};
template <class T, class U>
struct IsIntOr<std::variant<T, U>> : std::true_type {
  using Other = U;
};
inline std::string int_or(const std::string& other) {
  return other.rfind("int |", 0) == 0 ? other : "int | " + other;
}
template <class T>
std::string type_name() {
  if constexpr (IsOptional<T>::value)
    return type_name<typename T::value_type>() + " | None";
  else if constexpr (IsIntOr<T>::value)
    return int_or(type_name<typename IsIntOr<T>::Other>());
  else if constexpr (std::is_same_v<T, Operand> || std::is_same_v<T, Untyped>)
    return "array | scalar";
  else if constexpr (std::is_same_v<T, array>)
    return "array";
  else if constexpr (std::is_same_v<T, Scalar>)
    return "scalar";
  else if constexpr (std::is_same_v<T, Stream>)
    return "Stream | Device | DeviceType | None";
  else if constexpr (std::is_same_v<T, Device>)
    return "Device | DeviceType";
  else if constexpr (std::is_same_v<T, bool>)
    return "bool";
  else if constexpr (std::is_integral_v<T> || std::is_same_v<T, Diagonal>)
    return "int";
  else if constexpr (std::is_same_v<T, double>)
    return "float";
  else if constexpr (std::is_same_v<T, std::string>)
    return "str";
  else if constexpr (std::is_same_v<T, Shape> || std::is_same_v<T, Axes>)
    return "int | Sequence[int]";
  else if constexpr (std::is_same_v<T, AxisPairs>)
    return "Sequence[int | Sequence[int]]";
  else if constexpr (std::is_same_v<T, Widths>)
    return "int | Sequence[int] | Sequence[Sequence[int]]";
  else if constexpr (std::is_same_v<T, Sides>)
    return "array | scalar | Sequence[scalar] | Sequence[Sequence[scalar]]";
  else if constexpr (std::is_same_v<T, Margins>)
    return "int | Sequence[int] | tuple[int | Sequence[int], int | Sequence[int]]";
  else if constexpr (std::is_same_v<T, EinsumOrder>)
    return "bool | str | Sequence[Any]";
  else if constexpr (std::is_same_v<T, AttentionMask>)
    return "str | array";
  else if constexpr (std::is_same_v<T, Bins>)
    return "int | str | array | Sequence[float]";
  else if constexpr (std::is_same_v<T, BinsPair>)
    return "int | array | Sequence[Any]";
  else if constexpr (std::is_same_v<T, Range>)
    return "Sequence[float]";
  else if constexpr (std::is_same_v<T, RangePair>)
    return "Sequence[Sequence[float]]";
  else if constexpr (std::is_same_v<T, linalg::Order>)
    return "float | str";
  else if constexpr (std::is_same_v<T, Indices>)
    return "array | Sequence[Any]";
  else if constexpr (std::is_same_v<T, NoneOnly> || std::is_void_v<T>)
    return "None";
  else if constexpr (std::is_same_v<T, Dtype>)
    return "Dtype";
  else if constexpr (std::is_same_v<T, std::vector<array>>)
    return "Sequence[array]";
  else
    return "Any";
}
template <class T>
struct IsNamed : std::false_type {};
template <class C>
struct IsNamed<NamedTuple<C>> : std::true_type {
  using Class = C;
};
template <class R>
std::string result_name() {
  if constexpr (std::is_same_v<R, std::vector<array>>)
    return "list[array]";
  else if constexpr (std::is_same_v<R, ArrayTuple>)
    return "tuple[array, ...]";
  else if constexpr (std::is_same_v<R, OneOrTuple>)
    return "array | tuple[array, ...]";
  else if constexpr (std::is_same_v<R, ArrayOrTuple>)
    return "array; of the first argument alone: tuple[array, ...]";  // two overloads
  else if constexpr (std::is_same_v<R, EinsumPath>)
    return "tuple[list[tuple[int, ...]], str]";
  else if constexpr (IsNamed<R>::value)
    return IsNamed<R>::Class::type;
  else if constexpr (std::is_same_v<R, Shape>)
    return "tuple[int, ...]";
  else if constexpr (std::is_same_v<R, Device>)
    return "Device";
  else if constexpr (std::is_same_v<R, Stream>)
    return "Stream";
  else if constexpr (std::is_same_v<R, Facts>)
    return "dict[str, int | str]";
  else if constexpr (std::is_same_v<R, PlanSummary>)
    return "Plan";
  else
    return type_name<R>();
}

// The names of a function and of its parameters, for error texts.
struct Names {
  explicit Names(const std::string& signature);
  Names(const Names&) = delete;
  void hint(const char* parameter, const char* text);
  const Argument& operator[](size_t i) const { return arguments[i]; }

  std::string function;
  std::vector<std::string> parameters, hints;
  std::vector<Argument> arguments;  // over these strings
};

// ---- tables
// A function, or a lambda, as a row.
template <class F, class R, class... A, size_t... i>
Def make_def(std::string signature, F function, std::string doc, R (*)(A...),
             std::index_sequence<i...>) {
  auto names = std::make_shared<Names>(signature);
  Def out{std::move(signature),
          std::move(doc),
          [function, names](PyObject* const* args) -> PyObject* {
            (void)args;
            std::tuple<std::remove_cvref_t<A>...> values{
                From<std::remove_cvref_t<A>>::of(args[i], (*names)[i])...};  // in order
            if constexpr (std::is_void_v<R>) {
              function(static_cast<A&&>(std::get<i>(values))...);
              return Py_NewRef(Py_None);
            } else {
              return to_py(function(static_cast<A&&>(std::get<i>(values))...));
            }
          },
          int(sizeof...(A)),
          {type_name<std::remove_cvref_t<A>>()..., result_name<std::remove_cvref_t<R>>()}};
  out.names = std::move(names);
  return out;
}
template <class F>
struct CallOf : CallOf<decltype(&F::operator())> {};
template <class R, class... A>
struct CallOf<R (*)(A...)> {
  using Pointer = R (*)(A...);
  using Order = std::index_sequence_for<A...>;
};
template <class F, class R, class... A>
struct CallOf<R (F::*)(A...) const> : CallOf<R (*)(A...)> {};

// The functions of a module of Python: "" is core, "array" its methods, "random" a sub-module.
class Functions {
 public:
  template <class F>
  Def& def(std::string signature, F function, std::string doc) {
    using Call = CallOf<F>;
    return rows.emplace_back(make_def(std::move(signature), function, std::move(doc),
                                      typename Call::Pointer(), typename Call::Order()));
  }
  // A row of the elementwise family, of one operand or two; plain calls go straight.
  Def& elementwise(const Op&, const std::string& name, std::string doc);
  Functions& module(const char* name);
  Functions& methods() { return module("array"); }
  std::vector<Def> rows;
};

// Adds rows to the tables before main; add_functions makes the functions of Python.
struct Register {
  explicit Register(void (*add)(Functions& core));
};
void add_functions(PyObject* module);
const std::map<std::string, Functions>& all_functions();

}  // namespace lazulite::bind
