// Pooling: shapes, derivatives (of sums the same op; of maxima two that are each other's
// transposed), batching.
#include <algorithm>
#include <cmath>

#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/lanes.h"
#include "ops/pool/ops.h"
#include "ops/shape/shape.h"

namespace lazulite {
namespace {

constexpr int64_t most = int64_t(1) << 31;

void check_attributes(const char* op, const Pool& p) {
  const size_t n = p.in.size();
  if (n < 1 || n > 3) fail(Kind::value, op, "got ", n, " axes, expected 1, 2 or 3");
  bool fits = p.out.size() == n && p.divisor >= 1;
  for (const Shape* s : {&p.size, &p.stride, &p.low}) fits &= s->size() == (p.size.empty() ? 0 : n);
  for (size_t i = 0; fits && i < n; ++i) {
    fits = p.in[i] >= 0 && p.out[i] >= 0;
    if (p.size.empty() || !fits) continue;
    fits = p.size[i] >= 1 && p.size[i] < most && p.stride[i] >= 1 && p.stride[i] < most &&
           p.low[i] >= 0 && p.low[i] < most;
    product_of_sizes(p.out[i] + 1, p.stride[i] + 1, op);
  }
  if (!fits)
    fail(Kind::value, op, "attributes do not fit: got sizes ", p.size, " for axes ", p.in, " and ",
         p.out, " windows");
}

Shape with_axes(const Shape& given, const Shape& axes) {
  Shape out{given[0]};
  out.append(axes.begin(), axes.end());
  out.push_back(given.back());
  return out;
}
void check_shape_of(const char* op, const array& a, const Shape& axes) {
  const Shape& s = a.shape();
  bool fits = s.size() == axes.size() + 2;
  for (size_t i = 0; fits && i < axes.size(); ++i) fits = s[i + 1] == axes[i];
  if (!fits || is_complex(a.dtype()))
    fail(Kind::value, op, "shapes do not fit: got ", s, " of ", a.dtype(), ", expected axes ",
         axes);
}

Specs infer_max(const Pool& p, const Arrays& in) {
  check_inputs("max_pool", in, 1);
  check_attributes("max_pool", p);
  check_shape_of("max_pool", in[0], p.in);
  return {Spec{with_axes(in[0].shape(), p.out), in[0].dtype()}};
}
Specs infer_at(const Pool& p, const Arrays& in) {
  check_inputs("max_pool_at", in, 2);
  check_attributes("max_pool_at", p);
  check_shape_of("max_pool_at", in[0], p.in);
  if (in[1].shape() != in[0].shape() || in[1].dtype() != in[0].dtype())
    fail(Kind::value, "max_pool_at", "shapes do not fit: got ", in[0].shape(), " and ",
         in[1].shape());
  return {Spec{with_axes(in[0].shape(), p.out), in[0].dtype()}};
}
Specs infer_slope(const Pool& p, const Arrays& in) {
  check_inputs("max_pool_slope", in, 2);
  check_attributes("max_pool_slope", p);
  check_shape_of("max_pool_slope", in[0], p.in);
  if (in[1].shape() != with_axes(in[0].shape(), p.out) || in[1].dtype() != in[0].dtype())
    fail(Kind::value, "max_pool_slope", "shapes do not fit: got ", in[0].shape(), " and ",
         in[1].shape());
  return {in[0].slot().spec};
}
Specs infer_sum(const Pool& p, const Arrays& in) {
  check_inputs("sum_pool", in, 1);
  check_attributes("sum_pool", p);
  check_shape_of("sum_pool", in[0], p.back ? p.out : p.in);
  if (!is_floating(in[0].dtype()))
    fail(Kind::value, "sum_pool", "got ", in[0].dtype(), ", expected a floating dtype");
  return {Spec{with_axes(in[0].shape(), p.back ? p.in : p.out), in[0].dtype()}};
}

array run(const Op& op, const Pool& p, const Arrays& in, Stream s) {
  return record(op, attrs(p), in, s);
}

Arrays vjp_max(const Pool& p, const Node& node, const Arrays& cts, const Needs&) {
  return {run(max_pool_slope_op, p, {node.inputs[0], cts[0]}, node.stream)};
}
Arrays jvp_max(const Pool& p, const Node& node, const Arrays& t) {
  return {run(max_pool_at_op, p, {node.inputs[0], t[0]}, node.stream)};
}
// Where the largest stand does not depend on small changes of x.
template <const Op& other>
Arrays vjp_second(const Pool& p, const Node& node, const Arrays& cts, const Needs& needs) {
  Arrays out{array(), array()};
  if (needs[1]) out[1] = run(other, p, {node.inputs[0], cts[0]}, node.stream);
  return out;
}
template <const Op& op>
Arrays jvp_second(const Pool& p, const Node& node, const Arrays& t) {
  if (!t[1]) return {array()};
  return {run(op, p, {node.inputs[0], t[1]}, node.stream)};
}
Arrays vjp_sum(const Pool& p, const Node& node, const Arrays& cts, const Needs&) {
  Pool back = p;
  back.back = !p.back;
  return {run(sum_pool_op, back, {cts[0]}, node.stream)};
}

// Lanes are more of the batch.
template <const Op& op>
Arrays vmap_pool(const Pool& p, const Node& node, const Arrays& in, const Axes& axes,
                 Axes& out_axes) {
  out_axes = {0};
  const int64_t lanes = lane_count(in, axes);
  Arrays joined;
  for (size_t i = 0; i < in.size(); ++i) {
    const array a = lane_first(in[i], axes[i], lanes);
    Shape shape{a.shape(0) * a.shape(1)};
    shape.append(a.shape().begin() + 2, a.shape().end());
    joined.push_back(reshape(a, shape, node.stream));
  }
  const array out = run(op, p, joined, node.stream);
  return {reshape(out, with_front(lanes, node.out[0].spec.shape), node.stream)};
}

double flops_pool(const Node& node) {
  const Pool& p = node.get<Pool>();
  double taps = 1;
  for (size_t i = 0; i < p.in.size(); ++i)
    taps *= p.size.empty() ? double(p.in[i]) / double(std::max<int64_t>(p.out[i], 1))
                           : double(p.size[i]);
  const array& x = node.inputs[0];
  const double ends = double(x.shape(0)) * double(x.shape(-1));
  return ends * double(size_of(p.out)) * taps;
}

// ---- resample

Specs infer_resample(const Resample& r, const Arrays& in) {
  check_inputs("resample", in, 1);
  const double scale = r.scale.real();
  const array& x = in[0];
  const int axes = int(r.in.size());
  bool fits = (axes == 1 || axes == 2) && r.out.size() == r.in.size() && r.axis >= 0 &&
              r.axis <= x.ndim() - axes && r.mode >= 0 && r.mode <= 2 && scale >= 0 &&
              scale < HUGE_VAL && (scale == 0 || axes == 1) && is_floating(x.dtype());
  Shape out = x.shape();
  for (size_t i = 0; fits && i < r.in.size(); ++i) {
    fits = r.in[i] >= 0 && r.in[i] < most && r.out[i] >= 0 && r.out[i] < most &&
           (r.in[i] > 0 || r.out[i] == 0) &&
           out[size_t(r.axis) + i] == (r.back ? r.out[i] : r.in[i]);
    if (fits) out[size_t(r.axis) + i] = r.back ? r.in[i] : r.out[i];
  }
  if (!fits)
    fail(Kind::value, "resample", "attributes do not fit: got ", x.dtype(), x.shape(),
         " for axes from ", r.axis, " on of sizes ", r.in, " made ", r.out);
  return {Spec{out, x.dtype()}};
}
Arrays vjp_resample(const Resample& r, const Node& node, const Arrays& cts, const Needs&) {
  Resample back = r;
  back.back = !r.back;
  return {record(resample_op, attrs(back), {cts[0]}, node.stream)};
}
Arrays vmap_resample(const Resample& r, const Node& node, const Arrays& in, const Axes& axes,
                     Axes& out_axes) {
  out_axes = {0};
  Resample each = r;
  ++each.axis;
  return {record(resample_op, attrs(each), {batch_first(in[0], axes[0])}, node.stream)};
}

// ---- arguments

Shape for_axes(const Shape& given, size_t axes, const char* op, const char* name, int64_t least) {
  Shape out = given;
  if (given.size() == 1) out.resize(axes, given[0]);
  if (out.size() != axes)
    fail(Kind::value, op, name, ": got ", given, ", expected a number or one for each of ", axes,
         axes == 1 ? " axis" : " axes");
  for (const int64_t v : out)
    if (v < least || v >= most)
      fail(Kind::value, op, name, ": got ", v, ", expected ", least, " or more, below 2^31");
  return out;
}

// The axes of x between the first and the last.
Shape axes_of(const char* op, const array& x) {
  if (x.ndim() < 3 || x.ndim() > 5)
    fail(Kind::value, op, "x: got shape ", x.shape(),
         ", expected (batch, 1 to 3 axes, channels)");
  if (is_complex(x.dtype()))
    fail(Kind::value, op, "got ", x.dtype(), ", expected a real dtype");
  return Shape(x.shape().begin() + 1, x.shape().end() - 1);
}

Pool windows(const char* op, const array& x, const Shape& size, const Shape& stride,
             const Margins& padding) {
  Pool p{axes_of(op, x), {}, {}, {}, {}, 1, false};
  const size_t n = p.in.size();
  p.size = for_axes(size, n, op, "kernel_size", 1);
  p.stride = stride.empty() ? p.size : for_axes(stride, n, op, "stride", 1);
  p.low = for_axes(padding.low, n, op, "padding", 0);
  const Shape high = for_axes(padding.high, n, op, "padding", 0);
  for (size_t i = 0; i < n; ++i) {
    const int64_t all = sum_of_sizes(p.in[i], p.low[i] + high[i], op);
    if (all < p.size[i])
      fail(Kind::value, op, "windows reach beyond axis ", i + 1, ": got ", p.size[i], " for ", all,
           " elements of it with their padding");
    p.out.push_back((all - p.size[i]) / p.stride[i] + 1);
  }
  return p;
}

// Windows of equal shares; whole ones are windows as any others.
Pool shares(const char* op, const array& x, const Shape& size) {
  Pool p{axes_of(op, x), {}, {}, {}, {}, 1, false};
  p.out = for_axes(size, p.in.size(), op, "output_size", 0);
  bool whole = true;
  for (size_t i = 0; i < p.in.size(); ++i) {
    if (p.in[i] == 0 && p.out[i] > 0)
      fail(Kind::value, op, "axis ", i + 1, " is empty: got ", x.shape(), " for ", p.out[i],
           " windows");
    whole &= p.out[i] > 0 && p.in[i] % p.out[i] == 0;
  }
  if (!whole) return p;
  for (size_t i = 0; i < p.in.size(); ++i) p.size.push_back(p.in[i] / p.out[i]);
  p.stride = p.size;
  p.low.resize(p.in.size(), 0);
  return p;
}

// The sums of windows, divided by the number of elements in each.
array means(const Pool& p, const array& x, Stream s) {
  const Dtype sums = compute_type(x.dtype());
  Shape one{1};
  one.append(p.in.begin(), p.in.end());
  one.push_back(1);
  const array counts = run(sum_pool_op, p, {ones(one, sums, s)}, s);
  return astype(run(sum_pool_op, p, {astype(x, sums, s)}, s) / counts, x.dtype(), s);
}

}  // namespace

const Op max_pool_op = op<Pool>("max_pool", "The largest of each window.",
                                {.infer = typed<infer_max>,
                                 .vjp = typed<vjp_max>,
                                 .jvp = typed<jvp_max>,
                                 .vmap = typed<vmap_pool<max_pool_op>>,
                                 .flops = flops_pool});
const Op max_pool_at_op =
    op<Pool>("max_pool_at", "What stands in b where the first largest of a window of a stands.",
             {.infer = typed<infer_at>,
              .vjp = typed<vjp_second<max_pool_slope_op>>,
              .jvp = typed<jvp_second<max_pool_at_op>>,
              .vmap = typed<vmap_pool<max_pool_at_op>>,
              .flops = flops_pool});
const Op max_pool_slope_op =
    op<Pool>("max_pool_slope", "What windows have, at the first largest of each.",
             {.infer = typed<infer_slope>,
              .vjp = typed<vjp_second<max_pool_at_op>>,
              .jvp = typed<jvp_second<max_pool_slope_op>>,
              .vmap = typed<vmap_pool<max_pool_slope_op>>,
              .flops = flops_pool});
const Op sum_pool_op = op<Pool>("sum_pool", "The sum of each window, divided by a number.",
                                {.linear = true,
                                 .infer = typed<infer_sum>,
                                 .vjp = typed<vjp_sum>,
                                 .vmap = typed<vmap_pool<sum_pool_op>>,
                                 .flops = flops_pool});

const Op resample_op = op<Resample>("resample", "An axis made longer or shorter.",
                                    {.linear = true,
                                     .infer = typed<infer_resample>,
                                     .vjp = typed<vjp_resample>,
                                     .vmap = typed<vmap_resample>});

OpList pool_ops() {
  return {&max_pool_op, &max_pool_at_op, &max_pool_slope_op, &sum_pool_op, &resample_op};
}

namespace fast {

array max_pool(const array& x, const Shape& size, const Shape& stride, const Margins& padding,
               Stream s) {
  return run(max_pool_op, windows("max_pool", x, size, stride, padding), {x}, s);
}

array avg_pool(const array& x, const Shape& size, const Shape& stride, const Margins& padding,
               bool count_padding, Stream s) {
  Pool p = windows("avg_pool", x, size, stride, padding);
  const array a = astype(x, inexact_type(x.dtype()), s);
  if (!count_padding) return means(p, a, s);
  for (const int64_t n : p.size) p.divisor = product_of_sizes(p.divisor, n, "avg_pool");
  return run(sum_pool_op, p, {a}, s);
}

array adaptive_max_pool(const array& x, const Shape& size, Stream s) {
  return run(max_pool_op, shares("adaptive_max_pool", x, size), {x}, s);
}

array adaptive_avg_pool(const array& x, const Shape& size, Stream s) {
  Pool p = shares("adaptive_avg_pool", x, size);
  const array a = astype(x, inexact_type(x.dtype()), s);
  if (p.size.empty()) return means(p, a, s);
  for (const int64_t n : p.size) p.divisor *= n;
  return run(sum_pool_op, p, {a}, s);
}

array resample(const array& x, const Shape& size, const Axes& axes, const std::string& mode,
               bool align_corners, bool antialias, double scale, Stream s) {
  const char* op = "resample";
  const int number = mode == "nearest" ? 0 : mode == "linear" ? 1 : mode == "cubic" ? 2 : -1;
  if (number < 0)
    fail(Kind::value, op, "mode: got '", mode, "', expected 'nearest', 'linear' or 'cubic'");
  if (antialias && (number == 0 || align_corners))
    fail(Kind::value, op, "antialias: got true, expected false for mode 'nearest' and for "
         "align_corners");
  if (size.size() != axes.size())
    fail(Kind::value, op, "size: got ", size, " for axes ", axes, ", expected one for each");
  if (!(scale >= 0 && scale < HUGE_VAL) || (scale != 0 && axes.size() != 1))
    fail(Kind::value, op, "scale: got ", scale, " for ", axes.size(),
         " axes, expected a positive number, of one axis");
  if (is_complex(x.dtype())) fail(Kind::value, op, "got ", x.dtype(), ", expected a real dtype");
  std::vector<std::pair<int, int64_t>> wanted;
  for (size_t i = 0; i < axes.size(); ++i) {
    const int at = normal_axis(axes[i], x.ndim(), op);
    if (size[i] < 0 || size[i] >= most)
      fail(Kind::value, op, "size: got ", size[i], ", expected 0 or more, below 2^31");
    if (x.shape(at) == 0 && size[i] > 0)
      fail(Kind::value, op, "axis ", at, " is empty: got ", x.shape(), " for ", size[i],
           " elements");
    for (const auto& other : wanted)
      if (other.first == at) fail(Kind::value, op, "axis ", at, " twice: got axes ", axes);
    wanted.push_back({at, size[i]});
  }
  std::sort(wanted.begin(), wanted.end());
  array out = astype(x, inexact_type(x.dtype()), s);
  while (!wanted.empty()) {  // from the last on; two that follow each other at a time
    const auto [last, made] = wanted.back();
    wanted.pop_back();
    Resample r{last, {out.shape(last)}, {made}, Scalar(scale), number, align_corners, antialias,
               false};
    if (!wanted.empty() && wanted.back().first == last - 1) {
      r.axis = last - 1;
      r.in = {out.shape(last - 1), out.shape(last)};
      r.out = {wanted.back().second, made};
      wanted.pop_back();
    }
    out = record(resample_op, attrs(r), {out}, s);
  }
  return out;
}

}  // namespace fast

}  // namespace lazulite
