// Products and convolutions of int8 by AVX-512's dot products of four bytes, of which the left ones
// have no sign.
#include "device/cpu/level.h"
#include "engine/quant/int8_block.h"

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
};

void flip(const int8_t* from, void* to, int64_t n, int) {
  auto* out = static_cast<uint8_t*>(to);
  for (int64_t i = 0; i < n; ++i) out[i] = uint8_t(from[i]) ^ 0x80;
}

}  // namespace

void LAZULITE_AT_LEVEL(fill_int8_kernels)(Int8Kernels& table);
void LAZULITE_AT_LEVEL(fill_int8_kernels)(Int8Kernels& table) {
  table = {.rows = 14,
           .cols = 2 * Whole::size,
           .lanes = Whole::size,
           .group = 4,
           .above = Quads::above,
           .pack_left = pack_quads<0x80808080>,
           .pack_right = pack_quads<0>,
           .block = Int8Blocks<Quads>::choose<14>,
           .along = Int8Blocks<Quads>::along<14>,
           .dots = dots<Quads>,
           .widen = flip};
}

}  // namespace lazulite::engine
