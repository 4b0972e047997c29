// Sparse products on the CPU: describes the operands to engine/sparse.
#include <cstring>
#include <optional>

#include "engine/sparse/sparse.h"
#include "ops/cpu.h"
#include "ops/sparse/ops.h"

namespace lazulite {
namespace {

// Indices and indptr of a call, `first` and the one behind it, dense.
struct PatternOf {
  Dense indices, indptr;
  engine::SparsePattern pattern;
  PatternOf(const KernelCall& call, size_t first, int64_t columns)
      : indices(call.in[first]), indptr(call.in[first + 1]) {
    pattern = {indices.data,
               indptr.data,
               call.in[first].type(),
               size_of(call.in[first + 1].shape()) - 1,
               columns,
               size_of(call.in[first].shape())};
  }
};

void product_kernel(const KernelCall& call) {
  const TensorView& b = call.in[3];
  const Shape& blocks = call.in[0].shape();
  const int64_t rows = b.shape()[0], columns = b.shape()[1];
  const PatternOf at(call, 1, rows / blocks[2]);
  const Dense data(call.in[0]);
  std::optional<Dense> held;
  int64_t step = b.strides()[0];
  const bool lies = (columns == 1 && step >= 1) ||
                    (columns > 1 && b.strides()[1] == 1 && step >= columns);
  if (!lies) {
    held.emplace(b);
    step = columns;
  }
  engine::sparse_product({.pattern = at.pattern,
                          .type = b.type(),
                          .high = blocks[1],
                          .wide = blocks[2],
                          .data = data.data,
                          .b = held ? held->data : b.data,
                          .step = step,
                          .end = rows == 0 ? 0 : (rows - 1) * step + columns,
                          .columns = columns,
                          .out = call.out[0].data},
                         "sparse.product");
}

void sampled_kernel(const KernelCall& call) {
  const Blocks& k = call.node.get<Blocks>();
  const PatternOf at(call, 2, call.in[1].shape()[0] / k.wide);
  const Dense a(call.in[0]), b(call.in[1]);
  engine::sampled_product({.pattern = at.pattern,
                           .type = call.in[0].type(),
                           .high = k.high,
                           .wide = k.wide,
                           .a = a.data,
                           .b = b.data,
                           .steps = call.in[0].shape()[1],
                           .out = call.out[0].data},
                          "sparse.sampled_product");
}

void group_kernel(const KernelCall& call) {
  const Dense numbers(call.in[0]);
  std::optional<Dense> of;
  if (call.in.size() > 1) of.emplace(call.in[1]);
  engine::group_numbers(numbers.data, call.in[0].type(), size_of(call.in[0].shape()),
                        of ? of->data : nullptr, of ? size_of(call.in[1].shape()) - 1 : 0,
                        call.node.get<Numbers>().size, call.out[0].data, call.out[1].data,
                        "sparse.group");
}
void rows_kernel(const KernelCall& call) {
  const Dense indptr(call.in[0]);
  engine::rows_of_places(indptr.data, call.in[0].type(), size_of(call.in[0].shape()) - 1,
                         call.node.get<Numbers>().size, call.out[0].data, "sparse.row_numbers");
}

// Of (indices, indptr) from operand a on, and from b on.
struct CrossedPatterns {
  PatternOf b, a;
  CrossedPatterns(const KernelCall& call, size_t first, size_t second, int64_t columns)
      : b(call, second, columns), a(call, first, b.pattern.rows) {}
};

void pattern_rows_kernel(const KernelCall& call) {
  const CrossedPatterns of(call, 0, 2, call.node.get<Crossed>().columns);
  engine::count_product(of.a.pattern, of.b.pattern, call.out[0].data, "sparse.product_pattern");
}
void pattern_kernel(const KernelCall& call) {
  const Crossed& c = call.node.get<Crossed>();
  const CrossedPatterns of(call, 0, 2, c.columns);
  const Dense indptr(call.in[4]);
  engine::fill_product(of.a.pattern, of.b.pattern, indptr.data, c.size, call.out[0].data,
                       "sparse.product_pattern");
}
void product_at_kernel(const KernelCall& call) {
  const int64_t columns = call.node.get<Crossed>().columns;
  const CrossedPatterns of(call, 1, 4, columns);
  const PatternOf at(call, 6, columns);
  const Dense a(call.in[0]), b(call.in[3]);
  engine::product_at({.a = of.a.pattern,
                      .b = of.b.pattern,
                      .at = at.pattern,
                      .type = call.in[0].type(),
                      .a_data = a.data,
                      .b_data = b.data,
                      .out = call.out[0].data},
                     "sparse.product_at");
}

}  // namespace

void register_sparse(cpu::Kernels& kernels) {
  kernels[sparse_product_op] = {product_kernel};
  kernels[sampled_product_op] = {sampled_kernel};
  kernels[sparse_group_op] = {group_kernel};
  kernels[sparse_rows_op] = {rows_kernel};
  kernels[sparse_pattern_rows_op] = {pattern_rows_kernel};
  kernels[sparse_pattern_op] = {pattern_kernel};
  kernels[sparse_product_at_op] = {product_at_kernel};
}

}  // namespace lazulite
