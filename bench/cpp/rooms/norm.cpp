// Norms and softmax of a row.
#include "engine/norm/norm.h"

#include "kernels.h"

namespace lazulite {

namespace engine {
LAZULITE_EACH_LEVEL(const NormKernels&, norm_kernels)
}  // namespace engine

namespace bench {
namespace {

void rows(const Level& level) {
  const engine::NormKernels& kernels = engine::norm_kernels_at(level);
  for (Dtype t : {float32, float64, bfloat16})
    for (int64_t n : {64, 1024, 16384}) {
      const std::string of = " of " + std::to_string(n) + "/" + std::string(name_of(t));
      const Dtype wide = compute_type(t);
      auto row = [=](Memory& x) { x.fill(t, n, -2, 2); };
      auto parameters = [=](Memory& w) { w.fill(wide, n, 0.5, 1.5); };
      const int64_t bytes = 2 * n * size_of(t), more = n * size_of(wide);
      if (auto softmax = kernels.softmax[int(t)])
        add(level, "norm/softmax" + of, [=](Amount& amount) {
          amount = {n, bytes};
          Memory x(bytes);
          row(x);
          return [=, x = std::move(x), out = Memory(bytes)] { softmax(x.get(), out.get(), n); };
        });
      for (bool centred : {true, false}) {
        const std::string name = centred ? "layer_norm" : "rms_norm";
        if (auto forward = kernels.forward[int(t)][0])
          add(level, "norm/" + name + of, [=](Amount& amount) {
            amount = {n, bytes + more};
            Memory x(bytes), w(more);
            row(x);
            parameters(w);
            return [=, x = std::move(x), w = std::move(w), out = Memory(bytes)] {
              forward(x.get(), w.get(), nullptr, 1e-5, centred, n, out.get());
            };
          });
        if (auto backward = kernels.backward[int(t)][0])
          add(level, "norm/" + name + " backward" + of, [=](Amount& amount) {
            amount = {n, bytes / 2 * 3 + 2 * more};
            Memory x(bytes), ct(bytes), w(more);
            row(x);
            row(ct);
            parameters(w);
            return [=, x = std::move(x), ct = std::move(ct), w = std::move(w),
                    dx = Memory(bytes), dw = Memory(more)] {
              backward(x.get(), w.get(), ct.get(), 1e-5, centred, n, dx.get(), dw.get(), nullptr);
            };
          });
      }
    }
}

const Room room(rows);

}  // namespace
}  // namespace bench
}  // namespace lazulite
