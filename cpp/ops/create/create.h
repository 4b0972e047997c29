// Arrays from nothing: constants and ramps.
#pragma once
#include <vector>

#include "graph/node.h"

namespace lazulite {

array full(const Shape&, const Operand& value, Dtype, Stream s = default_stream());
array full(const Shape&, const Operand& value,
           Stream s = default_stream());  // the value's own dtype
array zeros(const Shape&, Dtype = float32, Stream s = default_stream());
array ones(const Shape&, Dtype = float32, Stream s = default_stream());
// start, start + step, ... below stop: ceil((stop - start) / step) numbers, computed in 64 bits.
array arange(const Scalar& start, const Scalar& stop, const Scalar& step, Dtype,
             Stream s = default_stream());
array arange(const Scalar& start, const Scalar& stop, const Scalar& step,
             Stream s = default_stream());
array linspace(const Scalar& start, const Scalar& stop, int64_t num = 50, bool endpoint = true,
               Dtype = float32, Stream s = default_stream());

}  // namespace lazulite
