// Sparse matrices: rows of blocks (high, wide), of which row i has those from indptr[i] to
// indptr[i + 1], at columns indices[...] of blocks. Whatever is in these is looked at before memory
// is read or written by it; what does not fit is an error that names the caller. The bits of a
// result do not depend on threads or levels.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace lazulite::engine {

struct SparsePattern {
  const char *indices, *indptr;  // dense, of one dtype
  Dtype type;                    // int32 or int64
  int64_t rows, columns, count;  // in blocks
};
// That indptr begins with 0, never goes down and ends at count or before, and that indices of rows
// are from 0 to columns - 1. Indices behind the last row are room: nobody reads them, and results
// with a value for each of them have zeros there.
void check_pattern(const SparsePattern&, const char* caller);

// out = the matrix times b, of `columns` columns side by side and rows `step` apart; `end`:
// elements of b from its first one on. Real numbers; halves are summed in float32.
struct SparseProduct {
  SparsePattern pattern;
  Dtype type;
  int64_t high, wide;
  const char *data, *b;
  int64_t step, end, columns;
  char* out;
};
void sparse_product(const SparseProduct&, const char* caller);

// a (rows * high, steps) times b (columns * wide, steps) transposed, where there are blocks.
struct SampledProduct {
  SparsePattern pattern;
  Dtype type;
  int64_t high, wide;
  const char *a, *b;
  int64_t steps;
  char* out;
};
void sampled_product(const SampledProduct&, const char* caller);

// Numbers from 0 to size - 1 by their order: indptr (size + 1) says where each number's places
// begin in `order`, where those of one number are in the order in which they stood. Where the
// numbers are the indices of a pattern, `of` is its indptr, of so many rows, else null: its room
// stays where it is.
void group_numbers(const char* numbers, Dtype, int64_t all, const char* of, int64_t rows,
                   int64_t size, char* indptr, char* order, const char* caller);
// The row of each of `count` places; of its room the last one.
void rows_of_places(const char* indptr, Dtype, int64_t rows, int64_t count, char* out,
                    const char* caller);

// Of the product of two patterns: where the rows of its pattern begin, and the columns of each row
// in rising order, with zeros in what is left over of `count`.
void count_product(const SparsePattern& a, const SparsePattern& b, char* indptr,
                   const char* caller);
void fill_product(const SparsePattern& a, const SparsePattern& b, const char* indptr, int64_t count,
                  char* indices, const char* caller);
// The numbers of the product at the places of a pattern.
struct SparseBySparse {
  SparsePattern a, b, at;
  Dtype type;
  const char *a_data, *b_data;
  char* out;
};
void product_at(const SparseBySparse&, const char* caller);

}  // namespace lazulite::engine
