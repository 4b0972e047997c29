// Sorting on the CPU: lines along an axis, as the engine wants them; lines through points.
#include <algorithm>
#include <complex>

#include "engine/sort/sort.h"
#include "ops/cpu.h"
#include "ops/sort/ops.h"

namespace lazulite {
namespace {

engine::Lines lines_of(const KernelCall& call, int axis) {
  const TensorView& in = call.in[0];
  return engine::lines_of(in.data, in.type(), in.shape(), in.strides(), axis,
                          call.out[0].shape()[axis]);
}
bool is_empty(const KernelCall& call) { return size_of(call.out[0].shape()) == 0; }
bool is_wide(const KernelCall& call) { return call.out[0].type() == int64; }

void sort_kernel(const KernelCall& call) {
  const Ordered& o = call.node.get<Ordered>();
  if (!is_empty(call)) engine::sort_lines(lines_of(call, o.axis), o.descending, call.out[0].data);
}
void argsort_kernel(const KernelCall& call) {
  const Ordered& o = call.node.get<Ordered>();
  if (!is_empty(call))
    engine::argsort_lines(lines_of(call, o.axis), o.descending, is_wide(call), call.out[0].data);
}
void partition_kernel(const KernelCall& call) {
  const Parted& p = call.node.get<Parted>();
  if (!is_empty(call)) engine::partition_lines(lines_of(call, p.axis), p.kth, call.out[0].data);
}
void argpartition_kernel(const KernelCall& call) {
  const Parted& p = call.node.get<Parted>();
  if (!is_empty(call))
    engine::argpartition_lines(lines_of(call, p.axis), p.kth, is_wide(call), call.out[0].data);
}
void topk_kernel(const KernelCall& call) {
  if (!is_empty(call))
    engine::topk_lines(lines_of(call, call.node.get<Largest>().axis), call.out[0].data);
}
void searchsorted_kernel(const KernelCall& call) {
  if (is_empty(call)) return;
  const Searched& s = call.node.get<Searched>();
  const Dense sorted(call.in[0]), values(call.in[1]);
  const Shape& shape = call.in[0].shape();
  int64_t rows = 1;
  for (int d = 0; d < s.lanes; ++d) rows *= shape[d];
  engine::search_rows(call.in[0].type(), sorted.data, rows, shape[s.lanes], values.data,
              size_of(call.out[0].shape()) / rows, s.right, is_wide(call), call.out[0].data);
}

void unique_kernel(const KernelCall& call) {
  const Different& d = call.node.get<Different>();
  const TensorView& in = call.in[0];
  const Dense dense(in);
  const int64_t n = in.shape()[in.shape().size() - 1];
  const int64_t rows = size_of(call.out[3].shape());
  auto* first = reinterpret_cast<uint32_t*>(call.out[0].data);
  auto* inverse = reinterpret_cast<uint32_t*>(call.out[1].data);
  auto* counts = reinterpret_cast<int32_t*>(call.out[2].data);
  auto* found = reinterpret_cast<int64_t*>(call.out[3].data);
  auto run = [&](int64_t r) {
    found[r] = engine::distinct_elements(
        in.type(), dense.data + r * n * size_of(in.type()), n, d.equal_nan,
        {d.size, first + r * d.size, d.inverse ? inverse + r * n : nullptr, counts + r * d.size});
  };
  if (rows == 1) run(0);  // with all threads
  else cpu::parallel_for(rows, run, double(rows) * double(n) * 10);
}

// ---- lines through points

// A number x among n places of which `below` are at or below it. Where infinities meet: from the
// other end, flat between equal values, and the points as such.
template <class X, class R>
R line_at(X x, const X* places, const R* values, int64_t n, int64_t below) {
  if (x != x) return R(x);
  if (x < places[0]) return values[0];
  if (x >= places[n - 1]) return values[n - 1];
  const int64_t low = std::max<int64_t>(std::min(below - 1, n - 2), 0),  // whatever their order is
                high = std::min(low + 1, n - 1);
  const X x0 = places[low], x1 = places[high];
  const R y0 = values[low], y1 = values[high];
  if (x == x0) return y0;
  using Part = decltype(std::real(R()));  // of a complex number both are lines
  auto line = [&](Part from, Part to) {
    const Part width = Part(x1 - x0), slope = (to - from) / (width == 0 ? Part(1) : width);
    Part y = slope * Part(x - x0) + from;
    if (y != y) y = slope * Part(x - x1) + to;
    return y != y && from == to ? from : y;
  };
  if constexpr (is_complex(dtype_of<R>))
    return R(line(y0.real(), y1.real()), line(y0.imag(), y1.imag()));
  else return line(y0, y1);
}

// Some of them at a time, without a branch; false where one may be no number.
constexpr int64_t some_lines = 64;
template <class X, class R>
bool lines_at(const X* x, const X* places, const R* values, int64_t n, const int64_t* below,
              R* to) {
  X x0[some_lines], x1[some_lines];
  R y0[some_lines], y1[some_lines];
  for (int64_t i = 0; i < some_lines; ++i) {
    const int64_t low = std::max<int64_t>(std::min(below[i] - 1, n - 2), 0),
                  high = std::min(low + 1, n - 1);
    x0[i] = places[low], x1[i] = places[high];
    y0[i] = values[low], y1[i] = values[high];
  }
  const X first = places[0], last = places[n - 1];
  const R begin = values[0], end = values[n - 1];
  R y[some_lines];
  int32_t odd = 0;
  for (int64_t i = 0; i < some_lines; ++i) {
    const R width = R(x1[i] - x0[i]), slope = (y1[i] - y0[i]) / (width == 0 ? R(1) : width);
    y[i] = slope * R(x[i] - x0[i]) + y0[i];
    odd |= y[i] != y[i];
  }
  if (odd) return false;
  for (int64_t i = 0; i < some_lines; ++i) {
    const R inside = x[i] == x0[i] ? y0[i] : y[i];
    to[i] = x[i] < first ? begin : x[i] >= last ? end : inside;
  }
  return true;
}

void interp_kernel(const KernelCall& call) {
  if (is_empty(call)) return;
  const Dense x(call.in[0]), places(call.in[1]), values(call.in[2]);
  const int64_t n = call.in[1].shape().back(), rows = size_of(call.in[1].shape()) / n,
                all = size_of(call.out[0].shape()), count = all / rows;
  const Ref<Buffer> held = allocate(all * int64_t(sizeof(int64_t)));
  auto* const below = static_cast<int64_t*>(held->data);
  engine::search_rows(call.in[0].type(), places.data, rows, n, x.data, count, true, true, below);
  auto run = [&]<class X, class R>() {
    const auto* from = reinterpret_cast<const X*>(x.data);
    const auto* at = reinterpret_cast<const X*>(places.data);
    const auto* y = reinterpret_cast<const R*>(values.data);
    auto* const to = reinterpret_cast<R*>(call.out[0].data);
    cpu::parallel_for((all + grain - 1) / grain, [&](int64_t part) {
      const int64_t begin = part * grain, end = std::min(all, begin + grain);
      for (int64_t i = begin; i < end;) {
        const int64_t row = i / count, stop = std::min({end, (row + 1) * count, i + some_lines});
        if constexpr (!is_complex(dtype_of<R>))
          if (stop - i == some_lines &&
              lines_at(from + i, at + row * n, y + row * n, n, below + i, to + i)) {
            i = stop;
            continue;
          }
        for (; i < stop; ++i)
          to[i] = line_at<X, R>(from[i], at + row * n, y + row * n, n, below[i]);
      }
      if (call.after) call.after->run(begin, 1, 0, end - begin);
    }, double(all) * 6);
  };
  auto with_values = [&]<class X>() {
    switch (call.out[0].type()) {
      case float32:
        if constexpr (sizeof(X) == 4) return run.template operator()<X, float>();
        return;
      case complex64:
        if constexpr (sizeof(X) == 4) return run.template operator()<X, std::complex<float>>();
        return;
      case float64: return run.template operator()<X, double>();
      default: return run.template operator()<X, std::complex<double>>();
    }
  };
  if (call.in[0].type() == float32) with_values.template operator()<float>();
  else with_values.template operator()<double>();
}

}  // namespace

void register_sort(cpu::Kernels& kernels) {
  kernels[sort_op] = {sort_kernel};
  kernels[argsort_op] = {argsort_kernel};
  kernels[partition_op] = {partition_kernel};
  kernels[argpartition_op] = {argpartition_kernel};
  kernels[topk_op] = {topk_kernel};
  kernels[searchsorted_op] = {searchsorted_kernel};
  kernels[unique_op] = {unique_kernel};
  kernels[interp_op] = {interp_kernel, Absorb::after};
}

}  // namespace lazulite
