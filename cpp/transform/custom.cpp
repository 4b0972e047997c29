// Functions with rules of their own: custom_function and checkpoint.
//
// The ops of the function stay on the tape; a last node passes their results on. Its inputs are the
// arguments and those results, its rules give cotangents to the arguments alone, so that no
// cotangent ever reaches the ops inside. Where a rule is missing, the node passes through.
// Rules belong to the traces that may ask for them; the node, and graphs made of it (bodies of
// loops, compiled functions), name them weakly, since a rule may reach what keeps these.
#include "graph/trace.h"
#include "ops/elementwise/elementwise.h"
#include "ops/lanes.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"
#include "transform/function_graph.h"

namespace lazulite {

namespace {

struct Custom final : OwnAttrs {
  std::weak_ptr<const Rules> rules;
  size_t arguments;  // the other inputs are the results
  Custom(const std::shared_ptr<const Rules>& r, size_t n) : rules(r), arguments(n) {}
  void print(std::ostream& out) const override { out << "arguments=" << arguments; }
};
const Custom& custom_of(const Node& node) { return static_cast<const Custom&>(*node.attributes); }
// They stay while they run, whatever they do.
std::shared_ptr<const Rules> rules_of(const Node& node) {
  auto rules = custom_of(node).rules.lock();
  if (!rules)
    fail(Kind::runtime, "custom_function", "the transform that may ask for its rules has ended");
  return rules;
}

extern const Op custom_op;

bool watched() { return current_trace() && current_trace()->watched; }

ArrayList pass(Rules made, const ArrayList& arguments, const ArrayList& results) {
  if (!watched() || !(made.vjp || made.jvp || made.vmap)) return results;  // nobody asks for a rule
  const auto rules = std::make_shared<const Rules>(std::move(made));
  current_trace()->rules.push_back(rules);
  Arrays in;
  for (const array& a : arguments) in.push_back(a);
  for (const array& a : results) in.push_back(a);
  const Stream stream = results.empty() ? default_stream() : results[0].node()->stream;
  const Arrays out = record_all(
      custom_op, AttrsRef(make_ref<const Custom>(rules, arguments.size())), std::move(in), stream);
  return {out.begin(), out.end()};
}

Specs infer_custom(const Custom& custom, const Arrays& in) {
  Specs out;
  for (size_t i = custom.arguments; i < in.size(); ++i)
    out.push_back(in[i].slot().spec);
  return out;
}

// What a rule gave, in the dtypes that are wanted; null arrays, zeros, stay.
ArrayList fitted(const char* rule, ArrayList got, const std::vector<Spec>& like) {
  if (got.size() != like.size())
    fail(Kind::value, "custom_function", "wrong number of arrays from the ", rule, " rule: got ",
         got.size(), ", expected ", like.size());
  for (size_t i = 0; i < like.size(); ++i) {
    if (!got[i]) continue;
    if (got[i].shape() != like[i].shape)
      fail(Kind::value, "custom_function", "wrong shape from the ", rule, " rule: got ",
           got[i].shape(), ", expected ", like[i].shape);
    got[i] = astype(got[i], like[i].type);
  }
  return got;
}

// The rules of a function that gives results of these specs, for one lane: what a rule gives is
// looked at before anything is made of it.
Rules checked(const Rules& rules, const std::vector<Spec>& results) {
  Rules out = rules;
  if (rules.vjp)
    out.vjp = [rule = rules.vjp](const ArrayList& primals, const ArrayList& cotangents,
                                 const ArrayList& outputs) {
      return fitted("vjp", rule(primals, cotangents, outputs), specs_of(primals));
    };
  if (rules.jvp)
    out.jvp = [rule = rules.jvp, results](const ArrayList& primals, const ArrayList& tangents) {
      return fitted("jvp", rule(primals, tangents), results);
    };
  if (rules.vmap)
    out.vmap = [rule = rules.vmap, results](const ArrayList& inputs, const Axes& axes) {
      auto [made, at] = rule(inputs, axes);
      int64_t lanes = 0;
      for (size_t i = 0; i < inputs.size(); ++i)
        if (axes[i] >= 0) lanes = inputs[i].shape()[axes[i]];
      std::vector<Spec> like = results;
      if (at.size() != like.size())
        fail(Kind::value, "custom_function", "wrong number of axes from the vmap rule: got ",
             at.size(), ", expected ", like.size());
      for (size_t i = 0; i < like.size(); ++i) {
        Shape& shape = like[i].shape;
        if (at[i] > static_cast<int>(shape.size()))
          fail(Kind::index, "custom_function", "axis from the vmap rule out of range: got ", at[i],
                      " for an array with ", shape.size() + 1, " axes");
        if (at[i] >= 0) shape.insert(shape.begin() + at[i], lanes);
      }
      made = fitted("vmap", std::move(made), like);
      for (size_t i = 0; i < made.size(); ++i)
        if (!made[i]) made[i] = constant(0, like[i].shape, like[i].type);
      return std::pair(std::move(made), at);
    };
  return out;
}

Arrays vjp_custom(const Node& node, const Arrays& cts, const Needs& needs) {
  const Custom& custom = custom_of(node);
  const auto held = rules_of(node);
  const Rules& rules = *held;
  Arrays out;
  out.resize(node.inputs.size());
  if (!rules.vjp) {
    for (size_t i = 0; i < node.out.size(); ++i) out[custom.arguments + i] = cts[i];
    return out;
  }
  const ArrayList primals(node.inputs.begin(), node.inputs.begin() + custom.arguments);
  ArrayList cotangents, outputs;
  for (uint32_t i = 0; i < node.out.size(); ++i) {
    outputs.push_back(recorded(node, i));
    cotangents.push_back(i < cts.size() && cts[i] ? cts[i] : zeros_like(outputs.back()));
  }
  bool integers = false, any = false;
  for (size_t i = 0; i < primals.size(); ++i) {
    any |= needs[i];
    integers |= needs[i] && !is_inexact(primals[i].dtype());
  }
  if (!any) return out;  // what the function captures has no cotangent
  const ArrayList grads = integers && rules.vjp_integers
                              ? rules.vjp_integers(primals, cotangents)
                              : rules.vjp(primals, cotangents, outputs);
  for (size_t i = 0; i < grads.size(); ++i) out[i] = grads[i];
  return out;
}

Arrays jvp_custom(const Node& node, const Arrays& t) {
  const Custom& custom = custom_of(node);
  const auto held = rules_of(node);
  const Rules& rules = *held;
  Arrays out;
  if (!rules.jvp) {
    for (size_t i = custom.arguments; i < t.size(); ++i) out.push_back(t[i]);
    return out;
  }
  const ArrayList primals(node.inputs.begin(), node.inputs.begin() + custom.arguments);
  bool any = false;
  for (size_t i = 0; i < custom.arguments; ++i) any |= bool(t[i]);
  if (!any) {  // what the function captures has no tangent
    out.resize(node.out.size());
    return out;
  }
  ArrayList tangents;
  for (size_t i = 0; i < custom.arguments; ++i)
    tangents.push_back(t[i] ? t[i] : zeros_like(node.inputs[i]));
  for (const array& a : rules.jvp(primals, tangents)) out.push_back(a);
  return out;
}

// In lanes: the derivative rules are mapped in turn.
// ---- vmap: the rules of one lane become rules of all

Axes from_zero(Axes axes) {
  for (int& axis : axes) axis = std::max(0, axis);
  return axes;
}

// The rule for cotangents, once for each lane. What all lanes share receives the sum of theirs.
ArrayList back_by_lanes(const Rules& rules, const Axes& argument_axes, const Axes& result_axes,
                        const ArrayList& primals, const ArrayList& cotangents,
                        const ArrayList& outputs, bool integers) {
  const size_t a = primals.size(), r = cotangents.size();
  ArrayList all(primals);
  Axes all_axes = argument_axes;
  for (const ArrayList* more : {&cotangents, &outputs}) {
    all.insert(all.end(), more->begin(), more->end());
    if (!more->empty()) all_axes.append(result_axes.begin(), result_axes.end());
  }
  auto back = [&](const ArrayList& lane) {
    const ArrayList x(lane.begin(), lane.begin() + a);
    const ArrayList given(lane.begin() + a, lane.begin() + a + r);
    ArrayList g = integers ? rules.vjp_integers(x, given)
                           : rules.vjp(x, given, {lane.begin() + a + r, lane.end()});
    for (size_t i = 0; i < g.size() && i < x.size(); ++i)
      if (!g[i]) g[i] = zeros_like(x[i]);
    return g;
  };
  auto axes_of = [&](const ArrayList& lane) {
    Axes out = from_zero(argument_axes);
    out.resize(lane.size(), 0);
    return out;
  };
  ArrayList grads = vmap(back, all, all_axes, axes_of);
  for (size_t i = 0; i < grads.size() && i < argument_axes.size(); ++i)
    if (argument_axes[i] < 0) grads[i] = sum(grads[i], {0}, false);
  return grads;
}

Rules rules_by_lanes(const Rules& rules, const Axes& argument_axes, const Axes& result_axes) {
  Rules mapped;  // mapped once more: by the ops that a rule for vmap recorded
  if (rules.vjp)
    mapped.vjp = [=](const ArrayList& primals, const ArrayList& cotangents,
                     const ArrayList& outputs) {
      return back_by_lanes(rules, argument_axes, result_axes, primals, cotangents, outputs, false);
    };
  if (rules.vjp_integers)
    mapped.vjp_integers = [=](const ArrayList& primals, const ArrayList& cotangents) {
      return back_by_lanes(rules, argument_axes, result_axes, primals, cotangents, {}, true);
    };
  if (rules.jvp)
    mapped.jvp = [=](const ArrayList& primals, const ArrayList& tangents) {
      const size_t a = primals.size();
      ArrayList all(primals);
      all.insert(all.end(), tangents.begin(), tangents.end());
      Axes all_axes = argument_axes;
      all_axes.append(argument_axes.begin(), argument_axes.end());
      ArrayList out;  // null where a result has no tangent: in all lanes then
      std::vector<size_t> at;
      const ArrayList moved = vmap(
          [&](const ArrayList& lane) {
            out = rules.jvp({lane.begin(), lane.begin() + a}, {lane.begin() + a, lane.end()});
            ArrayList there;
            for (size_t i = 0; i < out.size(); ++i)
              if (out[i]) {
                there.push_back(out[i]);
                at.push_back(i);
              }
            return there;
          },
          all, all_axes, [&](const ArrayList&) {
            Axes wanted;
            for (size_t i : at) wanted.push_back(std::max(0, result_axes[i]));
            return wanted;
          });
      for (size_t k = 0; k < at.size(); ++k) out[at[k]] = moved[k];
      return out;
    };
  return mapped;
}

Arrays vmap_custom(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  const size_t n = custom_of(node).arguments;
  const auto held = rules_of(node);
  const Rules& rules = *held;
  const ArrayList arguments(in.begin(), in.begin() + n);
  const Axes argument_axes(axes.begin(), axes.begin() + n);
  ArrayList results(in.begin() + n, in.end());
  out_axes = Axes(axes.begin() + n, axes.end());
  if (rules.vmap) {
    std::tie(results, out_axes) = rules.vmap(arguments, argument_axes);
  }
  if (rules.vjp || rules.jvp)  // the rules run once for each lane: so many cotangents they take,
                               // and tangents they give
    for (size_t i = 0; i < results.size(); ++i)
      if (out_axes[i] < 0) {
        results[i] = lane_first(results[i], -1, lane_count(in, axes));
        out_axes[i] = 0;
      }
  const ArrayList out = pass(rules_by_lanes(rules, argument_axes, out_axes), arguments, results);
  return Arrays(out.begin(), out.end());
}

bool view_custom(const Node&, const TensorView& in, Storage& out) {
  out = *in.storage;
  return true;
}

const Op custom_op = op<Custom>("custom", "The results of a function that has rules of its own.",
                                {.kind = OpKind::view,
                                 .barrier = true,
                                 .passes = true,
                                 .infer = typed<infer_custom>,
                                 .vjp = vjp_custom,
                                 .jvp = jvp_custom,
                                 .vmap = vmap_custom,
                                 .view = view_custom});

}  // namespace

ArrayList custom_call(const Function& f, const ArrayList& arguments, const Rules& rules) {
  if (!watched()) return f(arguments);
  Trace* const trace = current_trace();
  ArrayList results;
  {
    // No cotangent reaches the ops inside when there is a rule: they need not keep anything for
    // one.
    struct Reverse {
      Trace* trace;
      const bool before;
      ~Reverse() { trace->reverse = before; }
    } restore{trace, trace->reverse};
    if (rules.vjp) trace->reverse = false;
    results = f(arguments);
  }
  if (results.empty()) return results;
  return pass(checked(rules, specs_of(results)), arguments, results);
}

ArrayList checkpoint_call(const Function& f, const ArrayList& arguments) {
  if (!watched()) return f(arguments);
  const auto traced = make_ref<FunctionGraph>(f, specs_of(arguments), "checkpoint");
  // Captured arrays (the parameters of a module) are arguments like the others.
  ArrayList all = arguments;
  const ArrayList captures = traced->captures();
  all.insert(all.end(), captures.begin(), captures.end());
  const Function again = [graph = traced->closed()](const ArrayList& in) { return (*graph)(in); };
  Rules rules;
  const auto back = [again](const ArrayList& primals, const ArrayList& cotangents, bool integers) {
    // Not before the cotangents are there: or the values would be kept after all.
    const ArrayList later = depends(primals, cotangents);
    return vjp(again, later, [&](const ArrayList&) { return cotangents; }, integers).second;
  };
  rules.vjp = [back](const ArrayList& primals, const ArrayList& cotangents, const ArrayList&) {
    return back(primals, cotangents, false);
  };
  rules.vjp_integers = [back](const ArrayList& primals, const ArrayList& cotangents) {
    return back(primals, cotangents, true);
  };
  return custom_call(again, all, rules);
}

}  // namespace lazulite
