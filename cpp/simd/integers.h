// Floor division and remainder of vectors of integers, by the rules of the lanes (vec.h: they floor
// as in Python; x / 0 = 0, x % 0 = x; the least by -1 wraps). No processor divides a vector of
// them.
//
//   floor_quotient(a, b) floor_rest(a, b)      of two vectors
//   Divisor<T>                                 one divisor of many vectors
//
// Results are exact, so it is of no account how near a level's reciprocals come, as long as they
// are near enough. Per-level units only, as vec.h; what includes this is built when it changes.
#pragma once
#include "simd/vec.h"

namespace lazulite::simd {
namespace {

// ---- two vectors -------------------------------------------------------------------------------
//
// With b > 0 and a = k b + r, (a + 1/2) / b lies at least 1 / (2b) inside of (k, k + 1). So does
// what is computed, as long as its relative error is below 1 / (2 |a| + 1): 2^-9 for 8 bits, 2^-17
// for 16, 2^-33 for 32. Half less rounds to k, and beside 1.5 * 2^23 (in float64 1.5 * 2^52) the
// sum's lowest bits are k's.

/// 1 / b, b = 1 ... 2^bits: a relative error below 2^-(bits + 3).
template <int bits> LAZULITE_INLINE Vec<float> near_reciprocal(Vec<float> b) {
#if defined(__SSE2__)
#if defined(LAZULITE_SIMD_AVX512)
  Vec<float> y = Vec<float>::from(_mm512_maskz_rcp14_ps(every16, b.v));
#elif defined(LAZULITE_SIMD_AVX2)
  Vec<float> y = Vec<float>::from(_mm256_rcp_ps(b.v));
#else
  Vec<float> y = Vec<float>::from(_mm_rcp_ps(b.v));
#endif
  if constexpr (bits <= 8) return y;   // 1.5 * 2^-12 at least
  return y * (Vec<float>(2) - b * y);
#else
  return Vec<float>(1) / b;
#endif
}
template <int bits> LAZULITE_INLINE Vec<double> near_reciprocal(Vec<double> b) {
#if defined(LAZULITE_SIMD_AVX512)
  // The error of 2^-14, e, to the third power.
  const Vec<double> y = Vec<double>::from(_mm512_maskz_rcp14_pd(every8, b.v));
  const Vec<double> e = fma(-b, y, Vec<double>(1));
  return fma(fma(e, e, e), y, y);
#else
  return Vec<double>(1) / b;
#endif
}

/// Near enough to floor(a / b) that its lowest bits are the quotient's; where b is 0, anything.
template <class T, class F> LAZULITE_INLINE auto quotient_bits(Vec<F> a, Vec<F> b) {
  if constexpr (std::is_signed_v<T>) {
    a = flip_sign(a, b);
    b = abs(b);
  }
  const Vec<F> y = near_reciprocal<int(sizeof(T)) * 8>(b);
  const Vec<F> sum =
      ((a + Vec<F>(0.5)) * y - Vec<F>(0.5)) + Vec<F>(F(sizeof(F) == 4 ? 0x1.8p23 : 0x1.8p52));
  return bit_cast<uint_like<F>>(sum);
}

/// 8 and 16 bits: the numbers at one place in each lane of 32 bits at a time.
template <class T> LAZULITE_INLINE Vec<T> short_quotient(Vec<T> a, Vec<T> b) {
  using Lane = std::conditional_t<std::is_signed_v<T>, int32_t, uint32_t>;
  using U = Vec<uint32_t>;
  constexpr int bits = int(sizeof(T)) * 8;
  const auto number = [](Vec<T> x, int place) {
    const auto top = Vec<Lane>::from(bit_cast<Lane>(x).v << (32 - bits - place));
    return convert<float>(bit_cast<int32_t>(Vec<Lane>::from(top.v >> (32 - bits))));
  };
  U q(0);
#pragma GCC unroll 4
  for (int place = 0; place < 32; place += bits) {
    const U k = quotient_bits<T>(number(a, place), number(b, place));
    q = q | U::from((k & U(uint32_t(uint_like<T>(-1)))).v << place);
  }
  return bit_cast<T>(q);
}

/// 32 bits: the numbers of a register of float64 at a time.
template <class T> LAZULITE_INLINE Vec<T> middle_quotient(Vec<T> a, Vec<T> b) {
  using D = Vec<double>;
  typedef T some __attribute__((vector_size(register_bytes / 2)));
  const auto floating = [](some x) {
    if constexpr (std::is_signed_v<T>) {
      return D::from(__builtin_convertvector(x, D::raw));
    } else {
      using U = Vec<uint64_t>;   // 2^52 and as much
      return bit_cast<double>(U::from(__builtin_convertvector(x, U::raw)) |
                              U(uint64_t(0x433) << 52)) - D(0x1p52);
    }
  };
  some x[2], y[2];
  std::memcpy(x, &a.v, sizeof x);
  std::memcpy(y, &b.v, sizeof y);
  for (int i = 0; i < 2; ++i) {
    const auto k = quotient_bits<T>(floating(x[i]), floating(y[i]));
    x[i] = __builtin_convertvector(k.v, some);
  }
  Vec<T> q;
  std::memcpy(&q.v, x, sizeof x);
  return q;
}

#if defined(LAZULITE_SIMD_AVX512)
// 64 bits: a quotient in float64, to the nearest integer, then that of the rest. The rest of the
// first is below |b| / 2 + |a| / 2^40, that of the second below |b| / 2 and a little, so that one
// correction is left. Products wrap, and what a conversion gives for 2^63 is the same modulo 2^64.
struct Long {
  Vec<int64_t> q, r;
};
LAZULITE_INLINE Long long_quotient(Vec<int64_t> a, Vec<int64_t> b) {
  using I = Vec<int64_t>;
  const Vec<double> y = near_reciprocal<64>(convert<double>(b));
  const auto nearest = [&](Vec<double> x) {
    return I::from((I::raw)_mm512_maskz_cvtpd_epi64(every8, (x * y).v));
  };
  I q = nearest(convert<double>(a)), r = a - q * b;
  const I more = nearest(convert<double>(r));
  q = q + more;
  r = r - more * b;
  const auto other = (r != I(0)) & ((r ^ b) < I(0));
  return {select(b == I(0), I(0), q + mask_bits<int64_t>(other)), select(other, r + b, r)};
}
struct UnsignedLong {
  Vec<uint64_t> q, r;
};
LAZULITE_INLINE UnsignedLong long_quotient(Vec<uint64_t> a, Vec<uint64_t> b) {
  using U = Vec<uint64_t>;
  using I = Vec<int64_t>;
  const auto floating = [](U x) {
    return Vec<double>::from(_mm512_maskz_cvtepu64_pd(every8, (__m512i)x.v));
  };
  const Vec<double> y = near_reciprocal<64>(floating(b));
  U q = U::from((U::raw)_mm512_maskz_cvtpd_epu64(every8, (floating(a) * y).v)), r = a - q * b;
  const Vec<double> rest = convert<double>(bit_cast<int64_t>(r)) * y;
  const U more = U::from((U::raw)_mm512_maskz_cvtpd_epi64(every8, rest.v));
  q = q + more;
  r = r - more * b;
  const auto below = bit_cast<int64_t>(r) < I(0);
  q = q + mask_bits<uint64_t>(below);
  r = select(below, r + b, r);
  // Of a divisor from 2^63 on, rests have no sign to go by: it is in there once or not.
  const auto large = bit_cast<int64_t>(b) < I(0), once = a >= b;
  q = select(large, bit_cast<uint64_t>(mask_bits<int64_t>(once)) & U(1), q);
  r = select(large, select(once, a - b, a), r);
  return {select(b == U(0), U(0), q), r};
}
#endif

/// floor(a / b).
template <class T> LAZULITE_INLINE Vec<T> floor_quotient(Vec<T> a, Vec<T> b) {
  if constexpr (sizeof(T) == 8) {
#if defined(LAZULITE_SIMD_AVX512)
    return long_quotient(a, b).q;
#else
    return a / b;
#endif
  } else {
    Vec<T> q;
    if constexpr (sizeof(T) == 4) q = middle_quotient(a, b);
    else q = short_quotient(a, b);
    return select(b == Vec<T>(0), Vec<T>(0), q);
  }
}
/// a - b * floor(a / b).
template <class T> LAZULITE_INLINE Vec<T> floor_rest(Vec<T> a, Vec<T> b) {
  if constexpr (sizeof(T) == 8) {
#if defined(LAZULITE_SIMD_AVX512)
    return long_quotient(a, b).r;
#else
    return a % b;
#endif
  } else {
    return a - floor_quotient(a, b) * b;
  }
}

// ---- one divisor -------------------------------------------------------------------------------

/// The upper half of the product of unsigned lanes.
template <class U> LAZULITE_INLINE Vec<U> upper_product(Vec<U> a, Vec<U> b) {
#if defined(__SSE2__)
#if defined(LAZULITE_SIMD_AVX512)
  using raw = __m512i;
  const auto of_evens = [](raw x, raw y) { return _mm512_maskz_mul_epu32(every8, x, y); };
#elif defined(LAZULITE_SIMD_AVX2)
  using raw = __m256i;
  const auto of_evens = [](raw x, raw y) { return _mm256_mul_epu32(x, y); };
#else
  using raw = __m128i;
  const auto of_evens = [](raw x, raw y) { return _mm_mul_epu32(x, y); };
#endif
  if constexpr (sizeof(U) == 2) {
#if defined(LAZULITE_SIMD_AVX512)
    return Vec<U>::from((typename Vec<U>::raw)_mm512_mulhi_epu16((raw)a.v, (raw)b.v));
#elif defined(LAZULITE_SIMD_AVX2)
    return Vec<U>::from((typename Vec<U>::raw)_mm256_mulhi_epu16((raw)a.v, (raw)b.v));
#else
    return Vec<U>::from((typename Vec<U>::raw)_mm_mulhi_epu16((raw)a.v, (raw)b.v));
#endif
  } else {
    using L = Vec<uint64_t>;
    const auto product = [&](L x, L y) {
      return L::from((L::raw)of_evens((raw)x.v, (raw)y.v));
    };
    const auto upper = [](L x) { return L::from(x.v >> 32); };
    const L x = bit_cast<uint64_t>(a), y = bit_cast<uint64_t>(b), low(0xffffffffu);
    if constexpr (sizeof(U) == 4) {
      const L odd = product(upper(x), upper(y));
      return bit_cast<U>(upper(product(x, y)) | (odd & ~low));
    } else {
      const L one = product(upper(x), y) + upper(product(x, y));
      const L two = product(x, upper(y)) + (one & low);
      return product(upper(x), upper(y)) + upper(one) + upper(two);
    }
  }
#else
  return Vec<U>::map([](U x, U y) {
    using Wide = std::conditional_t<sizeof(U) == 8, unsigned __int128, uint64_t>;
    return U((Wide(x) * y) >> (sizeof(U) * 8));
  }, a, b);
#endif
}

/// A divisor but 0. Powers of two shift; others multiply by a reciprocal, rounded up, of as many
/// bits as the quotient of each lane needs (Granlund and Montgomery, 1994). Lanes of 8 bits are
/// divided as two vectors of 16.
template <class T> struct Divisor {
  static constexpr bool bytes = sizeof(T) == 1;
  static constexpr bool with_sign = std::is_signed_v<T>;
  /// What is divided: 16 bits for 8.
  using Lane = std::conditional_t<bytes, std::conditional_t<with_sign, int16_t, uint16_t>, T>;
  using U = uint_like<Lane>;
  using V = Vec<Lane>;
  static constexpr int bits = int(sizeof(Lane)) * 8;

  explicit Divisor(T d) : negative(d < 0) {
    using Double = std::conditional_t<sizeof(Lane) == 8, unsigned __int128, uint64_t>;
    size = negative ? U(-U(Lane(d))) : U(d);
    while (shift < bits && (Double(1) << shift) < Double(size)) ++shift;
    power_of_two = (size & (size - 1)) == 0;
    if (power_of_two) return;
    // Dividends are below 2^(bits - 1), 8 bits in lanes of 16 with or without a sign; unsigned
    // ones of more bits take a factor of one bit more, whose highest, 1, is an addition.
    constexpr bool one_more = !with_sign && !bytes;
    const Double scaled = one_more ? (Double(1) << bits) * ((Double(1) << shift) - size)
                                   : Double(1) << (bits - 1 + shift);
    factor = U(scaled / size + 1);
  }

  /// f(quotient), with the way to take known to the compiler: for a loop inside of f.
  template <class F> void choose(F f) const {
    if (power_of_two && negative) return f([this](V x) { return rounded_down<true, true>(x); });
    if (power_of_two) return f([this](V x) { return rounded_down<true, false>(x); });
    if (negative) return f([this](V x) { return rounded_down<false, true>(x); });
    f([this](V x) { return rounded_down<false, false>(x); });
  }
  /// By what `choose` gave.
  template <class Q> LAZULITE_INLINE Vec<T> quotient(Vec<T> x, Q q) const {
    if constexpr (bytes) return both(x, q);
    else return q(x);
  }
  template <class Q> LAZULITE_INLINE Vec<T> rest(Vec<T> x, Q q) const {
    const V d = negative ? V(Lane(-size)) : V(Lane(size));
    const auto left = [&](V y) { return y - q(y) * d; };
    if constexpr (bytes) return both(x, left);
    else return left(x);
  }

 private:
  U size = 0, factor = 0;
  int shift = 0;   // 2^(shift - 1) < size <= 2^shift
  bool negative, power_of_two = false;

  template <class A> LAZULITE_INLINE static Vec<A> shifted(Vec<A> x, int by) {
    return Vec<A>::from(x.v >> A(by));
  }
  template <bool shifts> LAZULITE_INLINE V by_size(V x) const {
    if constexpr (shifts) {
      return shifted(x, shift);
    } else {
      const Vec<U> m(factor);
      if constexpr (with_sign) {
        // Of a negative one ~(~x / size): the complement turns the floor.
        const V sign = shifted(x, bits - 1);
        const Vec<U> n = bit_cast<U>(x ^ sign);
        return bit_cast<Lane>(shifted(upper_product(n, m), shift - 1)) ^ sign;
      } else if constexpr (bytes) {
        return shifted(upper_product(x, m), shift - 1);
      } else {
        const V t = upper_product(x, m);
        return shifted(t + shifted(x - t, 1), shift - 1);
      }
    }
  }
  template <bool shifts, bool negate> LAZULITE_INLINE V rounded_down(V x) const {
    const V q = by_size<shifts>(x);
    if constexpr (negate && with_sign) {
      const auto whole = mask_bits<Lane>(x != q * V(Lane(size)));
      return whole - q;
    } else {
      return q;
    }
  }
  template <class F> LAZULITE_INLINE static Vec<T> both(Vec<T> x, F f) {
    const V pairs = bit_cast<Lane>(x);
    const V odd = f(shifted(pairs, 8));
    const V even = f(with_sign ? shifted(V::from(pairs.v << 8), 8) : pairs & V(Lane(0xff)));
    return bit_cast<T>((even & V(Lane(0xff))) | V::from(odd.v << 8));
  }
};

}  // namespace
}  // namespace lazulite::simd
