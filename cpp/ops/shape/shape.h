// Views and copies of shape: nothing here computes. Views share memory where the layout allows it.
#pragma once
#include <vector>

#include "graph/node.h"

namespace lazulite {

// ---- ops
// -----------------------------------------------------------------------------------------
array broadcast_to(const array&, const Shape&, Stream s = default_stream());
// The same, of constants too as a view: what the user broadcasts takes no memory when it is
// evaluated.
array broadcast_view(const array&, const Shape&, Stream s = default_stream());
array reshape(const array&, Shape, Stream s = default_stream());  // one -1 is worked out
array transpose(const array&, const Axes&, Stream s = default_stream());
array transpose(const array&, Stream s = default_stream());       // axes reversed
// Elements start, start + step, ... before stop, on every axis; step of any sign but 0. Bounds are
// non-negative except stop = -1 with a negative step.
array slice(const array&, const Shape& start, const Shape& stop, const Shape& step,
            Stream s = default_stream());
// a with the elements that slice would take replaced (update broadcasts).
array slice_update(const array& a, const array& update, const Shape& start, const Shape& stop,
                   const Shape& step, Stream s = default_stream());
array concatenate(const std::vector<array>&, int axis = 0, Stream s = default_stream());
array pad(const array&, const Shape& low, const Shape& high, const Operand& value,
          Stream s = default_stream());
array contiguous(const array&, Stream s = default_stream());
array copy(const array&, Stream s = default_stream());  // never a view
array view(const array&, Dtype, Stream s = default_stream());     // the same bytes, last axis

// ---- made of them
// --------------------------------------------------------------------------------
array expand_dims(const array&, const Axes&, Stream s = default_stream());
array squeeze(const array&, const Axes&, Stream s = default_stream());
array squeeze(const array&, Stream s = default_stream());
array flatten(const array&, int start = 0, int end = -1, Stream s = default_stream());
array unflatten(const array&, int axis, const Shape&, Stream s = default_stream());
array swapaxes(const array&, int a, int b, Stream s = default_stream());
array moveaxis(const array&, int from, int to, Stream s = default_stream());
array matrix_transpose(const array&, Stream s = default_stream());
array stack(const std::vector<array>&, int axis = 0, Stream s = default_stream());
inline constexpr int64_t most_parts = int64_t(1) << 24;  // arrays that one call makes
std::vector<array> split(const array&, int64_t parts, int axis = 0, Stream s = default_stream());
std::vector<array> split(const array&, const Shape& at, int axis, Stream s = default_stream());
array repeat(const array&, int64_t repeats, int axis, Stream s = default_stream());
array tile(const array&, const Shape& reps, Stream s = default_stream());
array flip(const array&, const Axes&, Stream s = default_stream());
array roll(const array&, const Shape& shift, const Axes&, Stream s = default_stream());
array diagonal(const array&, int64_t offset = 0, int axis1 = 0, int axis2 = 1,
               Stream s = default_stream());
std::vector<array> depends(const std::vector<array>& inputs,
                           const std::vector<array>& dependencies);

// Copies any layout into any other of the same shape and dtype (for kernels).
void copy_strided(const TensorView& from, const TensorView& to);
// An operand of a kernel in row-major order: where it lies, or a copy that lives as long as this.
struct Dense {
  explicit Dense(const TensorView& in);
  const char* data;

 private:
  Ref<Buffer> held_;
};
array slice_axis(const array&, int axis, int64_t start, int64_t stop, Stream s = default_stream());

}  // namespace lazulite
