// Kernels alone, per instruction-set level, with Google Benchmark: on data in the first-level cache
// (blocks, as fused groups run them), and where it makes a difference in memory.
//
// Names are level/room/function/dtype: --benchmark_filter=avx2/elementwise/exp. Beside bytes per
// second stand `roof` (what one thread of the machine copies at that level in the same place) and
// the part of it that is reached.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstring>
#include <map>
#include <memory>

#include "device/cpu/block.h"
#include "device/cpu/features.h"
#include "device/limits.h"
#include "ops/elementwise/elementwise.h"
#include "ops/reduce/kernels.h"
#include "roof.h"

namespace lazulite {

// The tables of every level that this program may run.
#define LAZULITE_TABLES(level)                  \
  const Kernel* elementwise_unary_##level();    \
  const Kernel* elementwise_binary_##level();   \
  const ReduceKernels& reduce_kernels_##level();
LAZULITE_TABLES(generic)
namespace cpu { const BlockKernels& block_kernels_generic(); }
#if defined(__x86_64__) && !defined(LAZULITE_GENERIC_ONLY)
LAZULITE_TABLES(avx2)
LAZULITE_TABLES(avx512)
namespace cpu {
const BlockKernels& block_kernels_avx2();
const BlockKernels& block_kernels_avx512();
}
#endif

namespace bench {
namespace {

struct Tables {
  const Kernel *unary, *binary;
  const ReduceKernels* reduce;
  const cpu::BlockKernels* block;
};

Tables tables_of(const std::string& level) {
#define LAZULITE_TAKE(level)                                                      \
  Tables{elementwise_unary_##level(), elementwise_binary_##level(),               \
         &reduce_kernels_##level(), &cpu::block_kernels_##level()}
#if defined(__x86_64__) && !defined(LAZULITE_GENERIC_ONLY)
  if (level == "avx2") return LAZULITE_TAKE(avx2);
  if (level == "avx512") return LAZULITE_TAKE(avx512);
#endif
  return LAZULITE_TAKE(generic);
}

// Aligned memory with numbers of a dtype that suit every function.
struct Memory {
  explicit Memory(int64_t bytes)
      : data(static_cast<char*>(std::aligned_alloc(64, size_t((bytes + 63) / 64 * 64)))) {
    if (!data) throw std::bad_alloc();
    std::memset(data.get(), 0, size_t((bytes + 63) / 64 * 64));
  }
  void fill(Dtype t, int64_t n, double low, double high) {
    for (int64_t i = 0; i < n; ++i) {
      double v = low + (high - low) * double((i * 37) % 101 + 1) / 103;
      if (is_integral(t)) v = std::round(v * 3);
      if (is_unsigned(t)) v = std::abs(v);
      Scalar(v).write(t, data.get() + i * size_of(t));
    }
  }
  struct Free {
    void operator()(char* p) const { std::free(p); }
  };
  std::unique_ptr<char, Free> data;
};

// Copy bandwidth of one thread, measured once for each level and place.
double roof_of(const Level& level, int64_t bytes) {
  static std::map<std::string, double> known;
  for (const Place& place : places()) {
    if (bytes > place.capacity) continue;
    const std::string key = std::string(level.name) + place.name;
    if (!known.contains(key)) known[key] = bandwidth(*level.roof, place, 1).copy;
    return known[key];
  }
  return 0;
}

// Runs `work`, which moves `bytes` and computes `elements` results, out of a set of `span` bytes.
template <class Work>
void time_work(benchmark::State& state, const Level& level, int64_t bytes, int64_t elements,
               int64_t span, Work work) {
  const double roof = roof_of(level, span);
  for (auto _ : state) {
    work();
    benchmark::ClobberMemory();
  }
  const double moved = double(state.iterations()) * double(bytes);
  state.SetBytesProcessed(int64_t(moved));
  state.SetItemsProcessed(state.iterations() * elements);
  using benchmark::Counter;
  state.counters["roof"] = Counter(roof * 1e9, Counter::kDefaults, Counter::kIs1000);
  state.counters["of_roof"] = Counter(moved / roof / 1e9, Counter::kIsRate);
}

template <class Make>
void add(const std::string& name, Make make) {
  benchmark::RegisterBenchmark(name.c_str(), make)->MinTime(0.02);
}

void add_elementwise(const Level& level, const Tables& tables) {
  for (const Op* op : elementwise_ops()) {
    const auto& family = *static_cast<const ElementwiseFamily*>(op->family);
    if (family.operands > 2) continue;
    const Row& row = family.row;
    for (Dtype t : {float32, float64, int32, complex64}) {
      const Kernel* all = family.operands == 1 ? tables.unary : tables.binary;
      const Kernel kernel = all[op->row * dtype_count + int(t)];
      if (!kernel) continue;
      add(std::string(level.name) + "/elementwise/" + row.name + "/" + std::string(name_of(t)),
          [=](benchmark::State& state) {
            const int64_t n = block_size, size = size_of(t);
            Memory a(n * size), b(n * size), out(n * 16);
            a.fill(t, n, row.lo, row.hi);
            b.fill(t, n, row.lo, row.hi);
            const void* in[2] = {a.data.get(), b.data.get()};
            time_work(state, level, n * size * (family.operands + 1), n,
                      n * size * (family.operands + 1),
                      [&] { kernel(out.data.get(), in, n); });
          });
    }
  }
}

void add_conversions(const Level& level, const Tables& tables) {
  auto one = [&](const std::string& what, Kernel kernel, Dtype from, int64_t to_bytes) {
    add(std::string(level.name) + "/convert/" + what, [=](benchmark::State& state) {
      const int64_t n = block_size;
      Memory a(n * size_of(from)), out(n * 16);
      a.fill(from, n, -2, 2);
      const void* in[1] = {a.data.get()};
      const int64_t bytes = n * (size_of(from) + to_bytes);
      time_work(state, level, bytes, n, bytes, [&] { kernel(out.data.get(), in, n); });
    });
  };
  for (Dtype to : {bool_, uint8, int32, int64, float64, complex64})
    one("float32 to " + std::string(name_of(to)), tables.block->cast[int(float32)][int(to)],
        float32, size_of(to));
  for (Dtype from : {bool_, uint8, int32, int64, float64})
    one(std::string(name_of(from)) + " to float32", tables.block->cast[int(from)][int(float32)],
        from, 4);
  for (int h = 0; h < 2; ++h) {
    const std::string name(name_of(h ? bfloat16 : float16));
    one(name + " to float32", tables.block->widen[h], h ? bfloat16 : float16, 4);
    one("float32 to " + name, tables.block->narrow[h], float32, 2);
    one("float32 rounded to " + name, tables.block->round[h], float32, 4);
  }
}

void add_reductions(const Level& level, const Tables& tables) {
  const char* names[monoid_count] = {"sum", "prod", "max", "min", "all", "any"};
  const std::string prefix = std::string(level.name) + "/reduce/";
  for (Dtype t : {float32, float64, int32, bfloat16, complex64, bool_}) {
    const std::string dtype(name_of(t));
    for (int m = 0; m < monoid_count; ++m) {
      const ReduceKernel& kernel = tables.reduce->reduce[m][int(t)];
      if (!kernel.chunk) continue;
      add(prefix + names[m] + " of a chunk/" + dtype, [=](benchmark::State& state) {
        const int64_t n = reduce_chunk, bytes = n * size_of(t);
        Memory a(bytes), out(64);
        a.fill(t, n, 0.99, 1.01);
        time_work(state, level, bytes, n, bytes,
                  [&] { kernel.chunk(a.data.get(), n, out.data.get()); });
      });
      add(prefix + names[m] + " of 256 rows of 256/" + dtype, [=](benchmark::State& state) {
        const int64_t n = 256, bytes = n * n * size_of(t);
        Memory a(bytes), lanes(reduce_lanes * n * 16), out(n * 16);
        a.fill(t, n * n, 0.99, 1.01);
        time_work(state, level, bytes, n * n, bytes, [&] {
          kernel.columns(a.data.get(), n, n, n, lanes.data.get(), out.data.get());
        });
      });
    }
    if (tables.reduce->find[int(t)])
      add(prefix + "find/" + dtype, [=](benchmark::State& state) {
        const int64_t n = reduce_chunk, bytes = n * size_of(t);
        Memory a(bytes), value(64);
        a.fill(t, n, 0.5, 0.9);
        value.fill(compute_type(t), 1, 100, 100);
        time_work(state, level, bytes, n, bytes, [&] {
          benchmark::DoNotOptimize(tables.reduce->find[int(t)](a.data.get(), n, value.data.get()));
        });
      });
    if (tables.reduce->softmax[int(t)])
      for (int64_t n : {64, 1024, 16384})
        add(prefix + "softmax of " + std::to_string(n) + "/" + dtype,
            [=](benchmark::State& state) {
              const int64_t bytes = 2 * n * size_of(t);
              Memory a(bytes), out(bytes), wide(n * 16);
              a.fill(t, n, -2, 2);
              time_work(state, level, bytes, n, bytes, [&] {
                tables.reduce->softmax[int(t)](a.data.get(), out.data.get(), n, wide.data.get());
              });
            });
  }
}

}  // namespace
}  // namespace bench
}  // namespace lazulite

int main(int argc, char** argv) {
  using namespace lazulite;
  benchmark::AddCustomContext("cpu", cpu::cpu_name());
  for (const bench::Level& level : bench::levels()) {
    const bench::Tables tables = bench::tables_of(level.name);
    bench::add_elementwise(level, tables);
    bench::add_conversions(level, tables);
    bench::add_reductions(level, tables);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
