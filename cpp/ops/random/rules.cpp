// The random ops: what they infer, check and batch. Draws of a key are functions of the element's
// index, so that lanes of keys are drawn as one array.
#include "ops/elementwise/elementwise.h"
#include "ops/lanes.h"
#include "ops/ops.h"
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

template <class T>
const T& get(const Attrs* a) { return static_cast<const AttrsOf<T>*>(a)->value; }

// ---- draws

Specs infer_bits(const Attrs* a, const Arrays& in) {
  const Bits& bits = get<Bits>(a);
  return {of_each_key(in[0], bits.shape, bits.width == 8 ? uint64 : uint32)};
}
void check_bits(const Attrs* a, const Arrays& in) {
  const Bits& bits = get<Bits>(a);
  check_keys("random_bits", in);
  check_sizes("random_bits", bits.shape);
  if (bits.width != 4 && bits.width != 8)
    fail(Kind::value, "random_bits", "unknown width: got ", bits.width);
}

template <class T>
Specs infer_draw(const Attrs* a, const Arrays& in) {
  return {of_each_key(in[0], get<T>(a).shape, get<T>(a).type)};
}
template <class T>
void check_draw(const char* op, const Attrs* a, const Arrays& in, bool (*draws)(Dtype)) {
  check_keys(op, in);
  check_sizes(op, get<T>(a).shape);
  if (!draws(get<T>(a).type))
    fail(Kind::value, op, "dtype not supported: got ", get<T>(a).type);
}
bool is_float(Dtype t) { return is_floating(t); }
bool is_int(Dtype t) { return is_integer(t); }

// ---- keys and orders

Specs infer_split(const Attrs* a, const Arrays& in) {
  return {of_each_key(in[0], {get<Split>(a).num, 2}, uint32)};
}
Specs infer_shuffle(const Attrs* a, const Arrays& in) {
  return {of_each_key(in[0], {get<Shuffle>(a).n}, uint32)};
}
void check_shuffle(const Attrs* a, const Arrays& in) {
  check_keys("random_order", in);
  check_sizes("random_order", {get<Shuffle>(a).n});
}

Specs infer_reorder(const Attrs*, const Arrays& in) { return {in[0].slot().spec}; }
Arrays vjp_reorder(const Node& node, const Arrays& cts, const Needs& needs) {
  return {needs[0] ? reorder(cts[0], node.inputs[1], !node.get<Reorder>().back) : array(), array()};
}
Arrays jvp_reorder(const Node& node, const Arrays& t) {
  return {t[0] ? reorder(t[0], node.inputs[1], node.get<Reorder>().back) : array()};
}
Arrays vmap_reorder(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  out_axes = {0};
  return {reorder(lane_first(in[0], axes[0], lanes), lane_first(in[1], axes[1], lanes),
                  node.get<Reorder>().back, node.stream)};
}
void check_reorder(const Attrs*, const Arrays& in) {
  check_inputs("reorder", in, 2);
  const Shape &x = in[0].shape(), &order = in[1].shape();
  if (order.empty() || x.size() < order.size() ||
      !std::equal(order.begin(), order.end(), x.begin()) || in[1].dtype() != uint32)
    fail(Kind::value, "reorder", "shapes do not fit: got ", x, " and ", order);
}

}  // namespace

const Op bits_op{.name = "random_bits",
                 .doc = "Random bits from a key.",
                 .read = read_attrs<Bits>,
                 .check = check_bits,
                 .infer = infer_bits,
                 .vmap = vmap_keys,
                 .kernel = bits_kernel};
const Op uniform_op{.name = "random_uniform",
                    .doc = "Uniform floating point numbers from a key.",
                    .read = read_attrs<Uniform>,
                    .check =
                        [](const Attrs* a, const Arrays& in) {
                          check_draw<Uniform>("random_uniform", a, in, is_float);
                        },
                    .infer = infer_draw<Uniform>,
                    .vmap = vmap_keys,
                    .kernel = uniform_kernel};
const Op normal_op{.name = "random_normal",
                   .doc = "Normal numbers of mean 0 from a key.",
                   .read = read_attrs<Normal>,
                   .check =
                       [](const Attrs* a, const Arrays& in) {
                         check_draw<Normal>("random_normal", a, in, is_float);
                       },
                   .infer = infer_draw<Normal>,
                   .vmap = vmap_keys,
                   .kernel = normal_kernel};
const Op integers_op{.name = "random_integers",
                     .doc = "Integers of an interval from a key.",
                     .read = read_attrs<Integers>,
                     .check =
                         [](const Attrs* a, const Arrays& in) {
                           check_draw<Integers>("random_integers", a, in, is_int);
                         },
                     .infer = infer_draw<Integers>,
                     .vmap = vmap_keys,
                     .kernel = integers_kernel};
const Op split_op{.name = "random_split",
                  .doc = "New keys from a key.",
                  .read = read_attrs<Split>,
                  .check = [](const Attrs*, const Arrays& in) { check_keys("random_split", in); },
                  .infer = infer_split,
                  .vmap = vmap_keys,
                  .kernel = split_kernel};
const Op shuffle_op{.name = "random_order",
                    .doc = "0 ... n - 1 in random order.",
                    .read = read_attrs<Shuffle>,
                    .check = check_shuffle,
                    .infer = infer_shuffle,
                    .vmap = vmap_keys,
                    .kernel = shuffle_kernel};
const Op reorder_op{.name = "reorder",
                    .doc = "The rows in another order.",
                    .read = read_attrs<Reorder>,
                    .check = check_reorder,
                    .infer = infer_reorder,
                    .vjp = vjp_reorder,
                    .jvp = jvp_reorder,
                    .vmap = vmap_reorder,
                    .kernel = reorder_kernel};

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
