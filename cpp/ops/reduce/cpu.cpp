// Reductions on the CPU: describes operands to engine/reduce and engine/norm, which read them where
// they lie.
#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "device/cpu/level.h"
#include "engine/norm/columns.h"
#include "engine/reduce/rows.h"
#include "engine/sort/sort.h"
#include "eval/eval.h"
#include "ops/cpu.h"
#include "ops/reduce/ops.h"

namespace lazulite {

namespace engine {
LAZULITE_LEVELS(const ReduceKernels&, reduce_kernels)
LAZULITE_LEVELS(const TwoPassKernels&, two_pass_kernels)
LAZULITE_LEVELS(const LongSumKernels&, long_sum_kernels)
}  // namespace engine

namespace {

// An input, read as `type`: kept axes and reduced axes, each collapsed. It must not be empty.
engine::Rows rows_of(const TensorView& in, const Axes& axes, Dtype type, bool truth = false) {
  engine::Rows out;
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
  const int64_t n = size_of(out.shape());
  for (int64_t i = 0; i < n; ++i)
    value.write(out.type(), out.data + i * size_of(out.type()));
}

// How a node reads its input: reductions by a monoid, and long sums and those that look at chunks
// twice, whose accumulators are states.
struct Reads {
  const Axes* axes;
  Dtype type;
  bool truth = false;
  const engine::ReduceKernel* k = nullptr;        // null: no kernel for the dtype
  const engine::StateKernel* states = nullptr;
};
int64_t length_of(const Node& node, const Axes& axes) {
  int64_t length = 1;
  for (int axis : axes) length *= node.inputs[0].shape()[axis];
  return length;
}
Reads reads_of(const Node& node) {
  const Dtype in = node.inputs[0].dtype();
  if (const auto* reduction = static_cast<const Reduction*>(node.op->family)) {
    Reads out{&node.get<Reduce>().axes, reduction->read(in), reduction->truth && !is_bool(in)};
    const engine::LongSumKernels& sums = engine::long_sum_kernels();
    const auto* states = reduction->monoid == engine::Monoid::sum       ? sums.sum
                         : reduction->monoid == engine::Monoid::numbers ? sums.numbers
                         : reduction->monoid == engine::Monoid::count   ? sums.count
                                                                        : nullptr;
    if (states && is_inexact(out.type) && length_of(node, *out.axes) >= engine::long_sum) {
      out.states = &states[index_of(out.type)];
      if (out.states->finish) out.k = &out.states->reduce;
      return out;
    }
    const engine::ReduceKernel& k =
        engine::reduce_kernels().reduce[int(reduction->monoid)][index_of(out.type)];
    if (k.chunk) out.k = &k;
    return out;
  }
  const bool variance = node.op == &variance_op;
  Reads out{variance ? &node.get<Variance>().axes : &node.get<Reduce>().axes,
            is_half(in) ? in : mean_type(in)};
  const auto& table =
      variance ? engine::two_pass_kernels().variance : engine::two_pass_kernels().logsumexp;
  out.states = &table[index_of(out.type)];
  if (out.states->finish) out.k = &out.states->reduce;
  return out;
}
double scale_of(const Node& node) { return node.op == &variance_op ? divisor_of(node) : 1; }

// Where accumulators go, and how results are made of them.
class Results {
 public:
  Results(const KernelCall& call, const Reads& reads) : call_(call), reads_(reads) {
    const TensorView& to = call.out[0];
    if (!reads.k)
      fail(Kind::value, call.node.op->name, "dtype not supported: got ", call.in[0].type());
    if (reads.states || is_half(to.type())) wide_ = allocate(count() * reads.k->bytes);
  }
  engine::Reducing reducing() const { return {reads_.k, accumulators()}; }
  // What goes on from accumulators, where they are the results.
  const After* after() const {
    return wide_ || is_bool(call_.out[0].type()) ? nullptr : call_.after;
  }
  void finish() const {
    const TensorView& to = call_.out[0];
    if (reads_.states) return finish_states();
    if (wide_) round_to_half(accumulators());
    if (is_bool(to.type())) make_bools(reinterpret_cast<uint8_t*>(to.data), count());
  }

 private:
  int64_t count() const { return size_of(call_.out[0].shape()); }
  char* accumulators() const {
    return wide_ ? static_cast<char*>(wide_->data) : call_.out[0].data;
  }
  void round_to_half(char* from) const {
    const TensorView& to = call_.out[0];
    const Strides dense = dense_strides(to.shape());
    engine::copy(to.shape(), {from, float32, dense}, {to.data, to.type(), dense});
  }
  void finish_states() const {
    const TensorView& to = call_.out[0];
    const double divisor = scale_of(call_.node);
    if (is_half(to.type())) {
      const Ref<Buffer> sums = allocate(count() * size_of(float32));
      reads_.states->finish(accumulators(), count(), divisor, sums->data);
      return round_to_half(static_cast<char*>(sums->data));
    }
    constexpr int64_t step = grain;
    cpu::parallel_for((count() + step - 1) / step, [&](int64_t part) {
      const int64_t from = part * step, n = std::min(step, count() - from);
      reads_.states->finish(accumulators() + from * reads_.k->bytes, n, divisor,
                            to.data + from * size_of(to.type()));
      if (call_.after) call_.after->run(from, 1, 0, n);
    }, double(count()) * 2);
  }

  const KernelCall& call_;
  const Reads reads_;
  Ref<Buffer> wide_;
};

// Whether axes of size 1 leave an element of the same dtype.
bool is_element(const KernelCall& call) {
  const auto* reduction = static_cast<const Reduction*>(call.node.op->family);
  if (!reduction || call.in[0].type() != call.out[0].type() ||
      length_of(call.node, call.node.get<Reduce>().axes) != 1)
    return false;
  using enum engine::Monoid;
  return !reduction->truth && (reduction->monoid == sum || reduction->monoid == prod ||
                               reduction->monoid == max || reduction->monoid == min);
}
void take_element(const KernelCall& call) {
  const TensorView& in = call.in[0];
  engine::copy(in.shape(), {in.data, in.type(), in.strides()},
               {call.out[0].data, in.type(), dense_strides(in.shape())});
}

// One node, or several that read the same rows of one array: in one pass.
void reduce_together(const KernelCall* calls, size_t count) {
  const TensorView& in = calls[0].in[0];
  if (size_of(calls[0].out[0].shape()) == 0) return;
  if (!in.formed && std::all_of(calls, calls + count, is_element))
    return void(std::for_each(calls, calls + count, take_element));
  if (size_of(in.shape()) == 0) {
    for (size_t i = 0; i < count; ++i) {
      const Node& node = calls[i].node;
      const auto* reduction = static_cast<const Reduction*>(node.op->family);
      fill_with(calls[i].out[0], reduction ? Scalar(identities[int(reduction->monoid)])
                                           : Scalar(0.0 / scale_of(node)));
    }
    return;
  }
  std::vector<Results> results;
  engine::Reductions all;
  bool columns = true;
  results.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    results.emplace_back(calls[i], reads_of(calls[i].node));
    all.push_back(results.back().reducing());
    columns &= all.back().k->take != nullptr;
  }
  const Reads reads = reads_of(calls[0].node);
  engine::Rows x = rows_of(in, *reads.axes, reads.type, reads.truth);
  x.settle(columns);
  engine::reduce_all(all, x, count == 1 ? results[0].after() : nullptr);
  for (const Results& one : results) one.finish();
}
void reduce_kernel(const KernelCall& call) { reduce_together(&call, 1); }

// Of the states of variances, which begin with the mean, its rest and the squares around them. A
// mean that is no finite number is 0 there, and the squares are nan where a number was none.
bool has_nan(const char* squares, Dtype t) {
  return dispatch(t, [&]<class T>() {
    T value;
    std::memcpy(&value, squares, sizeof value);
    return value != value;
  });
}
void mean_parts_kernel(const KernelCall& call) {
  const int64_t count = size_of(call.out[0].shape());
  if (count == 0) return;
  const Dtype t = call.in[0].type();
  const engine::ReduceKernel& k = engine::two_pass_kernels().variance[index_of(t)].reduce;
  const Ref<Buffer> states = allocate(count * k.bytes);
  engine::Rows x = rows_of(call.in[0], call.node.get<Reduce>().axes, t);
  x.settle(false);
  engine::reduce_all({{&k, static_cast<char*>(states->data)}}, x);
  const int64_t width = size_of(t);
  for (int64_t i = 0; i < count; ++i) {
    const char* state = static_cast<const char*>(states->data) + i * k.bytes;
    if (has_nan(state + 2 * width, real_type(t)))
      Scalar(std::numeric_limits<double>::quiet_NaN()).write(t, call.out[0].data + i * width);
    else
      std::memcpy(call.out[0].data + i * width, state, size_t(width));
    std::memcpy(call.out[1].data + i * width, state + width, size_t(width));
  }
}

bool reduce_joins(const Node& a, const Node& b) {
  const Reads x = reads_of(a), y = reads_of(b);
  return x.k && y.k && *x.axes == *y.axes && x.type == y.type && x.truth == y.truth;
}

// ---- median: the two elements in the middle

void median_kernel(const KernelCall& call) {
  const TensorView& in = call.in[0];
  if (size_of(call.out[0].shape()) == 0) return;
  const engine::Rows x = rows_of(in, call.node.get<Reduce>().axes, mean_type(in.type()));
  auto run = [&]<class T>(T* low, T* high) {
    const int64_t n = x.length, per = x.together(n);
    cpu::parallel_for((x.rows + per - 1) / per, [&](int64_t block) {
      const int64_t begin = block * per, count = std::min(per, x.rows - begin);
      const T* all = reinterpret_cast<const T*>(x.read(begin, count, 0, n));
      if constexpr (!is_complex(dtype_of<T>))
        return engine::middles_of_lines(x.type, all, n, count, low + begin, high + begin);
      std::vector<T> v;
      for (int64_t r = begin; r < begin + count; ++r) {
        v.assign(all + (r - begin) * n, all + (r - begin + 1) * n);
        const auto nan = std::find_if(v.begin(), v.end(), [](T e) { return e != e; });
        if (nan != v.end()) {
          low[r] = high[r] = *nan;
          continue;
        }
        const auto middle = v.begin() + n / 2;
        const auto less = [](const T& a, const T& b) {  // by real part, then imaginary
          if constexpr (is_complex(dtype_of<T>))
            return a.real() < b.real() || (a.real() == b.real() && a.imag() < b.imag());
          else
            return a < b;
        };
        std::nth_element(v.begin(), middle, v.end(), less);
        high[r] = *middle;
        low[r] = n % 2 ? *middle : *std::max_element(v.begin(), middle, less);
      }
    }, double(x.rows) * double(n) * 3);
  };
  dispatch(x.type, [&]<class T>() {
    if constexpr (dtype_of<T> == float32 || dtype_of<T> == float64 || is_complex(dtype_of<T>))
      run(reinterpret_cast<T*>(call.out[0].data), reinterpret_cast<T*>(call.out[1].data));
  });
}

// ---- argmax and argmin

template <engine::Monoid monoid>
void arg_kernel(const KernelCall& call) {
  if (size_of(call.out[0].shape()) == 0) return;
  const TensorView& in = call.in[0];
  if (length_of(call.node, call.node.get<Reduce>().axes) == 1)
    return void(std::memset(call.out[0].data, 0,
                            size_t(size_of(call.out[0].shape()) * size_of(call.out[0].type()))));
  engine::Rows x = rows_of(in, call.node.get<Reduce>().axes, in.type());
  x.settle(false);
  const engine::ReduceKernel& k = engine::reduce_kernels().reduce[int(monoid)][index_of(x.type)];
  const engine::FindKernel& find = engine::reduce_kernels().find[index_of(x.type)];
  if (!k.chunk || !find.first)
    fail(Kind::value, call.node.op->name, "dtype not supported: got ", x.type);
  engine::find_all(k, find, x, call.out[0].type() == int64, call.out[0].data);
}

// ---- softmax

void softmax_kernel(const KernelCall& call) {
  if (size_of(call.out[0].shape()) == 0) return;
  engine::softmax_rows(RowsOf(call.in[0], 0).rows, call.out[0].data, call.after);
}
void softmax_slope_kernel(const KernelCall& call) {
  if (size_of(call.out[0].shape()) == 0) return;
  const RowsOf y(call.in[0], 0), t(call.in[1], 1);
  engine::softmax_slope_rows(y.rows, t.rows, call.out[0].data, call.after);
}

// An operand as rows of another axis than the last, with `inner` elements behind it.
struct ColumnsOf {
  engine::Rows rows;
  int64_t inner = 1;

  ColumnsOf(const TensorView& in, int behind, int slot) {
    const int axis = int(in.shape().size()) - 1 - behind;
    for (int i = axis + 1; i <= axis + behind; ++i) inner *= in.shape()[i];
    rows = rows_of(in, {axis}, in.type());
    rows.slot = slot;
  }
};
void softmax_along_kernel(const KernelCall& call) {
  if (size_of(call.out[0].shape()) == 0) return;
  const ColumnsOf x(call.in[0], call.node.get<Along>().behind, 0);
  engine::softmax_columns(x.rows, x.inner, call.out[0].data, call.after);
}
void softmax_slope_along_kernel(const KernelCall& call) {
  if (size_of(call.out[0].shape()) == 0) return;
  const int behind = call.node.get<Along>().behind;
  const ColumnsOf y(call.in[0], behind, 0), t(call.in[1], behind, 1);
  engine::softmax_slope_columns(y.rows, t.rows, y.inner, call.out[0].data, call.after);
}

}  // namespace

void register_reduce(cpu::Kernels& kernels) {
  const OpKernels reducing{reduce_kernel, Absorb::both, false, reduce_together, reduce_joins};
  for (const Op* op : reductions()) kernels[*op] = reducing;
  kernels[variance_op] = kernels[logsumexp_op] = reducing;
  kernels[mean_parts_op] = {mean_parts_kernel};
  kernels[median_op] = {median_kernel};
  kernels[argmax_op] = {arg_kernel<engine::Monoid::max>, Absorb::before};
  kernels[argmin_op] = {arg_kernel<engine::Monoid::min>, Absorb::before};
  kernels[softmax_op] = {softmax_kernel, Absorb::both, true};
  kernels[softmax_slope_op] = {softmax_slope_kernel, Absorb::both, true};
  kernels[softmax_along_op] = {softmax_along_kernel, Absorb::both, true};
  kernels[softmax_slope_along_op] = {softmax_slope_along_kernel, Absorb::both, true};
}

}  // namespace lazulite
