#include "device/cpu/pool.h"
#include "device/cpu/streams.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/fail.h"
#include "device/cpu/features.h"

namespace lazulite::cpu {
namespace {

constexpr double large = 1e9;  // a cost that wakes everybody

void busy(std::chrono::microseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
  }
}

// Runs a test at 1, 2 and 7 threads, and puts the number back.
class Pool : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    before_ = num_threads();
    set_num_threads(GetParam());
  }
  void TearDown() override { set_num_threads(before_); }

  int before_ = 1;
};
INSTANTIATE_TEST_SUITE_P(Threads, Pool, testing::Values(1, 2, 7));

void expect_each_chunk_once(int64_t chunks, double cost) {
  std::vector<std::atomic<int>> runs(static_cast<size_t>(chunks));
  parallel_for(chunks, [&](int64_t i) { ++runs[static_cast<size_t>(i)]; }, cost);
  for (const auto& count : runs) ASSERT_EQ(count, 1);
}

TEST_P(Pool, RunsEveryChunkOnceAtAnyCost) {
  for (int64_t chunks : {0, 1, 2, 3, 100, 5000}) {
    for (double cost : {0.0, 20e3, 100e3, large}) expect_each_chunk_once(chunks, cost);
  }
}

TEST_P(Pool, ResultsOfWorkersAreVisibleToTheCaller) {
  for (int round = 0; round < 2000; ++round) {
    std::vector<int64_t> squares(16);  // plain memory: a race here is an error of the pool
    parallel_for(16, [&](int64_t i) { squares[static_cast<size_t>(i)] = i * i; }, large);
    for (int64_t i = 0; i < 16; ++i) ASSERT_EQ(squares[static_cast<size_t>(i)], i * i);
  }
}

TEST_P(Pool, SmallWorkStaysOnTheCaller) {
  const auto caller = std::this_thread::get_id();
  parallel_for(8, [&](int64_t) { EXPECT_EQ(std::this_thread::get_id(), caller); }, 1e3);
}

TEST_P(Pool, NestedRegionsRunInline) {
  std::atomic<int> total{0};
  parallel_for(
      6,
      [&](int64_t) {
        const auto outer = std::this_thread::get_id();
        parallel_for(
            6,
            [&](int64_t) {
              EXPECT_EQ(std::this_thread::get_id(), outer);
              ++total;
            },
            large);
      },
      large);
  EXPECT_EQ(total, 36);
}

TEST_P(Pool, RethrowsTheExceptionOfTheLowestChunkAndGoesOnWorking) {
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> inside{0};
    try {
      parallel_for(
          64,
          [&](int64_t i) {
            ++inside;
            if (i >= 5 && i % 2 == 1) {
              if (i == 5) busy(std::chrono::microseconds(20));  // the others throw earlier
              --inside;
              throw std::runtime_error(std::to_string(i));
            }
            --inside;
          },
          large);
      FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "5");
    }
    EXPECT_EQ(inside, 0);  // drained
  }
  expect_each_chunk_once(100, large);
}

TEST_P(Pool, ManyThreadsMayCallAtOnce) {
  std::vector<std::thread> callers;
  std::atomic<int64_t> sum{0};
  for (int t = 0; t < 16; ++t) {
    callers.emplace_back([&] {
      for (int round = 0; round < 100; ++round) {
        parallel_for(20, [&](int64_t i) { sum += i; }, round % 2 ? large : 20e3);
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(sum, 16 * 100 * 190);
}

TEST_P(Pool, AForkedChildMakesItsOwnWorkers) {
  expect_each_chunk_once(100, large);
  for (int round = 0; round < 5; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      if (num_threads() != GetParam()) _exit(1);
      std::atomic<int64_t> sum{0};
      for (int i = 0; i < 20; ++i) parallel_for(100, [&](int64_t c) { sum += c; }, large);
      _exit(sum == 20 * 4950 ? 0 : 2);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  expect_each_chunk_once(100, large);
}

TEST_P(Pool, AForkWaitsForRegionsOfOtherThreads) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> callers;
  for (int t = 0; t < 3; ++t) {
    callers.emplace_back([&] {
      while (!stop) parallel_for(8, [&](int64_t) { busy(std::chrono::microseconds(5)); }, large);
    });
  }
  for (int round = 0; round < 20; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      std::atomic<int> count{0};
      parallel_for(50, [&](int64_t) { ++count; }, large);
      _exit(count == 50 ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  stop = true;
  for (auto& caller : callers) caller.join();
}

TEST(PoolSize, WorkersReallyShareTheWork) {
  const int before = num_threads();
  set_num_threads(2);
  std::atomic<int> arrived{0};
  // Neither chunk ends before the other has begun: it takes two threads.
  parallel_for(
      2,
      [&](int64_t) {
        ++arrived;
        while (arrived < 2) std::this_thread::yield();
      },
      large);
  EXPECT_EQ(arrived, 2);
  set_num_threads(before);
}

TEST(PoolSize, ALoopOfSmallRegionsFindsWorkersAwake) {
  const int before = num_threads();
  set_num_threads(2);
  const auto caller = std::this_thread::get_id();
  std::atomic<bool> shared{false};
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  const Ahead ahead(1e9);  // each region alone is not worth a wake-up
  while (!shared && std::chrono::steady_clock::now() < until)
    parallel_for(
        2,
        [&](int64_t) {
          if (std::this_thread::get_id() != caller) shared = true;
          const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(20);
          while (std::chrono::steady_clock::now() < end) {}
        },
        15e3);
  EXPECT_TRUE(shared);
  set_num_threads(before);
}

TEST(PoolSize, ChangesAtAnyTime) {
  const int before = num_threads();
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) expect_each_chunk_once(40, large);
  });
  for (int round = 0; round < 100; ++round) {
    const int n = 1 + round * 5 % 7;
    set_num_threads(n);
    EXPECT_EQ(num_threads(), n);
    expect_each_chunk_once(40, large);
  }
  stop = true;
  other.join();
  set_num_threads(before);
}

TEST(PoolSize, ANumberOutOfRangeIsAnError) {
  for (int n : {0, -1, 1 << 20}) {
    try {
      set_num_threads(n);
      FAIL() << n;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::value);
      EXPECT_NE(std::string(error.what()).find(std::to_string(n)), std::string::npos);
    }
  }
}

TEST(PoolSize, StartsWithinTheMachine) {
  EXPECT_GE(usable_cores(), 1);
  EXPECT_GE(num_threads(), 1);
}

TEST(Async, TasksOfAStreamRunInOrderOnAThreadOfTheirOwn) {
  std::vector<int> order;
  std::thread::id worker;
  for (int i = 0; i < 1000; ++i) {
    run_async(1, [&, i] {
      order.push_back(i);
      worker = std::this_thread::get_id();
    });
  }
  wait_async(1);
  ASSERT_EQ(order.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
  EXPECT_NE(worker, std::this_thread::get_id());
}

TEST(Async, StreamsDoNotWaitForEachOther) {
  std::atomic<bool> go{false};
  run_async(2, [&] {
    while (!go) std::this_thread::yield();
  });
  run_async(3, [&] { go = true; });
  wait_async(2);
  wait_async(3);
  wait_async(12345);  // nothing was ever queued there
  EXPECT_TRUE(go);
}

TEST(Async, WaitingMeansDoneAndDestroyed) {
  auto held = std::make_shared<int>(0);
  run_async(4, [held] { *held = 7; });
  wait_async(4);
  EXPECT_EQ(*held, 7);
  EXPECT_EQ(held.use_count(), 1);
}

TEST(Async, AnExceptionEndsNothing) {
  bool ran = false;
  run_async(5, [] { throw std::runtime_error("dropped"); });
  run_async(5, [&] { ran = true; });
  wait_async(5);
  EXPECT_TRUE(ran);
}

TEST(Async, ATaskMayWaitForItsOwnStreamAndQueueMore) {
  std::atomic<int> ran{0};
  run_async(6, [&] {
    wait_async(6);
    run_async(6, [&] { ++ran; });
    ++ran;
  });
  wait_async(6);
  wait_async(6);
  EXPECT_EQ(ran, 2);
}

TEST(Async, ATaskUsesThePool) {
  std::atomic<int64_t> sum{0};
  run_async(7, [&] { parallel_for(100, [&](int64_t i) { sum += i; }, large); });
  wait_async(7);
  EXPECT_EQ(sum, 4950);
}

TEST(Async, AForkedChildStartsWithNothingQueued) {
  std::atomic<bool> go{false};
  std::atomic<int> ran{0};
  run_async(8, [&] {
    while (!go) std::this_thread::yield();
  });
  run_async(8, [&] { ++ran; });
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    wait_async(8);  // returns: the queue belongs to the parent
    const bool clean = ran == 0;
    run_async(8, [&] { ran = 5; });
    wait_async(8);
    _exit(clean && ran == 5 ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  go = true;
  wait_async(8);
  EXPECT_EQ(ran, 1);
}

TEST(FunctionRef, CallsWhatItRefersTo) {
  int calls = 0;
  auto count = [&calls](int by) { return calls += by; };
  FunctionRef<int(int)> ref = count;
  EXPECT_EQ(ref(2), 2);
  FunctionRef<int(int)> copy = ref;
  EXPECT_EQ(copy(3), 5);
}

}  // namespace
}  // namespace lazulite::cpu
