// Writing by a mask without a look at it: the k-th True takes the k-th value, in a trace as
// outside.
#include <string_view>

#include "device/cpu/pool.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/masks.h"
#include "ops/lanes.h"
#include "ops/shape/shape.h"

namespace lazulite {
namespace {

struct Ranks {
  int lanes;      // leading axes, each of whose places has a mask of its own
  int64_t limit;  // values that there are for a mask
  LAZULITE_FIELDS(lanes, limit)
};

[[noreturn]] void too_few(int64_t limit, int64_t count) {
  fail(Kind::value, "index", "too few values for a mask: got ", limit, ", expected ", count,
       " (its True elements) or more, or one");
}

Specs infer_ranks(const Attrs*, const Arrays& in) { return {Spec{in[0].shape(), int64}}; }
Arrays no_gradient(const Node& node, const Arrays&, const Needs&) {
  Arrays none;
  none.resize(node.inputs.size());
  return none;
}
Arrays no_tangent(const Node&, const Arrays&) { return {array()}; }
Arrays vmap_ranks(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  Ranks r = node.get<Ranks>();
  ++r.lanes;
  out_axes = {0};
  return {record(*node.op, attrs(r), {batch_first(in[0], axes[0])}, node.stream)};
}
void check_ranks(const Attrs* a, const Arrays& in) {
  check_inputs("mask_ranks", in, 1);
  const Ranks& r = static_cast<const AttrsOf<Ranks>*>(a)->value;
  if (!is_bool(in[0].dtype()) || r.lanes < 0 || r.lanes > in[0].ndim() || r.limit < 0)
    fail(Kind::value, "mask_ranks", "does not fit: got ", in[0].dtype(), " of shape ",
         in[0].shape(), " with ", r.lanes, " lanes and limit ", r.limit);
}

void ranks_kernel(const KernelCall& call) {
  const Ranks& r = call.node.get<Ranks>();
  const TensorView& in = call.in[0];
  const Shape& shape = in.shape();
  const int64_t all = size_of(shape);
  if (all == 0) return;
  const Dense dense(in);
  const bool* mask = reinterpret_cast<const bool*>(dense.data);
  int64_t lanes = 1;
  for (int i = 0; i < r.lanes; ++i) lanes *= shape[i];
  const int64_t n = all / lanes;
  auto* out = reinterpret_cast<int64_t*>(call.out[0].data);
  cpu::parallel_for(lanes, [&](int64_t lane) {
    const bool* from = mask + lane * n;
    int64_t* to = out + lane * n;
    int64_t count = 0;
    for (int64_t i = 0; i < n; ++i) {
      to[i] = from[i] ? count : 0;
      count += from[i];
    }
    if (count > r.limit) too_few(r.limit, count);
  }, double(all));
}
const Op ranks_op{.name = "mask_ranks",
                  .doc = "For each True of a mask, how many are before it.",
                  .read = read_attrs<Ranks>,
                  .check = check_ranks,
                  .infer = infer_ranks,
                  .vjp = no_gradient,
                  .jvp = no_tangent,
                  .vmap = vmap_ranks,
                  .kernel = ranks_kernel};

}  // namespace

const Op& mask_ranks_op() { return ranks_op; }

array values_at_mask(const array& mask, const array& values, Stream s) {
  const int64_t limit = values.shape()[0];
  if (limit < mask.size() &&
      mask.node()->state.load(std::memory_order_acquire) == State::ready) {  // known: raise at once
    const array dense = contiguous(mask);
    const bool* data = dense.data<bool>();
    int64_t count = 0;
    for (int64_t i = 0; i < mask.size(); ++i) count += data[i];
    if (count > limit) too_few(limit, count);
  }
  array from = values;
  if (limit == 0) {  // a mask without True takes none, but there must be a place to look at
    Shape one = values.shape();
    one[0] = 1;
    from = constant(0, one, values.dtype(), s);
  }
  return gather(from, {record(ranks_op, attrs(Ranks{0, limit}), {mask}, s)}, {0}, s, "index");
}

}  // namespace lazulite
