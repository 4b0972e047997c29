#include "eval/pending.h"

#include <algorithm>
#include <atomic>
#include <exception>

#include "base/env.h"
#include "base/fail.h"
#include "device/cpu/allocator.h"
#include "eval/eval.h"
#include "graph/trace.h"

namespace lazulite {

namespace {

constexpr int64_t usual_limit = 32768;     // nodes: some 10 to 20 MB
constexpr int64_t new_data = 256 << 20;    // bytes
std::atomic<int64_t> data_mark{INT64_MAX};  // active memory from which nodes may hold too much data

std::atomic<int64_t>& limit() {
  static std::atomic<int64_t> nodes{
      std::max<int64_t>(0, env::integer("LAZULITE_PENDING_LIMIT", 0).value_or(usual_limit))};
  return nodes;
}

// The next look comes after 32 to 95 nodes, so that of many chains which grow in turn each is met
// sometimes.
int next_look() {
  LAZULITE_THREAD_LOCAL static uint32_t state = 1;
  state = state * 1664525u + 1013904223u;
  return 32 + int(state >> 26);
}

// Recording makes no data, so what has come since the last look was given by the user.
bool much_data() {
  const int64_t active = cpu::get_active_memory(), mark = data_mark.load(std::memory_order_relaxed);
  if (mark > active + new_data) data_mark.store(active + new_data, std::memory_order_relaxed);
  return active > mark;
}

}  // namespace

int64_t get_pending_limit() { return limit().load(std::memory_order_relaxed); }
int64_t set_pending_limit(int64_t nodes) {
  if (nodes < 0)
    fail(Kind::value, "set_pending_limit", "not a number of nodes: got ", nodes,
         ", expected 0 or more");
  return limit().exchange(nodes);
}

void bound_pending(const array& newest) {
  records_left = next_look();
  const int64_t most = get_pending_limit();
  if (most == 0 || !newest || current_trace() ||
      newest.node()->state.load(std::memory_order_relaxed) != State::pending)
    return;
  if (!much_data() && pending_nodes() <= most) return;
  try {
    eval(Arrays{newest});
  } catch (const std::exception&) {  // an interrupt is none, and goes on
  }
  data_mark.store(cpu::get_active_memory() + new_data, std::memory_order_relaxed);
}

}  // namespace lazulite
