#include "eval/eval.h"
#include "ops/elementwise/elementwise.h"
#include "ops/reduce/reduce.h"
#include "transform/control_flow/bodies.h"
#include "transform/find_op.h"
#include "transform/control_flow/loops.h"

namespace lazulite {

using namespace bodies;

namespace {

struct While final : OwnAttrs {
  GraphRef test, body;  // (carry..., constant...) -> bool; -> carry...
  size_t carries;
  mutable Steppers tests, plans;
  const char* name = "while_loop";  // what the user called
  void print(std::ostream& out) const override { out << "carries=" << carries; }
  bool write(Tokens& out) const override {
    out.add(int64_t(carries));
    write_body(*test, out);
    write_body(*body, out);
    return true;
  }
};
const While& while_of(const Node& node) { return static_cast<const While&>(*node.attributes); }

Specs infer_while(const While& w, const Arrays& in) {
  const auto next = w.body->output_specs();
  check_takes("while_loop", *w.test, specs_from(in));
  check_takes("while_loop", *w.body, specs_from(in));
  check_gives("while_loop", w.test->output_specs(), {Spec{{}, bool_}}, 1);
  check_gives("while_loop", next, w.body->argument_specs(), w.carries);
  if (w.carries == 0 || next.size() != w.carries)
    fail(Kind::value, "while_loop", "the body gives other arrays than it should");
  return next;
}

void run_while(const KernelCall& call) {
  const While& w = while_of(call.node);
  std::vector<Storage> carry = memory_of(call.in, 0, w.carries), out(1);
  const std::vector<Storage> constants = memory_of(call.in, w.carries, call.in.size() - w.carries);
  auto in = [&] {
    std::vector<Storage> all = std::move(carry);
    all.insert(all.end(), constants.begin(), constants.end());
    return all;
  };
  auto holds = [](const Storage& flag) {
    return static_cast<const bool*>(flag.buffer->data)[flag.offset];
  };
  const std::vector<Storage> start = carry;
  const bool again = comes_again(w, *w.body);
  std::vector<Storage> given = in();
  auto first = w.tests.take(given);
  if (!first)
    first = std::make_unique<Stepper>([&w](const ArrayList& x) { return (*w.test)(x); });
  first->run(w.test->argument_specs(), given, out);
  if (again) w.tests.give(std::move(first));
  carry = start;
  std::unique_ptr<Stepper> body;
  while (holds(out.back())) {
    out.assign(w.carries + 1, {});
    given = in();
    if (!body) body = w.plans.take(given);
    if (!body)
      body = std::make_unique<Stepper>([&w, graph = to_run(w.body)](const ArrayList& x) {
        ArrayList next = (*graph)(x);
        const ArrayList fixed = part(x, w.carries, x.size() - w.carries),
                        go = (*w.test)(joined({&next, &fixed}));
        next.push_back(go[0]);
        return next;
      });
    body->run(w.body->argument_specs(), given, out);
    carry.assign(out.begin(), out.begin() + w.carries);
    poll();
  }
  if (body && again) w.plans.give(std::move(body));
  for (size_t i = 0; i < w.carries; ++i) call.placed[i] = std::move(carry[i]);
}

Arrays vjp_while(const Node& node, const Arrays&, const Needs&) {
  fail(Kind::value, while_of(node).name,
       "has no reverse derivative, since its number of steps is not known: got a gradient for its "
       "result, expected fori_loop with bounds that are numbers, scan, or jvp");
}

Arrays jvp_while(const Node& node, const Arrays& tangents) {
  const While& w = while_of(node);
  const ArrayList inputs = as_list(node.inputs);
  ArrayList init = part(inputs, 0, w.carries);
  const ArrayList constants = part(inputs, w.carries, inputs.size() - w.carries);
  const bool integers = any_integer(node.inputs, tangents);
  for (size_t i = 0; i < w.carries; ++i)
    if (follows(inputs[i].dtype(), integers))
      init.push_back(or_zeros(tangents[i], inputs[i].slot().spec));
  const ArrayList out = while_loop(
      [&](const ArrayList& leaves) {
        const ArrayList carry = part(leaves, 0, w.carries);
        return (*w.test)(joined({&carry, &constants}));
      },
      [&](const ArrayList& leaves) {
        ArrayList primals = part(leaves, 0, w.carries), moved;
        size_t at = w.carries;
        for (const array& a : primals)
          moved.push_back(follows(a.dtype(), integers) ? leaves[at++] : array());
        for (size_t i = w.carries; i < inputs.size(); ++i) {
          primals.push_back(inputs[i]);
          moved.push_back(tangents[i]);
        }
        return jvp_of(*w.body, primals, moved, integers);
      },
      init, w.name);
  Arrays result;
  size_t at = w.carries;
  for (size_t i = 0; i < w.carries; ++i)
    result.push_back(follows(node.out[i].spec.type, integers) ? out[at++] : array());
  return result;
}

Arrays vmap_while(const Node& node, const Arrays& in, const Axes& in_axes, Axes& out_axes) {
  const While& w = while_of(node);
  const int64_t lanes = lane_count(in, in_axes);
  const ArrayList constants = part(as_list(in), w.carries, in.size() - w.carries);
  const Axes constant_axes(in_axes.begin() + w.carries, in_axes.end());
  Axes axes = in_axes;
  settle_axes(*w.body, axes, w.carries, lanes);
  // Is the test mapped?
  const bool each = mapped_outputs(*w.test, axes, lanes)[0] >= 0;
  if (each)
    for (size_t i = 0; i < w.carries; ++i) axes[i] = std::max(axes[i], 0);
  Axes carry_axes;
  for (size_t i = 0; i < w.carries; ++i) carry_axes.push_back(axes[i] >= 0 ? 0 : -1);
  Axes all_axes = carry_axes;
  all_axes.append(constant_axes.begin(), constant_axes.end());
  auto test = [&](const ArrayList& carry) {
    Axes found;
    array go = lanes_of(*w.test, joined({&carry, &constants}), all_axes, found)[0];
    return each ? lane_first(go, found[0], lanes) : go;
  };
  auto body = [&](const ArrayList& carry) {
    Axes found;
    ArrayList next = lanes_of(*w.body, joined({&carry, &constants}), all_axes, found);
    for (size_t i = 0; i < next.size(); ++i)
      if (carry_axes[i] >= 0) next[i] = lane_first(next[i], found[i], lanes);
    return next;
  };
  ArrayList init;
  for (size_t i = 0; i < w.carries; ++i)
    init.push_back(axes[i] >= 0 ? lane_first(in[i], in_axes[i], lanes) : in[i]);
  ArrayList out;
  if (!each) {
    out = while_loop([&](const ArrayList& leaves) { return ArrayList{test(leaves)}; }, body, init,
                     w.name);
  } else {  // lanes that are done keep their values while others go on
    init.insert(init.begin(), test(init));
    out = while_loop(
        [&](const ArrayList& leaves) { return ArrayList{any(leaves[0])}; },
        [&](const ArrayList& leaves) {
          const ArrayList old = part(leaves, 1, w.carries);
          ArrayList next = body(old);
          for (size_t i = 0; i < next.size(); ++i)
            next[i] = where(for_lanes(leaves[0], next[i]), next[i], old[i]);
          next.insert(next.begin(), logical_and(leaves[0], test(next)));
          return next;
        },
        init, w.name);
    out.erase(out.begin());
  }
  out_axes = carry_axes;
  return as_inputs(out);
}

AttrsRef read_while(TokenReader& in) {
  auto w = make_ref<While>();
  w->carries = size_t(in.count());
  w->test = FunctionGraph::read(in, {});
  w->body = FunctionGraph::read(in, {});
  return AttrsRef(w);
}
const Op while_op = op<While>("while_loop", "A loop that goes on while its test holds.",
                              {.barrier = true,
                               .places = true,
                               .slow = true,
                               .evaluates = true,
                               .read = read_while,
                               .infer = typed<infer_while>,
                               .vjp = vjp_while,
                               .jvp = jvp_while,
                               .vmap = vmap_while,
                               .kernel = run_while});

}  // namespace

OpList while_ops() { return {&while_op}; }

ArrayList while_loop(const Function& test, const Function& body, const ArrayList& init,
                     const char* name, size_t counters) {
  const auto specs = specs_from(init);
  GraphRef go = make_ref<const FunctionGraph>(test, specs, name, hoist_all);
  GraphRef step = make_ref<const FunctionGraph>(body, specs, name, hoist_all);
  const auto tested = go->output_specs();
  if (tested.size() != 1 || !tested[0].shape.empty() || tested[0].type != bool_)
    fail(Kind::value, name, "the test must give one 0-d bool: got ",
         tested.size() == 1 ? tested[0].type : bool_, tested.empty() ? Shape{0} : tested[0].shape,
         " (", tested.size(), " values)");
  if (step->outputs().size() != init.size())
    fail(Kind::value, name, "the body must give what it takes: got ",
         step->outputs().size(), " values, expected ", init.size());
  check_carry(name, step->output_specs(), init, counters);
  auto attributes = make_ref<While>();
  const ArrayList constants = close_both(go, step), inputs = joined({&init, &constants});
  attributes->test = go;
  attributes->body = step;
  attributes->carries = init.size();
  attributes->name = name;
  if (init.empty())
    fail(Kind::value, name, "nothing is carried: got no arrays, expected at least one");
  return as_list(
      record_all(while_op, AttrsRef(std::move(attributes)), as_inputs(inputs), stream_of(inputs)));
}

}  // namespace lazulite
