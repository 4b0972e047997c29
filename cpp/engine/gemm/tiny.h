// Products with few columns and a short inner axis: stacks of small matrices, and points by the
// million times a matrix of three rows. No packing and no call of a library for each.
#pragma once
#include "engine/gemm/gemm.h"

namespace lazulite::engine {

bool is_tiny(const Product& p);
void tiny_product(const Product& p);

}  // namespace lazulite::engine
