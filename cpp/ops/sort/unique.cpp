// Different elements: how many there are only the data tells.
#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/masks.h"
#include "ops/reduce/reduce.h"
#include "ops/sort/ops.h"

namespace lazulite {
namespace {

// Of lanes and a row each: the first of each, which each element is, counts, and how many.
Specs infer_unique(const Different& d, const Arrays& in) {
  check_inputs("unique", in, 1);
  const int axes = in[0].ndim();
  if (axes == 0 || d.size < 0)
    fail(Kind::value, "unique", "does not fit: got shape ", in[0].shape(), ", size ", d.size);
  Shape lanes = in[0].shape();
  const int64_t n = lanes[axes - 1];
  if (n > int64_t(UINT32_MAX))
    fail(Kind::value, "unique", "too many elements: got ", n, ", expected up to ", UINT32_MAX);
  lanes.pop_back();
  Shape room = lanes, all = lanes;
  room.push_back(d.size);
  all.push_back(d.inverse ? n : 0);
  return {Spec{room, uint32}, Spec{all, uint32}, Spec{room, int32}, Spec{lanes, int64}};
}
Arrays vmap_unique(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  out_axes = {0, 0, 0, 0};
  return record_all(unique_op, node.attributes, {batch_first(in[0], axes[0])}, node.stream);
}

// The values alone: in order, those that differ from the one before.
array values_alone(const array& flat, const DistinctOptions& o, Stream s) {
  const int64_t n = flat.size();
  const array all = sort(flat, 0, false, s);
  const array before = slice_axis(all, 0, 0, n - 1, s);
  array differs = not_equal(slice_axis(all, 0, 1, n, s), before, s);
  if (o.equal_nan && is_inexact(flat.dtype()))
    differs = logical_and(differs, logical_not(isnan(before, s), s), s);
  const array starts = concatenate({constant(true, {1}, bool_, s), differs}, 0, s);
  const array count = astype(count_nonzero(starts, {0}, false, s), int64, s);
  if (!o.size)
    return elements_at_mask(all, starts, number_read(count, "unique", "unique(a, size=10)"), s);
  const array values = take(all, nonzero(starts, o.size, 0, s)[0], 0, s);
  if (!o.fill) return values;
  return where(less(arange(0, *o.size, 1, int64, s), count, s), values,
               as_array(*o.fill, flat.dtype(), "unique", s), s);
}

}  // namespace

const Op unique_op = op<Different>("unique", "The different elements of rows, by index.",
                                   {.infer = typed<infer_unique>, .vmap = vmap_unique});

DistinctParts unique(const array& a, const DistinctOptions& o, Stream s) {
  const array flat = reshape(a, {a.size()}, s);
  DistinctParts out;
  if (a.size() && !o.indices && !o.inverse && !o.counts) {
    out.values = values_alone(flat, o, s);
    return out;
  }
  const int64_t room = o.size ? *o.size : a.size();
  const Arrays found = record_all(
      unique_op, attrs(Different{room, o.inverse, o.equal_nan || !is_inexact(a.dtype())}), {flat},
      s);
  array first = found[0], counts = found[2];
  if (!o.size) {
    const int64_t count = number_read(found[3], "unique", "unique(a, size=10)");
    first = slice_axis(first, 0, 0, count, s);
    counts = slice_axis(counts, 0, 0, count, s);
  }
  if (a.size() == 0)
    out.values = full({o.size.value_or(0)}, o.fill.value_or(Operand(0)), a.dtype(), s);
  else
    out.values = take(flat, first, 0, s);
  if (o.size && o.fill && a.size())
    out.values = where(less(arange(0, room, 1, int64, s), found[3], s), out.values,
                       as_array(*o.fill, a.dtype(), "unique", s), s);
  if (o.indices) out.indices = first;
  if (o.inverse) out.inverse = reshape(found[1], a.shape(), s);
  if (o.counts) out.counts = counts;
  return out;
}

}  // namespace lazulite
