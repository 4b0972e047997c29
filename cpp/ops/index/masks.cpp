// Masks: where they are true, and writing by one without a look at it: the k-th True takes the k-th
// value, in a trace as outside.
#include "engine/index/masks.h"
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

// ---- elements at a mask of the same shape, and elements set there: each is the derivative of the
// other

bool fits_mask(const Arrays& in) {
  return is_bool(in[1].dtype()) && in[0].ndim() > 0 && in[0].shape() == in[1].shape();
}
Specs infer_compress(const Compress& c, const Arrays& in) {
  check_inputs("compress", in, 2);
  if (!fits_mask(in) || c.size < 0)
    fail(Kind::value, "compress", "the mask does not fit: got ", in[1].dtype(), in[1].shape(),
         " for shape ", in[0].shape());
  return {Spec{{c.size}, in[0].dtype()}};
}
Specs infer_set(const Arrays& in) {
  check_inputs("mask_set", in, 3);
  if (!fits_mask(in) || in[2].ndim() != 1 || in[2].dtype() != in[0].dtype())
    fail(Kind::value, "mask_set", "does not fit: got ", in[1].dtype(), in[1].shape(), " and ",
         in[2].dtype(), in[2].shape(), " for ", in[0].dtype(), in[0].shape());
  return {in[0].slot().spec};
}
array set_there(const array& a, const array& mask, const array& values, Stream s) {
  return record(mask_set_op, {}, {a, mask, values}, s);
}
array elements(const array& a, const array& mask, int64_t size, Stream s) {
  return record(compress_op, attrs(Compress{size}), {a, mask}, s);
}
Arrays vjp_compress(const Compress&, const Node& node, const Arrays& cts, const Needs&) {
  return {set_there(zeros_like(node.inputs[0]), node.inputs[1], cts[0], node.stream), array()};
}
Arrays jvp_compress(const Compress& c, const Node& node, const Arrays& t) {
  return {t[0] ? elements(t[0], node.inputs[1], c.size, node.stream) : array()};
}
Arrays vjp_set(const Node& node, const Arrays& cts, const Needs& needs) {
  const array &mask = node.inputs[1], &values = node.inputs[2];
  return {needs[0] ? where(mask, 0, cts[0]) : array(), array(),
          needs[2] ? elements(cts[0], mask, values.size(), node.stream) : array()};
}
Arrays jvp_set(const Node& node, const Arrays& t) {
  return {set_there(t[0] ? t[0] : zeros_like(node.inputs[0]), node.inputs[1],
                    t[2] ? t[2] : zeros_like(node.inputs[2]), node.stream)};
}
// In lanes each has its own places.
array lanes_flat(const array& a, int axis, int64_t lanes) {
  const array x = lane_first(a, axis, lanes);
  int64_t size = 1;
  for (int i = 1; i < x.ndim(); ++i) size *= x.shape()[i];
  return reshape(x, {lanes, size});
}
Arrays vmap_compress(const Compress& c, const Node& node, const Arrays& in, const Axes& axes,
                     Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  const array x = lanes_flat(in[0], axes[0], lanes), mask = lanes_flat(in[1], axes[1], lanes);
  out_axes = {0};
  if (x.shape()[1] == 0) return {zeros({lanes, c.size}, x.dtype(), node.stream)};
  const array places =
      squeeze(record(nonzero_op, attrs(Nonzero{1, c.size, -1}), {mask}, node.stream), {1});
  return {where(less(places, 0), 0, take_along_axis(x, places, 1, node.stream))};
}
Arrays vmap_set(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  const array x = lane_first(in[0], axes[0], lanes), mask = lanes_flat(in[1], axes[1], lanes),
              values = lanes_flat(in[2], axes[2], lanes);
  const int64_t limit = values.shape()[1];
  out_axes = {0};
  // A mask without True takes none, but there must be a place to look at.
  const array from = limit ? values : zeros({lanes, 1}, values.dtype(), node.stream);
  const array ranks = record(mask_ranks_op, attrs(Ranks{1, limit}), {mask}, node.stream);
  const array each = take_along_axis(from, ranks, 1, node.stream);
  return {where(reshape(mask, x.shape()), reshape(each, x.shape()), x)};
}

}  // namespace

const Op compress_op = op<Compress>("compress", "The elements where a mask is true.",
                                    {.infer = typed<infer_compress>,
                                     .vjp = typed<vjp_compress>,
                                     .jvp = typed<jvp_compress>,
                                     .vmap = typed<vmap_compress>});
const Op mask_set_op =
    op("mask_set", "The array with one value after the other where a mask is true.",
       {.infer = typed<infer_set>, .vjp = vjp_set, .jvp = jvp_set, .vmap = vmap_set});

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

// How many are true, where the mask is there.
static std::optional<int64_t> known_count(const array& mask) {
  if (mask.node()->state.load(std::memory_order_acquire) != State::ready) return {};
  const array dense = contiguous(mask);
  return engine::count_true(dense.data<bool>(), mask.size());
}
// What is known is raised at once.
static void check_values(const array& mask, int64_t limit) {
  if (limit >= mask.size()) return;
  if (const auto count = known_count(mask); count && *count > limit)
    fail_with_few_values(limit, *count);
}

array elements_at_mask(const array& a, const array& mask, Stream s) {
  std::optional<int64_t> size = known_count(mask);
  if (!size)
    size = number_read(astype(count_nonzero(mask, all_axes(mask.ndim()), false, s), int64, s),
                       "nonzero", "nonzero(a, size=10)");
  return elements(a, mask, *size, s);
}
array elements_at_mask(const array& a, const array& mask, int64_t size, Stream s) {
  return elements(a, mask, size, s);
}
array set_at_mask(const array& a, const array& mask, const array& values, Stream s) {
  check_values(mask, values.size());
  return set_there(a, mask, values, s);
}

array values_at_mask(const array& mask, const array& values, Stream s) {
  const int64_t limit = values.shape()[0];
  check_values(mask, limit);
  array from = values;
  if (limit == 0) {  // a mask without True takes none, but there must be a place to look at
    Shape one = values.shape();
    one[0] = 1;
    from = constant(0, one, values.dtype(), s);
  }
  return gather(from, {record(mask_ranks_op, attrs(Ranks{0, limit}), {mask}, s)}, {0}, s, "index");
}

}  // namespace lazulite
