#include <algorithm>
#include <cstring>
#include <vector>

#include "device/cpu/pool.h"
#include "ops/elementwise/elementwise.h"
#include "ops/reduce/monoid.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite {

namespace {

constexpr int64_t lanes = 32, chunk = 4096;

struct Reduce {
  Axes axes;  // sorted
  auto tie() const { return std::tie(axes); }
};

Specs infer_reduce(const Attrs* a, const Arrays& in) {
  const Axes& axes = static_cast<const AttrsOf<Reduce>*>(a)->value.axes;
  Shape shape;
  for (int i = 0; i < in[0].ndim(); ++i)
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) shape.push_back(in[0].shape()[i]);
  return {Spec{shape, in[0].dtype()}};
}

// One chunk: element i to lane i mod 32, then lanes by halves.
template <class M, class T>
T reduce_chunk(const T* x, int64_t n) {
  T lane[lanes];
  for (auto& l : lane) l = M::template identity<T>();
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (int64_t l = 0; l < lanes; ++l) lane[l] = M::combine(lane[l], x[i + l]);
  for (int64_t l = 0; i + l < n; ++l) lane[l] = M::combine(lane[l], x[i + l]);
  for (int64_t half = lanes / 2; half; half /= 2)
    for (int64_t l = 0; l < half; ++l) lane[l] = M::combine(lane[l], lane[l + half]);
  return lane[0];
}

// Pairwise by index until one is left.
template <class M, class T>
T fold(std::vector<T>& part) {
  size_t n = part.size();
  while (n > 1) {
    for (size_t i = 0; i < n / 2; ++i) part[i] = M::combine(part[2 * i], part[2 * i + 1]);
    if (n % 2) part[n / 2] = part[n - 1];
    n = (n + 1) / 2;
  }
  return part[0];
}

// rows x length, dense, in the compute type.
template <class M, class T>
void reduce_rows(const T* x, T* out, int64_t rows, int64_t length) {
  if (length == 0) {
    std::fill(out, out + rows, M::template identity<T>());
    return;
  }
  const int64_t pieces = (length + chunk - 1) / chunk;
  const double cost = double(rows) * double(length) * 0.3;
  if (rows >= 16 || pieces == 1) {
    const int64_t per = std::max<int64_t>(1, 16384 / length), blocks = (rows + per - 1) / per;
    cpu::parallel_for(blocks, [&](int64_t b) {
      std::vector<T> part;
      for (int64_t r = b * per; r < std::min(rows, (b + 1) * per); ++r) {
        part.clear();
        for (int64_t p = 0; p < pieces; ++p)
          part.push_back(reduce_chunk<M>(x + r * length + p * chunk, std::min(chunk, length - p * chunk)));
        out[r] = fold<M>(part);
      }
    }, cost);
    return;
  }
  for (int64_t r = 0; r < rows; ++r) {
    std::vector<T> part(static_cast<size_t>(pieces));
    cpu::parallel_for(pieces, [&](int64_t p) {
      part[size_t(p)] = reduce_chunk<M>(x + r * length + p * chunk, std::min(chunk, length - p * chunk));
    }, cost / double(rows));
    out[r] = fold<M>(part);
  }
}

// The input with the reduced axes last, dense, in the compute type; then rows.
template <class M>
void reduce_kernel(const Call& call) {
  const Bound& in = call.in[0];
  const Axes& axes = call.node.get<Reduce>().axes;
  Spec spec{{}, compute_type(in.type())};
  Storage moved{in.storage->buffer, in.storage->offset, {}};
  int64_t rows = 1, length = 1;
  for (int pass = 0; pass < 2; ++pass)
    for (int i = 0; i < int(in.shape().size()); ++i) {
      const bool reduced = std::find(axes.begin(), axes.end(), i) != axes.end();
      if (reduced != (pass == 1)) continue;
      spec.shape.push_back(in.shape()[i]);
      moved.strides.push_back(in.strides()[i]);
      (reduced ? length : rows) *= in.shape()[i];
    }
  const Dtype t = spec.type;
  Ref<Buffer> copy;
  const void* data = in.data;
  if (!is_dense(spec.shape, moved.strides) || t != in.type()) {
    copy = allocate(rows * length * size_of(t));
    BlockProgram program;
    program.domain = spec.shape;
    program.load.push_back({0, in.type(), 0, moved.strides});
    program.store.push_back({1, t, 0, dense_strides(spec.shape)});
    program.registers = 1;
    program.width = 16;
    program.cost = 0.5;
    const Binding bindings[2] = {{in.data}, {copy->data}};
    run_program(program, bindings);
    data = copy->data;
  }
  dispatch(t, [&]<class T>() {
    if constexpr (std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>) {
      // compute_type is never a half
    } else {
      using E = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;
      const E* x = static_cast<const E*>(data);
      if (!is_half(in.type())) return reduce_rows<M>(x, reinterpret_cast<E*>(call.out[0].data), rows, length);
      if constexpr (std::is_same_v<T, float>) {
        std::vector<float> wide(static_cast<size_t>(rows));
        reduce_rows<M>(x, wide.data(), rows, length);
        for (int64_t r = 0; r < rows; ++r) Scalar(wide[size_t(r)]).write(in.type(), call.out[0].data + r * 2);
      }
    }
  });
}

array put_back(const array& reduced, const Axes& axes) { return axes.empty() ? reduced : expand_dims(reduced, axes); }

Arrays vmap_reduce(const Node& node, const Arrays& in, const Axes& batch, Axes& out_axes) {
  Axes axes;
  for (int axis : node.get<Reduce>().axes) axes.push_back(axis + 1);
  out_axes = {0};
  return {record(*node.op, attrs(Reduce{axes}), {batch[0] == 0 ? in[0] : moveaxis(in[0], batch[0], 0)}, node.stream)};
}

Arrays vjp_sum(const Node& node, const Arrays& cts, const Needs&) {
  return {broadcast_to(put_back(cts[0], node.get<Reduce>().axes), node.inputs[0].shape())};
}

// d prod / dx_i: the product of the others, also where one or more are zero.
array others(const Node& node) {
  const array& x = node.inputs[0];
  const Axes& axes = node.get<Reduce>().axes;
  const array zero = equal(x, 0), filled = where(zero, 1, x);
  const array zeros = put_back(sum(zero, axes), axes), rest = put_back(prod(filled, axes), axes);
  return where(equal(zeros, 0), rest / filled, where(logical_and(equal(zeros, 1), zero), rest, 0));
}
Arrays vjp_prod(const Node& node, const Arrays& cts, const Needs&) {
  return {put_back(cts[0], node.get<Reduce>().axes) * conjugate(others(node))};
}
Arrays jvp_prod(const Node& node, const Arrays& t) { return {sum(t[0] * others(node), node.get<Reduce>().axes)}; }

// The gradient of a maximum is shared equally among ties.
array share(const Node& node) {
  const Axes& axes = node.get<Reduce>().axes;
  const array hit = astype(equal(node.inputs[0], put_back(recorded(node, 0), axes)), node.inputs[0].dtype());
  return hit / put_back(sum(hit, axes), axes);
}
Arrays vjp_extreme(const Node& node, const Arrays& cts, const Needs&) {
  return {put_back(cts[0], node.get<Reduce>().axes) * share(node)};
}
Arrays jvp_extreme(const Node& node, const Arrays& t) { return {sum(t[0] * share(node), node.get<Reduce>().axes)}; }

const Op sum_op{.name = "sum", .doc = "Sum over axes.", .linear = true, .infer = infer_reduce, .vjp = vjp_sum,
                .vmap = vmap_reduce, .kernel = reduce_kernel<monoid::Sum>};
const Op prod_op{.name = "prod", .doc = "Product over axes.", .infer = infer_reduce, .vjp = vjp_prod, .jvp = jvp_prod,
                 .vmap = vmap_reduce, .kernel = reduce_kernel<monoid::Prod>};
const Op max_op{.name = "max", .doc = "The largest over axes.", .infer = infer_reduce, .vjp = vjp_extreme,
                .jvp = jvp_extreme, .vmap = vmap_reduce, .kernel = reduce_kernel<monoid::Max>};
const Op min_op{.name = "min", .doc = "The smallest over axes.", .infer = infer_reduce, .vjp = vjp_extreme,
                .jvp = jvp_extreme, .vmap = vmap_reduce, .kernel = reduce_kernel<monoid::Min>};
const Op all_op{.name = "all", .doc = "True when no element is zero.", .infer = infer_reduce, .vmap = vmap_reduce,
                .kernel = reduce_kernel<monoid::All>};
const Op any_op{.name = "any", .doc = "True when some element is not zero.", .infer = infer_reduce, .vmap = vmap_reduce,
                .kernel = reduce_kernel<monoid::Any>};

array reduce(const Op& op, const array& a, const Axes& axes, bool keepdims, Stream s) {
  const Axes at = normal_axes(axes, a.ndim(), op.name);
  if (at.empty()) return a;
  if (&op == &max_op || &op == &min_op)
    for (int axis : at)
      if (a.shape()[axis] == 0) fail(Kind::value, op.name, "of nothing: got an array of shape ", a.shape(), " over axis ", axis);
  const array out = record(op, attrs(Reduce{at}), {a}, s);
  return keepdims ? expand_dims(out, at, s) : out;
}

Dtype total_type(Dtype t) {
  if (is_bool(t) || (is_signed_int(t) && size_of(t) < 4)) return int32;
  return is_unsigned(t) && size_of(t) < 4 ? uint32 : t;
}

double count_of(const array& a, const Axes& axes, const char* op) {
  double n = 1;
  for (int axis : normal_axes(axes, a.ndim(), op)) n *= double(a.shape()[axis]);
  return n;
}

}  // namespace

array sum(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return reduce(sum_op, astype(a, total_type(a.dtype()), s), axes, keepdims, s);
}
array prod(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return reduce(prod_op, astype(a, total_type(a.dtype()), s), axes, keepdims, s);
}
array max(const array& a, const Axes& axes, bool keepdims, Stream s) { return reduce(max_op, a, axes, keepdims, s); }
array min(const array& a, const Axes& axes, bool keepdims, Stream s) { return reduce(min_op, a, axes, keepdims, s); }
array all(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return reduce(all_op, astype(a, bool_, s), axes, keepdims, s);
}
array any(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return reduce(any_op, astype(a, bool_, s), axes, keepdims, s);
}

array mean(const array& a, const Axes& axes, bool keepdims, Stream s) {
  const array wide = astype(a, compute_type(inexact_type(a.dtype())), s);
  return astype(divide(sum(wide, axes, keepdims, s), count_of(a, axes, "mean"), s), inexact_type(a.dtype()), s);
}

array var(const array& a, const Axes& axes, bool keepdims, int ddof, Stream s) {
  const array wide = astype(a, compute_type(inexact_type(a.dtype())), s);
  const array d = subtract(wide, mean(wide, axes, true, s), s);
  const array squares = is_complex(d.dtype()) ? add(square(real(d, s), s), square(imag(d, s), s), s) : square(d, s);
  const double n = std::max(count_of(a, axes, "var") - ddof, 0.0);
  return astype(divide(sum(squares, axes, keepdims, s), n, s), real_type(inexact_type(a.dtype())), s);
}

array logsumexp(const array& a, const Axes& axes, bool keepdims, Stream s) {
  const array x = astype(a, inexact_type(a.dtype()), s);
  const array top = stop_gradient(max(x, axes, true, s), s), m = where(isfinite(top, s), top, 0, s);
  const array out = add(log(sum(exp(subtract(x, m, s), s), axes, true, s), s), m, s);
  return keepdims ? out : squeeze(out, axes, s);
}

array softmax(const array& a, const Axes& axes, Stream s) {
  const array x = astype(a, compute_type(inexact_type(a.dtype())), s);
  const array e = exp(subtract(x, stop_gradient(max(x, axes, true, s), s), s), s);
  return astype(divide(e, sum(e, axes, true, s), s), inexact_type(a.dtype()), s);
}

}  // namespace lazulite
