// Products of int8 by AVX-512's dot products of four bytes, of which the left ones have no sign.
#include "device/cpu/level.h"
#include "engine/quant/int8_block.h"

namespace lazulite::engine {
namespace {

struct Quads {
  LAZULITE_INLINE static Whole add(Whole sum, Whole x, Whole y) {
    return Whole::from(
        Whole::raw(_mm512_dpbusd_epi32(__m512i(sum.v), __m512i(x.v), __m512i(y.v))));
  }
};

}  // namespace

void LAZULITE_AT_LEVEL(fill_int8_kernels)(Int8Kernels& table);
void LAZULITE_AT_LEVEL(fill_int8_kernels)(Int8Kernels& table) {
  table = {.rows = 14,
           .cols = 2 * Whole::size,
           .lanes = Whole::size,
           .group = 4,
           .shifted = true,
           .pack_left = pack_quads<0x80808080>,
           .pack_right = pack_quads<0>,
           .block = Int8Blocks<Quads>::choose<14>};
}

}  // namespace lazulite::engine
