// Arrays from nothing: constants, ramps, patterns, windows.
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
array eye(int64_t n, int64_t m, int64_t k = 0, Dtype = float32, Stream s = default_stream());
array tri(int64_t n, int64_t m, int64_t k = 0, Dtype = float32, Stream s = default_stream());
array tril(const array&, int64_t k = 0, Stream s = default_stream());
array triu(const array&, int64_t k = 0, Stream s = default_stream());
// A vector on the k-th diagonal of a square; the k-th diagonal of a matrix.
array diag(const array&, int64_t k = 0, Stream s = default_stream());
std::vector<array> meshgrid(const std::vector<array>&, bool sparse = false,
                            bool matrix_order = false, Stream s = default_stream());
// Windows of M float32 samples, symmetric.
array hanning(int64_t M, Stream s = default_stream());
array hamming(int64_t M, Stream s = default_stream());
array blackman(int64_t M, Stream s = default_stream());
array bartlett(int64_t M, Stream s = default_stream());

}  // namespace lazulite
