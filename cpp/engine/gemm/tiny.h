// Products that are small but for one axis: stacks of small matrices, points by the million times a
// matrix of three rows, the gradient of that matrix. No packing and no call of a library for each.
#pragma once
#include "engine/gemm/gemm.h"

namespace lazulite::engine {

// False: not of these, and nothing is done.
bool tiny_product(const Product& p);

}  // namespace lazulite::engine
