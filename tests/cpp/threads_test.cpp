// Sixteen threads that share arrays: what `make tsan` runs for longer (LAZULITE_STRESS_SECONDS).
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <random>
#include <thread>

#include "device/cpu/pool.h"
#include "device/cpu/streams.h"
#include "eval/prepared.h"
#include "lazulite.h"
#include "transform/function_graph.h"

namespace mx = lazulite;

namespace {

using List = mx::ArrayList;

std::chrono::milliseconds stress_time() {
  const char* text = std::getenv("LAZULITE_STRESS_SECONDS");
  return std::chrono::milliseconds(int64_t(1000 * (text ? std::atof(text) : 2)));
}

// Handles that threads exchange; the arrays behind them are used without a lock.
class Table {
 public:
  explicit Table(size_t n) {
    for (size_t i = 0; i < n; ++i) arrays_.push_back(mx::ones({shape}));
  }
  mx::array get(size_t i) {
    std::lock_guard lock(mutex_);
    return arrays_[i % arrays_.size()];
  }
  void set(size_t i, mx::array a) {
    std::lock_guard lock(mutex_);
    std::swap(arrays_[i % arrays_.size()], a);
  }
  static constexpr int64_t shape = 700;

 private:
  std::mutex mutex_;
  std::vector<mx::array> arrays_;
};

void together(int threads, const std::function<void(int)>& work) {
  std::vector<std::thread> all;
  for (int k = 0; k < threads; ++k) all.emplace_back(work, k);
  for (auto& t : all) t.join();
}

float first(mx::array a) { return mx::slice_axis(mx::reshape(a, {-1}), 0, 0, 1).item<float>(); }

TEST(Threads, share_everything) {
  Table table(12);
  const auto graph = mx::make_ref<const mx::FunctionGraph>(
      [](const List& in) { return List{mx::tanh(in[0]) * 0.5f + in[1], mx::sum(in[0] * in[1])}; },
      std::vector<mx::Spec>{{{Table::shape}, mx::float32}, {{Table::shape}, mx::float32}});
  std::vector<mx::Stream> streams;
  for (int i = 0; i < 20; ++i) streams.push_back(mx::new_stream(mx::Device::cpu));
  const auto end = std::chrono::steady_clock::now() + stress_time();
  std::atomic<int64_t> done{0}, wrong{0};
  together(16, [&](int k) {
    std::mt19937 random(static_cast<unsigned>(k));
    while (std::chrono::steady_clock::now() < end) {
      const size_t i = random() % 12, j = random() % 12;
      const mx::StreamScope scope(streams[random() % streams.size()]);
      mx::array a = table.get(i), b = table.get(j);
      switch (random() % 11) {
        case 0: table.set(i, mx::tanh(a + b) * 0.9f); break;
        case 1: mx::eval(std::vector<mx::array>{a, b}); break;
        case 2: mx::async_eval({a * 1.0f, b}); break;
        case 3: wrong += !std::isfinite(first(a)); break;
        case 4: {  // in place: the handle in the table goes, so that the memory may be written over
          table.set(i, mx::ones({Table::shape}));
          b = mx::array();
          a = mx::put_along_axis(a, mx::array({int64_t(k)}), 0.25f, 0);
          table.set(i, a);
          break;
        }
        case 5: {
          const List g =
              mx::grad([&](const List& in) { return List{mx::sum(mx::sin(in[0]) * b)}; }, {a});
          table.set(j, mx::tanh(g[0]));
          break;
        }
        case 6: {
          const List out = (*graph)({a, b});
          table.set(i, mx::tanh(out[0]));
          wrong += !std::isfinite(first(out[1]));
          break;
        }
        case 7:
          table.set(i, mx::fori_loop(0, 3, [](const List& v) { return List{v[1] * 0.5f + 0.1f}; },
                                     {a})[0]);
          break;
        case 8: mx::synchronize(); break;
        case 9: {
          try {
            mx::take(a, mx::array({int64_t(Table::shape + 5)}), 0).eval();
            ++wrong;
          } catch (const mx::Error&) {
          }
          break;
        }
        default: {  // large: the pool works, too
          const mx::array big = mx::sum(mx::reshape(a, {Table::shape, 1}) * b);
          wrong += !std::isfinite(big.item<float>());
        }
      }
      ++done;
    }
  });
  for (const mx::Stream& s : streams) mx::synchronize(s);
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(done, 16);
}

void chain_in_streams(int count) {
  std::mutex mutex;
  mx::array shared = mx::zeros({3});
  std::vector<mx::Stream> streams;
  for (int i = 0; i < count; ++i) streams.push_back(mx::new_stream(mx::Device::cpu));
  const int threads = 8, steps = 200;
  together(threads, [&](int k) {
    for (int i = 0; i < steps; ++i) {
      const mx::StreamScope scope(streams[size_t(k * 7 + i * 5) % streams.size()]);
      mx::array mine;
      {
        std::lock_guard lock(mutex);
        mine = shared = shared + 1.0f;
      }
      mx::async_eval({mine, mine * 2.0f});
      if (i % 40 == 0) mx::synchronize(streams[size_t(i) % streams.size()]);
    }
  });
  EXPECT_EQ(first(shared), float(threads * steps));
  EXPECT_LE(mx::cpu::stream_threads(), mx::cpu::most_stream_threads);
  for (const mx::Stream& s : streams) mx::synchronize(s);
}

// Kept plans whose small units run side by side, in several threads at once. Values that several
// units read die in their wave, and groups would like to write over them.
TEST(Threads, units_of_kept_plans_run_side_by_side) {
  const mx::array a = mx::full({16, 16}, 0.25f, mx::float32), w = mx::full({16, 16}, 0.5f);
  mx::eval(mx::Arrays{a, w});
  const auto body = [](const List& in) {
    List level{in[0] * 1.0f, in[0] + 1.0f, mx::tanh(in[0]), mx::matmul(in[0], in[1])};
    for (int k = 0; k < 4; ++k) {
      List next;
      for (size_t i = 0; i < level.size(); ++i) {
        const mx::array &x = level[i], &y = level[(i + 1) % level.size()];
        next.push_back(k % 2 ? mx::matmul(x, y) * 0.01f : mx::tanh(x + y) - mx::sum(x, {1}, true));
      }
      level = next;
    }
    return level;
  };
  List expected = body({a, w});
  mx::eval(expected);
  mx::cpu::set_least_cost(1e9);
  const auto end = std::chrono::steady_clock::now() + stress_time() / 4;
  together(3, [&](int) {
    const mx::array x = mx::from_storage({{16, 16}, mx::float32}, {{}, 0, {16, 1}}),
                    y = mx::from_storage({{16, 16}, mx::float32}, {{}, 0, {16, 1}});
    mx::Prepared plan({x, y}, body({x, y}));
    while (std::chrono::steady_clock::now() < end) {
      std::vector<mx::Storage> in{a.slot().storage, w.slot().storage}, out(expected.size());
      plan.run(in, out);
      for (size_t i = 0; i < out.size(); ++i)
        ASSERT_EQ(std::memcmp(out[i].buffer->data, expected[i].raw(), 16 * 16 * 4), 0);
    }
  });
  mx::cpu::set_least_cost(0);
}

TEST(Threads, background_work_never_waits_in_a_circle) {
  for (int count : {1, 2, 3 * mx::cpu::most_stream_threads}) chain_in_streams(count);
}

TEST(Threads, errors_of_background_work_come_with_synchronize) {
  const mx::StreamScope scope(mx::new_stream(mx::Device::cpu));
  const mx::array bad = mx::take(mx::ones({3}), mx::array({int64_t(7)}), 0);
  mx::async_eval({bad});
  EXPECT_THROW(mx::synchronize(), mx::Error);
  EXPECT_NO_THROW(mx::synchronize());
  EXPECT_THROW(mx::array(bad).eval(), mx::Error);
}

}  // namespace
