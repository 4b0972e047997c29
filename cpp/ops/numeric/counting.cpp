// Counts and histograms: places by search, sums by scatter, whose order is fixed.
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "ops/compose/statistics.h"
#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/index.h"
#include "ops/numeric/numeric.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"
#include "ops/sort/sort.h"

namespace lazulite {
namespace {

array flat(const array& a, Stream s) { return reshape(a, {a.size()}, s); }

// The elements of an array, evaluated; null while a function is traced.
const void* looked_at(const array& a) {
  try {
    return a.raw();
  } catch (const Error& error) {
    if (error.kind() != Kind::tracer) throw;
    return nullptr;
  }
}

// The largest of integers, of which none is negative; looked at now.
int64_t most_of(const array& x, Stream s) {
  constexpr const char *op = "bincount", *example = "bincount(x, length=10)";
  constexpr int64_t few = 512;  // in the time that a reduction takes to be recorded
  const Dtype t = x.dtype();
  uint64_t most = 0;
  int64_t least = 0;
  if (const void* data = x.size() <= few ? looked_at(x) : nullptr) {
    dispatch(t, [&]<class T>() {
      if constexpr (std::is_integral_v<T>) {
        const T* const v = static_cast<const T*>(data);
        const int64_t n = x.size(), step = x.strides()[0];
        T high = 0, low = 0;
        for (int64_t i = 0; i < n; ++i) {
          high = std::max(high, v[i * step]);
          low = std::min(low, v[i * step]);
        }
        most = uint64_t(high);
        least = int64_t(low);
      }
    });
  } else {
    // Negative numbers are the largest of those without a sign: one reduction finds both.
    const Dtype plain = t == int8 ? uint8 : t == int16 ? uint16 : t == int32 ? uint32
                        : t == int64 ? uint64 : t;
    const array top = max(plain == t ? x : view(x, plain, s), {0}, false, s);
    most = uint64_t(number_read(top, op, example));
    if (plain != t && most >> (8 * size_of(t) - 1))
      least = number_read(min(x, {0}, false, s), op, example);
  }
  if (least < 0) fail(Kind::value, op, "a negative number: got ", least);
  if (most >= uint64_t(INT64_MAX)) fail(Kind::memory, op, "too large: got a number of ", most);
  return int64_t(most);
}

// Whether edges ascend (1), descend (-1) or do neither (0), where they can be looked at.
std::optional<int> direction(const array& edges) {
  const void* const data = looked_at(edges);
  if (!data) return std::nullopt;
  return dispatch(edges.dtype(), [&]<class T>() {
    const T* const e = static_cast<const T*>(data);
    const int64_t n = edges.size(), step = n ? edges.strides()[0] : 0;
    bool up = true, down = true;
    [[maybe_unused]] auto number = [&](int64_t i) {
      if constexpr (is_half(dtype_of<T>)) return float(e[i * step]);
      else return e[i * step];
    };
    if constexpr (!is_complex(dtype_of<T>))
      for (int64_t i = 1; i < n; ++i) {
        up &= number(i) >= number(i - 1);
        down &= number(i) <= number(i - 1);
      }
    return up ? 1 : down ? -1 : 0;
  });
}

// Weights of bool are none to sums.
std::optional<array> of_counts(const std::optional<array>& weights, Stream s) {
  return weights && is_bool(weights->dtype()) ? astype(*weights, int32, s) : weights;
}
void check_weights(const char* op, const array& a, const std::optional<array>& weights) {
  if (weights && weights->shape() != a.shape())
    fail(Kind::value, op, "weights do not fit: got shape ", weights->shape(), ", expected ",
         a.shape());
}
void check_real(const char* op, const array& a) {
  if (is_complex(a.dtype()))
    fail(Kind::value, op, "dtype without an order: got ", a.dtype());
}

}  // namespace

array bincount(const array& x, const std::optional<array>& weights, int64_t minlength,
               std::optional<int64_t> length, Stream s) {
  if (x.ndim() != 1 || !(is_integral(x.dtype()) || x.size() == 0))
    fail(Kind::value, "bincount", "not a vector of integers: got ", x.dtype(), " of shape ",
         x.shape());
  if (minlength < 0) fail(Kind::value, "bincount", "negative length: got ", minlength);
  if (length && *length < 0) fail(Kind::value, "bincount", "negative length: got ", *length);
  check_weights("bincount", x, weights);
  if (!length) length = x.size() ? most_of(x, s) + 1 : 0;
  const int64_t n = std::max(*length, minlength);
  const Dtype t = weights ? inexact_type(weights->dtype()) : int32;
  check_shape({n}, t, "bincount");
  return counts_at(x, weights ? std::optional(astype(*weights, t, s)) : weights, n, s);
}

// ---- edges
namespace {

// A number of the data that a rule looks at.
double number_of(const array& a, Stream s) {
  const array bits = view(reshape(astype(a, float64, s), {1}, s), int64, s);
  const int64_t v = number_read(reshape(bits, {}, s), "histogram_bin_edges",
                                "histogram_bin_edges(a, 10)");
  double out;
  static_assert(sizeof out == sizeof v);
  __builtin_memcpy(&out, &v, sizeof out);
  return out;
}

// The q-th of sorted numbers, by NumPy's linear rule.
double quantile_of(const array& sorted, double q, Stream s) {
  const double at = q * double(sorted.size() - 1), low = std::floor(at);
  const double x = number_of(slice_axis(sorted, 0, int64_t(low), int64_t(low) + 1, s), s);
  if (at == low) return x;
  const double y = number_of(slice_axis(sorted, 0, int64_t(low) + 1, int64_t(low) + 2, s), s);
  return x + (y - x) * (at - low);
}

// The width that a rule finds for n numbers, in double; 0: one bin. `single`: what NumPy has in
// float32, where the numbers are, is rounded to it, since a whole number of bins may be at stake.
double width_by_rule(const std::string& rule, const array& x, const Range& range, bool single,
                     Stream s) {
  const double n = double(x.size());
  auto rounded = [&](double v) { return single ? double(float(v)) : v; };
  const double spread = rounded(
      number_of(subtract(max(x, {0}, false, s), min(x, {0}, false, s), s), s));
  auto sturges = [&] { return spread / (std::log2(n) + 1); };
  auto freedman = [&] {
    const array sorted = sort(x, 0, false, s);
    const double range =
        rounded(quantile_of(sorted, 0.75, s)) - rounded(quantile_of(sorted, 0.25, s));
    return rounded(rounded(2 * rounded(range)) * rounded(1 / std::cbrt(n)));
  };
  auto deviation = [&] { return rounded(number_of(lazulite::std(x, {0}, false, 0, s), s)); };
  if (rule == "sqrt") return spread / std::sqrt(n);
  if (rule == "sturges") return sturges();
  if (rule == "rice") return rounded(spread / rounded(2 * std::cbrt(n)));
  if (rule == "scott")
    return rounded(rounded(std::cbrt(24 * std::sqrt(3.141592653589793) / n)) * deviation());
  if (rule == "fd") return freedman();
  if (rule == "auto")  // quartiles that meet give no more bins than twice the square root of n
    return std::min(std::max(freedman(), spread / std::sqrt(n) / 2), sturges());
  if (rule == "doane") {
    const double sigma = deviation();
    if (n < 3 || sigma <= 0) return 0;
    const array off = divide(subtract(x, mean(x, {0}, false, s), s), sigma, s);
    const double skew = number_of(mean(multiply(multiply(off, off, s), off, s), {0}, false, s), s);
    const double of_skew = std::sqrt(6 * (n - 2) / ((n + 1) * (n + 3)));
    return spread / (1 + std::log2(n) + std::log2(1 + std::abs(skew) / of_skew));
  }
  if (rule != "stone")
    fail(Kind::value, "histogram_bin_edges", "unknown rule: got '", rule,
         "', expected auto, fd, doane, scott, stone, rice, sturges or sqrt");
  if (n <= 1 || spread == 0) return 0;
  const int64_t most = std::max<int64_t>(100, int64_t(std::sqrt(n)));
  double best = 0, least = INFINITY;
  for (int64_t bins = 1; bins <= most; ++bins) {
    const array counts = histogram(x, {bins}, range, false, {}, s).first;
    const double share =
        number_of(sum(square(divide(astype(counts, float64, s), n, s), s), {0}, false, s), s);
    const double width = rounded(spread / double(bins)), loss = (2 - (n + 1) * share) / width;
    if (loss < least) least = loss, best = width;
  }
  return best;
}

Range widened(Range r) {
  if (r.low == r.high) r.low -= 0.5, r.high += 0.5;
  return r;
}
void check_range(const Range& r, const char* op) {
  if (!std::isfinite(r.low) || !std::isfinite(r.high))
    fail(Kind::value, op, "range is not finite: got (", r.low, ", ", r.high, ")");
  if (r.low > r.high)
    fail(Kind::value, op, "range ends before it begins: got (", r.low, ", ", r.high, ")");
}

int64_t bins_by_rule(const std::string& rule, const array& a, std::optional<Range> range,
                     Stream s) {
  array x = flat(astype(a, float64, s), s);
  if (range) range = widened(*range);  // before it is asked what lies there
  if (range && x.size()) {
    const array inside =
        logical_and(greater_equal(x, range->low, s), less_equal(x, range->high, s), s);
    const int64_t n = number_read(sum(astype(inside, int64, s), {0}, false, s),
                                  "histogram_bin_edges", "histogram_bin_edges(a, 10)");
    x = take(x, nonzero(inside, n, 0, s)[0], 0, s);
  }
  if (x.size() == 0) {
    width_by_rule(rule, zeros({2}, float64, s), {0, 1}, false, s);  // refuses what is no rule
    return 1;
  }
  Range r{number_of(min(x, {0}, false, s), s), number_of(max(x, {0}, false, s), s)};
  if (range) r = *range;
  if (!std::isfinite(r.low) || !std::isfinite(r.high))
    fail(Kind::value, "histogram_bin_edges", "range of the data is not finite: got (", r.low, ", ",
         r.high, ")");
  r = widened(r);
  const bool single = a.dtype() == float32;
  double width = width_by_rule(rule, x, r, single, s);
  if (!(width > 0)) return 1;
  if (is_integral(a.dtype())) width = std::max(width, 1.0);
  double whole = r.high - r.low;
  if (single && !range) whole = float(whole);
  const bool in_floats = single && !range && width == double(float(width));
  const double n = std::ceil(in_floats ? double(float(whole) / float(width)) : whole / width);
  if (n > 1e15) fail(Kind::memory, "histogram_bin_edges", "too large: got ", n, " bins");
  return int64_t(n);
}

}  // namespace

array histogram_bin_edges(const array& a, const Bins& bins, const std::optional<Range>& range,
                          Stream s) {
  constexpr const char* op = "histogram_bin_edges";
  check_real(op, a);
  if (range) check_range(*range, op);
  if (auto* edges = std::get_if<array>(&bins.value)) {
    check_real(op, *edges);
    if (edges->ndim() != 1)
      fail(Kind::value, op, "edges are no vector: got shape ", edges->shape());
    if (direction(*edges).value_or(1) != 1)
      fail(Kind::value, op, "edges must not descend");
    return *edges;
  }
  const auto* rule = std::get_if<std::string>(&bins.value);
  const int64_t n = rule ? bins_by_rule(*rule, a, range, s) : std::get<int64_t>(bins.value);
  if (n < 1) fail(Kind::value, op, "too few bins: got ", n, ", expected one or more");
  const Dtype t = inexact_type(a.dtype());
  check_shape({n}, t, op);
  const Dtype wide = is_integer(a.dtype()) ? float64 : compute_type(t);
  array low, high;
  if (range || a.size() == 0) {
    const Range r = widened(range.value_or(Range{0, 1}));
    low = array(Scalar(r.low), wide), high = array(Scalar(r.high), wide);
  } else {
    const array x = flat(a, s);
    const array first = astype(min(x, {0}, false, s), wide, s),
                last = astype(max(x, {0}, false, s), wide, s);
    const array point = equal(first, last, s);
    low = where(point, subtract(first, 0.5, s), first, s);
    high = where(point, add(last, 0.5, s), last, s);
  }
  const array k = ramp(0, 1, n + 1, wide, s);
  const array inner = add(multiply(k, divide(subtract(high, low, s), double(n), s), s), low, s);
  return astype(where(equal(k, double(n), s), high, inner, s), t, s);
}

namespace {

// 0 for numbers in the first bin, ...; others are not among them.
array bin_of(const array& x, const array& edges, Stream s) {
  const int64_t bins = edges.size() - 1;
  const Dtype t = promote(x.dtype(), edges.dtype());
  const array e = astype(edges, t, s), v = astype(x, t, s);
  const array at = subtract(astype(searchsorted(e, v, true, s), int64, s), 1, s);
  const array last = slice_axis(e, 0, bins, bins + 1, s);
  return where(equal(v, last, s), bins - 1, at, s);
}
array per_width(const array& sums, const array& widths, Stream s) {
  const Dtype t = promote(inexact_type(sums.dtype()), widths.dtype());
  const array v = astype(sums, t, s);
  return divide(divide(v, widths, s), sum(v, all_axes(v.ndim()), false, s), s);
}
array widths_of(const array& edges, Stream s) {
  return diff(astype(edges, inexact_type(edges.dtype()), s), 1, 0, {}, {}, s);
}

}  // namespace

std::pair<array, array> histogram(const array& a, const Bins& bins,
                                  const std::optional<Range>& range, bool density,
                                  const std::optional<array>& weights, Stream s) {
  check_weights("histogram", a, weights);
  if (weights && std::holds_alternative<std::string>(bins.value))
    fail(Kind::type, "histogram", "rules know no weights: got '", std::get<std::string>(bins.value),
         "' and weights, expected a number of bins or edges");
  const array edges = histogram_bin_edges(a, bins, range, s);
  if (edges.size() == 0) fail(Kind::value, "histogram", "no edges: got shape ", edges.shape());
  std::optional<array> w;
  if (weights) w = flat(*weights, s);
  const array sums = counts_at(bin_of(flat(a, s), edges, s), of_counts(w, s), edges.size() - 1, s);
  return {density ? per_width(sums, widths_of(edges, s), s) : sums, edges};
}

std::vector<array> histogram2d(const array& x, const array& y, const BinsPair& bins,
                               const std::optional<RangePair>& range, bool density,
                               const std::optional<array>& weights, Stream s) {
  constexpr const char* op = "histogram2d";
  if (x.ndim() != 1 || x.shape() != y.shape())
    fail(Kind::value, op, "not vectors of one size: got shapes ", x.shape(), " and ", y.shape());
  check_weights(op, x, weights);
  for (const Bins* b : {&bins.x, &bins.y})
    if (auto* rule = std::get_if<std::string>(&b->value))
      fail(Kind::type, op, "a rule: got '", *rule, "', expected numbers of bins or edges");
  auto edges_of = [&](const array& v, const Bins& b, const Range* r) {
    const array e = histogram_bin_edges(v, b, r ? std::optional<Range>(*r) : std::nullopt, s);
    if (e.size() == 0) fail(Kind::value, op, "no edges: got shape ", e.shape());
    return e;
  };
  const array ex = edges_of(x, bins.x, range ? &range->x : nullptr),
              ey = edges_of(y, bins.y, range ? &range->y : nullptr);
  const int64_t nx = ex.size() - 1, ny = ey.size() - 1;
  const array bx = bin_of(x, ex, s), by = bin_of(y, ey, s);
  const array inside = logical_and(logical_and(greater_equal(by, 0, s), less(by, ny, s), s),
                                   logical_and(greater_equal(bx, 0, s), less(bx, nx, s), s), s);
  const int64_t all = product_of_sizes(nx, ny, op);
  const array at = where(inside, add(multiply(bx, ny, s), by, s), -1, s);
  const array sums = reshape(counts_at(at, of_counts(weights, s), all, s), {nx, ny}, s);
  if (!density) return {sums, ex, ey};
  const array areas = multiply(reshape(widths_of(ex, s), {nx, 1}, s), widths_of(ey, s), s);
  return {per_width(sums, areas, s), ex, ey};
}

array digitize(const array& x, const array& edges, bool right, Stream s) {
  check_real("digitize", x);
  check_real("digitize", edges);
  if (edges.ndim() != 1)
    fail(Kind::value, "digitize", "edges are no vector: got shape ", edges.shape());
  const int64_t n = edges.size();
  const Dtype t = promote(x.dtype(), edges.dtype());
  const array v = astype(x, t, s), e = astype(edges, t, s);
  const array up = astype(searchsorted(e, v, !right, s), int64, s);
  if (n < 2) return up;
  const auto along = direction(e);
  if (along == 0) fail(Kind::value, "digitize", "edges are not monotonic");
  if (along == 1) return up;
  const array down = subtract(n, astype(searchsorted(flip(e, {0}, s), v, !right, s), int64, s), s);
  if (along) return down;
  const array falls = less(slice_axis(e, 0, n - 1, n, s), slice_axis(e, 0, 0, 1, s), s);
  return where(reshape(falls, {}, s), down, up, s);
}

array isin(const Operand& elements, const Operand& among, bool invert, Stream s) {
  const Dtype t = result_type({&elements, &among});
  const array v = as_array(elements, t, "isin", s), others = flat(as_array(among, t, "isin", s), s);
  const int64_t n = others.size();
  if (n == 0) return full(v.shape(), invert, bool_, s);
  const array sorted = sort(others, 0, false, s);
  const array at = minimum(astype(searchsorted(sorted, v, false, s), int64, s), n - 1, s);
  const array found = take(sorted, at, 0, s);
  return invert ? not_equal(found, v, s) : equal(found, v, s);
}

}  // namespace lazulite
