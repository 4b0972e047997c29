#include "ops/compose/statistics.h"

#include <algorithm>
#include <limits>

#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/index.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"
#include "ops/sort/sort.h"

namespace lazulite {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

array without_nan(const array& a, const Operand& instead, Stream s) {
  return is_inexact(a.dtype()) ? where(isnan(a, s), instead, a, s) : a;
}
array reduced(const array& kept, const Axes& axes, bool keepdims, int ndim, const char* op,
              Stream s) {
  const Axes at = normal_axes(axes, ndim, op);
  return keepdims || at.empty() ? kept : squeeze(kept, at, s);
}

array wide(const array& a, Stream s) {
  return astype(a, compute_type(inexact_type(a.dtype())), s);
}
// In float32 and above, by the corrected two-pass algorithm, as `var` has it: the sum of x - mean,
// which is 0 but for the rounding of the mean, says what that has added to the squares.
array variance(const array& a, const Axes& axes, double ddof, Stream s) {
  const array x = wide(a, s), count = count_numbers(a, axes, true, s);
  auto of_numbers = [&](const array& v) {
    return is_inexact(a.dtype()) ? where(isnan(a, s), 0, v, s) : v;
  };
  const array mean = divide(sum_numbers(a, axes, true, true, s), count, s);
  const array off = of_numbers(subtract(x, mean, s));
  auto size = [&](const array& v) {
    return is_complex(v.dtype()) ? add(square(real(v, s), s), square(imag(v, s), s), s)
                                 : square(v, s);
  };
  const array squares = sum(size(off), axes, true, s);
  const array excess = divide(size(sum(off, axes, true, s)), count, s);
  // Of no derivative: in exact numbers it is 0. What is not finite is in the squares already.
  const array known =
      stop_gradient(where(isfinite(excess, s), minimum(excess, squares, s), 0, s), s);
  const array left = subtract(count, double(ddof), s);
  return where(greater(left, 0, s), divide(subtract(squares, known, s), left, s), nan, s);
}

// What is as long as an axis of an array, laid along that axis.
array along(const array& v, const array& a, int axis, const char* op, const char* name, Stream s) {
  if (v.shape() == a.shape()) return v;
  if (v.ndim() != 1 || v.shape()[0] != a.shape()[axis])
    fail(Kind::value, op, name, " do not fit: got shape ", v.shape(), " for shape ", a.shape(),
         ", expected that, or (", a.shape()[axis], ",) for axis ", axis);
  Shape shape(a.ndim(), 1);
  shape[axis] = v.shape()[0];
  return reshape(v, shape, s);
}

}  // namespace

array nansum(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return sum_numbers(a, axes, keepdims, false, s);
}
array nanprod(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return prod(without_nan(a, 1, s), axes, keepdims, s);
}
array nanmax(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return max_number(a, axes, keepdims, s);
}
array nanmin(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return min_number(a, axes, keepdims, s);
}
array nanmean(const array& a, const Axes& axes, bool keepdims, Stream s) {
  const Dtype t = inexact_type(a.dtype());
  if (!is_inexact(a.dtype())) return mean(a, axes, keepdims, s);
  const array total = sum_numbers(a, axes, keepdims, true, s);
  return astype(divide(total, count_numbers(a, axes, keepdims, s), s), t, s);
}
array nanvar(const array& a, const Axes& axes, bool keepdims, double ddof, Stream s) {
  const Dtype t = real_type(inexact_type(a.dtype()));
  return reduced(astype(variance(a, axes, ddof, s), t, s), axes, keepdims, a.ndim(), "nanvar", s);
}
array nanstd(const array& a, const Axes& axes, bool keepdims, double ddof, Stream s) {
  const Dtype t = real_type(inexact_type(a.dtype()));
  return reduced(astype(sqrt(variance(a, axes, ddof, s), s), t, s), axes, keepdims, a.ndim(),
                 "nanstd", s);
}

// nan stands last: the middle of the numbers before it.
array nanmedian(const array& a, const Axes& axes, bool keepdims, Stream s) {
  if (!is_inexact(a.dtype()) || a.size() == 0) return median(a, axes, keepdims, s);
  const Axes at = normal_axes(axes, a.ndim(), "nanmedian");
  Axes order;
  Shape kept, ones = a.shape();
  for (int d = 0; d < a.ndim(); ++d)
    if (std::find(at.begin(), at.end(), d) == at.end())
      order.push_back(d), kept.push_back(a.shape()[d]);
  for (int d : at) order.push_back(d), ones[d] = 1;
  Shape lines = kept;
  lines.push_back(-1);
  const array sorted = sort(reshape(transpose(a, order, s), lines, s), -1, false, s);
  const array count = sum(astype(logical_not(isnan(sorted, s), s), int64, s), {-1}, true, s);
  auto place = [&](const Operand& i) {
    const array from = right_shift(subtract(count, i, s), 1, s);  // halved, rounded down
    return take_along_axis(sorted, maximum(from, 0, s), -1, s);
  };
  const Dtype wide = compute_type(a.dtype());
  const array low = astype(place(1), wide, s), high = astype(place(0), wide, s);
  const array middle =
      where(equal(low, high, s), low, add(multiply(low, 0.5, s), multiply(high, 0.5, s), s), s);
  const array out = astype(where(equal(count, 0, s), nan, middle, s), a.dtype(), s);
  return reshape(out, keepdims ? ones : kept, s);
}

array ptp(const array& a, const Axes& axes, bool keepdims, Stream s) {
  const auto [low, high] = minmax(a, axes, keepdims, s);
  return subtract(high, low, s);
}

std::pair<array, array> average(const array& a, const std::optional<array>& given,
                                const Axes& axes, bool keepdims, Stream s) {
  const Axes at = normal_axes(axes, a.ndim(), "average");
  if (!given) {
    double count = 1;
    for (int axis : at) count *= double(a.shape()[axis]);
    const array out = mean(a, at, keepdims, s);
    return {out, constant(count, out.shape(), out.dtype(), s)};
  }
  const array& weights = *given;
  if (weights.shape() != a.shape() && at.size() != 1)
    fail(Kind::value, "average", "weights do not fit: got shape ", weights.shape(), " for shape ",
         a.shape(), ", expected that, or those of one axis");
  const Dtype t = inexact_type(promote(a.dtype(), weights.dtype())), wider = compute_type(t);
  const array w = astype(
      along(weights, a, at.empty() ? 0 : at[0], "average", "weights", s), wider, s);
  const array total = sum(broadcast_to(w, a.shape(), s), at, keepdims, s);
  const array sums = sum(multiply(astype(a, wider, s), w, s), at, keepdims, s);
  return {astype(divide(sums, total, s), t, s), astype(total, t, s)};
}

array diff(const array& given, int n, int axis, const std::optional<Operand>& prepend,
           const std::optional<Operand>& append, Stream s) {
  if (n < 0) fail(Kind::value, "diff", "negative order: got ", n);
  axis = normal_axis(axis, given.ndim(), "diff");
  array a = given;
  if (n && (prepend || append)) {
    const Operand middle(given);
    const Dtype t = prepend && append ? result_type({&middle, &*prepend, &*append})
                    : prepend         ? result_type({&middle, &*prepend})
                                      : result_type({&middle, &*append});
    Shape one = given.shape();
    one[axis] = 1;
    auto part = [&](const Operand& x) {
      const array v = as_array(x, t, "diff", s);
      return v.ndim() ? v : broadcast_to(v, one, s);
    };
    std::vector<array> parts;
    if (prepend) parts.push_back(part(*prepend));
    parts.push_back(astype(given, t, s));
    if (append) parts.push_back(part(*append));
    a = concatenate(parts, axis, s);
  }
  const int64_t most = a.shape()[axis] + 1;  // nothing is left then
  for (int64_t i = 0; i < std::min<int64_t>(n, most); ++i) {
    const int64_t size = a.shape()[axis];
    const array high = slice_axis(a, axis, std::min<int64_t>(1, size), size, s),
                low = slice_axis(a, axis, 0, std::max<int64_t>(size - 1, 0), s);
    a = is_bool(a.dtype()) ? not_equal(high, low, s) : subtract(high, low, s);
  }
  return a;
}

array trapezoid(const array& given, const std::optional<array>& x, const Operand& dx, int axis,
                Stream s) {
  axis = normal_axis(axis, given.ndim(), "trapezoid");
  const array y = astype(given, inexact_type(given.dtype()), s);
  const int64_t size = y.shape()[axis];
  if (!x && size > 1) {  // all elements but half of each end
    const Dtype t = compute_type(y.dtype());
    auto part = [&](int64_t from, int64_t to) { return slice_axis(y, axis, from, to, s); };
    auto half = [&](int64_t at) {
      return multiply(astype(squeeze(part(at, at + 1), {axis}, s), t, s), 0.5, s);
    };
    const array middle = sum(astype(part(1, size - 1), t, s), {axis}, false, s),
                all = add(middle, add(half(0), half(size - 1), s), s);
    return multiply(astype(all, y.dtype(), s), dx, s);
  }
  const array middle = add(slice_axis(y, axis, std::min<int64_t>(1, size), size, s),
                           slice_axis(y, axis, 0, std::max<int64_t>(size - 1, 0), s), s);
  const array heights = multiply(middle, 0.5, s);
  if (!x) return multiply(sum(heights, {axis}, false, s), dx, s);
  const array places = along(astype(*x, inexact_type(x->dtype()), s), y, axis, "trapezoid",
                             "places", s);
  return sum(multiply(heights, diff(places, 1, axis, {}, {}, s), s), {axis}, false, s);
}

}  // namespace lazulite
