#include "engine/gemm/tiny.h"

#include <algorithm>

#include "device/cpu/level.h"
#include "device/cpu/pool.h"
#include "device/limits.h"
#include "engine/gemm/kernels.h"
#include "engine/gemm/panel_product.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const TinyKernels&, tiny_kernels)

namespace {

// Beyond these panels are faster (measured on AVX-512): of tall matrices, and of stacks.
constexpr int64_t few_columns = 4, small_size = 512, stacked = 8;

// The axes of the batch: neighbours with one distance in both operands are one.
struct Batch {
  Shape shape;
  SmallVector<Strides, 4> strides;

  explicit Batch(const Product& p) : shape(p.batch), strides{p.a.batch, p.b.batch} {
    collapse(shape, strides);
  }
};

}  // namespace

bool is_tiny(const Product& p) {
  if (!tiny_kernels().product[index_of(p.type)] || p.n > tiny_columns || p.k > tiny_inner)
    return false;
  if (p.n == 1 && p.a.row == 1 && p.m > tiny_columns) return false;  // sums of whole columns
  return p.n <= few_columns || (size_of(p.batch) >= stacked && p.m * p.n * p.k <= small_size);
}

void tiny_product(const Product& p) {
  const auto product = tiny_kernels().product[index_of(p.type)];
  const Batch batch(p);
  const int64_t bytes = size_of(p.type), lanes = size_of(p.batch), inner = batch.shape.back(),
                a_lane = batch.strides[0].back(), b_lane = batch.strides[1].back();
  // A task takes some matrices of the last axis, or some rows of one.
  const int64_t rows = std::max<int64_t>(1, grain / (p.k + p.n)),
                each = std::clamp<int64_t>(rows / p.m, 1, inner), down = parts(p.m, rows),
                across = parts(inner, each);
  cpu::parallel_for(
      lanes / inner * across * down,
      [&](int64_t i) {
        const int64_t row = part(p.m, down, i % down),
                      count = part(p.m, down, i % down + 1) - row,
                      lane = part(inner, across, i / down % across),
                      some = part(inner, across, i / down % across + 1) - lane;
        int64_t a = lane * a_lane + row * p.a.row, b = lane * b_lane, outer = i / down / across;
        const int64_t first = (outer * inner + lane) * p.m + row;
        for (size_t d = batch.shape.size() - 1; d-- > 0;) {
          a += outer % batch.shape[d] * batch.strides[0][d];
          b += outer % batch.shape[d] * batch.strides[1][d];
          outer /= batch.shape[d];
        }
        product({.a = p.a.data + a * bytes,
                 .b = p.b.data + b * bytes,
                 .out = p.out + first * p.n * bytes,
                 .lanes = some,
                 .rows = count,
                 .cols = p.n,
                 .inner = p.k,
                 .a_lane = a_lane,
                 .b_lane = b_lane,
                 .a_row = p.a.row,
                 .a_col = p.a.col,
                 .b_row = p.b.row,
                 .b_col = p.b.col});
        p.finished(first, some * count, 0, p.n);
      },
      double(lanes * p.m) * double(p.k * p.n + 4) / 8);
}

}  // namespace lazulite::engine
