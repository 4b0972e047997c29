// Tiles by OpenBLAS, one thread per call.
#pragma once
#include "device/cpu/openblas.h"
#include "engine/gemm/gemm.h"

namespace lazulite::engine {

// The library, where there is one, it multiplies this dtype, and its ints hold the sizes; or null.
const cpu::Blas* blas_for(const Product& p);
bool blas_reads(const MatrixView& m);

void blas_gemm(const cpu::Blas& blas, const Product& p);

}  // namespace lazulite::engine
