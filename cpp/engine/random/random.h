// The random kernels of the level that runs.
#pragma once
#include "device/cpu/level.h"
#include "engine/random/kernels.h"

namespace lazulite::engine {
LAZULITE_LEVELS(const RandomKernels&, random_kernels)
}  // namespace lazulite::engine
