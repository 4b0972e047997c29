// The unary kernels of one instruction-set level, from the list in unary.h.
#include "ops/elementwise/kernels.h"
#include "ops/elementwise/unary.h"

namespace lazulite {
namespace {
constexpr auto table = kernel_table<UnaryKernel, 1>(unary_rows{});
}
const Kernel* LAZULITE_AT_LEVEL(elementwise_unary)();
const Kernel* LAZULITE_AT_LEVEL(elementwise_unary)() { return table.kernel[0]; }
}  // namespace lazulite
