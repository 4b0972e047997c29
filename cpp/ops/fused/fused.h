// Common compositions as one function (the sub-module `fast`). Halves are computed in float32.
#pragma once
#include "graph/node.h"

namespace lazulite::fast {

// Over the last axis; a weight or bias of null array is left out.
array layer_norm(const array& x, const array& weight, const array& bias, double eps,
                 Stream s = default_stream());
// log(sum(exp(logits))) - logits[target] over the last axis, in float32 (float64 of that): class
// indices of the shape of logits without it. Halves are computed in float32.
array cross_entropy(const array& logits, const array& targets, Stream s = default_stream());
array rms_norm(const array& x, const array& weight, double eps, Stream s = default_stream());

}  // namespace lazulite::fast
