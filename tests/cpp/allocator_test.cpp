#include "device/cpu/allocator.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/fail.h"
#include "device/cpu/features.h"

namespace lazulite::cpu {
namespace {

struct Block {
  explicit Block(int64_t size) : bytes(size), data(allocate(size, &capacity)) {}
  Block(Block&& other) noexcept
      : bytes(other.bytes), capacity(other.capacity), data(std::exchange(other.data, nullptr)) {}
  Block& operator=(Block&& other) noexcept {
    std::swap(bytes, other.bytes);
    std::swap(capacity, other.capacity);
    std::swap(data, other.data);
    return *this;
  }
  ~Block() { release(data, capacity); }

  unsigned char* begin() const { return static_cast<unsigned char*>(data); }

  int64_t bytes, capacity = 0;
  void* data;
};

// Every test begins with an empty cache and ends with the limits that it found.
class Allocator : public testing::Test {
 protected:
  void SetUp() override {
    clear_cache();
    ASSERT_EQ(get_cache_memory(), 0);
    active_ = get_active_memory();
    memory_limit_ = get_memory_limit();
    cache_limit_ = get_cache_limit();
  }
  void TearDown() override {
    EXPECT_EQ(get_active_memory(), active_);
    set_memory_limit(memory_limit_);
    set_cache_limit(cache_limit_);
  }

  int64_t active_ = 0, memory_limit_ = 0, cache_limit_ = 0;
};

const std::vector<int64_t> sizes = {0,      1,      63,     64,     65,      128,     1000,
                                    4096,   16384,  65471,  65472,  65473,   65536,   262144,
                                    262145, 500000, 524288, 999999, 4194304, 5000001, 40000000};

TEST_F(Allocator, BlocksAreAlignedWritableAndReadableBeyondTheirEnd) {
  std::vector<Block> blocks;
  for (int64_t bytes : sizes) {
    blocks.emplace_back(bytes);
    const Block& block = blocks.back();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block.data) % 64, 0u) << bytes;
    std::memset(block.data, static_cast<int>(blocks.size()), static_cast<size_t>(bytes));
    volatile unsigned char sink = 0;
    for (int64_t i = 0; i < block_padding; ++i) sink = block.begin()[bytes + i];
    (void)sink;
  }
  int value = 0;
  for (const Block& block : blocks) {
    ++value;
    EXPECT_TRUE(std::all_of(block.begin(), block.begin() + block.bytes,
                            [&](unsigned char byte) { return byte == value; }));
  }
}

TEST_F(Allocator, LargeBlocksLieInHugePages) {
  Block block(16 << 20);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(block.data) % (2 << 20), 64u);  // behind the header
}

TEST_F(Allocator, ActiveAndPeakCountWhatWasAskedFor) {
  reset_peak_memory();
  EXPECT_EQ(get_peak_memory(), 0);
  int64_t total = active_;
  {
    std::vector<Block> blocks;
    for (int64_t bytes : sizes) {
      blocks.emplace_back(bytes);
      total += bytes;
      EXPECT_EQ(get_active_memory(), total);
      EXPECT_EQ(get_peak_memory(), total);
    }
  }
  EXPECT_EQ(get_active_memory(), active_);
  EXPECT_EQ(get_peak_memory(), total);
  reset_peak_memory();
  EXPECT_EQ(get_peak_memory(), 0);
}

TEST_F(Allocator, ReleasedMemoryIsCachedAndReused) {
  for (int64_t bytes : {100, 16384, 100000, 5000000}) {
    void* first = nullptr;
    {
      Block block(bytes);
      first = block.data;
      EXPECT_EQ(get_cache_memory(), 0) << bytes;
    }
    EXPECT_GE(get_cache_memory(), bytes);
    {
      Block again(bytes);
      EXPECT_EQ(again.data, first) << bytes;
      EXPECT_EQ(get_cache_memory(), 0) << bytes;
    }
    clear_cache();
    EXPECT_EQ(get_cache_memory(), 0) << bytes;
  }
}

TEST_F(Allocator, ReuseWastesAtMostAnEighth) {
  void* first = Block(10'000'000).data;
  {
    Block half(5'000'000);
    EXPECT_NE(half.data, first);
  }
  clear_cache();
  first = Block(10'000'000).data;
  Block near(9'000'000);
  EXPECT_EQ(near.data, first);
  EXPECT_EQ(get_cache_memory(), 0);
}

TEST_F(Allocator, TheTightestFitIsTaken) {
  void *wide = nullptr, *tight = nullptr;
  {
    Block a(1'050'000), b(1'000'000), c(1'040'000);
    wide = c.data;
    tight = b.data;
  }
  Block block(990'000);
  EXPECT_EQ(block.data, tight);
  Block next(1'035'000);
  EXPECT_EQ(next.data, wide);
}

TEST_F(Allocator, TheCacheKeepsWithinItsLimitAndDropsTheOldestFirst) {
  EXPECT_EQ(set_cache_limit(25'000'000), cache_limit_);
  EXPECT_EQ(get_cache_limit(), 25'000'000);
  { Block old(10'000'000); }
  { Block middle(12'000'000); }
  EXPECT_GT(get_cache_memory(), 22'000'000);
  { Block fresh(8'000'000); }  // the oldest goes
  EXPECT_GE(get_cache_memory(), 20'000'000);
  EXPECT_LE(get_cache_memory(), 20'100'000);
  { Block too_large(26'000'000); }
  EXPECT_LE(get_cache_memory(), 25'000'000);
  set_cache_limit(9'000'000);
  EXPECT_LE(get_cache_memory(), 9'000'000);
  EXPECT_GE(get_cache_memory(), 8'000'000);
  set_cache_limit(0);
  EXPECT_EQ(get_cache_memory(), 0);
  for (int64_t bytes : sizes) {
    { Block block(bytes); }
    EXPECT_EQ(get_cache_memory(), 0) << bytes;
  }
}

TEST_F(Allocator, SmallBlocksAreGivenBackToo) {
  set_cache_limit(20 << 20);
  {
    std::vector<Block> blocks;
    for (int i = 0; i < 400'000; ++i) blocks.emplace_back(100);  // 77 MB in spans
    EXPECT_EQ(get_active_memory(), active_ + 40'000'000);
  }
  EXPECT_LE(get_cache_memory(), (20 << 20) + (1 << 20));
  clear_cache();
  EXPECT_EQ(get_cache_memory(), 0);
}

Kind kind_of_failure(int64_t bytes, std::string* text = nullptr) {
  int64_t capacity = 0;
  try {
    release(allocate(bytes, &capacity), capacity);
  } catch (const Error& error) {
    if (text) *text = error.what();
    return error.kind();
  }
  ADD_FAILURE() << "no error for " << bytes;
  return Kind::runtime;
}

TEST_F(Allocator, ImpossibleSizesAreErrors) {
  const int64_t most = std::numeric_limits<int64_t>::max();
  const int64_t peak = get_peak_memory();
  for (int64_t limit : {memory_limit_, most}) {
    set_memory_limit(limit);
    for (int64_t bytes : {most, most - 64, most / 2, int64_t{1} << 48}) {
      EXPECT_EQ(kind_of_failure(bytes), Kind::memory) << bytes;
    }
    for (int64_t bytes : {int64_t{-1}, -most - 1}) {
      EXPECT_EQ(kind_of_failure(bytes), Kind::value) << bytes;
    }
  }
  EXPECT_EQ(get_peak_memory(), peak);
}

TEST_F(Allocator, TheMemoryLimitHolds) {
  EXPECT_GT(memory_limit_, 0);
  EXPECT_LE(memory_limit_, usable_memory());
  EXPECT_EQ(set_memory_limit(active_ + 10'000'000), memory_limit_);
  EXPECT_EQ(get_memory_limit(), active_ + 10'000'000);
  Block block(6'000'000);
  std::string text;
  EXPECT_EQ(kind_of_failure(4'000'001, &text), Kind::memory);
  EXPECT_NE(text.find("4000001"), std::string::npos) << text;
  EXPECT_NE(text.find(std::to_string(get_active_memory())), std::string::npos) << text;
  EXPECT_NE(text.find(std::to_string(get_memory_limit())), std::string::npos) << text;
  Block fits(4'000'000);
  EXPECT_EQ(kind_of_failure(1), Kind::memory);
}

TEST_F(Allocator, TheCacheGivesWayToTheMemoryLimit) {
  set_memory_limit(active_ + 30'000'000);
  { Block cached(20'000'000); }
  EXPECT_GE(get_cache_memory(), 20'000'000);
  Block other(25'000'000);
  EXPECT_LE(get_active_memory() + get_cache_memory(), get_memory_limit());
  set_memory_limit(active_);
  EXPECT_EQ(get_cache_memory(), 0);
}

TEST_F(Allocator, NegativeLimitsAreErrors) {
  EXPECT_THROW(set_memory_limit(-1), Error);
  EXPECT_THROW(set_cache_limit(-1), Error);
  EXPECT_EQ(get_memory_limit(), memory_limit_);
}

TEST_F(Allocator, ThreadsAllocateAndReleaseForEachOther) {
  std::mutex mutex;
  std::vector<Block> shared;
  std::vector<std::thread> threads;
  std::atomic<bool> wrong{false};
  for (unsigned t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 5000; ++i) {
        const int64_t bytes = random() % (i % 50 ? 3000 : 300'000) + 8;
        Block block(bytes);
        std::memset(block.data, static_cast<int>(bytes % 251), static_cast<size_t>(bytes));
        std::lock_guard hold(mutex);
        shared.push_back(std::move(block));
        if (shared.size() < 100) continue;
        std::swap(shared[random() % shared.size()], shared.back());
        const Block taken = std::move(shared.back());
        shared.pop_back();
        const auto value = static_cast<unsigned char>(taken.bytes % 251);
        if (taken.begin()[0] != value || taken.begin()[taken.bytes - 1] != value) wrong = true;
      }
    });
  }
  for (int i = 0; i < 50; ++i) {  // meanwhile
    clear_cache();
    EXPECT_GE(get_cache_memory(), 0);
    std::this_thread::yield();
  }
  for (auto& thread : threads) thread.join();
  EXPECT_FALSE(wrong);
  shared.clear();
  EXPECT_EQ(get_active_memory(), active_);
  clear_cache();
  EXPECT_EQ(get_cache_memory(), 0);  // what ended threads kept came back
}

TEST_F(Allocator, ClearCacheReachesTheBinsOfOtherThreads) {
  std::atomic<int> step{0};
  std::thread other([&] {
    { Block block(1000); }
    step = 1;
    while (step != 2) std::this_thread::yield();
  });
  while (step != 1) std::this_thread::yield();
  EXPECT_GE(get_cache_memory(), 1000);
  clear_cache();
  EXPECT_EQ(get_cache_memory(), 0);
  step = 2;
  other.join();
}

TEST_F(Allocator, WorksInAForkedChildWhileOthersAllocate) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int64_t i = 0; !stop; ++i) Block block(i * 977 % 200'000);
    });
  }
  for (int round = 0; round < 20; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      for (int64_t bytes : sizes) std::memset(Block(bytes).data, 1, static_cast<size_t>(bytes));
      clear_cache();
      _exit(get_cache_memory() == 0 ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  stop = true;
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace lazulite::cpu
