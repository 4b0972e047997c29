#include <algorithm>
#include <cstring>
#include <vector>

#include "device/cpu/level.h"
#include "device/cpu/pool.h"
#include "device/limits.h"
#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/lanes.h"
#include "ops/ops.h"
#include "ops/reduce/gathered.h"
#include "ops/reduce/kernels.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite {

LAZULITE_LEVELS(const ReduceKernels&, reduce_kernels)

namespace {

// ---- layouts
// -------------------------------------------------------------------------------------

// A program of one load and one store: any layouts, converts between a half and its float32.
void copy_convert(const Shape& shape, const void* from, Dtype from_type,
                  const Strides& from_strides, void* to, Dtype to_type) {
  BlockProgram program;
  program.domain = shape;
  program.load.push_back({0, from_type, 0, from_strides});
  program.store.push_back({1, to_type, 0, dense_strides(shape)});
  program.registers = 1;
  program.width = 16;
  program.cost = 0.4;
  const Binding bindings[2] = {{const_cast<void*>(from)}, {to}};
  run_program(program, bindings);
}

// An input: kept axes and reduced axes, each collapsed.
struct Split {
  const char* data;
  Dtype type;
  Shape kept, reduced;
  Strides kept_strides, reduced_strides;
  int64_t results = 1, length = 1;
  Ref<Buffer> copy;

  int64_t width() const { return size_of(type); }
  int64_t wide() const { return size_of(compute_type(type)); }  // of an accumulator
  // Address of the first element of a result, without the last kept axis (`inner` false) or with
  // it.
  const char* at(int64_t index, size_t axes) const {
    int64_t offset = 0;
    for (size_t i = axes; i-- > 0;) {
      offset += index % kept[i] * kept_strides[i];
      index /= kept[i];
    }
    return data + offset * width();
  }
  const char* row(int64_t r) const { return at(r, kept.size()); }
  bool in_rows() const {
    return reduced.size() == 1 && (reduced[0] == 1 || reduced_strides[0] == 1);
  }
  bool in_columns() const {
    return reduced.size() == 1 && kept.back() > 1 && kept_strides.back() == 1;
  }
  Gathered gathered() const {
    return {data, width(), kept, reduced, kept_strides, reduced_strides, results, length};
  }
  void make_rows() {
    if (in_rows()) return;
    Shape shape = kept;
    Strides strides = kept_strides;
    shape.append(reduced.begin(), reduced.end());
    strides.append(reduced_strides.begin(), reduced_strides.end());
    Ref<Buffer> dense = allocate(results * length * width());
    const Spec spec{shape, type};
    const Storage from{{}, 0, strides}, to{dense, 0, dense_strides(shape)};
    copy_strided(Bound{&spec, &from, const_cast<char*>(data)},
                 Bound{&spec, &to, static_cast<char*>(dense->data)});
    copy = dense;
    data = static_cast<const char*>(dense->data);
    kept = {results};
    kept_strides = {length};
    reduced = {length};
    reduced_strides = {1};
  }
};

// Neither side may be empty when this is called.
Split split_axes(const Bound& in, const Axes& axes) {
  Split out{in.data, in.type(), {}, {}, {}, {}, 1, 1, {}};
  for (int i = 0; i < int(in.shape().size()); ++i) {
    const bool reduced = holds(axes, i);
    (reduced ? out.reduced : out.kept).push_back(in.shape()[i]);
    (reduced ? out.reduced_strides : out.kept_strides).push_back(in.strides()[i]);
    (reduced ? out.length : out.results) *= in.shape()[i];
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

struct MonoidRow {
  Monoid monoid;
  int identity;  // of nothing; -1: there is none
};
constexpr MonoidRow monoid_rows[monoid_count] = {{Monoid::sum, 0},  {Monoid::prod, 1},
                                                 {Monoid::max, -1}, {Monoid::min, -1},
                                                 {Monoid::all, 1},  {Monoid::any, 0}};

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

// parts: n values of `columns` elements; pairwise by index, the result in the first.
void fold(const ReduceKernel& k, char* parts, int64_t n, int64_t bytes, int64_t columns) {
  for (; n > 1; n = (n + 1) / 2)
    for (int64_t i = 0; 2 * i < n; ++i) {
      if (2 * i + 1 < n) k.combine(parts + 2 * i * bytes, parts + (2 * i + 1) * bytes, columns);
      if (i) std::memcpy(parts + i * bytes, parts + 2 * i * bytes, size_t(bytes));
    }
}

// The whole tree over contiguous elements.
void reduce_row(const ReduceKernel& k, const char* x, int64_t n, int64_t width, int64_t wide,
                char* out) {
  if (n <= reduce_chunk) return k.chunk(x, n, out);
  ChunkTree tree;
  for (int64_t at = 0; at < n; at += reduce_chunk) {
    alignas(16) char value[16];
    k.chunk(x + at * width, std::min(reduce_chunk, n - at), value);
    tree.add(k, value, wide);
  }
  tree.finish(k, wide, out);
}

void reduce_rows(const ReduceKernel& k, const Split& in, char* out) {
  const int64_t w = in.width(), acc = in.wide(), length = in.length, rows = in.results;
  const double cost = double(rows) * double(length) * double(w) * 0.05 + double(rows) * 10;
  const int64_t group = 8 * reduce_chunk;  // a power of two of chunks: a whole subtree
  const int64_t groups = (length + group - 1) / group;
  if (groups > 1 && rows < 4 * cpu::num_threads()) {
    const Ref<Buffer> parts = allocate(rows * groups * acc);
    char* part = static_cast<char*>(parts->data);
    cpu::parallel_for(rows * groups, [&](int64_t i) {
      const int64_t r = i / groups, g = i % groups;
      reduce_row(k, in.row(r) + g * group * w, std::min(group, length - g * group), w, acc,
                 part + i * acc);
    }, cost);
    for (int64_t r = 0; r < rows; ++r) {
      fold(k, part + r * groups * acc, groups, acc, 1);
      std::memcpy(out + r * acc, part + r * groups * acc, size_t(acc));
    }
    return;
  }
  const int64_t per = std::max<int64_t>(1, grain / length);
  cpu::parallel_for((rows + per - 1) / per, [&](int64_t block) {
    const int64_t end = std::min(rows, (block + 1) * per);
    for (int64_t r = block * per; r < end; ++r)
      reduce_row(k, in.row(r), length, w, acc, out + r * acc);
  }, cost);
}

void reduce_columns(const ReduceKernel& k, const Split& in, char* out) {
  constexpr int64_t block_bytes =
      2048;  // of accumulators: 32 lanes of them stay in L2, and rows come in long runs
  const int64_t w = in.width(), acc = in.wide(), length = in.length, inner = in.kept.back(),
                outer = in.results / inner;
  const int64_t stride = in.reduced_strides[0], block = block_bytes / acc,
                blocks = (inner + block - 1) / block;
  const int64_t pieces = (length + reduce_chunk - 1) / reduce_chunk;
  const double cost = double(in.results) * double(length) * double(w) * 0.08;
  Ref<Buffer> buffer;
  char* parts = out;
  if (pieces > 1) {
    buffer = allocate(outer * pieces * inner * acc);
    parts = static_cast<char*>(buffer->data);
  }
  const int64_t tasks = outer * pieces * blocks;
  const int64_t per =
      std::max<int64_t>(1, grain / (std::min(length, reduce_chunk) * std::min(block, inner)));
  cpu::parallel_for((tasks + per - 1) / per, [&](int64_t run) {
    alignas(64) char lanes[reduce_lanes * block_bytes];
    const int64_t end = std::min(tasks, (run + 1) * per);
    for (int64_t task = run * per; task < end; ++task) {
      const int64_t b = task % blocks, p = task / blocks % pieces, o = task / blocks / pieces;
      const char* x = in.at(o, in.kept.size() - 1) + (p * reduce_chunk * stride + b * block) * w;
      k.columns(x, std::min(reduce_chunk, length - p * reduce_chunk), stride,
                std::min(block, inner - b * block), lanes,
                parts + ((o * pieces + p) * inner + b * block) * acc);
    }
  }, cost);
  if (pieces == 1) return;
  cpu::parallel_for(outer, [&](int64_t o) {
    fold(k, parts + o * pieces * inner * acc, pieces, inner * acc, inner);
    std::memcpy(out + o * inner * acc, parts + o * pieces * inner * acc, size_t(inner * acc));
  }, double(outer * pieces * inner) * 0.3);
}

template <Monoid monoid>
void reduce_kernel(const Call& call) {
  const Bound &in = call.in[0], &to = call.out[0];
  const Reduce& attributes = call.node.get<Reduce>();
  const int64_t results = size_of(to.shape());
  if (results == 0) return;
  if (size_of(in.shape()) == 0) {
    for (int64_t i = 0; i < results; ++i)
      Scalar(monoid_rows[int(monoid)].identity).write(to.type(), to.data + i * size_of(to.type()));
    return;
  }
  Split x = split_axes(in, attributes.axes);
  const ReduceKernel& k = reduce_kernels().reduce[int(monoid)][index_of(x.type)];
  if (!k.chunk) fail(Kind::value, call.node.op->name, "dtype not supported: got ", x.type);
  Ref<Buffer> wide;
  char* out = to.data;
  if (is_half(x.type)) {
    wide = allocate(results * x.wide());
    out = static_cast<char*>(wide->data);
  }
  if (x.in_rows()) reduce_rows(k, x, out);
  else if (x.in_columns()) reduce_columns(k, x, out);
  else reduce_gathered(k, x.gathered(), x.wide(), out);
  if (wide) copy_convert(to.shape(), out, float32, dense_strides(to.shape()), to.data, to.type());
  if (is_bool(to.type()))
    for (int64_t i = 0; i < results; ++i) to.data[i] = to.data[i] != 0;
}

// ---- derivatives and batching
// --------------------------------------------------------------------

Arrays vmap_reduce(const Node& node, const Arrays& in, const Axes& batch, Axes& out_axes) {
  Reduce shifted{{}, node.get<Reduce>().keepdims};
  for (int axis : node.get<Reduce>().axes) shifted.axes.push_back(axis + 1);
  out_axes = {0};
  return record_all(*node.op, attrs(std::move(shifted)), {batch_first(in[0], batch[0])},
                    node.stream);
}

// A result, or its cotangent, with the reduced axes as ones.
array put_back(const Node& node, const array& reduced) {
  const Reduce& r = node.get<Reduce>();
  return r.keepdims || r.axes.empty() ? reduced : expand_dims(reduced, r.axes);
}
array sum_like(const Node& node, const array& a) {
  return sum(a, node.get<Reduce>().axes, node.get<Reduce>().keepdims);
}

Arrays vjp_sum(const Node& node, const Arrays& cts, const Needs&) {
  return {broadcast_to(put_back(node, cts[0]), node.inputs[0].shape())};
}

// d prod / dx_i: the product of the others, also where one or more are zero.
array others(const Node& node) {
  const array& x = node.inputs[0];
  const Axes& axes = node.get<Reduce>().axes;
  const array zero = equal(x, 0), filled = where(zero, 1, x);
  const array zeros = sum(zero, axes, true), rest = prod(filled, axes, true);
  const array without = is_integral(x.dtype()) ? floor_divide(rest, filled) : divide(rest, filled);
  return where(equal(zeros, 0), without, where(logical_and(equal(zeros, 1), zero), rest, 0));
}
Arrays vjp_prod(const Node& node, const Arrays& cts, const Needs&) {
  return {multiply(put_back(node, cts[0]), conjugate(others(node)))};
}
Arrays jvp_prod(const Node& node, const Arrays& t) {
  return {sum_like(node, multiply(t[0], others(node)))};
}

// Shared equally among ties.
array share(const Node& node, uint32_t output) {
  const array& x = node.inputs[0];
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
  return {total};
}
Arrays jvp_extreme(const Node& node, const Arrays& t) {
  Arrays out;
  for (uint32_t i = 0; i < node.out.size(); ++i) {
    if (is_integral(node.inputs[0].dtype())) {
      const Hits at = hits_of(node, i);
      const array total = sum(multiply(t[0], at.hit), node.get<Reduce>().axes, true);
      out.push_back(reshape(floor_divide(total, at.count), node.out[i].spec.shape));
    } else {
      out.push_back(sum_like(node, multiply(t[0], share(node, i))));
    }
  }
  return out;
}

void check_axes(const Op& op, const Attrs* a, const Arrays& in, bool nonempty) {
  check_inputs(op.name, in, 1);
  const Axes& axes = static_cast<const AttrsOf<Reduce>*>(a)->value.axes;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i] < 0 || axes[i] >= in[0].ndim() || (i && axes[i] <= axes[i - 1]))
      fail(Kind::value, op.name, "not axes of the array: got ", axes, " for shape ", in[0].shape());
    if (nonempty && in[0].shape()[axes[i]] == 0 && size_of(without(in[0].shape(), axes, false)))
      fail(Kind::value, op.name, "nothing to reduce: got shape ", in[0].shape(), " along axes ",
           axes);
  }
}
template <const Op& op, bool nonempty>
void check_reduce(const Attrs* a, const Arrays& in) { check_axes(op, a, in, nonempty); }
extern const Op sum_op, prod_op, max_op, min_op, all_op, any_op, median_op, argmax_op, argmin_op;
const Op sum_op{.name = "sum",
                .doc = "Sum over axes.",
                .linear = true,
                .read = read_attrs<Reduce>,
                .check = check_reduce<sum_op, false>,
                .infer = infer_reduce,
                .vjp = vjp_sum,
                .vmap = vmap_reduce,
                .kernel = reduce_kernel<Monoid::sum>};
const Op prod_op{.name = "prod",
                 .doc = "Product over axes.",
                 .read = read_attrs<Reduce>,
                 .check = check_reduce<prod_op, false>,
                 .infer = infer_reduce,
                 .vjp = vjp_prod,
                 .jvp = jvp_prod,
                 .vmap = vmap_reduce,
                 .kernel = reduce_kernel<Monoid::prod>};
const Op max_op{.name = "max",
                .doc = "The largest over axes.",
                .read = read_attrs<Reduce>,
                .check = check_reduce<max_op, true>,
                .infer = infer_reduce,
                .vjp = vjp_extreme,
                .jvp = jvp_extreme,
                .vmap = vmap_reduce,
                .kernel = reduce_kernel<Monoid::max>};
const Op min_op{.name = "min",
                .doc = "The smallest over axes.",
                .read = read_attrs<Reduce>,
                .check = check_reduce<min_op, true>,
                .infer = infer_reduce,
                .vjp = vjp_extreme,
                .jvp = jvp_extreme,
                .vmap = vmap_reduce,
                .kernel = reduce_kernel<Monoid::min>};
const Op all_op{.name = "all",
                .doc = "True when no element is zero.",
                .read = read_attrs<Reduce>,
                .check = check_reduce<all_op, false>,
                .infer = infer_reduce,
                .vmap = vmap_reduce,
                .kernel = reduce_kernel<Monoid::all>};
const Op any_op{.name = "any",
                .doc = "True when some element is not zero.",
                .read = read_attrs<Reduce>,
                .check = check_reduce<any_op, false>,
                .infer = infer_reduce,
                .vmap = vmap_reduce,
                .kernel = reduce_kernel<Monoid::any>};

void check_not_empty(const char* op, const array& a, const Axes& axes) {
  for (int axis : axes)
    if (a.shape()[axis] == 0)
      fail(Kind::value, op, "of nothing: got an array of shape ", a.shape(), ", axis ", axis,
           " has size 0");
}

array reduce(const Op& op, const array& a, const Axes& axes, bool keepdims, Stream s) {
  Axes at = normal_axes(axes, a.ndim(), op.name);
  if (at.empty()) return a;
  if (&op == &max_op || &op == &min_op) check_not_empty(op.name, a, at);
  return record(op, attrs(Reduce{std::move(at), keepdims}), {a}, s);
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

// ---- median: the two elements in the middle
// ------------------------------------------------------

Specs infer_median(const Attrs* a, const Arrays& in) {
  const Specs one = infer_reduce(a, in);
  return {one[0], one[0]};
}

void median_kernel(const Call& call) {
  const Bound& in = call.in[0];
  if (size_of(call.out[0].shape()) == 0) return;
  const Split x = split_axes(in, call.node.get<Reduce>().axes);
  const Gathered rows = x.gathered();
  auto run = [&]<class T>(T* low, T* high) {
    const int64_t n = x.length, per = rows.together(n);
    cpu::parallel_for((x.results + per - 1) / per, [&](int64_t block) {
      const int64_t begin = block * per, count = std::min(per, x.results - begin);
      std::vector<T> all(static_cast<size_t>(count * n)), v;
      rows.read(begin, count, 0, n, reinterpret_cast<char*>(all.data()));
      for (int64_t r = begin; r < begin + count; ++r) {
        v.assign(all.begin() + (r - begin) * n, all.begin() + (r - begin + 1) * n);
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
    }, double(x.results) * double(n) * 8);
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
  return {Spec{without(in[0].shape(), r.axes, r.keepdims), uint32}};
}
template <Monoid monoid>
void arg_kernel(const Call& call) {
  if (size_of(call.out[0].shape()) == 0) return;
  const Split x = split_axes(call.in[0], call.node.get<Reduce>().axes);
  const ReduceKernel& k = reduce_kernels().reduce[int(monoid)][index_of(x.type)];
  const auto find = reduce_kernels().find[index_of(x.type)];
  if (!k.chunk || !find) fail(Kind::value, call.node.op->name, "dtype not supported: got ", x.type);
  uint32_t* out = reinterpret_cast<uint32_t*>(call.out[0].data);
  if (!x.in_rows()) return find_gathered(k, find, x.gathered(), x.wide(), out);
  const int64_t per = std::max<int64_t>(1, grain / 2 / x.length);
  cpu::parallel_for((x.results + per - 1) / per, [&](int64_t block) {
    alignas(16) char value[16];
    for (int64_t r = block * per; r < std::min(x.results, (block + 1) * per); ++r) {
      const char* data = x.row(r);
      reduce_row(k, data, x.length, x.width(), x.wide(), value);
      out[r] = uint32_t(find(data, x.length, value));
    }
  }, double(x.results) * double(x.length) * double(x.width()) * 0.1);
}
const Op argmax_op{.name = "argmax",
                   .doc = "The index of the first largest element along an axis.",
                   .read = read_attrs<Reduce>,
                   .check = check_reduce<argmax_op, true>,
                   .infer = infer_arg,
                   .vmap = vmap_reduce,
                   .kernel = arg_kernel<Monoid::max>};
const Op argmin_op{.name = "argmin",
                   .doc = "The index of the first smallest element along an axis.",
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

// ---- softmax over the last axis
// ------------------------------------------------------------------

Specs infer_softmax(const Attrs*, const Arrays& in) { return {in[0].slot().spec}; }
void softmax_kernel(const Call& call) {
  const Bound &in = call.in[0], &out = call.out[0];
  const int64_t size = size_of(in.shape());
  if (size == 0) return;
  Split x = split_axes(in, {int(in.shape().size()) - 1});
  const bool gathers = !x.in_rows() && x.length * x.width() <= 256 << 10;
  if (!gathers) x.make_rows();
  const Gathered rows = x.gathered();
  const auto run = reduce_kernels().softmax[index_of(x.type)];
  if (gathers) {
    const int64_t tile = rows.together(x.length), bytes = x.length * x.width();
    return cpu::parallel_for((x.results + tile - 1) / tile, [&](int64_t t) {
      const int64_t row = t * tile, count = std::min(tile, x.results - row);
      char* room = Gathered::room(count * bytes);
      rows.read(row, count, 0, x.length, room);
      for (int64_t r = 0; r < count; ++r)
        run(room + r * bytes, out.data + (row + r) * bytes, x.length, nullptr);
    }, double(size) * double(x.width()) * 0.5);
  }
  const int64_t per = std::max<int64_t>(1, grain / 2 / x.length);
  cpu::parallel_for((x.results + per - 1) / per, [&](int64_t block) {
    for (int64_t r = block * per; r < std::min(x.results, (block + 1) * per); ++r)
      run(x.row(r), out.data + r * x.length * x.width(), x.length, nullptr);  // no halves here
  }, double(size) * double(x.width()) * 0.4);
}
array softmax_slope(const Node& node, const array& t) {
  const array y = recorded(node, 0);
  return multiply(y, subtract(t, sum(multiply(t, y), {y.ndim() - 1}, true)));
}
Arrays vjp_softmax(const Node& node, const Arrays& cts, const Needs&) {
  return {softmax_slope(node, cts[0])};
}
Arrays jvp_softmax(const Node& node, const Arrays& t) { return {softmax_slope(node, t[0])}; }
Arrays vmap_softmax(const Node& node, const Arrays& in, const Axes& batch, Axes& out_axes) {
  out_axes = {0};
  return {record(*node.op, {}, {batch_first(in[0], batch[0])}, node.stream)};
}
void check_softmax(const Attrs*, const Arrays& in) {
  check_inputs("softmax", in, 1);
  if (in[0].ndim() == 0 || !is_floating(in[0].dtype()))
    fail(Kind::value, "softmax", "an array that has none: got ", in[0].dtype(), in[0].shape());
}
const Op softmax_op{.name = "softmax",
                    .doc = "exp(x) over its sum, along the last axis.",
                    .check = check_softmax,
                    .infer = infer_softmax,
                    .vjp = vjp_softmax,
                    .jvp = jvp_softmax,
                    .vmap = vmap_softmax,
                    .kernel = softmax_kernel};

}  // namespace

OpList reduce_ops() {
  return {&sum_op, &prod_op,   &max_op,    &min_op,    &all_op,
          &any_op, &median_op, &argmax_op, &argmin_op, &softmax_op};
}

// ---- what users call
// -----------------------------------------------------------------------------

array sum(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return reduce(sum_op, astype(a, total_type(a.dtype()), s), axes, keepdims, s);
}
array prod(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return reduce(prod_op, astype(a, total_type(a.dtype()), s), axes, keepdims, s);
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
  return reduce(all_op, astype(a, bool_, s), axes, keepdims, s);
}
array any(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return reduce(any_op, astype(a, bool_, s), axes, keepdims, s);
}
array count_nonzero(const array& a, const Axes& axes, bool keepdims, Stream s) {
  return sum(astype(a, bool_, s), axes, keepdims, s);
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
  const Dtype t = inexact_type(a.dtype());
  return astype(
      divide(sum(astype(a, compute_type(t), s), axes, keepdims, s), count_of(a, axes, "mean"), s),
      t, s);
}

array var(const array& a, const Axes& axes, bool keepdims, int ddof, Stream s) {
  const Dtype t = inexact_type(a.dtype());
  const array wide = astype(a, compute_type(t), s),
              d = subtract(wide, mean(wide, axes, true, s), s);
  const array squares =
      is_complex(t) ? add(square(real(d, s), s), square(imag(d, s), s), s) : square(d, s);
  const double n = std::max(count_of(a, axes, "var") - ddof, 0.0);
  return astype(divide(sum(squares, axes, keepdims, s), n, s), real_type(t), s);
}

array std(const array& a, const Axes& axes, bool keepdims, int ddof, Stream s) {
  const Dtype t = real_type(inexact_type(a.dtype()));
  const array wide = astype(a, compute_type(inexact_type(a.dtype())), s);
  return astype(sqrt(var(wide, axes, keepdims, ddof, s), s), t, s);
}

array median(const array& a, const Axes& axes, bool keepdims, Stream s) {
  const Dtype t = inexact_type(a.dtype());
  Axes at = normal_axes(axes, a.ndim(), "median");
  if (at.empty()) return astype(a, t, s);
  check_not_empty("median", a, at);
  const bool odd = int64_t(count_of(a, at, "median")) % 2;
  const Arrays middle = record_all(median_op, attrs(Reduce{std::move(at), keepdims}),
                                   {astype(a, compute_type(t), s)}, s);
  return astype(odd ? middle[0] : add(multiply(middle[0], 0.5, s), multiply(middle[1], 0.5, s), s),
                t, s);
}

array logsumexp(const array& a, const Axes& axes, bool keepdims, Stream s) {
  const Dtype t = inexact_type(a.dtype());
  const array x = astype(a, compute_type(t), s);
  // Of complex numbers the real part scales; the imaginary one would leave the principal branch.
  const array top = real(stop_gradient(max(x, axes, true, s), s), s),
              m = where(isfinite(top, s), top, 0, s);
  const array out = add(log(sum(exp(subtract(x, m, s), s), axes, true, s), s), m, s);
  return astype(keepdims || axes.empty() ? out : squeeze(out, axes, s), t, s);
}

// `precise` asks for nothing more: halves always run as float32.
array softmax(const array& a, const Axes& axes, bool, Stream s) {
  if (is_complex(a.dtype()))
    fail(Kind::type, "softmax", "no order: got ", a.dtype(), ", expected a real dtype");
  const Dtype t = inexact_type(a.dtype());
  const Axes at = normal_axes(axes, a.ndim(), "softmax");
  array x = astype(a, compute_type(t), s);
  if (at.empty()) return ones_like(astype(a, t, s), s);
  if (at.size() == 1 && at[0] == a.ndim() - 1) return astype(record(softmax_op, {}, {x}, s), t, s);
  Axes order, back;
  Shape flat;
  int64_t last = 1;
  for (int i = 0; i < a.ndim(); ++i)
    if (!holds(at, i)) {
      order.push_back(i);
      flat.push_back(a.shape()[i]);
    }
  for (int axis : at) {
    order.push_back(axis);
    last = product_of_sizes(last, a.shape()[axis], "median");
  }
  flat.push_back(last);
  back.resize(order.size());
  for (size_t i = 0; i < order.size(); ++i) back[order[i]] = int(i);
  x = transpose(x, order, s);
  const Shape shape = x.shape();
  const array y = record(softmax_op, {}, {reshape(x, flat, s)}, s);
  return astype(transpose(reshape(y, shape, s), back, s), t, s);
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
