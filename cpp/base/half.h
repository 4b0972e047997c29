// The two half types: storage and exact conversions. Arithmetic is done in float32.
#pragma once
#include <bit>
#include <cstdint>

namespace lazulite {

inline float half_to_float(uint16_t h) {
  const uint32_t sign = uint32_t(h & 0x8000) << 16, exp = (h >> 10) & 31, mant = h & 1023;
  if (exp == 31) return std::bit_cast<float>(sign | 0x7f800000 | mant << 13);
  if (exp) return std::bit_cast<float>(sign | (exp + 112) << 23 | mant << 13);
  const float tiny = float(mant) * 0x1p-24f;  // zero and subnormals: exact
  return sign ? -tiny : tiny;
}

// Round to nearest, ties to even; NaN stays NaN.
inline uint16_t float_to_half(float f) {
  const uint32_t bits = std::bit_cast<uint32_t>(f), mag = bits & 0x7fffffff;
  const uint16_t sign = uint16_t(bits >> 16 & 0x8000);
  if (mag > 0x7f800000) return uint16_t(sign | 0x7e00 | (mag >> 13 & 0x3ff));
  if (mag >= 0x47800000) return uint16_t(sign | 0x7c00);
  if (mag < 0x38800000) {  // subnormal result: let float addition round at 2^-24
    const float shifted = std::bit_cast<float>(mag) + 0.5f;
    return uint16_t(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000));
  }
  const uint32_t rounded = mag + 0xfff + (mag >> 13 & 1) - 0x38000000;
  return uint16_t(sign | rounded >> 13);
}

inline float bfloat_to_float(uint16_t b) { return std::bit_cast<float>(uint32_t(b) << 16); }
inline uint16_t float_to_bfloat(float f) {
  const uint32_t bits = std::bit_cast<uint32_t>(f);
  if ((bits & 0x7fffffff) > 0x7f800000) return uint16_t(bits >> 16 | 0x40);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// float64 to float32 rounded to odd: a second rounding to a half is then the right one.
inline float round_to_odd(double d) {
  float f = float(d);
  if (double(f) == d || d != d) return f;
  uint32_t bits = std::bit_cast<uint32_t>(f);
  const bool away = (double(f) > d) == (d > 0);
  if ((bits & 0x7fffffff) == 0x7f800000)
    return std::bit_cast<float>((bits & 0x80000000) | 0x7f7fffff);
  if (away) --bits;
  return std::bit_cast<float>(bits | 1);
}

struct float16_t {
  uint16_t bits;
  float16_t() = default;
  explicit float16_t(float f) : bits(float_to_half(f)) {}
  explicit float16_t(double d) : bits(float_to_half(round_to_odd(d))) {}
  operator float() const { return half_to_float(bits); }
};

struct bfloat16_t {
  uint16_t bits;
  bfloat16_t() = default;
  explicit bfloat16_t(float f) : bits(float_to_bfloat(f)) {}
  explicit bfloat16_t(double d) : bits(float_to_bfloat(round_to_odd(d))) {}
  operator float() const { return bfloat_to_float(bits); }
};

}  // namespace lazulite
