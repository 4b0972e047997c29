// Lines through points, polynomials, correlations.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/compose/array.h"
#include "ops/compose/statistics.h"
#include "ops/create/create.h"
#include "ops/cumulative/cumulative.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/index.h"
#include "ops/linalg/linalg.h"
#include "ops/matmul/matmul.h"
#include "ops/numeric/numeric.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"
#include "ops/sort/sort.h"

namespace lazulite {

array interp(const array& given, const array& places, const array& values,
             const std::optional<Operand>& left, const std::optional<Operand>& right,
             const std::optional<double>& period, Stream s) {
  constexpr const char* op = "interp";
  if (places.ndim() != 1 || places.shape() != values.shape() || places.size() == 0)
    fail(Kind::value, op, "points are not vectors of one size: got shapes ", places.shape(),
         " and ", values.shape());
  if (is_complex(given.dtype()) || is_complex(places.dtype()))
    fail(Kind::value, op, "dtype without an order: got ",
         is_complex(given.dtype()) ? given.dtype() : places.dtype());
  if (period && !(*period != 0 && std::isfinite(*period)))
    fail(Kind::value, op, "no period: got ", *period, ", expected a number other than 0");
  const Dtype t = inexact_type(promote(given.dtype(), places.dtype())), wide = compute_type(t);
  const Dtype of_values = promote(t, inexact_type(values.dtype())),
              result = compute_type(of_values);
  array x = astype(given, wide, s), xp = astype(places, wide, s), fp = astype(values, result, s);
  if (period) {
    const double p = std::abs(*period);
    x = remainder(x, p, s);
    xp = remainder(xp, p, s);
    const array order = argsort(xp, 0, false, s);
    xp = take(xp, order, 0, s);
    fp = take(fp, order, 0, s);
    const int64_t n = xp.size();
    auto end = [&](const array& v, int64_t at) { return slice_axis(v, 0, at, at + 1, s); };
    xp = concatenate({subtract(end(xp, n - 1), p, s), xp, add(end(xp, 0), p, s)}, 0, s);
    fp = concatenate({end(fp, n - 1), fp, end(fp, 0)}, 0, s);
  }
  const int64_t n = xp.size();
  auto at = [&](const array& v, int64_t i) {
    return reshape(slice_axis(v, 0, i, i + 1, s), {}, s);
  };
  array y = lines_through(xp, fp, x, s);
  if (!period) {
    if (left) y = where(less(x, at(xp, 0), s), *left, y, s);
    if (right) y = where(greater(x, at(xp, n - 1), s), *right, y, s);
  }
  return astype(y, promote(of_values, y.dtype() == result ? of_values : y.dtype()), s);
}

array unwrap(const array& p, const std::optional<double>& discont, int axis, const Scalar& period,
             Stream s) {
  if (is_complex(p.dtype()) || is_bool(p.dtype()))
    fail(Kind::value, "unwrap", "dtype not supported: got ", p.dtype());
  axis = normal_axis(axis, p.ndim(), "unwrap");
  const Operand whole(p), step(period);
  const Dtype given = result_type({&whole, &step}),
              t = is_unsigned(given) ? int64 : compute_type(given);  // steps have signs
  const array a = astype(p, t, s);
  const int64_t n = a.shape()[axis];
  if (n < 2) return astype(p, given, s);
  const bool integers = is_integer(t);
  const bool even = !integers || period.wrapped() % 2 == 0;  // half a period is as far both ways
  const Scalar half = integers ? Scalar(period.wrapped() / 2) : Scalar(period.real() / 2);
  // A constant to derivatives: whole periods are added.
  const array steps = diff(stop_gradient(a, s), 1, axis, {}, {}, s);
  array within = subtract(remainder(add(steps, half, s), period, s), half, s);
  if (even)
    within = where(logical_and(equal(within, negative(as_array(half, t, "unwrap", s), s), s),
                               greater(steps, 0, s), s),
                   half, within, s);
  const double least = std::max(discont.value_or(half.real()), half.real());
  const array more = where(less(abs(steps, s), least, s), 0, subtract(within, steps, s), s);
  const array head = slice_axis(a, axis, 0, 1, s), tail = slice_axis(a, axis, 1, n, s);
  const array moved = add(tail, cumsum(more, axis, false, Start::inclusive, s), s);
  return astype(concatenate({head, moved}, axis, s), given, s);
}

// ---- polynomials

array polyval(const array& p, const Operand& x, Stream s) {
  if (p.ndim() != 1)
    fail(Kind::value, "polyval", "coefficients are no vector: got shape ", p.shape());
  const Operand coefficients(p);
  const Dtype t = result_type({&coefficients, &x});
  const array v = as_array(x, t, "polyval", s), c = astype(p, t, s);
  array y = zeros_like(v, s);
  for (int64_t i = 0; i < p.size(); ++i) {
    const array next = reshape(slice_axis(c, 0, i, i + 1, s), {}, s);
    y = i ? add(multiply(y, v, s), next, s) : broadcast_to(next, v.shape(), s);
  }
  return y;
}

namespace {
struct Fit {
  array coefficients, residuals, rank, values, lengths, powers;
  double rcond;
};
Fit fitted(const array& gx, const array& gy, int64_t degree, const std::optional<double>& rcond,
           const std::optional<array>& weights, Stream s) {
  constexpr const char* op = "polyfit";
  if (degree < 0) fail(Kind::value, op, "negative degree: got ", degree);
  if (gx.ndim() != 1 || gx.size() == 0)
    fail(Kind::value, op, "x is no vector of numbers: got shape ", gx.shape());
  if (gy.ndim() < 1 || gy.ndim() > 2 || gy.shape()[0] != gx.size())
    fail(Kind::value, op, "y does not fit: got shape ", gy.shape(), " for ", gx.size(), " numbers");
  if (weights && weights->shape() != gx.shape())
    fail(Kind::value, op, "weights do not fit: got shape ", weights->shape(), ", expected ",
         gx.shape());
  if (degree > 10000) fail(Kind::value, op, "degree too high: got ", degree);
  const Dtype t = compute_type(inexact_type(promote(gx.dtype(), gy.dtype())));
  const array x = astype(gx, t, s);
  array y = astype(gy, t, s);
  std::vector<array> columns{ones_like(x, s)};
  for (int64_t i = 0; i < degree; ++i) columns.push_back(multiply(columns.back(), x, s));
  std::reverse(columns.begin(), columns.end());
  array powers = stack(columns, 1, s);
  if (weights) {
    const array w = astype(*weights, t, s);
    powers = multiply(powers, expand_dims(w, {1}, s), s);
    y = multiply(y, y.ndim() == 2 ? expand_dims(w, {1}, s) : w, s);
  }
  Fit out;
  const double epsilon = real_type(t) == float64 ? 0x1p-52 : 0x1p-23;
  out.rcond = rcond.value_or(double(gx.size()) * epsilon);
  // A power that is zero everywhere keeps its length of zero out of the quotient: its factor is 0.
  const array lengths = sqrt(sum(square(abs(powers, s), s), {0}, false, s), s);
  out.lengths = where(equal(lengths, 0, s), ones_like(lengths, s), lengths, s);
  out.powers = divide(powers, out.lengths, s);
  const std::vector<array> solved = linalg::lstsq(out.powers, y, out.rcond, s);
  out.coefficients = divide(
      solved[0], y.ndim() == 2 ? expand_dims(out.lengths, {1}, s) : out.lengths, s);
  out.residuals = solved[1];
  out.rank = solved[2];
  out.values = solved[3];
  return out;
}
}  // namespace

std::vector<array> polyfit(const array& x, const array& y, int64_t degree,
                           const std::optional<double>& rcond,
                           const std::optional<array>& weights, Stream s) {
  const Fit fit = fitted(x, y, degree, rcond, weights, s);
  return {fit.coefficients, fit.residuals, fit.rank, fit.values, array(Scalar(fit.rcond), float64)};
}

std::pair<array, array> polyfit_covariance(const array& x, const array& y, int64_t degree,
                                           const std::optional<double>& rcond,
                                           const std::optional<array>& weights, bool scaled,
                                           Stream s) {
  const Fit fit = fitted(x, y, degree, rcond, weights, s);
  array base = linalg::inv(matmul(matrix_transpose(conjugate(fit.powers, s), s), fit.powers, s), s);
  base = divide(base, multiply(expand_dims(fit.lengths, {1}, s), fit.lengths, s), s);
  const int64_t left = x.size() - (degree + 1);
  if (!scaled) return {fit.coefficients, y.ndim() == 2 ? expand_dims(base, {2}, s) : base};
  if (left <= 0)
    fail(Kind::value, "polyfit", "too few numbers for a covariance: got ", x.size(),
         ", expected more than ", degree + 1);
  const array factor = divide(fit.residuals, double(left), s);
  return {fit.coefficients, y.ndim() == 2 ? multiply(expand_dims(base, {2}, s), factor, s)
                                          : multiply(base, factor, s)};
}

// ---- correlations
namespace {
array as_rows(const array& a, bool rows, const char* op, Stream s) {
  if (a.ndim() > 2) fail(Kind::value, op, "more than two axes: got shape ", a.shape());
  const array m = atleast_2d(a, s);
  return rows || a.ndim() < 2 ? m : matrix_transpose(m, s);
}
array counted(const std::optional<array>& w, const array& x, const char* name, Stream s) {
  if (w->ndim() != 1 || w->size() != x.shape(1))
    fail(Kind::value, "cov", name, " do not fit: got shape ", w->shape(), ", expected (",
         x.shape(1), ",)");
  return astype(*w, real_type(x.dtype()), s);
}

Dtype type_of_both(const array& m, const std::optional<array>& y) {
  return inexact_type(y ? promote(m.dtype(), y->dtype()) : m.dtype());
}
// Of halves in float32.
array covariance(const array& m, const std::optional<array>& y, const CovarianceOptions& o,
                 Stream s) {
  array x = as_rows(m, o.rows, "cov", s);
  const Dtype t = compute_type(type_of_both(m, y));
  if (x.shape(0) == 0) return zeros({0, 0}, t, s);  // whatever y is, as in NumPy
  if (y) {
    const array other = as_rows(*y, o.rows, "cov", s);
    if (other.shape(1) != x.shape(1))
      fail(Kind::value, "cov", "numbers of observations differ: got ", x.shape(1), " and ",
           other.shape(1));
    x = concatenate({astype(x, t, s), astype(other, t, s)}, 0, s);
  }
  x = astype(x, t, s);
  const int64_t n = x.shape(1);
  const double ddof = o.ddof ? double(*o.ddof) : o.bias ? 0 : 1;
  std::optional<array> w;
  if (o.fweights) {
    if (!is_integral(o.fweights->dtype()))
      fail(Kind::type, "cov", "fweights are not integers: got ", o.fweights->dtype());
    w = counted(o.fweights, x, "fweights", s);
  }
  if (o.aweights) {
    const array a = counted(o.aweights, x, "aweights", s);
    w = w ? multiply(*w, a, s) : a;
  }
  const Dtype real = real_type(t);
  array total = array(Scalar(double(n)), real), fact;
  if (w) total = sum(*w, {0}, false, s);
  if (!w || !o.aweights || ddof == 0) fact = subtract(total, ddof, s);
  else
    fact = subtract(
        total,
        divide(multiply(sum(multiply(*w, counted(o.aweights, x, "aweights", s), s), {0}, false, s),
                        ddof, s),
               total, s),
        s);
  fact = maximum(fact, 0, s);
  auto centre = [&](const array& v) {
    return divide(sum(w ? multiply(v, *w, s) : v, {1}, true, s), total, s);
  };
  // What rounding has put the means off is the mean of what they leave (of no derivative: in exact
  // numbers it is 0).
  array off;
  if (w || n == 0) {
    const array near = subtract(x, centre(x), s);
    off = subtract(near, stop_gradient(centre(near), s), s);
  } else {
    const auto [mean, rest] = mean_parts(x, {1}, true, s);
    off = subtract(subtract(x, mean, s), rest, s);
  }
  const array weighed = w ? multiply(off, *w, s) : off;
  const array c = divide(matmul(off, matrix_transpose(conjugate(weighed, s), s), s), fact, s);
  return squeeze(c, s);
}
}  // namespace

array cov(const array& m, const std::optional<array>& y, const CovarianceOptions& o, Stream s) {
  return astype(covariance(m, y, o, s), type_of_both(m, y), s);
}

array corrcoef(const array& a, const std::optional<array>& y, bool rows, Stream s) {
  const array c = covariance(a, y, {.rows = rows}, s);
  const Dtype given = type_of_both(a, y);
  if (c.ndim() == 0) return astype(divide(c, c, s), given, s);
  const array spread = sqrt(real(diagonal(c, 0, 0, 1, s), s), s);
  const array r = divide(divide(c, expand_dims(spread, {1}, s), s), spread, s);
  if (!is_complex(r.dtype())) return astype(clip(r, Operand(-1), Operand(1), s), given, s);
  const array re = clip(real(r, s), Operand(-1), Operand(1), s),
              im = clip(imag(r, s), Operand(-1), Operand(1), s);
  return add(re, multiply(im, std::complex<double>(0, 1), s), s);
}

}  // namespace lazulite
