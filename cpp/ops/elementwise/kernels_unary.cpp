// The kernels of unary.h for one instruction-set level.
#include "ops/elementwise/kernels.h"
#include "ops/elementwise/unary.h"

namespace lazulite {
namespace {
constexpr auto table = kernel_table(unary_rows{});
}
const Kernel* LAZULITE_AT_LEVEL(elementwise_unary)();
const Kernel* LAZULITE_AT_LEVEL(elementwise_unary)() { return table.kernel[0]; }
}  // namespace lazulite
