// Scalar: a number as the caller wrote it, exact, before it meets a dtype.
#pragma once
#include <complex>
#include <cstdint>
#include <iosfwd>
#include <string_view>
#include <type_traits>
#include <variant>

#include "base/dtype.h"

namespace lazulite {

class Scalar {
 public:
  using Complex = std::complex<double>;
  template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
  constexpr Scalar(T v) : v_(hold(v)) {}
  constexpr Scalar(Complex v) : v_(v) {}
  constexpr Scalar(std::complex<float> v) : v_(Complex(v.real(), v.imag())) {}
  Scalar(float16_t v) : v_(double(float(v))) {}
  Scalar(bfloat16_t v) : v_(double(float(v))) {}

  // An int beyond 64 bits, as the double next to it: kind f, but of no integer dtype.
  static Scalar beyond(double nearest) {
    Scalar s(nearest);
    s.beyond_ = true;
    return s;
  }
  // A number that has a dtype of its own where no array decides (NumPy's scalars).
  Scalar typed(Dtype t) const {
    Scalar s = *this;
    s.own_ = uint8_t(int(t) + 1);
    return s;
  }
  Scalar untyped() const {
    Scalar s = *this;
    s.own_ = 0;
    return s;
  }

  char kind() const { return "biufc"[v_.index()]; }  // b, i (int64), u (uint64 above int64), f, c
  bool is_int() const { return v_.index() == 1 || v_.index() == 2; }
  bool is_beyond() const { return beyond_; }
  bool is_weak_int() const { return own_ == 0 && (is_int() || beyond_); }
  bool truth() const;
  double real() const;      // as double (rounded for large integers)
  Complex complex() const;
  int64_t wrapped() const;  // integers modulo 2^64; floats as astype to int64
  bool operator==(const Scalar& o) const;  // same kind and same bits
  size_t hash() const;

  // The dtype that array(v) has: bool, int32 (int64, uint64 when needed), float32, complex64; its
  // own if it has one.
  Dtype natural() const;
  // The dtype of an operation between an array of dtype t and this weak scalar.
  Dtype beside(Dtype t) const;
  // Raises overflow when an int does not fit an integer dtype; floats and complex are not asked.
  void check_fits(Dtype t, std::string_view op) const;
  // The same, and for an integer dtype floats must fit when truncated; complex fits complex alone
  // (type error).
  void check_converts(Dtype t, std::string_view op) const;
  // The value rounded once to t, written to memory of size_of(t) bytes; complex to real drops imag.
  void write(Dtype t, void* out) const;
  static Scalar read(Dtype t, const void* in);
  Scalar rounded(Dtype t) const;

 private:
  using V = std::variant<bool, int64_t, uint64_t, double, Complex>;
  template <class T>
  static constexpr V hold(T v) {
    if constexpr (std::is_same_v<T, bool>) return V(v);
    else if constexpr (std::is_floating_point_v<T>) return V(double(v));
    else if constexpr (std::is_unsigned_v<T>)
      return uint64_t(v) > uint64_t(INT64_MAX) ? V(uint64_t(v)) : V(int64_t(v));
    else return V(int64_t(v));
  }
  [[no_unique_address]] V v_;
  uint8_t own_ = 0;  // 0: none, else a dtype + 1
  bool beyond_ = false;
};

// The dtype of numbers that stand together without an array: ints in one that holds them all.
class NumbersType {
 public:
  void add(const Scalar& v) {
    if (!v.is_weak_int()) {
      others_ = promote(others_, v.natural());
    } else if (v.kind() == 'i') {
      ints_ = promote(ints_, v.natural());
    } else {
      above_ = true;
    }
  }
  // Numbers of an integer dtype may not fit it: check_fits and check_converts say so.
  Dtype type() const {
    return above_ && !is_inexact(others_) ? uint64 : promote(others_, ints_);
  }

 private:
  Dtype others_ = bool_, ints_ = bool_;
  bool above_ = false;  // an int above int64
};

std::ostream& operator<<(std::ostream&, const Scalar&);

}  // namespace lazulite
