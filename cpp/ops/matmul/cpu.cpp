// Products on the CPU: describes the operands to engine/gemm and copies what it does not read.
#include <cstring>
#include <optional>

#include "engine/gemm/gemm.h"
#include "engine/gemm/grouped.h"
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
  if (reads_right(p)) p.weights = b.storage->buffer.get();
  else p.b = dense_copy(b, copy_b);
  std::optional<GoesOn> goes_on;
  if (call.after) p.finished = {GoesOn::run, &goes_on.emplace(*call.after, count / p.n, p.n)};
  engine::gemm(p);
}

// The memory of a stack as it lies: no copy of what is not named.
MatrixView stack_of(const TensorView& a) { return view_of(a.data, a.shape(), a.strides()); }

void check_range(const Dense& at, int64_t n, int64_t size, const char* name) {
  const auto* i = reinterpret_cast<const int64_t*>(at.data);
  for (int64_t k = 0; k < n; ++k)
    if (i[k] < 0 || i[k] >= size)
      fail(Kind::index, "gather_mm", name, ": index out of range: got ", i[k], " of ", size,
           " matrices");
}
void named_kernel(const KernelCall& call) {
  const TensorView &a = call.in[0], &b = call.in[1], &to = call.out[0];
  const Dense l(call.in[2]), r(call.in[3]), o(call.in[4]);
  const int64_t terms = size_of(call.in[2].shape()), count = to.shape()[0];
  check_range(l, terms, a.shape()[0], "lhs_indices");
  check_range(r, terms, b.shape()[0], "rhs_indices");
  check_range(o, terms, count, "indices of results");
  const auto numbers = [](const Dense& d) { return reinterpret_cast<const int64_t*>(d.data); };
  engine::named_products({to.type(), to.shape()[1], to.shape()[2], a.shape()[2], stack_of(a),
                          stack_of(b), terms, numbers(l), numbers(r), numbers(o), count, to.data});
}

// Where parts begin and end, checked.
struct Parts {
  std::vector<int64_t> from, to;
  Parts(const TensorView& pairs, int64_t size) {
    const Dense dense(pairs);
    const auto* v = reinterpret_cast<const int64_t*>(dense.data);
    for (int64_t i = 0; i < pairs.shape()[0]; ++i, v += 2) {
      if (v[0] < 0 || v[0] > size || v[1] < 0 || v[1] > size)
        fail(Kind::index, "segmented_mm", "segments: got (", v[0], ", ", v[1],
             "), expected places from 0 to ", size);
      from.push_back(v[0]);
      to.push_back(std::max(v[0], v[1]));
    }
  }
};
template <void (*f)(const engine::PartProducts&), bool spread>
void parts_kernel(const KernelCall& call) {
  const TensorView &a = call.in[0], &b = call.in[1], &to = call.out[0];
  const Parts parts(call.in[2], b.shape()[0]);
  if (size_of(to.shape()) == 0) return;
  f({to.type(), a.shape()[spread ? 1 : 0], b.shape()[1], stack_of(a), stack_of(b),
     int64_t(parts.from.size()), parts.from.data(), parts.to.data(), to.data});
}

}  // namespace

void register_matmul(cpu::Kernels& kernels) {
  kernels[matmul_op] = {matmul_kernel, Absorb::after};
  kernels[named_product_op] = {named_kernel};
  kernels[part_product_op] = {parts_kernel<engine::part_products, false>};
  kernels[spread_product_op] = {parts_kernel<engine::spread_products, true>};
}

}  // namespace lazulite
