// Reductions: what they infer, their derivatives and batching, and the functions made of them.
#include <algorithm>

#include "ops/create/create.h"
#include "ops/derivatives.h"
#include "ops/elementwise/elementwise.h"
#include "ops/reduce/ops.h"
#include "ops/shape/shape.h"

namespace lazulite {
namespace {

// ---- the reductions of monoids
// -------------------------------------------------------------------

Dtype total_type(Dtype t) {
  if (is_bool(t) || (is_signed_int(t) && size_of(t) < 4)) return int32;
  return is_unsigned(t) && size_of(t) < 4 ? uint32 : t;
}
Dtype same_type(Dtype t) { return t; }
Dtype bool_type(Dtype) { return bool_; }
Dtype count_type(Dtype) { return int32; }

Shape without(const Shape& shape, const Axes& axes, bool keepdims) {
  Shape out;
  for (int i = 0; i < int(shape.size()); ++i)
    if (!holds(axes, i)) out.push_back(shape[i]);
    else if (keepdims) out.push_back(1);
  return out;
}

// Axes in order, within the array; `nonempty`: of nothing there is no result.
void check_axes(const char* op, const Axes& axes, const Arrays& in, bool nonempty) {
  check_inputs(op, in, 1);
  for (size_t i = 0; i < axes.size(); ++i)
    if (axes[i] < 0 || axes[i] >= in[0].ndim() || (i && axes[i] <= axes[i - 1]))
      fail(Kind::value, op, "not axes of the array: got ", axes, " for shape ", in[0].shape());
  if (nonempty) check_not_empty(op, in[0], axes);
}
template <const Reduction& reduction>
Specs infer_reduction(const Reduce& r, const Arrays& in) {
  check_axes(reduction.name, r.axes, in, identities[int(reduction.monoid)] < 0);
  return {Spec{without(in[0].shape(), r.axes, r.keepdims), reduction.result(in[0].dtype())}};
}

// ---- derivatives and batching
// --------------------------------------------------------------------

template <class T>
Arrays vmap_over(const T& at, const Node& node, const Arrays& in, const Axes& batch,
                 Axes& out_axes) {
  T shifted = at;
  for (int& axis : shifted.axes) ++axis;
  out_axes = {0};
  return record_all(*node.op, attrs(std::move(shifted)), {batch_first(in[0], batch[0])},
                    node.stream);
}

// A result, or its cotangent, with the reduced axes as ones.
template <class T = Reduce>
array put_back(const Node& node, const array& reduced) {
  const T& r = node.get<T>();
  return r.keepdims || r.axes.empty() ? reduced : expand_dims(reduced, r.axes);
}
array sum_like(const Node& node, const array& a) {
  return sum(a, node.get<Reduce>().axes, node.get<Reduce>().keepdims);
}

Arrays vjp_sum(const Node& node, const Arrays& cts, const Needs&) {
  const array& x = node.inputs[0];
  return {astype(broadcast_to(put_back(node, cts[0]), x.shape()), x.dtype())};
}

// d prod / dx_i: the product of the others, also where one or more are zero.
array others(const Node& node) {
  const array x = astype(node.inputs[0], node.out[0].spec.type);
  const Axes& axes = node.get<Reduce>().axes;
  const array zero = equal(x, 0), filled = where(zero, 1, x);
  const array zeros = sum(zero, axes, true), rest = prod(filled, axes, true);
  const array without = is_integral(x.dtype()) ? floor_divide(rest, filled) : divide(rest, filled);
  return where(equal(zeros, 0), without, where(logical_and(equal(zeros, 1), zero), rest, 0));
}
Arrays vjp_prod(const Node& node, const Arrays& cts, const Needs&) {
  const array& x = node.inputs[0];
  return {astype(multiply(put_back(node, cts[0]), conjugate(others(node))), x.dtype())};
}
Arrays jvp_prod(const Node& node, const Arrays& t) {
  return {sum_like(node, multiply(t[0], others(node)))};
}

// Shared equally among ties.
array share(const Node& node, uint32_t output) {
  const array x = astype(node.inputs[0], node.out[output].spec.type);
  const array hit =
      astype(equal(x, put_back(node, recorded(node, output))), compute_type(x.dtype()));
  array count = sum(hit, node.get<Reduce>().axes, true);
  // Where all are nan, an extreme of numbers hits none and has no slope; another one's is nan.
  const auto* reduction = static_cast<const Reduction*>(node.op->family);
  if (reduction && (reduction->monoid == engine::Monoid::max_number ||
                    reduction->monoid == engine::Monoid::min_number))
    count = maximum(count, 1);
  return astype(divide(hit, count), x.dtype());
}
// Of integers: whole shares.
struct Hits {
  array hit, count;
};
Hits hits_of(const Node& node, uint32_t output) {
  const array& x = node.inputs[0];
  const array hit = astype(equal(x, put_back(node, recorded(node, output))),
                           x.dtype() == uint64 ? uint64 : int64);
  return {hit, sum(hit, node.get<Reduce>().axes, true)};
}
// ... and the first of the ties has what is left: all shares together are the cotangent.
array whole_shares(const Node& node, const array& cotangent, const Hits& at) {
  const array& x = node.inputs[0];
  const Axes& axes = node.get<Reduce>().axes;
  Shape shape(x.ndim(), 1);
  for (int axis : axes) shape[axis] = x.shape()[axis];
  const int64_t n = size_of(shape);
  const array place = where(equal(at.hit, 0), n, reshape(arange(0, n, 1, int64), shape)),
              all = astype(put_back(node, cotangent), at.hit.dtype()),
              each = floor_divide(all, at.count),
              left = subtract(all, multiply(each, at.count));
  return add(multiply(each, at.hit), where(equal(place, min(place, axes, true)), left, 0));
}
Arrays vjp_extreme(const Node& node, const Arrays& cts, const Needs&) {
  array total;
  for (uint32_t i = 0; i < node.out.size(); ++i)
    if (cts[i]) {
      array one;
      if (is_integral(node.inputs[0].dtype())) {
        one = whole_shares(node, cts[i], hits_of(node, i));
      } else {
        one = multiply(put_back(node, cts[i]), share(node, i));
      }
      total = total ? add(total, one) : one;
    }
  return {astype(total, node.inputs[0].dtype())};
}
Arrays jvp_extreme(const Node& node, const Arrays& t) {
  Arrays out;
  for (uint32_t i = 0; i < node.out.size(); ++i) {
    if (is_integral(node.out[i].spec.type)) {
      const Hits at = hits_of(node, i);
      const array total = sum(multiply(t[0], at.hit), node.get<Reduce>().axes, true);
      out.push_back(reshape(floor_divide(total, at.count), node.out[i].spec.shape));
    } else {
      out.push_back(sum_like(node, multiply(astype(t[0], node.out[i].spec.type), share(node, i))));
    }
  }
  return out;
}

template <const Reduction& reduction>
consteval Op reduce_op(const char* doc, Op o) {
  o.family = &reduction;
  o.infer = typed<infer_reduction<reduction>>;
  o.vmap = typed<vmap_over<Reduce>>;
  return op<Reduce>(reduction.name, doc, o);
}
constexpr Reduction of_sum{"sum", engine::Monoid::sum, total_type};
const Op sum_op = reduce_op<of_sum>("Sum over axes.", {.linear = true, .vjp = vjp_sum});

constexpr Reduction of_mean{"mean_sum", engine::Monoid::sum, mean_type};
const Op mean_sum_op =
    reduce_op<of_mean>("Sum over axes in the dtype of means: integers and halves as float32.",
                       {.linear = true, .vjp = vjp_sum});

constexpr Reduction of_prod{"prod", engine::Monoid::prod, total_type};
const Op prod_op = reduce_op<of_prod>("Product over axes.", {.vjp = vjp_prod, .jvp = jvp_prod});

constexpr Reduction of_max{"max", engine::Monoid::max, same_type};
const Op max_op =
    reduce_op<of_max>("The largest over axes.", {.vjp = vjp_extreme, .jvp = jvp_extreme});

constexpr Reduction of_min{"min", engine::Monoid::min, same_type};
const Op min_op =
    reduce_op<of_min>("The smallest over axes.", {.vjp = vjp_extreme, .jvp = jvp_extreme});

constexpr Reduction of_all{"all", engine::Monoid::all, bool_type, true};
const Op all_op = reduce_op<of_all>("True when no element is zero.", {});

constexpr Reduction of_any{"any", engine::Monoid::any, bool_type, true};
const Op any_op = reduce_op<of_any>("True when some element is not zero.", {});

constexpr Reduction of_count{"count_nonzero", engine::Monoid::sum, count_type, true};
const Op count_op = reduce_op<of_count>("How many elements are not zero.", {});

// Those that leave nan out, of inexact dtypes; of integers the others are the same.
constexpr Reduction of_max_number{"nanmax", engine::Monoid::max_number, same_type};
const Op max_number_op = reduce_op<of_max_number>("The largest of the numbers over axes.",
                                                  {.vjp = vjp_extreme, .jvp = jvp_extreme});

constexpr Reduction of_min_number{"nanmin", engine::Monoid::min_number, same_type};
const Op min_number_op = reduce_op<of_min_number>("The smallest of the numbers over axes.",
                                                  {.vjp = vjp_extreme, .jvp = jvp_extreme});

Arrays vjp_numbers(const Node& node, const Arrays& cts, const Needs&) {
  const array& x = node.inputs[0];
  return {where(isnan(x), 0, astype(put_back(node, cts[0]), x.dtype()))};
}
Arrays jvp_numbers(const Node& node, const Arrays& t) {
  const array told = where(isnan(node.inputs[0]), 0, t[0]);
  return {sum_like(node, astype(told, node.out[0].spec.type))};
}
constexpr Reduction of_numbers{"nansum", engine::Monoid::numbers, total_type};
const Op numbers_op = reduce_op<of_numbers>("Sum of the numbers over axes.",
                                            {.vjp = vjp_numbers, .jvp = jvp_numbers});

constexpr Reduction of_mean_numbers{"nanmean_sum", engine::Monoid::numbers, mean_type};
const Op mean_numbers_op =
    reduce_op<of_mean_numbers>("Sum of the numbers over axes in the dtype of means.",
                               {.vjp = vjp_numbers, .jvp = jvp_numbers});

constexpr Reduction of_count_numbers{"count_numbers", engine::Monoid::count, mean_type};
const Op count_numbers_op =
    reduce_op<of_count_numbers>("How many elements are no nan, in the dtype of means.",
                                {.vjp = no_gradient, .jvp = no_tangent});

// ---- variance and logsumexp
// -------------------------------------------------------------------

Specs infer_variance(const Variance& v, const Arrays& in) {
  check_axes("var", v.axes, in, false);
  return {Spec{without(in[0].shape(), v.axes, v.keepdims), real_type(mean_type(in[0].dtype()))}};
}
// The distance of each element from the mean, in the dtype of means.
array deviation(const Node& node) {
  const array x = astype(node.inputs[0], mean_type(node.inputs[0].dtype()));
  return subtract(x, mean(x, node.get<Variance>().axes, true));
}
Arrays vjp_variance(const Node& node, const Arrays& cts, const Needs&) {
  const array part = multiply(put_back<Variance>(node, cts[0]), 2 / divisor_of(node));
  return {astype(multiply(part, deviation(node)), node.inputs[0].dtype())};
}
Arrays jvp_variance(const Variance& v, const Node& node, const Arrays& t) {
  const array d = deviation(node), u = astype(t[0], d.dtype());
  const array part = is_complex(d.dtype())
                         ? add(multiply(real(d), real(u)), multiply(imag(d), imag(u)))
                         : multiply(d, u);
  return {multiply(sum(part, v.axes, v.keepdims), 2 / divisor_of(node))};
}

// The mean in two parts, whose sum is nearer to it than one number could be. The second has no
// derivative: in exact numbers it is 0.
Specs infer_mean_parts(const Reduce& r, const Arrays& in) {
  check_axes("mean_parts", r.axes, in, true);
  if (!is_inexact(in[0].dtype()) || is_half(in[0].dtype()))
    fail(Kind::value, "mean_parts", "dtype not supported: got ", in[0].dtype());
  const Spec part{without(in[0].shape(), r.axes, r.keepdims), in[0].dtype()};
  return {part, part};
}
double share_of_mean(const Node& node) {
  double n = 1;
  for (int axis : node.get<Reduce>().axes) n *= double(node.inputs[0].shape()[axis]);
  return n;
}
Arrays vjp_mean_parts(const Node& node, const Arrays& cts, const Needs&) {
  if (!cts[0]) return {array()};
  const array each = divide(put_back(node, cts[0]), share_of_mean(node));
  return {broadcast_to(each, node.inputs[0].shape())};
}
Arrays jvp_mean_parts(const Node& node, const Arrays& t) {
  const array mean = divide(sum_like(node, t[0]), share_of_mean(node));
  return {mean, zeros_like(mean)};
}

Specs infer_logsumexp(const Reduce& r, const Arrays& in) {
  check_axes("logsumexp", r.axes, in, true);
  return {Spec{without(in[0].shape(), r.axes, r.keepdims), real_type(mean_type(in[0].dtype()))}};
}
// exp(x) over its sum.
array shares(const Node& node) {
  const array x = astype(node.inputs[0], node.out[0].spec.type);
  return exp(subtract(x, put_back(node, recorded(node, 0))));
}
Arrays vjp_logsumexp(const Node& node, const Arrays& cts, const Needs&) {
  return {astype(multiply(put_back(node, cts[0]), shares(node)), node.inputs[0].dtype())};
}
Arrays jvp_logsumexp(const Node& node, const Arrays& t) {
  const array y = shares(node);
  return {sum_like(node, multiply(astype(t[0], y.dtype()), y))};
}

// ---- median, argmax and argmin
// ----------------------------------------------------------------

Specs infer_median(const Reduce& r, const Arrays& in) {
  check_axes("median", r.axes, in, true);
  const Spec middle{without(in[0].shape(), r.axes, r.keepdims), mean_type(in[0].dtype())};
  return {middle, middle};
}

template <bool largest>
Specs infer_arg(const Reduce& r, const Arrays& in) {
  check_axes(largest ? "argmax" : "argmin", r.axes, in, true);
  int64_t length = 1;
  for (int axis : r.axes) length = product_of_sizes(length, in[0].shape()[axis], "argmax");
  return {
      Spec{without(in[0].shape(), r.axes, r.keepdims), length > int64_t(1) << 32 ? int64 : uint32}};
}

// ---- what users call
// --------------------------------------------------------------------------

array reduce(const Op& op, const array& a, const Axes& axes, bool keepdims, Stream s) {
  Axes at = normal_axes(axes, a.ndim(), op.name);
  if (at.empty()) {  // nothing is added up, but the dtype is the result's
    const array x = &op == &count_op ? astype(a, bool_, s) : a;
    return astype(x, static_cast<const Reduction*>(op.family)->result(a.dtype()), s);
  }
  return record(op, attrs(Reduce{std::move(at), keepdims}), {a}, s);
}

double count_of(const array& a, const Axes& axes, const char* op) {
  double n = 1;
  for (int axis : normal_axes(axes, a.ndim(), op)) n *= double(a.shape()[axis]);
  return n;
}

array arg(const Op& op, const array& a, int axis, bool keepdims, Stream s) {
  return record(op, attrs(Reduce{{normal_axis(axis, a.ndim(), op.name)}, keepdims}), {a}, s);
}

}  // namespace

const Op variance_op =
    op<Variance>("var", "The mean of squared distances from the mean, over axes.",
                 {.infer = typed<infer_variance>,
                  .vjp = vjp_variance,
                  .jvp = typed<jvp_variance>,
                  .vmap = typed<vmap_over<Variance>>});
const Op mean_parts_op =
    op<Reduce>("mean_parts", "The mean over axes, and what its rounding took off.",
               {.infer = typed<infer_mean_parts>,
                .vjp = vjp_mean_parts,
                .jvp = jvp_mean_parts,
                .vmap = typed<vmap_over<Reduce>>});
const Op logsumexp_op = op<Reduce>("logsumexp", "log(sum(exp(x))) over axes.",
                                   {.infer = typed<infer_logsumexp>,
                                    .vjp = vjp_logsumexp,
                                    .jvp = jvp_logsumexp,
                                    .vmap = typed<vmap_over<Reduce>>});
const Op median_op = op<Reduce>("median", "The two elements in the middle of the sorted ones.",
                                {.infer = typed<infer_median>,
                                 .vjp = vjp_extreme,
                                 .jvp = jvp_extreme,
                                 .vmap = typed<vmap_over<Reduce>>});
const Op argmax_op =
    op<Reduce>("argmax", "The index of the first largest element along an axis.",
               {.infer = typed<infer_arg<true>>, .vmap = typed<vmap_over<Reduce>>});
const Op argmin_op =
    op<Reduce>("argmin", "The index of the first smallest element along an axis.",
               {.infer = typed<infer_arg<false>>, .vmap = typed<vmap_over<Reduce>>});

const OpList& reductions() {
  static const auto* list = new OpList{
      &sum_op,        &mean_sum_op,   &prod_op,    &max_op,          &min_op,
      &all_op,        &any_op,        &count_op,   &max_number_op,   &min_number_op,
      &numbers_op,    &mean_numbers_op, &count_numbers_op};
  return *list;
}
OpList reduce_ops() {
  OpList all = reductions();
  for (const Op* op : {&variance_op, &mean_parts_op, &logsumexp_op, &median_op, &argmax_op,
                       &argmin_op, &softmax_op, &softmax_slope_op, &softmax_along_op,
                       &softmax_slope_along_op})
    all.push_back(op);
  return all;
}

double divisor_of(const Node& node) {
  const Variance& v = node.get<Variance>();
  double n = 1;
  for (int axis : v.axes) n *= double(node.inputs[0].shape()[axis]);
  return std::max(n - v.ddof, 0.0);
}
void check_not_empty(const char* op, const array& a, const Axes& axes) {
  for (int axis : axes)
    if (a.shape()[axis] == 0)
      fail(Kind::value, op, "of nothing: got an array of shape ", a.shape(), ", axis ", axis,
           " has size 0");
}

array sum(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return reduce(sum_op, a, axes, keepdims, s);
}
array prod(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return reduce(prod_op, a, axes, keepdims, s);
}
array max(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return reduce(max_op, a, axes, keepdims, s);
}
array min(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return reduce(min_op, a, axes, keepdims, s);
}
array max_number(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return reduce(is_inexact(a.dtype()) ? max_number_op : max_op, a, axes, keepdims, s);
}
array min_number(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return reduce(is_inexact(a.dtype()) ? min_number_op : min_op, a, axes, keepdims, s);
}
array sum_numbers(const array& a, const Axes& axes, bool keepdims, bool wide, Stream s) {
  if (is_floating(a.dtype()) && !axes.empty())
    return reduce(wide ? mean_numbers_op : numbers_op, a, axes, keepdims, s);
  return reduce(wide ? mean_sum_op : sum_op,
                is_inexact(a.dtype()) ? where(isnan(a, s), 0, a, s) : a, axes, keepdims, s);
}
array count_numbers(const array& a, const Axes& axes, bool keepdims, Stream s) {
  const Dtype t = real_type(mean_type(a.dtype()));
  if (is_floating(a.dtype()) && !axes.empty())
    return reduce(count_numbers_op, a, axes, keepdims, s);
  return astype(sum(logical_not(isnan(a, s), s), axes, keepdims, s), t, s);
}
std::pair<array, array> minmax(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return {min(a, axes, keepdims, s), max(a, axes, keepdims, s)};
}
array all(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return reduce(all_op, a, axes, keepdims, s);
}
array any(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return reduce(any_op, a, axes, keepdims, s);
}
array count_nonzero(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return reduce(count_op, a, axes, keepdims, s);
}

array argmax(const array& a, int axis, bool keepdims, Stream s) {
  return arg(argmax_op, a, axis, keepdims, s);
}
array argmin(const array& a, int axis, bool keepdims, Stream s) {
  return arg(argmin_op, a, axis, keepdims, s);
}
// Over all axes: the index in row-major order, whatever the layout.
static array arg_of_all(const Op& op, const array& a, Stream s) {
  if (a.ndim() < 2) return arg(op, reshape(a, {a.size()}, s), 0, false, s);
  return record(op, attrs(Reduce{all_axes(a.ndim()), false}), {a}, s);
}
array argmax(const array& a, Stream s) { return arg_of_all(argmax_op, a, s); }
array argmin(const array& a, Stream s) { return arg_of_all(argmin_op, a, s); }

array mean(const array& a, const Axes& axes, bool keepdims, Stream s) {
  const array total = reduce(mean_sum_op, a, axes, keepdims, s);
  return astype(divide(total, count_of(a, axes, "mean"), s), inexact_type(a.dtype()), s);
}

std::pair<array, array> mean_parts(const array& a, const Axes& axes, bool keepdims, Stream s) {
  const Arrays parts = record_all(
      mean_parts_op, attrs(Reduce{normal_axes(axes, a.ndim(), "mean_parts"), keepdims}), {a}, s);
  return {parts[0], parts[1]};
}

// Of real compute dtype. The op divides by whole numbers; others are put right behind it.
static array variance(const array& a, const Axes& axes, bool keepdims, double ddof, Stream s,
                      const char* op) {
  const bool whole = ddof == int(std::clamp(ddof, -1e9, 1e9));
  Variance v{normal_axes(axes, a.ndim(), op), keepdims, whole ? int(ddof) : 0};
  double n = 1;
  for (int axis : v.axes) n *= double(a.shape()[axis]);
  const array out = record(variance_op, attrs(std::move(v)), {a}, s);
  return whole ? out : multiply(out, n / std::max(n - ddof, 0.0), s);
}
array var(const array& a, const Axes& axes, bool keepdims, double ddof, Stream s) {
  return astype(variance(a, axes, keepdims, ddof, s, "var"), real_type(inexact_type(a.dtype())), s);
}
array std(const array& a, const Axes& axes, bool keepdims, double ddof, Stream s) {
  return astype(sqrt(variance(a, axes, keepdims, ddof, s, "std"), s),
                real_type(inexact_type(a.dtype())), s);
}

array median(const array& a, const Axes& axes, bool keepdims, Stream s) {
  const Dtype t = inexact_type(a.dtype());
  Axes at = normal_axes(axes, a.ndim(), "median");
  if (at.empty()) return astype(a, t, s);
  const bool odd = int64_t(count_of(a, at, "median")) % 2;
  const Arrays middle = record_all(median_op, attrs(Reduce{std::move(at), keepdims}),
                                   {a}, s);
  return astype(odd ? middle[0] : add(multiply(middle[0], 0.5, s), multiply(middle[1], 0.5, s), s),
                t, s);
}

array logsumexp(const array& a, const Axes& axes, bool keepdims, Stream s) {
  const Dtype t = inexact_type(a.dtype());
  Axes at = normal_axes(axes, a.ndim(), "logsumexp");
  if (!is_complex(t))
    return astype(record(logsumexp_op, attrs(Reduce{std::move(at), keepdims}), {a}, s), t, s);
  check_not_empty("logsumexp", a, at);
  // The real part scales; the imaginary one would leave the principal branch.
  const array top = real(stop_gradient(max(a, at, true, s), s), s),
              m = where(isfinite(top, s), top, 0, s);
  const array out = add(log(sum(exp(subtract(a, m, s), s), at, true, s), s), m, s);
  return keepdims || at.empty() ? out : squeeze(out, at, s);
}

array sum(const array& a, Stream s) { return sum(a, all_axes(a.ndim()), false, s); }
array prod(const array& a, Stream s) { return prod(a, all_axes(a.ndim()), false, s); }
array max(const array& a, Stream s) { return max(a, all_axes(a.ndim()), false, s); }
array min(const array& a, Stream s) { return min(a, all_axes(a.ndim()), false, s); }
array all(const array& a, Stream s) { return all(a, all_axes(a.ndim()), false, s); }
array any(const array& a, Stream s) { return any(a, all_axes(a.ndim()), false, s); }
array mean(const array& a, Stream s) { return mean(a, all_axes(a.ndim()), false, s); }

array array_equal(const Operand& a, const Operand& b, bool equal_nan, Stream s) {
  const Dtype t = result_type({&a, &b});
  const array x = as_array(a, t, "array_equal", s), y = as_array(b, t, "array_equal", s);
  if (x.shape() != y.shape()) return constant(false, {}, bool_, s);
  array same = equal(x, y, s);
  if (equal_nan && is_inexact(t))
    same = logical_or(same, logical_and(not_equal(x, x, s), not_equal(y, y, s), s), s);
  return all(same, s);
}

array allclose(const Operand& a, const Operand& b, double rtol, double atol, bool equal_nan,
               Stream s) {
  return all(isclose(a, b, rtol, atol, equal_nan, s), s);
}

}  // namespace lazulite
