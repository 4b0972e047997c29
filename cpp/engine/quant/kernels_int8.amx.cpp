// Products and convolutions of int8 by AMX's tiles: 64 steps of sixteen rows beside as many of
// sixteen columns, four steps in a word (Intel's manual of instruction-set extensions, TDPBSSD).
// Both operands have their signs. A row of a convolution's window is read where it lies.
#include "device/cpu/level.h"
#include "engine/gemm/tiles.h"
#include "engine/quant/int8_block.h"
#include "engine/quant/int8_pack.h"

namespace lazulite::engine {
namespace {

constexpr int steps_of_tile = 64, cut = 256;  // cut: 32 KB of columns stay in a first-level cache

int64_t words_of(int64_t steps) {
  return (steps + steps_of_tile - 1) / steps_of_tile * words_of_tile;
}

void pack_columns(const PackCall& p) {
  pack_fours<0>(p);
  const int64_t there = (p.steps + 3) / 4;
  std::memset(static_cast<uint32_t*>(p.to) + there * p.width, 0,
              size_t((words_of(p.steps) - there) * p.width) * sizeof(uint32_t));
}

// Sixteen rows of which steps lie apart: their words are turned.
void pack_tile(const PackCall& p) {
  using V = Vec<float>;
  alignas(64) uint32_t words[words_of_tile * tile_rows] = {};
  pack_fours<0>({p.from, words, p.lines, tile_rows, p.line, p.step, p.steps});
  typename V::raw row[tile_rows];
#pragma GCC unroll 16
  for (int i = 0; i < tile_rows; ++i)
    row[i] = V::load(reinterpret_cast<const float*>(words + i * tile_rows)).v;
  simd::turn(row);
  for (int64_t i = 0; i < p.width; ++i)
    V::from(row[i]).store(static_cast<float*>(p.to) + i * words_of_tile);
}
void pack_rows(const PackCall& p) {
  const char* from = static_cast<const char*>(p.from);
  char* to = static_cast<char*>(p.to);
  for (int64_t k = 0; k < p.steps; k += steps_of_tile, to += p.width * tile_bytes) {
    const int64_t left = p.steps - k, steps = left < steps_of_tile ? left : steps_of_tile;
    if (p.step != 1) {
      for (int64_t i = 0; i < p.width; i += tile_rows) {
        const int64_t width = p.width - i < tile_rows ? p.width - i : tile_rows,
                      left_lines = p.lines - i < 0 ? 0 : p.lines - i;
        pack_tile({from + i * p.line + k * p.step, to + i * tile_bytes,
                   left_lines < width ? left_lines : width, width, p.line, p.step, steps});
      }
      continue;
    }
    const __mmask64 there = ~__mmask64{0} >> (steps_of_tile - steps);
    for (int64_t i = 0; i < p.width; ++i)
      _mm512_storeu_si512(to + i * tile_bytes,
                          _mm512_maskz_loadu_epi8(i < p.lines ? there : __mmask64{0},
                                                  from + i * p.line + k));
  }
}

// Panels of so many rows each: of each step of tiles first the rows, 64 bytes each.
template <class Block>
struct PanelsOfTiles {
  static void run(const Int8Panel& p) {
    const char *a = static_cast<const char*>(p.a), *right = static_cast<const char*>(p.b);
    auto* out = static_cast<int32_t*>(p.out);
    Kept kept;
    for (int64_t line = 0; line < p.lines; line += p.rows, out += p.rows * p.out_row) {
      Block::begin(p.rows, p.cols, &kept, p.add);
      if (p.add) Block::load(out, p.out_row * 4);
      const char* b = right;
      for (int64_t k = 0; k < p.steps; k += words_of_tile, b += p.b_step * tile_bytes,
                   a += p.rows * tile_bytes)
        Block::add(a, tile_bytes, b, p.b_step * 4);
      Block::end(out, p.out_row * 4, &kept);
    }
    leave_tiles(kept);
  }
};
void multiply_panels(const Int8Panel& p) {
  constexpr int rows = 2 * tile_rows;
  const int64_t whole = p.lines / rows * rows;
  Int8Panel now = p;
  now.rows = rows;
  now.lines = whole;
  if (whole > 0) choose_tiles<TileDot::bytes, PanelsOfTiles>(now);
  if (whole == p.lines) return;
  now.a = static_cast<const char*>(p.a) + whole * p.steps * 4;
  now.out = static_cast<int32_t*>(p.out) + whole * p.out_row;
  now.rows = int(p.lines - whole);
  now.lines = now.rows;
  choose_tiles<TileDot::bytes, PanelsOfTiles>(now);
}

template <class Block>
struct RunsOfTiles {
  static void run(const Int8Block& p) {
    Block::begin(p.rows, p.cols);
    if (p.add) Block::load(p.out, p.out_row * 4);
    else if (p.start) Block::load(p.start, 0);
    const int64_t w_row = p.w_step * 4;
    for (int64_t r = 0; r < p.count; ++r) {
      const char *x = static_cast<const char*>(p.x) + p.runs[r].x,
                 *w = static_cast<const char*>(p.w) + p.runs[r].w * 4;
      for (int64_t k = 0; k < p.steps;
           k += words_of_tile, x += tile_bytes, w += words_of_tile * w_row)
        Block::add(x, p.x_stride, w, w_row);
    }
    Block::end(p.out, p.out_row * 4);
  }
};
void multiply_runs(const Int8Block& p) { choose_tiles<TileDot::bytes, RunsOfTiles>(p); }

// As those of bfloat16 are tried (engine/gemm/kernels_panels.amx.cpp): a product, then the same
// rows read as they lie, in two runs.
bool tiles_are_right() {
  constexpr int rows = 20, cols = 25, width = 32, steps = 150, words = 48;
  const auto number = [](int i, int j) { return (i * 37 + j * 91) % 251 - 125; };
  int8_t a[rows * steps + tile_bytes] = {}, b[steps * cols];
  alignas(64) char left[rows * words * 4], right[width * words * 4];
  int32_t out[rows * cols], start[width];
  for (int i = 0; i < rows; ++i)
    for (int s = 0; s < steps; ++s) a[i * steps + s] = int8_t(number(i, s));
  for (int s = 0; s < steps; ++s)
    for (int j = 0; j < cols; ++j) b[s * cols + j] = int8_t(number(s, j + 1));
  for (int j = 0; j < width; ++j) start[j] = j * 1000;
  pack_rows({a, left, rows, rows, steps, 1, steps});
  pack_columns({b, right, cols, width, 1, cols, steps});
  const auto right_sums = [&](int times, int of_start) {
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < cols; ++j) {
        int32_t sum = 0;
        for (int s = 0; s < steps; ++s) sum += int32_t(a[i * steps + s]) * b[s * cols + j];
        if (out[i * cols + j] != sum * times + of_start * start[j]) return false;
      }
    return true;
  };
  Int8Panel call{{left, right, out, words, rows, width, cols, rows, cols, false}, rows};
  multiply_panels(call);
  call.add = true;
  multiply_panels(call);
  if (!right_sums(2, 0)) return false;
  const Run runs[] = {{0, 0}, {0, 0}};
  multiply_runs({.x = a,
                 .w = right,
                 .out = out,
                 .start = start,
                 .runs = runs,
                 .count = 2,
                 .steps = words,
                 .x_stride = steps,
                 .w_step = width,
                 .out_row = cols,
                 .rows = rows,
                 .cols = cols,
                 .add = false});
  return right_sums(2, 1);
}

}  // namespace

void LAZULITE_AT_LEVEL(fill_int8_kernels)(Int8Kernels& table);
void LAZULITE_AT_LEVEL(fill_int8_kernels)(Int8Kernels& table) {
  if (!tiles_are_right()) return;
  const auto dots = table.dots;
  table = {.rows = 2 * tile_rows,
           .cols = 2 * tile_rows,
           .lanes = tile_rows,
           .group = 4,
           .together = words_of_tile,
           .deep = cut,
           .rate = 4,
           .pack_left = pack_rows,
           .pack_right = pack_columns,
           .block = multiply_panels,
           .along = multiply_runs,
           .dots = dots};
}

}  // namespace lazulite::engine
