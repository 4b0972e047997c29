#include "eval/plan.h"

#include "base/env.h"
#include "graph/origin.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <deque>
#include <unordered_map>

namespace lazulite {

namespace {

// Arrays that other units of the plan make for one group: all of them are alive when it runs.
// Groups have no other limit: a value that is stored and read again costs some 1 ns per element
// beyond the cache, a register that leaves the first-level cache 0.06 per instruction.
constexpr int most_made = 32;
uint64_t planning = 0;           // marks nodes of this planning; under the plan lock
std::atomic<uint64_t> work_done{0};

bool same_domain(const Unit& unit, const Node& node) {
  return unit.domain == node.out[0].spec.shape && unit.stream == node.stream;
}

// A constant costs nothing until memory of it is wanted: by a kernel, a view, or the user.
bool is_immediate(const array& input, const Node& consumer) {
  return input.node()->op->sort == Sort::constant && consumer.op->sort == Sort::elementwise;
}

[[noreturn]] void fail_traced(const Node& node) {
  const char* transform = node.transform ? node.transform : "trace";
  if (node.pins.load() > 0)
    fail(Kind::tracer, transform,
         "an array of the traced function was read: its values are not known while it is traced; "
         "got an attempt to evaluate it",
         current_line(),
         ", expected only operations on it (use where instead of if, "
         "and return the array to read it)");
  fail(Kind::tracer, transform,
       "an array escaped from a traced function and was read after it: it stood for an argument "
       "and never gets values; got an attempt to evaluate it or what follows from it",
       current_line(), ", expected only arrays that the function returned");
}

[[noreturn]] void fail_kept() {
  fail(Kind::runtime, "eval",
       "an array inside the body of a loop was read from outside: this is a fault of Lazulite, "
       "please report it with the program; got an array that belongs to a prepared plan, expected "
       "one that plans may claim");
}

bool fusing() {
  static const bool wanted = env::flag("LAZULITE_FUSE", true);
  return wanted && !debugging_nans.load(std::memory_order_relaxed);
}

struct Planner {
  const bool step_by_step = !fusing();  // every node a unit of its own
  std::vector<Node*> order;  // inputs before users
  std::vector<Unit> units;
  bool scattered = false;  // members went to other units: fill_units
  mutable uint64_t work = 0;  // what was looked at: nodes, inputs, members, users
  Plan plan;

  // Depth first without recursion. Returns pending nodes only.
  void visit(Node* root) {
    struct Frame {
      Node* node;
      size_t next;
    };
    std::vector<Frame> stack;
    auto enter = [&](Node* node) {
      const State state = node->state.load(std::memory_order_acquire);
      if (state == State::ready || state == State::failed) return;
      if (state == State::traced) fail_traced(*node);
      if (state == State::claimed) {
        Run* run = node->run.load();
        if (!run) fail_kept();
        if (run->mark == planning) return;
        run->mark = planning;
        plan.waits.emplace_back(run);
        return;
      }
      if (node->mark == planning) return;
      node->mark = planning;
      node->unit = -1;
      node->uses = 0;
      stack.push_back({node, 0});
    };
    enter(root);
    while (!stack.empty()) {
      ++work;
      Frame& top = stack.back();
      if (top.next < top.node->inputs.size()) {
        const array& input = top.node->inputs[top.next++];
        if (!is_immediate(input, *top.node)) enter(input.node().get());
      } else {
        order.push_back(top.node);
        stack.pop_back();
      }
    }
  }

  // Groups of one depth do not depend on each other: where a node could join several, they become
  // one. The unit that stands for those that were joined.
  int find(int unit) {
    while (units[unit].joined >= 0) {
      ++work;
      const int next = units[unit].joined;
      if (units[next].joined >= 0) units[unit].joined = units[next].joined;
      unit = next;
    }
    return unit;
  }
  // -1: too much would be alive at a time.
  int join(const SmallVector<int, 4>& homes, int made) {
    work += homes.size();
    for (int u : homes) made += units[u].made;
    if (made > most_made) return -1;
    const int into = *std::min_element(homes.begin(), homes.end());
    for (int u : homes) {
      if (u == into) continue;
      units[u].joined = into;
      units[into].made += units[u].made;
      scattered = true;
    }
    return into;
  }

  // Groups: a node joins those of its inputs' groups that are deepest, if nothing else that it
  // needs is deeper; otherwise it begins one. What it reads from other groups is less deep then: no
  // group can depend on itself.
  void group() {
    for (Node* node : order) {
      const bool fusable = node->op->sort == Sort::elementwise && !step_by_step;
      int depth = 0;
      SmallVector<int, 4> homes;
      work += 1 + 2 * node->inputs.size();
      SmallVector<Node*, 4> makers;  // of what it reads from other units
      for (const array& input : node->inputs) {
        Node* from = input.node().get();
        if (from->mark != planning || from->unit < 0 || is_immediate(input, *node)) continue;
        const int home = find(from->unit);
        const Unit& unit = units[home];
        const bool joins = fusable && unit.fused && same_domain(unit, *node);
        const int at = unit.depth + (joins ? 0 : 1);
        if (!joins) makers.push_back(from);
        if (at > depth) {
          depth = at;
          homes.clear();
        }
        work += homes.size();
        if (joins && at == depth && std::find(homes.begin(), homes.end(), home) == homes.end())
          homes.push_back(home);
      }
      int home = homes.empty() ? -1 : join(homes, count_new(makers, homes));
      if (home < 0 && !homes.empty()) ++depth;
      if (home < 0) {
        home = int(units.size());
        Unit& unit = units.emplace_back();
        unit.depth = depth;
        unit.fused = node->op->sort == Sort::elementwise;
        unit.domain = node->out.empty() ? Shape{} : node->out[0].spec.shape;
        unit.stream = node->stream;
      }
      node->unit = home;
      node->depth = int(units[home].members.size());
      units[home].members.push_back({node, true});
      for (Node* from : makers)
        if (from->uses != home + 1) {
          from->uses = home + 1;
          ++units[home].made;
        }
      for (const Slot& slot : node->out) plan.elements += double(size_of(slot.spec.shape));
      if (node->op->slow) plan.elements = HUGE_VAL;
    }
    if (scattered)
      for (Node* node : order) node->unit = find(node->unit);
    settle();
  }
  // Those that no home has counted. Node::uses remembers who did, until members are counted.
  static int count_new(const SmallVector<Node*, 4>& makers, const SmallVector<int, 4>& homes) {
    int count = 0;
    for (const Node* from : makers)
      count += std::find(homes.begin(), homes.end(), from->uses - 1) == homes.end();
    return count;
  }

  // Units get the members whose unit they are, in order; those without any go.
  void fill_units() {
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
    scattered = false;
  }

  // Members where they belong, and which of them are stored.
  void settle() {
    if (scattered) fill_units();
    work += 2 * order.size();
    for (Node* node : order) node->uses = 0;
    // What only its own group reads is never stored.
    for (Node* node : order)
      for (const array& input : node->inputs) {
        Node* from = input.node().get();
        if (from->mark == planning && from->unit == node->unit && node->pins.load() == 0)
          ++from->uses;
      }
    for (Unit& unit : units)
      if (unit.fused)
        for (auto& member : unit.members)
          member.stored = member.node->refs.load() > member.node->uses;
  }

  // ---- sinking: a value that is stored only for one later group, and cheap to form there from
  // what is stored in any case, is formed there. Gradients are full of them: 1 - y * y beside y =
  // tanh(x).

  void sink() {
    // Only groups that store several values are looked at: long chains cost nothing here.
    std::unordered_map<const Node*, SmallVector<Node*, 4>> users;
    for (const Unit& unit : units) {
      if (!unit.fused) continue;
      int stored = 0;
      for (const auto& member : unit.members) stored += member.stored;
      if (stored > 1)
        for (const auto& member : unit.members) users[member.node];
    }
    if (users.empty()) return;
    for (Node* node : order) {
      work += node->inputs.size();
      for (const array& input : node->inputs) {
        const auto found = users.find(input.node().get());
        if (found != users.end()) found->second.push_back(node);
      }
    }
    for (size_t u = 0; u < units.size(); ++u) {
      const auto& members = units[u].members;
      if (!units[u].fused || !users.count(members[0].node)) continue;
      size_t left = members.size();
      for (size_t m = members.size(); m-- > 0;) {
        Node* node = members[m].node;
        if (node->unit != int(u) || !members[m].stored) continue;
        const int target = sink_target(node, int(u), users);
        if (target < 0) continue;
        std::vector<Node*> cone;
        if (!sink_cone(node, int(u), users, cone) || cone.size() == left) continue;
        for (Node* gone : cone) gone->unit = target;
        left -= cone.size();
        scattered = true;
      }
    }
    if (scattered) settle();
  }
  using Users = std::unordered_map<const Node*, SmallVector<Node*, 4>>;

  // The one other group that uses a node which nobody outside of the plan holds; -1: there is none.
  int sink_target(const Node* node, int unit, const Users& users) const {
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
  bool sink_cone(Node* node, int unit, const Users& users, std::vector<Node*>& cone) const {
    cone.push_back(node);
    if (cone.size() > 16) return false;
    for (const array& input : node->inputs) {
      Node* from = input.node().get();
      if (is_immediate(input, *node) || std::find(cone.begin(), cone.end(), from) != cone.end())
        continue;
      if (from->mark != planning || from->unit < 0) {
        // Memory that exists before this plan, and may be waiting to be freed: leave it its chance.
        if (from->op->sort != Sort::input && int64_t(from->refs.load()) <= 1) return false;
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
  int unit_of(const array& input, const Node& consumer) const {
    const Node* from = input.node().get();
    return from->mark != planning || from->unit < 0 || is_immediate(input, consumer) ? -1
                                                                                     : from->unit;
  }

  // ---- readers before updaters: who reads an array that some unit would rather write over

  // What this array shares its memory with: through the views of this plan the array that they
  // show, before it the memory itself.
  const void* base_of(const array& a) const {
    const Node* node = a.node().get();
    if (node->mark == planning) return bases[size_t(node->uses) + a.index()];
    const bool ready = node->state.load(std::memory_order_acquire) == State::ready;
    const Buffer* memory = ready ? a.slot().storage.buffer.get() : nullptr;
    return memory ? static_cast<const void*>(memory) : node;
  }
  void find_readers() {
    bool any = false;
    for (const Unit& unit : units) any |= unit.members[0].node->op->update;
    if (!any) return;
    bases.reserve(order.size());
    for (Node* node : order) {
      node->uses = int(bases.size());  // its number from here on
      const bool view = node->op->sort == Sort::view && node->inputs.size() >= node->out.size();
      for (size_t i = 0; i < node->out.size(); ++i)
        bases.push_back(view ? base_of(node->inputs[node->inputs.size() - node->out.size() + i])
                             : node);
    }
    for (const Unit& unit : units) {
      const Node& node = *unit.members[0].node;
      if (node.op->update) ++readers[base_of(node.inputs[0])].updaters;
    }
    for (const Node* node : order) {
      work += 1 + node->inputs.size();
      for (const array& input : node->inputs) {
        const auto found = readers.find(base_of(input));
        if (found == readers.end() || node->unit < 0) continue;
        auto& list = found->second.units;
        if (list.empty() || list.back() != node->unit) list.push_back(node->unit);
      }
    }
  }
  // True unless `unit` surely needs nothing of `updater`, which is on its way. Looks at a bounded
  // number of inputs.
  bool may_need(int unit, int updater, const std::vector<char>& seen,
                const std::vector<int>& waiting) const {
    if (waiting[unit] == 0) return false;
    std::vector<int> stack{unit}, known{unit};
    int looked = 0;
    while (!stack.empty()) {
      const int at = stack.back();
      stack.pop_back();
      if (waiting[at] == 0) continue;
      for (const auto& member : units[at].members)
        for (const array& input : member.node->inputs) {
          ++work;
          if (++looked > 512) return true;
          const int from = unit_of(input, *member.node);
          if (from < 0 || from == at || seen[from] == 2) continue;  // placed already
          if (from == updater || seen[from] == 1 || known.size() > 32) return true;
          if (std::find(known.begin(), known.end(), from) != known.end()) continue;
          known.push_back(from);
          stack.push_back(from);
        }
    }
    return false;
  }

  // ---- units that make much less than they read run as soon as they can: what they read may then
  // die

  struct Edges {
    std::vector<int> begin, to,
        waiting;  // users of each unit; how many inputs each still waits for
  };
  Edges find_edges() const {
    Edges e;
    e.begin.assign(units.size() + 1, 0);
    e.waiting.assign(units.size(), 0);
    auto each = [&](auto&& f) {
      for (size_t u = 0; u < units.size(); ++u)
        for (const auto& member : units[u].members)
          for (const array& input : member.node->inputs) {
            const int from = unit_of(input, *member.node);
            if (from >= 0 && from != int(u)) f(from, int(u));
          }
    };
    each([&](int from, int u) {
      ++e.begin[from + 1];
      ++e.waiting[u];
    });
    for (size_t u = 0; u < units.size(); ++u) e.begin[u + 1] += e.begin[u];
    e.to.resize(size_t(e.begin.back()));
    std::vector<int> at(e.begin.begin(), e.begin.end() - 1);
    each([&](int from, int u) { e.to[at[from]++] = u; });
    return e;
  }
  bool reduces(const Unit& unit) const {
    int64_t made = 0, read = 0;
    for (const auto& member : unit.members) {
      work += member.node->inputs.size();
      if (member.node->op->update) return false;
      for (const array& input : member.node->inputs)
        read = std::max(read, size_of(input.shape()) * size_of(input.dtype()));
      if (member.stored && member.node->op->sort != Sort::view)
        for (const Slot& slot : member.node->out)
          made += size_of(slot.spec.shape) * size_of(slot.spec.type);
    }
    return made * 4 <= read;
  }

  // Units in depth-first order from the roots: what is made last is used first.
  void arrange(const array* roots, size_t count) {
    find_readers();
    Edges edges = find_edges();
    std::vector<char> seen(units.size(), 0);  // 1: on its way, 2: placed
    struct Frame {
      int unit;
      size_t member = 0, input = 0;
      bool arrived = false;  // all it needs is there
    };
    std::vector<Frame> stack;
    std::vector<int> placed;
    placed.reserve(units.size());
    auto enter = [&](int unit) {
      seen[unit] = 1;
      stack.push_back({unit});
    };
    // Who still reads the array that this unit is about to write over, and should go before it; -1:
    // nobody. Of several updaters only the last can do without a copy.
    auto reader_before = [&](Frame& frame) {
      const Node& node = *units[frame.unit].members[0].node;
      if (!node.op->update || readers.empty()) return -1;
      // None: another thread has finished what this plan had found claimed.
      const auto found = readers.find(base_of(node.inputs[0]));
      if (found == readers.end()) return -1;
      Readers& of = found->second;
      if (!frame.arrived) --of.updaters;
      frame.arrived = true;
      if (of.updaters > 0) return -1;
      while (of.next < of.units.size()) {
        ++work;
        const int reader = of.units[of.next++];
        if (!seen[reader] && !may_need(reader, frame.unit, seen, edges.waiting)) return reader;
      }
      return -1;
    };
    for (size_t r = 0; r < count; ++r) {
      Node* root = roots[r].node().get();
      if (root->mark != planning || root->unit < 0 || seen[root->unit]) continue;
      enter(root->unit);
      while (!stack.empty()) {
        ++work;
        Frame& top = stack.back();
        const Unit& unit = units[top.unit];
        if (top.member == unit.members.size()) {
          if (const int reader = reader_before(top); reader >= 0) {
            enter(reader);
            continue;
          }
          const int done = top.unit;
          stack.pop_back();
          seen[done] = 2;
          placed.push_back(done);
          // Those that wait for nothing else, and shrink what there is.
          for (size_t next = placed.size() - 1; next < placed.size(); ++next)
            for (int k = edges.begin[placed[next]]; k < edges.begin[placed[next] + 1]; ++k) {
              const int user = edges.to[k];
              ++work;
              if (--edges.waiting[user] == 0 && seen[user] == 0 && reduces(units[user])) {
                seen[user] = 2;
                placed.push_back(user);
              }
            }
          continue;
        }
        const Node* node = unit.members[top.member].node;
        if (top.input == node->inputs.size()) {
          ++top.member;
          top.input = 0;
          continue;
        }
        const int from = unit_of(node->inputs[top.input++], *node);
        if (from >= 0 && !seen[from]) enter(from);
      }
    }
    place(placed);
  }

  // From the outputs, breadth first while few units are in view; then turned round.
  void arrange_by_width(size_t width) {
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

  void place(const std::vector<int>& placed) {
    plan.units.reserve(placed.size());
    for (int unit : placed) plan.units.push_back(std::move(units[unit]));
  }

  struct Readers {
    std::vector<int> units;  // that read the array, the updaters among them
    size_t next = 0;         // the first that was not considered yet
    int updaters = 0;        // on their way
  };
  std::unordered_map<const void*, Readers> readers;  // of arrays that are updated
  std::vector<const void*> bases;                    // of every value, by number
};

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
  unit.fused = node.op->sort == Sort::elementwise;
  if (!node.out.empty()) unit.domain = node.out[0].spec.shape;
  unit.stream = node.stream;
  for (const Slot& slot : node.out) plan.elements += double(size_of(slot.spec.shape));
  if (node.op->slow) plan.elements = HUGE_VAL;
  plan.roots.push_back(root.node());
  work_done.fetch_add(1 + 2 * node.inputs.size(), std::memory_order_relaxed);
  node.run.store(claim.get(), std::memory_order_relaxed);
  node.state.store(State::claimed, std::memory_order_relaxed);
  return true;
}

}  // namespace

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
  ++planning;
  if (Plan plan; count == 1 && claim && plan_one(roots[0], claim, plan)) return plan;
  Planner planner;
  for (size_t i = 0; i < count; ++i) planner.visit(roots[i].node().get());
  planner.group();
  if (!planner.step_by_step) planner.sink();
  if (width > 0) planner.arrange_by_width(size_t(width));
  else planner.arrange(roots, count);
  for (size_t i = 0; i < count; ++i) planner.plan.roots.push_back(roots[i].node());
  work_done.fetch_add(planner.work, std::memory_order_relaxed);
  if (claim)
    for (Node* node : planner.order) {
      node->run.store(claim.get());
      node->state.store(State::claimed, std::memory_order_relaxed);
    }
  return std::move(planner.plan);
}

}  // namespace lazulite
