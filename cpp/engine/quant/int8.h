// Products of int8 matrices with int32 sums, which wrap.
#pragma once
#include "engine/gemm/gemm.h"

namespace lazulite::engine {

// As gemm, of int8; `out` is int32. type counts for nothing.
void int8_product(const Product&);
// By kernels of the caller's choice; any give the same bits.
struct Int8Kernels;
void int8_product(const Product&, const Int8Kernels&);

}  // namespace lazulite::engine
