// Fourier transforms on the CPU: describes lines of memory to engine/fft.
#include "engine/fft/fft.h"
#include "ops/cpu.h"
#include "ops/fft/ops.h"

namespace lazulite::fft {
namespace {

template <engine::Fourier kind, bool onto = false>
void transform_kernel(const KernelCall& call) {
  const Transform& t = call.node.get<Transform>();
  const TensorView &out = call.out[0], &in = onto ? out : call.in[0];
  if (size_of(out.shape()) == 0) return;
  engine::FourierLines lines{};
  lines.kind = kind;
  lines.type = real_type(in.type());
  lines.inverse = t.inverse;
  lines.scale = t.scale.real();
  lines.n = t.n;
  lines.in_count = in.shape()[size_t(t.axis)];
  const Strides to = onto ? out.strides() : dense_strides(out.shape());
  for (int i = 0; i < int(in.shape().size()); ++i) {
    if (i == t.axis) continue;
    lines.kept.push_back(in.shape()[size_t(i)]);
    lines.in_strides.push_back(in.strides()[size_t(i)]);
    lines.out_strides.push_back(to[size_t(i)]);
  }
  lines.in_step = in.strides()[size_t(t.axis)];
  lines.out_step = to[size_t(t.axis)];
  lines.in = in.data;
  lines.out = out.data;
  engine::fourier(lines);
}

}  // namespace
}  // namespace lazulite::fft

namespace lazulite {

void register_fft(cpu::Kernels& kernels) {
  kernels[fft::fft_op] = {fft::transform_kernel<engine::Fourier::complex>};
  kernels[fft::fft_onto_op] = {fft::transform_kernel<engine::Fourier::complex, true>};
  kernels[fft::rfft_op] = {fft::transform_kernel<engine::Fourier::real_to_half>};
  kernels[fft::irfft_op] = {fft::transform_kernel<engine::Fourier::half_to_real>};
}

}  // namespace lazulite
