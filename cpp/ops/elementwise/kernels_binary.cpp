// The kernels of binary.h for one instruction-set level.
#include "ops/elementwise/kernels.h"
#include "ops/elementwise/binary.h"

namespace lazulite {
namespace {
constexpr auto table = kernel_table(binary_rows{});
}
const Kernel* LAZULITE_AT_LEVEL(elementwise_binary)();
const Kernel* LAZULITE_AT_LEVEL(elementwise_binary)() { return table.kernel[0]; }
}  // namespace lazulite
