// Attention: one op forward, one backward. Second derivatives, tangents and gradients of masks are
// made of ordinary ops, with all scores in memory.
//
// Of a head, with s = scale q k^T + mask, p = softmax(s), out = p v and the cotangent g: dp = g
// v^T, mean = sum(p dp) of each row, ds = p (dp - mean), dq = scale ds k, dk = scale ds^T q, dv =
// p^T g. A sink is one more column of s, whose value is 0.
#include <limits>

#include "ops/attention/ops.h"
#include "ops/create/create.h"
#include "ops/derivatives.h"
#include "ops/elementwise/elementwise.h"
#include "ops/lanes.h"
#include "ops/matmul/matmul.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite {
namespace {

size_t places_of(const Attend& a) { return 3 + size_t(a.mask) + size_t(a.sinks); }

// ---- shapes

void check(const char* op, const Attend& a, const Arrays& in) {
  const Shape &q = in[0].shape(), &k = in[1].shape(), &v = in[2].shape();
  const Dtype t = in[0].dtype();
  bool fits = q.size() == 4 && k.size() == 4 && v.size() == 4 && is_floating(t) &&
              in[1].dtype() == t && in[2].dtype() == t && k[0] == q[0] && v[0] == q[0] &&
              k[1] == v[1] && (k[1] ? q[1] % k[1] == 0 : q[1] == 0) && k[3] == q[3] &&
              k[2] == v[2] && a.window >= 0;
  if (fits && a.mask) {
    const Shape &m = in[3].shape(), full{q[0], q[1], q[2], k[2]};
    fits = m.size() == 4 && (in[3].dtype() == t || in[3].dtype() == bool_);
    for (size_t i = 0; fits && i < 4; ++i) fits = m[i] == 1 || m[i] == full[i];
  }
  if (fits && a.sinks) {
    const array& s = in[3 + size_t(a.mask)];
    fits = s.ndim() == 2 && (s.shape(0) == 1 || s.shape(0) == q[0]) && s.shape(1) == q[1] &&
           s.dtype() == compute_type(t);
  }
  if (!fits) fail(Kind::value, op, "shapes do not fit: got ", q, ", ", k, " and ", v);
}

Specs infer_attention(const Attend& a, const Arrays& in) {
  check_inputs("attention", in, places_of(a));
  check("attention", a, in);
  const Shape& q = in[0].shape();
  Specs out{Spec{{q[0], q[1], q[2], in[2].shape(3)}, in[0].dtype()}};
  if (a.keeps) out.push_back({{q[0], q[1], q[2]}, compute_type(in[0].dtype())});
  return out;
}
Specs infer_slope(const Attend& a, const Arrays& in) {
  const size_t n = places_of(a);
  check_inputs("attention_slope", in, n + 3);
  check("attention_slope", a, in);
  const Shape &q = in[0].shape(), out{q[0], q[1], q[2], in[2].shape(3)};
  const Dtype t = in[0].dtype(), sums = compute_type(t);
  if (in[n].shape() != out || in[n + 2].shape() != out || in[n].dtype() != t ||
      in[n + 2].dtype() != t || in[n + 1].shape() != Shape{q[0], q[1], q[2]} ||
      in[n + 1].dtype() != sums)
    fail(Kind::value, "attention_slope", "shapes do not fit: got ", in[n].shape(), ", ",
         in[n + 1].shape(), " and ", in[n + 2].shape());
  Specs specs{in[0].slot().spec, in[1].slot().spec, in[2].slot().spec};
  if (a.sinks) specs.push_back({{q[0], q[1]}, sums});
  return specs;
}

size_t keep(AttrsRef& attributes, const Arrays&) {
  Attend a = value_of<Attend>(*attributes);
  if (a.keeps) return SIZE_MAX;
  a.keeps = true;
  attributes = attrs(a);
  return 1;
}

// ---- with all scores in memory

// Operands of one call, for each head by itself, of the dtype of sums.
class Whole {
 public:
  Whole(const Attend& a, const Arrays& in) : a_(a), shape_(in[0].shape()), kv_(in[1].shape()) {
    type = compute_type(in[0].dtype());
    q = astype(in[0], type);
    k = spread(in[1]);
    v = spread(in[2]);
    scale = a.scale.real();
    array s = times_turned(q, k) * scale;
    const int64_t shift = std::max<int64_t>(0, kv_[2] - shape_[2]);
    constexpr int64_t far = int64_t(1) << 40;
    const int64_t behind = a.window ? a.window - 1 : far, ahead = a.causal ? 0 : behind;
    array seen;
    if (a.window || a.causal) {
      const array apart = subtract(arange(int64_t(0), kv_[2], int64_t(1), int64),
                                   reshape(arange(shift, shift + shape_[2], int64_t(1), int64),
                                           {shape_[2], 1}));
      seen = logical_and(greater_equal(apart, -behind), less_equal(apart, ahead));
    }
    const array unseen = full({}, -std::numeric_limits<double>::infinity(), type);
    if (a.mask) s = in[3].dtype() == bool_ ? where(in[3], s, unseen) : s + astype(in[3], type);
    if (seen) s = where(seen, s, unseen);
    s = with_sinks(s, a.sinks ? in[3 + size_t(a.mask)] : array());
    p = where(any(not_equal(s, unseen), {-1}, true), softmax(s, {-1}), zeros({}, type));
  }

  // Keys and values as often as there are heads, and back, added up.
  array spread(const array& x) const {
    const array wide = astype(x, type);
    if (shape_[1] == kv_[1]) return wide;
    const Shape &s = x.shape(), each{s[0], s[1], 1, s[2], s[3]},
                all{s[0], s[1], group(), s[2], s[3]}, out{s[0], shape_[1], s[2], s[3]};
    return reshape(broadcast_to(reshape(wide, each), all), out);
  }
  array gathered(const array& x) const {
    if (shape_[1] == kv_[1]) return x;
    const Shape& s = x.shape();
    return sum(reshape(x, {s[0], kv_[1], group(), s[2], s[3]}), {2}, false);
  }
  // The columns of the keys with that of the sinks in front, of (batch, heads) or nothing.
  array with_sinks(const array& s, const array& sinks) const {
    if (!a_.sinks) return s;
    const Shape column{shape_[0], shape_[1], shape_[2], 1};
    if (!sinks) return concatenate({zeros(column, type), s}, 3);
    return concatenate(
        {broadcast_to(reshape(sinks, {sinks.shape(0), sinks.shape(1), 1, 1}), column), s}, 3);
  }
  array of_keys(const array& s) const {
    return a_.sinks ? slice_axis(s, 3, 1, s.shape(3)) : s;
  }
  array of_sinks(const array& s) const {  // (batch, heads)
    return sum(slice_axis(s, 3, 0, 1), {2, 3}, false);
  }

  static array turned(const array& x) { return transpose(x, {0, 1, 3, 2}); }
  static array times_turned(const array& x, const array& y) { return matmul(x, turned(y)); }
  static array turned_times(const array& x, const array& y) { return matmul(turned(x), y); }
  static array along(const array& x) { return sum(x, {-1}, true); }

  // The tangent of the scores, with the sinks' column; tangents of inputs, null where zero.
  array scores_along(const Arrays& t) const {
    array s;
    auto plus = [&](const array& x) { s = s ? s + x : x; };
    if (t[0]) plus(times_turned(astype(t[0], type), k) * scale);
    if (t[1]) plus(times_turned(q, spread(t[1])) * scale);
    if (a_.mask && t[3] && is_floating(t[3].dtype())) plus(astype(t[3], type));
    const array sinks = a_.sinks ? t[3 + size_t(a_.mask)] : array();
    const Shape all{shape_[0], shape_[1], shape_[2], kv_[2]};
    if (!s && !sinks) return s;
    s = s ? broadcast_to(s, all) : zeros(all, type);
    return with_sinks(s, sinks);
  }
  // What weights get where scores get s.
  array weights_along(const array& s) const { return p * (s - along(p * s)); }

  // The gradient of a mask, or of sinks, that were repeated.
  static array folded(const array& x, const Shape& to, Dtype t) {
    return astype(sum_to(x, to), t);
  }

  Dtype type;
  double scale;
  array q, k, v, p;

 private:
  int64_t group() const { return shape_[1] / kv_[1]; }
  const Attend& a_;
  const Shape shape_, kv_;
};

// Gradients by q, k, mask and sinks from that of the scores.
void slopes_of_scores(const Attend& a, const Whole& w, const Arrays& in, const array& s,
                      const Needs& needs, Arrays& out) {
  auto plus = [&](size_t i, const array& x) {
    if (needs[i]) out[i] = out[i] ? out[i] + x : x;
  };
  const array keys = w.of_keys(s);
  plus(0, matmul(keys, w.k) * w.scale);
  plus(1, w.gathered(Whole::turned_times(keys, w.q) * w.scale));
  if (a.mask && is_floating(in[3].dtype()) && needs[3])
    plus(3, Whole::folded(keys, in[3].shape(), w.type));
  const size_t sinks = 3 + size_t(a.mask);
  if (a.sinks && needs[sinks])
    plus(sinks, Whole::folded(w.of_sinks(s), in[sinks].shape(), w.type));
}

// ---- derivatives

Arrays vjp_attention(const Attend& a, const Node& node, const Arrays& cts, const Needs& needs) {
  Arrays out;
  out.resize(places_of(a));
  if (!cts[0]) return out;
  Arrays in = node.inputs;
  const bool mask = a.mask && is_floating(in[3].dtype()) && needs[3];
  if (mask) {
    const Whole w(a, in);
    const array g = astype(cts[0], w.type),
                dp = w.with_sinks(Whole::times_turned(g, w.v), array()),
                ds = w.weights_along(dp);
    out[3] = Whole::folded(w.of_keys(ds), in[3].shape(), in[3].dtype());
  }
  const size_t sinks = 3 + size_t(a.mask);
  if (!needs[0] && !needs[1] && !needs[2] && !(a.sinks && needs[sinks])) return out;
  if (a.keeps) {
    in.push_back(recorded(node, 0));
    in.push_back(recorded(node, 1));
  } else {
    Attend kept = a;
    kept.keeps = true;
    const Arrays made = record_all(attention_op, attrs(kept), node.inputs, node.stream);
    in.push_back(made[0]);
    in.push_back(made[1]);
  }
  in.push_back(cts[0]);
  Attend back = a;
  back.keeps = false;
  const Arrays slopes = record_all(attention_slope_op, attrs(back), std::move(in), node.stream);
  for (size_t i = 0; i < 3; ++i) out[i] = slopes[i];
  if (a.sinks)
    out[sinks] = Whole::folded(slopes[3], node.inputs[sinks].shape(), slopes[3].dtype());
  return out;
}

Arrays jvp_attention(const Attend& a, const Node& node, const Arrays& t) {
  const Whole w(a, node.inputs);
  array out;
  if (const array s = w.scores_along(t)) out = matmul(w.of_keys(w.weights_along(s)), w.v);
  if (t[2]) out = sum_of(out, matmul(w.of_keys(w.p), w.spread(t[2])));
  Arrays all{out ? astype(out, node.out[0].spec.type) : out};
  if (a.keeps) all.push_back(array());
  return all;
}

Arrays vjp_slope(const Attend& a, const Node& node, const Arrays& cts, const Needs& needs) {
  const size_t n = places_of(a);
  Arrays out;
  out.resize(n + 3);
  const Whole w(a, node.inputs);
  auto wide = [&](const array& x) { return x ? astype(x, w.type) : x; };
  const array g = wide(node.inputs[n + 2]), dp = w.with_sinks(Whole::times_turned(g, w.v), array()),
              mean = Whole::along(w.p * dp), ds = w.of_keys(w.p * (dp - mean));
  const array of_q = wide(cts[0]), of_k = cts[1] ? w.spread(cts[1]) : array(),
              of_v = cts[2] ? w.spread(cts[2]) : array();
  auto plus = [&](size_t i, const array& x) {
    if (needs[i]) out[i] = out[i] ? out[i] + x : x;
  };
  array slope;  // of ds, then of p
  if (of_q) {
    slope = Whole::times_turned(of_q, w.k) * w.scale;
    plus(1, w.gathered(Whole::turned_times(ds, of_q) * w.scale));
  }
  if (of_k) {
    const array more = Whole::times_turned(w.q, of_k) * w.scale;
    slope = slope ? slope + more : more;
    plus(0, matmul(ds, of_k) * w.scale);
  }
  const array sinks = a.sinks ? wide(cts[3]) : array();
  if (!slope && (sinks || of_v)) slope = zeros_like(ds);
  if (!slope) return out;
  const array of_ds = w.with_sinks(slope, sinks), gamma = Whole::along(of_ds * w.p);
  const array of_dp = w.of_keys(w.p * (of_ds - gamma));
  array of_p = of_ds * (dp - mean) - gamma * dp;
  if (of_v) {
    of_p = of_p + w.with_sinks(Whole::times_turned(g, of_v), array());
    plus(n + 2, matmul(w.of_keys(w.p), of_v));
  }
  plus(n + 2, matmul(of_dp, w.v));
  plus(2, w.gathered(Whole::turned_times(of_dp, g)));
  slopes_of_scores(a, w, node.inputs, w.weights_along(of_p), needs, out);
  for (size_t i = 0; i < out.size(); ++i)
    if (out[i]) out[i] = astype(out[i], node.inputs[i].dtype());
  return out;
}

Arrays jvp_slope(const Attend& a, const Node& node, const Arrays& t) {
  const size_t n = places_of(a);
  const Whole w(a, node.inputs);
  const array g = astype(node.inputs[n + 2], w.type),
              dp = w.with_sinks(Whole::times_turned(g, w.v), array()),
              mean = Whole::along(w.p * dp), ds = w.p * (dp - mean);
  array s = w.scores_along(t);
  const array tp = s ? w.weights_along(s) : zeros_like(w.p);
  array tdp = zeros_like(w.of_keys(dp));
  const array tg = t[n + 2] ? astype(t[n + 2], w.type) : zeros_like(g);
  if (t[n + 2]) tdp = tdp + Whole::times_turned(tg, w.v);
  if (t[2]) tdp = tdp + Whole::times_turned(g, w.spread(t[2]));
  tdp = w.with_sinks(tdp, array());
  const array tds = tp * (dp - mean) + w.p * (tdp - Whole::along(tp * dp + w.p * tdp)),
              keys = w.of_keys(tds), here = w.of_keys(ds);
  array dq = matmul(keys, w.k), dk = Whole::turned_times(keys, w.q);
  if (t[1]) dq = dq + matmul(here, w.spread(t[1]));
  if (t[0]) dk = dk + Whole::turned_times(here, astype(t[0], w.type));
  const array dv = Whole::turned_times(w.of_keys(tp), g) + Whole::turned_times(w.of_keys(w.p), tg);
  auto narrow = [&](const array& x, size_t i) { return astype(x, node.out[i].spec.type); };
  Arrays out{narrow(dq * w.scale, 0), narrow(w.gathered(dk * w.scale), 1),
             narrow(w.gathered(dv), 2)};
  if (a.sinks) out.push_back(w.of_sinks(tds));
  return out;
}

// ---- batching: lanes are a part of the batch

Arrays vmap_both(const Op& op, const Attend& a, const Node& node, const Arrays& in,
                 const Axes& axes, Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes), batch = node.inputs[0].shape(0);
  Arrays args;
  for (size_t i = 0; i < in.size(); ++i) {
    const bool extra = i >= 3 && i < places_of(a);  // of one for the whole batch, or for each
    const Shape& own = node.inputs[i].shape();
    if (extra && axes[i] < 0 && own[0] == 1) {
      args.push_back(in[i]);
      continue;
    }
    array all = lane_first(in[i], axes[i], lanes);
    Shape shape{lanes};
    shape.append(own.begin(), own.end());
    if (extra && own[0] == 1 && batch != 1) {
      shape[1] = batch;
      all = broadcast_to(all, shape);
    }
    Shape folded{shape[0] * shape[1]};
    folded.append(shape.begin() + 2, shape.end());
    args.push_back(reshape(all, folded, node.stream));
  }
  const Arrays made = record_all(op, node.attributes, std::move(args), node.stream);
  Arrays out;
  for (size_t i = 0; i < node.out.size(); ++i) {
    out_axes.push_back(0);
    out.push_back(reshape(made[i], with_front(lanes, node.out[i].spec.shape), node.stream));
  }
  return out;
}
Arrays vmap_attention(const Attend& a, const Node& node, const Arrays& in, const Axes& axes,
                      Axes& out_axes) {
  return vmap_both(attention_op, a, node, in, axes, out_axes);
}
Arrays vmap_slope(const Attend& a, const Node& node, const Arrays& in, const Axes& axes,
                  Axes& out_axes) {
  return vmap_both(attention_slope_op, a, node, in, axes, out_axes);
}

// Scores are sums of products, and weights follow from their differences: what is added up then has
// no sign, or cancels, in other ways than what absolute values give.
double ulp(const Node&) { return std::numeric_limits<double>::infinity(); }
double flops(const Node& node, double products) {
  const Shape& q = node.inputs[0].shape();
  return products * double(q[0] * q[1]) * double(q[2]) * double(node.inputs[1].shape(2)) *
         double(q[3] + node.inputs[2].shape(3));
}
double flops_attention(const Node& node) { return flops(node, 2); }
double flops_slope(const Node& node) { return flops(node, 5); }

}  // namespace

const Op attention_op = op<Attend>("attention", "Values weighted by how queries meet keys.",
                                   {.infer = typed<infer_attention>,
                                    .vjp = typed<vjp_attention>,
                                    .jvp = typed<jvp_attention>,
                                    .keep = keep,
                                    .vmap = typed<vmap_attention>,
                                    .ulp = ulp,
                                    .flops = flops_attention});
const Op attention_slope_op =
    op<Attend>("attention_slope", "The gradients of attention.",
               {.infer = typed<infer_slope>,
                .vjp = typed<vjp_slope>,
                .jvp = typed<jvp_slope>,
                .vmap = typed<vmap_slope>,
                .ulp = ulp,
                .flops = flops_slope});

OpList attention_ops() { return {&attention_op, &attention_slope_op, &rope_op}; }

namespace fast {

array scaled_dot_product_attention(const array& q, const array& k, const array& v, double scale,
                                   const std::optional<AttentionMask>& mask, const array& sinks,
                                   const std::optional<int>& window, Stream s) {
  const char* op = "scaled_dot_product_attention";
  const char* names[] = {"q", "k", "v"};
  const array* all[] = {&q, &k, &v};
  for (int i = 0; i < 3; ++i)
    if (all[i]->ndim() != 4)
      fail(Kind::value, op, names[i], ": got shape ", all[i]->shape(),
           ", expected (batch, heads, length, depth)");
  const Dtype t = promote(promote(q.dtype(), k.dtype()), v.dtype());
  if (!is_floating(t)) fail(Kind::value, op, "got ", t, ", expected a floating dtype");
  const Shape &a = q.shape(), &b = k.shape(), &c = v.shape();
  if (a[0] != b[0] || a[0] != c[0])
    fail(Kind::value, op, "batches differ: got ", a[0], ", ", b[0], " and ", c[0]);
  if (a[3] != b[3])
    fail(Kind::value, op, "q and k differ in depth: got ", a[3], " and ", b[3]);
  if (b[1] != c[1] || b[2] != c[2])
    fail(Kind::value, op, "k and v differ: got shapes ", b, " and ", c);
  if (b[1] ? a[1] % b[1] != 0 : a[1] != 0)
    fail(Kind::value, op, "heads: got ", a[1], " of q and ", b[1],
         " of k, expected a multiple of these");
  Attend attend{scale, false, 0, false, false, false};
  Arrays in{astype(q, t, s), astype(k, t, s), astype(v, t, s)};
  if (window) {
    if (*window < 1) fail(Kind::value, op, "window: got ", *window, ", expected 1 or more");
    attend.window = *window;
  }
  if (mask && !mask->values) {
    if (mask->name != "causal")
      fail(Kind::value, op, "mask: got '", mask->name, "', expected 'causal' or an array");
    attend.causal = true;
  } else if (mask) {
    const array& m = mask->values;
    const Shape seen{a[0], a[1], a[2], b[2]};
    if (m.ndim() > 4)
      fail(Kind::value, op, "mask: got ", m.ndim(), " axes, expected 4 or fewer");
    Shape shape{1, 1, 1, 1};
    for (int i = 0; i < m.ndim(); ++i) {
      const size_t at = size_t(4 - m.ndim() + i);
      shape[at] = m.shape()[size_t(i)];
      if (shape[at] != 1 && shape[at] != seen[at])
        fail(Kind::value, op, "mask: got shape ", m.shape(), ", expected one that broadcasts to ",
             seen);
    }
    const bool added = m.dtype() != bool_;
    if (added && promote(m.dtype(), t) != t)
      fail(Kind::value, op, "mask: got ", m.dtype(), ", expected bool or what promotes to ", t);
    attend.mask = true;
    in.push_back(reshape(added ? astype(m, t, s) : m, shape, s));
  }
  if (sinks) {
    if (sinks.shape() != Shape{a[1]})
      fail(Kind::value, op, "sinks: got shape ", sinks.shape(), ", expected one for each of ", a[1],
           " heads");
    attend.sinks = true;
    in.push_back(reshape(astype(sinks, compute_type(t), s), {1, a[1]}, s));
  }
  return record_all(attention_op, attrs(attend), std::move(in), s)[0];
}

}  // namespace fast
}  // namespace lazulite
