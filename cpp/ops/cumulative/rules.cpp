// Scans: what they infer, their derivatives and batching.
//
// Derivatives are scans themselves. Those of products and of logsumexp are linear recurrences:
// exact also where factors are zero, and without exponentials that could overflow; the derivatives
// of a recurrence are recurrences again.
#include "ops/create/create.h"
#include "ops/cumulative/ops.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/index.h"
#include "ops/lanes.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite {
namespace {

int64_t length_of(const array& a, int axis) { return a.shape()[axis]; }

void check_axis(const char* op, int axis, const array& a) {
  if (axis < 0 || axis >= a.ndim())
    fail(Kind::value, op, "not an axis of the array: got ", axis, " for shape ", a.shape());
}
template <const CumulativeOf& of>
Specs infer_cumulative(const Cumulative& c, const Arrays& in) {
  check_inputs(of.name, in, 1);
  check_axis(of.name, c.axis, in[0]);
  if (!of.types.has(in[0].dtype()))
    fail(Kind::value, of.name, "dtype not supported: got ", in[0].dtype());
  if (c.start > Start::initial)
    fail(Kind::value, of.name, "no such start: got ", int(c.start));
  Spec out = in[0].slot().spec;
  if (c.start == Start::initial)
    out.shape[c.axis] = sum_of_sizes(out.shape[c.axis], 1, of.name);
  return {out};
}

Arrays vmap_cumulative(const Cumulative& c, const Node& node, const Arrays& in, const Axes& axes,
                       Axes& out_axes) {
  out_axes = {0};
  return record_all(*node.op, attrs(Cumulative{c.axis + 1, c.reverse, c.start}),
                    {batch_first(in[0], axes[0])}, node.stream);
}

// ---- elements and their neighbours
// ------------------------------------------------------------

// Elements that come `before` those of a (or behind them): one dropped at one end of the axis and
// one of zeros put at the other.
array neighbour(const array& a, int axis, bool before) {
  const int64_t n = length_of(a, axis);
  if (n == 0) return a;
  Shape one = a.shape();
  one[axis] = 1;
  const array nothing = constant(0, one, a.dtype());
  return before ? concatenate({nothing, slice_axis(a, axis, 0, n - 1)}, axis)
                : concatenate({slice_axis(a, axis, 1, n), nothing}, axis);
}
// In the order of a scan.
array previous(const array& a, int axis, bool reverse) { return neighbour(a, axis, !reverse); }
array next(const array& a, int axis, bool reverse) { return neighbour(a, axis, reverse); }

// The cotangent of an inclusive scan from that of one with another start, and the tangent back.
array to_inclusive(const Cumulative& c, const array& ct) {
  const int64_t n = length_of(ct, c.axis);
  if (c.start == Start::exclusive) return next(ct, c.axis, c.reverse);
  if (c.start == Start::inclusive) return ct;
  return c.reverse ? slice_axis(ct, c.axis, 0, n - 1) : slice_axis(ct, c.axis, 1, n);
}
array from_inclusive(const Cumulative& c, const array& t) {
  if (c.start == Start::exclusive) return previous(t, c.axis, c.reverse);
  if (c.start == Start::inclusive) return t;
  Shape one = t.shape();
  one[c.axis] = 1;
  const array nothing = constant(0, one, t.dtype());
  return c.reverse ? concatenate({t, nothing}, c.axis) : concatenate({nothing, t}, c.axis);
}
// What the inclusive scan of the node's input is.
array inclusive(const Cumulative& c, const Node& node) {
  if (c.start == Start::inclusive) return recorded(node, 0);
  return record(*node.op, attrs(Cumulative{c.axis, c.reverse, Start::inclusive}),
                {node.inputs[0]}, node.stream);
}

// ---- derivatives
// ------------------------------------------------------------------------------

Arrays vjp_sum(const Cumulative& c, const Node&, const Arrays& cts, const Needs&) {
  if (c.start != Start::initial) return {cumsum(cts[0], c.axis, !c.reverse, c.start)};
  return {cumsum(to_inclusive(c, cts[0]), c.axis, !c.reverse)};
}
Arrays jvp_sum(const Cumulative& c, const Node&, const Arrays& t) {
  return {cumsum(t[0], c.axis, c.reverse, c.start)};
}

// Halves as float32: what is multiplied and added up again is rounded once.
array wide(const array& a) { return astype(a, compute_type(a.dtype())); }

// g[j], the sum over i from j on of ct[i] and the product of x from behind j up to i, times all x
// before j.
Arrays vjp_prod(const Cumulative& c, const Node& node, const Arrays& cts, const Needs&) {
  const array x = wide(node.inputs[0]), ct = wide(to_inclusive(c, cts[0]));
  const array rest = conjugate(cumprod(x, c.axis, c.reverse, Start::exclusive));
  const array g =
      linear_recurrence(conjugate(next(x, c.axis, c.reverse)), ct, c.axis, !c.reverse);
  return {astype(multiply(rest, g), node.inputs[0].dtype())};
}
// y[i] = x[i] y[i - 1]
Arrays jvp_prod(const Cumulative& c, const Node& node, const Arrays& t) {
  const array x = wide(node.inputs[0]);
  const array before = cumprod(x, c.axis, c.reverse, Start::exclusive);
  const array y = linear_recurrence(x, multiply(wide(t[0]), before), c.axis, c.reverse);
  return {from_inclusive(c, astype(y, node.inputs[0].dtype()))};
}

// Where the element is that each one of the inclusive scan is: the last of equal ones.
array winners(const Cumulative& c, const Node& node) {
  const array &x = node.inputs[0], y = inclusive(c, node);
  const int64_t n = length_of(x, c.axis);
  Shape along(x.ndim(), 1);
  along[c.axis] = n;
  const array at = reshape(arange(0, n, 1, int64), along);
  const array place =
      where(logical_or(equal(x, y), not_equal(x, x)), at, c.reverse ? n - 1 : 0);
  return c.reverse ? cummin(place, c.axis, true) : cummax(place, c.axis, false);
}
// Indices of an array of a shape but for one axis, where they are given.
std::vector<array> everywhere(const array& at, int axis) {
  std::vector<array> out;
  for (int d = 0; d < at.ndim(); ++d) {
    Shape along(at.ndim(), 1);
    along[d] = at.shape()[d];
    out.push_back(d == axis ? at : reshape(arange(0, at.shape()[d], 1, int64), along));
  }
  return out;
}
Arrays vjp_extreme(const Cumulative& c, const Node& node, const Arrays& cts, const Needs&) {
  const array& x = node.inputs[0];
  if (x.size() == 0) return {zeros_like(x)};
  const array ct = wide(to_inclusive(c, cts[0]));
  return {astype(scatter_add(zeros_like(ct), everywhere(winners(c, node), c.axis), ct,
                             all_axes(x.ndim())),
                 x.dtype())};
}
Arrays jvp_extreme(const Cumulative& c, const Node& node, const Arrays& t) {
  if (t[0].size() == 0) return {from_inclusive(c, t[0])};
  return {from_inclusive(c, take_along_axis(t[0], winners(c, node), c.axis))};
}

// exp(a - b) of a <= b, 1 where they are equal: infinite ones too. (What stands before the first
// element may be more: it is not read, but should stay finite.)
array ratio(const array& a, const array& b) {
  return exp(minimum(where(equal(a, b), 0, subtract(a, b)), 0));
}
struct Ratios {
  array own, before;  // exp(x - y), exp(y[i - 1] - y[i])
};
Ratios ratios_of(const Cumulative& c, const Node& node) {
  const array x = wide(node.inputs[0]),
              y = x.dtype() == node.inputs[0].dtype() ? inclusive(c, node)
                                                      : logcumsumexp(x, c.axis, c.reverse);
  return {ratio(x, y), ratio(previous(y, c.axis, c.reverse), y)};
}
// dx[j] = exp(x[j] - y[j]) times the sum over i from j on of ct[i] exp(y[j] - y[i])
Arrays vjp_logs(const Cumulative& c, const Node& node, const Arrays& cts, const Needs&) {
  const Ratios r = ratios_of(c, node);
  const array ct = wide(to_inclusive(c, cts[0]));
  const array g = linear_recurrence(next(r.before, c.axis, c.reverse), ct, c.axis, !c.reverse);
  return {astype(multiply(r.own, g), node.inputs[0].dtype())};
}
Arrays jvp_logs(const Cumulative& c, const Node& node, const Arrays& t) {
  const Ratios r = ratios_of(c, node);
  const array y = linear_recurrence(r.before, multiply(r.own, wide(t[0])), c.axis, c.reverse);
  return {from_inclusive(c, astype(y, node.inputs[0].dtype()))};
}

// ---- the ops
// ----------------------------------------------------------------------------------

template <const CumulativeOf& of>
consteval Op cumulative_op(const char* doc, Op o) {
  o.family = &of;
  o.infer = typed<infer_cumulative<of>>;
  o.vmap = typed<vmap_cumulative>;
  return op<Cumulative>(of.name, doc, o);
}
constexpr CumulativeOf of_sum{"cumsum", engine::Scan::sum, numbers};
const Op cumsum_op = cumulative_op<of_sum>(
    "Sums of the elements up to each one.",
    {.linear = true, .vjp = typed<vjp_sum>, .jvp = typed<jvp_sum>});

constexpr CumulativeOf of_prod{"cumprod", engine::Scan::prod, everything};
const Op cumprod_op = cumulative_op<of_prod>("Products of the elements up to each one.",
                                             {.vjp = typed<vjp_prod>, .jvp = typed<jvp_prod>});

constexpr CumulativeOf of_max{"cummax", engine::Scan::max, everything};
const Op cummax_op =
    cumulative_op<of_max>("The largest of the elements up to each one.",
                          {.vjp = typed<vjp_extreme>, .jvp = typed<jvp_extreme>});

constexpr CumulativeOf of_min{"cummin", engine::Scan::min, everything};
const Op cummin_op =
    cumulative_op<of_min>("The smallest of the elements up to each one.",
                          {.vjp = typed<vjp_extreme>, .jvp = typed<jvp_extreme>});

constexpr CumulativeOf of_logs{"logcumsumexp", engine::Scan::logsumexp, floats};
const Op logcumsumexp_op =
    cumulative_op<of_logs>("log(sum(exp(x))) of the elements up to each one.",
                           {.vjp = typed<vjp_logs>, .jvp = typed<jvp_logs>});

// ---- recurrences
// ------------------------------------------------------------------------------

Specs infer_recurrence(const Recurrence& r, const Arrays& in) {
  check_inputs("linear_recurrence", in, 2);
  check_axis("linear_recurrence", r.axis, in[0]);
  if (in[0].shape() != in[1].shape() || in[0].dtype() != in[1].dtype() || is_bool(in[0].dtype()))
    fail(Kind::value, "linear_recurrence", "does not fit: got ", in[0].dtype(), in[0].shape(),
         " and ", in[1].dtype(), in[1].shape(), ", expected one shape and a dtype of numbers");
  return {in[0].slot().spec};
}
// g[i] = ct[i] + a[i + 1] g[i + 1] is the cotangent of b, and y[i - 1] g[i] that of a.
Arrays vjp_recurrence(const Recurrence& r, const Node& node, const Arrays& cts,
                      const Needs& needs) {
  const array after = conjugate(next(node.inputs[0], r.axis, r.reverse));
  const array g = linear_recurrence(after, cts[0], r.axis, !r.reverse);
  array da;
  if (needs[0]) da = multiply(conjugate(previous(recorded(node, 0), r.axis, r.reverse)), g);
  return {da, g};
}
Arrays jvp_recurrence(const Recurrence& r, const Node& node, const Arrays& t) {
  array terms = t[1];
  if (t[0]) {
    const array own = multiply(t[0], previous(recorded(node, 0), r.axis, r.reverse));
    terms = terms ? add(terms, own) : own;
  }
  return {linear_recurrence(node.inputs[0], terms, r.axis, r.reverse)};
}
Arrays vmap_recurrence(const Recurrence& r, const Node& node, const Arrays& in, const Axes& axes,
                       Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  out_axes = {0};
  return record_all(*node.op, attrs(Recurrence{r.axis + 1, r.reverse}),
                    {lane_first(in[0], axes[0], lanes), lane_first(in[1], axes[1], lanes)},
                    node.stream);
}

array cumulative(const Op& op, const array& a, int axis, bool reverse, Start start, Stream s) {
  const int at = normal_axis(axis, a.ndim(), op.name);
  return record(op, attrs(Cumulative{at, reverse, start}), {a}, s);
}

}  // namespace

const Op linear_recurrence_op =
    op<Recurrence>("linear_recurrence", "y[i] = a[i] * y[i - 1] + b[i].",
                   {.infer = typed<infer_recurrence>,
                    .vjp = typed<vjp_recurrence>,
                    .jvp = typed<jvp_recurrence>,
                    .vmap = typed<vmap_recurrence>});

const OpList& cumulatives() {
  static const OpList all{&cumsum_op, &cumprod_op, &cummax_op, &cummin_op, &logcumsumexp_op};
  return all;
}
OpList cumulative_ops() {
  OpList all = cumulatives();
  all.push_back(&linear_recurrence_op);
  return all;
}

array cumsum(const array& a, int axis, bool reverse, Start start, Stream s) {
  const array x = is_bool(a.dtype()) ? astype(a, int32, s) : a;
  return cumulative(cumsum_op, x, axis, reverse, start, s);
}
array cumprod(const array& a, int axis, bool reverse, Start start, Stream s) {
  return cumulative(cumprod_op, a, axis, reverse, start, s);
}
array cummax(const array& a, int axis, bool reverse, Start start, Stream s) {
  return cumulative(cummax_op, a, axis, reverse, start, s);
}
array cummin(const array& a, int axis, bool reverse, Start start, Stream s) {
  return cumulative(cummin_op, a, axis, reverse, start, s);
}
array logcumsumexp(const array& a, int axis, bool reverse, Start start, Stream s) {
  const Dtype t = inexact_type(a.dtype());
  if (!is_complex(t)) return cumulative(logcumsumexp_op, astype(a, t, s), axis, reverse, start, s);
  // The real part scales, of all before: the imaginary one would leave the principal branch.
  const int at = normal_axis(axis, a.ndim(), "logcumsumexp");
  if (a.size() == 0) return cumsum(a, at, reverse, start, s);
  const array top = real(stop_gradient(max(a, {at}, true, s), s), s),
              m = where(isfinite(top, s), top, 0, s);
  return add(log(cumsum(exp(subtract(a, m, s), s), at, reverse, start, s), s), m, s);
}
array linear_recurrence(const array& a, const array& b, int axis, bool reverse, Stream s) {
  const int at = normal_axis(axis, a.ndim(), "linear_recurrence");
  return record(linear_recurrence_op, attrs(Recurrence{at, reverse}), {a, b}, s);
}

}  // namespace lazulite
