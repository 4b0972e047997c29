// What a kernel of mx.fast.cpu_kernel or mx.fast.metal_kernel is compiled behind: numbers of 16
// bits and the walk over the grid.
#include <algorithm>
#include <climits>
#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>

namespace lazulite {

template <class To, class From>
inline To bits_as(const From& from) {
  static_assert(sizeof(To) == sizeof(From), "types of one size");
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

struct Half {
  static float widen(uint16_t h) {
    const uint32_t sign = uint32_t(h & 0x8000) << 16, exponent = h >> 10 & 31, rest = h & 1023;
    if (exponent == 31) return bits_as<float>(sign | 0x7f800000 | rest << 13);
    if (exponent) return bits_as<float>(sign | (exponent + 112) << 23 | rest << 13);
    const float small = float(rest) * 0x1p-24f;
    return sign ? -small : small;
  }
  static uint16_t narrow(float f) {
    const uint32_t all = bits_as<uint32_t>(f), sign = all >> 16 & 0x8000, x = all & 0x7fffffff;
    if (x > 0x7f800000) return uint16_t(sign | 0x7e00);
    if (x >= 0x477ff000) return uint16_t(sign | 0x7c00);
    if (x < 0x38800000) {  // the sum's last bits are the number, rounded to even
      const float sum = bits_as<float>(x) + 0.5f;
      return uint16_t(sign | (bits_as<uint32_t>(sum) - 0x3f000000));
    }
    return uint16_t(sign | (x - 0x38000000 + 0xfff + (x >> 13 & 1)) >> 13);
  }
};
struct Brain {
  static float widen(uint16_t b) { return bits_as<float>(uint32_t(b) << 16); }
  static uint16_t narrow(float f) {
    const uint32_t x = bits_as<uint32_t>(f);
    if ((x & 0x7fffffff) > 0x7f800000) return uint16_t(x >> 16 | 64);
    return uint16_t((x + 0x7fff + (x >> 16 & 1)) >> 16);
  }
};

template <class T, class... Of>
constexpr bool is_one_of = (std::is_same_v<T, Of> || ...);

// A number of 16 bits that is computed with as float32 and rounded after each operation. It becomes
// a float by itself, anything else where that is asked for: `c ? x : 0` has one meaning.
template <class Format>
struct Small {
  uint16_t bits;
  Small() = default;
  template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
  Small(T v) : bits(Format::narrow(float(v))) {}
#ifdef __FLT16_MANT_DIG__
  explicit Small(_Float16 v) : bits(Format::narrow(float(v))) {}
#endif
  template <class F, std::enable_if_t<!std::is_same_v<F, Format>, int> = 0>
  explicit Small(Small<F> v) : bits(Format::narrow(F::widen(v.bits))) {}
  template <class T, std::enable_if_t<std::is_same_v<T, float>, int> = 0>
  operator T() const { return Format::widen(bits); }
  template <class T,
            std::enable_if_t<std::is_arithmetic_v<T> && !std::is_same_v<T, float>, int> = 0>
  explicit operator T() const { return T(Format::widen(bits)); }
  float number() const { return Format::widen(bits); }
  Small operator-() const { return Small(-number()); }
  Small operator+() const { return *this; }
  Small& operator++() { return *this = Small(number() + 1); }
  Small& operator--() { return *this = Small(number() - 1); }
#define LAZULITE_SMALL(op)                                                                     \
  friend Small operator op(Small a, Small b) { return Small(a.number() op b.number()); }       \
  template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>                       \
  friend auto operator op(Small a, T b) {                                                      \
    if constexpr (std::is_floating_point_v<T>) return a.number() op b;                         \
    else return Small(a.number() op float(b));                                                 \
  }                                                                                            \
  template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>                       \
  friend auto operator op(T a, Small b) {                                                      \
    if constexpr (std::is_floating_point_v<T>) return a op b.number();                         \
    else return Small(float(a) op b.number());                                                 \
  }                                                                                            \
  template <class T>                                                                           \
  Small& operator op##=(T b) { return *this = Small(float(number() op float(b))); }
  LAZULITE_SMALL(+)
  LAZULITE_SMALL(-)
  LAZULITE_SMALL(*)
  LAZULITE_SMALL(/)
#undef LAZULITE_SMALL
#define LAZULITE_SMALL(op)                                                                     \
  friend bool operator op(Small a, Small b) { return a.number() op b.number(); }               \
  template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>                       \
  friend bool operator op(Small a, T b) { return a.number() op b; }                            \
  template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>                       \
  friend bool operator op(T a, Small b) { return a op b.number(); }
  LAZULITE_SMALL(<)
  LAZULITE_SMALL(>)
  LAZULITE_SMALL(<=)
  LAZULITE_SMALL(>=)
  LAZULITE_SMALL(==)
  LAZULITE_SMALL(!=)
#undef LAZULITE_SMALL
};

}  // namespace lazulite

#ifdef __FLT16_MANT_DIG__
using float16_t = _Float16;
#else
using float16_t = lazulite::Small<lazulite::Half>;
#endif
using bfloat16_t = lazulite::Small<lazulite::Brain>;
using complex64_t = std::complex<float>;
using complex128_t = std::complex<double>;

namespace lazulite {

// A threadgroup: where it begins, and its sizes, smaller at the ends of the grid.
template <class T>
struct Group {
  T at[3], first[3], size[3];
};

// sizes: of the grid and of a threadgroup. Groups [begin, end), x fastest.
template <class T, class F>
inline void each_group(const int64_t* sizes, int64_t begin, int64_t end, F&& f) {
  int64_t counts[3];
  for (int i = 0; i < 3; ++i) counts[i] = (sizes[i] + sizes[3 + i] - 1) / sizes[3 + i];
  for (int64_t n = begin; n < end; ++n) {
    const int64_t at[3] = {n % counts[0], n / counts[0] % counts[1], n / counts[0] / counts[1]};
    Group<T> g;
    for (int i = 0; i < 3; ++i) {
      g.at[i] = T(at[i]);
      g.first[i] = T(at[i] * sizes[3 + i]);
      g.size[i] = T(std::min(sizes[3 + i], sizes[i] - at[i] * sizes[3 + i]));
    }
    f(g);
  }
}

struct Place {
  int64_t x, y, z;
};

}  // namespace lazulite
