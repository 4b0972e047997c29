// AVX-512's instructions for bfloat16 in plain C++, for machines that have none.
#pragma once
#include <cstdint>
#include <cstring>

#include <immintrin.h>

namespace lazulite::tests {
inline __m512 emulated_dot(__m512 sum, __m512i x, __m512i y) {
  float s[16];
  uint16_t a[32], b[32];
  std::memcpy(s, &sum, 64);
  std::memcpy(a, &x, 64);
  std::memcpy(b, &y, 64);
  for (int i = 0; i < 32; ++i) {
    float p, q;
    const uint32_t left = uint32_t{a[i]} << 16, right = uint32_t{b[i]} << 16;
    std::memcpy(&p, &left, 4);
    std::memcpy(&q, &right, 4);
    s[i / 2] += p * q;
  }
  std::memcpy(&sum, s, 64);
  return sum;
}
inline __m512i emulated_round(__m512 high, __m512 low) {
  uint32_t bits[32];
  uint16_t out[32];
  std::memcpy(bits, &low, 64);
  std::memcpy(bits + 16, &high, 64);
  for (int i = 0; i < 32; ++i) out[i] = uint16_t((bits[i] + 0x7fff + ((bits[i] >> 16) & 1)) >> 16);
  __m512i halves;
  std::memcpy(&halves, out, 64);
  return halves;
}
}  // namespace lazulite::tests
#define _mm512_cvtne2ps_pbh(high, low) lazulite::tests::emulated_round(high, low)
#define _mm512_dpbf16_ps(sum, x, y) \
  lazulite::tests::emulated_dot(sum, (__m512i)(x), (__m512i)(y))
