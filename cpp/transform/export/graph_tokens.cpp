// Graphs as tokens, for files.
#include <algorithm>
#include <cstring>

#include "transform/find_op.h"
#include "transform/function_graph.h"

namespace lazulite {

namespace {

using Operand = FunctionGraph::Operand;
using Step = FunctionGraph::Step;

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

// Which steps are written: those that outputs need, but for nodes that only pass values on.
class Written {
 public:
  explicit Written(const FunctionGraph& graph) : graph_(graph), stands_(graph.values()) {
    std::vector<const Shape*> shapes;
    for (const Spec& spec : graph.argument_specs()) shapes.push_back(&spec.shape);
    for (const Step& step : graph.steps()) {
      kept.push_back(!passes(step, shapes));
      for (const Spec& spec : step.specs) shapes.push_back(&spec.shape);
      const size_t first = step.in.size() - step.specs.size();
      for (size_t k = 0; !kept.back() && k < step.specs.size(); ++k)
        stands_[step.first + int64_t(k)] = resolved(step.in[first + k]);
    }
    drop_dead();
  }
  // What stands for a value in the file.
  Operand resolved(const Operand& o) const {
    return o.value >= 0 && (stands_[o.value].value >= 0 || stands_[o.value].captured)
               ? stands_[o.value]
               : o;
  }

  std::vector<char> kept;  // of each step

 private:
  static bool passes(const Step& step, const std::vector<const Shape*>& shapes) {
    if (step.op->passes || !step.op->reshapes) return step.op->passes;
    const Operand& from = step.in[0];
    return step.specs[0].shape == (from.value >= 0 ? *shapes[from.value] : from.captured.shape());
  }
  void drop_dead() {
    std::vector<char> wanted(graph_.values(), 0);
    auto want = [&](const Operand& o) {
      const Operand r = resolved(o);
      if (r.value >= 0) wanted[r.value] = 1;
    };
    for (const Operand& o : graph_.outputs()) want(o);
    for (size_t s = graph_.steps().size(); s-- > 0;) {
      const Step& step = graph_.steps()[s];
      bool any = false;
      for (size_t k = 0; k < step.specs.size(); ++k) any |= bool(wanted[step.first + int64_t(k)]);
      kept[s] = kept[s] && any;
      if (kept[s])
        for (const Operand& o : step.in) want(o);
    }
  }

  const FunctionGraph& graph_;
  std::vector<Operand> stands_;  // for values of steps that pass them on
};

// Records a graph from tokens, op by op: each is asked whether it fits.
class Replay {
 public:
  Replay(TokenReader& in, const ArrayList& captured, const ArrayList& leaves)
      : in_(in), captured_(captured), values_(leaves) {}

  ArrayList operator()() {
    for (int64_t n = in_.count(); n > 0; --n) step();
    ArrayList outputs;
    for (int64_t n = in_.count(1 << 20); n > 0; --n) outputs.push_back(operand());
    return outputs;
  }

 private:
  array operand() {
    const int64_t at = in_.integer();
    if (at >= int64_t(values_.size()) || (at < 0 && -1 - at >= int64_t(captured_.size())))
      fail(Kind::format, "import_function", "the file is damaged: a value that is not there");
    return at >= 0 ? values_[size_t(at)] : captured_[size_t(-1 - at)];
  }
  void step() {
    const std::string& name = in_.text();
    const Op* op = find_op(name);
    if (!op || !op->read)
      fail(Kind::format, "import_function", "an unknown op: got ", name,
           ", written by a newer version?");
    const AttrsRef attributes = op->read(in_);
    Arrays inputs;
    for (int64_t k = in_.count(1 << 20); k > 0; --k) inputs.push_back(operand());
    for (array& a : record_all(*op, attributes, std::move(inputs)))
      values_.push_back(std::move(a));
  }

  TokenReader& in_;
  const ArrayList& captured_;
  ArrayList values_;
};

}  // namespace

void FunctionGraph::write(Tokens& out, ArrayList& captured) const {
  const Written written(*this);
  std::vector<int64_t> number(values_, -1);
  int64_t next = 0;
  for (; next < int64_t(arguments_.size()); ++next) number[next] = next;
  auto write_operand = [&](const Operand& given) {
    const Operand o = written.resolved(given);
    if (o.value >= 0) return out.add(number[o.value]);
    size_t place = 0;
    while (place < captured.size() && !same_data(captured[place], o.captured)) ++place;
    if (place == captured.size()) captured.push_back(o.captured);
    out.add(-1 - int64_t(place));
  };
  auto write_operands = [&](const std::vector<Operand>& list) {
    out.add(int64_t(list.size()));
    for (const Operand& o : list) write_operand(o);
  };
  out.add(int64_t(arguments_.size()));
  for (const Spec& spec : arguments_) {
    write_field(out, spec.type);
    write_field(out, spec.shape);
  }
  out.add(int64_t(std::count(written.kept.begin(), written.kept.end(), 1)));
  for (size_t s = 0; s < steps_.size(); ++s) {
    if (!written.kept[s]) continue;
    const Step& step = steps_[s];
    out.add(std::string(step.op->name));
    if (!step.op->read || (step.attributes && !step.attributes->write(out)))
      fail(Kind::value, "export_function", "an op that cannot be put into a file: got ",
           step.op->name);
    write_operands(step.in);
    for (size_t k = 0; k < step.specs.size(); ++k) number[step.first + int64_t(k)] = next++;
  }
  write_operands(outputs_);
}

Ref<const FunctionGraph> FunctionGraph::read(TokenReader& in, const ArrayList& captured,
                                             bool merge) {
  std::vector<Spec> specs;
  for (int64_t n = in.count(1 << 20); n > 0; --n) {
    const Dtype type = in.dtype();
    const Shape shape = Field<Shape>::read(in);
    if (!is_shape(shape, type)) fail(Kind::format, "import_function", "not a shape: got ", shape);
    specs.push_back({shape, type});
  }
  return make_ref<const FunctionGraph>(
      [&](const ArrayList& leaves) { return Replay(in, captured, leaves)(); }, specs,
      "import_function", Options{.merge = merge});
}

}  // namespace lazulite
