#include "transform/function_graph.h"

#include <sstream>
#include <unordered_map>

#include "ops/shape/elsewhere.h"

namespace lazulite {

std::vector<Spec> specs_of(const ArrayList& arrays) {
  std::vector<Spec> out;
  for (const array& a : arrays) out.push_back(a.slot().spec);
  return out;
}

FunctionGraph::FunctionGraph(std::vector<Spec> arguments, std::vector<Step> steps,
                             std::vector<Operand> outputs)
    : arguments_(std::move(arguments)),
      values_(int64_t(arguments_.size())),
      steps_(std::move(steps)),
      outputs_(std::move(outputs)) {
  auto check = [&](const Operand& o) {
    if (o.value >= values_ || (o.value < 0 && !o.captured))
      fail(Kind::runtime, "graph", "a step uses a value before it is made");
  };
  for (Step& step : steps_) {
    for (const Operand& o : step.in) check(o);
    step.first = values_;
    values_ += int64_t(step.specs.size());
  }
  for (const Operand& o : outputs_) check(o);
}

ArrayList FunctionGraph::operator()(const ArrayList& arguments) const {
  std::vector<array> values(values_);
  for (size_t i = 0; i < arguments_.size(); ++i) values[i] = arguments[i];
  for (const Step& step : steps_) {
    Arrays in;
    for (const Operand& o : step.in) in.push_back(o.value >= 0 ? values[o.value] : o.captured);
    Arrays out = record_all(*step.op, step.attributes, std::move(in), step.stream);
    for (size_t i = 0; i < out.size(); ++i) values[step.first + i] = std::move(out[i]);
  }
  ArrayList result;
  for (const Operand& o : outputs_) result.push_back(o.value >= 0 ? values[o.value] : o.captured);
  return result;
}

ArrayList FunctionGraph::captures() const {
  ArrayList found;
  std::unordered_multimap<const Node*, uint32_t> seen;
  auto add = [&](const Operand& o) {
    if (o.value >= 0) return;
    auto [from, to] = seen.equal_range(o.captured.node().get());
    for (; from != to; ++from)
      if (from->second == o.captured.index()) return;
    seen.emplace(o.captured.node().get(), o.captured.index());
    found.push_back(o.captured);
  };
  for (const Step& step : steps_)
    for (const Operand& o : step.in) add(o);
  for (const Operand& o : outputs_) add(o);
  return found;
}

Ref<const FunctionGraph> FunctionGraph::closed() const {
  const ArrayList captured = captures();
  const int64_t n = int64_t(arguments_.size()), more = int64_t(captured.size());
  std::unordered_map<const Node*, std::vector<std::pair<uint32_t, int64_t>>> places;
  for (int64_t k = 0; k < more; ++k)
    places[captured[k].node().get()].push_back({captured[k].index(), n + k});
  auto moved = [&](const Operand& o) -> Operand {
    if (o.value >= 0) return {o.value < n ? o.value : o.value + more, {}};
    for (auto [index, place] : places[o.captured.node().get()])
      if (index == o.captured.index()) return {place, {}};
    return o;
  };
  std::vector<Spec> specs = arguments_;
  for (const array& a : captured) specs.push_back(a.slot().spec);
  std::vector<Step> steps = steps_;
  for (Step& step : steps)
    for (Operand& o : step.in) o = moved(o);
  std::vector<Operand> outputs;
  for (const Operand& o : outputs_) outputs.push_back(moved(o));
  return make_ref<const FunctionGraph>(std::move(specs), std::move(steps), std::move(outputs));
}

Ref<const FunctionGraph> FunctionGraph::part(const std::vector<int64_t>& from,
                                             const std::vector<Operand>& outputs) const {
  std::vector<int64_t> number(values_, -1);
  std::vector<Spec> all(arguments_);
  for (const Step& step : steps_) all.insert(all.end(), step.specs.begin(), step.specs.end());
  std::vector<Spec> specs;
  for (size_t i = 0; i < from.size(); ++i) {
    number[from[i]] = int64_t(i);
    specs.push_back(all[from[i]]);
  }
  std::vector<char> wanted(values_, 0), kept(steps_.size(), 0);
  auto want = [&](const Operand& o) {
    if (o.value >= 0 && number[o.value] < 0) wanted[o.value] = 1;
  };
  for (const Operand& o : outputs) want(o);
  for (size_t s = steps_.size(); s-- > 0;) {
    for (size_t k = 0; k < steps_[s].specs.size(); ++k)
      kept[s] |= wanted[steps_[s].first + int64_t(k)];
    if (kept[s])
      for (const Operand& o : steps_[s].in) want(o);
  }
  for (size_t i = 0; i < arguments_.size(); ++i)
    if (wanted[i]) fail(Kind::runtime, "graph", "a part needs an argument that it does not have");
  int64_t next = int64_t(from.size());
  auto moved = [&](const Operand& o) { return o.value >= 0 ? Operand{number[o.value], {}} : o; };
  std::vector<Step> steps;
  for (size_t s = 0; s < steps_.size(); ++s) {
    if (!kept[s]) continue;
    Step step = steps_[s];
    for (Operand& o : step.in) o = moved(o);
    for (size_t k = 0; k < step.specs.size(); ++k, ++next) {
      int64_t& at = number[steps_[s].first + int64_t(k)];
      if (at < 0) at = next;
    }
    steps.push_back(std::move(step));
  }
  std::vector<Operand> results;
  for (const Operand& o : outputs) results.push_back(moved(o));
  return make_ref<const FunctionGraph>(std::move(specs), std::move(steps), std::move(results));
}

namespace {

// Which other value has the elements that a view of a value shows.
class Forwarding {
 public:
  using Operand = FunctionGraph::Operand;
  using Step = FunctionGraph::Step;

  explicit Forwarding(const FunctionGraph& graph) : made_by_(size_t(graph.values()), nullptr) {
    for (const Spec& spec : graph.argument_specs()) specs_.push_back(&spec);
    for (const Step& step : graph.steps())
      for (const Spec& spec : step.specs) specs_.push_back(&spec);
  }

  // The step over what it may read instead. True: its output is that, and nothing is left to do.
  bool forward(Step& step) {
    made_by_[size_t(step.first)] = &step;
    if (step.op->kind != OpKind::view) return false;
    // Past an update only to the very value: a view of the base would keep it from being written
    // over.
    Operand at = step.in[0];
    bool updated = false;
    for (int depth = 0; depth < most_depth && at.value >= 0; ++depth) {
      const Step* maker = made_by_[size_t(at.value)];
      if (!maker || maker->first != at.value || !(maker->stream == step.stream)) break;
      const Elsewhere found =
          elsewhere(*step.op, step.attributes.get(), *maker->op, maker->attributes.get());
      if (found.input < 0) break;
      at = maker->in[size_t(found.input)];
      updated |= maker->op->update;
      const bool same =
          found.whole || (step.op->reshapes && spec_of(at).shape == step.specs[0].shape);
      if (same || !updated) step.in[0] = at;
      if (same) return true;
    }
    return false;
  }

 private:
  static constexpr int most_depth = 64;
  const Spec& spec_of(const Operand& o) const {
    return o.value >= 0 ? *specs_[size_t(o.value)] : o.captured.slot().spec;
  }
  std::vector<const Step*> made_by_;  // of each value; null: an argument, or not looked at
  std::vector<const Spec*> specs_;
};

}  // namespace

Ref<const FunctionGraph> FunctionGraph::forwarded() const {
  std::vector<Step> steps = steps_;
  std::vector<Operand> now(static_cast<size_t>(values_));
  for (int64_t i = 0; i < values_; ++i) now[size_t(i)].value = i;
  auto moved = [&](Operand& o) {
    if (o.value >= 0) o = Operand(now[size_t(o.value)]);
  };
  Forwarding forwarding(*this);
  for (Step& step : steps) {
    for (Operand& o : step.in) moved(o);
    if (forwarding.forward(step)) now[size_t(step.first)] = step.in[0];
  }
  std::vector<Operand> outputs = outputs_;
  for (Operand& o : outputs) moved(o);
  std::vector<int64_t> all(arguments_.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = int64_t(i);
  return make_ref<const FunctionGraph>(arguments_, std::move(steps), outputs)->part(all, outputs);
}

std::vector<Spec> FunctionGraph::output_specs() const {
  std::vector<Spec> all(arguments_), out;
  for (const Step& step : steps_) all.insert(all.end(), step.specs.begin(), step.specs.end());
  for (const Operand& o : outputs_)
    out.push_back(o.value >= 0 ? all[o.value] : o.captured.slot().spec);
  return out;
}

std::string FunctionGraph::print() const {
  std::ostringstream out;
  std::unordered_map<int64_t, const Step*> numbers;
  for (const Step& step : steps_)
    if (step.op->kind == OpKind::constant) numbers[step.first] = &step;
  auto name = [&](const Operand& o) {
    std::ostringstream text;
    if (numbers.count(o.value))
      text << static_cast<const AttrsOf<Constant>&>(*numbers[o.value]->attributes).value.value;
    else if (o.value >= 0) text << "v" << o.value;
    else if (is_constant(o.captured)) text << constant_value(o.captured);
    else text << "captured" << o.captured.shape();
    return text.str();
  };
  for (const Step& step : steps_) {
    if (step.op->kind == OpKind::constant) continue;
    out << "v" << step.first << " = " << step.op->name << "(";
    const char* comma = "";
    for (const Operand& o : step.in) {
      out << comma << name(o);
      comma = ", ";
    }
    if (const std::string attributes = text_of(step.attributes); !attributes.empty())
      out << comma << attributes;
    out << ")";
    for (const Spec& spec : step.specs) out << "  " << spec.type << spec.shape;
    out << "\n";
  }
  out << "return";
  const char* comma = " ";
  for (const Operand& o : outputs_) {
    out << comma << name(o);
    comma = ", ";
  }
  out << "\n";
  return out.str();
}

}  // namespace lazulite
