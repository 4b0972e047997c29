// The line through points: where numbers lie among places, and what lies between the values there.
#include "ops/create/create.h"
#include "ops/derivatives.h"
#include "ops/index/index.h"
#include "ops/sort/ops.h"

namespace lazulite {
namespace {

// Numbers (lanes, ...), places and values (lanes, n): the result is of the values' dtype.
Specs infer_lines(const Lanes& l, const Arrays& in) {
  check_inputs("interp", in, 3);
  const Dtype t = in[0].dtype(), of = in[2].dtype();
  bool fits = l.lanes >= 0 && in[1].ndim() == l.lanes + 1 && in[1].shape() == in[2].shape() &&
              in[1].shape().back() > 0 && in[0].ndim() >= l.lanes && is_floating(t) &&
              !is_half(t) && in[1].dtype() == t && is_inexact(of) && promote(t, of) == of;
  for (int d = 0; fits && d < l.lanes; ++d) fits = in[0].shape()[d] == in[1].shape()[d];
  if (!fits)
    fail(Kind::value, "interp", "does not fit: got ", t, in[0].shape(), " among ", in[1].dtype(),
         in[1].shape(), " with values ", of, in[2].shape());
  return {Spec{in[0].shape(), of}};
}

// Of each number the two points around it, and how far it is on the way from one to the other: 0 or
// 1 beyond the ends, where its own change does nothing.
struct Between {
  array x, low, high, x0, x1, share, slope;
  Shape flat;  // lanes, and their numbers one after the other
  const Stream s;

  Between(const Lanes& l, const Node& node) : s(node.stream) {
    const array &given = node.inputs[0], &places = node.inputs[1], &values = node.inputs[2];
    flat = Shape(given.shape().begin(), given.shape().begin() + l.lanes);
    flat.push_back(size_of(Shape(given.shape().begin() + l.lanes, given.shape().end())));
    const int64_t n = places.shape().back();
    x = reshape(given, flat, s);
    const array found = record(searchsorted_op, attrs(Searched{l.lanes, true}),
                               {stop_gradient(places, s), stop_gradient(x, s)}, s);
    low = clip(subtract(astype(found, int64, s), 1, s), Operand(0),
               Operand(std::max<int64_t>(n - 2, 0)), s);
    high = minimum(add(low, 1, s), n - 1, s);
    x0 = at(places, low), x1 = at(places, high);
    const array width = subtract(x1, x0, s), flat_there = equal(width, 0, s),
                whole = where(flat_there, 1, width, s);
    const array y0 = at(values, low), y1 = at(values, high);
    const array inside = logical_and(greater_equal(x, x0, s), less_equal(x, x1, s), s);
    share = where(greater_equal(x, x1, s), 1,
                  where(inside, divide(subtract(x, x0, s), whole, s), 0, s), s);
    slope = where(logical_and(inside, logical_not(flat_there, s), s),
                  divide(subtract(y1, y0, s), whole, s), 0, s);
  }
  array at(const array& rows, const array& places) const {
    return take_along_axis(rows, places, -1, s);
  }
  // Sums of terms at the places that they belong to.
  array put(const array& terms, const array& places, const array& like) const {
    return counts_at(places, terms, like.shape().back(), s);
  }
};

Arrays vjp_lines(const Lanes& l, const Node& node, const Arrays& cts, const Needs& needs) {
  const Between b(l, node);
  const array &given = node.inputs[0], &places = node.inputs[1], &values = node.inputs[2];
  const array ct = reshape(cts[0], b.flat, b.s);
  Arrays out{array(), array(), array()};
  if (needs[0] || needs[1]) {
    const array moves = real(multiply(conjugate(b.slope, b.s), ct, b.s), b.s);
    const array by = astype(moves, given.dtype(), b.s);
    if (needs[0]) out[0] = reshape(by, given.shape(), b.s);
    if (needs[1])
      out[1] = subtract(b.put(multiply(by, subtract(b.share, 1, b.s), b.s), b.low, places),
                        b.put(multiply(by, b.share, b.s), b.high, places), b.s);
  }
  if (needs[2])
    out[2] = add(b.put(multiply(ct, subtract(1, b.share, b.s), b.s), b.low, values),
                 b.put(multiply(ct, b.share, b.s), b.high, values), b.s);
  return out;
}
Arrays jvp_lines(const Lanes& l, const Node& node, const Arrays& t) {
  const Between b(l, node);
  array out, way;  // of the number on its line
  if (t[0]) way = reshape(t[0], b.flat, b.s);
  if (t[1]) {
    const array from = b.at(t[1], b.low), to = b.at(t[1], b.high);
    const array line = add(from, multiply(b.share, subtract(to, from, b.s), b.s), b.s);
    way = way ? subtract(way, line, b.s) : negative(line, b.s);
  }
  if (way) out = multiply(b.slope, way, b.s);
  if (t[2]) {
    const array from = b.at(t[2], b.low), to = b.at(t[2], b.high);
    out = sum_of(out, add(multiply(subtract(1, b.share, b.s), from, b.s),
                          multiply(b.share, to, b.s), b.s));
  }
  return {out ? astype(reshape(out, node.inputs[0].shape(), b.s), node.inputs[2].dtype(), b.s)
              : out};
}
Arrays vmap_lines(const Lanes& l, const Node& node, const Arrays& in, const Axes& axes,
                  Axes& out_axes) {
  if (axes[1] < 0 && axes[2] < 0 && l.lanes == 0) {  // there are more numbers
    out_axes = {axes[0]};
    return {record(interp_op, node.attributes, {in[0], in[1], in[2]}, node.stream)};
  }
  const int64_t lanes = lane_count(in, axes);
  Arrays all;
  for (size_t k = 0; k < 3; ++k) all.push_back(lane_first(in[k], axes[k], lanes));
  out_axes = {0};
  return {record(interp_op, attrs(Lanes{l.lanes + 1}), std::move(all), node.stream)};
}

}  // namespace

const Op interp_op = op<Lanes>("interp", "Lines through points of ascending places, at numbers.",
                               {.infer = typed<infer_lines>,
                                .vjp = typed<vjp_lines>,
                                .jvp = typed<jvp_lines>,
                                .vmap = typed<vmap_lines>});

array lines_through(const array& places, const array& values, const array& x, Stream s) {
  return record(interp_op, attrs(Lanes{0}), {x, places, values}, s);
}

}  // namespace lazulite
