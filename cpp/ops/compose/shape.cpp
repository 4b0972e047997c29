#include "ops/compose/shape.h"

#include <algorithm>

#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/index.h"
#include "ops/cumulative/cumulative.h"
#include "ops/reduce/reduce.h"
#include "ops/sort/sort.h"
#include "ops/shape/shape.h"

namespace lazulite {

array expand_dims(const array& a, const Axes& axes, Stream s) {
  const int n = a.ndim() + int(axes.size());
  const Axes at = normal_axes(axes, n, "expand_dims");
  Shape shape;
  size_t next = 0, from = 0;
  for (int i = 0; i < n; ++i) {
    if (next < at.size() && at[next] == i) {
      shape.push_back(1);
      ++next;
    } else {
      shape.push_back(a.shape()[from++]);
    }
  }
  return reshape(a, shape, s);
}

array squeeze(const array& a, const Axes& axes, Stream s) {
  const Axes at = normal_axes(axes, a.ndim(), "squeeze");
  Shape shape;
  size_t next = 0;
  for (int i = 0; i < a.ndim(); ++i) {
    if (next < at.size() && at[next] == i) {
      if (a.shape()[i] != 1)
        fail(Kind::value, "squeeze", "axis ", i, " is not of size 1: got shape ", a.shape());
      ++next;
    } else {
      shape.push_back(a.shape()[i]);
    }
  }
  return reshape(a, shape, s);
}

array squeeze(const array& a, Stream s) {
  Shape shape;
  for (int64_t d : a.shape())
    if (d != 1) shape.push_back(d);
  return reshape(a, shape, s);
}

array flatten(const array& a, int start, int end, Stream s) {
  if (a.ndim() == 0) return reshape(a, {1}, s);
  start = normal_axis(start, a.ndim(), "flatten");
  end = normal_axis(end, a.ndim(), "flatten");
  if (end < start) fail(Kind::value, "flatten", "end before start: got ", start, " and ", end);
  Shape shape(a.shape().begin(), a.shape().begin() + start);
  shape.push_back(size_of(Shape(a.shape().begin() + start, a.shape().begin() + end + 1)));
  shape.append(a.shape().begin() + end + 1, a.shape().end());
  return reshape(a, shape, s);
}

array unflatten(const array& a, int axis, const Shape& parts, Stream s) {
  axis = normal_axis(axis, a.ndim(), "unflatten");
  Shape fixed = parts, others;
  for (int64_t d : parts)
    if (d != -1) others.push_back(d);
  const int64_t known = size_of(others);
  for (auto& d : fixed)
    if (d == -1) d = known ? a.shape()[axis] / known : 0;
  if (size_of(fixed) != a.shape()[axis])
    fail(Kind::value, "unflatten", "sizes differ: got ", parts, " for axis ", axis, " with size ",
         a.shape()[axis]);
  Shape shape(a.shape().begin(), a.shape().begin() + axis);
  shape.append(fixed.begin(), fixed.end());
  shape.append(a.shape().begin() + axis + 1, a.shape().end());
  return reshape(a, shape, s);
}

array swapaxes(const array& a, int i, int j, Stream s) {
  Axes axes = all_axes(a.ndim());
  std::swap(axes[normal_axis(i, a.ndim(), "swapaxes")], axes[normal_axis(j, a.ndim(), "swapaxes")]);
  return transpose(a, axes, s);
}

array moveaxis(const array& a, int from, int to, Stream s) {
  from = normal_axis(from, a.ndim(), "moveaxis");
  to = normal_axis(to, a.ndim(), "moveaxis");
  Axes axes = all_axes(a.ndim());
  axes.erase(axes.begin() + from);
  axes.insert(axes.begin() + to, from);
  return transpose(a, axes, s);
}

array moveaxis(const array& a, const Axes& from, const Axes& to, Stream s) {
  if (from.size() != to.size())
    fail(Kind::value, "moveaxis", "numbers of axes differ: got ", from, " and ", to);
  if (from.size() == 1) return moveaxis(a, from[0], to[0], s);
  normal_axes(from, a.ndim(), "moveaxis");
  normal_axes(to, a.ndim(), "moveaxis");
  Axes order, source;
  order.resize(size_t(a.ndim()), -1);
  for (size_t i = 0; i < from.size(); ++i) {
    source.push_back(normal_axis(from[i], a.ndim(), "moveaxis"));
    order[normal_axis(to[i], a.ndim(), "moveaxis")] = source.back();
  }
  int next = 0;
  for (int& o : order)
    if (o < 0) {
      while (std::find(source.begin(), source.end(), next) != source.end()) ++next;
      o = next++;
    }
  return transpose(a, order, s);
}

array matrix_transpose(const array& a, Stream s) {
  if (a.ndim() < 2)
    fail(Kind::value, "matrix_transpose", "too few axes: got shape ", a.shape(),
         ", expected 2 or more");
  return swapaxes(a, -1, -2, s);
}

array atleast_1d(const array& a, Stream s) { return a.ndim() >= 1 ? a : reshape(a, {1}, s); }
array atleast_2d(const array& a, Stream s) {
  return a.ndim() >= 2 ? a : reshape(a, {1, a.size()}, s);
}
array atleast_3d(const array& a, Stream s) {
  if (a.ndim() >= 3) return a;
  if (a.ndim() == 2) return reshape(a, {a.shape()[0], a.shape()[1], 1}, s);
  return reshape(a, {1, a.size(), 1}, s);
}

Shape broadcast_shapes(const std::vector<Shape>& shapes) {
  Shape common;
  for (const Shape& shape : shapes) {
    check_shape(shape, uint8, "broadcast_shapes");
    common = broadcast_shapes(common, shape, "broadcast_shapes");
  }
  return common;
}

std::vector<array> broadcast_arrays(const std::vector<array>& arrays, Stream s) {
  Shape shape;
  for (const array& a : arrays) shape = broadcast_shapes(shape, a.shape(), "broadcast_arrays");
  std::vector<array> out;
  for (const array& a : arrays) out.push_back(broadcast_view(a, shape, s));
  return out;
}

array stack(const std::vector<array>& arrays, int axis, Stream s) {
  if (arrays.empty())
    fail(Kind::value, "stack", "no arrays: got an empty list, expected one array or more");
  for (auto& a : arrays)
    if (a.shape() != arrays[0].shape())
      fail(Kind::value, "stack", "shapes differ: got ", arrays[0].shape(), " and ", a.shape());
  axis = normal_axis(axis, arrays[0].ndim() + 1, "stack");
  std::vector<array> parts;
  for (auto& a : arrays) parts.push_back(expand_dims(a, {axis}, s));
  return concatenate(parts, axis, s);
}

std::vector<array> split(const array& a, const Shape& at, int axis, Stream s) {
  axis = normal_axis(axis, a.ndim(), "split");
  const int64_t n = a.shape()[axis];
  std::vector<array> out;
  int64_t from = 0;
  for (size_t i = 0; i <= at.size(); ++i) {
    int64_t to = i == at.size() ? n : at[i] < 0 ? at[i] + n : at[i];
    to = std::clamp<int64_t>(to, 0, n);
    out.push_back(slice_axis(a, axis, from, std::max(from, to), s));
    from = to;
  }
  return out;
}

std::vector<array> split(const array& a, int64_t parts, int axis, Stream s) {
  axis = normal_axis(axis, a.ndim(), "split");
  const int64_t n = a.shape()[axis];
  if (parts <= 0 || n % parts)
    fail(Kind::value, "split", "does not divide: got ", parts, " parts of axis ", axis,
         " with size ", n);
  if (parts > most_parts)
    fail(Kind::memory, "split", "too many arrays: got ", parts, " parts, expected at most ",
         most_parts);
  Shape at;
  for (int64_t i = 1; i < parts; ++i) at.push_back(n / parts * i);
  return split(a, at, axis, s);
}

std::vector<array> unstack(const array& a, int axis, Stream s) {
  axis = normal_axis(axis, a.ndim(), "unstack");
  const int64_t n = a.shape()[axis];
  if (n > most_parts)
    fail(Kind::memory, "unstack", "too many arrays: got ", n, ", expected at most ", most_parts);
  std::vector<array> out;
  for (int64_t i = 0; i < n; ++i)
    out.push_back(squeeze(slice_axis(a, axis, i, i + 1, s), {axis}, s));
  return out;
}

array repeat(const array& a, int64_t repeats, int axis, Stream s) {
  if (repeats < 0) fail(Kind::value, "repeat", "negative count: got ", repeats);
  axis = normal_axis(axis, a.ndim(), "repeat");
  Shape shape = a.shape();
  shape.insert(shape.begin() + axis + 1, repeats);
  Shape flat = a.shape();
  flat[axis] = product_of_sizes(flat[axis], repeats, "repeat");
  return reshape(broadcast_to(expand_dims(a, {axis + 1}, s), shape, s), flat, s);
}

array repeat(const array& a, const array& counts, int axis, std::optional<int64_t> size, Stream s) {
  axis = normal_axis(axis, a.ndim(), "repeat");
  const int64_t n = a.shape()[axis];
  if (!is_integral(counts.dtype()) || counts.ndim() > 1 ||
      (counts.size() != 1 && counts.size() != n))
    fail(Kind::value, "repeat", "counts do not fit: got ", counts.dtype(), " of shape ",
         counts.shape(), ", expected integers of shape (", n, ",) or one");
  if (size && *size < 0) fail(Kind::value, "repeat", "negative size: got ", *size);
  constexpr const char* example = "repeat(a, counts, size=10)";
  const array each = broadcast_to(astype(reshape(counts, {counts.size()}, s), int64, s), {n}, s);
  const int64_t least = size || !n ? 0 : number_read(min(each, {0}, false, s), "repeat", example);
  if (least < 0) fail(Kind::value, "repeat", "negative count: got ", least);
  if (!size) size = number_read(sum(each, {0}, false, s), "repeat", example);
  if (n == 0) {
    if (*size) fail(Kind::value, "repeat", "of nothing: got an array of shape ", a.shape());
    return a;
  }
  const array places = searchsorted(cumsum(each, 0, false, Start::inclusive, s),
                                    ramp(0, 1, *size, int64, s), true, s);
  return take(a, minimum(astype(places, int64, s), n - 1, s), axis, s);
}

array repeat(const array& a, int64_t repeats, Stream s) {
  return repeat(reshape(a, {a.size()}, s), repeats, 0, s);
}

array tile(const array& a, const Shape& reps, Stream s) {
  Shape counts = reps, base = a.shape();
  while (counts.size() < base.size()) counts.insert(counts.begin(), 1);
  while (base.size() < counts.size()) base.insert(base.begin(), 1);
  Shape one, wide, flat;
  for (size_t i = 0; i < base.size(); ++i) {
    if (counts[i] < 0) fail(Kind::value, "tile", "negative count: got ", reps);
    one.push_back(1);
    one.push_back(base[i]);
    wide.push_back(counts[i]);
    wide.push_back(base[i]);
    flat.push_back(product_of_sizes(counts[i], base[i], "tile"));
  }
  return reshape(broadcast_to(reshape(a, one, s), wide, s), flat, s);
}

array flip(const array& a, const Axes& axes, Stream s) {
  Shape start, stop = a.shape(), step;
  start.resize(stop.size(), 0);
  step.resize(stop.size(), 1);
  for (int axis : normal_axes(axes, a.ndim(), "flip")) {
    start[axis] = std::max<int64_t>(a.shape()[axis] - 1, 0);
    stop[axis] = a.shape()[axis] ? -1 : 0;
    step[axis] = -1;
  }
  return slice(a, start, stop, step, s);
}

array roll(const array& a, const Shape& shift, const Axes& axes, Stream s) {
  if (shift.size() != axes.size() && shift.size() != 1 && axes.size() != 1)
    fail(Kind::value, "roll", "shifts and axes differ in number: got ", shift, " and ", axes);
  // They broadcast; what falls on one axis adds up.
  Shape total;
  total.resize(a.shape().size(), 0);
  for (size_t i = 0; i < (axes.size() == 1 ? shift.size() : axes.size()); ++i) {
    const int axis = normal_axis(axes[axes.size() == 1 ? 0 : i], a.ndim(), "roll");
    const int64_t n = a.shape()[axis];
    if (n) total[axis] = (total[axis] + shift[shift.size() == 1 ? 0 : i] % n) % n;
  }
  array out = a;
  for (int axis = 0; axis < a.ndim(); ++axis) {
    const int64_t n = a.shape()[axis], by = total[axis] < 0 ? total[axis] + n : total[axis];
    if (by)
      out = concatenate({slice_axis(out, axis, n - by, n, s), slice_axis(out, axis, 0, n - by, s)},
                        axis, s);
  }
  return out;
}

array roll(const array& a, const Shape& shift, Stream s) {
  int64_t by = 0;  // modulo the size: sums of anything fit
  for (int64_t v : shift) by = a.size() ? (by + v % a.size()) % a.size() : 0;
  return reshape(roll(reshape(a, {a.size()}, s), {by}, {0}, s), a.shape(), s);
}

namespace {

// Whether all places that shape and strides reach lie among `size` elements.
bool stays_inside(const Shape& shape, const Shape& strides, int64_t offset, int64_t size) {
  int64_t low = offset, high = offset;  // the first and the last place that is looked at
  bool fits = true;
  for (size_t i = 0; i < shape.size(); ++i) {
    int64_t reach = 0;
    fits &= !__builtin_mul_overflow(std::max<int64_t>(shape[i], 1) - 1, strides[i], &reach);
    fits &= !__builtin_add_overflow(reach < 0 ? low : high, reach, reach < 0 ? &low : &high);
  }
  return size_of(shape) == 0 || (fits && low >= 0 && high < size);
}

}  // namespace

array as_strided(const array& a, const Shape& shape, const Shape& strides, int64_t offset,
                 Stream s) {
  if (strides.size() != shape.size())
    fail(Kind::value, "as_strided", "shape and strides differ in length: got ", shape, " and ",
         strides);
  if (!stays_inside(shape, strides, offset, a.size()))
    fail(Kind::index, "as_strided", "index out of range: got shape ", shape, ", strides ", strides,
         " and offset ", offset, ", expected places from 0 to ", a.size() - 1);
  array at = constant(offset, {}, int64, s);
  for (size_t i = 0; i < shape.size(); ++i) {
    Shape one;
    one.resize(shape.size(), 1);
    one[i] = shape[i];
    at = add(at, reshape(multiply(arange(0, shape[i], 1, int64, s), strides[i], s), one, s), s);
  }
  return reshape(take(reshape(a, {a.size()}, s), broadcast_to(at, shape, s), 0, s), shape, s);
}

array pad(const array& a, const Shape& low, const Shape& high, const Operand& value, Stream s) {
  Shape shape, start, stop, step;
  for (int i = 0; i < a.ndim(); ++i) {
    if (low[i] < 0 || high[i] < 0)
      fail(Kind::value, "pad", "negative width on axis ", i, ": got ", low[i], ", ", high[i]);
    shape.push_back(sum_of_sizes(sum_of_sizes(a.shape(i), low[i], "pad"), high[i], "pad"));
    start.push_back(low[i]);
    stop.push_back(low[i] + a.shape(i));
    step.push_back(1);
  }
  check_shape(shape, a.dtype(), "pad");
  // A view of one number: of it the update copies what lies around a, where a full array would be
  // written as a whole before.
  const array around = broadcast_view(as_array(value, a.dtype(), "pad", s), shape, s);
  return slice_update(around, a, start, stop, step, s);
}

}  // namespace lazulite
