// Absorption: a kernel runs in one step with the groups beside it. The group before forms, piece by
// piece, what the kernel reads first, and nobody else wants that: it is never stored. The group
// behind runs on each piece of the result as soon as that is final, while it is in cache. Kernels
// that read one array join: each piece of it, read or formed, goes through all of them.
//
// No unit can come to depend on itself. What a unit needs lies lower, where units lie by depth, and
// of one depth those with a group behind their kernel above the others: before, the kernel comes
// down to a group that all else it reads is less deep than; behind, the group comes down to the
// kernel, and all else that it reads lies lower still.
#include "eval/device_kernels.h"
#include "eval/plan/planner.h"

namespace lazulite {

namespace {

// Elements from which it pays: below, what is formed for the kernel costs more than what is stored.
std::atomic<int64_t> least_elements{1024};
constexpr int most_joined = 32;

int64_t bytes_of(const Node& node) {
  int64_t bytes = 0;
  for (const Slot& slot : node.out) bytes += size_of(slot.spec.shape) * size_of(slot.spec.type);
  return bytes;
}

// How many inputs of the kernel are this node.
int64_t reads_of(const Node& kernel, const Node& node) {
  int64_t reads = 0;
  for (const array& input : kernel.inputs) reads += input.node().get() == &node;
  return reads;
}

}  // namespace

int64_t set_least_absorbed(int64_t elements) { return least_elements.exchange(elements); }

// One kernel and nothing else.
bool Planner::is_kernel(const Unit& unit) const {
  return !unit.fused && unit.members.size() == 1 &&
         unit.members[0].node->op->kind == OpKind::kernel;
}

// ---- together

// Units of one depth do not depend on each other.
bool Planner::may_join(const Unit& first, const Unit& unit) const {
  const Node &a = *first.members[0].node, &b = *unit.members[0].node;
  const OpKernels &of_a = kernels_of(a), &of_b = kernels_of(b);
  return first.depth == unit.depth && first.stream == unit.stream && first.kernels < most_joined &&
         of_a.together == of_b.together && a.inputs[0].same(b.inputs[0]) && of_a.joins(a, b);
}

bool Planner::join_kernels() {
  std::unordered_map<const Node*, SmallVector<int, 2>> readers;
  bool any = false;
  for (size_t u = 0; u < units.size(); ++u) {
    if (!is_kernel(units[u])) continue;
    const Node& node = *units[u].members[0].node;
    if (!kernels_of(node).together || node.inputs[0].size() < least_elements.load()) continue;
    auto& known = readers[node.inputs[0].node().get()];
    const auto first = std::find_if(known.begin(), known.end(), [&](int other) {
      ++work;
      return may_join(units[size_t(other)], units[u]);
    });
    if (first == known.end()) {
      known.push_back(int(u));
      continue;
    }
    any = true;
    Unit& unit = units[size_t(*first)];
    unit.fused = true;
    unit.kernel = 0;
    unit.kernels = std::max(unit.kernels, 1) + 1;
    append(int(u), *first);
  }
  return any;
}

// ---- before

// The group at whose end a kernel, or several that joined, can run; -1: there is none.
int Planner::group_before(const Unit& unit) const {
  for (const auto& member : unit.members)
    if (!absorbs(kernels_of(*member.node).absorbs, Absorb::before) || member.node->pins.load())
      return -1;
  ++work;
  const Node& from = *unit.members[0].node->inputs[0].node();
  if (!pending(from) || from.pins.load() ||
      int64_t(from.refs.load()) != from.uses + int64_t(unit.members.size()))
    return -1;
  const Unit& group = units[size_t(from.unit)];
  if (!group.fused || group.kernel >= 0 || !(group.stream == unit.stream) ||
      from.op->kind != OpKind::elementwise || size_of(group.domain) < least_elements.load())
    return -1;
  for (const auto& member : unit.members)
    for (size_t i = 1; i < member.node->inputs.size(); ++i) {
      const int other = unit_of(member.node->inputs[i], *member.node);
      if (other >= 0 && units[size_t(other)].depth >= group.depth) return -1;
    }
  return from.unit;
}

// ---- behind

// Whether the group can run on what the unit's kernel makes.
bool Planner::may_go_on(const Unit& unit, const Node& kernel, const Unit& group) const {
  const Op& op = *kernel.op;
  return (is_kernel(unit) || unit.kernels == 1) && !unit.goes_on() && !unit.needed &&
         unit.members.back().node == &kernel && kernel.out.size() == 1 && !op.update &&
         !op.places && !op.takes && absorbs(kernels_of(kernel).absorbs, Absorb::after) &&
         same_domain(group, kernel) && !keeps_more(kernel, group);
}

// Results of the group that find no place in the kernel's own would be made while what dies at the
// kernel is still there.
bool Planner::keeps_more(const Node& kernel, const Unit& group) const {
  int64_t reads = 0, more = 0, place = 0;
  for (const auto& member : group.members) {
    reads += reads_of(*member.node, kernel);
    work += member.node->inputs.size();
    if (!member.stored) continue;
    more += bytes_of(*member.node);
    if (bytes_of(*member.node) == bytes_of(kernel)) place = bytes_of(kernel);
  }
  if (int64_t(kernel.refs.load()) <= reads) more -= place;
  if (more <= 0) return false;
  for (const array& input : kernel.inputs) {
    const Node* node = input.node().get();
    int64_t held = reads_of(kernel, *node);
    while (node->op->kind == OpKind::view && int64_t(node->refs.load()) <= held &&
           !node->inputs.empty()) {
      node = node->inputs.back().node().get();
      held = 1;
    }
    ++work;
    if (int64_t(node->refs.load()) <= held && node->op->kind != OpKind::constant &&
        bytes_of(*node) * 8 > more)
      return true;
  }
  return false;
}

// The unit of the kernel that a group can run behind; -1: there is none.
int Planner::kernel_before(int at) const {
  const Unit& group = units[size_t(at)];
  if (!group.fused || group.kernel >= 0 || size_of(group.domain) < least_elements.load())
    return -1;
  int deepest = 0, found = -1;
  const Node* kernel = nullptr;
  auto each_input = [&](auto&& f) {
    for (const auto& member : group.members)
      for (const array& input : member.node->inputs) {
        ++work;
        if (const int from = unit_of(input, *member.node); from >= 0 && from != at)
          f(from, units[size_t(from)], input.node().get());
      }
  };
  each_input([&](int, const Unit& unit, const Node*) { deepest = std::max(deepest, unit.depth); });
  each_input([&](int from, const Unit& unit, const Node* node) {
    if (unit.depth != deepest || from <= found || node->op->kind != OpKind::kernel ||
        !may_go_on(unit, *node, group))
      return;
    found = from;
    kernel = node;
  });
  if (found < 0) return -1;
  each_input([&](int from, const Unit& unit, const Node* node) {
    if (from == found ? node != kernel : unit.depth == deepest && unit.goes_on()) kernel = nullptr;
  });
  return kernel ? found : -1;
}

// ----

void Planner::append(int unit, int to) {
  Unit &from = units[size_t(unit)], &into = units[size_t(to)];
  for (const auto& member : from.members) {
    member.node->unit = to;
    into.members.push_back(member);
  }
  from.members.clear();
}

void Planner::absorb() {
  bool any = join_kernels(), kernels = false;
  for (size_t u = 0; u < units.size(); ++u) {
    const bool joined = units[u].kernel == 0;
    kernels |= is_kernel(units[u]);
    const int group = joined || is_kernel(units[u]) ? group_before(units[u]) : -1;
    if (group < 0) continue;
    any = true;
    Unit& unit = units[size_t(group)];
    unit.kernel = int(unit.members.size());
    unit.kernels = int(units[u].members.size());
    append(int(u), group);
  }
  for (size_t u = 0; kernels && u < units.size(); ++u) {
    const int before = kernel_before(int(u));
    if (before < 0) continue;
    any = true;
    Unit& unit = units[size_t(before)];
    for (const auto& member : units[u].members)
      for (const array& input : member.node->inputs)
        if (const int from = unit_of(input, *member.node);
            from >= 0 && from != int(u) && units[size_t(from)].depth == unit.depth)
          units[size_t(from)].needed = true;
    if (unit.kernel < 0) {
      unit.fused = true;
      unit.kernel = 0;
      unit.kernels = 1;
      unit.domain = units[u].domain;
    }
    append(int(u), before);
  }
  if (any) close_gaps();
}

void Planner::close_gaps() {
  std::erase_if(units, [](const Unit& unit) { return unit.members.empty(); });
  for (size_t u = 0; u < units.size(); ++u)
    for (size_t m = 0; m < units[u].members.size(); ++m) {
      units[u].members[m].node->unit = int(u);
      units[u].members[m].node->depth = int(m);
    }
  settle();
}

}  // namespace lazulite
