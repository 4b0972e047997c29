// Which block kernel of the running instruction-set level an elementwise op has for a dtype.
#include "device/cpu/block.h"
#include "device/cpu/level.h"
#include "ops/cpu.h"
#include "ops/elementwise/arithmetic.h"
#include "ops/elementwise/ops.h"

namespace lazulite {

#define LAZULITE_ROW_SET(set) LAZULITE_LEVELS(const Kernel*, elementwise_##set)
LAZULITE_ROW_SETS(LAZULITE_ROW_SET)
#undef LAZULITE_ROW_SET
LAZULITE_LEVELS(const Kernel*, elementwise_select)
LAZULITE_LEVELS(const Kernel*, elementwise_pairs)
LAZULITE_LEVELS(const Kernel*, elementwise_expressions)

namespace {

template <auto table>
Kernel row_kernel(const Op& op, Dtype in, Dtype) {
  return table()[op.row * dtype_count + index_of(in)];
}
#define LAZULITE_ROW_SET(set) row_kernel<elementwise_##set>,
constexpr decltype(&row_kernel<elementwise_unary>) row_kernels[] = {
    LAZULITE_ROW_SETS(LAZULITE_ROW_SET)};
#undef LAZULITE_ROW_SET
Kernel select_kernel(const Op&, Dtype in, Dtype) { return elementwise_select()[index_of(in)]; }
Kernel cast_kernel(const Op&, Dtype in, Dtype out) { return cpu::cast_kernel(in, out); }

Kernel pair_kernel(const Op& op, const Op& inner, int at, Dtype type) {
  if (inner.on[Device::cpu].pair != pair_kernel) return nullptr;
  const int pair = op.row * arithmetic_rows::two::count + inner.row;
  return elementwise_pairs()[(pair * 2 + at) * dtype_count + index_of(type)];
}

Link link_in_expression(const Op& op, Dtype type) {
  const Kernel expression = elementwise_expressions()[index_of(type)];
  if (!expression) return {};
  const auto& family = *static_cast<const ElementwiseFamily*>(op.family);
  Link link{expression, uint8_t(linked_number<arithmetic_rows::two>(op.row))};
  link.opcodes[0] = family.row.opcode;
  link.type = type;
  return link;
}

}  // namespace

void register_elementwise(cpu::Kernels& kernels) {
  for (const Op* op : rows_of_elementwise()) {
    const auto& family = *static_cast<const ElementwiseFamily*>(op->family);
    kernels[*op] = {.block = row_kernels[int(family.set)],
                    .pair = family.row.pairs || family.row.bounds ? pair_kernel : nullptr,
                    .link = family.row.pairs ? link_in_expression : nullptr};
  }
  kernels[cast_op] = {.block = cast_kernel};
  kernels[select_op] = {.block = select_kernel};
}

}  // namespace lazulite
