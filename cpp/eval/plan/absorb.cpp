// Absorption: a kernel that can read a value as a program forms it runs at the end of the group
// that makes the value, if nobody else wants that: it is never stored then.
#include "eval/device_kernels.h"
#include "eval/plan/planner.h"

namespace lazulite {

namespace {

// Elements from which it pays: below, what is formed for the kernel costs more than what is stored.
std::atomic<int64_t> least_elements{1024};

}  // namespace

int64_t set_least_absorbed(int64_t elements) { return least_elements.exchange(elements); }

// The group at whose end a kernel can run; -1: there is none. Others that depend on the kernel are
// deeper than the group, and what it reads besides is less deep: no unit can depend on itself.
int Planner::absorbing_group(const Unit& unit) const {
  if (unit.fused || unit.members.empty()) return -1;
  const Node& node = *unit.members[0].node;
  if (kernels_of(node).absorbs != Absorb::before || node.pins.load()) return -1;
  ++work;
  const Node& from = *node.inputs[0].node();
  if (!pending(from) || from.pins.load() || int64_t(from.refs.load()) != from.uses + 1) return -1;
  const Unit& group = units[size_t(from.unit)];
  if (!group.fused || group.absorbed || !(group.stream == unit.stream) ||
      from.op->kind != OpKind::elementwise || size_of(group.domain) < least_elements.load())
    return -1;
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    const int other = unit_of(node.inputs[i], node);
    if (other >= 0 && units[size_t(other)].depth >= group.depth) return -1;
  }
  return from.unit;
}

void Planner::absorb() {
  for (Unit& unit : units) {
    const int group = absorbing_group(unit);
    if (group < 0) continue;
    units[size_t(group)].absorbed = true;
    unit.members[0].node->unit = group;
    unit.members.clear();
    scattered_ = true;
  }
  if (scattered_) settle();
}

}  // namespace lazulite
