// Softmax and its derivative, row by row.
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

// ---- the derivative: y * (t - sum(t * y)), linear and symmetric in t

array dot(const array& a, const array& b) { return sum(multiply(a, b), {-1}, true); }
array slope(const array& y, const array& t) { return record(softmax_slope_op, {}, {y, t}); }

// Of <v, slope(y, t)> by y.
array slope_of_slope(const array& y, const array& t, const array& v) {
  return subtract(multiply(v, subtract(t, dot(t, y))), multiply(t, dot(v, y)));
}
Arrays vjp_slope(const Node& node, const Arrays& cts, const Needs& needs) {
  const array &y = node.inputs[0], &t = node.inputs[1];
  return {needs[0] ? slope_of_slope(y, t, cts[0]) : array(),
          needs[1] ? slope(y, cts[0]) : array()};
}
Arrays jvp_slope(const Node& node, const Arrays& tangents) {
  const array &y = node.inputs[0], &t = node.inputs[1], &u = tangents[0];
  array out;
  if (u) out = subtract(multiply(u, subtract(t, dot(t, y))), multiply(y, dot(t, u)));
  if (tangents[1]) out = sum_of(out, slope(y, tangents[1]));
  return {out};
}
Arrays vmap_slope(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  out_axes = {0};
  return {record(softmax_slope_op, {},
                 {lane_first(in[0], axes[0], lanes), lane_first(in[1], axes[1], lanes)},
                 node.stream)};
}
Specs infer_slope(const Arrays& in) {
  Specs out = infer_rows("softmax_slope", in, 2);
  if (is_half(in[0].dtype()))
    fail(Kind::value, "softmax_slope", "does not fit: got ", in[0].dtype());
  return out;
}

// ---- softmax

Specs infer(const Arrays& in) { return infer_rows("softmax", in, 1); }
// The slope in float32 for halves, at a value that is not rounded to one.
array slope_at(const Node& node, const array& t) {
  const Dtype type = node.inputs[0].dtype(), wide = compute_type(type);
  const array y = is_half(type)
                      ? record(softmax_op, {}, {astype(node.inputs[0], wide)}, node.stream)
                      : recorded(node, 0);
  return astype(slope(y, astype(t, wide)), type);
}
Arrays vjp(const Node& node, const Arrays& cts, const Needs&) { return {slope_at(node, cts[0])}; }
Arrays jvp(const Node& node, const Arrays& t) { return {slope_at(node, t[0])}; }
Arrays vmap(const Node& node, const Arrays& in, const Axes& batch, Axes& out_axes) {
  out_axes = {0};
  return {record(softmax_op, {}, {batch_first(in[0], batch[0])}, node.stream)};
}

}  // namespace

const Op softmax_op =
    op("softmax", "exp(x) over its sum, along the last axis.",
       {.infer = typed<infer>, .vjp = vjp, .jvp = jvp, .vmap = vmap});
const Op softmax_slope_op =
    op("softmax_slope", "y * (t - sum(t * y)) along the last axis.",
       {.infer = typed<infer_slope>, .vjp = vjp_slope, .jvp = jvp_slope, .vmap = vmap_slope});

// `precise` asks for nothing more: halves always run as float32.
array softmax(const array& a, const Axes& axes, bool, Stream s) {
  if (is_complex(a.dtype()))
    fail(Kind::type, "softmax", "no order: got ", a.dtype(), ", expected a real dtype");
  const Dtype t = inexact_type(a.dtype());
  const Axes at = normal_axes(axes, a.ndim(), "softmax");
  array x = astype(a, t, s);
  if (at.empty()) return ones_like(astype(a, t, s), s);
  if (at.size() == 1 && at[0] == a.ndim() - 1) return record(softmax_op, {}, {x}, s);
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
