// The block formats of GGUF that are numbers and scales (not those of code books): each decodes
// one block to float32, with the roundings of the format's own description.
#include <cmath>
#include <cstring>

#include "ops/files/files.h"

namespace lazulite {

namespace {

using Bytes = const uint8_t*;

float half_at(Bytes p) { return half_to_float(uint16_t(p[0] | p[1] << 8)); }
float float_at(Bytes p) {
  float v;
  std::memcpy(&v, p, 4);
  return v;
}
int signed_byte(uint8_t v) { return int8_t(v); }

// ---- 32 numbers: the low halves of the bytes are the first 16, the high halves the others

template <class F>
void halves(Bytes codes, float* to, F value) {
  for (int i = 0; i < 16; ++i) {
    to[i] = value(codes[i] & 15, i);
    to[i + 16] = value(codes[i] >> 4, i + 16);
  }
}
int bit(Bytes bits, int i) { return bits[i / 8] >> (i % 8) & 1; }

void q4_0(Bytes b, float* to) {
  const float d = half_at(b);
  halves(b + 2, to, [&](int q, int) { return d * float(q - 8); });
}
void q4_1(Bytes b, float* to) {
  const float d = half_at(b), m = half_at(b + 2);
  halves(b + 4, to, [&](int q, int) { return d * float(q) + m; });
}
void q5_0(Bytes b, float* to) {
  const float d = half_at(b);
  halves(b + 6, to, [&](int q, int i) { return d * float((q | bit(b + 2, i) << 4) - 16); });
}
void q5_1(Bytes b, float* to) {
  const float d = half_at(b), m = half_at(b + 2);
  halves(b + 8, to, [&](int q, int i) { return d * float(q | bit(b + 4, i) << 4) + m; });
}
template <int codes>
void q8(Bytes b, float* to) {
  const float d = half_at(b);
  for (int i = 0; i < 32; ++i) to[i] = d * float(signed_byte(b[codes + i]));
}
constexpr int levels[] = {-127, -104, -83, -65, -49, -35, -22, -10,
                          1,    13,   25,  38,  53,  69,  89,  113};
void iq4_nl(Bytes b, float* to) {
  const float d = half_at(b);
  halves(b + 2, to, [&](int q, int) { return d * float(levels[q]); });
}
// Four-bit floats, doubled, and half of a power of two.
constexpr int doubled[] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
void mxfp4(Bytes b, float* to) {
  const uint32_t bits = b[0] < 2 ? 0x00200000u << b[0] : uint32_t(b[0] - 1) << 23;
  float d;
  std::memcpy(&d, &bits, 4);
  halves(b + 1, to, [&](int q, int) { return d * float(doubled[q]); });
}
// Sixteen of them at a time, times half of an unsigned float of eight bits: four of exponent, three
// of fraction. Its largest code, a nan, counts as zero.
void nvfp4(Bytes b, float* to) {
  for (int part = 0; part < 4; ++part) {
    const int code = b[part], exponent = code >> 3 & 15, fraction = code & 7;
    const float d = code == 0x7f ? 0
                    : exponent   ? std::ldexp(float(8 + fraction), exponent - 11)
                                 : std::ldexp(float(fraction), -10);
    for (int i = 0; i < 8; ++i) {
      const int both = b[4 + part * 8 + i];
      to[part * 16 + i] = d * float(doubled[both & 15]);
      to[part * 16 + 8 + i] = d * float(doubled[both >> 4]);
    }
  }
}

// ---- 256 numbers, in groups of 16 or 32 with scales of 4 or 6 bits

// 128 numbers of two bits in 32 bytes: the lowest bits of all are the first 32. value(code, i)
// gives number i, of 256.
template <class F>
void quarters(Bytes codes, float* to, F value) {
  for (int half = 0; half < 2; ++half)
    for (int shift = 0; shift < 4; ++shift)
      for (int i = 0; i < 32; ++i) {
        const int at = half * 128 + shift * 32 + i;
        to[at] = value(codes[half * 32 + i] >> (shift * 2) & 3, at);
      }
}
void q2_k(Bytes b, float* to) {
  const float d = half_at(b + 80), low = half_at(b + 82);
  float by[16], less[16];
  for (int i = 0; i < 16; ++i) {
    by[i] = d * float(b[i] & 15);
    less[i] = low * float(b[i] >> 4);
  }
  quarters(b + 16, to, [&](int q, int i) { return by[i / 16] * float(q) - less[i / 16]; });
}
void q3_k(Bytes b, float* to) {
  const Bytes high = b, scales = b + 96;
  const float d = half_at(b + 108);
  float by[16];
  for (int i = 0; i < 16; ++i) {
    const int four = i < 8 ? scales[i] & 15 : scales[i - 8] >> 4;
    by[i] = d * float((four | (scales[8 + i % 4] >> (i / 4 * 2) & 3) << 4) - 32);
  }
  quarters(b + 32, to, [&](int q, int i) {
    return by[i / 16] * float(q - 4 + (high[i % 32] >> (i / 32) & 1) * 4);
  });
}
// Eight scales and eight minima of 6 bits in 12 bytes.
struct SixBits {
  int scale, low;
  SixBits(Bytes s, int i)
      : scale(i < 4 ? s[i] & 63 : (s[i + 4] & 15) | (s[i - 4] >> 6) << 4),
        low(i < 4 ? s[i + 4] & 63 : s[i + 4] >> 4 | (s[i] >> 6) << 4) {}
};
template <bool five>
void q4_or_5_k(Bytes b, float* to) {
  const float d = half_at(b), low = half_at(b + 2);
  const Bytes high = b + 16, codes = five ? b + 48 : b + 16;
  for (int group = 0; group < 8; ++group) {
    const SixBits six(b + 4, group);
    const float by = d * float(six.scale), less = low * float(six.low);
    for (int i = 0; i < 32; ++i) {
      int q = codes[group / 2 * 32 + i] >> (group % 2 * 4) & 15;
      if (five) q |= (high[i] >> group & 1) << 4;
      to[group * 32 + i] = by * float(q) - less;
    }
  }
}
void q6_k(Bytes b, float* to) {
  const float d = half_at(b + 208);
  for (int group = 0; group < 16; ++group, to += 16) {
    const float by = d * float(signed_byte(b[192 + group]));
    const int half = group / 8, quarter = group % 8 / 2, from = group % 2 * 16;
    const Bytes codes = b + half * 64 + quarter % 2 * 32 + from, high = b + 128 + half * 32 + from;
    for (int i = 0; i < 16; ++i) {
      const int four = codes[i] >> (quarter / 2 * 4) & 15, two = high[i] >> (quarter * 2) & 3;
      to[i] = by * float((four | two << 4) - 32);
    }
  }
}
void q8_k(Bytes b, float* to) {
  const float d = float_at(b);
  for (int i = 0; i < 256; ++i) to[i] = d * float(signed_byte(b[4 + i]));
}
void iq4_xs(Bytes b, float* to) {
  const float d = half_at(b);
  const int high = b[2] | b[3] << 8;
  for (int group = 0; group < 8; ++group) {
    const int four = b[4 + group / 2] >> (group % 2 * 4) & 15, two = high >> (group * 2) & 3;
    const float by = d * float((four | two << 4) - 32);
    halves(b + 8 + group * 16, to + group * 32,
           [&](int q, int) { return by * float(levels[q]); });
  }
}
void tq2_0(Bytes b, float* to) {
  const float d = half_at(b + 64);
  quarters(b, to, [&](int q, int) { return d * float(q - 1); });
}
// Five digits of base three in a byte: the highest is what three times the byte carries over.
void tq1_0(Bytes b, float* to) {
  const float d = half_at(b + 52);
  constexpr uint8_t powers[] = {1, 3, 9, 27, 81};
  auto digits = [&](Bytes from, int bytes, int count) {
    for (int digit = 0; digit < count; ++digit)
      for (int i = 0; i < bytes; ++i)
        *to++ = d * float((uint8_t(from[i] * powers[digit]) * 3 >> 8) - 1);
  };
  digits(b, 32, 5);
  digits(b + 32, 16, 5);
  digits(b + 48, 4, 4);
}

// ---- for the list of formats: floats, and parts of affine quantization in groups of 32, packed
// from the low bits up

template <void (*f)(Bytes, float*)>
void floats(Bytes b, void* to) {
  f(b, static_cast<float*>(to));
}
template <int codes>
void packed_4(Bytes b, void* to) {
  auto* out = static_cast<uint8_t*>(to);
  for (int i = 0; i < 8; ++i) {
    const int even = b[codes + 2 * i], odd = b[codes + 2 * i + 1];
    out[i] = uint8_t((even & 15) | odd << 4);
    out[8 + i] = uint8_t(even >> 4 | (odd & 0xf0));
  }
}
void packed_8(Bytes b, void* to) {  // signed codes, 128 more
  auto* out = static_cast<uint8_t*>(to);
  for (int i = 0; i < 32; ++i) out[i] = b[2 + i] ^ 128;
}
template <int at>
void half_of(Bytes b, float* to) {
  *to = half_at(b + at);
}
template <int zero>  // the code that stands for 0
void lowest(Bytes b, float* to) {
  *to = half_at(b) * float(-zero);
}

constexpr Dtype words = Dtype::uint32, half = Dtype::float16;
constexpr BlockFormat formats[] = {
    {"Q4_0", half, 18, 32, floats<q4_0>},
    {"Q4_0.weight", words, 18, 4, packed_4<2>},
    {"Q4_0.scales", half, 18, 1, floats<half_of<0>>},
    {"Q4_0.biases", half, 18, 1, floats<lowest<8>>},
    {"Q4_1", half, 20, 32, floats<q4_1>},
    {"Q4_1.weight", words, 20, 4, packed_4<4>},
    {"Q4_1.scales", half, 20, 1, floats<half_of<0>>},
    {"Q4_1.biases", half, 20, 1, floats<half_of<2>>},
    {"Q5_0", half, 22, 32, floats<q5_0>},
    {"Q5_1", half, 24, 32, floats<q5_1>},
    {"Q8_0", half, 34, 32, floats<q8<2>>},
    {"Q8_0.weight", words, 34, 8, packed_8},
    {"Q8_0.scales", half, 34, 1, floats<half_of<0>>},
    {"Q8_0.biases", half, 34, 1, floats<lowest<128>>},
    {"Q8_1", half, 36, 32, floats<q8<4>>},
    {"Q2_K", half, 84, 256, floats<q2_k>},
    {"Q3_K", half, 110, 256, floats<q3_k>},
    {"Q4_K", half, 144, 256, floats<q4_or_5_k<false>>},
    {"Q5_K", half, 176, 256, floats<q4_or_5_k<true>>},
    {"Q6_K", half, 210, 256, floats<q6_k>},
    {"Q8_K", half, 292, 256, floats<q8_k>},
    {"IQ4_NL", half, 18, 32, floats<iq4_nl>},
    {"IQ4_XS", half, 136, 256, floats<iq4_xs>},
    {"TQ1_0", half, 54, 256, floats<tq1_0>},
    {"TQ2_0", half, 66, 256, floats<tq2_0>},
    {"MXFP4", half, 17, 32, floats<mxfp4>},
    {"NVFP4", half, 36, 64, floats<nvfp4>},
};

}  // namespace

const BlockFormat* find_blocks(std::string_view name) {
  for (const BlockFormat& format : formats)
    if (name == format.name) return &format;
  return nullptr;
}

}  // namespace lazulite
