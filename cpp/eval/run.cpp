#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <memory>

#include "device/cpu/allocator.h"
#include "device/cpu/streams.h"
#include "eval/compare.h"
#include "eval/few.h"
#include "eval/plan.h"
#include "eval/profile.h"
#include "graph/origin.h"
#include "graph/pending.h"
#include "graph/trace.h"

namespace lazulite {

namespace {

WaitHooks hooks;
constexpr auto poll_time = std::chrono::milliseconds(50);
constexpr double long_work = 200e3;  // elements from which the GIL is released: about 0.1 to 1 ms

// While it lives the GIL is not held (where it was).
struct Unlocked {
  void* state = nullptr;
  bool released = false;
  explicit Unlocked(bool wanted) {
    if (wanted) release();
  }
  Unlocked(const Unlocked&) = delete;
  ~Unlocked() {
    if (released) hooks.acquire(state);
  }
  void release() {
    if (released || !hooks.release) return;
    state = hooks.release();
    released = state != nullptr;
  }
  void poll() {
    if (!hooks.poll) return;
    if (released) {
      hooks.acquire(state);
      released = false;
      hooks.poll();
      state = hooks.release();
      released = state;
    } else {
      hooks.poll();
    }
  }
};

LAZULITE_THREAD_LOCAL Unlocked* outermost =
    nullptr;  // of the run that kernels of this thread belong to

// What this thread is running, the innermost first: kernels, signal handlers and finalizers
// evaluate in turn.
struct Active;
LAZULITE_THREAD_LOCAL Active* active = nullptr;
struct Active {
  const Run* const run;
  Active* const outer;
  explicit Active(const Run* r) : run(r), outer(active) { active = this; }
  ~Active() { active = outer; }
  Active(const Active&) = delete;
};

// Thrown where a run ends before its time and nothing has failed: what it had claimed is pending
// again.
struct Interrupted {};  // a run of another thread, whose results were needed, has: try again
struct Cancelled {};    // nobody waits for this background run any longer
// An input has failed: so have those that need it.
struct Inherited {
  Ref<Failure> failure;
};

void check_cancelled() {
  for (const Active* a = active; a; a = a->outer)
    if (a->run->cancelled.load(std::memory_order_relaxed)) throw Cancelled{};
}

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

// Inputs are ready, or members of this run's own group.
void check_inputs(const Node& node) {
  for (const array& input : node.inputs) {
    const Node& from = *input.node();
    if (from.op->kind == OpKind::constant && node.op->kind == OpKind::elementwise) continue;
    const State state = from.state.load(std::memory_order_acquire);
    if (state == State::failed) throw Inherited{from.failure};
    if (state == State::pending || (state == State::claimed && from.run.load() != node.run.load()))
      throw Interrupted{};
  }
}

void set_ready(Node& node) {
  node.state.store(State::ready, std::memory_order_release);
  count_pending(-1);
}

// An op that takes its inputs: what nobody else holds is given away.
void run_taking(const Unit& unit, bool& spoilt) {
  Node& node = *unit.members[0].node;
  KernelCall call{node, {}, {}, {}, {}};
  for (const array& input : node.inputs) tidy(input.slot().spec, input.slot().storage);
  for (const array& input : node.inputs) {
    const bool given = may_donate(unit, input);
    spoilt |= given;
    Storage& storage = input.node()->out[input.index()].storage;
    call.taken.push_back(given ? std::move(storage) : storage);
  }
  call.placed.resize(node.out.size());
  const Untraced untraced;
  node.op->kernel(call);
  for (size_t i = 0; i < node.out.size(); ++i) node.out[i].storage = std::move(call.placed[i]);
}

// `spoilt` is set as soon as an input may have been written over: then the unit cannot run again.
void run_single(const Unit& unit, bool& spoilt) {
  Node& node = *unit.members[0].node;
  if (node.op->takes) return run_taking(unit, spoilt);
  SmallVector<TensorView, 3> in;
  for (const array& input : node.inputs)
    in.push_back(bound(input.slot().spec, input.slot().storage));
  SmallVector<Storage, 1> out;
  out.resize(node.out.size());
  spoilt = node.op->update && may_donate(unit, node.inputs[0]);
  run_op(node, std::move(in), spoilt, out);
  for (size_t i = 0; i < node.out.size(); ++i) node.out[i].storage = std::move(out[i]);
}

// ---- debug_nans

bool is_finite(const Spec& spec, const Storage& storage) {
  if (!is_inexact(spec.type) || !storage.buffer) return true;
  const int64_t n = size_of(spec.shape);
  const Storage dense{n ? allocate(n * size_of(spec.type)) : Ref<Buffer>(), 0,
                      dense_strides(spec.shape)};
  if (n == 0) return true;
  copy_dense(bound(spec, storage), dense);
  const char* data = static_cast<const char*>(dense.buffer->data);
  for (int64_t i = 0; i < n; ++i) {
    const auto v = Scalar::read(spec.type, data + i * size_of(spec.type)).complex();
    if (!std::isfinite(v.real()) || !std::isfinite(v.imag())) return false;
  }
  return true;
}
// Raises where finite inputs have become a nan or an infinity.
void check_finite(const Unit& unit) {
  const Node& node = *unit.members[0].node;
  if (node.op->kind == OpKind::view || node.op->kind == OpKind::constant) return;
  for (const Slot& slot : node.out) {
    if (is_finite(slot.spec, slot.storage)) continue;
    for (const array& input : node.inputs) {
      if (is_constant(input)) {
        const auto v = constant_value(input).complex();
        if (!std::isfinite(v.real()) || !std::isfinite(v.imag())) return;
      } else if (!is_finite(input.slot().spec, input.slot().storage)) {
        return;
      }
    }
    fail(Kind::runtime, node.op->name, "a nan or an infinity from finite inputs: got ",
         slot.spec.type, " of shape ", slot.spec.shape, ", recorded",
         origin_of(&node).empty() ? std::string(" before debug_nans began") : origin_of(&node));
  }
}

void run_unit(const Unit& unit, bool& spoilt) {
  for (const auto& member : unit.members) check_inputs(*member.node);
  const Profiled profiled(unit);
  const Compared compared(unit);
  if (!unit.fused) {
    run_single(unit, spoilt);
  } else if (!run_few(unit, spoilt)) {
    GroupProgram group;
    build_group(unit, group);
    for (const Storage& out : group.outputs) spoilt |= out.buffer->refs.load() > 1;
    if (size_of(unit.domain)) run_program(group.program, group.bindings.data());
    size_t k = 0;
    for (const auto& member : unit.members)
      if (member.stored) member.node->out[0].storage = std::move(group.outputs[k++]);
  }
  compared.check();
  if (debugging_nans.load(std::memory_order_relaxed)) check_finite(unit);
  // Last first: a member that nobody stores dies when its user lets go of it.
  SmallVector<Arrays, 4> dropped;
  dropped.reserve(unit.members.size());
  for (size_t i = unit.members.size(); i-- > 0;) {
    Node& node = *unit.members[i].node;
    const bool stored = unit.members[i].stored;
    if (node.pins.load() == 0) dropped.push_back(std::exchange(node.inputs, Arrays()));
    if (stored) set_ready(node);
  }
}

// From unit `from` on, all is pending again. Under the plan lock.
void release_claims(Plan& plan, size_t from) {
  for (size_t u = from; u < plan.units.size(); ++u)
    for (auto& member : plan.units[u].members)
      member.node->state.store(State::pending, std::memory_order_release);
}

// What needs a failed value has failed too: found in one pass, since inputs come first. Under the
// plan lock.
void fail_dependants(Plan& plan, size_t from) {
  for (size_t u = from; u < plan.units.size(); ++u)
    for (auto& member : plan.units[u].members)
      for (const array& input : member.node->inputs) {
        if (input.node()->state.load(std::memory_order_relaxed) != State::failed) continue;
        member.node->failure = input.node()->failure;
        member.node->state.store(State::failed, std::memory_order_release);
        break;
      }
}

// ---- fork: the child has none of the threads that run something here

Run* running = nullptr;  // a list, under the plan lock

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

// The first unit whose result no memory will hold: it fails before anything is computed for it.
size_t too_large(const Plan& plan) {
  const int64_t limit = cpu::get_memory_limit();
  for (size_t u = 0; u < plan.units.size(); ++u)
    for (auto& member : plan.units[u].members) {
      const Op& op = *member.node->op;
      if (!member.stored || op.kind == OpKind::view || op.places) continue;
      for (const Slot& slot : member.node->out)
        if (size_of(slot.spec.shape) > limit / size_of(slot.spec.type)) return u;
    }
  return plan.units.size();
}

// ---- what stands in the way of a run

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

// True when what the plan waits for waits in turn for this thread. Under the plan lock.
bool waits_for_itself(const Plan& plan) {
  if (!active) return false;
  std::vector<const Run*> list, seen;
  for (const auto& earlier : plan.waits) list.push_back(earlier.get());
  while (!list.empty()) {
    const Run* one = list.back();
    list.pop_back();
    if (!one->plan || std::find(seen.begin(), seen.end(), one) != seen.end()) continue;
    for (const Active* a = active; a; a = a->outer)
      if (a->run == one) return true;
    seen.push_back(one);
    for (const auto& earlier : one->plan->waits) list.push_back(earlier.get());
  }
  return false;
}

void wait_for(Run& earlier, bool background, Unlocked& mine) {
  Unlocked more(!background && !mine.released);
  earlier.wait([&] {
    try {
      check_cancelled();
      if (!background) (more.released || !outermost ? more : *outermost).poll();
    } catch (...) {
      cancel(earlier);
      throw;
    }
  });
}

Ref<Failure> failure_in_flight() {
  try {
    throw;
  } catch (const Inherited& e) {
    return e.failure;
  } catch (const Error& e) {
    return make_ref<Failure>(e);
  } catch (const std::bad_alloc&) {
    return make_ref<Failure>(Error(Kind::memory, "out of memory"));
  } catch (const std::exception& e) {
    return make_ref<Failure>(Error(Kind::runtime, e.what()));
  } catch (...) {
    return {};
  }
}

// ---- failures of background work that nobody has heard of

std::vector<std::pair<uint32_t, Ref<Failure>>>&
unheard() {  // with their streams; under the plan lock
  static auto* all = new std::vector<std::pair<uint32_t, Ref<Failure>>>;
  return *all;
}
std::atomic<bool> any_unheard{false};

// Under the plan lock, before the failed state of a node tells anybody: who hears of it takes it
// out.
void note_failure(uint32_t stream, const Ref<Failure>& failure) {
  for (auto& [of, known] : unheard())
    if (of == stream) return;  // one is enough
  unheard().emplace_back(stream, failure);
  any_unheard.store(true);
}

// Runs every unit. When one fails, its nodes have failed, but for want of memory: then, or when it
// is stopped by an exception that is no error, it is pending again like all that had not run.
Ref<Failure> run_plan(Plan& plan, const Ref<Run>& run) {
  const bool background = run->background;
  const Active here(run.get());
  Unlocked unlocked(!background && plan.elements > long_work);
  struct Outermost {
    const bool mine;
    explicit Outermost(Unlocked* u) : mine(u && !outermost) {
      if (mine) outermost = u;
    }
    ~Outermost() {
      if (mine) outermost = nullptr;
    }
  } scope(background ? nullptr : &unlocked);
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
  } finish{run};
  size_t at = 0;        // the first unit that has not run to its end
  bool inside = false;  // it has begun
  bool spoilt = false;
  try {
    for (auto& earlier : plan.waits) wait_for(*earlier, background, unlocked);
    if (const size_t doomed = plan.elements > 1e8 ? too_large(plan) : plan.units.size();
        doomed < plan.units.size()) {
      const Node& node = *plan.units[doomed].members.back().node;
      fail(Kind::memory, node.op->name, "out of memory: got shape ", node.out[0].spec.shape, " of ",
           node.out[0].spec.type, ", expected at most ", cpu::get_memory_limit(),
           " bytes (set_memory_limit)");
    }
    std::chrono::steady_clock::time_point polled;
    if (unlocked.released || plan.units.size() >= 64) polled = std::chrono::steady_clock::now();
    while (at < plan.units.size()) {
      run->current.store(int64_t(at), std::memory_order_relaxed);
      inside = true;
      spoilt = false;
      run_unit(plan.units[at], spoilt);
      inside = false;
      ++at;
      if (background) {
        if (run->cancelled.load(std::memory_order_relaxed)) throw Cancelled{};
      } else if (unlocked.released || at % 64 == 0) {
        const auto now = std::chrono::steady_clock::now();
        if (now - polled < poll_time) continue;
        polled = now;
        check_cancelled();
        if (outermost) outermost->poll();
      }
    }
  } catch (...) {
    const Ref<Failure> failure = failure_in_flight();
    const bool lost = inside && (spoilt || (failure && failure->error.kind() != Kind::memory));
    {
      std::lock_guard lock(plan_mutex());
      if (failure && background) note_failure(run->stream, failure);
      if (lost) {
        const auto reason =
            failure ? failure
                    : make_ref<Failure>(Error(
                          Kind::runtime, "interrupted while it was written over another array"));
        for (auto& member : plan.units[at].members) {
          member.node->failure = reason;
          member.node->state.store(State::failed, std::memory_order_release);
        }
      }
      release_claims(plan, at + lost);
      if (lost) fail_dependants(plan, at + 1);
    }
    if (!failure) throw;
    return failure;
  }
  return {};
}

Ref<Failure> take_failure(uint32_t stream) {
  std::lock_guard lock(plan_mutex());
  Ref<Failure> taken;
  for (auto& [of, known] : unheard())
    if (of == stream) taken = known;
  std::erase_if(unheard(), [&](const auto& one) { return one.first == stream; });
  return taken;
}
[[noreturn]] void throw_failure(const Ref<Failure>& failure) {
  if (any_unheard.load()) {
    std::lock_guard lock(plan_mutex());
    std::erase_if(unheard(), [&](const auto& one) { return one.second == failure; });
  }
  throw failure->error;
}

void throw_failures(const array* roots, size_t count) {
  for (size_t i = 0; i < count; ++i)
    if (roots[i].node()->state.load(std::memory_order_acquire) == State::failed)
      throw_failure(roots[i].node()->failure);
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
             "that "
             "would wait for itself");
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

void set_wait_hooks(WaitHooks h) { hooks = h; }

void poll() {
  check_cancelled();
  LAZULITE_THREAD_LOCAL static std::chrono::steady_clock::rep last = 0;
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  if (!outermost || now.count() - last < std::chrono::steady_clock::duration(poll_time).count())
    return;
  last = now.count();
  outermost->poll();
}

bool evaluating() { return active; }

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
        std::vector<Ref<Run>> all;
        {
          std::lock_guard lock(plan_mutex());
          for (Run* run = running; run; run = run->next)
            if (run->background && run->stream == stream.id) all.emplace_back(run);
        }
        for (auto& run : all) cancel(*run);
        throw;
      }
    };
    cpu::wait_async(stream.id, between);
  }
  if (!any_unheard.load()) return;
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
