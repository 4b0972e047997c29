#include "eval/eval.h"
#include "ops/elementwise/elementwise.h"
#include "transform/control_flow/bodies.h"
#include "transform/find_op.h"
#include "transform/control_flow/loops.h"

namespace lazulite {

using namespace bodies;

namespace {

struct Branches final : OwnAttrs {
  GraphRef yes, no;  // (operand..., constant...) -> output...
  void print(std::ostream&) const override {}
  bool write(Tokens& out) const override {
    write_body(*yes, out);
    write_body(*no, out);
    return true;
  }
};
const Branches& branches_of(const Node& node) {
  return static_cast<const Branches&>(*node.attributes);
}

Specs infer_cond(const Branches& b, const Arrays& in) {
  if (in.empty() || in[0].dtype() != bool_ || in[0].ndim())
    fail(Kind::value, "cond", "the predicate must be a 0-d bool");
  check_takes("cond", *b.yes, specs_from(in, 1));
  check_takes("cond", *b.no, specs_from(in, 1));
  const auto yes = b.yes->output_specs(), no = b.no->output_specs();
  check_gives("cond", no, yes, std::max(yes.size(), no.size()));
  return yes;
}

void run_cond(const KernelCall& call) {
  const Branches& b = branches_of(call.node);
  ArrayList out =
      (live(call.in[0]).item<bool>() ? *b.yes : *b.no)(live(call.in, 1, call.in.size() - 1));
  eval(out);
  for (size_t i = 0; i < out.size(); ++i) call.placed[i] = out[i].slot().storage;
}

// The cotangents of wanted inputs: each branch computes its values again and goes back.
Arrays vjp_cond(const Node& node, const Arrays& cts, const Needs& needs) {
  const Branches& b = branches_of(node);
  const ArrayList inputs = part(as_list(node.inputs), 1, node.inputs.size() - 1);
  const bool integers = any_integer(node.inputs, needs);
  auto way = [&](const FunctionGraph& graph) {
    return [&](const ArrayList& in) {
      const ArrayList grads = vjp([&](const ArrayList& x) { return graph(x); }, in,
                                  [&](const ArrayList&) { return as_list(cts); }, integers)
                                  .second;
      ArrayList out;
      for (size_t i = 0; i < grads.size(); ++i)
        if (needs[i + 1] && grads[i]) out.push_back(grads[i]);
      return out;
    };
  };
  const ArrayList out = cond(node.inputs[0], way(*b.yes), way(*b.no), inputs);
  Arrays result;
  result.resize(node.inputs.size());
  size_t at = 0;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (needs[i + 1] && follows(inputs[i].dtype(), integers)) result[i + 1] = out[at++];
  return result;
}

Arrays jvp_cond(const Node& node, const Arrays& tangents) {
  const Branches& b = branches_of(node);
  ArrayList inputs = part(as_list(node.inputs), 1, node.inputs.size() - 1);
  const size_t n = inputs.size();
  const bool integers = any_integer(node.inputs, tangents);
  for (size_t i = 0; i < n; ++i)
    if (tangents[i + 1]) inputs.push_back(tangents[i + 1]);
  auto way = [&](const FunctionGraph& graph) {
    return [&](const ArrayList& in) {
      ArrayList moved;
      size_t at = n;
      for (size_t i = 0; i < n; ++i) moved.push_back(tangents[i + 1] ? in[at++] : array());
      const ArrayList both = jvp_of(graph, part(in, 0, n), moved, integers);
      return part(both, node.out.size(), both.size() - node.out.size());
    };
  };
  const ArrayList out = cond(node.inputs[0], way(*b.yes), way(*b.no), inputs);
  Arrays result;
  size_t at = 0;
  for (const Slot& slot : node.out)
    result.push_back(follows(slot.spec.type, integers) ? out[at++] : array());
  return result;
}

Arrays vmap_cond(const Node& node, const Arrays& in, const Axes& in_axes, Axes& out_axes) {
  const Branches& b = branches_of(node);
  const int64_t lanes = lane_count(in, in_axes);
  const ArrayList inputs = part(as_list(in), 1, in.size() - 1);
  const Axes axes(in_axes.begin() + 1, in_axes.end());
  const size_t n = node.out.size();
  if (in_axes[0] >= 0) {  // a choice for each lane: both run
    Axes yes_axes, no_axes;
    const ArrayList yes = lanes_of(*b.yes, inputs, axes, yes_axes),
                    no = lanes_of(*b.no, inputs, axes, no_axes);
    Arrays out;
    for (size_t i = 0; i < n; ++i) {
      const array x = lane_first(yes[i], yes_axes[i], lanes),
                  y = lane_first(no[i], no_axes[i], lanes);
      out.push_back(where(for_lanes(in[0], x), x, y));
    }
    out_axes = Axes(n, 0);
    return out;
  }
  auto way = [&](const FunctionGraph& graph) {
    return [&](const ArrayList& x) {
      Axes found;
      ArrayList out = lanes_of(graph, x, axes, found);
      for (size_t i = 0; i < n; ++i) out[i] = lane_first(out[i], found[i], lanes);
      return out;
    };
  };
  out_axes = Axes(n, 0);
  return as_inputs(cond(in[0], way(*b.yes), way(*b.no), inputs));
}

AttrsRef read_cond(TokenReader& in) {
  auto b = make_ref<Branches>();
  b->yes = FunctionGraph::read(in, {});
  b->no = FunctionGraph::read(in, {});
  return AttrsRef(b);
}
const Op cond_op = op<Branches>("cond", "The results of one of two functions.",
                                {.barrier = true,
                                 .places = true,
                                 .slow = true,
                                 .evaluates = true,
                                 .read = read_cond,
                                 .infer = typed<infer_cond>,
                                 .vjp = vjp_cond,
                                 .jvp = jvp_cond,
                                 .vmap = vmap_cond,
                                 .kernel = run_cond});

}  // namespace

OpList cond_ops() { return {&cond_op}; }

ArrayList cond(const array& predicate, const Function& yes, const Function& no,
               const ArrayList& operands) {
  if (!predicate.shape().empty() || predicate.dtype() != bool_)
    fail(Kind::value, "cond", "the predicate must be a 0-d bool: got ", predicate.dtype(),
         predicate.shape());
  const auto specs = specs_of(operands);
  GraphRef a = make_ref<const FunctionGraph>(yes, specs, "cond");
  GraphRef b = make_ref<const FunctionGraph>(no, specs, "cond");
  const auto x = a->output_specs(), y = b->output_specs();
  if (x.size() != y.size())
    fail(Kind::value, "cond", "the two functions give different numbers of arrays: got ", x.size(),
         " and ", y.size());
  for (size_t i = 0; i < x.size(); ++i)
    if (x[i].shape != y[i].shape || x[i].type != y[i].type)
      fail(Kind::value, "cond", "the two functions give different results: got ", x[i].type,
           x[i].shape, " and ", y[i].type, y[i].shape, " for value ", i);
  if (x.empty()) return {};
  auto attributes = make_ref<Branches>();
  const ArrayList constants = close_both(a, b), first{predicate},
                  inputs = joined({&first, &operands, &constants});
  attributes->yes = a;
  attributes->no = b;
  return as_list(
      record_all(cond_op, AttrsRef(std::move(attributes)), as_inputs(inputs), stream_of(inputs)));
}

}  // namespace lazulite
