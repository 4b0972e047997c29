// Blocks of convolutions: a row of places of an image times a strip of weights, its gradient, and
// channels by themselves.
#include "engine/conv/kernels.h"

#include <vector>

#include "kernels.h"

namespace lazulite {

namespace engine {
LAZULITE_EACH_LEVEL(const ConvTable&, conv_kernels)
}  // namespace engine

namespace bench {
namespace {

constexpr int64_t taps = 3, channels = 64, width = 58;  // of an image with zeros at both ends

void convolutions(const Level& level) {
  for (Dtype t : {float32, float64}) {
    const engine::ConvTable& all = engine::conv_kernels_at(level);
    const engine::ConvKernels& k = t == float32 ? all.of_floats : all.of_doubles;
    const int64_t bytes = size_of(t), image = taps * width * channels;
    std::vector<engine::Run> rows, places;
    for (int64_t i = 0; i < taps; ++i) {
      rows.push_back({i * width * channels, i * taps * channels * k.cols});
      for (int64_t j = 0; j < taps; ++j)
        places.push_back({(i * width + j) * channels, (i * taps + j) * channels});
    }
    const std::string name = "/" + std::string(name_of(t));
    add(level, "conv/3 x 3 taps of 64 channels" + name, [=](Amount& amount) {
      const int64_t steps = taps * taps * channels;
      amount = {k.rows * k.cols, (k.rows * channels * taps + steps * k.cols) * bytes,
                2.0 * double(k.rows * k.cols * steps), t};
      Memory x(image * bytes), w(steps * k.cols * bytes);
      x.fill(t, image, -1, 1);
      w.fill(t, steps * k.cols, -1, 1);
      return [=, x = std::move(x), w = std::move(w), out = Memory(k.rows * k.cols * bytes)] {
        k.along({x.get(), w.get(), out.get(), rows.data(), taps, taps * channels, channels, k.cols,
                 k.cols, k.rows, k.cols, false});
      };
    });
    add(level, "conv/slopes of weights, rows of 56" + name, [=](Amount& amount) {
      const int64_t steps = 56 * taps;
      amount = {k.rows * k.cols, (k.rows + k.cols) * steps * bytes,
                2.0 * double(k.rows * k.cols * steps), t};
      Memory ct(taps * 56 * channels * bytes), x(image * bytes);
      ct.fill(t, taps * 56 * channels, -1, 1);
      x.fill(t, image, -1, 1);
      std::vector<engine::Run> lines;
      for (int64_t i = 0; i < taps; ++i)
        lines.push_back({i * 56 * channels, i * width * channels});
      return [=, ct = std::move(ct), x = std::move(x), out = Memory(k.rows * k.cols * bytes)] {
        k.across({ct.get(), x.get(), out.get(), lines.data(), taps, 56, channels, channels, k.cols,
                  k.rows, k.cols, false});
      };
    });
    add(level, "conv/3 x 3 taps of each of 64 channels" + name, [=](Amount& amount) {
      amount = {56 * channels, (image + 56 * channels) * bytes,
                2.0 * double(56 * channels * taps * taps), t};
      Memory x(image * bytes), w(taps * taps * channels * bytes);
      x.fill(t, image, -1, 1);
      w.fill(t, taps * taps * channels, -1, 1);
      return [=, x = std::move(x), w = std::move(w), out = Memory(56 * channels * bytes)] {
        k.channels({x.get(), w.get(), out.get(), places.data(), taps * taps, channels, channels,
                    channels, 56});
      };
    });
  }
}

const Room room(convolutions);

}  // namespace
}  // namespace bench
}  // namespace lazulite
