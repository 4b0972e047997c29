// Ramps on the CPU.
#include <algorithm>

#include "base/convert.h"
#include "ops/cpu.h"
#include "ops/create/ops.h"

namespace lazulite {
namespace {

void ramp_kernel(const KernelCall& call) {
  const Ramp& r = call.node.get<Ramp>();
  const TensorView& out = call.out[0];
  const bool whole = r.start.is_int() && r.step.is_int();
  constexpr int64_t chunk = grain;
  dispatch(r.type, [&]<class T>() {
    T* to = reinterpret_cast<T*>(out.data);
    const uint64_t start = uint64_t(r.start.wrapped()), step = uint64_t(r.step.wrapped());
    const double from = r.start.real(), by = r.step.real();
    cpu::parallel_for((r.count + chunk - 1) / chunk, [&](int64_t part) {
      const int64_t end = std::min(r.count, (part + 1) * chunk);
      for (int64_t i = part * chunk; i < end; ++i) {
        if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
          to[i] = whole ? T(start + uint64_t(i) * step) : convert_number<T>(from + double(i) * by);
        } else {
          const double v =
              whole ? double(int64_t(start + uint64_t(i) * step)) : from + double(i) * by;
          if constexpr (std::is_same_v<T, bool>) to[i] = v != 0;
          else if constexpr (is_complex(dtype_of<T>)) to[i] = T(typename T::value_type(v), 0);
          else to[i] = T(v);
        }
      }
      if (call.after) call.after->run(part * chunk, 1, 0, end - part * chunk);
    }, double(r.count));
  });
}

}  // namespace

void register_create(cpu::Kernels& kernels) { kernels[ramp_op] = {ramp_kernel, Absorb::after}; }

}  // namespace lazulite
