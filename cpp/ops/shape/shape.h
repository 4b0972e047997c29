// Views and copies of shape: nothing here computes. Views share memory where the layout allows it.
#pragma once
#include <vector>

#include "graph/node.h"
#include "ops/compose/shape.h"  // what is made of these

namespace lazulite {

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
// Where axis2's place less axis1's is the offset: along a new last axis.
array diagonal(const array&, int64_t offset = 0, int axis1 = 0, int axis2 = 1,
               Stream s = default_stream());
array contiguous(const array&, Stream s = default_stream());
array copy(const array&, Stream s = default_stream());  // never a view
array view(const array&, Dtype, Stream s = default_stream());     // the same bytes, last axis
std::vector<array> depends(const std::vector<array>& inputs,
                           const std::vector<array>& dependencies);

array slice_axis(const array&, int axis, int64_t start, int64_t stop, Stream s = default_stream());

}  // namespace lazulite
