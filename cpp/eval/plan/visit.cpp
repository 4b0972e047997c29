// What is pending below the roots, inputs before users.
#include "eval/plan/planner.h"
#include "graph/origin.h"

namespace lazulite {

namespace {

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

}  // namespace

// Depth first without recursion. Returns pending nodes only.
void Planner::visit(Node* root) {
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
      if (run->mark == planning_) return;
      run->mark = planning_;
      plan.waits.emplace_back(run);
      return;
    }
    if (node->mark == planning_) return;
    node->mark = planning_;
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

}  // namespace lazulite
