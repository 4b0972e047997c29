// Kernels alone: what their benchmarks share. A file in rooms/ for each room of the engine adds its
// own, named level/room/function/dtype.
#pragma once
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "base/dtype.h"
#include "device/cpu/features.h"
#include "roof.h"

// In the namespace of a per-level table, as LAZULITE_LEVELS (device/cpu/level.h): the table of a
// level by name##_at(level).
#if defined(__x86_64__) && !defined(LAZULITE_GENERIC_ONLY)
#define LAZULITE_EACH_LEVEL(type, name)                     \
  type name##_generic();                                    \
  type name##_avx2();                                       \
  type name##_avx512();                                     \
  inline type name##_at(const ::lazulite::bench::Level& l) { \
    switch (l.isa) {                                        \
      case ::lazulite::cpu::Level::avx512: return name##_avx512(); \
      case ::lazulite::cpu::Level::avx2: return name##_avx2();     \
      default: return name##_generic();                     \
    }                                                       \
  }
#else
#define LAZULITE_EACH_LEVEL(type, name) \
  type name##_generic();                \
  inline type name##_at(const ::lazulite::bench::Level&) { return name##_generic(); }
#endif

namespace lazulite::bench {

// Aligned memory; filled with numbers of a dtype between two bounds, evenly and out of order.
class Memory {
 public:
  explicit Memory(int64_t bytes);
  void fill(Dtype t, int64_t n, double low, double high);
  char* get() const { return data_.get(); }

 private:
  struct Free {
    void operator()(char* p) const { std::free(p); }
  };
  std::unique_ptr<char, Free> data_;
};

// What one run of a kernel does.
struct Amount {
  int64_t elements;    // results
  int64_t bytes;       // read and written
  double flops = 0;    // where arithmetic is the limit
  Dtype type = float32;  // of that arithmetic
};

// One thread's: copy bandwidth where `bytes` lie, and multiply-adds of a dtype (0: not measured).
double roof_of_memory(const Level& level, int64_t bytes);
double roof_of_arithmetic(const Level& level, Dtype type);

// Sets the counters: GB/s or GFLOP/s, and the roof beside it.
void count(benchmark::State& state, const Level& level, const Amount& amount);

// Adds a benchmark: `make(amount)` allocates and returns what is timed.
template <class Make>
void add(const Level& level, const std::string& name, Make make) {
  benchmark::RegisterBenchmark((std::string(level.name) + "/" + name).c_str(),
                               [level, make](benchmark::State& state) {
                                 Amount amount{};
                                 auto work = make(amount);
                                 for (auto _ : state) {
                                   work();
                                   benchmark::ClobberMemory();
                                 }
                                 count(state, level, amount);
                               })
      ->MinTime(0.02);
}

// A static object of this registers a room; it is called for each level.
struct Room {
  explicit Room(void (*add_all)(const Level&));
};

}  // namespace lazulite::bench
