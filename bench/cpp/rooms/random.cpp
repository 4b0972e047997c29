// Draws of 4096 numbers.
#include "engine/random/kernels.h"

#include <limits>

#include "kernels.h"

namespace lazulite {

namespace engine { LAZULITE_EACH_LEVEL(const RandomKernels&, random_kernels) }

namespace bench {
namespace {

constexpr int64_t count_of_draws = 4096;

template <class Draw>
void add_draw(const Level& level, const std::string& name, int64_t bytes, Draw draw) {
  add(level, "random/" + name, [=](Amount& amount) {
    amount = {count_of_draws, count_of_draws * bytes};
    return [draw, out = Memory(count_of_draws * 8)] { draw(out.get()); };
  });
}

void draws(const Level& level) {
  const engine::RandomKernels& kernels = engine::random_kernels_at(level);
  const engine::Key key{};
  add_draw(level, "words", 4, [=](void* out) {
    kernels.words(key, 0, count_of_draws, static_cast<uint32_t*>(out));
  });
  for (Dtype t : {float32, float64, bfloat16}) {
    const std::string dtype(name_of(t));
    const engine::Uniform how{1, 0, std::numeric_limits<double>::infinity()};
    if (auto uniform = kernels.uniform[int(t)])
      add_draw(level, "uniform/" + dtype, size_of(t),
               [=](void* out) { uniform(key, 0, count_of_draws, how, out); });
    if (auto normal = kernels.normal[int(t)])
      add_draw(level, "normal/" + dtype, size_of(t),
               [=](void* out) { normal(key, 0, count_of_draws, 1.4142135623730951, out); });
  }
  add_draw(level, "integers/int32", 4,
           [=](void* out) { kernels.integers[2](key, 0, count_of_draws, 0, 1000, out); });
}

const Room room(draws);

}  // namespace
}  // namespace bench
}  // namespace lazulite
