// Products on the CPU: describes the operands to engine/gemm and copies what it does not read.
#include <cstring>
#include <optional>

#include "engine/gemm/gemm.h"
#include "engine/layout/copy.h"
#include "ops/goes_on.h"
#include "ops/matmul/ops.h"

namespace lazulite {
namespace {

using engine::MatrixView;

MatrixView view_of(char* data, const Shape& shape, const Strides& strides) {
  const size_t n = shape.size();
  MatrixView m{data, shape[n - 2], shape[n - 1], strides[n - 2], strides[n - 1], {}};
  for (size_t i = 0; i + 2 < n; ++i) m.batch.push_back(shape[i] == 1 ? 0 : strides[i]);
  return m;
}

// Strides along axes of size 1 mean nothing: they are made those of a dense matrix.
MatrixView view_of(const TensorView& a) {
  MatrixView m = view_of(a.data, a.shape(), a.strides());
  if (m.rows == 1 && m.cols == 1) m.row = m.col = 1;
  else if (m.cols == 1) m.col = m.row == 1 ? m.rows : 1;
  else if (m.rows == 1) m.row = m.col == 1 ? m.cols : 1;
  return m;
}

// A row-major copy; axes in front that repeat are copied once. `memory` keeps it.
MatrixView dense_copy(const TensorView& a, Ref<Buffer>& memory) {
  Shape shape = a.shape();
  for (size_t i = 0; i + 2 < shape.size(); ++i)
    if (a.strides()[i] == 0) shape[i] = 1;
  memory = allocate(size_of(shape) * size_of(a.type()));
  const Strides dense = dense_strides(shape);
  engine::copy(shape, {a.data, a.type(), a.strides()}, {memory->data, a.type(), dense});
  return view_of(static_cast<char*>(memory->data), shape, dense);
}

void matmul_kernel(const KernelCall& call) {
  const TensorView &a = call.in[0], &b = call.in[1], &to = call.out[0];
  const size_t n = to.shape().size();
  const int64_t count = size_of(to.shape()), k = a.shape().back();
  if (count == 0) return;
  if (k == 0) return void(std::memset(to.data, 0, size_t(count * size_of(to.type()))));

  engine::Product p{.type = to.type(),
                    .batch = Shape(to.shape().begin(), to.shape().end() - 2),
                    .m = to.shape()[n - 2],
                    .n = to.shape()[n - 1],
                    .k = k,
                    .a = view_of(a),
                    .b = view_of(b),
                    .out = to.data};
  Ref<Buffer> copy_a, copy_b;
  if (!reads_left(p)) p.a = dense_copy(a, copy_a);
  if (!reads_right(p)) p.b = dense_copy(b, copy_b);
  std::optional<GoesOn> goes_on;
  if (call.after) p.finished = {GoesOn::run, &goes_on.emplace(*call.after, count / p.n, p.n)};
  engine::gemm(p);
}

}  // namespace

void register_matmul(cpu::Kernels& kernels) { kernels[matmul_op] = {matmul_kernel, Absorb::after}; }

}  // namespace lazulite
