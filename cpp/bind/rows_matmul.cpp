// Products.
#include "bind/def.h"
#include "ops/elementwise/elementwise.h"
#include "ops/matmul/matmul.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite::bind {

namespace {

using A = const array&;
using O = const Operand&;
using S = Stream;

array tensordot_any(A a, A b, PyObject* axes, S s) {
  const Argument at{"tensordot", "axes"};
  if (is_whole(axes)) return tensordot(a, b, From<int>::of(axes, at), s);
  const Items pair(axes, at, "an int or a pair of lists of ints");
  if (pair.size() != 2) fail(Kind::value, "tensordot", "axes: got ", pair.size(), " items, expected an int or a pair of lists");
  const Axes x = From<Axes>::of(pair[0], at), y = From<Axes>::of(pair[1], at);
  return tensordot(a, b, x, y, s);
}

array kron(A a, A b, S s) {
  const int n = std::max(a.ndim(), b.ndim());
  Shape left, right, out;
  for (int i = 0; i < n; ++i) {
    const int ia = i - (n - a.ndim()), ib = i - (n - b.ndim());
    const int64_t da = ia < 0 ? 1 : a.shape()[ia], db = ib < 0 ? 1 : b.shape()[ib];
    left.push_back(da);
    left.push_back(1);
    right.push_back(1);
    right.push_back(db);
    out.push_back(product_of_sizes(da, db, "kron"));
  }
  return reshape(multiply(reshape(a, left, s), reshape(b, right, s), s), out, s);
}

const Register rows{"", {
    def("matmul(a, b, /, *, stream=None)", [](A a, A b, S s) { return matmul(a, b, s); },
        "The product of matrices over the last two axes; leading axes broadcast, a vector is a row (left) or a column (right).\n"
        "Integers wrap; halves accumulate in float32. ValueError for 0-d operands and inner sizes that differ.\n\n"
        ">>> mx.matmul(mx.array([[1.0, 2.0]]), mx.array([[3.0], [4.0]]))\narray([[11]], dtype=float32)")
        .cases({"x(2, 3), x(3, 4)", "x(3), x(3, 4)", "x(2, 3), x(3)", "x(3), x(3)", "x(5, 2, 3), x(3, 4)", "x(5, 1, 2, 3), x(4, 3, 2)", "x(2, 0), x(0, 3)"}).by_layout()
        .large({"x(tile + 1, inner + 1), x(inner + 1, tile + 1)", "x(3, block + 1), x(3, block + 1, 2)", "x(block + 1), x(block + 1, tile + 1)", "x(tile + 1, tree + 1), x(tree + 1)", "x(70, 2, 33), x(33, 5)"}),
    def("addmm(c, a, b, /, alpha=1.0, beta=1.0, *, stream=None)",
        [](O c, A a, A b, double alpha, double beta, S s) { return addmm(c, a, b, alpha, beta, s); },
        "alpha * (a @ b) + beta * c.\n\n>>> mx.addmm(mx.array([1.0]), mx.array([[2.0]]), mx.array([[3.0]]))\narray([[7]], dtype=float32)")
        .cases({"x(4), x(2, 3), x(3, 4)", "x(2, 4), x(2, 3), x(3, 4), 2.0, 0.5"}, "lambda c, a, b, alpha=1, beta=1: alpha * (a @ b) + beta * c").by_layout()
        .large({"x(tile + 1), x(tile + 1, inner + 1), x(inner + 1, tile + 1), 2.0, 0.5"}),
    def("inner(a, b, /, *, stream=None)", [](A a, A b, S s) { return inner(a, b, s); },
        "Sums of products over the last axes.\n\n>>> mx.inner(mx.array([1.0, 2.0]), mx.array([3.0, 4.0]))\narray(11, dtype=float32)").cases({"x(3), x(3)", "x(2, 3), x(4, 3)"}).by_layout()
        .large({"x(tile + 1, inner + 1), x(33, inner + 1)"}),
    def("outer(a, b, /, *, stream=None)", [](A a, A b, S s) { return outer(a, b, s); },
        "All products of elements of the flattened arrays.\n\n>>> mx.outer(mx.array([1, 2]), mx.array([3]))\narray([[3],\n       [6]], dtype=int32)").cases({"x(2), x(3)", "x(2, 2), x(3)"})
        .large({"x(tile + 1), x(inner + 1)"}),
    def("tensordot(a, b, /, axes=2, *, stream=None)", tensordot_any,
        "Sums of products over the last axes of a and the first of b (a number), or over pairs of axes (two lists).\n\n"
        ">>> mx.tensordot(mx.ones((2, 3)), mx.ones((3, 4)), 1).shape\n(2, 4)").cases({"x(2, 3), x(3, 4), 1", "x(2, 3, 4), x(4, 3), ([1, 2], [1, 0])", "x(2), x(3), 0"}).by_layout()
        .large({"x(3, inner + 1, 5), x(inner + 1, 5, 33), 2"}),
    def("kron(a, b, *, stream=None)", kron,
        "The Kronecker product.\n\n>>> mx.kron(mx.array([1, 2]), mx.array([1, 10]))\narray([1, 10, 2, 20], dtype=int32)").cases({"x(2, 2), x(3)", "x(2), x(2, 3)"})
        .large({"x(17, 3), x(inner + 1, 5)"}),
    def("vecdot(a, b, /, *, axis=-1, stream=None)",
        [](A a, A b, int axis, S s) {
          if (a.ndim() == 0 || b.ndim() == 0) fail(Kind::value, "vecdot", "0-d operands: got shapes ", a.shape(), " and ", b.shape());
          if (a.shape(axis) != b.shape(axis))
            fail(Kind::value, "vecdot", "sizes differ along axis ", axis, ": got shapes ", a.shape(), " and ", b.shape());
          return sum(multiply(conjugate(a, s), b, s), {axis}, false, s);
        }, "Sums of conj(a) * b along an axis.\n\n>>> mx.vecdot(mx.array([1.0, 2.0]), mx.array([3.0, 4.0]))\narray(11, dtype=float32)")
        .cases({"x(2, 3), x(2, 3)"}, "lambda a, b: (np.conj(a) * b).sum(-1)")
        .large({"x(3, tree + 1), x(3, tree + 1)"}),
}};

}  // namespace
}  // namespace lazulite::bind
