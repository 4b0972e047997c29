// Python's functions of products.
#pragma once
#include "ops/functions.h"
#include "ops/matmul/matmul.h"

namespace lazulite::functions {

template <class M>
void add_matmul(M& m) {
  m.def(
       "matmul(a, b, /, *, stream=None)", [](A a, A b, S s) { return matmul(a, b, s); },
       "The product of matrices over the last two axes; leading axes broadcast, a vector is "
       "a row (left) or a column (right).\n"
       "Integers wrap; halves accumulate in float32. ValueError for 0-d operands and inner "
       "sizes that differ.\n\n"
       ">>> mx.matmul(mx.array([[1.0, 2.0]]), mx.array([[3.0], [4.0]]))\n"
       "array([[11]], dtype=float32)")
      .cases({"x(2, 3), x(3, 4)", "x(3), x(3, 4)", "x(2, 3), x(3)", "x(3), x(3)",
              "x(5, 2, 3), x(3, 4)", "x(5, 1, 2, 3), x(4, 3, 2)", "x(2, 0), x(0, 3)"})
      .by_layout()
      .large({"x(tile + 1, inner + 1), x(inner + 1, tile + 1)",
              "x(3, block + 1), x(3, block + 1, 2)", "x(block + 1), x(block + 1, tile + 1)",
              "x(tile + 1, tree + 1), x(tree + 1)", "x(70, 2, 33), x(33, 5)",
              "x(15, panel + 1), x(panel + 1, 160)", "x(29, packed + 1), x(packed + 1, 7)",
              "x(2, dots + 1), x(dots + 1, 2)", "x(sweep + 1), x(sweep + 1, block + 3)",
              "x(9, 65, 64), x(9, 64, 130)"});
  m.def(
       "addmm(c, a, b, /, alpha=1.0, beta=1.0, *, stream=None)",
       [](O c, A a, A b, double alpha, double beta, S s) { return addmm(c, a, b, alpha, beta, s); },
       "alpha * (a @ b) + beta * c.\n\n"
       ">>> mx.addmm(mx.array([1.0]), mx.array([[2.0]]), mx.array([[3.0]]))\n"
       "array([[7]], dtype=float32)")
      .cases({"x(4), x(2, 3), x(3, 4)", "x(2, 4), x(2, 3), x(3, 4), 2.0, 0.5"},
             "lambda c, a, b, alpha=1, beta=1: alpha * (a @ b) + beta * c")
      .by_layout()
      .large({"x(tile + 1), x(tile + 1, inner + 1), x(inner + 1, tile + 1), 2.0, 0.5"});
  m.def(
       "inner(a, b, /, *, stream=None)", [](A a, A b, S s) { return inner(a, b, s); },
       "Sums of products over the last axes.\n\n"
       ">>> mx.inner(mx.array([1.0, 2.0]), mx.array([3.0, 4.0]))\n"
       "array(11, dtype=float32)")
      .cases({"x(3), x(3)", "x(2, 3), x(4, 3)"})
      .by_layout()
      .large({"x(tile + 1, inner + 1), x(33, inner + 1)"});
  m.def(
       "outer(a, b, /, *, stream=None)", [](A a, A b, S s) { return outer(a, b, s); },
       "All products of elements of the flattened arrays.\n\n"
       ">>> mx.outer(mx.array([1, 2]), mx.array([3]))\n"
       "array([[3],\n"
       "       [6]], dtype=int32)")
      .cases({"x(2), x(3)", "x(2, 2), x(3)"})
      .large({"x(tile + 1), x(inner + 1)"});
  m.def(
       "tensordot(a, b, /, axes=2, *, stream=None)",
       [](A a, A b, const IntOr<AxisPairs, int>& axes, S s) {
         if (auto* n = std::get_if<int>(&axes)) return tensordot(a, b, *n, s);
         const auto& [x, y] = std::get<AxisPairs>(axes);
         return tensordot(a, b, x, y, s);
       },
       "Sums of products over the last axes of a and the first of b (a number), or over "
       "pairs of axes (two lists).\n\n"
       ">>> mx.tensordot(mx.ones((2, 3)), mx.ones((3, 4)), 1).shape\n"
       "(2, 4)")
      .cases({"x(2, 3), x(3, 4), 1", "x(2, 3, 4), x(4, 3), ([1, 2], [1, 0])", "x(2), x(3), 0"})
      .by_layout()
      .large({"x(3, inner + 1, 5), x(inner + 1, 5, 33), 2"});
  m.def(
       "gather_mm(a, b, /, lhs_indices=None, rhs_indices=None, *, sorted_indices=False, "
       "stream=None)",
       [](A a, A b, OptionalArray lhs, OptionalArray rhs, bool /* found anyway */, S s) {
         return gather_mm(a, b, lhs, rhs, s);
       },
       "Products of the matrices that indices name, counted over all axes in front of the last "
       "two: a[lhs] @ b[rhs]. The indices\n"
       "broadcast with each other; without them it is each matrix in turn. Matrices are read where "
       "they lie, and all that meet one of b\n"
       "are one product, whether indices are sorted or not. Out of range: IndexError at "
       "evaluation.\n\n"
       ">>> b = mx.array([[[1.0]], [[10.0]]])\n"
       ">>> mx.gather_mm(mx.array([[[2.0]]]), b, rhs_indices=mx.array([1, 0, 1])).reshape(-1)\n"
       "array([20, 2, 20], dtype=float32)")
      .cases({"x(4, 1, 3), x(5, 3, 2), rhs_indices=i(5, 4)", "x(2, 3, 2, 3), x(3, 4), i(6, 5)",
              "x(4, 2, 3), x(5, 3, 2), i(4, 3, 1), i(5, 2)", "x(2, 3), x(3, 4)"})
      .by_layout()
      .large({"x(33, 1, inner + 1), x(3, inner + 1, 65), rhs_indices=i(3, 33)",
              "x(3, tile + 1, 17), x(2, 17, 33), i(3, 4), i(2, 4)"});
  m.def(
       "segmented_mm(a, b, /, segments, *, stream=None)",
       [](A a, A b, A segments, S s) { return segmented_mm(a, b, segments, s); },
       "a[:, from:to] @ b[from:to] of two matrices, for each pair (from, to) of the last axis of "
       "segments. Out of range:\n"
       "IndexError at evaluation.\n\n"
       ">>> mx.segmented_mm(mx.ones((1, 5)), mx.ones((5, 1)), mx.array([[0, 2], [2, 5]])).tolist()\n"
       "[[[2.0]], [[3.0]]]")
      .cases({"x(3, 7), x(7, 2), mx.array([[0, 2], [2, 2], [1, 7]])",
              "x(1, 4), x(4, 1), mx.array([[[0, 4]], [[3, 4]]])"})
      .by_layout()
      .large({"x(33, 3 * inner), x(3 * inner, 65), mx.array([[0, inner + 1], [7, 3 * inner]])"});
  m.def(
       "block_masked_mm(a, b, /, block_size=64, mask_out=None, mask_lhs=None, mask_rhs=None, *, "
       "stream=None)",
       [](A a, A b, int64_t block, OptionalArray out, OptionalArray lhs, OptionalArray rhs, S s) {
         return block_masked_mm(a, b, block, out, lhs, rhs, s);
       },
       "The product of matrices whose blocks of block_size x block_size are masked, and those of "
       "the result: a mask has an element\n"
       "for each block (the last may be cut short); bool leaves blocks out, numbers are "
       "factors.\n\n"
       ">>> mx.block_masked_mm(mx.ones((2, 4)), mx.ones((4, 1)), 2, "
       "mask_lhs=mx.array([[True, False]]))\n"
       "array([[2],\n"
       "       [2]], dtype=float32)")
      .cases({"x(5, 4), x(4, 6), 2, b(3, 3), b(3, 2), b(2, 3)",
              "x(3, 5, 4), x(4, 2), 4, None, x(2, 1)", "x(2, 3), x(3, 2)"})
      .by_layout()
      .large({"x(tile + 1, inner + 1), x(inner + 1, 65), 64, b(tile // 64 + 1, 2), "
              "b(tile // 64 + 1, inner // 64 + 1)"});
}

}  // namespace lazulite::functions
