// Sixteen rows beside a panel of codes, in whole numbers, by AMX's tiles. A code is a byte of the
// panel, four of them a word; a number of x is its upper byte, with a sign, and its lower one,
// without, which are multiplied by the same codes: 256 times the one sum and the other are what
// products of 16 bits give (whole_block.h), so that the bits of results are those of the level
// below (Intel's manual of instruction-set extensions, TDPBSSD and its kin).
#include "device/cpu/level.h"
#include "engine/gemm/tiles.h"
#include "engine/quant/codes.h"
#include "engine/quant/dots.h"

namespace lazulite::engine {
namespace {

constexpr int whole_cols = 2 * tile_rows;

// Numbers of a group that a row of a tile holds.
int numbers_of_tile(int group) { return group < tile_bytes ? group : tile_bytes; }

// The code in byte i of a word of the panel. Where codes fill words, those of neighbouring bytes
// lie a byte apart, so that a shift and a mask give four.
template <int bits>
constexpr int words_of_word = 32 % bits == 0 ? 8 / bits : 1;
template <int bits>
constexpr int code_of_byte(int word, int i) {
  constexpr int each = words_of_word<bits>;
  return word / each * 4 * each + i * each + word % each;
}

// ---- packing

template <Codes codes, int bits, int word>
LAZULITE_INLINE U bytes_of(const uint32_t* words) {
  if constexpr (32 % bits != 0) {
    auto v = code_of<bits, code_of_byte<bits>(word, 0)>(words).v;
    v |= code_of<bits, code_of_byte<bits>(word, 1)>(words).v << 8u;
    v |= code_of<bits, code_of_byte<bits>(word, 2)>(words).v << 16u;
    v |= code_of<bits, code_of_byte<bits>(word, 3)>(words).v << 24u;
    return U::from(v);
  } else {
    constexpr int each = words_of_word<bits>;
    constexpr uint32_t mask = ((1u << bits) - 1) * 0x1010101u;
    const U v = U::from(U::load(words + word / each * L).v >> uint32_t(word % each * bits) & mask);
    if constexpr (codes == Codes::integers) return v;
    static constexpr int8_t twice[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                         0, -1, -2, -3, -4, -6, -8, -12};
    return U::from(typename U::raw(shuffled(repeated(twice), Lanes(v.v))));
  }
}
template <Codes codes, int bits, int... word>
LAZULITE_INLINE void put_words(const uint32_t* words, uint32_t* to, int64_t width,
                               std::integer_sequence<int, word...>) {
  (bytes_of<codes, bits, word>(words).store(to + word * width), ...);
}
template <Codes codes, int bits>
void expand_bytes(const ExpandCall& p) {
  uint32_t words[most_blocks * bits * L];
  const int64_t wanted = p.blocks * bits, there = p.words < wanted ? p.words : wanted;
  for (int64_t lane = 0; lane < p.width; lane += L) {
    const int64_t left = p.lines - lane, lines = left < 0 ? 0 : left < L ? left : L;
    turn_words(p.codes + lane * p.line, p.line, lines, lines ? there : 0, wanted, words);
    for (int64_t b = 0; b < p.blocks; ++b)
      put_words<codes, bits>(words + b * bits * L,
                             static_cast<uint32_t*>(p.to) + b * 8 * p.width + lane, p.width,
                             std::make_integer_sequence<int, 8>{});
  }
}

// A row: of as many numbers as a row of a tile has, first the upper bytes, then the lower ones.
template <Codes codes, int bits>
bool prepare_bytes(const PrepareCall& p) {
  struct Order {
    int8_t of[16];
  };
  static constexpr Order order = [] {
    Order o{};
    for (int i = 0; i < 16; ++i) o.of[i] = int8_t(code_of_byte<bits>(i / 4, i % 4));
    return o;
  }();
  const int group = p.format.group, tile = numbers_of_tile(group);
  const float row = largest(p.x, p.count);
  if (!fits(row)) return false;
  const __m128i at = _mm_loadu_si128(reinterpret_cast<const __m128i*>(order.of));
  auto* to = reinterpret_cast<char*>(p.to);
  for (int64_t first = 0; first < p.count; first += group) {
    const float scale = scale_of(p.x + first, group, row);
    const float sum = rounded(p.x + first, group, scale, [&](int64_t k, auto whole) {
      const int64_t number = first + k;
      char* here = to + number / tile * 2 * tile + number % tile;
      const auto put = [&](char* where, Sums v) __attribute__((always_inline)) {
        const __m128i bytes = _mm512_maskz_cvtepi32_epi8(0xffff, __m512i(v));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(where), _mm_shuffle_epi8(bytes, at));
      };
      put(here, Sums(whole.v) >> 8);
      put(here + tile, Sums(whole.v));
    });
    p.sums[first / group] = scale * sum;
    // Codes of E2M1 are twice what they stand for.
    p.scales[first / group] = codes == Codes::e2m1 ? scale / 2 : scale;
  }
  return true;
}

// ---- blocks: sums of upper bytes in tiles 0 and 1, of lower ones in 2 and 3

template <bool negative, bool two>
void multiply_codes(const WholeCall& p) {
  using V = Vec<float>;
  constexpr int vectors = two ? 2 : 1;
  const int group = 2 * p.pairs, tile = numbers_of_tile(group);
  alignas(64) TileConfiguration c;
  for (int t = 0; t < 4; ++t)
    if (two || t % 2 == 0) c.set(t, p.rows, tile_bytes);
  c.set(4, p.rows, tile);
  c.set(5, p.rows, tile);
  c.set(6, tile / 4, tile_bytes);
  if (two) c.set(7, tile / 4, tile_bytes);
  __asm__ volatile("" : : "r"(&c) : "memory");
  _tile_loadconfig(&c);

  alignas(64) float total[tile_rows][whole_cols];
  alignas(64) int32_t upper[tile_rows][whole_cols], lower[tile_rows][whole_cols];
  const auto there = [&](int j) { return p.cols - j * L < L ? p.cols - j * L : L; };
  for (int r = 0; r < p.rows; ++r)
    for (int j = 0; j < vectors; ++j)
      (p.add ? load_part<Plain<float>>(p.out + r * p.out_row + j * L, there(j)) : V(0.0f))
          .store(total[r] + j * L);
  const char *x = reinterpret_cast<const char*>(p.x),
             *panel = reinterpret_cast<const char*>(p.panel);
  const int64_t x_row = p.x_row * 4, panel_row = p.width * 4, sums_row = sizeof upper[0];
  for (int64_t g = 0; g < p.groups; ++g) {
    _tile_zero(0);
    _tile_zero(2);
    if (two) {
      _tile_zero(1);
      _tile_zero(3);
    }
    for (int k = 0; k < group; k += tile, x += 2 * tile, panel += tile / 4 * panel_row) {
      _tile_loadd(6, panel, panel_row);
      _tile_loadd(4, x, x_row);
      if constexpr (negative) _tile_dpbssd(0, 4, 6);
      else _tile_dpbsud(0, 4, 6);
      _tile_loadd(5, x + tile, x_row);
      if constexpr (negative) _tile_dpbusd(2, 5, 6);
      else _tile_dpbuud(2, 5, 6);
      if constexpr (two) {
        _tile_loadd(7, panel + tile_bytes, panel_row);
        if constexpr (negative) {
          _tile_dpbssd(1, 4, 7);
          _tile_dpbusd(3, 5, 7);
        } else {
          _tile_dpbsud(1, 4, 7);
          _tile_dpbuud(3, 5, 7);
        }
      }
    }
    _tile_stored(0, upper, sums_row);
    _tile_stored(2, lower, sums_row);
    if (two) {
      _tile_stored(1, upper[0] + L, sums_row);
      _tile_stored(3, lower[0] + L, sums_row);
    }
    __asm__ volatile("" : : : "memory");  // nor what is written
    const float *of_x = p.x_scales + g * p.rows, *sums = p.x_sums + g * p.rows;
    V scales[vectors], biases[vectors];
#pragma GCC unroll 2
    for (int j = 0; j < vectors; ++j) {
      scales[j] = V::load(p.scales + g * p.width + j * L);
      biases[j] = p.biases ? V::load(p.biases + g * p.width + j * L) : V(0.0f);
    }
    for (int r = 0; r < p.rows; ++r)
#pragma GCC unroll 2
      for (int j = 0; j < vectors; ++j) {
        using U32 = Vec<uint32_t>;
        const auto up = U32::load(reinterpret_cast<const uint32_t*>(upper[r] + j * L)),
                   low = U32::load(reinterpret_cast<const uint32_t*>(lower[r] + j * L));
        const V whole = V::from(__builtin_convertvector(Sums((up.v << 8u) + low.v), V::raw));
        V sum = fma(whole * V(of_x[r]), scales[j], V::load(total[r] + j * L));
        if (p.biases) sum = fma(biases[j], V(sums[r]), sum);
        sum.store(total[r] + j * L);
      }
  }
  _tile_release();
  for (int r = 0; r < p.rows; ++r)
    for (int j = 0; j < vectors; ++j)
      store_part<L>(total[r] + j * L, p.out + r * p.out_row + j * L, there(j));
}
void multiply(const WholeCall& p) {
  if (p.negative) (p.cols > L ? multiply_codes<true, true> : multiply_codes<true, false>)(p);
  else (p.cols > L ? multiply_codes<false, true> : multiply_codes<false, false>)(p);
}

// As those of bfloat16 are tried (engine/gemm/kernels_panels.amx.cpp), with codes of either kind,
// and groups of two tiles and of half of one.
bool tiles_are_right(int group, bool negative) {
  constexpr int rows = 16, cols = 25, width = whole_cols, count = 256;
  const int tile = numbers_of_tile(group), groups = count / group;
  uint8_t x[rows][2 * count], panel[count / 4 * width * 4];
  float ones[count / 16 * width], out[rows * cols];
  for (int r = 0; r < rows; ++r)
    for (int i = 0; i < 2 * count; ++i) x[r][i] = uint8_t(r * 53 + i * 37 + i / 90);
  for (int i = 0; i < count * width; ++i) panel[i] = uint8_t(i * 11 + i / 64);
  for (float& one : ones) one = 1;
  WholeCall call{.x = reinterpret_cast<const uint32_t*>(x[0]),
                 .panel = reinterpret_cast<const uint32_t*>(panel),
                 .x_scales = ones,
                 .x_sums = ones,
                 .scales = ones,
                 .biases = nullptr,
                 .width = width,
                 .groups = groups,
                 .pairs = group / 2,
                 .out = out,
                 .out_row = cols,
                 .rows = rows,
                 .cols = cols,
                 .add = false,
                 .x_row = 2 * count / 4,
                 .negative = negative};
  multiply(call);
  for (int r = 0; r < rows; ++r)
    for (int j = 0; j < cols; ++j) {
      float total = 0;
      for (int g = 0; g < groups; ++g) {
        uint32_t sum = 0;
        for (int k = g * group; k < (g + 1) * group; ++k) {
          const int at = k / tile * 2 * tile + k % tile;
          const uint8_t code = panel[(k / 4 * width + j) * 4 + k % 4];
          sum += uint32_t((int8_t(x[r][at]) * 256 + x[r][at + tile]) *
                          (negative ? int8_t(code) : code));
        }
        total += float(int32_t(sum));
      }
      if (out[r * cols + j] != total) return false;
    }
  return true;
}

template <Codes codes, int bits>
void add_bytes_of(QuantKernels& k) {
  constexpr int slot = slot_of(codes, bits);
  k.prepare_pairs[slot] = prepare_bytes<codes, bits>;
  k.expand_whole[slot] = expand_bytes<codes, bits>;
}

}  // namespace

void LAZULITE_AT_LEVEL(fill_quant_kernels)(QuantKernels& table);
void LAZULITE_AT_LEVEL(fill_quant_kernels)(QuantKernels& table) {
  for (const int group : {128, 32})
    for (const bool negative : {false, true})
      if (!tiles_are_right(group, negative)) return;
  add_bytes_of<Codes::integers, 2>(table);
  add_bytes_of<Codes::integers, 3>(table);
  add_bytes_of<Codes::integers, 4>(table);
  add_bytes_of<Codes::integers, 5>(table);
  add_bytes_of<Codes::integers, 6>(table);
  add_bytes_of<Codes::integers, 8>(table);
  add_bytes_of<Codes::e2m1, 4>(table);
  table.rows = tile_rows;
  table.width = whole_cols;
  table.rows_apart = true;
  table.multiply = multiply;
}

}  // namespace lazulite::engine
