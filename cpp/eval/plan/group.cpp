// Which nodes run in one program, and which of them are stored.
#include "eval/plan/planner.h"

namespace lazulite {

namespace {

// Those that no home has counted. Node::uses remembers who did, until members are counted.
int count_new(const SmallVector<Node*, 4>& makers, const SmallVector<int, 4>& homes) {
  int count = 0;
  for (const Node* from : makers)
    count += std::find(homes.begin(), homes.end(), from->uses - 1) == homes.end();
  return count;
}

}  // namespace

// Groups of one depth do not depend on each other: where a node could join several, they become
// one. The unit that stands for those that were joined.
int Planner::find(int unit) {
  while (units[unit].joined >= 0) {
    ++work;
    const int next = units[unit].joined;
    if (units[next].joined >= 0) units[unit].joined = units[next].joined;
    unit = next;
  }
  return unit;
}
// -1: too much would be alive at a time.
int Planner::join(const Homes& homes, int made) {
  work += homes.size();
  for (int u : homes) made += units[u].made;
  if (made > most_made) return -1;
  const int into = *std::min_element(homes.begin(), homes.end());
  for (int u : homes) {
    if (u == into) continue;
    units[u].joined = into;
    units[into].made += units[u].made;
    scattered_ = true;
  }
  return into;
}

// The units that a node may join: the deepest of its inputs' groups. Returns the depth that it has
// there.
int Planner::find_homes(const Node& node, Homes& homes, Makers& makers) {
  const bool fusable = node.op->kind == OpKind::elementwise && !step_by_step_;
  int depth = 0;
  work += 1 + 2 * node.inputs.size();
  for (const array& input : node.inputs) {
    const int from = unit_of(input, node);
    if (from < 0) continue;
    const int home = find(from);
    const Unit& unit = units[home];
    const bool joins = fusable && unit.fused && same_domain(unit, node);
    const int at = unit.depth + (joins ? 0 : 1);
    if (!joins) makers.push_back(input.node().get());
    if (at > depth) {
      depth = at;
      homes.clear();
    }
    work += homes.size();
    if (joins && at == depth && std::find(homes.begin(), homes.end(), home) == homes.end())
      homes.push_back(home);
  }
  return depth;
}

int Planner::begin_unit(const Node& node, int depth) {
  Unit& unit = units.emplace_back();
  unit.depth = depth;
  unit.fused = node.op->kind == OpKind::elementwise;
  if (!node.out.empty()) unit.domain = node.out[0].spec.shape;
  unit.stream = node.stream;
  return int(units.size()) - 1;
}

// A node joins those of its inputs' groups that are deepest, if nothing else that it needs is
// deeper; otherwise it begins one. What it reads from other groups is less deep then: no group can
// depend on itself.
void Planner::group() {
  for (Node* node : order) {
    Homes homes;
    Makers makers;
    const int depth = find_homes(*node, homes, makers);
    int home = homes.empty() ? -1 : join(homes, count_new(makers, homes));
    if (home < 0) home = begin_unit(*node, depth + !homes.empty());
    node->unit = home;
    node->depth = int(units[home].members.size());
    units[home].members.push_back({node, true});
    for (Node* from : makers)
      if (from->uses != home + 1) {
        from->uses = home + 1;
        ++units[home].made;
      }
    plan.count(*node);
  }
  if (scattered_)
    for (Node* node : order) node->unit = find(node->unit);
  settle();
}

// Units get the members whose unit they are, in order; those without any go.
void Planner::fill_units() {
  std::vector<int> place(units.size(), -1);
  std::vector<Unit> filled;
  filled.reserve(units.size());
  for (Node* node : order) {
    int& at = place[size_t(node->unit)];
    if (at < 0) {
      at = int(filled.size());
      filled.push_back(std::move(units[size_t(node->unit)]));
      filled.back().members.clear();
    }
    node->unit = at;
    node->depth = int(filled[size_t(at)].members.size());
    filled[size_t(at)].members.push_back({node, true});
  }
  units = std::move(filled);
  scattered_ = false;
}

// Members where they belong, and which of them are stored.
void Planner::settle() {
  if (scattered_) fill_units();
  work += 2 * order.size();
  for (Node* node : order) node->uses = 0;
  // What only its own group reads is never stored.
  for (Node* node : order)
    for (const array& input : node->inputs) {
      Node* from = input.node().get();
      if (here(*from) && from->unit == node->unit && node->pins.load() == 0)
        ++from->uses;
    }
  for (Unit& unit : units)
    if (unit.fused)
      for (auto& member : unit.members)
        member.stored = member.node->refs.load() > member.node->uses;
}

}  // namespace lazulite
