#include "engine/gemm/gemm.h"

#include "device/cpu/level.h"
#include "engine/gemm/blas.h"
#include "engine/gemm/grid.h"
#include "engine/gemm/kernels.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const GemmKernels&, gemm_kernels)

bool reads_left(const Product& p) { return !blas_for(p) || blas_reads(p.a); }
bool reads_right(const Product& p) { return blas_for(p) ? blas_reads(p.b) : p.b.col == 1; }

void gemm(const Product& p) {
  if (const cpu::Blas* blas = blas_for(p)) return blas_gemm(*blas, p);
  const auto tile = gemm_kernels().tile[index_of(p.type)];
  const int64_t bytes = size_of(p.type);
  for_tiles(p, 1.5, [&](const Tile& t) {
    tile({.a = p.a.data + (t.a + t.row * p.a.row) * bytes,
          .b = p.b.data + (t.b + t.col * p.b.col) * bytes,
          .out = p.out + (t.out + t.row * p.n + t.col) * bytes,
          .rows = t.rows,
          .cols = t.cols,
          .inner = p.k,
          .a_row = p.a.row,
          .a_col = p.a.col,
          .b_row = p.b.row,
          .out_row = p.n});
  });
}

}  // namespace lazulite::engine
