// What each instruction-set level provides to sparse products: rows of blocks times a dense matrix,
// and products of rows where there are blocks.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace lazulite::engine {

// Rows `first` to `until` of a matrix of blocks, each (high, wide) and dense, times b; a sum takes
// blocks in order. Of one column, with blocks of one number, it is four sums of every fourth.
struct SparseRows {
  const void *data, *indices, *indptr;  // indices and indptr: int32, or int64 where `wide_indices`
  bool wide_indices;
  int64_t first, until;
  int64_t high, wide;
  const void* b;
  int64_t step;     // from row to row of b, in elements
  int64_t end;      // elements of b that may be read
  int64_t columns;  // of b
  void* out;        // dense, (rows, columns), of the whole result
};

// out[p][r][c] = the sum over k of a[high * i + r][k] * b[wide * indices[p] + c][k], for the blocks
// p of rows i. A sum is `sums_of` of every so many steps, which are added up in halves.
struct SampledRows {
  const void *indices, *indptr;
  bool wide_indices;
  int64_t first, until;
  int64_t high, wide;
  const void *a, *b;  // dense, of `steps` columns
  int64_t steps;
  void* out;
};
constexpr int64_t sums_of(Dtype type) { return 64 / (size_of(type) < 4 ? 4 : size_of(type)); }

struct SparseKernels {
  void (*rows)(const SparseRows&);
  void (*sampled)(const SampledRows&);
};
struct SparseTable {
  SparseKernels of[dtype_count];  // null for bool and complex dtypes
};

}  // namespace lazulite::engine
