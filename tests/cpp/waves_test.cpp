// Waves: which units of a kept plan run side by side.
#include "eval/waves.h"

#include <gtest/gtest.h>

#include "lazulite.h"

namespace mx = lazulite;
using mx::array;

namespace {

array square(int64_t n) {
  array a = mx::full({n, n}, 0.5f, mx::float32);
  a.eval();
  return a;
}

std::vector<size_t> waves_of(const std::vector<array>& results) {
  std::vector<mx::Wave> waves;
  {
    std::lock_guard lock(mx::plan_mutex());
    mx::Plan plan = mx::make_plan(results.data(), results.size(), {});
    waves = mx::arrange_waves(plan.units);
  }
  std::vector<size_t> sizes;
  for (const mx::Wave& wave : waves) sizes.push_back(wave.units);
  return sizes;
}

using Sizes = std::vector<size_t>;

TEST(Waves, what_needs_nothing_of_each_other_is_one) {
  const array a = square(16), b = square(16), c = square(16);
  EXPECT_EQ(waves_of({mx::matmul(a, b), mx::matmul(b, c), mx::matmul(c, a)}), Sizes{3});
}

TEST(Waves, a_chain_has_none) {
  array a = square(16);
  const array b = a;
  for (int i = 0; i < 5; ++i) a = mx::matmul(a, b);
  EXPECT_EQ(waves_of({a}), Sizes(5, 1));
}

TEST(Waves, chains_run_in_step) {
  std::vector<array> chains;
  for (int i = 0; i < 4; ++i) {
    array a = square(16);
    const array b = a;
    for (int k = 0; k < 3; ++k) a = mx::matmul(a, b);
    chains.push_back(a);
  }
  EXPECT_EQ(waves_of(chains), Sizes(3, 4));
}

TEST(Waves, large_units_run_alone) {
  const array a = square(300), small = square(16);
  EXPECT_EQ(waves_of({mx::matmul(a, a), mx::matmul(small, small), mx::sum(mx::matmul(a, a))}),
            (Sizes{1, 1, 1, 1}));
}

TEST(Waves, updates_run_alone) {
  const array a = square(16), b = square(16);
  const array updated = mx::slice_update(mx::matmul(a, b), square(4), {0, 0}, {4, 4}, {1, 1});
  const array other = mx::slice_update(mx::matmul(b, a), square(4), {0, 0}, {4, 4}, {1, 1});
  EXPECT_EQ(waves_of({updated, other, mx::matmul(b, b)}), (Sizes{3, 1, 1}));
}

TEST(Waves, what_is_drawn_forward_is_bounded) {
  std::vector<array> results;
  const array a = square(16);
  for (int i = 0; i < 100; ++i) results.push_back(mx::matmul(a, square(16)));
  EXPECT_EQ(waves_of(results), (Sizes{32, 32, 32, 4}));  // in units
  results.clear();
  array thin = mx::full({200, 2}, 0.5f, mx::float32);
  thin.eval();
  for (int i = 0; i < 30; ++i) {
    array flat = mx::full({2, 200}, float(i), mx::float32);
    flat.eval();
    results.push_back(mx::matmul(thin, flat));
  }
  for (size_t size : waves_of(results)) EXPECT_LE(size, 8u);  // in bytes
}

}  // namespace
