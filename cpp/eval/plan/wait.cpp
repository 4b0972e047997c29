// Waiting: a group that one later group alone reads, which waits for little besides (a step size
// that is computed meanwhile), is formed there: what both read is read once, and what nobody else
// wants is not stored. All that they read is there before, or little: nothing lives longer for it.
// A group that reads what is there before, and no more than it makes, waits for anything: until its
// reader runs, what it reads is kept instead of what it makes.
#include "eval/plan/planner.h"

namespace lazulite {

namespace {

constexpr int64_t least = 4096;  // elements
constexpr int64_t little = 64;   // so many times fewer than the group has
constexpr int most_looked = 64;  // nodes, for one group

}  // namespace

// What is there, or is made of little and has few elements itself. (A view has none.)
bool Planner::is_little(const array& input, const Node& consumer, int64_t size,
                        int& looked) const {
  if (unit_of(input, consumer) < 0) return true;
  const Node& node = *input.node();
  ++work;
  if (++looked > most_looked || node.op->slow) return false;
  if (node.op->kind != OpKind::view)
    for (const Slot& slot : node.out)
      if (size_of(slot.spec.shape) * little > size) return false;
  for (const array& from : node.inputs)
    if (!is_little(from, node, size, looked)) return false;
  return true;
}

// Of what a unit reads from others; those that `of` alone reads do not count.
bool Planner::has_only_little(const Unit& unit, const std::vector<int>& reader, int of) const {
  int looked = 0;
  for (const auto& member : unit.members)
    for (const array& input : member.node->inputs) {
      ++work;
      const int from = unit_of(input, *member.node);
      if (from == member.node->unit || (from >= 0 && reader[size_t(from)] == of)) continue;
      if (!is_little(input, *member.node, size_of(unit.domain), looked)) return false;
    }
  return true;
}

// Of a group that reads what is there, or little: whether what is large of it, but for what others
// hold in any case, is no more than what it stores.
bool Planner::reads_no_more(const Unit& unit) const {
  int64_t most = 0;
  SmallVector<const Node*, 8> known;
  for (const auto& member : unit.members) {
    const Spec& spec = member.node->out[0].spec;
    if (member.stored) most += size_of(spec.shape) * size_of(spec.type);
    for (const array& input : member.node->inputs) {
      ++work;
      const Node* node = input.node().get();
      const int64_t elements = elements_behind(input);
      if (unit_of(input, *member.node) == member.node->unit || node->op->kind == OpKind::input ||
          elements * little <= size_of(unit.domain) ||
          std::find(known.begin(), known.end(), node) != known.end())
        continue;
      if (known.size() >= 8) return false;
      known.push_back(node);
      most -= elements * size_of(input.dtype());
    }
  }
  return most >= 0;
}

void Planner::wait() {
  auto large = [&](const Unit& unit) { return unit.fused && size_of(unit.domain) >= least; };
  if (std::count_if(units.begin(), units.end(), large) < 2) return;
  constexpr int nobody = -1, several = -2;
  std::vector<int> reader(units.size(), nobody);
  for (const Node* node : order)
    for (const array& input : node->inputs) {
      ++work;
      const int from = unit_of(input, *node);
      if (from < 0 || from == node->unit) continue;
      int& known = reader[size_t(from)];
      known = known == nobody || known == node->unit ? node->unit : several;
    }
  // Which groups could wait, then whether those that they would wait for have nothing else to.
  for (size_t u = 0; u < units.size(); ++u) {
    int& by = reader[u];
    if (by < 0) continue;
    const Unit &unit = units[u], &group = units[size_t(by)];
    if (!large(unit) || !group.fused || group.domain != unit.domain ||
        !(group.stream == unit.stream) || !has_only_little(unit, reader, several - 1))
      by = several;
  }
  std::vector<char> fits(units.size(), 0);
  for (size_t u = 0; u < units.size(); ++u)
    if (reader[u] >= 0) fits[size_t(reader[u])] = 1;
  for (size_t u = 0; u < units.size(); ++u)
    if (fits[u]) fits[u] = has_only_little(units[u], reader, int(u));
  for (size_t u = 0; u < units.size(); ++u) {
    const int by = reader[u];
    if (by < 0 || units[u].made + units[size_t(by)].made > most_made) continue;
    if (!fits[size_t(by)] && !reads_no_more(units[u])) continue;
    for (const auto& member : units[u].members) member.node->unit = by;
    units[size_t(by)].made += units[u].made;
    scattered_ = true;
  }
  if (scattered_) settle();
}

}  // namespace lazulite
