// Reductions over axes by one fixed tree: element i of the reduced length (axes row-major) goes to
// lane i mod 32 inside a chunk of 4096, lanes fold by halves, chunks pairwise by index; long sums
// keep what rounding takes (engine/reduce/kernels_long_sums.cpp). Same bits for any layout, number
// of threads and instruction set. Without axes: over all of them.
#pragma once
#include <utility>

#include "graph/node.h"

namespace lazulite {

// sum and prod of bool and integers up to 32 bits are int32 or uint32; halves accumulate in
// float32.
array sum(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array sum(const array&, Stream s = default_stream());
array prod(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array prod(const array&, Stream s = default_stream());
// nan if any is nan; of nothing: a value error.
array max(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array max(const array&, Stream s = default_stream());
array min(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array min(const array&, Stream s = default_stream());
std::pair<array, array> minmax(const array&, const Axes&, bool keepdims = false,
                               Stream s = default_stream());
// The same of what is not nan; nan where all are.
array max_number(const array&, const Axes&, bool keepdims, Stream s);
array min_number(const array&, const Axes&, bool keepdims, Stream s);
// Sums of what is not nan, `wide`: in the dtype of means; and how many these are, in the real one.
array sum_numbers(const array&, const Axes&, bool keepdims, bool wide, Stream s);
array count_numbers(const array&, const Axes&, bool keepdims, Stream s);
// Elements count as true unless they are zero.
array all(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array all(const array&, Stream s = default_stream());
array any(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array any(const array&, Stream s = default_stream());
array count_nonzero(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());

// The index of the first largest (smallest) element, or of the first nan; uint32.
array argmax(const array&, int axis, bool keepdims = false, Stream s = default_stream());
array argmax(const array&, Stream s = default_stream());  // of the flattened array
array argmin(const array&, int axis, bool keepdims = false, Stream s = default_stream());
array argmin(const array&, Stream s = default_stream());

// The mean in two parts, of an inexact dtype of 4 bytes or more: the second, what rounding took off
// the first, has no derivative.
std::pair<array, array> mean_parts(const array&, const Axes&, bool keepdims = false,
                                   Stream s = default_stream());
// Integers and bool become float32 first.
array mean(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array mean(const array&, Stream s = default_stream());
array var(const array&, const Axes&, bool keepdims = false, double ddof = 0,
          Stream s = default_stream());
array std(const array&, const Axes&, bool keepdims = false, double ddof = 0,
          Stream s = default_stream());
array median(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array logsumexp(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array softmax(const array&, const Axes&, bool precise = false, Stream s = default_stream());

// 0-d bool: same shape and elements; all elements close.
array array_equal(const Operand&, const Operand&, bool equal_nan = false,
                  Stream s = default_stream());
array allclose(const Operand&, const Operand&, double rtol = 1e-5, double atol = 1e-8,
               bool equal_nan = false, Stream s = default_stream());

}  // namespace lazulite
