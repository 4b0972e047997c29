// The kernels of special.h for one instruction-set level.
#include "ops/elementwise/kernels.h"
#include "ops/elementwise/special.h"
#include "simd/special.h"

namespace lazulite {
namespace {
constexpr auto table = kernel_table(special_rows{});
}
const Kernel* LAZULITE_AT_LEVEL(elementwise_special)();
const Kernel* LAZULITE_AT_LEVEL(elementwise_special)() { return table.kernel[0]; }
}  // namespace lazulite
