#include <algorithm>
#include <cstring>
#include <vector>

#include "device/cpu/level.h"
#include "device/cpu/pool.h"
#include "device/limits.h"
#include "engine/layout/copy.h"
#include "engine/reduce/rows.h"
#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/lanes.h"
#include "ops/ops.h"
#include "ops/reduce/reduce.h"
#include "ops/reduce/softmax.h"
#include "ops/shape/shape.h"

namespace lazulite {

LAZULITE_LEVELS(const ReduceKernels&, reduce_kernels)
LAZULITE_LEVELS(const TwoPassKernels&, two_pass_kernels)

namespace {

// ---- layouts
// -------------------------------------------------------------------------------------

// An input, read as `type`: kept axes and reduced axes, each collapsed. It must not be empty.
Rows rows_of(const TensorView& in, const Axes& axes, Dtype type, bool truth = false) {
  Rows out;
  out.data = in.data;
  out.formed = in.formed;
  out.memory = in.type();
  out.type = type;
  out.truth = truth && !is_bool(in.type());
  for (int i = 0; i < int(in.shape().size()); ++i) {
    const bool reduced = holds(axes, i);
    (reduced ? out.reduced : out.kept).push_back(in.shape()[i]);
    (reduced ? out.reduced_strides : out.kept_strides).push_back(in.strides()[i]);
    (reduced ? out.length : out.rows) *= in.shape()[i];
  }
  auto join = [](Shape& shape, Strides& steps) {
    SmallVector<Strides, 4> all{steps};
    collapse(shape, all);
    steps = all[0];
  };
  join(out.kept, out.kept_strides);
  join(out.reduced, out.reduced_strides);
  return out;
}

// ---- the reductions of monoids
// -------------------------------------------------------------------

struct Reduce {
  Axes axes;  // sorted, not negative
  bool keepdims;
  LAZULITE_FIELDS(axes, keepdims)
};

constexpr int identities[monoid_count] = {0, 1, -1, -1, 1, 0};  // of nothing; -1: there is none

Dtype total_type(Dtype t) {
  if (is_bool(t) || (is_signed_int(t) && size_of(t) < 4)) return int32;
  return is_unsigned(t) && size_of(t) < 4 ? uint32 : t;
}
Dtype mean_type(Dtype t) { return compute_type(inexact_type(t)); }
Dtype same_type(Dtype t) { return t; }
Dtype bool_type(Dtype) { return bool_; }
Dtype count_type(Dtype) { return int32; }

// What a reduction is besides its attributes: the dtype that elements are read as, which is that of
// the result but for halves, whose accumulators are rounded to it.
struct Reduction {
  Monoid monoid;
  Dtype (*result)(Dtype in);
  bool truth = false;  // of an element counts whether it is zero
  Dtype read(Dtype in) const {
    return is_half(in) && !truth ? in : result(in);
  }
};

Shape without(const Shape& shape, const Axes& axes, bool keepdims) {
  Shape out;
  for (int i = 0; i < int(shape.size()); ++i)
    if (!holds(axes, i)) out.push_back(shape[i]);
    else if (keepdims) out.push_back(1);
  return out;
}

Specs infer_reduce(const Attrs* a, const Arrays& in) {
  const Reduce& r = static_cast<const AttrsOf<Reduce>*>(a)->value;
  return {Spec{without(in[0].shape(), r.axes, r.keepdims), in[0].dtype()}};
}
template <const Reduction& reduction>
Specs infer_reduction(const Attrs* a, const Arrays& in) {
  Specs out = infer_reduce(a, in);
  out[0].type = reduction.result(in[0].dtype());
  return out;
}

void fill_with(const TensorView& out, Scalar value) {
  for (int64_t i = 0; i < size_of(out.shape()); ++i)
    value.write(out.type(), out.data + i * size_of(out.type()));
}

template <const Reduction& reduction>
void reduce_kernel(const KernelCall& call) {
  const TensorView &in = call.in[0], &to = call.out[0];
  const int64_t results = size_of(to.shape());
  if (results == 0) return;
  if (size_of(in.shape()) == 0)
    return fill_with(to, Scalar(identities[int(reduction.monoid)]));
  Rows x = rows_of(in, call.node.get<Reduce>().axes, reduction.read(in.type()), reduction.truth);
  const ReduceKernel& k = reduce_kernels().reduce[int(reduction.monoid)][index_of(x.type)];
  if (!k.chunk) fail(Kind::value, call.node.op->name, "dtype not supported: got ", in.type());
  x.settle(k.take);
  Ref<Buffer> wide;
  char* out = to.data;
  if (is_half(to.type())) {
    wide = allocate(results * k.bytes);
    out = static_cast<char*>(wide->data);
  }
  reduce_all(k, x, out);
  const Strides dense = dense_strides(to.shape());
  if (wide) engine::copy(to.shape(), {out, float32, dense}, {to.data, to.type(), dense});
  if (is_bool(to.type()))
    for (int64_t i = 0; i < results; ++i) to.data[i] = to.data[i] != 0;
}

// ---- variance and logsumexp: chunks are looked at twice
// -----------------------------------------

struct Variance {
  Axes axes;
  bool keepdims;
  int ddof;
  LAZULITE_FIELDS(axes, keepdims, ddof)
};

template <class T>
Specs infer_two_pass(const Attrs* a, const Arrays& in) {
  const T& r = static_cast<const AttrsOf<T>*>(a)->value;
  return {Spec{without(in[0].shape(), r.axes, r.keepdims), real_type(mean_type(in[0].dtype()))}};
}
int64_t reduced_length(const Node& node, const Axes& axes) {
  int64_t n = 1;
  for (int axis : axes) n *= node.inputs[0].shape()[axis];
  return n;
}
template <TwoPassKernel (TwoPassKernels::*table)[dtype_count]>
void two_pass_kernel(const KernelCall& call, const Axes& axes, double divisor) {
  const TensorView &in = call.in[0], &to = call.out[0];
  const int64_t results = size_of(to.shape());
  if (results == 0) return;
  if (size_of(in.shape()) == 0) return fill_with(to, Scalar(0.0 / divisor));
  Rows x = rows_of(in, axes, is_half(in.type()) ? in.type() : mean_type(in.type()));
  x.settle(false);
  const TwoPassKernel& k = (two_pass_kernels().*table)[index_of(x.type)];
  if (!k.finish) fail(Kind::value, call.node.op->name, "dtype not supported: got ", in.type());
  const Ref<Buffer> states = allocate(results * k.reduce.bytes);
  char* state = static_cast<char*>(states->data);
  reduce_all(k.reduce, x, state);
  constexpr int64_t step = grain;
  cpu::parallel_for((results + step - 1) / step, [&](int64_t part) {
    const int64_t from = part * step;
    k.finish(state + from * k.reduce.bytes, std::min(step, results - from), divisor,
             to.data + from * size_of(to.type()));
  }, double(results) * 2);
}
double divisor_of(const Node& node) {
  const Variance& v = node.get<Variance>();
  return std::max(double(reduced_length(node, v.axes)) - v.ddof, 0.0);
}
void variance_kernel(const KernelCall& call) {
  two_pass_kernel<&TwoPassKernels::variance>(call, call.node.get<Variance>().axes,
                                             divisor_of(call.node));
}
void logsumexp_kernel(const KernelCall& call) {
  two_pass_kernel<&TwoPassKernels::logsumexp>(call, call.node.get<Reduce>().axes, 1);
}

// ---- derivatives and batching
// --------------------------------------------------------------------

template <class T>
Arrays vmap_over(const Node& node, const Arrays& in, const Axes& batch, Axes& out_axes) {
  T shifted = node.get<T>();
  for (int& axis : shifted.axes) ++axis;
  out_axes = {0};
  return record_all(*node.op, attrs(std::move(shifted)), {batch_first(in[0], batch[0])},
                    node.stream);
}
constexpr auto vmap_reduce = vmap_over<Reduce>;

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
  return astype(divide(hit, sum(hit, node.get<Reduce>().axes, true)), x.dtype());
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

void check_axes(const Op& op, const Axes& axes, const Arrays& in, bool nonempty) {
  check_inputs(op.name, in, 1);
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i] < 0 || axes[i] >= in[0].ndim() || (i && axes[i] <= axes[i - 1]))
      fail(Kind::value, op.name, "not axes of the array: got ", axes, " for shape ", in[0].shape());
    if (nonempty && in[0].shape()[axes[i]] == 0 && size_of(without(in[0].shape(), axes, false)))
      fail(Kind::value, op.name, "nothing to reduce: got shape ", in[0].shape(), " along axes ",
           axes);
  }
}
template <const Op& op, bool nonempty>
void check_reduce(const Attrs* a, const Arrays& in) {
  check_axes(op, static_cast<const AttrsOf<Reduce>*>(a)->value.axes, in, nonempty);
}
extern const Op sum_op, mean_sum_op, prod_op, max_op, min_op, all_op, any_op, count_op, variance_op,
    logsumexp_op, median_op, argmax_op, argmin_op;
constexpr Reduction of_sum{Monoid::sum, total_type}, of_mean{Monoid::sum, mean_type},
    of_prod{Monoid::prod, total_type}, of_max{Monoid::max, same_type},
    of_min{Monoid::min, same_type}, of_all{Monoid::all, bool_type, true},
    of_any{Monoid::any, bool_type, true}, of_count{Monoid::sum, count_type, true};
const Op sum_op{.name = "sum",
                .doc = "Sum over axes.",
                .linear = true,
                .absorbs = Absorb::before,
                .read = read_attrs<Reduce>,
                .check = check_reduce<sum_op, false>,
                .infer = infer_reduction<of_sum>,
                .vjp = vjp_sum,
                .vmap = vmap_reduce,
                .kernel = reduce_kernel<of_sum>};
const Op mean_sum_op{.name = "mean_sum",
                     .doc = "Sum over axes in the dtype of means: integers and halves as float32.",
                     .linear = true,
                     .absorbs = Absorb::before,
                     .read = read_attrs<Reduce>,
                     .check = check_reduce<mean_sum_op, false>,
                     .infer = infer_reduction<of_mean>,
                     .vjp = vjp_sum,
                     .vmap = vmap_reduce,
                     .kernel = reduce_kernel<of_mean>};
const Op prod_op{.name = "prod",
                 .doc = "Product over axes.",
                 .absorbs = Absorb::before,
                 .read = read_attrs<Reduce>,
                 .check = check_reduce<prod_op, false>,
                 .infer = infer_reduction<of_prod>,
                 .vjp = vjp_prod,
                 .jvp = jvp_prod,
                 .vmap = vmap_reduce,
                 .kernel = reduce_kernel<of_prod>};
const Op max_op{.name = "max",
                .doc = "The largest over axes.",
                .absorbs = Absorb::before,
                .read = read_attrs<Reduce>,
                .check = check_reduce<max_op, true>,
                .infer = infer_reduction<of_max>,
                .vjp = vjp_extreme,
                .jvp = jvp_extreme,
                .vmap = vmap_reduce,
                .kernel = reduce_kernel<of_max>};
const Op min_op{.name = "min",
                .doc = "The smallest over axes.",
                .absorbs = Absorb::before,
                .read = read_attrs<Reduce>,
                .check = check_reduce<min_op, true>,
                .infer = infer_reduction<of_min>,
                .vjp = vjp_extreme,
                .jvp = jvp_extreme,
                .vmap = vmap_reduce,
                .kernel = reduce_kernel<of_min>};
const Op all_op{.name = "all",
                .doc = "True when no element is zero.",
                .absorbs = Absorb::before,
                .read = read_attrs<Reduce>,
                .check = check_reduce<all_op, false>,
                .infer = infer_reduction<of_all>,
                .vmap = vmap_reduce,
                .kernel = reduce_kernel<of_all>};
const Op any_op{.name = "any",
                .doc = "True when some element is not zero.",
                .absorbs = Absorb::before,
                .read = read_attrs<Reduce>,
                .check = check_reduce<any_op, false>,
                .infer = infer_reduction<of_any>,
                .vmap = vmap_reduce,
                .kernel = reduce_kernel<of_any>};

const Op count_op{.name = "count_nonzero",
                  .doc = "How many elements are not zero.",
                  .absorbs = Absorb::before,
                  .read = read_attrs<Reduce>,
                  .check = check_reduce<count_op, false>,
                  .infer = infer_reduction<of_count>,
                  .vmap = vmap_reduce,
                  .kernel = reduce_kernel<of_count>};

// The distance of each element from the mean, in the dtype of means.
array deviation(const Node& node) {
  const array x = astype(node.inputs[0], mean_type(node.inputs[0].dtype()));
  return subtract(x, mean(x, node.get<Variance>().axes, true));
}
Arrays vjp_variance(const Node& node, const Arrays& cts, const Needs&) {
  const array part = multiply(put_back<Variance>(node, cts[0]), 2 / divisor_of(node));
  return {astype(multiply(part, deviation(node)), node.inputs[0].dtype())};
}
Arrays jvp_variance(const Node& node, const Arrays& t) {
  const Variance& v = node.get<Variance>();
  const array d = deviation(node), u = astype(t[0], d.dtype());
  const array part = is_complex(d.dtype())
                         ? add(multiply(real(d), real(u)), multiply(imag(d), imag(u)))
                         : multiply(d, u);
  return {multiply(sum(part, v.axes, v.keepdims), 2 / divisor_of(node))};
}
void check_variance(const Attrs* a, const Arrays& in) {
  const Variance& v = static_cast<const AttrsOf<Variance>*>(a)->value;
  check_axes(variance_op, v.axes, in, false);
}
const Op variance_op{.name = "var",
                     .doc = "The mean of squared distances from the mean, over axes.",
                     .absorbs = Absorb::before,
                     .read = read_attrs<Variance>,
                     .check = check_variance,
                     .infer = infer_two_pass<Variance>,
                     .vjp = vjp_variance,
                     .jvp = jvp_variance,
                     .vmap = vmap_over<Variance>,
                     .kernel = variance_kernel};

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
const Op logsumexp_op{.name = "logsumexp",
                      .doc = "log(sum(exp(x))) over axes.",
                      .absorbs = Absorb::before,
                      .read = read_attrs<Reduce>,
                      .check = check_reduce<logsumexp_op, true>,
                      .infer = infer_two_pass<Reduce>,
                      .vjp = vjp_logsumexp,
                      .jvp = jvp_logsumexp,
                      .vmap = vmap_reduce,
                      .kernel = logsumexp_kernel};

void check_not_empty(const char* op, const array& a, const Axes& axes) {
  for (int axis : axes)
    if (a.shape()[axis] == 0)
      fail(Kind::value, op, "of nothing: got an array of shape ", a.shape(), ", axis ", axis,
           " has size 0");
}

array reduce(const Op& op, const array& a, const Axes& axes, bool keepdims, Stream s) {
  Axes at = normal_axes(axes, a.ndim(), op.name);
  if (at.empty()) {  // nothing is added up, but the dtype is the result's
    const array x = &op == &count_op ? astype(a, bool_, s) : a;
    return astype(x, op.infer(attrs(Reduce{at, keepdims}).get(), {a})[0].type, s);
  }
  if (&op == &max_op || &op == &min_op) check_not_empty(op.name, a, at);
  return record(op, attrs(Reduce{std::move(at), keepdims}), {a}, s);
}

double count_of(const array& a, const Axes& axes, const char* op) {
  double n = 1;
  for (int axis : normal_axes(axes, a.ndim(), op)) n *= double(a.shape()[axis]);
  return n;
}

// ---- median: the two elements in the middle
// ------------------------------------------------------

Specs infer_median(const Attrs* a, const Arrays& in) {
  const Specs one = infer_reduce(a, in);
  const Spec middle{one[0].shape, mean_type(one[0].type)};
  return {middle, middle};
}

void median_kernel(const KernelCall& call) {
  const TensorView& in = call.in[0];
  if (size_of(call.out[0].shape()) == 0) return;
  const Rows x = rows_of(in, call.node.get<Reduce>().axes, mean_type(in.type()));
  auto run = [&]<class T>(T* low, T* high) {
    const int64_t n = x.length, per = x.together(n);
    cpu::parallel_for((x.rows + per - 1) / per, [&](int64_t block) {
      const int64_t begin = block * per, count = std::min(per, x.rows - begin);
      const T* all = reinterpret_cast<const T*>(x.read(begin, count, 0, n));
      std::vector<T> v;
      for (int64_t r = begin; r < begin + count; ++r) {
        v.assign(all + (r - begin) * n, all + (r - begin + 1) * n);
        const auto nan = std::find_if(v.begin(), v.end(), [](T e) { return e != e; });
        if (nan != v.end()) {
          low[r] = high[r] = *nan;
          continue;
        }
        const auto middle = v.begin() + n / 2;
        const auto less = [](const T& a, const T& b) {  // complex: by real part, then imaginary
          if constexpr (is_complex(dtype_of<T>))
            return a.real() < b.real() || (a.real() == b.real() && a.imag() < b.imag());
          else
            return a < b;
        };
        std::nth_element(v.begin(), middle, v.end(), less);
        high[r] = *middle;
        low[r] = n % 2 ? *middle : *std::max_element(v.begin(), middle, less);
      }
    }, double(x.rows) * double(n) * 8);
  };
  dispatch(x.type, [&]<class T>() {
    if constexpr (dtype_of<T> == float32 || dtype_of<T> == float64 || is_complex(dtype_of<T>))
      run(reinterpret_cast<T*>(call.out[0].data), reinterpret_cast<T*>(call.out[1].data));
  });
}
const Op median_op{.name = "median",
                   .doc = "The two elements in the middle of the sorted ones.",
                   .read = read_attrs<Reduce>,
                   .check = check_reduce<median_op, true>,
                   .infer = infer_median,
                   .vjp = vjp_extreme,
                   .jvp = jvp_extreme,
                   .vmap = vmap_reduce,
                   .kernel = median_kernel};

// ---- argmax and argmin
// ---------------------------------------------------------------------------

Specs infer_arg(const Attrs* a, const Arrays& in) {
  const Reduce& r = static_cast<const AttrsOf<Reduce>*>(a)->value;
  int64_t length = 1;
  for (int axis : r.axes) length = product_of_sizes(length, in[0].shape()[axis], "argmax");
  return {
      Spec{without(in[0].shape(), r.axes, r.keepdims), length > int64_t(1) << 32 ? int64 : uint32}};
}
template <Monoid monoid>
void arg_kernel(const KernelCall& call) {
  if (size_of(call.out[0].shape()) == 0) return;
  const TensorView& in = call.in[0];
  Rows x = rows_of(in, call.node.get<Reduce>().axes, in.type());
  x.settle(false);
  const ReduceKernel& k = reduce_kernels().reduce[int(monoid)][index_of(x.type)];
  const FindKernel& find = reduce_kernels().find[index_of(x.type)];
  if (!k.chunk || !find.first)
    fail(Kind::value, call.node.op->name, "dtype not supported: got ", x.type);
  find_all(k, find, x, call.out[0].type() == int64, call.out[0].data);
}
const Op argmax_op{.name = "argmax",
                   .doc = "The index of the first largest element along an axis.",
                   .absorbs = Absorb::before,
                   .read = read_attrs<Reduce>,
                   .check = check_reduce<argmax_op, true>,
                   .infer = infer_arg,
                   .vmap = vmap_reduce,
                   .kernel = arg_kernel<Monoid::max>};
const Op argmin_op{.name = "argmin",
                   .doc = "The index of the first smallest element along an axis.",
                   .absorbs = Absorb::before,
                   .read = read_attrs<Reduce>,
                   .check = check_reduce<argmin_op, true>,
                   .infer = infer_arg,
                   .vmap = vmap_reduce,
                   .kernel = arg_kernel<Monoid::min>};

array arg(const Op& op, const array& a, int axis, bool keepdims, Stream s) {
  const Axes at{normal_axis(axis, a.ndim(), op.name)};
  check_not_empty(op.name, a, at);
  return record(op, attrs(Reduce{at, keepdims}), {a}, s);
}

}  // namespace

OpList reduce_ops() {
  return {&sum_op,       &mean_sum_op, &prod_op,   &max_op,    &min_op,    &all_op, &any_op,
          &count_op,     &variance_op, &median_op, &argmax_op, &argmin_op, &softmax_op(),
          &logsumexp_op, &softmax_slope_op()};
}

// ---- what users call
// -----------------------------------------------------------------------------

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
  const Axes axes = all_axes(a.ndim());
  check_not_empty(op.name, a, axes);
  return record(op, attrs(Reduce{axes, false}), {a}, s);
}
array argmax(const array& a, Stream s) { return arg_of_all(argmax_op, a, s); }
array argmin(const array& a, Stream s) { return arg_of_all(argmin_op, a, s); }

array mean(const array& a, const Axes& axes, bool keepdims, Stream s) {
  const array total = reduce(mean_sum_op, a, axes, keepdims, s);
  return astype(divide(total, count_of(a, axes, "mean"), s), inexact_type(a.dtype()), s);
}

// Of real compute dtype.
static array variance(const array& a, const Axes& axes, bool keepdims, int ddof, Stream s,
                      const char* op) {
  Variance v{normal_axes(axes, a.ndim(), op), keepdims, ddof};
  return record(variance_op, attrs(std::move(v)), {a}, s);
}
array var(const array& a, const Axes& axes, bool keepdims, int ddof, Stream s) {
  return astype(variance(a, axes, keepdims, ddof, s, "var"), real_type(inexact_type(a.dtype())), s);
}
array std(const array& a, const Axes& axes, bool keepdims, int ddof, Stream s) {
  return astype(sqrt(variance(a, axes, keepdims, ddof, s, "std"), s),
                real_type(inexact_type(a.dtype())), s);
}

array median(const array& a, const Axes& axes, bool keepdims, Stream s) {
  const Dtype t = inexact_type(a.dtype());
  Axes at = normal_axes(axes, a.ndim(), "median");
  if (at.empty()) return astype(a, t, s);
  check_not_empty("median", a, at);
  const bool odd = int64_t(count_of(a, at, "median")) % 2;
  const Arrays middle = record_all(median_op, attrs(Reduce{std::move(at), keepdims}),
                                   {a}, s);
  return astype(odd ? middle[0] : add(multiply(middle[0], 0.5, s), multiply(middle[1], 0.5, s), s),
                t, s);
}

array logsumexp(const array& a, const Axes& axes, bool keepdims, Stream s) {
  const Dtype t = inexact_type(a.dtype());
  Axes at = normal_axes(axes, a.ndim(), "logsumexp");
  check_not_empty("logsumexp", a, at);
  if (!is_complex(t))
    return astype(record(logsumexp_op, attrs(Reduce{std::move(at), keepdims}), {a}, s), t, s);
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
