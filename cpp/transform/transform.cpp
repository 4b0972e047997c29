#include "transform/transform.h"

#include <sstream>
#include <unordered_map>
#include <unordered_set>

#include "graph/trace.h"
#include "ops/elementwise/elementwise.h"
#include "ops/shape/shape.h"

namespace lazulite {

namespace {

array zeros_of(const array& a) { return constant(0, a.shape(), a.dtype(), a.node()->stream); }

bool any_inexact(const Node& node) {
  for (const Slot& slot : node.out)
    if (is_inexact(slot.spec.type)) return true;
  return false;
}

// Which nodes of a tape depend on the leaves, by way of inexact values.
struct Active {
  std::unordered_set<const Node*> set, tape;

  Active(const Trace& trace, const ArrayList& leaves, const char* name, bool inexact_only) {
    for (auto& leaf : leaves) set.insert(leaf.node().get());
    for (auto& node : trace.tape) {
      tape.insert(node.get());
      for (const array& input : node->inputs) {
        const Node* from = input.node().get();
        if (set.count(from)) {
          if (!inexact_only || any_inexact(*node)) set.insert(node.get());
        } else if (from->seq > trace.begin && from->op->sort != Sort::input && from->op->sort != Sort::constant &&
                   !tape.count(from)) {
          fail(Kind::value, name, "an array that was made in another thread while the function ran: "
               "its history is not known; make it before the transform begins");
        }
      }
    }
  }
  bool has(const array& a) const { return set.count(a.node().get()); }
  bool has(const Node& n) const { return set.count(&n); }
};

using Values = std::unordered_map<const Node*, Arrays>;  // per output; null arrays are zeros

void accumulate(Values& values, const array& key, const array& value) {
  Arrays& list = values[key.node().get()];
  list.resize(key.node()->out.size());
  array& sum = list[key.index()];
  sum = sum ? add(sum, value, key.node()->stream) : value;
}

ArrayList make_leaves(const ArrayList& values) {
  ArrayList leaves;
  for (const array& v : values) leaves.push_back(alias_leaf(v));
  return leaves;
}

array lookup(const Values& values, const array& key) {
  auto it = values.find(key.node().get());
  return it == values.end() || it->second.size() <= key.index() ? array() : it->second[key.index()];
}

}  // namespace

std::pair<ArrayList, ArrayList> vjp(const Function& f, const ArrayList& primals,
                                    const std::function<ArrayList(const ArrayList&)>& cotangents) {
  const ArrayList leaves = make_leaves(primals);
  Trace trace("vjp");
  const ArrayList outputs = f(leaves);
  const ArrayList given = cotangents(outputs);
  const Active active(trace, leaves, "vjp", true);
  trace.stop();
  Values found;
  for (size_t i = 0; i < outputs.size(); ++i)
    if (i < given.size() && given[i] && active.has(outputs[i])) accumulate(found, outputs[i], given[i]);
  for (size_t i = trace.tape.size(); i-- > 0;) {
    const Node& node = *trace.tape[i];
    auto it = found.find(&node);
    if (it == found.end()) continue;
    const Arrays cts = std::move(it->second);
    found.erase(it);
    Needs needs;
    for (const array& input : node.inputs) needs.push_back(active.has(input) && is_inexact(input.dtype()));
    if (!node.op->vjp)
      fail(Kind::value, node.op->name, "has no derivative: got a gradient for its output, expected "
           "stop_gradient around it or an op that can be differentiated");
    StreamScope scope(node.stream);
    const Arrays grads = node.op->vjp(node, cts, needs);
    for (size_t k = 0; k < node.inputs.size() && k < grads.size(); ++k)
      if (grads[k] && needs[k]) accumulate(found, node.inputs[k], grads[k]);
  }
  ArrayList result;
  for (const array& leaf : leaves) {
    array ct = is_inexact(leaf.dtype()) ? lookup(found, leaf) : array();
    if (!ct && is_inexact(leaf.dtype())) ct = zeros_of(leaf);
    result.push_back(std::move(ct));
  }
  return {outputs, result};
}

std::pair<ArrayList, ArrayList> jvp(const Function& f, const ArrayList& primals, const ArrayList& tangents) {
  const ArrayList leaves = make_leaves(primals);
  Trace trace("jvp");
  const ArrayList outputs = f(leaves);
  const Active active(trace, leaves, "jvp", true);
  trace.stop();
  Values found;
  for (size_t i = 0; i < leaves.size(); ++i)
    if (tangents[i] && is_inexact(leaves[i].dtype())) accumulate(found, leaves[i], tangents[i]);
  for (const auto& ref : trace.tape) {
    const Node& node = *ref;
    if (!active.has(node)) continue;
    Arrays in;
    bool any = false;
    for (const array& input : node.inputs) {
      in.push_back(lookup(found, input));
      any |= bool(in.back());
    }
    if (!any) continue;
    StreamScope scope(node.stream);
    Arrays out;
    if (node.op->jvp) {
      out = node.op->jvp(node, in);
    } else if (node.op->linear) {
      for (size_t k = 0; k < in.size(); ++k)
        if (!in[k]) in[k] = is_inexact(node.inputs[k].dtype()) ? zeros_of(node.inputs[k]) : node.inputs[k];
      out = record_all(*node.op, node.attributes, in, node.stream);
    } else {
      fail(Kind::value, node.op->name, "has no forward derivative");
    }
    found[&node] = std::move(out);
  }
  ArrayList result;
  for (const array& out : outputs) {
    array tangent = lookup(found, out);
    result.push_back(tangent ? tangent : zeros_of(out));
  }
  return {outputs, result};
}

ArrayList grad(const Function& f, const ArrayList& arguments) {
  return vjp(f, arguments, [](const ArrayList& outputs) -> ArrayList {
    if (outputs.empty() || outputs[0].ndim() != 0)
      fail(Kind::value, "grad", "the function must return a scalar: got ",
           outputs.empty() ? Shape{0} : outputs[0].shape());
    return {ones_like(outputs[0])};
  }).second;
}

namespace {

// Without a batching rule: lane by lane, stacked. Slow but never wrong.
Arrays loop_lanes(const Node& node, const Arrays& in, const Axes& axes, int64_t lanes, Axes& out_axes) {
  if (lanes == 0) fail(Kind::value, node.op->name, "has no batching rule for an axis of size 0");
  std::vector<ArrayList> per_output(node.out.size());
  for (int64_t lane = 0; lane < lanes; ++lane) {
    Arrays one;
    for (size_t k = 0; k < in.size(); ++k) {
      if (axes[k] < 0) {
        one.push_back(in[k]);
        continue;
      }
      Shape start, stop = in[k].shape(), step;
      start.resize(stop.size(), 0);
      step.resize(stop.size(), 1);
      start[axes[k]] = lane;
      stop[axes[k]] = lane + 1;
      one.push_back(squeeze(slice(in[k], start, stop, step), Axes{axes[k]}));
    }
    Arrays out = record_all(*node.op, node.attributes, one, node.stream);
    for (size_t i = 0; i < out.size(); ++i) per_output[i].push_back(out[i]);
  }
  Arrays result;
  out_axes.clear();
  for (auto& list : per_output) {
    result.push_back(stack(list, 0));
    out_axes.push_back(0);
  }
  return result;
}

}  // namespace

ArrayList vmap(const Function& f, const ArrayList& inputs, const Axes& in_axes,
               const std::function<Axes(const ArrayList&)>& out_axes) {
  int64_t lanes = -1;
  ArrayList leaves;
  for (size_t i = 0; i < inputs.size(); ++i) {
    Spec spec = inputs[i].slot().spec;
    if (in_axes[i] >= 0) {
      const int64_t n = spec.shape[in_axes[i]];
      if (lanes >= 0 && n != lanes)
        fail(Kind::value, "vmap", "sizes of the mapped axes differ: got ", lanes, " and ", n);
      lanes = n;
      spec.shape.erase(spec.shape.begin() + in_axes[i]);
      leaves.push_back(abstract_leaf(std::move(spec), "vmap"));
    } else {
      leaves.push_back(alias_leaf(inputs[i]));  // an argument of its own, which may be changed in place
    }
  }
  if (lanes < 0) fail(Kind::value, "vmap", "nothing to map over: got no array with an axis in in_axes");
  Trace trace("vmap", true);
  const ArrayList outputs = f(leaves);
  ArrayList mapped;
  for (size_t i = 0; i < leaves.size(); ++i)
    if (in_axes[i] >= 0) mapped.push_back(leaves[i]);
  const Active active(trace, mapped, "vmap", false);
  trace.stop([&](const Node& node) { return !active.has(node); });

  struct Lane {
    Arrays values;
    Axes axes;
  };
  std::unordered_map<const Node*, Lane> batched;
  for (size_t i = 0; i < leaves.size(); ++i)
    if (in_axes[i] >= 0) batched[leaves[i].node().get()] = {{inputs[i]}, {in_axes[i]}};
  auto replace = [&](const array& a, int& axis) -> array {
    auto it = batched.find(a.node().get());
    if (it == batched.end()) {
      axis = -1;
      return a;
    }
    axis = it->second.axes[a.index()];
    return it->second.values[a.index()];
  };
  for (const auto& ref : trace.tape) {
    const Node& node = *ref;
    if (!active.has(node)) continue;
    Arrays in;
    Axes axes;
    for (const array& input : node.inputs) {
      int axis;
      in.push_back(replace(input, axis));
      axes.push_back(axis);
    }
    StreamScope scope(node.stream);
    Lane& lane = batched[&node];
    lane.values = node.op->vmap ? node.op->vmap(node, in, axes, lane.axes)
                                : loop_lanes(node, in, axes, lanes, lane.axes);
  }
  const Axes wanted = out_axes(outputs);
  ArrayList result;
  for (size_t i = 0; i < outputs.size(); ++i) {
    int axis;
    array value = replace(outputs[i], axis);
    int want = wanted[i];
    if (want < 0) {
      if (axis >= 0)
        fail(Kind::value, "vmap", "an output with out_axes None depends on the mapped axis: output ", i);
      result.push_back(value);
      continue;
    }
    if (axis < 0) {
      Shape shape = value.shape();
      shape.insert(shape.begin(), lanes);
      value = broadcast_to(value, shape);
      axis = 0;
    }
    result.push_back(axis == want ? value : moveaxis(value, axis, want));
  }
  return result;
}

Graph::Graph(const Function& f, const std::vector<Spec>& specs, const char* transform) : arguments_(specs.size()) {
  ArrayList leaves;
  for (const Spec& spec : specs) leaves.push_back(abstract_leaf(spec, transform));
  Trace trace(transform, true);
  const ArrayList outputs = f(leaves);
  const Active active(trace, leaves, transform, false);

  // What the outputs need, over the tape; the rest is dead.
  std::unordered_set<const Node*> needed;
  for (const array& out : outputs) needed.insert(out.node().get());
  for (size_t i = trace.tape.size(); i-- > 0;)
    if (needed.count(trace.tape[i].get()))
      for (const array& input : trace.tape[i]->inputs) needed.insert(input.node().get());

  std::unordered_map<const Node*, int64_t> numbers;
  for (const array& leaf : leaves) numbers[leaf.node().get()] = values_++;
  auto number = [&](const array& a) -> int64_t {
    auto it = numbers.find(a.node().get());
    return it == numbers.end() ? -1 : it->second + a.index();
  };
  // Common subexpressions: the same op with equal attributes over the same values.
  std::unordered_multimap<size_t, size_t> seen;
  for (const auto& ref : trace.tape) {
    const Node& node = *ref;
    if (!needed.count(&node)) continue;
    // A part that depends on no argument and was evaluated while tracing is data; random and
    // other barriers are replayed.
    Step step{node.op, node.attributes, node.stream, {}, {}, values_};
    size_t h = std::hash<const void*>{}(node.op) ^ (node.attributes ? node.attributes->hash() : 0);
    for (const array& input : node.inputs) {
      step.in.push_back(operand(input, number));
      h = detail::mix(h, step.in.back().value >= 0 ? size_t(step.in.back().value)
                                                   : std::hash<const void*>{}(input.node().get()));
    }
    for (const Slot& slot : node.out) step.specs.push_back(slot.spec);
    if (!node.op->barrier) {
      bool merged = false;
      auto [from, to] = seen.equal_range(h);
      for (; from != to && !merged; ++from) {
        const Step& other = steps_[from->second];
        merged = other.op == step.op && other.in.size() == step.in.size() && other.stream == step.stream &&
                 bool(other.attributes) == bool(step.attributes) &&
                 (!step.attributes || other.attributes->equal(*step.attributes));
        for (size_t k = 0; merged && k < step.in.size(); ++k)
          merged = other.in[k].value == step.in[k].value &&
                   (step.in[k].value >= 0 || other.in[k].captured.same(step.in[k].captured));
        if (merged) numbers[&node] = other.first;
      }
      if (merged) continue;
      seen.emplace(h, steps_.size());
    }
    numbers[&node] = values_;
    values_ += int64_t(node.out.size());
    steps_.push_back(std::move(step));
  }
  for (const array& out : outputs) outputs_.push_back(operand(out, number));
  // Nothing abstract reaches an outer trace.
  trace.stop([&](const Node& node) { return !active.has(node); });
}

Graph::Operand Graph::operand(const array& a, const std::function<int64_t(const array&)>& number) const {
  const int64_t n = number(a);
  return n >= 0 ? Operand{n, {}} : Operand{-1, a};
}

ArrayList Graph::operator()(const ArrayList& arguments) const { return replay(arguments, {}); }

ArrayList Graph::captures() const {
  ArrayList found;
  auto add = [&](const Operand& o) {
    if (o.value >= 0) return;
    for (const array& a : found)
      if (a.same(o.captured)) return;
    found.push_back(o.captured);
  };
  for (const Step& step : steps_)
    for (const Operand& o : step.in) add(o);
  for (const Operand& o : outputs_) add(o);
  return found;
}

ArrayList Graph::replay(const ArrayList& arguments, const ArrayList& others) const {
  std::vector<array> values(values_);
  for (size_t i = 0; i < arguments_; ++i) values[i] = arguments[i];
  const ArrayList known = others.empty() ? ArrayList() : captures();
  auto get = [&](const Operand& o) {
    if (o.value >= 0) return values[o.value];
    for (size_t k = 0; k < known.size(); ++k)
      if (known[k].same(o.captured)) return others[k];
    return o.captured;
  };
  for (const Step& step : steps_) {
    Arrays in;
    for (const Operand& o : step.in) in.push_back(get(o));
    Arrays out = record_all(*step.op, step.attributes, std::move(in), step.stream);
    for (size_t i = 0; i < out.size(); ++i) values[step.first + i] = std::move(out[i]);
  }
  ArrayList result;
  for (const Operand& o : outputs_) result.push_back(get(o));
  return result;
}

std::string Graph::print() const {
  std::ostringstream out;
  for (const Step& step : steps_) {
    out << "v" << step.first << " = " << step.op->name << "(";
    const char* comma = "";
    for (const Operand& o : step.in) {
      out << comma;
      if (o.value >= 0) out << "v" << o.value;
      else out << "captured" << o.captured.shape();
      comma = ", ";
    }
    out << ")";
    for (const Spec& spec : step.specs) out << "  " << spec.type << spec.shape;
    out << "\n";
  }
  return out.str();
}

}  // namespace lazulite
