#include "eval/gil.h"

#include "eval/runs.h"

namespace lazulite {

constinit LAZULITE_THREAD_LOCAL Unlocked* outermost = nullptr;

namespace {

WaitHooks hooks;

}  // namespace

void set_wait_hooks(WaitHooks h) { hooks = h; }

void Unlocked::acquire() { hooks.acquire(state_); }
void Unlocked::release() {
  if (released_ || !hooks.release) return;
  state_ = hooks.release();
  released_ = state_ != nullptr;
}
void Unlocked::poll() {
  if (!hooks.poll) return;
  if (!released_) return hooks.poll();
  hooks.acquire(state_);
  released_ = false;
  hooks.poll();
  state_ = hooks.release();
  released_ = state_;
}

void poll() {
  check_cancelled();
  LAZULITE_THREAD_LOCAL static std::chrono::steady_clock::rep last = 0;
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  if (!outermost || now.count() - last < std::chrono::steady_clock::duration(poll_time).count())
    return;
  last = now.count();
  outermost->poll();
}

}  // namespace lazulite
