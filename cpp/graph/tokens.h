// Tokens: what attributes and graphs are written as in files. A flat list of numbers and texts; a
// number may be a formula of the sizes that a shapeless function is called with.
#pragma once
#include <complex>
#include <string>
#include <type_traits>
#include <vector>

#include "base/fail.h"
#include "base/scalar.h"
#include "base/shape.h"

namespace lazulite {

struct Term {  // factor times sizes
  int64_t factor = 0;
  std::vector<int32_t> sizes;
  bool operator==(const Term&) const = default;
};

struct Token {
  enum Kind : uint8_t {
    integer = 'i', real = 'r', complex = 'c', text = 's',
    formula = 'f',     // integer: the sum of terms
    real_formula = 'g',  // the same as a double
    quotient = 'q',    // double: real / the sum of terms
  } kind = integer;
  int64_t i = 0;
  std::complex<double> z;
  std::string s;
  std::vector<Term> terms;
  bool operator==(const Token&) const = default;
};

class Tokens : public std::vector<Token> {
 public:
  void add(int64_t v) { push_back({Token::integer, v, {}, {}, {}}); }
  void add(double v) { push_back({Token::real, 0, v, {}, {}}); }
  void add(std::string v) { push_back({Token::text, 0, {}, std::move(v), {}}); }
  void add(const Scalar& v);
};

// Reads in order; whatever does not fit raises Kind::value.
class TokenReader {
 public:
  explicit TokenReader(const std::vector<Token>& tokens, std::vector<int64_t> sizes = {})
      : tokens_(tokens), sizes_(std::move(sizes)) {}
  int64_t integer();
  int64_t count(int64_t most = 1 << 24);  // a length: between 0 and `most`
  double real();
  const std::string& text();
  const Token& token() { return next(); }
  Scalar scalar();
  Dtype dtype();
  bool done() const { return at_ == tokens_.size(); }

 private:
  const Token& next();
  int64_t value(const Token&) const;
  const std::vector<Token>& tokens_;
  const std::vector<int64_t> sizes_;
  size_t at_ = 0;
};
int64_t evaluate(const std::vector<Term>&, const std::vector<int64_t>& sizes);

// ---- fields of attributes

inline void write_field(Tokens& out, bool v) { out.add(int64_t(v)); }
inline void write_field(Tokens& out, int v) { out.add(int64_t(v)); }
inline void write_field(Tokens& out, int64_t v) { out.add(v); }
template <class Enum>
  requires std::is_enum_v<Enum>
void write_field(Tokens& out, Enum v) { out.add(int64_t(v)); }
inline void write_field(Tokens& out, Dtype v) { out.add(std::string(name_of(v))); }
inline void write_field(Tokens& out, const Scalar& v) { out.add(v); }
template <class List>
  requires requires(const List& v) { v.begin(); v.size(); }
void write_field(Tokens& out, const List& list) {
  out.add(int64_t(list.size()));
  for (const auto& v : list) write_field(out, v);
}

template <class T>
struct Field {  // lists
  static T read(TokenReader& in) {
    T list;
    for (int64_t n = in.count(1 << 16); n > 0; --n)
      list.push_back(Field<typename T::value_type>::read(in));
    return list;
  }
};
template <class Enum>
  requires std::is_enum_v<Enum>
struct Field<Enum> { static Enum read(TokenReader& in) { return Enum(in.count(255)); } };
template <>
struct Field<bool> { static bool read(TokenReader& in) { return in.count(1) != 0; } };
template <>
struct Field<int64_t> { static int64_t read(TokenReader& in) { return in.integer(); } };
template <>
struct Field<int> { static int read(TokenReader& in) { return int(in.count(INT32_MAX)); } };
template <>
struct Field<Dtype> { static Dtype read(TokenReader& in) { return in.dtype(); } };
template <>
struct Field<Scalar> { static Scalar read(TokenReader& in) { return in.scalar(); } };

}  // namespace lazulite
