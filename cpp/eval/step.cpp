#include "eval/step.h"

#include "eval/compare.h"
#include "eval/execute.h"
#include "eval/failures.h"
#include "eval/few.h"
#include "eval/finite.h"
#include "eval/plan/known.h"
#include "eval/profile.h"
#include "eval/runs.h"
#include "graph/origin.h"
#include "graph/pending.h"

namespace lazulite {

namespace {

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

void give_results(const Unit& unit, StepMemory& memory) {
  Output* result = memory.out.begin();
  for (const auto& member : unit.members)
    if (member.stored)
      for (Slot& slot : member.node->out) slot.storage = std::move((result++)->storage);
}

// Apart from what the smallest steps run through: programs take much of the stack.
[[gnu::noinline]] void run_program_of(const Unit& unit, bool& spoilt) {
  StepMemory memory(spoilt);
  GroupProgram program;
  Sources before, behind;
  build_group(unit, program, before, behind);
  describe_group(unit, before, behind, memory);
  run_group(unit, program, memory);
  give_results(unit, memory);
}

// A unit of a known plan: with the program that such a unit had before, or one for those to come.
bool run_known(const Unit& unit, bool& spoilt) {
  StepMemory memory(spoilt);
  Sources before, behind;
  std::unique_ptr<KnownUnit::Built> made;
  const KnownUnit::Built* built = unit.known->built.load(std::memory_order_acquire);
  if (!built) {
    made = std::make_unique<KnownUnit::Built>();
    build_group(unit, made->program, before, behind);
    plan_group(made->program);
    note_sources(unit, before, behind, *made);
    built = made.get();
  } else if (!known_sources(unit, *built, before, behind)) {
    return false;
  }
  describe_group(unit, before, behind, memory);
  run_group(unit, built->program, memory);
  give_results(unit, memory);
  const KnownUnit::Built* none = nullptr;
  if (made && unit.known->built.compare_exchange_strong(none, made.get())) made.release();
  return true;
}

void run_one(const Unit& unit, bool& spoilt) {
  StepMemory memory(spoilt);
  describe_single(unit, memory);
  run_single(*unit.members[0].node, memory);
  give_results(unit, memory);
}

// Last first: a member that nobody stores dies when its user lets go of it.
void let_go(const Unit& unit) {
  SmallVector<Arrays, 4> dropped;
  dropped.reserve(unit.members.size());
  for (size_t i = unit.members.size(); i-- > 0;) {
    Node& node = *unit.members[i].node;
    const bool stored = unit.members[i].stored;
    if (node.pins.load() == 0) dropped.push_back(std::exchange(node.inputs, Arrays()));
    if (stored) set_ready(node);
  }
}

}  // namespace

void run_unit(const Unit& unit, bool& spoilt) {
  for (const auto& member : unit.members) check_inputs(*member.node);
  const Profiled profiled(unit);
  const Compared compared(unit);
  if (!unit.fused) run_one(unit, spoilt);
  else if (!run_few(unit, spoilt) && !(unit.known && run_known(unit, spoilt)))
    run_program_of(unit, spoilt);
  compared.check();
  if (debugging_nans.load(std::memory_order_relaxed)) check_finite(unit);
  let_go(unit);
}

}  // namespace lazulite
