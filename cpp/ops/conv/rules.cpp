// Convolutions: shapes, derivatives (each a convolution of the same kind), batching.
#include "ops/compose/shape.h"
#include "ops/conv/ops.h"
#include "ops/create/create.h"
#include "ops/derivatives.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/index.h"
#include "ops/lanes.h"
#include "ops/shape/shape.h"

namespace lazulite {
namespace {

int64_t dilated(int64_t n, int64_t by) { return n ? (n - 1) * by + 1 : 0; }

void check_attributes(const char* op, const Conv& c) {
  const size_t n = c.taps.size();
  if (n < 1 || n > 3) fail(Kind::value, op, "got ", n, " axes, expected 1, 2 or 3");
  for (const Shape* s : {&c.stride, &c.low, &c.high, &c.dilation, &c.spread})
    if (s->size() != n)
      fail(Kind::value, op, "attributes do not fit: got ", *s, " for ", n, " axes");
  for (size_t i = 0; i < n; ++i)
    for (const int64_t v : {c.taps[i], c.stride[i], c.dilation[i], c.spread[i]})
      if (v < 1) fail(Kind::value, op, "attributes do not fit: got ", v, ", expected 1 or more");
  if (c.groups < 1) fail(Kind::value, op, "groups: got ", c.groups, ", expected 1 or more");
}

// Sizes of the result's axes.
Shape results(const char* op, const Conv& c, const Shape& x) {
  Shape out;
  for (size_t i = 0; i < c.taps.size(); ++i) {
    const int64_t reach = dilated(c.taps[i], c.dilation[i]),
                  size = dilated(x[i + 1], c.spread[i]) + c.low[i] + c.high[i];
    if (size < reach)
      fail(Kind::value, op, "weights reach beyond axis ", i + 1, ": got ", reach, " for ", size,
           " elements of it with their padding");
    out.push_back((size - reach) / c.stride[i] + 1);
  }
  return out;
}

// The result's shape, where dtypes are as they should be.
Shape infer_sizes(const char* op, const Conv& c, const Arrays& in, bool right_dtypes) {
  check_attributes(op, c);
  const Shape &x = in[0].shape(), &w = in[1].shape();
  const size_t n = c.taps.size() + 2;
  bool fits = x.size() == n && w.size() == n && right_dtypes && x[n - 1] == w[n - 1] * c.groups &&
              w[0] % c.groups == 0;
  for (size_t i = 1; fits && i + 1 < n; ++i) fits = w[i] == c.taps[i - 1];
  if (!fits) fail(Kind::value, op, "shapes do not fit: got ", x, " and ", w);
  Shape out{x[0]};
  const Shape sizes = results(op, c, x);
  out.append(sizes.begin(), sizes.end());
  out.push_back(w[0]);
  return out;
}
Specs infer_conv(const Conv& c, const Arrays& in) {
  check_inputs("conv", in, 2);
  const Dtype t = in[0].dtype();
  return {Spec{infer_sizes("conv", c, in, t == in[1].dtype() && is_floating(t)), t}};
}
Specs infer_int8(const Conv& c, const Arrays& in) {
  check_inputs("int8_conv", in, 3);
  bool right = in[2].ndim() == 0;
  for (const array& a : in) right &= a.dtype() == int8;
  return {Spec{infer_sizes("int8_conv", c, in, right), int32}};
}
Specs infer_weights(const Conv& c, const Arrays& in) {
  check_inputs("conv_weights", in, 2);
  check_attributes("conv_weights", c);
  const Shape &x = in[0].shape(), &ct = in[1].shape();
  const size_t n = c.taps.size() + 2;
  bool fits = x.size() == n && ct.size() == n && x[0] == ct[0] &&
              in[0].dtype() == in[1].dtype() && is_floating(in[0].dtype()) &&
              x[n - 1] % c.groups == 0 && ct[n - 1] % c.groups == 0;
  if (fits) {
    const Shape sizes = results("conv_weights", c, x);
    for (size_t i = 0; i < sizes.size(); ++i) fits &= sizes[i] == ct[i + 1];
  }
  if (!fits) fail(Kind::value, "conv_weights", "shapes do not fit: got ", x, " and ", ct);
  Shape out{ct[n - 1]};
  out.append(c.taps.begin(), c.taps.end());
  out.push_back(x[n - 1] / c.groups);
  return {Spec{out, in[0].dtype()}};
}

array run(const Op& op, const Conv& c, const array& a, const array& b, Stream s) {
  return record(op, attrs(c), {a, b}, s);
}
// Of `in` with other x and w.
array again(const Op& op, const Conv& c, const Arrays& in, const array& x, const array& w,
            Stream s) {
  Arrays all{x, w};
  for (size_t i = 2; i < in.size(); ++i) all.push_back(in[i]);
  return record(op, attrs(c), std::move(all), s);
}
Axes all_axes(int n) {
  Axes out;
  for (int i = 0; i < n; ++i) out.push_back(i);
  return out;
}

// (groups * out, taps, in) as (groups * in, taps, out).
array turned(const array& w, int64_t groups, Stream s) {
  const int n = w.ndim();
  Shape shape{groups, w.shape(0) / groups};
  shape.append(w.shape().begin() + 1, w.shape().end());
  Axes order = all_axes(n + 1);
  std::swap(order[1], order[size_t(n)]);
  array out = transpose(reshape(w, shape, s), order, s);
  Shape to{groups * w.shape(-1)};
  to.append(w.shape().begin() + 1, w.shape().end() - 1);
  to.push_back(w.shape(0) / groups);
  return reshape(out, to, s);
}
// The gradient with respect to x, as wide as `sizes` says: results and inputs change places.
array slope_of_input(const Conv& c, const array& ct, const array& w, const Shape& sizes, Stream s) {
  if (!size_of(ct.shape()) || !size_of(sizes))  // an axis may be too short for the weights
    return constant(Scalar(0.0), sizes, ct.dtype(), s);
  Conv back{c.taps, c.spread, {}, {}, c.dilation, c.stride, c.groups, !c.flip};
  for (size_t i = 0; i < c.taps.size(); ++i) {
    const int64_t reach = dilated(c.taps[i], c.dilation[i]);
    back.low.push_back(reach - 1 - c.low[i]);
    back.high.push_back(dilated(sizes[i + 1], c.spread[i]) - 1 + reach -
                        dilated(ct.shape()[i + 1], c.stride[i]) - back.low[i]);
  }
  return run(conv_op, back, ct, turned(w, c.groups, s), s);
}

Arrays vjp_conv(const Conv& c, const Node& node, const Arrays& cts, const Needs& needs) {
  Arrays out{array(), array()};
  const array &x = node.inputs[0], &w = node.inputs[1];
  if (needs[0]) out[0] = slope_of_input(c, cts[0], w, x.shape(), node.stream);
  if (needs[1]) out[1] = run(conv_weights_op, c, x, cts[0], node.stream);
  return out;
}
Arrays vjp_weights(const Conv& c, const Node& node, const Arrays& cts, const Needs& needs) {
  Arrays out{array(), array()};
  const array &x = node.inputs[0], &ct = node.inputs[1];
  if (needs[0]) out[0] = slope_of_input(c, ct, cts[0], x.shape(), node.stream);
  if (needs[1]) out[1] = run(conv_op, c, x, cts[0], node.stream);
  return out;
}
template <const Op& op>
Arrays jvp_both(const Conv& c, const Node& node, const Arrays& t) {
  array x, y;
  if (t[0]) x = run(op, c, t[0], node.inputs[1], node.stream);
  if (t[1]) y = run(op, c, node.inputs[0], t[1], node.stream);
  return {sum_of(x, y)};
}

// ---- batching: lanes become a batch, or groups

// The lanes in front of the channels: (lanes, batch, axes, channels) as (batch, axes, lanes *
// channels).
array lanes_as_channels(const array& a, Stream s) {
  Axes order = all_axes(a.ndim());
  order.erase(order.begin());
  order.insert(order.end() - 1, 0);
  Shape shape(a.shape().begin() + 1, a.shape().end());
  shape.back() *= a.shape(0);
  return reshape(transpose(a, order, s), shape, s);
}
// (..., groups * lanes * channels) as (lanes, ..., groups * channels)
array channels_as_lanes(const array& a, int64_t groups, int64_t lanes, Stream s) {
  const int n = a.ndim();
  Shape shape(a.shape().begin(), a.shape().end() - 1);
  const int64_t channels = a.shape(-1) / (groups * lanes);
  shape.push_back(groups);
  shape.push_back(lanes);
  shape.push_back(channels);
  Axes order = all_axes(n + 2);
  order.erase(order.begin() + n);
  order.insert(order.begin(), n);
  Shape to{lanes};
  to.append(a.shape().begin(), a.shape().end() - 1);
  to.push_back(groups * channels);
  return reshape(transpose(reshape(a, shape, s), order, s), to, s);
}
// The first two axes as one.
array joined(const array& a, Stream s) {
  Shape shape{a.shape(0) * a.shape(1)};
  shape.append(a.shape().begin() + 2, a.shape().end());
  return reshape(a, shape, s);
}

array no_lanes(const Node& node) {
  const Spec& out = node.out[0].spec;
  return zeros(with_front(0, out.shape), out.type, node.stream);
}

template <const Op& op>
Arrays vmap_conv(const Conv& c, const Node& node, const Arrays& in, const Axes& axes,
                 Axes& out_axes) {
  out_axes = {0};
  const int64_t lanes = lane_count(in, axes);
  const Stream s = node.stream;
  if (lanes == 0) return {no_lanes(node)};
  if (axes.size() > 2 && axes[2] >= 0) {  // a zero for each lane: one after another
    std::vector<array> out;
    for (int64_t i = 0; i < lanes; ++i) {
      const auto lane = [&](size_t k) {
        return axes[k] < 0 ? in[k] : take(batch_first(in[k], axes[k]), i, 0, s);
      };
      out.push_back(record(op, attrs(c), {lane(0), lane(1), lane(2)}, s));
    }
    return {stack(out, 0, s)};
  }
  if (axes[1] < 0) {
    const array out = again(op, c, in, joined(batch_first(in[0], axes[0]), s), in[1], s);
    Shape shape{lanes, in[0].shape()[size_t(axes[0] == 0 ? 1 : 0)]};
    shape.append(out.shape().begin() + 1, out.shape().end());
    return {reshape(out, shape, s)};
  }
  const array w = batch_first(in[1], axes[1]);
  if (axes[0] < 0) {  // more results of each group
    Shape shape{lanes, c.groups, w.shape(1) / c.groups};
    shape.append(w.shape().begin() + 2, w.shape().end());
    Axes order = all_axes(w.ndim() + 1);
    std::swap(order[0], order[1]);
    const array all = joined(joined(transpose(reshape(w, shape, s), order, s), s), s);
    return {channels_as_lanes(again(op, c, in, in[0], all, s), c.groups, lanes, s)};
  }
  Conv each = c;
  each.groups *= lanes;
  return {channels_as_lanes(
      again(op, each, in, lanes_as_channels(batch_first(in[0], axes[0]), s), joined(w, s), s), 1,
      lanes, s)};
}
Arrays vmap_weights(const Conv& c, const Node& node, const Arrays& in, const Axes& axes,
                    Axes& out_axes) {
  out_axes = {0};
  const int64_t lanes = lane_count(in, axes);
  const Stream s = node.stream;
  if (lanes == 0) return {no_lanes(node)};
  Conv each = c;
  each.groups *= lanes;
  const array out = run(conv_weights_op, each,
                        lanes_as_channels(lane_first(in[0], axes[0], lanes), s),
                        lanes_as_channels(lane_first(in[1], axes[1], lanes), s), s);
  Shape shape{lanes, out.shape(0) / lanes};
  shape.append(out.shape().begin() + 1, out.shape().end());
  return {reshape(out, shape, s)};
}

double steps_of(const Node& node) {
  const array& w = node.inputs[1];
  return w.shape(0) ? double(w.size()) / double(w.shape(0)) : 0;
}
double flops_conv(const Node& node) {
  return 2 * double(size_of(node.out[0].spec.shape)) * steps_of(node);
}
double flops_weights(const Node& node) {
  const Shape& dw = node.out[0].spec.shape;
  return 2 * double(node.inputs[1].size()) * double(dw[0] ? size_of(dw) / dw[0] : 0);
}
// As of matmul: sums of so many products.
double ulp_conv(const Node& node) { return steps_of(node) + 2; }
double ulp_weights(const Node& node) {
  const array& ct = node.inputs[1];
  return (ct.shape(-1) ? double(ct.size()) / double(ct.shape(-1)) : 0) + 2;
}

// ---- arguments

Shape for_axes(const Shape& given, int axes, const char* op, const char* name, int64_t least) {
  Shape out = given;
  if (given.size() == 1) out.resize(size_t(axes), given[0]);
  if (out.size() != size_t(axes))
    fail(Kind::value, op, name, ": got ", given, ", expected a number or one for each of ", axes,
         axes == 1 ? " axis" : " axes");
  for (const int64_t v : out)
    if (v < least || v > int64_t(1) << 31)
      fail(Kind::value, op, name, ": got ", v, ", expected ", least, " or more, below 2^31");
  return out;
}

// What a convolution of x with w is, with its taps; refused where shapes do not fit.
Conv checked(const char* op, int axes, const array& x, const array& w, Conv c) {
  if (axes < 1 || axes > 3)
    fail(Kind::value, op, "got an input of ", x.ndim(), " axes, expected 3, 4 or 5: (batch, 1 to "
         "3 axes, channels)");
  if (x.ndim() != axes + 2)
    fail(Kind::value, op, "input: got shape ", x.shape(), ", expected (batch, ", axes,
         axes == 1 ? " axis" : " axes", ", channels)");
  if (w.ndim() != axes + 2)
    fail(Kind::value, op, "weight: got shape ", w.shape(), ", expected (out channels, ", axes,
         axes == 1 ? " axis" : " axes", ", in channels / groups)");
  if (c.groups < 1) fail(Kind::value, op, "groups: got ", c.groups, ", expected 1 or more");
  if (x.shape(-1) % c.groups || w.shape(0) % c.groups)
    fail(Kind::value, op, "groups: got ", c.groups, " for ", x.shape(-1), " channels in and ",
         w.shape(0), " out, expected a divisor of both");
  if (x.shape(-1) / c.groups != w.shape(-1))
    fail(Kind::value, op, "channels do not fit: got ", x.shape(-1), " of the input in ", c.groups,
         c.groups == 1 ? " group" : " groups", " and weights of shape ", w.shape());
  c.taps = Shape(w.shape().begin() + 1, w.shape().end() - 1);
  for (const int64_t taps : c.taps)
    if (taps < 1) fail(Kind::value, op, "weight: got shape ", w.shape(), ", expected some taps");
  for (size_t i = 0; i < c.taps.size(); ++i) {  // all that follows stays within 64 bits
    product_of_sizes(x.shape()[i + 1] + 1, c.spread[i] + 1, op);
    product_of_sizes(c.taps[i] + 1, c.dilation[i] + 1, op);
  }
  results(op, c, x.shape());
  return c;
}
array conv_of(const char* op, int axes, const array& x, const array& w, const Conv& given,
              Stream s) {
  const Conv c = checked(op, axes, x, w, given);
  const Dtype t = promote(x.dtype(), w.dtype());
  if (!is_floating(t)) fail(Kind::value, op, "got ", t, ", expected a floating dtype");
  return run(conv_op, c, astype(x, t, s), astype(w, t, s), s);
}

}  // namespace

const Op conv_op = op<Conv>("conv", "Sums of products of weights with what they lie on.",
                            {.infer = typed<infer_conv>,
                             .vjp = typed<vjp_conv>,
                             .jvp = typed<jvp_both<conv_op>>,
                             .vmap = typed<vmap_conv<conv_op>>,
                             .ulp = ulp_conv,
                             .flops = flops_conv});
const Op conv_weights_op = op<Conv>("conv_weights", "The gradient of a convolution's weights.",
                                    {.infer = typed<infer_weights>,
                                     .vjp = typed<vjp_weights>,
                                     .jvp = typed<jvp_both<conv_weights_op>>,
                                     .vmap = typed<vmap_weights>,
                                     .ulp = ulp_weights,
                                     .flops = flops_weights});

const Op int8_conv_op = op<Conv>("int8_conv", "Convolutions of int8, with sums of int32.",
                                 {.infer = typed<infer_int8>,
                                  .vjp = no_gradient,
                                  .jvp = no_tangent,
                                  .vmap = typed<vmap_conv<int8_conv_op>>,
                                  .flops = flops_conv});

OpList conv_ops() { return {&conv_op, &conv_weights_op, &int8_conv_op}; }

namespace {

// Nothing where there are no axes, or too many: refused by `checked`.
Conv general(const char* op, int axes, const Shape& stride, const Margins& padding,
             const Shape& kernel_dilation, const Shape& input_dilation, int64_t groups, bool flip) {
  constexpr int64_t any = -(int64_t(1) << 31);
  if (axes < 1 || axes > 3) return {};
  return {{},
          for_axes(stride, axes, op, "stride", 1),
          for_axes(padding.low, axes, op, "padding", any),
          for_axes(padding.high, axes, op, "padding", any),
          for_axes(kernel_dilation, axes, op, "kernel_dilation", 1),
          for_axes(input_dilation, axes, op, "input_dilation", 1),
          groups,
          flip};
}

// Sums times a scale for each image, or for all, and for each output channel, or for all.
array scaled(const char* op, const array& sums, const std::optional<array>& of_images,
             const std::optional<array>& of_channels, Stream s) {
  if (!of_images && !of_channels) return sums;
  const auto checked = [&](const array& scale, int axis, const char* name) {
    if (!is_floating(scale.dtype()))
      fail(Kind::value, op, name, ": got ", scale.dtype(), ", expected a floating dtype");
    if (scale.ndim() > 1 || (scale.size() != 1 && scale.size() != sums.shape(axis)))
      fail(Kind::value, op, name, ": got shape ", scale.shape(), ", expected one number, or ",
           sums.shape(axis));
    return scale.dtype();
  };
  std::optional<Dtype> t;
  if (of_images) t = checked(*of_images, 0, "input_scale");
  if (of_channels) {
    const Dtype other = checked(*of_channels, -1, "weight_scale");
    t = t ? promote(*t, other) : other;
  }
  array out = astype(sums, compute_type(*t), s);
  if (of_images) {
    Shape shape(size_t(sums.ndim()), 1);
    shape[0] = of_images->size();
    out = multiply(out, reshape(*of_images, shape, s), s);
  }
  if (of_channels) out = multiply(out, *of_channels, s);
  return astype(out, *t, s);
}

}  // namespace

array conv_general(const array& x, const array& w, const Shape& stride, const Margins& padding,
                   const Shape& kernel_dilation, const Shape& input_dilation, int64_t groups,
                   bool flip, Stream s) {
  const char* op = "conv_general";
  const int axes = x.ndim() - 2;
  return conv_of(
      op, axes, x, w,
      general(op, axes, stride, padding, kernel_dilation, input_dilation, groups, flip), s);
}

array int8_conv(const array& x, const array& w, const std::optional<array>& x_scale,
                const std::optional<array>& w_scale, const Shape& stride, const Margins& padding,
                const Shape& kernel_dilation, const Shape& input_dilation, int64_t groups,
                bool flip, const std::optional<array>& zero, Stream s) {
  const char* op = "int8_conv";
  if (x.dtype() != int8 || w.dtype() != int8)
    fail(Kind::value, op, "got ", x.dtype(), " and ", w.dtype(), ", expected the dtype int8");
  if (zero && (zero->dtype() != int8 || zero->size() != 1))
    fail(Kind::value, op, "input_zero: got ", zero->dtype(), " of shape ", zero->shape(),
         ", expected one number of the dtype int8");
  const int axes = x.ndim() - 2;
  const Conv c =
      checked(op, axes, x, w,
              general(op, axes, stride, padding, kernel_dilation, input_dilation, groups, flip));
  const int64_t taps = product_of_sizes(1, size_of(c.taps), op), channels = x.shape(-1);
  // Channel by channel there are no sums for dot products; those of floats are exact as long as
  // they are below 2^24.
  constexpr int64_t exact = 512;
  array out;
  if (c.groups > 1 && c.groups == channels && taps <= exact) {
    array numbers = astype(x, float32, s);
    if (zero) numbers = subtract(numbers, astype(reshape(*zero, {}, s), float32, s), s);
    out = astype(run(conv_op, c, numbers, astype(w, float32, s), s), int32, s);
  } else {
    const array none = zero ? reshape(*zero, {}, s) : zeros({}, int8, s);
    out = record(int8_conv_op, attrs(c), {x, w, none}, s);
  }
  return scaled(op, out, x_scale, w_scale, s);
}

array conv(const char* op, int axes, const array& x, const array& w, const Shape& stride,
           const Shape& padding, const Shape& dilation, int64_t groups, Stream s) {
  const Shape pad = for_axes(padding, axes, op, "padding", 0);
  return conv_of(op, axes, x, w,
                 {{},
                  for_axes(stride, axes, op, "stride", 1),
                  pad,
                  pad,
                  for_axes(dilation, axes, op, "dilation", 1),
                  for_axes({1}, axes, op, "", 1),
                  groups,
                  false},
                 s);
}

array conv_transpose(const char* op, int axes, const array& x, const array& w, const Shape& stride,
                     const Shape& padding, const Shape& dilation, const Shape& output_padding,
                     int64_t groups, Stream s) {
  Conv c{{},
         for_axes({1}, axes, op, "", 1),
         for_axes(padding, axes, op, "padding", 0),
         for_axes(output_padding, axes, op, "output_padding", 0),
         for_axes(dilation, axes, op, "dilation", 1),
         for_axes(stride, axes, op, "stride", 1),
         groups,
         true};
  if (w.ndim() == axes + 2)
    for (size_t i = 0; i < size_t(axes); ++i) {
      c.low[i] = (w.shape()[i + 1] - 1) * c.dilation[i] - c.low[i];
      c.high[i] += c.low[i];
    }
  return conv_of(op, axes, x, w, c, s);
}

}  // namespace lazulite
