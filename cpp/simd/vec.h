// The vector layer: one native register of T, over the compilers' vector extensions.
//
// Who may include it: units compiled once per instruction-set level (and plain units, which get the
// generic or whatever level their flags say). Everything here has internal linkage, so two levels
// never share a symbol; nothing here may include a standard container.
//
// Every function gives the same bits at every level (NaN payloads excepted).
//
//   Vec<T>             T in u8 u16 u32 u64 i8 i16 i32 i64 float double; size lanes; scalar; raw v
//     Vec(T) load store operator[]   + - * / % unary-  ~ & | ^ << >>   == != < <= > >=  -> Mask<T>
//     integer / and % floor as in Python; x / 0 = 0, x % 0 = x, nothing traps
//     << and >> by a negative or too large count give 0 (>> of a negative: -1)
//   Mask<T>            lanes all ones or zero. It is keyed by the lane's bytes: Mask<float> and
//     Mask<int32_t> are one type, so a mask of floats selects integers of the same width
//     & | ^ ~  any(m) all(m) (also members)  select(m, a, b)  store_bool(m, p)  load_bool<T>(p)
//   fma min max maximum minimum abs sqrt floor ceil trunc rint copysign scale2 is_nan
//   bit_cast<U>(v)  convert<U>(v)     U a lane type of the same width; or a Vec
//   load_half<h> store_half<h> round_half<h>   h = Half::f16, Half::bf16; round_f16, round_bf16
//   K<V>(0.5)          a constant for V a Vec or a Cx
//   is_vec is_mask is_float_vec is_integer_vec is_signed_vec is_complex lanes     traits on V
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && \
    defined(__AVX512VL__) && defined(__FMA__) && defined(__F16C__)
#define LAZULITE_SIMD_AVX512 1
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define LAZULITE_SIMD_AVX2 1
#endif
#define LAZULITE_INLINE [[gnu::always_inline]] inline
// Before a loop that reads and writes one array, element by element. Clang looks at the addresses
// when the loop runs, and has no such word that it does not also report as not followed.
#if defined(__clang__)
#define LAZULITE_NO_ALIAS
#else
#define LAZULITE_NO_ALIAS _Pragma("GCC ivdep")
#endif

namespace lazulite::simd {
namespace {

#if defined(LAZULITE_SIMD_AVX512)
constexpr int register_bytes = 64;
#elif defined(LAZULITE_SIMD_AVX2)
constexpr int register_bytes = 32;
#else
constexpr int register_bytes = 16;
#endif

template <int bytes> struct int_of_bytes;
template <> struct int_of_bytes<1> { using type = int8_t; };
template <> struct int_of_bytes<2> { using type = int16_t; };
template <> struct int_of_bytes<4> { using type = int32_t; };
template <> struct int_of_bytes<8> { using type = int64_t; };
/// The signed integer as wide as T, and the unsigned one.
template <class T> using int_like = typename int_of_bytes<sizeof(T)>::type;
template <class T> using uint_like = std::make_unsigned_t<int_like<T>>;

#if defined(LAZULITE_SIMD_AVX512)
// The unmasked intrinsics of g++ 12 warn about their own uninitialised operand.
constexpr __mmask8 every8 = 0xff;
constexpr __mmask16 every16 = 0xffff;
#endif

// ---- masks -------------------------------------------------------------------------------------

/// One lane per element of `bytes` bytes, each all ones or all zeros.
template <int bytes> struct MaskOf {
  using lane = typename int_of_bytes<bytes>::type;
  static constexpr int size = register_bytes / bytes;
  typedef lane raw __attribute__((vector_size(register_bytes)));
  raw v;

  MaskOf() = default;
  LAZULITE_INLINE explicit MaskOf(raw x) : v(x) {}
  LAZULITE_INLINE explicit MaskOf(bool b) : v(lane(-int(b)) - raw{}) {}
  LAZULITE_INLINE bool operator[](int i) const { return v[i] != 0; }
  LAZULITE_INLINE bool any() const {
#if defined(LAZULITE_SIMD_AVX512)
    return _mm512_test_epi32_mask((__m512i)v, (__m512i)v) != 0;
#elif defined(LAZULITE_SIMD_AVX2)
    return _mm256_movemask_epi8((__m256i)v) != 0;
#elif defined(__SSE2__)
    return _mm_movemask_epi8((__m128i)v) != 0;
#else
    uint64_t w[2];
    std::memcpy(w, &v, sizeof w);
    return (w[0] | w[1]) != 0;
#endif
  }
  LAZULITE_INLINE bool all() const { return !(~*this).any(); }

  LAZULITE_INLINE friend MaskOf operator&(MaskOf a, MaskOf b) { return MaskOf(a.v & b.v); }
  LAZULITE_INLINE friend MaskOf operator|(MaskOf a, MaskOf b) { return MaskOf(a.v | b.v); }
  LAZULITE_INLINE friend MaskOf operator^(MaskOf a, MaskOf b) { return MaskOf(a.v ^ b.v); }
  LAZULITE_INLINE MaskOf operator~() const { return MaskOf(~v); }
  LAZULITE_INLINE MaskOf operator!() const { return MaskOf(~v); }
};
template <class T> using Mask = MaskOf<int(sizeof(T))>;

template <int b> LAZULITE_INLINE bool any(MaskOf<b> m) { return m.any(); }
template <int b> LAZULITE_INLINE bool all(MaskOf<b> m) { return m.all(); }

// ---- scalar rules of integers ------------------------------------------------------------------

/// Floor division that never traps: x / 0 = 0, INT_MIN / -1 wraps.
template <class T> LAZULITE_INLINE T floor_divide_lane(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return T(-uint_like<T>(a));
    return T(a / b - ((a % b != 0) & ((a < 0) != (b < 0))));
  } else {
    return T(a / b);
  }
}
/// The remainder that goes with it: the sign of b; x % 0 = x.
template <class T> LAZULITE_INLINE T floor_mod_lane(T a, T b) {
  if (b == 0) return a;
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return 0;
    T r = T(a % b);
    return T(r + ((r != 0 && (r < 0) != (b < 0)) ? b : 0));
  } else {
    return T(a % b);
  }
}

// ---- vectors -----------------------------------------------------------------------------------

template <class T> struct Vec {
  using scalar = T;
  static constexpr int size = register_bytes / int(sizeof(T));
  static constexpr bool integral = std::is_integral_v<T>;
  typedef T raw __attribute__((vector_size(register_bytes)));
  raw v;

  Vec() = default;
  LAZULITE_INLINE Vec(T s) : v(s - raw{}) {}   // not s + 0: that would lose the sign of -0.0
  LAZULITE_INLINE static Vec from(raw x) {
    Vec r;
    r.v = x;
    return r;
  }
  LAZULITE_INLINE static Vec load(const T* p) {
    Vec r;
    std::memcpy(&r.v, p, sizeof r.v);
    return r;
  }
  LAZULITE_INLINE void store(T* p) const { std::memcpy(p, &v, sizeof v); }
  LAZULITE_INLINE T operator[](int i) const { return v[i]; }

  /// f(lane...) for every lane: for what has no instruction.
  template <class F> LAZULITE_INLINE static Vec map(F f, Vec a) {
    alignas(register_bytes) T x[size];
    a.store(x);
    for (int i = 0; i < size; ++i) x[i] = f(x[i]);
    return load(x);
  }
  template <class F> LAZULITE_INLINE static Vec map(F f, Vec a, Vec b) {
    alignas(register_bytes) T x[size];
    alignas(register_bytes) T y[size];
    a.store(x);
    b.store(y);
    for (int i = 0; i < size; ++i) x[i] = f(x[i], y[i]);
    return load(x);
  }

  LAZULITE_INLINE friend Vec operator+(Vec a, Vec b) { return from(a.v + b.v); }
  LAZULITE_INLINE friend Vec operator-(Vec a, Vec b) { return from(a.v - b.v); }
  LAZULITE_INLINE friend Vec operator*(Vec a, Vec b) { return from(a.v * b.v); }
  LAZULITE_INLINE friend Vec operator/(Vec a, Vec b) {
    if constexpr (integral) {
      return map([](T x, T y) { return floor_divide_lane(x, y); }, a, b);
    } else {
      return from(a.v / b.v);
    }
  }
  /// Integers only; floats have remainder() in math.h.
  LAZULITE_INLINE friend Vec operator%(Vec a, Vec b) requires integral {
    return map([](T x, T y) { return floor_mod_lane(x, y); }, a, b);
  }
  LAZULITE_INLINE Vec operator-() const { return from(-v); }
  LAZULITE_INLINE Vec operator~() const requires integral { return from(~v); }
  LAZULITE_INLINE friend Vec operator&(Vec a, Vec b) requires integral { return from(a.v & b.v); }
  LAZULITE_INLINE friend Vec operator|(Vec a, Vec b) requires integral { return from(a.v | b.v); }
  LAZULITE_INLINE friend Vec operator^(Vec a, Vec b) requires integral { return from(a.v ^ b.v); }
  LAZULITE_INLINE friend Vec operator<<(Vec a, Vec n) requires integral {
    typename Mask<T>::raw ok = in_width(n);
    return from((a.v << (n.v & T(sizeof(T) * 8 - 1))) & (raw)ok);
  }
  LAZULITE_INLINE friend Vec operator>>(Vec a, Vec n) requires integral {
    typename Mask<T>::raw ok = in_width(n);
    raw shifted = a.v >> (n.v & T(sizeof(T) * 8 - 1));
    if constexpr (std::is_signed_v<T>) return from(ok ? shifted : a.v >> T(sizeof(T) * 8 - 1));
    return from(shifted & (raw)ok);
  }
  LAZULITE_INLINE Vec& operator+=(Vec b) { return *this = *this + b; }
  LAZULITE_INLINE Vec& operator-=(Vec b) { return *this = *this - b; }
  LAZULITE_INLINE Vec& operator*=(Vec b) { return *this = *this * b; }
  LAZULITE_INLINE Vec& operator/=(Vec b) { return *this = *this / b; }

  using mask = Mask<T>;
  using mask_raw = typename mask::raw;
  LAZULITE_INLINE friend mask operator==(Vec a, Vec b) { return mask((mask_raw)(a.v == b.v)); }
  LAZULITE_INLINE friend mask operator!=(Vec a, Vec b) { return mask((mask_raw)(a.v != b.v)); }
  LAZULITE_INLINE friend mask operator<(Vec a, Vec b) { return mask((mask_raw)(a.v < b.v)); }
  LAZULITE_INLINE friend mask operator<=(Vec a, Vec b) { return mask((mask_raw)(a.v <= b.v)); }
  LAZULITE_INLINE friend mask operator>(Vec a, Vec b) { return mask((mask_raw)(a.v > b.v)); }
  LAZULITE_INLINE friend mask operator>=(Vec a, Vec b) { return mask((mask_raw)(a.v >= b.v)); }

 private:
  LAZULITE_INLINE static auto in_width(Vec n) {
    typedef uint_like<T> counts __attribute__((vector_size(register_bytes)));
    return (typename Mask<T>::raw)((counts)n.v < uint_like<T>(sizeof(T) * 8));
  }
};

// ---- traits ------------------------------------------------------------------------------------

template <class V> struct is_vec : std::false_type {};
template <class T> struct is_vec<Vec<T>> : std::true_type {};
template <class V> struct is_mask : std::false_type {};
template <int b> struct is_mask<MaskOf<b>> : std::true_type {};
template <class V> struct is_float_vec : std::false_type {};
template <class T> struct is_float_vec<Vec<T>> : std::is_floating_point<T> {};
template <class V> struct is_integer_vec : std::false_type {};
template <class T> struct is_integer_vec<Vec<T>> : std::is_integral<T> {};
/// Signed integers and floats.
template <class V> struct is_signed_vec : std::false_type {};
template <class T> struct is_signed_vec<Vec<T>> : std::is_signed<T> {};
template <class V> struct is_complex : std::false_type {};   // true for Cx<V>: complex.h
template <class V> constexpr int lanes = V::size;

template <class V> concept FloatVec = is_float_vec<V>::value;
template <class V> concept IntegerVec = is_integer_vec<V>::value;

/// A constant of V's lane type; for a complex V the real number c.
template <class V> LAZULITE_INLINE V K(double c) {
  if constexpr (is_complex<V>::value) {
    return V(typename V::part(typename V::part::scalar(c)), typename V::part(0));
  } else {
    return V(typename V::scalar(c));
  }
}

/// The Vec of the integers (signed, unsigned) as wide as the lanes of V.
template <class V> using IntOf = Vec<int_like<typename V::scalar>>;
template <class V> using UintOf = Vec<uint_like<typename V::scalar>>;

// ---- select, bools, casts ----------------------------------------------------------------------

template <class T>
LAZULITE_INLINE Vec<T> select(Mask<T> m, Vec<T> a, std::type_identity_t<Vec<T>> b) {
  return Vec<T>::from(m.v ? a.v : b.v);
}
template <class T>
LAZULITE_INLINE Vec<T> select(Mask<T> m, std::type_identity_t<T> a, Vec<T> b) {
  return Vec<T>::from(m.v ? Vec<T>(a).v : b.v);
}
template <int b> LAZULITE_INLINE MaskOf<b> select(MaskOf<b> m, MaskOf<b> x, MaskOf<b> y) {
  return MaskOf<b>((m.v & x.v) | (~m.v & y.v));
}

/// `size` bytes, each 0 or 1.
template <int b> LAZULITE_INLINE void store_bool(MaskOf<b> m, uint8_t* p) {
  typedef uint8_t bytes __attribute__((vector_size(register_bytes / b)));
  typedef int8_t signed_bytes __attribute__((vector_size(register_bytes / b)));
  bytes r = (bytes)(__builtin_convertvector(m.v, signed_bytes)) & uint8_t(1);
  std::memcpy(p, &r, sizeof r);
}
/// Any byte but 0 is true.
template <class T> LAZULITE_INLINE Mask<T> load_bool(const uint8_t* p) {
  typedef int8_t bytes __attribute__((vector_size(register_bytes / int(sizeof(T)))));
  bytes x;
  std::memcpy(&x, p, sizeof x);
  x = (bytes)(x != 0);
  return Mask<T>(__builtin_convertvector(x, typename Mask<T>::raw));
}

template <class U> struct lane_type { using type = U; };
template <class T> struct lane_type<Vec<T>> { using type = T; };

template <class U, class T> LAZULITE_INLINE auto bit_cast(Vec<T> a) {
  using R = Vec<typename lane_type<U>::type>;
  return R::from((typename R::raw)a.v);
}

/// The bits of a mask as a vector of 0 and -1.
template <class T> LAZULITE_INLINE Vec<T> mask_bits(Mask<T> m) {
  return Vec<T>::from((typename Vec<T>::raw)m.v);
}

/// What the hardware does, spelled out: int64's minimum for what does not fit.
template <class T> LAZULITE_INLINE int64_t to_int64(T x) {
  bool fits = x >= T(-9223372036854775808.0) && x < T(9223372036854775808.0);
  return fits ? int64_t(x) : INT64_MIN;
}

/// Value conversion between lane types of one width. Floats truncate; what does not fit gives the
/// smallest integer (signed) or wraps modulo 2^64 first (unsigned), the same at each level.
template <class U, class T> LAZULITE_INLINE auto convert(Vec<T> a) {
  using S = typename lane_type<U>::type;
  using R = Vec<S>;
  static_assert(sizeof(S) == sizeof(T), "convert keeps the number of lanes");
  if constexpr (std::is_integral_v<S> && std::is_integral_v<T>) {
    return bit_cast<S>(a);
  } else if constexpr (std::is_same_v<S, T>) {
    return a;
  } else if constexpr (std::is_unsigned_v<S> || sizeof(S) == 8) {
#if defined(LAZULITE_SIMD_AVX512)
    if constexpr (std::is_same_v<S, int64_t> || std::is_same_v<T, int64_t>) {
      return R::from(__builtin_convertvector(a.v, typename R::raw));
    }
#endif
    T x[R::size];
    S y[R::size];
    a.store(x);
    for (int i = 0; i < R::size; ++i) {
      if constexpr (std::is_same_v<S, uint64_t>) {
        // Above 2^63 the signed conversion has no answer: take 2^63 off first.
        y[i] = x[i] >= T(9223372036854775808.0)
                   ? uint64_t(to_int64(x[i] - T(9223372036854775808.0))) + (uint64_t(1) << 63)
                   : uint64_t(to_int64(x[i]));
      } else if constexpr (std::is_integral_v<S>) {
        y[i] = S(to_int64(x[i]));
      } else {
        y[i] = S(x[i]);
      }
    }
    return R::load(y);
  } else if constexpr (std::is_unsigned_v<T>) {
    T x[R::size];
    S y[R::size];
    a.store(x);
    for (int i = 0; i < R::size; ++i) y[i] = S(x[i]);
    return R::load(y);
  } else {
    return R::from(__builtin_convertvector(a.v, typename R::raw));
  }
}

// ---- functions ---------------------------------------------------------------------------------

template <class T> LAZULITE_INLINE Mask<T> is_nan(Vec<T> a) {
  if constexpr (Vec<T>::integral) return Mask<T>(false);
  else return a != a;
}

template <class T> LAZULITE_INLINE Vec<T> abs(Vec<T> a) {
  if constexpr (std::is_floating_point_v<T>) {
    using U = uint_like<T>;
    return bit_cast<T>(bit_cast<U>(a) & Vec<U>(U(U(-1) >> 1)));
  } else if constexpr (std::is_signed_v<T>) {
    return select(a < Vec<T>(0), -a, a);
  } else {
    return a;
  }
}

/// |a| with the sign of b; and only the sign bit of b.
template <class T> LAZULITE_INLINE Vec<uint_like<T>> sign_bit(Vec<T> b) {
  using U = uint_like<T>;
  return bit_cast<U>(b) & Vec<U>(U(U(1) << (sizeof(T) * 8 - 1)));
}
template <class T> LAZULITE_INLINE Vec<T> copysign(Vec<T> a, std::type_identity_t<Vec<T>> b) {
  return bit_cast<T>(bit_cast<uint_like<T>>(abs(a)) | sign_bit(b));
}
/// The sign bit of b moved onto a: a * (-1 if b is negative).
template <class T> LAZULITE_INLINE Vec<T> flip_sign(Vec<T> a, std::type_identity_t<Vec<T>> b) {
  return bit_cast<T>(bit_cast<uint_like<T>>(a) ^ sign_bit(b));
}

/// As the instruction: a < b ? a : b, so a nan in either gives b. `minimum` propagates nan.
template <class T> LAZULITE_INLINE Vec<T> min(Vec<T> a, std::type_identity_t<Vec<T>> b) {
#if defined(LAZULITE_SIMD_AVX512)
  if constexpr (std::is_same_v<T, float>) {
    return Vec<T>::from(_mm512_maskz_min_ps(every16, a.v, b.v));
  }
  if constexpr (std::is_same_v<T, double>) {
    return Vec<T>::from(_mm512_maskz_min_pd(every8, a.v, b.v));
  }
#elif defined(LAZULITE_SIMD_AVX2)
  if constexpr (std::is_same_v<T, float>) return Vec<T>::from(_mm256_min_ps(a.v, b.v));
  if constexpr (std::is_same_v<T, double>) return Vec<T>::from(_mm256_min_pd(a.v, b.v));
#elif defined(__SSE2__)
  if constexpr (std::is_same_v<T, float>) return Vec<T>::from(_mm_min_ps(a.v, b.v));
  if constexpr (std::is_same_v<T, double>) return Vec<T>::from(_mm_min_pd(a.v, b.v));
#endif
  return Vec<T>::from(a.v < b.v ? a.v : b.v);
}
template <class T> LAZULITE_INLINE Vec<T> max(Vec<T> a, std::type_identity_t<Vec<T>> b) {
#if defined(LAZULITE_SIMD_AVX512)
  if constexpr (std::is_same_v<T, float>) {
    return Vec<T>::from(_mm512_maskz_max_ps(every16, a.v, b.v));
  }
  if constexpr (std::is_same_v<T, double>) {
    return Vec<T>::from(_mm512_maskz_max_pd(every8, a.v, b.v));
  }
#elif defined(LAZULITE_SIMD_AVX2)
  if constexpr (std::is_same_v<T, float>) return Vec<T>::from(_mm256_max_ps(a.v, b.v));
  if constexpr (std::is_same_v<T, double>) return Vec<T>::from(_mm256_max_pd(a.v, b.v));
#elif defined(__SSE2__)
  if constexpr (std::is_same_v<T, float>) return Vec<T>::from(_mm_max_ps(a.v, b.v));
  if constexpr (std::is_same_v<T, double>) return Vec<T>::from(_mm_max_pd(a.v, b.v));
#endif
  return Vec<T>::from(a.v > b.v ? a.v : b.v);
}
/// The smaller, the larger; nan where either is nan.
template <class T> LAZULITE_INLINE Vec<T> minimum(Vec<T> a, std::type_identity_t<Vec<T>> b) {
  if constexpr (Vec<T>::integral) return min(a, b);
  else return select(a != a, a, min(a, b));
}
template <class T> LAZULITE_INLINE Vec<T> maximum(Vec<T> a, std::type_identity_t<Vec<T>> b) {
  if constexpr (Vec<T>::integral) return max(a, b);
  else return select(a != a, a, max(a, b));
}

template <class T> LAZULITE_INLINE Vec<T> sqrt(Vec<T> a) {
  static_assert(std::is_floating_point_v<T>);
  if constexpr (std::is_same_v<T, float>) {
#if defined(LAZULITE_SIMD_AVX512)
    return Vec<T>::from(_mm512_maskz_sqrt_ps(every16, a.v));
#elif defined(LAZULITE_SIMD_AVX2)
    return Vec<T>::from(_mm256_sqrt_ps(a.v));
#elif defined(__SSE2__)
    return Vec<T>::from(_mm_sqrt_ps(a.v));
#else
    return Vec<T>::map([](float x) { return __builtin_sqrtf(x); }, a);
#endif
  } else {
#if defined(LAZULITE_SIMD_AVX512)
    return Vec<T>::from(_mm512_maskz_sqrt_pd(every8, a.v));
#elif defined(LAZULITE_SIMD_AVX2)
    return Vec<T>::from(_mm256_sqrt_pd(a.v));
#elif defined(__SSE2__)
    return Vec<T>::from(_mm_sqrt_pd(a.v));
#else
    return Vec<T>::map([](double x) { return __builtin_sqrt(x); }, a);
#endif
  }
}

#if !defined(LAZULITE_SIMD_AVX512) && !defined(LAZULITE_SIMD_AVX2)
/// A fused multiply-add of floats in doubles: the product is exact, the sum is rounded to odd,
/// so that the second rounding, to float, is the only one that counts. Not inlined: it is long.
[[gnu::noinline, maybe_unused]]
inline Vec<float> fma_by_doubles(Vec<float> a, Vec<float> b, Vec<float> c) {
  typedef float half_raw __attribute__((vector_size(8)));
  half_raw out[2], in[3];
  using D = Vec<double>;
  for (int half = 0; half < 2; ++half) {
    std::memcpy(&in[0], (const char*)&a.v + 8 * half, 8);
    std::memcpy(&in[1], (const char*)&b.v + 8 * half, 8);
    std::memcpy(&in[2], (const char*)&c.v + 8 * half, 8);
    D p = D::from(__builtin_convertvector(in[0], D::raw) * __builtin_convertvector(in[1], D::raw));
    D z = D::from(__builtin_convertvector(in[2], D::raw));
    D s = p + z;
    D back = s - p;
    D error = (p - (s - back)) + (z - back);
    using I = Vec<int64_t>;
    I bits = bit_cast<int64_t>(s);
    // Step toward the error when the sum is even and inexact; nan and inf have no error to mend.
    I inexact = mask_bits<int64_t>((error < D(0)) | (error > D(0)));
    I even = (bits & I(1)) - I(1);
    I away = mask_bits<int64_t>((error > D(0)) ^ (s < D(0)));
    I step = (away & I(2)) - I(1);
    s = bit_cast<double>(bits + (step & inexact & even));
    out[half] = __builtin_convertvector(s.v, half_raw);
  }
  Vec<float> r;
  std::memcpy((char*)&r.v, out, 16);
  return r;
}
#endif

/// a * b + c rounded once, at every level.
template <class T>
LAZULITE_INLINE Vec<T> fma(Vec<T> a, std::type_identity_t<Vec<T>> b,
                           std::type_identity_t<Vec<T>> c) {
  static_assert(std::is_floating_point_v<T>);
  if constexpr (std::is_same_v<T, float>) {
#if defined(LAZULITE_SIMD_AVX512)
    return Vec<T>::from(_mm512_fmadd_ps(a.v, b.v, c.v));
#elif defined(LAZULITE_SIMD_AVX2)
    return Vec<T>::from(_mm256_fmadd_ps(a.v, b.v, c.v));
#else
    return fma_by_doubles(a, b, c);
#endif
  } else {
#if defined(LAZULITE_SIMD_AVX512)
    return Vec<T>::from(_mm512_fmadd_pd(a.v, b.v, c.v));
#elif defined(LAZULITE_SIMD_AVX2)
    return Vec<T>::from(_mm256_fmadd_pd(a.v, b.v, c.v));
#else
    Vec<T> r;
    for (int i = 0; i < Vec<T>::size; ++i) r.v[i] = __builtin_fma(a.v[i], b.v[i], c.v[i]);
    return r;
#endif
  }
}

/// Nearest integer, halves to even; -0.0 and what rounds to it keep their sign.
template <class T> LAZULITE_INLINE Vec<T> rint(Vec<T> a) {
#if defined(LAZULITE_SIMD_AVX512)
  if constexpr (std::is_same_v<T, float>) {
    return Vec<T>::from(_mm512_maskz_roundscale_ps(every16, a.v, 8));
  } else {
    return Vec<T>::from(_mm512_maskz_roundscale_pd(every8, a.v, 8));
  }
#elif defined(LAZULITE_SIMD_AVX2)
  if constexpr (std::is_same_v<T, float>) return Vec<T>::from(_mm256_round_ps(a.v, 8));
  else return Vec<T>::from(_mm256_round_pd(a.v, 8));
#else
  // Adding 2^mantissa pushes the fraction out, with the rounding that we want.
  const Vec<T> big(sizeof(T) == 4 ? T(8388608.0) : T(4503599627370496.0));
  Vec<T> m = abs(a);
  return select(m < big, copysign((m + big) - big, a), a);
#endif
}
template <class T> LAZULITE_INLINE Vec<T> floor(Vec<T> a) {
  if constexpr (std::is_integral_v<T>) return a;
  else {
#if defined(LAZULITE_SIMD_AVX512)
  if constexpr (std::is_same_v<T, float>) {
    return Vec<T>::from(_mm512_maskz_roundscale_ps(every16, a.v, 9));
  } else {
    return Vec<T>::from(_mm512_maskz_roundscale_pd(every8, a.v, 9));
  }
#elif defined(LAZULITE_SIMD_AVX2)
  if constexpr (std::is_same_v<T, float>) return Vec<T>::from(_mm256_round_ps(a.v, 9));
  else return Vec<T>::from(_mm256_round_pd(a.v, 9));
#else
  Vec<T> r = rint(a);
  return copysign(r - select(r > a, Vec<T>(1), Vec<T>(0)), a);
#endif
  }
}
template <class T> LAZULITE_INLINE Vec<T> ceil(Vec<T> a) {
  if constexpr (std::is_integral_v<T>) return a;
  else {
#if defined(LAZULITE_SIMD_AVX512)
  if constexpr (std::is_same_v<T, float>) {
    return Vec<T>::from(_mm512_maskz_roundscale_ps(every16, a.v, 10));
  } else {
    return Vec<T>::from(_mm512_maskz_roundscale_pd(every8, a.v, 10));
  }
#elif defined(LAZULITE_SIMD_AVX2)
  if constexpr (std::is_same_v<T, float>) return Vec<T>::from(_mm256_round_ps(a.v, 10));
  else return Vec<T>::from(_mm256_round_pd(a.v, 10));
#else
  Vec<T> r = rint(a);
  return copysign(r + select(r < a, Vec<T>(1), Vec<T>(0)), a);
#endif
  }
}
template <class T> LAZULITE_INLINE Vec<T> trunc(Vec<T> a) {
  if constexpr (std::is_integral_v<T>) return a;
  else {
#if defined(LAZULITE_SIMD_AVX512)
  if constexpr (std::is_same_v<T, float>) {
    return Vec<T>::from(_mm512_maskz_roundscale_ps(every16, a.v, 11));
  } else {
    return Vec<T>::from(_mm512_maskz_roundscale_pd(every8, a.v, 11));
  }
#elif defined(LAZULITE_SIMD_AVX2)
  if constexpr (std::is_same_v<T, float>) return Vec<T>::from(_mm256_round_ps(a.v, 11));
  else return Vec<T>::from(_mm256_round_pd(a.v, 11));
#else
  Vec<T> m = abs(a), r = rint(m);
  return copysign(r - select(r > m, Vec<T>(1), Vec<T>(0)), a);
#endif
  }
}

// The shape of a float: bits of the fraction, exponent bias.
template <class T> constexpr int fraction_bits = sizeof(T) == 4 ? 23 : 52;
template <class T> constexpr int exponent_bias = sizeof(T) == 4 ? 127 : 1023;

/// 2^n for n in the range of normal numbers.
template <class T> LAZULITE_INLINE Vec<T> power_of_two(Vec<int_like<T>> n) {
  using I = int_like<T>;
  return bit_cast<T>(Vec<I>::from((n.v + I(exponent_bias<T>)) << fraction_bits<T>));
}
/// x * 2^n by two steps. Rounded once when x is near 1 (what exp needs) or the result is normal;
/// |n| at most 2 * bias.
template <class T> LAZULITE_INLINE Vec<T> scale2(Vec<T> x, Vec<int_like<T>> n) {
  using I = Vec<int_like<T>>;
  I half = I::from(n.v >> 1);
  return x * power_of_two<T>(half) * power_of_two<T>(n - half);
}

// ---- halves: float32 in registers, 16 bits in memory -------------------------------------------

enum class Half : uint8_t { f16, bf16 };

/// The float nearest to x among the halves (halves to even, overflow to inf, nan stays nan).
template <Half h> LAZULITE_INLINE Vec<float> round_half(Vec<float> x) {
  using U = Vec<uint32_t>;
  if constexpr (h == Half::bf16) {
    U u = bit_cast<uint32_t>(x);
    U odd = U::from(u.v >> 16) & U(1);
    U r = (u + U(0x7fff) + odd) & U(0xffff0000u);
    return bit_cast<float>(select(is_nan(x), (u | U(0x400000)) & U(0xffff0000u), r));
  } else {
#if defined(LAZULITE_SIMD_AVX512)
    return Vec<float>::from(_mm512_maskz_cvtph_ps(every16, _mm512_maskz_cvtps_ph(every16, x.v, 0)));
#elif defined(LAZULITE_SIMD_AVX2)
    return Vec<float>::from(_mm256_cvtph_ps(_mm256_cvtps_ph(x.v, 0)));
#else
    Vec<float> m = abs(x);
    U u = bit_cast<uint32_t>(m);
    U odd = U::from(u.v >> 13) & U(1);
    Vec<float> normal = bit_cast<float>((u + U(0xfff) + odd) & U(~uint32_t(0x1fff)));
    normal = select(normal >= Vec<float>(65536.0f), Vec<float>(__builtin_inff()), normal);
    Vec<float> tiny = (m + 0.5f) - 0.5f;   // below 2^-14 the spacing is that of floats at 0.5
    Vec<float> r = select(m < Vec<float>(0x1p-14f), tiny, normal);
    r = select(is_nan(x), bit_cast<float>((u | U(0x400000)) & U(~uint32_t(0x1fff))), r);
    return copysign(r, x);
#endif
  }
}
LAZULITE_INLINE Vec<float> round_f16(Vec<float> x) { return round_half<Half::f16>(x); }
LAZULITE_INLINE Vec<float> round_bf16(Vec<float> x) { return round_half<Half::bf16>(x); }

/// One register of floats from `size` halves, and back (rounded to nearest, halves to even).
template <Half h> LAZULITE_INLINE Vec<float> load_half(const uint16_t* p) {
  typedef uint16_t halves __attribute__((vector_size(register_bytes / 2)));
  using U = Vec<uint32_t>;
  halves x;
  std::memcpy(&x, p, sizeof x);
#if defined(LAZULITE_SIMD_AVX512)
  if constexpr (h == Half::f16) return Vec<float>::from(_mm512_maskz_cvtph_ps(every16, (__m256i)x));
#elif defined(LAZULITE_SIMD_AVX2)
  if constexpr (h == Half::f16) return Vec<float>::from(_mm256_cvtph_ps((__m128i)x));
#endif
  U u = U::from(__builtin_convertvector(x, U::raw));
  if constexpr (h == Half::bf16) {
    return bit_cast<float>(U::from(u.v << 16));
  } else {
    U m = U::from((u.v & 0x7fff) << 13), sign = U::from((u.v & 0x8000) << 16);
    Vec<float> tiny = bit_cast<float>(m + U(113u << 23)) - Vec<float>(0x1p-14f);
    U normal = m + U(112u << 23);
    normal = select(m >= U(0x1fu << 23), normal + U(112u << 23), normal);
    normal = select(m > U(0x1fu << 23), normal | U(0x400000), normal);   // nan made quiet
    return bit_cast<float>(select(m < U(1u << 23), bit_cast<uint32_t>(tiny), normal) | sign);
  }
}
template <Half h> LAZULITE_INLINE void store_half(Vec<float> x, uint16_t* p) {
  typedef uint16_t halves __attribute__((vector_size(register_bytes / 2)));
  using U = Vec<uint32_t>;
  halves out;
#if defined(LAZULITE_SIMD_AVX512)
  if constexpr (h == Half::f16) {
    out = (halves)_mm512_maskz_cvtps_ph(every16, x.v, 0);
    std::memcpy(p, &out, sizeof out);
    return;
  }
#elif defined(LAZULITE_SIMD_AVX2)
  if constexpr (h == Half::f16) {
    out = (halves)_mm256_cvtps_ph(x.v, 0);
    std::memcpy(p, &out, sizeof out);
    return;
  }
#endif
  U u = bit_cast<uint32_t>(round_half<h>(x));   // now exact in the half type
  if constexpr (h == Half::bf16) {
    u = U::from(u.v >> 16);
  } else {
    U m = u & U(0x7fffffffu);
    U normal = U::from((m.v - (112u << 23)) >> 13);
    U special = U::from(((m.v >> 13) & 0x3ff) | 0x7c00);
    U tiny = bit_cast<uint32_t>(bit_cast<float>(m) + Vec<float>(0.5f)) - U(0x3f000000);
    U r = select(m >= U(0x7f800000u), special, select(m < U(113u << 23), tiny, normal));
    u = r | U::from((u.v >> 16) & 0x8000);
  }
  out = __builtin_convertvector(u.v, halves);
  std::memcpy(p, &out, sizeof out);
}

/// Blocks of n halves; reads and writes exactly n elements.
template <Half h>
LAZULITE_INLINE void load_half(const uint16_t* src, float* dst, int64_t n) {
  constexpr int size = Vec<float>::size;
  int64_t i = 0;
  for (; i + size <= n; i += size) load_half<h>(src + i).store(dst + i);
  if (i < n) {
    uint16_t in[size] = {};
    float out[size];
    std::memcpy(in, src + i, size_t(n - i) * sizeof(uint16_t));
    load_half<h>(in).store(out);
    std::memcpy(dst + i, out, size_t(n - i) * sizeof(float));
  }
}
template <Half h>
LAZULITE_INLINE void store_half(const float* src, uint16_t* dst, int64_t n) {
  constexpr int size = Vec<float>::size;
  int64_t i = 0;
  for (; i + size <= n; i += size) store_half<h>(Vec<float>::load(src + i), dst + i);
  if (i < n) {
    float in[size] = {};
    uint16_t out[size];
    std::memcpy(in, src + i, size_t(n - i) * sizeof(float));
    store_half<h>(Vec<float>::load(in), out);
    std::memcpy(dst + i, out, size_t(n - i) * sizeof(uint16_t));
  }
}

}  // namespace
}  // namespace lazulite::simd
