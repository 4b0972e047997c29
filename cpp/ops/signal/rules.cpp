// Sliding products and Hadamard transforms: what they infer, their derivatives and batching.
#include <cmath>

#include "engine/signal/signal.h"
#include "ops/derivatives.h"
#include "ops/elementwise/elementwise.h"
#include "ops/lanes.h"
#include "ops/shape/shape.h"
#include "ops/signal/ops.h"

namespace lazulite {
namespace {

// ---- sliding products
// ---------------------------------------------------------------------------

bool slides(Dtype t) { return is_integer(t) || t == float32 || t == float64; }

Specs infer_sliding(const Ends& ends, const Arrays& in) {
  check_inputs("sliding_products", in, 2);
  const Shape &x = in[0].shape(), &w = in[1].shape();
  bool fits = !x.empty() && x.size() == w.size() && in[0].dtype() == in[1].dtype() &&
              slides(in[0].dtype());
  for (size_t d = 0; fits && d + 1 < x.size(); ++d) fits = x[d] == w[d];
  if (!fits || w.back() < 1 || w.back() > x.back() || ends.low < 0 || ends.high < 0)
    fail(Kind::value, "sliding_products", "does not fit: got ", in[0].dtype(), x, " and ",
         in[1].dtype(), w);
  Shape out = x;
  out.back() = x.back() - w.back() + 1;
  return {Spec{out, in[0].dtype()}};
}
array around(const array& a, int64_t n) {  // n zeros at each end of the last axis
  Shape widths(size_t(a.ndim()), 0);
  widths.back() = n;
  return pad(a, widths, widths, 0);
}
// Each is a sliding product again: that of x the full one with w turned around.
Arrays vjp_sliding(const Ends&, const Node& node, const Arrays& cts, const Needs& needs) {
  const array &x = node.inputs[0], &w = node.inputs[1];
  Arrays out{array(), array()};
  if (needs[0])
    out[0] = sliding_products(around(cts[0], w.shape(-1) - 1), flip(w, Axes{-1}), node.stream);
  if (needs[1]) out[1] = sliding_products(x, cts[0], node.stream);
  return out;
}
Arrays jvp_sliding(const Ends&, const Node& node, const Arrays& t) {
  array x, y;
  if (t[0]) x = sliding_products(t[0], node.inputs[1], node.stream);
  if (t[1]) y = sliding_products(node.inputs[0], t[1], node.stream);
  return {sum_of(x, y)};
}
Arrays vmap_sliding(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  out_axes = {0};
  return record_all(*node.op, node.attributes,
                    {lane_first(in[0], axes[0], lanes), lane_first(in[1], axes[1], lanes)},
                    node.stream);
}
double flops_sliding(const Node& node) {
  return 2.0 * double(size_of(node.out[0].spec.shape)) * double(node.inputs[1].shape().back());
}

// ---- what infinities and nan add to sliding products of all else. Derivatives are those of the
// finite elements.

Specs infer_endless(const Ends& ends, const Arrays& in) {
  check_inputs("endless_products", in, 3);
  const array &made = in[0], &x = in[1], &w = in[2];
  bool fits = made.ndim() > 0 && made.ndim() == x.ndim() && x.ndim() == w.ndim() &&
              made.shape(-1) == x.shape(-1) - w.shape(-1) + 1 && w.shape(-1) > 0 &&
              (made.dtype() == float64 || made.dtype() == complex128);
  for (int d = 0; fits && d + 1 < made.ndim(); ++d)
    fits = made.shape(d) == x.shape(d) && x.shape(d) == w.shape(d);
  if (!fits || ends.low < 0 || ends.high < 0 || made.dtype() != x.dtype() || x.dtype() != w.dtype())
    fail(Kind::value, "endless_products", "does not fit: got ", made.dtype(), made.shape(), ", ",
         x.dtype(), x.shape(), " and ", w.dtype(), w.shape());
  return {made.slot().spec};
}
Arrays vjp_endless(const Ends&, const Node&, const Arrays& cts, const Needs&) {
  return {cts[0], array(), array()};
}
Arrays jvp_endless(const Ends&, const Node& node, const Arrays& t) {
  return {t[0] ? t[0] : zeros_like(recorded(node, 0))};
}
Arrays vmap_endless(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  out_axes = {0};
  Arrays all;
  for (size_t i = 0; i < in.size(); ++i) all.push_back(lane_first(in[i], axes[i], lanes));
  return record_all(*node.op, node.attributes, all, node.stream);
}

// ---- Hadamard transforms
// ------------------------------------------------------------------------

Specs infer_hadamard(const Hadamard&, const Arrays& in) {
  check_inputs("hadamard_transform", in, 1);
  const array& a = in[0];
  if (a.ndim() == 0)
    fail(Kind::value, "hadamard_transform", "0-d array: got shape (), expected one axis or more");
  if (!is_floating(a.dtype()))
    fail(Kind::value, "hadamard_transform", "dtype not supported: got ", a.dtype());
  if (!engine::hadamard_size(a.shape(-1)))
    fail(Kind::value, "hadamard_transform", "size not supported: got ", a.shape(-1),
         ", expected m * 2^k with m = 1, 12, 20 or 28");
  return {a.slot().spec};
}
Arrays vjp_hadamard(const Hadamard& h, const Node& node, const Arrays& cts, const Needs&) {
  return record_all(*node.op, attrs(Hadamard{h.scale, !h.transposed}), {cts[0]}, node.stream);
}
Arrays vmap_hadamard(const Hadamard& h, const Node& node, const Arrays& in, const Axes& axes,
                     Axes& out_axes) {
  out_axes = {0};
  return record_all(*node.op, attrs(Hadamard{h}), {batch_first(in[0], axes[0])}, node.stream);
}

}  // namespace

const Op sliding_products_op =
    op<Ends>("sliding_products", "Sums of products of neighbours and weights, at each place.",
             {.infer = typed<infer_sliding>,
              .vjp = typed<vjp_sliding>,
              .jvp = typed<jvp_sliding>,
              .vmap = vmap_sliding,
              .flops = flops_sliding});
const Op endless_products_op =
    op<Ends>("endless_products", "Adds the products of what is not finite to sliding products.",
             {.infer = typed<infer_endless>,
              .vjp = typed<vjp_endless>,
              .jvp = typed<jvp_endless>,
              .vmap = vmap_endless});
const Op hadamard_op = op<Hadamard>("hadamard_transform", "Lines times a Hadamard matrix.",
                                    {.linear = true,
                                     .infer = typed<infer_hadamard>,
                                     .vjp = typed<vjp_hadamard>,
                                     .vmap = typed<vmap_hadamard>});

OpList signal_ops() { return {&sliding_products_op, &endless_products_op, &hadamard_op}; }

array hadamard_transform(const array& a, const std::optional<double>& scale, Stream s) {
  const array x = astype(a, inexact_type(a.dtype()), s);
  const double n = x.ndim() ? double(x.shape(-1)) : 1;
  return record(hadamard_op, attrs(Hadamard{Scalar(scale.value_or(1 / std::sqrt(n))), false}), {x},
                s);
}

}  // namespace lazulite
