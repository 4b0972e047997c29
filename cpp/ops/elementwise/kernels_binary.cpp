// The binary kernels of one instruction-set level, from the list in binary.h.
#include "ops/elementwise/kernels.h"
#include "ops/elementwise/binary.h"

namespace lazulite {
namespace {
constexpr auto table = kernel_table<BinaryKernel, 2>(binary_rows{});
}
const Kernel* LAZULITE_AT_LEVEL(elementwise_binary)();
const Kernel* LAZULITE_AT_LEVEL(elementwise_binary)() { return table.kernel[0]; }
}  // namespace lazulite
