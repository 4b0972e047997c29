// How a function becomes a FunctionGraph: it runs once over abstract leaves; its tape, without what
// the outputs do not need, becomes steps over numbered values.
#include <algorithm>
#include <optional>
#include <sstream>
#include <unordered_map>

#include "transform/active.h"
#include "transform/function_graph.h"

namespace lazulite {

namespace {

std::string line_of(const Node& node) {
  std::ostringstream out;
  out << node.op->name;
  for (const Slot& slot : node.out) out << "  " << slot.spec.type << slot.spec.shape;
  out << "\n";
  return out.str();
}

}  // namespace

struct FunctionGraph::Tracer {
  FunctionGraph& graph;
  const Options& options;
  const char* transform;
  ArrayList leaves;
  Trace trace;
  ArrayList results;
  std::optional<Active> active;                       // which nodes depend on leaves
  std::unordered_set<const Node*> needed;
  std::unordered_map<const Node*, Operand> known;     // the first output of a node
  std::unordered_multimap<size_t, size_t> by_hash;    // steps
  int64_t may_fold;                                   // bytes

  Tracer(FunctionGraph& g, const Function& f, const char* name, const Options& o)
      : graph(g), options(o), transform(name), leaves(make_leaves(g.arguments_, name)),
        trace(name, true), may_fold(o.fold_bytes) {
    trace.watched = options.rules || (trace.outer && trace.outer->watched);
    {
      const Leaves running(leaves);
      results = f(leaves);
    }
    active.emplace(trace, leaves, results, transform, Follow::all);
    find_needed();
    if (options.sources) find_sources();
    for (const array& leaf : leaves) known[leaf.node().get()] = {graph.values_++, {}};
    for (const auto& node : trace.tape) take(*node);
    for (const array& out : results) graph.outputs_.push_back(operand(out));
    if (graph.report_.folded) drop_unread();
    keep_rules();
    // Nothing abstract reaches an outer trace.
    trace.stop([&](const Node& node) { return !active->has(node); });
  }

  static ArrayList make_leaves(const std::vector<Spec>& specs, const char* transform) {
    ArrayList out;
    for (const Spec& spec : specs) out.push_back(abstract_leaf(spec, transform));
    return out;
  }

  // Nodes that only carry rules are left out where nobody asks for these.
  array shown(const array& a) const {
    array at = a;
    while (!trace.watched && at.node()->op->passes && active->tape.count(at.node().get())) {
      const Node& node = *at.node();
      at = array(node.inputs[node.inputs.size() - node.out.size() + at.index()]);
    }
    return at;
  }

  // What the outputs need, over the tape; the rest is dead.
  void find_needed() {
    for (const array& out : results) needed.insert(shown(out).node().get());
    for (size_t i = trace.tape.size(); i-- > 0;)
      if (needed.count(trace.tape[i].get()))
        for (const array& input : trace.tape[i]->inputs)
          needed.insert(shown(input).node().get());
  }

  void find_sources() {
    std::unordered_set<const Node*> found;
    auto add = [&](const array& a) {
      const Node& node = *a.node();
      if (node.seq < trace.begin && !active->has(node) && found.insert(&node).second)
        graph.sources_.push_back(a);
    };
    for (const auto& node : trace.tape)
      if (needed.count(node.get()))
        for (const array& input : node->inputs) add(shown(input));
    for (const array& out : results) add(shown(out));
  }

  // The value of an output is that of its node's first one, counted on.
  Operand operand(const array& given) const {
    const array a = shown(given);
    const auto it = known.find(a.node().get());
    if (it == known.end()) return {-1, a};
    if (it->second.value < 0) return it->second.captured ? it->second : Operand{-1, a};
    return {it->second.value + int64_t(a.index()), {}};
  }

  void take(const Node& node) {
    ++graph.report_.recorded;
    if (options.report) graph.report_.before += line_of(node);
    if (!needed.count(&node)) {
      ++graph.report_.dead;
    } else if (is_alias(node)) {  // an argument of a transform inside: the value itself
      known[&node] = operand(node.inputs[0]);
    } else if (folds(node)) {
      ++graph.report_.folded;
      known[&node] = {-1, {}};
    } else {
      add_step(node);
    }
  }

  // Whether it depends on no argument, and there is room for its bytes as a captured array.
  bool folds(const Node& node) {
    if (!options.fold_bytes || active->has(node) || node.op->barrier ||
        node.op->kind == OpKind::constant)  // without, not even what has no bytes
      return false;
    int64_t bytes = 0;
    for (const Slot& slot : node.out) bytes += size_of(slot.spec.shape) * size_of(slot.spec.type);
    if (bytes > may_fold) return false;
    for (const array& input : node.inputs)  // what it needs is captured as well
      if (operand(input).value >= 0 && !is_constant(input)) return false;
    may_fold -= bytes;
    return true;
  }

  void add_step(const Node& node) {
    Step step{node.op, node.attributes, node.stream, {}, {}, graph.values_};
    for (const array& input : node.inputs) step.in.push_back(operand(input));
    for (const Slot& slot : node.out) step.specs.push_back(slot.spec);
    if (!node.op->barrier && options.merge) {
      const size_t h = hash_of(step);
      if (const Step* other = equal_step(step, h)) {
        ++graph.report_.merged;
        known[&node] = {other->first, {}};
        return;
      }
      by_hash.emplace(h, graph.steps_.size());
    }
    known[&node] = {graph.values_, {}};
    graph.values_ += int64_t(node.out.size());
    graph.steps_.push_back(std::move(step));
  }

  // Common subexpressions: the same op and attributes over the same values.
  static size_t hash_of(const Step& step) {
    size_t h = std::hash<const void*>{}(step.op) ^ (step.attributes ? step.attributes->hash() : 0);
    for (const Operand& o : step.in)
      h = detail::mix(
          h, o.value >= 0 ? size_t(o.value) : std::hash<const void*>{}(o.captured.node().get()));
    return h;
  }
  const Step* equal_step(const Step& step, size_t h) const {
    for (auto [from, to] = by_hash.equal_range(h); from != to; ++from) {
      const Step& other = graph.steps_[from->second];
      if (other.op == step.op && other.stream == step.stream &&
          bool(other.attributes) == bool(step.attributes) &&
          (!step.attributes || other.attributes->equal(*step.attributes)) &&
          std::equal(step.in.begin(), step.in.end(), other.in.begin(), other.in.end(),
                     [](const Operand& a, const Operand& b) { return a.same(b); }))
        return &other;
    }
    return nullptr;
  }

  // Numbers that only folded values needed.
  void drop_unread() {
    std::vector<int64_t> all(graph.arguments_.size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = int64_t(i);
    const auto rest = graph.part(all, graph.outputs_);
    graph.values_ = rest->values_;
    graph.steps_ = rest->steps_;
    graph.outputs_ = rest->outputs_;
  }

  void keep_rules() {
    const bool any = std::any_of(graph.steps_.begin(), graph.steps_.end(), [](const Step& s) {
      return s.op->passes || s.op->evaluates;
    });
    if (options.rules && any) graph.rules_ = trace.rules;
  }
};

FunctionGraph::FunctionGraph(const Function& f, const std::vector<Spec>& specs,
                             const char* transform, Options options)
    : arguments_(specs) {
  Tracer(*this, f, transform, options);
}

}  // namespace lazulite
