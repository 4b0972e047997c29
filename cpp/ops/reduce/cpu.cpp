// Reductions on the CPU: describes operands to engine/reduce and engine/norm, which read them where
// they lie.
#include <algorithm>
#include <vector>

#include "device/cpu/level.h"
#include "engine/reduce/rows.h"
#include "ops/cpu.h"
#include "ops/reduce/ops.h"

namespace lazulite {

LAZULITE_LEVELS(const ReduceKernels&, reduce_kernels)
LAZULITE_LEVELS(const TwoPassKernels&, two_pass_kernels)

namespace {

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

void fill_with(const TensorView& out, Scalar value) {
  for (int64_t i = 0; i < size_of(out.shape()); ++i)
    value.write(out.type(), out.data + i * size_of(out.type()));
}

void reduce_kernel(const KernelCall& call) {
  const auto& reduction = *static_cast<const Reduction*>(call.node.op->family);
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
  reduce_all(k, x, out, wide || is_bool(to.type()) ? nullptr : call.after);
  const Strides dense = dense_strides(to.shape());
  if (wide) engine::copy(to.shape(), {out, float32, dense}, {to.data, to.type(), dense});
  if (is_bool(to.type()))
    for (int64_t i = 0; i < results; ++i) to.data[i] = to.data[i] != 0;
}

// ---- variance and logsumexp: chunks are looked at twice

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
    if (call.after) call.after->run(from, 1, 0, std::min(step, results - from));
  }, double(results) * 2);
}
void variance_kernel(const KernelCall& call) {
  two_pass_kernel<&TwoPassKernels::variance>(call, call.node.get<Variance>().axes,
                                             divisor_of(call.node));
}
void logsumexp_kernel(const KernelCall& call) {
  two_pass_kernel<&TwoPassKernels::logsumexp>(call, call.node.get<Reduce>().axes, 1);
}

// ---- median: the two elements in the middle

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

// ---- argmax and argmin

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

// ---- softmax

void softmax_kernel(const KernelCall& call) {
  if (size_of(call.out[0].shape()) == 0) return;
  softmax_rows(RowsOf(call.in[0], 0).rows, call.out[0].data, call.after);
}
void softmax_slope_kernel(const KernelCall& call) {
  if (size_of(call.out[0].shape()) == 0) return;
  const RowsOf y(call.in[0], 0), t(call.in[1], 1);
  softmax_slope_rows(y.rows, t.rows, call.out[0].data, call.after);
}

}  // namespace

void register_reduce(cpu::Kernels& kernels) {
  for (const Op* op : reductions()) kernels[*op] = {reduce_kernel, Absorb::both};
  kernels[variance_op] = {variance_kernel, Absorb::both};
  kernels[logsumexp_op] = {logsumexp_kernel, Absorb::both};
  kernels[median_op] = {median_kernel};
  kernels[argmax_op] = {arg_kernel<Monoid::max>, Absorb::before};
  kernels[argmin_op] = {arg_kernel<Monoid::min>, Absorb::before};
  kernels[softmax_op] = {softmax_kernel, Absorb::both};
  kernels[softmax_slope_op] = {softmax_slope_kernel, Absorb::both};
}

}  // namespace lazulite
