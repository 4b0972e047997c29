// Special functions on vectors of floats and doubles: the same bits at every level, as math.h. The
// rare ones are computed at twice the precision of their results (twin.h), so that zeros and poles
// need no care but where a result is the difference of far larger terms.
//
//   erf (of floats)   gammaln digamma zeta i0 i1   erf_rest (erfc) ndtr logit entr xlogy
//   ldexp frexp_mantissa frexp_exponent nextafter signbit gcd lcm
#pragma once

#include "simd/twin.h"

namespace lazulite::simd {
namespace {

// ---- the error function of floats

/// erf(i * step + r) of floats by powers of r, |r| <= step / 2: row k has the coefficients of r^k
/// for each i. Of i = 0 it is what erf(r) is beside r. The step is one at whose multiples erf is
/// nearly a float. The polynomials are fitted to relative errors (least squares at Chebyshev's
/// points).
constexpr float erf_step = 0x1.0d5d8ep-2f;
alignas(64) constexpr float erf_parts[6][16] = {
    {0, 0.290116072f, 0.543138027f, 0.735593259f, 0.863261759f, 0.937122941f, 0.974389791f,
     0.990787983f, 0.997080564f, 0.999186337f, 0.999800861f, 0.999957263f, 0.999991953f,
     0.999998689f, 0.999999821f, 1},
    {0.128379166f, 1.05293965f, 0.85555619f, 0.605327368f, 0.372931302f, 0.200061753f,
     0.0934535936f, 0.0380123481f, 0.013463255f, 0.00415214244f, 0.00111504202f, 0.000260739704f,
     5.30908983e-05f, 9.41304552e-06f, 1.45324123e-06f, 1.9536327e-07f},
    {0, -0.276972681f, -0.450105458f, -0.477695227f, -0.392402858f, -0.263136327f, -0.1475012f,
     -0.0699953288f, -0.0283321161f, -0.0098296646f, -0.00293285027f, -0.000754327571f,
     -0.000167535341f, -3.21738698e-05f, -5.34805304e-06f, -7.70078941e-07f},
    {-0.376121879f, -0.302442789f, -0.127337068f, 0.0495335683f, 0.150946185f, 0.16403985f,
     0.124050535f, 0.0732544437f, 0.0352614745f, 0.0141308606f, 0.00477193668f, 0.00136836106f,
     0.00033491457f, 7.022512e-05f, 1.26490058e-05f, 1.96121005e-06f},
    {0, 0.131095707f, 0.182348222f, 0.139157161f, 0.051620122f, -0.0196273346f, -0.0483306088f,
     -0.0439818874f, -0.0276943017f, -0.0135258678f, -0.00535268057f, -0.00175449997f,
     -0.000482495147f, -0.000112249101f, -2.22174658e-05f, -3.75675222e-06f},
    {0.112142481f, 0.0782122016f, 0.000733504363f, -0.0581648834f, -0.0665693805f, -0.0386349186f,
     -0.00664745644f, 0.0103513179f, 0.0126395011f, 0.0085007865f, 0.00416448107f, 0.00160538661f,
     0.000503802963f, 0.000131106368f, 2.86160885e-05f, 5.27867405e-06f}};

/// table[i % 16] of each lane.
LAZULITE_INLINE Vec<float> of_sixteen(const float (&table)[16], Vec<int32_t> i) {
  using V = Vec<float>;
#if defined(LAZULITE_SIMD_AVX512)
  return V::from((V::raw)_mm512_maskz_permutexvar_ps(every16, (__m512i)i.v, _mm512_load_ps(table)));
#elif defined(LAZULITE_SIMD_AVX2)
  const __m256 low = _mm256_permutevar8x32_ps(_mm256_load_ps(table), (__m256i)i.v),
               high = _mm256_permutevar8x32_ps(_mm256_load_ps(table + 8), (__m256i)i.v);
  return V::from((V::raw)_mm256_blendv_ps(low, high, (__m256)_mm256_slli_epi32((__m256i)i.v, 28)));
#else
  float found[V::size];
  for (int l = 0; l < V::size; ++l) found[l] = table[i[l] & 15];
  return V::load(found);
#endif
}

/// Of floats: one polynomial of 16. Of doubles it is in math.h. 1.4 ulp.
LAZULITE_INLINE Vec<float> erf(Vec<float> x) {
  using V = Vec<float>;
  const V a = min(V(4), abs(x));  // a nan passes, here and below
  const V magic(12582912.0f);     // 1.5 * 2^23: rounds to an integer, whose low bits are i
  const V t = fma(a, V(1 / erf_step), magic), back = magic - t, r = fma(back, V(erf_step), a);
  const auto i = bit_cast<int32_t>(t);
  V q = of_sixteen(erf_parts[5], i);
  for (int k = 4; k > 0; --k) q = fma(q, r, of_sixteen(erf_parts[k], i));
  const V first = select(back == V(0), a, of_sixteen(erf_parts[0], i));
  return copysign(fma(q, r, first), x);
}

/// Next to a root the Taylor series about it: what is near takes that instead of y.
template <class N, int n> LAZULITE_INLINE N near_roots(const Root (&roots)[n], D x, N y) {
  constexpr double part = is_twin<N> ? 0x1p-18 : 0x1p-8;
  for (const Root& root : roots) {
    const D from = x - D(root.hi);
    const auto near = abs(from) < D(root.reach * part);
    if (!any(near)) continue;
    N t = sum_of<N>(from, D(-root.lo));
    y = select(near, t * series<N>(root.slope, t, 5, 1), y);
  }
  return y;
}

/// How far arguments are moved up, and the terms of the asymptotic series there.
template <class N> constexpr int steps_up = is_twin<N> ? 16 : 8;
template <class N> constexpr int asymptotic_terms = is_twin<N> ? 19 : 8;

/// log Gamma(a) of a > 0.
template <class N> LAZULITE_INLINE N gammaln_positive(D a) {
  constexpr int steps = steps_up<N>;
  const auto low = a < D(steps);
  N z = N(a), logs = N(D(0));
  if (any(low)) {
    const D b = select(low, a, D(1));
    N product = N(b);
    for (int k = 1; k < steps; ++k) product = product * sum_of<N>(b, D(k));
    logs = select(low, log_of<N>(product), logs);
    z = select(low, sum_of<N>(b, D(steps)), z);
  }
  const N inverse = N(D(1)) / z;
  const N l = log_of<N>(z) - D(1);
  const N main = (z - D(0.5)) * l + number<N>({0x1.acfe390c97d69p-2, 0x1.3494bc9001442p-56});
  return main + inverse * series<N>(gammaln_series, inverse * inverse, asymptotic_terms<N>, 8) -
         logs;
}
template <class N> [[gnu::noinline]] inline D gammaln_of(D x) {
  const D a = abs(x);
  const auto tiny = a < D(1e-20), left = x < D(0), huge = ~(a < D(2.6e305));
  const D c = select(tiny | huge, D(3), a);
  N y = gammaln_positive<N>(c);
  const auto reflect = left & ~tiny;
  if (any(reflect)) {
    const N s = turned<N>(select(reflect, c, D(0.5))).sin;
    N size = select(head(s) < D(0), -s, s) * c;
    const auto pole = head(size) == D(0);
    size = select(pole, N(D(1)), size);
    N r = number<N>({0x1.250d048e7a1bdp+0, 0x1.7abf2ad8d5088p-57}) - log_of<N>(size) - y;
    r = select(pole, N(infinity<D>()), r);
    y = select(reflect, r, y);
  }
  y = near_roots(gammaln_roots, x, y);
  D out = rounded(y) + D(0);  // no minus on a zero
  if (any(tiny | huge)) {
    const D small = -log(select(a == D(0), D(1), select(tiny, a, D(1))));
    out = select(tiny, select(a == D(0), infinity<D>(), small), out);
    out = select(huge, select(is_nan(x), x, infinity<D>()), out);
  }
  return out;
}
/// log |Gamma(x)|. 0.5, 1.1 ulp.
template <FloatVec V> LAZULITE_INLINE V gammaln(V x) {
  return twice([]<class N>(D a) { return gammaln_of<N>(a); }, x);
}

/// The derivative of that at z > 0, given as N.
template <class N> LAZULITE_INLINE N digamma_positive(N z) {
  constexpr int steps = steps_up<N>;
  const auto low = head(z) < D(steps);
  N sum = N(D(0));
  if (any(low)) {
    const N b = select(low, z, N(D(1)));
    for (int k = steps - 1; k >= 0; --k) sum = sum + N(D(1)) / (b + D(k));
    sum = select(low, sum, N(D(0)));
    z = select(low, b + D(steps), z);
  }
  const N inverse = N(D(1)) / z, square = inverse * inverse;
  const N tail = inverse * D(0.5) + square * series<N>(digamma_series, square,
                                                       asymptotic_terms<N>, 8);
  return log_of<N>(z) - tail - sum;
}
template <class N> [[gnu::noinline]] inline D digamma_of(D x) {
  const auto left = x < D(0), tiny = abs(x) < D(1e-290), huge = ~(abs(x) < D(1e300));
  const D a = select(tiny | huge, D(3), abs(x));
  N y = digamma_positive<N>(select(left, sum_of<N>(a, D(1)), N(a)));
  if (any(left)) {
    const Turned<N> t = turned<N>(select(left, a, D(0.25)));
    const auto pole = head(t.sin) == D(0);
    const N cot = t.cos / select(pole, N(D(1)), t.sin);
    N r = y + cot * number<N>({0x1.921fb54442d18p+1, 0x1.1a62633145c07p-53});
    y = select(left, select(pole, N(quiet_nan<D>()), r), y);
  }
  y = near_roots(digamma_roots, x, y);
  D out = rounded(y);
  out = select(tiny, D(-1) / x, out);
  return select(huge, select(x > D(0), select(x < infinity<D>(), log(x), x), quiet_nan<D>()), out);
}
/// 0.5, 0.8 ulp.
template <FloatVec V> LAZULITE_INLINE V digamma(V x) {
  return twice([]<class N>(D a) { return digamma_of<N>(a); }, x);
}

/// The sum of (q + k)^-s over k, q > 0 and s > 1, or its derivative by s: terms one by one, then
/// Euler and Maclaurin's.
template <class N, bool slope> LAZULITE_INLINE N zeta_positive(D s, D q) {
  constexpr int steps = steps_up<N>, terms = is_twin<N> ? 17 : 8;
  const N minus = N(-s);
  N sum = N(D(0));
  for (int k = 0; k < steps; ++k) {
    const N l = log_of<N>(sum_of<N>(q, D(k)));
    N term = exp_of(l * minus);
    if constexpr (slope) term = -(term * l);
    sum = sum + term;
  }
  const N z = sum_of<N>(q, D(steps)), l = log_of<N>(z);
  const N power = exp_of(l * minus);
  const N inverse = N(D(1)) / z, square = inverse * inverse;
  // Where s is far above q nothing of the rest counts; its terms would overflow.
  const auto none = s > D(40) * head(z);
  const D c = select(none, D(2), s);
  const N above = z / sum_of<N>(c, D(-1));
  N rest = above + D(0.5), turned = -(above / sum_of<N>(c, D(-1)));
  N factor = inverse * N(c), change = inverse;
  for (int j = 0; j < terms; ++j) {
    const N b = number<N>(zeta_series[j]);
    rest = rest + factor * b;
    const N first = sum_of<N>(c, D(2 * j + 1)), second = sum_of<N>(c, D(2 * j + 2));
    if constexpr (slope) {
      turned = turned + change * b;
      change = (change * first * second + factor * (first + second)) * square;
    }
    factor = factor * first * second * square;
  }
  if constexpr (slope) rest = turned - rest * l;
  return select(none, sum, sum + power * rest);
}
/// What both are where s or q ends.
LAZULITE_INLINE D zeta_ends(D s, D q) {
  const auto bad = is_nan(s) | is_nan(q) | (s < D(1)) | ((q < D(0)) & (q != floor(q))) |
                   (q == -infinity<D>());
  D y = select((q == floor(q)) & (q <= D(0)), infinity<D>(), D(0));  // 0: q or s is infinite
  const D first = select(q < D(1), infinity<D>(), select(q == D(1), D(1), D(0)));
  y = select((s == infinity<D>()) & (q > D(0)), first, y);
  y = select(s == D(1), infinity<D>(), y);
  return select(bad, quiet_nan<D>(), y);
}
constexpr double log_most = 0x1.62e42fefa39efp+9;  // of the largest double
template <class N> [[gnu::noinline]] inline D zeta_of(D s, D q) {
  const auto known = (s > D(1)) & (q > D(0)) & (s < infinity<D>()) & (q < infinity<D>());
  const D a = select(known, s, D(2)), b = select(known, q, D(1));
  const N y = zeta_positive<N, false>(a, b);
  D out = select(-a * log(b) > D(log_most), infinity<D>(), rounded(y));
  const auto left = (q < D(0)) & (s > D(1)) & (s == floor(s)) & (q != floor(q)) &
                    (s < infinity<D>()) & (q > -infinity<D>());
  if (any(left)) {
    // Below 0, for integral s: the terms there are those of 1 - q above it, but for the first few,
    // with the sign of (-1)^s.
    const D n = select(left, s, D(2)), x = select(left, q, D(-0.5));
    const D up = x - floor(x), down = floor(x) + D(1) - x;
    const N above = zeta_positive<N, false>(n, up);
    const N below = zeta_positive<N, false>(n, down) - zeta_positive<N, false>(n, D(1) - x);
    const auto odd = n * D(0.5) != floor(n * D(0.5));
    const D r = rounded(above + select(odd, -below, below));
    const auto over = -n * log(min(up, down)) > D(log_most);
    const D end = select(odd & (down < up), -infinity<D>(), infinity<D>());
    out = select(left, select(over, end, r), out);
  }
  return select(known | left, out, zeta_ends(s, q));
}
/// The derivative by s, for q > 0.
template <class N> [[gnu::noinline]] inline D zeta_slope_of(D s, D q) {
  const auto known = (s > D(1)) & (q > D(0)) & (s < infinity<D>()) & (q < infinity<D>());
  const D a = select(known, s, D(2)), b = select(known, q, D(1));
  return select(known, rounded(zeta_positive<N, true>(a, b)), quiet_nan<D>());
}
/// Hurwitz's zeta function. 0.6, 0.6 ulp.
template <FloatVec V> LAZULITE_INLINE V zeta(V s, V q) {
  return twice([]<class N>(D a, D b) { return zeta_of<N>(a, b); }, s, q);
}

template <FloatVec V> LAZULITE_INLINE V zeta_slope(V s, V q) {
  return twice([]<class N>(D a, D b) { return zeta_slope_of<N>(a, b); }, s, q);
}

/// The modified Bessel functions: a series below, an asymptotic one above.
template <class N, int order> [[gnu::noinline]] inline D bessel_i(D x) {
  constexpr double split = is_twin<N> ? 40 : 16;
  const D a = abs(x), c = min(D(720), a);  // a nan passes
  const auto far = c > D(split);
  N y = N(D(0));
  if (!all(far)) {
    const D b = min(D(split), c);
    const N z = product_of<N>(b * D(0.5), b * D(0.5));
    y = series<N>(order ? i1_series : i0_series, z, is_twin<N> ? 70 : 30, 64);
    if (order) y = y * (b * D(0.5));
  }
  if (any(far)) {
    const D b = max(D(split), c);
    const N u = N(D(1)) / N(b);
    // e^8 is kept back, so that e^x does not overflow before the result.
    N root = N(sqrt(head(u)));
    if constexpr (is_twin<N>) {
      const Twin lost = u - root * root;
      root = root + lost.hi / (D(2) * root.hi);
    }
    const N low = series<N>(order ? i1_far : i0_far, u, is_twin<N> ? 26 : 16, 16) * root *
                  number<N>({0x1.294ebb38dccbcp+10, 0x1.b1e7e6e8b8f1p-44});
    y = select(far, low * exp_of(sum_of<N>(b, D(-8))), y);
  }
  D out = rounded(y);
  out = select(is_nan(a), x, select(c < D(719), out, infinity<D>()));
  if (order) out = copysign(select(a < D(1e-150), a * D(0.5), out), x);
  return out;
}
/// 0.6, 0.6 ulp.
template <FloatVec V> LAZULITE_INLINE V i0(V x) {
  return twice([]<class N>(D a) { return bessel_i<N, 0>(a); }, x);
}
/// 0.6, 0.6 ulp.
template <FloatVec V> LAZULITE_INLINE V i1(V x) {
  return twice([]<class N>(D a) { return bessel_i<N, 1>(a); }, x);
}

/// erfc(c + c_low) of c >= 0 and s, its square in two parts, from which the far end takes its
/// precision.
template <class V> LAZULITE_INLINE V gauss_tail(V c, V c_low, Two<V> s) {
  const V centre = pick<V>(2, 3.75);
  const V t = (c - centre) / (c + centre), top = erfcx_scaled(t);
  const Two<V> bottom = two_sum(V(2) * c, V(1));
  // The quotient e^s erfc and the exponential keep what their rounding takes.
  const V q = top / bottom.hi;
  V q_low = fma(-q, bottom.lo, fma(-q, bottom.hi, top)) / bottom.hi;
  q_low = fma(c_low, fma(V(2) * c, q, K<V>(-1.1283791670955125739)), q_low);
  const ExpParts<V> p = exp_parts(-s.hi);
  const Two<V> e = fast_sum(V(1), p.r);
  const V e_low = fma(-s.lo, p.e, e.lo + p.tail);
  const V high = q * e.hi, low = fma(q, e.hi, -high) + fma(q, e_low, q_low * e.hi);
  return scale2(high + low, small_int(p.n));
}
/// erfc(x). 2.6, 2.8 ulp.
template <FloatVec V> LAZULITE_INLINE V erf_rest(V x) {
  const V c = min(pick<V>(10.3, 28), abs(x));
  const V y = gauss_tail(c, V(0), two_product(c, c));
  const V near = V(1) - fma(erf_small(x * x), x, x);
  const V far = select(x < V(0), V(2) - y, y);
  return select(is_nan(x), x, select(abs(x) < V(0.5), near, far));
}
/// The normal distribution's share below x: erfc(-x / sqrt(2)) / 2, with x^2 / 2 exact. 2.1, 2.4
/// ulp.
template <FloatVec V> LAZULITE_INLINE V ndtr(V x) {
  const V root = K<V>(0.70710678118654752440);
  const V a = min(pick<V>(15, 40), abs(x)), c = root * a;
  const V c_low = fma(root, a, -c) + pick<V>(0x1.9fcef4p-27, -0x1.bdd3413b26456p-55) * a;
  const Two<V> s = two_product(a, a);
  const V y = V(0.5) * gauss_tail(c, c_low, Two<V>{s.hi * V(0.5), s.lo * V(0.5)});
  const V r = root * x;
  const V near = fma(V(0.5), fma(erf_small(r * r), r, r), V(0.5));
  return select(is_nan(x), x, select(abs(r) < V(0.5), near, select(x < V(0), y, V(1) - y)));
}
/// log(x / (1 - x)); next to its zero at 1/2 as arctanh. 1.3, 1.3 ulp.
template <FloatVec V> LAZULITE_INLINE V logit(V x) {
  const auto middle = abs(x - V(0.5)) < V(0.25);
  const V near = V(2) * arctanh(select(middle, x + x - V(1), V(0)));
  return select(middle, near, log(x / (V(1) - x)));
}
/// -x log x; 0 at 0, -inf below it. 1.5, 1.5 ulp.
template <FloatVec V> LAZULITE_INLINE V entr(V x) {
  const V y = -(x * log(x));
  return select(x == V(0), V(0), select(x < V(0), -infinity<V>(), y));
}
/// x log y; 0 at x = 0 but beside a nan.
template <FloatVec V> LAZULITE_INLINE V xlogy(V x, V y) {
  return select((x == V(0)) & ~is_nan(y), V(0), x * log(y));
}

// In any part; in all parts.
template <class V> LAZULITE_INLINE auto holds_infinity(V x) {
  if constexpr (is_complex<V>::value) return holds_infinity(x.re) | holds_infinity(x.im);
  else return abs(x) == infinity<V>();
}
template <class V> LAZULITE_INLINE auto holds_numbers(V x) {
  if constexpr (is_complex<V>::value) return holds_numbers(x.re) & holds_numbers(x.im);
  else return abs(x) < infinity<V>();
}

// ---- steps and parts of floats -----------------------------------------------------------------

/// x = y 2^n, 1 <= |y| < 2 and n integral; 0, inf and nan as they are, with n = -1.
template <class V> struct FloatParts {
  V y, n;
};
template <class V> LAZULITE_INLINE FloatParts<V> float_parts(V x) {
  using T = typename V::scalar;
  using U = UintOf<V>;
  using L = typename U::scalar;
  constexpr int bits = fraction_bits<T>;
  const auto none = (x == V(0)) | ~(abs(x) < infinity<V>());
  const auto tiny = abs(x) < pick<V>(0x1p-126, 0x1p-1022);
  const V scaled = select(tiny, x * pick<V>(0x1p24, 0x1p54), x);
  const U u = bit_cast<L>(scaled), fraction = U((L(1) << bits) - 1);
  const U one = bit_cast<L>(V(1)), sign = U(L(1) << (sizeof(T) * 8 - 1));
  const V y = bit_cast<T>((u & (fraction | sign)) | one);
  const IntOf<V> e = bit_cast<int_like<T>>(U::from((u & ~sign).v >> bits));
  const V n = small_float<V>(e) - K<V>(exponent_bias<T>) -
              select(tiny, pick<V>(24, 54), V(0));
  return {select(none, x, y), select(none, V(-1), n)};
}
/// x = m 2^e, 0.5 <= |m| < 1.
template <FloatVec V> LAZULITE_INLINE V frexp_mantissa(V x) {
  const auto none = (x == V(0)) | ~(abs(x) < infinity<V>());
#if defined(LAZULITE_SIMD_AVX512)
  constexpr auto half = _MM_MANT_NORM_p5_1;
  constexpr auto sign = _MM_MANT_SIGN_src;
  if constexpr (std::is_same_v<V, Vec<float>>)
    return select(none, x, V::from(_mm512_maskz_getmant_ps(every16, x.v, half, sign)));
  if constexpr (std::is_same_v<V, Vec<double>>)
    return select(none, x, V::from(_mm512_maskz_getmant_pd(every8, x.v, half, sign)));
#endif
  const V y = float_parts(x).y;
  return select(none, x, y * V(0.5));
}
template <FloatVec V> LAZULITE_INLINE V frexp_exponent(V x) {
#if defined(LAZULITE_SIMD_AVX512)
  const auto none = (x == V(0)) | ~(abs(x) < infinity<V>());
  if constexpr (std::is_same_v<V, Vec<float>>)
    return select(none, V(0), V::from(_mm512_maskz_getexp_ps(every16, x.v)) + V(1));
  if constexpr (std::is_same_v<V, Vec<double>>)
    return select(none, V(0), V::from(_mm512_maskz_getexp_pd(every8, x.v)) + V(1));
#endif
  return float_parts(x).n + V(1);
}
/// x 2^n of an integral n, rounded once.
template <FloatVec V> LAZULITE_INLINE V ldexp(V x, V n) {
  const V far = pick<V>(600, 4400);
#if defined(LAZULITE_SIMD_AVX512)  // the instruction rounds once, too
  const V bounded = min(far, max(-far, n));
  if constexpr (std::is_same_v<V, Vec<float>>)
    return V::from(_mm512_maskz_scalef_ps(every16, x.v, bounded.v));
  if constexpr (std::is_same_v<V, Vec<double>>)
    return V::from(_mm512_maskz_scalef_pd(every8, x.v, bounded.v));
#endif
  const FloatParts<V> p = float_parts(x);
  const V all = min(far, max(-far, p.n + min(far, max(-far, n))));
  // A normal number by two steps, of which the second rounds; past both ends inf and 0.
  const V most = pick<V>(250, 2040);
  const V first = scale2(p.y, small_int(min(most, max(-most, all))));
  const V y = first * select(all < -most, V(0), V(1));
  const auto none = (x == V(0)) | ~(abs(x) < infinity<V>());
  return select(is_nan(n), n, select(none, x, y));
}

/// The number next to a on the way to b, `step` of its bits and, below `normal`, `spacing` away.
template <class V> LAZULITE_INLINE V neighbour(V a, V b, typename UintOf<V>::scalar step) {
  using T = typename V::scalar;
  using U = UintOf<V>;
  const U u = bit_cast<typename U::scalar>(a);
  const auto outward = (a < b) ^ (a < V(0));
  V y = bit_cast<T>(select(outward, u + U(step), u - U(step)));
  y = select(a == V(0), copysign(bit_cast<T>(U(step)), b), y);
  return select(is_nan(a) | is_nan(b), a + b, select(a == b, b, y));
}
template <FloatVec V> LAZULITE_INLINE V nextafter(V a, V b) { return neighbour(a, b, 1); }
/// Of halves, which are floats here.
template <Half h> LAZULITE_INLINE Vec<float> next_half(Vec<float> a, Vec<float> b) {
  using V = Vec<float>;
  V y = neighbour(a, b, h == Half::bf16 ? 0x10000 : 0x2000);
  if constexpr (h == Half::f16) {
    const V size = abs(a);
    const auto outward = (a < b) ^ (a < V(0));
    const V step = copysign(V(0x1p-24f), b - a);
    const auto small = (size < V(0x1p-14f)) | ((size == V(0x1p-14f)) & ~outward);
    const auto moves = (a != b) & ~is_nan(b);
    const V beside = copysign(a + step, select(a == V(0), b, a));
    y = select(small & moves, beside, y);
    y = select((size == infinity<V>()) & moves, copysign(V(65504.0f), a), y);
  }
  return y;
}

/// True where the sign bit is set.
template <FloatVec V> LAZULITE_INLINE auto signbit(V a) {
  return bit_cast<int_like<typename V::scalar>>(a) < IntOf<V>(0);
}
template <IntegerVec V> LAZULITE_INLINE auto signbit(V a) { return a < V(0); }

/// Without a sign; of 0 and a number that number.
template <IntegerVec V> LAZULITE_INLINE V gcd(V a, V b) {
  using U = UintOf<V>;
  using T = typename V::scalar;
  using L = typename U::scalar;
  const U r = U::map(
      [](L x, L y) {
        while (y != 0) {
          const L rest = L(x % y);
          x = y;
          y = rest;
        }
        return x;
      },
      bit_cast<L>(abs(a)), bit_cast<L>(abs(b)));
  return bit_cast<T>(r);
}
/// 0 where either is 0; wraps.
template <IntegerVec V> LAZULITE_INLINE V lcm(V a, V b) {
  using U = UintOf<V>;
  using L = typename U::scalar;
  const U x = bit_cast<L>(abs(a)), g = bit_cast<L>(gcd(a, b));
  return bit_cast<typename V::scalar>(x / g * bit_cast<L>(abs(b)));
}

}  // namespace
}  // namespace lazulite::simd
