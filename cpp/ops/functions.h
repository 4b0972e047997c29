// The functions of Python, as each room's functions.h writes them down: a row is a signature, the
// C++ function behind it, a doc with an example, and cases for the tests that loop over all rows:
//
//   template <class M>
//   void add_reduce(M& m) {
//     m.def("sum(a, /, axis=None, keepdims=False, *, stream=None)",
//           [](A a, OptionalAxes axes, bool keep, S s) { return sum(a, given(axes, a), keep, s); },
//           "The sum over axes.\n\n>>> mx.sum(mx.ones(3))\narray(3, dtype=float32)")
//         .method()                                 // of array, too
//         .cases({"x(2, 3)", "x(2, 3), 1"})         // compared with NumPy's function of that name
//         .large({"x(2, tree + 1), 1"});            // past the limits at which work is cut
//   }
//
// M is who reads them: the bindings (bind/def.h), which make one unit of each room's rows. What a
// parameter takes, and what is said of anything else, follows from its type in C++; those that only
// Python's functions have are here. m.module("random") and m.methods() (of array alone) have rows
// of their own.
#pragma once
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "graph/node.h"

namespace lazulite {

// ---- parameters
struct NoneOnly {};  // out= of NumPy's functions: arrays are not written to
struct Size {        // a number of elements: too large is a memory error
  int64_t value;
};
struct Diagonal {    // its distance from the main one; far enough, all are outside
  int64_t k;
};
template <class T, class I = int64_t>
using IntOr = std::variant<I, T>;  // one integer; anything else is a T
struct Indices {                         // an array of integers, or lists of them
  array value;
};
struct Untyped {  // a number; NumPy's without its dtype
  Scalar value;
};
template <class T>
struct Spread {  // *shape: numbers, or one sequence
  T value;
};
using AxisPairs = std::pair<Axes, Axes>;
struct Sides {  // a number, or numbers in front of axes and behind them
  Operand value;
};

// ---- results
struct ArrayTuple : std::vector<array> {  // a tuple, where std::vector is a list
  ArrayTuple(std::vector<array> all) : std::vector<array>(std::move(all)) {}
};
struct ArrayOrTuple {  // what it is; of one array too
  std::variant<array, ArrayTuple> value;
};
struct OneOrTuple : std::vector<array> {  // one array as itself, others as a tuple
  using vector::vector;
};
// A tuple whose parts have names, of the class of core/_results.py that Class::name says; one array
// as itself.
template <class Class>
struct NamedTuple : std::vector<array> {
  NamedTuple(std::vector<array> all) : std::vector<array>(std::move(all)) {}
};
struct OneOrMore : std::vector<array> {  // one array as itself, others as a list
  using vector::vector;
};

// Short names for the tables.
namespace functions {
using A = const array&;
using O = const Operand&;
using S = Stream;
using Arrays_ = const std::vector<array>&;
using OptionalArray = const std::optional<array>&;
using OptionalOperand = const std::optional<Operand>&;
using OptionalAxes = const std::optional<Axes>&;
using OptionalDtype = const std::optional<Dtype>&;
using OptionalInt = const std::optional<int>&;
using OptionalShape = const std::optional<Shape>&;
}  // namespace functions

}  // namespace lazulite
