// Rows that do not lie in memory as rows: pieces of some of them at a time, made dense in a small
// room, so that reductions of strided, reversed and broadcast views copy nothing large.
#pragma once
#include "base/dtype.h"
#include "base/shape.h"
#include "ops/reduce/kernels.h"

namespace lazulite {

// The pairwise tree over chunks, which come in order: a counter in base two, part[i] standing for
// 2^i chunks.
struct ChunkTree {
  alignas(16) char part[56][16];
  int64_t count = 0;

  void add(const ReduceKernel& k, char* value, int64_t bytes);  // changes value
  void finish(const ReduceKernel& k, int64_t bytes, char* out);
};

struct Gathered {
  const char* data;
  int64_t width;  // of an element, in bytes
  Shape kept, reduced;
  Strides kept_strides, reduced_strides;
  int64_t rows, length;

  // How many neighbouring rows are best read together, in pieces of `piece` elements.
  int64_t together(int64_t piece) const;
  // Elements [from, from + n) of rows [row, row + count), one row after the other.
  void read(int64_t row, int64_t count, int64_t from, int64_t n, char* to) const;
  // Room of this thread, aligned, with what kernels may read behind it.
  static char* room(int64_t bytes);
};

using FindFirst = int64_t (*)(const void* x, int64_t n,
                              const void* value);  // as ReduceKernels::find

// The tree of `reduce.h` for every row: out[r], accumulators of `acc` bytes.
void reduce_gathered(const ReduceKernel& k, const Gathered& in, int64_t acc, char* out);
// In each row the first element that equals the row's result, or is a nan like it.
void find_gathered(const ReduceKernel& k, FindFirst find, const Gathered& in, int64_t acc,
                   uint32_t* out);

}  // namespace lazulite
