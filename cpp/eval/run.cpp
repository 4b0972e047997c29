// From arrays to runs of their plans, on the calling thread or in the background.
#include <chrono>
#include <memory>

#include "device/cpu/allocator.h"
#include "device/cpu/streams.h"
#include "eval/failures.h"
#include "eval/device_kernels.h"
#include "eval/runs.h"
#include "eval/step.h"

namespace lazulite {

namespace {

constexpr double long_work = 200e3;  // elements from which the GIL is released: about 0.1 to 1 ms

// A result that no memory will hold: it fails before anything is computed for it.
void check_memory(const Plan& plan) {
  if (plan.elements <= 1e8) return;
  const int64_t limit = cpu::get_memory_limit();
  for (size_t u = 0; u < plan.units.size(); ++u)
    for (auto& member : plan.units[u].members) {
      const Op& op = *member.node->op;
      if (!member.stored || op.kind == OpKind::view || op.places) continue;
      for (const Slot& slot : member.node->out)
        if (size_of(slot.spec.shape) > limit / size_of(slot.spec.type))
          fail(Kind::memory, op.name, "out of memory: got shape ", slot.spec.shape, " of ",
               slot.spec.type, ", expected at most ", limit, " bytes (set_memory_limit)");
    }
}

// What a device lacks, the same. The CPU has all there is.
void check_kernels(const Plan& plan) {
  if (only_cpu()) return;
  for (const Unit& unit : plan.units)
    for (const auto& member : unit.members) check_kernel(*member.node);
}

// How far a run has come.
struct Progress {
  size_t at = 0;        // the first unit that has not run to its end
  bool inside = false;  // it has begun
  bool spoilt = false;  // and may have written over what it reads
};

void run_units(const Plan& plan, Run& run, const Unlocked& unlocked, Progress& progress) {
  std::chrono::steady_clock::time_point polled;
  if (unlocked.released() || plan.units.size() >= 64) polled = std::chrono::steady_clock::now();
  while (progress.at < plan.units.size()) {
    run.current.store(int64_t(progress.at), std::memory_order_relaxed);
    progress.inside = true;
    progress.spoilt = false;
    run_unit(plan.units[progress.at], progress.spoilt);
    progress.inside = false;
    ++progress.at;
    if (run.background) {
      if (run.cancelled.load(std::memory_order_relaxed)) throw Cancelled{};
    } else if (unlocked.released() || progress.at % 64 == 0) {
      const auto now = std::chrono::steady_clock::now();
      if (now - polled < poll_time) continue;
      polled = now;
      check_cancelled();
      if (outermost) outermost->poll();
    }
  }
}

// The step that failed has failed, but for want of memory: then, or when it was stopped by an
// exception that is no error, it is pending again like all that had not run.
void give_up(Plan& plan, const Run& run, const Progress& progress, Ref<Failure> failure) {
  const bool lost =
      progress.inside &&
      (progress.spoilt || (failure && failure->error.kind() != Kind::memory));
  std::lock_guard lock(plan_mutex());
  if (failure && run.background) note_failure(run.stream, failure);
  release_claims(plan, progress.at + lost);
  if (!lost) return;
  if (!failure)
    failure = make_ref<Failure>(
        Error(Kind::runtime, "interrupted while it was written over another array"));
  fail_unit(plan, progress.at, failure);
}

struct Finish {  // before the GIL is asked for: others wait for it
  const Ref<Run>& run;
  ~Finish() {
    bool awaited;
    {
      std::lock_guard lock(plan_mutex());
      unlist(*run);
      awaited = run->refs.load() > 1;  // nothing is claimed any more: nobody new will wait
    }
    if (awaited) run->finish();
  }
};

// Runs every unit. Null, or what failed; what is no error is thrown.
Ref<Failure> run_plan(Plan& plan, const Ref<Run>& run) {
  const bool background = run->background;
  const Running here(run.get());
  Unlocked unlocked(!background && plan.elements > long_work);
  const Outermost scope(background ? nullptr : &unlocked);
  const Finish finish{run};
  Progress progress;
  try {
    for (auto& earlier : plan.waits) wait_for(*earlier, background, unlocked);
    check_kernels(plan);
    check_memory(plan);
    run_units(plan, *run, unlocked, progress);
  } catch (...) {
    const Ref<Failure> failure = failure_in_flight();
    give_up(plan, *run, progress, failure);
    if (!failure) throw;
    return failure;
  }
  return {};
}

void eval_all(const array* roots, size_t count) {
  for (;;) {
    bool pending = false;
    for (size_t i = 0; i < count && !pending; ++i)
      pending = roots[i].node()->state.load(std::memory_order_acquire) != State::ready;
    if (!pending) return;
    throw_failures(roots, count);
    auto run = make_ref<Run>();
    Plan plan;
    {
      PlanLock lock;
      plan = make_plan(roots, count, run);
      if (waits_for_itself(plan)) {
        release_claims(plan, 0);
        fail(Kind::runtime, "eval",
             "a signal handler or a finalizer reads what this thread is computing: got an array "
             "that would wait for itself");
      }
      enlist(*run, plan);
    }
    try {
      if (const Ref<Failure> failure = run_plan(plan, run)) throw_failure(failure);
    } catch (const Interrupted&) {  // the next plan holds what the other thread left
    }
  }
}

}  // namespace

void eval(const Arrays& arrays) { eval_all(arrays.begin(), arrays.size()); }
void eval(const std::vector<array>& arrays) { eval_all(arrays.data(), arrays.size()); }

void async_eval(const std::vector<array>& arrays) {
  if (arrays.empty()) return;
  throw_failures(arrays.data(), arrays.size());
  auto run = make_ref<Run>();
  auto plan = std::make_shared<Plan>();
  run->background = true;
  const uint32_t stream = run->stream = arrays[0].node()->stream.id;
  std::function<void()> task = [plan, run] {
    {
      std::lock_guard lock(plan_mutex());
      run->thread = std::this_thread::get_id();
    }
    try {
      run_plan(*plan, run);  // notes its failure
    } catch (...) {  // stopped: who reads the arrays computes them
    }
  };
  {
    // Claimed and queued in one step: a run waits only for runs that were claimed before it, and
    // those stand before it wherever they are queued, so that the first of all never waits.
    PlanLock lock;
    *plan = make_plan(arrays.data(), arrays.size(), run);
    if (plan->units.empty()) return;
    try {
      cpu::queue_async(stream, std::move(task));
    } catch (...) {
      release_claims(*plan, 0);
      throw;
    }
    enlist(*run, *plan);
    run->thread = {};
  }
  cpu::start_async();
}

void synchronize(Stream stream) {
  {
    Unlocked unlocked(true);
    auto between = [&] {
      try {
        check_cancelled();
        unlocked.poll();
      } catch (...) {
        cancel_stream(stream.id);
        throw;
      }
    };
    cpu::wait_async(stream.id, between);
  }
  if (const Ref<Failure> failure = take_failure(stream.id))
    throw Error(Kind::runtime, failure->error.what());
}

PlanSummary plan(const std::vector<array>& arrays, int width) {
  PlanLock lock;
  return make_plan(arrays.data(), arrays.size(), {}, width).summary();
}

std::string graph_text(const std::vector<array>& arrays) {
  PlanLock lock;
  return make_plan(arrays.data(), arrays.size(), {}).text();
}
std::string graph_dot(const std::vector<array>& arrays) {
  PlanLock lock;
  return make_plan(arrays.data(), arrays.size(), {}).dot();
}

}  // namespace lazulite
