// The GIL, as evaluation knows it: nobody waits for a lock or a run while holding it.
#pragma once
#include <chrono>
#include <mutex>

#include "eval/plan.h"

namespace lazulite {

inline constexpr auto poll_time = std::chrono::milliseconds(50);

// While it lives the GIL is not held (where it was).
class Unlocked {
 public:
  explicit Unlocked(bool wanted) {
    if (wanted) release();
  }
  Unlocked(const Unlocked&) = delete;
  ~Unlocked() {
    if (released_) acquire();
  }
  void release();
  bool released() const { return released_; }
  void poll();  // lets a Ctrl-C through

 private:
  void acquire();
  void* state_ = nullptr;
  bool released_ = false;
};

// The run that kernels of this thread belong to polls for them: the outermost one.
extern constinit LAZULITE_THREAD_LOCAL Unlocked* outermost;
class Outermost {
 public:
  // Null: of a background run, which nobody interrupts so.
  explicit Outermost(Unlocked* unlocked) : mine_(unlocked && !outermost) {
    if (mine_) outermost = unlocked;
  }
  ~Outermost() {
    if (mine_) outermost = nullptr;
  }
  Outermost(const Outermost&) = delete;

 private:
  const bool mine_;
};

// The plan lock: tried first; only a failure lets go of the GIL, which is taken again when the lock
// is gone: nobody waits for the GIL with the lock held, so a holder of the GIL may wait for it.
struct PlanLock {
  Unlocked unlocked{false};
  std::unique_lock<std::mutex> lock{plan_mutex(), std::try_to_lock};
  PlanLock() {
    if (lock.owns_lock()) return;
    unlocked.release();
    lock.lock();
  }
};

}  // namespace lazulite
