// How the loops of roof_kernels.h are timed: the best of several runs, on one thread or on all.
#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <memory>

#include "device/cpu/features.h"
#include "device/cpu/pool.h"
#include "roof.h"

namespace lazulite::bench {

const RoofKernels& roof_kernels_generic();
#if defined(__x86_64__) && !defined(LAZULITE_GENERIC_ONLY)
const RoofKernels& roof_kernels_avx2();
const RoofKernels& roof_kernels_avx512();
#endif

std::vector<Level> levels() {
  std::vector<Level> out{{"generic", cpu::Level::generic, &roof_kernels_generic()}};
#if defined(__x86_64__) && !defined(LAZULITE_GENERIC_ONLY)
  const cpu::Level top = cpu::features().level;
  if (top >= cpu::Level::avx2) out.push_back({"avx2", cpu::Level::avx2, &roof_kernels_avx2()});
  if (top >= cpu::Level::avx512)
    out.push_back({"avx512", cpu::Level::avx512, &roof_kernels_avx512()});
#endif
  return out;
}

namespace {

constexpr int64_t page = 4096;

double processor_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + double(now.tv_nsec) * 1e-9;
}

// Times per second of all threads together, each by the processor time that it got: what else the
// machine does takes turns away, and does not count.
double speed(int threads, int64_t times, cpu::FunctionRef<void(int64_t, int64_t)> work) {
  std::vector<double> seconds(size_t(threads), 0.0);
  auto body = [&](int64_t chunk) {
    const double begin = processor_seconds();
    work(chunk, times);
    seconds[size_t(chunk)] = processor_seconds() - begin;
  };
  if (threads == 1) body(0);
  else cpu::parallel_for(threads, body, 1e12);
  double sum = 0;
  for (double s : seconds) sum += double(times) / std::max(s, 1e-9);
  return sum;
}

// The most units per second, of runs that last a few milliseconds each.
double best(int threads, double units, cpu::FunctionRef<void(int64_t chunk, int64_t times)> work) {
  int64_t times = 1;
  while (times < int64_t(1) << 40) {
    const double seconds = double(times) / speed(1, times, work);
    if (seconds > 4e-3) break;
    times = seconds < 1e-4 ? times * 16 : int64_t(double(times) * 5e-3 / seconds) + 1;
  }
  double most = 0;
  for (int k = 0; k < 12; ++k) most = std::max(most, speed(threads, times, work));
  return most * units;
}

struct Free {
  void operator()(char* p) const { std::free(p); }
};

}  // namespace

std::vector<Place> places() {
  const cpu::CacheSizes& cache = cpu::cache_sizes();
  auto pages = [](int64_t n) { return std::max(n / page, int64_t(1)) * page; };
  // What the system calls the third level may be shared with machines that are not ours.
  const int64_t third = std::min(cache.l3, int64_t(64) << 20) / cpu::num_threads();
  return {{"L1", pages(cache.l1 / 4), cache.l1},
          {"L2", pages(cache.l2 / 4), cache.l2},
          {"L3", pages(std::min(third / 4, cache.l2 * 4)), third},
          {"memory", int64_t(256) << 20, int64_t(1) << 60}};
}

Bandwidth bandwidth(const RoofKernels& kernels, const Place& place, int threads) {
  const int64_t n = place.bytes / page * page;
  std::vector<std::unique_ptr<char, Free>> room;
  for (int t = 0; t < threads; ++t) {
    room.emplace_back(static_cast<char*>(std::aligned_alloc(page, size_t(2 * n))));
    if (!room.back()) throw std::bad_alloc();
    kernels.write(room.back().get(), 2 * n);
  }
  auto from = [&](int64_t t) { return room[size_t(t)].get(); };
  volatile float sink = 0;
  Bandwidth out;
  out.read = best(threads, double(n) / 1e9, [&](int64_t t, int64_t times) {
    float sum = 0;
    for (int64_t k = 0; k < times; ++k) sum += kernels.read(from(t), n);
    sink = sum;
  });
  out.write = best(threads, double(n) / 1e9, [&](int64_t t, int64_t times) {
    for (int64_t k = 0; k < times; ++k) kernels.write(from(t), n);
  });
  // Two halves in the same place: half of each, so that both fit.
  const int64_t half = std::max(n / 2 / page, int64_t(1)) * page;
  auto copied = [&](void (*copy)(void*, const void*, int64_t)) {
    return best(threads, 2 * double(half) / 1e9, [&](int64_t t, int64_t times) {
      for (int64_t k = 0; k < times; ++k) copy(from(t) + half, from(t), half);
    });
  };
  out.copy = std::max(copied(kernels.copy), copied(kernels.stream));
  return out;
}

double rate(const Arithmetic& arithmetic, int threads) {
  volatile double sink = 0;
  return best(threads, double(arithmetic.operations) / 1e9, [&](int64_t, int64_t times) {
    sink = arithmetic.run(times);
  });
}

}  // namespace lazulite::bench
