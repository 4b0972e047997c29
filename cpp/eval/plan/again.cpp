// Forming again: a large value that follows by a few light ops from what is small (differences of
// a column and a row, comparisons with an index) is formed in each group that reads it. To store it
// and to read it costs more (4096 x 4096 float32: 7.6 ms beside 5.3), and takes memory. Values that
// follow from a large one, or by an exponential, are not: there nothing is gained.
#include <atomic>

#include "eval/device_kernels.h"
#include "eval/plan/planner.h"
#include "graph/trace.h"

namespace lazulite {

namespace {

std::atomic<int64_t> least_bytes{32 << 20};  // of the value: smaller ones stay in the cache
constexpr int most_ops = 4;
constexpr int64_t small_part = 8;  // what is small has an eighth of the value's elements, at most

bool is_group_reader(const Node& node) {
  return node.op->kind == OpKind::elementwise && node.pins.load() == 0;
}
bool forms_before(const Node& kernel, const Node& value) {
  if (!absorbs(kernels_of(kernel).absorbs, Absorb::before)) return false;
  for (size_t i = 1; i < kernel.inputs.size(); ++i)
    if (kernel.inputs[i].node().get() == &value) return false;
  return true;
}

}  // namespace

int64_t set_least_formed_again(int64_t bytes) { return least_bytes.exchange(bytes); }

// How many elements of memory an array shows. What other runs have claimed is not looked into.
int64_t Planner::elements_behind(const array& a) {
  const Node* node = a.node().get();
  const State state = node->state.load(std::memory_order_acquire);
  if (state == State::ready) {
    const Storage& storage = a.slot().storage;
    int64_t n = 1;
    for (size_t i = 0; i < storage.strides.size(); ++i)
      if (storage.strides[i]) n *= a.shape()[i];
    return n;
  }
  if (state == State::pending && node->op->kind == OpKind::view && node->inputs.size() == 1)
    return std::min(a.size(), elements_behind(node->inputs[0]));
  return a.size();
}

// What a value of so many elements reads as it is, wherever it is formed.
bool Planner::is_little(const array& input, const Node& consumer, int64_t size) {
  return is_immediate(input, consumer) || elements_behind(input) * small_part <= size;
}

bool Planner::follows_from_little(const Node& node, int64_t size, int& ops) const {
  if (node.op->kind != OpKind::elementwise || !node.op->light || ++ops > most_ops) return false;
  for (const array& input : node.inputs) {
    const Node& from = *input.node();
    work += 1;
    if (is_little(input, node, size)) continue;
    if (!pending(from) || !follows_from_little(from, size, ops)) return false;
  }
  return true;
}

// A value and what it follows from here, as new nodes before `user`.
array Planner::copy_before(const Node* user, const array& value, int64_t size) {
  const Node& node = *value.node();
  Arrays inputs;
  for (const array& input : node.inputs)
    inputs.push_back(is_little(input, node, size) ? input : copy_before(user, input, size));
  const array copy = record(*node.op, node.attributes, std::move(inputs), node.stream);
  Node* made = copy.node().get();
  made->mark = planning_;
  made->unit = user->unit;
  made->uses = 0;
  copies_[user].push_back(made);
  plan.count(*made);
  return copy;
}

// Nodes that read a value outside of its unit read a copy in theirs. Nobody can tell: what a node
// reads is its plan's affair, unless a trace holds it.
void Planner::form_again(const array* roots, size_t count) {
  if (plan.elements * 16 < double(least_bytes.load())) return;
  std::unordered_map<const Node*, SmallVector<Node*, 4>> users;
  for (Node* node : order) {
    ++work;
    if (node->op->kind != OpKind::elementwise) continue;
    const Spec& spec = node->out[0].spec;
    const int64_t size = size_of(spec.shape);
    int ops = 0;
    if (size * size_of(spec.type) >= least_bytes.load() && node->pins.load() == 0 && size &&
        follows_from_little(*node, size, ops))
      users[node];
  }
  if (users.empty()) return;
  for (Node* node : order)
    for (const array& input : node->inputs)
      if (const auto found = users.find(input.node().get()); found != users.end())
        found->second.push_back(node);
  const Untraced untraced;
  for (Node* node : order)
    if (const auto found = users.find(node); found != users.end() && !found->second.empty())
      form_where_read(node, found->second);
  if (copies_.empty() && !scattered_) return;
  std::vector<Node*> all;
  const auto add = [&](auto&& self, Node* node) -> void {
    if (const auto found = copies_.find(node); found != copies_.end())
      for (Node* copy : found->second) self(self, copy);
    all.push_back(node);
  };
  for (Node* node : order) add(add, node);
  order = std::move(all);
  leave_out_unread(roots, count);
  scattered_ = true;
  settle();
}

// Of what only others hold by now nothing is needed here.
void Planner::leave_out_unread(const array* roots, size_t count) {
  for (Node* node : order) node->uses = 0;
  for (size_t r = 0; r < count; ++r)
    if (here(*roots[r].node())) roots[r].node()->uses = 1;
  for (size_t i = order.size(); i-- > 0;)
    if (order[i]->uses)
      for (const array& input : order[i]->inputs)
        if (here(*input.node())) input.node()->uses = 1;
  std::erase_if(order, [](Node* node) {
    if (node->uses) return false;
    node->unit = -1;
    node->mark = 0;
    return true;
  });
}

// A value, with what it follows from, goes where it is read.
void Planner::move_to(int unit, Node* node, int64_t size) {
  node->unit = unit;
  scattered_ = true;
  for (array& input : node->inputs) {
    Node* from = input.node().get();
    if (is_little(input, *node, size)) continue;
    if (from->refs.load() == 1 && from->pins.load() == 0) move_to(unit, from, size);
    else input = copy_before(node, input, size);
  }
}

void Planner::form_where_read(Node* node, const SmallVector<Node*, 4>& readers) {
  if (int64_t(node->refs.load()) != int64_t(readers.size())) return;  // somebody else wants it
  int home = -1;  // the unit that has the value itself
  for (const Node* reader : readers) {
    if (!(reader->stream == node->stream)) return;
    if (!is_group_reader(*reader) && !forms_before(*reader, *node)) return;
    if (!is_group_reader(*reader) || reader->unit == node->unit) home = node->unit;
  }
  const int64_t size = size_of(node->out[0].spec.shape);
  if (home < 0) move_to(home = readers[0]->unit, node, size);
  std::unordered_map<int, array> copy_in;  // by unit
  for (Node* reader : readers) {
    if (!is_group_reader(*reader) || reader->unit == home) continue;
    for (array& input : reader->inputs) {
      if (input.node().get() != node) continue;
      array& copy = copy_in[reader->unit];
      if (!copy) copy = copy_before(reader, input, size);
      input = copy;
    }
  }
}

}  // namespace lazulite
