// Every elementwise function of one and two operands, and conversions, on a block.
#include "ops/elementwise/elementwise.h"

#include "device/cpu/block.h"
#include "device/limits.h"
#include "kernels.h"

namespace lazulite {

#define LAZULITE_ROW_SET(set) LAZULITE_EACH_LEVEL(const Kernel*, elementwise_##set)
LAZULITE_ROW_SETS(LAZULITE_ROW_SET)
#undef LAZULITE_ROW_SET
namespace cpu { LAZULITE_EACH_LEVEL(const BlockKernels&, block_kernels) }

namespace bench {
namespace {

void add_block(const Level& level, const std::string& name, Kernel kernel, int operands, Dtype from,
               int64_t to_bytes, double low, double high) {
  if (!kernel) return;
  add(level, name, [=](Amount& amount) {
    const int64_t n = block_size, bytes = n * size_of(from);
    amount = {n, operands * bytes + n * to_bytes};
    Memory all(operands * bytes);
    for (int k = 0; k < operands; ++k) all.fill(from, n * operands, low, high);
    return [=, all = std::move(all), out = Memory(n * 16)] {
      const void* in[2] = {all.get(), all.get() + (operands - 1) * bytes};
      kernel(out.get(), in, n);
    };
  });
}

void functions(const Level& level) {
#define LAZULITE_ROW_SET(set) elementwise_##set##_at(level),
  const Kernel* const tables[] = {LAZULITE_ROW_SETS(LAZULITE_ROW_SET)};
#undef LAZULITE_ROW_SET
  for (const Op* op : rows_of_elementwise()) {
    const auto& family = *static_cast<const ElementwiseFamily*>(op->family);
    const Row& row = family.row;
    const Kernel* kernels = tables[int(family.set)];
    for (Dtype t : {float32, float64, int32, complex64})
      add_block(level, std::string("elementwise/") + row.name + "/" + std::string(name_of(t)),
                kernels[op->row * dtype_count + int(t)], family.operands, t, size_of(t), row.lo,
                row.hi);
  }
}

void conversions(const Level& level) {
  const cpu::BlockKernels& block = cpu::block_kernels_at(level);
  auto one = [&](const std::string& what, Kernel kernel, Dtype from, int64_t to_bytes) {
    add_block(level, "convert/" + what, kernel, 1, from, to_bytes, -2, 2);
  };
  for (Dtype to : {bool_, uint8, int32, int64, float64, complex64})
    one("float32 to " + std::string(name_of(to)), block.cast[int(float32)][int(to)], float32,
        size_of(to));
  for (Dtype from : {bool_, uint8, int32, int64, float64})
    one(std::string(name_of(from)) + " to float32", block.cast[int(from)][int(float32)], from, 4);
  for (int h = 0; h < 2; ++h) {
    const std::string name(name_of(h ? bfloat16 : float16));
    one(name + " to float32", block.widen[h], h ? bfloat16 : float16, 4);
    one("float32 to " + name, block.narrow[h], float32, 2);
  }
}

const Room rooms[] = {Room(functions), Room(conversions)};

}  // namespace
}  // namespace bench
}  // namespace lazulite
