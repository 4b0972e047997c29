// Convolutions over one to three axes, channels last: x is (batch, axes, channels), weights are
// (out channels, taps of each axis, channels / groups). Floating dtypes; halves accumulate in
// float32 and round once. As everywhere in networks, taps are not reversed unless asked for.
#pragma once
#include <optional>

#include "graph/node.h"

namespace lazulite {

// Zeros at the ends of each axis; negative: what is cut off. One size stands for all axes.
struct Margins {
  Shape low, high;
};

// Axis by axis (one size stands for all): stride between results, dilation of taps and of the
// input. Result o of an axis sees tap k at o * stride - low + k * dilation of the dilated input.
array conv_general(const array& x, const array& w, const Shape& stride = {1},
                   const Margins& padding = {{0}, {0}}, const Shape& kernel_dilation = {1},
                   const Shape& input_dilation = {1}, int64_t groups = 1, bool flip = false,
                   Stream s = default_stream());
// The same over `axes` axes; errors name `op`.
array conv(const char* op, int axes, const array& x, const array& w, const Shape& stride,
           const Shape& padding, const Shape& dilation, int64_t groups, Stream s);
// What gives back the shape that went into conv: its gradient with respect to x, as a function of
// its own; output_padding adds to the end of each axis.
array conv_transpose(const char* op, int axes, const array& x, const array& w, const Shape& stride,
                     const Shape& padding, const Shape& dilation, const Shape& output_padding,
                     int64_t groups, Stream s);

// conv_general of int8, with sums of int32, which wrap, of x less `zero` (one number; padding
// stands for it); times a scale for each image (or one for all) and for each output channel (or
// one), which makes it floating.
array int8_conv(const array& x, const array& w, const std::optional<array>& x_scale = {},
                const std::optional<array>& w_scale = {}, const Shape& stride = {1},
                const Margins& padding = {{0}, {0}}, const Shape& kernel_dilation = {1},
                const Shape& input_dilation = {1}, int64_t groups = 1, bool flip = false,
                const std::optional<array>& zero = {}, Stream s = default_stream());

}  // namespace lazulite
