// Pooling over one to three axes, channels last: windows of x (batch, axes, channels) give (batch,
// windows, channels). Beyond the reference, whose layers are made of other ops.
#pragma once
#include <string>

#include "ops/conv/conv.h"

namespace lazulite::fast {

// Sizes and strides axis by axis (one size stands for all); no stride: that of the windows, which
// then lie side by side. Of padding, nothing is larger.
array max_pool(const array& x, const Shape& size, const Shape& stride = {},
               const Margins& padding = {{0}, {0}}, Stream s = default_stream());
// Means; padding counts as zeros, or not at all.
array avg_pool(const array& x, const Shape& size, const Shape& stride = {},
               const Margins& padding = {{0}, {0}}, bool count_padding = true,
               Stream s = default_stream());
// As many windows as `size` says, from floor(i * n / size) to ceil((i + 1) * n / size).
array adaptive_max_pool(const array& x, const Shape& size, Stream s = default_stream());
array adaptive_avg_pool(const array& x, const Shape& size, Stream s = default_stream());

// Axes made `size` long, by elements at places of their own (mode "nearest", "linear" or "cubic").
// Each new element stands 1 / scale from the next (0: size / n; of one axis only); the centres of
// both arrays lie on each other, or their ends (`align_corners`).
array resample(const array& x, const Shape& size, const Axes& axes,
               const std::string& mode = "linear", bool align_corners = false,
               bool antialias = false, double scale = 0, Stream s = default_stream());

}  // namespace lazulite::fast
