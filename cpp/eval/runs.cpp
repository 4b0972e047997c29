#include "eval/runs.h"

#include <pthread.h>

#include <algorithm>

namespace lazulite {

constinit LAZULITE_THREAD_LOCAL Running* innermost_run = nullptr;

namespace {

Run* running = nullptr;  // a list, under the plan lock

}  // namespace

bool evaluating() { return innermost_run; }

void check_cancelled() {
  for (const Running* a = innermost_run; a; a = a->outer)
    if (a->run->cancelled.load(std::memory_order_relaxed)) throw Cancelled{};
}

void enlist(Run& run, Plan& plan) {
  run.plan = &plan;
  run.thread = std::this_thread::get_id();
  run.previous = nullptr;
  run.next = running;
  if (running) running->previous = &run;
  running = &run;
}
void unlist(Run& run) {
  if (!run.plan) return;
  (run.previous ? run.previous->next : running) = run.next;
  if (run.next) run.next->previous = run.previous;
  run.plan = nullptr;
}

void release_claims(Plan& plan, size_t from) {
  for (size_t u = from; u < plan.units.size(); ++u)
    for (auto& member : plan.units[u].members)
      member.node->state.store(State::pending, std::memory_order_release);
}

// ---- waiting

bool waits_for_itself(const Plan& plan) {
  if (!innermost_run) return false;
  std::vector<const Run*> list, seen;
  for (const auto& earlier : plan.waits) list.push_back(earlier.get());
  while (!list.empty()) {
    const Run* one = list.back();
    list.pop_back();
    if (!one->plan || std::find(seen.begin(), seen.end(), one) != seen.end()) continue;
    for (const Running* a = innermost_run; a; a = a->outer)
      if (a->run == one) return true;
    seen.push_back(one);
    for (const auto& earlier : one->plan->waits) list.push_back(earlier.get());
  }
  return false;
}

namespace {

// Stops a background run, and those that it waits for in turn.
void cancel(Run& run) {
  std::lock_guard lock(plan_mutex());
  std::vector<Run*> list{&run};
  while (!list.empty()) {
    Run* one = list.back();
    list.pop_back();
    if (!one->background || !one->plan || one->cancelled.exchange(true)) continue;
    for (const auto& earlier : one->plan->waits) list.push_back(earlier.get());
  }
}

}  // namespace

void wait_for(Run& earlier, bool background, Unlocked& mine) {
  Unlocked more(!background && !mine.released());
  earlier.wait([&] {
    try {
      check_cancelled();
      if (!background) (more.released() || !outermost ? more : *outermost).poll();
    } catch (...) {
      cancel(earlier);
      throw;
    }
  });
}

void cancel_stream(uint32_t stream) {
  std::vector<Ref<Run>> all;
  {
    std::lock_guard lock(plan_mutex());
    for (Run* run = running; run; run = run->next)
      if (run->background && run->stream == stream) all.emplace_back(run);
  }
  for (auto& run : all) cancel(*run);
}

namespace {

// ---- fork: the child has none of the threads that run something here

void lock_plans() { plan_mutex().lock(); }
void unlock_plans() { plan_mutex().unlock(); }
// What others were about to compute is pending again; what they were computing is lost to the
// child.
void abandon_others() {
  for (Run* run = running; run;) {
    Run* const next = run->next;
    if (run->thread != std::this_thread::get_id()) {
      const int64_t current = run->current.load();
      const auto failure =
          make_ref<Failure>(Error(Kind::runtime,
                                  "[fork] the process was forked while another thread computed "
                                  "this array: it has no value in the child"));
      for (size_t u = 0; u < run->plan->units.size(); ++u)
        for (auto& member : run->plan->units[u].members) {
          Node& node = *member.node;
          if (int64_t(u) < current || node.state.load() != State::claimed) continue;
          if (int64_t(u) == current) {
            node.failure = failure;
            node.state.store(State::failed);
          } else {
            node.state.store(State::pending);
          }
        }
      unlist(*run);
    }
    run = next;
  }
  plan_mutex().unlock();
}
[[maybe_unused]] const int fork_handlers = pthread_atfork(lock_plans, unlock_plans, abandon_others);

}  // namespace

}  // namespace lazulite
