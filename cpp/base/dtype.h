// The dtypes: one list, one promotion table, categories. Everything else about a dtype is derived.
#pragma once
#include <complex>
#include <cstdint>
#include <iosfwd>
#include <string_view>

#include "base/half.h"

namespace lazulite {

// name, C++ type, bytes, kind (b bool, u unsigned, i signed, f floating, c complex); in order of
// promotion
#define LAZULITE_DTYPES(X)                     \
  X(bool_, bool, 1, 'b')                       \
  X(uint8, uint8_t, 1, 'u')                    \
  X(uint16, uint16_t, 2, 'u')                  \
  X(uint32, uint32_t, 4, 'u')                  \
  X(uint64, uint64_t, 8, 'u')                  \
  X(int8, int8_t, 1, 'i')                      \
  X(int16, int16_t, 2, 'i')                    \
  X(int32, int32_t, 4, 'i')                    \
  X(int64, int64_t, 8, 'i')                    \
  X(float16, float16_t, 2, 'f')                \
  X(bfloat16, bfloat16_t, 2, 'f')              \
  X(float32, float, 4, 'f')                    \
  X(float64, double, 8, 'f')                   \
  X(complex64, std::complex<float>, 8, 'c')    \
  X(complex128, std::complex<double>, 16, 'c')

enum class Dtype : uint8_t {
#define X(name, type, bytes, kind) name,
  LAZULITE_DTYPES(X)
#undef X
};
using enum Dtype;
inline constexpr int dtype_count = 15;

struct DtypeInfo {
  const char* name;  // as Python prints it: "bool", "uint8", ...
  uint8_t bytes;
  char kind;
};
inline constexpr DtypeInfo dtype_info[dtype_count] = {
#define X(name, type, bytes, kind) {kind == 'b' ? "bool" : #name, bytes, kind},
    LAZULITE_DTYPES(X)
#undef X
};

constexpr int index_of(Dtype t) { return int(t); }
constexpr int64_t size_of(Dtype t) { return dtype_info[int(t)].bytes; }
constexpr const char* name_of(Dtype t) { return dtype_info[int(t)].name; }
constexpr char kind_of(Dtype t) { return dtype_info[int(t)].kind; }
constexpr bool is_bool(Dtype t) { return kind_of(t) == 'b'; }
constexpr bool is_unsigned(Dtype t) { return kind_of(t) == 'u'; }
constexpr bool is_signed_int(Dtype t) { return kind_of(t) == 'i'; }
constexpr bool is_integer(Dtype t) { return is_unsigned(t) || is_signed_int(t); }
constexpr bool is_integral(Dtype t) { return is_integer(t) || is_bool(t); }  // integers and bool
constexpr bool is_floating(Dtype t) { return kind_of(t) == 'f'; }
constexpr bool is_complex(Dtype t) { return kind_of(t) == 'c'; }
constexpr bool is_inexact(Dtype t) { return is_floating(t) || is_complex(t); }
constexpr bool is_half(Dtype t) { return t == float16 || t == bfloat16; }
constexpr Dtype compute_type(Dtype t) {
  return is_half(t) ? float32 : t;
}  // what halves are computed in
constexpr Dtype real_type(Dtype t) {
  return t == complex64 ? float32 : t == complex128 ? float64 : t;
}
constexpr Dtype complex_type(Dtype t) {  // the complex dtype that holds t
  return t == float64 || t == complex128 ? complex128 : complex64;
}
constexpr Dtype inexact_type(Dtype t) { return is_integral(t) ? float32 : t; }

Dtype promote(Dtype, Dtype);      // semantics: arrays with arrays; symmetric
bool can_cast(Dtype from, Dtype to);  // promote(from, to) == to, within the kinds

// Sets of dtypes, for rows.
struct DtypeSet {
  uint16_t bits = 0;
  constexpr bool has(Dtype t) const { return bits >> int(t) & 1; }
  constexpr DtypeSet operator|(DtypeSet o) const { return {uint16_t(bits | o.bits)}; }
};
constexpr DtypeSet only(Dtype t) { return {uint16_t(1u << int(t))}; }
constexpr DtypeSet of_kinds(std::string_view kinds) {
  DtypeSet set;
  for (int i = 0; i < dtype_count; ++i)
    if (kinds.find(dtype_info[i].kind) != std::string_view::npos) set = set | only(Dtype(i));
  return set;
}
inline constexpr DtypeSet bools = of_kinds("b"), integers = of_kinds("ui"),
                          integrals = of_kinds("bui"), floats = of_kinds("f"),
                          complexes = of_kinds("c"), inexacts = of_kinds("fc"),
                          numbers = of_kinds("uifc"), reals = of_kinds("uif"),
                          ordered = of_kinds("buif"), everything = of_kinds("buifc");

// Categories for issubdtype, as in NumPy's hierarchy.
enum class DtypeCategory : uint8_t {
  complexfloating, floating, inexact, signedinteger, unsignedinteger, integer, number, generic,
};
bool in_category(Dtype, DtypeCategory);
bool in_category(DtypeCategory, DtypeCategory);

// The C++ type of a dtype and back.
template <Dtype D>
struct type_of_impl;
template <class T>
struct dtype_of_impl;
#define X(name, type, bytes, kind)                               \
  template <>                                                    \
  struct type_of_impl<Dtype::name> { using t = type; };          \
  template <>                                                    \
  struct dtype_of_impl<type> { static constexpr Dtype d = Dtype::name; };
LAZULITE_DTYPES(X)
#undef X
template <Dtype D>
using type_of = typename type_of_impl<D>::t;
template <class T>
inline constexpr Dtype dtype_of = dtype_of_impl<T>::d;

// Calls f.template operator()<T>() with the C++ type of a dtype.
template <class F>
decltype(auto) dispatch(Dtype t, F&& f) {
  switch (t) {
#define X(name, type, bytes, kind) \
  case Dtype::name: return f.template operator()<type>();
    LAZULITE_DTYPES(X)
#undef X
  }
  __builtin_unreachable();
}

std::ostream& operator<<(std::ostream&, Dtype);

}  // namespace lazulite
