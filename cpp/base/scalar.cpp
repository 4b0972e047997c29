#include "base/scalar.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <ostream>

#include "base/convert.h"
#include "base/fail.h"

namespace lazulite {

bool Scalar::truth() const {
  return std::visit([](auto v) { return v != decltype(v)(0); }, v_);
}

double Scalar::real() const {
  return std::visit(
      [](auto v) -> double {
        if constexpr (std::is_same_v<decltype(v), Complex>) return v.real();
        else return double(v);
      },
      v_);
}

Scalar::Complex Scalar::complex() const {
  if (auto* c = std::get_if<Complex>(&v_)) return *c;
  return {real(), 0.0};
}

int64_t Scalar::wrapped() const {
  return std::visit(
      [](auto v) -> int64_t {
        using T = decltype(v);
        if constexpr (std::is_same_v<T, Complex>) return convert_number<int64_t>(v.real());
        else if constexpr (std::is_same_v<T, double>) return convert_number<int64_t>(v);
        else return int64_t(v);
      },
      v_);
}

bool Scalar::operator==(const Scalar& o) const {
  if (v_.index() != o.v_.index()) return false;
  if (kind() == 'f') {
    const double a = real(), b = o.real();
    return std::memcmp(&a, &b, 8) == 0;
  }
  if (kind() == 'c') {
    const Complex a = complex(), b = o.complex();
    return std::memcmp(&a, &b, 16) == 0;
  }
  return wrapped() == o.wrapped();
}

size_t Scalar::hash() const {
  uint64_t bits[2] = {0, 0};
  if (kind() == 'f' || kind() == 'c') {
    const Complex c = complex();
    std::memcpy(bits, &c, 16);
  } else {
    bits[0] = uint64_t(wrapped());
  }
  uint64_t h = bits[0] * 0x9e3779b97f4a7c15ull ^ (bits[1] + v_.index()) * 0xc2b2ae3d27d4eb4full;
  return size_t(h ^ h >> 29);
}

Dtype Scalar::natural() const {
  if (own_) return Dtype(own_ - 1);
  if (beyond_) return uint64;
  switch (kind()) {
    case 'b': return bool_;
    case 'i': return wrapped() == int64_t(int32_t(wrapped())) ? int32 : int64;
    case 'u': return uint64;
    case 'f': return float32;
    default: return complex64;
  }
}

Dtype Scalar::beside(Dtype t) const {
  switch (kind()) {
    case 'b': return t;
    case 'i': case 'u': return is_bool(t) ? untyped().natural() : t;
    case 'f': return !beyond_ ? inexact_type(t) : is_bool(t) ? natural() : t;
    default: return is_complex(t) ? t : complex_type(t);
  }
}

void Scalar::check_fits(Dtype t, std::string_view op) const {
  if (!(is_int() || beyond_) || !is_integer(t)) return;
  const int bits = int(size_of(t)) * 8;
  bool fits;
  if (beyond_) fits = false;
  else if (kind() == 'u') fits = t == uint64;
  else if (is_unsigned(t)) fits = wrapped() >= 0 && (bits == 64 || wrapped() >> bits == 0);
  else
    fits = bits == 64 ||
           (wrapped() >= -(int64_t(1) << (bits - 1)) && wrapped() < int64_t(1) << (bits - 1));
  if (!fits)
    fail(Kind::overflow, op, "number does not fit: got ", *this, ", expected a value of ", t);
}

void Scalar::check_converts(Dtype t, std::string_view op) const {
  check_fits(t, op);
  if (kind() == 'c' && !is_complex(t))
    fail(Kind::argument, op, "a complex number: got ", *this, ", expected a value of ", t);
  if (kind() != 'f' || !is_integer(t)) return;
  const int bits = int(size_of(t)) * 8;
  const double v = std::trunc(real()), low = is_unsigned(t) ? 0 : -std::ldexp(1, bits - 1);
  if (!(v >= low && v < std::ldexp(1, is_unsigned(t) ? bits : bits - 1)))
    fail(Kind::overflow, op, "number does not fit: got ", *this, ", expected a value of ", t);
}

namespace {
template <class T>
T as(const Scalar& s) {
  if constexpr (std::is_same_v<T, bool>) return s.truth();
  else if constexpr (std::is_same_v<T, std::complex<float>>)
    return T(s.kind() == 'c' ? float(s.complex().real()) : as<float>(s), float(s.complex().imag()));
  else if constexpr (std::is_same_v<T, std::complex<double>>) return s.complex();
  else if constexpr (std::is_integral_v<T>)
    return s.kind() == 'f' || s.kind() == 'c' ? convert_number<T>(s.real()) : T(s.wrapped());
  else if constexpr (std::is_same_v<T, double>) return s.real();
  else if constexpr (std::is_same_v<T, float>)
    return s.kind() == 'i'   ? float(s.wrapped())
           : s.kind() == 'u' ? float(uint64_t(s.wrapped()))
                             : float(s.real());
  else return T(s.real());
}
}  // namespace

void Scalar::write(Dtype t, void* out) const {
  dispatch(t, [&]<class T>() {
    const T v = as<T>(*this);
    std::memcpy(out, &v, sizeof(T));
  });
}

Scalar Scalar::read(Dtype t, const void* in) {
  return dispatch(t, [&]<class T>() {
    T v;
    std::memcpy(&v, in, sizeof(T));
    return Scalar(v);
  });
}

Scalar Scalar::rounded(Dtype t) const {
  alignas(16) unsigned char room[16];
  write(t, room);
  return read(t, room);
}

std::ostream& operator<<(std::ostream& out, const Scalar& s) {
  if (s.is_beyond()) return out << "an int beyond 64 bits (about " << s.real() << ")";
  switch (s.kind()) {
    case 'b': return out << (s.truth() ? "True" : "False");
    case 'i': return out << s.wrapped();
    case 'u': return out << uint64_t(s.wrapped());
    case 'f': return out << s.real();
    default:
      return out << s.complex().real() << (s.complex().imag() < 0 ? "" : "+") << s.complex().imag()
                 << "j";
  }
}

}  // namespace lazulite
