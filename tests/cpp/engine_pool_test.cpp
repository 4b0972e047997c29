// engine/pool alone: beside a plain loop over every window, for each dtype, at each level (CTest
// runs this at all of them) and number of threads.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "device/cpu/pool.h"
#include "engine/pool/pool.h"

using namespace lazulite;
using engine::PoolAxis;
using engine::Pooling;
using engine::PoolView;

namespace {

struct Axis {
  int64_t in, size, stride, low, high;
};

template <class T>
struct Sample {
  std::vector<int64_t> begin[3], end[3];
  Pooling p;
  std::vector<T> x, y, ct;

  Sample(int64_t batch, std::initializer_list<Axis> axes, int64_t channels) {
    p = {dtype_of<T>, batch, channels, {}, 6};
    int i = 0;
    for (const Axis& a : axes) {
      const int64_t out = (a.in + a.low + a.high - a.size) / a.stride + 1;
      for (int64_t o = 0; o < out; ++o) {
        const int64_t from = o * a.stride - a.low;
        begin[i].push_back(std::clamp<int64_t>(from, 0, a.in));
        end[i].push_back(std::clamp<int64_t>(from + a.size, 0, a.in));
      }
      p.axes[i] = {a.in, out, begin[i].data(), end[i].data()};
      ++i;
    }
    std::mt19937 draws(7);
    auto fill = [&](std::vector<T>& v, int64_t n) {  // with equal ones among them
      for (int64_t k = 0; k < n; ++k) v.push_back(T(float(int(draws() % 19)) - 9.0f));
    };
    fill(x, batch * p.in_size() * channels);
    fill(y, batch * p.in_size() * channels);
    fill(ct, batch * p.out_size() * channels);
  }

  PoolView view(const std::vector<T>& v) const {
    const int64_t c = p.channels, w = p.axes[2].in, h = p.axes[1].in, d = p.axes[0].in;
    return {reinterpret_cast<const char*>(v.data()), {d * h * w * c, h * w * c, w * c, c, 1}};
  }
  int64_t in_at(int64_t b, int64_t d, int64_t h, int64_t w, int64_t c) const {
    return (((b * p.axes[0].in + d) * p.axes[1].in + h) * p.axes[2].in + w) * p.channels + c;
  }

  // body(result, the elements of its window)
  template <class F>
  void each(F&& body) const {
    const PoolAxis* a = p.axes;
    int64_t result = 0;
    for (int64_t b = 0; b < p.batch; ++b)
      for (int64_t d = 0; d < a[0].out; ++d)
        for (int64_t h = 0; h < a[1].out; ++h)
          for (int64_t w = 0; w < a[2].out; ++w)
            for (int64_t c = 0; c < p.channels; ++c) {
              std::vector<int64_t> seen;
              for (int64_t i = a[0].begin[d]; i < a[0].end[d]; ++i)
                for (int64_t j = a[1].begin[h]; j < a[1].end[h]; ++j)
                  for (int64_t k = a[2].begin[w]; k < a[2].end[w]; ++k)
                    seen.push_back(in_at(b, i, j, k, c));
              body(result++, seen);
            }
  }
  int64_t first_largest(const std::vector<int64_t>& seen) const {
    int64_t best = seen[0];
    for (int64_t i : seen) {
      if (std::isnan(double(x[size_t(best)]))) break;
      if (x[size_t(i)] > x[size_t(best)] || std::isnan(double(x[size_t(i)]))) best = i;
    }
    return best;
  }

  void check() const {
    std::vector<T> out(ct.size()), at(ct.size()), sums(ct.size()), dx(x.size());
    engine::pool_max(p, view(x), reinterpret_cast<char*>(out.data()));
    engine::pool_at(p, view(x), view(y), reinterpret_cast<char*>(at.data()));
    if (is_floating(p.type)) engine::pool_sum(p, view(x), reinterpret_cast<char*>(sums.data()));
    engine::pool_slope(p, reinterpret_cast<const char*>(x.data()),
                       reinterpret_cast<const char*>(ct.data()),
                       reinterpret_cast<char*>(dx.data()));
    std::vector<double> slopes(x.size(), 0.0);
    each([&](int64_t result, const std::vector<int64_t>& seen) {
      const size_t r = size_t(result);
      if (seen.empty()) {
        ASSERT_EQ(double(sums[r]), 0);
        return;
      }
      const size_t best = size_t(first_largest(seen));
      const bool nan = std::isnan(double(x[best]));
      ASSERT_TRUE(nan ? std::isnan(double(out[r])) : out[r] == x[best]) << result;
      ASSERT_EQ(at[r], y[best]) << result;
      slopes[best] += double(ct[r]);
      if (is_floating(p.type)) {
        double sum = 0;
        for (int64_t i : seen) sum += double(x[size_t(i)]);
        ASSERT_EQ(std::isnan(sum), std::isnan(double(sums[r]))) << result;
        ASSERT_FALSE(std::abs(double(sums[r]) - sum / 6) > std::abs(sum) * 5e-3) << result;
      }
    });
    for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(dx[i], T(float(slopes[i]))) << i;
  }
};

template <class T>
class PoolOf : public ::testing::Test {};
using Types = ::testing::Types<float, double, float16_t, bfloat16_t, int8_t, int32_t, int64_t>;
TYPED_TEST_SUITE(PoolOf, Types);

TYPED_TEST(PoolOf, HoldsForEveryWindow) {
  for (int64_t channels : {1, 2, 3, 7, 16, 33, 64, 67, 131})
    for (int threads : {1, 2, 5}) {
      cpu::set_num_threads(threads);
      cpu::set_least_cost(threads > 1 ? 1e9 : 0);
      Sample<TypeParam>(2, {{1, 1, 1, 0, 0}, {9, 2, 2, 0, 0}, {10, 2, 2, 0, 0}}, channels).check();
      Sample<TypeParam>(2, {{1, 1, 1, 0, 0}, {9, 3, 2, 1, 1}, {8, 3, 1, 1, 0}}, channels).check();
      Sample<TypeParam>(1, {{4, 2, 1, 1, 1}, {5, 2, 2, 0, 0}, {6, 1, 3, 0, 0}}, channels).check();
      Sample<TypeParam>(3, {{1, 1, 1, 0, 0}, {1, 1, 1, 0, 0}, {23, 5, 3, 7, 7}}, channels).check();
    }
  cpu::set_least_cost(0);
  cpu::set_num_threads(2);
}

TYPED_TEST(PoolOf, HoldsForLongRowsCutIntoBands) {
  cpu::set_num_threads(3);
  cpu::set_least_cost(1e9);
  Sample<TypeParam>(1, {{1, 1, 1, 0, 0}, {1, 1, 1, 0, 0}, {70001, 5, 3, 2, 2}}, 1).check();
  Sample<TypeParam>(1, {{1, 1, 1, 0, 0}, {300, 3, 2, 1, 1}, {130, 3, 1, 1, 1}}, 3).check();
  cpu::set_least_cost(0);
  cpu::set_num_threads(2);
}

TEST(Pool, NanIsTheLargestAndTheFirstOfThemCounts) {
  Sample<float> s(1, {{1, 1, 1, 0, 0}, {6, 3, 1, 1, 1}, {6, 3, 1, 1, 1}}, 19);
  for (size_t i = 0; i < s.x.size(); i += 37) s.x[i] = std::numeric_limits<float>::quiet_NaN();
  s.check();
}

}  // namespace
