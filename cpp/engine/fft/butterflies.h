// Transforms of a few elements, each a vector of real parts and one of imaginary parts. For units
// of one instruction-set level.
#pragma once
#include "simd/complex.h"

namespace lazulite::engine {
namespace {

template <class V>
using Cx = simd::Cx<V>;

// a * -i
template <class V>
LAZULITE_INLINE Cx<V> turned(Cx<V> a) {
  return {a.im, -a.re};
}

// cos and sin of 2 pi k / R for 0 < k < R, R = 3, 5, 7.
template <int R>
struct Circle;
template <>
struct Circle<3> {
  static constexpr double cos[] = {1, -0.5, -0.5},
                          sin[] = {0, 0.86602540378443864676, -0.86602540378443864676};
};
template <>
struct Circle<5> {
  static constexpr double c1 = 0.30901699437494742410, c2 = -0.80901699437494742410,
                          s1 = 0.95105651629515357212, s2 = 0.58778525229247312917;
  static constexpr double cos[] = {1, c1, c2, c2, c1}, sin[] = {0, s1, s2, -s2, -s1};
};
template <>
struct Circle<7> {
  static constexpr double c1 = 0.62348980185873353053, c2 = -0.22252093395631440429,
                          c3 = -0.90096886790241912624, s1 = 0.78183148246802980871,
                          s2 = 0.97492791218182360702, s3 = 0.43388373911755812048;
  static constexpr double cos[] = {1, c1, c2, c3, c3, c2, c1},
                          sin[] = {0, s1, s2, s3, -s3, -s2, -s1};
};

template <int R, class V>
struct Butterfly {  // odd primes: sums and differences of the elements k and R - k
  LAZULITE_INLINE static void run(Cx<V> (&x)[R]) {
    constexpr int H = R / 2;
    Cx<V> t[H + 1], d[H + 1], sum = x[0];
#pragma GCC unroll 4
    for (int k = 1; k <= H; ++k) {
      t[k] = x[k] + x[R - k];
      d[k] = x[k] - x[R - k];
      sum = sum + t[k];
    }
    const Cx<V> first = x[0];
    x[0] = sum;
#pragma GCC unroll 4
    for (int p = 1; p <= H; ++p) {
      Cx<V> a = first, b = d[1] * simd::K<V>(Circle<R>::sin[p]);
#pragma GCC unroll 4
      for (int k = 1; k <= H; ++k) {
        a = a + t[k] * simd::K<V>(Circle<R>::cos[k * p % R]);
        if (k > 1) b = b + d[k] * simd::K<V>(Circle<R>::sin[k * p % R]);
      }
      x[p] = {a.re + b.im, a.im - b.re};
      x[R - p] = {a.re - b.im, a.im + b.re};
    }
  }
};
template <class V>
struct Butterfly<2, V> {
  LAZULITE_INLINE static void run(Cx<V> (&x)[2]) {
    const Cx<V> a = x[0];
    x[0] = a + x[1];
    x[1] = a - x[1];
  }
};
template <class V>
struct Butterfly<4, V> {
  LAZULITE_INLINE static void run(Cx<V> (&x)[4]) {
    const Cx<V> a = x[0] + x[2], b = x[0] - x[2], c = x[1] + x[3], d = x[1] - x[3];
    x[0] = a + c;
    x[1] = {b.re + d.im, b.im - d.re};
    x[2] = a - c;
    x[3] = {b.re - d.im, b.im + d.re};
  }
};
template <class V>
struct Butterfly<8, V> {
  LAZULITE_INLINE static void run(Cx<V> (&x)[8]) {
    const V half = simd::K<V>(0.70710678118654752440);
    Cx<V> a[4] = {x[0], x[2], x[4], x[6]}, b[4] = {x[1], x[3], x[5], x[7]};
    Butterfly<4, V>::run(a);
    Butterfly<4, V>::run(b);
    b[1] = Cx<V>{(b[1].re + b[1].im) * half, (b[1].im - b[1].re) * half};
    b[2] = turned(b[2]);
    b[3] = Cx<V>{(b[3].im - b[3].re) * half, -((b[3].re + b[3].im) * half)};
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      x[k] = a[k] + b[k];
      x[k + 4] = a[k] - b[k];
    }
  }
};
template <class V>
struct Butterfly<16, V> {
  LAZULITE_INLINE static void run(Cx<V> (&x)[16]) {
    const V half = simd::K<V>(0.70710678118654752440), c = simd::K<V>(0.92387953251128675613),
            s = simd::K<V>(0.38268343236508977173);
    auto by = [](Cx<V> a, V re, V im) {  // a * (re - i im)
      return Cx<V>{a.re * re + a.im * im, a.im * re - a.re * im};
    };
    auto eighth = [&](Cx<V> a) { return Cx<V>{(a.re + a.im) * half, (a.im - a.re) * half}; };
    Cx<V> y[4][4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      y[j][0] = x[j], y[j][1] = x[j + 4], y[j][2] = x[j + 8], y[j][3] = x[j + 12];
      Butterfly<4, V>::run(y[j]);
    }
    y[1][1] = by(y[1][1], c, s);
    y[1][2] = eighth(y[1][2]);
    y[1][3] = by(y[1][3], s, c);
    y[2][1] = eighth(y[2][1]);
    y[2][2] = turned(y[2][2]);
    y[2][3] = turned(eighth(y[2][3]));
    y[3][1] = by(y[3][1], s, c);
    y[3][2] = turned(eighth(y[3][2]));
    y[3][3] = -by(y[3][3], c, s);
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) {
      Cx<V> z[4] = {y[0][p], y[1][p], y[2][p], y[3][p]};
      Butterfly<4, V>::run(z);
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) x[p + 4 * q] = z[q];
    }
  }
};

}  // namespace
}  // namespace lazulite::engine
