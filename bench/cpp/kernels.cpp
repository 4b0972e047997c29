// Kernels alone, per instruction-set level, with Google Benchmark: on data in the first-level cache
// (blocks, as fused groups run them), and in memory where it makes a difference.
//
// Names are level/room/function/dtype: --benchmark_filter=avx2/elementwise/exp. Beside GB or GFLOP
// per second stand `roof` (what one thread of the machine copies, or multiplies and adds, at that
// level and in that place) and the part of it that is reached.
#include "kernels.h"

#include <cmath>
#include <cstring>
#include <map>
#include <new>
#include <vector>

#include "base/scalar.h"

namespace lazulite::bench {

namespace {

std::vector<void (*)(const Level&)>& rooms() {
  static std::vector<void (*)(const Level&)> all;
  return all;
}

}  // namespace

Room::Room(void (*add_all)(const Level&)) { rooms().push_back(add_all); }

Memory::Memory(int64_t bytes) {
  const size_t whole = size_t((bytes + 63) / 64 * 64);
  data_.reset(static_cast<char*>(std::aligned_alloc(64, whole)));
  if (!data_) throw std::bad_alloc();
  std::memset(data_.get(), 0, whole);
}

void Memory::fill(Dtype t, int64_t n, double low, double high) {
  for (int64_t i = 0; i < n; ++i) {
    double v = low + (high - low) * double((i * 37) % 101 + 1) / 103;
    if (is_integral(t)) v = std::round(v * 3);
    if (is_unsigned(t)) v = std::abs(v);
    Scalar(v).write(t, data_.get() + i * size_of(t));
  }
}

double roof_of_memory(const Level& level, int64_t bytes) {
  static std::map<std::string, double> known;
  for (const Place& place : places()) {
    if (bytes > place.capacity) continue;
    const std::string key = std::string(level.name) + place.name;
    if (!known.contains(key)) known[key] = bandwidth(*level.roof, place, 1).copy;
    return known[key];
  }
  return 0;
}

double roof_of_arithmetic(const Level& level, Dtype type) {
  static std::map<std::string, double> known;
  const std::string key = std::string(level.name) + std::string(name_of(type));
  for (const Arithmetic* a = level.roof->arithmetic; a->name && !known.contains(key); ++a)
    if (name_of(type) == a->name && a->available()) known[key] = rate(*a, 1);
  return known[key];
}

void count(benchmark::State& state, const Level& level, const Amount& amount) {
  using benchmark::Counter;
  const double runs = double(state.iterations());
  state.SetItemsProcessed(state.iterations() * amount.elements);
  double done = runs * double(amount.bytes), roof = roof_of_memory(level, amount.bytes) * 1e9;
  if (amount.flops > 0) {
    done = runs * amount.flops;
    roof = roof_of_arithmetic(level, amount.type) * 1e9;
    state.counters["flops"] = Counter(done, Counter::kIsRate, Counter::kIs1000);
  } else {
    state.SetBytesProcessed(state.iterations() * amount.bytes);
  }
  if (roof > 0) {
    state.counters["roof"] = Counter(roof, Counter::kDefaults, Counter::kIs1000);
    state.counters["of_roof"] = Counter(done / roof, Counter::kIsRate);
  }
}

}  // namespace lazulite::bench

int main(int argc, char** argv) {
  using namespace lazulite;
  benchmark::AddCustomContext("cpu", cpu::cpu_name());
  for (const bench::Level& level : bench::levels())
    for (auto add_all : bench::rooms()) add_all(level);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
