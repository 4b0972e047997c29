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
}

}  // namespace lazulite::functions
