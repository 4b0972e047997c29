// Python's functions that are made of others.
#pragma once
#include "ops/compose/array.h"
#include "ops/compose/einsum.h"
#include "ops/compose/pad.h"
#include "ops/compose/shape.h"
#include "ops/compose/statistics.h"
#include "ops/compose/window.h"
#include "ops/functions.h"
#include "ops/shape/shape.h"

namespace lazulite::functions {

using OptionalSize = const std::optional<int64_t>&;

inline array repeated(A a, const IntOr<Indices>& repeats, OptionalInt axis, OptionalSize size,
                      S s) {
  auto* n = std::get_if<int64_t>(&repeats);
  if (n && !size) return axis ? repeat(a, *n, *axis, s) : repeat(a, *n, s);
  const array counts = n ? array(Scalar(*n), int64) : std::get<Indices>(repeats).value;
  return repeat(axis ? a : flatten(a, 0, -1, s), counts, axis.value_or(0), size, s);
}
template <class F>
OneOrMore each(Arrays_ arrays, F&& f) {
  OneOrMore out;
  for (A a : arrays) out.push_back(f(a));
  return out;
}
inline bool matrix_order(const std::string& indexing) {
  if (indexing != "xy" && indexing != "ij")
    fail(Kind::value, "meshgrid", "unknown indexing: got '", indexing, "', expected 'xy' or 'ij'");
  return indexing == "ij";
}
inline Shape dense_steps(const Shape& shape) {
  const Strides strides = dense_strides(shape);
  return Shape(strides.begin(), strides.end());
}

// ---- axes
template <class M>
void add_axes(M& m) {
  m.def(
       "matrix_transpose(a, /, *, stream=None)", [](A a, S s) { return matrix_transpose(a, s); },
       "The last two axes exchanged.\n\n"
       ">>> mx.matrix_transpose(mx.ones((5, 2, 3))).shape\n"
       "(5, 3, 2)")
      .cases({"x(2, 3, 4)"}, "lambda a: np.swapaxes(a, -1, -2)")
      .large({"x(3, tile + 1, inner + 1)"});
  m.def(
       "expand_dims(a, /, axis, *, stream=None)",
       [](A a, const Axes& axes, S s) { return expand_dims(a, axes, s); },
       "New axes of size 1 at the given places of the result.\n\n"
       ">>> mx.expand_dims(mx.ones(3), 0).shape\n"
       "(1, 3)")
      .cases({"x(2, 3), 1", "x(2, 3), (0, -1)"})
      .large({"x(2, chunk + 1), 1"});
  m.def(
       "squeeze(a, /, axis=None, *, stream=None)",
       [](A a, OptionalAxes axes, S s) { return axes ? squeeze(a, *axes, s) : squeeze(a, s); },
       "Without axes of size 1: the given ones (ValueError if larger), or all.\n\n"
       ">>> mx.squeeze(mx.ones((1, 3, 1))).shape\n"
       "(3,)")
      .method()
      .cases({"x(2, 1, 3, 1)", "x(2, 1, 3, 1), 1"})
      .large({"x(2, 1, chunk + 1)"});
  m.def(
       "flatten(a, /, start_axis=0, end_axis=-1, *, stream=None)",
       [](A a, int from, int to, S s) { return flatten(a, from, to, s); },
       "Axes start_axis to end_axis made one.\n\n"
       ">>> mx.flatten(mx.ones((2, 3, 4)), 1).shape\n"
       "(2, 12)")
      .method()
      .cases({"x(2, 3, 4)", "x(2, 3, 4), 1"}, "lambda a, k=0: a.reshape(a.shape[:k] + (-1,))")
      .large({"x(tile + 1, inner + 1)"});
  m.def(
       "unflatten(a, /, axis, shape, *, stream=None)",
       [](A a, int axis, const Shape& shape, S s) { return unflatten(a, axis, shape, s); },
       "One axis made several; one size may be -1.\n\n"
       ">>> mx.unflatten(mx.ones((2, 12)), 1, (3, -1)).shape\n"
       "(2, 3, 4)")
      .cases({"x(2, 12), 1, (3, -1)"},
             "lambda a, k, n: a.reshape(a.shape[:k] + np.zeros(a.shape[k]).reshape(n).shape + "
             "a.shape[k + 1 :])")
      .large({"x(2, 3 * grain), 1, (3, -1)"});
  m.def(
       "swapaxes(a, /, axis1, axis2, *, stream=None)",
       [](A a, int i, int j, S s) { return swapaxes(a, i, j, s); },
       "Two axes exchanged.\n\n"
       ">>> mx.swapaxes(mx.ones((2, 3, 4)), 0, 2).shape\n"
       "(4, 3, 2)")
      .method()
      .cases({"x(2, 3, 4), 0, -1"})
      .large({"x(3, tile + 1, inner + 1), 0, -1"});
  m.def(
       "moveaxis(a, /, source, destination, *, stream=None)",
       [](A a, const Axes& from, const Axes& to, S s) { return moveaxis(a, from, to, s); },
       "An axis (or several) moved to another place, the others in order.\n\n"
       ">>> mx.moveaxis(mx.ones((2, 3, 4)), 0, -1).shape\n"
       "(3, 4, 2)")
      .method()
      .cases({"x(2, 3, 4), 0, -1", "x(2, 3, 4), (0, 1), (2, 0)"})
      .large({"x(3, tile + 1, inner + 1), 0, -1"});
  m.def(
       "atleast_1d(*arys, stream=None)",
       [](Arrays_ all, S s) -> OneOrMore {
         return each(all, [&](A a) { return atleast_1d(a, s); });
       },
       "Arrays with one axis or more.\n\n"
       ">>> mx.atleast_1d(mx.array(1)).shape\n"
       "(1,)")
      .cases({"x()", "x(2)"});
  m.def(
       "atleast_2d(*arys, stream=None)",
       [](Arrays_ all, S s) -> OneOrMore {
         return each(all, [&](A a) { return atleast_2d(a, s); });
       },
       "Arrays with two axes or more.\n\n"
       ">>> mx.atleast_2d(mx.ones(3)).shape\n"
       "(1, 3)")
      .cases({"x()", "x(2)"});
  m.def(
       "atleast_3d(*arys, stream=None)",
       [](Arrays_ all, S s) -> OneOrMore {
         return each(all, [&](A a) { return atleast_3d(a, s); });
       },
       "Arrays with three axes or more.\n\n"
       ">>> mx.atleast_3d(mx.ones(3)).shape\n"
       "(1, 3, 1)")
      .cases({"x()", "x(2)", "x(2, 3)"});
}

// ---- several arrays
template <class M>
void add_groups(M& m) {
  m.def(
       "broadcast_arrays(*arrays, stream=None)",
       [](Arrays_ arrays, S s) { return broadcast_arrays(arrays, s); },
       "All arrays in their common shape.\n\n"
       ">>> [a.shape for a in mx.broadcast_arrays(mx.ones((2, 1)), mx.ones(3))]\n"
       "[(2, 3), (2, 3)]")
      .cases({"x(2, 1), x(3)"}, "lambda *a: list(np.broadcast_arrays(*a))")
      .large({"x(block + 1, 1), x(inner + 1)"});
  m.def(
      "broadcast_shapes(*shapes)",
      [](const std::vector<Shape>& shapes) { return broadcast_shapes(shapes); },
      "The common shape of shapes.\n\n"
      ">>> mx.broadcast_shapes((2, 1), (3,))\n"
      "(2, 3)");
  m.def(
       "stack(arrays, axis=0, *, stream=None)",
       [](Arrays_ arrays, int axis, S s) { return stack(arrays, axis, s); },
       "Arrays of one shape along a new axis.\n\n"
       ">>> mx.stack([mx.ones(2), mx.zeros(2)])\n"
       "array([[1, 1],\n"
       "       [0, 0]], dtype=float32)")
      .cases({"[x(2, 3), x(2, 3)]", "[x(2, 3), x(2, 3), x(2, 3)], -1"})
      .large({"[x(block + 1, inner + 1), x(block + 1, inner + 1)], -1"})
      .hint("axis", "arrays go in one list");
  m.def(
       "split(a, /, indices_or_sections, axis=0, *, stream=None)",
       [](A a, const IntOr<Shape>& how, int axis, S s) {
         if (auto* parts = std::get_if<int64_t>(&how)) return split(a, *parts, axis, s);
         return split(a, std::get<Shape>(how), axis, s);
       },
       "A list of equal parts (ValueError when they do not divide), or of the parts between "
       "the given places.\n\n"
       ">>> mx.split(mx.arange(4), [1])\n"
       "[array([0], dtype=int32), array([1, 2, 3], dtype=int32)]")
      .method()
      .cases({"x(4, 3), 2", "x(4, 3), [1, 2], 1"})
      .large({"x(2 * chunk + 2, 2), 2", "x(3, grain + 1), [1, grain], 1"});
  m.def(
       "unstack(x, /, *, axis=0, stream=None)",
       [](A a, int axis, S s) -> ArrayTuple { return unstack(a, axis, s); },
       "A tuple of the slices along an axis.\n\n"
       ">>> mx.unstack(mx.array([1, 2]))\n"
       "(array(1, dtype=int32), array(2, dtype=int32))")
      .cases({"x(2, 3)", "x(2, 3), axis=1"}, "lambda a, axis=0: list(np.moveaxis(a, axis, 0))")
      .large({"x(3, chunk + 1)"});
  m.def(
       "meshgrid(*arrays, sparse=False, indexing='xy', stream=None)",
       [](Arrays_ arrays, bool sparse, const std::string& indexing, S s) -> ArrayTuple {
         return meshgrid(arrays, sparse, matrix_order(indexing), s);
       },
       "A tuple of coordinate arrays from vectors (other arrays are flattened); indexing "
       "'xy' exchanges the first two axes, 'ij' keeps them.\n\n"
       ">>> [g.shape for g in mx.meshgrid(mx.arange(2), mx.arange(3))]\n"
       "[(3, 2), (3, 2)]")
      .cases({"x(2), x(3)", "x(2), x(3), x(4), indexing='ij'", "x(2), x(3), sparse=True",
              "x(2, 2), x(), x(3)"})
      .large({"x(tile + 1), x(inner + 1)"});
}

// ---- elements at other places
template <class M>
void add_places(M& m) {
  m.def(
       "repeat(array, repeats, axis=None, *, size=None, stream=None)",
       [](A a, const IntOr<Indices>& repeats, OptionalInt axis, OptionalSize size, S s) {
         return repeated(a, repeats, axis, size, s);
       },
       "Every element repeated along an axis; of the flattened array by default. repeats may be an "
       "array with a count for each slice, whose\n"
       "sum is looked at; inside compile and vmap a size is needed, of which what is left over is "
       "filled with the last slice.\n\n"
       ">>> mx.repeat(mx.array([1, 2]), 2)\n"
       "array([1, 1, 2, 2], dtype=int32)")
      .cases({"x(2, 3), 2", "x(2, 3), 3, 1"})
      .large({"x(2, grain + 1), 2", "x(block + 1, inner + 1), 3, 1"});
  m.def(
       "tile(a, reps, /, *, stream=None)",
       [](A a, const Shape& reps, S s) { return tile(a, reps, s); },
       "The array repeated as a whole along each axis.\n\n"
       ">>> mx.tile(mx.array([1, 2]), 2)\n"
       "array([1, 2, 1, 2], dtype=int32)")
      .cases({"x(2, 3), 2", "x(2, 3), (2, 1, 2)"})
      .large({"x(block + 1, 33), (2, 1, 3)"});
  m.def(
       "flip(a, /, axis=None, *, stream=None)",
       [](A a, OptionalAxes axes, S s) { return flip(a, axes ? *axes : all_axes(a.ndim()), s); },
       "Reversed along axes (all by default).\n\n"
       ">>> mx.flip(mx.array([1, 2, 3]))\n"
       "array([3, 2, 1], dtype=int32)")
      .cases({"x(2, 3)", "x(2, 3), 1"})
      .large({"x(block + 1, inner + 1)", "x(2, chunk + 1), 1"});
  m.def(
       "roll(a, /, shift, axis=None, *, stream=None)",
       [](A a, const Shape& shift, OptionalAxes axes, S s) {
         return axes ? roll(a, shift, *axes, s) : roll(a, shift, s);
       },
       "Elements moved along axes, around the end; of the flattened array by default.\n\n"
       ">>> mx.roll(mx.array([1, 2, 3]), 1)\n"
       "array([3, 1, 2], dtype=int32)")
      .cases({"x(2, 3), 2", "x(2, 3), -1, 1", "x(2, 3), (1, 2), (0, 1)"})
      .large({"x(chunk + 1), 2", "x(block + 1, inner + 1), (1, 2), (0, 1)"});
  m.def(
       "diagonal(a, offset=0, axis1=0, axis2=1, stream=None)",
       [](A a, Diagonal offset, int i, int j, S s) { return diagonal(a, offset.k, i, j, s); },
       "A diagonal of the two axes, as a last axis.\n\n"
       ">>> mx.diagonal(mx.eye(2))\n"
       "array([1, 1], dtype=float32)")
      .method()
      .cases({"x(3, 4)", "x(3, 4), 1", "x(3, 4), -1", "x(2, 3, 3), 0, 2, 1"})
      .large({"x(tile + 1, inner + 1), -1", "x(3, block + 1, block + 1), 1, 2, 1"});
  m.def(
       "trace(a, /, offset=0, axis1=0, axis2=1, dtype=None, *, stream=None)",
       [](A a, Diagonal offset, int i, int j, OptionalDtype t, S s) {
         return trace(a, offset.k, i, j, t, s);
       },
       "The sum of a diagonal.\n\n"
       ">>> mx.trace(mx.eye(3))\n"
       "array(3, dtype=float32)")
      .cases({"x(3, 3)", "x(2, 3, 4), 1, 1, 2"})
      .large({"x(tile + 1, tile + 1)"});
  m.def(
       "as_strided(a, /, shape=None, strides=None, offset=0, *, stream=None)",
       [](A a, OptionalShape shape, OptionalShape strides, int64_t offset, S s) {
         const Shape to = shape.value_or(a.shape());
         return as_strided(a, to, strides ? *strides : dense_steps(to), offset, s);
       },
       "Elements of the flattened array at offset + sum of index * stride (strides in "
       "elements); out of range: IndexError.\n\n"
       ">>> mx.as_strided(mx.arange(4), (3, 2), (1, 1))\n"
       "array([[0, 1],\n"
       "       [1, 2],\n"
       "       [2, 3]], dtype=int32)")
      .cases({"x(6), (3, 2), (1, 2)"},
             "lambda a, n, s: np.lib.stride_tricks.as_strided(a, n, [k * a.itemsize for k in s])")
      .large({"x(chunk + 1), (grain, 2), (2, 1)"});
  m.def(
       "pad(a, pad_width, mode='constant', constant_values=0, *, end_values=0, stat_length=None, "
       "reflect_type='even', stream=None)",
       [](A a, const Widths& widths, const std::string& mode, const Sides& values,
          const Sides& ends, const std::optional<Widths>& length, const std::string& type, S s) {
         return pad(a, widths, mode,
                    Padding{values.value, ends.value, length.value_or(Widths()), type}, s);
       },
       "More elements around: pad_width is a number, (before, after), or such a pair for "
       "each axis. Modes: constant, edge, empty\n"
       "(zeros), linear_ramp (to end_values), maximum, mean, median, minimum (of stat_length "
       "elements at an end, or all), reflect,\n"
       "symmetric (reflect_type 'odd': on the other side of the edge), wrap. Values are numbers or "
       "pairs as widths are.\n\n"
       ">>> mx.pad(mx.array([1, 2]), 1)\n"
       "array([0, 1, 2, 0], dtype=int32)\n"
       ">>> mx.pad(mx.array([1.0, 2.0]), (2, 1), 'linear_ramp', end_values=(0, 5))\n"
       "array([0, 0.5, 1, 2, 5], dtype=float32)")
      .cases({"x(2, 3), 1", "x(2, 3), ((1, 0), (2, 2)), 'edge'", "x(3, 4), 2, 'reflect'",
              "x(3, 4), 5, 'symmetric'", "x(3, 4), 5, 'wrap'", "x(2, 3), 2, 'empty'",
              "x(2, 3), ((1, 2), (3, 0)), 'constant', ((1, 0), (0, 1))",
              "x(3, 4), ((3, 2), (0, 4)), 'linear_ramp', end_values=((0, 1), (1, 0))",
              "x(4, 5), ((3, 2), (1, 4)), 'maximum'", "x(4, 5), (2, 3), 'minimum', stat_length=2",
              "x(4, 5), 2, 'mean', stat_length=((1, 2), (3, 9))", "x(4, 5), 2, 'median'",
              "x(3, 4), 2, 'reflect', reflect_type='odd'",
              "x(3, 4), 3, 'symmetric', reflect_type='odd'", "x(0, 3), ((0, 0), (1, 2)), 'edge'"},
             "padded")
      .large({"x(block + 1, inner + 1), 1", "x(block + 1, inner + 1), 2, 'reflect'",
              "x(chunk + 1), 5, 'wrap'", "x(block + 1, inner + 1), 3, 'mean'"});
}

// ---- diagonals and triangles
template <class M>
void add_matrices(M& m) {
  m.def(
       "eye(n, m=None, k=0, dtype=float32, *, stream=None)",
       [](int64_t n, OptionalSize m, Diagonal d, OptionalDtype t, S s) {
         return eye(n, m.value_or(n), d.k, t.value_or(float32), s);
       },
       "Ones on the k-th diagonal of an n x m matrix.\n\n"
       ">>> mx.eye(2)\n"
       "array([[1, 0],\n"
       "       [0, 1]], dtype=float32)")
      .also("stream", "device")
      .cases({"3", "3, 4, 1", "3, 2, -1"})
      .large({"tile + 1, inner + 1, 3"});
  m.def(
       "identity(n, dtype=float32, *, stream=None)",
       [](int64_t n, OptionalDtype t, S s) { return eye(n, n, 0, t.value_or(float32), s); },
       "The identity matrix.\n\n"
       ">>> mx.identity(1)\n"
       "array([[1]], dtype=float32)")
      .cases({"3"})
      .large({"inner + 1"});
  m.def(
       "tri(n, m=None, k=0, dtype=None, *, stream=None)",
       [](int64_t n, OptionalSize m, Diagonal d, OptionalDtype t, S s) {
         return tri(n, m.value_or(n), d.k, t.value_or(float32), s);
       },
       "Ones on and below the k-th diagonal.\n\n"
       ">>> mx.tri(2)\n"
       "array([[1, 0],\n"
       "       [1, 1]], dtype=float32)")
      .cases({"3", "3, 4, 1"})
      .large({"tile + 1, inner + 1, -2"});
  m.def(
       "tril(x, k=0, *, stream=None)", [](A a, Diagonal d, S s) { return tril(a, d.k, s); },
       "The elements on and below the k-th diagonal, zeros above.\n\n"
       ">>> mx.tril(mx.ones((2, 2)))\n"
       "array([[1, 0],\n"
       "       [1, 1]], dtype=float32)")
      .cases({"x(3, 4)", "x(2, 3, 3), -1"})
      .large({"x(tile + 1, inner + 1), 3"});
  m.def(
       "triu(x, k=0, *, stream=None)", [](A a, Diagonal d, S s) { return triu(a, d.k, s); },
       "The elements on and above the k-th diagonal, zeros below.\n\n"
       ">>> mx.triu(mx.ones((2, 2)))\n"
       "array([[1, 1],\n"
       "       [0, 1]], dtype=float32)")
      .cases({"x(3, 4)", "x(2, 3, 3), 1"})
      .large({"x(tile + 1, inner + 1), -3"});
  m.def(
       "fill_diagonal(a, val, wrap=False, *, stream=None)",
       [](A a, O values, bool wrap, S s) { return fill_diagonal(a, values, wrap, s); },
       "a with values on its main diagonal (of more than two axes: where all indices are equal). "
       "Values are read in order, and again\n"
       "from the first where there are fewer. wrap: in a tall matrix the diagonal begins again below "
       "each square.\n\n"
       ">>> mx.fill_diagonal(mx.zeros((2, 2)), 5)\n"
       "array([[5, 0],\n"
       "       [0, 5]], dtype=float32)")
      .cases({"x(3, 4), 2.0", "x(5, 2), x(3)", "x(7, 2), x(2, 2), True", "x(3, 3, 3), x(2)",
              "x(0, 3), 1.0"},
             "fill_diagonal")
      .large({"x(tile + 1, inner + 1), x(5)"});
  m.def(
       "diag(a, /, k=0, *, stream=None)", [](A a, Diagonal d, S s) { return diag(a, d.k, s); },
       "A square with the vector a on its k-th diagonal; of a matrix, its k-th diagonal.\n\n"
       ">>> mx.diag(mx.array([1, 2]))\n"
       "array([[1, 0],\n"
       "       [0, 2]], dtype=int32)")
      .method()
      .cases({"x(3)", "x(3), 1", "x(3), -2", "x(3, 4), 1"})
      .large({"x(inner + 1), 1", "x(tile + 1, inner + 1)"});
}

// ---- products
template <class M>
void add_products(M& m) {
  m.def(
       "einsum(subscripts, *operands, optimize=True, stream=None)",
       [](const std::string& subscripts, Arrays_ operands, const EinsumOrder& order, S s) {
         return einsum(subscripts, operands, order, s);
       },
       "Sums of products by subscripts, as 'ij,jk->ik': letters name axes, '...' those in front, "
       "which broadcast as sizes of 1 do; what\n"
       "the output does not name is summed. Two operands at a time are one product of matrices, in "
       "an order that optimize chooses:\n"
       "True (the best up to 8 operands), 'optimal', 'greedy', False (as given) or a path of "
       "einsum_path.\n\n"
       ">>> mx.einsum('ij,jk->ik', mx.array([[1, 2]]), mx.array([[3], [4]]))\n"
       "array([[11]], dtype=int32)\n"
       ">>> mx.einsum('ii', mx.eye(3))\n"
       "array(3, dtype=float32)")
      .cases({"'ij,jk->ik', x(2, 3), x(3, 4)", "'ij,jk', x(2, 3), x(3, 4)", "'ba', x(2, 3)",
              "'ii->i', x(3, 3)", "'iji->j', x(3, 2, 3)", "'ij->', x(2, 3)", "'i,j->ji', x(2), x(3)",
              "'...ij,...jk->...ik', x(2, 1, 2, 3), x(4, 3, 2)", "'i...,i...->...', x(3, 2), x(3, 2)",
              "'bij,bij->b', x(4, 2, 3), x(4, 2, 3)", "'ij,ij->ij', x(2, 1), x(1, 3)",
              "',ij->ji', x(), x(2, 3)", "'ij,jk->ik', x(2, 0), x(0, 3)",
              "'ij,jk,kl,lm->im', x(2, 3), x(3, 4), x(4, 2), x(2, 3)",
              "'abc,cd,bde->ae', x(2, 3, 4), x(4, 5), x(3, 5, 2), optimize='greedy'",
              "'ij,j,i->', x(3, 4), x(4), x(3), optimize=False"})
      .by_layout()
      .large({"'ij,jk->ki', x(tile + 1, inner + 1), x(inner + 1, 65)",
              "'bi,bi->b', x(3, tree + 1), x(3, tree + 1)", "'ij->j', x(block + 1, inner + 1)"});
  m.def(
       "einsum_path(subscripts, *operands, optimize=True)",
       [](const std::string& subscripts, Arrays_ operands, const EinsumOrder& order) {
         return einsum_path(subscripts, operands, order);
       },
       "The order in which einsum would take its operands: places in their list, of which the "
       "result goes to its end, and a text that says\n"
       "what it costs beside one sum over all subscripts.\n\n"
       ">>> mx.einsum_path('ij,jk,k->i', mx.ones((9, 9)), mx.ones((9, 9)), mx.ones(9))[0]\n"
       "[(1, 2), (0, 1)]");
  m.def(
       "kron(a, b, *, stream=None)", [](A a, A b, S s) { return kron(a, b, s); },
       "The Kronecker product.\n\n"
       ">>> mx.kron(mx.array([1, 2]), mx.array([1, 10]))\n"
       "array([1, 10, 2, 20], dtype=int32)")
      .cases({"x(2, 2), x(3)", "x(2), x(2, 3)"})
      .large({"x(17, 3), x(inner + 1, 5)"});
  m.def(
       "vecdot(a, b, /, *, axis=-1, stream=None)",
       [](A a, A b, int axis, S s) { return vecdot(a, b, axis, s); },
       "Sums of conj(a) * b along an axis.\n\n"
       ">>> mx.vecdot(mx.array([1.0, 2.0]), mx.array([3.0, 4.0]))\n"
       "array(11, dtype=float32)")
      .cases({"x(2, 3), x(2, 3)"}, "lambda a, b: (np.conj(a) * b).sum(-1)")
      .large({"x(3, tree + 1), x(3, tree + 1)"});
}

// ---- windows
template <class M>
void add_windows(M& m) {
  m.def(
       "hanning(M, *, stream=None)", [](int64_t m, S s) { return hanning(m, s); },
       "The Hann window of M samples: 0.5 - 0.5 cos(2 pi n / (M - 1)).\n\n"
       ">>> mx.hanning(3)\n"
       "array([0, 1, 0], dtype=float32)")
      .cases({"1", "8"})
      .large({"grain + 1"});
  m.def(
       "hamming(M, *, stream=None)", [](int64_t m, S s) { return hamming(m, s); },
       "The Hamming window of M samples: 0.54 - 0.46 cos(2 pi n / (M - 1)).\n\n"
       ">>> mx.hamming(3)\n"
       "array([0.08, 1, 0.08], dtype=float32)")
      .cases({"1", "8"})
      .large({"grain + 1"});
  m.def(
       "blackman(M, *, stream=None)", [](int64_t m, S s) { return blackman(m, s); },
       "The Blackman window of M samples: 0.42 - 0.5 cos(2 pi n / (M - 1)) + 0.08 cos(4 pi "
       "n / (M - 1)).\n\n"
       ">>> mx.blackman(1)\n"
       "array([1], dtype=float32)")
      .cases({"1", "8"})
      .large({"grain + 1"});
  m.def(
       "bartlett(M, *, stream=None)", [](int64_t m, S s) { return bartlett(m, s); },
       "The Bartlett (triangular) window of M samples: 1 - |2 n / (M - 1) - 1|.\n\n"
       ">>> mx.bartlett(3)\n"
       "array([0, 1, 0], dtype=float32)")
      .cases({"1", "8"})
      .large({"grain + 1"});
}

// ---- statistics
using OfNumbers = array (*)(A, const Axes&, bool, S);
using OfSpread = array (*)(A, const Axes&, bool, double, S);
inline Axes axes_or_all(OptionalAxes axes, A a) { return axes ? *axes : all_axes(a.ndim()); }

template <class M>
void nan_reduction(M& m, const std::string& name, OfNumbers f, const std::string& doc) {
  m.def(
       name + "(a, axis=None, keepdims=False, *, stream=None)",
       [f](A a, OptionalAxes axes, bool keep, S s) { return f(a, axes_or_all(axes, a), keep, s); },
       doc)
      .cases({"x(2, 3, 4)", "x(2, 3, 4), 1", "x(2, 3, 4), (0, -1), keepdims=True", "x(5, 1), 0"})
      .large({"x(2, 9 * tree + 1), 1", "x(tree + 1, 3), 0"});
}
template <class M>
void nan_spread(M& m, const std::string& name, OfSpread f, const std::string& doc) {
  m.def(
       name + "(a, axis=None, keepdims=False, ddof=0, *, stream=None)",
       [f](A a, OptionalAxes axes, bool keep, double ddof, S s) {
         return f(a, axes_or_all(axes, a), keep, ddof, s);
       },
       doc)
      .also("ddof", "correction")
      .cases({"x(2, 3, 4)", "x(2, 3, 4), 1, ddof=1", "x(2, 3, 4), (0, -1), keepdims=True"})
      .large({"x(3, 2 * tree + 1), 1", "x(tree + 1, 33), 0"});
}

template <class M>
void add_statistics(M& m) {
  nan_reduction(m, "nansum", nansum,
                "The sum over axes of the elements that are not nan; of none: 0.\n\n"
                ">>> mx.nansum(mx.array([1.0, mx.nan, 2.0]))\n"
                "array(3, dtype=float32)");
  nan_reduction(m, "nanprod", nanprod,
                "The product over axes of the elements that are not nan; of none: 1.\n\n"
                ">>> mx.nanprod(mx.array([2.0, mx.nan, 3.0]))\n"
                "array(6, dtype=float32)");
  nan_reduction(m, "nanmax", nanmax,
                "The largest over axes of the elements that are not nan; nan where all are.\n\n"
                ">>> mx.nanmax(mx.array([1.0, mx.nan, 2.0]))\n"
                "array(2, dtype=float32)");
  nan_reduction(m, "nanmin", nanmin,
                "The smallest over axes of the elements that are not nan; nan where all are.\n\n"
                ">>> mx.nanmin(mx.array([1.0, mx.nan, 2.0]))\n"
                "array(1, dtype=float32)");
  nan_reduction(m, "nanmean", nanmean,
                "The mean over axes of the elements that are not nan; nan where all are.\n\n"
                ">>> mx.nanmean(mx.array([1.0, mx.nan, 2.0]))\n"
                "array(1.5, dtype=float32)");
  nan_reduction(m, "nanmedian", nanmedian,
                "The median over axes of the elements that are not nan; nan where all are.\n\n"
                ">>> mx.nanmedian(mx.array([1.0, mx.nan, 2.0, 7.0]))\n"
                "array(2, dtype=float32)");
  nan_spread(m, "nanvar", nanvar,
             "The variance over axes of the elements that are not nan, with n - ddof for their "
             "number; nan where that is not positive.\n\n"
             ">>> mx.nanvar(mx.array([1.0, mx.nan, 3.0]))\n"
             "array(1, dtype=float32)");
  nan_spread(m, "nanstd", nanstd,
             "The standard deviation over axes of the elements that are not nan: the root of "
             "nanvar.\n\n"
             ">>> mx.nanstd(mx.array([1.0, mx.nan, 3.0]))\n"
             "array(1, dtype=float32)");
  m.def(
       "ptp(a, axis=None, keepdims=False, *, stream=None)",
       [](A a, OptionalAxes axes, bool keep, S s) { return ptp(a, axes_or_all(axes, a), keep, s); },
       "The distance from the smallest element to the largest, over axes.\n\n"
       ">>> mx.ptp(mx.array([3, 1, 7]))\n"
       "array(6, dtype=int32)")
      .cases({"x(2, 3, 4)", "x(2, 3, 4), 1", "x(2, 3, 4), (0, -1), keepdims=True"},
             "lambda a, axis=None, keepdims=False: np.subtract(a.max(axis, keepdims=keepdims), "
             "a.min(axis, keepdims=keepdims)) if a.dtype != bool else a.max(axis, "
             "keepdims=keepdims) ^ a.min(axis, keepdims=keepdims)")
      .large({"x(3, tree + 1), 1"});
  m.def(
       "average(a, axis=None, weights=None, returned=False, *, keepdims=False, stream=None)",
       [](A a, OptionalAxes axes, OptionalArray weights, bool returned, bool keep,
          S s) -> OneOrTuple {
         auto [mean, total] = average(a, weights, axes_or_all(axes, a), keep, s);
         OneOrTuple out;
         out.push_back(std::move(mean));
         if (returned) out.push_back(std::move(total));
         return out;
       },
       "The mean over axes, or sum(a * weights) / sum(weights). weights have a's shape, or its "
       "size along the one axis.\n"
       "returned: a tuple of that and the sums of the weights.\n\n"
       ">>> mx.average(mx.array([1.0, 3.0]), weights=mx.array([3.0, 1.0]))\n"
       "array(1.5, dtype=float32)")
      .cases({"x(2, 3, 4)", "x(2, 3, 4), 1", "x(2, 3), 1, mx.abs(x(3)) + 1",
              "x(2, 3), None, mx.abs(x(2, 3)) + 1",
              "x(2, 3), 0, mx.abs(x(2)) + 1, True"},
             "lambda a, axis=None, weights=None, returned=False, keepdims=False: "
             "np.average(a, axis, weights, returned, keepdims=keepdims) if a.size else "
             "(lambda m: (m, np.zeros_like(m)) if returned else m)("  // NumPy divides by sizes
             "np.mean(a, axis, keepdims=keepdims))")
      .large({"x(3, tree + 1), 1"});
  m.def(
       "diff(a, /, n=1, axis=-1, prepend=None, append=None, *, stream=None)",
       [](A a, int n, int axis, OptionalOperand prepend, OptionalOperand append, S s) {
         return diff(a, n, axis, prepend, append, s);
       },
       "Differences of neighbours, n times. prepend and append are joined before and behind "
       "first; numbers are repeated across the axis.\n\n"
       ">>> mx.diff(mx.array([1, 4, 9]))\n"
       "array([3, 5], dtype=int32)\n"
       ">>> mx.diff(mx.array([1, 4, 9]), prepend=0)\n"
       "array([1, 3, 5], dtype=int32)")
      .cases({"x(2, 5)", "x(5, 2), 2, 0", "x(2, 5), 1, -1, x(2, 3)",
              "x(2, 5), 2, 0, x(1, 5), x(2, 5)"},
             "np.diff")
      .large({"x(2, chunk + 1)"});
  m.def(
       "trapezoid(y, x=None, dx=1.0, axis=-1, *, stream=None)",
       [](A y, OptionalArray x, O dx, int axis, S s) { return trapezoid(y, x, dx, axis, s); },
       "The area under y along an axis, by trapezoids of width dx, or at places x (of y's shape, "
       "or its size along the axis).\n\n"
       ">>> mx.trapezoid(mx.array([1.0, 2.0, 3.0]))\n"
       "array(4, dtype=float32)")
      .cases({"x(2, 5)", "x(2, 5), None, 0.5, 0", "x(2, 5), x(5)",
              "x(2, 5), x(2, 5)"}, "lambda y, *a: np.trapezoid(y * 1.0, *a)")
      .large({"x(2, chunk + 1)"});
}

template <class M>
void add_compose(M& m) {
  add_axes(m);
  add_groups(m);
  add_places(m);
  add_matrices(m);
  add_products(m);
  add_statistics(m);
  add_windows(m);
}

}  // namespace lazulite::functions
