// Complex vectors: a register of real parts and one of imaginary parts, V = Vec<float> or
// Vec<double>. Memory is interleaved (re, im, re, im ...), as in std::complex.
//
//   Cx<V>              size lanes; part = V; scalar = Pair<T>; load store; + - * / == != unary-
//   conj, select, is_nan, scaled abs (hypot), comparisons by real part, then imaginary part
#pragma once

#include "simd/vec.h"

namespace lazulite::simd {
namespace {

/// One complex number in memory.
template <class T> struct Pair {
  T re, im;
};

template <class V> struct Cx {
  using part = V;
  using scalar = Pair<typename V::scalar>;
  static constexpr int size = V::size;
  V re, im;

  Cx() = default;
  LAZULITE_INLINE Cx(V r, V i) : re(r), im(i) {}
  LAZULITE_INLINE explicit Cx(V r) : re(r), im(V(0)) {}
  LAZULITE_INLINE Cx(scalar s) : re(s.re), im(s.im) {}

  LAZULITE_INLINE static Cx load(const scalar* p) {
    const auto* t = reinterpret_cast<const typename V::scalar*>(p);
    return split(V::load(t), V::load(t + size), std::make_integer_sequence<int, size>{});
  }
  LAZULITE_INLINE void store(scalar* p) const {
    auto* t = reinterpret_cast<typename V::scalar*>(p);
    join(t, std::make_integer_sequence<int, size>{});
  }
  LAZULITE_INLINE scalar operator[](int i) const { return {re[i], im[i]}; }

  LAZULITE_INLINE Cx operator-() const { return {-re, -im}; }
  LAZULITE_INLINE friend Cx operator+(Cx a, Cx b) { return {a.re + b.re, a.im + b.im}; }
  LAZULITE_INLINE friend Cx operator-(Cx a, Cx b) { return {a.re - b.re, a.im - b.im}; }
  LAZULITE_INLINE friend Cx operator*(Cx a, Cx b) {
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
  }
  LAZULITE_INLINE friend Cx operator*(Cx a, V b) { return {a.re * b, a.im * b}; }
  /// Smith's division: by the larger part of b first, so that |b|^2 is never formed.
  LAZULITE_INLINE friend Cx operator/(Cx a, Cx b) {
    auto real = abs(b.re) >= abs(b.im);
    V big = select(real, b.re, b.im), small = select(real, b.im, b.re);
    V r = small / big;
    // b = 0 or both parts infinite would make r nan: big alone decides (NumPy: nan at inf+infj).
    auto alone = (big == V(0)) | (abs(big) == V(__builtin_inff()));
    r = select(alone, flip_sign(flip_sign(V(0), small), big), r);
    V d = big + small * r;
    V x = select(real, a.re, a.im), y = select(real, a.im, a.re);
    V p = x + y * r, q = y - x * r;
    return {p / d, select(real, q, -q) / d};
  }

  LAZULITE_INLINE friend auto operator==(Cx a, Cx b) { return (a.re == b.re) & (a.im == b.im); }
  LAZULITE_INLINE friend auto operator!=(Cx a, Cx b) { return (a.re != b.re) | (a.im != b.im); }
  LAZULITE_INLINE friend auto operator<(Cx a, Cx b) {
    return (a.re < b.re) | ((a.re == b.re) & (a.im < b.im));
  }
  LAZULITE_INLINE friend auto operator<=(Cx a, Cx b) {
    return (a.re < b.re) | ((a.re == b.re) & (a.im <= b.im));
  }
  LAZULITE_INLINE friend auto operator>(Cx a, Cx b) { return b < a; }
  LAZULITE_INLINE friend auto operator>=(Cx a, Cx b) { return b <= a; }

 private:
  template <int... i>
  LAZULITE_INLINE static Cx split(V a, V b, std::integer_sequence<int, i...>) {
    return {V::from(__builtin_shufflevector(a.v, b.v, (2 * i)...)),
            V::from(__builtin_shufflevector(a.v, b.v, (2 * i + 1)...))};
  }
  template <int... i>
  LAZULITE_INLINE void join(typename V::scalar* t, std::integer_sequence<int, i...>) const {
    V low = V::from(__builtin_shufflevector(re.v, im.v, (i / 2 + i % 2 * size)...));
    V high = V::from(__builtin_shufflevector(re.v, im.v, (size / 2 + i / 2 + i % 2 * size)...));
    low.store(t);
    high.store(t + size);
  }
};

template <class V> struct is_complex<Cx<V>> : std::true_type {};

template <class V> LAZULITE_INLINE Cx<V> conj(Cx<V> a) { return {a.re, -a.im}; }
template <class V>
LAZULITE_INLINE Cx<V> select(Mask<typename V::scalar> m, Cx<V> a, std::type_identity_t<Cx<V>> b) {
  return {select(m, a.re, b.re), select(m, a.im, b.im)};
}
template <class V> LAZULITE_INLINE auto is_nan(Cx<V> a) { return is_nan(a.re) | is_nan(a.im); }

/// The powers of two that bring the larger of |x|, |y| near 1, and back.
template <class V> struct Scaling {
  V down, up;
};
template <class V> LAZULITE_INLINE Scaling<V> scaling_of(V largest) {
  using T = typename V::scalar;
  using U = UintOf<V>;
  constexpr int f = fraction_bits<T>, top = 2 * exponent_bias<T>;
  U e = U::from(bit_cast<uint_like<T>>(largest).v >> f);
  // The exponent is kept where both 2^e and 2^-e are normal.
  e = min(max(e, U(2)), U(top - 2));
  return {bit_cast<T>(U::from((U(top) - e).v << f)), bit_cast<T>(U::from(e.v << f))};
}

/// sqrt(x^2 + y^2) without overflow; inf where a part is inf, also beside nan. Measured: 1 ulp.
template <class V> LAZULITE_INLINE V hypot(V x, V y) {
  V a = abs(x), b = abs(y);
  V large = max(a, b), small = min(a, b);
  Scaling<V> s = scaling_of(large);
  V p = large * s.down, q = small * s.down;
  V r = sqrt(fma(p, p, q * q)) * s.up;
  r = select(is_nan(a) | is_nan(b), a + b, r);
  V inf = V(__builtin_inff());
  return select((a == inf) | (b == inf), inf, r);
}
template <class V> LAZULITE_INLINE V abs(Cx<V> a) { return hypot(a.re, a.im); }

/// Numbers order by real part, then imaginary part; a nan in any part wins.
template <class V> LAZULITE_INLINE Cx<V> maximum(Cx<V> a, Cx<V> b) {
  return select(is_nan(a) | (~is_nan(b) & (a > b)), a, b);
}
template <class V> LAZULITE_INLINE Cx<V> minimum(Cx<V> a, Cx<V> b) {
  return select(is_nan(a) | (~is_nan(b) & (a < b)), a, b);
}

}  // namespace
}  // namespace lazulite::simd
