// Products of matrices, batched and broadcasting. Every dtype is allowed: integers wrap, bool is
// "any of both", halves accumulate in float32 and round once.
#pragma once
#include <optional>

#include "graph/node.h"

namespace lazulite {

// [..., m, k] x [..., k, n]; a 1-d operand is a row (left) or a column (right). 0-d: a value error.
array matmul(const array& a, const array& b, Stream s = default_stream());
// alpha * (a @ b) + beta * c
array addmm(const Operand& c, const array& a, const array& b, double alpha = 1, double beta = 1,
            Stream s = default_stream());
array inner(const array& a, const array& b, Stream s = default_stream());  // over the last axes
array outer(const array& a, const array& b,
            Stream s = default_stream());  // of the flattened arrays
// Over the last `axes` axes of a and the first of b, or over the pairs given.
array tensordot(const array& a, const array& b, int axes = 2, Stream s = default_stream());
array tensordot(const array& a, const array& b, const Axes& axes_a, const Axes& axes_b,
                Stream s = default_stream());

// Products of the matrices that indices name, counted over all axes in front: a[lhs] b[rhs],
// indices broadcasting with each other; without indices each matrix in turn. Matrices are read
// where they lie, and those that meet one matrix b are one product.
array gather_mm(const array& a, const array& b, const std::optional<array>& lhs_indices,
                const std::optional<array>& rhs_indices, Stream s = default_stream());
// a[:, from:to] b[from:to] for each pair (from, to) of the last axis of segments.
array segmented_mm(const array& a, const array& b, const array& segments,
                   Stream s = default_stream());
// The product with blocks of a, b and the result masked: left out (bool), or times a number.
array block_masked_mm(const array& a, const array& b, int64_t block_size,
                      const std::optional<array>& mask_out, const std::optional<array>& mask_lhs,
                      const std::optional<array>& mask_rhs, Stream s = default_stream());

}  // namespace lazulite
