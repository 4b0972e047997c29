// The tiles of a product: a function of its sizes only.
#pragma once
#include <algorithm>

#include "device/cpu/pool.h"
#include "device/limits.h"
#include "engine/gemm/gemm.h"

namespace lazulite::engine {

// Sums of products: some 8 us of one thread. Two of them are worth sharing.
constexpr double smallest_tile = 3e5;

struct Grid {
  int64_t tile_m = tile_rows, tile_n = tile_columns, across_m, across_n;

  Grid(int64_t batch, int64_t m, int64_t n, int64_t k) {
    tile_m = std::min(tile_m, m);
    tile_n = std::min(tile_n, n);
    count(m, n);
    // Smaller tiles while there are few of them with much work in each.
    while (batch * across_m * across_n < 32 &&
           double(tile_m) * double(tile_n) * double(k) > smallest_tile) {
      if (tile_n > 128 && tile_n >= tile_m) tile_n = (tile_n + 1) / 2;
      else if (tile_m > 64) tile_m = (tile_m + 1) / 2;
      else if (tile_n > 32) tile_n = (tile_n + 1) / 2;
      else if (tile_m > 16) tile_m = (tile_m + 1) / 2;
      else break;
      count(m, n);
    }
  }

 private:
  void count(int64_t m, int64_t n) {
    across_m = (m + tile_m - 1) / tile_m;
    across_n = (n + tile_n - 1) / tile_n;
  }
};

// A tile: offsets of its matrices in elements, and which rows and columns of the product.
struct Tile {
  int64_t a, b, out;
  int64_t row, rows, col, cols;
};

// body(tile) for each tile, which finishes it, on all threads.
template <class F>
void for_tiles(const Product& p, double macs_per_ns, F&& body) {
  const int64_t lanes = size_of(p.batch);
  const Grid grid(lanes, p.m, p.n, p.k);
  const int64_t each = grid.across_m * grid.across_n, tiles = lanes * each;
  const double work = double(grid.tile_m) * double(grid.tile_n) * double(p.k);
  const int64_t group = std::max<int64_t>(1, int64_t(65536 / std::max(work, 1.0)));
  auto tile_at = [&](int64_t t) {
    const int64_t lane = t / each, at = t % each;
    Tile tile{0, 0, lane * p.m * p.n, at / grid.across_n * grid.tile_m, 0,
              at % grid.across_n * grid.tile_n, 0};
    int64_t rest = lane;
    for (size_t i = p.batch.size(); i-- > 0;) {
      const int64_t index = rest % p.batch[i];
      rest /= p.batch[i];
      tile.a += index * p.a.batch[i];
      tile.b += index * p.b.batch[i];
    }
    tile.rows = std::min(grid.tile_m, p.m - tile.row);
    tile.cols = std::min(grid.tile_n, p.n - tile.col);
    return tile;
  };
  cpu::parallel_for(
      (tiles + group - 1) / group,
      [&](int64_t chunk) {
        for (int64_t t = chunk * group; t < std::min(tiles, (chunk + 1) * group); ++t) {
          const Tile tile = tile_at(t);
          body(tile);
          p.finished(t / each * p.m + tile.row, tile.rows, tile.col, tile.cols);
        }
      },
      double(tiles) * (work / macs_per_ns + 150));
}

}  // namespace lazulite::engine
