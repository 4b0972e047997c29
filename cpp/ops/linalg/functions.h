// The sub-module core.linalg.
#pragma once
#include "ops/compose/array.h"
#include "ops/compose/shape.h"
#include "ops/functions.h"
#include "ops/linalg/linalg.h"
#include "ops/matmul/matmul.h"
#include "ops/shape/shape.h"

namespace lazulite::functions {

using linalg::Order;
using OptionalOrder = const std::optional<Order>&;
using Tolerance = const std::optional<double>&;
using Text = const std::string&;

// The named tuples of the array API standard.
struct QR {
  static constexpr const char *name = "QRResult", *type = "array | QRResult";
};
struct SVD {
  static constexpr const char *name = "SVDResult", *type = "array | SVDResult";
};
struct Eigh {
  static constexpr const char *name = "EighResult", *type = "EighResult";
};
struct Eig {
  static constexpr const char *name = "EigResult", *type = "EigResult";
};
struct Slogdet {
  static constexpr const char *name = "SlogdetResult", *type = "SlogdetResult";
};

template <class M>
void add_linalg(M& core) {
  auto& m = core.module("linalg");

  // ---- systems
  m.def(
       "solve(a, b, *, stream=None)", [](A a, A b, S s) { return linalg::solve(a, b, s); },
       "x of a @ x = b; b is a vector, or one column for each system. Singular: LinAlgError when "
       "it is evaluated.\n\n"
       ">>> mx.linalg.solve(mx.array([[2.0, 0.0], [0.0, 4.0]]), mx.array([2.0, 2.0]))\n"
       "array([1, 0.5], dtype=float32)")
      .cases({"regular(3, 3), x(3)", "regular(2, 3, 3), x(3, 2)", "regular(0, 0), x(0, 2)"},
             "np.linalg.solve")
      .by_layout()
      .large({"regular(33, 33), x(33, 5)", "regular(70, 8, 8), x(70, 8, 1)"});
  m.def(
       "solve_triangular(a, b, *, upper=False, stream=None)",
       [](A a, A b, bool upper, S s) { return linalg::solve_triangular(a, b, upper, s); },
       "The same for a triangle of a; the other one is not read.\n\n"
       ">>> mx.linalg.solve_triangular(mx.array([[2.0, 9.0], [2.0, 1.0]]), mx.array([2.0, 3.0]))\n"
       "array([1, 1], dtype=float32)")
      .cases({"regular(3, 3), x(3)", "regular(2, 3, 3), x(3, 2), upper=True"},
             "lambda a, b, upper=False: np.linalg.solve(np.triu(a) if upper else np.tril(a), b)")
      .by_layout()
      .large({"regular(33, 33), x(33, 5)"});
  m.def(
       "inv(a, *, stream=None)", [](A a, S s) { return linalg::inv(a, s); },
       "The inverse of a square matrix. Singular: LinAlgError when it is evaluated.\n\n"
       ">>> mx.linalg.inv(mx.array([[2.0, 0.0], [0.0, 4.0]]))\n"
       "array([[0.5, 0],\n"
       "       [0, 0.25]], dtype=float32)")
      .cases({"regular(3, 3)", "regular(2, 2, 2)", "regular(0, 0)"}, "np.linalg.inv")
      .by_layout()
      .large({"regular(33, 33)", "regular(70, 8, 8)"});
  m.def(
       "tri_inv(a, upper=False, *, stream=None)",
       [](A a, bool upper, S s) { return linalg::tri_inv(a, upper, s); },
       "The inverse of a triangle of a.\n\n"
       ">>> mx.linalg.tri_inv(mx.array([[2.0, 9.0], [0.0, 4.0]]))\n"
       "array([[0.5, 0],\n"
       "       [0, 0.25]], dtype=float32)")
      .cases({"regular(3, 3)", "regular(2, 3, 3), upper=True"},
             "lambda a, upper=False: np.linalg.inv(np.triu(a) if upper else np.tril(a))")
      .by_layout();
  m.def(
       "pinv(a, rtol=None, *, stream=None)",
       [](A a, OptionalOperand rtol, S s) { return linalg::pinv(a, rtol, s); },
       "The pseudo-inverse (Moore and Penrose), of singular values above rtol times the largest "
       "(by default the larger size times epsilon), a number or one of each matrix. Its derivative is that at constant rank.\n\n"
       ">>> mx.linalg.pinv(mx.array([[2.0], [0.0]])) * 2\n"
       "array([[1, 0]], dtype=float32)")
      .cases({"x(4, 2)", "x(2, 2, 3)"}, "np.linalg.pinv")
      .by_layout();
  m.def(
       "lstsq(a, b, rcond=None, *, stream=None)",
       [](A a, A b, Tolerance rcond, S s) -> ArrayTuple { return linalg::lstsq(a, b, rcond, s); },
       "x of least length for which a @ x is nearest to b; the sums of squared residuals, of no "
       "elements unless a is tall; the rank; the singular values.\n\n"
       ">>> mx.linalg.lstsq(mx.array([[1.0], [1.0]]), mx.array([1.0, 3.0]))[0].round(3)\n"
       "array([2], dtype=float32)")
      .cases({"regular(4, 4)[:, :2], x(4)", "regular(5, 5)[:, :3], x(5, 2)"}, "lstsq")
      .by_layout();

  // ---- factors
  m.def(
       "cholesky(a, upper=False, *, stream=None)",
       [](A a, bool upper, S s) { return linalg::cholesky(a, upper, s); },
       "The triangle l of a = l @ l.T (upper: l.T @ l; complex ones conjugated). Only that triangle "
       "of a is read. Not positive definite: LinAlgError when it is evaluated.\n\n"
       ">>> mx.linalg.cholesky(mx.array([[4.0, 2.0], [2.0, 2.0]]))\n"
       "array([[2, 0],\n"
       "       [1, 1]], dtype=float32)")
      .cases({"pd(3, 3)", "pd(2, 3, 3), upper=True", "pd(0, 0)"}, "np.linalg.cholesky")
      .by_layout()
      .large({"pd(33, 33)", "pd(70, 8, 8)"});
  m.def(
       "cholesky_inv(a, upper=False, *, stream=None)",
       [](A a, bool upper, S s) { return linalg::cholesky_inv(a, upper, s); },
       "The inverse of the matrix whose Cholesky factor is a.\n\n"
       ">>> mx.linalg.cholesky_inv(mx.array([[2.0, 0.0], [0.0, 1.0]]))\n"
       "array([[0.25, 0],\n"
       "       [0, 1]], dtype=float32)")
      .cases({"regular(3, 3)", "regular(2, 3, 3), upper=True"}, "cholesky_inv")
      .by_layout();
  m.def(
       "lu(a, *, stream=None)", [](A a, S s) -> ArrayTuple { return linalg::lu(a, s); },
       "(p, l, u): row i of a is row p[i] of l @ u. The derivative is that of l and u in the order "
       "that pivoting gave the rows.\n\n"
       ">>> p, l, u = mx.linalg.lu(mx.array([[1.0, 2.0], [4.0, 4.0]]))\n"
       ">>> (l @ u)[p]\n"
       "array([[1, 2],\n"
       "       [4, 4]], dtype=float32)")
      .cases({"x(3, 3)", "x(4, 2)", "x(2, 3, 5)", "x(2, 5, 3)", "x(1, 1)"},
             "lambda a: scipy.linalg.lu(a, p_indices=True)")
      .by_layout();
  m.def(
       "lu_factor(a, *, stream=None)",
       [](A a, S s) -> ArrayTuple { return linalg::lu_factor(a, s); },
       "(lu, pivots): both triangles in one matrix; row i changed places with row pivots[i].\n\n"
       ">>> mx.linalg.lu_factor(mx.array([[1.0, 2.0], [4.0, 4.0]]))[1]\n"
       "array([1, 1], dtype=uint32)")
      .cases({"regular(3, 3)", "regular(4, 4)[:2]"}, "lambda a: scipy.linalg.lu_factor(a)")
      .by_layout();
  m.def(
       "qr(a, mode='reduced', *, stream=None)",
       [](A a, Text mode, S s) -> NamedTuple<QR> { return linalg::qr(a, mode, s); },
       "(Q, R): orthonormal columns and an upper triangle, a = Q @ R. mode 'complete': Q is "
       "square; 'r': R alone. A named tuple.\n\n"
       ">>> q, r = mx.linalg.qr(mx.array([[3.0], [4.0]]))\n"
       ">>> r\n"
       "array([[-5]], dtype=float32)")
      .cases({"x(4, 3)", "x(2, 3, 3)", "x(2, 3)", "x(3, 2), 'r'"}, "np.linalg.qr")
      .by_layout()
      .large({"x(65, 33)"});
  m.def(
       "svd(a, compute_uv=True, *, full_matrices=True, stream=None)",
       [](A a, bool vectors, bool full, S s) -> NamedTuple<SVD> {
         return linalg::svd(a, vectors, full, s);
       },
       "(U, S, Vh): a = U @ diag(S) @ Vh, singular values in descending order; without vectors S "
       "alone. A named tuple. full_matrices=False: only as many vectors as there are values.\n"
       "The derivative is that of functions that do not depend on the signs (phases) of vectors, "
       "and of full matrices only where a is square.\n\n"
       ">>> mx.linalg.svd(mx.array([[3.0, 0.0], [0.0, 4.0]]), compute_uv=False)\n"
       "array([4, 3], dtype=float32)")
      .cases({"x(3, 3)", "x(2, 4, 2), full_matrices=False", "x(2, 3), full_matrices=False",
              "x(3, 2), False"},
             "svd")
      .by_layout()
      .large({"x(33, 20), full_matrices=False"});
  m.def(
       "svdvals(a, *, stream=None)", [](A a, S s) { return linalg::svdvals(a, s); },
       "The singular values in descending order.\n\n"
       ">>> mx.linalg.svdvals(mx.array([[3.0, 0.0], [0.0, 4.0]]))\n"
       "array([4, 3], dtype=float32)")
      .cases({"x(3, 2)", "x(2, 2, 3)"}, "np.linalg.svdvals")
      .by_layout();
  m.def(
       "eigh(a, UPLO='L', *, stream=None)",
       [](A a, Text uplo, S s) -> NamedTuple<Eigh> { return linalg::eigh(a, uplo, s); },
       "(eigenvalues, eigenvectors): a named tuple; in ascending order, and as columns, of a "
       "Hermitian matrix of which one triangle is read.\n"
       "The derivative is that of functions that do not depend on the signs (phases) of "
       "vectors.\n\n"
       ">>> mx.linalg.eigh(mx.array([[2.0, 0.0], [0.0, 1.0]]))[0]\n"
       "array([1, 2], dtype=float32)")
      .cases({"x(3, 3)", "x(2, 3, 3), 'U'"}, "np.linalg.eigh")
      .by_layout()
      .large({"x(33, 33)"});
  m.def(
       "eigvalsh(a, UPLO='L', *, stream=None)",
       [](A a, Text uplo, S s) { return linalg::eigvalsh(a, uplo, s); },
       "The eigenvalues of a Hermitian matrix in ascending order.\n\n"
       ">>> mx.linalg.eigvalsh(mx.array([[2.0, 0.0], [0.0, 1.0]]))\n"
       "array([1, 2], dtype=float32)")
      .cases({"x(3, 3)", "x(2, 3, 3), 'U'"}, "np.linalg.eigvalsh")
      .by_layout();
  m.def(
       "eig(a, *, stream=None)", [](A a, S s) -> NamedTuple<Eig> { return linalg::eig(a, s); },
       "(eigenvalues, eigenvectors): a named tuple; vectors of length 1, as columns. Complex, "
       "whatever a is.\n\n"
       ">>> mx.linalg.eig(mx.array([[2.0, 0.0], [0.0, 1.0]]))[0]\n"
       "array([2+0j, 1+0j], dtype=complex64)")
      .cases({"regular(3, 3)", "regular(2, 2, 2)"}, "np.linalg.eig")
      .by_layout();
  m.def(
       "eigvals(a, *, stream=None)", [](A a, S s) { return linalg::eigvals(a, s); },
       "The eigenvalues: complex, whatever a is.\n\n"
       ">>> mx.linalg.eigvals(mx.array([[0.0, 1.0], [1.0, 0.0]])).real\n"
       "array([1, -1], dtype=float32)")
      .cases({"regular(3, 3)", "regular(2, 2, 2)"}, "np.linalg.eigvals")
      .by_layout();

  // ---- numbers
  m.def(
       "det(a, *, stream=None)", [](A a, S s) { return linalg::det(a, s); },
       "The determinant.\n\n"
       ">>> mx.linalg.det(mx.array([[2.0, 0.0], [0.0, 4.0]]))\n"
       "array(8, dtype=float32)")
      .cases({"regular(3, 3)", "regular(2, 2, 2)", "regular(0, 0)"}, "np.linalg.det")
      .by_layout();
  m.def(
       "slogdet(a, *, stream=None)",
       [](A a, S s) -> NamedTuple<Slogdet> { return linalg::slogdet(a, s); },
       "(sign, logabsdet): a named tuple; the determinant is sign * exp(logabsdet).\n\n"
       ">>> mx.linalg.slogdet(mx.array([[1.0, 0.0], [0.0, -1.0]])).sign\n"
       "array(-1, dtype=float32)")
      .cases({"regular(3, 3)", "regular(2, 2, 2)"}, "np.linalg.slogdet")
      .by_layout()
      .large({"regular(33, 33)"});
  m.def(
       "norm(a, /, ord=None, axis=None, keepdims=False, *, stream=None)",
       [](A a, OptionalOrder ord, OptionalAxes axes, bool keep, S s) {
         return linalg::norm(a, ord, axes, keep, s);
       },
       "A norm over one axis (of vectors: ord any number) or two (of matrices: 'fro', 'nuc', 1, -1, "
       "2, -2, inf, -inf); by default the root of the sum of squares, over all axes.\n\n"
       ">>> mx.linalg.norm(mx.array([3.0, 4.0]))\n"
       "array(5, dtype=float32)")
      .cases({"x(3, 4)", "x(2, 3, 4)", "x(4), 1", "x(4), 3", "x(3, 4), None, 1", "x(4), 0",
              "x(3, 4), 4.5, 0, True", "x(3, 4), float('inf'), -1", "x(3, 4), 'fro'",
              "x(3, 4), 1", "x(2, 3, 4), -float('inf'), (0, 2)", "x(3, 4), 'nuc'",
              "x(2, 3, 4), 2, (-1, 0), True", "x(3, 4), -2"},
             "np.linalg.norm")
      .by_layout();
  m.def(
       "vector_norm(a, /, *, axis=None, keepdims=False, ord=2, stream=None)",
       [](A a, OptionalAxes axes, bool keep, const Order& ord, S s) {
         return linalg::vector_norm(a, axes, keep, ord, s);
       },
       "The norm of the vectors along axes, or of all elements.\n\n"
       ">>> mx.linalg.vector_norm(mx.array([[3.0, 4.0]]), axis=-1)\n"
       "array([5], dtype=float32)")
      .cases({"x(3, 4)", "x(2, 3, 4), axis=(0, 2), keepdims=True", "x(3, 4), axis=1, ord=1"},
             "np.linalg.vector_norm")
      .by_layout();
  m.def(
       "matrix_norm(a, /, *, keepdims=False, ord='fro', stream=None)",
       [](A a, bool keep, const Order& ord, S s) { return linalg::matrix_norm(a, keep, ord, s); },
       "The norm of matrices: 'fro', 'nuc', 1, -1, 2, -2, inf, -inf.\n\n"
       ">>> mx.linalg.matrix_norm(mx.array([[3.0, 4.0]]))\n"
       "array(5, dtype=float32)")
      .cases({"x(3, 4)", "x(2, 3, 4), ord=1, keepdims=True", "x(2, 3, 4), ord='nuc'"},
             "np.linalg.matrix_norm")
      .by_layout();
  core.def(
       "matrix_norm(a, /, *, keepdims=False, ord='fro', stream=None)",
       [](A a, bool keep, const Order& ord, S s) { return linalg::matrix_norm(a, keep, ord, s); },
       "The norm of matrices: 'fro', 'nuc', 1, -1, 2, -2, inf, -inf.\n\n"
       ">>> mx.matrix_norm(mx.array([[3.0, 4.0]]))\n"
       "array(5, dtype=float32)")
      .cases({"x(3, 4)", "x(2, 3, 4), ord=1, keepdims=True"},
             "np.linalg.matrix_norm")
      .by_layout();
  m.def(
       "cond(a, p=None, *, stream=None)",
       [](A a, OptionalOrder p, S s) { return linalg::cond(a, p, s); },
       "The condition number: the norm of the matrix times that of its inverse; by default of "
       "norm 2.\n\n"
       ">>> mx.linalg.cond(mx.array([[2.0, 0.0], [0.0, 4.0]]))\n"
       "array(2, dtype=float32)")
      .cases({"regular(3, 3)", "x(3, 2), -2", "regular(2, 2, 2), 1"}, "np.linalg.cond")
      .by_layout();
  m.def(
       "matrix_rank(a, tol=None, *, rtol=None, stream=None)",
       [](A a, OptionalOperand tol, OptionalOperand rtol, S s) {
         return linalg::matrix_rank(a, tol, rtol, s);
       },
       "How many singular values are above tol, or rtol times the largest (by default the larger "
       "size times epsilon).\n\n"
       ">>> mx.linalg.matrix_rank(mx.ones((2, 3)))\n"
       "array(1, dtype=int32)")
      .cases({"regular(3, 3)", "mx.ones((2, 3, 2))", "regular(2, 2), 1000.0"},
             "np.linalg.matrix_rank")
      .by_layout();

  // ---- products
  m.def(
       "matrix_power(a, n, *, stream=None)",
       [](A a, int64_t n, S s) { return linalg::matrix_power(a, n, s); },
       "a times itself, n times; a negative n: of the inverse.\n\n"
       ">>> mx.linalg.matrix_power(mx.array([[1, 1], [0, 1]]), 5)\n"
       "array([[1, 5],\n"
       "       [0, 1]], dtype=int32)")
      .cases({"x(3, 3), 3", "x(2, 2, 2), 0", "regular(3, 3), -2"}, "np.linalg.matrix_power")
      .by_layout();
  m.def(
       "matrix_exp(a, *, stream=None)", [](A a, S s) { return linalg::matrix_exp(a, s); },
       "The exponential of a matrix, by scaling and squaring (Higham, 2005).\n\n"
       ">>> mx.linalg.matrix_exp(mx.array([[0.0, 1.0], [0.0, 0.0]])).round(4)\n"
       "array([[1, 1],\n"
       "       [0, 1]], dtype=float32)")
      .cases({"x(3, 3)", "x(2, 2, 2)"}, "lambda a: scipy.linalg.expm(a)")
      .by_layout();
  m.def(
       "multi_dot(arrays, *, stream=None)",
       [](Arrays_ arrays, S s) { return linalg::multi_dot(arrays, s); },
       "The product of matrices in the order that takes the fewest multiplications; the first and "
       "the last may be vectors.\n\n"
       ">>> mx.linalg.multi_dot([mx.ones((2, 3)), mx.ones((3, 4)), mx.ones(4)])\n"
       "array([12, 12], dtype=float32)")
      .cases({"[x(2, 3), x(3, 4), x(4, 1)]", "[x(3), x(3, 4), x(4, 2), x(2)]"},
             "np.linalg.multi_dot")
      .by_layout();
  m.def(
       "cross(a, b, axis=-1, *, stream=None)",
       [](A a, A b, int axis, S s) { return linalg::cross(a, b, axis, s); },
       "The vector product of vectors of three numbers, or of two, whose third is zero (of two such: "
       "that third number).\n\n"
       ">>> mx.linalg.cross(mx.array([1, 0, 0]), mx.array([0, 1, 0]))\n"
       "array([0, 0, 1], dtype=int32)")
      .cases({"x(3), x(3)", "x(2, 3), x(3)", "x(3, 2), x(3, 2), 0"},
             "lambda a, b, axis=-1: np.cross(a, b, axis=axis)");
  m.def(
       "outer(a, b, /, *, stream=None)", [](A a, A b, S s) { return outer(a, b, s); },
       "All products of elements of the flattened arrays.\n\n"
       ">>> mx.linalg.outer(mx.array([1, 2]), mx.array([3]))\n"
       "array([[3],\n"
       "       [6]], dtype=int32)")
      .cases({"x(2), x(3)"});
  m.def(
       "matmul(a, b, /, *, stream=None)", [](A a, A b, S s) { return matmul(a, b, s); },
       "The product of matrices over the last two axes, as mx.matmul.\n\n"
       ">>> mx.linalg.matmul(mx.array([[1.0, 2.0]]), mx.array([[3.0], [4.0]]))\n"
       "array([[11]], dtype=float32)")
      .cases({"x(2, 3), x(3, 4)"})
      .by_layout();
  m.def(
       "tensordot(a, b, /, axes=2, *, stream=None)",
       [](A a, A b, const IntOr<AxisPairs, int>& axes, S s) {
         if (auto* n = std::get_if<int>(&axes)) return tensordot(a, b, *n, s);
         const auto& [x, y] = std::get<AxisPairs>(axes);
         return tensordot(a, b, x, y, s);
       },
       "Sums of products over axes of both, as mx.tensordot.\n\n"
       ">>> mx.linalg.tensordot(mx.ones((2, 3)), mx.ones((3, 4)), 1).shape\n"
       "(2, 4)")
      .cases({"x(2, 3), x(3, 4), 1"})
      .by_layout();
  m.def(
       "vecdot(a, b, /, *, axis=-1, stream=None)",
       [](A a, A b, int axis, S s) { return vecdot(a, b, axis, s); },
       "Sums of conj(a) * b along an axis.\n\n"
       ">>> mx.linalg.vecdot(mx.array([1.0, 2.0]), mx.array([3.0, 4.0]))\n"
       "array(11, dtype=float32)")
      .cases({"x(3), x(3)", "x(2, 3), x(2, 3)"}, "lambda a, b: np.sum(np.conj(a) * b, axis=-1)");
  m.def(
       "diagonal(a, /, *, offset=0, stream=None)",
       [](A a, Diagonal offset, S s) { return diagonal(a, offset.k, -2, -1, s); },
       "A diagonal of the last two axes, as a last axis.\n\n"
       ">>> mx.linalg.diagonal(mx.eye(2))\n"
       "array([1, 1], dtype=float32)")
      .cases({"x(3, 3)", "x(2, 3, 4), offset=1"}, "np.linalg.diagonal");
  m.def(
       "trace(a, /, *, offset=0, dtype=None, stream=None)",
       [](A a, Diagonal offset, OptionalDtype t, S s) { return trace(a, offset.k, -2, -1, t, s); },
       "The sum of a diagonal of the last two axes.\n\n"
       ">>> mx.linalg.trace(mx.eye(3))\n"
       "array(3, dtype=float32)")
      .cases({"x(3, 3)", "x(2, 3, 4), offset=1"}, "np.linalg.trace");
  m.def(
       "matrix_transpose(a, /, *, stream=None)", [](A a, S s) { return matrix_transpose(a, s); },
       "The last two axes exchanged.\n\n"
       ">>> mx.linalg.matrix_transpose(mx.ones((2, 3))).shape\n"
       "(3, 2)")
      .cases({"x(2, 3)", "x(2, 3, 4)"}, "np.linalg.matrix_transpose");
}

}  // namespace lazulite::functions
