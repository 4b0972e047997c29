// The monoids of reductions: identity and combine, shared by every way of reducing.
#pragma once
#include <cmath>
#include <complex>
#include <limits>
#include <type_traits>

namespace lazulite::monoid {

template <class T>
inline constexpr bool is_complex_v = !std::is_arithmetic_v<T>;
template <class T>
bool is_nan(const T& v) {
  if constexpr (std::is_integral_v<T>) return false;
  else return v != v;
}
template <class T>
bool before(const T& a, const T& b) {
  if constexpr (is_complex_v<T>) return a.real() < b.real() || (a.real() == b.real() && a.imag() < b.imag());
  else return a < b;
}

struct Sum {
  template <class T> static T identity() { return T(0); }
  template <class T> static T combine(const T& a, const T& b) { return T(a + b); }
};
struct Prod {
  template <class T> static T identity() { return T(1); }
  template <class T> static T combine(const T& a, const T& b) {
    if constexpr (is_complex_v<T>)
      return T(a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real());
    else return T(a * b);
  }
};
// nan if any is nan; only used on what is not empty, so the first element serves as identity.
struct Max {
  template <class T> static T identity() {
    if constexpr (is_complex_v<T>) return T(-INFINITY, -INFINITY);
    else if constexpr (std::is_floating_point_v<T>) return -std::numeric_limits<T>::infinity();
    else return std::numeric_limits<T>::lowest();
  }
  template <class T> static T combine(const T& a, const T& b) { return is_nan(a) || !(before(a, b) || is_nan(b)) ? a : b; }
};
struct Min {
  template <class T> static T identity() {
    if constexpr (is_complex_v<T>) return T(INFINITY, INFINITY);
    else if constexpr (std::is_floating_point_v<T>) return std::numeric_limits<T>::infinity();
    else return std::numeric_limits<T>::max();
  }
  template <class T> static T combine(const T& a, const T& b) { return is_nan(a) || !(before(b, a) || is_nan(b)) ? a : b; }
};
struct All {
  template <class T> static T identity() { return T(1); }
  template <class T> static T combine(const T& a, const T& b) { return a != T(0) && b != T(0) ? T(1) : T(0); }
};
struct Any {
  template <class T> static T identity() { return T(0); }
  template <class T> static T combine(const T& a, const T& b) { return a != T(0) || b != T(0) ? T(1) : T(0); }
};

}  // namespace lazulite::monoid
