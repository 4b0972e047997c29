// Masks: where they are true, and writing by one without a look at it: the k-th True takes the k-th
// value, in a trace as outside.
#include "ops/create/create.h"
#include "ops/derivatives.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/masks.h"
#include "ops/index/ops.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite {
namespace {

Specs infer_ranks(const Ranks& r, const Arrays& in) {
  check_inputs("mask_ranks", in, 1);
  if (!is_bool(in[0].dtype()) || r.lanes < 0 || r.lanes > in[0].ndim() || r.limit < 0)
    fail(Kind::value, "mask_ranks", "does not fit: got ", in[0].dtype(), " of shape ",
         in[0].shape(), " with ", r.lanes, " lanes and limit ", r.limit);
  return {Spec{in[0].shape(), int64}};
}
Arrays vmap_ranks(const Ranks& r, const Node& node, const Arrays& in, const Axes& axes,
                  Axes& out_axes) {
  out_axes = {0};
  return {record(*node.op, attrs(Ranks{r.lanes + 1, r.limit}), {batch_first(in[0], axes[0])},
                 node.stream)};
}


Specs infer_nonzero(const Nonzero& z, const Arrays& in) {
  check_inputs("nonzero", in, 1);
  if (!is_bool(in[0].dtype()) || z.lanes < 0 || z.lanes >= in[0].ndim() || z.size < 0)
    fail(Kind::value, "nonzero", "does not fit: got ", in[0].dtype(), " of shape ",
         in[0].shape(), " with ", z.lanes, " lanes and size ", z.size);
  Shape out;
  for (int d = 0; d < z.lanes; ++d) out.push_back(in[0].shape()[d]);
  out.push_back(in[0].ndim() - z.lanes);
  out.push_back(z.size);
  return {Spec{out, int64}};
}
Arrays vmap_nonzero(const Nonzero& z, const Node& node, const Arrays& in, const Axes& axes,
                    Axes& out_axes) {
  out_axes = {0};
  return {record(*node.op, attrs(Nonzero{z.lanes + 1, z.size, z.fill}),
                 {batch_first(in[0], axes[0])}, node.stream)};
}

}  // namespace

const Op nonzero_op = op<Nonzero>("nonzero", "Where a mask is true, a row for each axis.",
                                  {.infer = typed<infer_nonzero>,
                                   .vjp = no_gradient,
                                   .jvp = no_tangent,
                                   .vmap = typed<vmap_nonzero>});

int64_t number_read(const array& number, const char* op, const char* example) {
  try {
    return number.item<int64_t>();
  } catch (const Error& error) {
    if (error.kind() != Kind::tracer) throw;
    fail(Kind::tracer, op,
         "the shape of the result depends on values that are not known while a function is traced: "
         "got no size, expected one, as in ",
         example);
  }
}

static array places_of_true(const array& a, std::optional<int64_t> size, int64_t fill,
                            const char* name, const char* example, Stream s) {
  if (a.ndim() == 0) fail(Kind::value, name, "0-d array: got shape (), expected one axis or more");
  const array mask = astype(a, bool_, s);
  if (!size)
    size = number_read(astype(count_nonzero(mask, all_axes(a.ndim()), false, s), int64, s), name,
                       example);
  return record(nonzero_op, attrs(Nonzero{0, *size, fill}), {mask}, s);
}
std::vector<array> nonzero(const array& a, std::optional<int64_t> size, int64_t fill, Stream s,
                           const char* caller) {
  const std::string example = std::string(caller) + "(a, size=10)";
  const array all = places_of_true(a, size, fill, caller, example.c_str(), s);
  std::vector<array> out;
  for (int d = 0; d < a.ndim(); ++d)
    out.push_back(squeeze(slice_axis(all, 0, d, d + 1, s), {0}, s));
  return out;
}
array argwhere(const array& a, std::optional<int64_t> size, int64_t fill, Stream s) {
  return transpose(places_of_true(a, size, fill, "argwhere", "argwhere(a, size=10)", s), {1, 0}, s);
}

const Op mask_ranks_op =
    op<Ranks>("mask_ranks", "For each True of a mask, how many are before it.",
              {.infer = typed<infer_ranks>,
               .vjp = no_gradient,
               .jvp = no_tangent,
               .vmap = typed<vmap_ranks>});

void fail_with_few_values(int64_t limit, int64_t count) {
  fail(Kind::value, "index", "too few values for a mask: got ", limit, ", expected ", count,
       " (its True elements) or more, or one");
}

array values_at_mask(const array& mask, const array& values, Stream s) {
  const int64_t limit = values.shape()[0];
  if (limit < mask.size() &&
      mask.node()->state.load(std::memory_order_acquire) == State::ready) {  // known: raise at once
    const array dense = contiguous(mask);
    const bool* data = dense.data<bool>();
    int64_t count = 0;
    for (int64_t i = 0; i < mask.size(); ++i) count += data[i];
    if (count > limit) fail_with_few_values(limit, count);
  }
  array from = values;
  if (limit == 0) {  // a mask without True takes none, but there must be a place to look at
    Shape one = values.shape();
    one[0] = 1;
    from = constant(0, one, values.dtype(), s);
  }
  return gather(from, {record(mask_ranks_op, attrs(Ranks{0, limit}), {mask}, s)}, {0}, s, "index");
}

}  // namespace lazulite
