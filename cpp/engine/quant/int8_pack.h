// Packing of int8 by fours, the steps of a dot product, with AVX-512. As simd/vec.h: units of one
// instruction-set level, internal linkage.
#pragma once
#include "engine/gemm/pack.h"

namespace lazulite::engine {
namespace {

// Four steps in the bytes of a value, each with `flip` of its bits turned.
template <uint32_t flip>
struct Fours {
  using Memory = uint8_t;
  using Sum = float;  // for its 32 bits
  using Words = Vec<uint32_t>;
  static constexpr int group = 4;
  LAZULITE_INLINE static Vec<float> load(const uint8_t* p) {
    Words words;
    std::memcpy(&words.v, p, sizeof words.v);
    return simd::bit_cast<float>(words ^ Words(flip));
  }
};

// Lines side by side: sixteen of them, of four steps, are a register.
template <uint32_t flip>
void pack_fours_across(const PackCall& p) {
  using Words = Vec<uint32_t>;
  constexpr int L = Words::size;
  const auto* from = static_cast<const uint8_t*>(p.from);
  auto* to = static_cast<uint32_t*>(p.to);
  const auto first = [](int64_t n) {
    return __mmask16(n >= L ? 0xffff : n <= 0 ? 0 : (1 << n) - 1);
  };
  for (int64_t k = 0; k < p.steps; k += 4, from += 4 * p.step, to += p.width) {
    const int64_t steps = p.steps - k < 4 ? p.steps - k : 4;
    for (int64_t i = 0; i < p.width; i += L) {
      const __mmask16 there = first(p.lines - i);
      const auto at = [&](int s) {
        return s < steps ? _mm512_maskz_cvtepu8_epi32(
                               there, _mm_maskz_loadu_epi8(there, from + s * p.step + i))
                         : _mm512_setzero_si512();
      };
      const auto higher = [](__m512i x, unsigned by) {
        return _mm512_maskz_slli_epi32(simd::every16, x, by);
      };
      const __m512i low = _mm512_or_si512(at(0), higher(at(1), 8)),
                    high = _mm512_or_si512(at(2), higher(at(3), 8)),
                    words = _mm512_or_si512(low, higher(high, 16));
      _mm512_mask_storeu_epi32(to + i, first(p.width - i),
                               _mm512_xor_si512(words, _mm512_set1_epi32(int32_t(flip))));
    }
  }
}

template <uint32_t flip>
void pack_fours(const PackCall& p) {
  if (p.step == 1) return pack_along<Fours<flip>>(p);
  if (p.line == 1) return pack_fours_across<flip>(p);
  const auto* from = static_cast<const uint8_t*>(p.from);
  auto* to = static_cast<uint32_t*>(p.to);
  for (int64_t k = 0; k < p.steps; k += 4, to += p.width)
    for (int64_t i = 0; i < p.width; ++i) {
      uint32_t word = 0;
      for (int64_t s = 0; i < p.lines && s < 4 && k + s < p.steps; ++s)
        word |= uint32_t(from[i * p.line + (k + s) * p.step]) << (8 * s);
      to[i] = word ^ flip;
    }
}

}  // namespace
}  // namespace lazulite::engine
