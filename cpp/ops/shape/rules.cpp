// Views and copies: what they infer, their derivatives and batching, and how a view lies in its
// input's memory.
#include <algorithm>
#include <numeric>

#include "ops/derivatives.h"
#include "ops/elementwise/elementwise.h"
#include "ops/lanes.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/elsewhere.h"
#include "ops/shape/ops.h"

namespace lazulite {
namespace {

// ---- broadcast_to
struct BroadcastTo {
  Shape shape;
  LAZULITE_FIELDS(shape)
};
void check_broadcast(const Shape& from, const Shape& to) {
  if (broadcast_shapes(from, to, "broadcast_to") != to)
    fail(Kind::value, "broadcast_to", "does not broadcast: got ", from,
         ", expected a shape that fits ", to);
}
Specs infer_broadcast(const BroadcastTo& to, const Arrays& in) {
  check_inputs("broadcast_to", in, 1);
  check_broadcast(in[0].shape(), to.shape);
  return {Spec{to.shape, in[0].dtype()}};
}
Arrays vjp_broadcast(const Node& node, const Arrays& cts, const Needs&) {
  return {sum_to(cts[0], node.inputs[0].shape())};
}
Arrays vmap_broadcast(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  const Shape& to = node.out[0].spec.shape;
  array x = batch_first(in[0], axes[0]);
  Shape shape{x.shape(0)};
  for (size_t i = x.ndim() - 1; i < to.size(); ++i) shape.push_back(1);
  for (int i = 1; i < x.ndim(); ++i) shape.push_back(x.shape(i));
  out_axes = {0};
  return {broadcast_to(reshape(x, shape), with_front(x.shape(0), to))};
}
bool view_broadcast(const Node& node, const TensorView& in, Storage& out) {
  out.buffer = in.storage->buffer;
  out.offset = in.storage->offset;
  out.strides = broadcast_strides(in.shape(), in.strides(), node.out[0].spec.shape);
  return true;
}
// ---- reshape
struct Reshape {
  Shape shape;
  LAZULITE_FIELDS(shape)
};
Specs infer_reshape(const Reshape& to, const Arrays& in) {
  check_inputs("reshape", in, 1);
  if (size_of(to.shape) != in[0].size())
    fail(Kind::value, "reshape", "sizes differ: got an array of shape ", in[0].shape(), " (",
         in[0].size(), " elements), expected ", to.shape);
  return {Spec{to.shape, in[0].dtype()}};
}
Arrays vjp_reshape(const Node& node, const Arrays& cts, const Needs&) {
  return {reshape(cts[0], node.inputs[0].shape())};
}
Arrays vmap_reshape(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  const array x = batch_first(in[0], axes[0]);
  out_axes = {0};
  return {reshape(x, with_front(x.shape(0), node.out[0].spec.shape))};
}
// Strides of the new shape over the old memory, when every new axis lies inside one run of old
// axes.
bool view_reshape(const Node& node, const TensorView& in, Storage& out) {
  const Shape& to = node.out[0].spec.shape;
  if (size_of(to) == 0) return false;
  Shape from = in.shape();
  SmallVector<Strides, 4> steps{in.strides()};
  collapse(from, steps);
  Strides strides;
  strides.resize(to.size(), 1);
  size_t run = 0;
  int64_t inside = 1;
  for (size_t i = 0; i < to.size(); ++i) {
    if (to[i] == 1) continue;
    while (run < from.size() && inside == from[run]) {
      ++run;
      inside = 1;
    }
    if (run == from.size() || from[run] % (inside * to[i]) != 0) return false;
    inside *= to[i];
    strides[i] = steps[0][run] * (from[run] / inside);
  }
  out = {in.storage->buffer, in.storage->offset, strides};
  return true;
}
// ---- transpose
struct Transpose {
  Axes axes;
  LAZULITE_FIELDS(axes)
};
Specs infer_transpose(const Transpose& to, const Arrays& in) {
  check_inputs("transpose", in, 1);
  const int n = in[0].ndim();
  if (int(to.axes.size()) != n)
    fail(Kind::value, "transpose", "wrong number of axes: got ", to.axes, " for an array with ", n,
         " axes");
  normal_axes(to.axes, n, "transpose");  // refuses repeated ones
  Shape shape;
  for (int axis : to.axes) {
    if (axis < 0) fail(Kind::value, "transpose", "negative axis: got ", to.axes);
    shape.push_back(in[0].shape()[axis]);
  }
  return {Spec{shape, in[0].dtype()}};
}
Arrays vjp_transpose(const Transpose& to, const Node&, const Arrays& cts, const Needs&) {
  const Axes& axes = to.axes;
  Axes back;
  back.resize(axes.size());
  for (size_t i = 0; i < axes.size(); ++i) back[axes[i]] = int(i);
  return {transpose(cts[0], back)};
}
Arrays vmap_transpose(const Transpose& to, const Node&, const Arrays& in, const Axes& axes,
                      Axes& out_axes) {
  Axes order{0};
  for (int axis : to.axes) order.push_back(axis + 1);
  out_axes = {0};
  return {transpose(batch_first(in[0], axes[0]), order)};
}
bool view_transpose(const Transpose& to, const Node&, const TensorView& in, Storage& out) {
  out = {in.storage->buffer, in.storage->offset, {}};
  for (int axis : to.axes) out.strides.push_back(in.strides()[axis]);
  return true;
}
const Op transpose_op = op<Transpose>("transpose", "The axes in another order.",
                                      {.kind = OpKind::view,
                                       .linear = true,
                                       .infer = typed<infer_transpose>,
                                       .vjp = typed<vjp_transpose>,
                                       .vmap = typed<vmap_transpose>,
                                       .view = typed<view_transpose>});

// ---- diagonal
Specs infer_diagonal(const Diagonal& d, const Arrays& in) {
  check_inputs("diagonal", in, 1);
  const int axes = in[0].ndim();
  if (d.axis1 == d.axis2 || std::min(d.axis1, d.axis2) < 0 || std::max(d.axis1, d.axis2) >= axes)
    fail(Kind::value, "diagonal", "axes do not fit: got ", d.axis1, " and ", d.axis2,
         " for shape ", in[0].shape());
  Shape shape = other_axes(in[0].shape(), {d.axis1, d.axis2});
  shape.push_back(std::max<int64_t>(0, std::min(in[0].shape(d.axis1) - d.row(),
                                                in[0].shape(d.axis2) - d.column())));
  return {Spec{shape, in[0].dtype()}};
}
bool view_diagonal(const Diagonal& d, const Node& node, const TensorView& in, Storage& out) {
  const Strides& steps = in.strides();
  out = {in.storage->buffer, in.storage->offset, {}};
  if (node.out[0].spec.shape.back() > 0)
    out.offset += d.row() * steps[d.axis1] + d.column() * steps[d.axis2];
  out.strides = other_axes(steps, {d.axis1, d.axis2});
  out.strides.push_back(steps[d.axis1] + steps[d.axis2]);
  return true;
}
// Zeros with the cotangent there: every (n + 1)-th element of flattened squares.
Arrays vjp_diagonal(const Diagonal& d, const Node& node, const Arrays& cts, const Needs&) {
  const array& x = node.inputs[0];
  const int64_t n = cts[0].shape(-1);
  if (n == 0) return {zeros_like(x)};
  Shape flat = cts[0].shape(), square = flat;
  flat.back() = n * n;
  square.push_back(n);
  Shape start(flat.size(), 0), step(flat.size(), 1);
  step.back() = n + 1;
  array out = slice_update(constant(0, flat, x.dtype(), node.stream), cts[0], start, flat, step,
                           node.stream);
  out = reshape(out, square, node.stream);
  Shape whole = square;
  const size_t last = whole.size() - 1;
  whole[last - 1] = x.shape(d.axis1);
  whole[last] = x.shape(d.axis2);
  if (whole != square) {
    Shape from(whole.size(), 0), to = square;
    from[last - 1] = d.row(), to[last - 1] += d.row();
    from[last] = d.column(), to[last] += d.column();
    out = slice_update(constant(0, whole, x.dtype(), node.stream), out, from, to,
                       Shape(whole.size(), 1), node.stream);
  }
  Axes order;
  for (int i = 0, rest = 0; i < x.ndim(); ++i)
    order.push_back(i == d.axis1 ? int(last) - 1 : i == d.axis2 ? int(last) : rest++);
  return {transpose(out, order, node.stream)};
}
Arrays vmap_diagonal(const Diagonal& d, const Node& node, const Arrays& in, const Axes& axes,
                     Axes& out_axes) {
  out_axes = {0};
  return {record(diagonal_op, attrs(Diagonal{d.offset, d.axis1 + 1, d.axis2 + 1}),
                 {batch_first(in[0], axes[0])}, node.stream)};
}

// ---- slice and slice_update
void check_bounds(const char* op, const Slice& at, const Shape& shape) {
  const size_t n = shape.size();
  bool fits = at.start.size() == n && at.step.size() == n && at.size.size() == n;
  for (size_t i = 0; fits && i < n; ++i) {
    int64_t last = 0;
    fits = at.size[i] == 0 ||
           (at.start[i] >= 0 && at.start[i] < shape[i] &&
            !__builtin_mul_overflow(at.size[i] - 1, at.step[i], &last) &&
            !__builtin_add_overflow(last, at.start[i], &last) && last >= 0 && last < shape[i]);
  }
  if (!fits)
    fail(Kind::value, op, "out of bounds: got start ", at.start, ", step ", at.step, ", size ",
         at.size, " for shape ", shape);
}
Specs infer_slice(const Slice& at, const Arrays& in) {
  check_inputs("slice", in, 1);
  check_bounds("slice", at, in[0].shape());
  return {Spec{at.size, in[0].dtype()}};
}
bool view_slice(const Slice& at, const Node&, const TensorView& in, Storage& out) {
  out = at.in(*in.storage);
  return true;
}
Arrays vjp_slice(const Slice& at, const Node& node, const Arrays& cts, const Needs&) {
  return {slice_update(zeros_like(node.inputs[0]), cts[0], at.start, at.stop(), at.step)};
}
bool disjoint(const Slice& a, const Slice& b) {
  for (size_t i = 0; i < a.size.size(); ++i) {
    if (a.size[i] == 0 || b.size[i] == 0) return true;
    const auto ends = [i](const Slice& s) {
      return std::minmax({s.start[i], s.start[i] + (s.size[i] - 1) * s.step[i]});
    };
    const auto [a0, a1] = ends(a);
    const auto [b0, b1] = ends(b);
    if (a1 < b0 || b1 < a0) return true;
  }
  return false;
}
// True when `sum` is zeros with other slices written into it.
bool still_zero(const Slice& at, const array& sum) {
  const array* from = &sum;
  for (int depth = 0; depth < 64; ++depth) {
    if (is_constant(*from)) return constant_value(*from) == Scalar(0).rounded(from->dtype());
    const Node& node = *from->node();
    if (node.op != &slice_update_op || node.inputs.empty() || !disjoint(at, node.get<Slice>()))
      return false;
    from = &node.inputs[0];
  }
  return false;
}
// The axis along which a slice is a part of an array, whole along all others; -1: there is none.
int axis_of_part(const Slice& at, const Shape& shape) {
  int axis = -1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (at.size[i] == shape[i] && at.start[i] == 0 && at.step[i] == 1) continue;
    if (axis >= 0 || at.step[i] != 1) return -1;
    axis = int(i);
  }
  return axis;
}
// Zeros with slices written into them, of which this one is the last that was missing: what a split
// gave, put together. Null where it is not.
array put_together(const Slice& at, const array& ct, const array& sum) {
  const int axis = axis_of_part(at, sum.shape());
  if (axis < 0) return array();
  std::vector<std::pair<int64_t, array>> parts{{at.start[size_t(axis)], ct}};
  int64_t missing = sum.shape(axis) - ct.shape(axis);
  const array* from = &sum;
  for (; from->node()->op == &slice_update_op; from = &from->node()->inputs[0]) {
    const Slice& other = from->node()->get<Slice>();
    if (axis_of_part(other, sum.shape()) != axis) return array();
    missing -= other.size[size_t(axis)];
    parts.push_back({other.start[size_t(axis)], from->node()->inputs[1]});
  }
  if (missing != 0) return array();
  std::sort(parts.begin(), parts.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<array> in_order;
  for (auto& part : parts) in_order.push_back(std::move(part.second));
  return concatenate(in_order, axis, sum.node()->stream);
}
array vjp_slice_onto(const Slice& at, const Node& node, const array& ct, const array& sum) {
  const Shape stop = at.stop();
  if (still_zero(at, sum))
    if (array whole = put_together(at, ct, sum)) return whole;
  return slice_update(
      sum, still_zero(at, sum) ? ct : add(slice(sum, at.start, stop, at.step), ct, node.stream),
      at.start, stop, at.step);
}
Slice batched(const Slice& at, int64_t lanes) {
  return {with_front(0, at.start), with_front(1, at.step), with_front(lanes, at.size)};
}
Arrays vmap_slice(const Slice& at, const Node& node, const Arrays& in, const Axes& axes,
                  Axes& out_axes) {
  const array x = batch_first(in[0], axes[0]);
  out_axes = {0};
  return {record(slice_op, attrs(batched(at, x.shape(0))), {x}, node.stream)};
}
Specs infer_update(const Slice& at, const Arrays& in) {
  check_inputs("slice_update", in, 2);
  check_bounds("slice_update", at, in[0].shape());
  if (in[1].shape() != at.size || in[0].dtype() != in[1].dtype())
    fail(Kind::value, "slice_update", "the update does not fit: got ", in[1].dtype(), in[1].shape(),
         ", expected ", in[0].dtype(), at.size);
  return {in[0].slot().spec};
}
Arrays vjp_update(const Slice& at, const Node& node, const Arrays& cts, const Needs& needs) {
  Arrays out{array(), array()};
  if (needs[0])
    out[0] = slice_update(cts[0], zeros_like(node.inputs[1]), at.start, at.stop(), at.step);
  if (needs[1]) out[1] = slice(cts[0], at.start, at.stop(), at.step);
  return out;
}
Arrays vmap_update(const Slice& at, const Node& node, const Arrays& in, const Axes& axes,
                   Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  out_axes = {0};
  return {record(slice_update_op, attrs(batched(at, lanes)),
                 {lane_first(in[0], axes[0], lanes), lane_first(in[1], axes[1], lanes)},
                 node.stream)};
}
// ---- concatenate
Specs infer_concatenate(const Concatenate& to, const Arrays& in) {
  const int axis = to.axis;
  if (in.empty() || axis < 0 || axis >= in[0].ndim())
    fail(Kind::value, "concatenate", "no arrays, or not an axis of them: got axis ", axis);
  Spec spec = in[0].slot().spec;
  for (size_t i = 1; i < in.size(); ++i) {
    if (in[i].dtype() != spec.type)
      fail(Kind::value, "concatenate", "dtypes differ: got ", spec.type, " and ", in[i].dtype());
    Shape one = in[i].shape();
    if (one.size() == spec.shape.size()) one[axis] = spec.shape[axis];
    if (one != spec.shape)
      fail(Kind::value, "concatenate", "shapes differ off the axis: got ", in[0].shape(), " and ",
           in[i].shape(), " along axis ", axis);
    spec.shape[axis] = sum_of_sizes(spec.shape[axis], in[i].shape()[axis], "concatenate");
  }
  return {spec};
}
Arrays vjp_concatenate(const Concatenate& to, const Node& node, const Arrays& cts,
                       const Needs& needs) {
  Arrays out;
  int64_t at = 0;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const int64_t n = node.inputs[i].shape()[to.axis];
    out.push_back(needs[i] ? slice_axis(cts[0], to.axis, at, at + n) : array());
    at += n;
  }
  return out;
}
Arrays vmap_concatenate(const Concatenate& to, const Node&, const Arrays& in, const Axes& axes,
                        Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  std::vector<array> parts;
  for (size_t i = 0; i < in.size(); ++i) parts.push_back(lane_first(in[i], axes[i], lanes));
  out_axes = {0};
  return {concatenate(parts, to.axis + 1)};
}
// ---- contiguous and copy
Arrays vjp_same(const Node&, const Arrays& cts, const Needs&) { return {cts[0]}; }
Specs infer_contiguous(const Arrays& in) {
  check_inputs("contiguous", in, 1);
  return {in[0].slot().spec};
}
Specs infer_copy(const Arrays& in) {
  check_inputs("copy", in, 1);
  return {in[0].slot().spec};
}
Arrays vmap_contiguous(const Node&, const Arrays& in, const Axes& axes, Axes& out_axes) {
  out_axes = {0};
  return {contiguous(batch_first(in[0], axes[0]))};
}
Arrays vmap_copy(const Node&, const Arrays& in, const Axes& axes, Axes& out_axes) {
  out_axes = {0};
  return {copy(batch_first(in[0], axes[0]))};
}
bool view_contiguous(const Node&, const TensorView& in, Storage& out) {
  if (!in.dense()) return false;
  out = *in.storage;
  return true;
}

// ---- view
struct ViewAs {
  Dtype type;
  LAZULITE_FIELDS(type)
};
Specs infer_view(const ViewAs& as, const Arrays& in) {
  check_inputs("view", in, 1);
  const Dtype to = as.type;
  Shape shape = in[0].shape();
  const int64_t from_bytes = size_of(in[0].dtype()), to_bytes = size_of(to);
  if (from_bytes != to_bytes) {
    if (shape.empty())
      fail(Kind::value, "view", "0-d array: got ", in[0].dtype(), " to ", to,
           ", expected dtypes of one size");
    const int64_t bytes = product_of_sizes(shape.back(), from_bytes, "view");
    if (bytes % to_bytes)
      fail(Kind::value, "view", "the last axis does not divide: got ", bytes,
           " bytes, expected a multiple of ", to_bytes);
    shape.back() = bytes / to_bytes;
  }
  return {Spec{shape, to}};
}
Arrays vmap_view(const ViewAs& as, const Node&, const Arrays& in, const Axes& axes,
                 Axes& out_axes) {
  out_axes = {0};
  return {view(batch_first(in[0], axes[0]), as.type)};
}
bool view_view(const ViewAs& as, const Node& node, const TensorView& in, Storage& out) {
  if (!in.dense()) return false;
  const int64_t from = size_of(in.type()), to = size_of(as.type);
  if (in.storage->offset * from % to) return false;
  out = {in.storage->buffer, in.storage->offset * from / to, dense_strides(node.out[0].spec.shape)};
  return true;
}
// ---- depends: the dependencies, then the inputs, which are passed on
struct Depends {
  int inputs;
  LAZULITE_FIELDS(inputs)
};
size_t first_input(const Node& node) { return node.inputs.size() - node.out.size(); }
Specs infer_depends(const Depends& d, const Arrays& in) {
  if (d.inputs < 0 || size_t(d.inputs) > in.size())
    fail(Kind::value, "depends", "wrong number of inputs: got ", in.size(), ", expected ", d.inputs,
         " or more");
  Specs out;
  for (size_t i = in.size() - size_t(d.inputs); i < in.size(); ++i)
    out.push_back(in[i].slot().spec);
  return out;
}
Arrays vjp_depends(const Node& node, const Arrays& cts, const Needs&) {
  Arrays out;
  out.resize(node.inputs.size());
  for (size_t i = 0; i < cts.size(); ++i) out[first_input(node) + i] = cts[i];
  return out;
}
Arrays jvp_depends(const Node& node, const Arrays& t) {
  Arrays out;
  for (size_t i = 0; i < node.out.size(); ++i) out.push_back(t[first_input(node) + i]);
  return out;
}
Arrays vmap_depends(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  out_axes.clear();
  for (size_t i = 0; i < node.out.size(); ++i) out_axes.push_back(axes[first_input(node) + i]);
  return record_all(*node.op, node.attributes, in, node.stream);
}
bool view_depends(const Node&, const TensorView& in, Storage& out) {
  out = *in.storage;
  return true;
}
const Op depends_op = op<Depends>("depends", "The inputs, evaluated after the dependencies.",
                                  {.kind = OpKind::view,
                                   .barrier = true,
                                   .infer = typed<infer_depends>,
                                   .vjp = vjp_depends,
                                   .jvp = jvp_depends,
                                   .vmap = vmap_depends,
                                   .view = view_depends});

}  // namespace

const Op broadcast_op =
    op<BroadcastTo>("broadcast_to", "Repeats an array along axes of size 1 and new ones.",
                    {.kind = OpKind::view,
                     .linear = true,
                     .reshapes = true,
                     .infer = typed<infer_broadcast>,
                     .vjp = vjp_broadcast,
                     .vmap = vmap_broadcast,
                     .view = view_broadcast});
const Op reshape_op =
    op<Reshape>("reshape", "The same elements, in row-major order, in another shape.",
                {.kind = OpKind::view,
                 .linear = true,
                 .reshapes = true,
                 .infer = typed<infer_reshape>,
                 .vjp = vjp_reshape,
                 .vmap = vmap_reshape,
                 .view = view_reshape});
const Op slice_op = op<Slice>("slice", "Every step-th element between bounds, on each axis.",
                              {.kind = OpKind::view,
                               .linear = true,
                               .infer = typed<infer_slice>,
                               .vjp = typed<vjp_slice>,
                               .vjp_onto = typed<vjp_slice_onto>,
                               .vmap = typed<vmap_slice>,
                               .view = typed<view_slice>});
const Op diagonal_op = op<Diagonal>("diagonal", "The elements where two axes are in one place.",
                                    {.kind = OpKind::view,
                                     .linear = true,
                                     .infer = typed<infer_diagonal>,
                                     .vjp = typed<vjp_diagonal>,
                                     .vmap = typed<vmap_diagonal>,
                                     .view = typed<view_diagonal>});
const Op slice_update_op = op<Slice>("slice_update", "The array with a slice of it replaced.",
                                     {.linear = true,
                                      .update = true,
                                      .infer = typed<infer_update>,
                                      .vjp = typed<vjp_update>,
                                      .vmap = typed<vmap_update>});
const Op concatenate_op =
    op<Concatenate>("concatenate", "Arrays one after the other along an axis.",
                    {.linear = true,
                     .infer = typed<infer_concatenate>,
                     .vjp = typed<vjp_concatenate>,
                     .vmap = typed<vmap_concatenate>});
const Op contiguous_op = op("contiguous", "The array in row-major order without gaps.",
                            {.kind = OpKind::view,
                             .linear = true,
                             .infer = typed<infer_contiguous>,
                             .vjp = vjp_same,
                             .vmap = vmap_contiguous,
                             .view = view_contiguous});
const Op copy_op =
    op("copy", "The same in memory of its own.",
       {.linear = true, .infer = typed<infer_copy>, .vjp = vjp_same, .vmap = vmap_copy});
const Op view_op = op<ViewAs>("view", "The same bytes as another dtype.",
                              {.kind = OpKind::view,
                               .infer = typed<infer_view>,
                               .vmap = typed<vmap_view>,
                               .view = typed<view_view>});

Elsewhere elsewhere(const Op& view, const Attrs* attributes, const Op& maker, const Attrs* made) {
  if (&view == &reshape_op && &maker == &reshape_op) return {0, false};
  if (&view != &slice_op || &maker != &slice_update_op) return {};
  const Slice &at = value_of<Slice>(*attributes), &written = value_of<Slice>(*made);
  if (attributes->equal(*made)) return {1, true};
  return disjoint(at, written) ? Elsewhere{0, false} : Elsewhere{};
}

OpList shape_ops() {
  return {&broadcast_op,   &reshape_op,    &transpose_op, &slice_op, &slice_update_op,
          &concatenate_op, &contiguous_op, &copy_op,      &view_op,  &depends_op,
          &diagonal_op};
}

namespace {
array broadcast(const array& a, const Shape& shape, bool fold, Stream s) {
  if (a.shape() == shape) return a;
  if (is_constant(a) && fold) {
    check_shape(shape, a.dtype(), "broadcast_to");
    check_broadcast(a.shape(), shape);
    return constant(constant_value(a), shape, a.dtype(), s);
  }
  return record(broadcast_op, attrs(BroadcastTo{shape}), {a}, s);
}
}  // namespace
array broadcast_to(const array& a, const Shape& shape, Stream s) {
  return broadcast(a, shape, true, s);
}
array broadcast_view(const array& a, const Shape& shape, Stream s) {
  return broadcast(a, shape, false, s);
}

array reshape(const array& a, Shape shape, Stream s) {
  Shape known;
  int unknown = -1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == -1) {
      if (unknown >= 0) fail(Kind::value, "reshape", "more than one -1: got ", shape);
      unknown = int(i);
    } else if (shape[i] < 0) {
      fail(Kind::value, "reshape", "negative size: got ", shape);
    } else {
      known.push_back(shape[i]);
    }
  }
  const int64_t elements = size_of(known);  // a size of 0 makes it 0, however large others are
  if (unknown >= 0) {
    if (elements == 0 || a.size() % elements)
      fail(Kind::value, "reshape", "sizes do not divide: got ", a.shape(), ", expected ", shape);
    shape[unknown] = a.size() / elements;
  }
  if (shape == a.shape()) return a;
  if (is_constant(a) && (unknown >= 0 || elements == a.size()))
    return constant(constant_value(a), shape, a.dtype(), s);
  return record(reshape_op, attrs(Reshape{std::move(shape)}), {a}, s);
}

array transpose(const array& a, const Axes& axes, Stream s) {
  Axes order;
  for (int axis : axes) order.push_back(normal_axis(axis, a.ndim(), "transpose"));
  if (order == all_axes(a.ndim())) return a;
  return record(transpose_op, attrs(Transpose{order}), {a}, s);
}

array transpose(const array& a, Stream s) {
  Axes axes;
  for (int i = a.ndim(); i-- > 0;) axes.push_back(i);
  return transpose(a, axes, s);
}

namespace {
Slice slice_of(const array& a, const Shape& start, const Shape& stop, const Shape& step,
               const char* op) {
  const size_t n = a.shape().size();
  if (start.size() != n || stop.size() != n || step.size() != n)
    fail(Kind::value, op, "bounds for every axis are needed: got ", start, ", ", stop, ", ", step,
         " for shape ", a.shape());
  Slice out;
  for (size_t i = 0; i < n; ++i) {
    if (step[i] == 0) fail(Kind::value, op, "step 0 on axis ", i);
    const __int128 stride = step[i],
                   span = stride > 0 ? __int128(stop[i]) - start[i] : __int128(start[i]) - stop[i];
    const int64_t size = span <= 0 ? 0 : int64_t((span - 1) / (stride > 0 ? stride : -stride) + 1);
    const __int128 last = start[i] + (size - 1) * stride;
    if (size > 0 && (start[i] < 0 || start[i] >= a.shape()[i] || last < 0 || last >= a.shape()[i]))
      fail(Kind::index, op, "bounds out of range: got ", start[i], " to ", stop[i], " for axis ", i,
           " with size ", a.shape()[i]);
    out.start.push_back(start[i]);  // of nothing too: formulas of sizes hold then
    out.step.push_back(size > 1 ? step[i] : std::clamp<int64_t>(step[i], -INT32_MAX, INT32_MAX));
    out.size.push_back(size);
  }
  return out;
}
}  // namespace

array slice(const array& a, const Shape& start, const Shape& stop, const Shape& step, Stream s) {
  Slice at = slice_of(a, start, stop, step, "slice");
  bool whole = at.size == a.shape();
  for (int64_t n : at.step) whole &= n == 1;
  if (whole) return a;
  return record(slice_op, attrs(std::move(at)), {a}, s);
}

array slice_update(const array& a, const array& update, const Shape& start, const Shape& stop,
                   const Shape& step, Stream s) {
  Slice at = slice_of(a, start, stop, step, "slice_update");
  const array fitted = broadcast_to(astype(update, a.dtype(), s), at.size, s);
  return record(slice_update_op, attrs(std::move(at)), {a, fitted}, s);
}

array diagonal(const array& a, int64_t offset, int axis1, int axis2, Stream s) {
  axis1 = normal_axis(axis1, a.ndim(), "diagonal");
  axis2 = normal_axis(axis2, a.ndim(), "diagonal");
  if (axis1 == axis2) fail(Kind::value, "diagonal", "the two axes are the same: got ", axis1);
  return record(diagonal_op, attrs(Diagonal{offset, axis1, axis2}), {a}, s);
}

array slice_axis(const array& a, int axis, int64_t from, int64_t to, Stream s) {
  Shape start, stop = a.shape(), step;
  start.resize(stop.size(), 0);
  step.resize(stop.size(), 1);
  start[axis] = from;
  stop[axis] = to;
  return slice(a, start, stop, step, s);
}

array concatenate(const std::vector<array>& arrays, int axis, Stream s) {
  if (arrays.empty())
    fail(Kind::value, "concatenate", "no arrays: got an empty list, expected one array or more");
  axis = normal_axis(axis, arrays[0].ndim(), "concatenate");
  Dtype t = arrays[0].dtype();
  for (auto& a : arrays) t = promote(t, a.dtype());
  Arrays in;
  for (auto& a : arrays) in.push_back(astype(a, t, s));
  if (in.size() == 1) return in[0];
  return record(concatenate_op, attrs(Concatenate{axis}), std::move(in), s);
}

array contiguous(const array& a, Stream s) { return record(contiguous_op, {}, {a}, s); }
array copy(const array& a, Stream s) { return record(copy_op, {}, {a}, s); }
array view(const array& a, Dtype t, Stream s) {
  if (t == a.dtype()) return a;
  if (is_bool(t)) return not_equal(view(a, uint8, s), 0, s);  // any byte but 0 is True
  return record(view_op, attrs(ViewAs{t}), {a}, s);
}

std::vector<array> depends(const std::vector<array>& inputs,
                           const std::vector<array>& dependencies) {
  if (inputs.empty()) return {};
  Arrays in;
  for (auto& a : dependencies) in.push_back(a);
  for (auto& a : inputs) in.push_back(a);
  const Arrays out = record_all(depends_op, attrs(Depends{int(inputs.size())}), std::move(in),
                                inputs[0].node()->stream);
  return {out.begin(), out.end()};
}

}  // namespace lazulite
