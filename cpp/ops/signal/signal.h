// Convolution and correlation of signals; Hadamard transforms.
#pragma once
#include <optional>
#include <string>

#include "graph/node.h"

namespace lazulite {

// Of two vectors: sums of products where one slides over the other, "full": at all n + m - 1 places
// at which they meet, "same": as many as the longer one has, in the middle, "valid": where the
// shorter one lies within the other. Sums of up to 192 terms of float32 (96 of float64), and all
// of integers, are added up one after the other; longer ones of floats go by Fourier transforms in
// float64, in pieces.
array convolve(const array& a, const array& v, const std::string& mode = "full",
               Stream s = default_stream());
// c[k] = sum over n of a[n + k] * conj(v[n])
array correlate(const array& a, const array& v, const std::string& mode = "valid",
                Stream s = default_stream());
// Along the last axis, where x has at least as many as w and both have the same shape in front:
// out[..., i] = sum over j of x[..., i + j] * w[..., j].
array sliding_products(const array& x, const array& w, Stream s = default_stream());

// Each line of the last axis times the Hadamard matrix of its order, m * 2^k with m = 1, 12, 20 or
// 28, and the scale (1 / sqrt(n)). Integers become float32.
array hadamard_transform(const array& a, const std::optional<double>& scale = {},
                         Stream s = default_stream());

}  // namespace lazulite
