// Sorting on the CPU: lines along an axis, as the engine wants them.
#include "engine/sort/sort.h"
#include "ops/cpu.h"
#include "ops/sort/ops.h"

namespace lazulite {
namespace {

Lines lines_of(const KernelCall& call, int axis) {
  const TensorView& in = call.in[0];
  return lines_of(in.data, in.type(), in.shape(), in.strides(), axis, call.out[0].shape()[axis]);
}
bool is_empty(const KernelCall& call) { return size_of(call.out[0].shape()) == 0; }
bool is_wide(const KernelCall& call) { return call.out[0].type() == int64; }

void sort_kernel(const KernelCall& call) {
  const Ordered& o = call.node.get<Ordered>();
  if (!is_empty(call)) sort_lines(lines_of(call, o.axis), o.descending, call.out[0].data);
}
void argsort_kernel(const KernelCall& call) {
  const Ordered& o = call.node.get<Ordered>();
  if (!is_empty(call))
    argsort_lines(lines_of(call, o.axis), o.descending, is_wide(call), call.out[0].data);
}
void partition_kernel(const KernelCall& call) {
  const Parted& p = call.node.get<Parted>();
  if (!is_empty(call)) partition_lines(lines_of(call, p.axis), p.kth, call.out[0].data);
}
void argpartition_kernel(const KernelCall& call) {
  const Parted& p = call.node.get<Parted>();
  if (!is_empty(call))
    argpartition_lines(lines_of(call, p.axis), p.kth, is_wide(call), call.out[0].data);
}
void topk_kernel(const KernelCall& call) {
  if (!is_empty(call)) topk_lines(lines_of(call, call.node.get<Largest>().axis), call.out[0].data);
}
void searchsorted_kernel(const KernelCall& call) {
  if (is_empty(call)) return;
  const Searched& s = call.node.get<Searched>();
  const Dense sorted(call.in[0]), values(call.in[1]);
  const Shape& shape = call.in[0].shape();
  int64_t rows = 1;
  for (int d = 0; d < s.lanes; ++d) rows *= shape[d];
  search_rows(call.in[0].type(), sorted.data, rows, shape[s.lanes], values.data,
              size_of(call.out[0].shape()) / rows, s.right, is_wide(call), call.out[0].data);
}

}  // namespace

void register_sort(cpu::Kernels& kernels) {
  kernels[sort_op] = {sort_kernel};
  kernels[argsort_op] = {argsort_kernel};
  kernels[partition_op] = {partition_kernel};
  kernels[argpartition_op] = {argpartition_kernel};
  kernels[topk_op] = {topk_kernel};
  kernels[searchsorted_op] = {searchsorted_kernel};
}

}  // namespace lazulite
