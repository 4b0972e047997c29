#include "base/shape.h"

#include <algorithm>
#include <ostream>

#include "base/fail.h"

namespace lazulite {

int64_t size_of(const Shape& shape) {
  int64_t n = 1;
  bool zero = false;
  for (int64_t d : shape) zero |= d == 0;
  if (zero) return 0;
  for (int64_t d : shape)
    if (__builtin_mul_overflow(n, d, &n))
      fail(Kind::memory, "shape", "too many elements: got shape ", shape,
           ", expected fewer than 2^63");
  return n;
}

int64_t sum_of_sizes(int64_t a, int64_t b, std::string_view op) {
  int64_t n;
  if (__builtin_add_overflow(a, b, &n))
    fail(Kind::memory, op, "too large: got a size of ", a, " + ", b, ", expected less than 2^63");
  return n;
}

int64_t product_of_sizes(int64_t a, int64_t b, std::string_view op) {
  int64_t n;
  if (__builtin_mul_overflow(a, b, &n))
    fail(Kind::memory, op, "too large: got a size of ", a, " * ", b, ", expected less than 2^63");
  return n;
}

void refuse_shape(const Shape& shape, Dtype type, std::string_view op) {
  if (shape.size() > size_t(max_axes))
    fail(Kind::value, op, "too many axes: got ", shape.size(), ", expected at most ", max_axes);
  for (int64_t n : shape)
    if (n < 0) fail(Kind::value, op, "negative size: got shape ", shape);
  fail(Kind::memory, op, "too large: got shape ", shape, " of ", type,
       ", expected fewer than 2^63 bytes");
}

Strides dense_strides(const Shape& shape) {
  Strides strides;
  strides.resize(shape.size(), 1);
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    step *= std::max<int64_t>(shape[i], 1);
  }
  return strides;
}

bool is_dense(const Shape& shape, const Strides& strides) {
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 0) return true;
    if (shape[i] == 1) continue;
    if (strides[i] != step) return false;
    step *= shape[i];
  }
  return true;
}

bool overlaps_itself(const Shape& shape, const Strides& strides) {
  // Sorted by stride, each axis must step over everything that the smaller ones reach.
  SmallVector<std::pair<int64_t, int64_t>> axes;
  for (size_t i = 0; i < shape.size(); ++i)
    if (shape[i] > 1) axes.push_back({std::abs(strides[i]), shape[i]});
  std::sort(axes.begin(), axes.end());
  int64_t reach = 0;
  for (auto [step, n] : axes) {
    if (step <= reach) return true;
    reach += step * (n - 1);
  }
  return false;
}

Shape broadcast_shapes(const Shape& a, const Shape& b, std::string_view op) {
  if (a == b) return a;
  const bool longer = a.size() >= b.size();
  Shape out = longer ? a : b;
  const Shape& other = longer ? b : a;
  const size_t shift = out.size() - other.size();
  for (size_t i = 0; i < other.size(); ++i) {
    int64_t& d = out[i + shift];
    if (d == other[i] || other[i] == 1) continue;
    if (d != 1)
      fail(Kind::value, op, "shapes do not broadcast: got ", a, " and ", b,
           ", expected equal sizes or 1 on every axis, counted from the last");
    d = other[i];
  }
  return out;
}

Strides broadcast_strides(const Shape& from, const Strides& strides, const Shape& to) {
  Strides out;
  out.resize(to.size(), 0);
  const size_t shift = to.size() - from.size();
  for (size_t i = 0; i < from.size(); ++i)
    if (from[i] == to[i + shift] && from[i] != 1) out[i + shift] = strides[i];
  return out;
}

int normal_axis(int64_t axis, int ndim, std::string_view op) {
  if (axis < -ndim || axis >= ndim)
    fail(Kind::index, op, "axis out of range: got ", axis, " for an array with ", ndim, " axes",
         ndim ? "" : " (0-d)");
  return int(axis < 0 ? axis + ndim : axis);
}

Axes normal_axes(const Axes& axes, int ndim, std::string_view op) {
  Axes out;
  for (int axis : axes) out.push_back(normal_axis(axis, ndim, op));
  std::sort(out.begin(), out.end());
  if (std::adjacent_find(out.begin(), out.end()) != out.end())
    fail(Kind::value, op, "repeated axis: got axes ", axes);
  return out;
}

Axes all_axes(int ndim) {
  Axes out;
  for (int i = 0; i < ndim; ++i) out.push_back(i);
  return out;
}

void collapse(Shape& shape, SmallVector<Strides, 4>& strides) {
  size_t n = 0;  // axes that are left, at the front of all
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 1) continue;
    bool join = n > 0;
    for (size_t k = 0; join && k < strides.size(); ++k)
      join = strides[k][n - 1] == strides[k][i] * shape[i];
    if (join) {
      shape[n - 1] *= shape[i];
    } else {
      shape[n++] = shape[i];
    }
    for (Strides& s : strides) s[n - 1] = s[i];
  }
  const bool one = n == 0;
  shape.resize(one ? 1 : n, 1);
  for (Strides& s : strides) {
    s.resize(one ? 1 : n, 1);
    if (one) s[0] = 1;
  }
  if (one) shape[0] = 1;
}

namespace {
template <class List>
std::ostream& put(std::ostream& out, const List& list) {
  out << '(';
  for (size_t i = 0; i < list.size(); ++i) out << (i ? ", " : "") << list[i];
  return out << (list.size() == 1 ? ",)" : ")");
}
}  // namespace

std::ostream& operator<<(std::ostream& out, const Shape& shape) { return put(out, shape); }
std::ostream& operator<<(std::ostream& out, const Strides& strides) { return put(out, strides); }
std::ostream& operator<<(std::ostream& out, const Axes& axes) { return put(out, axes); }

}  // namespace lazulite
