// What each instruction-set level provides to pooling: windows that have one form, one after the
// other along a row of results, channels in lanes.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace lazulite::engine {

struct PoolRun {
  const void* x;        // where the first window begins
  const int64_t* taps;  // from there to the elements of a window, in their order
  int64_t count;        // of them
  int64_t step;         // from window to window
  int64_t windows, channels;
  int64_t room;         // a register of x may be read at distances of up to this from `x`, less
                        // what it holds
  void* out;            // (windows, channels)
  double divisor = 1;   // of sums
  const void* y = nullptr;  // at: beside x
};

// Adds (or stores: where nothing else does) what windows have in `ct` to where their first largest
// elements stand.
struct PoolSlope {
  const void* x;
  const int64_t* taps;
  const bool* mine;  // of each tap: whether it may be written to; null: all
  int64_t count, step, windows, channels;
  const void* ct;    // (windows, channels)
  void* dx;          // in the dtype that halves are summed in
  int64_t to;        // where the first window begins in dx
  bool add;
};

// out[o][i] = the sum over t from first[o] to first[o + 1] of weights[t] * x[lines[t] + i], in
// order; of nothing: 0.
struct WeighedLines {
  const void* x;
  const int64_t *first, *lines;
  const double* weights;
  int64_t results, n;
  void* out;
};

struct PoolKernels {
  int lanes;  // of a register
  void (*max)(const PoolRun&);
  void (*sum)(const PoolRun&);  // null: no floating dtype
  void (*at)(const PoolRun&);
  void (*slope)(const PoolSlope&);
  void (*weigh)(const WeighedLines&);  // null: no floating dtype
};
struct PoolTable {
  PoolKernels of[dtype_count];  // all null for complex dtypes
};

}  // namespace lazulite::engine
