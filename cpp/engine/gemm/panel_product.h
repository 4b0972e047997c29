// Products by panels, where the level has kernels for the dtype: any strides, halves as they are.
#pragma once
#include "engine/gemm/gemm.h"
#include "engine/gemm/panels.h"

namespace lazulite::engine {

bool has_panels(Dtype type);
void panel_product(const Product& p);

}  // namespace lazulite::engine
