#include "transform/kept.h"

#include <algorithm>

namespace lazulite {

namespace {

constexpr size_t fewest_steps = 2;

const KeptCall& call_of(const Node& node) {
  return static_cast<const KeptCall&>(*node.attributes);
}

Specs infer_call(const KeptCall& call, const Arrays&) {
  Specs specs;
  for (const Spec& spec : call.specs()) specs.push_back(spec);
  return specs;
}

void run_call(const KernelCall& call) {
  call_of(call.node).run(std::move(call.taken), call.placed);
}

const Op call_op = op<KeptCall>("compiled", "A call of a compiled function whose plan is kept.",
                                {.barrier = true,
                                 .places = true,
                                 .takes = true,
                                 .evaluates = true,
                                 .infer = typed<infer_call>,
                                 .kernel = run_call});

// A result of such a call as an array of its own, whose memory can be given away when it dies.
Specs infer_result(const Attrs*, const Arrays& in) {
  return {in[0].slot().spec};
}
bool view_result(const Node&, const TensorView& in, Storage& out) {
  out = *in.storage;
  return true;
}
const Op result_op{.name = "result",
                   .doc = "A result of a compiled function.",
                   .kind = OpKind::view,
                   .infer = infer_result,
                   .view = view_result};

}  // namespace

Ref<const KeptCall> KeptCall::of(const FunctionGraph& graph) {
  const auto& steps = graph.steps();
  if (steps.size() < fewest_steps || !bodies::worth_keeping(graph)) return {};
  for (const FunctionGraph::Step& step : steps)
    if (step.op->slow || step.op->evaluates || step.op->passes || !(step.stream == Stream()))
      return {};

  auto call = make_ref<KeptCall>();
  call->captured_ = graph.captures();
  const Ref<const FunctionGraph> closed = graph.closed()->forwarded();
  const size_t given = closed->arguments();
  // What it makes, each value once; arguments and captured arrays are returned as they are.
  std::vector<FunctionGraph::Operand> made;
  for (const FunctionGraph::Operand& o : closed->outputs()) {
    if (size_t(o.value) < given) {
      call->outputs_.push_back({false, size_t(o.value)});
      continue;
    }
    const auto known =
        std::find_if(made.begin(), made.end(), [&](auto& other) { return other.same(o); });
    call->outputs_.push_back({true, size_t(known - made.begin())});
    if (known == made.end()) made.push_back(o);
  }
  if (made.empty()) return {};
  std::vector<char> used(size_t(closed->values()), 0);
  for (const FunctionGraph::Step& step : closed->steps())
    for (const FunctionGraph::Operand& o : step.in) used[size_t(o.value)] = 1;
  std::vector<int64_t> from;
  for (size_t i = 0; i < given; ++i)
    if (used[i]) from.push_back(int64_t(i)), call->used_.push_back(i);
  call->graph_ = closed->part(from, made);
  call->specs_ = call->graph_->output_specs();
  return call;
}

void KeptCall::print(std::ostream& out) const { out << "steps=" << graph_->steps().size(); }

ArrayList KeptCall::operator()(const ArrayList& arguments) const {
  const size_t n = arguments.size();
  auto given = [&](size_t i) { return i < n ? arguments[i] : captured_[i - n]; };
  Arrays in;
  for (size_t i : used_) in.push_back(given(i));
  Arrays made = record_all(call_op, AttrsRef(this), std::move(in), Stream());
  if (made.size() > 1)
    for (array& a : made) a = record(result_op, {}, {a}, Stream());
  ArrayList out;
  for (const Output& o : outputs_) out.push_back(o.made ? made[o.index] : given(o.index));
  return out;
}

void KeptCall::run(std::vector<Storage> in, SmallVector<Storage, 1>& out) const {
  auto plan = plans_.take(in);
  if (!plan)
    plan = std::make_unique<bodies::Stepper>(
        [graph = graph_](const ArrayList& leaves) { return (*graph)(leaves); });
  std::vector<Storage> results(specs_.size());
  plan->run(graph_->argument_specs(), in, results);
  plans_.give(std::move(plan));
  for (size_t i = 0; i < out.size(); ++i) out[i] = std::move(results[i]);
}

}  // namespace lazulite
