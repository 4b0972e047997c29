// Windows of pooling: rows of an image of 56 x 56 places and 64 channels, which lies in the cache.
#include "engine/pool/kernels.h"

#include <vector>

#include "kernels.h"

namespace lazulite {

namespace engine {
LAZULITE_EACH_LEVEL(const PoolTable&, pool_kernels)
}  // namespace engine

namespace bench {
namespace {

constexpr int64_t channels = 64, width = 56;

void pools(const Level& level) {
  for (Dtype t : {float32, float64, float16, bfloat16, int8})
    for (int64_t size : {2, 3}) {
      const engine::PoolKernels& k = engine::pool_kernels_at(level).of[int(t)];
      const int64_t bytes = size_of(t), image = size * width * channels,
                    windows = (width - size) / 2 + 1;
      std::vector<int64_t> taps;
      for (int64_t i = 0; i < size; ++i)
        for (int64_t j = 0; j < size; ++j) taps.push_back((i * width + j) * channels);
      const std::string of = " of " + std::to_string(size) + " x " + std::to_string(size) +
                             ", stride 2/" + std::string(name_of(t));
      auto forward = [&](const char* name, void (*run)(const engine::PoolRun&)) {
        if (!run) return;
        add(level, "pool/" + std::string(name) + of, [=](Amount& amount) {
          amount = {windows * channels, (image + windows * channels) * bytes};
          Memory x(image * bytes);
          x.fill(t, image, -1, 1);
          return [=, x = std::move(x), out = Memory(windows * channels * bytes)] {
            run({.x = x.get(), .taps = taps.data(), .count = size * size, .step = 2 * channels,
                 .windows = windows, .channels = channels, .room = image, .out = out.get(),
                 .divisor = double(size * size)});
          };
        });
      };
      forward("max", k.max);
      forward("mean", k.sum);
      add(level, "pool/slope" + of, [=](Amount& amount) {
        const int64_t sums = size_of(compute_type(t));
        amount = {image, image * (bytes + sums) + windows * channels * bytes};
        Memory x(image * bytes), ct(windows * channels * bytes);
        x.fill(t, image, -1, 1);
        ct.fill(t, windows * channels, -1, 1);
        return [=, x = std::move(x), ct = std::move(ct), dx = Memory(image * sums)] {
          k.slope({.x = x.get(), .taps = taps.data(), .mine = nullptr, .count = size * size,
                   .step = 2 * channels, .windows = windows, .channels = channels,
                   .ct = ct.get(), .dx = dx.get(), .to = 0, .add = size > 2});
        };
      });
    }
}

const Room room(pools);

}  // namespace
}  // namespace bench
}  // namespace lazulite
