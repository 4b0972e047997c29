// Products of int8. Rows of the left operand are packed first, all or some hundred of them; each
// task then packs strips of columns of the other one, a block of the inner axis at a time, and
// multiplies what is packed. A few rows beside columns whose steps lie side by side, as those of a
// linear layer's weight do, are multiplied as they lie: each number is read once.
#include "engine/quant/int8.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "device/cpu/level.h"
#include "device/cpu/partial.h"
#include "device/cpu/pool.h"
#include "device/limits.h"
#include "engine/gemm/panel_product.h"
#include "engine/quant/int8_kernels.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const Int8Kernels&, int8_kernels)
LAZULITE_FILLED(Int8Kernels, int8_kernels, avx512_vnni)
LAZULITE_FILLED_OVER(Int8Kernels, int8_kernels, int8_kernels_filled, amx, int8_kernels_of_machine)

namespace {

constexpr int64_t rows_at_once = 512;
constexpr double macs_per_ns = 60, packed_per_ns = 4;  // of one thread, about
constexpr int64_t tile_steps = 32;  // half of a tile of AMX

void multiply(const Int8Kernels& k, const Product& p, const char* a, const char* b,
              int64_t first_row) {
  int32_t* out = reinterpret_cast<int32_t*>(p.out) + first_row * p.n;
  const int64_t deep = k.deep * k.group, depths = parts(p.k, deep);
  const auto steps_of = [&](int64_t d) { return std::min(deep, p.k - d * deep); };
  const auto groups_of = [&](int64_t d) { return k.groups(steps_of(d)); };
  for (int64_t row = 0; row < p.m; row += rows_at_once) {
    const int64_t rows = std::min(rows_at_once, p.m - row), pieces = parts(rows, k.rows);
    const auto packed_at = [&](int64_t d) { return d * k.deep * rows; };
    Ref<Buffer> held;
    char* packed = memory(held, (packed_at(depths - 1) + groups_of(depths - 1) * rows) * 4);
    cpu::parallel_for(
        depths * pieces,
        [&](int64_t i) {
          const int64_t d = i / pieces, first = part(rows, pieces, i % pieces),
                        lines = part(rows, pieces, i % pieces + 1) - first;
          k.pack_left({a + (row + first) * p.a.row + d * deep * p.a.col,
                       packed + (packed_at(d) + first * groups_of(d)) * 4, lines, lines, p.a.row,
                       p.a.col, steps_of(d)});
        },
        double(rows * p.k) / packed_per_ns);
    cpu::parallel_for(
        parts(p.n, k.cols),
        [&](int64_t s) {
          const int64_t col = s * k.cols, cols = std::min<int64_t>(k.cols, p.n - col);
          Ref<Buffer> held_panel;
          char* panel = memory(held_panel, groups_of(0) * k.cols * 4);
          const std::vector<uint32_t> ones(k.above ? size_t(k.deep) : 0, 0x01010101);
          int32_t sums[64] = {};  // of the columns of the right operand
          for (int64_t d = 0; d < depths; ++d) {
            k.pack_right({b + col * p.b.col + d * deep * p.b.row, panel, cols, k.cols, p.b.col,
                          p.b.row, steps_of(d)});
            if (k.above)
              k.block({ones.data(), panel, sums, groups_of(d), 1, k.cols, k.cols, 1, int(cols),
                       d > 0});
            for (int64_t i = 0; i < pieces; ++i) {
              const int64_t first = part(rows, pieces, i),
                            lines = part(rows, pieces, i + 1) - first;
              k.block({packed + (packed_at(d) + first * groups_of(d)) * 4, panel,
                       out + (row + first) * p.n + col, groups_of(d), lines, k.cols, p.n,
                       int(lines), int(cols), d > 0});
            }
          }
          if (k.above)
            for (int64_t r = row; r < row + rows; ++r)
              for (int64_t c = 0; c < cols; ++c) {
                int32_t& sum = out[r * p.n + col + c];
                sum = int32_t(uint32_t(sum) - uint32_t(k.above) * uint32_t(sums[c]));
              }
          p.finished(first_row + row, rows, col, cols);
        },
        double(p.n) * double(p.k) * (double(rows) / (k.rate * macs_per_ns) + 1 / packed_per_ns));
  }
}

// Rows that are multiplied without packing: each reads all columns again, a few at a time.
constexpr int64_t few_rows = 2 * few;
constexpr double read_per_ns = 20;  // of one thread, about

bool takes_few(const Product& p) {
  return p.m <= few_rows && (p.b.row == 1 || p.k == 1) && p.k >= 16;
}
void multiply_few(const Int8Kernels& k, const Product& p, const char* a, const char* b,
                  int64_t first_row) {
  int32_t* out = reinterpret_cast<int32_t*>(p.out) + first_row * p.n;
  Ref<Buffer> held;
  const auto* x = reinterpret_cast<const int8_t*>(a);
  int64_t x_row = p.a.row;
  if (p.a.col != 1) {
    auto* to = reinterpret_cast<int8_t*>(memory(held, p.m * p.k));
    for (int64_t r = 0; r < p.m; ++r)
      for (int64_t s = 0; s < p.k; ++s) to[r * p.k + s] = x[r * p.a.row + s * p.a.col];
    x = to;
    x_row = p.k;
  }
  // Some 16 KB of columns at a time, which the rows after the first find in the cache.
  const int64_t some = std::max<int64_t>(4, (16 << 10) / p.k / 4 * 4);
  const double cost = double(p.n) * double(p.k) / read_per_ns * (0.5 + 0.5 * double(p.m));
  cpu::parallel_for(
      parts(p.n, some),
      [&](int64_t i) {
        const int64_t col = i * some, cols = std::min(some, p.n - col);
        for (int64_t r = 0; r < p.m; r += few)
          k.dots({.x = x + r * x_row,
                  .lines = reinterpret_cast<const int8_t*>(b) + col * p.b.col,
                  .out = out + r * p.n + col,
                  .x_row = x_row,
                  .line = p.b.col,
                  .out_row = p.n,
                  .count = cols,
                  .steps = p.k,
                  .rows = int(std::min<int64_t>(few, p.m - r))});
        p.finished(first_row, p.m, col, cols);
      },
      cost);
}

}  // namespace

void int8_product(const Product& p, const Int8Kernels& k) {
  const int64_t lanes = size_of(p.batch);
  const double work = double(p.m) * double(p.n) * double(p.k);
  const auto run = [&](int64_t lane) {
    int64_t a = 0, b = 0, rest = lane;
    for (size_t i = p.batch.size(); i-- > 0;) {
      a += rest % p.batch[i] * p.a.batch[i];
      b += rest % p.batch[i] * p.b.batch[i];
      rest /= p.batch[i];
    }
    (takes_few(p) ? multiply_few : multiply)(k, p, p.a.data + a, p.b.data + b, lane * p.m);
  };
  if (lanes < 8 && work > 1e6) {  // threads share each lane
    for (int64_t lane = 0; lane < lanes; ++lane) run(lane);
    return;
  }
  cpu::parallel_for(lanes, run, double(lanes) * (work / (k.rate * macs_per_ns) + 500));
}
void int8_product(const Product& p) {
  // Less would leave most of a tile empty.
  const bool tiles = p.m >= few && p.k >= tile_steps;
  int8_product(p, tiles ? int8_kernels_of_machine() : int8_kernels_filled());
}

}  // namespace lazulite::engine
