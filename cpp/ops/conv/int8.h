// Convolutions of int8.
#pragma once
#include <optional>

#include "ops/conv/conv.h"

namespace lazulite {

// conv_general of int8, with sums of int32, which wrap, of x less `zero` (one number; padding
// stands for it); times a scale for each image (or one for all) and for each output channel (or
// one), which makes it floating.
array int8_conv(const array& x, const array& w, const std::optional<array>& x_scale = {},
                const std::optional<array>& w_scale = {}, const Shape& stride = {1},
                const Margins& padding = {{0}, {0}}, const Shape& kernel_dilation = {1},
                const Shape& input_dilation = {1}, int64_t groups = 1, bool flip = false,
                const std::optional<array>& zero = {}, Stream s = default_stream());

}  // namespace lazulite
