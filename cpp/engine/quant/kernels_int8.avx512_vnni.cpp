// Products and convolutions of int8 by AVX-512's dot products of four bytes, of which the left ones
// have no sign.
#include "device/cpu/level.h"
#include "engine/quant/int8_block.h"
#include "engine/quant/int8_pack.h"

namespace lazulite::engine {
namespace {

struct Quads {
  using Number = uint8_t;
  LAZULITE_INLINE static Whole add(Whole sum, Whole x, Whole y) {
    return Whole::from(
        Whole::raw(_mm512_dpbusd_epi32(__m512i(sum.v), __m512i(x.v), __m512i(y.v))));
  }

  // Of lines as they lie, without a sign then.
  static constexpr int chunk = 64, above = 128;
  LAZULITE_INLINE static Whole row(const int8_t* p) {
    return Whole::from(Whole::raw(_mm512_loadu_si512(p)));
  }
  LAZULITE_INLINE static Whole line(const int8_t* p) {
    return row(p) ^ Whole(int32_t(0x80808080));
  }
  LAZULITE_INLINE static Whole dot(Whole sum, Whole of_line, Whole of_row) {
    return add(sum, of_line, of_row);
  }
  static int32_t sum_of(const int8_t* x, int64_t n) {
    const Whole ones(0x01010101);
    Whole sum(0);
    int64_t i = 0;
    for (; i + chunk <= n; i += chunk) sum = add(sum, ones, row(x + i));
    const __mmask64 there = (__mmask64{1} << (n - i)) - 1;
    const Whole rest = Whole::from(Whole::raw(_mm512_maskz_loadu_epi8(there, x + i)));
    return int32_t(total(simd::bit_cast<uint32_t>(add(sum, ones, rest))));
  }
};

constexpr int vectors = 2;

// Four sums beside each other, since each waits for its last one.
void starts(const void* strip, int64_t groups, int32_t* to) {
  constexpr int L = Whole::size, apart = 4;
  const auto* words = static_cast<const int32_t*>(strip);
  const Whole ones(0x01010101);
  Whole sum[apart][vectors];
  for (auto& s : sum)
    for (Whole& of : s) of = Whole(0);
  int64_t k = 0;
  for (; k + apart <= groups; k += apart)
#pragma GCC unroll 4
    for (int i = 0; i < apart; ++i)
#pragma GCC unroll 2
      for (int j = 0; j < vectors; ++j)
        sum[i][j] = Quads::add(sum[i][j], ones, Whole::load(words + ((k + i) * vectors + j) * L));
  for (; k < groups; ++k)
    for (int j = 0; j < vectors; ++j)
      sum[0][j] = Quads::add(sum[0][j], ones, Whole::load(words + (k * vectors + j) * L));
  for (int j = 0; j < vectors; ++j) {
    const Whole all = sum[0][j] + sum[1][j] + sum[2][j] + sum[3][j];
    (all * Whole(-Quads::above)).store(to + j * L);
  }
}

void flip(const int8_t* from, void* to, int64_t n, int) {
  auto* out = static_cast<uint8_t*>(to);
  int64_t i = 0;
  for (; i + 64 <= n; i += 64) Quads::line(from + i).store(reinterpret_cast<int32_t*>(out + i));
  for (; i < n; ++i) out[i] = uint8_t(from[i]) ^ 0x80;
}

}  // namespace

void LAZULITE_AT_LEVEL(fill_int8_kernels)(Int8Kernels& table);
void LAZULITE_AT_LEVEL(fill_int8_kernels)(Int8Kernels& table) {
  table = {.rows = 14,
           .cols = vectors * Whole::size,
           .lanes = Whole::size,
           .group = 4,
           .above = Quads::above,
           .pack_left = pack_fours<0x80808080>,
           .pack_right = pack_fours<0>,
           .block = Int8Blocks<Quads>::panels<14>,
           .starts = starts,
           .along = Int8Blocks<Quads>::along<14>,
           .dots = dots<Quads>,
           .widen = flip};
}

}  // namespace lazulite::engine
