// layer_norm and rms_norm: one op forward, one backward; higher derivatives are made of both and of
// ordinary ops.
//
// With y = (x - mean) r of a row, r = 1 / sqrt(var + eps), the derivative of y is a symmetric map,
// N(g) = r (g - mean(g) - y mean(g y)); of rms_norm, where x is not centred, mean(g) is left out.
// The derivative of <v, N(g)> by x is symmetric in v, g and the direction:
// -r (y mean(v N(g)) + mean(g y) N(v) + mean(v y) N(g)).
#include "ops/derivatives.h"
#include "ops/elementwise/elementwise.h"
#include "ops/fused/ops.h"
#include "ops/lanes.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite {
namespace {

template <bool centred>
const Op& norm_op() { return centred ? layer_norm_op : rms_norm_op; }
template <bool centred>
const Op& slope_op() { return centred ? layer_norm_slope_op : rms_norm_slope_op; }

Dtype wide_type(const array& x) { return compute_type(x.dtype()); }
array wide(const array& x) { return astype(x, wide_type(x)); }
array row_mean(const array& a) { return mean(a, {-1}, true); }
// The sum over all axes but the last.
array over_rows(const array& a) {
  Axes axes;
  for (int i = 0; i + 1 < a.ndim(); ++i) axes.push_back(i);
  return axes.empty() ? a : sum(a, axes, false);
}

// ---- shapes, checks

// Rows, and parameters as long as one, of the dtype that sums are made in.
void check_rows(const char* op, const Arrays& in, size_t count, size_t parameters) {
  check_inputs(op, in, count);
  bool fits = in[0].ndim() > 0 && is_floating(in[0].dtype());
  for (size_t i = 1; fits && i <= parameters; ++i)
    fits = in[i].shape() == Shape{in[0].shape().back()} && in[i].dtype() == wide_type(in[0]);
  if (!fits) fail(Kind::value, op, "does not fit: got ", in[0].dtype(), in[0].shape());
}
template <bool centred>
Specs infer_norm(const NormOf& a, const Arrays& in) {
  const size_t parameters = size_t(a.weight) + size_t(a.bias);
  check_rows(norm_op<centred>().name, in, 1 + parameters, parameters);
  if (a.type != in[0].dtype() && a.type != wide_type(in[0]))
    fail(Kind::value, norm_op<centred>().name, "does not fit: got ", in[0].dtype(), " to ", a.type);
  return {Spec{in[0].shape(), a.type}};
}
template <bool centred>
Specs infer_slope(const NormSlope& a, const Arrays& in) {
  check_rows(slope_op<centred>().name, in, 2 + size_t(a.weight), a.weight);
  const array& ct = in.back();
  if (ct.shape() != in[0].shape() ||
      (ct.dtype() != in[0].dtype() && ct.dtype() != wide_type(in[0])))
    fail(Kind::value, slope_op<centred>().name, "does not fit: got ", ct.dtype(), ct.shape());
  Specs out{in[0].slot().spec};
  for (int i = 0; i < a.dweight + a.dbias; ++i)
    out.push_back({{in[0].shape().back()}, wide_type(in[0])});
  return out;
}

// ---- derivatives

// y of x, in its compute dtype, without parameters.
template <bool centred>
array normal(const array& x, const Scalar& eps) {
  return record(norm_op<centred>(), attrs(NormOf{eps, wide_type(x), false, false}), {x});
}
// N(g) at x, both of the compute dtype.
template <bool centred>
array slope(const array& x, const array& g, const Scalar& eps) {
  return record(slope_op<centred>(), attrs(NormSlope{eps, false, false, false}), {x, g});
}
template <bool centred>
array third(const array& x, const array& g, const array& v, const Scalar& eps) {
  const array y = normal<centred>(x, eps),
              square = centred ? var(x, {-1}, true) : row_mean(multiply(x, x)),
              r = rsqrt(add(square, eps.real()));
  const array ng = slope<centred>(x, g, eps), nv = slope<centred>(x, v, eps);
  const array all = add(multiply(y, row_mean(multiply(v, ng))),
                        add(multiply(row_mean(multiply(g, y)), nv),
                            multiply(row_mean(multiply(v, y)), ng)));
  return negative(multiply(r, all));
}

template <bool centred>
Arrays vjp_norm(const NormOf& a, const Node& node, const Arrays& cts, const Needs& needs) {
  Arrays in{node.inputs[0]}, out;
  if (a.weight) in.push_back(node.inputs[1]);
  in.push_back(cts[0]);
  const bool dweight = a.weight && needs[1], dbias = a.bias && needs[needs.size() - 1];
  Arrays all;
  if (needs[0] || dweight) {
    all = record_all(slope_op<centred>(), attrs(NormSlope{a.eps, a.weight, dweight, dbias}),
                     std::move(in), node.stream);
  } else {
    all = {array()};
    if (dbias) all.push_back(over_rows(astype(cts[0], wide_type(node.inputs[0]))));
  }
  out.push_back(all[0]);
  if (a.weight) out.push_back(dweight ? all[1] : array());
  if (a.bias) out.push_back(dbias ? all[all.size() - 1] : array());
  return out;
}
template <bool centred>
Arrays jvp_norm(const NormOf& a, const Node& node, const Arrays& t) {
  const array x = wide(node.inputs[0]);
  array out;
  if (t[0]) {
    out = slope<centred>(x, astype(t[0], x.dtype()), a.eps);
    if (a.weight) out = multiply(out, node.inputs[1]);
  }
  if (a.weight && t[1]) out = sum_of(out, multiply(normal<centred>(x, a.eps), t[1]));
  if (a.bias && t[t.size() - 1]) {
    const array& u = t[t.size() - 1];
    out = out ? add(out, u) : broadcast_to(u, x.shape());
  }
  return {out ? astype(out, a.type) : out};
}

template <bool centred>
Arrays vjp_slope(const NormSlope& a, const Node& node, const Arrays& cts, const Needs& needs) {
  const Dtype type = wide_type(node.inputs[0]);
  const array x = wide(node.inputs[0]), ct = astype(node.inputs.back(), type);
  const array weight = a.weight ? node.inputs[1] : array();
  auto weighted = [&](const array& g) { return weight ? multiply(g, weight) : g; };
  array dx, dweight, dct;
  if (cts[0]) {
    const array v = astype(cts[0], type), nv = slope<centred>(x, v, a.eps);
    if (needs[0]) dx = third<centred>(x, weighted(ct), v, a.eps);
    if (weight && needs[1]) dweight = over_rows(multiply(ct, nv));
    dct = weighted(nv);
  }
  if (a.dweight && cts[1]) {
    dct = sum_of(dct, multiply(normal<centred>(x, a.eps), cts[1]));
    if (needs[0]) dx = sum_of(dx, slope<centred>(x, multiply(ct, cts[1]), a.eps));
  }
  if (a.dbias && cts[1 + a.dweight])
    dct = sum_of(dct, broadcast_to(cts[1 + a.dweight], x.shape()));
  Arrays out{dx ? astype(dx, node.inputs[0].dtype()) : dx};
  if (a.weight) out.push_back(dweight);
  out.push_back(dct ? astype(dct, node.inputs.back().dtype()) : dct);
  return out;
}
template <bool centred>
Arrays jvp_slope(const NormSlope& a, const Node& node, const Arrays& t) {
  const Dtype type = wide_type(node.inputs[0]);
  const array x = wide(node.inputs[0]), ct = astype(node.inputs.back(), type);
  const array weight = a.weight ? node.inputs[1] : array();
  const array tx = t[0] ? astype(t[0], type) : array(), tw = a.weight ? t[1] : array(),
              tct = t[t.size() - 1] ? astype(t[t.size() - 1], type) : array();
  auto weighted = [&](const array& g) { return weight ? multiply(g, weight) : g; };
  array dx, g;
  if (tx) dx = third<centred>(x, weighted(ct), tx, a.eps);
  if (tct) g = weighted(tct);
  if (tw) g = sum_of(g, multiply(ct, tw));
  if (g) dx = sum_of(dx, slope<centred>(x, g, a.eps));
  Arrays out{dx ? astype(dx, node.inputs[0].dtype()) : dx};
  if (a.dweight) {
    array dw;
    if (tx) dw = over_rows(multiply(ct, slope<centred>(x, tx, a.eps)));
    if (tct) dw = sum_of(dw, over_rows(multiply(tct, normal<centred>(x, a.eps))));
    out.push_back(dw);
  }
  if (a.dbias) out.push_back(tct ? over_rows(tct) : array());
  return out;
}

// ---- batching: rows are rows; parameters of lanes are applied by ordinary ops

array with_axes(const array& parameter, int axis, int ndim) {  // (lanes, 1 ..., n)
  const array p = batch_first(parameter, axis);
  Shape shape;
  shape.resize(size_t(ndim), 1);
  shape[0] = p.shape()[0];
  shape.back() = p.shape()[1];
  return reshape(p, shape);
}
template <bool centred>
Arrays vmap_norm(const NormOf& a, const Node& node, const Arrays& in, const Axes& axes,
                 Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  out_axes = {0};
  Arrays args{lane_first(in[0], axes[0], lanes)};
  bool mapped = false;
  for (size_t i = 1; i < in.size(); ++i) {
    mapped |= axes[i] >= 0;
    args.push_back(in[i]);
  }
  if (!mapped) return {record(norm_op<centred>(), node.attributes, std::move(args), node.stream)};
  array y = normal<centred>(args[0], a.eps);
  auto parameter = [&](size_t i) {
    return axes[i] >= 0 ? with_axes(in[i], axes[i], y.ndim()) : in[i];
  };
  if (a.weight) y = multiply(y, parameter(1));
  if (a.bias) y = add(y, parameter(in.size() - 1));
  return {astype(y, a.type)};
}
template <bool centred>
Arrays vmap_slope(const NormSlope& a, const Node&, const Arrays& in, const Axes& axes,
                  Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  const Dtype type = wide_type(in[0]);
  const array given = lane_first(in[0], axes[0], lanes), x = wide(given),
              ct = astype(lane_first(in.back(), axes.back(), lanes), type);
  array g = ct;
  if (a.weight) g = multiply(g, axes[1] >= 0 ? with_axes(in[1], axes[1], x.ndim()) : in[1]);
  Arrays out{astype(slope<centred>(x, g, a.eps), given.dtype())};
  Axes rows;
  for (int i = 1; i + 1 < x.ndim(); ++i) rows.push_back(i);
  auto total = [&](const array& b) { return rows.empty() ? b : sum(b, rows, false); };
  if (a.dweight) out.push_back(total(multiply(ct, normal<centred>(x, a.eps))));
  if (a.dbias) out.push_back(total(ct));
  for (size_t i = 0; i < out.size(); ++i) out_axes.push_back(0);
  return out;
}

template <bool centred>
consteval Op make_norm(const char* name) {
  return op<NormOf>(name, "Rows divided by their deviation, times a weight, plus a bias.",
                    {.infer = typed<infer_norm<centred>>,
                     .vjp = typed<vjp_norm<centred>>,
                     .jvp = typed<jvp_norm<centred>>,
                     .vmap = typed<vmap_norm<centred>>});
}
template <bool centred>
consteval Op make_slope(const char* name) {
  return op<NormSlope>(name, "The derivative of a normalisation, applied to a cotangent.",
                       {.infer = typed<infer_slope<centred>>,
                        .vjp = typed<vjp_slope<centred>>,
                        .jvp = typed<jvp_slope<centred>>,
                        .vmap = typed<vmap_slope<centred>>});
}

}  // namespace

const Op layer_norm_op = make_norm<true>("layer_norm"), rms_norm_op = make_norm<false>("rms_norm"),
         layer_norm_slope_op = make_slope<true>("layer_norm_slope"),
         rms_norm_slope_op = make_slope<false>("rms_norm_slope");

OpList fused_ops() {
  return {&layer_norm_op, &rms_norm_op, &layer_norm_slope_op, &rms_norm_slope_op};
}

namespace fast {
namespace {

Dtype checked(const array& x, const array& weight, const array& bias, const char* op) {
  if (x.ndim() == 0) fail(Kind::value, op, "0-d array: got shape (), expected one axis or more");
  Dtype t = x.dtype();
  for (const array* p : {&weight, &bias})
    if (*p) {
      if (p->shape() != Shape{x.shape(-1)})
        fail(Kind::value, op, "parameter does not fit: got shape ", p->shape(), ", expected (",
             x.shape(-1), ",)");
      t = promote(t, p->dtype());
    }
  if (!is_floating(t))
    fail(Kind::value, op, "dtype not supported: got ", t, ", expected a floating dtype");
  return t;
}

template <bool centred>
array norm(const array& given, const array& weight, const array& bias, double eps, Stream s,
           const char* op) {
  const Dtype t = checked(given, weight, bias, op);
  const array x = is_floating(given.dtype()) ? given : astype(given, t, s);
  const Dtype own = compute_type(x.dtype()),
              to = compute_type(t);
  if (own == to) {
    Arrays in{x};
    for (const array* p : {&weight, &bias})
      if (*p) in.push_back(astype(*p, own, s));
    return record(norm_op<centred>(), attrs(NormOf{eps, t, bool(weight), bool(bias)}),
                  std::move(in), s);
  }
  // Parameters of a wider dtype: what is normal is computed in that of x.
  array y =
      astype(record(norm_op<centred>(), attrs(NormOf{eps, own, false, false}), {x}, s), to, s);
  if (weight) y = multiply(y, astype(weight, to, s), s);
  if (bias) y = add(y, astype(bias, to, s), s);
  return astype(y, t, s);
}

}  // namespace

array layer_norm(const array& x, const array& weight, const array& bias, double eps, Stream s) {
  return norm<true>(x, weight, bias, eps, s, "layer_norm");
}
array rms_norm(const array& x, const array& weight, double eps, Stream s) {
  return norm<false>(x, weight, {}, eps, s, "rms_norm");
}

}  // namespace fast
}  // namespace lazulite
