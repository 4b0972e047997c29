// Convolutions on the CPU: describes the operands to engine/conv.
#include <cstring>
#include <optional>

#include "engine/conv/conv.h"
#include "ops/conv/ops.h"
#include "ops/goes_on.h"

namespace lazulite {
namespace {

// Three axes: those that there are not have one element, and one tap.
engine::ConvView view_of(const TensorView& a) {
  const Strides& s = a.strides();
  engine::ConvView v{a.data, {s[0], 0, 0, 0, s.back()}};
  for (size_t i = 1; i + 1 < s.size(); ++i) v.strides[4 - s.size() + 1 + i] = s[i];
  return v;
}

engine::Convolution describe(const Conv& c, const TensorView& x, const Shape& out) {
  engine::Convolution d{.type = x.type(),
                        .batch = x.shape()[0],
                        .groups = c.groups,
                        .in_channels = x.shape().back(),
                        .out_channels = out.back(),
                        .axes = {},
                        .flip = c.flip};
  const size_t n = c.taps.size();
  for (size_t i = 0; i < 3; ++i) {
    if (i + n < 3) {
      d.axes[i] = {1, 1, 1, 1, 0, 1, 1};
      continue;
    }
    const size_t k = i + n - 3;
    d.axes[i] = {x.shape()[k + 1], out[k + 1], c.taps[k], c.stride[k],
                 c.low[k],         c.dilation[k], c.spread[k]};
  }
  return d;
}

template <class F>
void run_conv(const KernelCall& call, F&& convolve) {
  const TensorView &x = call.in[0], &w = call.in[1], &to = call.out[0];
  const int64_t count = size_of(to.shape());
  if (count == 0) return;
  const engine::Convolution c = describe(call.node.get<Conv>(), x, to.shape());
  std::optional<GoesOn> goes_on;
  engine::Finished finished;
  if (call.after)
    finished = {GoesOn::run, &goes_on.emplace(*call.after, count / c.out_channels, c.out_channels)};
  convolve(c, view_of(x), view_of(w), to.data, finished, w.storage->buffer.get());
}
void conv_kernel(const KernelCall& call) {
  run_conv(call, [](auto&&... given) { engine::convolve(given...); });
}
void int8_conv_kernel(const KernelCall& call) {
  run_conv(call, [&](const engine::Convolution& c, const engine::ConvView& x,
                     const engine::ConvView& w, char* to, const engine::Finished& finished,
                     const Buffer* weights) {
    const int zero = *reinterpret_cast<const int8_t*>(call.in[2].data);
    engine::convolve_int8(c, x, w, zero, to, finished, weights);
  });
}

void conv_weights_kernel(const KernelCall& call) {
  const TensorView &x = call.in[0], &ct = call.in[1], &to = call.out[0];
  if (size_of(to.shape()) == 0) return;
  engine::convolve_weights(describe(call.node.get<Conv>(), x, ct.shape()), view_of(x), view_of(ct),
                           to.data);
}

}  // namespace

void register_conv(cpu::Kernels& kernels) {
  kernels[conv_op] = {conv_kernel, Absorb::after};
  kernels[int8_conv_op] = {int8_conv_kernel, Absorb::after};
  kernels[conv_weights_op] = {conv_weights_kernel};
}

}  // namespace lazulite
