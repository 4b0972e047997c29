#include <pthread.h>

#include <chrono>
#include <cmath>
#include <memory>

#include "device/cpu/allocator.h"
#include "device/cpu/pool.h"
#include "eval/compare.h"
#include "eval/plan.h"
#include "eval/profile.h"
#include "graph/origin.h"

namespace lazulite {

namespace {

WaitHooks hooks;
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

LAZULITE_THREAD_LOCAL Unlocked* outermost = nullptr;  // of the run that kernels of this thread belong to

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

// Inputs are ready, or members of this run's own group; a run that was interrupted leaves neither.
void check_inputs(const Node& node) {
  for (const array& input : node.inputs) {
    const Node& from = *input.node();
    if (from.op->sort == Sort::constant) continue;
    const State state = from.state.load(std::memory_order_acquire);
    if (state == State::failed) throw from.failure->error;
    if (state == State::pending || (state == State::claimed && from.run.load() != node.run.load()))
      fail(Kind::runtime, node.op->name, "the evaluation of an input was interrupted in another thread");
  }
}

void set_ready(Node& node) { node.state.store(State::ready, std::memory_order_release); }

void run_single(const Unit& unit) {
  Node& node = *unit.members[0].node;
  SmallVector<Bound, 3> in;
  for (const array& input : node.inputs) in.push_back(bound(input.slot().spec, input.slot().storage));
  SmallVector<Storage, 1> out;
  out.resize(node.out.size());
  run_op(node, std::move(in), node.op->update && may_donate(unit, node.inputs[0]), out);
  for (size_t i = 0; i < node.out.size(); ++i) node.out[i].storage = std::move(out[i]);
}

// ---- debug_nans

bool is_finite(const Spec& spec, const Storage& storage) {
  if (!is_inexact(spec.type) || !storage.buffer) return true;
  const int64_t n = size_of(spec.shape);
  const Storage dense{n ? allocate(n * size_of(spec.type)) : Ref<Buffer>(), 0, dense_strides(spec.shape)};
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
  if (node.op->sort == Sort::view || node.op->sort == Sort::constant) return;
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
    fail(Kind::runtime, node.op->name, "a nan or an infinity from finite inputs: got ", slot.spec.type, " of shape ", slot.spec.shape,
         ", recorded", origin_of(&node).empty() ? std::string(" before debug_nans began") : origin_of(&node));
  }
}

void run_unit(const Unit& unit) {
  for (const auto& member : unit.members) check_inputs(*member.node);
  const Profiled profiled(unit);
  const Compared compared(unit);
  if (!unit.fused) {
    run_single(unit);
  } else {
    GroupProgram group;
    build_group(unit, group);
    if (size_of(unit.domain)) run_program(group.program, group.bindings.data());
    size_t k = 0;
    for (const auto& member : unit.members)
      if (member.stored) member.node->out[0].storage = std::move(group.outputs[k++]);
  }
  compared.check();
  if (debugging_nans.load(std::memory_order_relaxed)) check_finite(unit);
  // Last first: a member that nobody stores dies when its user lets go of it.
  SmallVector<Arrays, 4> dropped;
  for (size_t i = unit.members.size(); i-- > 0;) {
    Node& node = *unit.members[i].node;
    const bool stored = unit.members[i].stored;
    if (node.pins.load() == 0) dropped.push_back(std::exchange(node.inputs, Arrays()));
    if (stored) set_ready(node);
  }
}

void release_claims(Plan& plan, size_t from) {
  for (size_t u = from; u < plan.units.size(); ++u)
    for (auto& member : plan.units[u].members) member.node->state.store(State::pending, std::memory_order_release);
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
// What others were about to compute is pending again; what they were computing is lost to the child.
void abandon_others() {
  for (Run* run = running; run;) {
    Run* const next = run->next;
    if (run->thread != std::this_thread::get_id()) {
      const int64_t current = run->current.load();
      const auto failure = make_ref<Failure>(Error(
          Kind::runtime, "[fork] the process was forked while another thread computed this array: it has no value in the child"));
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
      if (!member.stored || op.sort == Sort::view || op.places) continue;
      for (const Slot& slot : member.node->out)
        if (size_of(slot.spec.shape) > limit / size_of(slot.spec.type)) return u;
    }
  return plan.units.size();
}

// Runs every unit. A unit that raises marks its nodes failed; what was not run is pending again.
void run_plan(Plan& plan, const Ref<Run>& run, bool hold) {
  struct Finish {
    const Ref<Run>& run;
    ~Finish() {
      {
        std::lock_guard lock(plan_mutex());
        unlist(*run);
      }
      run->finish();
    }
  } finish{run};
  Unlocked unlocked(!hold && plan.elements > long_work);
  for (auto& earlier : plan.waits) {
    Unlocked more(!hold && !unlocked.released);
    earlier->wait();
  }
  struct Outermost {
    const bool mine;
    explicit Outermost(Unlocked* u) : mine(!outermost) {
      if (mine) outermost = u;
    }
    ~Outermost() {
      if (mine) outermost = nullptr;
    }
  } scope(hold ? nullptr : &unlocked);
  auto polled = std::chrono::steady_clock::now();
  const size_t doomed = plan.elements > 1e8 ? too_large(plan) : plan.units.size();
  for (size_t u = doomed < plan.units.size() ? doomed : 0; u < plan.units.size(); ++u) {
    run->current.store(int64_t(u), std::memory_order_relaxed);
    try {
      if (u == doomed) {
        const Node& node = *plan.units[u].members.back().node;
        fail(Kind::memory, node.op->name, "out of memory: got shape ", node.out[0].spec.shape, " of ", node.out[0].spec.type,
             ", expected at most ", cpu::get_memory_limit(), " bytes (set_memory_limit)");
      }
      run_unit(plan.units[u]);
    } catch (...) {
      Ref<Failure> failure;
      std::exception_ptr raised = std::current_exception();
      try {
        std::rethrow_exception(raised);
      } catch (const Error& e) {
        failure = make_ref<Failure>(e);
      } catch (const std::bad_alloc&) {
        failure = make_ref<Failure>(Error(Kind::memory, "out of memory"));
      } catch (const std::exception& e) {
        failure = make_ref<Failure>(Error(Kind::runtime, e.what()));
      } catch (...) {  // interrupted inside a kernel that polls: nothing has failed
        std::lock_guard lock(plan_mutex());
        release_claims(plan, u);
        throw;
      }
      {
        std::lock_guard lock(plan_mutex());
        release_claims(plan, u == doomed ? 0 : u + 1);
        for (auto& member : plan.units[u].members) {
          member.node->failure = failure;
          member.node->state.store(State::failed, std::memory_order_release);
        }
      }
      throw failure->error;
    }
    if (u % 64 == 63 && !hold) {
      const auto now = std::chrono::steady_clock::now();
      if (now - polled > std::chrono::milliseconds(50)) {
        polled = now;
        try {
          unlocked.poll();
        } catch (...) {
          std::lock_guard lock(plan_mutex());
          release_claims(plan, u + 1);
          throw;
        }
      }
    }
  }
}

void throw_failures(const array* roots, size_t count) {
  for (size_t i = 0; i < count; ++i)
    if (roots[i].node()->state.load(std::memory_order_acquire) == State::failed)
      throw roots[i].node()->failure->error;
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
      enlist(*run, plan);
    }
    run_plan(plan, run, false);
    throw_failures(roots, count);
  }
}

}  // namespace

void set_wait_hooks(WaitHooks h) { hooks = h; }

void poll() {
  LAZULITE_THREAD_LOCAL static std::chrono::steady_clock::rep last = 0;
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  if (!outermost || now.count() - last < std::chrono::steady_clock::duration(std::chrono::milliseconds(50)).count()) return;
  last = now.count();
  outermost->poll();
}

void eval(const Arrays& arrays) { eval_all(arrays.begin(), arrays.size()); }
void eval(const std::vector<array>& arrays) { eval_all(arrays.data(), arrays.size()); }

void async_eval(const std::vector<array>& arrays) {
  if (arrays.empty()) return;
  throw_failures(arrays.data(), arrays.size());
  auto run = make_ref<Run>();
  auto plan = std::make_shared<Plan>();
  {
    PlanLock lock;
    *plan = make_plan(arrays.data(), arrays.size(), run);
    if (plan->units.empty()) return run->finish();
    enlist(*run, *plan);
    run->thread = {};  // of the stream's thread
  }
  cpu::run_async(arrays[0].node()->stream.id, [plan, run] {
    try {
      run_plan(*plan, run, true);
    } catch (...) {  // kept in the nodes; whoever reads them gets it
    }
  });
}

void synchronize(Stream stream) {
  Unlocked unlocked(true);
  cpu::wait_async(stream.id);
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
