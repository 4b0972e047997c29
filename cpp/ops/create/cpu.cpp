// Ramps and bands on the CPU.
#include <algorithm>

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

}  // namespace

void register_create(cpu::Kernels& kernels) {
  kernels[ramp_op] = {ramp_kernel, Absorb::after};
  kernels[band_op] = {band_kernel, Absorb::after};
}

}  // namespace lazulite
