// Derivatives of what does not change by a little: whole numbers, codes, their scales.
#pragma once
#include "graph/op.h"

namespace lazulite {

inline Arrays vjp_nothing(const Node& node, const Arrays&, const Needs&) {
  Arrays out;
  out.resize(node.inputs.size());
  return out;
}
inline Arrays jvp_nothing(const Node& node, const Arrays&) {
  Arrays out;
  out.resize(node.out.size());
  return out;
}

}  // namespace lazulite
