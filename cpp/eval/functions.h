// Python's functions of evaluation, memory and threads (how rows are read: ops/functions.h).
#pragma once
#include <optional>
#include <utility>

#include "device/cpu/allocator.h"
#include "device/cpu/packed.h"
#include "device/cpu/pool.h"
#include "eval/eval.h"
#include "eval/plan.h"
#include "eval/pending.h"
#include "eval/trees.h"

namespace lazulite::functions {

inline int64_t checked_bytes(int64_t v, const char* op) {
  if (v < 0) fail(Kind::value, op, "negative: got ", v, " bytes");
  return v;
}

template <class M>
void add_eval(M& m) {
  m.def(
      "plan(*arrays, width=None)",
      [](const Trees& trees, const std::optional<int>& width) {
        return plan(trees.arrays, width.value_or(default_plan_width()));
      },
      "What eval would do for arrays (and trees of them), in order: an object that prints, "
      "with `steps` and the predicted\n"
      "`peak_bytes` beyond what is alive. Nothing is computed. `width` asks for the "
      "reference's width-limited order (0: the\n"
      "planner's own; default: the environment variable LAZULITE_BFS_MAX_WIDTH or "
      "MLX_BFS_MAX_WIDTH).\n\n"
      ">>> print(mx.plan(mx.exp(mx.array([1.0]) + 1)))\n"
      "0  fused {add exp*}  float32(1,)\n"
      "predicted peak: 4 bytes");
  m.def(
      "_print_graph(*arrays)", [](const Trees& trees) { return graph_text(trees.arrays); },
      "What is pending, a line per op in order of evaluation.");
  m.def(
      "_export_to_dot(*arrays)", [](const Trees& trees) { return graph_dot(trees.arrays); },
      "What is pending, in Graphviz's language.");
  m.def(
      "get_active_memory()", [] { return cpu::get_active_memory() - cpu::packed_bytes(); },
      "Bytes of the arrays that are alive.\n\n"
      ">>> mx.get_active_memory() >= 0\n"
      "True");
  m.def(
      "get_peak_memory()", [] { return cpu::get_peak_memory(); },
      "The most bytes that were alive since the start or reset_peak_memory.\n\n"
      ">>> a = mx.ones(3) + 1\n"
      ">>> mx.eval(a)\n"
      ">>> mx.get_peak_memory() >= 12\n"
      "True");
  m.def(
      "reset_peak_memory()", [] { cpu::reset_peak_memory(); },
      "The peak is 0 until the next allocation, which counts all that is alive.\n\n"
      ">>> mx.reset_peak_memory()");
  m.def(
      "get_cache_memory()", [] { return cpu::get_cache_memory() + cpu::packed_bytes(); },
      "Bytes kept for later arrays, and of weights that are kept packed.\n\n"
      ">>> mx.get_cache_memory() >= 0\n"
      "True");
  m.def(
      "clear_cache()",
      [] {
        forget_plans();
        cpu::clear_packed();
        cpu::clear_cache();
      },
      "Gives the cache back to the system, and forgets the plans that are kept for graphs that come "
      "again.\n\n"
      ">>> mx.clear_cache()");
  m.def(
      "get_memory_limit()", [] { return cpu::get_memory_limit(); },
      "The bound on active memory, in bytes.\n\n"
      ">>> mx.get_memory_limit() > 0\n"
      "True");
  m.def(
      "set_memory_limit(limit)",
      [](int64_t n) { return cpu::set_memory_limit(checked_bytes(n, "set_memory_limit")); },
      "Bounds active memory, in bytes; what would go beyond raises MemoryError. Returns "
      "the old limit.\n\n"
      ">>> old = mx.set_memory_limit(10**10)\n"
      ">>> mx.set_memory_limit(old)\n"
      "10000000000");
  m.def(
      "set_cache_limit(limit)",
      [](int64_t n) { return cpu::set_cache_limit(checked_bytes(n, "set_cache_limit")); },
      "Bounds the cache, in bytes. Returns the old limit.\n\n"
      ">>> old = mx.set_cache_limit(10**9)\n"
      ">>> mx.set_cache_limit(old)\n"
      "1000000000");
  m.def(
      "get_pending_limit()", [] { return get_pending_limit(); },
      "How many recorded operations may wait for their evaluation; 0: any number.\n\n"
      ">>> mx.get_pending_limit()\n"
      "32768");
  m.def(
      "set_pending_limit(limit)", [](int64_t limit) { return set_pending_limit(limit); },
      "Bounds recorded operations that wait for their evaluation: beyond, what is recorded "
      "is computed by itself, outside of transforms. 0: no bound. Returns the old limit.\n\n"
      ">>> old = mx.set_pending_limit(100000)\n"
      ">>> mx.set_pending_limit(old)\n"
      "100000");
  m.def(
      "set_wired_limit(limit)",
      [](int64_t n) {
        static int64_t wired = 0;
        return std::exchange(wired, checked_bytes(n, "set_wired_limit"));
      },
      "Kept for programs that set it: a CPU's memory is not wired. Returns the old limit, "
      "in bytes.\n\n"
      ">>> mx.set_wired_limit(0)\n"
      "0");
  m.def(
      "num_threads()", [] { return cpu::num_threads(); },
      "Threads that one computation may use.\n\n"
      ">>> mx.num_threads() >= 1\n"
      "True");
  m.def(
      "set_num_threads(n)", [](int n) { cpu::set_num_threads(n); },
      "Sets the number of threads, 1 to 1024. Results keep their bits.\n\n"
      ">>> mx.set_num_threads(mx.num_threads())");
  m.def(
      "synchronize(stream=None)", [](Stream s) { synchronize(s); },
      "Waits for all work queued on a stream (default: this thread's).\n\n"
      ">>> mx.synchronize()");
}

}  // namespace lazulite::functions
