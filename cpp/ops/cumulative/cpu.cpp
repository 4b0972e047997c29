// Scans on the CPU: describes operands to engine/scan.
#include "engine/scan/scan.h"

#include "device/cpu/level.h"
#include "ops/cpu.h"
#include "ops/cumulative/ops.h"

namespace lazulite {

namespace engine {
LAZULITE_LEVELS(const ScanKernels&, scan_kernels)
}  // namespace engine

namespace {

// An exclusive scan is an inclusive one of all elements but the last, stored one place further,
// behind what nothing combines to; so is one with an initial element, of all of them.
void cumulative_kernel(const KernelCall& call) {
  const TensorView &in = call.in[0], &to = call.out[0];
  if (size_of(to.shape()) == 0) return;
  const Cumulative& c = call.node.get<Cumulative>();
  const auto& of = *static_cast<const CumulativeOf*>(call.node.op->family);
  const engine::ScanKernel& k = engine::scan_kernels().scan[int(of.scan)][index_of(in.type())];
  const size_t axis = size_t(c.axis);
  const int64_t bytes = size_of(in.type());
  const Strides dense = dense_strides(to.shape());
  engine::Scanned s{in.shape(), c.axis,       c.reverse, in.type(),
                    in.data,    in.strides(), to.data,   dense};
  if (c.start == Start::inclusive) return engine::scan_all(k, s, call.after);
  int64_t outer = 1, inner = 1;
  for (size_t d = 0; d < s.shape.size(); ++d)
    if (d != axis) (d < axis ? outer : inner) *= s.shape[d];
  const int64_t length = to.shape()[axis];
  for (int64_t i = 0; i < (inner == 1 ? 1 : outer); ++i)
    inner == 1 ? k.nothing(to.data + (c.reverse ? length - 1 : 0) * bytes, outer, length)
               : k.nothing(to.data + (i * length + (c.reverse ? length - 1 : 0)) * inner * bytes,
                           inner, 1);
  s.shape[axis] = length - 1;
  if (length == 1) return;
  if (!c.reverse) s.out += dense[axis] * bytes;
  else if (c.start == Start::exclusive) s.from += in.strides()[axis] * bytes;
  engine::scan_all(k, s);
}

void recurrence_kernel(const KernelCall& call) {
  const TensorView& to = call.out[0];
  if (size_of(to.shape()) == 0) return;
  const Recurrence& r = call.node.get<Recurrence>();
  const Dense a(call.in[0]), b(call.in[1]);
  engine::recurrence_all(engine::scan_kernels().recurrence[index_of(to.type())], a.data, b.data,
                         to.type(), to.shape(), r.axis, r.reverse, to.data);
}

}  // namespace

void register_cumulative(cpu::Kernels& kernels) {
  for (const Op* op : cumulatives()) kernels[*op] = {cumulative_kernel, Absorb::after};
  kernels[linear_recurrence_op] = {recurrence_kernel};
}

}  // namespace lazulite
