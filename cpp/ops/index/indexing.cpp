// Keys as NumPy reads them: a[1, ::2, ..., None, [0, 1]], for reading and writing.
#include <algorithm>

#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/index.h"
#include "ops/index/masks.h"
#include "ops/lanes.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite {
namespace {

// A key with one part for every axis of the array, in which new axes have been put in already.
struct Key {
  Shape shape;                 // with the new axes
  Shape start, stop, step;     // the slice taken first
  Axes dropped;                // axes of numbers
  std::vector<array> indices;  // index arrays, and their axes
  Axes axes;
  bool together = true;        // the index arrays stand next to each other
  bool basic() const { return indices.empty(); }
};

int axes_of(const IndexItem& item) {
  if (item.form == IndexItem::newaxis || item.form == IndexItem::ellipsis) return 0;
  return item.form == IndexItem::indices && is_bool(item.where.dtype()) ? item.where.ndim() : 1;
}

// An axis of a mask is as long as that of the array, or 0, which marks nothing (array API
// standard).
bool fits(int64_t of_mask, int64_t of_array) { return of_mask == of_array || of_mask == 0; }

class KeyReader {
 public:
  KeyReader(const array& a, const IndexItems& items) : a_(a), items_(items) {
    int ellipses = 0;
    for (const IndexItem& item : items) {
      used_ += axes_of(item);
      ellipses += item.form == IndexItem::ellipsis;
      arrays_ |= item.form == IndexItem::indices;
    }
    if (ellipses > 1) fail(Kind::index, "index", "more than one ellipsis");
    if (used_ > a.ndim())
      fail(Kind::index, "index", "too many indices: got ", used_, " for an array with ", a.ndim(),
           " axes");
    open_ = ellipses == 0;
  }

  Key operator()() {
    for (const IndexItem& item : items_) {
      ++place_;
      read(item);
    }
    if (open_) read_rest();
    return std::move(key_);
  }

 private:
  void read(const IndexItem& item) {
    switch (item.form) {
      case IndexItem::newaxis: return whole(1);
      case IndexItem::ellipsis: return read_rest();
      case IndexItem::number: return read_number(item.at);
      case IndexItem::range: return read_range(item);
      case IndexItem::indices:
        if (is_bool(item.where.dtype())) return read_mask(item.where);
        whole(a_.shape()[axis_++]);
        return add_indices(item.where);
    }
  }
  void whole(int64_t n) {
    key_.shape.push_back(n);
    key_.start.push_back(0);
    key_.stop.push_back(n);
    key_.step.push_back(1);
  }
  void read_rest() {  // the axes that no item names
    for (int left = a_.ndim() - used_; left > 0; --left) whole(a_.shape()[axis_++]);
  }
  void add_indices(const array& where) {
    key_.axes.push_back(int(key_.shape.size()) - 1);
    key_.indices.push_back(where);
    if (last_array_ >= 0 && place_ > last_array_ + 1) key_.together = false;
    last_array_ = place_;
  }
  void read_number(int64_t given) {
    const int64_t n = a_.shape()[axis_], at = given < 0 ? given + n : given;
    if (at < 0 || at >= n)
      fail(Kind::index, "index", "index out of range: got ", given, " for axis ", axis_,
           " with size ", n);
    ++axis_;
    whole(n);
    if (arrays_) return add_indices(constant(at, {}, int64));  // it takes part as they do
    key_.start.back() = at;
    key_.stop.back() = at + 1;
    key_.dropped.push_back(int(key_.shape.size()) - 1);
  }
  void read_range(const IndexItem& item) {
    const int64_t n = a_.shape()[axis_], step = item.step.value_or(1);
    if (step == 0) fail(Kind::value, "index", "slice step 0 for axis ", axis_);
    ++axis_;
    auto bound = [&](std::optional<int64_t> v, int64_t none) {
      if (!v) return none;
      const int64_t x = *v < 0 ? (*v < -n ? -1 : *v + n) : *v;
      return step > 0 ? std::clamp<int64_t>(x, 0, n) : std::clamp<int64_t>(x, -1, n - 1);
    };
    whole(n);
    key_.start.back() = bound(item.start, step > 0 ? 0 : n - 1);
    key_.stop.back() = bound(item.stop, step > 0 ? n : -1);
    key_.step.back() = step;
  }
  void read_mask(const array& mask) {
    for (int d = 0; d < mask.ndim(); ++d)
      if (!fits(mask.shape()[d], a_.shape()[axis_ + d]))
        fail(Kind::index, "index", "mask does not fit: got shape ", mask.shape(), " at axis ",
             axis_, " of an array of shape ", a_.shape());
    if (mask.ndim() == 0) {  // as an axis of size 1 that is kept or not
      whole(1);
      return add_indices(constant(0, {mask.item<bool>() ? 1 : 0}, int64));
    }
    for (const array& where : nonzero(mask)) {
      whole(a_.shape()[axis_++]);
      add_indices(where);
    }
  }

  const array& a_;
  const IndexItems& items_;
  int used_ = 0;         // axes of a that items name
  bool arrays_ = false;  // there are index arrays
  bool open_;            // no ellipsis: the rest follows
  Key key_;
  int axis_ = 0;         // of a
  int place_ = 0;        // in the key
  int last_array_ = -2;  // its place
};

Key read_key(const array& a, const IndexItems& items) { return KeyReader(a, items)(); }

// The order that brings gathered axes (in front) to their place in a[key], and back.
Axes result_order(const Key& key, int gathered, int ndim, bool back) {
  int front = 0;  // other axes in front of the first indexed one
  if (key.together)
    for (int i = 0; i < key.axes[0]; ++i) ++front;
  Axes order;
  for (int i = 0; i < front; ++i) order.push_back(gathered + i);
  for (int i = 0; i < gathered; ++i) order.push_back(i);
  for (int i = gathered + front; i < ndim; ++i) order.push_back(i);
  if (!back) return order;
  Axes inverse;
  inverse.resize(order.size());
  for (size_t i = 0; i < order.size(); ++i) inverse[order[i]] = int(i);
  return inverse;
}

Shape index_shape(const Key& key) {
  Shape shape;
  for (auto& i : key.indices) shape = broadcast_shapes(shape, i.shape(), "index");
  return shape;
}

// A mask over the leading axes, alone: writing one value for all its elements needs no look at it.
bool is_mask(const IndexItems& items) {
  return items.size() == 1 && items[0].form == IndexItem::indices &&
         is_bool(items[0].where.dtype());
}

array combine(const array& old, const array& value, Write mode, Stream s) {
  const Dtype t = old.dtype(), wide = compute_type(t);
  const array x = astype(old, wide, s), v = astype(value, wide, s);
  array y;
  switch (mode) {
    case Write::set: return value;
    case Write::add: y = add(x, v, s); break;
    case Write::multiply: y = multiply(x, v, s); break;
    case Write::divide: {
      if (is_inexact(t)) {
        y = divide(x, v, s);
      } else {  // towards zero, as scatter does; x / 0 is 0
        const array q = floor_divide(x, v, s), whole = equal(multiply(q, v, s), x, s);
        const array down = logical_xor(less(x, 0, s), less(v, 0, s), s);
        y = where(logical_and(down, logical_and(not_equal(v, 0, s), logical_not(whole, s), s), s),
                  add(q, 1, s), q, s);
      }
      break;
    }
    case Write::maximum: y = maximum(x, v, s); break;
    case Write::minimum: y = minimum(x, v, s); break;
  }
  return astype(y, t, s);
}

array value_array(const Operand& value, Dtype t, Stream s) {
  if (value.is_array()) return astype(value.get(), t, s);
  const Scalar& v = value.scalar();
  if (v.kind() == 'c' && !is_complex(t))
    fail(Kind::type, "index", "a complex number for an array of ", t);
  if (is_bool(t)) return constant(v.truth(), {}, t, s);
  v.check_converts(t, "index");
  return constant(v, {}, t, s);
}

// Leading axes of size 1 beyond those of the place are dropped, as in NumPy.
array fitted(array value, const Shape& shape, Stream s) {
  while (value.ndim() > int(shape.size()) && value.shape()[0] == 1)
    value = reshape(value, Shape(value.shape().begin() + 1, value.shape().end()), s);
  if (value.ndim() > int(shape.size()) || broadcast_shapes(value.shape(), shape, "index") != shape)
    fail(Kind::value, "index", "value does not fit: got shape ", value.shape(),
         ", expected one that broadcasts to ", shape);
  return broadcast_to(value, shape, s);
}

array update_at_mask(const array& a, const array& given, array v, Write mode, Stream s) {
  const int rest = a.ndim() - given.ndim();
  bool good = rest >= 0;
  for (int d = 0; good && d < given.ndim(); ++d) good = fits(given.shape()[d], a.shape()[d]);
  if (!good)
    fail(Kind::index, "index", "mask does not fit: got shape ", given.shape(),
         " for an array of shape ", a.shape());
  const Shape marked(a.shape().begin(), a.shape().end() - rest);
  const array mask = given.shape() == marked ? given : zeros(marked, bool_, s);
  Shape shape = mask.shape();
  for (int i = 0; i < rest; ++i) shape.push_back(1);
  const Shape element(a.shape().end() - rest, a.shape().end());
  while (v.ndim() > rest && v.shape()[0] == 1)
    v = reshape(v, Shape(v.shape().begin() + 1, v.shape().end()), s);
  if (v.ndim() == 1 && rest == 0 && mode == Write::set)  // a value for each True element
    return set_at_mask(a, mask, v, s);
  if (v.ndim() == rest + 1) {
    const array each = fitted(v, with_front(v.shape()[0], element), s);
    v = reshape(values_at_mask(mask, each, s), a.shape(), s);
  } else {
    v = fitted(v, element, s);
  }
  return where(reshape(mask, shape, s), combine(a, v, mode, s), a, s);
}

}  // namespace

array index(const array& a, const IndexItems& items, Stream s) {
  if (is_mask(items) && a.ndim() > 0 && items[0].where.shape() == a.shape())
    return elements_at_mask(a, items[0].where, s);
  const Key key = read_key(a, items);
  array x = slice(reshape(a, key.shape, s), key.start, key.stop, key.step, s);
  if (key.basic()) return key.dropped.empty() ? x : squeeze(x, key.dropped, s);
  if (key.indices.size() == 1)
    return gather_inside(x, key.indices[0], key.axes[0], s, "index");
  x = gather(x, key.indices, key.axes, s, "index");
  return transpose(x, result_order(key, int(index_shape(key).size()), x.ndim(), false), s);
}

array index_update(const array& a, const IndexItems& items, const Operand& value, Write mode,
                   Stream s) {
  array v = value_array(value, a.dtype(), s);
  if (is_mask(items)) return update_at_mask(a, items[0].where, v, mode, s);
  const Key key = read_key(a, items);
  const array base = reshape(a, key.shape, s);
  const array part = slice(base, key.start, key.stop, key.step, s);
  array changed;
  if (key.basic()) {
    const array old = key.dropped.empty() ? part : squeeze(part, key.dropped, s);
    v = reshape(fitted(v, old.shape(), s), part.shape(), s);
    changed = combine(part, v, mode, s);
  } else {
    const Shape at = index_shape(key);
    Shape gathered = at;
    for (int i = 0; i < part.ndim(); ++i)
      if (std::find(key.axes.begin(), key.axes.end(), i) == key.axes.end())
        gathered.push_back(part.shape()[i]);
    const int count = int(at.size()), n = int(gathered.size());
    Shape result;
    for (int axis : result_order(key, count, n, false)) result.push_back(gathered[axis]);
    v = fitted(v, result, s);
    if (key.indices.size() == 1)
      changed = scatter_inside(part, key.indices[0], v, key.axes[0], mode, s, "index");
    else
      changed = scatter(part, key.indices, transpose(v, result_order(key, count, n, true), s),
                        key.axes, mode, s, "index");
  }
  if (part.same(base)) return reshape(changed, a.shape(), s);
  return reshape(slice_update(base, changed, key.start, key.stop, key.step, s), a.shape(), s);
}

namespace {
// Index arrays of a window, one for each axis, that broadcast with each other.
std::vector<array> window(const array& a, const array& start, const Axes& axes, const Shape& size,
                          const char* op, Stream s) {
  if (start.ndim() > 1 || start.size() != int64_t(axes.size()))
    fail(Kind::value, op, "start does not fit: got shape ", start.shape(), " for ", axes.size(),
         " axes");
  if (!is_integer(start.dtype()))
    fail(Kind::value, op, "start is not of integers: got ", start.dtype());
  const array from = astype(reshape(start, {start.size()}, s), int64, s);
  std::vector<array> out;
  for (size_t k = 0; k < axes.size(); ++k) {
    const int axis = normal_axis(axes[k], a.ndim(), op);
    if (size[k] < 0 || size[k] > a.shape()[axis])
      fail(Kind::value, op, "size out of range: got ", size[k], " for axis ", axis, " with size ",
           a.shape()[axis]);
    Shape shape;
    shape.resize(axes.size(), 1);
    shape[k] = size[k];
    const array at = slice_axis(from, 0, int64_t(k), int64_t(k) + 1, s);
    // A negative start is out of range too, not counted from the end.
    const array first = where(less(at, 0, s), a.shape()[axis], at, s);
    out.push_back(reshape(add(first, arange(0, size[k], 1, int64, s), s), shape, s));
  }
  return out;
}
// gathered axes in front -> the order of a
Axes window_order(int ndim, const Axes& axes, bool back) {
  Axes order;
  order.resize(size_t(ndim), -1);
  for (size_t k = 0; k < axes.size(); ++k) order[normal_axis(axes[k], ndim, "slice")] = int(k);
  int next = int(axes.size());
  for (auto& o : order)
    if (o < 0) o = next++;
  if (!back) return order;
  Axes inverse;
  inverse.resize(order.size());
  for (size_t i = 0; i < order.size(); ++i) inverse[order[i]] = int(i);
  return inverse;
}
}  // namespace

array slice(const array& a, const array& start, const Axes& axes, const Shape& size, Stream s) {
  if (int(size.size()) != a.ndim())
    fail(Kind::value, "slice", "sizes do not fit: got ", size, " for an array of shape ",
         a.shape());
  normal_axes(axes, a.ndim(), "slice");  // refuses repeated ones
  Shape sizes, begin, step, end = size;
  for (int axis : axes) sizes.push_back(size[normal_axis(axis, a.ndim(), "slice")]);
  begin.resize(size.size(), 0);
  step.resize(size.size(), 1);
  for (int axis : axes) end[normal_axis(axis, a.ndim(), "slice")] = a.shape(axis);
  const array part = slice(a, begin, end, step, s);
  if (axes.empty()) return part;
  const array out = gather(part, window(a, start, axes, sizes, "slice", s), axes, s, "slice");
  return transpose(out, window_order(a.ndim(), axes, false), s);
}

array slice_update(const array& a, const array& update, const array& start, const Axes& axes,
                   Stream s) {
  array u = astype(update, a.dtype(), s);
  if (u.ndim() != a.ndim())
    fail(Kind::value, "slice_update", "numbers of axes differ: got an update of shape ", u.shape(),
         " for an array of shape ", a.shape());
  normal_axes(axes, a.ndim(), "slice_update");  // refuses repeated ones
  Shape sizes, begin, step, end = u.shape();
  for (int axis : axes) {
    sizes.push_back(u.shape(axis));
    end[normal_axis(axis, a.ndim(), "slice_update")] = a.shape(axis);
  }
  begin.resize(end.size(), 0);
  step.resize(end.size(), 1);
  if (axes.empty()) return slice_update(a, u, begin, end, step, s);
  const array part = slice(a, begin, end, step, s);
  const array changed =
      scatter(part, window(a, start, axes, sizes, "slice_update", s),
              transpose(u, window_order(a.ndim(), axes, true), s), axes, Write::set, s,
              "slice_update");
  return part.same(a) ? changed : slice_update(a, changed, begin, end, step, s);
}

array index_subtract(const array& a, const IndexItems& items, const Operand& value, Stream s) {
  const array x = value_array(value, a.dtype(), s);
  return index_update(a, items, is_bool(a.dtype()) ? x : negative(x, s), Write::add, s);
}

array take(const array& a, int64_t at, int axis, Stream s) {
  axis = normal_axis(axis, a.ndim(), "take");
  const int64_t n = a.shape()[axis], from = at < 0 ? at + n : at;
  if (from < 0 || from >= n)
    fail(Kind::index, "take", "index out of range: got ", at, " for axis ", axis, " with size ", n);
  return squeeze(slice_axis(a, axis, from, from + 1, s), {axis}, s);
}
array take(const array& a, int64_t at, Stream s) {
  return take(reshape(a, {a.size()}, s), at, 0, s);
}

array take_along_axis(const array& a, const array& indices, Stream s) {
  return take_along_axis(reshape(a, {a.size()}, s), reshape(indices, {indices.size()}, s), 0, s);
}
array put_along_axis(const array& a, const array& indices, const Operand& values, Stream s) {
  const bool many = values.is_array() && values.get().ndim() > 1;
  const Operand flat =
      many ? Operand(reshape(values.get(), {values.get().size()}, s)) : values;
  return reshape(put_along_axis(reshape(a, {a.size()}, s), reshape(indices, {indices.size()}, s),
                                flat, 0, s),
                 a.shape(), s);
}

}  // namespace lazulite
