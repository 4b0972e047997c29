#include "graph/tokens.h"

#include <cmath>

namespace lazulite {

namespace {
[[noreturn]] void fail_damaged(const char* what) {
  fail(Kind::format, "import_function", "the file is damaged: ", what);
}
}  // namespace

void Tokens::add(const Scalar& v) {
  add(std::string(1, v.kind()));
  switch (v.kind()) {
    case 'f': return add(v.real());
    case 'c': push_back({Token::complex, 0, v.complex(), {}, {}}); return;
    default: return add(v.kind() == 'b' ? int64_t(v.truth()) : v.wrapped());
  }
}

const Token& TokenReader::next() {
  if (at_ >= tokens_.size()) fail_damaged("it ends early");
  return tokens_[at_++];
}

int64_t evaluate(const std::vector<Term>& terms, const std::vector<int64_t>& sizes) {
  int64_t sum = 0;
  for (const Term& term : terms) {
    int64_t product = term.factor;
    for (int32_t k : term.sizes) {
      if (k < 0 || size_t(k) >= sizes.size()) fail_damaged("a formula of a size that there is not");
      if (__builtin_mul_overflow(product, sizes[size_t(k)], &product))
        fail(Kind::value, "import_function", "a size beyond 64 bits");
    }
    if (__builtin_add_overflow(sum, product, &sum))
      fail(Kind::value, "import_function", "a size beyond 64 bits");
  }
  return sum;
}

int64_t TokenReader::value(const Token& token) const {
  if (token.kind == Token::integer) return token.i;
  if (token.kind == Token::formula) return evaluate(token.terms, sizes_);
  fail_damaged("something else where an integer should be");
}

int64_t TokenReader::integer() { return value(next()); }

int64_t TokenReader::count(int64_t most) {
  const int64_t v = integer();
  if (v < 0 || v > most) fail_damaged("a number out of range");
  return v;
}

double TokenReader::real() {
  const Token& token = next();
  if (token.kind == Token::real) return token.z.real();
  if (token.kind == Token::real_formula) return double(evaluate(token.terms, sizes_));
  if (token.kind == Token::quotient) return token.z.real() / double(evaluate(token.terms, sizes_));
  fail_damaged("something else where a number should be");
}

const std::string& TokenReader::text() {
  const Token& token = next();
  if (token.kind != Token::text) fail_damaged("something else where a text should be");
  return token.s;
}

Scalar TokenReader::scalar() {
  const std::string& kind = text();
  if (kind == "b") return Scalar(count(1) != 0);
  if (kind == "i") return Scalar(integer());
  if (kind == "u") return Scalar(uint64_t(integer()));
  if (kind == "f") return Scalar(real());
  if (kind == "c") {
    const Token& token = next();
    if (token.kind == Token::complex) return Scalar(token.z);
  }
  fail_damaged("a number of an unknown kind");
}

Dtype TokenReader::dtype() {
  const std::string& name = text();
  for (int t = 0; t < dtype_count; ++t)
    if (name == name_of(Dtype(t))) return Dtype(t);
  fail_damaged("an unknown dtype");
}

}  // namespace lazulite
