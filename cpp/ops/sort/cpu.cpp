// Sorting on the CPU: lines along an axis, as the engine wants them.
#include "engine/sort/sort.h"
#include "ops/cpu.h"
#include "ops/sort/ops.h"

namespace lazulite {
namespace {

engine::Lines lines_of(const KernelCall& call, int axis) {
  const TensorView& in = call.in[0];
  return engine::lines_of(in.data, in.type(), in.shape(), in.strides(), axis,
                          call.out[0].shape()[axis]);
}
bool is_empty(const KernelCall& call) { return size_of(call.out[0].shape()) == 0; }
bool is_wide(const KernelCall& call) { return call.out[0].type() == int64; }

void sort_kernel(const KernelCall& call) {
  const Ordered& o = call.node.get<Ordered>();
  if (!is_empty(call)) engine::sort_lines(lines_of(call, o.axis), o.descending, call.out[0].data);
}
void argsort_kernel(const KernelCall& call) {
  const Ordered& o = call.node.get<Ordered>();
  if (!is_empty(call))
    engine::argsort_lines(lines_of(call, o.axis), o.descending, is_wide(call), call.out[0].data);
}
void partition_kernel(const KernelCall& call) {
  const Parted& p = call.node.get<Parted>();
  if (!is_empty(call)) engine::partition_lines(lines_of(call, p.axis), p.kth, call.out[0].data);
}
void argpartition_kernel(const KernelCall& call) {
  const Parted& p = call.node.get<Parted>();
  if (!is_empty(call))
    engine::argpartition_lines(lines_of(call, p.axis), p.kth, is_wide(call), call.out[0].data);
}
void topk_kernel(const KernelCall& call) {
  if (!is_empty(call))
    engine::topk_lines(lines_of(call, call.node.get<Largest>().axis), call.out[0].data);
}
void searchsorted_kernel(const KernelCall& call) {
  if (is_empty(call)) return;
  const Searched& s = call.node.get<Searched>();
  const Dense sorted(call.in[0]), values(call.in[1]);
  const Shape& shape = call.in[0].shape();
  int64_t rows = 1;
  for (int d = 0; d < s.lanes; ++d) rows *= shape[d];
  engine::search_rows(call.in[0].type(), sorted.data, rows, shape[s.lanes], values.data,
              size_of(call.out[0].shape()) / rows, s.right, is_wide(call), call.out[0].data);
}

void unique_kernel(const KernelCall& call) {
  const Different& d = call.node.get<Different>();
  const TensorView& in = call.in[0];
  const Dense dense(in);
  const int64_t n = in.shape()[in.shape().size() - 1];
  const int64_t rows = size_of(call.out[3].shape());
  auto* first = reinterpret_cast<uint32_t*>(call.out[0].data);
  auto* inverse = reinterpret_cast<uint32_t*>(call.out[1].data);
  auto* counts = reinterpret_cast<int32_t*>(call.out[2].data);
  auto* found = reinterpret_cast<int64_t*>(call.out[3].data);
  auto run = [&](int64_t r) {
    found[r] = engine::distinct_elements(
        in.type(), dense.data + r * n * size_of(in.type()), n, d.equal_nan,
        {d.size, first + r * d.size, d.inverse ? inverse + r * n : nullptr, counts + r * d.size});
  };
  if (rows == 1) run(0);  // with all threads
  else cpu::parallel_for(rows, run, double(rows) * double(n) * 10);
}

}  // namespace

void register_sort(cpu::Kernels& kernels) {
  kernels[sort_op] = {sort_kernel};
  kernels[argsort_op] = {argsort_kernel};
  kernels[partition_op] = {partition_kernel};
  kernels[argpartition_op] = {argpartition_kernel};
  kernels[topk_op] = {topk_kernel};
  kernels[searchsorted_op] = {searchsorted_kernel};
  kernels[unique_op] = {unique_kernel};
}

}  // namespace lazulite
