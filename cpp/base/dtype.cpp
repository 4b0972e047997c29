#include "base/dtype.h"

#include <ostream>

namespace lazulite {

Dtype promote(Dtype a, Dtype b) {
  if (a == b) return a;
  if (a > b) std::swap(a, b);  // enum order: b is the higher
  if (is_bool(a)) return b;
  if (is_complex(b)) return a == float64 || a == complex128 ? complex128 : b;
  if (is_floating(b)) {
    if (a == float16 && b == bfloat16) return float32;
    return b;
  }
  if (kind_of(a) == kind_of(b)) return b;  // two unsigned or two signed: the wider
  // a is unsigned, b is signed: the signed integer that holds both, float32 beside uint64
  if (a == uint64) return float32;
  if (size_of(b) > size_of(a)) return b;
  return a == uint8 ? int16 : a == uint16 ? int32 : int64;
}

bool can_cast(Dtype from, Dtype to) {
  auto rank = [](Dtype t) { return is_bool(t) ? 0 : is_integer(t) ? 1 : is_floating(t) ? 2 : 3; };
  const bool wider_parts = from == float64 && to == complex64;
  return (rank(from) < rank(to) && !wider_parts) || promote(from, to) == to;
}

bool in_category(Dtype t, DtypeCategory c) {
  switch (c) {
    case DtypeCategory::complexfloating: return is_complex(t);
    case DtypeCategory::floating: return is_floating(t);
    case DtypeCategory::inexact: return is_inexact(t);
    case DtypeCategory::signedinteger: return is_signed_int(t);
    case DtypeCategory::unsignedinteger: return is_unsigned(t);
    case DtypeCategory::integer: return is_integer(t);
    case DtypeCategory::number: return !is_bool(t);
    case DtypeCategory::generic: return true;
  }
  return false;
}

bool in_category(DtypeCategory a, DtypeCategory b) {
  using C = DtypeCategory;
  for (C up = a;;) {
    if (up == b) return true;
    switch (up) {
      case C::complexfloating: case C::floating: up = C::inexact; break;
      case C::signedinteger: case C::unsignedinteger: up = C::integer; break;
      case C::inexact: case C::integer: up = C::number; break;
      case C::number: up = C::generic; break;
      case C::generic: return false;
    }
  }
}

std::ostream& operator<<(std::ostream& out, Dtype t) { return out << name_of(t); }

}  // namespace lazulite
