// Conversions between dtypes, per instruction-set level.
#include "base/convert.h"
#include "device/cpu/level.h"
#include "device/cpu/block.h"
#include "simd/complex.h"

namespace lazulite::cpu {
namespace {

using simd::Pair;

template <class T> struct is_pair { static constexpr bool value = false; };
template <class T> struct is_pair<Pair<T>> { static constexpr bool value = true; };
struct Bool { uint8_t byte; };

// One element, with the meaning of astype: the same at every level.
template <class To, class From>
inline To convert_one(From v) {
  if constexpr (is_pair<From>::value && is_pair<To>::value)
    return To{decltype(To::re)(v.re), decltype(To::re)(v.im)};
  else if constexpr (__is_same(To, Bool)) {
    if constexpr (is_pair<From>::value) return Bool{uint8_t(v.re != 0 || v.im != 0)};
    else if constexpr (__is_same(From, Bool)) return v;
    else return Bool{uint8_t(v != 0)};
  } else if constexpr (is_pair<From>::value) return convert_one<To>(v.re);
  else if constexpr (__is_same(From, Bool)) return convert_one<To>(v.byte);
  else if constexpr (is_pair<To>::value) return To{decltype(To::re)(v), 0};
  else return convert_number<To>(v);
}

template <class From, class To>
void cast(void* out, const void* const* in, int64_t n) {
  const From* from = static_cast<const From*>(in[0]);
  To* to = static_cast<To*>(out);
  for (int64_t i = 0; i < n; ++i) to[i] = convert_one<To>(from[i]);
}

// float64 and wide integers on the way to a half: to float32 rounded to odd.
template <class From>
void cast_odd(void* out, const void* const* in, int64_t n) {
  const From* from = static_cast<const From*>(in[0]);
  float* to = static_cast<float*>(out);
  for (int64_t i = 0; i < n; ++i) {
    double d;
    if constexpr (is_pair<From>::value) d = from[i].re;
    else d = double(from[i]);
    float f = float(d);
    uint32_t bits = __builtin_bit_cast(uint32_t, f);
    if (double(f) != d && d == d) {
      if ((bits & 0x7fffffff) == 0x7f800000) bits = (bits & 0x80000000) | 0x7f7fffff;
      else if ((double(f) > d) == (d > 0)) --bits;
      bits |= 1;
    }
    to[i] = __builtin_bit_cast(float, bits);
  }
}

template <simd::Half h>
void widen(void* out, const void* const* in, int64_t n) {
  simd::load_half<h>(static_cast<const uint16_t*>(in[0]), static_cast<float*>(out), n);
}
template <simd::Half h>
void narrow(void* out, const void* const* in, int64_t n) {
  simd::store_half<h>(static_cast<const float*>(in[0]), static_cast<uint16_t*>(out), n);
}

template <int from>
struct Element;
#define ELEMENT(dtype, type) \
  template <> struct Element<int(Dtype::dtype)> { using t = type; };
ELEMENT(bool_, Bool) ELEMENT(uint8, uint8_t) ELEMENT(uint16, uint16_t) ELEMENT(uint32, uint32_t)
ELEMENT(uint64, uint64_t) ELEMENT(int8, int8_t) ELEMENT(int16, int16_t) ELEMENT(int32, int32_t)
ELEMENT(int64, int64_t) ELEMENT(float16, float) ELEMENT(bfloat16, float) ELEMENT(float32, float)
ELEMENT(float64, double) ELEMENT(complex64, Pair<float>) ELEMENT(complex128, Pair<double>)
#undef ELEMENT

template <int dtype>
constexpr simd::Half half_of = dtype == int(Dtype::float16) ? simd::Half::f16 : simd::Half::bf16;

// What a half is then rounded of, once.
template <int from>
void to_floats(void* out, const void* const* in, int64_t n) {
  using F = typename Element<from>::t;
  constexpr bool wide = from == int(Dtype::float64) || from == int(Dtype::complex128) ||
                        from == int(Dtype::int64) || from == int(Dtype::uint64) ||
                        from == int(Dtype::int32) || from == int(Dtype::uint32);
  if constexpr (wide) cast_odd<F>(out, in, n);
  else cast<F, float>(out, in, n);
}

// From or to a half: through floats, in pieces.
template <int from, int to>
void cast_halves(void* out, const void* const* in, int64_t n) {
  using F = typename Element<from>::t;
  using T = typename Element<to>::t;
  constexpr int64_t piece = 256;
  alignas(64) float floats[piece];
  for (int64_t start = 0; start < n; start += piece) {
    const int64_t m = n - start < piece ? n - start : piece;
    if constexpr (is_half(Dtype(from))) {
      simd::load_half<half_of<from>>(static_cast<const uint16_t*>(in[0]) + start, floats, m);
    } else {
      const void* part[1] = {static_cast<const F*>(in[0]) + start};
      to_floats<from>(floats, part, m);
    }
    const void* read[1] = {floats};
    if constexpr (is_half(Dtype(to)))
      simd::store_half<half_of<to>>(floats, static_cast<uint16_t*>(out) + start, m);
    else cast<float, T>(static_cast<T*>(out) + start, read, m);
  }
}

template <int from, int to>
constexpr Kernel pick_cast() {
  using F = typename Element<from>::t;
  using T = typename Element<to>::t;
  constexpr int f32 = int(Dtype::float32);
  if constexpr (is_half(Dtype(from)) && to == f32) return widen<half_of<from>>;
  else if constexpr (from == f32 && is_half(Dtype(to))) return narrow<half_of<to>>;
  else if constexpr (is_half(Dtype(from)) || is_half(Dtype(to))) return cast_halves<from, to>;
  else return cast<F, T>;
}

template <int from, int... to>
constexpr void fill_row(Kernel* row, std::integer_sequence<int, to...>) {
  ((row[to] = pick_cast<from, to>()), ...);
}
template <int... from>
constexpr BlockKernels fill(std::integer_sequence<int, from...> all) {
  BlockKernels k{};
  (fill_row<from>(k.cast[from], all), ...);
  k.widen[0] = widen<simd::Half::f16>;
  k.widen[1] = widen<simd::Half::bf16>;
  k.narrow[0] = narrow<simd::Half::f16>;
  k.narrow[1] = narrow<simd::Half::bf16>;
  return k;
}
constexpr BlockKernels table = fill(std::make_integer_sequence<int, dtype_count>{});

}  // namespace

const BlockKernels& LAZULITE_AT_LEVEL(block_kernels)();
const BlockKernels& LAZULITE_AT_LEVEL(block_kernels)() { return table; }

}  // namespace lazulite::cpu
