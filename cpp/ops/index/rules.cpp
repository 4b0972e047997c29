// gather and scatter: what they infer, their derivatives and batching. What is made of them is in
// indexing.cpp.
#include <algorithm>

#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/ops.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite {
namespace {

// ---- shapes
// -----------------------------------------------------------------------

Shape gathered_shape(const array& source, const array& index, const Axes& axes, Way way) {
  Shape shape = index.shape();
  if (way == Way::along) return shape;
  if (way == Way::inside) {
    const Shape& all = source.shape();
    Shape inside(all.begin(), all.begin() + axes[0]);
    inside.append(shape.begin(), shape.end());
    inside.append(all.begin() + axes[0] + 1, all.end());
    return inside;
  }
  const Shape rest = other_axes(source.shape(), axes);
  shape.append(rest.begin(), rest.end());
  return shape;
}

// Index arrays of one shape, for different axes of the source.
void check_indices(const char* op, const Arrays& in, const Axes& axes, Way way, size_t more) {
  const size_t first = 1;
  bool fits =
      in.size() == first + axes.size() + more && !axes.empty() &&
      (way == Way::front || axes.size() == 1) && way <= Way::inside;
  for (size_t k = 0; fits && k < axes.size(); ++k) {
    fits = axes[k] >= 0 && axes[k] < in[0].ndim() && is_index(in[first + k].dtype()) &&
           in[first + k].shape() == in[first].shape() &&
           std::count(axes.begin(), axes.end(), axes[k]) == 1;
    if (fits && way == Way::along) {
      fits = in[first].ndim() == in[0].ndim();
      for (int d = 0; fits && d < in[0].ndim(); ++d)
        fits = d == axes[0] || in[first].shape()[d] == in[0].shape()[d];
    }
  }
  if (!fits)
    fail(Kind::value, op, "indices do not fit: got axes ", axes, " for shape ",
         in.empty() ? Shape{} : in[0].shape());
}
Specs infer_gather(const Gather& g, const Arrays& in) {
  check_indices("gather", in, g.axes, g.way, 0);
  return {Spec{gathered_shape(in[0], in[1], g.axes, g.way), in[0].dtype()}};
}
Specs infer_scatter(const Scatter& s, const Arrays& in) {
  check_indices("scatter", in, s.axes, s.way, 1);
  const Shape wanted = gathered_shape(in[0], in[1], s.axes, s.way);
  const array& updates = in.back();
  if (updates.dtype() != in[0].dtype() || updates.shape() != wanted || s.mode > Write::minimum ||
      (s.mode != Write::set && is_half(in[0].dtype())))
    fail(Kind::value, "scatter", "the values do not fit: got ", updates.dtype(), updates.shape(),
         ", expected ", in[0].dtype(), wanted);
  return {in[0].slot().spec};
}

// ---- derivatives
// ---------------------------------------------------------------------------------

// A node's indices as inputs of another op at the same places.
struct Place {
  Arrays indices;
  Axes axes;
  Way way;
  const char* caller;
  Stream stream;

  template <class T>  // Gather or Scatter
  Place(const Node& node, const T& at)
      : axes(at.axes), way(at.way), caller(at.caller), stream(node.stream) {
    for (size_t k = 0; k < axes.size(); ++k) indices.push_back(node.inputs[1 + k]);
  }
  array take(const array& source) const;
  array put(const array& source, const array& updates, Write mode) const;
};

array Place::take(const array& source) const {
  Arrays in{source};
  for (auto& i : indices) in.push_back(i);
  return record(gather_op, attrs(Gather{axes, way, caller}), std::move(in), stream);
}
array Place::put(const array& source, const array& updates, Write mode) const {
  Arrays in{source};
  for (auto& i : indices) in.push_back(i);
  in.push_back(updates);
  return record(scatter_op, attrs(Scatter{axes, way, mode, caller}), std::move(in), stream);
}

Arrays only_source(size_t inputs, array gradient) {
  Arrays out;
  out.resize(inputs);
  out[0] = std::move(gradient);
  return out;
}

// A half's sum of many terms is formed in float32.
array accumulate(const Place& place, const array& like, const array& terms) {
  const Dtype wide = compute_type(like.dtype());
  return astype(place.put(astype(zeros_like(like), wide), astype(terms, wide), Write::add),
                like.dtype());
}

Arrays vjp_gather(const Gather& g, const Node& node, const Arrays& cts, const Needs&) {
  return only_source(node.inputs.size(),
                     accumulate(Place(node, g), node.inputs[0], cts[0]));
}
array vjp_gather_onto(const Gather& g, const Node& node, const array& ct, const array& sum) {
  const Place place(node, g);
  return is_half(sum.dtype()) ? add(sum, accumulate(place, sum, ct))
                              : place.put(sum, ct, Write::add);
}
Arrays jvp_gather(const Gather& g, const Node& node, const Arrays& t) {
  return {t[0] ? Place(node, g).take(t[0]) : array()};
}

// 1 where an update is the last of its position, else 0.
array winners(const Place& place, const array& source, const array& updates) {
  // Numbers of the updates, written like them: only the last remains.
  const array numbers = reshape(arange(0, updates.size(), 1, int64, place.stream), updates.shape());
  const array seen =
      place.take(place.put(constant(-1, source.shape(), int64), numbers, Write::set));
  return equal(seen, numbers);
}
// The product of the other updates at the same position, also where some are zero.
array product_of_others(const Place& place, const array& source, const array& updates) {
  const array zero = equal(updates, 0), filled = where(zero, 1, updates);
  const array zeros =
      place.take(place.put(constant(0, source.shape(), int32), astype(zero, int32), Write::add));
  const array rest = place.take(place.put(ones_like(source), filled, Write::multiply));
  const array others =
      is_integer(source.dtype()) ? floor_divide(rest, filled) : divide(rest, filled);
  return where(equal(zeros, 0), others,
               where(logical_and(equal(zeros, 1), zero), rest, 0));
}
// Which of source and updates reached the result, and among how many ties.
struct Ties {
  array source, updates, count;
};
Ties ties_of(const Place& place, const Node& node) {
  const array &x = node.inputs[0], &u = node.inputs.back(), y = recorded(node, 0);
  Ties out;
  out.source = astype(equal(x, y), x.dtype());
  out.updates = astype(equal(u, place.take(y)), x.dtype());
  out.count = place.put(out.source, out.updates, Write::add);
  return out;
}

Arrays vjp_scatter(const Scatter& s, const Node& node, const Arrays& cts, const Needs& needs) {
  const Place place(node, s);
  const array &x = node.inputs[0], &u = node.inputs.back();
  const array ct = cts[0];
  array to_x, to_u;
  const bool need_x = needs[0], need_u = needs[needs.size() - 1];
  auto conj = [](const array& a) { return conjugate(a); };
  switch (s.mode) {
    case Write::set:
      if (need_x) to_x = place.put(ct, zeros_like(u), Write::set);
      if (need_u) to_u = where(winners(place, x, u), place.take(ct), 0);
      break;
    case Write::add:
      to_x = ct;
      if (need_u) to_u = place.take(ct);
      break;
    case Write::multiply:
      if (need_x) to_x = multiply(ct, conj(place.put(ones_like(x), u, Write::multiply)));
      if (need_u)
        to_u = multiply(place.take(multiply(ct, conj(x))), conj(product_of_others(place, x, u)));
      break;
    case Write::divide:
      if (need_x) to_x = multiply(ct, conj(place.put(ones_like(x), u, Write::divide)));
      if (need_u)
        to_u = negative(divide(place.take(multiply(ct, conj(recorded(node, 0)))), conj(u)));
      break;
    default: {
      const Ties ties = ties_of(place, node);
      const array part = divide(ct, ties.count);
      if (need_x) to_x = multiply(part, ties.source);
      if (need_u) to_u = multiply(place.take(part), ties.updates);
    }
  }
  Arrays out = only_source(node.inputs.size(), to_x);
  out[out.size() - 1] = to_u;
  return out;
}

Arrays jvp_scatter(const Scatter& s, const Node& node, const Arrays& t) {
  const Place place(node, s);
  const array &x = node.inputs[0], &u = node.inputs.back();
  const array tx = t[0] ? t[0] : zeros_like(x),
              tu = t[t.size() - 1] ? t[t.size() - 1] : zeros_like(u);
  switch (s.mode) {
    case Write::set:
    case Write::add: return {place.put(tx, tu, s.mode)};
    case Write::multiply:
      return {add(multiply(tx, place.put(ones_like(x), u, Write::multiply)),
                  place.put(zeros_like(x),
                            multiply(multiply(place.take(x), product_of_others(place, x, u)), tu),
                            Write::add))};
    case Write::divide:
      return {subtract(
          place.put(tx, u, Write::divide),
          place.put(zeros_like(x),
                    astype(divide(multiply(place.take(recorded(node, 0)), tu), u), x.dtype()),
                    Write::add))};
    default: {
      const Ties ties = ties_of(place, node);
      const array own = divide(multiply(tx, ties.source), ties.count);
      return {
          place.put(own, divide(multiply(tu, ties.updates), place.take(ties.count)), Write::add)};
    }
  }
}

// ---- batching
// ------------------------------------------------------------------------------------

Axes shifted(const Axes& axes) {
  Axes out;
  for (int axis : axes) out.push_back(axis + 1);
  return out;
}
// The number of the lane, as an index array of the same shape as the others.
array lane_numbers(const array& like, Stream s) {
  Shape shape;
  shape.resize(like.shape().size(), 1);
  shape[0] = like.shape()[0];
  return broadcast_to(reshape(arange(0, like.shape()[0], 1, int64, s), shape), like.shape());
}

// The order of axes that brings `count` of index arrays, which follow the lanes, behind `before`
// others; and back.
Axes order_inside(int ndim, int count, int before, bool back) {
  Axes order{0};
  const int first = back ? 1 + before : 1 + count, some = back ? count : before;
  for (int i = 0; i < some; ++i) order.push_back(first + i);
  for (int i = 1; i < first; ++i) order.push_back(i);
  for (int i = first + some; i < ndim; ++i) order.push_back(i);
  return order;
}

Arrays vmap_gather(const Gather& g, const Node& node, const Arrays& in, const Axes& axes,
                   Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  const bool along = g.way == Way::along;
  bool indices_mapped = false;
  for (size_t k = 1; k < in.size(); ++k) indices_mapped |= axes[k] >= 0;
  Arrays args;
  if (!along && !indices_mapped) {  // lanes are one more axis that is not indexed
    args.push_back(lane_first(in[0], axes[0], lanes));
    for (size_t k = 1; k < in.size(); ++k) args.push_back(in[k]);
    out_axes = {g.way == Way::front ? in[1].ndim() : 0};
    return {record(gather_op, attrs(Gather{shifted(g.axes), g.way, g.caller}), std::move(args),
                   node.stream)};
  }
  out_axes = {0};
  for (size_t k = 0; k < in.size(); ++k)
    args.push_back(k == 0 && axes[0] < 0 && !along ? in[0] : lane_first(in[k], axes[k], lanes));
  if (along)
    return {record(gather_op, attrs(Gather{shifted(g.axes), g.way, g.caller}), std::move(args),
                   node.stream)};
  const int count = args[1].ndim() - 1;
  Axes all = g.axes;
  if (axes[0] >= 0) {
    all = shifted(g.axes);
    all.insert(all.begin(), 0);
    const array numbers = lane_numbers(args[1], node.stream);
    args.insert(args.begin() + 1, numbers);
  }
  const array out =
      record(gather_op, attrs(Gather{all, Way::front, g.caller}), std::move(args), node.stream);
  if (g.way == Way::front) return {out};
  return {transpose(out, order_inside(out.ndim(), count, g.axes[0], false), node.stream)};
}

Arrays vmap_scatter(const Scatter& s, const Node& node, const Arrays& in, const Axes& axes,
                    Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  const bool inside = s.way == Way::inside;
  out_axes = {0};
  Arrays args;
  for (size_t k = 0; k < in.size(); ++k)
    args.push_back(k == 1 && inside && axes[1] < 0 ? in[1] : lane_first(in[k], axes[k], lanes));
  if (s.way == Way::along || (inside && axes[1] < 0))
    return {record(scatter_op, attrs(Scatter{shifted(s.axes), s.way, s.mode, s.caller}),
                   std::move(args), node.stream)};
  array& updates = args.back();
  if (inside)
    updates = transpose(
        updates, order_inside(updates.ndim(), args[1].ndim() - 1, s.axes[0], true), node.stream);
  Axes all = shifted(s.axes);
  all.insert(all.begin(), 0);
  const array numbers = lane_numbers(args[1], node.stream);
  args.insert(args.begin() + 1, numbers);
  return {record(scatter_op, attrs(Scatter{all, Way::front, s.mode, s.caller}), std::move(args),
                 node.stream)};
}

array as_index(const array& a, const char* op, Stream s) {
  if (!is_integer(a.dtype())) fail(Kind::value, op, "indices are not integers: got ", a.dtype());
  // Beyond int64 is out of range, not negative.
  if (a.dtype() == uint64) return astype(minimum(a, INT64_MAX, s), int64, s);
  return is_index(a.dtype()) ? a : astype(a, int32, s);
}

// Index arrays broadcast with each other, as inputs.
void add_indices(Arrays& in, const std::vector<array>& indices, const char* op, Stream s) {
  Shape shape;
  for (auto& i : indices) shape = broadcast_shapes(shape, i.shape(), op);
  for (auto& i : indices) in.push_back(broadcast_to(as_index(i, op, s), shape, s));
}
Axes checked_axes(const array& a, const std::vector<array>& indices, const Axes& axes,
                  const char* op) {
  if (axes.size() != indices.size() || axes.empty())
    fail(Kind::value, op, "indices and axes differ in number: got ", indices.size(), " and ",
         axes.size());
  normal_axes(axes, a.ndim(), op);  // refuses repeated ones
  Axes out;
  for (int axis : axes) out.push_back(normal_axis(axis, a.ndim(), op));
  return out;
}

array write(const Scatter& s, const array& a, const Arrays& indices, const array& updates,
            Stream stream) {
  // Halves accumulate in float32 and round once.
  const Dtype t = a.dtype(), wide = s.mode == Write::set ? t : compute_type(t);
  Arrays in{astype(a, wide, stream)};
  for (auto& i : indices) in.push_back(i);
  in.push_back(astype(updates, wide, stream));
  return astype(record(scatter_op, attrs(s), std::move(in), stream), t, stream);
}

// Index and source (or updates) of the same shape off the axis.
Shape along_shape(const array& a, const array& indices, int axis, const char* op) {
  if (a.ndim() != indices.ndim())
    fail(Kind::value, op, "numbers of axes differ: got indices of shape ", indices.shape(),
         " for an array of shape ", a.shape());
  Shape one = a.shape(), two = indices.shape();
  one[axis] = two[axis] = 1;
  return broadcast_shapes(one, two, op);
}

}  // namespace

const Op gather_op = op<Gather>("gather", "Elements or blocks at the given indices.",
                                {.infer = typed<infer_gather>,
                                 .vjp = typed<vjp_gather>,
                                 .vjp_onto = typed<vjp_gather_onto>,
                                 .jvp = typed<jvp_gather>,
                                 .vmap = typed<vmap_gather>});
const Op scatter_op =
    op<Scatter>("scatter", "The array with elements or blocks at the given indices changed.",
                {.update = true,
                 .infer = typed<infer_scatter>,
                 .vjp = typed<vjp_scatter>,
                 .jvp = typed<jvp_scatter>,
                 .vmap = typed<vmap_scatter>});

OpList index_ops() {
  return {&gather_op,   &scatter_op,  &mask_ranks_op, &nonzero_op,
          &compress_op, &mask_set_op, &bincount_op};
}

static array gather(const array& a, const std::vector<array>& indices, const Axes& axes, Way way,
                    Stream s, const char* caller) {
  const Axes at = checked_axes(a, indices, axes, caller);
  Arrays in{a};
  add_indices(in, indices, caller, s);
  for (int axis : at)  // of nothing: no index can be right
    if (a.shape()[axis] == 0 && in[1].size())
      fail(Kind::index, caller, "index out of range: got indices of shape ", in[1].shape(),
           " for axis ", axis, " with size 0");
  return record(gather_op, attrs(Gather{at, way, caller}), std::move(in), s);
}
array gather(const array& a, const std::vector<array>& indices, const Axes& axes, Stream s,
             const char* caller) {
  return gather(a, indices, axes, Way::front, s, caller);
}
array gather_inside(const array& a, const array& indices, int axis, Stream s, const char* caller) {
  const bool front = normal_axis(axis, a.ndim(), caller) == 0;
  return gather(a, {indices}, {axis}, front ? Way::front : Way::inside, s, caller);
}

static array scatter(const array& a, const std::vector<array>& indices, const array& updates,
                     const Axes& axes, Way way, Write mode, Stream s, const char* caller) {
  const Axes at = checked_axes(a, indices, axes, caller);
  Arrays in;
  add_indices(in, indices, caller, s);
  const Shape shape = gathered_shape(a, in[0], at, way);
  return write(Scatter{at, way, mode, caller}, a, in, broadcast_to(updates, shape, s), s);
}
array scatter(const array& a, const std::vector<array>& indices, const array& updates,
              const Axes& axes, Write mode, Stream s, const char* caller) {
  return scatter(a, indices, updates, axes, Way::front, mode, s, caller);
}
array scatter_inside(const array& a, const array& indices, const array& updates, int axis,
                     Write mode, Stream s, const char* caller) {
  const bool front = normal_axis(axis, a.ndim(), caller) == 0;
  return scatter(a, {indices}, updates, {axis}, front ? Way::front : Way::inside, mode, s, caller);
}

array scatter_add(const array& a, const std::vector<array>& indices, const array& updates,
                  const Axes& axes, Stream s) {
  return scatter(a, indices, updates, axes, Write::add, s, "scatter_add");
}

array take_along_axis(const array& a, const array& indices, int axis, Stream s) {
  axis = normal_axis(axis, a.ndim(), "take_along_axis");
  Shape shape = along_shape(a, indices, axis, "take_along_axis"), source = shape;
  shape[axis] = indices.shape()[axis];
  source[axis] = a.shape()[axis];
  const Arrays in{broadcast_to(a, source, s),
                  broadcast_to(as_index(indices, "take_along_axis", s), shape, s)};
  return record(gather_op, attrs(Gather{{axis}, Way::along, "take_along_axis"}), in, s);
}

array put_along_axis(const array& a, const array& indices, const Operand& values, int axis,
                     Stream s) {
  axis = normal_axis(axis, a.ndim(), "put_along_axis");
  Shape shape = along_shape(a, indices, axis, "put_along_axis");
  shape[axis] = a.shape()[axis];
  if (shape != a.shape())
    fail(Kind::value, "put_along_axis", "indices do not fit: got shape ", indices.shape(),
         " for an array of shape ", a.shape());
  shape[axis] = indices.shape()[axis];
  const array updates = broadcast_to(as_array(values, a.dtype(), "put_along_axis", s), shape, s);
  return write(Scatter{{axis}, Way::along, Write::set, "put_along_axis"}, a,
               {broadcast_to(as_index(indices, "put_along_axis", s), shape, s)}, updates, s);
}

array take(const array& a, const array& indices, int axis, Stream s) {
  return gather_inside(a, indices, axis, s, "take");
}

array take(const array& a, const array& indices, Stream s) {
  return take(reshape(a, {a.size()}, s), indices, 0, s);
}

}  // namespace lazulite
