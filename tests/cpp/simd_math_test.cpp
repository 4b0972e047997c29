// Accuracy of cpp/simd at the instruction-set level that this file is compiled for. Built once per
// level; each prints one hash of bits per function, and the hashes must be equal between levels.

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <cstdio>
#include <limits>
#include <vector>

#include "simd/special.h"

namespace {

namespace simd = lazulite::simd;
using simd::Cx;
using simd::Pair;
using simd::Vec;
using real = long double;
using complex = std::complex<real>;

constexpr int64_t count = 1 << 14;   // samples per range; a multiple of every register

/// A generator whose sequence is fixed here, not by the library.
struct Random {
  uint64_t state = 0x9e3779b97f4a7c15u;
  uint64_t bits() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
  }
  double unit() { return double(bits() >> 11) * 0x1p-53; }
};

template <class T> T from_bits(uint64_t u) {
  T x;
  std::memcpy(&x, &u, sizeof x);
  return x;
}
template <class T> uint64_t to_bits(T x) {
  if (std::isnan(x)) return 0x7ff8u;   // payloads are not promised
  uint64_t u = 0;
  std::memcpy(&u, &x, sizeof x);
  return u;
}

/// |got - want| in units of the last place of T at want; huge for a special value that is missed.
template <class T> double ulps(T got, real want) {
  T rounded = T(want);
  if (std::isnan(rounded)) return std::isnan(got) ? 0 : 1e30;
  if (std::isinf(rounded) || std::isinf(got)) {
    // Next to the overflow threshold either answer is within a unit.
    T top = std::numeric_limits<T>::max();
    return rounded == got || (std::abs(got) == top && std::signbit(got) == std::signbit(rounded)) ||
                   (std::isinf(got) && std::abs(want) > real(top) * (1 - 4e-7L))
               ? 0
               : 1e30;
  }
  if (want == 0) return got == 0 ? 0 : 1e30;
  int e = std::max(std::ilogb(want), std::numeric_limits<T>::min_exponent - 1);
  return double(std::abs(real(got) - want) /
                std::ldexp(real(1), e - std::numeric_limits<T>::digits + 1));
}

void hash_in(uint64_t& h, uint64_t u) { h = (h ^ u) * 0x100000001b3u; }
void print_hash(const char* type, const char* name, double worst, uint64_t h) {
  std::printf("bits %-4s %-10s %016llx  worst %.2f ulp\n", type, name,
              static_cast<unsigned long long>(h), worst);
}

/// A range: uniform between lo and hi, or (spread) uniform in the exponent, of both signs.
struct Range {
  double lo, hi;
  bool spread = false;
};

template <class T> std::vector<T> samples(Range r, Random& random) {
  std::vector<T> x(count);
  for (T& v : x) {
    if (r.spread) {
      double e = std::log2(r.lo) + (std::log2(r.hi) - std::log2(r.lo)) * random.unit();
      v = T(std::exp2(e)) * T(random.bits() & 1 ? 1 : -1);
    } else {
      v = T(r.lo + (r.hi - r.lo) * random.unit());
    }
  }
  return x;
}

template <class T> std::vector<T> specials() {
  using L = std::numeric_limits<T>;
  std::vector<T> x;
  for (T v : {T(0), L::denorm_min(), L::min(), L::min() * T(0.75), T(1e-10), T(0.25), T(0.5),
              std::nextafter(T(1), T(0)), T(1), std::nextafter(T(1), T(2)), T(1.5), T(2), T(3),
              T(3.1415927), T(1e5), T(65536), T(1e10), T(1e30), L::max(), L::infinity()}) {
    x.push_back(v);
    x.push_back(-v);
  }
  x.push_back(L::quiet_NaN());
  while (x.size() % 64) x.push_back(T(1));
  return x;
}

template <class T, class F, class R>
void check_unary(const char* name, F f, R reference, std::vector<Range> ranges, double limit) {
  using V = Vec<T>;
  Random random;
  double worst = 0;
  T where = 0;
  uint64_t h = 0xcbf29ce484222325u;
  auto run = [&](const std::vector<T>& x) {
    for (size_t i = 0; i < x.size(); i += V::size) {
      V y = f(V::load(&x[i]));
      for (int j = 0; j < V::size; ++j) {
        real want = reference(real(x[i + j]));
        double e = ulps<T>(y[j], want);
        if (want == 0 && std::signbit(want) != std::signbit(y[j])) e = 1e29;
        hash_in(h, to_bits(y[j]));
        if (e > worst) worst = e, where = x[i + j];
      }
    }
  };
  for (Range r : ranges) run(samples<T>(r, random));
  run(specials<T>());
  std::vector<T> any(count);   // every exponent, every sign
  for (T& v : any) v = from_bits<T>(random.bits() >> (64 - 8 * sizeof(T)));
  run(any);
  print_hash(sizeof(T) == 4 ? "f32" : "f64", name, worst, h);
  EXPECT_LE(worst, limit) << name << " at " << where;
}

template <class T, class F, class R>
void check_binary(const char* name, F f, R reference, Range a, Range b, double limit) {
  using V = Vec<T>;
  Random random;
  double worst = 0;
  T where[2] = {};
  uint64_t h = 0xcbf29ce484222325u;
  auto run = [&](const std::vector<T>& x, const std::vector<T>& y) {
    for (size_t i = 0; i < x.size(); i += V::size) {
      V z = f(V::load(&x[i]), V::load(&y[i]));
      for (int j = 0; j < V::size; ++j) {
        real want = reference(real(x[i + j]), real(y[i + j]));
        double e = ulps<T>(z[j], want);
        if (want == 0 && std::signbit(want) != std::signbit(z[j])) e = 1e29;
        hash_in(h, to_bits(z[j]));
        if (e > worst) worst = e, where[0] = x[i + j], where[1] = y[i + j];
      }
    }
  };
  std::vector<T> first = samples<T>(a, random), second = samples<T>(b, random);
  run(first, second);
  std::vector<T> s = specials<T>();
  for (T v : s) run(s, std::vector<T>(s.size(), v));
  std::vector<T> x(count), y(count);
  for (T& v : x) v = from_bits<T>(random.bits() >> (64 - 8 * sizeof(T)));
  for (T& v : y) v = from_bits<T>(random.bits() >> (64 - 8 * sizeof(T)));
  run(x, y);
  print_hash(sizeof(T) == 4 ? "f32" : "f64", name, worst, h);
  EXPECT_LE(worst, limit) << name << " at " << where[0] << ", " << where[1];
}

template <class F, class R>
void unary(const char* name, F f, R reference, std::vector<Range> ranges, double f32, double f64) {
  check_unary<float>(name, f, reference, ranges, f32);
  check_unary<double>(name, f, reference, ranges, f64);
}
template <class F, class R>
void binary(const char* name, F f, R reference, Range a, Range b, double f32, double f64) {
  check_binary<float>(name, f, reference, a, b, f32);
  check_binary<double>(name, f, reference, a, b, f64);
}

const Range small{1e-6, 1, true}, wide{1e-30, 1e30, true}, unit{-1, 1}, tens{-10, 10};
const Range hundreds{-100, 100}, positive{0, 100}, near_one{0.5, 2};

TEST(SimdMath, exponentials_are_within_two_ulp) {
  auto ends = Range{-760, 760};
  unary("exp", [](auto x) { return simd::exp(x); }, [](real x) { return std::exp(x); },
        {small, unit, hundreds, ends}, 2, 2);
  unary("exp2", [](auto x) { return simd::exp2(x); }, [](real x) { return std::exp2(x); },
        {small, unit, hundreds, Range{-1080, 1030}}, 2, 2);
  unary("expm1", [](auto x) { return simd::expm1(x); }, [](real x) { return std::expm1(x); },
        {small, unit, hundreds, ends}, 2, 2);
  unary("sigmoid", [](auto x) { return simd::sigmoid(x); },
        [](real x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); },
        {small, unit, hundreds, ends}, 3, 3);
}

TEST(SimdMath, hyperbolic_functions_are_within_three_ulp) {
  unary("sinh", [](auto x) { return simd::sinh(x); }, [](real x) { return std::sinh(x); },
        {small, unit, hundreds}, 3, 3);
  unary("cosh", [](auto x) { return simd::cosh(x); }, [](real x) { return std::cosh(x); },
        {small, unit, hundreds}, 2, 3);
  unary("tanh", [](auto x) { return simd::tanh(x); }, [](real x) { return std::tanh(x); },
        {small, unit, tens}, 3, 3);
  unary("arcsinh", [](auto x) { return simd::arcsinh(x); }, [](real x) { return std::asinh(x); },
        {small, unit, wide}, 4, 4);
  unary("arccosh", [](auto x) { return simd::arccosh(x); }, [](real x) { return std::acosh(x); },
        {Range{1, 1.01}, Range{1, 3}, positive, wide}, 4, 4);
  unary("arctanh", [](auto x) { return simd::arctanh(x); }, [](real x) { return std::atanh(x); },
        {small, unit, Range{0.99, 1}}, 4, 4);
}

TEST(SimdMath, logarithms_are_within_two_ulp) {
  unary("log", [](auto x) { return simd::log(x); }, [](real x) { return std::log(x); },
        {near_one, positive, wide}, 2, 2);
  unary("log2", [](auto x) { return simd::log2(x); }, [](real x) { return std::log2(x); },
        {near_one, positive, wide}, 2, 2);
  unary("log10", [](auto x) { return simd::log10(x); }, [](real x) { return std::log10(x); },
        {near_one, positive, wide}, 2, 2);
  unary("log1p", [](auto x) { return simd::log1p(x); }, [](real x) { return std::log1p(x); },
        {small, unit, positive, wide}, 2, 2);
  // Between numbers of one sign: elsewhere the sum may cancel, and its error is that of the larger.
  binary("logaddexp", [](auto a, auto b) { return simd::logaddexp(simd::abs(a), simd::abs(b)); },
         [](real a, real b) {
           a = std::abs(a);
           b = std::abs(b);
           if (a == b) return a + std::log(real(2));
           if (std::isnan(a) || std::isnan(b)) return a + b;
           return std::max(a, b) + std::log1p(std::exp(-std::abs(a - b)));
         },
         Range{0, 100}, Range{0, 100}, 2, 2);
}

TEST(SimdMath, powers_are_within_two_ulp) {
  auto f = [](auto a, auto b) { return simd::power(a, b); };
  auto r = [](real a, real b) { return std::pow(a, b); };
  binary("power", f, r, Range{0.01, 100}, tens, 2, 2);
  binary("power_far", f, r, Range{0.9, 1.1}, Range{-900, 900}, 2, 2);
  unary("rsqrt", [](auto x) { return simd::rsqrt(x); }, [](real x) { return 1 / std::sqrt(x); },
        {positive, wide}, 2, 2);
  unary("sqrt", [](auto x) { return simd::sqrt(x); }, [](real x) { return std::sqrt(x); },
        {positive, wide}, 0.501, 0.501);
}

TEST(SimdMath, trigonometry_holds_over_the_full_range) {
  auto turns = Range{-1e5, 1e5};
  unary("sin", [](auto x) { return simd::sin(x); }, [](real x) { return std::sin(x); },
        {small, tens, turns, wide}, 2, 2);
  unary("cos", [](auto x) { return simd::cos(x); }, [](real x) { return std::cos(x); },
        {small, tens, turns, wide}, 2, 2);
  unary("tan", [](auto x) { return simd::tan(x); }, [](real x) { return std::tan(x); },
        {small, tens, turns, wide}, 4, 4);
  unary("arcsin", [](auto x) { return simd::arcsin(x); }, [](real x) { return std::asin(x); },
        {small, unit, Range{0.99, 1}}, 3, 3);
  unary("arccos", [](auto x) { return simd::arccos(x); }, [](real x) { return std::acos(x); },
        {small, unit, Range{0.99, 1}}, 3, 3);
  unary("arctan", [](auto x) { return simd::arctan(x); }, [](real x) { return std::atan(x); },
        {small, tens, wide}, 3, 3);
  binary("arctan2", [](auto y, auto x) { return simd::arctan2(y, x); },
         [](real y, real x) { return std::atan2(y, x); }, tens, tens, 3, 3);
}

/// The inverse of erf by Newton steps, from the far side where that is the exact one.
real inverse_erf(real x) {
  real a = std::abs(x);
  if (!(a <= 1)) return std::numeric_limits<real>::quiet_NaN();
  if (a == 1) return std::copysign(std::numeric_limits<real>::infinity(), x);
  if (a < 1e-8L) return x * 0.88622692545275801364908374167L;
  real w = -std::log((1 - a) * (1 + a)), y = w < 5 ? a : std::sqrt(w);
  for (int i = 0; i < 40; ++i) {
    real error = a < 0.5L ? std::erf(y) - a : (1 - a) - std::erfc(y);
    real step = error / (1.12837916709551257389615890312L * std::exp(-y * y));
    y -= step / (1 + y * step);
  }
  return std::copysign(y, x);
}

TEST(SimdMath, the_error_function_and_its_kin) {
  unary("erf", [](auto x) { return simd::erf(x); }, [](real x) { return std::erf(x); },
        {small, unit, Range{-6, 6}}, 2, 2);
  unary("erfc", [](auto x) { return simd::erfc(x); }, [](real x) { return std::erfc(x); },
        {small, unit, Range{-6, 27}}, 4, 5);
  unary("erfinv", [](auto x) { return simd::erfinv(x); }, inverse_erf,
        {small, unit, Range{0.99, 1}, Range{0.999999, 1}}, 4, 4);
}

TEST(SimdMath, remainders_floor_as_in_python) {
  auto reference = [](real a, real b) -> real {
    real r = std::fmod(a, b);
    if (r == 0) return std::copysign(real(0), b);
    return (r < 0) != (b < 0) ? r + b : r;
  };
  binary("remainder", [](auto a, auto b) { return simd::remainder(a, b); }, reference, hundreds,
         tens, 0.501, 0.501);
}

TEST(SimdMath, rounding_is_exact) {
  unary("rint", [](auto x) { return simd::round(x); }, [](real x) { return std::nearbyint(x); },
        {unit, tens, wide}, 0, 0);
  unary("floor", [](auto x) { return simd::floor(x); }, [](real x) { return std::floor(x); },
        {unit, tens, wide}, 0, 0);
  unary("ceil", [](auto x) { return simd::ceil(x); }, [](real x) { return std::ceil(x); },
        {unit, tens, wide}, 0, 0);
  unary("trunc", [](auto x) { return simd::trunc(x); }, [](real x) { return std::trunc(x); },
        {unit, tens, wide}, 0, 0);
}

TEST(SimdMath, fma_rounds_once) {
  Random random;
  uint64_t h = 0;
  for (int i = 0; i < count; ++i) {
    float a = from_bits<float>(random.bits() >> 32), b = from_bits<float>(random.bits() >> 32);
    float c = i % 2 ? from_bits<float>(random.bits() >> 32)
                    : float(-a * b) * float(1 + (random.unit() - 0.5) * 1e-6);
    Vec<float> got = simd::fma(Vec<float>(a), Vec<float>(b), Vec<float>(c));
    ASSERT_EQ(to_bits(got[1]), to_bits(std::fma(a, b, c))) << a << " " << b << " " << c;
    hash_in(h, to_bits(got[0]));
  }
}

// ---- complex -----------------------------------------------------------------------------------

template <class T, class F, class R>
void check_complex(const char* name, F f, R reference, double limit) {
  using V = Vec<T>;
  Random random;
  double worst = 0;
  Pair<T> where{};
  uint64_t h = 0xcbf29ce484222325u;
  for (int kind = 0; kind < 3; ++kind) {
    for (int i = 0; i < count / 4; i += V::size) {
      Pair<T> x[V::size], y[V::size];
      for (auto& p : x) {
        double size = kind == 0 ? 1 : kind == 1 ? 10 : std::exp2(random.unit() * 40 - 20);
        p = {T(size * (2 * random.unit() - 1)), T(size * (2 * random.unit() - 1))};
      }
      f(Cx<V>::load(x)).store(y);
      for (int j = 0; j < V::size; ++j) {
        hash_in(h, to_bits(y[j].re));
        hash_in(h, to_bits(y[j].im));
        complex want = reference(complex(x[j].re, x[j].im));
        real size = std::abs(want);
        if (!(size < real(std::numeric_limits<T>::max()) / 2)) continue;
        if (size < real(std::numeric_limits<T>::min()) * 1e3L) continue;
        real e = std::abs(complex(y[j].re, y[j].im) - want) / size *
                 std::ldexp(real(1), std::numeric_limits<T>::digits);
        if (!(e <= worst)) worst = double(e), where = x[j];
      }
    }
  }
  print_hash(sizeof(T) == 4 ? "c64" : "c128", name, worst, h);
  EXPECT_LE(worst, limit) << name << " at " << where.re << " + " << where.im << "i";
}
template <class F, class R> void complex_unary(const char* name, F f, R reference, double limit) {
  check_complex<float>(name, f, reference, limit);
  check_complex<double>(name, f, reference, limit);
}

TEST(SimdMath, complex_functions_are_close_in_norm) {
#define CASE(ours, theirs, limit) \
  complex_unary(#ours, [](auto z) { return simd::ours(z); }, \
                [](complex z) { return theirs; }, limit)
  CASE(exp, std::exp(z), 4);
  CASE(expm1, (std::abs(z) < 0.1L ? z * (real(1) + z / real(2) * (real(1) + z / real(3) * (real(1) +
       z / real(4) * (real(1) + z / real(5) * (real(1) + z / real(6) * (real(1) + z / real(7) *
       (real(1) + z / real(8) * (real(1) + z / real(9) * (real(1) + z / real(10) * (real(1) +
       z / real(11) * (real(1) + z / real(12)))))))))))) : std::exp(z) - real(1)), 4);
  CASE(log, std::log(z), 4);
  CASE(log2, std::log(z) / std::log(real(2)), 5);
  CASE(log10, std::log(z) / std::log(real(10)), 5);
  CASE(sqrt, std::sqrt(z), 4);
  CASE(rsqrt, real(1) / std::sqrt(z), 6);
  CASE(reciprocal, real(1) / z, 4);
  CASE(square, z * z, 4);
  CASE(sin, std::sin(z), 5);
  CASE(cos, std::cos(z), 5);
  CASE(tan, std::tan(z), 8);
  CASE(sinh, std::sinh(z), 5);
  CASE(cosh, std::cosh(z), 5);
  CASE(tanh, std::tanh(z), 8);
  CASE(arcsin, std::asin(z), 8);
  CASE(arccos, std::acos(z), 8);
  CASE(arctan, std::atan(z), 8);
  CASE(arcsinh, std::asinh(z), 8);
  CASE(arccosh, std::acosh(z), 8);
  CASE(arctanh, std::atanh(z), 8);
  CASE(sign, z / std::abs(z), 4);
#undef CASE
}

/// True where a part is what C gives there; where C leaves the sign open, of any sign.
template <class T> bool same_part(T got, T want, bool any_sign) {
  if (std::isnan(want) || std::isnan(got)) return std::isnan(want) && std::isnan(got);
  if (any_sign) return std::abs(got) == std::abs(want);
  return std::signbit(got) == std::signbit(want) &&
         (got == want ||
          std::abs(got - want) <= 8 * std::numeric_limits<T>::epsilon() * std::abs(want));
}
template <class T, class F, class R> void check_ends(const char* name, F f, R reference) {
  using V = Vec<T>;
  using L = std::numeric_limits<T>;
  std::vector<T> parts;
  for (T x : {T(0), T(1), T(2.5), T(1e-30), T(1e30), L::infinity()}) {
    parts.push_back(x);
    parts.push_back(-x);
  }
  parts.push_back(L::quiet_NaN());
  for (T re : parts)
    for (T im : parts) {
      // One lane alone, beside usual ones: no lane depends on its neighbours.
      Pair<T> x[V::size], y[V::size];
      for (auto& p : x) p = {T(0.5), T(0.25)};
      x[V::size - 1] = {re, im};
      f(Cx<V>::load(x)).store(y);
      complex want = reference(complex(re, im));
      T a = T(want.real()), b = T(want.imag());
      Pair<T> got = y[V::size - 1];
      // The signs that C leaves open: beside a nan, and of zeros that have no angle.
      bool none = !std::isfinite(re) && !std::isfinite(im);
      EXPECT_TRUE(same_part(got.re, a, std::isnan(b) || (none && a == 0)) &&
                  same_part(got.im, b, std::isnan(a) || (none && b == 0)))
          << name << " at " << re << " + " << im << "i: " << got.re << " + " << got.im << "i, not "
          << a << " + " << b << "i";
      Pair<T> plain[V::size], other[V::size];
      for (auto& p : plain) p = {T(0.5), T(0.25)};
      f(Cx<V>::load(plain)).store(other);
      EXPECT_EQ(to_bits(y[0].re), to_bits(other[0].re)) << name;
      EXPECT_EQ(to_bits(y[0].im), to_bits(other[0].im)) << name;
    }
}

TEST(SimdMath, complex_functions_have_the_values_of_c_at_zeros_infinities_and_nans) {
#define CASE(ours, theirs)                                                            \
  check_ends<float>(                                                                  \
      #ours, [](auto z) { return simd::ours(z); }, [](complex z) { return theirs; }); \
  check_ends<double>(                                                                 \
      #ours, [](auto z) { return simd::ours(z); }, [](complex z) { return theirs; })
  CASE(exp, std::exp(z));
  CASE(log, std::log(z));
  CASE(sqrt, std::sqrt(z));
  CASE(sin, std::sin(z));
  CASE(cos, std::cos(z));
  CASE(tan, std::tan(z));
  CASE(sinh, std::sinh(z));
  CASE(cosh, std::cosh(z));
  CASE(tanh, std::tanh(z));
  CASE(arcsin, std::asin(z));
  CASE(arccos, std::acos(z));
  CASE(arctan, std::atan(z));
  CASE(arcsinh, std::asinh(z));
  CASE(arccosh, std::acosh(z));
  CASE(arctanh, std::atanh(z));
#undef CASE
}

/// f(conj z) = conj f(z) and f(-z) = sign f(z) in every bit; sign 0 asks for the first alone.
template <class T, class F> void check_symmetry(const char* name, F f, int sign) {
  using V = Vec<T>;
  Random random;
  for (int i = 0; i < count / 4; i += V::size) {
    Pair<T> x[V::size], mirrored[V::size], turned[V::size], y[V::size], m[V::size], t[V::size];
    for (int j = 0; j < V::size; ++j) {
      // Numbers of any size, and those of few bits, of which sums and products are exact.
      double size = i % 3 == 0 ? 3 : std::exp2(random.unit() * 80 - 40);
      double re = size * (2 * random.unit() - 1), im = size * (2 * random.unit() - 1);
      if (i % 3 == 0) re = std::round(re * 4) / 4, im = std::round(im * 4) / 4;
      x[j] = {T(re), T(im)};
      mirrored[j] = {x[j].re, -x[j].im};
      turned[j] = {-x[j].re, -x[j].im};
    }
    f(Cx<V>::load(x)).store(y);
    f(Cx<V>::load(mirrored)).store(m);
    f(Cx<V>::load(turned)).store(t);
    for (int j = 0; j < V::size; ++j) {
      if (std::isnan(y[j].re) || std::isnan(y[j].im)) continue;   // signs beside a nan are open
      EXPECT_EQ(to_bits(m[j].re), to_bits(y[j].re)) << name << " " << x[j].re << " " << x[j].im;
      EXPECT_EQ(to_bits(m[j].im), to_bits(-y[j].im)) << name << " " << x[j].re << " " << x[j].im;
      if (sign == 0) continue;
      EXPECT_EQ(t[j].re, T(sign) * y[j].re) << name << " " << x[j].re << " " << x[j].im;
      EXPECT_EQ(t[j].im, T(sign) * y[j].im) << name << " " << x[j].re << " " << x[j].im;
    }
  }
}

TEST(SimdMath, complex_functions_are_symmetric_in_every_bit) {
#define CASE(ours, sign)                                                             \
  check_symmetry<float>(#ours, [](auto z) { return simd::ours(z); }, sign);          \
  check_symmetry<double>(#ours, [](auto z) { return simd::ours(z); }, sign)
  CASE(exp, 0);
  CASE(expm1, 0);
  CASE(log, 0);
  CASE(log1p, 0);
  CASE(log2, 0);
  CASE(log10, 0);
  CASE(sqrt, 0);
  CASE(sin, -1);
  CASE(cos, 1);
  CASE(tan, -1);
  CASE(sinh, -1);
  CASE(cosh, 1);
  CASE(tanh, -1);
  CASE(arcsin, -1);
  CASE(arccos, 0);
  CASE(arctan, -1);
  CASE(arcsinh, -1);
  CASE(arccosh, 0);
  CASE(arctanh, -1);
#undef CASE
}

TEST(SimdMath, complex_division_survives_the_ends) {
  using V = Vec<double>;
  Cx<V> big(V(1e300), V(1e300)), small(V(1e-300), V(-1e-300));
  EXPECT_EQ((big / big)[0].re, 1);
  EXPECT_EQ((small / small)[0].re, 1);
  EXPECT_EQ(simd::abs(Cx<V>(V(3e300), V(4e300)))[0], 5e300);
  EXPECT_TRUE(std::isinf((Cx<V>(V(1)) / Cx<V>(V(0)))[0].re));
  EXPECT_EQ((Cx<V>(V(6), V(-4)) / Cx<V>(V(2)))[0].re, 3);
}

// ---- vectors -----------------------------------------------------------------------------------

template <class T> void check_integers() {
  using V = Vec<T>;
  const T lowest = std::numeric_limits<T>::min(), top = std::numeric_limits<T>::max();
  for (T a : {T(0), T(1), T(7), T(-7), T(5), top, lowest, T(-1)}) {
    for (T b : {T(0), T(1), T(2), T(-2), T(3), top, lowest, T(-1)}) {
      T q = (V(a) / V(b))[1], r = (V(a) % V(b))[1];
      if (b == 0) {
        EXPECT_EQ(q, 0);
        EXPECT_EQ(r, a);
      } else {
        EXPECT_EQ(T(q * b + r), a) << int64_t(a) << " / " << int64_t(b);
        EXPECT_TRUE(r == 0 || (r < 0) == (b < 0)) << int64_t(a) << " % " << int64_t(b);
      }
    }
  }
  const int width = int(sizeof(T)) * 8;
  for (int n = 0; n < 2 * width && n <= int64_t(top); ++n) {
    for (T a : {T(1), T(-1), top, lowest}) {
      EXPECT_EQ((V(a) << V(T(n)))[0], n >= width ? T(0) : T(uint64_t(a) << n)) << n;
      EXPECT_EQ((V(a) >> V(T(n)))[0], n >= width ? T(a < 0 ? -1 : 0) : T(a >> n)) << n;
    }
  }
  EXPECT_EQ((V(T(1)) << V(T(-1)))[0], 0);
  EXPECT_EQ((V(T(-2)) >> V(T(-1)))[0], T(std::is_signed_v<T> ? -1 : 0));
  EXPECT_EQ(simd::power(V(T(3)), V(T(4)))[0], T(81));
  EXPECT_EQ(simd::power(V(T(0)), V(T(0)))[0], T(1));
  if (std::is_signed_v<T>) {
    EXPECT_EQ(simd::power(V(T(1)), V(T(-1)))[0], T(0));
    EXPECT_EQ(simd::sign(V(T(-5)))[0], T(-1));
    EXPECT_EQ(simd::abs(V(lowest))[0], lowest);
  }
  uint8_t bytes[64], back[64];
  for (int i = 0; i < 64; ++i) bytes[i] = uint8_t(i % 3 == 0);
  simd::store_bool(simd::load_bool<T>(bytes), back);
  EXPECT_EQ(std::memcmp(bytes, back, V::size), 0);
  EXPECT_TRUE(any(simd::load_bool<T>(bytes)));
  EXPECT_FALSE(all(simd::load_bool<T>(bytes)));
  EXPECT_TRUE(all(V(T(1)) == V(T(1))));
}

TEST(SimdVec, integer_operators_never_trap) {
  check_integers<int8_t>();
  check_integers<int16_t>();
  check_integers<int32_t>();
  check_integers<int64_t>();
  check_integers<uint8_t>();
  check_integers<uint16_t>();
  check_integers<uint32_t>();
  check_integers<uint64_t>();
}

TEST(SimdVec, conversions_keep_values) {
  for (double x : {0.0, -0.0, 1.5, -1.5, 1e9, -1e9, 1e18, 9.3e18, 1e300, -1e300, (double)NAN}) {
    bool fits = std::abs(x) < 9.2e18;
    EXPECT_EQ(simd::convert<int64_t>(Vec<double>(x))[1], fits ? int64_t(x) : INT64_MIN) << x;
  }
  EXPECT_EQ(simd::convert<uint64_t>(Vec<double>(1.5e19))[0], uint64_t(1.5e19));
  EXPECT_EQ(simd::convert<int32_t>(Vec<float>(-2.75f))[0], -2);
  EXPECT_EQ(simd::convert<double>(Vec<int64_t>(INT64_MIN))[0], -9223372036854775808.0);
  EXPECT_EQ(simd::convert<float>(Vec<uint32_t>(4294967295u))[0], 4294967296.0f);
  EXPECT_TRUE(std::signbit(Vec<float>(-0.0f)[0]));
  EXPECT_TRUE(std::isnan(simd::maximum(Vec<float>(NAN), Vec<float>(1))[0]));
  EXPECT_TRUE(std::isnan(simd::minimum(Vec<float>(1), Vec<float>(NAN))[0]));
}

/// The nearest half by search among neighbours in double arithmetic.
float nearest_f16(float x) {
  if (std::isnan(x) || std::isinf(x)) return x;
  double a = std::abs(double(x));
  if (a >= 65520) return std::copysign(INFINITY, x);
  double step = std::exp2(std::max(a > 0 ? std::ilogb(a) : -14, -14) - 10);
  return std::copysign(float(std::nearbyint(a / step) * step), x);
}

TEST(SimdVec, halves_round_to_nearest_even_and_survive_the_round_trip) {
  using simd::Half;
  for (uint32_t u = 0; u < 65536; ++u) {
    uint16_t in = uint16_t(u), out = 0;
    float f;
    simd::load_half<Half::f16>(&in, &f, 1);
    simd::store_half<Half::f16>(&f, &out, 1);
    bool nan = (u & 0x7fff) > 0x7c00;
    ASSERT_EQ(std::isnan(f), nan);
    ASSERT_TRUE(nan || out == in);
    simd::load_half<Half::bf16>(&in, &f, 1);
    simd::store_half<Half::bf16>(&f, &out, 1);
    ASSERT_TRUE(std::isnan(f) ? (out & 0x7fff) > 0x7f80 : out == in);
  }
  Random random;
  for (int i = 0; i < count; ++i) {
    uint64_t bits = random.bits() >> 32;
    float x = i % 2 ? from_bits<float>(bits)
                    : std::ldexp(float(random.unit()), int(random.bits() % 44) - 26);
    if (i % 5 == 0) x = from_bits<float>((to_bits(x) & ~uint64_t(0x1fff)) | 0x1000);   // a tie
    float want = nearest_f16(x), got = simd::round_f16(Vec<float>(x))[0];
    ASSERT_EQ(to_bits(got), to_bits(want)) << x;
    uint16_t stored;
    float loaded;
    simd::store_half<Half::f16>(&x, &stored, 1);
    simd::load_half<Half::f16>(&stored, &loaded, 1);
    ASSERT_EQ(to_bits(loaded), to_bits(want)) << x;
    simd::store_half<Half::bf16>(&x, &stored, 1);
    simd::load_half<Half::bf16>(&stored, &loaded, 1);
    ASSERT_EQ(to_bits(loaded), to_bits(simd::round_bf16(Vec<float>(x))[0])) << x;
  }
}

}  // namespace
