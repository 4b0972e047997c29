// Elements in order, their order, their largest, and where values belong among them.
//
// NaN comes last (first in descending order); complex numbers are ordered by their real parts, then
// by their imaginary ones. Indices are uint32 (int64 of axes longer than 2^32).
#pragma once
#include <optional>
#include <vector>

#include "graph/node.h"

namespace lazulite {

array sort(const array& a, int axis = -1, bool descending = false, Stream s = default_stream());
// The stable order; -0.0 equals 0.0.
array argsort(const array& a, int axis = -1, bool descending = false, Stream s = default_stream());

// What is below the element that would stand at kth, its equals, what is above, each in their
// order. kth counts from the end when negative.
array partition(const array& a, int64_t kth, int axis = -1, Stream s = default_stream());
array argpartition(const array& a, int64_t kth, int axis = -1, Stream s = default_stream());

// The k largest, ascending.
array topk(const array& a, int64_t k, int axis = -1, Stream s = default_stream());

// How many of the ascending elements (of the last axis) are below each value, or below or equal
// (`right`). Axes before the last are those of the values, too.
array searchsorted(const array& sorted, const Operand& values, bool right,
                   Stream s = default_stream());

// The order by the last key, then by the one before it, ... along an axis; stable.
array lexsort(const std::vector<array>& keys, int axis = -1, Stream s = default_stream());

// The different elements of the flattened array, ascending, and, where asked for, the index of each
// one's first place, which of them each element is (in a's shape), and how often each is there.
// Without a size their number is what there is, which is looked at; with one, the first ones are
// given, or what is left filled: values with `fill` (or the least), counts with 0.
struct DistinctParts {
  array values, indices, inverse, counts;
};
struct DistinctOptions {
  std::optional<int64_t> size;
  std::optional<Operand> fill;
  bool indices = false, inverse = false, counts = false, equal_nan = true;
};
DistinctParts unique(const array& a, const DistinctOptions&, Stream s = default_stream());

// The lines through points, whose places ascend, at x; beyond the ends the values there. x and the
// places are of one dtype, float32 or float64, the values of one that holds it.
array lines_through(const array& places, const array& values, const array& x,
                    Stream s = default_stream());

}  // namespace lazulite
