// Statistics that are made of other functions: those that leave out nan, weighted means,
// differences and areas.
#pragma once
#include <optional>
#include <utility>

#include "graph/node.h"

namespace lazulite {

// As the functions without nan in their names, of the elements that are not nan. Where there are
// none: 0, 1, and nan for all others.
array nansum(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array nanprod(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array nanmax(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array nanmin(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array nanmean(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array nanmedian(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array nanvar(const array&, const Axes&, bool keepdims = false, double ddof = 0,
             Stream s = default_stream());
array nanstd(const array&, const Axes&, bool keepdims = false, double ddof = 0,
             Stream s = default_stream());

// max - min
array ptp(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
// sum(a * weights) / sum(weights), and the sum of the weights in the shape of that; weights have
// a's shape, or, along one axis, its size. Without them: the mean, and how many elements it is of.
std::pair<array, array> average(const array& a, const std::optional<array>& weights, const Axes&,
                                bool keepdims = false, Stream s = default_stream());

// Differences of neighbours, n times; what is given before and behind is joined first (numbers are
// repeated across the axis).
array diff(const array&, int n = 1, int axis = -1, const std::optional<Operand>& prepend = {},
           const std::optional<Operand>& append = {}, Stream s = default_stream());
// The area under y by trapezoids, of steps dx or at places x (of y's shape, or its size along the
// axis).
array trapezoid(const array& y, const std::optional<array>& x, const Operand& dx = 1.0,
                int axis = -1, Stream s = default_stream());

}  // namespace lazulite
