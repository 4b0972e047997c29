#include "eval/plan.h"

#include <chrono>
#include <cmath>

#include "base/env.h"
#include "eval/device_kernels.h"
#include "eval/plan/known.h"
#include "eval/plan/planner.h"
#include "graph/origin.h"

namespace lazulite {

namespace {

uint64_t planning =
    0;  // marks nodes of this planning, and one more what they read; under the plan lock
std::atomic<uint64_t> work_done{0};

bool fusing() {
  static const bool wanted = env::flag("LAZULITE_FUSE", true);
  return wanted && !debugging_nans.load(std::memory_order_relaxed);
}

// The most frequent plan of all: one node whose inputs are all there.
bool plan_one(const array& root, const Ref<Run>& claim, Plan& plan) {
  Node& node = *root.node();
  if (node.state.load(std::memory_order_acquire) != State::pending) return false;
  for (const array& input : node.inputs)
    if (!is_immediate(input, node) &&
        input.node()->state.load(std::memory_order_acquire) != State::ready)
      return false;
  node.mark = planning;
  node.unit = node.depth = node.uses = 0;
  plan.units.resize(1);
  Unit& unit = plan.units[0];
  unit.members.push_back({&node, true});
  unit.fused = node.op->kind == OpKind::elementwise;
  if (!node.out.empty()) unit.domain = node.out[0].spec.shape;
  unit.stream = node.stream;
  plan.count(node);
  plan.roots.push_back(root.node());
  work_done.fetch_add(1 + 2 * node.inputs.size(), std::memory_order_relaxed);
  node.run.store(claim.get(), std::memory_order_relaxed);
  node.state.store(State::claimed, std::memory_order_relaxed);
  return true;
}

Plan finish(Planner& planner, const array* roots, size_t count, const Ref<Run>& claim) {
  for (size_t i = 0; i < count; ++i) planner.plan.roots.push_back(roots[i].node());
  work_done.fetch_add(planner.work, std::memory_order_relaxed);
  if (claim)
    for (Node* node : planner.order) {
      node->run.store(claim.get());
      node->state.store(State::claimed, std::memory_order_relaxed);
    }
  return std::move(planner.plan);
}

}  // namespace

void Plan::count(const Node& node) {
  for (const Slot& slot : node.out) elements += double(size_of(slot.spec.shape));
  if (node.op->slow) elements = HUGE_VAL;
}

void Run::wait(const std::function<void()>& between) {
  std::unique_lock lock(mutex);
  while (!changed.wait_for(lock, std::chrono::milliseconds(50), [&] { return done; })) {
    lock.unlock();
    between();
    lock.lock();
  }
}

void Run::finish() {
  std::lock_guard lock(mutex);
  done = true;
  changed.notify_all();
}

std::mutex& plan_mutex() {
  static std::mutex* mutex = new std::mutex;
  return *mutex;
}

int default_plan_width() {
  static const int width = [] {
    for (const char* name : {"LAZULITE_BFS_MAX_WIDTH", "MLX_BFS_MAX_WIDTH"})
      if (const auto given = env::integer(name, 0, INT32_MAX)) return int(*given);
    return 0;
  }();
  return width;
}

uint64_t planning_work() { return work_done.load(std::memory_order_relaxed); }

Plan make_plan(const array* roots, size_t count, const Ref<Run>& claim, int width) {
  ensure_kernels();
  planning += 2;
  if (Plan plan; count == 1 && claim && plan_one(roots[0], claim, plan)) return plan;
  const bool step_by_step = !fusing();
  Planner planner(planning, step_by_step);
  for (size_t i = 0; i < count; ++i) planner.visit(roots[i].node().get());
  static Form& form = *new Form;  // under the plan lock: its memory serves again
  const bool may_know = claim && !step_by_step && planner.plan.waits.empty() &&
                        describe_form(planner.order, roots, count, planning, form);
  if (may_know) {
    planner.work += form.words.size();
    if (auto known = find_known(form)) {
      known->plan(planner.order, planner.plan);
      planner.plan.known = std::move(known);
      return finish(planner, roots, count, claim);
    }
  }
  const bool keep = may_know && met_before(form);
  const std::vector<Node*> visited = keep ? planner.order : std::vector<Node*>();
  planner.group();
  if (!step_by_step) {
    planner.form_again(roots, count);
    planner.wait();
    planner.sink();
    planner.absorb();
  }
  if (width > 0) planner.arrange_by_width(size_t(width));
  else planner.arrange(roots, count);
  // What is formed again is another graph.
  if (keep && planner.order == visited) keep_known(form, visited, planner.plan);
  return finish(planner, roots, count, claim);
}

}  // namespace lazulite
