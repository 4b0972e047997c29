#include "device/cpu/pool.h"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>

#include "base/env.h"
#include "base/fail.h"
#include "device/cpu/allocator.h"
#include "device/cpu/features.h"
#include "device/cpu/spin_lock.h"
#include "device/cpu/start_thread.h"
#include "device/cpu/streams.h"

namespace lazulite::cpu {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double share_ns = 10e3;  // below this a region is not worth a cache line's journey
constexpr double wake_ns = 50e3;   // below this a region is not worth a wake-up (about 45 us)
constexpr double per_worker_ns = 20e3;
constexpr double wakes_apart_ns = 200e3;  // of regions that are not worth one each (Ahead)
constexpr auto spin_time = std::chrono::microseconds(80);
constexpr int max_threads = 1024;
std::atomic<double> least_ns{0};  // what any region is taken to cost

// True on a thread that is inside a body: a region begun there runs inline.
thread_local bool inside = false;
thread_local int wakes_left = 0;  // for small regions of this thread

class Inside {
 public:
  Inside() { inside = true; }
  ~Inside() { inside = false; }
};

// Polls until done() for about `spin_time`; true if it became so.
template <class Done>
bool spin_until(Done done) {
  const auto end = Clock::now() + spin_time;
  do {
    for (int i = 0; i < 16; ++i) {
      if (done()) return true;
      relax();
    }
  } while (Clock::now() < end);
  return false;
}

// One parallel_for that workers may join. It lives on the stack of its caller, who leaves only
// after taking it off the list and seeing no worker in it.
struct Region {
  FunctionRef<void(int64_t)> body;
  const int64_t chunks;
  const int64_t most_workers;
  int64_t joined = 0;     // workers that ever came in; under Pool::lock_
  bool listed = true;     // under Pool::lock_
  Region* next = nullptr;  // under Pool::lock_
  alignas(64) std::atomic<int64_t> claim{0};
  alignas(64) std::atomic<int> workers{0};  // workers that are in it now
  std::atomic<bool> failed{false};
  SpinLock error_lock{};
  std::exception_ptr error{};
  int64_t error_chunk = std::numeric_limits<int64_t>::max();

  bool exhausted() const {
    return claim.load(std::memory_order_relaxed) >= chunks ||
           failed.load(std::memory_order_relaxed);
  }

  void work() {
    Inside guard;
    while (!failed.load(std::memory_order_relaxed)) {
      const int64_t chunk = claim.fetch_add(1, std::memory_order_relaxed);
      if (chunk >= chunks) return;
      try {
        body(chunk);
      } catch (...) {
        std::lock_guard hold(error_lock);
        if (chunk < error_chunk) {
          error_chunk = chunk;
          error = std::current_exception();
        }
        failed.store(true, std::memory_order_relaxed);
      }
    }
  }
};

void check_threads(const char* op, int64_t n) {
  if (n >= 1 && n <= max_threads) return;
  fail(Kind::value, op, "bad number of threads: got ", n, ", expected 1 to ", max_threads);
}

int threads_at_start() {
  const std::optional<int64_t> asked = env::integer("LAZULITE_NUM_THREADS", 1, max_threads);
  return static_cast<int>(asked.value_or(std::min(usable_cores(), max_threads)));
}

class Pool {
 public:
  explicit Pool(int threads) : threads_(threads) {}

  int threads() const { return threads_.load(std::memory_order_relaxed); }

  void set_threads(int n) {
    {
      std::lock_guard hold(sleep_mutex_);
      threads_.store(n, std::memory_order_relaxed);
    }
    wake_.notify_all();  // workers above the new number leave
  }

  // Runs a region with whoever is idle; false if it must run inline (a fork is under way).
  bool run(Region& region, bool wake) {
    if (!publish(region)) return false;
    if (wake) {
      start_workers();
      wake_some();
    }
    region.work();
    unlist(region);
    wait_for_workers(region);
    published_.fetch_sub(1, std::memory_order_release);
    return true;
  }

  // Whether a region too small for a wake-up would find somebody awake.
  bool anyone_spinning() const { return spinning_.load(std::memory_order_relaxed) > 0; }

  // Keeps new regions to their callers and waits until none is shared. Bodies take no lock that a
  // forking thread could hold, so this ends.
  void close() {
    {
      std::lock_guard hold(lock_);
      ++closed_;
    }
    while (published_.load(std::memory_order_acquire) != 0) {
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }

  void open() {
    std::lock_guard hold(lock_);
    --closed_;
  }

 private:
  bool publish(Region& region) {
    std::lock_guard hold(lock_);
    if (closed_ > 0) return false;
    published_.fetch_add(1, std::memory_order_relaxed);
    region.next = regions_;
    regions_ = &region;
    open_.fetch_add(1);  // seq_cst: pairs with sleeping_ in sleep()
    return true;
  }

  // Under lock_. The list holds only regions that want workers, so that nobody spins on others.
  void remove(Region& region) {
    if (!region.listed) return;
    region.listed = false;
    Region** link = &regions_;
    while (*link != &region) link = &(*link)->next;
    *link = region.next;
    open_.fetch_sub(1, std::memory_order_relaxed);
  }

  void unlist(Region& region) {
    std::lock_guard hold(lock_);
    remove(region);
  }

  // Joins the region with the fewest workers.
  Region* join(int worker) {
    std::lock_guard hold(lock_);
    if (worker >= threads() - 1) return nullptr;
    Region* best = nullptr;
    for (Region* region = regions_; region;) {
      Region* following = region->next;
      if (region->exhausted()) {
        remove(*region);
      } else if (!best || region->joined < best->joined) {
        best = region;
      }
      region = following;
    }
    if (!best) return nullptr;
    best->workers.fetch_add(1, std::memory_order_relaxed);
    if (++best->joined >= best->most_workers) remove(*best);
    return best;
  }

  // The region may be gone right after the count falls; only the pool is touched from then on.
  void leave(Region& region) {
    region.workers.fetch_sub(1);  // seq_cst: pairs with waiting_ in wait_for_workers()
    if (waiting_.load() > 0) {
      { std::lock_guard hold(done_mutex_); }
      done_.notify_all();
    }
  }

  void wait_for_workers(Region& region) {
    const auto empty = [&] { return region.workers.load() == 0; };
    if (empty() || spin_until(empty)) return;
    waiting_.fetch_add(1);
    {
      std::unique_lock hold(done_mutex_);
      done_.wait(hold, empty);
    }
    waiting_.fetch_sub(1, std::memory_order_relaxed);
  }

  // A wake-up costs the waker some 13 us, so everybody wakes at most two others: a tree.
  void wake_some() {
    for (int i = 0; i < 2; ++i) {
      if (open_.load() == 0 || sleeping_.load() == 0) return;
      { std::lock_guard hold(sleep_mutex_); }
      wake_.notify_one();
    }
  }

  void start_workers() {
    if (started_.load(std::memory_order_relaxed) >= threads() - 1) return;
    std::lock_guard hold(sleep_mutex_);
    for (int i = 0; i < threads() - 1; ++i) {
      if (alive_[i]) continue;
      if (!start_thread([this, i] { serve(i); })) return;
      alive_[i] = true;
      started_.fetch_add(1, std::memory_order_relaxed);
    }
  }

  void serve(int worker) {
#if defined(__linux__)
    pthread_setname_np(pthread_self(), "lazulite");
#endif
    bool slept = false;
    for (;;) {
      if (Region* region = join(worker)) {
        if (slept) wake_some();
        slept = false;
        region->work();
        leave(*region);
        continue;
      }
      if (spin(worker)) continue;
      if (!sleep(worker)) return;
      slept = true;
    }
  }

  // More spinners than spare cores would only take time from those who work.
  bool spin(int worker) {
    bool found = false;
    if (spinning_.fetch_add(1, std::memory_order_relaxed) < usable_cores() - 1) {
      found = spin_until([&] {
        return open_.load(std::memory_order_relaxed) > 0 && worker < threads() - 1;
      });
    }
    spinning_.fetch_sub(1, std::memory_order_relaxed);
    return found;
  }

  // False if this worker is no longer wanted.
  bool sleep(int worker) {
    std::unique_lock hold(sleep_mutex_);
    sleeping_.fetch_add(1);
    wake_.wait(hold, [&] { return open_.load() > 0 || worker >= threads() - 1; });
    sleeping_.fetch_sub(1);
    if (worker < threads() - 1) return true;
    alive_[worker] = false;
    started_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }

  std::atomic<int> threads_;  // written under sleep_mutex_

  SpinLock lock_;
  Region* regions_ = nullptr;         // under lock_
  int closed_ = 0;                    // under lock_
  alignas(64) std::atomic<int> open_{0};  // length of the list
  std::atomic<int> published_{0};     // regions that workers have been able to see
  alignas(64) std::atomic<int> spinning_{0};

  std::mutex sleep_mutex_;
  std::condition_variable wake_;
  std::atomic<int> sleeping_{0};
  std::atomic<int> started_{0};
  std::array<bool, max_threads> alive_{};  // under sleep_mutex_

  std::mutex done_mutex_;
  std::condition_variable done_;
  std::atomic<int> waiting_{0};
};

// Replaced in a forked child: the old ones may be in any state, and their threads do not exist.
std::atomic<Pool*> the_pool{nullptr};

template <class T, class Make>
T& lazily(std::atomic<T*>& slot, Make make) {
  T* known = slot.load(std::memory_order_acquire);
  if (known) return *known;
  T* fresh = make();
  if (slot.compare_exchange_strong(known, fresh)) return *fresh;
  delete fresh;
  return *known;
}

Pool& pool() {
  return lazily(the_pool, [] { return new Pool(threads_at_start()); });
}

// The pool rests before the allocator is locked: bodies allocate.
thread_local Pool* closed_by_fork = nullptr;  // two threads may fork at once

void before_fork() {
  // Work that is under way is finished where that does not take long.
  rest_streams_for_fork(std::chrono::seconds(2));
  Pool* current = the_pool.load(std::memory_order_acquire);
  if (current && !inside) {
    current->close();
    closed_by_fork = current;
  }
  lock_allocator_for_fork();
}

void in_parent() {
  unlock_allocator_in_parent();
  if (closed_by_fork) closed_by_fork->open();
  closed_by_fork = nullptr;
}

void in_child() {
  unlock_allocator_in_child();
  closed_by_fork = nullptr;
  const Pool* old = the_pool.load(std::memory_order_relaxed);
  if (old) the_pool.store(new Pool(old->threads()));
  forget_streams_in_child();
}

// One registration, at load, fixes the order among the parts.
[[maybe_unused]] const bool registered = (register_fork_handlers(), true);

}  // namespace

void register_fork_handlers() {
  [[maybe_unused]] static const int once = pthread_atfork(before_fork, in_parent, in_child);
}

void parallel_for(int64_t chunks, FunctionRef<void(int64_t)> body, double cost_ns) {
  if (chunks <= 0) return;
  if (chunks > 1) cost_ns = std::max(cost_ns, least_ns.load(std::memory_order_relaxed));
  if (chunks > 1 && cost_ns >= share_ns && !inside && !at_generic_level) {
    Pool& shared = pool();
    const int others = shared.threads() - 1;
    bool wake = cost_ns >= wake_ns;
    if (!wake && wakes_left > 0 && others > 0 && !shared.anyone_spinning()) {
      --wakes_left;
      wake = true;
    }
    if (others > 0 && (wake || shared.anyone_spinning())) {
      const double worth = std::min(cost_ns / per_worker_ns, double{max_threads});
      const int64_t most = std::min<int64_t>({others, chunks - 1, static_cast<int64_t>(worth) + 1});
      Region region{.body = body, .chunks = chunks, .most_workers = most};
      if (shared.run(region, wake)) {
        if (region.error) std::rethrow_exception(region.error);
        return;
      }
    }
  }
  for (int64_t chunk = 0; chunk < chunks; ++chunk) body(chunk);
}

Ahead::Ahead(double cost_ns) : before_(wakes_left) {
  wakes_left = std::max(before_, static_cast<int>(std::min(cost_ns / wakes_apart_ns, 1e6)));
}
Ahead::~Ahead() { wakes_left = before_; }

int num_threads() { return pool().threads(); }

void set_num_threads(int n) {
  check_threads("set_num_threads", n);
  pool().set_threads(n);
}

void set_least_cost(double ns) { least_ns.store(ns, std::memory_order_relaxed); }

}  // namespace lazulite::cpu
