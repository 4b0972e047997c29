// Systems and factors: arguments are made what the ops take, and results what the functions give.
#include <algorithm>
#include <limits>

#include "ops/compose/array.h"
#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/linalg/ops.h"
#include "ops/matmul/matmul.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite::linalg {
namespace {

array inexact(const array& a, Stream s) { return astype(a, inexact_type(a.dtype()), s); }
array adjoint(const array& a, Stream s) { return matrix_transpose(conjugate(a, s), s); }
Shape with_batch(const Shape& batch, const array& a) {
  Shape shape = batch;
  shape.push_back(a.shape(-2));
  shape.push_back(a.shape(-1));
  return shape;
}
Shape batch_of(const array& a) { return Shape(a.shape().begin(), a.shape().end() - 2); }

array system(const char* name, const Op& op, AttrsRef attributes, const array& a, const array& b,
             Stream s) {
  const Dtype t = inexact_type(promote(a.dtype(), b.dtype()));
  if (a.ndim() < 2 || b.ndim() == 0)
    fail(Kind::value, name, "shapes do not fit: got ", a.shape(), " and ", b.shape(),
         ", expected a matrix, and a vector or matrix");
  const bool vector = b.ndim() == 1;
  array x = astype(a, t, s), y = astype(b, t, s);
  if (vector) y = expand_dims(y, {-1}, s);
  const Shape batch = broadcast_shapes(std::vector<Shape>{batch_of(x), batch_of(y)});
  x = broadcast_to(x, with_batch(batch, x), s);
  y = broadcast_to(y, with_batch(batch, y), s);
  const array out = record(op, std::move(attributes), {x, y}, s);
  return vector ? squeeze(out, {-1}, s) : out;
}

bool reads_upper(const char* name, const std::string& uplo) {
  if (uplo != "L" && uplo != "U" && uplo != "l" && uplo != "u")
    fail(Kind::value, name, "UPLO: got '", uplo, "', expected 'L' or 'U'");
  return uplo == "U" || uplo == "u";
}
std::vector<array> list(Arrays all) { return std::vector<array>(all.begin(), all.end()); }

double default_rtol(const array& a) {
  const double eps = real_type(inexact_type(a.dtype())) == float64
                         ? std::numeric_limits<double>::epsilon()
                         : std::numeric_limits<float>::epsilon();
  return a.ndim() < 2 ? eps : eps * double(std::max(a.shape(-1), a.shape(-2)));
}

}  // namespace

array solve(const array& a, const array& b, Stream s) {
  return system("solve", solve_op, {}, a, b, s);
}
array solve_triangular(const array& a, const array& b, bool upper, Stream s) {
  return system("solve_triangular", triangular_op, attrs(Triangular{upper}), a, b, s);
}
array inv(const array& a, Stream s) { return record(inv_op, {}, {inexact(a, s)}, s); }
array tri_inv(const array& a, bool upper, Stream s) {
  if (a.ndim() < 2) fail(Kind::value, "tri_inv", "not a matrix: got shape ", a.shape());
  return solve_triangular(a, eye(a.shape(-1), a.shape(-1), 0, inexact_type(a.dtype()), s), upper,
                          s);
}
namespace {
// A tolerance of each matrix beside its singular values.
Operand beside_values(const Operand& tolerance, Stream s) {
  return tolerance.is_array() ? Operand(expand_dims(tolerance.get(), {-1}, s)) : tolerance;
}
}  // namespace

array pinv(const array& a, const std::optional<Operand>& rtol, Stream s) {
  if (rtol && rtol->is_array()) {  // of each matrix its own
    const std::vector<array> parts = svd(a, true, false, s);
    const array& values = parts[1];
    if (values.shape(-1) == 0) return pinv(a, {}, s);
    const array least = multiply(max(values, {-1}, true, s), beside_values(*rtol, s), s);
    const array some = greater(values, least, s);
    const array inverse = astype(where(some, divide(1, where(some, values, 1, s), s), 0, s),
                                 values.dtype(), s);
    return matmul(multiply(adjoint(parts[2], s), expand_dims(inverse, {-2}, s), s),
                  adjoint(parts[0], s), s);
  }
  const Pinv how{rtol ? Scalar(rtol->scalar().real()) : Scalar(default_rtol(a))};
  return record(pinv_op, attrs(how), {inexact(a, s)}, s);
}

std::vector<array> lstsq(const array& a, const array& b, std::optional<double> rcond, Stream s) {
  if (a.ndim() < 2 || b.ndim() == 0 || a.shape(-2) != b.shape(b.ndim() == 1 ? 0 : -2))
    fail(Kind::value, "lstsq", "shapes do not fit: got ", a.shape(), " and ", b.shape());
  const double rtol = rcond.value_or(default_rtol(a));
  const array x = matmul(pinv(a, rtol, s), b, s), values = svdvals(a, s);
  array residuals = zeros({0}, real_type(x.dtype()), s);
  if (a.shape(-2) > a.shape(-1)) {
    const array off = subtract(matmul(a, x, s), b, s);
    residuals = sum(square(lazulite::abs(off, s), s), {b.ndim() == 1 ? -1 : -2}, b.ndim() == 1, s);
  }
  return {x, residuals, matrix_rank(a, {}, rtol, s), values};
}

array cholesky(const array& a, bool upper, Stream s) {
  const array x = inexact(a, s);
  if (!upper || x.ndim() < 2) return record(cholesky_op, {}, {x}, s);
  return adjoint(record(cholesky_op, {}, {adjoint(x, s)}, s), s);
}
array cholesky_inv(const array& factor, bool upper, Stream s) {
  const array y = tri_inv(factor, upper, s);
  return upper ? matmul(y, adjoint(y, s), s) : matmul(adjoint(y, s), y, s);
}

std::vector<array> lu_factor(const array& a, Stream s) {
  const Arrays all = record_all(lu_op, {}, {inexact(a, s)}, s);
  return {all[0], all[1]};
}
std::vector<array> lu(const array& a, Stream s) {
  const Arrays all = record_all(lu_op, {}, {inexact(a, s)}, s);
  const array& packed = all[0];
  const int64_t m = packed.shape(-2), n = packed.shape(-1), k = std::min(m, n);
  const array low = tril(slice_axis(packed, packed.ndim() - 1, 0, k, s), -1, s);
  return {all[2], add(low, eye(m, k, 0, packed.dtype(), s), s),
          triu(slice_axis(packed, packed.ndim() - 2, 0, k, s), 0, s)};
}

std::vector<array> qr(const array& a, const std::string& mode, Stream s) {
  if (mode != "reduced" && mode != "complete" && mode != "r")
    fail(Kind::value, "qr", "mode: got '", mode, "', expected 'reduced', 'complete' or 'r'");
  return list(record_all(qr_op, attrs(Qr{mode == "complete", mode != "r"}), {inexact(a, s)}, s));
}
std::vector<array> svd(const array& a, bool compute_uv, bool full_matrices, Stream s) {
  if (!compute_uv) return {svdvals(a, s)};
  return list(record_all(svd_op, attrs(Svd{full_matrices, true}), {inexact(a, s)}, s));
}
array svdvals(const array& a, Stream s) {
  return record(svd_op, attrs(Svd{false, false}), {inexact(a, s)}, s);
}
std::vector<array> eigh(const array& a, const std::string& uplo, Stream s) {
  const Eigh how{reads_upper("eigh", uplo), true};
  return list(record_all(eigh_op, attrs(how), {inexact(a, s)}, s));
}
array eigvalsh(const array& a, const std::string& uplo, Stream s) {
  return record(eigh_op, attrs(Eigh{reads_upper("eigvalsh", uplo), false}), {inexact(a, s)}, s);
}
std::vector<array> eig(const array& a, Stream s) {
  return list(record_all(eig_op, attrs(Eig{true}), {inexact(a, s)}, s));
}
array eigvals(const array& a, Stream s) {
  return record(eig_op, attrs(Eig{false}), {inexact(a, s)}, s);
}

array det(const array& a, Stream s) { return record(det_op, {}, {inexact(a, s)}, s); }
std::vector<array> slogdet(const array& a, Stream s) {
  return list(record_all(slogdet_op, {}, {inexact(a, s)}, s));
}
array matrix_exp(const array& a, Stream s) { return record(exp_op, {}, {inexact(a, s)}, s); }

array matrix_rank(const array& a, const std::optional<Operand>& tol,
                  const std::optional<Operand>& rtol, Stream s) {
  const array values = svdvals(a, s);
  if (tol) return sum(greater(values, beside_values(*tol, s), s), {-1}, false, s);
  if (values.shape(-1) == 0) return sum(greater(values, 0, s), {-1}, false, s);
  const Operand share = rtol ? beside_values(*rtol, s) : Operand(default_rtol(a));
  const array least = multiply(max(values, {-1}, true, s), share, s);
  return sum(greater(values, least, s), {-1}, false, s);
}

}  // namespace lazulite::linalg
