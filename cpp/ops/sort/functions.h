// Python's functions that sort.
#pragma once
#include "ops/functions.h"
#include "ops/index/index.h"
#include "ops/shape/shape.h"
#include "ops/sort/sort.h"

namespace lazulite::functions {

// Along an axis, or, without one, of the flattened array.
template <class F>
array along(A a, OptionalInt axis, S s, F&& f) {
  return axis ? f(a, *axis) : f(reshape(a, {a.size()}, s), 0);
}
inline bool from_the_right(const std::string& side) {
  if (side != "left" && side != "right")
    fail(Kind::value, "searchsorted", "unknown side: got '", side, "', expected 'left' or 'right'");
  return side == "right";
}
inline array in_order(A a, OptionalArray sorter, S s) {
  return sorter ? take_along_axis(a, *sorter, -1, s) : a;
}

inline OneOrTuple asked_for(const DistinctParts& parts) {
  OneOrTuple out{parts.values};
  for (A a : {parts.indices, parts.inverse, parts.counts})
    if (a) out.push_back(a);
  return out;
}

template <class M>
void add_sort(M& m) {
  m.def(
       "sort(a, /, axis=-1, *, descending=False, stable=True, stream=None)",
       [](A a, OptionalInt axis, bool descending, bool, S s) {
         return along(a, axis, s, [&](A x, int d) { return sort(x, d, descending, s); });
       },
       "The elements in ascending order along an axis (of the flattened array for None). nan "
       "comes last, first in descending\n"
       "order; complex numbers are ordered by their real parts, then by their imaginary ones. "
       "Equal elements cannot be told\n"
       "apart but for zeros, of which -0.0 comes first: `stable` changes nothing.\n\n"
       ">>> mx.sort(mx.array([3, 1, 2]))\n"
       "array([1, 2, 3], dtype=int32)")
      .cases({"x(7)", "x(4, 5)", "x(4, 5), 0", "x(2, 5, 3), 1", "x(3, 4), None", "x(0, 3)"})
      .large({"x(3, grain + 1)", "x(2 * chunk + 1)", "x(grain + 1, 3), 0", "x(2, 300, 70), 1",
              "x(5, 17, 257)"});
  m.def(
       "argsort(a, /, axis=-1, *, descending=False, stable=True, stream=None)",
       [](A a, OptionalInt axis, bool descending, bool, S s) {
         return along(a, axis, s, [&](A x, int d) { return argsort(x, d, descending, s); });
       },
       "The indices that sort along an axis (the flattened array for None); uint32. Equal "
       "elements keep their order, whatever\n"
       "`stable` says, in descending order too.\n\n"
       ">>> mx.argsort(mx.array([3, 1, 2]))\n"
       "array([1, 2, 0], dtype=uint32)")
      .cases({"x(7)", "x(4, 5)", "x(4, 5), 0", "x(2, 5, 3), 1", "x(3, 4), None"},
             "lambda a, axis=-1: np.argsort(a, axis, kind='stable')")
      .large({"x(3, grain + 1)", "x(2 * chunk + 1)", "x(grain + 1, 3), 0", "x(2, 300, 70), 1",
              "x(5, 17, 257)"});
  m.def(
       "partition(a, /, kth, axis=-1, *, stream=None)",
       [](A a, int64_t kth, OptionalInt axis, S s) {
         return along(a, axis, s, [&](A x, int d) { return partition(x, kth, d, s); });
       },
       "The elements below the one that would stand at kth in order, then it and its equals, "
       "then those above, along an axis\n"
       "(of the flattened array for None). Each part keeps its order. nan counts as largest.\n\n"
       ">>> mx.partition(mx.array([5, 4, 1, 3, 2]), 2)\n"
       "array([1, 2, 3, 5, 4], dtype=int32)")
      .cases({"x(7), 3", "x(4, 5), -1", "x(4, 5), 1, 0", "x(2, 5, 3), 2, 1", "x(3, 4), 7, None"},
             "stable_partition")
      .large({"x(3, grain + 1), 100", "x(2 * chunk + 1), chunk", "x(grain + 1, 3), -5, 0",
              "x(9 * grain + 5), 5 * grain"});
  m.def(
       "argpartition(a, /, kth, axis=-1, *, stream=None)",
       [](A a, int64_t kth, OptionalInt axis, S s) {
         return along(a, axis, s, [&](A x, int d) { return argpartition(x, kth, d, s); });
       },
       "The indices whose elements partition gives; uint32.\n\n"
       ">>> mx.argpartition(mx.array([5, 4, 1, 3, 2]), 2)\n"
       "array([2, 4, 3, 0, 1], dtype=uint32)")
      .cases({"x(7), 3", "x(4, 5), -1", "x(4, 5), 1, 0", "x(2, 5, 3), 2, 1", "x(3, 4), 7, None"},
             "stable_argpartition")
      .large({"x(3, grain + 1), 100", "x(2 * chunk + 1), chunk", "x(grain + 1, 3), -5, 0",
              "x(9 * grain + 5), 5 * grain"});
  m.def(
       "topk(a, /, k, axis=-1, *, stream=None)",
       [](A a, int64_t k, OptionalInt axis, S s) {
         return along(a, axis, s, [&](A x, int d) { return topk(x, k, d, s); });
       },
       "The k largest elements along an axis (of the flattened array for None), in ascending "
       "order. nan counts as largest.\n\n"
       ">>> mx.topk(mx.array([5, 4, 1, 3, 2]), 2)\n"
       "array([4, 5], dtype=int32)")
      .cases({"x(7), 3", "x(4, 5), 5", "x(4, 5), 1, 0", "x(2, 5, 3), 2, 1", "x(3, 4), 7, None",
              "x(5), 0"},
             "largest")
      .large({"x(3, grain + 1), 100", "x(2 * chunk + 1), chunk", "x(grain + 1, 3), 5, 0"});
  m.def(
       "searchsorted(sorted_sequence, values, /, side='left', *, sorter=None, stream=None)",
       [](A sorted, O values, const std::string& side, OptionalArray sorter, S s) {
         return searchsorted(in_order(sorted, sorter, s), values, from_the_right(side), s);
       },
       "Where values belong in an ascending sequence: before its equals ('left') or behind them "
       "('right'); uint32. Where the\n"
       "sequence has several axes, each row is searched for the values at the same place of the "
       "axes before the last. `sorter`\n"
       "are indices that sort the sequence, as of argsort.\n\n"
       ">>> mx.searchsorted(mx.array([1, 2, 4]), mx.array([2, 3, 9]))\n"
       "array([1, 2, 3], dtype=uint32)")
      .cases({"mx.sort(x(9)), x(2, 3)", "mx.sort(x(9)), x(2, 3), 'right'", "mx.sort(x(5)), x()",
              "mx.sort(x(2, 9)), x(2, 3)", "mx.sort(x(0)), x(3)"},
             "search_rows")
      .large({"mx.sort(x(grain + 1)), x(chunk + 1)", "mx.sort(x(3, 300)), x(3, 2 * grain + 1)"});
  m.def(
       "lexsort(keys, /, axis=-1, *, stream=None)",
       [](Arrays_ keys, int axis, S s) { return lexsort(keys, axis, s); },
       "The indices that sort by several keys along an axis: by the last one, its equals by the "
       "one before it, and so on; uint32.\n"
       "Equal ones keep their order.\n\n"
       ">>> mx.lexsort([mx.array([2, 1, 0]), mx.array([1, 0, 1])])\n"
       "array([1, 2, 0], dtype=uint32)")
      .cases({"[x(7), x(7)]", "[x(2, 5), x(2, 5), x(2, 5)]", "[x(5, 2), x(5, 2)], 0"})
      .large({"[x(3, grain + 1), x(3, grain + 1)]"});
  m.def(
       "unique(a, /, size=None, return_index=False, return_inverse=False, return_counts=False, "
       "fill_value=None, *, equal_nan=True, stream=None)",
       [](A a, const std::optional<int64_t>& size, bool indices, bool inverse, bool counts,
          OptionalOperand fill, bool nan,
          S s) { return asked_for(unique(a, {size, fill, indices, inverse, counts, nan}, s)); },
       "The different elements of the flattened array, ascending; as asked for in a tuple with the "
       "index of the first of each,\n"
       "which of them each element is (in a's shape), and how often each is there. Without a size "
       "there are as many as are found,\n"
       "which computes them; inside compile and vmap a size is needed. What it leaves over is "
       "filled with fill_value (by default\n"
       "the least), and counts with 0. All nan are one (with equal_nan=False each its own).\n\n"
       ">>> mx.unique(mx.array([3, 1, 3]), return_counts=True)\n"
       "(array([1, 3], dtype=int32), array([1, 2], dtype=int32))\n"
       ">>> mx.unique(mx.array([3, 1, 3]), size=3, fill_value=0)\n"
       "array([1, 3, 0], dtype=int32)")
      .cases({"x(7), 5", "x(4, 5), 20, True, True, True", "x(3, 4), 6, return_inverse=True",
              "x(9), 12, fill_value=0"},
             "distinct")
      .large({"x(3, grain + 1), size=500, return_index=True, return_inverse=True, "
              "return_counts=True"});
}

}  // namespace lazulite::functions
