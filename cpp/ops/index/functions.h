// Python's functions that read and write by index.
#pragma once
#include "ops/elementwise/elementwise.h"
#include "ops/functions.h"
#include "ops/index/index.h"
#include "ops/shape/shape.h"

namespace lazulite::functions {

// Of no elements: the values of indices play no part, nor does their dtype.
inline array whole_indices(A a, A indices, S s) {
  const bool any = a.size() == 0 && indices.size() == 0 && !is_integer(indices.dtype());
  return any ? astype(indices, int64, s) : indices;
}

template <class M>
void add_index(M& m) {
  m.def(
       "take(a, /, indices, axis=None, *, stream=None)",
       [](A a, const IntOr<Indices>& indices, OptionalInt axis, S s) {
         if (auto* at = std::get_if<int64_t>(&indices))
           return axis ? take(a, *at, *axis, s) : take(a, *at, s);
         const array& at = std::get<Indices>(indices).value;
         return axis ? take(a, at, *axis, s) : take(a, at, s);
       },
       "Elements (of the flattened array) or slices along an axis at integer indices; "
       "negative ones count from the end.\n"
       "Out of range: IndexError, at once for a Python int, at evaluation for arrays.\n\n"
       ">>> mx.take(mx.array([10, 20, 30]), mx.array([2, 0]))\n"
       "array([30, 10], dtype=int32)")
      .cases({"x(2, 3), i(6, 4)", "x(2, 3), i(3, 2, 2), 1", "x(4, 3), i(4, 5), 0", "x(2, 3), 1, 0"})
      .large({"x(block + 1), i(block, grain + 1)", "x(3, block + 1), i(block, inner + 1), 1",
              "x(block + 1, inner + 1), i(block, tile + 1), 0",
              "x(37, inner + 1), i(inner, tile + 1), 1"});
  m.def(
       "take_along_axis(a, /, indices, axis=-1, *, stream=None)",
       [](A a, A given, OptionalInt axis, S s) {
         const array at = whole_indices(a, given, s);
         return axis ? take_along_axis(a, at, *axis, s) : take_along_axis(a, at, s);
       },
       "a at indices along an axis; both have the same number of axes and broadcast on the "
       "others. axis=None: both flattened.\n\n"
       ">>> mx.take_along_axis(mx.array([[1, 2], [3, 4]]), mx.array([[1], [0]]), 1)\n"
       "array([[2],\n"
       "       [3]], dtype=int32)")
      .cases({"x(2, 3), i(3, 2, 5), 1", "x(4, 3), i(4, 2, 3), 0", "x(2, 3), i(3, 2, 2)"})
      .large({"x(3, block + 1), i(block, 3, grain + 1), 1",
              "x(block + 1, inner + 1), i(block, tile + 1, inner + 1), 0"});
  m.def(
       "put_along_axis(a, /, indices, values, axis=None, *, stream=None)",
       [](A a, A given, O values, OptionalInt axis, S s) {
         const array at = whole_indices(a, given, s);
         return axis ? put_along_axis(a, at, values, *axis, s) : put_along_axis(a, at, values, s);
       },
       "a with values written at indices along an axis; the last of repeated indices wins. "
       "axis=None: of the flattened array.\n\n"
       ">>> mx.put_along_axis(mx.array([1, 2, 3]), mx.array([0, 2]), mx.array(9), 0)\n"
       "array([9, 2, 9], dtype=int32)")
      .cases({"x(2, 3), i(3, 2, 1), x(2, 1), 1", "x(4, 3), i(4, 2, 3), x(2, 3), 0"},
             "put_along_axis")
      .large({"x(3, block + 1), i(block, 3, grain + 1), x(3, grain + 1), 1",
              "x(block + 1, inner + 1), i(block, tile + 1, inner + 1), x(tile + 1, 1), 0"});
  m.def(
       "slice(a, start_indices, axes, slice_size, *, stream=None)",
       [](A a, A start, const Axes& axes, const Shape& size, S s) {
         return slice(a, start, axes, size, s);
       },
       "A part of the given size that starts at start_indices on the given axes, and at 0 "
       "on the others. Out of range:\n"
       "IndexError at evaluation.\n\n"
       ">>> mx.slice(mx.arange(5), mx.array([2]), (0,), (2,))\n"
       "array([2, 3], dtype=int32)")
      .cases({"x(4, 5), mx.array([1, 2]), (0, 1), (2, 3)", "x(4, 5), mx.array([1]), (1,), (4, 2)"},
             "dynamic_slice")
      .large({"x(block + 2, inner + 2), mx.array([1, 1]), (0, 1), (block + 1, inner + 1)"});
  m.def(
       "slice_update(a, update, start_indices, axes, *, stream=None)",
       [](A a, A update, A start, const Axes& axes, S s) {
         return slice_update(a, update, start, axes, s);
       },
       "a with a part replaced that starts at start_indices on the given axes, and at 0 on "
       "the others.\n\n"
       ">>> mx.slice_update(mx.arange(4), mx.array([8, 9]), mx.array([1]), (0,))\n"
       "array([0, 8, 9, 3], dtype=int32)")
      .cases({"x(4, 5), x(2, 3), mx.array([1, 2]), (0, 1)"}, "dynamic_slice_update")
      .large({"x(block + 2, inner + 2), x(block + 1, inner + 1), mx.array([1, 1]), (0, 1)"});
  m.def(
       "nonzero(a, /, *, size=None, fill_value=0, stream=None)",
       [](A a, const std::optional<int64_t>& size, int64_t fill, S s) -> ArrayTuple {
         return nonzero(a, size, fill, s);
       },
       "Where elements are not zero, in row-major order: an int64 array for each axis. Without a "
       "size there are as many as are\n"
       "found, which computes a; inside compile and vmap a size is needed. What it leaves over is "
       "filled with fill_value.\n\n"
       ">>> mx.nonzero(mx.array([0, 5, 0, 7]))\n"
       "(array([1, 3], dtype=int64),)\n"
       ">>> mx.nonzero(mx.array([0, 5, 0, 7]), size=3, fill_value=-1)\n"
       "(array([1, 3, -1], dtype=int64),)")
      .cases({"b(7), size=5", "b(4, 5), size=25, fill_value=-1", "x(2, 3, 4), size=24"},
             "nonzero_of_size")
      .large({"b(3, grain + 1), size=2 * grain", "b(2 * grain + 1), size=100"});
  m.def(
       "argwhere(a, /, *, size=None, fill_value=0, stream=None)",
       [](A a, const std::optional<int64_t>& size, int64_t fill, S s) {
         return argwhere(a, size, fill, s);
       },
       "Where elements are not zero, in row-major order: a row of int64 for each, a column for "
       "each axis. size and fill_value\n"
       "are those of nonzero.\n\n"
       ">>> mx.argwhere(mx.array([[0, 5], [7, 0]]))\n"
       "array([[0, 1],\n"
       "       [1, 0]], dtype=int64)")
      .cases({"b(7), size=5", "b(4, 5), size=25, fill_value=-1"},
             "argwhere_of_size");
  m.def(
       "flatnonzero(a, /, *, size=None, fill_value=0, stream=None)",
       [](A a, const std::optional<int64_t>& size, int64_t fill, S s) {
         return nonzero(reshape(a, {a.size()}, s), size, fill, s)[0];
       },
       "Where elements of the flattened array are not zero; int64. size and fill_value are those "
       "of nonzero.\n\n"
       ">>> mx.flatnonzero(mx.array([[0, 5], [7, 0]]))\n"
       "array([1, 2], dtype=int64)")
      .cases({"b(4, 5), size=25, fill_value=-1"},
             "flatnonzero_of_size");
}

}  // namespace lazulite::functions
