// Products of sparse matrices as data, indices and indptr: row i has the blocks from indptr[i] to
// indptr[i + 1], block p the numbers data[p] and the column indices[p] (CSR, and of blocks BSR).
// What stands behind the last indptr[i + 1] is room, which is not looked at. Blocks of one place
// add up. Indices are int32 or int64. Beyond the reference.
#pragma once
#include <optional>
#include <utility>
#include <vector>

#include "graph/node.h"

namespace lazulite::sparse {

// data: (count), or blocks (count, high, wide); b: as the right side of matmul.
array product(const array& data, const array& indices, const array& indptr, const array& b,
              Stream s = default_stream());
// The data of a @ b.T at the places of a pattern: a (rows, k), b (columns, k); a block of (1, 1)
// gives (count), any other (count, high, wide).
array sampled_product(const array& a, const array& b, const array& indices, const array& indptr,
                      int64_t high = 1, int64_t wide = 1, Stream s = default_stream());
// Numbers below `size` by their order, as (indptr, order): those that are n stand, in the order in
// which they were, at order[indptr[n]] to order[indptr[n + 1]].
std::vector<array> group(const array& numbers, int64_t size, Stream s = default_stream());
// The row of each of `size` places.
array row_numbers(const array& indptr, int64_t size, Stream s = default_stream());
// The pattern of the product of two matrices, as (indices, indptr), rows in rising order. Its size
// is read now, unless it is given: more elements are an error, fewer leave room behind the last
// row.
std::vector<array> product_pattern(const array& a_indices, const array& a_indptr,
                                   const array& b_indices, const array& b_indptr, int64_t columns,
                                   std::optional<int64_t> size = {}, Stream s = default_stream());
// The data of the product of two matrices at the places of a pattern.
struct Matrix {
  const array &data, &indices, &indptr;
};
array product_at(const Matrix& a, const Matrix& b, const array& indices, const array& indptr,
                 int64_t columns, Stream s = default_stream());

}  // namespace lazulite::sparse
