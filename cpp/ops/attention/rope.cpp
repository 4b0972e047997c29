// Rotary positions: an op that turns pairs by given cosines and sines, which ordinary ops make.
#include <cmath>

#include "ops/attention/ops.h"
#include "ops/create/create.h"
#include "ops/derivatives.h"
#include "ops/elementwise/elementwise.h"
#include "ops/lanes.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite {
namespace {

Specs infer_rope(const Rotate&, const Arrays& in) {
  check_inputs("rope", in, 3);
  const Shape &x = in[0].shape(), &c = in[1].shape();
  const Dtype t = in[0].dtype();
  if (!is_floating(t) || x.size() != 4 || c.size() != 3 || in[2].shape() != c ||
      in[1].dtype() != compute_type(t) || in[2].dtype() != compute_type(t) ||
      (c[0] != 1 && c[0] != x[0]) || c[1] != x[2] || 2 * c[2] > x[3])
    fail(Kind::value, "rope", "shapes do not fit: got ", x, ", ", c, " and ", in[2].shape());
  return {in[0].slot().spec};
}

array turn(const Rotate& r, const array& x, const array& cos, const array& sin, Stream s) {
  return record(rope_op, attrs(r), {x, cos, sin}, s);
}

// The numbers that are firsts of pairs (0), or seconds, of the dtype of angles.
array side(const Rotate& r, const array& x, int64_t pairs, int which, Dtype t) {
  const Shape& shape = x.shape();
  const int64_t start = r.neighbours ? which : which * pairs,
                stop = r.neighbours ? 2 * pairs : start + pairs;
  return astype(slice(x, {0, 0, 0, start}, {shape[0], shape[1], shape[2], stop},
                      {1, 1, 1, r.neighbours ? 2 : 1}),
                t);
}
// Over heads, and over the batch where it shares its angles.
array folded(const array& x, const array& angles) {
  return angles.shape(0) == x.shape(0) ? sum(x, {1}, false)
                                       : reshape(sum(x, {0, 1}, false), angles.shape());
}

Arrays vjp_rope(const Rotate& r, const Node& node, const Arrays& cts, const Needs& needs) {
  const array &x = node.inputs[0], &cos = node.inputs[1], &sin = node.inputs[2];
  Arrays out{array(), array(), array()};
  if (needs[0]) out[0] = turn({r.neighbours, !r.back}, cts[0], cos, sin, node.stream);
  if (!needs[1] && !needs[2]) return out;
  const int64_t pairs = cos.shape(2);
  const array a = side(r, x, pairs, 0, cos.dtype()), b = side(r, x, pairs, 1, cos.dtype()),
              first = side(r, cts[0], pairs, 0, cos.dtype()),
              second = side(r, cts[0], pairs, 1, cos.dtype());
  if (needs[1]) out[1] = folded(first * a + second * b, cos);
  if (needs[2])
    out[2] = folded(r.back ? first * b - second * a : second * a - first * b, sin);
  return out;
}
Arrays jvp_rope(const Rotate& r, const Node& node, const Arrays& t) {
  const array &x = node.inputs[0], &cos = node.inputs[1], &sin = node.inputs[2];
  array out;
  if (t[0]) out = turn(r, t[0], cos, sin, node.stream);
  if (t[1] || t[2]) {
    // Linear in both together; what is not turned has no part in it.
    const int64_t pairs = cos.shape(2), left = x.shape(3) - 2 * pairs;
    const array more = turn(r, x, t[1] ? t[1] : zeros_like(cos), t[2] ? t[2] : zeros_like(sin),
                            node.stream);
    const Shape &s = x.shape();
    const array here =
        left ? concatenate({slice_axis(more, 3, 0, 2 * pairs),
                            zeros({s[0], s[1], s[2], left}, x.dtype())}, 3)
             : more;
    out = sum_of(out, here);
  }
  return {out};
}

// Lanes are a part of the batch.
Arrays vmap_rope(const Rotate& r, const Node& node, const Arrays& in, const Axes& axes,
                 Axes& out_axes) {
  out_axes = {0};
  const int64_t lanes = lane_count(in, axes), batch = node.inputs[0].shape(0);
  const Shape& shape = node.out[0].spec.shape;
  const Stream s = node.stream;
  Arrays args;
  const bool angles = axes[1] >= 0 || axes[2] >= 0;
  for (size_t i = 0; i < 3; ++i) {
    const Shape& own = node.inputs[i].shape();
    if (i > 0 && !angles && own[0] == 1) {
      args.push_back(in[i]);
      continue;
    }
    Shape all{lanes};
    all.append(own.begin(), own.end());
    if (i > 0) all[1] = batch;
    Shape flat{lanes * batch};
    flat.append(own.begin() + 1, own.end());
    args.push_back(reshape(broadcast_to(lane_first(in[i], axes[i], lanes), all), flat, s));
  }
  return {reshape(turn(r, args[0], args[1], args[2], s), with_front(lanes, shape), s)};
}

}  // namespace

const Op rope_op = op<Rotate>("rope", "Pairs of numbers turned by an angle each.",
                              {.infer = typed<infer_rope>,
                               .vjp = typed<vjp_rope>,
                               .jvp = typed<jvp_rope>,
                               .vmap = typed<vmap_rope>});

namespace fast {

array rope(const array& x, int dims, bool traditional, std::optional<double> base, double scale,
           const array& offset, const array& freqs, Stream s) {
  const char* op = "rope";
  if (x.ndim() < 3)
    fail(Kind::value, op, "a: got shape ", x.shape(), ", expected (batch, ..., places, numbers)");
  if (!is_floating(x.dtype()))
    fail(Kind::value, op, "dtype not supported: got ", x.dtype(), ", expected a floating dtype");
  const Shape& shape = x.shape();
  const int64_t batch = shape[0], places = x.shape(-2), numbers = x.shape(-1), pairs = dims / 2;
  if (dims < 0 || dims % 2 || dims > numbers)
    fail(Kind::value, op, "dims: got ", dims, ", expected an even number from 0 to ", numbers);
  if (bool(base) == bool(freqs))
    fail(Kind::value, op, "base and freqs: got ", base ? "both" : "neither", ", expected one");
  if (freqs && freqs.shape() != Shape{pairs})
    fail(Kind::value, op, "freqs: got shape ", freqs.shape(), ", expected (", pairs, ",)");
  const bool each = offset.ndim() == 1 && offset.shape(0) == batch;
  if (!is_integer(offset.dtype()) || (!each && offset.size() != 1))
    fail(Kind::value, op, "offset: got ", offset.dtype(), offset.shape(),
         ", expected an integer, or one for each of ", batch);
  const Dtype t = compute_type(x.dtype());
  // 1 / frequency in double: times a place its error would count so often.
  const array slow = freqs ? reciprocal(astype(freqs, t, s))
                           : astype(exp(arange(0, pairs, 1, float64, s) *
                                        (-2 * std::log(*base) / double(dims))),
                                    t, s);
  const array first = reshape(astype(offset, t, s), {each ? batch : 1, 1}, s),
              place = reshape((first + arange(0, places, 1, t, s)) * scale,
                              {each ? batch : 1, places, 1}, s),
              angle = place * slow;
  int64_t heads = 1;
  for (size_t i = 1; i + 2 < shape.size(); ++i) heads *= shape[i];
  const array flat = x.ndim() == 4 ? x : reshape(x, {batch, heads, places, numbers}, s);
  const array out = turn({traditional, false}, flat, cos(angle), sin(angle), s);
  return x.ndim() == 4 ? out : reshape(out, shape, s);
}

}  // namespace fast
}  // namespace lazulite
