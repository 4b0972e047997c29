// How a plan is made: visit (what is pending), group (what runs in one program), again (what is
// formed twice), wait (what is formed later, with who reads it), sink (what is formed where it is
// used), absorb (what runs around a kernel), order. Under the plan lock.
#pragma once
#include <algorithm>
#include <unordered_map>
#include <vector>

#include "eval/plan.h"

namespace lazulite {

// Arrays that other units of the plan make for one group: all of them are alive when it runs.
// Groups have no other limit: a value that is stored and read again costs some 1 ns per element
// beyond the cache, a register that leaves the first-level cache 0.06 per instruction.
constexpr int most_made = 32;

// A constant costs nothing until memory of it is wanted: by a kernel, a view, or the user.
inline bool is_immediate(const array& input, const Node& consumer) {
  return input.node()->op->kind == OpKind::constant && consumer.op->kind == OpKind::elementwise;
}
inline bool same_domain(const Unit& unit, const Node& node) {
  return unit.domain == node.out[0].spec.shape && unit.stream == node.stream;
}

class Planner {
 public:
  // `planning`: marks the nodes of this plan.
  Planner(uint64_t planning, bool step_by_step)
      : planning_(planning), step_by_step_(step_by_step) {}

  void visit(Node* root);
  void group();
  void form_again(const array* roots, size_t count);
  void wait();
  void sink();
  void absorb();
  void arrange(const array* roots, size_t count);
  void arrange_by_width(size_t width);

  std::vector<Node*> order;   // inputs before users
  std::vector<Unit> units;
  mutable uint64_t work = 0;  // what was looked at: nodes, inputs, members, users
  Plan plan;

  // The unit that makes an input which is pending here; -1: there is none.
  int unit_of(const array& input, const Node& consumer) const {
    const Node* from = input.node().get();
    return !pending(*from) || is_immediate(input, consumer) ? -1 : from->unit;
  }
  bool here(const Node& node) const { return node.mark == planning_; }
  bool pending(const Node& node) const { return here(node) && node.unit >= 0; }

 private:
  using Homes = SmallVector<int, 4>;
  using Makers = SmallVector<Node*, 4>;  // of what a node reads from other units
  using Users = std::unordered_map<const Node*, SmallVector<Node*, 4>>;

  // group
  int find(int unit);
  int join(const Homes& homes, int made);
  int find_homes(const Node& node, Homes& homes, Makers& makers);
  int begin_unit(const Node& node, int depth);
  void fill_units();
  void settle();
  // again
  static int64_t elements_behind(const array& a);
  static bool is_little(const array& input, const Node& consumer, int64_t size);
  bool follows_from_little(const Node& node, int64_t size, int& ops) const;
  array copy_before(const Node* user, const array& value, int64_t size);
  void leave_out_unread(const array* roots, size_t count);
  void move_to(int unit, Node* node, int64_t size);
  void form_where_read(Node* node, const SmallVector<Node*, 4>& readers);
  // wait
  bool is_little(const array& input, const Node& consumer, int64_t size, int& looked) const;
  bool has_only_little(const Unit& unit, const std::vector<int>& reader, int of) const;
  bool reads_no_more(const Unit& unit) const;
  // sink
  Users find_users() const;
  void sink_from(int unit, const Users& users);
  int sink_target(const Node* node, int unit, const Users& users) const;
  bool sink_cone(Node* node, int unit, const Users& users, std::vector<Node*>& cone) const;
  // absorb
  bool is_kernel(const Unit& unit) const;
  bool join_kernels();
  bool may_join(const Unit& first, const Unit& unit) const;
  int group_before(const Unit& unit) const;
  int kernel_before(int group) const;
  bool may_go_on(const Unit& unit, const Node& kernel, const Unit& group) const;
  bool keeps_more(const Node& kernel, const Unit& group) const;
  void append(int unit, int to);
  void close_gaps();
  // order
  void place(const std::vector<int>& placed);

  const uint64_t planning_;
  const bool step_by_step_;  // every node a unit of its own
  std::unordered_map<const Node*, std::vector<Node*>> copies_;  // that go before a node
  bool scattered_ = false;   // members went to other units: fill_units
};

}  // namespace lazulite
