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
// `count` numbers: start, start + step, ...
array ramp(const Scalar& start, const Scalar& step, int64_t count, Dtype,
           Stream s = default_stream());
// A matrix that is 1 where low <= column - row <= high, else 0.
array band(int64_t rows, int64_t columns, int64_t low, int64_t high, Dtype,
           Stream s = default_stream());
// The elements of matrices (the last two axes) where column - row is at least (`upper`) or at most
// the bound, zeros elsewhere.
array triangle(const array&, int64_t bound, bool upper, Stream s = default_stream());
array linspace(const Scalar& start, const Scalar& stop, int64_t num = 50, bool endpoint = true,
               Dtype = float32, Stream s = default_stream());

}  // namespace lazulite
