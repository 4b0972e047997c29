// Products and convolutions of int8 by those of 16 bits, per instruction-set level.
#include "device/cpu/level.h"
#include "engine/quant/int8_block.h"

namespace lazulite::engine {
namespace {

struct Twos {
  using Number = int16_t;
  LAZULITE_INLINE static Whole add(Whole sum, Whole x, Whole y) {
#if defined(LAZULITE_SIMD_AVX512)
    return sum + Whole::from(Whole::raw(_mm512_madd_epi16(__m512i(x.v), __m512i(y.v))));
#elif defined(LAZULITE_SIMD_AVX2)
    return sum + Whole::from(Whole::raw(_mm256_madd_epi16(__m256i(x.v), __m256i(y.v))));
#else
    return Whole::from(sum.v + (x.v >> 16) * (y.v >> 16) + (x.v << 16 >> 16) * (y.v << 16 >> 16));
#endif
  }

  // Of lines as they lie: a register of 16-bit numbers.
  static constexpr int chunk = 2 * Whole::size, above = 0;
  LAZULITE_INLINE static Whole row(const int8_t* p) {
#if defined(LAZULITE_SIMD_AVX512)
    return Whole::from(Whole::raw(
        _mm512_maskz_cvtepi8_epi16(~__mmask32{0}, _mm256_loadu_si256((const __m256i*)p))));
#elif defined(LAZULITE_SIMD_AVX2)
    return Whole::from(Whole::raw(_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)p))));
#else
    int16_t wide[chunk];
    for (int i = 0; i < chunk; ++i) wide[i] = p[i];
    Whole out(0);
    std::memcpy(&out.v, wide, sizeof wide);
    return out;
#endif
  }
  LAZULITE_INLINE static Whole line(const int8_t* p) { return row(p); }
  LAZULITE_INLINE static Whole dot(Whole sum, Whole of_line, Whole of_row) {
    return add(sum, of_line, of_row);
  }
};

void widen(const int8_t* from, void* to, int64_t n, int zero) {
  auto* out = static_cast<int16_t*>(to);
  for (int64_t i = 0; i < n; ++i) out[i] = int16_t(from[i] - zero);
}

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
                            .block = Int8Blocks<Twos>::panels<rows>,
                            .along = Int8Blocks<Twos>::along<rows>,
                            .dots = dots<Twos>,
                            .widen = widen};

}  // namespace

const Int8Kernels& LAZULITE_AT_LEVEL(int8_kernels)();
const Int8Kernels& LAZULITE_AT_LEVEL(int8_kernels)() { return table; }

}  // namespace lazulite::engine
