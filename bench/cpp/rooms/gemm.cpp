// One tile of a product by plain loops, and one block of sums of packed panels.
#include "engine/gemm/kernels.h"
#include "engine/gemm/panels.h"

#include "device/limits.h"
#include "kernels.h"

namespace lazulite {

namespace engine {
LAZULITE_EACH_LEVEL(const GemmKernels&, gemm_kernels)
LAZULITE_EACH_LEVEL(const PanelTable&, panel_kernels)
}  // namespace engine

namespace bench {
namespace {

void products(const Level& level) {
  const engine::GemmKernels& kernels = engine::gemm_kernels_at(level);
  for (Dtype t : {float32, float64, int32, complex64})
    for (int64_t size : {64, 256, 1024}) {
      auto tile = kernels.tile[int(t)];
      if (!tile) continue;
      const int64_t m = std::min(size, tile_rows), n = std::min(size, tile_columns), k = size;
      const std::string shape =
          std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n);
      add(level, "gemm/tile of " + shape + "/" + std::string(name_of(t)), [=](Amount& amount) {
        const double flops = 2.0 * double(m * n * k) * (is_complex(t) ? 4 : 1);
        amount = {m * n, (m * k + k * n + m * n) * size_of(t), flops,
                  is_complex(t) ? float32 : t};
        Memory a(m * k * size_of(t)), b(k * n * size_of(t));
        a.fill(t, m * k, -1, 1);
        b.fill(t, k * n, -1, 1);
        return [=, a = std::move(a), b = std::move(b), out = Memory(m * n * size_of(t))] {
          tile({a.get(), b.get(), out.get(), m, n, k, k, 1, n, n});
        };
      });
    }
}

void panels(const Level& level) {
  for (Dtype t : {float32, float64}) {
    const engine::PanelKernels& kernels = engine::panel_kernels_at(level).of[int(t)];
    if (!kernels.block) continue;
    add(level, "gemm/block of packed panels/" + std::string(name_of(t)), [=](Amount& amount) {
      const int64_t m = kernels.rows, n = kernels.cols, k = inner_panel;
      amount = {m * n, (m * k + k * n + m * n) * size_of(t), 2.0 * double(m * n * k), t};
      Memory a(m * k * size_of(t)), b(k * n * size_of(t));
      a.fill(t, m * k, -1, 1);
      b.fill(t, k * n, -1, 1);
      return [=, a = std::move(a), b = std::move(b), out = Memory(m * n * size_of(t))] {
        kernels.block({a.get(), b.get(), out.get(), k, m, n, n, int(m), int(n), false});
      };
    });
  }
}

const Room room(products), room_of_panels(panels);

}  // namespace
}  // namespace bench
}  // namespace lazulite
