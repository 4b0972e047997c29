// What the files of this room share.
#pragma once
#include "device/cpu/level.h"
#include "engine/conv/kernels.h"
#include "engine/conv/window.h"
#include "engine/gemm/panel_product.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const ConvTable&, conv_kernels)

inline const ConvKernels& conv_kernels_of(Dtype type) {
  return type == float64 ? conv_kernels().of_doubles : conv_kernels().of_floats;
}

inline constexpr double macs_per_ns = 15;  // of one thread, about

// Tasks of so many multiply-adds: up to 16, of some 8 us at least.
inline int64_t tasks_of(double macs) {
  return std::max<int64_t>(1, int64_t(std::min(16.0, macs / (8000 * macs_per_ns))));
}

inline bool by_channels(const Convolution& c) {
  return c.groups > 1 && c.groups == c.in_channels;
}
// ... of input channels: about 256 of the result's, and whole registers of them.
inline int64_t channels_of_piece(const Convolution& c, const ConvKernels& k) {
  const int64_t times = c.out_channels / c.in_channels;
  return std::max<int64_t>(k.lanes, 256 / times / k.lanes * k.lanes);
}

}  // namespace lazulite::engine
