// Python's functions of convolutions.
#pragma once
#include "ops/conv/conv.h"
#include "ops/functions.h"

namespace lazulite::functions {

template <class M>
void add_conv(M& m) {
  using Sizes = const Shape&;
  m.def(
       "conv_general(input, weight, /, stride=1, padding=0, kernel_dilation=1, input_dilation=1, "
       "groups=1, flip=False, *, stream=None)",
       [](A x, A w, Sizes stride, const Margins& padding, Sizes dilation, Sizes spread,
          int64_t groups, bool flip,
          S s) { return conv_general(x, w, stride, padding, dilation, spread, groups, flip, s); },
       "Convolution over the axes between the first and the last: an input of shape (batch, 1 to 3 "
       "axes, channels) and\n"
       "weights of shape (out channels, taps of each axis, channels / groups) give (batch, axes, "
       "out channels).\n"
       "Numbers hold for all axes, or there is one for each: steps between results, zeros at both "
       "ends (or a pair of\n"
       "lists: at the beginnings, at the ends; negative ones cut), steps between taps, and steps "
       "between the input's\n"
       "elements. Channels are split into groups of their own. Taps are not reversed, as in all of "
       "machine learning,\n"
       "unless flip says so. Floating dtypes; halves accumulate in float32. ValueError where shapes "
       "do not fit.\n\n"
       ">>> mx.conv_general(mx.array([[[1.0], [2], [3]]]), mx.ones((1, 2, 1)), padding=([1], [0]))\n"
       "array([[[1],\n"
       "        [3],\n"
       "        [5]]], dtype=float32)")
      .cases({"x(2, 7, 3), x(4, 3, 3)", "x(2, 6, 5, 3), x(4, 3, 2, 3), 2, ([1, 0], [2, 1])",
              "x(1, 5, 4), x(6, 3, 2), 1, 2, 2, 3, 2, True",
              "x(2, 4, 5, 3, 2), x(3, 2, 3, 2, 2), [1, 2, 1], 1, 1, [2, 1, 1]",
              "x(1, 6, 6, 2), x(2, 3, 3, 2), 1, ([-1, 0], [0, -2])"},
             "convolutions.conv_general")
      .by_layout();
  m.def(
       "int8_conv(input, weight, /, input_scale=None, weight_scale=None, stride=1, padding=0, "
       "kernel_dilation=1, input_dilation=1, groups=1, flip=False, *, input_zero=None, "
       "stream=None)",
       [](A x, A w, OptionalArray of_x, OptionalArray of_w, Sizes stride, const Margins& padding,
          Sizes dilation, Sizes spread, int64_t groups, bool flip, OptionalArray zero, S s) {
         return int8_conv(x, w, of_x, of_w, stride, padding, dilation, spread, groups, flip, zero,
                          s);
       },
       "conv_general of int8 with sums of int32, which wrap: of an input of shape (batch, 1 to 3 "
       "axes, channels) and weights\n"
       "of shape (out channels, taps of each axis, channels / groups). input_zero, one int8, is the "
       "code of zero: it is\n"
       "subtracted from the input, and padding stands for it. With scales, one for each image "
       "(batch,), for each output\n"
       "channel (out channels,) or for all, the sums times them, in their floating dtype. No "
       "gradient but for scales.\n"
       "ValueError where shapes or dtypes do not fit. Not of MLX.\n\n"
       ">>> x, w = mx.array([[[1], [2], [3]]], mx.int8), mx.ones((1, 2, 1), mx.int8)\n"
       ">>> mx.int8_conv(x, w).tolist(), mx.int8_conv(x, w, weight_scale=mx.array([0.5])).tolist()\n"
       "([[[3], [5]]], [[[1.5], [2.5]]])\n"
       ">>> mx.int8_conv(x, w, padding=1, input_zero=mx.array(1, mx.int8)).squeeze()\n"
       "array([0, 1, 3, 2], dtype=int32)")
      .cases({"mx.real(x(2, 7, 3) * 30).astype(mx.int8), mx.real(x(4, 3, 3) * 30).astype(mx.int8)",
              "mx.real(x(2, 6, 5, 3) * 30).astype(mx.int8), mx.real(x(4, 3, 2, 3) * "
              "30).astype(mx.int8), mx.real(x(2)) * 1.0, mx.real(x(4)) * 1.0, 2, ([1, 0], [2, 1])",
              "mx.real(x(1, 5, 4) * 30).astype(mx.int8), mx.real(x(6, 3, 2) * 30).astype(mx.int8), "
              "None, mx.real(x()) * 1.0, 1, 2, 2, 3, 2, True, input_zero=mx.array(-7, mx.int8)",
              "mx.real(x(2, 4, 5, 3, 2) * 30).astype(mx.int8), mx.real(x(3, 2, 3, 2, 2) * "
              "30).astype(mx.int8), None, None, [1, 2, 1], 1, 1, [2, 1, 1]",
              "mx.real(x(2, 5, 6, 3) * 30).astype(mx.int8), mx.real(x(6, 3, 3, 1) * "
              "30).astype(mx.int8), None, None, 1, 1, 1, 1, 3, input_zero=mx.array(9, mx.int8)"},
             "convolutions.int8_conv")
      .large({"mx.real(x(2, 35, 33, 17) * 30).astype(mx.int8), mx.real(x(40, 3, 3, 17) * "
              "30).astype(mx.int8), None, None, 1, 1, input_zero=mx.array(-128, mx.int8)",
              "mx.real(x(1, 9, 9, 700) * 30).astype(mx.int8), mx.real(x(35, 3, 3, 700) * "
              "30).astype(mx.int8), None, None, 2, 1"});
  m.def(
       "conv1d(input, weight, /, stride=1, padding=0, dilation=1, groups=1, *, stream=None)",
       [](A x, A w, Sizes stride, Sizes padding, Sizes dilation, int64_t groups, S s) {
         return conv("conv1d", 1, x, w, stride, padding, dilation, groups, s);
       },
       "Convolution over one axis: input (batch, length, channels), weight (out channels, taps, "
       "channels / groups).\n"
       "See conv_general.\n\n"
       ">>> mx.conv1d(mx.array([[[1.0], [2], [4]]]), mx.ones((1, 2, 1)))\n"
       "array([[[3],\n"
       "        [6]]], dtype=float32)")
      .cases({"x(2, 9, 3), x(4, 3, 3)", "x(2, 9, 4), x(6, 2, 2), 2, 1, 3, 2",
              "x(2, 9, 5), x(5, 3, 1), 1, 1, 1, 5", "x(1, 4, 3), x(9, 2, 1), 1, 1, 1, 3",
              "x(0, 9, 3), x(4, 3, 3)", "x(2, 5, 0), x(3, 2, 0)"},
             "convolutions.conv")
      .by_layout()
      .large({"x(2, block + 3, 3), x(35, 5, 3), 1, 2", "x(1, grain + 1, 1), x(3, 4, 1), 3",
              "x(2, 70, tile + 1), x(33, 3, tile + 1), 1, 1"});
  m.def(
       "conv2d(input, weight, /, stride=1, padding=0, dilation=1, groups=1, *, stream=None)",
       [](A x, A w, Sizes stride, Sizes padding, Sizes dilation, int64_t groups, S s) {
         return conv("conv2d", 2, x, w, stride, padding, dilation, groups, s);
       },
       "Convolution over two axes: input (batch, height, width, channels), weight (out channels, "
       "taps down, taps across,\n"
       "channels / groups). See conv_general.\n\n"
       ">>> mx.conv2d(mx.ones((1, 3, 3, 1)), mx.ones((1, 3, 3, 1)), padding=1).squeeze()\n"
       "array([[4, 6, 4],\n"
       "       [6, 9, 6],\n"
       "       [4, 6, 4]], dtype=float32)")
      .cases({"x(2, 7, 6, 3), x(4, 3, 2, 3)", "x(2, 8, 7, 4), x(6, 3, 3, 2), 2, 1, 1, 2",
              "x(1, 7, 9, 2), x(3, 2, 3, 2), [2, 1], [1, 2], [1, 2]",
              "x(2, 5, 5, 3), x(6, 3, 3, 1), 1, 1, 1, 3", "x(2, 5, 4, 3), x(4, 1, 1, 3)"},
             "convolutions.conv")
      .by_layout()
      .large({"x(3, 35, 33, 17), x(40, 3, 3, 17), 1, 1",
              "x(2, 33, 31, 35), x(35, 5, 3, 1), 2, 2, 1, 35",
              "x(1, 9, 9, tile + 3), x(15, 3, 3, tile + 3)",
              "x(1, 70, block + 1, 2), x(5, 2, 3, 2), [1, 2]"});
  m.def(
       "conv3d(input, weight, /, stride=1, padding=0, dilation=1, groups=1, *, stream=None)",
       [](A x, A w, Sizes stride, Sizes padding, Sizes dilation, int64_t groups, S s) {
         return conv("conv3d", 3, x, w, stride, padding, dilation, groups, s);
       },
       "Convolution over three axes: input (batch, depth, height, width, channels), weight (out "
       "channels, taps of each,\n"
       "channels / groups). See conv_general.\n\n"
       ">>> mx.conv3d(mx.ones((1, 2, 2, 2, 1)), mx.ones((1, 2, 2, 2, 1))).item()\n"
       "8.0")
      .cases(
          {"x(2, 4, 5, 4, 3), x(4, 3, 2, 2, 3)", "x(1, 4, 5, 4, 4), x(2, 2, 3, 3, 2), 2, 1, 1, 2",
           "x(1, 4, 3, 4, 2), x(2, 2, 2, 3, 1), 1, [0, 1, 2], [2, 1, 1], 2"},
          "convolutions.conv")
      .by_layout()
      .large({"x(1, 9, 17, 33, 5), x(33, 3, 3, 3, 5), 1, 1"});
  const char* transposed =
      "What has the shapes of the convolution that goes the other way: its gradient with respect "
      "to the input, as a\n"
      "function of its own. An axis of n elements becomes (n - 1) * stride - 2 * padding + dilation "
      "* (taps - 1) +\n"
      "output_padding + 1; weight is (out channels, taps, in channels / groups).\n\n";
  m.def(
       "conv_transpose1d(input, weight, /, stride=1, padding=0, dilation=1, output_padding=0, "
       "groups=1, *, stream=None)",
       [](A x, A w, Sizes stride, Sizes padding, Sizes dilation, Sizes more, int64_t groups, S s) {
         return conv_transpose("conv_transpose1d", 1, x, w, stride, padding, dilation, more, groups,
                               s);
       },
       std::string(transposed) +
           ">>> mx.conv_transpose1d(mx.array([[[1.0], [2]]]), mx.ones((1, 2, 1)), stride=2)\n"
           "array([[[1],\n"
           "        [1],\n"
           "        [2],\n"
           "        [2]]], dtype=float32)")
      .cases({"x(2, 5, 3), x(4, 3, 3)", "x(2, 5, 4), x(6, 3, 2), 3, 1, 2, 1, 2"},
             "convolutions.conv_transpose")
      .by_layout()
      .large({"x(2, block + 3, 3), x(35, 4, 3), 2, 1"});
  m.def(
       "conv_transpose2d(input, weight, /, stride=1, padding=0, dilation=1, output_padding=0, "
       "groups=1, *, stream=None)",
       [](A x, A w, Sizes stride, Sizes padding, Sizes dilation, Sizes more, int64_t groups, S s) {
         return conv_transpose("conv_transpose2d", 2, x, w, stride, padding, dilation, more, groups,
                               s);
       },
       std::string(transposed) +
           ">>> mx.conv_transpose2d(mx.ones((1, 1, 2, 1)), mx.ones((1, 1, 2, 1))).squeeze()\n"
           "array([1, 2, 1], dtype=float32)")
      .cases({"x(2, 4, 5, 3), x(4, 3, 2, 3)",
              "x(2, 4, 5, 4), x(6, 3, 3, 2), [2, 3], [1, 0], 1, [0, 1], 2",
              "x(1, 3, 4, 3), x(3, 2, 2, 1), 2, 0, 1, 0, 3"},
             "convolutions.conv_transpose")
      .by_layout()
      .large({"x(2, 17, 19, 33), x(40, 4, 4, 33), 2, 1"});
  m.def(
       "conv_transpose3d(input, weight, /, stride=1, padding=0, dilation=1, output_padding=0, "
       "groups=1, *, stream=None)",
       [](A x, A w, Sizes stride, Sizes padding, Sizes dilation, Sizes more, int64_t groups, S s) {
         return conv_transpose("conv_transpose3d", 3, x, w, stride, padding, dilation, more, groups,
                               s);
       },
       std::string(transposed) +
           ">>> mx.conv_transpose3d(mx.ones((1, 1, 1, 1, 1)), mx.ones((2, 1, 2, 1, 1))).shape\n"
           "(1, 1, 2, 1, 2)")
      .cases({"x(1, 3, 4, 3, 2), x(3, 2, 2, 3, 2), [1, 2, 1], 1"}, "convolutions.conv_transpose")
      .by_layout();
}

}  // namespace lazulite::functions
