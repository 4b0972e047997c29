// A lock for sections of some tens of nanoseconds.
#pragma once

#include <atomic>
#include <thread>

namespace lazulite::cpu {

// Tells the core that this is a waiting loop.
inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

class SpinLock {
 public:
  void lock() {
    while (taken_.exchange(true, std::memory_order_acquire)) {
      // The holder may have lost its core: after some polls, let it run.
      for (int polls = 0; taken_.load(std::memory_order_relaxed); ++polls) {
        if (polls < 64) {
          relax();
        } else {
          std::this_thread::yield();
        }
      }
    }
  }
  void unlock() { taken_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> taken_{false};
};

}  // namespace lazulite::cpu
