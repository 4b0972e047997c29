// What is done to a block of scores: softmax, its way back, masks; and rotary positions.
#include "engine/attention/kernels.h"

#include <vector>

#include "kernels.h"

namespace lazulite {

namespace engine {
LAZULITE_EACH_LEVEL(const AttentionTable&, attention_kernels)
}  // namespace engine

namespace bench {
namespace {

constexpr int64_t keys = engine::block_keys, width = engine::block_queries, n = keys * width;

void attention(const Level& level) {
  for (Dtype t : {float32, float64}) {
    const engine::AttentionKernels& k = engine::attention_kernels_at(level).of[index_of(t)];
    const int64_t bytes = size_of(t);
    const std::string name = "/" + std::string(name_of(t));
    add(level, "attention/softmax of a block" + name, [=](Amount& amount) {
      amount = {n, 2 * n * bytes};
      Memory scores(n * bytes), top(width * bytes), sum(width * bytes);
      scores.fill(t, n, -1, 0);
      top.fill(t, width, 0, 1);
      sum.fill(t, width, 0, 1);
      return [=, scores = std::move(scores), top = std::move(top), sum = std::move(sum),
              decay = Memory(width * bytes)] {
        k.weigh({scores.get(), keys, width, nullptr, nullptr, top.get(), sum.get(), decay.get()});
      };
    });
    add(level, "attention/slopes of a block" + name, [=](Amount& amount) {
      amount = {n, 4 * n * bytes};
      Memory scores(n * bytes), slopes(n * bytes), ends(width * bytes), mean(width * bytes);
      scores.fill(t, n, -1, 0);
      slopes.fill(t, n, -1, 1);
      ends.fill(t, width, 0, 1);
      mean.fill(t, width, 0, 1);
      return [=, scores = std::move(scores), slopes = std::move(slopes), ends = std::move(ends),
              mean = std::move(mean)] {
        k.slope({scores.get(), slopes.get(), keys, width, nullptr, nullptr, ends.get(),
                 mean.get()});
      };
    });
    add(level, "attention/a mask on a block" + name, [=](Amount& amount) {
      amount = {n, 3 * n * bytes};
      Memory scores(n * bytes), mask(n * bytes);
      scores.fill(t, n, -1, 0);
      mask.fill(t, n, 0, 0.001);
      return [=, scores = std::move(scores), mask = std::move(mask)] {
        k.mask({scores.get(), keys, width, width, mask.get(), 1, keys});
      };
    });
    for (bool neighbours : {false, true})
      add(level, std::string("attention/rotary positions of ") +
                     (neighbours ? "neighbours" : "halves") + name,
          [=](Amount& amount) {
            amount = {128, 3 * 128 * bytes};
            Memory x(128 * bytes), cos(64 * bytes), sin(64 * bytes);
            x.fill(t, 128, -1, 1);
            cos.fill(t, 64, -1, 1);
            sin.fill(t, 64, -1, 1);
            return [=, x = std::move(x), cos = std::move(cos), sin = std::move(sin),
                    out = Memory(128 * bytes)] {
              k.rotate({x.get(), cos.get(), sin.get(), out.get(), 128, 64, neighbours, false});
            };
          });
  }
}

const Room room(attention);

}  // namespace
}  // namespace bench
}  // namespace lazulite
