#include "device/cpu/allocator.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "base/fail.h"
#include "base/ref.h"
#include "base/sanitize.h"
#include "device/cpu/features.h"
#include "device/cpu/guarded.h"
#include "device/cpu/pool.h"
#include "device/cpu/spin_lock.h"

namespace lazulite::cpu {
namespace {

constexpr int64_t small_limit = 64 << 10;  // largest small block, padding included
constexpr int64_t huge_page = 2 << 20;
constexpr int64_t huge_from = 4 << 20;           // from here on huge pages pay
constexpr int64_t most_bytes = int64_t{1} << 47;  // the address space of a process
constexpr int64_t bin_bytes = 32 << 10;          // free blocks that a thread keeps of one class

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

void unmap(void* start, int64_t bytes) {
  sanitize::unpoison(start, static_cast<size_t>(bytes));  // others will get these addresses
  munmap(start, static_cast<size_t>(bytes));
}

// ---- Size classes: four steps per doubling, multiples of 64, from 128 bytes to 64 KB ----

constexpr int class_count = 35;

constexpr auto class_bytes = [] {
  std::array<int32_t, class_count> sizes{};
  int c = 0, last = 0;
  for (int base = 128; base < small_limit; base *= 2) {
    for (int step = 0; step < 4; ++step) {
      const int bytes = (base + base / 4 * step + 63) / 64 * 64;  // 160 and 192 fall together
      if (bytes > last) sizes[c++] = last = bytes;
    }
  }
  sizes[c] = small_limit;
  return sizes;
}();
static_assert(class_bytes[class_count - 2] < small_limit);
static_assert(class_bytes[class_count - 1] == small_limit);

// The class for every multiple of 64.
constexpr auto class_index = [] {
  std::array<uint8_t, small_limit / 64 + 1> index{};
  int c = 0;
  for (int64_t i = 0; i <= small_limit / 64; ++i) {
    while (class_bytes[c] < i * 64) ++c;
    index[i] = static_cast<uint8_t>(c);
  }
  return index;
}();

bool is_small(int64_t bytes) { return bytes + block_padding <= small_limit; }
int class_of(int64_t bytes) { return class_index[(bytes + block_padding + 63) / 64]; }
int bin_limit(int c) { return static_cast<int>(std::max<int64_t>(2, bin_bytes / class_bytes[c])); }

// ---- Mappings ----

// Pages from the system, at `alignment` (a power of two, whole pages); null if there are none.
void* map_pages(int64_t bytes, int64_t alignment) {
  const int64_t page = sysconf(_SC_PAGESIZE);
  const int64_t extra = alignment > page ? alignment : 0;
  void* start = mmap(nullptr, static_cast<size_t>(bytes + extra), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return nullptr;
  if (!extra) return start;
  char* const begin = static_cast<char*>(start);
  const auto address = reinterpret_cast<uintptr_t>(begin);
  const int64_t before =
      static_cast<int64_t>((alignment - address % static_cast<uintptr_t>(alignment)) % alignment);
  if (before > 0) munmap(begin, static_cast<size_t>(before));
  if (extra > before) munmap(begin + before + bytes, static_cast<size_t>(extra - before));
  return begin + before;
}

void use_huge_pages(void* start, int64_t bytes) {
#if defined(MADV_HUGEPAGE)
  madvise(start, static_cast<size_t>(bytes), MADV_HUGEPAGE);
#else
  (void)start, (void)bytes;
#endif
}

// ---- Large blocks: one mapping each, described by the 64 bytes before the data ----

template <class T>
struct Link {
  T *previous = nullptr, *next = nullptr;
};

struct alignas(64) Large {
  int64_t mapped;     // bytes of the mapping, this header included
  Link<Large> size;   // among cached blocks of about this size
  Link<Large> age;    // among all cached blocks
};
static_assert(sizeof(Large) == 64);

// A doubly linked list through the member `L`, newest first.
template <class T, Link<T> T::*L>
struct List {
  T *first = nullptr, *last = nullptr;

  void push(T* item) {
    (item->*L) = {nullptr, first};
    (first ? (first->*L).previous : last) = item;
    first = item;
  }
  void remove(T* item) {
    auto [previous, next] = item->*L;
    (previous ? (previous->*L).next : first) = next;
    (next ? (next->*L).previous : last) = previous;
  }
};

// Cached mappings by size, eight steps per doubling.
class LargeCache {
 public:
  int64_t bytes() const { return bytes_; }

  void push(Large* block) {
    sizes_[step_of(block->mapped)].push(block);
    ages_.push(block);
    bytes_ += block->mapped;
  }

  // The tightest of the newest blocks that wastes at most an eighth; null if there is none.
  Large* take(int64_t mapped) {
    const int64_t most = mapped + mapped / 8;
    Large* best = nullptr;
    for (size_t step = step_of(mapped); step <= step_of(most); ++step) {
      int looked_at = 0;
      for (Large* block = sizes_[step].first; block && looked_at < 64;
           block = block->size.next, ++looked_at) {
        if (block->mapped < mapped || block->mapped > most) continue;
        if (!best || block->mapped < best->mapped) best = block;
        if (best->mapped == mapped) break;
      }
      if (best) break;
    }
    if (best) remove(best);
    return best;
  }

  // Returns the oldest block to the system.
  bool drop_oldest() {
    Large* block = ages_.last;
    if (!block) return false;
    remove(block);
    unmap(block, block->mapped);
    return true;
  }

 private:
  static size_t step_of(int64_t mapped) {
    const auto n = static_cast<uint64_t>(mapped);
    const int doubling = std::bit_width(n) - 1;  // at least 12: whole pages
    return static_cast<size_t>(doubling) * 8 + ((n >> (doubling - 3)) & 7);
  }

  void remove(Large* block) {
    sizes_[step_of(block->mapped)].remove(block);
    ages_.remove(block);
    bytes_ -= block->mapped;
  }

  std::array<List<Large, &Large::size>, 64 * 8> sizes_;
  List<Large, &Large::age> ages_;
  int64_t bytes_ = 0;
};

// ---- Small blocks: spans of 2 MB, each for one class, found from a block by its address ----

struct Free {
  Free* next;
};

struct alignas(128) Span {
  int32_t size_class;
  int32_t live;     // blocks that are handed out or in a thread's bin
  int32_t carved;   // bytes from the start that blocks have been cut from
  int32_t touched;  // the most that `carved` ever was: what the system has really given
  Free* free;
  Link<Span> link;  // among spans of the class with room, or among empty spans

  static Span* of(void* block) {
    return reinterpret_cast<Span*>(reinterpret_cast<uintptr_t>(block) & ~uintptr_t{huge_page - 1});
  }
};
static_assert(sizeof(Span) == 128);

// Where the bins of the threads are filled from and emptied to.
class Spans {
 public:
  // Bytes of spans without a live block.
  int64_t empty_bytes() const { return empty_bytes_; }

  // Null if the system gives no memory.
  void* take(int c) {
    Span* span = with_room_[c].first;
    if (!span) {
      span = fresh(c);
      if (!span) return nullptr;
      with_room_[c].push(span);
    }
    void* block = span->free;
    if (block) {
      span->free = span->free->next;
    } else {
      block = reinterpret_cast<char*>(span) + span->carved;
      span->carved += class_bytes[c];
      span->touched = std::max(span->touched, span->carved);
    }
    ++span->live;
    if (!has_room(*span)) with_room_[c].remove(span);
    return block;
  }

  void give(void* block) {
    Span* span = Span::of(block);
    auto& with_room = with_room_[span->size_class];
    if (!has_room(*span)) with_room.push(span);
    auto* freed = static_cast<Free*>(block);
    freed->next = span->free;
    span->free = freed;
    if (--span->live > 0) return;
    with_room.remove(span);
    --spans_[span->size_class];
    empty_.push(span);
    empty_bytes_ += span->touched;
  }

  bool drop_empty() {
    Span* span = empty_.last;
    if (!span) return false;
    empty_.remove(span);
    empty_bytes_ -= span->touched;
    unmap(span, huge_page);
    return true;
  }

 private:
  static bool has_room(const Span& span) {
    return span.free || span.carved + class_bytes[span.size_class] <= huge_page;
  }

  Span* fresh(int c) {
    Span* span = empty_.first;
    int32_t touched = sizeof(Span);
    if (span) {
      empty_.remove(span);
      empty_bytes_ -= span->touched;
      touched = span->touched;
    } else {
      void* pages = map_pages(huge_page, huge_page);
      if (!pages) return nullptr;
      // A huge page is zeroed as a whole at its first touch: too much for a few small arrays.
      if (spans_[c] >= 2) use_huge_pages(pages, huge_page);
      span = static_cast<Span*>(pages);
    }
    ++spans_[c];
    return new (span) Span{c, 0, sizeof(Span), touched, nullptr, {}};
  }

  std::array<List<Span, &Span::link>, class_count> with_room_;
  List<Span, &Span::link> empty_;
  int64_t empty_bytes_ = 0;
  std::array<int, class_count> spans_{};  // in use, by class
};

// Free small blocks of one thread. The lock is the owner's but for clear_cache, limits and fork.
struct alignas(64) Bins {
  SpinLock lock;
  std::array<int32_t, class_count> count{};
  std::array<Free*, class_count> first{};
  std::atomic<int64_t> bytes{0};  // written under the lock

  void add(int64_t n) {  // one writer at a time: no locked instruction needed
    bytes.store(bytes.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void push(int c, void* block) {
    auto* freed = static_cast<Free*>(block);
    freed->next = first[c];
    first[c] = freed;
    ++count[c];
    add(class_bytes[c]);
  }
  void* pop(int c) {
    Free* block = first[c];
    if (!block) return nullptr;
    first[c] = block->next;
    --count[c];
    add(-class_bytes[c]);
    return block;
  }
};

// ---- The whole. Locks are taken in the order registry, a thread's bins, central. ----

class Allocator {
 public:
  Allocator()
      : memory_limit_(usable_memory() / 20 * 19), cache_limit_(usable_memory() / 4) {}

  void* allocate(int64_t bytes, Bins* bins) {
    const int64_t total = count_up(bytes);
    if (total < 0) out_of_memory(bytes);
    void* block = guarded::wanted() ? guarded::take(bytes) : nullptr;
    if (!block) block = is_small(bytes) ? take_small(class_of(bytes), bins) : take_large(bytes);
    if (!block) {
      count_down(bytes);
      out_of_memory(bytes);
    }
    raise_peak(total);
    return block;
  }

  void release(void* block, int64_t bytes, Bins* bins) {
    if (guarded::give(block, bytes)) {
    } else if (is_small(bytes)) {
      give_small(block, class_of(bytes), bins);
    } else {
      give_large(static_cast<Large*>(block) - 1);
    }
    count_down(bytes);
  }

  int64_t active() const { return active_.load(std::memory_order_relaxed); }
  int64_t peak() const { return peak_.load(std::memory_order_relaxed); }
  void reset_peak() {
    peak_.store(0, std::memory_order_relaxed);
  }  // the next allocation counts all that is alive
  int64_t memory_limit() const { return memory_limit_.load(std::memory_order_relaxed); }
  int64_t cache_limit() const { return cache_limit_.load(std::memory_order_relaxed); }

  int64_t cached() {
    std::lock_guard hold(registry_);
    int64_t total = 0;
    for (const Bins* bins : all_bins_) total += bins->bytes.load(std::memory_order_relaxed);
    std::lock_guard hold_central(central_);
    return total + central_bytes();
  }

  void clear() {
    empty_all_bins();
    std::lock_guard hold(central_);
    trim(0);
  }

  int64_t set_memory_limit(int64_t bytes) {
    const int64_t old = memory_limit_.exchange(bytes, std::memory_order_relaxed);
    const int64_t room = std::max<int64_t>(0, bytes - active());
    if (cached() > room) shrink_to(room);
    return old;
  }

  int64_t set_cache_limit(int64_t bytes) {
    const int64_t old = cache_limit_.exchange(bytes, std::memory_order_relaxed);
    if (cached() > bytes) shrink_to(bytes);
    return old;
  }

  Bins* add_bins() {
    auto bins = std::make_unique<Bins>();
    std::lock_guard hold(registry_);
    all_bins_.push_back(bins.get());
    return bins.release();
  }

  void remove_bins(Bins* bins) {
    std::lock_guard hold(registry_);
    all_bins_.erase(std::find(all_bins_.begin(), all_bins_.end(), bins));
    empty(*bins);
    delete bins;
  }

  void lock_for_fork() {
    registry_.lock();
    for (Bins* bins : all_bins_) bins->lock.lock();
    central_.lock();
  }

  void unlock_in_parent() {
    central_.unlock();
    for (Bins* bins : all_bins_) bins->lock.unlock();
    registry_.unlock();
  }

  // Only the forking thread goes on: what the others had in their bins returns.
  void unlock_in_child(Bins* own) {
    for (Bins* bins : all_bins_) {
      if (bins != own) give_back(*bins);
      bins->lock.unlock();
    }
    all_bins_.clear();
    if (own) all_bins_.push_back(own);
    central_.unlock();
    registry_.unlock();
  }

 private:
  // ---- accounting ----

  // The new total, or -1 where the limit forbids it.
  int64_t count_up(int64_t bytes) {
    int64_t now = active();
    do {
      if (bytes > most_bytes || bytes > memory_limit() - now) return -1;
    } while (!active_.compare_exchange_weak(now, now + bytes, std::memory_order_relaxed));
    return now + bytes;
  }

  void count_down(int64_t bytes) { active_.fetch_sub(bytes, std::memory_order_relaxed); }

  void raise_peak(int64_t total) {
    int64_t most = peak_.load(std::memory_order_relaxed);
    while (total > most &&
           !peak_.compare_exchange_weak(most, total, std::memory_order_relaxed)) {
    }
  }

  [[noreturn]] void out_of_memory(int64_t bytes) {
    const int64_t now = active(), limit = memory_limit();
    if (bytes > limit - now) {
      fail(Kind::memory, "allocate", "out of memory: got a request of ", bytes, " bytes with ", now,
           " bytes in use, expected at most ", limit, " bytes together (set_memory_limit)");
    }
    fail(Kind::memory, "allocate", "the system is out of memory: got a request of ", bytes,
         " bytes with ", now, " bytes in use, expected less (the limit is ", limit, " bytes)");
  }

  // ---- small ----

  void* take_small(int c, Bins* bins) {
    if (bins) {
      std::lock_guard hold(bins->lock);
      if (void* block = bins->pop(c)) return block;
    }
    std::lock_guard hold(central_);
    give_way();
    if (void* block = spans_.take(c)) return block;
    trim(0);
    return spans_.take(c);
  }

  void give_small(void* block, int c, Bins* bins) {
    // A cache that may hold next to nothing is not spread over threads.
    if (bins && cache_limit() >= keeping_from) {
      std::lock_guard hold(bins->lock);
      bins->push(c, block);
      if (bins->count[c] <= bin_limit(c)) return;
      std::lock_guard hold_central(central_);
      for (int i = bins->count[c] / 2; i > 0; --i) spans_.give(bins->pop(c));
      trim(cache_limit());
      return;
    }
    std::lock_guard hold(central_);
    spans_.give(block);
    trim(cache_limit());
  }

  void give_back(Bins& bins) {
    for (int c = 0; c < class_count; ++c) {
      while (void* block = bins.pop(c)) spans_.give(block);
    }
  }

  void empty(Bins& bins) {
    std::lock_guard hold(bins.lock);
    std::lock_guard hold_central(central_);
    give_back(bins);
    trim(cache_limit());
  }

  void empty_all_bins() {
    std::lock_guard hold(registry_);
    for (Bins* bins : all_bins_) empty(*bins);
  }

  // ---- large ----

  void* take_large(int64_t bytes) {
    const int64_t page = sysconf(_SC_PAGESIZE);
    const int64_t mapped =
        round_up(bytes + static_cast<int64_t>(sizeof(Large)) + block_padding, page);
    {
      std::lock_guard hold(central_);
      if (Large* block = large_.take(mapped)) return block + 1;
      give_way();
    }
    void* pages = map_large(mapped);
    if (!pages) {
      clear();
      pages = map_large(mapped);
    }
    if (!pages) return nullptr;
    return new (pages) Large{mapped, {}, {}} + 1;
  }

  static void* map_large(int64_t mapped) {
    const bool huge = mapped >= huge_from;
    void* pages = map_pages(mapped, huge ? huge_page : 0);
    if (pages && huge) use_huge_pages(pages, mapped);
    return pages;
  }

  void give_large(Large* block) {
    const int64_t mapped = block->mapped;
    {
      std::lock_guard hold(central_);
      if (mapped <= cache_limit()) {
        large_.push(block);
        trim(cache_limit());
        return;
      }
    }
    unmap(block, mapped);
  }

  // ---- the cache as a whole; under central_ ----

  int64_t central_bytes() const { return large_.bytes() + spans_.empty_bytes(); }

  // Makes room for a block that active memory counts already.
  void give_way() { trim(std::max<int64_t>(0, memory_limit() - active())); }

  void trim(int64_t most) {
    while (central_bytes() > most) {
      if (!large_.drop_oldest() && !spans_.drop_empty()) return;
    }
  }

  // Takes the locks by itself.
  void shrink_to(int64_t most) {
    empty_all_bins();
    std::lock_guard hold(central_);
    trim(most);
  }

  // From this cache limit on, the threads' bins are within it anyhow.
  static constexpr int64_t keeping_from = 16 << 20;

  alignas(64) std::atomic<int64_t> active_{0};
  std::atomic<int64_t> peak_{0};
  alignas(64) std::atomic<int64_t> memory_limit_;
  std::atomic<int64_t> cache_limit_;

  std::mutex registry_;
  std::vector<Bins*> all_bins_;  // under registry_

  alignas(64) std::mutex central_;
  Spans spans_;       // under central_
  LargeCache large_;  // under central_
};

Allocator& allocator() {
  static Allocator* const leaked = (register_fork_handlers(), new Allocator);
  return *leaked;
}

// The calling thread's bins; null before its first call and after its thread_local objects died.
LAZULITE_THREAD_LOCAL Bins* own_bins = nullptr;
LAZULITE_THREAD_LOCAL bool thread_ends = false;

struct BinsOwner {
  bool alive = true;
  ~BinsOwner() {
    thread_ends = true;
    if (Bins* bins = std::exchange(own_bins, nullptr)) allocator().remove_bins(bins);
  }
};

Bins* make_bins() {
  if (thread_ends) return nullptr;
  thread_local BinsOwner owner;
  if (!owner.alive) return nullptr;  // names it, so that it is made
  try {
    own_bins = allocator().add_bins();
  } catch (const std::bad_alloc&) {  // the thread does without
  }
  return own_bins;
}

Bins* bins_of_thread() { return own_bins ? own_bins : make_bins(); }

void check_limit(const char* op, int64_t bytes) {
  if (bytes < 0) {
    fail(Kind::value, op, "negative limit: got ", bytes, " bytes, expected 0 or more");
  }
}

}  // namespace

void* allocate(int64_t bytes, int64_t* capacity) {
  if (bytes < 0) {
    fail(Kind::value, "allocate", "negative size: got ", bytes, " bytes, expected 0 or more");
  }
  void* block = allocator().allocate(bytes, bins_of_thread());
  sanitize::unpoison(block, static_cast<size_t>(bytes + block_padding));
  *capacity = bytes;
  return block;
}

void release(void* block, int64_t capacity) noexcept {
  if (!block) return;
  // But for the line that links free blocks.
  sanitize::poison(static_cast<char*>(block) + block_padding, static_cast<size_t>(capacity));
  allocator().release(block, capacity, bins_of_thread());
}

int64_t get_active_memory() { return allocator().active(); }
int64_t get_peak_memory() { return allocator().peak(); }
void reset_peak_memory() { allocator().reset_peak(); }
int64_t get_cache_memory() { return allocator().cached(); }
void clear_cache() { allocator().clear(); }

int64_t get_memory_limit() { return allocator().memory_limit(); }
int64_t set_memory_limit(int64_t bytes) {
  check_limit("set_memory_limit", bytes);
  return allocator().set_memory_limit(bytes);
}

int64_t get_cache_limit() { return allocator().cache_limit(); }
int64_t set_cache_limit(int64_t bytes) {
  check_limit("set_cache_limit", bytes);
  return allocator().set_cache_limit(bytes);
}

void lock_allocator_for_fork() { allocator().lock_for_fork(); }
void unlock_allocator_in_parent() { allocator().unlock_in_parent(); }
void unlock_allocator_in_child() { allocator().unlock_in_child(own_bins); }

}  // namespace lazulite::cpu
