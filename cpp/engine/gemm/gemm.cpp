#include "engine/gemm/gemm.h"

#include "device/cpu/level.h"
#include "device/device.h"
#include "device/limits.h"
#include "engine/gemm/blas.h"
#include "engine/gemm/grid.h"
#include "engine/gemm/kernels.h"
#include "engine/gemm/panel_product.h"
#include "engine/gemm/tiny.h"
#include "engine/layout/copy.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const GemmKernels&, gemm_kernels)

namespace {

// A dense copy in float32, kept by `memory`.
MatrixView widened(const MatrixView& m, Shape shape, Dtype from, Ref<Buffer>& memory) {
  for (size_t i = 0; i < shape.size(); ++i)
    if (m.batch[i] == 0) shape[i] = 1;
  Strides strides = m.batch;
  shape.push_back(m.rows);
  shape.push_back(m.cols);
  strides.push_back(m.row);
  strides.push_back(m.col);
  const Strides dense = dense_strides(shape);
  memory = allocate(size_of(shape) * size_of(float32));
  copy(shape, {m.data, from, strides}, {memory->data, float32, dense});
  MatrixView out{static_cast<char*>(memory->data), m.rows, m.cols, m.cols, 1, {}};
  for (size_t i = 0; i + 2 < shape.size(); ++i) out.batch.push_back(shape[i] == 1 ? 0 : dense[i]);
  return out;
}
void gemm_of_floats(const Product& halves) {
  Product p = halves;
  const int64_t count = size_of(p.batch) * p.m * p.n;
  Ref<Buffer> a, b;
  const Ref<Buffer> out = allocate(count * size_of(float32));
  p.type = float32;
  p.a = widened(halves.a, p.batch, halves.type, a);
  p.b = widened(halves.b, p.batch, halves.type, b);
  p.out = static_cast<char*>(out->data);
  p.finished = {};
  gemm(p);
  copy({count}, {p.out, float32, {1}}, {halves.out, halves.type, {1}});
  finish_rows(halves, 0, size_of(p.batch) * p.m);
}

// Complex numbers have no kernels for a few rows.
bool takes_panels(const Product& p) {
  return has_panels(p.type) && (!is_complex(p.type) || std::min(p.m, p.n) > few);
}
bool reads_all(const Product& p) { return is_half(p.type) || takes_panels(p); }

// Packing costs more than it gains (measured on AVX-512: 80^3 float32 and below), and a strip of
// few columns mostly fills up a register. Tiles are small enough for kernels that do not pack.
bool is_small(const Product& p) {
  return double(p.m) * double(p.n) * double(p.k) <= 1 << 19 ||
         (p.n > few && p.n <= 12 && p.k <= 2048);
}
bool blas_wins(const Product& p) {
  return is_small(p) && blas_for(p) && blas_reads(p.a) && blas_reads(p.b);
}

}  // namespace

bool reads_left(const Product& p) { return reads_all(p) || !blas_for(p) || blas_reads(p.a); }
bool reads_right(const Product& p) {
  return reads_all(p) || (blas_for(p) ? blas_reads(p.b) : p.b.col == 1);
}

void finish_rows(const Product& p, int64_t row, int64_t rows) {
  if (!p.finished.call) return;
  // Parts of a row where rows are long, some rows where they are short.
  const int64_t across = (p.n + grain - 1) / grain, each = std::max<int64_t>(1, grain / p.n),
                down = (rows + each - 1) / each;
  cpu::parallel_for(
      down * across,
      [&](int64_t i) {
        const int64_t first = i / across * each, col = p.n * (i % across) / across;
        p.finished(row + first, std::min(each, rows - first), col,
                   p.n * (i % across + 1) / across - col);
      },
      double(rows) * double(p.n));
}

void gemm(const Product& p) {
  if (tiny_product(p)) return;
  if (takes_panels(p) && !blas_wins(p)) return panel_product(p);
  if (is_half(p.type)) return gemm_of_floats(p);
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
