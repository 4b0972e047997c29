// Shape functions.
#include <algorithm>

#include "bind/def.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/index.h"
#include "ops/create/create.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite::bind {

namespace {

using A = const array&;
using O = const Operand&;
using S = Stream;
using OptionalAxes = const std::optional<Axes>&;
using Arrays_ = const std::vector<array>&;

// *shape of a method: numbers, or one sequence.
Shape from_variadic(PyObject* tuple, const Argument& op) {
  return From<Shape>::of(PyTuple_GET_SIZE(tuple) == 1 ? PyTuple_GET_ITEM(tuple, 0) : tuple, op);
}

const Shape& checked(const Shape& shape) {
  check_shape(shape, uint8, "broadcast_shapes");
  return shape;
}

array squeezed(A a, OptionalAxes axes, S s) { return axes ? squeeze(a, *axes, s) : squeeze(a, s); }
array transposed(A a, OptionalAxes axes, S s) { return axes ? transpose(a, *axes, s) : transpose(a, s); }

array moved(A a, const Axes& from, const Axes& to, S s) {
  if (from.size() != to.size()) fail(Kind::value, "moveaxis", "numbers of axes differ: got ", from, " and ", to);
  if (from.size() == 1) return moveaxis(a, from[0], to[0], s);
  normal_axes(from, a.ndim(), "moveaxis");
  normal_axes(to, a.ndim(), "moveaxis");
  Axes order, source;
  order.resize(size_t(a.ndim()), -1);
  for (size_t i = 0; i < from.size(); ++i) {
    source.push_back(normal_axis(from[i], a.ndim(), "moveaxis"));
    order[normal_axis(to[i], a.ndim(), "moveaxis")] = source.back();
  }
  int next = 0;
  for (int& o : order)
    if (o < 0) {
      while (std::find(source.begin(), source.end(), next) != source.end()) ++next;
      o = next++;
    }
  return transpose(a, order, s);
}

std::vector<array> split_any(A a, PyObject* how, int axis, S s) {
  const Argument at{"split", "indices_or_sections"};
  if (is_whole(how)) return split(a, From<int64_t>::of(how, at), axis, s);
  return split(a, From<Shape>::of(how, at), axis, s);
}

array joined(Arrays_ arrays, const std::optional<int>& axis, S s) {
  if (axis) return concatenate(arrays, *axis, s);
  std::vector<array> flat;
  for (A a : arrays) flat.push_back(reshape(a, {a.size()}, s));
  return concatenate(flat, 0, s);
}

array repeated(A a, int64_t n, const std::optional<int>& axis, S s) {
  return axis ? repeat(a, n, *axis, s) : repeat(reshape(a, {a.size()}, s), n, 0, s);
}

array rolled(A a, const Shape& shift, OptionalAxes axes, S s) {
  if (axes) return roll(a, shift, *axes, s);
  int64_t by = 0;  // modulo the size: sums of anything fit
  for (int64_t v : shift) by = a.size() ? (by + v % a.size()) % a.size() : 0;
  return reshape(roll(reshape(a, {a.size()}, s), {by}, {0}, s), a.shape(), s);
}

ArrayTuple unstacked(A a, int axis, S s) {
  axis = normal_axis(axis, a.ndim(), "unstack");
  if (a.shape()[axis] > most_parts) fail(Kind::memory, "unstack", "too many arrays: got ", a.shape()[axis], ", expected at most ", most_parts);
  std::vector<array> out;
  for (int64_t i = 0; i < a.shape()[axis]; ++i) out.push_back(squeeze(slice_axis(a, axis, i, i + 1, s), {axis}, s));
  return out;
}

// 4, (1, 2), [(1, 2), (0, 3)] to widths of every axis
void read_widths(PyObject* o, int ndim, Shape& low, Shape& high) {
  auto pair = [](PyObject* p) -> std::pair<int64_t, int64_t> {
    const Shape v = From<Shape>::of(p, {"pad", "pad_width"});
    if (v.size() == 1) return {v[0], v[0]};
    if (v.size() != 2) fail(Kind::value, "pad", "widths come in pairs: got ", v);
    return {v[0], v[1]};
  };
  std::vector<std::pair<int64_t, int64_t>> widths;
  if (is_whole(o)) {
    widths.assign(size_t(ndim), pair(o));
  } else {
    const Items items(o, {"pad", "pad_width"}, "an int, a pair, or a list of pairs");
    bool nested = false;
    for (Py_ssize_t i = 0; i < items.size(); ++i) nested |= !is_whole(items[i]);
    if (nested && items.size() <= max_axes)
      for (Py_ssize_t i = 0; i < items.size(); ++i) widths.push_back(pair(items[i]));
    else widths.assign(size_t(ndim), pair(items.tuple));
    if (widths.size() == 1) widths.assign(size_t(ndim), widths[0]);
  }
  if (int(widths.size()) != ndim) fail(Kind::value, "pad", "widths for ", widths.size(), " axes: expected ", ndim);
  for (auto& [l, h] : widths) {
    if (l < 0 || h < 0) fail(Kind::value, "pad", "negative width: got ", l < 0 ? l : h);
    low.push_back(l);
    high.push_back(h);
  }
}

array padded(A a, PyObject* widths, const std::string& mode, O value, S s) {
  Shape low, high;
  read_widths(widths, a.ndim(), low, high);
  if (mode == "constant") return pad(a, low, high, value, s);
  if (mode != "edge" && mode != "reflect" && mode != "symmetric" && mode != "wrap")
    fail(Kind::value, "pad", "unknown mode: got '", mode, "', expected constant, edge, reflect, symmetric or wrap");
  array out = a;
  for (int axis = 0; axis < a.ndim(); ++axis) {
    const int64_t n = a.shape()[axis];
    if (low[axis] == 0 && high[axis] == 0) continue;
    if (n == 0) fail(Kind::value, "pad", "nothing to repeat along axis ", axis, ": got shape ", a.shape());
    sum_of_sizes(sum_of_sizes(n, low[axis], "pad"), high[axis], "pad");
    array at = arange(-low[axis], n + high[axis], 1, int64, s);
    if (mode == "edge") {
      at = clip(at, 0, n - 1, s);
    } else if (mode == "wrap") {
      at = remainder(at, n, s);
    } else {  // back and forth: with period 2 n, or 2 n - 2 where the ends are not repeated
      const bool reflect = mode == "reflect";
      const int64_t period = reflect ? std::max<int64_t>(product_of_sizes(2, n, "pad") - 2, 1) : product_of_sizes(2, n, "pad");
      at = remainder(at, period, s);
      at = where(greater_equal(at, n, s), subtract(reflect ? period : period - 1, at, s), at, s);
    }
    out = take(out, at, axis, s);
  }
  return out;
}

array strided(A a, const std::optional<Shape>& shape, const std::optional<Shape>& strides, int64_t offset, S s) {
  const Shape to = shape.value_or(a.shape());
  Shape steps;
  if (strides) {
    steps = *strides;
  } else {
    for (int64_t v : dense_strides(to)) steps.push_back(v);
  }
  if (steps.size() != to.size()) fail(Kind::value, "as_strided", "shape and strides differ in length: got ", to, " and ", steps);
  // The first and the last place that is looked at.
  int64_t low = offset, high = offset;
  bool fits = true;
  for (size_t i = 0; i < to.size(); ++i) {
    int64_t reach = 0;
    fits &= !__builtin_mul_overflow(std::max<int64_t>(to[i], 1) - 1, steps[i], &reach);
    fits &= !__builtin_add_overflow(reach < 0 ? low : high, reach, reach < 0 ? &low : &high);
  }
  if (size_of(to) && (!fits || low < 0 || high >= a.size()))
    fail(Kind::index, "as_strided", "index out of range: got shape ", to, ", strides ", steps, " and offset ", offset, ", expected places from 0 to ", a.size() - 1);
  array at = constant(offset, {}, int64, s);
  for (size_t i = 0; i < to.size(); ++i) {
    Shape one;
    one.resize(to.size(), 1);
    one[i] = to[i];
    at = add(at, reshape(multiply(arange(0, to[i], 1, int64, s), steps[i], s), one, s), s);
  }
  return reshape(take(reshape(a, {a.size()}, s), broadcast_to(at, to, s), 0, s), to, s);
}

array difference(array a, int n, int axis, S s) {
  if (n < 0) fail(Kind::value, "diff", "negative order: got ", n);
  axis = normal_axis(axis, a.ndim(), "diff");
  const int64_t most = a.shape()[axis] + 1;  // nothing is left then
  for (int64_t i = 0; i < std::min<int64_t>(n, most); ++i) {
    const int64_t size = a.shape()[axis];
    const array high = slice_axis(a, axis, std::min<int64_t>(1, size), size, s), low = slice_axis(a, axis, 0, std::max<int64_t>(size - 1, 0), s);
    a = is_bool(a.dtype()) ? not_equal(high, low, s) : subtract(high, low, s);
  }
  return a;
}

array at_least(A a, int n, S s) {
  if (a.ndim() >= n) return a;
  if (n == 1) return reshape(a, {1}, s);
  if (n == 2) return reshape(a, {1, a.size()}, s);
  if (a.ndim() == 2) return reshape(a, {a.shape()[0], a.shape()[1], 1}, s);
  return reshape(a, {1, a.size(), 1}, s);
}
PyObject* all_at_least(PyObject* tuple, int n, S s) {
  std::vector<array> out;
  for (auto& a : From<std::vector<array>>::of(tuple, {"atleast", "arys"})) out.push_back(at_least(a, n, s));
  return out.size() == 1 ? wrap(out[0]) : to_py(out);
}

array trace_of(A a, int64_t offset, int axis1, int axis2, const std::optional<Dtype>& t, S s) {
  const array d = diagonal(a, offset, axis1, axis2, s);
  const array total = sum(t ? astype(d, *t, s) : d, {-1}, false, s);
  return t ? astype(total, *t, s) : total;
}

const Register rows{"", {
    def("broadcast_to(a, /, shape, *, stream=None)", [](A a, const Shape& shape, S s) { return broadcast_view(a, shape, s); },
        "a repeated along axes of size 1 and new leading axes. ValueError when it does not fit.\n\n"
        ">>> mx.broadcast_to(mx.array([1, 2]), (2, 2))\narray([[1, 2],\n       [1, 2]], dtype=int32)").cases({"x(3), (2, 3)", "x(2, 1), (4, 2, 3)"})
        .large({"x(tile + 1, 1), (3, tile + 1, inner + 1)"}),
    def("broadcast_arrays(*arrays, stream=None)", [](Arrays_ arrays, S s) {
          Shape shape;
          for (auto& a : arrays) shape = broadcast_shapes(shape, a.shape(), "broadcast_arrays");
          std::vector<array> out;
          for (auto& a : arrays) out.push_back(broadcast_view(a, shape, s));
          return out;
        }, "All arrays in their common shape.\n\n>>> [a.shape for a in mx.broadcast_arrays(mx.ones((2, 1)), mx.ones(3))]\n[(2, 3), (2, 3)]")
        .cases({"x(2, 1), x(3)"}, "lambda *a: list(np.broadcast_arrays(*a))").large({"x(block + 1, 1), x(inner + 1)"}),
    def("broadcast_shapes(*shapes)", [](PyObject* tuple) {
          Shape shape;
          for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); ++i)
            shape = broadcast_shapes(shape, checked(From<Shape>::of(PyTuple_GET_ITEM(tuple, i), {"broadcast_shapes", "shapes"})), "broadcast_shapes");
          return to_py(shape);
        }, "The common shape of shapes.\n\n>>> mx.broadcast_shapes((2, 1), (3,))\n(2, 3)"),
    def("reshape(a, /, shape, *, stream=None)", [](A a, const Shape& shape, S s) { return reshape(a, shape, s); },
        "The same elements in row-major order in another shape; one size may be -1. ValueError when the sizes differ.\n\n"
        ">>> mx.reshape(mx.arange(4), (2, -1))\narray([[0, 1],\n       [2, 3]], dtype=int32)").cases({"x(2, 3, 4), (4, -1)", "x(6), (2, 3)", "x(0, 3), (3, 0)"})
        .large({"x(block + 1, inner + 1), (inner + 1, block + 1)"}),
    def("transpose(a, /, axes=None, *, stream=None)", transposed,
        "The axes in another order; reversed by default.\n\n>>> mx.transpose(mx.ones((2, 3))).shape\n(3, 2)")
        .cases({"x(2, 3, 4)", "x(2, 3, 4), (1, 2, 0)"})
        .large({"x(tile + 1, inner + 1)", "x(3, block + 1, 17), (2, 0, 1)"}),
    def("permute_dims(a, /, axes=None, *, stream=None)", transposed,
        "The axes in another order; reversed by default.\n\n>>> mx.permute_dims(mx.ones((2, 3)), (1, 0)).shape\n(3, 2)")
        .cases({"x(2, 3, 4), (1, 2, 0)"}, "np.transpose"),
    def("matrix_transpose(a, /, *, stream=None)", [](A a, S s) { return matrix_transpose(a, s); },
        "The last two axes exchanged.\n\n>>> mx.matrix_transpose(mx.ones((5, 2, 3))).shape\n(5, 3, 2)").cases({"x(2, 3, 4)"}, "lambda a: np.swapaxes(a, -1, -2)")
        .large({"x(3, tile + 1, inner + 1)"}),
    def("contiguous(a, /, allow_col_major=False, *, stream=None)", [](A a, bool, S s) { return contiguous(a, s); },
        "The array in row-major order without gaps.\n\n>>> mx.contiguous(mx.ones((2, 3)).T).shape\n(3, 2)").cases({"x(2, 3).T"}, "np.ascontiguousarray")
        .large({"x(tile + 1, inner + 1).T"}),
    def("view(a, dtype, stream=None)", [](A a, Dtype t, S s) { return view(a, t, s); },
        "The same bytes as another dtype; the last axis shrinks or grows and must divide (ValueError).\n\n"
        ">>> mx.view(mx.array([1.0]), mx.uint32)\narray([1065353216], dtype=uint32)").method()
        .cases({"x(4, 6), mx.uint8", "x(4, 8), mx.uint64"}, "-").large({"x(3, 2 * grain), mx.uint8"})
        .hint("dtype", "expected one dtype, use reshape for shapes"),
    def("expand_dims(a, /, axis, *, stream=None)", [](A a, const Axes& axes, S s) { return expand_dims(a, axes, s); },
        "New axes of size 1 at the given places of the result.\n\n>>> mx.expand_dims(mx.ones(3), 0).shape\n(1, 3)").cases({"x(2, 3), 1", "x(2, 3), (0, -1)"})
        .large({"x(2, chunk + 1), 1"}),
    def("squeeze(a, /, axis=None, *, stream=None)", squeezed,
        "Without axes of size 1: the given ones (ValueError if larger), or all.\n\n>>> mx.squeeze(mx.ones((1, 3, 1))).shape\n(3,)")
        .method().cases({"x(2, 1, 3, 1)", "x(2, 1, 3, 1), 1"})
        .large({"x(2, 1, chunk + 1)"}),
    def("flatten(a, /, start_axis=0, end_axis=-1, *, stream=None)", [](A a, int from, int to, S s) { return flatten(a, from, to, s); },
        "Axes start_axis to end_axis made one.\n\n>>> mx.flatten(mx.ones((2, 3, 4)), 1).shape\n(2, 12)")
        .method().cases({"x(2, 3, 4)", "x(2, 3, 4), 1"}, "lambda a, k=0: a.reshape(a.shape[:k] + (-1,))")
        .large({"x(tile + 1, inner + 1)"}),
    def("unflatten(a, /, axis, shape, *, stream=None)", [](A a, int axis, const Shape& shape, S s) { return unflatten(a, axis, shape, s); },
        "One axis made several; one size may be -1.\n\n>>> mx.unflatten(mx.ones((2, 12)), 1, (3, -1)).shape\n(2, 3, 4)")
        .cases({"x(2, 12), 1, (3, -1)"}, "lambda a, k, n: a.reshape(a.shape[:k] + np.zeros(a.shape[k]).reshape(n).shape + a.shape[k + 1 :])")
        .large({"x(2, 3 * grain), 1, (3, -1)"}),
    def("swapaxes(a, /, axis1, axis2, *, stream=None)", [](A a, int i, int j, S s) { return swapaxes(a, i, j, s); },
        "Two axes exchanged.\n\n>>> mx.swapaxes(mx.ones((2, 3, 4)), 0, 2).shape\n(4, 3, 2)").method().cases({"x(2, 3, 4), 0, -1"})
        .large({"x(3, tile + 1, inner + 1), 0, -1"}),
    def("moveaxis(a, /, source, destination, *, stream=None)", moved,
        "An axis (or several) moved to another place, the others in order.\n\n>>> mx.moveaxis(mx.ones((2, 3, 4)), 0, -1).shape\n(3, 4, 2)")
        .method().cases({"x(2, 3, 4), 0, -1", "x(2, 3, 4), (0, 1), (2, 0)"})
        .large({"x(3, tile + 1, inner + 1), 0, -1"}),
    def("stack(arrays, axis=0, *, stream=None)", [](Arrays_ arrays, int axis, S s) { return stack(arrays, axis, s); },
        "Arrays of one shape along a new axis.\n\n>>> mx.stack([mx.ones(2), mx.zeros(2)])\narray([[1, 1],\n       [0, 0]], dtype=float32)")
        .cases({"[x(2, 3), x(2, 3)]", "[x(2, 3), x(2, 3), x(2, 3)], -1"})
        .large({"[x(block + 1, inner + 1), x(block + 1, inner + 1)], -1"}).hint("axis", "arrays go in one list"),
    def("concatenate(arrays, axis=0, *, stream=None)", joined,
        "Arrays one after the other along an axis (None: each flattened first); dtypes promote.\n\n>>> mx.concatenate([mx.ones(1), mx.zeros(2)])\narray([1, 0, 0], dtype=float32)")
        .cases({"[x(2, 3), x(1, 3)]", "[x(2, 3), x(2, 0), x(2, 2)], 1"})
        .large({"[x(block + 1, inner + 1), x(block + 1, 3)], 1", "[x(chunk + 1), x(5), x(grain + 1)]"}).hint("axis", "arrays go in one list"),
    def("concat(arrays, axis=0, *, stream=None)", joined,
        "The same as concatenate.\n\n>>> mx.concat([mx.ones(1), mx.zeros(2)]).shape\n(3,)")
        .cases({"[x(2, 3), x(1, 3)]"}, "np.concatenate").hint("axis", "arrays go in one list"),
    def("split(a, /, indices_or_sections, axis=0, *, stream=None)", split_any,
        "A list of equal parts (ValueError when they do not divide), or of the parts between the given places.\n\n"
        ">>> mx.split(mx.arange(4), [1])\n[array([0], dtype=int32), array([1, 2, 3], dtype=int32)]")
        .method().cases({"x(4, 3), 2", "x(4, 3), [1, 2], 1"})
        .large({"x(2 * chunk + 2, 2), 2", "x(3, grain + 1), [1, grain], 1"}),
    def("unstack(x, /, *, axis=0, stream=None)", unstacked,
        "A tuple of the slices along an axis.\n\n>>> mx.unstack(mx.array([1, 2]))\n(array(1, dtype=int32), array(2, dtype=int32))")
        .cases({"x(2, 3)", "x(2, 3), axis=1"}, "lambda a, axis=0: list(np.moveaxis(a, axis, 0))").large({"x(3, chunk + 1)"}),
    def("repeat(array, repeats, axis=None, *, stream=None)", repeated,
        "Every element repeated along an axis; of the flattened array by default.\n\n>>> mx.repeat(mx.array([1, 2]), 2)\narray([1, 1, 2, 2], dtype=int32)")
        .cases({"x(2, 3), 2", "x(2, 3), 3, 1"})
        .large({"x(2, grain + 1), 2", "x(block + 1, inner + 1), 3, 1"}),
    def("tile(a, reps, /, *, stream=None)", [](A a, const Shape& reps, S s) { return tile(a, reps, s); },
        "The array repeated as a whole along each axis.\n\n>>> mx.tile(mx.array([1, 2]), 2)\narray([1, 2, 1, 2], dtype=int32)").cases({"x(2, 3), 2", "x(2, 3), (2, 1, 2)"})
        .large({"x(block + 1, 33), (2, 1, 3)"}),
    def("flip(a, /, axis=None, *, stream=None)", [](A a, OptionalAxes axes, S s) { return flip(a, axes ? *axes : all_axes(a.ndim()), s); },
        "Reversed along axes (all by default).\n\n>>> mx.flip(mx.array([1, 2, 3]))\narray([3, 2, 1], dtype=int32)").cases({"x(2, 3)", "x(2, 3), 1"})
        .large({"x(block + 1, inner + 1)", "x(2, chunk + 1), 1"}),
    def("roll(a, /, shift, axis=None, *, stream=None)", rolled,
        "Elements moved along axes, around the end; of the flattened array by default.\n\n>>> mx.roll(mx.array([1, 2, 3]), 1)\narray([3, 1, 2], dtype=int32)")
        .cases({"x(2, 3), 2", "x(2, 3), -1, 1", "x(2, 3), (1, 2), (0, 1)"})
        .large({"x(chunk + 1), 2", "x(block + 1, inner + 1), (1, 2), (0, 1)"}),
    def("diagonal(a, offset=0, axis1=0, axis2=1, stream=None)", [](A a, int64_t offset, int i, int j, S s) { return diagonal(a, offset, i, j, s); },
        "A diagonal of the two axes, as a last axis.\n\n>>> mx.diagonal(mx.eye(2))\narray([1, 1], dtype=float32)")
        .method().cases({"x(3, 4)", "x(3, 4), 1", "x(3, 4), -1", "x(2, 3, 3), 0, 2, 1"})
        .large({"x(tile + 1, inner + 1), -1", "x(3, block + 1, block + 1), 1, 2, 1"}),
    def("trace(a, /, offset=0, axis1=0, axis2=1, dtype=None, *, stream=None)", trace_of,
        "The sum of a diagonal.\n\n>>> mx.trace(mx.eye(3))\narray(3, dtype=float32)").cases({"x(3, 3)", "x(2, 3, 4), 1, 1, 2"})
        .large({"x(tile + 1, tile + 1)"}),
    def("pad(a, pad_width, mode='constant', constant_values=0, *, stream=None)", padded,
        "More elements around: pad_width is a number, (before, after), or such a pair for each axis. Modes: constant, edge,\n"
        "reflect, symmetric, wrap.\n\n>>> mx.pad(mx.array([1, 2]), 1)\narray([0, 1, 2, 0], dtype=int32)")
        .cases({"x(2, 3), 1", "x(2, 3), ((1, 0), (2, 2)), 'edge'", "x(3, 4), 2, 'reflect'", "x(3, 4), 5, 'symmetric'", "x(3, 4), 5, 'wrap'"})
        .large({"x(block + 1, inner + 1), 1", "x(block + 1, inner + 1), 2, 'reflect'", "x(chunk + 1), 5, 'wrap'"}),
    def("as_strided(a, /, shape=None, strides=None, offset=0, *, stream=None)", strided,
        "Elements of the flattened array at offset + sum of index * stride (strides in elements); out of range: IndexError.\n\n"
        ">>> mx.as_strided(mx.arange(4), (3, 2), (1, 1))\narray([[0, 1],\n       [1, 2],\n       [2, 3]], dtype=int32)")
        .cases({"x(6), (3, 2), (1, 2)"}, "lambda a, n, s: np.lib.stride_tricks.as_strided(a, n, [k * a.itemsize for k in s])")
        .large({"x(chunk + 1), (grain, 2), (2, 1)"}),
    def("diff(a, /, n=1, axis=-1, *, stream=None)", [](A a, int n, int axis, S s) { return difference(a, n, axis, s); },
        "Differences of neighbours, n times.\n\n>>> mx.diff(mx.array([1, 4, 9]))\narray([3, 5], dtype=int32)").cases({"x(2, 5)", "x(5, 2), 2, 0"})
        .large({"x(2, chunk + 1)"}),
    def("atleast_1d(*arys, stream=None)", [](PyObject* t, S s) { return all_at_least(t, 1, s); },
        "Arrays with one axis or more.\n\n>>> mx.atleast_1d(mx.array(1)).shape\n(1,)").cases({"x()", "x(2)"}),
    def("atleast_2d(*arys, stream=None)", [](PyObject* t, S s) { return all_at_least(t, 2, s); },
        "Arrays with two axes or more.\n\n>>> mx.atleast_2d(mx.ones(3)).shape\n(1, 3)").cases({"x()", "x(2)"}),
    def("atleast_3d(*arys, stream=None)", [](PyObject* t, S s) { return all_at_least(t, 3, s); },
        "Arrays with three axes or more.\n\n>>> mx.atleast_3d(mx.ones(3)).shape\n(1, 3, 1)").cases({"x()", "x(2)", "x(2, 3)"}),
    def("_depends(inputs, dependencies)", [](Arrays_ in, Arrays_ on) { return depends(in, on); }, "The inputs, evaluated after the dependencies."),
}};

const Register methods{"array", {
    def("reshape(a, *shape, stream=None)", [](A a, PyObject* shape, S s) { return reshape(a, from_variadic(shape, {"reshape", "shape"}), s); },
        "The same elements in another shape: a.reshape(2, 3), a.reshape((2, -1)); see mx.reshape."),
    def("transpose(a, *axes, stream=None)", [](A a, PyObject* axes, S s) {
          if (PyTuple_GET_SIZE(axes) == 0 || (PyTuple_GET_SIZE(axes) == 1 && PyTuple_GET_ITEM(axes, 0) == Py_None)) return transpose(a, s);
          return transpose(a, From<Axes>::of(PyTuple_GET_SIZE(axes) == 1 ? PyTuple_GET_ITEM(axes, 0) : axes, {"transpose", "axes"}), s);
        }, "The axes in another order: a.transpose(1, 0); see mx.transpose."),
}};

}  // namespace
}  // namespace lazulite::bind
