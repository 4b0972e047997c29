// Sliding products and Hadamard transforms on the CPU: describes operands to engine/signal.
#include "engine/signal/signal.h"

#include "ops/cpu.h"
#include "ops/signal/ops.h"

namespace lazulite {
namespace {

void sliding_kernel(const KernelCall& call) {
  const TensorView &to = call.out[0];
  if (size_of(to.shape()) == 0) return;
  const int64_t length = call.in[0].shape().back(), terms = call.in[1].shape().back();
  const Dense x(call.in[0]), w(call.in[1]);
  engine::correlate({to.type(), size_of(to.shape()) / to.shape().back(), length, terms, x.data,
                     w.data, to.data});
}

void hadamard_kernel(const KernelCall& call) {
  const TensorView& to = call.out[0];
  const int64_t count = size_of(to.shape()), n = to.shape().back();
  if (count == 0) return;
  const Hadamard& h = call.node.get<Hadamard>();
  const Dense x(call.in[0]);
  engine::hadamard({to.type(), count / n, n, h.scale.real(), h.transposed, x.data, to.data});
}

}  // namespace

void register_signal(cpu::Kernels& kernels) {
  kernels[sliding_products_op] = {sliding_kernel};
  kernels[hadamard_op] = {hadamard_kernel};
}

}  // namespace lazulite
