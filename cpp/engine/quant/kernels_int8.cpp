// Products of int8 by those of 16 bits, per instruction-set level.
#include "device/cpu/level.h"
#include "engine/quant/int8_block.h"

namespace lazulite::engine {
namespace {

struct Twos {
  LAZULITE_INLINE static Whole add(Whole sum, Whole x, Whole y) {
#if defined(LAZULITE_SIMD_AVX512)
    return sum + Whole::from(Whole::raw(_mm512_madd_epi16(__m512i(x.v), __m512i(y.v))));
#elif defined(LAZULITE_SIMD_AVX2)
    return sum + Whole::from(Whole::raw(_mm256_madd_epi16(__m256i(x.v), __m256i(y.v))));
#else
    return Whole::from(sum.v + (x.v >> 16) * (y.v >> 16) + (x.v << 16 >> 16) * (y.v << 16 >> 16));
#endif
  }
};

#if defined(LAZULITE_SIMD_AVX512)
constexpr int rows = 14;
#elif defined(LAZULITE_SIMD_AVX2)
constexpr int rows = 6;
#else
constexpr int rows = 4;
#endif
constexpr Int8Kernels table{.rows = rows,
                            .cols = 2 * Whole::size,
                            .lanes = Whole::size,
                            .group = 2,
                            .pack_left = pack_twos,
                            .pack_right = pack_twos,
                            .block = Int8Blocks<Twos>::choose<rows>};

}  // namespace

const Int8Kernels& LAZULITE_AT_LEVEL(int8_kernels)();
const Int8Kernels& LAZULITE_AT_LEVEL(int8_kernels)() { return table; }

}  // namespace lazulite::engine
