#include "ops/compose/array.h"

#include <algorithm>

#include "ops/compose/shape.h"
#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite {
namespace {

void check_size(int64_t n, const char* op) {
  if (n < 0) fail(Kind::value, op, "negative size: got ", n);
}

}  // namespace

array eye(int64_t n, int64_t m, int64_t k, Dtype t, Stream s) {
  check_size(n, "eye");
  check_size(m, "eye");
  check_shape({n, m}, t, "eye");
  return band(n, m, k, k, t, s);
}
array tri(int64_t n, int64_t m, int64_t k, Dtype t, Stream s) {
  check_size(n, "tri");
  check_size(m, "tri");
  check_shape({n, m}, t, "tri");
  return band(n, m, -n, k, t, s);
}

static void check_matrix(const array& a, const char* op) {
  if (a.ndim() < 2)
    fail(Kind::value, op, "too few axes: got shape ", a.shape(), ", expected 2 or more");
}
array tril(const array& a, int64_t k, Stream s) {
  check_matrix(a, "tril");
  return triangle(a, k, false, s);
}
array triu(const array& a, int64_t k, Stream s) {
  check_matrix(a, "triu");
  return triangle(a, k, true, s);
}

array diag(const array& a, int64_t k, Stream s) {
  if (a.ndim() == 2) return diagonal(a, k, 0, 1, s);
  if (a.ndim() != 1) fail(Kind::value, "diag", "not a vector or matrix: got shape ", a.shape());
  const int64_t n = a.size(), side = sum_of_sizes(n, std::abs(std::max(k, -INT64_MAX)), "diag");
  check_shape({side, side}, a.dtype(), "diag");
  if (n == 0) return zeros({side, side}, a.dtype(), s);
  // The flattened square holds a at every (side + 1)-th place.
  const int64_t first = k >= 0 ? k : -k * side, step = side + 1;
  const array flat = slice_update(zeros({side * side}, a.dtype(), s), a, {first},
                                  {first + (n - 1) * step + 1}, {step}, s);
  return reshape(flat, {side, side}, s);
}

array fill_diagonal(const array& a, const Operand& values, bool wrap, Stream s) {
  if (a.ndim() < 2)
    fail(Kind::value, "fill_diagonal", "too few axes: got shape ", a.shape(),
         ", expected 2 or more");
  for (int64_t n : a.shape())
    if (a.ndim() > 2 && n != a.shape()[0])
      fail(Kind::value, "fill_diagonal", "sizes differ: got shape ", a.shape(),
           ", expected equal ones where there are more than 2 axes");
  if (values.is_array() && values.get().size() == 0)
    fail(Kind::value, "fill_diagonal", "no values: got shape ", values.get().shape());
  if (a.size() == 0) return a;
  const int64_t columns = a.shape(-1);
  int64_t step = 0;  // between elements of the diagonal, in the flattened array
  for (int64_t n : dense_strides(a.shape())) step += n;
  const bool tall = a.ndim() == 2 && !wrap && a.shape(0) > columns;
  const int64_t end = tall ? columns * columns : a.size(), n = (end + step - 1) / step;
  array update = values.is_array() ? reshape(astype(values.get(), a.dtype(), s), {-1}, s)
                                   : as_array(values, a.dtype(), "fill_diagonal", s);
  if (update.size() > n) update = slice_axis(update, 0, 0, n, s);
  if (update.size() > 1 && update.size() < n)
    update = slice_axis(tile(update, {(n + update.size() - 1) / update.size()}, s), 0, 0, n, s);
  return reshape(slice_update(reshape(a, {a.size()}, s), update, {0}, {end}, {step}, s), a.shape(),
                 s);
}

std::vector<array> meshgrid(const std::vector<array>& arrays, bool sparse, bool matrix_order,
                            Stream s) {
  const int n = int(arrays.size());
  std::vector<array> out;
  Shape full_shape;
  full_shape.resize(size_t(n), 1);
  for (int i = 0; i < n; ++i) {
    Shape shape;
    shape.resize(size_t(n), 1);
    const int axis = !matrix_order && n > 1 && i < 2 ? 1 - i : i;
    shape[axis] = full_shape[axis] = arrays[size_t(i)].size();
    out.push_back(reshape(arrays[size_t(i)], shape, s));
  }
  if (!sparse)
    for (auto& a : out) a = broadcast_to(a, full_shape, s);
  return out;
}

array trace(const array& a, int64_t offset, int axis1, int axis2, const std::optional<Dtype>& t,
            Stream s) {
  const array d = diagonal(a, offset, axis1, axis2, s);
  const array total = sum(t ? astype(d, *t, s) : d, {-1}, false, s);
  return t ? astype(total, *t, s) : total;
}

// Axes of a and b in turn: (a0, 1, a1, 1) * (1, b0, 1, b1). Short rows of b would be all that is
// read at a time: the rows of both are then made as long as those of the result, where that is
// little beside it.
array kron(const array& a, const array& b, Stream s) {
  constexpr int64_t short_row = 128;
  const int n = std::max(a.ndim(), b.ndim());
  Shape left, right, out;
  for (int i = 0; i < n; ++i) {
    const int ia = i - (n - a.ndim()), ib = i - (n - b.ndim());
    const int64_t da = ia < 0 ? 1 : a.shape()[ia], db = ib < 0 ? 1 : b.shape()[ib];
    left.push_back(da);
    left.push_back(1);
    right.push_back(1);
    right.push_back(db);
    out.push_back(product_of_sizes(da, db, "kron"));
  }
  array x = a, y = b;
  if (n > 0) {
    const int64_t da = left[size_t(2 * n - 2)], db = right.back();
    if (db < short_row && b.size() / std::max<int64_t>(db, 1) >= 8 &&
        a.size() / std::max<int64_t>(da, 1) >= 8) {
      x = repeat(x, db, -1, s);
      Shape reps;
      reps.resize(size_t(b.ndim()), 1);
      reps.back() = da;
      y = tile(y, reps, s);
      left[size_t(2 * n - 2)] = right.back() = out.back();
      left.pop_back();
      right.erase(right.end() - 2);
    }
  }
  return reshape(multiply(reshape(x, left, s), reshape(y, right, s), s), out, s);
}

array vecdot(const array& a, const array& b, int axis, Stream s) {
  if (a.ndim() == 0 || b.ndim() == 0)
    fail(Kind::value, "vecdot", "0-d operands: got shapes ", a.shape(), " and ", b.shape());
  if (a.shape(axis) != b.shape(axis))
    fail(Kind::value, "vecdot", "sizes differ along axis ", axis, ": got shapes ", a.shape(),
         " and ", b.shape());
  return astype(sum(multiply(conjugate(a, s), b, s), {axis}, false, s),
                promote(a.dtype(), b.dtype()), s);
}

}  // namespace lazulite
