// Packed numbers per instruction-set level: codes to floats and back. Lanes are lines: the words of
// some lines are turned, so that one vector has the same codes of each of them, and every width of
// codes is a shift and a mask.
#include <algorithm>
#include <utility>

#include "device/cpu/level.h"
#include "engine/quant/codes.h"
#include "engine/quant/kernels.h"
#include "engine/quant/whole_block.h"

namespace lazulite::engine {
namespace {

// ---- codes to floats

template <Codes codes>
LAZULITE_INLINE F value_of(U code) {
  const F whole = simd::convert<float>(simd::bit_cast<int32_t>(code));
  if constexpr (codes == Codes::integers) return whole;
  constexpr bool small = codes == Codes::e2m1;
  constexpr int fraction = small ? 1 : 3, sign = small ? 8 : 128, bias = small ? 1 : 7;
  const U size = code & U(uint32_t(sign - 1));
  const F tiny = simd::convert<float>(simd::bit_cast<int32_t>(size)) *
                 F(small ? 0.5f : 0x1p-9f);  // below the first power of two: exact
  U normal = U::from((size.v << uint32_t(23 - fraction)) + (uint32_t(127 - bias) << 23));
  if constexpr (!small) normal = select(size == U(0x7f), U(0x7fc00000u), normal);
  const F out = select(size < U(1u << fraction), tiny, simd::bit_cast<float>(normal));
  return simd::bit_cast<float>(simd::bit_cast<uint32_t>(out) |
                               U::from((code.v & uint32_t(sign)) << (small ? 28u : 24u)));
}

// put(j, value) of 32 codes of each lane, in order; at_half(i) before each sixteen of them.
template <Codes codes, int bits, class Scale, class Put, int... j>
LAZULITE_INLINE void for_codes(const uint32_t* words, Scale&& scale, Put&& put,
                               std::integer_sequence<int, j...>) {
  (put(j, scale(j / 16, value_of<codes>(code_of<bits, j>(words)))), ...);
}

constexpr auto all_codes = std::make_integer_sequence<int, 32>{};

template <Codes codes, int bits, bool pairs>
void expand(const ExpandCall& p) {
  uint32_t words[most_blocks * bits * L];
  const int64_t wanted = p.blocks * bits, there = std::min(p.words, wanted);
  for (int64_t lane = 0; lane < p.width; lane += L) {
    const int64_t lines = std::clamp<int64_t>(p.lines - lane, 0, L);
    turn_words(p.codes + lane * p.line, p.line, lines, lines ? there : 0, wanted, words);
    for (int64_t b = 0; b < p.blocks; ++b) {
      F scales[2], biases[2];
      for (int i = 0; i < 2; ++i) {
        const int64_t at = (b * 32 + i * 16) / p.group * p.width + lane;
        scales[i] = F::load(p.scales + at);
        biases[i] = p.biases ? F::load(p.biases + at) : F(0.0f);
      }
      auto scale = [&](int i, F v) __attribute__((always_inline)) {
        if constexpr (codes == Codes::integers) return v * scales[i] + biases[i];
        else return v * scales[i];
      };
      const uint32_t* from = words + b * bits * L;
      if constexpr (pairs) {
        uint32_t* to = static_cast<uint32_t*>(p.to) + b * 16 * p.width + lane;
        U even;
        for_codes<codes, bits>(from, scale, [&](int j, F v) __attribute__((always_inline)) {
          // To nearest; nan stays nan, since those of scales of 16 bits have none of these bits.
          const U u = simd::bit_cast<uint32_t>(v),
                  half = U::from(u.v + 0x7fffu + (u.v >> 16u & 1u));
          if (j % 2 == 0) even = U::from(half.v >> 16u);
          else U::from(even.v | (half.v & 0xffff0000u)).store(to + j / 2 * p.width);
        }, all_codes);
      } else {
        float* to = static_cast<float*>(p.to) + b * 32 * p.width + lane;
        for_codes<codes, bits>(from, scale, [&](int j, F v) __attribute__((always_inline)) {
          v.store(to + j * p.width);
        }, all_codes);
      }
    }
  }
}

#if defined(LAZULITE_SIMD_AVX512) || defined(LAZULITE_SIMD_AVX2)
// As `expand`, of codes in pairs: to[pair * width + line], each of them in 16 bits.
template <Codes codes, int bits, int pair>
LAZULITE_INLINE U pair_of(const uint32_t* words) {
  constexpr int first = first_of_pair<bits>(pair), second = second_of_pair<bits>(pair);
  if constexpr (32 % bits != 0)
    return U::from(code_of<bits, first>(words).v | code_of<bits, second>(words).v << 16u);
  constexpr uint32_t mask = ((1u << bits) - 1) * 0x10001u;
  const auto word = U::load(words + first * bits / 32 * L).v;
  const U v = U::from(word >> uint32_t(first * bits % 32) & mask);
#if defined(LAZULITE_SIMD_AVX512) || defined(LAZULITE_SIMD_AVX2)
  if constexpr (codes == Codes::e2m1) {  // its sign goes along as it moves down
    typedef int16_t Signed __attribute__((vector_size(simd::register_bytes)));
    return U::from(typename U::raw(Signed(twice_e2m1(Lanes(v.v))) >> int16_t(8)));
  }
#endif
  return v;
}
template <Codes codes, int bits, int... pair>
LAZULITE_INLINE void put_pairs(const uint32_t* words, uint32_t* to, int64_t width,
                               std::integer_sequence<int, pair...>) {
  (pair_of<codes, bits, pair>(words).store(to + pair * width), ...);
}
template <Codes codes, int bits>
void expand_whole(const ExpandCall& p) {
  uint32_t words[most_blocks * bits * L];
  const int64_t wanted = p.blocks * bits, there = std::min(p.words, wanted);
  for (int64_t lane = 0; lane < p.width; lane += L) {
    const int64_t lines = std::clamp<int64_t>(p.lines - lane, 0, L);
    turn_words(p.codes + lane * p.line, p.line, lines, lines ? there : 0, wanted, words);
    for (int64_t b = 0; b < p.blocks; ++b)
      put_pairs<codes, bits>(words + b * bits * L,
                             static_cast<uint32_t*>(p.to) + b * 16 * p.width + lane, p.width,
                             std::make_integer_sequence<int, 16>{});
  }
}
#endif

template <Codes codes, int bits>
void decode(const DecodeCall& p) {
  uint32_t words[bits * L];
  F values[32];
  for (int64_t first = 0; first < p.lines; first += L) {
    const int64_t lines = std::min<int64_t>(L, p.lines - first);
    turn_words(p.codes + first * p.line, p.line, lines, p.words, bits, words);
    F scales[2], biases[2];
    for (int i = 0; i < 2; ++i) {
      const int64_t at = (p.group < 32 ? i * p.lines : 0) + first;
      scales[i] = load_part<Plain<float>>(p.scales + at, lines);
      biases[i] = p.biases ? load_part<Plain<float>>(p.biases + at, lines) : F(0.0f);
    }
    auto scale = [&](int i, F v) __attribute__((always_inline)) {
      if constexpr (codes == Codes::integers) return v * scales[i] + biases[i];
      else return v * scales[i];
    };
    for_codes<codes, bits>(words, scale,
                           [&](int j, F v) __attribute__((always_inline)) { values[j] = v; },
                           all_codes);
    for (int part = 0; part < 32; part += L) {
      typename F::raw row[L];
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i) row[i] = values[part + i].v;
      simd::turn(row);
      float* to = p.to + first * p.to_line + (part < 16 ? part : p.half + part - 16);
      for (int64_t i = 0; i < lines; ++i) F::from(row[i]).store(to + i * p.to_line);
    }
  }
}

// ---- floats to codes

template <class V>
LAZULITE_INLINE auto least(V v) {
  typename V::scalar x[V::size];
  v.store(x);
  for (int i = 1; i < V::size; ++i) x[0] = x[i] < x[0] || x[i] != x[i] ? x[i] : x[0];
  return x[0];
}
template <class V>
LAZULITE_INLINE auto most(V v) {
  return -least(-v);
}

template <class T>
void encode_integers(const EncodeCall& p) {
  using V = Vec<T>;
  using I = simd::int_like<T>;
  constexpr int N = V::size;
  const int group = p.format.group;
  const T top = T((1 << p.format.bits) - 1);
  const T* from = static_cast<const T*>(p.from);
  uint8_t* codes = p.codes;
  for (int64_t g = 0; g < p.groups; ++g, from += group, codes += group) {
    V low = V::load(from), high = low;
    for (int i = N; i < group; i += N) {
      const V v = V::load(from + i);
      low = simd::minimum(low, v);
      high = simd::maximum(high, v);
    }
    const T below = least(low), above = most(high);
    const T range = (above - below) / top;
    T scale = range > T(1e-7) || range != range ? range : T(1e-7), bias = 0;
    const bool from_below = (below < 0 ? -below : below) > (above < 0 ? -above : above);
    if (!from_below) scale = -scale;
    const T edge = from_below ? below : above, steps = simd::rint(V(edge / scale))[0];
    if (steps != 0) {
      scale = edge / steps;
      bias = edge;
    }
    static_cast<T*>(p.scales)[g] = scale;
    static_cast<T*>(p.biases)[g] = bias;
    I whole[N];
    for (int i = 0; i < group; i += N) {
      V v = simd::rint((V::load(from + i) - V(bias)) / V(scale));
      v = simd::min(simd::max(v, V(T(0))), V(top));  // nan: 0
      simd::convert<I>(v).store(whole);
      for (int k = 0; k < N; ++k) codes[i + k] = uint8_t(whole[k]);
    }
  }
}

template <class T>
void encode_floats(const EncodeCall& p) {
  using V = Vec<T>;
  constexpr int N = V::size;
  const int group = p.format.group;
  const bool small = p.format.codes == Codes::e2m1;
  const T* from = static_cast<const T*>(p.from);
  uint8_t* codes = p.codes;
  for (int64_t g = 0; g < p.groups; ++g, from += group, codes += group) {
    V high = simd::abs(V::load(from));
    for (int i = N; i < group; i += N) high = simd::maximum(high, simd::abs(V::load(from + i)));
    const T range = most(high) / T(small ? largest_e2m1 : largest_e4m3);
    uint32_t byte;
    T scale;
    if (p.format.small_scales) {
      byte = nearest_e4m3(float(range / T(p.factor)));
      scale = T(from_e4m3(byte)) * T(p.factor);
    } else {
      byte = power_above(float(range));
      scale = T(from_e8m0(byte));
    }
    static_cast<uint8_t*>(p.scales)[g] = uint8_t(byte);
    for (int i = 0; i < group; ++i) {
      const T v = scale == 0 ? T(0) : from[i] / scale;
      codes[i] = uint8_t(small ? nearest_e2m1(v) : nearest_e4m3(float(v)));
    }
  }
}

template <class T>
void encode(const EncodeCall& p) {
  if (p.format.codes == Codes::integers) encode_integers<T>(p);
  else encode_floats<T>(p);
}

// ---- the table

template <Codes codes, int bits>
constexpr void add(QuantKernels& k) {
  constexpr int slot = slot_of(codes, bits);
  k.expand[slot] = expand<codes, bits, false>;
  k.expand_pairs[slot] = expand<codes, bits, true>;
#if defined(LAZULITE_SIMD_AVX512) || defined(LAZULITE_SIMD_AVX2)
  if constexpr (codes != Codes::e4m3) k.expand_whole[slot] = expand_whole<codes, bits>;
#endif
  k.decode[slot] = decode<codes, bits>;
}
constexpr QuantKernels make_table() {
  QuantKernels k;
  add<Codes::integers, 2>(k);
  add<Codes::integers, 3>(k);
  add<Codes::integers, 4>(k);
  add<Codes::integers, 5>(k);
  add<Codes::integers, 6>(k);
  add<Codes::integers, 8>(k);
  add<Codes::e2m1, 4>(k);
  add<Codes::e4m3, 8>(k);
  k.encode = encode<float>;
  k.encode_doubles = encode<double>;
  add_dots(k);
  add_whole(k);
  return k;
}
constexpr QuantKernels table = make_table();

}  // namespace

const QuantKernels& LAZULITE_AT_LEVEL(quant_kernels)();
const QuantKernels& LAZULITE_AT_LEVEL(quant_kernels)() { return table; }

}  // namespace lazulite::engine
