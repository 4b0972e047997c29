// Python's functions of pooling, in the sub-module core.fast.
#pragma once
#include "ops/functions.h"
#include "ops/pool/pool.h"

namespace lazulite::functions {

template <class M>
void add_pool(M& core) {
  auto& m = core.module("fast");
  using Sizes = const Shape&;
  m.def(
       "max_pool(x, kernel_size, stride=None, padding=0, *, stream=None)",
       [](A x, Sizes size, OptionalShape stride, const Margins& padding, S s) {
         return fast::max_pool(x, size, stride.value_or(Shape()), padding, s);
       },
       "The maxima of windows of an input of shape (batch, 1 to 3 axes, channels). Numbers hold for "
       "all axes, or there is\n"
       "one for each: the size of a window, steps between windows (none: that size), and what is "
       "put at both ends of an\n"
       "axis (or a pair of lists: at the beginnings, at the ends), which is never the largest. Nan "
       "where a window holds\n"
       "one. Gradients go to the first largest of a window. Beyond the reference.\n\n"
       ">>> mx.fast.max_pool(mx.array([[[1.0], [5], [2], [4]]]), 2)\n"
       "array([[[5],\n"
       "        [4]]], dtype=float32)")
      .cases({"x(2, 7, 3), 2", "x(2, 6, 5, 3), [3, 2], [2, 1], 1", "x(1, 5, 5, 17), 3, 1, ([1, 0], "
              "[0, 1])",
              "x(2, 4, 5, 3, 2), 2, [1, 2, 1], 1", "x(1, 9, 1), 4, 3", "x(0, 4, 2), 2",
              "x(2, 4, 0), 2", "x(1, 1, 5, 3), 1, 2"},
             "pools.max_pool")
      .large({"x(2, block + 3, 5), 3, 2", "x(1, grain + 1, 2), 2", "x(3, 35, 33, 17), 3, 2, 1",
              "x(2, 9, 9, 2 * tile + 3), 2", "x(1, grain + 5, 1), 5, 1, 2"});
  m.def(
       "avg_pool(x, kernel_size, stride=None, padding=0, count_include_pad=True, *, stream=None)",
       [](A x, Sizes size, OptionalShape stride, const Margins& padding, bool count, S s) {
         return fast::avg_pool(x, size, stride.value_or(Shape()), padding, count, s);
       },
       "The means of windows, as max_pool; what is put at the ends of an axis counts as zeros, or, "
       "unless count_include_pad,\n"
       "not at all. Halves are summed in float32. Beyond the reference.\n\n"
       ">>> mx.fast.avg_pool(mx.array([[[1.0], [5], [2], [4]]]), 2)\n"
       "array([[[3],\n"
       "        [3]]], dtype=float32)")
      .cases({"x(2, 7, 3), 2", "x(2, 6, 5, 3), [3, 2], [2, 1], 1",
              "x(1, 5, 5, 17), 3, 1, ([1, 0], [0, 1]), False", "x(2, 4, 5, 3, 2), 2, [1, 2, 1], 1",
              "x(1, 9, 1), 4, 3", "x(0, 4, 2), 2"},
             "pools.avg_pool")
      .large({"x(2, block + 3, 5), 3, 2", "x(3, 35, 33, 17), 3, 2, 1", "x(2, 9, 9, tile + 3), 2",
              "x(1, grain + 5, 1), 5, 1, 2"});
  m.def(
       "adaptive_max_pool(x, output_size, *, stream=None)",
       [](A x, Sizes size, S s) { return fast::adaptive_max_pool(x, size, s); },
       "The maxima of as many windows as output_size says, a number or one for each axis: window i "
       "of an axis of n elements\n"
       "goes from floor(i * n / size) to ceil((i + 1) * n / size). See max_pool. Beyond the "
       "reference.\n\n"
       ">>> mx.fast.adaptive_max_pool(mx.array([[[1.0], [5], [2]]]), 2).squeeze()\n"
       "array([5, 5], dtype=float32)")
      .cases({"x(2, 7, 3), 3", "x(2, 6, 5, 3), [3, 2]", "x(1, 4, 5, 3, 2), 1", "x(2, 3, 2), 5"},
             "pools.adaptive_max_pool")
      .large({"x(2, block + 3, 5), 7"});
  m.def(
       "adaptive_avg_pool(x, output_size, *, stream=None)",
       [](A x, Sizes size, S s) { return fast::adaptive_avg_pool(x, size, s); },
       "The means of the windows of adaptive_max_pool. Beyond the reference.\n\n"
       ">>> mx.fast.adaptive_avg_pool(mx.array([[[1.0], [5], [3]]]), 2).squeeze()\n"
       "array([3, 4], dtype=float32)")
      .cases({"x(2, 7, 3), 3", "x(2, 6, 5, 3), [3, 2]", "x(1, 4, 5, 3, 2), 1", "x(2, 3, 2), 5"},
             "pools.adaptive_avg_pool")
      .large({"x(2, block + 3, 5), 7", "x(2, 40, 30, 3), 1"});
  m.def(
       "resample(x, size, axis, mode='linear', align_corners=False, antialias=False, scale=None, *, "
       "stream=None)",
       [](A x, Sizes size, const Axes& axis, const std::string& mode, bool corners, bool antialias,
          const std::optional<double>& scale, S s) {
         return fast::resample(x, size, axis, mode, corners, antialias, scale.value_or(0), s);
       },
       "An axis made size elements long, or several with a size for each: 'nearest' takes the nearest element, 'linear' weighs the "
       "two around a place,\n"
       "'cubic' the four around it (Keys, 1981, a = -0.75). New elements stand 1 / scale apart (None: "
       "n / size), and the\n"
       "centres of both arrays lie on each other; or, with align_corners, their ends. antialias "
       "weighs all elements that one\n"
       "of a shorter axis stands for (cubic: a = -0.5). Integers become float32. Beyond the "
       "reference.\n\n"
       ">>> mx.fast.resample(mx.array([1.0, 3]), 4, 0)\n"
       "array([1, 1.5, 2.5, 3], dtype=float32)")
      .cases({"x(5, 3), 10, 0", "x(2, 5, 3), 3, 1, 'cubic'", "x(2, 6, 1), 9, 1, 'nearest'",
              "x(7, 4), 12, 0, 'linear', True", "x(2, 9, 3), 4, 1, 'cubic', False, True",
              "x(3, 8), 13, 1, 'cubic', False, False, 1.7", "x(2, 0, 3), 0, 1",
              "x(2, 4, 5, 3), [7, 6], [1, 2]", "x(3, 4, 2, 3), [2, 5, 4], [0, 1, -1], 'cubic'"},
             "pools.resample")
      .large({"x(3, block + 1, 19), 2 * block, 1", "x(5, grain + 1), 7, 0"});
}

}  // namespace lazulite::functions
