// One tile of a product, as a thread takes it.
#include "engine/gemm/kernels.h"

#include "device/limits.h"
#include "kernels.h"

namespace lazulite {

namespace engine { LAZULITE_EACH_LEVEL(const GemmKernels&, gemm_kernels) }

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

const Room room(products);

}  // namespace
}  // namespace bench
}  // namespace lazulite
