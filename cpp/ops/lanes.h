// What batching rules share: the batch axis ("lanes") goes in front.
#pragma once
#include <algorithm>

#include "ops/shape/shape.h"

namespace lazulite {

inline bool holds(const Axes& axes, int axis) {
  return std::find(axes.begin(), axes.end(), axis) != axes.end();
}

// Of a shape or strides, what belongs to other axes than those.
template <class List>
List other_axes(const List& all, const Axes& axes) {
  List out;
  for (int i = 0; i < int(all.size()); ++i)
    if (!holds(axes, i)) out.push_back(all[i]);
  return out;
}

inline Shape with_front(int64_t n, const Shape& shape) {
  Shape out{n};
  out.append(shape.begin(), shape.end());
  return out;
}
// The number of lanes: axes[i] is the batch axis of in[i], or -1.
inline int64_t lane_count(const Arrays& in, const Axes& axes) {
  for (size_t i = 0; i < in.size(); ++i)
    if (axes[i] >= 0) return in[i].shape()[axes[i]];
  return 0;
}
inline array batch_first(const array& a, int axis) { return axis > 0 ? moveaxis(a, axis, 0) : a; }
// The same; what is not mapped is repeated.
inline array lane_first(const array& a, int axis, int64_t lanes) {
  return axis >= 0 ? batch_first(a, axis) : broadcast_to(a, with_front(lanes, a.shape()));
}

}  // namespace lazulite
