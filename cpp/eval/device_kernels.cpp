#include "eval/device_kernels.h"

namespace lazulite {

void fail_without_kernel(const Node& node) {
  fail(Kind::value, node.op->name, "the device has no kernel for it: got ",
       name_of(node.stream.device), ", expected another device, such as cpu");
}

void check_kernel(const Node& node) {
  const Op& op = *node.op;
  const OpKernels& kernels = kernels_of(node);
  if (op.kind == OpKind::elementwise ? !kernels.block
                                     : op.kind == OpKind::kernel && !op.kernel && !kernels.run)
    fail_without_kernel(node);
}

void run_kernel(const KernelCall& call) {
  const auto own = kernels_of(call.node).run;
  const auto kernel = own ? own : call.node.op->kernel;
  if (!kernel) fail_without_kernel(call.node);
  kernel(call);
}

}  // namespace lazulite
