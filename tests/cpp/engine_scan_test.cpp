// Scans of raw memory, against the order that engine/scan/kernels.h states.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "device/cpu/level.h"
#include "device/cpu/pool.h"
#include "engine/scan/scan.h"

namespace lazulite::engine {
LAZULITE_LEVELS(const ScanKernels&, scan_kernels)
}

using namespace lazulite;

namespace {

template <class T>
std::vector<T> numbers(int64_t n) {
  std::mt19937 random(uint32_t(n) + 3);
  std::vector<T> out(static_cast<size_t>(n));
  for (T& v : out) v = T(int(random() % 2000) - 1000) / T(3);
  return out;
}

// Blocks of 64 bytes by Hillis and Steele, blocks and then chunks one after the other.
template <class T>
std::vector<T> stated(const std::vector<T>& x) {
  constexpr size_t lanes = 64 / sizeof(T);
  std::vector<T> out(x.size());
  T before{};
  bool any = false;
  for (size_t begin = 0; begin < x.size(); begin += size_t(engine::scan_chunk)) {
    const size_t end = std::min(x.size(), begin + size_t(engine::scan_chunk));
    T local{};
    for (size_t b = begin; b < end; b += lanes) {
      const size_t n = std::min(lanes, end - b);
      std::vector<T> block(x.begin() + long(b), x.begin() + long(b + n));
      for (size_t step = 1; step < n; step *= 2)
        for (size_t i = n; i-- > step;) block[i] = block[i - step] + block[i];
      const bool first = b == begin;
      for (size_t i = 0; i < n; ++i)
        out[b + i] = first && !any ? block[i]
                     : first       ? before + block[i]
                     : any         ? (before + local) + block[i]
                                   : local + block[i];
      local = first ? block[n - 1] : local + block[n - 1];
    }
    before = any ? before + local : local;
    any = true;
  }
  return out;
}

template <class T>
void check_rows(Dtype type) {
  const engine::ScanKernel& k = engine::scan_kernels().scan[int(engine::Scan::sum)][index_of(type)];
  for (int64_t n : {1, 7, 8, 9, 15, 16, 17, 100, 4095, 4096, 4097, 70001})
    for (bool reverse : {false, true}) {
      const std::vector<T> x = numbers<T>(n);
      std::vector<T> in = x, out(x.size() + 2, T(77)), wanted = stated(x);
      if (reverse) std::reverse(in.begin(), in.end()), std::reverse(wanted.begin(), wanted.end());
      engine::scan_all(k, {{n}, 0, reverse, type, reinterpret_cast<const char*>(in.data()), {1},
                   reinterpret_cast<char*>(out.data() + 1), {1}});
      ASSERT_EQ(std::memcmp(out.data() + 1, wanted.data(), size_t(n) * sizeof(T)), 0) << n;
      ASSERT_TRUE(out.front() == T(77) && out.back() == T(77)) << n;
    }
}

TEST(Scan, RowsAddUpInTheStatedOrder) {
  check_rows<float>(float32);
  check_rows<double>(float64);
}

TEST(Scan, TheOrderDoesNotDependOnThreadsOrOnTheSizeOfSteps) {
  const int threads = cpu::num_threads();
  cpu::set_least_cost(1e9);
  const engine::ScanKernel& k =
      engine::scan_kernels().scan[int(engine::Scan::sum)][index_of(float32)];
  for (const Shape& shape : {Shape{300'001}, Shape{40'001, 3}, Shape{5'000, 200}, Shape{3, 90'000}})
    for (int axis = 0; axis < int(shape.size()); ++axis) {
      const std::vector<float> x = numbers<float>(size_of(shape));
      std::vector<float> first;
      for (int n : {1, 2, 5}) {
        cpu::set_num_threads(n);
        std::vector<float> out(x.size());
        engine::scan_all(k, {shape, axis, false, float32, reinterpret_cast<const char*>(x.data()),
                     dense_strides(shape), reinterpret_cast<char*>(out.data()),
                     dense_strides(shape)});
        if (n == 1) first = out;
        ASSERT_EQ(std::memcmp(first.data(), out.data(), out.size() * sizeof(float)), 0)
            << shape << " " << axis << " " << n;
      }
    }
  cpu::set_least_cost(0);
  cpu::set_num_threads(threads);
}

TEST(Scan, ColumnsAddUpRowAfterRow) {
  const engine::ScanKernel& k =
      engine::scan_kernels().scan[int(engine::Scan::prod)][index_of(int32)];
  constexpr int64_t n = 37;
  for (int64_t width : {2, 3, 16, 17, 65}) {
    std::vector<int32_t> x(size_t(n * width)), out(x.size());
    for (size_t i = 0; i < x.size(); ++i) x[i] = int32_t(i % 5) + 1;
    engine::scan_all(k, {{n, width},
                         0,
                         false,
                         int32,
                         reinterpret_cast<const char*>(x.data()),
                         {width, 1},
                         reinterpret_cast<char*>(out.data()),
                         {width, 1}});
    for (int64_t c = 0; c < width; ++c) {
      uint32_t product = 1;
      for (int64_t i = 0; i < n; ++i) {
        product *= uint32_t(x[size_t(i * width + c)]);
        ASSERT_EQ(uint32_t(out[size_t(i * width + c)]), product) << width << " " << c << " " << i;
      }
    }
  }
}

}  // namespace
