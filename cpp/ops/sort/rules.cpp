// What the ops of sorting infer, their derivatives and batching. Derivatives are elements at the
// places that the order names.
#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/index.h"
#include "ops/sort/ops.h"

namespace lazulite {
namespace {

Dtype index_type(int64_t length) { return length > int64_t(1) << 32 ? int64 : uint32; }

// Of one array with this axis: its size there.
int64_t checked_length(const char* op, const Arrays& in, int axis) {
  check_inputs(op, in, 1);
  if (axis < 0 || axis >= in[0].ndim())
    fail(Kind::index, op, "axis out of range: got ", axis, " for shape ", in[0].shape());
  return in[0].shape()[axis];
}

Specs infer_sort(const Ordered& o, const Arrays& in) {
  checked_length("sort", in, o.axis);
  return {in[0].slot().spec};
}
Specs infer_argsort(const Ordered& o, const Arrays& in) {
  const int64_t n = checked_length("argsort", in, o.axis);
  return {Spec{in[0].shape(), index_type(n)}};
}
void check_place(const char* op, const Parted& p, const Arrays& in) {
  const int64_t n = checked_length(op, in, p.axis);
  if (p.kth < 0 || p.kth >= n)
    fail(Kind::value, op, "kth out of range: got ", p.kth, " for axis ", p.axis, " with size ", n);
}
Specs infer_partition(const Parted& p, const Arrays& in) {
  check_place("partition", p, in);
  return {in[0].slot().spec};
}
Specs infer_argpartition(const Parted& p, const Arrays& in) {
  check_place("argpartition", p, in);
  return {Spec{in[0].shape(), index_type(in[0].shape()[p.axis])}};
}
Specs infer_topk(const Largest& l, const Arrays& in) {
  const int64_t n = checked_length("topk", in, l.axis);
  if (l.count < 0 || l.count > n)
    fail(Kind::value, "topk", "k out of range: got ", l.count, ", expected 0 to ", n,
         ", the size of axis ", l.axis);
  Spec out = in[0].slot().spec;
  out.shape[l.axis] = l.count;
  return {out};
}
Specs infer_searchsorted(const Searched& s, const Arrays& in) {
  check_inputs("searchsorted", in, 2);
  bool fits = s.lanes >= 0 && in[0].ndim() == s.lanes + 1 && in[1].ndim() >= s.lanes &&
              in[0].dtype() == in[1].dtype();
  for (int d = 0; fits && d < s.lanes; ++d) fits = in[0].shape()[d] == in[1].shape()[d];
  if (!fits)
    fail(Kind::value, "searchsorted", "shapes do not fit: got a sorted sequence of shape ",
         in[0].shape(), " and values of shape ", in[1].shape());
  return {Spec{in[1].shape(), index_type(in[0].shape()[s.lanes])}};
}

// ---- derivatives: `places` are the indices along the axis that the result has its elements from

array put_at(const array& like, const array& places, const array& ct, int axis) {
  return put_along_axis(zeros_like(like), places, ct, axis);
}

array places_of(const Ordered& o, const Node& node) {
  return argsort(node.inputs[0], o.axis, o.descending, node.stream);
}
array places_of(const Parted& p, const Node& node) {
  return argpartition(node.inputs[0], p.kth, p.axis, node.stream);
}
array places_of(const Largest& l, const Node& node) {
  const array& a = node.inputs[0];
  const int64_t n = a.shape()[l.axis];
  return slice_axis(argsort(a, l.axis, false, node.stream), l.axis, n - l.count, n, node.stream);
}
template <class T>
Arrays vjp_taken(const T& at, const Node& node, const Arrays& cts, const Needs&) {
  return {put_at(node.inputs[0], places_of(at, node), cts[0], at.axis)};
}
template <class T>
Arrays jvp_taken(const T& at, const Node& node, const Arrays& t) {
  return {take_along_axis(t[0], places_of(at, node), at.axis, node.stream)};
}

template <class T>
Arrays vmap_along(const T& at, const Node& node, const Arrays& in, const Axes& batch,
                  Axes& out_axes) {
  T shifted = at;
  ++shifted.axis;
  out_axes = {0};
  return {record(*node.op, attrs(std::move(shifted)), {batch_first(in[0], batch[0])},
                 node.stream)};
}
Arrays vmap_searchsorted(const Searched& at, const Node& node, const Arrays& in, const Axes& axes,
                         Axes& out_axes) {
  if (axes[0] < 0 && at.lanes == 0) {  // the values have one more axis
    out_axes = {axes[1]};
    return {record(searchsorted_op, node.attributes, {in[0], in[1]}, node.stream)};
  }
  const int64_t lanes = lane_count(in, axes);
  out_axes = {0};
  return {record(searchsorted_op, attrs(Searched{at.lanes + 1, at.right}),
                 {lane_first(in[0], axes[0], lanes), lane_first(in[1], axes[1], lanes)},
                 node.stream)};
}

int64_t place_of(const char* op, const array& a, int64_t kth, int axis) {
  const int64_t n = a.shape()[axis];
  if (kth < -n || kth >= n)
    fail(Kind::value, op, "kth out of range: got ", kth, " for axis ", axis, " with size ", n);
  return kth < 0 ? kth + n : kth;
}

}  // namespace

const Op sort_op = op<Ordered>("sort", "Elements in order along an axis.",
                               {.infer = typed<infer_sort>,
                                .vjp = typed<vjp_taken<Ordered>>,
                                .jvp = typed<jvp_taken<Ordered>>,
                                .vmap = typed<vmap_along<Ordered>>});
const Op argsort_op = op<Ordered>("argsort", "The stable order along an axis.",
                                  {.infer = typed<infer_argsort>,
                                   .vmap = typed<vmap_along<Ordered>>});
const Op partition_op =
    op<Parted>("partition", "Elements below that at a place, its equals, and those above.",
               {.infer = typed<infer_partition>,
                .vjp = typed<vjp_taken<Parted>>,
                .jvp = typed<jvp_taken<Parted>>,
                .vmap = typed<vmap_along<Parted>>});
const Op argpartition_op = op<Parted>("argpartition", "Where the elements of partition are from.",
                                      {.infer = typed<infer_argpartition>,
                                       .vmap = typed<vmap_along<Parted>>});
const Op topk_op = op<Largest>("topk", "The largest elements along an axis, ascending.",
                               {.infer = typed<infer_topk>,
                                .vjp = typed<vjp_taken<Largest>>,
                                .jvp = typed<jvp_taken<Largest>>,
                                .vmap = typed<vmap_along<Largest>>});
const Op searchsorted_op =
    op<Searched>("searchsorted", "How many of ascending elements are below values.",
                 {.infer = typed<infer_searchsorted>, .vmap = typed<vmap_searchsorted>});

OpList sort_ops() {
  return {&sort_op, &argsort_op, &partition_op, &argpartition_op, &topk_op, &searchsorted_op,
          &unique_op, &interp_op};
}

array sort(const array& a, int axis, bool descending, Stream s) {
  return record(sort_op, attrs(Ordered{normal_axis(axis, a.ndim(), "sort"), descending}), {a}, s);
}
array argsort(const array& a, int axis, bool descending, Stream s) {
  return record(argsort_op, attrs(Ordered{normal_axis(axis, a.ndim(), "argsort"), descending}),
                {a}, s);
}
array partition(const array& a, int64_t kth, int axis, Stream s) {
  axis = normal_axis(axis, a.ndim(), "partition");
  return record(partition_op, attrs(Parted{axis, place_of("partition", a, kth, axis)}), {a}, s);
}
array argpartition(const array& a, int64_t kth, int axis, Stream s) {
  axis = normal_axis(axis, a.ndim(), "argpartition");
  return record(argpartition_op, attrs(Parted{axis, place_of("argpartition", a, kth, axis)}), {a},
                s);
}
array topk(const array& a, int64_t k, int axis, Stream s) {
  return record(topk_op, attrs(Largest{normal_axis(axis, a.ndim(), "topk"), k}), {a}, s);
}

array searchsorted(const array& sorted, const Operand& values, bool right, Stream s) {
  if (sorted.ndim() == 0)
    fail(Kind::value, "searchsorted", "the sorted sequence has no axis: got shape ()");
  const Operand sequence(sorted);
  const Dtype t = result_type({&sequence, &values});
  return record(searchsorted_op, attrs(Searched{sorted.ndim() - 1, right}),
                {astype(sorted, t, s), as_array(values, t, "searchsorted", s)}, s);
}

array lexsort(const std::vector<array>& keys, int axis, Stream s) {
  if (keys.empty()) fail(Kind::value, "lexsort", "no keys: expected one array or more");
  for (auto& k : keys)
    if (k.shape() != keys[0].shape())
      fail(Kind::value, "lexsort", "shapes differ: got ", k.shape(), " and ", keys[0].shape());
  axis = normal_axis(axis, keys[0].ndim(), "lexsort");
  array order = argsort(keys[0], axis, false, s);
  for (size_t i = 1; i < keys.size(); ++i)
    order = take_along_axis(
        order, argsort(take_along_axis(keys[i], order, axis, s), axis, false, s), axis, s);
  return order;
}

}  // namespace lazulite
