// Norms of rows on the CPU: describes operands to engine/norm.
#include <cstring>

#include "ops/cpu.h"
#include "ops/fused/ops.h"

namespace lazulite {
namespace {

// A parameter, dense; null where it is not given.
struct Parameter {
  std::optional<Dense> held;
  const char* data = nullptr;
  Parameter(bool given, const TensorView& in) {
    if (given) data = held.emplace(in).data;
  }
};

template <bool centred>
void norm_kernel(const KernelCall& call) {
  const NormOf& a = call.node.get<NormOf>();
  const TensorView& x = call.in[0];
  if (size_of(x.shape()) == 0) return;
  const Parameter weight(a.weight, call.in[a.weight ? 1 : 0]),
      bias(a.bias, call.in[call.in.size() - 1]);
  engine::norm_forward(RowsOf(x, 0).rows,
               engine::Norm{a.eps.real(), centred, a.type != x.type(), weight.data,
                    bias.data},
               call.out[0].data, call.after);
}
template <bool centred>
void slope_kernel(const KernelCall& call) {
  const NormSlope& a = call.node.get<NormSlope>();
  const TensorView &x = call.in[0], &ct = call.in[call.in.size() - 1];
  if (size_of(x.shape()) == 0) {
    for (size_t i = 1; i < call.out.size(); ++i)
      std::memset(call.out[i].data, 0,
                  size_t(size_of(call.out[i].shape()) * size_of(call.out[i].type())));
    return;
  }
  const Parameter weight(a.weight, call.in[a.weight ? 1 : 0]);
  engine::norm_backward(RowsOf(x, 0).rows, RowsOf(ct, 1).rows,
                engine::Norm{a.eps.real(), centred, ct.type() != x.type(), weight.data},
                call.out[0].data, a.dweight ? call.out[1].data : nullptr,
                a.dbias ? call.out[1 + a.dweight].data : nullptr);
}

}  // namespace

void register_fused(cpu::Kernels& kernels) {
  kernels[layer_norm_op] = {norm_kernel<true>, Absorb::both, true};
  kernels[rms_norm_op] = {norm_kernel<false>, Absorb::both, true};
  kernels[layer_norm_slope_op] = {slope_kernel<true>};
  kernels[rms_norm_slope_op] = {slope_kernel<false>};
}

}  // namespace lazulite
