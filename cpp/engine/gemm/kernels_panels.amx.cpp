// bfloat16 products by AMX: tiles of 16 rows of 64 bytes, which the processor multiplies by each
// other. A group is a row of a tile: 32 steps of the inner axis, in pairs. Of the left operand each
// value is such a row; of the right one the values of a group are 16 rows, one for each pair of
// steps, in which the columns lie side by side. Products of pairs are added in float32, and
// subnormal numbers count as zeros (Intel's manual of instruction-set extensions, TDPBF16PS).
#include "device/cpu/level.h"
#include "engine/conv/kernels.h"
#include "engine/gemm/pairs.h"
#include "engine/gemm/tiles.h"

namespace lazulite::engine {
namespace {

constexpr int steps_of_tile = 32;

// ---- packing

int64_t tiles_of(const PackCall& p) { return (p.steps + steps_of_tile - 1) / steps_of_tile; }

void pack_columns(const PackCall& p) {
  pack_pairs(p);
  const int64_t there = (p.steps + 1) / 2, all = tiles_of(p) * words_of_tile;
  std::memset(static_cast<uint32_t*>(p.to) + there * p.width, 0,
              size_t((all - there) * p.width) * sizeof(uint32_t));
}

// Rows whose steps stand side by side.
void pack_rows_along(const PackCall& p) {
  const uint16_t* from = static_cast<const uint16_t*>(p.from);
  char* to = static_cast<char*>(p.to);
  for (int64_t k = 0; k < p.steps; k += steps_of_tile) {
    const int64_t left = p.steps - k;
    const __mmask32 there = left >= 32 ? ~__mmask32(0) : __mmask32((uint64_t{1} << left) - 1);
    for (int64_t i = 0; i < p.width; ++i, to += tile_bytes)
      _mm512_storeu_si512(to, _mm512_maskz_loadu_epi16(i < p.lines ? there : __mmask32(0),
                                                       from + i * p.line + k));
  }
}
// Rows side by side: squares of pairs are turned.
void pack_rows_across(const PackCall& p) {
  using V = Vec<float>;
  const uint16_t* from = static_cast<const uint16_t*>(p.from);
  char* to = static_cast<char*>(p.to);
  for (int64_t k = 0; k < p.steps; k += steps_of_tile, to += p.width * tile_bytes)
    for (int64_t i = 0; i < p.width; i += L) {
      const int64_t n = p.lines - i < L ? p.lines - i : L,
                    wide = p.width - i < L ? p.width - i : L;
      const __mmask16 lines = n <= 0 ? 0 : __mmask16((1u << n) - 1);
      typename V::raw row[L];
#pragma GCC unroll 16
      for (int s = 0; s < L; ++s) {
        const int64_t first = k + 2 * s;
        const uint16_t* at = from + first * p.step + i;
        const Words one = words(first < p.steps ? lines : __mmask16(0), at),
                    two = words(first + 1 < p.steps ? lines : __mmask16(0), at + p.step);
        row[s] = V::from(_mm512_castsi512_ps(__m512i(one | two << 16))).v;
      }
      simd::turn(row);
      for (int64_t r = 0; r < wide; ++r)
        V::from(row[r]).store(reinterpret_cast<float*>(to + (i + r) * tile_bytes));
    }
}
void pack_rows(const PackCall& p) {
  if (p.step == 1) return pack_rows_along(p);
  if (p.line == 1) return pack_rows_across(p);
  const uint16_t* from = static_cast<const uint16_t*>(p.from);
  uint16_t* to = static_cast<uint16_t*>(p.to);
  for (int64_t k = 0; k < p.steps; k += steps_of_tile)
    for (int64_t i = 0; i < p.width; ++i)
      for (int64_t s = k; s < k + steps_of_tile; ++s)
        *to++ = i < p.lines && s < p.steps ? from[i * p.line + s * p.step] : 0;
}

// Sums as elements of memory, rows so many of them apart.
template <class Block>
LAZULITE_INLINE void end_rounded(void* out, int64_t row, int rows, int cols, const Kept* kept) {
  constexpr int wide = 2 * tile_rows;
  alignas(64) float sums[2 * tile_rows * wide];
  Block::end(sums, wide * 4, kept);
  const __mmask32 there = __mmask32((uint64_t{1} << cols) - 1);
  uint16_t* to = static_cast<uint16_t*>(out);
  for (int r = 0; r < rows; ++r, to += row)
    _mm512_mask_storeu_epi16(to, there, rounded(sums + r * wide));
}
template <class Block>
LAZULITE_INLINE void end(const BlockCall& p) {
  if (p.rounded) end_rounded<Block>(p.rounded, p.rounded_row, p.rows, p.cols, p.kept);
  else Block::end(p.out, p.out_row * 4, p.kept);
}
template <class Block>
struct Panel {
  static void run(const BlockCall& p) {
    sum_tiles<Block>(p, tile_bytes, p.a_step * tile_bytes);
    end<Block>(p);
  }
};
void multiply_tiles(const BlockCall& p) { choose_tiles<TileDot::pairs, Panel>(p); }

// Rows as they lie, of whole groups.
template <class Block>
struct Rows {
  static void run(const BlockCall& p) {
    sum_tiles<Block>(p, p.a_line * 2, tile_bytes);
    end<Block>(p);
  }
};
void multiply_rows(const BlockCall& p) { choose_tiles<TileDot::pairs, Rows>(p); }

// Runs of rows as they lie.
template <class Block>
LAZULITE_INLINE void add_runs(const ConvBlock& p) {
  const int64_t w_row = p.w_step * 4;
  for (int64_t r = 0; r < p.count; ++r) {
    const char *x = static_cast<const char*>(p.x) + p.runs[r].x * 2,
               *w = static_cast<const char*>(p.w) + p.runs[r].w * 4;
    for (int64_t k = 0; k < p.steps; ++k, x += tile_bytes, w += words_of_tile * w_row)
      Block::add(x, p.x_stride * 2, w, w_row);
  }
}
template <class Block>
struct Runs {
  static void run(const ConvBlock& p) {
    Block::begin(p.rows, p.cols, p.kept);
    add_runs<Block>(p);
    end_rounded<Block>(p.out, p.out_row, p.rows, p.cols, p.kept);
  }
};
void multiply_runs(const ConvBlock& p) { choose_tiles<TileDot::pairs, Runs>(p); }
template <class Block>
struct SumsOfRuns {
  static void run(const ConvBlock& p) {
    Block::begin(p.rows, p.cols, p.kept, p.add);
    if (p.add) Block::load(p.out, p.out_row * 4);
    add_runs<Block>(p);
    Block::end(p.out, p.out_row * 4, p.kept);
  }
};
void sum_runs(const ConvBlock& p) { choose_tiles<TileDot::pairs, SumsOfRuns>(p); }

// A product of whole numbers past the borders of tiles, tried once in a process: this unit was made
// on machines without tiles, and an emulator of a processor may be wrong, too.
bool tiles_are_right() {
  constexpr int rows = 20, cols = 25, width = 32, steps = 70, groups = 3;
  const auto number = [](int i, int j) { return (i * 5 + j * 3) % 7 - 3; };
  uint16_t a[rows * steps], b[steps * cols];
  alignas(64) char left[rows * groups * tile_bytes], right[width * groups * tile_bytes];
  float out[rows * cols];
  const auto half = [](int value) {
    const float x = float(value);
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return uint16_t(bits >> 16);
  };
  for (int i = 0; i < rows; ++i)
    for (int s = 0; s < steps; ++s) a[i * steps + s] = half(number(i, s));
  for (int s = 0; s < steps; ++s)
    for (int j = 0; j < cols; ++j) b[s * cols + j] = half(number(s, j + 1));
  pack_rows({a, left, rows, rows, steps, 1, steps});
  pack_columns({b, right, cols, width, 1, cols, steps});
  BlockCall call{left, right, out, groups, rows, width, cols, rows, cols, false};
  Kept kept;
  call.kept = &kept;
  multiply_tiles(call);
  call.add = true;
  multiply_tiles(call);
  leave_tiles(kept);
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < cols; ++j) {
      int sum = 0;
      for (int s = 0; s < steps; ++s) sum += number(i, s) * number(s, j + 1);
      if (out[i * cols + j] != float(2 * sum)) return false;
    }
  return true;
}

}  // namespace

void LAZULITE_AT_LEVEL(fill_panel_kernels)(PanelTable& table);
void LAZULITE_AT_LEVEL(fill_panel_kernels)(PanelTable& table) {
  if (!tiles_are_right()) return;
  PanelKernels& k = table.of[int(Dtype::bfloat16)];
  k.rows = k.cols = 2 * tile_rows;
  k.group = steps_of_tile;
  k.deep = 8;  // 16 KB of rows and two strips of as many bytes stay in the first-level cache
  k.panels = 8;  // so often a strip is read as it comes from a farther cache
  k.leave = leave_tiles;
  k.pack = pack_columns;
  k.pack_left = pack_rows;
  k.block = multiply_tiles;
  k.block_along = multiply_rows;
  k.dots = dots_of_halves;
  k.round = round_sums;
  k.rounds = true;
  k.runs = multiply_runs;
  k.sum_runs = sum_runs;
}

}  // namespace lazulite::engine
