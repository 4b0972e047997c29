#include "device/cpu/streams.h"

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <unordered_map>

#include "device/cpu/start_thread.h"

namespace lazulite::cpu {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto idle_time = std::chrono::seconds(5);
constexpr auto poll_time = std::chrono::milliseconds(50);

struct Task {
  uint64_t number;  // in the order of queueing, among all streams
  std::function<void()> run;
};

// One stream with something to do; a stream without takes no memory.
struct Queue {
  uint32_t stream;
  std::deque<Task> tasks;  // the first of them is running when the queue is served
  bool served = false;
};

thread_local const Queue* serving = nullptr;

class Streams {
 public:
  void submit(uint32_t stream, std::function<void()> task) {
    std::lock_guard hold(mutex_);
    Queue& queue = queues_[stream];
    queue.stream = stream;
    queue.tasks.push_back({++submitted_, std::move(task)});
    if (queue.tasks.size() == 1) ready_.emplace(submitted_, &queue);
  }

  void start() {
    std::unique_lock hold(mutex_);
    const auto waiting = int64_t(ready_.size());
    if (idle_ > 0 && waiting > 0) wake_.notify_one();
    while (int64_t(ready_.size()) > idle_ + starting_ && threads_ < most_stream_threads) {
      ++threads_;
      ++starting_;
      if (start_thread([this] { serve(); })) continue;
      --threads_;
      --starting_;
      break;
    }
    // No thread to be had: the caller does it.
    if (threads_ == 0)
      while (!ready_.empty()) run_first(hold);
  }

  void wait(uint32_t stream, FunctionRef<void()> between) {
    std::unique_lock hold(mutex_);
    if (serving && serving->stream == stream) return;
    const uint64_t until = last_of(stream);
    while (!done_.wait_for(hold, poll_time, [&] { return is_done(stream, until); })) {
      hold.unlock();
      between();
      hold.lock();
    }
  }

  // Waits, not for ever, until nothing is queued but by the calling thread's own stream.
  void rest(std::chrono::seconds most) {
    const auto end = Clock::now() + most;
    std::unique_lock hold(mutex_);
    done_.wait_until(hold, end, [&] { return queues_.size() == (serving ? 1u : 0u); });
  }

  int threads() {
    std::lock_guard hold(mutex_);
    return threads_;
  }

 private:
  // The number of the last task that is queued; 0: none.
  uint64_t last_of(uint32_t stream) const {
    const auto found = queues_.find(stream);
    return found == queues_.end() ? 0 : found->second.tasks.back().number;
  }
  bool is_done(uint32_t stream, uint64_t until) const {
    const auto found = queues_.find(stream);
    return found == queues_.end() || found->second.tasks.front().number > until;
  }

  void run_first(std::unique_lock<std::mutex>& hold) {
    Queue& queue = *ready_.begin()->second;
    ready_.erase(ready_.begin());
    std::function<void()> task = std::move(queue.tasks.front().run);
    const Queue* outer = serving;
    hold.unlock();
    serving = &queue;
    try {
      task();
    } catch (...) {  // a task reports its errors by itself
    }
    task = nullptr;  // what it holds dies before anybody hears that it is done
    serving = outer;
    hold.lock();
    queue.tasks.pop_front();
    if (queue.tasks.empty()) queues_.erase(queue.stream);
    else ready_.emplace(queue.tasks.front().number, &queue);
    done_.notify_all();
  }

  void serve() {
#if defined(__linux__)
    pthread_setname_np(pthread_self(), "lazulite-stream");
#endif
    std::unique_lock hold(mutex_);
    --starting_;
    for (;;) {
      while (!ready_.empty()) run_first(hold);
      ++idle_;
      const bool found = wake_.wait_for(hold, idle_time, [&] { return !ready_.empty(); });
      --idle_;
      if (!found) break;
    }
    --threads_;
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::unordered_map<uint32_t, Queue> queues_;  // entries stay where they are
  std::map<uint64_t, Queue*> ready_;            // that nobody serves, by their first task
  uint64_t submitted_ = 0;
  int threads_ = 0, starting_ = 0, idle_ = 0;
};

// Leaked, and replaced in a forked child: the old one may be in any state, and its threads do not
// exist.
std::atomic<Streams*> the_streams{nullptr};

Streams& streams() {
  Streams* known = the_streams.load(std::memory_order_acquire);
  if (known) return *known;
  auto* fresh = new Streams;
  if (the_streams.compare_exchange_strong(known, fresh)) return *fresh;
  delete fresh;
  return *known;
}

}  // namespace

void queue_async(uint32_t stream, std::function<void()> task) {
  streams().submit(stream, std::move(task));
}
void start_async() { streams().start(); }

void wait_async(uint32_t stream, FunctionRef<void()> between) {
  if (Streams* known = the_streams.load(std::memory_order_acquire)) known->wait(stream, between);
}
void wait_async(uint32_t stream) {
  auto nothing = [] {};
  wait_async(stream, nothing);
}

int stream_threads() {
  Streams* known = the_streams.load(std::memory_order_acquire);
  return known ? known->threads() : 0;
}

void rest_streams_for_fork(std::chrono::seconds most) {
  if (Streams* known = the_streams.load(std::memory_order_acquire)) known->rest(most);
}
void forget_streams_in_child() {
  serving = nullptr;
  if (the_streams.load(std::memory_order_relaxed)) the_streams.store(new Streams);
}

}  // namespace lazulite::cpu
