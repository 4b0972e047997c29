// Normalisations of rows while they lie in cache, with their derivatives. Halves are computed as
// float32; parameters and their gradients are dense accumulators.
#pragma once
#include "engine/reduce/rows.h"

namespace lazulite::engine {

// What each instruction-set level provides, of one row of n contiguous elements. [wide]: the result
// (backward: the cotangent) is of accumulators, not of the row's dtype.
struct NormKernels {
  // (x - mean) / sqrt(var + eps) * weight + bias; not centred: the mean is taken as 0. Null
  // parameters are left out.
  void (*forward[dtype_count][2])(const void* x, const void* weight, const void* bias, double eps,
                                  bool centred, int64_t n, void* out);
  // From the cotangent: that of x, and what is added to those of the parameters, where not null.
  void (*backward[dtype_count][2])(const void* x, const void* weight, const void* ct, double eps,
                                   bool centred, int64_t n, void* dx, void* dweight, void* dbias);
  // exp(x - max) over its sum; out may be x.
  void (*softmax[dtype_count])(const void* x, void* out, int64_t n);
  // The same of `count` rows of at most longest_short_row elements, `stride` apart: side by side.
  void (*short_softmax[dtype_count])(const void* x, int64_t n, int64_t stride, int64_t count,
                                     void* out);
  // y * (t - sum(t * y)): the derivative of softmax at its value y, of accumulators
  void (*softmax_slope[dtype_count])(const void* y, const void* t, void* out, int64_t n);
  void (*short_softmax_slope[dtype_count])(const void* y, int64_t y_stride, const void* t,
                                           int64_t t_stride, int64_t n, int64_t count, void* out);
};

inline constexpr int64_t longest_short_row = reduce_lanes;

struct Norm {
  double eps;
  bool centred, wide;
  const char* weight = nullptr;
  const char* bias = nullptr;
};

// Rows that do not lie as runs must have at most this many elements: longer ones are copied before.
inline constexpr int64_t longest_gathered_row = 64 << 10;

// `after`: told of rows as they are there.
void norm_forward(const Rows& x, const Norm&, char* out, const After* after = nullptr);
// dweight and dbias (each may be null) are sums over fixed blocks of rows, then pairwise by index.
void norm_backward(const Rows& x, const Rows& ct, const Norm&, char* dx, char* dweight,
                   char* dbias);
void softmax_rows(const Rows& x, char* out, const After* after = nullptr);
void softmax_slope_rows(const Rows& y, const Rows& t, char* out, const After* after = nullptr);

}  // namespace lazulite::engine
