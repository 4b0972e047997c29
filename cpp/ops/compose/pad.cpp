#include "ops/compose/pad.h"

#include <algorithm>

#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/index.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite {
namespace {

constexpr const char* modes[] = {"constant", "edge",    "empty",   "linear_ramp", "maximum", "mean",
                                 "median",   "minimum", "reflect", "symmetric",   "wrap"};

// One axis of an array, what comes in front of it and what comes behind.
struct Side {
  const array& a;
  int axis;
  int64_t low, high;
  Stream s;

  int64_t size() const { return a.shape()[axis]; }
  Shape shape(int64_t n) const {
    Shape out = a.shape();
    out[axis] = n;
    return out;
  }
  array part(int64_t from, int64_t to) const { return slice_axis(a, axis, from, to, s); }
  array repeated(const array& one, int64_t n) const { return broadcast_to(one, shape(n), s); }
  array reversed(const array& x) const { return flip(x, Axes{axis}, s); }
  array along(const array& line) const {  // a vector on the axis
    Shape out(size_t(a.ndim()), 1);
    out[axis] = line.size();
    return reshape(line, out, s);
  }
};
struct Ends {
  array low, high;
};

// The value in front of (0) or behind (1) an axis.
array value_at(const Operand& values, const Side& at, int side, Dtype t) {
  if (!values.is_array()) return as_array(values, t, "pad", at.s);
  const array& v = values.get();
  if (v.ndim() == 0) return astype(v, t, at.s);
  const Shape pairs{at.a.ndim(), 2};
  if (v.ndim() > 2 || broadcast_shapes(v.shape(), pairs, "pad") != pairs)
    fail(Kind::value, "pad", "values do not fit: got shape ", v.shape(),
         ", expected a number, (before, after), or such a pair for each axis: ", pairs);
  const array all = broadcast_to(v, pairs, at.s);
  const array own = slice_axis(astype(all, t, at.s), 0, at.axis, at.axis + 1, at.s);
  return reshape(slice_axis(own, 1, side, side + 1, at.s), Shape{}, at.s);
}

// From the end value to the edge, which it does not reach; in 64 bits, integers rounded down.
array ramp_to(const Side& at, const array& edge, int64_t n, const Operand& values, int side) {
  const Dtype t = at.a.dtype(), wide = is_complex(t) ? complex128 : float64;
  const array end = value_at(values, at, side, wide);
  const array step = divide(subtract(astype(edge, wide, at.s), end, at.s), double(n), at.s);
  const array count = side == 0 ? arange(0, n, 1, float64, at.s)
                                : arange(n - 1, -1, -1, float64, at.s);
  const array v = add(multiply(at.along(count), step, at.s), end, at.s);
  return astype(is_integer(t) ? floor(v, at.s) : v, t, at.s);
}

// The statistic of the elements at an end.
array statistic(const Side& at, const std::string& mode, int64_t length, int side) {
  const int64_t n = at.size(), m = std::min(length, n);
  const array x = side == 0 ? at.part(0, m) : at.part(n - m, n);
  const Axes axes{at.axis};
  if (mode == "maximum") return max(x, axes, true, at.s);
  if (mode == "minimum") return min(x, axes, true, at.s);
  const Dtype t = x.dtype();
  const array wide = is_integral(t) ? astype(x, float64, at.s) : x;
  const array v = mode == "mean" ? mean(wide, axes, true, at.s) : median(wide, axes, true, at.s);
  return astype(is_integer(t) ? round(v, 0, at.s) : v, t, at.s);
}

// Which element stands at each place from -low to n + high, back and forth or around.
struct Places {
  array at;      // the element
  array turned;  // whether it stands behind a turn at the last element
  array rounds;  // how many periods before or behind
};
Places places(const Side& side, const std::string& mode) {
  const int64_t n = side.size(), low = side.low, high = side.high;
  const Stream s = side.s;
  const array at = arange(-low, n + high, 1, int64, s);
  if (mode == "wrap") return {remainder(at, n, s), {}, {}};
  // With period 2 n, or 2 n - 2 where the ends are not repeated.
  const bool reflect = mode == "reflect";
  const int64_t twice = product_of_sizes(2, n, "pad");
  const int64_t period = reflect ? std::max<int64_t>(twice - 2, 1) : twice;
  const array folded = remainder(at, period, s), turned = greater_equal(folded, n, s);
  const array back = subtract(reflect ? period : period - 1, folded, s);
  return {where(turned, back, folded, s), turned, floor_divide(at, period, s)};
}

// Beyond the edges as often as needed. "odd": each turn goes on as much above the edge as the
// elements lie below it, so that a period adds twice what lies between the edges.
array folded(const Side& at, const std::string& mode, bool odd) {
  const Stream s = at.s;
  const Places p = places(at, mode);
  const array x = take(at.a, p.at, at.axis, s);
  if (!odd) return x;
  const array first = at.part(0, 1), last = at.part(at.size() - 1, at.size());
  const array drift = multiply(subtract(last, first, s), 2, s);
  const array turned = at.along(p.turned), rounds = at.along(astype(p.rounds, x.dtype(), s));
  return add(where(turned, subtract(multiply(last, 2, s), x, s), x, s),
             multiply(rounds, drift, s), s);
}

// At most one turn at each edge: parts of the array, joined.
Ends turned(const Side& at, const std::string& mode, bool odd) {
  const int64_t n = at.size(), skipped = mode == "reflect" ? 1 : 0;
  if (mode == "wrap") return {at.part(n - at.low, n), at.part(0, at.high)};
  array low = at.reversed(at.part(skipped, skipped + at.low)),
        high = at.reversed(at.part(n - skipped - at.high, n - skipped));
  if (odd) {
    low = subtract(multiply(at.part(0, 1), 2, at.s), low, at.s);
    high = subtract(multiply(at.part(n - 1, n), 2, at.s), high, at.s);
  }
  return {low, high};
}

array joined(const Side& at, const Ends& ends) {
  std::vector<array> parts;
  if (at.low) parts.push_back(ends.low);
  parts.push_back(at.a);
  if (at.high) parts.push_back(ends.high);
  return concatenate(parts, at.axis, at.s);
}

array padded(const Side& at, const std::string& mode, const Padding& p) {
  const int64_t n = at.size();
  if (mode == "constant") {
    const auto end = [&](int side, int64_t width) {
      return at.repeated(value_at(p.constant_values, at, side, at.a.dtype()), width);
    };
    return joined(at, {end(0, at.low), end(1, at.high)});
  }
  if (mode == "edge")
    return joined(at,
                  {at.repeated(at.part(0, 1), at.low), at.repeated(at.part(n - 1, n), at.high)});
  if (mode == "linear_ramp") {
    Ends ends;
    if (at.low) ends.low = ramp_to(at, at.part(0, 1), at.low, p.end_values, 0);
    if (at.high) ends.high = ramp_to(at, at.part(n - 1, n), at.high, p.end_values, 1);
    return joined(at, ends);
  }
  if (mode == "reflect" || mode == "symmetric" || mode == "wrap") {
    const bool odd = mode != "wrap" && p.reflect_type == "odd";
    if (odd && is_bool(at.a.dtype())) {  // numbers between, true where they are not zero
      const array x = astype(at.a, int32, at.s);
      return astype(padded(Side{x, at.axis, at.low, at.high, at.s}, mode, p), bool_, at.s);
    }
    const int64_t reach = mode == "reflect" ? n - 1 : n;
    if (at.low <= reach && at.high <= reach) return joined(at, turned(at, mode, odd));
    return folded(at, mode, odd);
  }
  const Widths& lengths = p.stat_length;
  const auto [front, behind] = lengths.empty()       ? std::pair{n, n}
                               : lengths.size() == 1 ? lengths[0]
                                                     : lengths[size_t(at.axis)];
  if (front <= 0 || behind <= 0)
    fail(Kind::value, "pad", "stat_length: got ", std::min(front, behind),
         ", expected a positive number of elements");
  const array low = statistic(at, mode, front, 0);
  const array high = std::min(front, n) == n && std::min(behind, n) == n
                         ? low : statistic(at, mode, behind, 1);
  return joined(at, {at.repeated(low, at.low), at.repeated(high, at.high)});
}

}  // namespace

array pad(const array& a, const Widths& given, const std::string& mode, const Padding& p,
          Stream s) {
  Widths widths = given;
  if (widths.size() == 1) widths.assign(size_t(a.ndim()), given[0]);
  if (int(widths.size()) != a.ndim())
    fail(Kind::value, "pad", "widths for ", widths.size(), " axes: expected ", a.ndim());
  Shape low, high;
  for (auto& [l, h] : widths) {
    if (l < 0 || h < 0) fail(Kind::value, "pad", "negative width: got ", l < 0 ? l : h);
    low.push_back(l);
    high.push_back(h);
  }
  if (std::find(std::begin(modes), std::end(modes), mode) == std::end(modes)) {
    std::string known;
    for (const char* m : modes) known += (known.empty() ? "" : ", ") + std::string(m);
    fail(Kind::value, "pad", "unknown mode: got '", mode, "', expected one of ", known);
  }
  if (p.reflect_type != "even" && p.reflect_type != "odd")
    fail(Kind::value, "pad", "reflect_type: got '", p.reflect_type, "', expected 'even' or 'odd'");
  if (p.stat_length.size() > 1 && int(p.stat_length.size()) != a.ndim())
    fail(Kind::value, "pad", "stat_length for ", p.stat_length.size(), " axes: expected ",
         a.ndim());
  if (mode == "empty") return pad(a, low, high, 0, s);
  const Operand& values = p.constant_values;
  if (mode == "constant" && (!values.is_array() || values.get().ndim() == 0))
    return pad(a, low, high, values, s);
  array out = a;
  for (int axis = 0; axis < a.ndim(); ++axis) {
    const int64_t n = a.shape()[axis];
    if (low[axis] == 0 && high[axis] == 0) continue;
    if (n == 0 && mode != "constant")
      fail(Kind::value, "pad", "nothing to repeat along axis ", axis, ": got shape ", a.shape());
    sum_of_sizes(sum_of_sizes(n, low[axis], "pad"), high[axis], "pad");
    const array before = out;
    out = padded(Side{before, axis, low[axis], high[axis], s}, mode, p);
  }
  return out;
}

array pad(const array& a, const Widths& widths, const std::string& mode, const Operand& value,
          Stream s) {
  return pad(a, widths, mode, Padding{.constant_values = value}, s);
}

}  // namespace lazulite
