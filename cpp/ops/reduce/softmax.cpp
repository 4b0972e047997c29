// Softmax and its derivative, row by row or, along another axis than the last, by columns.
#include "ops/derivatives.h"
#include "ops/elementwise/elementwise.h"
#include "ops/reduce/ops.h"
#include "ops/shape/shape.h"

namespace lazulite {
namespace {

// Operands of one shape and floating dtype; the result is like them.
Specs infer_rows(const char* op, const Arrays& in, size_t count) {
  check_inputs(op, in, count);
  for (const array& a : in)
    if (a.ndim() == 0 || !is_floating(a.dtype()) || a.shape() != in[0].shape() ||
        a.dtype() != in[0].dtype())
      fail(Kind::value, op, "does not fit: got ", a.dtype(), a.shape());
  return {in[0].slot().spec};
}

// ---- along the last axis or another one, counted from the end

int axis_of(const Node& node) {
  const bool along = node.op == &softmax_along_op || node.op == &softmax_slope_along_op;
  return along ? -1 - node.get<Along>().behind : -1;
}
array softmax_along(const array& x, int axis, Stream s) {
  if (axis == -1) return record(softmax_op, {}, {x}, s);
  return record(softmax_along_op, attrs(Along{-1 - axis}), {x}, s);
}
array slope(const array& y, const array& t, int axis, Stream s = default_stream()) {
  if (axis == -1) return record(softmax_slope_op, {}, {y, t}, s);
  return record(softmax_slope_along_op, attrs(Along{-1 - axis}), {y, t}, s);
}
Specs checked(const char* op, const Along& along, Specs out) {
  if (along.behind < 1 || along.behind >= int(out[0].shape.size()))
    fail(Kind::value, op, "does not fit: got ", along.behind, " axes behind for shape ",
         out[0].shape);
  return out;
}

// ---- the derivative: y * (t - sum(t * y)), linear and symmetric in t

array dot(const array& a, const array& b, int axis) { return sum(multiply(a, b), {axis}, true); }

// Of <v, slope(y, t)> by y.
array slope_of_slope(const array& y, const array& t, const array& v, int axis) {
  return subtract(multiply(v, subtract(t, dot(t, y, axis))), multiply(t, dot(v, y, axis)));
}
Arrays vjp_slope(const Node& node, const Arrays& cts, const Needs& needs) {
  const array &y = node.inputs[0], &t = node.inputs[1];
  const int axis = axis_of(node);
  return {needs[0] ? slope_of_slope(y, t, cts[0], axis) : array(),
          needs[1] ? slope(y, cts[0], axis) : array()};
}
Arrays jvp_slope(const Node& node, const Arrays& tangents) {
  const array &y = node.inputs[0], &t = node.inputs[1], &u = tangents[0];
  const int axis = axis_of(node);
  array out;
  if (u)
    out = subtract(multiply(u, subtract(t, dot(t, y, axis))), multiply(y, dot(t, u, axis)));
  if (tangents[1]) out = sum_of(out, slope(y, tangents[1], axis));
  return {out};
}
Arrays vmap_slope(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  out_axes = {0};
  return {slope(lane_first(in[0], axes[0], lanes), lane_first(in[1], axes[1], lanes),
                axis_of(node), node.stream)};
}
Specs infer_slope(const Arrays& in) {
  Specs out = infer_rows("softmax_slope", in, 2);
  if (is_half(in[0].dtype()))
    fail(Kind::value, "softmax_slope", "does not fit: got ", in[0].dtype());
  return out;
}
Specs infer_slope_along(const Along& along, const Arrays& in) {
  return checked("softmax_slope_along", along, infer_slope(in));
}

// ---- softmax

Specs infer(const Arrays& in) { return infer_rows("softmax", in, 1); }
Specs infer_along(const Along& along, const Arrays& in) {
  return checked("softmax_along", along, infer(in));
}
// The slope in float32 for halves, at a value that is not rounded to one.
array slope_at(const Node& node, const array& t) {
  const Dtype type = node.inputs[0].dtype(), wide = compute_type(type);
  const int axis = axis_of(node);
  const array y = is_half(type) ? softmax_along(astype(node.inputs[0], wide), axis, node.stream)
                                : recorded(node, 0);
  return astype(slope(y, astype(t, wide), axis), type);
}
Arrays vjp(const Node& node, const Arrays& cts, const Needs&) { return {slope_at(node, cts[0])}; }
Arrays jvp(const Node& node, const Arrays& t) { return {slope_at(node, t[0])}; }
Arrays vmap(const Node& node, const Arrays& in, const Axes& batch, Axes& out_axes) {
  out_axes = {0};
  return {softmax_along(batch_first(in[0], batch[0]), axis_of(node), node.stream)};
}

}  // namespace

const Op softmax_op =
    op("softmax", "exp(x) over its sum, along the last axis.",
       {.infer = typed<infer>, .vjp = vjp, .jvp = jvp, .vmap = vmap});
const Op softmax_slope_op =
    op("softmax_slope", "y * (t - sum(t * y)) along the last axis.",
       {.infer = typed<infer_slope>, .vjp = vjp_slope, .jvp = jvp_slope, .vmap = vmap_slope});
const Op softmax_along_op =
    op<Along>("softmax_along", "exp(x) over its sum, along an axis with others behind it.",
              {.infer = typed<infer_along>, .vjp = vjp, .jvp = jvp, .vmap = vmap});
const Op softmax_slope_along_op = op<Along>(
    "softmax_slope_along", "y * (t - sum(t * y)) along an axis with others behind it.",
    {.infer = typed<infer_slope_along>, .vjp = vjp_slope, .jvp = jvp_slope, .vmap = vmap_slope});

// `precise` asks for nothing more: halves always run as float32.
array softmax(const array& a, const Axes& axes, bool, Stream s) {
  if (is_complex(a.dtype()))
    fail(Kind::type, "softmax", "no order: got ", a.dtype(), ", expected a real dtype");
  const Dtype t = inexact_type(a.dtype());
  const Axes at = normal_axes(axes, a.ndim(), "softmax");
  array x = astype(a, t, s);
  if (at.empty()) return ones_like(astype(a, t, s), s);
  // Neighbouring axes are one.
  const int first = at[0], last_one = at[at.size() - 1];
  if (last_one - first == int(at.size()) - 1) {
    Shape flat;
    int64_t n = 1, behind = 1;
    for (int i = 0; i < a.ndim(); ++i) {
      const int64_t size = a.shape()[i];
      if (holds(at, i)) n = product_of_sizes(n, size, "softmax");
      else flat.push_back(size);
      if (i > last_one) behind *= size;
    }
    int axis = first - int(flat.size()) - 1;
    if (behind == 1) {
      flat.resize(size_t(first));
      axis = -1;
    }
    flat.insert(flat.begin() + first, n);
    const Shape& shape = a.shape();
    return flat == shape ? softmax_along(x, axis, s)
                         : reshape(softmax_along(reshape(x, flat, s), axis, s), shape, s);
  }
  Axes order, back;
  Shape flat;
  int64_t last = 1;
  for (int i = 0; i < a.ndim(); ++i)
    if (!holds(at, i)) {
      order.push_back(i);
      flat.push_back(a.shape()[i]);
    }
  for (int axis : at) {
    order.push_back(axis);
    last = product_of_sizes(last, a.shape()[axis], "softmax");
  }
  flat.push_back(last);
  back.resize(order.size());
  for (size_t i = 0; i < order.size(); ++i) back[order[i]] = int(i);
  x = transpose(x, order, s);
  const Shape shape = x.shape();
  const array y = record(softmax_op, {}, {reshape(x, flat, s)}, s);
  return transpose(reshape(y, shape, s), back, s);
}

}  // namespace lazulite
