// Ramps, bands and triangles on the CPU.
#include <algorithm>
#include <cstring>
#include <optional>

#include "device/cpu/level.h"
#include "engine/create/create.h"
#include "ops/cpu.h"
#include "ops/create/ops.h"

namespace lazulite {
namespace engine {
LAZULITE_LEVELS(const CreateKernels&, create_kernels)
}  // namespace engine
namespace {

void ramp_kernel(const KernelCall& call) {
  const Ramp& r = call.node.get<Ramp>();
  const engine::RampSteps steps{r.start.is_int() && r.step.is_int(), r.start.wrapped(),
                                r.step.wrapped(), r.start.real(), r.step.real()};
  const auto run = engine::create_kernels().ramp[index_of(r.type)];
  char* const to = call.out[0].data;
  cpu::parallel_for((r.count + grain - 1) / grain, [&](int64_t part) {
    const int64_t begin = part * grain, n = std::min(grain, r.count - begin);
    run(steps, begin, n, to + begin * size_of(r.type));
    if (call.after) call.after->run(begin, 1, 0, n);
  }, double(r.count) * 0.3);
}

void band_kernel(const KernelCall& call) {
  const Band& b = call.node.get<Band>();
  if (b.rows == 0 || b.columns == 0) return;
  alignas(16) char one[16];
  Scalar(1).write(b.type, one);
  const engine::BandShape shape{b.columns, b.low, b.high};
  const int64_t bytes = size_of(b.type), some = std::max<int64_t>(1, grain / b.columns);
  const auto run = engine::create_kernels().band[__builtin_ctzll(uint64_t(bytes))];
  char* const to = call.out[0].data;
  cpu::parallel_for((b.rows + some - 1) / some, [&](int64_t part) {
    const int64_t begin = part * some, end = std::min(b.rows, begin + some);
    run(shape, one, begin, end, to + begin * b.columns * bytes);
    if (call.after) call.after->run(begin * b.columns, 1, 0, (end - begin) * b.columns);
  }, double(b.rows) * (double(b.columns * bytes) * 0.04 + 10));
}

void triangle_kernel(const KernelCall& call) {
  const Triangle& t = call.node.get<Triangle>();
  const TensorView &in = call.in[0], &out = call.out[0];
  const Shape& shape = out.shape();
  const size_t last = shape.size() - 1;
  const int64_t rows = shape[last - 1], columns = shape[last], bytes = size_of(out.type()),
                bound = std::clamp(t.bound, -rows, columns);
  if (size_of(shape) == 0) return;
  std::optional<Dense> held;  // what is not rows without gaps
  Strides strides = in.strides();
  if (strides[last] != 1) {
    held.emplace(in);
    strides = dense_strides(shape);
  }
  const char* const from = held ? held->data : in.data;
  const int64_t all = size_of(shape) / columns, some = std::max<int64_t>(1, grain / columns);
  cpu::parallel_for((all + some - 1) / some, [&](int64_t part) {
    const int64_t begin = part * some, end = std::min(all, begin + some);
    for (int64_t i = begin; i < end; ++i) {
      int64_t at = 0, rest = i;
      for (size_t d = last; d-- > 0; rest /= shape[d]) at += rest % shape[d] * strides[d];
      // Elements [first, first + n) of the row stay.
      const int64_t edge = std::clamp<int64_t>(i % rows + bound + !t.upper, 0, columns),
                    first = t.upper ? edge : 0, n = t.upper ? columns - edge : edge;
      char* const to = out.data + i * columns * bytes;
      std::memset(to + (t.upper ? 0 : n) * bytes, 0, size_t((columns - n) * bytes));
      std::memcpy(to + first * bytes, from + (at + first) * bytes, size_t(n * bytes));
    }
    if (call.after) call.after->run(begin * columns, 1, 0, (end - begin) * columns);
  }, double(all) * (double(columns * bytes) * 0.06 + 10));
}

}  // namespace

void register_create(cpu::Kernels& kernels) {
  kernels[ramp_op] = {ramp_kernel, Absorb::after};
  kernels[band_op] = {band_kernel, Absorb::after};
  kernels[triangle_op] = {triangle_kernel, Absorb::after};
}

}  // namespace lazulite
