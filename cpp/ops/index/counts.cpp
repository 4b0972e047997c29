// How often numbers occur: sums of weights at the places that they name.
#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/ops.h"

namespace lazulite {
namespace {

// Rows of numbers, and of weights where there are some: rows of counts, or sums.
Specs infer_bincount(const Tallied& c, const Arrays& in) {
  const bool weighs = in.size() == 2;
  if (!(in.size() == 1 || weighs) || in[0].ndim() == 0 || !is_index(in[0].dtype()) ||
      c.length < 0 ||
      (weighs && (in[1].shape() != in[0].shape() || is_bool(in[1].dtype()) ||
                  is_half(in[1].dtype()))))
    fail(Kind::value, "bincount", "does not fit: got ", in.size(), " operands and length ",
         c.length);
  Shape shape = in[0].shape();
  shape.back() = c.length;
  return {Spec{shape, weighs ? in[1].dtype() : int32}};
}
array counted(const Tallied& c, const array& places, const array& weights, Stream s) {
  return record(bincount_op, attrs(Tallied{c.length}), {places, weights}, s);
}
// Of each weight the cotangent where it was added.
Arrays vjp_bincount(const Tallied& c, const Node& node, const Arrays& cts, const Needs&) {
  Arrays out;
  out.resize(node.inputs.size());
  if (node.inputs.size() == 1) return out;
  const array& places = node.inputs[0];
  if (c.length == 0) {
    out[1] = zeros_like(node.inputs[1]);
    return out;
  }
  const array inside = logical_and(greater_equal(places, 0), less(places, c.length));
  out[1] = where(inside, take_along_axis(cts[0], where(inside, places, 0), -1, node.stream), 0);
  return out;
}
Arrays jvp_bincount(const Tallied& c, const Node& node, const Arrays& t) {
  if (node.inputs.size() == 1 || !t[1]) return {array()};
  return {counted(c, node.inputs[0], t[1], node.stream)};
}
Arrays vmap_bincount(const Tallied& c, const Node& node, const Arrays& in, const Axes& axes,
                     Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  out_axes = {0};
  const array places = lane_first(in[0], axes[0], lanes);
  if (in.size() == 1) return {counts_at(places, {}, c.length, node.stream)};
  return {counted(c, places, lane_first(in[1], axes[1], lanes), node.stream)};
}

}  // namespace

const Op bincount_op = op<Tallied>("bincount", "How often each number is in rows, or sums there.",
                                   {.infer = typed<infer_bincount>,
                                    .vjp = typed<vjp_bincount>,
                                    .jvp = typed<jvp_bincount>,
                                    .vmap = typed<vmap_bincount>});

array counts_at(const array& given, const std::optional<array>& weights, int64_t length, Stream s) {
  // Numbers beyond int64 are not among those that are counted, nor are negative ones.
  const Dtype t = given.dtype();
  const array places = t == uint64     ? astype(minimum(given, INT64_MAX, s), int64, s)
                       : is_index(t) ? given : astype(given, int32, s);
  if (!weights) return record(bincount_op, attrs(Tallied{length}), {places}, s);
  const Dtype of = weights->dtype();  // halves are added up in float32, and rounded once
  return astype(counted(Tallied{length}, places, astype(*weights, compute_type(of), s), s), of, s);
}

}  // namespace lazulite
