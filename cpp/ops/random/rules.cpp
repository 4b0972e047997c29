// The random ops: what they infer, check and batch. Draws of a key are functions of the element's
// index, so that lanes of keys are drawn as one array.
#include "ops/elementwise/elementwise.h"
#include "ops/lanes.h"
#include "ops/random/ops.h"

namespace lazulite::random {
namespace {

Shape lanes_of_key(const array& key) { return Shape(key.shape().begin(), key.shape().end() - 1); }

Spec of_each_key(const array& key, const Shape& shape, Dtype type) {
  Shape all = lanes_of_key(key);
  all.append(shape.begin(), shape.end());
  return {all, type};
}

// Every op of keys alone: lanes of keys in front.
Arrays vmap_keys(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  out_axes = {0};
  return {record(*node.op, node.attributes, {batch_first(in[0], axes[0])}, node.stream)};
}

void check_keys(const char* op, const Arrays& in) {
  check_inputs(op, in, 1);
  if (in[0].ndim() == 0 || in[0].shape().back() != 2 || in[0].dtype() != uint32)
    fail(Kind::value, op, "not keys: got ", in[0].dtype(), in[0].shape(),
         ", expected uint32 (..., 2)");
}

// ---- draws

Specs infer_bits(const Bits& bits, const Arrays& in) {
  check_keys("random_bits", in);
  if (bits.width != 4 && bits.width != 8)
    fail(Kind::value, "random_bits", "unknown width: got ", bits.width);
  return {of_each_key(in[0], bits.shape, bits.width == 8 ? uint64 : uint32)};
}

Specs infer_draw(const char* op, const Arrays& in, const Shape& shape, Dtype type, bool drawn) {
  check_keys(op, in);
  if (!drawn) fail(Kind::value, op, "dtype not supported: got ", type);
  return {of_each_key(in[0], shape, type)};
}
Specs infer_uniform(const Uniform& u, const Arrays& in) {
  return infer_draw("random_uniform", in, u.shape, u.type, is_floating(u.type));
}
Specs infer_normal(const Normal& n, const Arrays& in) {
  return infer_draw("random_normal", in, n.shape, n.type, is_floating(n.type));
}
Specs infer_integers(const Integers& i, const Arrays& in) {
  return infer_draw("random_integers", in, i.shape, i.type, is_integer(i.type));
}

// ---- keys and orders

Specs infer_split(const Split& split, const Arrays& in) {
  check_keys("random_split", in);
  return {of_each_key(in[0], {split.num, 2}, uint32)};
}
Specs infer_shuffle(const Shuffle& shuffle, const Arrays& in) {
  check_keys("random_order", in);
  return {of_each_key(in[0], {shuffle.n}, uint32)};
}

Specs infer_reorder(const Arrays& in) {
  check_inputs("reorder", in, 2);
  const Shape &x = in[0].shape(), &order = in[1].shape();
  if (order.empty() || x.size() < order.size() ||
      !std::equal(order.begin(), order.end(), x.begin()) || in[1].dtype() != uint32)
    fail(Kind::value, "reorder", "shapes do not fit: got ", x, " and ", order);
  return {in[0].slot().spec};
}
Arrays vjp_reorder(const Reorder& how, const Node& node, const Arrays& cts, const Needs& needs) {
  return {needs[0] ? reorder(cts[0], node.inputs[1], !how.back) : array(), array()};
}
Arrays jvp_reorder(const Reorder& how, const Node& node, const Arrays& t) {
  return {t[0] ? reorder(t[0], node.inputs[1], how.back) : array()};
}
Arrays vmap_reorder(const Reorder& how, const Node& node, const Arrays& in, const Axes& axes,
                    Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  out_axes = {0};
  return {reorder(lane_first(in[0], axes[0], lanes), lane_first(in[1], axes[1], lanes),
                  how.back, node.stream)};
}
}  // namespace

const Op bits_op = op<Bits>("random_bits", "Random bits from a key.",
                            {.infer = typed<infer_bits>, .vmap = vmap_keys});
const Op uniform_op =
    op<Uniform>("random_uniform", "Uniform floating point numbers from a key.",
                {.infer = typed<infer_uniform>, .vmap = vmap_keys});
const Op normal_op = op<Normal>("random_normal", "Normal numbers of mean 0 from a key.",
                                {.infer = typed<infer_normal>, .vmap = vmap_keys});
const Op integers_op = op<Integers>("random_integers", "Integers of an interval from a key.",
                                    {.infer = typed<infer_integers>, .vmap = vmap_keys});
const Op split_op = op<Split>("random_split", "New keys from a key.",
                              {.infer = typed<infer_split>, .vmap = vmap_keys});
const Op shuffle_op = op<Shuffle>("random_order", "0 ... n - 1 in random order.",
                                  {.infer = typed<infer_shuffle>, .vmap = vmap_keys});
const Op reorder_op = op<Reorder>("reorder", "The rows in another order.",
                                  {.infer = typed<infer_reorder>,
                                   .vjp = typed<vjp_reorder>,
                                   .jvp = typed<jvp_reorder>,
                                   .vmap = typed<vmap_reorder>});

array reorder(const array& x, const array& order, bool back, Stream s) {
  return record(reorder_op, attrs(Reorder{back}), {x, order}, s);
}

}  // namespace lazulite::random

namespace lazulite {
OpList random_ops() {
  using namespace random;
  return {&bits_op,  &uniform_op, &normal_op,  &integers_op,
          &split_op, &shuffle_op, &reorder_op};
}
}  // namespace lazulite
