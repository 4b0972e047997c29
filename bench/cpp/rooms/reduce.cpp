// The pieces of reductions: a chunk, rows of a matrix added up, the search of a value.
#include "engine/reduce/kernels.h"

#include "kernels.h"

namespace lazulite {

namespace engine {
LAZULITE_EACH_LEVEL(const ReduceKernels&, reduce_kernels)
LAZULITE_EACH_LEVEL(const TwoPassKernels&, two_pass_kernels)
}  // namespace engine

namespace bench {
namespace {

void add_pieces(const Level& level, const std::string& name, const engine::ReduceKernel& kernel,
                Dtype t) {
  const std::string dtype(name_of(t));
  if (!kernel.chunk) return;
  add(level, "reduce/" + name + " of a chunk/" + dtype, [=](Amount& amount) {
    const int64_t n = engine::reduce_chunk;
    amount = {n, n * size_of(t)};
    Memory a(amount.bytes);
    a.fill(t, n, 0.99, 1.01);
    return [=, a = std::move(a), out = Memory(256)] { kernel.chunk(a.get(), n, out.get()); };
  });
  add(level, "reduce/" + name + " of 256 rows of 256/" + dtype, [=](Amount& amount) {
    const int64_t n = 256;
    amount = {n * n, n * n * size_of(t)};
    Memory a(amount.bytes);
    a.fill(t, n * n, 0.99, 1.01);
    return [=, a = std::move(a), lanes = Memory((engine::reduce_lanes + n) * n * 32),
            out = Memory(n * 64)] {
      kernel.columns(a.get(), n, n, n, lanes.get(), out.get());
    };
  });
}

void reductions(const Level& level) {
  const char* names[engine::monoid_count] = {"sum",  "prod",       "max",        "min",     "all",
                                             "any",  "max number", "min number", "numbers", "count"};
  const engine::ReduceKernels& kernels = engine::reduce_kernels_at(level);
  const engine::TwoPassKernels& twice = engine::two_pass_kernels_at(level);
  for (Dtype t : {float32, float64, int32, bfloat16, complex64, bool_}) {
    for (int m = 0; m < engine::monoid_count; ++m)
      add_pieces(level, names[m], kernels.reduce[m][int(t)], t);
    add_pieces(level, "variance", twice.variance[int(t)].reduce, t);
    add_pieces(level, "logsumexp", twice.logsumexp[int(t)].reduce, t);
    if (auto find = kernels.find[int(t)].first)
      add(level, "reduce/find in a chunk/" + std::string(name_of(t)), [=](Amount& amount) {
        const int64_t n = engine::reduce_chunk;
        amount = {n, n * size_of(t)};
        Memory a(amount.bytes), value(64);
        a.fill(t, n, 0, is_bool(t) ? 0 : 0.9);
        value.fill(compute_type(t), 1, 100, 100);
        return [=, a = std::move(a), value = std::move(value)] {
          benchmark::DoNotOptimize(find(a.get(), n, value.get()));
        };
      });
  }
}

const Room room(reductions);

}  // namespace
}  // namespace bench
}  // namespace lazulite
