// Blocks of sums by AMX: two by two tiles of them, of 16 rows of 16 numbers of 32 bits each. A step
// of tiles takes 64 bytes of each row of the left operand (`tile_bytes`), and of the right one 16
// rows of 32-bit words in which the columns lie side by side (`words_of_tile`). For units of level
// amx; internal linkage.
#pragma once
#include <cstring>
#include <type_traits>

#include "engine/gemm/panels.h"
#include "simd/vec.h"

namespace lazulite::engine {
namespace {

constexpr int tile_rows = 16, tile_bytes = 64, words_of_tile = 16;

// What a word holds: two bfloat16, or four int8.
enum class TileDot { pairs, bytes };

struct TileConfiguration {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes_of_row[16] = {};
  uint8_t rows[16] = {};

  void set(int tile, int of_rows, int of_bytes) {
    rows[tile] = uint8_t(of_rows);
    bytes_of_row[tile] = uint16_t(of_bytes);
  }
};
static_assert(sizeof(TileConfiguration) == 64);

// Tiles stay set up from block to block where a Kept is given: setting them up and giving them back
// takes a fifth of the time of blocks of 256 steps (measured on a Sapphire Rapids).
LAZULITE_INLINE uint32_t tile_state(int rows, int cols) {
  return uint32_t(rows) << 8 | uint32_t(cols);
}
// So that no switch of tasks saves 8 KB for nothing.
inline void leave_tiles(Kept& kept) {
  if (kept.state) _tile_release();
  kept.state = 0;
}

// Sums in tiles 0 1 above 2 3, rows in 4 and 5, columns in 6 and 7.
template <TileDot dot, bool two_rows, bool two_columns>
struct TileBlock {
  // Sets sums to zeros, unless `add` says that they are loaded.
  LAZULITE_INLINE static void begin(int rows, int cols, Kept* kept = nullptr, bool add = false) {
    if (kept && kept->state == tile_state(rows, cols)) {
      if (!add) zero();
      return;
    }
    if (kept) kept->state = tile_state(rows, cols);
    const int above = two_rows ? tile_rows : rows, below = rows - above,
              left = two_columns ? tile_rows : cols, right = cols - left;
    alignas(64) TileConfiguration c;
    c.set(0, above, left * 4);
    c.set(4, above, tile_bytes);
    c.set(6, words_of_tile, left * 4);
    if (two_columns) {
      c.set(1, above, right * 4);
      c.set(7, words_of_tile, right * 4);
    }
    if (two_rows) {
      c.set(2, below, left * 4);
      c.set(5, below, tile_bytes);
      if (two_columns) c.set(3, below, right * 4);
    }
    __asm__ volatile("" : : "r"(&c) : "memory");  // compilers do not see all that is read of it
    _tile_loadconfig(&c);
  }
  LAZULITE_INLINE static void zero() {
    _tile_zero(0);
    if (two_columns) _tile_zero(1);
    if (two_rows) _tile_zero(2);
    if (two_rows && two_columns) _tile_zero(3);
  }
  // Sums from memory; rows `row` bytes apart, 0 for the same one in all of them.
  LAZULITE_INLINE static void load(const void* from, int64_t row) {
    const char *above = static_cast<const char*>(from), *below = above + tile_rows * row;
    _tile_loadd(0, above, row);
    if (two_columns) _tile_loadd(1, above + tile_bytes, row);
    if (two_rows) _tile_loadd(2, below, row);
    if (two_rows && two_columns) _tile_loadd(3, below + tile_bytes, row);
  }
  // A step of tiles: rows, and rows of words, so many bytes apart.
  LAZULITE_INLINE static void add(const char* a, int64_t a_row, const char* b, int64_t b_row) {
#define LAZULITE_ADD_TILES(sums, rows, columns)                               \
  do {                                                                        \
    if constexpr (dot == TileDot::pairs) _tile_dpbf16ps(sums, rows, columns); \
    else _tile_dpbssd(sums, rows, columns);                                   \
  } while (false)
    _tile_loadd(6, b, b_row);
    _tile_loadd(4, a, a_row);
    LAZULITE_ADD_TILES(0, 4, 6);
    // Columns come from the second-level cache, packed in one piece, and rows from the first.
#pragma GCC unroll 32
    for (int i = 0; i < (two_columns ? 2 : 1) * words_of_tile; ++i)
      __builtin_prefetch(b + words_of_tile * b_row + i * tile_bytes);
    if (two_columns) {
      _tile_loadd(7, b + tile_bytes, b_row);
      LAZULITE_ADD_TILES(1, 4, 7);
    }
    if (two_rows) {
      _tile_loadd(5, a + tile_rows * a_row, a_row);
      LAZULITE_ADD_TILES(2, 5, 6);
      if (two_columns) LAZULITE_ADD_TILES(3, 5, 7);
    }
#undef LAZULITE_ADD_TILES
  }
  LAZULITE_INLINE static void end(void* to, int64_t row, const Kept* kept = nullptr) {
    char *above = static_cast<char*>(to), *below = above + tile_rows * row;
    _tile_stored(0, above, row);
    if (two_columns) _tile_stored(1, above + tile_bytes, row);
    if (two_rows) _tile_stored(2, below, row);
    if (two_rows && two_columns) _tile_stored(3, below + tile_bytes, row);
    if (!kept) _tile_release();
  }
};

// Run<block>::run(call), with the block of so many rows and columns.
template <TileDot dot, template <class> class Run, class Call>
void choose_tiles(const Call& p) {
  const bool two_rows = p.rows > tile_rows, two_columns = p.cols > tile_rows;
  if (two_rows && two_columns) return Run<TileBlock<dot, true, true>>::run(p);
  if (two_rows) return Run<TileBlock<dot, true, false>>::run(p);
  if (two_columns) return Run<TileBlock<dot, false, true>>::run(p);
  Run<TileBlock<dot, false, false>>::run(p);
}

// p.steps steps of tiles; rows of the left operand so many bytes apart, and their steps.
template <class Block>
LAZULITE_INLINE void sum_tiles(const BlockCall& p, int64_t a_row, int64_t a_step) {
  Block::begin(p.rows, p.cols, p.kept, p.add);
  if (p.add) Block::load(p.out, p.out_row * 4);
  const char *a = static_cast<const char*>(p.a), *b = static_cast<const char*>(p.b);
  for (int64_t k = 0; k < p.steps; ++k, a += a_step, b += p.b_step * tile_bytes)
    Block::add(a, a_row, b, p.b_step * 4);
}
// Panels: of each step of tiles first the rows, 64 bytes each.
template <class Block>
struct PanelOfTiles {
  static void run(const BlockCall& p) {
    sum_tiles<Block>(p, tile_bytes, p.a_step * tile_bytes);
    Block::end(p.out, p.out_row * 4, p.kept);
  }
};

}  // namespace
}  // namespace lazulite::engine
