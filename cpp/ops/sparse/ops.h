// The ops of this room and their attributes: for the files of this room.
#pragma once
#include "ops/rooms.h"
#include "ops/sparse/sparse.h"

namespace lazulite {

struct Blocks {
  int64_t high, wide;
  LAZULITE_FIELDS(high, wide)
};
struct Numbers {
  int64_t size;
  LAZULITE_FIELDS(size)
};
// A product of two sparse matrices: columns of the second, places of the result.
struct Crossed {
  int64_t columns, size;
  LAZULITE_FIELDS(columns, size)
};

// sparse_product: of (data, indices, indptr, b). sampled_product: of (a, b, indices, indptr).
// sparse_group: of numbers, or of the indices and indptr of a pattern, (indptr, order).
// sparse_rows: of indptr. The pattern of a product: its indptr, of (indices, indptr, indices,
// indptr), and its indices, of these and the indptr. sparse_product_at: of (data, indices, indptr)
// twice, and (indices, indptr).
extern const Op sparse_product_op, sampled_product_op, sparse_group_op, sparse_rows_op,
    sparse_pattern_rows_op, sparse_pattern_op, sparse_product_at_op;

}  // namespace lazulite
