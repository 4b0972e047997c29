// Counting, curves and correlations: what is made of sorting, scatter, scans and linear algebra.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "graph/node.h"

namespace lazulite {

// ---- counting
// How often each number 0, 1, ... is among x (or the sums of its weights): as many as the largest
// asks for, which is looked at, and `minlength` at least. With a length there are that many, and
// what is beyond is not counted.
array bincount(const array& x, const std::optional<array>& weights = {}, int64_t minlength = 0,
               std::optional<int64_t> length = {}, Stream s = default_stream());

// Bins of one width, as many as the number says or the rule finds, or between edges.
struct Bins {
  std::variant<int64_t, std::string, array> value{int64_t(10)};
};
struct BinsPair {
  Bins x, y;
};
struct Range {
  double low = 0, high = 0;
};
struct RangePair {
  Range x, y;
};
array histogram_bin_edges(const array& a, const Bins& = {}, const std::optional<Range>& = {},
                          Stream s = default_stream());
// Counts (sums of weights; densities) and edges. A bin holds its lower edge, the last one both.
std::pair<array, array> histogram(const array& a, const Bins& = {},
                                  const std::optional<Range>& = {}, bool density = false,
                                  const std::optional<array>& weights = {},
                                  Stream s = default_stream());
// Counts by (bin of x, bin of y), edges of x, edges of y.
std::vector<array> histogram2d(const array& x, const array& y, const BinsPair& = {},
                               const std::optional<RangePair>& = {}, bool density = false,
                               const std::optional<array>& weights = {},
                               Stream s = default_stream());
// The bin of each number among monotonic edges: how many of ascending ones are at or below it
// (`right`: below), of descending ones above it (`right`: at or above).
array digitize(const array& x, const array& edges, bool right = false,
               Stream s = default_stream());
// Which elements are among others.
array isin(const Operand& elements, const Operand& among, bool invert = false,
           Stream s = default_stream());

// ---- curves
// The line through points (xp ascending) at x; left and right of them: their values, or the ends'.
// With a period xp need not be in order.
array interp(const array& x, const array& xp, const array& fp,
             const std::optional<Operand>& left = {}, const std::optional<Operand>& right = {},
             const std::optional<double>& period = {}, Stream s = default_stream());
// Steps of more than discont (by default half a period) become those within half a period.
array unwrap(const array& p, const std::optional<double>& discont = {}, int axis = -1,
             const Scalar& period = 2 * 3.141592653589793, Stream s = default_stream());
// The polynomial with these coefficients, the highest power's first, at x.
array polyval(const array& coefficients, const Operand& x, Stream s = default_stream());
// That of a degree that fits best; the parts are those of NumPy's full=True: coefficients,
// residuals, rank, singular values, rcond.
std::vector<array> polyfit(const array& x, const array& y, int64_t degree,
                           const std::optional<double>& rcond = {},
                           const std::optional<array>& weights = {}, Stream s = default_stream());
// Coefficients and their covariance (scaled by the residuals, or as the weights say).
std::pair<array, array> polyfit_covariance(const array& x, const array& y, int64_t degree,
                                           const std::optional<double>& rcond,
                                           const std::optional<array>& weights, bool scaled,
                                           Stream s = default_stream());

// ---- correlations of variables, which are rows (or columns)
struct CovarianceOptions {
  bool rows = true, bias = false;
  std::optional<int> ddof = {};
  std::optional<array> fweights = {}, aweights = {};
};
array cov(const array& m, const std::optional<array>& y = {}, const CovarianceOptions& = {},
          Stream s = default_stream());
array corrcoef(const array& x, const std::optional<array>& y = {}, bool rows = true,
               Stream s = default_stream());

}  // namespace lazulite
