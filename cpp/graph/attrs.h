// Attributes of a node: an immutable struct with a tie() of its fields; equality, hash and print
// follow from it.
#pragma once
#include <cstring>
#include <functional>
#include <ostream>
#include <string>
#include <tuple>

#include "base/dtype.h"
#include "base/ref.h"
#include "base/scalar.h"
#include "base/shape.h"
#include "graph/tokens.h"

namespace lazulite {

struct Attrs : Counted {
  virtual ~Attrs() = default;
  virtual bool equal(const Attrs&) const = 0;  // same op, hence same type
  virtual size_t hash() const = 0;
  virtual void print(std::ostream&) const = 0;
  virtual bool write(Tokens&) const { return false; }  // false: cannot be put into a file
};
using AttrsRef = Ref<const Attrs>;

// Attributes that hold functions or graphs: equal only to themselves.
struct OwnAttrs : Attrs {
  bool equal(const Attrs& o) const override { return this == &o; }
  size_t hash() const override { return std::hash<const void*>{}(this); }
};

namespace detail {
inline size_t mix(size_t h, size_t v) { return (h ^ v) * 0x9e3779b97f4a7c15ull + (h >> 31); }
template <class T>
size_t hash_field(const T& v) {
  if constexpr (requires { v.hash(); }) return v.hash();
  else if constexpr (requires { v.begin(); v.end(); }) {
    size_t h = 7;
    for (const auto& x : v) h = mix(h, hash_field(x));
    return h;
  } else return std::hash<T>{}(v);
}
}  // namespace detail

// struct Slice { Shape start, step; auto tie() const { return std::tie(start, step); } };
template <class T>
struct AttrsOf final : Attrs {
  T value;
  explicit AttrsOf(T v) : value(std::move(v)) {}
  bool equal(const Attrs& o) const override {
    return value.tie() == static_cast<const AttrsOf&>(o).value.tie();
  }
  size_t hash() const override {
    size_t h = 11;
    std::apply([&](const auto&... f) { ((h = detail::mix(h, detail::hash_field(f))), ...); }, value.tie());
    return h;
  }
  void print(std::ostream& out) const override {
    const char* comma = "";
    std::apply([&](const auto&... f) { ((out << comma << f, comma = ", "), ...); }, value.tie());
  }
  bool write(Tokens& out) const override {
    std::apply([&](const auto&... f) { (write_field(out, f), ...); }, value.tie());
    return true;
  }
};

template <class T>
AttrsRef attrs(T value) {
  return Ref<const Attrs>(new AttrsOf<T>(std::move(value)));
}

// Op::read of attributes whose tie() names all fields in their order.
template <class T>
AttrsRef read_attrs(TokenReader& in) {
  return [&]<class... F>(std::tuple<F...>*) {
    return attrs(T{Field<std::remove_cvref_t<F>>::read(in)...});  // braces: from left to right
  }(static_cast<decltype(std::declval<const T&>().tie())*>(nullptr));
}

}  // namespace lazulite
