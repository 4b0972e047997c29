// The sub-module core.fast.
#pragma once
#include "ops/functions.h"
#include "ops/fused/fused.h"

namespace lazulite::functions {

template <class M>
void add_fused(M& core) {
  auto& m = core.module("fast");
  m.def(
       "layer_norm(x, weight, bias, eps, *, stream=None)",
       [](A x, OptionalArray weight, OptionalArray bias, double eps, S s) {
         return fast::layer_norm(x, weight.value_or(array()), bias.value_or(array()), eps, s);
       },
       "Layer normalisation over the last axis (Ba et al., 2016): (x - mean) / sqrt(var + "
       "eps) * weight + bias; weight and\n"
       "bias of shape (n,) or None. Halves are computed in float32.\n\n"
       ">>> mx.fast.layer_norm(mx.ones((1, 4)), None, None, 1e-5).shape\n"
       "(1, 4)")
      .cases({"x(2, 8), x(8), x(8), 1e-5", "x(2, 3, 8), None, None, 1e-3"}, "layer_norm")
      .large({"x(33, block + 1), x(block + 1), x(block + 1), 1e-5",
              "x(3, 2 * tree + 1), None, None, 1e-3"});
  m.def(
       "rms_norm(x, weight, eps, *, stream=None)",
       [](A x, OptionalArray weight, double eps, S s) {
         return fast::rms_norm(x, weight.value_or(array()), eps, s);
       },
       "Root mean square normalisation over the last axis (Zhang and Sennrich, 2019): x / "
       "sqrt(mean(x^2) + eps) * weight;\n"
       "weight of shape (n,) or None. Halves are computed in float32.\n\n"
       ">>> mx.fast.rms_norm(mx.ones((1, 4)), None, 0.0)\n"
       "array([[1, 1, 1, 1]], dtype=float32)")
      .cases({"x(2, 8), x(8), 1e-5", "x(2, 8), None, 1e-5"}, "rms_norm")
      .large({"x(33, block + 1), x(block + 1), 1e-5", "x(3, 2 * tree + 1), None, 1e-5"});
  m.def(
       "cross_entropy(logits, targets, *, stream=None)",
       [](A logits, A targets, S s) { return fast::cross_entropy(logits, targets, s); },
       "log(sum(exp(logits))) - logits[target] over the last axis, for class indices of the shape "
       "of logits without it: float32\n"
       "(of float64: float64). A common offset of the logits does not count. An index that is no "
       "class: IndexError.\n\n"
       ">>> mx.fast.cross_entropy(mx.array([[0.0, 0.0], [-100.0, 100.0]]), mx.array([0, 1]))\n"
       "array([0.693147, 0], dtype=float32)")
      .cases({"x(3, 5), i(5, 3)", "x(2, 3, 7), i(7, 2, 3)", "x(4), i(4)"}, "class_entropy")
      .large({"x(33, block + 1), i(block, 33)", "x(3, 2 * tree + 1), i(tree, 3)"});
}

}  // namespace lazulite::functions
