// Sinking: a value that is stored only for one later group, and cheap to form there from
// what is stored in any case, is formed there. Gradients are full of them: 1 - y * y beside y =
// tanh(x).
#include "eval/plan/planner.h"

namespace lazulite {

Planner::Users Planner::find_users() const {
  // Only groups that store several values are looked at: long chains cost nothing here.
  Users users;
  for (const Unit& unit : units) {
    if (!unit.fused) continue;
    int stored = 0;
    for (const auto& member : unit.members) stored += member.stored;
    if (stored > 1)
      for (const auto& member : unit.members) users[member.node];
  }
  if (users.empty()) return users;
  for (Node* node : order) {
    work += node->inputs.size();
    for (const array& input : node->inputs) {
      const auto found = users.find(input.node().get());
      if (found != users.end()) found->second.push_back(node);
    }
  }
  return users;
}

void Planner::sink_from(int unit, const Users& users) {
  const auto& members = units[unit].members;
  size_t left = members.size();
  for (size_t m = members.size(); m-- > 0;) {
    Node* node = members[m].node;
    if (node->unit != unit || !members[m].stored) continue;
    const int target = sink_target(node, unit, users);
    if (target < 0) continue;
    std::vector<Node*> cone;
    if (!sink_cone(node, unit, users, cone) || cone.size() == left) continue;
    for (Node* gone : cone) gone->unit = target;
    left -= cone.size();
    scattered_ = true;
  }
}

void Planner::sink() {
  const Users users = find_users();
  if (users.empty()) return;
  for (size_t u = 0; u < units.size(); ++u)
    if (units[u].fused && users.count(units[u].members[0].node)) sink_from(int(u), users);
  if (scattered_) settle();
}

// The one other group that uses a node which nobody outside of the plan holds; -1: there is none.
int Planner::sink_target(const Node* node, int unit, const Users& users) const {
  const auto found = users.find(node);
  if (found == users.end()) return -1;
  const auto& list = found->second;
  if (list.empty() || node->pins.load() || int64_t(node->refs.load()) > int64_t(list.size()))
    return -1;
  const int target = list[0]->unit;
  for (const Node* user : list) {
    ++work;
    if (user->unit != target) return -1;
  }
  if (target == unit || target < 0 || !units[target].fused || !same_domain(units[target], *node))
    return -1;
  return target;
}
// The node with all that only it uses in its group; false when something would have to be stored
// newly.
bool Planner::sink_cone(Node* node, int unit, const Users& users,
                        std::vector<Node*>& cone) const {
  cone.push_back(node);
  if (cone.size() > 16) return false;
  for (const array& input : node->inputs) {
    Node* from = input.node().get();
    if (is_immediate(input, *node) || std::find(cone.begin(), cone.end(), from) != cone.end())
      continue;
    if (!pending(*from)) {
      // Memory that exists before this plan, and may be waiting to be freed: leave it its chance.
      if (from->op->kind != OpKind::input && int64_t(from->refs.load()) <= 1) return false;
      continue;
    }
    if (from->unit != unit) return false;  // would live longer
    const auto found = users.find(from);
    if (found == users.end()) return false;
    const auto& list = found->second;
    bool only_here = int64_t(from->refs.load()) <= int64_t(list.size()), elsewhere = !only_here;
    for (const Node* user : list) {
      ++work;
      if (elsewhere && !only_here) break;
      only_here &= std::find(cone.begin(), cone.end(), user) != cone.end();
      elsewhere |= user->unit != unit;
    }
    if (only_here) {
      if (!sink_cone(from, unit, users, cone)) return false;
    } else if (!elsewhere) {
      return false;
    }
  }
  return true;
}

}  // namespace lazulite
