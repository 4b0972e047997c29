// Math on vectors: V = Vec<float>, Vec<double> (float_math), integers and Cx (complex_math.h).
//
// One source for every instruction-set level, and the same bits from each: only + - * / sqrt, fma,
// integer steps and selects, in a written order. No lane depends on its neighbours. The note beside
// a function gives its largest error in ulp, float and double, as tests/cpp/simd_math_test.cpp
// measures it.
//
//   exp exp2 expm1 log log2 log10 log1p   power rsqrt reciprocal square logaddexp sigmoid
//   sin cos tan sincos arcsin arccos arctan arctan2   sinh cosh tanh arcsinh arccosh arctanh
//   erf erfc erfinv   remainder floor_divide sign round   (abs, sqrt, floor ...: vec.h)
#pragma once

#include "simd/complex.h"
#include "simd/polynomials.h"
#include "simd/vec.h"

namespace lazulite::simd {
namespace {

// ---- constants and small tools -----------------------------------------------------------------

template <class V> constexpr bool is_f32 = sizeof(typename V::scalar) == 4;
/// A constant that differs by precision.
template <class V> LAZULITE_INLINE V pick(double f32, double f64) {
  return K<V>(is_f32<V> ? f32 : f64);
}
template <class V> LAZULITE_INLINE V infinity() { return V(__builtin_inff()); }
template <class V> LAZULITE_INLINE V quiet_nan() { return V(__builtin_nanf("")); }

// Constants in two parts: hi + lo, about twice the precision of V.
template <class V> LAZULITE_INLINE V ln2_hi() {
  return pick<V>(0x1.62e43p-1, 0x1.62e42fefa39efp-1);
}
template <class V> LAZULITE_INLINE V ln2_lo() {
  return pick<V>(-0x1.05c61p-29, 0x1.abc9e3b39803fp-56);
}
template <class V> LAZULITE_INLINE V pi_hi() {
  return pick<V>(0x1.921fb6p+1, 0x1.921fb54442d18p+1);
}
template <class V> LAZULITE_INLINE V pi_lo() {
  return pick<V>(-0x1.777a5cp-24, 0x1.1a62633145c07p-53);
}

/// An unevaluated sum hi + lo.
template <class V> struct Two {
  V hi, lo;
};
template <class V> LAZULITE_INLINE Two<V> two_sum(V a, V b) {
  V s = a + b, t = s - a;
  return {s, (a - (s - t)) + (b - t)};
}
/// The same for |a| >= |b|.
template <class V> LAZULITE_INLINE Two<V> fast_sum(V a, V b) {
  V s = a + b;
  return {s, b - (s - a)};
}
template <class V> LAZULITE_INLINE Two<V> two_product(V a, V b) {
  V p = a * b;
  return {p, fma(a, b, -p)};
}
template <class V> LAZULITE_INLINE Two<V> multiply(Two<V> a, Two<V> b) {
  V p = a.hi * b.hi;
  return fast_sum(p, fma(a.hi, b.hi, -p) + fma(a.hi, b.lo, a.lo * b.hi));
}

/// The integer that a small integral float holds.
template <class V> LAZULITE_INLINE IntOf<V> small_int(V n) {
  using I = IntOf<V>;
  using L = typename I::scalar;
  const V magic = pick<V>(12582912.0, 6755399441055744.0);   // 1.5 * 2^23, 2^52: spacing 1
  return bit_cast<L>(n + magic) - bit_cast<L>(magic);
}
template <class V> LAZULITE_INLINE V small_float(IntOf<V> n) {
  using T = typename V::scalar;
  using I = IntOf<V>;
  const V magic = pick<V>(12582912.0, 6755399441055744.0);
  return bit_cast<T>(n + bit_cast<typename I::scalar>(magic)) - magic;
}

// ---- exponentials ------------------------------------------------------------------------------

/// x * 2^n for 0.5 < x < 2 and an integral n: one rounding, so the instruction and two exact steps
/// give the same bits.
template <class V> LAZULITE_INLINE V scale_exp(V x, V n) {
#if defined(LAZULITE_SIMD_AVX512)
  if constexpr (is_f32<V>) return V::from(_mm512_maskz_scalef_ps(every16, x.v, n.v));
  else return V::from(_mm512_maskz_scalef_pd(every8, x.v, n.v));
#else
  return scale2(x, small_int(n));
#endif
}

/// x = n ln 2 + r, e = exp(r), r + tail = expm1(r); for |x| below 2^22.
template <class V> struct ExpParts {
  V n, r, tail, e;
};
template <class V> LAZULITE_INLINE ExpParts<V> exp_parts(V x) {
  const V magic = pick<V>(12582912.0, 6755399441055744.0);   // rounds to an integer, as small_int
  V n = fma(x, K<V>(1.4426950408889634074), magic) - magic;
  V r = fma(-n, ln2_hi<V>(), x);
  r = fma(-n, ln2_lo<V>(), r);
  V q = exp_tail(r);
  return {n, r, q * (r * r), fma(fma(q, r, V(1)), r, V(1))};
}
/// 2^k e^x.
template <class V> LAZULITE_INLINE V exp_times(V x, IntOf<V> k) {
  // Past these ends the result is inf or 0 (for the small k in use). The order of the operands lets
  // a nan through.
  V c = min(pick<V>(130, 760), max(pick<V>(-150, -800), x));
  ExpParts<V> p = exp_parts(c);
  using I = IntOf<V>;
  I n = small_int(p.n) + k;
  constexpr int bound = 2 * exponent_bias<typename V::scalar> - 4;
  return scale2(p.e, min(max(n, I(-bound)), I(bound)));
}

/// e^x. 0.8, 0.9 ulp.
template <FloatVec V> LAZULITE_INLINE V exp(V x) {
#if !defined(LAZULITE_SIMD_AVX512)
  // While every result is normal its exponent can be added as an integer: exact, as the other way.
  if (all(abs(x) <= pick<V>(87, 708))) [[likely]] {
    using T = typename V::scalar;
    using I = IntOf<V>;
    ExpParts<V> p = exp_parts(x);
    I n = I::from(small_int(p.n).v << fraction_bits<T>);
    return bit_cast<T>(bit_cast<int_like<T>>(p.e) + n);
  }
#endif
  V c = min(pick<V>(89, 710), max(pick<V>(-104, -746), x));
  ExpParts<V> p = exp_parts(c);
  return scale_exp(p.e, p.n);
}

/// 2^x. 0.9, 0.9 ulp.
template <FloatVec V> LAZULITE_INLINE V exp2(V x) {
  V c = min(pick<V>(129, 1025), max(pick<V>(-151, -1076), x));
  V n = rint(c), f = c - n;
  // f ln 2 with the rounding error of the product kept.
  V r = f * ln2_hi<V>();
  V low = fma(f, ln2_lo<V>(), fma(f, ln2_hi<V>(), -r));
  V e = V(1) + (r + fma(exp_tail(r), r * r, low));
  return scale_exp(e, n);
}

/// 2^s (e^x - 1) for x in a range where 2^(n + s) is normal.
template <class V> LAZULITE_INLINE V expm1_times(V x, int s) {
  ExpParts<V> p = exp_parts(x);
  using T = typename V::scalar;
  using I = IntOf<V>;
  V scale = power_of_two<T>(small_int(p.n) + I(s));
  V one = power_of_two<T>(I(s));
  // scale - one outweighs scale * r: only the tail and the last sum round.
  Two<V> sum = fast_sum(scale - one, scale * p.r);
  return sum.hi + fma(scale, p.tail, sum.lo);
}
/// e^x - 1. 1.2, 1.5 ulp.
template <FloatVec V> LAZULITE_INLINE V expm1(V x) {
  V c = min(pick<V>(89, 710), max(pick<V>(-20, -40), x));
  V y = expm1_times(c, -2);
  y = select(abs(x) < pick<V>(0x1p-30, 0x1p-60), x, y * V(2) * V(2));   // subnormals whole
  return copysign(y, x);
}

/// 1 / (1 + e^-x), without overflow on either side. 1.8, 1.9 ulp.
template <FloatVec V> LAZULITE_INLINE V sigmoid(V x) {
  V e = exp(-abs(x));
  return select(x >= V(0), V(1), e) / (V(1) + e);
}

/// 1.9, 2.2 ulp.
template <FloatVec V> LAZULITE_INLINE V tanh(V x) {
  V a = min(pick<V>(10, 20), abs(x));
  V e = expm1_times(a + a, 0);
  return copysign(e / (e + V(2)), x);
}
/// (e^|x| - 1) / 2.
template <class V> LAZULITE_INLINE V half_expm1(V x) {
  V a = min(pick<V>(89.6, 710.6), abs(x));
  return V(2) * expm1_times(a, -2);
}
/// 2.0, 2.0 ulp.
template <FloatVec V> LAZULITE_INLINE V sinh(V x) {
  V h = half_expm1(x), c = min(h, V(1e30));   // inf / inf would be nan
  V y = h + c / (c + c + V(1));
  y = select(abs(x) < pick<V>(0x1p-30, 0x1p-60), x, y);   // subnormals whole
  return copysign(select(is_nan(x), x, y), x);
}
/// 1.4, 1.4 ulp.
template <FloatVec V> LAZULITE_INLINE V cosh(V x) {
  V w = half_expm1(x) + V(0.5);
  return select(is_nan(x), x, w + V(0.25) / w);
}

// ---- logarithms --------------------------------------------------------------------------------

/// Lanes that are no positive normal number: rare, and looked at in a branch of their own.
template <class V> LAZULITE_INLINE auto is_unusual(V x) {
  using U = UintOf<V>;
  using L = typename U::scalar;
  const U first = bit_cast<L>(pick<V>(0x1p-126, 0x1p-1022)), end = bit_cast<L>(infinity<V>());
  return bit_cast<L>(x) - first >= end - first;
}
/// x = 2^k (1 + f), sqrt(0.5) <= 1 + f < sqrt(2), for positive finite x, subnormal or not.
template <class V> struct LogParts {
  V k, f;
};
template <class V> LAZULITE_INLINE LogParts<V> log_parts(V x, bool unusual = true) {
  using T = typename V::scalar;
  using I = IntOf<V>;
  using L = typename I::scalar;
  constexpr int bits = fraction_bits<T>;
  V scaled(0);
  if (unusual) {
    auto tiny = x < pick<V>(0x1p-126, 0x1p-1022);
    x = select(tiny, x * pick<V>(0x1p24, 0x1p54), x);
    scaled = select(tiny, pick<V>(24, 54), V(0));
  }
  const I half_root = bit_cast<L>(K<V>(0.70710678118654752440));
  I u = bit_cast<L>(x) - half_root;
  I k = I::from(u.v >> bits);
  V m = bit_cast<T>(I::from(u.v & L((L(1) << bits) - 1)) + half_root);
  return {small_float<V>(k) - scaled, m - V(1)};
}
/// (log(1 + f) - f) by + rest.
template <class V> LAZULITE_INLINE V log_low(V f, V rest, double by = 1) {
  if constexpr (is_f32<V>) {
    return fma(fma(log_tail(f, by), f, K<V>(-0.5 * by)), f * f, rest);
  } else {
    V s = f / (V(2) + f), z = s * s;
    V half = V(0.5) * f * f;
    return fma(fma(s, fma(z, atanh_tail(z), half), -half), K<V>(by), rest);
  }
}
/// The values at 0 (-inf), below it (nan), inf and nan.
template <class V> LAZULITE_INLINE V log_ends(V x, V y) {
  y = select(x < infinity<V>(), y, x);
  y = select(x == V(0), -infinity<V>(), y);
  return select(x < V(0), quiet_nan<V>(), y);
}

/// 0.8, 0.8 ulp.
template <FloatVec V> LAZULITE_INLINE V log(V x) {
  const bool unusual = any(is_unusual(x));
  LogParts<V> p = log_parts(x, unusual);
  V low = log_low(p.f, p.k * ln2_lo<V>());
  V y = fma(p.k, ln2_hi<V>(), p.f + low);
  return unusual ? log_ends(x, y) : y;
}
/// log(x) by, of which 2^k gives k by_two; both in two parts.
template <class V>
LAZULITE_INLINE V log_in_base(V x, V two_hi, V two_lo, double by, V hi, V lo) {
  const bool unusual = any(is_unusual(x));
  LogParts<V> p = log_parts(x, unusual);
  V t = p.f * hi;
  V rest = fma(p.k, two_lo, fma(p.f, lo, fma(p.f, hi, -t)));
  V y = fma(p.k, two_hi, t + log_low(p.f, rest, by));
  return unusual ? log_ends(x, y) : y;
}
/// 0.9, 0.9 ulp.
template <FloatVec V> LAZULITE_INLINE V log2(V x) {
  return log_in_base<V>(x, V(1), V(0), 1.4426950408889634074,
                        pick<V>(0x1.715476p+0, 0x1.71547652b82fep+0),
                        pick<V>(0x1.4ae0cp-26, 0x1.777d0ffda0d24p-56));
}
/// 0.9, 0.8 ulp.
template <FloatVec V> LAZULITE_INLINE V log10(V x) {
  return log_in_base<V>(x, pick<V>(0x1.344136p-2, 0x1.34413509f79ffp-2),
                        pick<V>(-0x1.ec10cp-27, -0x1.9dc1da994fd21p-59), 0.43429448190325182765,
                        pick<V>(0x1.bcb7b2p-2, 0x1.bcb7b1526e50ep-2),
                        pick<V>(-0x1.5b235ep-27, 0x1.95355baaafad3p-57));
}
/// log(1 + x). 1.3, 1.3 ulp.
template <FloatVec V> LAZULITE_INLINE V log1p(V x) {
  using T = typename V::scalar;
  V u = V(1) + x;
  // What the sum lost, brought to the scale of 1 + f.
  V lost = select(x >= V(1), V(1) - (u - x), x - (u - V(1)));
  const bool unusual = any(is_unusual(u));
  LogParts<V> p = log_parts(u, unusual);
  V k = min(p.k, V(100));
  V f = fma(lost, power_of_two<T>(-small_int(k)), p.f);
  V low = log_low(f, p.k * ln2_lo<V>());
  V y = copysign(fma(p.k, ln2_hi<V>(), f + low), x);
  return unusual ? log_ends(u, y) : y;
}
/// log(e^a + e^b). 1.1, 1.2 ulp.
template <FloatVec V> LAZULITE_INLINE V logaddexp(V a, V b) {
  V top = maximum(a, b), y = top + log1p(exp(-abs(a - b)));
  return select(a == b, a + K<V>(0.69314718055994530942), y);
}

// ---- powers ------------------------------------------------------------------------------------

template <FloatVec V> LAZULITE_INLINE V reciprocal(V x) { return V(1) / x; }
/// 1.4, 1.4 ulp.
template <FloatVec V> LAZULITE_INLINE V rsqrt(V x) { return V(1) / sqrt(x); }
template <class V> LAZULITE_INLINE V square(V x) { return x * x; }

/// Floats as doubles, half a register in each.
struct Doubles {
  Vec<double> low, high;
};
typedef float half_of_floats __attribute__((vector_size(register_bytes / 2)));
template <int... i>
LAZULITE_INLINE Vec<float> narrow(Doubles a, std::integer_sequence<int, i...>) {
  const half_of_floats low = __builtin_convertvector(a.low.v, half_of_floats),
                       high = __builtin_convertvector(a.high.v, half_of_floats);
  return Vec<float>::from(__builtin_shufflevector(low, high, i...));
}
LAZULITE_INLINE Vec<float> narrow(Doubles a) {
  return narrow(a, std::make_integer_sequence<int, Vec<float>::size>{});
}
#if defined(LAZULITE_SIMD_AVX512)
LAZULITE_INLINE Doubles widen(Vec<float> a) {
  const __m256 low = _mm512_maskz_extractf32x8_ps(every8, a.v, 0),
               high = _mm512_maskz_extractf32x8_ps(every8, a.v, 1);
  return {Vec<double>::from(_mm512_maskz_cvtps_pd(every8, low)),
          Vec<double>::from(_mm512_maskz_cvtps_pd(every8, high))};
}
#else
template <int from, int... i>
LAZULITE_INLINE Vec<double> widen_half(Vec<float> a, std::integer_sequence<int, i...>) {
  const half_of_floats half = __builtin_shufflevector(a.v, a.v, (from + i)...);
  return Vec<double>::from(__builtin_convertvector(half, Vec<double>::raw));
}
LAZULITE_INLINE Doubles widen(Vec<float> a) {
  constexpr int size = Vec<double>::size;
  constexpr auto lanes = std::make_integer_sequence<int, size>{};
  return {widen_half<0>(a, lanes), widen_half<size>(a, lanes)};
}
#endif

/// |a|^b as 2^t, t = b log2 |a| in doubles; p: the parts of a logarithm, `ends` what a base that is
/// 0, infinite or nan adds to it (0 for others).
LAZULITE_INLINE Vec<float> power_by_doubles(LogParts<Vec<float>> p, Vec<float> ends, Vec<float> b) {
  const Doubles k = widen(p.k + ends), f = widen(p.f), by = widen(b);
  Doubles n, part;
  auto half = [](Vec<double> k, Vec<double> f, Vec<double> by, Vec<double>& n, Vec<double>& part) {
    using D = Vec<double>;
    // Past these ends the result is inf or 0. The order of the operands lets a nan through.
    const D t = min(D(129), max(D(-152), by * fma(f, log2_over(f), k)));
    n = rint(t);
    part = t - n;
  };
  half(k.low, f.low, by.low, n.low, part.low);
  half(k.high, f.high, by.high, n.high, part.high);
  const Vec<float> r = narrow(part);
  return scale_exp(fma(exp2_tail(r), r, Vec<float>(1)), narrow(n));
}
/// The same of doubles: the logarithm and its product with b are kept in two parts.
LAZULITE_INLINE Vec<double> power_in_parts(LogParts<Vec<double>> p, Vec<double> x, bool unusual,
                                           Vec<double> b) {
  using V = Vec<double>;
  // log(1 + f) = 2 s + s^3 (2/3 + ...), s = f / (2 + f).
  Two<V> d = fast_sum(V(2), p.f);
  V inverse = V(1) / d.hi, sh = p.f * inverse;
  V sl = (fma(-sh, d.hi, p.f) - sh * d.lo) * inverse;
  Two<V> s = {sh, sl}, z = two_product(sh, sh);
  z.lo = fma(sh + sh, sl, z.lo);
  V rest = z.hi * atanh_tail2(z.hi);
  Two<V> c = fast_sum(K<V>(2.0 / 3.0), pick<V>(-0x1.555556p-26, 0x1.5555555555555p-55) + rest);
  Two<V> cube = multiply(multiply(s, z), c);
  Two<V> l = fast_sum(sh + sh, cube.hi);
  l.lo = l.lo + (sl + sl + cube.lo);
  Two<V> k = two_product(p.k, ln2_hi<V>());
  Two<V> t = two_sum(k.hi, l.hi);
  t = fast_sum(t.hi, t.lo + (k.lo + fma(p.k, ln2_lo<V>(), l.lo)));
  if (unusual) t.hi = select(x == V(0), -infinity<V>(), select(x < infinity<V>(), t.hi, x));
  // e^(b log x)
  V high = b * t.hi;
  V low = fma(b, t.hi, -high) + b * t.lo;
  low = select(abs(high) < pick<V>(200, 2000), low, V(0));
  V e = min(pick<V>(89, 710), max(pick<V>(-104, -746), high));
  V n = rint(e * K<V>(1.4426950408889634074));
  V r = fma(-n, ln2_hi<V>(), e);
  Two<V> rr = fast_sum(r, fma(-n, ln2_lo<V>(), low));
  V y = fma(exp_tail(rr.hi), rr.hi * rr.hi, rr.lo);
  y = scale_exp(V(1) + (rr.hi + y), n);
  return unusual ? select(is_nan(high), high, y) : y;
}

/// a^b as in C: a^0 = 1^b = 1, a negative base needs an integral exponent. 1.0, 0.9 ulp.
template <FloatVec V> LAZULITE_INLINE V power(V a, V b) {
  V x = abs(a);
  const bool unusual = any(is_unusual(a) | ~(abs(b) < infinity<V>()));
  LogParts<V> p = log_parts(x, unusual);
  V y;
  if constexpr (is_f32<V>) {
    V ends(0);
    if (unusual) ends = select(x == V(0), -infinity<V>(), select(x < infinity<V>(), ends, x));
    y = power_by_doubles(p, ends, b);
  } else {
    y = power_in_parts(p, x, unusual, b);
  }
  if (!unusual) return y;
  // Signs and the points that C fixes.
  V half = b * V(0.5);
  auto integral = rint(b) == b, odd = integral & (rint(half) != half);
  y = select((a < V(0)) & ~integral & (x < infinity<V>()), quiet_nan<V>(), y);
  y = select(odd, flip_sign(y, a), y);
  auto one = (b == V(0)) | (a == V(1)) | ((x == V(1)) & (abs(b) == infinity<V>()));
  return select(one, V(1), y);
}

// ---- trigonometry ------------------------------------------------------------------------------

// 2 / pi, the first 1280 bits after the point.
constexpr uint64_t two_over_pi[20] = {
    0xa2f9836e4e441529u, 0xfc2757d1f534ddc0u, 0xdb6295993c439041u, 0xfe5163abdebbc561u,
    0xb7246e3a424dd2e0u, 0x06492eea09d1921cu, 0xfe1deb1cb129a73eu, 0xe88235f52ebb4484u,
    0xe99c7026b45f7e41u, 0x3991d639835339f4u, 0x9c845f8bbdf9283bu, 0x1ff897ffde05980fu,
    0xef2f118b5a0a6d1fu, 0x6d367ecf27cb09b7u, 0x4f463f669e5fea2du, 0x7527bac7ebe5f17bu,
    0x3d0739f78a5292eau, 0x6bfb5fb11f8d5d08u, 0x56033046fc7b6babu, 0xf0cfbc209af4361du};

/// x = (pi / 2) (4 j + quadrant) + r for a finite x >= 2: Payne and Hanek, in integers.
[[gnu::noinline]] inline double reduce_huge(double x, int64_t& quadrant) {
  uint64_t bits;
  std::memcpy(&bits, &x, 8);
  int e = int(bits >> 52) - 1075;                       // x = m * 2^e
  uint64_t m = (bits & ((uint64_t(1) << 52) - 1)) | (uint64_t(1) << 52);
  // Bits of 2/pi above weight 2^(2-e) give multiples of 4 and are left out: start at bit e - 2.
  int first = e > 2 ? e - 2 : 0, word = first / 64, shift = first % 64;
  uint64_t w[4];
  for (int i = 0; i < 4; ++i) {
    uint64_t a = two_over_pi[word + i] << shift;
    uint64_t b = shift ? two_over_pi[word + i + 1] >> (64 - shift) : 0;
    w[i] = a | b;
  }
  // The product modulo 2^256: w has weight 2^-(first + 256), so p has 2^(e - first - 256).
  uint64_t p[4], carry = 0;
  for (int i = 3; i >= 0; --i) {
    uint64_t al = w[i] & 0xffffffffu, ah = w[i] >> 32, bl = m & 0xffffffffu, bh = m >> 32;
    uint64_t ll = al * bl, lh = al * bh, hl = ah * bl, hh = ah * bh;
    uint64_t mid = (ll >> 32) + (lh & 0xffffffffu) + (hl & 0xffffffffu);
    uint64_t low = (ll & 0xffffffffu) | (mid << 32);
    uint64_t high = hh + (lh >> 32) + (hl >> 32) + (mid >> 32);
    p[i] = low + carry;
    carry = high + (p[i] < low);
  }
  // For a large x the two integer bits that count are on top; for a small one make it so.
  int by = 2 - (e - first);                             // 0 to 54
  if (by > 0) {
    for (int i = 3; i > 0; --i) p[i] = (p[i] >> by) | (p[i - 1] << (64 - by));
    p[0] = (p[0] >> by) | (carry << (64 - by));
  }
  // p / 2^254 = quadrant + fraction; round to the nearest quadrant.
  uint64_t q = p[0] >> 62;
  uint64_t f0 = (p[0] << 2) | (p[1] >> 62), f1 = (p[1] << 2) | (p[2] >> 62);
  uint64_t f2 = (p[2] << 2) | (p[3] >> 62);
  bool negative = (f0 >> 63) != 0;
  if (negative) {
    q += 1;
    f2 = ~f2;
    f1 = ~f1;
    f0 = ~f0;
  }
  quadrant = int64_t(q & 3);
  int zeros = 0;
  while (zeros < 128 && !(f0 >> 63)) {
    f0 = (f0 << 1) | (f1 >> 63);
    f1 = (f1 << 1) | (f2 >> 63);
    f2 <<= 1;
    ++zeros;
  }
  // 53 bits exactly, then the next 53: their product with pi / 2, rounded once or nearly.
  double hi = double(int64_t(f0 >> 11)), lo = double(int64_t(((f0 << 53) | (f1 >> 11)) >> 11));
  hi *= 0x1p-53;
  lo *= 0x1p-106;
  constexpr double c_hi = 0x1.921fb54442d18p+0, c_lo = 0x1.1a62633145c07p-54;
  double r = hi * c_hi;
  double rest = __builtin_fma(hi, c_hi, -r) + (hi * c_lo + lo * c_hi);
  r += rest;
  uint64_t scale = uint64_t(1023 - zeros) << 52;
  double down;
  std::memcpy(&down, &scale, 8);
  r *= down;
  return negative ? -r : r;
}

/// |x| = (pi / 2) (4 j + q) + r.
template <class V> struct Angle {
  V r;
  IntOf<V> q;
};
template <class V> [[gnu::noinline]] inline Angle<V> reduce_lanes(V x, V limit, Angle<V> fast) {
  using T = typename V::scalar;
  using I = IntOf<V>;
  using L = typename I::scalar;
  constexpr int size = V::size;
  T a[size], r[size], bound[size];
  L q[size];
  x.store(a);
  limit.store(bound);
  fast.r.store(r);
  fast.q.store(q);
  for (int i = 0; i < size; ++i) {
    if (!(a[i] > bound[i])) continue;
    if (a[i] > T(sizeof(T) == 4 ? 3.4028235e38 : 1.7976931348623157e308)) {
      r[i] = T(__builtin_nan(""));
      continue;
    }
    int64_t quadrant;
    r[i] = T(reduce_huge(double(a[i]), quadrant));
    q[i] = L(quadrant);
  }
  return {V::load(r), I::load(q)};
}
template <class V> LAZULITE_INLINE Angle<V> reduce_angle(V x) {
  V a = abs(x);
  // While n is small the first product is exact under the fma, and so is the difference.
  V limit = pick<V>(65536, 1048576.0 * 512);
  V n = rint(a * K<V>(0.63661977236758134308));
  V r = fma(-n, pick<V>(0x1.921fb6p+0, 0x1.921fb54442d18p+0), a);
  r = fma(-n, pick<V>(-0x1.777a5cp-25, 0x1.1a62633145c07p-54), r);
  r = fma(-n, pick<V>(-0x1.ee59dap-50, -0x1.f1976b7ed8fbcp-110), r);
  Angle<V> angle = {r, small_int(n)};
  if (any(a > limit)) [[unlikely]] return reduce_lanes(a, limit, angle);
  return angle;
}
template <class V> LAZULITE_INLINE V sin_core(V r, V z) { return fma(sin_tail(z), z * r, r); }
template <class V> LAZULITE_INLINE V cos_core(V z) {
  return fma(cos_tail(z), z * z, fma(V(-0.5), z, V(1)));
}
/// The sign that bit 1 of q gives, on v.
template <class V> LAZULITE_INLINE V quadrant_sign(V v, IntOf<V> q) {
  using T = typename V::scalar;
  using I = IntOf<V>;
  using L = typename I::scalar;
  I sign = I::from((q.v & L(2)) << (int(sizeof(T)) * 8 - 2));
  return bit_cast<T>(bit_cast<L>(v) ^ sign);
}
template <class V> LAZULITE_INLINE auto is_odd(V q) { return (q & V(1)) != V(0); }

/// 1.4, 1.5 ulp.
template <FloatVec V> LAZULITE_INLINE V sin(V x) {
  Angle<V> a = reduce_angle(x);
  V z = a.r * a.r;
  V y = select(is_odd(a.q), cos_core(z), sin_core(a.r, z));
  return flip_sign(quadrant_sign(y, a.q), x);
}
/// 1.4, 1.5 ulp.
template <FloatVec V> LAZULITE_INLINE V cos(V x) {
  Angle<V> a = reduce_angle(x);
  V z = a.r * a.r;
  V y = select(is_odd(a.q), sin_core(a.r, z), cos_core(z));
  return quadrant_sign(y, a.q + IntOf<V>(1));
}
template <FloatVec V> LAZULITE_INLINE void sincos(V x, V& s, V& c) {
  Angle<V> a = reduce_angle(x);
  V z = a.r * a.r, p = sin_core(a.r, z), q = cos_core(z);
  auto odd = is_odd(a.q);
  s = flip_sign(quadrant_sign(select(odd, q, p), a.q), x);
  c = quadrant_sign(select(odd, p, q), a.q + IntOf<V>(1));
}
/// 3.1, 2.9 ulp.
template <FloatVec V> LAZULITE_INLINE V tan(V x) {
  Angle<V> a = reduce_angle(x);
  V z = a.r * a.r, p = sin_core(a.r, z), q = cos_core(z);
  auto odd = is_odd(a.q);
  return flip_sign(select(odd, -q, p) / select(odd, p, q), x);
}

/// 1.7, 1.5 ulp.
template <FloatVec V> LAZULITE_INLINE V arctan(V x) {
  V a = abs(x);
  auto middle = a > K<V>(0.41421356237309504880), large = a > K<V>(2.41421356237309504880);
  V top = select(large, V(-1), select(middle, a - V(1), a));
  V bottom = select(large, a, select(middle, a + V(1), V(1)));
  V base = select(large, V(0.5), select(middle, V(0.25), V(0)));   // in units of pi
  V t = top / bottom, z = t * t;
  V low = fma(atan_tail(z), z * t, base * pi_lo<V>());
  return copysign(fma(base, pi_hi<V>(), t + low), x);
}
/// The angle of the point (x, y). 1.7, 1.4 ulp.
template <FloatVec V> LAZULITE_INLINE V arctan2(V y, V x) {
  V ax = abs(x), ay = abs(y);
  auto steep = ay > ax;
  V big = max(ax, ay), small = min(ax, ay);
  auto both = small == infinity<V>();
  // Far from both ends of the dtype, where sums overflow and products with constants round.
  V scale = select(big > pick<V>(0x1p125, 0x1p1021), V(0.25),
                   select(big < pick<V>(0x1p-90, 0x1p-900), pick<V>(0x1p60, 0x1p120), V(1)));
  big = select(both, V(1), big * scale);
  small = select(both, V(1), small * scale);
  auto middle = small > big * K<V>(0.41421356237309504880);
  V top = select(middle, small - big, small), bottom = select(middle, small + big, big);
  V t = top / select(bottom == V(0), V(1), bottom), z = t * t;
  V q = atan_tail(z) * (z * t);
  // The angle is base pi +- (t + q).
  V base = select(middle, V(0.25), V(0));
  base = select(steep, V(0.5) - base, base);
  auto behind = sign_bit(x) != UintOf<V>(0);
  base = select(behind, V(1) - base, base);
  auto minus = steep ^ behind;
  t = select(minus, -t, t);
  q = select(minus, -q, q);
  V high = base * pi_hi<V>();
  V low = fma(base, pi_hi<V>(), -high) + base * pi_lo<V>();
  Two<V> sum = two_sum(high, t);
  V r = sum.hi + (sum.lo + (q + low));
  return select(is_nan(x) | is_nan(y), x + y, copysign(r, y));
}

/// asin(s) - s of s and z = s^2.
template <class V> LAZULITE_INLINE V asin_rest(V s, V z) { return asin_tail(z) * (z * s); }
/// 1.5, 1.6 ulp.
template <FloatVec V> LAZULITE_INLINE V arcsin(V x) {
  V a = abs(x);
  auto large = a > V(0.5);
  V z = select(large, (V(1) - a) * V(0.5), a * a);
  V s = select(large, sqrt(z), a);
  V rest = asin_rest(s, z);
  V far = fma(V(0.5), pi_hi<V>(), fma(V(0.5), pi_lo<V>(), V(-2) * rest) - (s + s));
  return copysign(select(large, far, s + rest), x);
}
/// 1.0, 1.1 ulp.
template <FloatVec V> LAZULITE_INLINE V arccos(V x) {
  V a = abs(x);
  auto large = a > V(0.5), negative = x < V(0);
  V z = select(large, (V(1) - a) * V(0.5), a * a);
  V s = select(large, sqrt(z), x);
  V rest = asin_rest(s, z);
  V near = fma(V(0.5), pi_hi<V>(), fma(V(0.5), pi_lo<V>(), -rest) - s);
  V twice = V(2) * (s + rest);
  V far = select(negative, pi_hi<V>() - (twice - pi_lo<V>()), twice);
  return select(large, far, near);
}

/// 1.6, 1.6 ulp.
template <FloatVec V> LAZULITE_INLINE V arcsinh(V x) {
  V a = abs(x);
  auto big = a > pick<V>(0x1p24, 0x1p53);
  V a2 = a * a;
  V y = a + a2 / (V(1) + sqrt(V(1) + a2));
  y = log1p(select(big, a, y)) + select(big, K<V>(0.69314718055994530942), V(0));
  return copysign(y, x);
}
/// 2.2, 2.3 ulp.
template <FloatVec V> LAZULITE_INLINE V arccosh(V x) {
  auto big = x > pick<V>(0x1p24, 0x1p53);
  V t = x - V(1);
  V y = t + sqrt(t * (t + V(2)));
  y = log1p(select(big, x, y)) + select(big, K<V>(0.69314718055994530942), V(0));
  return select(x < V(1), quiet_nan<V>(), y);
}
/// Half the logarithm of (1 + |x|) / (1 - |x|) = 2^k (1 + s) / (1 - s), |s| < 0.2006, where k is
/// the difference of the bits as numbers, about. 1.6, 1.5 ulp.
template <FloatVec V> LAZULITE_INLINE V arctanh(V x) {
  using T = typename V::scalar;
  using I = IntOf<V>;
  using L = typename I::scalar;
  V a = abs(x), above = V(1) + a, below = V(1) - a;
  constexpr int bits = fraction_bits<T>;
  I k = bit_cast<L>(above) - bit_cast<L>(below) + I(L(1) << (bits - 1));
  k = I::from(k.v >> bits);
  V scale = power_of_two<T>(k);
  V sum = V(1) + scale, difference = V(1) - scale;
  // s = (a sum + difference) / (a difference + sum); near 1 of what is left to 1, which is exact.
  auto near = k > I(1);
  V of = select(near, -below, a);
  V s = fma(of, sum, select(near, V(2), difference)) / fma(of, difference, select(near, V(2), sum));
  V z = s * s;
  V half = small_float<V>(k) * V(0.5);
  V low = fma(atanh_rest(z), z * s, half * ln2_lo<V>());
  V y = fma(half, ln2_hi<V>(), s + low);
  y = select(a < V(1), y, select(a == V(1), infinity<V>(), quiet_nan<V>()));
  return copysign(y, x);
}

// ---- the error function ------------------------------------------------------------------------

/// erfc(a) for a >= 0 (nan passes).
template <class V> LAZULITE_INLINE V erfc_positive(V a) {
  V c = min(pick<V>(10.3, 28), a);
  const V centre = pick<V>(2, 3.75);
  V t = (c - centre) / (c + centre);
  V scaled = erfcx_scaled(t) / fma(V(2), c, V(1));
  Two<V> s = two_product(c, c);
  V e = exp(-s.hi);
  V y = scaled * e;
  return fma(-s.lo, y, y);
}
/// Of doubles; of floats it is in special.h. 1.1 ulp.
template <FloatVec V> requires(!is_f32<V>) LAZULITE_INLINE V erf(V x) {
  V a = min(V(6), abs(x));  // a nan passes, here and below
  V near = fma(erf_small(a * a), a, a);
  return copysign(select(a < V(1), near, V(1) - erfc_positive(a)), x);
}
/// 3.3, 4.2 ulp.
template <FloatVec V> LAZULITE_INLINE V erfc(V x) {
  V a = abs(x);
  V y = erfc_positive(a);
  V near = V(1) - fma(erf_small(x * x), x, x);   // where erfc is nearly 1
  y = select(a < V(0.5), near, select(x < V(0), V(2) - y, y));
  return select(is_nan(x), x, y);
}
/// 3.8, 1.8 ulp.
template <FloatVec V> LAZULITE_INLINE V erfinv(V x) {
  V a = abs(x);
  V w = -log((V(1) - a) * (V(1) + a));
  V c = min(w, pick<V>(17, 37));
  V y = erfinv_middle(min(c, V(5)) - V(2.5));
  auto far = w >= V(5);  // one number in 300, where they are random
  if (any(far)) y = select(far, erfinv_tail(sqrt(max(c, V(5))) - V(3)), y);
  y = a * y;
  if constexpr (!is_f32<V>) {
    // The polynomials are good to 1e-6: one step of Halley's method makes that 1e-17.
    V low = erf(y) - a, high = (V(1) - a) - erfc_positive(y);
    V slope = K<V>(1.1283791670955125739) * exp(-(y * y));
    V step = select(a < V(0.75), low, high) / slope;
    y = y - step / fma(y, step, V(1));
  }
  y = select(a == V(1), infinity<V>(), select(a > V(1), quiet_nan<V>(), y));
  return copysign(select(is_nan(x), x, y), x);
}

// ---- integers and steps ------------------------------------------------------------------------

/// Nearest integer, halves to even.
template <FloatVec V> LAZULITE_INLINE V round(V x) { return rint(x); }
template <IntegerVec V> LAZULITE_INLINE V round(V x) { return x; }
template <FloatVec V> LAZULITE_INLINE V sign(V x) {
  return select((x == V(0)) | is_nan(x), x + V(0), copysign(V(1), x));
}
template <IntegerVec V> LAZULITE_INLINE V sign(V x) {
  V positive = select(x > V(0), V(1), V(0));
  if constexpr (is_signed_vec<V>::value) return select(x < V(0), V(-1), positive);
  return positive;
}

template <FloatVec V> LAZULITE_INLINE V nan_to_num(V x) {
  const V most = pick<V>(0x1.fffffep+127, 0x1.fffffffffffffp+1023);
  return select(is_nan(x), V(0), min(max(x, -most), most));
}

/// C's fmod of what the quotient does not resolve, lane by lane.
template <class V> [[gnu::noinline]] inline V fmod_lanes(V a, V b) {
  using T = typename V::scalar;
  return V::map([](T x, T y) {
    return sizeof(T) == 4 ? T(__builtin_fmodf(float(x), float(y))) : T(__builtin_fmod(x, y));
  }, a, b);
}
/// The remainder that floor division leaves: the sign of b, also on a zero; -1 % inf = inf.
/// 0.5, 0.5 ulp.
template <FloatVec V> LAZULITE_INLINE V remainder(V a, V b) {
  V q = trunc(a / b);
  V r = fma(-q, b, a);
  // A quotient rounded up to the next integer leaves the wrong side.
  V back = r + copysign(b, a);
  r = select(((r < V(0)) & (a > V(0))) | ((r > V(0)) & (a < V(0))), back, r);
  V size = abs(b);
  r = select((size == infinity<V>()) & (abs(a) < infinity<V>()), a, r);
  auto coarse = (abs(q) > pick<V>(0x1p22, 0x1p51)) & (abs(a) < infinity<V>()) & (size > V(0));
  if (any(coarse)) [[unlikely]] r = select(coarse, fmod_lanes(a, b), r);
  auto other = ((r < V(0)) & (b > V(0))) | ((r > V(0)) & (b < V(0)));
  r = select(other, r + b, r);
  return select(r == V(0), copysign(V(0), b), r);
}
template <IntegerVec V> LAZULITE_INLINE V remainder(V a, V b) { return a % b; }
/// The floor of the exact quotient, so that remainder leaves what this takes; -1 // inf = -1.
template <FloatVec V> LAZULITE_INLINE V floor_divide(V a, V b) {
  V q = floor(a / b);
  V r = fma(-q, b, a);
  // A quotient rounded up to the next integer, or from below to zero.
  auto above = ((r < V(0)) & (b > V(0))) | ((r > V(0)) & (b < V(0)));
  auto lost = (q == V(0)) & (((a < V(0)) & (b > V(0))) | ((a > V(0)) & (b < V(0))));
  return select((above & (abs(q) < pick<V>(0x1p24, 0x1p53))) | lost, q - V(1), q);
}
template <IntegerVec V> LAZULITE_INLINE V floor_divide(V a, V b) { return a / b; }

/// Powers by squaring, modulo 2^bits. A negative exponent gives 0; anything to the 0 is 1.
template <IntegerVec V> LAZULITE_INLINE V power(V a, V n) {
  V r(1);
  if constexpr (is_signed_vec<V>::value) {
    r = select(n < V(0), V(0), r);
    n = max(n, V(0));
  }
  while (any(n != V(0))) {
    r = select((n & V(1)) != V(0), r * a, r);
    a = a * a;
    n = V::from(n.v >> 1);
  }
  return r;
}

}  // namespace
}  // namespace lazulite::simd

#include "simd/complex_math.h"
