// Norms, and products of several matrices: made of other functions.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/compose/array.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/index.h"
#include "ops/linalg/linalg.h"
#include "ops/matmul/matmul.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite::linalg {
namespace {

// Halves as float32: squares of large ones are none any more.
array computed(const array& a, Stream s) {
  return astype(a, compute_type(inexact_type(a.dtype())), s);
}
// A norm that was formed so, in the dtype that it has for `given`.
array rounded(const array& norm, const array& given, Stream s) {
  return astype(norm, real_type(inexact_type(given.dtype())), s);
}

// The root of a sum of squares. Its derivative at zero is zero, not nan.
array root(const array& squares, Stream s) {
  const array none = equal(squares, 0, s);
  return where(none, 0, sqrt(where(none, 1, squares, s), s), s);
}
array squares_of(const array& a, Stream s) {
  if (!is_complex(a.dtype())) return square(a, s);
  return add(square(real(a, s), s), square(imag(a, s), s), s);
}

// The largest size; of nothing 0, as other norms are, where the smallest has no value at all.
array largest_of(const array& sizes, const Axes& axes, bool keep, Stream s) {
  for (int axis : axes)
    if (sizes.shape(axis) == 0) return sum(sizes, axes, keep, s);
  return max(sizes, axes, keep, s);
}

// `scaled`: of halves, whose high powers float32 does not have.
array of_vectors(const array& a, double p, const Axes& axes, bool keep, bool scaled, Stream s) {
  if (p == 2) return root(sum(squares_of(a, s), axes, keep, s), s);
  if (p == 0) {
    const array there = astype(not_equal(a, 0, s), real_type(a.dtype()), s);
    return sum(there, axes, keep, s);
  }
  const array sizes = abs(a, s);
  if (std::isinf(p)) return p > 0 ? largest_of(sizes, axes, keep, s) : min(sizes, axes, keep, s);
  if (p == 1) return sum(sizes, axes, keep, s);
  auto root_of = [&](const array& x) {
    return power(sum(power(x, p, s), axes, keep, s), 1 / p, s);
  };
  if (!scaled || !(p > 2) || sizes.size() == 0) return root_of(sizes);
  const array top = stop_gradient(max(sizes, all_axes(sizes.ndim()), false, s), s);
  const array unit = where(logical_or(equal(top, 0, s), isinf(top, s), s), 1, top, s);
  return multiply(root_of(divide(sizes, unit, s)), unit, s);
}

[[noreturn]] void unknown(const char* name, const Order& order, const char* expected) {
  std::ostringstream text;
  if (auto* word = std::get_if<std::string>(&order.value)) text << "'" << *word << "'";
  else text << std::get<double>(order.value);
  fail(Kind::value, name, "ord: got ", text.str(), ", expected ", expected);
}
bool is_frobenius(const Order& order) {
  auto* word = std::get_if<std::string>(&order.value);
  return word && (*word == "fro" || *word == "f");
}

// Over the last two axes, which are kept with size 1.
array of_matrices(const char* name, const array& a, const Order& order, Stream s) {
  const Axes last{-2, -1};
  if (is_frobenius(order)) return of_vectors(a, 2, last, true, false, s);
  if (auto* word = std::get_if<std::string>(&order.value)) {
    if (*word != "nuc") unknown(name, order, "'fro', 'nuc', 1, -1, 2, -2 or an infinity");
    return expand_dims(sum(svdvals(a, s), {-1}, true, s), {-1}, s);
  }
  const double p = std::get<double>(order.value);
  const bool largest = p > 0;
  if (std::abs(p) == 2) {
    const array values = svdvals(a, s);
    return expand_dims(largest ? largest_of(values, {-1}, true, s) : min(values, {-1}, true, s),
                       {-1}, s);
  }
  if (std::abs(p) != 1 && !std::isinf(p))
    unknown(name, order, "'fro', 'nuc', 1, -1, 2, -2 or an infinity");
  const int added = std::isinf(p) ? -1 : -2;
  const array sums = sum(abs(a, s), {added}, true, s);
  return largest ? largest_of(sums, last, true, s) : min(sums, last, true, s);
}

}  // namespace

array norm(const array& given, const std::optional<Order>& order, const std::optional<Axes>& axes,
           bool keepdims, Stream s) {
  const array a = computed(given, s);
  const bool half = is_half(given.dtype());
  const int n = a.ndim();
  Axes over;
  if (axes) {
    for (int axis : *axes) over.push_back(normal_axis(axis, n, "norm"));
  } else {
    for (int i = 0; i < n; ++i) over.push_back(i);
  }
  normal_axes(over, n, "norm");  // refuses repeated ones
  if (!order && (!axes || over.size() <= 2))
    return rounded(of_vectors(a, 2, over, keepdims, half, s), given, s);
  if (over.size() == 1) {
    const Order p = order.value_or(Order{2.0});
    if (auto* number = std::get_if<double>(&p.value))
      return rounded(of_vectors(a, *number, over, keepdims, half, s), given, s);
    unknown("norm", p, "a number for a vector");
  }
  if (over.size() != 2)
    fail(Kind::value, "norm", "got ", over.size(), " axes of shape ", a.shape(),
         ", expected one or two where ord or axis is given");
  const array out = rounded(
      of_matrices("norm", moveaxis(a, over, {n - 2, n - 1}, s), *order, s), given, s);
  return keepdims ? moveaxis(out, {n - 2, n - 1}, over, s) : squeeze(out, {-2, -1}, s);
}

array vector_norm(const array& given, const std::optional<Axes>& axes, bool keepdims,
                  const Order& order, Stream s) {
  auto* p = std::get_if<double>(&order.value);
  if (!p) unknown("vector_norm", order, "a number");
  const array a = computed(given, s);
  Axes over;
  for (int i = 0; !axes && i < a.ndim(); ++i) over.push_back(i);
  return rounded(of_vectors(a, *p, axes ? *axes : over, keepdims, is_half(given.dtype()), s), given,
                 s);
}
array matrix_norm(const array& a, bool keepdims, const Order& order, Stream s) {
  if (a.ndim() < 2) fail(Kind::value, "matrix_norm", "not a matrix: got shape ", a.shape());
  const array out = rounded(of_matrices("matrix_norm", computed(a, s), order, s), a, s);
  return keepdims ? out : squeeze(out, {-2, -1}, s);
}

array cond(const array& given, const std::optional<Order>& order, Stream s) {
  const array a = computed(given, s);
  auto* p = order ? std::get_if<double>(&order->value) : nullptr;
  if (order && !(p && std::abs(*p) == 2)) {
    if (a.ndim() < 2 || a.shape(-1) != a.shape(-2))
      fail(Kind::value, "cond", "not a square matrix: got shape ", a.shape());
    return rounded(
        multiply(matrix_norm(a, false, *order, s), matrix_norm(inv(a, s), false, *order, s), s),
        given, s);
  }
  const array values = svdvals(a, s);
  if (values.shape(-1) == 0) fail(Kind::value, "cond", "empty matrix: got shape ", a.shape());
  const array high = take(values, 0, -1, s), low = take(values, -1, -1, s);
  const array ratio = p && *p < 0 ? divide(low, high, s) : divide(high, low, s);
  return rounded(where(isnan(ratio, s), std::numeric_limits<double>::infinity(), ratio, s), given,
                 s);
}

array matrix_power(const array& a, int64_t n, Stream s) {
  if (a.ndim() < 2 || a.shape(-1) != a.shape(-2))
    fail(Kind::value, "matrix_power", "not a square matrix: got shape ", a.shape());
  if (n == 0) {
    const array one = eye(a.shape(-1), a.shape(-1), 0, a.dtype(), s);
    return broadcast_to(one, a.shape(), s);
  }
  array base = n < 0 ? inv(a, s) : a, out;
  for (uint64_t left = n < 0 ? 0 - uint64_t(n) : uint64_t(n);;) {  // by the bits of n
    if (left & 1) out = out ? matmul(out, base, s) : base;
    left >>= 1;
    if (!left) return out;
    base = matmul(base, base, s);
  }
}

array multi_dot(const std::vector<array>& arrays, Stream s) {
  const size_t n = arrays.size();
  if (n < 2) fail(Kind::value, "multi_dot", "got ", n, " arrays, expected two or more");
  std::vector<array> all = arrays;
  const bool row = all[0].ndim() == 1, column = all[n - 1].ndim() == 1;
  if (row) all[0] = expand_dims(all[0], {0}, s);
  if (column) all[n - 1] = expand_dims(all[n - 1], {-1}, s);
  std::vector<double> sizes;
  for (const array& a : all) {
    if (a.ndim() != 2)
      fail(Kind::value, "multi_dot", "not a matrix: got shape ", a.shape(),
           "; the first and the last array may be vectors");
    sizes.push_back(double(a.shape(0)));
  }
  sizes.push_back(double(all[n - 1].shape(1)));
  for (size_t i = 0; i + 1 < n; ++i)
    if (all[i].shape(1) != all[i + 1].shape(0))
      fail(Kind::value, "multi_dot", "shapes do not fit: got ", all[i].shape(), " and ",
           all[i + 1].shape());
  // The cheapest way to multiply i ... j, and where it is cut.
  std::vector<double> cost(n * n, 0);
  std::vector<size_t> cut(n * n, 0);
  for (size_t length = 1; length < n; ++length)
    for (size_t i = 0; i + length < n; ++i) {
      const size_t j = i + length;
      double& best = cost[i * n + j] = std::numeric_limits<double>::infinity();
      for (size_t k = i; k < j; ++k) {
        const double c = cost[i * n + k] + cost[(k + 1) * n + j] +
                         sizes[i] * sizes[k + 1] * sizes[j + 1];
        if (c < best) {
          best = c;
          cut[i * n + j] = k;
        }
      }
    }
  // Products by the cuts, inner ones first, without recursion.
  struct Part {
    size_t from, to;
    bool open;
  };
  std::vector<Part> parts{{0, n - 1, true}};
  std::vector<array> made;
  while (!parts.empty()) {
    const Part part = parts.back();
    parts.pop_back();
    if (part.from == part.to) {
      made.push_back(all[part.from]);
    } else if (part.open) {
      const size_t k = cut[part.from * n + part.to];
      parts.push_back({part.from, part.to, false});
      parts.push_back({k + 1, part.to, true});
      parts.push_back({part.from, k, true});
    } else {
      const array right = made.back();
      made.pop_back();
      made.back() = matmul(made.back(), right, s);
    }
  }
  array out = made[0];
  if (column) out = squeeze(out, {-1}, s);
  return row ? squeeze(out, {0}, s) : out;
}

array cross(const array& given_a, const array& given_b, int axis, Stream s) {
  if (given_a.ndim() == 0 || given_b.ndim() == 0)
    fail(Kind::value, "cross", "0-d operand: got shapes ", given_a.shape(), " and ",
         given_b.shape());
  const array a = moveaxis(given_a, axis, -1, s), b = moveaxis(given_b, axis, -1, s);
  const int64_t m = a.shape(-1), n = b.shape(-1);
  if (m < 2 || m > 3 || n < 2 || n > 3)
    fail(Kind::value, "cross", "vectors of 2 or 3 numbers are multiplied: got shapes ",
         given_a.shape(), " and ", given_b.shape());
  auto part = [&](const array& v, int64_t i) { return take(v, i, -1, s); };
  auto term = [&](int64_t i, int64_t j) { return multiply(part(a, i), part(b, j), s); };
  auto both = [&](int64_t i, int64_t j) { return subtract(term(i, j), term(j, i), s); };
  if (m == 2 && n == 2) return both(0, 1);
  array x, y;
  if (m == 3 && n == 3) {
    x = both(1, 2);
    y = both(2, 0);
  } else if (m == 3) {  // the third number of b is zero
    x = negative(term(2, 1), s);
    y = term(2, 0);
  } else {
    x = term(1, 2);
    y = negative(term(0, 2), s);
  }
  return moveaxis(stack(std::vector<array>{x, y, both(0, 1)}, -1, s), -1, axis, s);
}

}  // namespace lazulite::linalg
