// Python's functions that count, fit and correlate.
#pragma once
#include "ops/functions.h"
#include "ops/numeric/numeric.h"

namespace lazulite::functions {

using OptionalRange = const std::optional<Range>&;

template <class M>
void add_counts(M& m) {
  m.def(
       "bincount(x, /, weights=None, minlength=0, *, length=None, stream=None)",
       [](A x, OptionalArray weights, int64_t least, const std::optional<int64_t>& length, S s) {
         return bincount(x, weights, least, length, s);
       },
       "How often each of the numbers 0, 1, ... is in a vector of integers, or the sums of the "
       "weights there. There are as many as the\n"
       "largest number asks for, which computes x, and minlength at least; a negative number "
       "raises "
       "ValueError. Inside compile and vmap a\n"
       "length is needed: there are that many, and what is not among them is not counted.\n\n"
       ">>> mx.bincount(mx.array([0, 2, 2]))\n"
       "array([1, 0, 2], dtype=int32)\n"
       ">>> mx.bincount(mx.array([0, 2, 9]), length=4)\n"
       "array([1, 0, 1, 0], dtype=int32)")
      .cases({"i(7, 20), length=7", "i(5, 20), x(20), length=9", "i(9, 30), length=4",
              "i(5, 20), x(20), 8, length=3"},
             "counts_of_length")
      .large(
          {"i(37, 3 * grain + 1), length=37", "i(block, grain + 1), x(grain + 1), length=block"});
  m.def(
       "histogram_bin_edges(a, bins=10, range=None, weights=None, *, stream=None)",
       [](A a, const Bins& bins, OptionalRange range, OptionalArray, S s) {
         return histogram_bin_edges(a, bins, range, s);
       },
       "The edges of the bins of histogram: a number of bins of one width from the smallest to the "
       "largest (or over a range), the\n"
       "edges themselves, or a rule for their number: auto, fd, doane, scott, stone, rice, sturges, "
       "sqrt. Rules look at the data, which\n"
       "computes it, and so are errors inside compile and vmap.\n\n"
       ">>> mx.histogram_bin_edges(mx.array([0.0, 1.0, 4.0]), 4)\n"
       "array([0, 1, 2, 3, 4], dtype=float32)")
      .cases({"x(20)", "x(4, 5), 3, (-1, 1.5)", "x(0), 4", "x(9), [0, 1, 3]"}, "bin_edges")
      .large({"x(3, grain + 1), 20"});
  m.def(
       "histogram(a, bins=10, range=None, density=False, weights=None, *, stream=None)",
       [](A a, const Bins& bins, OptionalRange range, bool density, OptionalArray weights,
          S s) -> ArrayTuple {
         auto [sums, edges] = histogram(a, bins, range, density, weights, s);
         return std::vector<array>{sums, edges};
       },
       "(counts, edges): how many elements lie in each bin, or the sums of their weights, or, with "
       "density, their share over the bin's\n"
       "width. bins and range are those of histogram_bin_edges. A bin holds its lower edge, the last "
       "one both; nan is in none.\n\n"
       ">>> mx.histogram(mx.array([0.0, 1.0, 1.0, 4.0]), 4)[0]\n"
       "array([1, 2, 0, 1], dtype=int32)")
      .cases({"x(20), 1", "mx.round(x(4, 5) * 3), 3, (-6.5, 5.5)",
              "mx.round(x(30) * 3), [-4.5, 0.25, 0.75, 3.5], None, True",
              "mx.round(x(20) * 3), [-4.5, 0.5, 6.5], None, False, x(20)"},
             "histogram")
      .large({"x(3, grain + 1), 16, (-8, 8)", "x(2 * grain + 1), [-1.5, 0.25, 1]"});
  m.def(
       "histogram2d(x, y, bins=10, range=None, density=False, weights=None, *, stream=None)",
       [](A x, A y, const BinsPair& bins, const std::optional<RangePair>& range, bool density,
          OptionalArray weights,
          S s) -> ArrayTuple { return histogram2d(x, y, bins, range, density, weights, s); },
       "(counts, edges of x, edges of y): how many pairs lie in each bin of x (a row) and of y (a "
       "column). bins: a number, edges, or one of\n"
       "these for each; the rest is as in histogram.\n\n"
       ">>> mx.histogram2d(mx.array([0.0, 1.0]), mx.array([0.0, 1.0]), 2)[0]\n"
       "array([[1, 0],\n"
       "       [0, 1]], dtype=int32)")
      .cases({"x(20), x(20), 1", "x(20), mx.round(x(20) * 3), [1, [-2.5, 0.5, 6.5]]",
              "mx.round(x(20) * 3), mx.round(x(20) * 3), 4, [(-4.5, 3.5), (-2.5, 5.5)], True"},
             "np.histogram2d")
      .large({"x(grain + 1), x(grain + 1), 4, [(-8, 8), (-4, 4)]"});
  m.def(
       "digitize(x, bins, right=False, *, stream=None)",
       [](A x, A bins, bool right, S s) { return digitize(x, bins, right, s); },
       "The bin of each element between monotonic edges, int64: i where bins[i-1] <= x < bins[i] "
       "(right: bins[i-1] < x <= bins[i]), for\n"
       "descending edges the other way round; 0 and len(bins) beyond them.\n\n"
       ">>> mx.digitize(mx.array([0.5, 1.0, 9.0]), mx.array([0.0, 1.0, 2.0]))\n"
       "array([1, 2, 3], dtype=int64)")
      .cases({"x(2, 5), mx.sort(x(4))", "x(7), mx.sort(x(4)), True", "x(7), mx.sort(x(5))[::-1]",
              "x(7), mx.sort(x(5))[::-1], True"},
             "np.digitize")
      .large({"x(2, grain + 1), mx.sort(x(33))"});
  m.def(
       "isin(x1, x2, /, *, invert=False, stream=None)",
       [](O a, O among, bool invert, S s) { return isin(a, among, invert, s); },
       "Which elements of x1 are among those of x2 (invert: are not); nan is among nothing.\n\n"
       ">>> mx.isin(mx.array([1, 2, 3]), mx.array([3, 1]))\n"
       "array([True, False, True], dtype=bool)")
      .cases({"x(2, 3), x(5)", "i(5, 4, 5), i(9, 3)", "i(5, 4, 5), i(9, 3), invert=True",
              "x(3), x(0)"},
             "np.isin")
      .large({"i(100, grain + 1), i(1000, 33)"});
}

// polyfit's answer: coefficients alone or in a tuple.
inline OneOrTuple fit(A x, A y, int64_t degree, const std::optional<double>& rcond, bool full,
                      OptionalArray w, const IntOr<std::string, bool>& cov, S s) {
  const auto* how = std::get_if<std::string>(&cov);
  if (how && *how != "unscaled")
    fail(Kind::value, "polyfit", "cov: got '", *how, "', expected True, False or 'unscaled'");
  OneOrTuple out;
  if (!full && (how || std::get<bool>(cov))) {
    auto [coefficients, covariance] = polyfit_covariance(x, y, degree, rcond, w, !how, s);
    out.push_back(std::move(coefficients));
    out.push_back(std::move(covariance));
    return out;
  }
  for (A part : polyfit(x, y, degree, rcond, w, s)) {
    out.push_back(part);
    if (!full) break;
  }
  return out;
}

template <class M>
void add_curves(M& m) {
  m.def(
       "interp(x, xp, fp, left=None, right=None, period=None, *, stream=None)",
       [](A x, A xp, A fp, OptionalOperand left, OptionalOperand right,
          const std::optional<double>& period,
          S s) { return interp(x, xp, fp, left, right, period, s); },
       "The line through the points (xp, fp), xp ascending, at x; beyond its ends left and right, by "
       "default the values there. With a\n"
       "period the points repeat and may be in any order.\n\n"
       ">>> mx.interp(mx.array([0.5, 3.0]), mx.array([0.0, 1.0, 2.0]), mx.array([0.0, 10.0, 0.0]))\n"
       "array([5, 0], dtype=float32)")
      .cases({"x(2, 5), mx.sort(x(6)), x(6)", "x(7), mx.sort(x(4)), x(4), 7, -7.5",
              "x(7), mx.array([3, 1, 4, 2, 6]), x(5), None, None, 8", "x(3), x(1), x(1)"},
             "interpolated")
      .large({"x(2 * grain + 1), mx.sort(x(33)), x(33)"});
  m.def(
       "unwrap(p, discont=None, axis=-1, *, period=6.283185307179586, stream=None)",
       [](A p, const std::optional<double>& discont, int axis, const Scalar& period, S s) {
         return unwrap(p, discont, axis, period, s);
       },
       "Steps along an axis of more than discont (by default, and at least, half a period) made "
       "those within half a period, by adding\n"
       "whole periods.\n\n"
       ">>> mx.unwrap(mx.array([0, 3, 1, 4]), period=4)\n"
       "array([0, -1, -3, -4], dtype=int32)")
      .cases({"x(12) * 5", "x(3, 7) * 5, 4.0, 0", "x(3, 7) * 5, None, 1, period=1.5"},
             "unwrapped")
      .large({"x(2, grain + 1), None, -1, period=1.5"});
  m.def(
       "polyval(p, x, *, stream=None)", [](A p, O x, S s) { return polyval(p, x, s); },
       "The polynomial with coefficients p, the highest power's first, at x.\n\n"
       ">>> mx.polyval(mx.array([1, 0, -1]), 3)\n"
       "array(8, dtype=int32)")
      .cases({"x(4), x(2, 3)", "x(1), x(3)"}, "np.polyval")
      .large({"x(3), x(2, chunk + 1)"});
  m.def(
       "polyfit(x, y, deg, rcond=None, full=False, w=None, cov=False, *, stream=None)",
       [](A x, A y, int64_t n, const std::optional<double>& rcond, bool full, OptionalArray w,
          const IntOr<std::string, bool>& cov,
          S s) { return fit(x, y, n, rcond, full, w, cov, s); },
       "The coefficients, the highest power's first, of the polynomial of degree deg with the "
       "least "
       "sum of squares (w (y - p(x)))^2; y may\n"
       "have a column for each polynomial. full: a tuple with residuals, rank, singular values and "
       "rcond besides; cov (True, or 'unscaled'): with the covariance.\n\n"
       ">>> mx.polyfit(mx.array([0.0, 1.0, 2.0]), mx.array([1.0, 3.0, 5.0]), 1).round(3)\n"
       "array([2, 1], dtype=float32)")
      .cases({"mx.arange(9), x(9), 2", "mx.arange(9), x(9, 2), 1",
              "mx.arange(9), x(9), 1, w=mx.abs(x(9)) + 1"},
             "fitted")
      .by_layout();
}

template <class M>
void add_correlations(M& m) {
  m.def(
       "cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, *, "
       "stream=None)",
       [](A m, OptionalArray y, bool rows, bool bias, OptionalInt ddof, OptionalArray f,
          OptionalArray a, S s) { return cov(m, y, {rows, bias, ddof, f, a}, s); },
       "The covariances of variables, which are the rows of m (rowvar=False: the columns) and of y: "
       "over n - 1 observations, with bias n,\n"
       "or n - ddof. fweights say how often each observation counts, aweights how much.\n\n"
       ">>> mx.cov(mx.array([[0.0, 2.0], [2.0, 0.0]]))\n"
       "array([[2, -2],\n"
       "       [-2, 2]], dtype=float32)")
      .cases({"x(3, 7)", "x(7)", "x(7, 3), None, False", "x(2, 7), x(7), True, True",
              "x(2, 7), None, True, False, 0, i(5, 7) + 1, mx.abs(x(7)) + 1"},
             "covariance")
      .by_layout()
      .large({"x(3, 2 * tree + 1)"});
  m.def(
       "corrcoef(x, y=None, rowvar=True, *, stream=None)",
       [](A x, OptionalArray y, bool rows, S s) { return corrcoef(x, y, rows, s); },
       "The correlations of variables: cov over the products of their standard deviations.\n\n"
       ">>> mx.corrcoef(mx.array([[0.0, 2.0], [2.0, 0.0]]))\n"
       "array([[1, -1],\n"
       "       [-1, 1]], dtype=float32)")
      .cases({"x(3, 7)", "x(7, 3), None, False", "x(2, 7), x(7)"}, "correlation")
      .by_layout();
}

template <class M>
void add_numeric(M& m) {
  add_counts(m);
  add_curves(m);
  add_correlations(m);
}

}  // namespace lazulite::functions
