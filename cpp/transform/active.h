// Which nodes of a tape depend on a transform's leaves.
#pragma once
#include <unordered_map>
#include <unordered_set>

#include "graph/stand_ins.h"
#include "graph/trace.h"
#include "transform/transform.h"

namespace lazulite {

inline bool any_inexact(const Node& node) {
  for (const Slot& slot : node.out)
    if (is_inexact(slot.spec.type)) return true;
  return false;
}

// While it lives the leaves are those of a function that runs: who reads one is told so, and not
// that it escaped.
struct Leaves {
  const ArrayList& leaves;
  explicit Leaves(const ArrayList& l) : leaves(l) {
    add(1);
  }
  ~Leaves() { add(-1); }
  Leaves(const Leaves&) = delete;

 private:
  void add(int n) {
    for (const array& leaf : leaves)
      if (leaf.node()->state.load() == State::traced) leaf.node()->pins.fetch_add(n);
  }
};

// By which values dependence is followed. `integers`: inexact ones, and integers that follow from a
// leaf of integers (but not from inexact values).
enum class Follow { inexact, integers, all };

// Raises for what another thread made meanwhile, which may follow from the leaves in ways that are
// not known: but for leaves that it put over them (graph/stand_ins.h), which are what they stand
// for, and for what it put into a container.
struct Active {
  std::unordered_set<const Node*> set, tape;
  std::unordered_map<const Node*, array> stand_ins;  // other threads' leaves, and what of the set
                                                     // they stand for

  Active(const Trace& trace, const ArrayList& leaves, const ArrayList& outputs, const char* name,
         Follow follow) {
    for (auto& leaf : leaves) set.insert(leaf.node().get());
    std::unordered_set<const Node*> constants;
    // Whether it stands for something in the set.
    auto stands_in = [&](const Node& from) {
      auto over = tape.count(&from) ? std::nullopt : stand_ins::of(from);
      const bool known = over.has_value();
      while (over && *over && !set.count(over->node().get())) over = stand_ins::of(*over->node());
      if (over && *over) {
        stand_ins.emplace(&from, array(key(*over)));  // which may be a stand-in, too
        set.insert(&from);
        return true;
      }
      if (known) constants.insert(&from);
      return false;
    };
    auto check = [&](const Node& from) {
      if (stands_in(from)) return true;
      if (from.seq > trace.begin && from.op->kind != OpKind::input &&
          from.op->kind != OpKind::constant && !tape.count(&from) && !constants.count(&from))
        fail(Kind::value, name, "an array that was made in another thread while the function ran: "
             "its history is not known; make it before the transform begins");
      return false;
    };
    for (auto& node : trace.tape) {
      tape.insert(node.get());
      for (const array& input : node->inputs) {
        const Node* from = input.node().get();
        if (!set.count(from) && !check(*from)) continue;
        if (follow == Follow::all || any_inexact(*node) ||
                 (follow == Follow::integers && !is_inexact(input.dtype())))
          set.insert(node.get());
      }
    }
    for (const array& out : outputs)
      if (out && !set.count(out.node().get())) check(*out.node());
  }
  // What derivatives of an array are kept by.
  const array& key(const array& a) const {
    const auto found = stand_ins.empty() ? stand_ins.end() : stand_ins.find(a.node().get());
    return found == stand_ins.end() ? a : found->second;
  }
  bool has(const array& a) const { return set.count(a.node().get()); }
  bool has(const Node& n) const { return set.count(&n); }
};

}  // namespace lazulite
