// Pooling of arrays in memory over one to three axes, channels last: maxima and sums of windows,
// and what their derivatives need. The bits of a result follow from sizes and dtype alone.
#pragma once
#include "base/dtype.h"
#include "base/shape.h"

namespace lazulite::engine {

// One axis: window o holds elements [begin[o], end[o]) of the input; neither ever falls.
struct PoolAxis {
  int64_t in, out;
  const int64_t *begin, *end;
};

// Of element 0; strides in elements, of (batch, three axes, channels).
struct PoolView {
  const char* data;
  int64_t strides[5];
};

struct Pooling {
  Dtype type;
  int64_t batch, channels;
  PoolAxis axes[3];
  int64_t divisor = 1;  // of sums

  int64_t in_size() const { return axes[0].in * axes[1].in * axes[2].in; }
  int64_t out_size() const { return axes[0].out * axes[1].out * axes[2].out; }
};

// out: dense, (batch, windows of the axes, channels). Nan where a window holds one; of no elements
// the lowest number of the dtype. Real dtypes and bool.
void pool_max(const Pooling&, const PoolView& x, char* out);
// Sums in the order of the elements, divided. Floating dtypes; halves are summed in float32 and
// rounded once. Of no elements: 0.
void pool_sum(const Pooling&, const PoolView& x, char* out);
// The elements of y, of the shape and dtype of x, where the first largest of each window stands in
// x; the first nan, where there is one.
void pool_at(const Pooling&, const PoolView& x, const PoolView& y, char* out);
// The other way round: dx is the sum of what windows have in ct at their first largest elements. x,
// ct and dx are dense; halves as in pool_sum.
void pool_slope(const Pooling&, const char* x, const char* ct, char* dx);

}  // namespace lazulite::engine
