// The linear algebra ops: what they infer, their derivatives, batching. Of factors that are defined
// up to signs or phases the derivative is that of functions that do not depend on these.
#include <algorithm>
#include <complex>

#include "ops/compose/array.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/index.h"
#include "ops/lanes.h"
#include "ops/linalg/ops.h"
#include "ops/matmul/matmul.h"
#include "ops/reduce/reduce.h"
#include "ops/sort/sort.h"

namespace lazulite::linalg {
namespace {

// ---- inference

Shape batch_of(const array& a) { return Shape(a.shape().begin(), a.shape().end() - 2); }
Shape with(Shape batch, std::initializer_list<int64_t> sizes) {
  for (int64_t n : sizes) batch.push_back(n);
  return batch;
}

void check_matrices(const char* op, const Arrays& in, bool square) {
  for (const array& a : in) {
    if (!is_inexact(a.dtype()) || is_half(a.dtype()))
      fail(Kind::type, op, "dtype not supported: got ", a.dtype(),
           ", expected float32, float64, complex64 or complex128");
    if (a.ndim() < 2)
      fail(Kind::value, op, "not a matrix: got shape ", a.shape(), ", expected two axes or more");
  }
  if (square && in[0].shape(-1) != in[0].shape(-2))
    fail(Kind::value, op, "not a square matrix: got shape ", in[0].shape());
}

Specs infer_system(const char* op, const Arrays& in) {
  check_inputs(op, in, 2);
  check_matrices(op, in, true);
  const array &a = in[0], &b = in[1];
  if (a.dtype() != b.dtype() || a.ndim() != b.ndim() || batch_of(a) != batch_of(b) ||
      a.shape(-1) != b.shape(-2))
    fail(Kind::value, op, "shapes do not fit: got ", a.shape(), " and ", b.shape());
  return {b.slot().spec};
}
Specs infer_solve(const Arrays& in) { return infer_system("solve", in); }
Specs infer_triangular(const Triangular&, const Arrays& in) {
  return infer_system("solve_triangular", in);
}

Specs same_square(const char* op, const Arrays& in) {
  check_inputs(op, in, 1);
  check_matrices(op, in, true);
  return {in[0].slot().spec};
}
Specs infer_inv(const Arrays& in) { return same_square("inv", in); }
Specs infer_adjugate(const Arrays& in) { return same_square("adjugate", in); }
Specs infer_cholesky(const Arrays& in) { return same_square("cholesky", in); }
Specs infer_exp(const Arrays& in) { return same_square("matrix_exp", in); }
Specs infer_det(const Arrays& in) {
  same_square("det", in);
  return {Spec{batch_of(in[0]), in[0].dtype()}};
}
Specs infer_slogdet(const Arrays& in) {
  same_square("slogdet", in);
  return {Spec{batch_of(in[0]), in[0].dtype()}, Spec{batch_of(in[0]), real_type(in[0].dtype())}};
}

struct Sizes {
  Shape batch;
  int64_t m, n, k;
  Dtype type;
  Sizes(const char* op, const Arrays& in) {
    check_inputs(op, in, 1);
    check_matrices(op, in, false);
    batch = batch_of(in[0]);
    m = in[0].shape(-2);
    n = in[0].shape(-1);
    k = std::min(m, n);
    type = in[0].dtype();
  }
};
Specs infer_lu(const Arrays& in) {
  const Sizes of("lu", in);
  return {in[0].slot().spec, Spec{with(of.batch, {of.k}), uint32},
          Spec{with(of.batch, {of.m}), uint32}};
}
Specs infer_qr(const Qr& how, const Arrays& in) {
  const Sizes of("qr", in);
  const int64_t cols = how.complete ? of.m : of.k;
  const Spec r{with(of.batch, {cols, of.n}), of.type};
  if (!how.vectors) return {r};
  return {Spec{with(of.batch, {of.m, cols}), of.type}, r};
}
Specs infer_svd(const Svd& how, const Arrays& in) {
  const Sizes of("svd", in);
  const Spec s{with(of.batch, {of.k}), real_type(of.type)};
  if (!how.vectors) return {s};
  return {Spec{with(of.batch, {of.m, how.full ? of.m : of.k}), of.type}, s,
          Spec{with(of.batch, {how.full ? of.n : of.k, of.n}), of.type}};
}
Specs infer_eigh(const Eigh& how, const Arrays& in) {
  const char* op = how.vectors ? "eigh" : "eigvalsh";
  same_square(op, in);
  const Sizes of(op, in);
  const Spec w{with(of.batch, {of.n}), real_type(of.type)};
  if (!how.vectors) return {w};
  return {w, in[0].slot().spec};
}
Specs infer_eig(const Eig& how, const Arrays& in) {
  const char* op = how.vectors ? "eig" : "eigvals";
  same_square(op, in);
  const Sizes of(op, in);
  const Spec w{with(of.batch, {of.n}), complex_type(of.type)};
  if (!how.vectors) return {w};
  return {w, Spec{in[0].shape(), complex_type(of.type)}};
}
Specs infer_pinv(const Pinv&, const Arrays& in) {
  const Sizes of("pinv", in);
  return {Spec{with(of.batch, {of.n, of.m}), of.type}};
}

// ---- batching: lanes are one more leading axis

Arrays vmap_one(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  out_axes = {};
  for (size_t i = 0; i < node.out.size(); ++i) out_axes.push_back(0);
  return record_all(*node.op, node.attributes, {batch_first(in[0], axes[0])}, node.stream);
}
Arrays vmap_system(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  out_axes = {0};
  return {record(*node.op, node.attributes,
                 {lane_first(in[0], axes[0], lanes), lane_first(in[1], axes[1], lanes)},
                 node.stream)};
}

// ---- what the derivatives are made of

array adjoint(const array& a) { return matrix_transpose(conjugate(a)); }
array diagonal_of(const array& a) { return diagonal(a, 0, -2, -1); }
array column(const array& v) { return expand_dims(v, {-1}); }
array row(const array& v) { return expand_dims(v, {-2}); }
array identity(int64_t n, Dtype t) { return eye(n, n, 0, t); }
array on_diagonal(const array& v, Dtype t) {  // the vector as a diagonal matrix
  return astype(column(v), t) * identity(v.shape(-1), t);
}
array given(const array& cotangent, const Node& node, uint32_t i) {
  return cotangent ? cotangent : zeros_like(recorded(node, i));
}
array times_i(const array& a) { return a * Scalar(std::complex<double>(0, 1)); }

// The Hermitian matrix whose triangle is a's, and the adjoint of that map.
array hermitian(const array& a, bool upper) {
  const array part = upper ? triu(a, 1) : tril(a, -1);
  return part + adjoint(part) + on_diagonal(real(diagonal_of(a)), a.dtype());
}
array to_triangle(const array& g, bool upper) {
  const array both = g + adjoint(g);
  return (upper ? triu(both, 1) : tril(both, -1)) +
         on_diagonal(real(diagonal_of(g)), g.dtype());
}
// 1 / (w_j - w_i), 0 where these are equal.
array inverse_differences(const array& w) {
  const array d = row(w) - column(w), none = equal(d, 0);
  return where(none, 0, reciprocal(where(none, 1, d)));
}

// ---- systems

Arrays vjp_solve(const Node& node, const Arrays& cts, const Needs& needs) {
  const array gb = solve(adjoint(node.inputs[0]), cts[0]);
  return {needs[0] ? -matmul(gb, adjoint(recorded(node, 0))) : array(), needs[1] ? gb : array()};
}
array change_of_system(const Node& node, const Arrays& t, const array& da) {
  array right = da ? -matmul(da, recorded(node, 0)) : array();
  if (t[1]) right = right ? right + t[1] : t[1];
  return right;
}
Arrays jvp_solve(const Node& node, const Arrays& t) {
  return {solve(node.inputs[0], change_of_system(node, t, t[0]))};
}

array triangle(const array& a, bool upper) { return upper ? triu(a) : tril(a); }
Arrays vjp_triangular(const Triangular& how, const Node& node, const Arrays& cts,
                      const Needs& needs) {
  const array gb = solve_triangular(adjoint(node.inputs[0]), cts[0], !how.upper);
  return {needs[0] ? triangle(-matmul(gb, adjoint(recorded(node, 0))), how.upper) : array(),
          needs[1] ? gb : array()};
}
Arrays jvp_triangular(const Triangular& how, const Node& node, const Arrays& t) {
  const array da = t[0] ? triangle(t[0], how.upper) : array();
  return {solve_triangular(node.inputs[0], change_of_system(node, t, da), how.upper)};
}

Arrays vjp_inv(const Node& node, const Arrays& cts, const Needs&) {
  const array y = adjoint(recorded(node, 0));
  return {-matmul(matmul(y, cts[0]), y)};
}
Arrays jvp_inv(const Node& node, const Arrays& t) {
  const array y = recorded(node, 0);
  return {-matmul(matmul(y, t[0]), y)};
}

// Golub and Pereyra (1973), for matrices whose rank does not change.
Arrays vjp_pinv(const Node& node, const Arrays& cts, const Needs&) {
  const array &a = node.inputs[0], p = recorded(node, 0), g = cts[0];
  const array ph = adjoint(p), gh = adjoint(g);
  const array left = g - matmul(matmul(g, a), p), right = g - matmul(p, matmul(a, g));
  return {matmul(adjoint(left), matmul(p, ph)) + matmul(matmul(ph, p), adjoint(right)) -
          matmul(matmul(ph, g), ph)};
}
Arrays jvp_pinv(const Node& node, const Arrays& t) {
  const array &a = node.inputs[0], p = recorded(node, 0);
  const array ph = adjoint(p), dh = adjoint(t[0]);
  const array left = matmul(matmul(p, ph), dh), right = matmul(dh, matmul(ph, p));
  return {left - matmul(matmul(left, a), p) + right - matmul(p, matmul(a, right)) -
          matmul(matmul(p, t[0]), p)};
}

// ---- Cholesky: dL = L f(inv(L) dA inv(L)*), f the lower triangle with half the diagonal

array half_triangle(const array& a) {
  return tril(a, -1) + on_diagonal(diagonal_of(a), a.dtype()) * 0.5;
}
Arrays vjp_cholesky(const Node& node, const Arrays& cts, const Needs&) {
  const array l = recorded(node, 0), lh = adjoint(l);
  const array inner = half_triangle(matmul(lh, tril(cts[0])));
  const array left = solve_triangular(lh, inner, true);  // times inv(L), from the right
  return {to_triangle(adjoint(solve_triangular(lh, adjoint(left), true)), false)};
}
Arrays jvp_cholesky(const Node& node, const Arrays& t) {
  const array l = recorded(node, 0);
  const array left = solve_triangular(l, hermitian(t[0], false));
  return {matmul(l, half_triangle(solve_triangular(l, adjoint(left))))};
}

// ---- determinants: by the trace of adj(A) dA, where adj(A) = det(A) inv(A), singular or not; of
// logarithms by that of inv(A) dA

array adjugate(const array& a) { return record(adjugate_op, {}, {a}); }
Arrays vjp_det(const Node& node, const Arrays& cts, const Needs&) {
  return {column(column(cts[0])) * adjoint(adjugate(node.inputs[0]))};
}
array log_slope(const Node& node, const Arrays& t) {
  return sum(diagonal_of(solve(node.inputs[0], t[0])), {-1});
}
Arrays jvp_det(const Node& node, const Arrays& t) {
  return {sum(diagonal_of(matmul(adjugate(node.inputs[0]), t[0])), {-1})};
}
// Of regular matrices: d adj = tr(B dA) adj - B dA adj, B the inverse.
Arrays vjp_adjugate(const Node& node, const Arrays& cts, const Needs&) {
  const array b = adjoint(inv(node.inputs[0])), y = adjoint(recorded(node, 0));
  const array along = sum(cts[0] * conjugate(recorded(node, 0)), {-2, -1});
  return {column(column(along)) * b - matmul(matmul(b, cts[0]), y)};
}
Arrays jvp_adjugate(const Node& node, const Arrays& t) {
  const array moved = solve(node.inputs[0], t[0]), y = recorded(node, 0);
  return {column(column(sum(diagonal_of(moved), {-1}))) * y - matmul(moved, y)};
}
Arrays vjp_slogdet(const Node& node, const Arrays& cts, const Needs&) {
  array g = given(cts[1], node, 1);
  if (cts[0] && is_complex(cts[0].dtype()))
    g = g - times_i(imag(conjugate(cts[0]) * recorded(node, 0)));
  return {column(column(g)) * adjoint(inv(node.inputs[0]))};
}
Arrays jvp_slogdet(const Node& node, const Arrays& t) {
  const array slope = log_slope(node, t), sign = recorded(node, 0);
  return {is_complex(sign.dtype()) ? sign * times_i(imag(slope)) : zeros_like(sign), real(slope)};
}

// ---- LU of rows in the order that pivoting gave them, which small changes keep: of the square
// part, with M = inv(L) dA inv(U), dL = L tril(M, -1) and dU = triu(M) U. Rows below are L2 = A2
// inv(U), columns behind U2 = inv(L) A2.

struct Factors {
  int64_t m, n, k;
  array low, high;      // the square parts of L and U
  array below, behind;  // L2, where there are more rows; U2, where there are more columns
  explicit Factors(const Node& node) {
    const array packed = recorded(node, 0);
    m = packed.shape(-2);
    n = packed.shape(-1);
    k = std::min(m, n);
    const array square = part(packed, 0, k, 0, k);
    low = tril(square, -1) + identity(k, packed.dtype());
    high = triu(square);
    if (m > k) below = part(packed, k, m, 0, k);
    if (n > k) behind = part(packed, 0, k, k, n);
  }
  static array part(const array& a, int64_t top, int64_t bottom, int64_t left, int64_t right) {
    return slice_axis(slice_axis(a, a.ndim() - 2, top, bottom), a.ndim() - 1, left, right);
  }
  array with_rest(const array& square, const array& rest) const {
    if (!rest) return square;
    return concatenate({square, rest}, m > k ? -2 : -1);
  }
};
// The last output says where each row of the matrix went.
array rows_in(const array& a, const array& order) {
  return take_along_axis(a, broadcast_to(column(order), a.shape()), -2);
}
array over(const array& a, const array& upper) {  // a inv(upper)
  return adjoint(solve_triangular(adjoint(upper), adjoint(a)));
}
Arrays jvp_lu(const Node& node, const Arrays& t) {
  const Factors f(node);
  const array d = rows_in(t[0], argsort(recorded(node, 2), -1));
  const array m = over(solve_triangular(f.low, f.part(d, 0, f.k, 0, f.k)), f.high);
  const array dl = matmul(f.low, tril(m, -1)), du = matmul(triu(m), f.high);
  array rest;
  if (f.below) rest = over(f.part(d, f.k, f.m, 0, f.k) - matmul(f.below, du), f.high);
  if (f.behind) rest = solve_triangular(f.low, f.part(d, 0, f.k, f.k, f.n) - matmul(dl, f.behind));
  return {f.with_rest(dl + du, rest), zeros_like(recorded(node, 1)),
          zeros_like(recorded(node, 2))};
}
Arrays vjp_lu(const Node& node, const Arrays& cts, const Needs&) {
  const Factors f(node);
  const array g = given(cts[0], node, 0), square = f.part(g, 0, f.k, 0, f.k);
  const array lh = adjoint(f.low), uh = adjoint(f.high);
  array gl = tril(square, -1), gu = triu(square), rest;
  if (f.below) {
    rest = adjoint(solve_triangular(f.high, adjoint(f.part(g, f.k, f.m, 0, f.k)), true));
    gu = gu - matmul(adjoint(f.below), rest);
  }
  if (f.behind) {
    rest = solve_triangular(lh, f.part(g, 0, f.k, f.k, f.n), true);
    gl = gl - matmul(rest, adjoint(f.behind));
  }
  const array inner = tril(matmul(lh, gl), -1) + triu(matmul(gu, uh));
  const array left = solve_triangular(lh, inner, true);
  const array first = adjoint(solve_triangular(f.high, adjoint(left), true));
  return {rows_in(f.with_rest(first, rest), recorded(node, 2))};
}

// ---- QR: Q* dQ is antihermitian, dR upper with a real diagonal

array lower_antihermitian(const array& c) {
  const array low = tril(c, -1);
  array out = low - adjoint(low);
  if (is_complex(c.dtype())) out = out + on_diagonal(times_i(imag(diagonal_of(c))), c.dtype());
  return out;
}
void check_differentiable(const Qr& how, const Node& node) {
  const array& a = node.inputs[0];
  if (how.complete && a.shape(-2) > a.shape(-1))
    fail(Kind::value, "qr",
         "the derivative of mode complete is not defined for a tall matrix: got ", "shape ",
         a.shape());
}
array columns(const array& a, int64_t from, int64_t to) {
  return slice_axis(a, a.ndim() - 1, from, to);
}
// Both factors, also of a node that gives r alone.
Arrays factors(const Qr& how, const Node& node) {
  if (how.vectors) return {recorded(node, 0), recorded(node, 1)};
  return record_all(qr_op, attrs(Qr{how.complete, true}), {node.inputs[0]});
}
Arrays vjp_qr(const Qr& how, const Node& node, const Arrays& cts, const Needs&) {
  check_differentiable(how, node);
  const int64_t n = node.inputs[0].shape(-1), k = std::min(n, node.inputs[0].shape(-2));
  const Arrays both = factors(how, node);
  const array& q = both[0];
  array r = both[1], rest, gq = how.vectors ? given(cts[0], node, 0) : zeros_like(q),
        gr = given(cts.back(), node, how.vectors);
  if (n > k) {  // the columns behind: R2 = Q* A2
    const array g2 = columns(gr, k, n);
    rest = matmul(q, g2);
    gq = gq + matmul(columns(node.inputs[0], k, n), adjoint(g2));
    gr = columns(gr, 0, k);
    r = columns(r, 0, k);
  }
  const array d = matmul(triu(gr), adjoint(r)) - matmul(adjoint(q), gq);
  const array low = tril(d - adjoint(d), -1);
  array c = d - low;
  if (is_complex(d.dtype())) c = c - on_diagonal(times_i(imag(diagonal_of(d))), d.dtype());
  // times the inverse of R*, from the right
  const array first = adjoint(solve_triangular(r, adjoint(gq + matmul(q, c)), true));
  return {rest ? concatenate({first, rest}, -1) : first};
}
Arrays jvp_qr(const Qr& how, const Node& node, const Arrays& t) {
  check_differentiable(how, node);
  const int64_t n = node.inputs[0].shape(-1), k = std::min(n, node.inputs[0].shape(-2));
  const Arrays both = factors(how, node);
  const array &q = both[0], r = columns(both[1], 0, k);
  const array m = over(columns(t[0], 0, k), r), c = matmul(adjoint(q), m);
  const array turn = lower_antihermitian(c);
  const array dq = m - matmul(q, c - turn);
  array dr = triu(matmul(c - turn, r));
  if (n > k)
    dr = concatenate({dr, matmul(adjoint(dq), columns(node.inputs[0], k, n)) +
                              matmul(adjoint(q), columns(t[0], k, n))},
                     -1);
  return how.vectors ? Arrays{dq, dr} : Arrays{dr};
}

// ---- SVD, thin

void check_differentiable(const Svd& how, const Node& node) {
  const array& a = node.inputs[0];
  if (how.vectors && how.full && a.shape(-1) != a.shape(-2))
    fail(Kind::value, "svd", "the derivative of full matrices is not defined: got shape ",
         a.shape(), "; use full_matrices=False");
}
Arrays thin_svd(const Svd& how, const Node& node) {
  if (how.vectors) return {recorded(node, 0), recorded(node, 1), recorded(node, 2)};
  return record_all(svd_op, attrs(Svd{false, true}), {node.inputs[0]});
}
array off_range(const array& u, const array& g) { return g - matmul(u, matmul(adjoint(u), g)); }

Arrays vjp_svd(const Svd& how, const Node& node, const Arrays& cts, const Needs&) {
  check_differentiable(how, node);
  const Arrays all = thin_svd(how, node);
  const array &u = all[0], &s = all[1], &vh = all[2];
  const Dtype t = u.dtype();
  const array gs = cts[how.vectors ? 1 : 0];
  array middle = gs ? on_diagonal(gs, t) : array();
  auto plus = [](array& sum, const array& more) { sum = sum ? sum + more : more; };
  array out;
  if (how.vectors && (cts[0] || cts[2])) {
    const array f = inverse_differences(square(s)), one_over = where(equal(s, 0), 0, reciprocal(s));
    array phase;
    if (cts[0]) {
      const array x = f * matmul(adjoint(u), cts[0]);
      plus(middle, (x + adjoint(x)) * row(s));
      if (is_complex(t)) phase = imag(diagonal_of(matmul(adjoint(u), cts[0])));
      if (u.shape(-2) > u.shape(-1)) plus(out, matmul(off_range(u, cts[0]) * row(one_over), vh));
    }
    if (cts[2]) {
      const array v = adjoint(vh), gv = adjoint(cts[2]), full = matmul(vh, gv), y = f * full;
      plus(middle, column(s) * (y + adjoint(y)));
      if (is_complex(t)) plus(phase, -imag(diagonal_of(full)));
      if (v.shape(-2) > v.shape(-1))
        plus(out, matmul(u * row(one_over), adjoint(off_range(v, gv))));
    }
    if (phase) plus(middle, on_diagonal(times_i(phase * one_over * 0.5), t));
  }
  if (middle) plus(out, matmul(matmul(u, middle), vh));
  return {out ? out : zeros_like(node.inputs[0])};
}
Arrays jvp_svd(const Svd& how, const Node& node, const Arrays& tangents) {
  check_differentiable(how, node);
  const Arrays all = thin_svd(how, node);
  const array &u = all[0], &s = all[1], &vh = all[2], &da = tangents[0];
  const Dtype t = u.dtype();
  const array v = adjoint(vh), m = matmul(matmul(adjoint(u), da), v);
  const array ds = real(diagonal_of(m));
  if (!how.vectors) return {ds};
  const array f = inverse_differences(square(s)), one_over = where(equal(s, 0), 0, reciprocal(s));
  const array right = m * row(s), left = column(s) * m;
  array p = f * (right + adjoint(right)), q = f * (left + adjoint(left));
  if (is_complex(t)) {
    const array phase = on_diagonal(times_i(imag(diagonal_of(m)) * one_over * 0.5), t);
    p = p + phase;
    q = q - phase;
  }
  array du = matmul(u, p), dv = matmul(v, q);
  if (u.shape(-2) > u.shape(-1)) du = du + off_range(u, matmul(da, v)) * row(one_over);
  if (v.shape(-2) > v.shape(-1)) dv = dv + off_range(v, matmul(adjoint(da), u)) * row(one_over);
  return {du, ds, adjoint(dv)};
}

// ---- eigenvalues

Arrays vjp_eigh(const Eigh& how, const Node& node, const Arrays& cts, const Needs&) {
  array w, v;
  if (how.vectors) {
    w = recorded(node, 0);
    v = recorded(node, 1);
  } else {
    const Arrays all = record_all(eigh_op, attrs(Eigh{how.upper, true}), {node.inputs[0]});
    w = all[0];
    v = all[1];
  }
  array middle = cts[0] ? on_diagonal(cts[0], v.dtype()) : array();
  if (how.vectors && cts[1]) {
    const array turn = inverse_differences(w) * matmul(adjoint(v), cts[1]);
    middle = middle ? middle + turn : turn;
  }
  return {to_triangle(matmul(matmul(v, middle), adjoint(v)), how.upper)};
}
Arrays jvp_eigh(const Eigh& how, const Node& node, const Arrays& t) {
  array w, v;
  if (how.vectors) {
    w = recorded(node, 0);
    v = recorded(node, 1);
  } else {
    const Arrays all = record_all(eigh_op, attrs(Eigh{how.upper, true}), {node.inputs[0]});
    v = all[1];
  }
  const array m = matmul(matmul(adjoint(v), hermitian(t[0], how.upper)), v);
  const array dw = real(diagonal_of(m));
  if (!how.vectors) return {dw};
  return {dw, matmul(v, inverse_differences(w) * m)};
}

// Vectors of length 1: what changes it is taken off.
array along_unit(const array& v, const array& g) {
  return g - v * row(real(diagonal_of(matmul(adjoint(v), g))));
}
Arrays all_of_eig(const Eig& how, const Node& node) {
  if (how.vectors) return {recorded(node, 0), recorded(node, 1)};
  return record_all(eig_op, attrs(Eig{true}), {node.inputs[0]});
}
Arrays vjp_eig(const Eig& how, const Node& node, const Arrays& cts, const Needs&) {
  const Arrays all = all_of_eig(how, node);
  const array &w = all[0], &v = all[1], vh = adjoint(v);
  array middle = cts[0] ? on_diagonal(cts[0], v.dtype()) : array();
  if (how.vectors && cts[1]) {
    const array turn = conjugate(inverse_differences(w)) * matmul(vh, along_unit(v, cts[1]));
    middle = middle ? middle + turn : turn;
  }
  const array out = solve(vh, matmul(middle, vh));
  const Dtype t = node.inputs[0].dtype();
  return {is_complex(t) ? out : real(out)};
}
Arrays jvp_eig(const Eig& how, const Node& node, const Arrays& t) {
  const Arrays all = all_of_eig(how, node);
  const array &w = all[0], &v = all[1];
  const array m = solve(v, matmul(astype(t[0], v.dtype()), v));
  if (!how.vectors) return {diagonal_of(m)};
  return {diagonal_of(m), along_unit(v, matmul(v, inverse_differences(w) * m))};
}

// ---- the exponential: exp([A, E; 0, A]) holds its change along E (Mathias, 1996)

array change_of_exp(const array& a, const array& e) {
  const int64_t n = a.shape(-1);
  const array top = concatenate({a, e}, -1), low = concatenate({zeros_like(a), a}, -1);
  const array both = matrix_exp(concatenate({top, low}, -2));
  return columns(slice_axis(both, both.ndim() - 2, 0, n), n, 2 * n);
}
Arrays vjp_exp(const Node& node, const Arrays& cts, const Needs&) {
  return {change_of_exp(adjoint(node.inputs[0]), cts[0])};
}
Arrays jvp_exp(const Node& node, const Arrays& t) {
  return {change_of_exp(node.inputs[0], t[0])};
}

}  // namespace

// ---- ops

const Op solve_op = op("solve", "The solution of a system of equations.",
                       {.slow = true,
                        .infer = typed<infer_solve>,
                        .vjp = vjp_solve,
                        .jvp = jvp_solve,
                        .vmap = vmap_system});
const Op triangular_op = op<Triangular>("solve_triangular", "The solution of a triangular system.",
                                        {.slow = true,
                                         .infer = typed<infer_triangular>,
                                         .vjp = typed<vjp_triangular>,
                                         .jvp = typed<jvp_triangular>,
                                         .vmap = vmap_system});
const Op inv_op = op("inv", "The inverse of a matrix.",
                     {.slow = true,
                      .infer = typed<infer_inv>,
                      .vjp = vjp_inv,
                      .jvp = jvp_inv,
                      .vmap = vmap_one});
const Op cholesky_op = op("cholesky", "The lower Cholesky factor.",
                          {.slow = true,
                           .infer = typed<infer_cholesky>,
                           .vjp = vjp_cholesky,
                           .jvp = jvp_cholesky,
                           .vmap = vmap_one});
const Op det_op = op("det", "The determinant.",
                     {.slow = true,
                      .infer = typed<infer_det>,
                      .vjp = vjp_det,
                      .jvp = jvp_det,
                      .vmap = vmap_one});
const Op adjugate_op =
    op("adjugate", "The determinant times the inverse, of singular matrices too.",
       {.slow = true,
        .infer = typed<infer_adjugate>,
        .vjp = vjp_adjugate,
        .jvp = jvp_adjugate,
        .vmap = vmap_one});
const Op slogdet_op = op("slogdet", "Sign and logarithm of the determinant.",
                         {.slow = true,
                          .infer = typed<infer_slogdet>,
                          .vjp = vjp_slogdet,
                          .jvp = jvp_slogdet,
                          .vmap = vmap_one});
const Op lu_op = op("lu", "LU factors with row pivots.",
                    {.slow = true,
                     .infer = typed<infer_lu>,
                     .vjp = vjp_lu,
                     .jvp = jvp_lu,
                     .vmap = vmap_one});
const Op qr_op = op<Qr>("qr", "Orthonormal columns times an upper triangle.",
                        {.slow = true,
                         .infer = typed<infer_qr>,
                         .vjp = typed<vjp_qr>,
                         .jvp = typed<jvp_qr>,
                         .vmap = vmap_one});
const Op svd_op = op<Svd>("svd", "Singular values and vectors.",
                          {.slow = true,
                           .infer = typed<infer_svd>,
                           .vjp = typed<vjp_svd>,
                           .jvp = typed<jvp_svd>,
                           .vmap = vmap_one});
const Op eigh_op = op<Eigh>("eigh", "Eigenvalues and vectors of a Hermitian matrix.",
                            {.slow = true,
                             .infer = typed<infer_eigh>,
                             .vjp = typed<vjp_eigh>,
                             .jvp = typed<jvp_eigh>,
                             .vmap = vmap_one});
const Op eig_op = op<Eig>("eig", "Eigenvalues and vectors.",
                          {.slow = true,
                           .infer = typed<infer_eig>,
                           .vjp = typed<vjp_eig>,
                           .jvp = typed<jvp_eig>,
                           .vmap = vmap_one});
const Op pinv_op = op<Pinv>("pinv", "The pseudo-inverse.",
                            {.slow = true,
                             .infer = typed<infer_pinv>,
                             .vjp = vjp_pinv,
                             .jvp = jvp_pinv,
                             .vmap = vmap_one});
const Op exp_op = op("matrix_exp", "The exponential of a matrix.",
                     {.slow = true,
                      .infer = typed<infer_exp>,
                      .vjp = vjp_exp,
                      .jvp = jvp_exp,
                      .vmap = vmap_one});

}  // namespace lazulite::linalg

namespace lazulite {
OpList linalg_ops() {
  using namespace linalg;
  return {&solve_op, &triangular_op, &inv_op, &cholesky_op, &det_op, &slogdet_op, &adjugate_op,
          &lu_op,    &qr_op,         &svd_op, &eigh_op,     &eig_op, &pinv_op,    &exp_op};
}
}  // namespace lazulite
