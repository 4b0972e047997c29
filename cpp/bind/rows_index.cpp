// Functions that read and write by index.
#include "bind/def.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/index.h"
#include "ops/shape/shape.h"

namespace lazulite::bind {

namespace {

using A = const array&;
using O = const Operand&;
using S = Stream;

array taken(A a, PyObject* indices, const std::optional<int>& axis, S s) {
  if (!is_array(indices) && is_whole(indices)) {  // a Python int drops the axis, checked at once
    const int64_t at = From<int64_t>::of(indices, {"take", "indices"});
    const array x = axis ? a : reshape(a, {a.size()}, s);
    const int along = axis ? normal_axis(*axis, a.ndim(), "take") : 0;
    const int64_t n = x.shape()[along], from = at < 0 ? at + n : at;
    if (from < 0 || from >= n) fail(Kind::index, "take", "index out of range: got ", at, " for axis ", along, " with size ", n);
    return squeeze(slice_axis(x, along, from, from + 1, s), {along}, s);
  }
  array at = PyList_Check(indices) || PyTuple_Check(indices) ? make_array(indices, std::nullopt) : to_array(indices, {"take", "indices"});
  if (at.size() == 0 && is_floating(at.dtype())) at = astype(at, int64, s);
  return axis ? take(a, at, *axis, s) : take(a, at, s);
}

// Of no elements: the values of indices play no part, nor does their dtype.
array whole_indices(A a, A indices, S s) {
  return a.size() == 0 && indices.size() == 0 && !is_integer(indices.dtype()) ? astype(indices, int64, s) : indices;
}

array along(A a, A given, const std::optional<int>& axis, S s) {
  const array indices = whole_indices(a, given, s);
  if (axis) return take_along_axis(a, indices, *axis, s);
  return take_along_axis(reshape(a, {a.size()}, s), reshape(indices, {indices.size()}, s), 0, s);
}

array put(A a, A given, O values, const std::optional<int>& axis, S s) {
  const array indices = whole_indices(a, given, s);
  if (axis) return put_along_axis(a, indices, values, *axis, s);
  const Operand flat = values.is_array() && values.get().ndim() > 1 ? Operand(reshape(values.get(), {values.get().size()}, s)) : values;
  return reshape(put_along_axis(reshape(a, {a.size()}, s), reshape(indices, {indices.size()}, s), flat, 0, s), a.shape(), s);
}

const Register rows{"", {
    def("take(a, /, indices, axis=None, *, stream=None)", taken,
        "Elements (of the flattened array) or slices along an axis at integer indices; negative ones count from the end.\n"
        "Out of range: IndexError, at once for a Python int, at evaluation for arrays.\n\n"
        ">>> mx.take(mx.array([10, 20, 30]), mx.array([2, 0]))\narray([30, 10], dtype=int32)")
        .cases({"x(2, 3), i(6, 4)", "x(2, 3), i(3, 2, 2), 1", "x(4, 3), i(4, 5), 0", "x(2, 3), 1, 0"})
        .large({"x(block + 1), i(block, grain + 1)", "x(3, block + 1), i(block, inner + 1), 1", "x(block + 1, inner + 1), i(block, tile + 1), 0"}),
    def("take_along_axis(a, /, indices, axis=-1, *, stream=None)", along,
        "a at indices along an axis; both have the same number of axes and broadcast on the others. axis=None: both flattened.\n\n"
        ">>> mx.take_along_axis(mx.array([[1, 2], [3, 4]]), mx.array([[1], [0]]), 1)\narray([[2],\n       [3]], dtype=int32)")
        .cases({"x(2, 3), i(3, 2, 5), 1", "x(4, 3), i(4, 2, 3), 0", "x(2, 3), i(3, 2, 2)"})
        .large({"x(3, block + 1), i(block, 3, grain + 1), 1", "x(block + 1, inner + 1), i(block, tile + 1, inner + 1), 0"}),
    def("put_along_axis(a, /, indices, values, axis=None, *, stream=None)", put,
        "a with values written at indices along an axis; the last of repeated indices wins. axis=None: of the flattened array.\n\n"
        ">>> mx.put_along_axis(mx.array([1, 2, 3]), mx.array([0, 2]), mx.array(9), 0)\narray([9, 2, 9], dtype=int32)")
        .cases({"x(2, 3), i(3, 2, 1), x(2, 1), 1", "x(4, 3), i(4, 2, 3), x(2, 3), 0"}, "put_along_axis")
        .large({"x(3, block + 1), i(block, 3, grain + 1), x(3, grain + 1), 1", "x(block + 1, inner + 1), i(block, tile + 1, inner + 1), x(tile + 1, 1), 0"}),
    def("slice(a, start_indices, axes, slice_size, *, stream=None)",
        [](A a, A start, const Axes& axes, const Shape& size, S s) { return slice(a, start, axes, size, s); },
        "A part of the given size that starts at start_indices on the given axes, and at 0 on the others. Out of range:\n"
        "IndexError at evaluation.\n\n>>> mx.slice(mx.arange(5), mx.array([2]), (0,), (2,))\narray([2, 3], dtype=int32)")
        .cases({"x(4, 5), mx.array([1, 2]), (0, 1), (2, 3)", "x(4, 5), mx.array([1]), (1,), (4, 2)"}, "dynamic_slice")
        .large({"x(block + 2, inner + 2), mx.array([1, 1]), (0, 1), (block + 1, inner + 1)"}),
    def("slice_update(a, update, start_indices, axes, *, stream=None)",
        [](A a, A update, A start, const Axes& axes, S s) { return slice_update(a, update, start, axes, s); },
        "a with a part replaced that starts at start_indices on the given axes, and at 0 on the others.\n\n"
        ">>> mx.slice_update(mx.arange(4), mx.array([8, 9]), mx.array([1]), (0,))\narray([0, 8, 9, 3], dtype=int32)")
        .cases({"x(4, 5), x(2, 3), mx.array([1, 2]), (0, 1)"}, "dynamic_slice_update")
        .large({"x(block + 2, inner + 2), x(block + 1, inner + 1), mx.array([1, 1]), (0, 1)"}),
}};

}  // namespace
}  // namespace lazulite::bind
