#include "eval/plan.h"

#include <algorithm>
#include <sstream>

namespace lazulite {

namespace {

constexpr int group_limit = 64;  // members and operands of a fused group: keeps registers in L1
uint64_t planning = 0;           // marks nodes of this planning; under the plan lock

bool same_domain(const Unit& unit, const Node& node) {
  return unit.domain == node.out[0].spec.shape && unit.stream == node.stream;
}

// A constant costs nothing until memory of it is wanted: by a kernel, a view, or the user.
bool is_immediate(const array& input, const Node& consumer) {
  return input.node()->op->sort == Sort::constant && consumer.op->sort == Sort::elementwise;
}

[[noreturn]] void fail_traced(const Node& node) {
  fail(Kind::value, node.transform ? node.transform : "trace",
       "an array of the traced function was read: its values are not known while it is traced; "
       "got an attempt to evaluate it, expected only operations on it (use where instead of if, "
       "and return the array to read it)");
}

struct Planner {
  std::vector<Node*> order;  // inputs before users
  std::vector<Unit> units;
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
        for (auto& w : plan.waits)
          if (w.get() == run) return;
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

  // Groups: a node joins the group of its inputs when all inputs of the greatest depth are in one
  // group of its domain; otherwise it begins one, one deeper. No group can then depend on itself.
  void group() {
    for (Node* node : order) {
      const bool fusable = node->op->sort == Sort::elementwise;
      int depth = 0, home = -1, outside = 0;
      for (const array& input : node->inputs) {
        Node* from = input.node().get();
        if (from->mark != planning || from->unit < 0 || is_immediate(input, *node)) {
          ++outside;
          continue;
        }
        const Unit& unit = units[from->unit];
        const bool joins = fusable && unit.fused && same_domain(unit, *node);
        const int at = unit.depth + (joins ? 0 : 1);
        if (!joins) ++outside;
        if (at > depth || (at == depth && home == -1)) {
          depth = at;
          home = joins ? from->unit : -2;
        } else if (at == depth && home != from->unit) {
          home = -2;
        }
      }
      if (home == -2 || home == -1) {
        // No single group to join: a new one. If inputs tie at this depth in several groups that
        // could be joined, reading them from memory puts this one a level deeper.
        for (const array& input : node->inputs) {
          Node* from = input.node().get();
          if (from->mark == planning && from->unit >= 0 && !is_immediate(input, *node))
            depth = std::max(depth, units[from->unit].depth + 1);
        }
        home = -1;
      } else if (int(units[home].members.size()) + units[home].outside + 1 + outside > group_limit) {
        ++depth;
        home = -1;
      }
      if (home < 0) {
        home = int(units.size());
        Unit& unit = units.emplace_back();
        unit.depth = depth;
        unit.fused = fusable;
        unit.domain = node->out.empty() ? Shape{} : node->out[0].spec.shape;
        unit.stream = node->stream;
      }
      node->unit = home;
      units[home].members.push_back({node, true});
      units[home].outside += outside;
      for (const Slot& slot : node->out) plan.elements += double(size_of(slot.spec.shape));
    }
    // What only its own group reads is never stored.
    for (Node* node : order)
      for (const array& input : node->inputs) {
        Node* from = input.node().get();
        if (from->mark == planning && from->unit == node->unit && node->pins.load() == 0) ++from->uses;
      }
    for (Unit& unit : units)
      if (unit.fused)
        for (auto& member : unit.members)
          member.stored = member.node->refs.load() > member.node->uses;
  }

  // Units in depth-first order from the roots: what is made last is used first.
  void arrange(const array* roots, size_t count) {
    std::vector<char> seen(units.size(), 0);
    struct Frame {
      int unit;
      size_t member, input;
    };
    std::vector<Frame> stack;
    plan.units.reserve(units.size());
    for (size_t r = 0; r < count; ++r) {
      Node* root = roots[r].node().get();
      if (root->mark != planning || root->unit < 0 || seen[root->unit]) continue;
      seen[root->unit] = 1;
      stack.push_back({root->unit, 0, 0});
      while (!stack.empty()) {
        Frame& top = stack.back();
        Unit& unit = units[top.unit];
        if (top.member == unit.members.size()) {
          plan.units.push_back(std::move(unit));
          stack.pop_back();
          continue;
        }
        const Node* node = unit.members[top.member].node;
        if (top.input == node->inputs.size()) {
          ++top.member;
          top.input = 0;
          continue;
        }
        const array& input = node->inputs[top.input++];
        const Node* from = input.node().get();
        if (from->mark != planning || from->unit < 0 || is_immediate(input, *node) || seen[from->unit]) continue;
        seen[from->unit] = 1;
        stack.push_back({from->unit, 0, 0});
      }
    }
  }
};

}  // namespace

void Run::wait() {
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return done; });
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

Plan make_plan(const array* roots, size_t count, const Ref<Run>& claim) {
  Planner planner;
  ++planning;
  for (size_t i = 0; i < count; ++i) planner.visit(roots[i].node().get());
  planner.group();
  planner.arrange(roots, count);
  for (size_t i = 0; i < count; ++i) planner.plan.roots.push_back(roots[i].node());
  if (claim)
    for (Node* node : planner.order) {
      node->run.store(claim.get());
      node->state.store(State::claimed, std::memory_order_relaxed);
    }
  return std::move(planner.plan);
}

std::string Plan::print() const {
  std::ostringstream out;
  int step = 0;
  for (const Unit& unit : units) {
    out << step++ << (unit.fused ? "  fused " : "  ") << (unit.fused ? "" : unit.members[0].node->op->name);
    if (unit.fused) {
      out << "{";
      const char* comma = "";
      for (const auto& m : unit.members) {
        out << comma << m.node->op->name << (m.stored ? "*" : "");
        comma = " ";
      }
      out << "}";
    }
    const Node& last = *unit.members.back().node;
    for (const Slot& slot : last.out) out << "  " << slot.spec.type << slot.spec.shape;
    out << "\n";
  }
  return out.str();
}

}  // namespace lazulite
