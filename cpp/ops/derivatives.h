// What rules of derivatives share. A null array is a derivative of zero.
#pragma once
#include "ops/elementwise/elementwise.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite {

// Of what a small change of its inputs does not change, and of what has no inputs.
inline Arrays no_gradient(const Node& node, const Arrays&, const Needs&) {
  Arrays none;
  none.resize(node.inputs.size());
  return none;
}
inline Arrays no_tangent(const Node& node, const Arrays&) {
  Arrays none;
  none.resize(node.out.size());
  return none;
}

inline array sum_of(const array& a, const array& b) { return !a ? b : !b ? a : add(a, b); }

// a summed over the axes along which an array of shape `to` was broadcast to a's.
inline array sum_to(const array& a, const Shape& to, Stream s = default_stream()) {
  const int more = a.ndim() - int(to.size());
  Axes axes;
  for (int i = 0; i < a.ndim(); ++i)
    if (i < more || (to[size_t(i - more)] == 1 && a.shape(i) != 1)) axes.push_back(i);
  return axes.empty() ? a : reshape(sum(a, axes, false, s), to, s);
}

}  // namespace lazulite
