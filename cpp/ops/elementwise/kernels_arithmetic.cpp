// The kernels of arithmetic.h for one instruction-set level.
#include "ops/elementwise/kernels.h"
#include "ops/elementwise/arithmetic.h"

namespace lazulite {
namespace {
constexpr auto table = kernel_table(arithmetic_rows{});
}
const Kernel* LAZULITE_AT_LEVEL(elementwise_arithmetic)();
const Kernel* LAZULITE_AT_LEVEL(elementwise_arithmetic)() { return table.kernel[0]; }
}  // namespace lazulite
