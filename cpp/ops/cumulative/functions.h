// Python's scans.
#pragma once
#include "ops/cumulative/cumulative.h"
#include "ops/elementwise/elementwise.h"
#include "ops/functions.h"
#include "ops/shape/shape.h"

namespace lazulite::functions {

using Scanning = array (*)(A, int, bool, Start, S);

// Without an axis: of the flattened array.
inline array scanned(Scanning f, A a, OptionalInt axis, bool reverse, Start start, S s) {
  if (axis) return f(a, *axis, reverse, start, s);
  return f(reshape(a, {a.size()}, s), 0, reverse, start, s);
}
inline Start start_of(bool inclusive) { return inclusive ? Start::inclusive : Start::exclusive; }
inline array cast_if(A a, OptionalDtype t, S s) { return t ? astype(a, *t, s) : a; }

// The dtype of the Array API's sums and products: small integers have 32 bits.
inline array widened(A a, OptionalDtype t, S s) {
  if (t) return astype(a, *t, s);
  if (!is_integral(a.dtype()) || size_of(a.dtype()) >= 4) return a;
  return astype(a, is_unsigned(a.dtype()) ? uint32 : int32, s);
}

// Differences of what is infinite are none: extremes of nothing stand among large_scans alone.
inline std::vector<std::string> scan_cases(bool exclusive) {
  std::vector<std::string> all{"x(2, 3, 4)", "x(2, 3, 4), 1", "x(2, 3, 4), -1, reverse=True",
                               "x(7)",       "x(0, 3), 0",    "x(2, 67), 1, reverse=True"};
  if (exclusive)
    for (const char* one : {"x(5, 3), 0, inclusive=False", "x(2, 1), 1, inclusive=False",
                            "x(2, 67), 1, reverse=True, inclusive=False"})
      all.push_back(one);
  return all;
}
inline std::vector<std::string> large_scans() {
  return {"x(2, 9 * tree + 1), 1", "x(17 * tree + 1), 0, reverse=True", "x(tree + 1, 3), 0",
          "x(3, block + 1, 17), 1, reverse=True, inclusive=False", "x(3 * tree + 5, 65), 0"};
}

template <class M>
void scan(M& m, const std::string& name, Scanning f, const std::string& doc) {
  m.def(
       name + "(a, /, axis=None, *, reverse=False, inclusive=True, stream=None)",
       [f](A a, OptionalInt axis, bool reverse, bool inclusive, S s) {
         return scanned(f, a, axis, reverse, start_of(inclusive), s);
       },
       doc)
      .method()
      .cases(scan_cases(false))
      .large(large_scans());
}
template <class M>
void typed_scan(M& m, const std::string& name, Scanning f, const std::string& doc) {
  m.def(
       name + "(a, /, axis=None, *, reverse=False, inclusive=True, dtype=None, stream=None)",
       [f](A a, OptionalInt axis, bool reverse, bool inclusive, OptionalDtype t, S s) {
         return scanned(f, cast_if(a, t, s), axis, reverse, start_of(inclusive), s);
       },
       doc)
      .cases(scan_cases(true))
      .large(large_scans());
  m.methods().def(
      name +
          "(a, axis=None, *, reverse=False, inclusive=True, dtype=None, out=None, stream=None)",
      [f](A a, OptionalInt axis, bool reverse, bool inclusive, OptionalDtype t, NoneOnly, S s) {
        return scanned(f, cast_if(a, t, s), axis, reverse, start_of(inclusive), s);
      },
      doc.substr(0, doc.find('\n')) + " out= is there for NumPy: None only. See mx." + name + ".");
}
template <class M>
void standard_scan(M& m, const std::string& name, Scanning f, const std::string& doc) {
  m.def(
       name +
           "(a, /, axis=None, *, reverse=False, inclusive=True, dtype=None, "
           "include_initial=False, stream=None)",
       [f](A a, OptionalInt axis, bool reverse, bool inclusive, OptionalDtype t, bool initial,
           S s) {
         return scanned(f, widened(a, t, s), axis, reverse,
                        initial ? Start::initial : start_of(inclusive), s);
       },
       doc)
      .cases({"x(2, 3, 4), 1", "x(7)", "x(2, 3, 4), -1, include_initial=True",
              "x(5, 3), 0, reverse=True, include_initial=True", "x(0, 3), 0, include_initial=True"})
      .large(
          {"x(2, tree + 1), 1, include_initial=True", "x(tree + 1, 3), 0, include_initial=True"});
}

template <class M>
void standard_extreme(M& m, const std::string& name, Scanning f, const std::string& of,
                      const std::string& doc) {
  m.def(
       name +
           "(a, /, axis=None, *, reverse=False, inclusive=True, include_initial=False, "
           "stream=None)",
       [f](A a, OptionalInt axis, bool reverse, bool inclusive, bool initial, S s) {
         return scanned(f, a, axis, reverse, initial ? Start::initial : start_of(inclusive), s);
       },
       of + " under the name of the Array API's scans.\ninclude_initial: " + doc)
      .cases({"x(2, 3, 4), 1", "x(7)", "x(5, 3), 0, reverse=True"}, of.c_str())
      .large({"x(2, tree + 1), 1, include_initial=True", "x(tree + 1, 3), 0, include_initial=True",
              "x(3, tree + 1), 1, reverse=True, include_initial=True"});
}

template <class M>
void add_cumulative(M& m) {
  typed_scan(m, "cumsum", cumsum,
             "Sums of the elements up to each one along an axis (of the flattened array by "
             "default).\n"
             "reverse: from the last element back; inclusive=False: without the element itself. "
             "The dtype is kept (bool: int32),\n"
             "or dtype. Halves accumulate in float32; the bits do not depend on threads or "
             "instruction set.\n\n"
             ">>> mx.cumsum(mx.array([1, 2, 3]))\n"
             "array([1, 3, 6], dtype=int32)\n"
             ">>> mx.cumsum(mx.array([1, 2, 3]), reverse=True, inclusive=False)\n"
             "array([5, 3, 0], dtype=int32)");
  typed_scan(m, "cumprod", cumprod,
             "Products of the elements up to each one along an axis (of the flattened array by "
             "default).\n"
             "reverse: from the last element back; inclusive=False: without the element itself. "
             "The dtype is kept, or dtype.\n\n"
             ">>> mx.cumprod(mx.array([2, 3, 4]))\n"
             "array([2, 6, 24], dtype=int32)");
  scan(m, "cummax", cummax,
       "The largest of the elements up to each one along an axis (of the flattened array by "
       "default); nan from the first nan on.\n"
       "reverse: from the last element back; inclusive=False: without the element itself, from "
       "the least value of the dtype on.\n\n"
       ">>> mx.cummax(mx.array([1, 3, 2]))\n"
       "array([1, 3, 3], dtype=int32)");
  scan(m, "cummin", cummin,
       "The smallest of the elements up to each one along an axis (of the flattened array by "
       "default); nan from the first nan on.\n"
       "reverse: from the last element back; inclusive=False: without the element itself, from "
       "the greatest value of the dtype on.\n\n"
       ">>> mx.cummin(mx.array([3, 1, 2]))\n"
       "array([3, 1, 1], dtype=int32)");
  scan(m, "logcumsumexp", logcumsumexp,
       "log(sum(exp(a))) of the elements up to each one along an axis (of the flattened array "
       "by default), without overflow.\n"
       "reverse: from the last element back; inclusive=False: without the element itself, from "
       "-inf on. Integers and bool give float32.\n\n"
       ">>> mx.logcumsumexp(mx.array([1000.0, 1000.0]))\n"
       "array([1000, 1000.69], dtype=float32)");
  standard_scan(m, "cumulative_sum", cumsum,
                "cumsum as the Array API has it: integers below 32 bits and bool become int32 or "
                "uint32 first.\n"
                "include_initial: the sum of nothing stands in front, and there is one element "
                "more.\n\n"
                ">>> mx.cumulative_sum(mx.array([1, 2, 3]), include_initial=True)\n"
                "array([0, 1, 3, 6], dtype=int32)");
  standard_scan(m, "cumulative_prod", cumprod,
                "cumprod as the Array API has it: integers below 32 bits and bool become int32 or "
                "uint32 first.\n"
                "include_initial: the product of nothing stands in front, and there is one "
                "element more.\n\n"
                ">>> mx.cumulative_prod(mx.array([2, 3]), include_initial=True)\n"
                "array([1, 2, 6], dtype=int32)");
  standard_extreme(m, "cumulative_max", cummax, "cummax",
                   "the least value of the dtype stands in front, and there is one element "
                   "more.\n\n"
                   ">>> mx.cumulative_max(mx.array([1.0, 3.0, 2.0]), include_initial=True)\n"
                   "array([-inf, 1, 3, 3], dtype=float32)");
  standard_extreme(m, "cumulative_min", cummin, "cummin",
                   "the greatest value of the dtype stands in front, and there is one element "
                   "more.\n\n"
                   ">>> mx.cumulative_min(mx.array([3.0, 1.0, 2.0]), include_initial=True)\n"
                   "array([inf, 3, 1, 1], dtype=float32)");
  standard_extreme(m, "cumulative_logsumexp", logcumsumexp, "logcumsumexp",
                   "-inf stands in front, and there is one element more.\n\n"
                   ">>> mx.cumulative_logsumexp(mx.array([0.0, 0.0]), include_initial=True)\n"
                   "array([-inf, 0, 0.693147], dtype=float32)");
}

}  // namespace lazulite::functions
