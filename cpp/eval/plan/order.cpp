// The order of the units: depth first from the roots, so that what is made last is used first;
// readers of an array before its updater; and as soon as they can those that shrink what there is.
#include <deque>

#include "eval/plan/planner.h"

namespace lazulite {

namespace {

class DepthFirst {
 public:
  explicit DepthFirst(const Planner& planner)
      : planner_(planner), units_(planner.units), seen_(units_.size(), 0) {
    find_readers();
    find_users();
    placed.reserve(units_.size());
  }

  void place_below(int root) {
    if (seen_[root]) return;
    enter(root);
    while (!stack_.empty()) {
      ++planner_.work;
      Frame& top = stack_.back();
      const Unit& unit = units_[top.unit];
      if (top.member == unit.members.size()) {
        if (const int reader = reader_before(top); reader >= 0) {
          enter(reader);
          continue;
        }
        const int done = top.unit;
        stack_.pop_back();
        finish(done);
        continue;
      }
      const Node* node = unit.members[top.member].node;
      if (top.input == node->inputs.size()) {
        ++top.member;
        top.input = 0;
        continue;
      }
      const int from = planner_.unit_of(node->inputs[top.input++], *node);
      if (from >= 0 && !seen_[from]) enter(from);
    }
  }

  std::vector<int> placed;

 private:
  struct Frame {
    int unit;
    size_t member = 0, input = 0;
    bool arrived = false;  // all it needs is there
  };
  struct Readers {
    std::vector<int> units;  // that read the array, the updaters among them
    size_t next = 0;         // the first that was not considered yet
    int updaters = 0;        // on their way
  };

  void enter(int unit) {
    seen_[unit] = 1;
    stack_.push_back({unit});
  }

  void finish(int unit) {
    seen_[unit] = 2;
    placed.push_back(unit);
    // Those that wait for nothing else, and shrink what there is.
    for (size_t next = placed.size() - 1; next < placed.size(); ++next)
      for (int k = begin_[placed[next]]; k < begin_[placed[next] + 1]; ++k) {
        const int user = users_[k];
        ++planner_.work;
        if (--waiting_[user] == 0 && seen_[user] == 0 && reduces(units_[user])) {
          seen_[user] = 2;
          placed.push_back(user);
        }
      }
  }

  // ---- readers before updaters: who reads an array that some unit would rather write over

  // What this array shares its memory with: through the views of this plan the array that they
  // show, before it the memory itself.
  const void* base_of(const array& a) const {
    const Node* node = a.node().get();
    if (planner_.here(*node)) return bases_[size_t(node->uses) + a.index()];
    const bool ready = node->state.load(std::memory_order_acquire) == State::ready;
    const Buffer* memory = ready ? a.slot().storage.buffer.get() : nullptr;
    return memory ? static_cast<const void*>(memory) : node;
  }
  void find_readers() {
    bool any = false;
    for (const Unit& unit : units_) any |= unit.members[0].node->op->update;
    if (!any) return;
    bases_.reserve(planner_.order.size());
    for (Node* node : planner_.order) {
      node->uses = int(bases_.size());  // its number from here on
      const bool view = node->op->kind == OpKind::view && node->inputs.size() >= node->out.size();
      for (size_t i = 0; i < node->out.size(); ++i)
        bases_.push_back(view ? base_of(node->inputs[node->inputs.size() - node->out.size() + i])
                             : node);
    }
    for (const Unit& unit : units_) {
      const Node& node = *unit.members[0].node;
      if (node.op->update) ++readers_[base_of(node.inputs[0])].updaters;
    }
    for (const Node* node : planner_.order) {
      planner_.work += 1 + node->inputs.size();
      for (const array& input : node->inputs) {
        const auto found = readers_.find(base_of(input));
        if (found == readers_.end() || node->unit < 0) continue;
        auto& list = found->second.units;
        if (list.empty() || list.back() != node->unit) list.push_back(node->unit);
      }
    }
  }
  // Who still reads the array that this unit is about to write over, and should go before it; -1:
  // nobody. Of several updaters only the last can do without a copy.
  int reader_before(Frame& frame) {
    const Node& node = *units_[frame.unit].members[0].node;
    if (!node.op->update || readers_.empty()) return -1;
    // None: another thread has finished what this plan had found claimed.
    const auto found = readers_.find(base_of(node.inputs[0]));
    if (found == readers_.end()) return -1;
    Readers& of = found->second;
    if (!frame.arrived) --of.updaters;
    frame.arrived = true;
    if (of.updaters > 0) return -1;
    while (of.next < of.units.size()) {
      ++planner_.work;
      const int reader = of.units[of.next++];
      if (!seen_[reader] && !may_need(reader, frame.unit)) return reader;
    }
    return -1;
  }
  // True unless `unit` surely needs nothing of `updater`, which is on its way. Looks at a bounded
  // number of inputs.
  bool may_need(int unit, int updater) const {
    if (waiting_[unit] == 0) return false;
    std::vector<int> stack{unit}, known{unit};
    int looked = 0;
    while (!stack.empty()) {
      const int at = stack.back();
      stack.pop_back();
      if (waiting_[at] == 0) continue;
      for (const auto& member : units_[at].members)
        for (const array& input : member.node->inputs) {
          ++planner_.work;
          if (++looked > 512) return true;
          const int from = planner_.unit_of(input, *member.node);
          if (from < 0 || from == at || seen_[from] == 2) continue;  // placed already
          if (from == updater || seen_[from] == 1 || known.size() > 32) return true;
          if (std::find(known.begin(), known.end(), from) != known.end()) continue;
          known.push_back(from);
          stack.push_back(from);
        }
    }
    return false;
  }

  // ---- units that make much less than they read run as soon as they can: what they read may then
  // die

  void find_users() {
    begin_.assign(units_.size() + 1, 0);
    waiting_.assign(units_.size(), 0);
    each_edge([&](int from, int user) {
      ++begin_[from + 1];
      ++waiting_[user];
    });
    for (size_t u = 0; u < units_.size(); ++u) begin_[u + 1] += begin_[u];
    users_.resize(size_t(begin_.back()));
    std::vector<int> at(begin_.begin(), begin_.end() - 1);
    each_edge([&](int from, int user) { users_[at[from]++] = user; });
  }
  template <class F> void each_edge(F&& f) const {
    for (size_t u = 0; u < units_.size(); ++u)
      for (const auto& member : units_[u].members)
        for (const array& input : member.node->inputs) {
          const int from = planner_.unit_of(input, *member.node);
          if (from >= 0 && from != int(u)) f(from, int(u));
        }
  }
  bool reduces(const Unit& unit) const {
    int64_t made = 0, read = 0;
    for (const auto& member : unit.members) {
      planner_.work += member.node->inputs.size();
      if (member.node->op->update) return false;
      for (const array& input : member.node->inputs)
        read = std::max(read, size_of(input.shape()) * size_of(input.dtype()));
      if (member.stored && member.node->op->kind != OpKind::view)
        for (const Slot& slot : member.node->out)
          made += size_of(slot.spec.shape) * size_of(slot.spec.type);
    }
    return made * 4 <= read;
  }

  const Planner& planner_;
  const std::vector<Unit>& units_;
  std::vector<char> seen_;  // 1: on its way, 2: placed
  std::vector<Frame> stack_;
  std::vector<int> begin_, users_;                    // of each unit
  std::vector<int> waiting_;                          // for how many inputs each still waits
  std::unordered_map<const void*, Readers> readers_;  // of arrays that are updated
  std::vector<const void*> bases_;                    // of every value, by number
};

}  // namespace

void Planner::arrange(const array* roots, size_t count) {
  DepthFirst order(*this);
  for (size_t r = 0; r < count; ++r)
    if (const Node& root = *roots[r].node(); pending(root)) order.place_below(root.unit);
  place(order.placed);
}

// From the outputs, breadth first while few units are in view; then turned round.
void Planner::arrange_by_width(size_t width) {
  std::vector<std::vector<int>> needs(units.size());
  std::vector<int> users(units.size(), 0);
  for (size_t u = 0; u < units.size(); ++u) {
    for (const auto& member : units[u].members)
      for (const array& input : member.node->inputs) {
        const int from = unit_of(input, *member.node);
        if (from >= 0 && from != int(u)) needs[u].push_back(from);
      }
    std::sort(needs[u].begin(), needs[u].end());
    needs[u].erase(std::unique(needs[u].begin(), needs[u].end()), needs[u].end());
    for (int from : needs[u]) ++users[from];
  }
  std::deque<int> view;
  for (size_t u = 0; u < units.size(); ++u)
    if (users[u] == 0) view.push_back(int(u));
  std::vector<int> placed;
  while (!view.empty()) {
    const bool broad = view.size() <= width;
    const int unit = broad ? view.front() : view.back();
    broad ? view.pop_front() : view.pop_back();
    placed.push_back(unit);
    for (int from : needs[unit])
      if (--users[from] == 0) view.push_back(from);
  }
  std::reverse(placed.begin(), placed.end());
  place(placed);
}

void Planner::place(const std::vector<int>& placed) {
  plan.units.reserve(placed.size());
  for (int unit : placed) plan.units.push_back(std::move(units[unit]));
}

}  // namespace lazulite
