// How arrays print: NumPy's brackets, %g numbers, long axes elided.
#include <cmath>
#include <cstdio>

#include "bind/array_class.h"
#include "ops/shape/shape.h"

namespace lazulite::bind {

namespace {

int precision = -1;
constexpr int64_t edge = 3;

std::string real_text(double v, bool wide) {
  if (std::isnan(v)) return "nan";
  if (std::isinf(v)) return v < 0 ? "-inf" : "inf";
  const char* format = precision >= 0 ? "%.*f" : "%.*g";
  const int digits = precision >= 0 ? precision : wide ? 8 : 6;
  std::string text(size_t(std::snprintf(nullptr, 0, format, digits, v)), ' ');
  std::snprintf(text.data(), text.size() + 1, format, digits, v);
  return text;
}

std::string element(const Scalar& s, Dtype t) {
  const bool wide = t == float64 || t == complex128;
  switch (s.kind()) {
    case 'b': return s.truth() ? "True" : "False";
    case 'i': return std::to_string(s.wrapped());
    case 'u': return std::to_string(uint64_t(s.wrapped()));
    case 'f': return real_text(s.real(), wide);
    default: {
      const auto c = s.complex();
      const std::string imag = real_text(c.imag(), wide);
      return real_text(c.real(), wide) + (imag[0] == '-' ? "" : "+") + imag + "j";
    }
  }
}

void put(std::string& out, const array& a, const char* data, int axis, int indent) {
  const Shape& shape = a.shape();
  if (axis == int(shape.size())) {
    out += element(Scalar::read(a.dtype(), data), a.dtype());
    return;
  }
  const int64_t n = shape[axis], step = a.strides()[axis] * size_of(a.dtype());
  const bool last = axis + 1 == int(shape.size());
  const std::string gap = last ? ", " : ",\n" + std::string(size_t(indent + 1), ' ');
  out += '[';
  for (int64_t i = 0; i < n; ++i) {
    if (i) out += gap;
    if (n > 2 * edge && i == edge) {
      out += "..." + gap;
      i = n - edge;
    }
    put(out, a, data + i * step, axis + 1, indent + 1);
  }
  out += ']';
}

}  // namespace

int get_precision() { return precision; }
void set_precision(int p) { precision = p; }

std::string print_array(const array& a) {
  std::string out = "array(";
  if (a.size() == 0) {
    // The brackets of what is there: rows without elements are shown.
    std::string inner = "[]";
    if (a.ndim() > 1 && a.shape()[0] > 0) {
      put(out, a, static_cast<const char*>(a.raw()), 0, 6);
      inner.clear();
    }
    out += inner;
  } else {
    put(out, a, static_cast<const char*>(a.raw()), 0, 6);
  }
  return out + ", dtype=" + name_of(a.dtype()) + ")";
}

}  // namespace lazulite::bind
