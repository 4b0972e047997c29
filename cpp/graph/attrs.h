// Attributes of a node: an immutable struct that names its fields once; equality, hash, print and
// files follow from that.
#pragma once
#include <algorithm>
#include <cstring>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

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
  virtual void print(std::ostream&) const = 0;         // axes=(0), keepdims=false
  virtual bool write(Tokens&) const { return false; }  // false: cannot be put into a file
  virtual bool plain() const { return false; }  // numbers and words alone: they hold nothing alive
};
using AttrsRef = Ref<const Attrs>;
std::string text_of(const AttrsRef&);  // what it prints; empty where there are none

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
template <class T>
void print_field(std::ostream& out, const T& v) {
  if constexpr (std::is_same_v<T, bool>) out << (v ? "true" : "false");
  else if constexpr (requires { v.begin(); v.end(); }) {
    const char* comma = "(";
    for (const auto& x : v) print_field(out << std::exchange(comma, ","), x);
    out << (v.begin() == v.end() ? "()" : ")");
  } else out << v;
}
}  // namespace detail

// struct Slice { Shape start, step; LAZULITE_FIELDS(start, step) };
#define LAZULITE_FIELDS(...)                              \
  auto tie() const { return std::tie(__VA_ARGS__); }      \
  static constexpr std::string_view field_names = #__VA_ARGS__;

template <class T>
struct AttrsOf final : Attrs {
  T value;
  explicit AttrsOf(T v) : value(std::move(v)) {}
  bool equal(const Attrs& o) const override {
    return value.tie() == static_cast<const AttrsOf&>(o).value.tie();
  }
  bool plain() const override { return true; }
  size_t hash() const override {
    size_t h = 11;
    std::apply([&](const auto&... f) { ((h = detail::mix(h, detail::hash_field(f))), ...); },
               value.tie());
    return h;
  }
  void print(std::ostream& out) const override {
    std::string_view names = T::field_names;  // "start, step"
    const char* comma = "";
    auto field = [&](const auto& f) {
      const size_t end = std::min(names.find(','), names.size());
      detail::print_field(out << comma << names.substr(0, end) << '=', f);
      names.remove_prefix(std::min(end + 2, names.size()));
      comma = ", ";
    };
    std::apply([&](const auto&... f) { (field(f), ...); }, value.tie());
  }
  bool write(Tokens& out) const override {
    std::apply([&](const auto&... f) { (write_field(out, f), ...); }, value.tie());
    return true;
  }
};

// What attributes hold: a struct that names its fields, or Attrs of their own kind.
template <class T>
const T& value_of(const Attrs& a) {
  if constexpr (std::is_base_of_v<Attrs, T>) return static_cast<const T&>(a);
  else return static_cast<const AttrsOf<T>&>(a).value;
}

template <class T>
AttrsRef attrs(T value) {
  return Ref<const Attrs>(new AttrsOf<T>(std::move(value)));
}

// Op::read of attributes that name all their fields, in order.
template <class T>
AttrsRef read_attrs(TokenReader& in) {
  return [&]<class... F>(std::tuple<F...>*) {
    return attrs(T{Field<std::remove_cvref_t<F>>::read(in)...});  // braces: from left to right
  }(static_cast<decltype(std::declval<const T&>().tie())*>(nullptr));
}

}  // namespace lazulite
