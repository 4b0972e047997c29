// Numbers of a graph as formulas of sizes, found by tracing at several sizes.
#include <cmath>

#include "transform/export/exported.h"
#include "transform/find_op.h"

namespace lazulite {

namespace {

using Values = std::vector<int64_t>;        // of one number, by trace
using Sizes = std::vector<Values>;          // by trace

bool agrees(const std::vector<Term>& terms, const Values& v, const Sizes& sizes) {
  for (size_t t = 0; t < v.size(); ++t)
    if (evaluate(terms, sizes[t]) != v[t]) return false;
  return true;
}
Term number(int64_t n) { return {n, {}}; }

// Products of up to three sizes.
std::vector<std::vector<int32_t>> products(int32_t n) {
  std::vector<std::vector<int32_t>> out;
  for (int32_t i = 0; i < n; ++i) out.push_back({i});
  for (int32_t i = 0; i < n; ++i)
    for (int32_t j = i; j < n; ++j) out.push_back({i, j});
  if (n <= 12)
    for (int32_t i = 0; i < n; ++i)
      for (int32_t j = i; j < n; ++j)
        for (int32_t k = j; k < n; ++k) out.push_back({i, j, k});
  return out;
}
int64_t product(const std::vector<int32_t>& of, const Values& sizes) {
  return evaluate({{1, of}}, sizes);
}

// a * product + b first, then sums and differences of two sizes and a number. The last two traces
// have distinct primes for sizes, so that hardly two forms agree; the first one confirms.
bool fit(const Values& v, const Sizes& sizes, std::vector<Term>& out) {
  const size_t last = v.size() - 1, before = last - 1;
  const int32_t n = int32_t(sizes[0].size());
  for (const auto& p : products(n)) {
    const int64_t x = product(p, sizes[before]), y = product(p, sizes[last]);
    if (x == y || (v[last] - v[before]) % (y - x)) continue;
    const int64_t a = (v[last] - v[before]) / (y - x);
    out = {{a, p}};
    if (const int64_t b = v[last] - a * y) out.push_back(number(b));
    if (agrees(out, v, sizes)) return true;
  }
  for (int32_t i = 0; i < n; ++i)
    for (int32_t j = 0; j < n; ++j) {
      if (i == j) continue;
      for (const int64_t a : {1, 2, -1})
        for (const int64_t b : {1, -1, 2}) {
          out = {{a, {i}}, {b, {j}}};
          if (const int64_t c = v[last] - evaluate(out, sizes[last])) out.push_back(number(c));
          if (agrees(out, v, sizes)) return true;
        }
    }
  for (int32_t i = 0; i < n; ++i)  // sums of three: concatenations
    for (int32_t j = i + 1; j < n; ++j)
      for (int32_t k = j + 1; k < n; ++k) {
        out = {{1, {i}}, {1, {j}}, {1, {k}}};
        if (const int64_t c = v[last] - evaluate(out, sizes[last])) out.push_back(number(c));
        if (agrees(out, v, sizes)) return true;
      }
  for (const auto& p : products(n))  // products of a size and a number beside it: (n + 1) * m
    for (int32_t i = 0; i < n; ++i) {
      const int64_t rest = v[last] - product(p, sizes[last]);
      if (rest == 0 || rest % sizes[last][size_t(i)]) continue;
      out = {{1, p}, {rest / sizes[last][size_t(i)], {i}}};
      if (agrees(out, v, sizes)) return true;
    }
  return false;
}

// number / a product, as doubles: 1 / n.
bool fit_quotient(const std::vector<double>& v, const Sizes& sizes, Token& out) {
  const size_t last = v.size() - 1;
  const int32_t n = int32_t(sizes[0].size());
  std::vector<std::vector<Term>> below;
  for (const auto& p : products(n)) {
    below.push_back({{1, p}});
    below.push_back({{1, p}, number(-1)});
  }
  for (const auto& terms : below) {
    const double x = double(evaluate(terms, sizes[last]));
    for (const double c : {std::round(v[last] * x), v[last] * x}) {
      bool all = c != 0;
      for (size_t t = 0; all && t < v.size(); ++t)
        all = c / double(evaluate(terms, sizes[t])) == v[t];
      if (!all) continue;
      out = {Token::quotient, 0, c, {}, terms};
      return true;
    }
  }
  return false;
}

// The op that the token at `at` belongs to.
std::string op_at(const Tokens& tokens, size_t at) {
  for (size_t i = std::min(at + 1, tokens.size()); i-- > 0;)
    if (tokens[i].kind == Token::text && find_op(tokens[i].s)) return tokens[i].s;
  return "an argument";
}

[[noreturn]] void fail_shapeless(const Tokens& tokens, size_t at, const std::string& what) {
  fail(Kind::value, "export_function",
       "the function depends on sizes in a way that a shapeless file cannot hold: got ", what,
       " at ", op_at(tokens, at),
       ", expected shapeless=False or one trace for each size (exporter)");
}

}  // namespace

Tokens fit_formulas(const std::vector<Tokens>& traces, const Sizes& sizes) {
  const Tokens& first = traces[0];
  Tokens out;
  for (size_t i = 0; i < first.size(); ++i) {
    for (const Tokens& other : traces)
      if (i >= other.size() || other[i].kind != first[i].kind || other[i].s != first[i].s)
        fail_shapeless(first, i, "other ops at other sizes");
    bool same = true;
    for (const Tokens& other : traces) same &= other[i] == first[i];
    if (same) {
      out.push_back(first[i]);
      continue;
    }
    Token token;
    bool found = false;
    Values v;
    if (first[i].kind == Token::integer) {
      for (const Tokens& other : traces) v.push_back(other[i].i);
      token.kind = Token::formula;
      found = fit(v, sizes, token.terms);
    } else if (first[i].kind == Token::real) {
      std::vector<double> reals;
      bool whole = true;
      for (const Tokens& other : traces) {
        reals.push_back(other[i].z.real());
        whole &= reals.back() == std::floor(reals.back()) && std::abs(reals.back()) < 0x1p53;
        v.push_back(whole ? int64_t(reals.back()) : 0);
      }
      token.kind = Token::real_formula;
      found = (whole && fit(v, sizes, token.terms)) || fit_quotient(reals, sizes, token);
    }
    if (!found) fail_shapeless(first, i, "a number that is no simple formula of them");
    out.push_back(std::move(token));
  }
  for (const Tokens& other : traces)
    if (other.size() != first.size())
      fail_shapeless(other, first.size(), "other ops at other sizes");
  return out;
}

}  // namespace lazulite
