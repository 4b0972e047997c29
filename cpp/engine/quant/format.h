// Formats of packed numbers: codes of a few bits in 32-bit words, from the low bits up and across
// words, in groups that share a scale. As base/convert.h: internal linkage, since the units per
// instruction-set level include this.
#pragma once
#include <bit>
#include <cstdint>

#include "base/dtype.h"

namespace lazulite::engine {

// What a code stands for, before its scale: a whole number from 0 up, to which a bias is added
// after the scale; or a small float (sign, exponent and fraction of so many bits).
enum class Codes : uint8_t { integers, e2m1, e4m3 };

struct Format {
  Codes codes;
  int bits, group;  // group: a multiple of 32, or 16
  // What bytes of scales stand for, where they are bytes: e4m3, or else powers of two.
  bool small_scales = false;

  bool has_biases() const { return codes == Codes::integers; }
};

// Kernels of codes are listed by this.
constexpr int code_slots = 8;
static constexpr int slot_of(Codes codes, int bits) {
  if (codes == Codes::e2m1) return 6;
  if (codes == Codes::e4m3) return 7;
  constexpr int of_bits[9] = {-1, -1, 0, 1, 2, 3, 4, -1, 5};
  return of_bits[bits];
}

constexpr float largest_e2m1 = 6, largest_e4m3 = 448;

static constexpr float from_e2m1(uint32_t code) {
  constexpr float size[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  return code & 8 ? -size[code & 7] : size[code & 7];
}
static constexpr float from_e4m3(uint32_t code) {
  const uint32_t size = code & 0x7f;
  float v = size < 8 ? float(size) * 0x1p-9f : std::bit_cast<float>((size << 20) + (120u << 23));
  if (size == 0x7f) v = std::bit_cast<float>(0x7fc00000u);
  return code & 0x80 ? -v : v;
}
// 2^(code - 127); 255 is no number.
static constexpr float from_e8m0(uint32_t code) {
  if (code == 255) return std::bit_cast<float>(0x7fc00000u);
  return std::bit_cast<float>(code ? code << 23 : 1u << 22);
}

// The code of the nearest float; what is too large becomes the largest one. E2M1: halves to the
// smaller one, and nothing becomes -0; E4M3: halves to even, nan stays nan.
template <class T>
static inline uint32_t nearest_e2m1(T x) {
  const T size = x < 0 ? -x : x;
  const int code = (size > T(0.25)) + (size > T(0.75)) + (size > T(1.25)) + (size > T(1.75)) +
                   (size > T(2.5)) + (size > T(3.5)) + (size > T(5));
  return uint32_t(x < 0 && code ? code + 8 : code);
}
static inline uint32_t nearest_e4m3(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x), size = bits & 0x7fffffff,
                 sign = bits >> 24 & 0x80;
  if (size > 0x7f800000) return sign | 0x7f;
  if (size >= std::bit_cast<uint32_t>(largest_e4m3)) return sign | 0x7e;
  if (size < 121u << 23) {  // steps of 2^-9: float addition rounds
    const float shifted = std::bit_cast<float>(size) + 0x1p14f;
    return sign | (std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(0x1p14f));
  }
  return sign | ((size + 0x7ffff + (size >> 20 & 1) - (120u << 23)) >> 20);
}
// The smallest power of two that is not below x, as E8M0; of 0: 1.
static inline uint32_t power_above(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if (bits >= 0x7f800000) return 255;
  if (x == 0) return 127;
  if (x <= 0x1p-127f) return 0;
  return (bits >> 23) + ((bits & 0x7fffff) != 0);
}

}  // namespace lazulite::engine
