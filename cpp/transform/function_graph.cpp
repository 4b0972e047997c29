#include "transform/function_graph.h"

#include <algorithm>
#include <cstring>
#include <sstream>
#include <unordered_map>

#include "transform/active.h"
#include "transform/find_op.h"

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

namespace {
// The same array, or small data with the same bytes: what a function makes anew in each trace.
bool same_data(const array& a, const array& b) {
  if (a.same(b)) return true;
  const auto is_small = [](const array& x) {
    return x.node()->op->kind == OpKind::input && x.node()->state.load() == State::ready &&
           x.nbytes() <= 1 << 16 && is_dense(x.shape(), x.slot().storage.strides);
  };
  return a.dtype() == b.dtype() && a.shape() == b.shape() && is_small(a) && is_small(b) &&
         std::memcmp(array(a).raw(), array(b).raw(), size_t(a.nbytes())) == 0;
}
}  // namespace

FunctionGraph::FunctionGraph(const Function& f, const std::vector<Spec>& specs,
                             const char* transform, Options options)
    : arguments_(specs) {
  int64_t fold_bytes = options.fold_bytes;
  ArrayList leaves;
  for (const Spec& spec : specs) leaves.push_back(abstract_leaf(spec, transform));
  Trace trace(transform, true);
  trace.watched = options.rules || (trace.outer && trace.outer->watched);
  const ArrayList outputs = [&] {
    const Leaves running(leaves);
    return f(leaves);
  }();
  const Active active(trace, leaves, outputs, transform, Follow::all);

  // Nodes that only carry rules are left out where nobody asks for these.
  auto shown = [&](const array& a) {
    array at = a;
    while (!trace.watched && at.node()->op->passes && active.tape.count(at.node().get())) {
      const Node& node = *at.node();
      at = array(node.inputs[node.inputs.size() - node.out.size() + at.index()]);
    }
    return at;
  };
  // What the outputs need, over the tape; the rest is dead.
  std::unordered_set<const Node*> needed;
  for (const array& out : outputs) needed.insert(shown(out).node().get());
  for (size_t i = trace.tape.size(); i-- > 0;)
    if (needed.count(trace.tape[i].get()))
      for (const array& input : trace.tape[i]->inputs)
        needed.insert(shown(input).node().get());

  if (options.sources) {
    std::unordered_set<const Node*> found;
    auto add = [&](const array& a) {
      const Node& node = *a.node();
      if (node.seq < trace.begin && !active.has(node) && found.insert(&node).second)
        sources_.push_back(a);
    };
    for (const auto& node : trace.tape)
      if (needed.count(node.get()))
        for (const array& input : node->inputs) add(shown(input));
    for (const array& out : outputs) add(shown(out));
  }

  // The value of a node's output: the operand of its first output, counted on.
  std::unordered_map<const Node*, Operand> known;
  for (const array& leaf : leaves) known[leaf.node().get()] = {values_++, {}};
  auto operand = [&](const array& given) -> Operand {
    const array a = shown(given);
    const auto it = known.find(a.node().get());
    if (it == known.end()) return {-1, a};
    if (it->second.value < 0) return it->second.captured ? it->second : Operand{-1, a};
    return {it->second.value + int64_t(a.index()), {}};
  };
  std::unordered_multimap<size_t, size_t>
      seen;  // common subexpressions: the same op and attributes over the same values
  for (const auto& ref : trace.tape) {
    const Node& node = *ref;
    ++report_.recorded;
    if (options.report) report_.before += line_of(node);
    if (!needed.count(&node)) {
      ++report_.dead;
      continue;
    }
    if (is_alias(node)) {  // an argument of a transform inside: the value itself
      known[&node] = operand(node.inputs[0]);
      continue;
    }
    if (options.fold_bytes && !active.has(node) && !node.op->barrier &&
        node.op->kind != OpKind::constant) {  // without, not even what has no bytes
      int64_t bytes = 0;
      for (const Slot& slot : node.out) bytes += size_of(slot.spec.shape) * size_of(slot.spec.type);
      bool ready = true;  // what it needs is captured as well
      for (const array& input : node.inputs)
        ready &= operand(input).value < 0 || is_constant(input);
      if (ready && bytes <= fold_bytes) {
        fold_bytes -= bytes;
        ++report_.folded;
        known[&node] = {-1, {}};
        continue;
      }
    }
    Step step{node.op, node.attributes, node.stream, {}, {}, values_};
    size_t h = std::hash<const void*>{}(node.op) ^ (node.attributes ? node.attributes->hash() : 0);
    for (const array& input : node.inputs) {
      step.in.push_back(operand(input));
      const Operand& o = step.in.back();
      h = detail::mix(
          h, o.value >= 0 ? size_t(o.value) : std::hash<const void*>{}(o.captured.node().get()));
    }
    for (const Slot& slot : node.out) step.specs.push_back(slot.spec);
    if (!node.op->barrier && options.merge) {
      bool merged = false;
      auto [from, to] = seen.equal_range(h);
      for (; from != to && !merged; ++from) {
        const Step& other = steps_[from->second];
        merged = other.op == step.op && other.in.size() == step.in.size() &&
                 other.stream == step.stream && bool(other.attributes) == bool(step.attributes) &&
                 (!step.attributes || other.attributes->equal(*step.attributes));
        for (size_t k = 0; merged && k < step.in.size(); ++k) merged = other.in[k].same(step.in[k]);
        if (merged) known[&node] = {other.first, {}};
      }
      if (merged) {
        ++report_.merged;
        continue;
      }
      seen.emplace(h, steps_.size());
    }
    known[&node] = {values_, {}};
    values_ += int64_t(node.out.size());
    steps_.push_back(std::move(step));
  }
  for (const array& out : outputs) outputs_.push_back(operand(out));
  if (report_.folded) {  // numbers that only such values needed
    std::vector<int64_t> all(arguments_.size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = int64_t(i);
    const auto rest = part(all, outputs_);
    values_ = rest->values_;
    steps_ = rest->steps_;
    outputs_ = rest->outputs_;
  }
  if (options.rules &&
      std::any_of(steps_.begin(), steps_.end(),
                  [](const Step& s) { return s.op->passes || s.op->evaluates; }))
    rules_ = trace.rules;
  // Nothing abstract reaches an outer trace.
  trace.stop([&](const Node& node) { return !active.has(node); });
}

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

std::vector<Spec> FunctionGraph::output_specs() const {
  std::vector<Spec> all(arguments_), out;
  for (const Step& step : steps_) all.insert(all.end(), step.specs.begin(), step.specs.end());
  for (const Operand& o : outputs_)
    out.push_back(o.value >= 0 ? all[o.value] : o.captured.slot().spec);
  return out;
}

void FunctionGraph::write(Tokens& out, ArrayList& captured) const {
  // Nodes that only pass values on are left out.
  std::vector<Operand> stands(values_);
  auto resolved = [&](const Operand& o) {
    return o.value >= 0 && (stands[o.value].value >= 0 || stands[o.value].captured)
               ? stands[o.value]
               : o;
  };
  std::vector<char> kept;
  std::vector<const Shape*> shapes;
  for (const Spec& spec : arguments_) shapes.push_back(&spec.shape);
  for (const Step& step : steps_) {
    const bool idle = step.op->reshapes &&
                      step.specs[0].shape == (step.in[0].value >= 0 ? *shapes[step.in[0].value]
                                                                    : step.in[0].captured.shape());
    const bool passes = step.op->passes || idle;
    for (const Spec& spec : step.specs) shapes.push_back(&spec.shape);
    kept.push_back(!passes);
    if (passes)
      for (size_t k = 0; k < step.specs.size(); ++k)
        stands[step.first + int64_t(k)] = resolved(step.in[step.in.size() - step.specs.size() + k]);
  }
  std::vector<char> wanted(values_, 0);
  auto want = [&](const Operand& o) {
    const Operand r = resolved(o);
    if (r.value >= 0) wanted[r.value] = 1;
  };
  for (const Operand& o : outputs_) want(o);
  for (size_t s = steps_.size(); s-- > 0;) {
    bool any = false;
    for (size_t k = 0; k < steps_[s].specs.size(); ++k)
      any |= bool(wanted[steps_[s].first + int64_t(k)]);
    kept[s] = kept[s] && any;
    if (kept[s])
      for (const Operand& o : steps_[s].in) want(o);
  }
  std::vector<int64_t> number(values_, -1);
  int64_t next = 0;
  for (; next < int64_t(arguments_.size()); ++next) number[next] = next;
  auto write_operand = [&](const Operand& unresolved) {
    const Operand o = resolved(unresolved);
    if (o.value >= 0) return out.add(number[o.value]);
    size_t place = 0;
    while (place < captured.size() && !same_data(captured[place], o.captured)) ++place;
    if (place == captured.size()) captured.push_back(o.captured);
    out.add(-1 - int64_t(place));
  };
  out.add(int64_t(arguments_.size()));
  for (const Spec& spec : arguments_) {
    write_field(out, spec.type);
    write_field(out, spec.shape);
  }
  out.add(int64_t(std::count(kept.begin(), kept.end(), 1)));
  for (size_t s = 0; s < steps_.size(); ++s) {
    if (!kept[s]) continue;
    const Step& step = steps_[s];
    out.add(std::string(step.op->name));
    if (!step.op->check || (step.attributes && !step.attributes->write(out)))
      fail(Kind::value, "export_function", "an op that cannot be put into a file: got ",
           step.op->name);
    out.add(int64_t(step.in.size()));
    for (const Operand& o : step.in) write_operand(o);
    for (size_t k = 0; k < step.specs.size(); ++k) number[step.first + int64_t(k)] = next++;
  }
  out.add(int64_t(outputs_.size()));
  for (const Operand& o : outputs_) write_operand(o);
}

Ref<const FunctionGraph> FunctionGraph::read(TokenReader& in, const ArrayList& captured,
                                             bool merge) {
  std::vector<Spec> specs;
  for (int64_t n = in.count(1 << 20); n > 0; --n) {
    const Dtype type = in.dtype();
    const Shape shape = Field<Shape>::read(in);
    check_sizes("import_function", shape);
    specs.push_back({shape, type});
  }
  // Recorded op by op: each is asked whether it fits.
  return make_ref<const FunctionGraph>(
      [&](const ArrayList& leaves) {
        ArrayList values = leaves;
        auto operand = [&]() -> array {
          const int64_t at = in.integer();
          if (at >= int64_t(values.size()) || (at < 0 && -1 - at >= int64_t(captured.size())))
            fail(Kind::format, "import_function", "the file is damaged: a value that is not there");
          return at >= 0 ? values[size_t(at)] : captured[size_t(-1 - at)];
        };
        for (int64_t n = in.count(); n > 0; --n) {
          const std::string& name = in.text();
          const Op* op = find_op(name);
          if (!op || !op->check)
            fail(Kind::format, "import_function", "an unknown op: got ", name,
                 ", written by a newer version?");
          const AttrsRef attributes = op->read ? op->read(in) : AttrsRef();
          Arrays inputs;
          for (int64_t k = in.count(1 << 20); k > 0; --k) inputs.push_back(operand());
          op->check(attributes.get(), inputs);
          for (array& a : record_all(*op, attributes, std::move(inputs)))
            values.push_back(std::move(a));
        }
        ArrayList outputs;
        for (int64_t n = in.count(1 << 20); n > 0; --n) outputs.push_back(operand());
        return outputs;
      },
      specs, "import_function", Options{.merge = merge});
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
