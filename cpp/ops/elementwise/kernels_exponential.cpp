// The kernels of exponential.h for one instruction-set level.
#include "ops/elementwise/kernels.h"
#include "ops/elementwise/exponential.h"

namespace lazulite {
namespace {
constexpr auto table = kernel_table(exponential_rows{});
}
const Kernel* LAZULITE_AT_LEVEL(elementwise_exponential)();
const Kernel* LAZULITE_AT_LEVEL(elementwise_exponential)() { return table.kernel[0]; }
}  // namespace lazulite
