#include "graph/stand_ins.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "graph/trace.h"

namespace lazulite::stand_ins {

namespace {

struct Open {
  uint64_t trace;
  const void* thread;
};
struct Kept {
  array self, over;
  uint64_t since;  // to transforms that open later it is an array like others
};

LAZULITE_THREAD_LOCAL char here;  // its address is the thread's name

struct Registry {
  std::mutex lock;
  std::vector<Open> open;
  std::unordered_map<const Node*, Kept> kept;
  std::atomic<bool> any{false};  // whether anything is kept
  uint64_t shared = 0;           // when transforms of several threads were open last

  bool has_others() const {
    return std::any_of(open.begin(), open.end(), [](const Open& o) { return o.thread != &here; });
  }
  uint64_t oldest() const {
    uint64_t least = UINT64_MAX;
    for (const Open& o : open) least = std::min(least, o.trace);
    return least;
  }
  void add(const array& self, const array& over) {
    const std::lock_guard hold(lock);
    // The outer one meets a nested one's leaf through another thread's, which may come yet.
    if (!has_others() && (!over || open.size() < 2)) return;
    kept.insert_or_assign(self.node().get(), Kept{self, over, next_sequence()});
    any.store(true, std::memory_order_release);
  }
};
Registry& registry() {
  static auto* one = new Registry;  // threads may outlive what has a destructor
  return *one;
}

}  // namespace

void opened(uint64_t trace) {
  Registry& r = registry();
  const std::lock_guard hold(r.lock);
  r.open.push_back({trace, &here});
  if (r.has_others()) r.shared = next_sequence();
}

void closed(uint64_t trace) {
  Registry& r = registry();
  std::vector<Kept> dropped;  // dies last, not under the lock
  const std::lock_guard hold(r.lock);
  if (r.has_others()) r.shared = next_sequence();
  std::erase_if(r.open, [&](const Open& o) { return o.trace == trace; });
  if (r.kept.empty()) return;
  const uint64_t least = r.oldest();
  const bool others = r.has_others();
  for (auto at = r.kept.begin(); at != r.kept.end();) {
    // What no other thread can have met: it was put since the last of them was there.
    const bool met = others || at->second.since < r.shared;
    if (met && at->second.since > least) {
      ++at;
      continue;
    }
    dropped.push_back(std::move(at->second));
    at = r.kept.erase(at);
  }
  r.any.store(!r.kept.empty(), std::memory_order_release);
}

bool others() {
  Registry& r = registry();
  const std::lock_guard hold(r.lock);
  return r.has_others();
}
uint64_t oldest() {
  Registry& r = registry();
  const std::lock_guard hold(r.lock);
  return r.oldest();
}

void put(const array& leaf, const array& over) { registry().add(leaf, over); }
void put(const array& value) { registry().add(value, array()); }

std::optional<array> of(const Node& node) {
  Registry& r = registry();
  if (!r.any.load(std::memory_order_acquire)) return {};
  const std::lock_guard hold(r.lock);
  const auto found = r.kept.find(&node);
  if (found == r.kept.end()) return {};
  return found->second.over;
}

}  // namespace lazulite::stand_ins
