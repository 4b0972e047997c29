// Products of stacks of matrices in memory. The bits of a result follow from sizes, layouts, dtype
// and instruction-set level, never from threads.
#pragma once
#include "base/dtype.h"
#include "base/shape.h"
#include "device/device.h"

namespace lazulite::engine {

// A stack of matrices: element (r, c) of matrix 0 is at data[r * row + c * col], strides in
// elements. Strides along an axis of one element mean nothing.
struct MatrixView {
  char* data;
  int64_t rows, cols, row, col;
  Strides batch;  // of the axes in front, in elements; 0 repeats

  // Rows, or else columns, stand one after the other without overlap.
  bool by_rows() const { return col == 1 && row >= cols; }
  bool by_columns() const { return row == 1 && col >= rows; }
};

// Told of each piece of the result when its last values are written, rounded as they stay: by the
// task that wrote them, so from several threads at once. Rows are counted over all matrices of the
// stack (the result is one dense matrix of batch * m rows); the pieces cover it, each element once,
// and follow from sizes, layouts, dtype and level alone.
struct Finished {
  void (*call)(void* context, int64_t row, int64_t rows, int64_t col, int64_t cols) = nullptr;
  void* context = nullptr;

  void operator()(int64_t row, int64_t rows, int64_t col, int64_t cols) const {
    if (call) call(context, row, rows, col, cols);
  }
};

// out[..., m, n] = a[..., m, k] b[..., k, n] of one dtype; products of halves are summed in float32
// and rounded once. out is dense and overlaps neither. m, n, k > 0.
//
// Of a buffer that holds b, when it is known, the packed form is kept for later calls with few rows
// (device/cpu/packed.h): to pack a number takes as long as some twenty multiply-adds.
struct Product {
  Dtype type;
  Shape batch;
  int64_t m, n, k;
  MatrixView a, b;
  char* out;
  Finished finished = {};
  const Buffer* weights = nullptr;
};

// p.finished for rows from `row` on, whole, in pieces on all threads: for what one task wrote.
void finish_rows(const Product& p, int64_t row, int64_t rows);

// Whether gemm() multiplies an operand in its layout as it stands; if not, it wants a dense copy.
bool reads_left(const Product& p);
bool reads_right(const Product& p);

// On all threads. Integers wrap; bool is "any of both".
void gemm(const Product& p);

}  // namespace lazulite::engine
