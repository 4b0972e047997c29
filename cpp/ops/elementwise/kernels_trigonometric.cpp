// The kernels of trigonometric.h for one instruction-set level.
#include "ops/elementwise/kernels.h"
#include "ops/elementwise/trigonometric.h"

namespace lazulite {
namespace {
constexpr auto table = kernel_table(trigonometric_rows{});
}
const Kernel* LAZULITE_AT_LEVEL(elementwise_trigonometric)();
const Kernel* LAZULITE_AT_LEVEL(elementwise_trigonometric)() { return table.kernel[0]; }
}  // namespace lazulite
