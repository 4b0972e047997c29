#include "transform/loops.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "eval/eval.h"
#include "eval/prepared.h"
#include "graph/origin.h"
#include "graph/trace.h"
#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/lanes.h"
#include "ops/ops.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"
#include "transform/traced.h"

namespace lazulite {

namespace {

using GraphRef = Ref<const Graph>;
const Graph::Options hoist_all{.fold_bytes = INT64_MAX};  // what a body computes of captured arrays alone is computed once

Spec slice_of(const Spec& whole) { return {Shape(whole.shape.begin() + 1, whole.shape.end()), whole.type}; }
Spec stacked(const Spec& one, int64_t length) { return {with_front(length, one.shape), one.type}; }

ArrayList part(const ArrayList& list, size_t from, size_t count) { return {list.begin() + from, list.begin() + from + count}; }
ArrayList joined(std::initializer_list<const ArrayList*> lists) {
  ArrayList out;
  for (auto* list : lists) out.insert(out.end(), list->begin(), list->end());
  return out;
}
Arrays as_inputs(const ArrayList& list) {
  Arrays out;
  for (const array& a : list) out.push_back(a);
  return out;
}
ArrayList as_list(const Arrays& arrays) { return {arrays.begin(), arrays.end()}; }
array zeros_as(const Spec& spec) { return constant(0, spec.shape, spec.type); }
array or_zeros(const array& a, const Spec& spec) { return a ? a : zeros_as(spec); }

Stream stream_of(const ArrayList& inputs) { return inputs.empty() ? default_stream() : inputs[0].node()->stream; }

// A carry must keep its shape and dtype.
void check_carry(const char* name, const std::vector<Spec>& got, const ArrayList& init) {
  for (size_t i = 0; i < init.size(); ++i)
    if (got[i].shape != init[i].shape() || got[i].type != init[i].dtype())
      fail(Kind::value, name, "the carried value ", i, " changes its shape or dtype: got ", got[i].type, got[i].shape,
           " from the function, expected ", init[i].dtype(), init[i].shape(), " as at the start");
}

// Values of a running kernel as arrays, and back.
array live(const Bound& b) { return from_storage(*b.spec, *b.storage); }
ArrayList live(const SmallVector<Bound, 3>& in, size_t from, size_t count) {
  ArrayList out;
  for (size_t i = 0; i < count; ++i) out.push_back(live(in[from + i]));
  return out;
}

// A body in a file has no captured arrays.
void write_body(const Graph& body, Tokens& out) {
  ArrayList none;
  body.write(out, none);
}
// What a graph takes and gives, beside arrays of a file.
void check_takes(const char* op, const Graph& graph, const Arrays& in, size_t from) {
  bool fits = graph.arguments() + from == in.size();
  for (size_t i = 0; fits && i < graph.arguments(); ++i)
    fits = graph.argument_specs()[i].type == in[from + i].dtype() && graph.argument_specs()[i].shape == in[from + i].shape();
  if (!fits) fail(Kind::value, op, "the body takes other arrays than it is given");
}
void check_gives(const char* op, const std::vector<Spec>& got, const std::vector<Spec>& wanted, size_t count) {
  bool fits = got.size() >= count && wanted.size() >= count;
  for (size_t i = 0; fits && i < count; ++i) fits = got[i].type == wanted[i].type && got[i].shape == wanted[i].shape;
  if (!fits) fail(Kind::value, op, "the body gives other arrays than it should");
}

// ---- scan

struct Scan final : Attrs {
  GraphRef body;        // (carry..., x..., constant...) -> (carry..., y...)
  int64_t length;
  bool reverse;
  size_t carries, xs;   // how many; the other inputs are constants
  // On a tape that is walked backward the last y are what `back` wants besides:
  size_t shown;         // outputs before them
  GraphRef back;        // (cotangents of the inexact outputs shown..., x..., constant..., kept...) -> those of the inexact inputs...
  bool equal(const Attrs& o) const override { return this == &o; }
  size_t hash() const override { return std::hash<const void*>{}(this); }
  void print(std::ostream& out) const override { out << length << (reverse ? ", reverse" : ""); }
  bool write(Tokens& out) const override {
    for (int64_t v : {length, int64_t(reverse), int64_t(carries), int64_t(xs)}) out.add(v);
    write_body(*body, out);
    return true;
  }
};
const Scan& scan_of(const Node& node) { return static_cast<const Scan&>(*node.attributes); }

Specs infer_scan(const Attrs* attributes, const Arrays&) {
  const Scan& s = *static_cast<const Scan*>(attributes);
  const auto specs = s.body->output_specs();
  Specs out;
  for (size_t i = 0; i < specs.size(); ++i) out.push_back(i < s.carries ? specs[i] : stacked(specs[i], s.length));
  return out;
}

// Runs a graph again and again: planned at the first step, and whenever inputs lie otherwise in memory.
struct Stepper {
  const Function graph;
  std::optional<Prepared> prepared;
  explicit Stepper(Function f) : graph(std::move(f)) {}
  // `specs`: of the inputs. As Prepared::run.
  void run(const std::vector<Spec>& specs, std::vector<Storage> in, std::vector<Storage>& out) {
    if (debugging_nans.load(std::memory_order_relaxed)) return one_by_one(specs, in, out);
    if (!prepared || !prepared->fits(in)) {
      ArrayList leaves;
      for (size_t i = 0; i < in.size(); ++i) leaves.push_back(from_storage(specs[i], {{}, 0, in[i].strides}));
      prepared.emplace(leaves, graph(leaves));
    }
    prepared->run(std::move(in), out);
  }
  // Evaluated as any other graph.
  void one_by_one(const std::vector<Spec>& specs, const std::vector<Storage>& in, std::vector<Storage>& out) const {
    ArrayList leaves;
    for (size_t i = 0; i < in.size(); ++i) leaves.push_back(from_storage(specs[i], in[i]));
    const ArrayList results = graph(leaves);
    eval(results);
    for (size_t i = 0; i < out.size(); ++i) out[i] = results[i].slot().storage;
  }
};

std::vector<Storage> memory_of(const SmallVector<Bound, 3>& in, size_t from, size_t count) {
  std::vector<Storage> out;
  for (size_t i = 0; i < count; ++i) out.push_back(*in[from + i].storage);
  return out;
}

void run_scan(const Call& call) {
  const Scan& s = scan_of(call.node);
  const size_t rows = call.node.out.size() - s.carries;
  std::vector<Storage> carry = memory_of(call.in, 0, s.carries), ys, out;
  const std::vector<Storage> constants = memory_of(call.in, s.carries + s.xs, call.in.size() - s.carries - s.xs);
  for (size_t k = 0; k < rows; ++k) {
    const Spec& spec = call.node.out[s.carries + k].spec;
    ys.push_back({allocate(size_of(spec.shape) * size_of(spec.type)), 0, dense_strides(spec.shape)});
  }
  Stepper body([&](const ArrayList& in) { return (*s.body)(in); });
  for (int64_t step = 0; step < s.length; ++step) {
    const int64_t i = s.reverse ? s.length - 1 - step : step;
    std::vector<Storage> in = std::move(carry);
    for (size_t k = 0; k < s.xs; ++k) {
      const Storage& x = *call.in[s.carries + k].storage;
      in.push_back({x.buffer, x.offset + i * x.strides[0], Strides(x.strides.begin() + 1, x.strides.end())});
    }
    in.insert(in.end(), constants.begin(), constants.end());
    out.assign(call.node.out.size(), {});
    for (size_t k = 0; k < rows; ++k) {  // rows on whole cache lines are written in place
      const Spec row = slice_of(call.node.out[s.carries + k].spec);
      const int64_t n = size_of(row.shape);
      if (n * size_of(row.type) % 64 == 0) out[s.carries + k] = {ys[k].buffer, i * n, dense_strides(row.shape)};
    }
    body.run(s.body->argument_specs(), std::move(in), out);
    for (size_t k = 0; k < rows; ++k) {
      const Spec row = slice_of(call.node.out[s.carries + k].spec);
      const Storage& made = out[s.carries + k];
      const int64_t at = i * size_of(row.shape);
      if (made.buffer == ys[k].buffer && made.offset == at) continue;
      copy_dense(bound(row, made), {ys[k].buffer, at, dense_strides(row.shape)});
    }
    carry.assign(out.begin(), out.begin() + s.carries);
    poll();
  }
  for (size_t i = 0; i < s.carries; ++i) call.placed[i] = std::move(carry[i]);
  for (size_t k = 0; k < rows; ++k) call.placed[s.carries + k] = std::move(ys[k]);
}

// The graph over lanes. Outputs as they come, their axes in `axes`.
ArrayList lanes_of(const Graph& graph, const ArrayList& inputs, const Axes& in_axes, Axes& axes) {
  bool any = false;
  for (int axis : in_axes) any |= axis >= 0;
  if (!any) {
    const ArrayList out = graph(inputs);
    axes = Axes(out.size(), -1);
    return out;
  }
  return vmap([&](const ArrayList& in) { return graph(in); }, inputs, in_axes, axes);
}

// Which values follow from given arguments: `from[i]` for argument i.
std::vector<char> followers(const Graph& graph, std::vector<char> from) {
  from.resize(graph.values(), 0);
  for (const auto& step : graph.steps())
    for (const auto& o : step.in)
      if (o.value >= 0 && from[o.value])
        for (size_t k = 0; k < step.specs.size(); ++k) from[step.first + int64_t(k)] = 1;
  return from;
}
std::vector<int64_t> numbers(int64_t from, int64_t until) {
  std::vector<int64_t> out;
  for (; from < until; ++from) out.push_back(from);
  return out;
}

// The same loop, whose last ys are the values that its derivative needs; `back` is that derivative.
Ref<Scan> keeping(const Scan& plain) {
  const GraphRef body = plain.body;
  const size_t n = body->arguments();
  const auto outputs = body->output_specs();
  std::vector<Spec> specs = body->argument_specs();
  for (const Spec& spec : outputs)
    if (is_inexact(spec.type)) specs.push_back(spec);
  const Graph joint(
      [&](const ArrayList& leaves) {
        auto [values, grads] = vjp([&](const ArrayList& in) { return (*body)(in); }, part(leaves, 0, n), [&](const ArrayList& out) {
          ArrayList cotangents;
          size_t next = n;
          for (const array& o : out) cotangents.push_back(is_inexact(o.dtype()) ? leaves[next++] : array());
          return cotangents;
        });
        for (const array& g : grads)
          if (g) values.push_back(g);
        return values;
      },
      specs, "scan");
  // What depends on cotangents goes back; what it needs besides comes as x or constant, is formed again of
  // these (views too), or is kept.
  const auto& steps = joint.steps();
  std::vector<int> step_of(joint.values(), -1);
  std::vector<char> late(joint.values(), 0), fixed(joint.values(), 0);
  for (size_t i = 0; i < specs.size(); ++i) late[i] = i >= n, fixed[i] = i >= plain.carries + plain.xs && i < n;
  for (size_t s = 0; s < steps.size(); ++s) {
    bool is_late = false, is_fixed = !steps[s].op->barrier;
    for (const auto& o : steps[s].in)
      if (o.value >= 0) is_late |= bool(late[o.value]), is_fixed &= bool(fixed[o.value]);
    for (size_t k = 0; k < steps[s].specs.size(); ++k) {
      step_of[steps[s].first + int64_t(k)] = int(s);
      late[steps[s].first + int64_t(k)] = is_late;
      fixed[steps[s].first + int64_t(k)] = is_fixed && !is_late;
    }
  }
  const std::vector<Graph::Operand> results(joint.outputs().begin(), joint.outputs().begin() + outputs.size());
  const std::vector<Graph::Operand> grads(joint.outputs().begin() + outputs.size(), joint.outputs().end());
  std::vector<int64_t> kept, stack;
  std::vector<char> seen(joint.values(), 0);
  auto need = [&](const Graph::Operand& o) {
    if (o.value < 0 || seen[o.value]) return;
    seen[o.value] = 1;
    const int step = step_of[o.value];
    if (step < 0) {
      if (size_t(o.value) < plain.carries) kept.push_back(o.value);
    } else if (late[o.value] || fixed[o.value] || (steps[step].op->sort == Sort::view && !steps[step].op->barrier)) {
      stack.push_back(step);
    } else {
      kept.push_back(o.value);
    }
  };
  for (const auto& o : grads) need(o);
  while (!stack.empty()) {
    const int step = stack.back();
    stack.pop_back();
    for (const auto& o : steps[step].in) need(o);
  }
  // Of these, elementwise values that follow from others that are kept, or there anyway, are formed again:
  // 1 - y * y beside y.
  std::sort(kept.begin(), kept.end(), std::greater<>());
  std::vector<char> there(joint.values(), 0);
  for (int64_t v : kept) there[v] = 1;
  for (size_t i = plain.carries; i < n; ++i) there[i] = 1;
  std::erase_if(kept, [&](int64_t v) {
    const int step = step_of[v];
    if (step < 0 || steps[step].op->sort != Sort::elementwise) return false;
    for (const auto& o : steps[step].in) {
      const bool number = o.value >= 0 && step_of[o.value] >= 0 && steps[step_of[o.value]].op->sort == Sort::constant;
      if (o.value >= 0 && !number && !there[o.value]) return false;
    }
    return true;
  });
  std::reverse(kept.begin(), kept.end());
  std::vector<int64_t> forward(n), backward;
  for (size_t i = 0; i < n; ++i) forward[i] = int64_t(i);
  for (size_t i = n; i < specs.size(); ++i) backward.push_back(int64_t(i));
  for (size_t i = plain.carries; i < n; ++i) backward.push_back(int64_t(i));
  backward.insert(backward.end(), kept.begin(), kept.end());
  std::vector<Graph::Operand> all = results;
  for (int64_t v : kept) all.push_back({v, {}});
  auto made = make_ref<Scan>(plain);
  made->body = joint.part(forward, all);
  made->shown = outputs.size();
  made->back = joint.part(backward, grads);
  return made;
}

size_t keep_scan(AttrsRef& attributes, const Arrays&) {
  const Scan& s = static_cast<const Scan&>(*attributes);
  if (s.back) return SIZE_MAX;
  const size_t shown = s.body->outputs().size();
  bool inexact = false;
  for (const Spec& spec : s.body->output_specs()) inexact |= is_inexact(spec.type);
  if (inexact) attributes = keeping(s);
  return shown;
}

Arrays vjp_scan(const Node& node, const Arrays& cts, const Needs& needs) {
  const Scan* s = &scan_of(node);
  ArrayList outputs;
  for (uint32_t i = 0; i < node.out.size(); ++i) outputs.push_back(recorded(node, i));
  bool complete = bool(s->back);
  for (size_t i = s->shown; i < cts.size(); ++i) complete &= !cts[i];
  Ref<Scan> made;
  if (!complete) {  // recorded without, or its kept values are differentiated themselves
    made = keeping(*s);
    s = made.get();
    outputs = as_list(record_all(*node.op, AttrsRef(made), node.inputs, node.stream));
  }
  const ArrayList kept = part(outputs, s->shown, outputs.size() - s->shown);
  const ArrayList inputs = as_list(node.inputs);
  const ArrayList xs = part(inputs, s->carries, s->xs), constants = part(inputs, s->carries + s->xs, inputs.size() - s->carries - s->xs);

  // Carried: cotangents of the carry, sums of those of constants. Read: cotangents of ys, xs, kept.
  ArrayList init, rows;
  size_t carried = 0, given = 0;
  for (size_t i = 0; i < s->shown; ++i) {
    const Spec& spec = node.out[i].spec;
    if (!is_inexact(spec.type)) continue;
    (i < s->carries ? init : rows).push_back(or_zeros(i < cts.size() ? cts[i] : array(), spec));
    ++(i < s->carries ? carried : given);
  }
  const size_t inexact_carries = carried;
  std::vector<size_t> wanted_xs, wanted_constants;   // inexact inputs whose cotangents are wanted
  std::vector<Graph::Operand> of_xs, of_constants;   // and these, in `back`
  size_t at = inexact_carries;
  for (size_t i = 0; i < xs.size() + constants.size(); ++i) {
    if (!is_inexact(inputs[s->carries + i].dtype())) continue;
    const Graph::Operand& grad = s->back->outputs()[at++];
    if (!needs[s->carries + i]) continue;
    (i < xs.size() ? wanted_xs : wanted_constants).push_back(i < xs.size() ? i : i - xs.size());
    (i < xs.size() ? of_xs : of_constants).push_back(grad);
  }
  rows.insert(rows.end(), xs.begin(), xs.end());
  rows.insert(rows.end(), kept.begin(), kept.end());

  // A constant's cotangent is the sum over the steps. Where the op that gives it can sum over lanes (products
  // can), the loop gives what that op takes, and it is done once, afterwards.
  const int64_t cotangents = int64_t(carried + given), first_constant = cotangents + int64_t(xs.size()),
                first_kept = first_constant + int64_t(constants.size());
  std::vector<char> from(size_t(cotangents), 1);
  const std::vector<char> late = followers(*s->back, from);
  std::vector<const Graph::Step*> later(wanted_constants.size(), nullptr);
  std::vector<int64_t> emitted;  // late values that such ops take
  for (size_t i = 0; i < wanted_constants.size(); ++i) {
    for (const auto& step : s->back->steps())
      if (of_constants[i].value == step.first && step.op->sum_lanes && step.specs[0].shape.size() == 2) later[i] = &step;
    if (!later[i]) continue;
    for (const auto& o : later[i]->in)
      if (late[o.value] && std::find(emitted.begin(), emitted.end(), o.value) == emitted.end()) emitted.push_back(o.value);
  }
  std::vector<Graph::Operand> results(s->back->outputs().begin(), s->back->outputs().begin() + inexact_carries);
  std::vector<size_t> summed;
  for (size_t i = 0; i < wanted_constants.size(); ++i)
    if (!later[i]) {
      summed.push_back(i);
      results.push_back(of_constants[i]);
      init.push_back(zeros_as(constants[wanted_constants[i]].slot().spec));
    }
  results.insert(results.end(), of_xs.begin(), of_xs.end());
  for (int64_t v : emitted) results.push_back({v, {}});
  const GraphRef body = s->back->part(numbers(0, int64_t(s->back->arguments())), results);
  const size_t carry_count = init.size();
  const ArrayList out = scan(
      [&](const ArrayList& leaves) {
        const ArrayList of_carry = part(leaves, 0, carried), of_rows = part(leaves, carry_count, given),
                        x = part(leaves, carry_count + given, xs.size()),
                        more = part(leaves, carry_count + given + xs.size(), kept.size());
        ArrayList next = (*body)(joined({&of_carry, &of_rows, &x, &constants, &more}));
        for (size_t k = 0; k < summed.size(); ++k) next[carried + k] = add(leaves[carried + k], next[carried + k], default_stream());
        return next;
      },
      init, rows, s->length, !s->reverse);

  Arrays result;
  result.resize(node.inputs.size());
  at = 0;
  for (size_t i = 0; i < s->carries; ++i)
    if (is_inexact(node.inputs[i].dtype())) result[i] = out[at++];
  for (size_t k : summed) result[s->carries + s->xs + wanted_constants[k]] = out[at++];
  for (size_t i : wanted_xs) result[s->carries + i] = out[at++];
  const ArrayList taken = part(out, at, emitted.size());
  for (size_t i = 0; i < later.size(); ++i) {
    if (!later[i]) continue;
    std::vector<int64_t> places = numbers(cotangents, first_kept + int64_t(kept.size()));
    places.insert(places.end(), emitted.begin(), emitted.end());
    Axes axes, found;
    for (int64_t p : places) axes.push_back(p >= first_constant && p < first_kept ? -1 : 0);
    const ArrayList operands = lanes_of(*s->back->part(places, later[i]->in), joined({&xs, &constants, &kept, &taken}), axes, found);
    result[s->carries + s->xs + wanted_constants[i]] = later[i]->op->sum_lanes(as_inputs(operands), found, node.stream);
  }
  return result;
}

// The values of a graph, then the tangents of the inexact ones.
ArrayList jvp_of(const Graph& graph, const ArrayList& primals, const ArrayList& tangents) {
  auto [values, out] = jvp([&](const ArrayList& in) { return graph(in); }, primals, tangents);
  for (size_t i = 0; i < out.size(); ++i)
    if (is_inexact(values[i].dtype())) values.push_back(out[i]);
  return values;
}

Arrays jvp_scan(const Node& node, const Arrays& tangents) {
  const Scan& s = scan_of(node);
  const ArrayList inputs = as_list(node.inputs);
  ArrayList init = part(inputs, 0, s.carries), rows = part(inputs, s.carries, s.xs);
  for (size_t i = 0; i < s.carries; ++i)
    if (is_inexact(inputs[i].dtype())) init.push_back(or_zeros(tangents[i], inputs[i].slot().spec));
  for (size_t i = 0; i < s.xs; ++i)
    if (tangents[s.carries + i]) rows.push_back(tangents[s.carries + i]);
  const size_t carried = init.size();
  const ArrayList out = scan(
      [&](const ArrayList& leaves) {
        ArrayList primals = part(leaves, 0, s.carries), moved;
        size_t at = s.carries;
        for (const array& a : primals) moved.push_back(is_inexact(a.dtype()) ? leaves[at++] : array());
        size_t row = carried + s.xs;
        for (size_t i = 0; i < s.xs; ++i) {
          primals.push_back(leaves[carried + i]);
          moved.push_back(tangents[s.carries + i] ? leaves[row++] : array());
        }
        for (size_t i = s.carries + s.xs; i < inputs.size(); ++i) {
          primals.push_back(inputs[i]);
          moved.push_back(tangents[i]);
        }
        const ArrayList both = jvp_of(*s.body, primals, moved);
        // Carries, their tangents, ys, their tangents.
        const size_t n = node.out.size();
        ArrayList next = part(both, 0, s.carries);
        size_t of_carry = 0;
        for (size_t i = 0; i < s.carries; ++i) of_carry += is_inexact(node.out[i].spec.type);
        const ArrayList a = part(both, n, of_carry), b = part(both, s.carries, n - s.carries), c = part(both, n + of_carry, both.size() - n - of_carry);
        return joined({&next, &a, &b, &c});
      },
      init, rows, s.length, s.reverse);
  Arrays result;
  size_t carry_at = s.carries, row_at = carried + node.out.size() - s.carries;
  for (size_t i = 0; i < node.out.size(); ++i) {
    if (!is_inexact(node.out[i].spec.type)) result.push_back(array());
    else result.push_back(out[i < s.carries ? carry_at++ : row_at++]);
  }
  return result;
}

// ---- batching: a carry is mapped when it begins so, or comes to be so

// Which of the first `carries` outputs are mapped, when these arguments are: found by tracing until it stays.
void settle_axes(const Graph& graph, const std::vector<Spec>& lane_specs, Axes& axes, size_t carries, int64_t lanes) {
  for (bool changed = true; changed;) {
    changed = false;
    std::vector<Spec> specs;
    Axes at;
    for (size_t i = 0; i < lane_specs.size(); ++i) {
      specs.push_back(axes[i] >= 0 ? stacked(lane_specs[i], lanes) : lane_specs[i]);
      at.push_back(axes[i] >= 0 ? 0 : -1);
    }
    Axes found;
    const Graph trial([&](const ArrayList& leaves) { return lanes_of(graph, leaves, at, found); }, specs, "vmap");
    for (size_t i = 0; i < carries; ++i)
      if (found[i] >= 0 && axes[i] < 0) axes[i] = 0, changed = true;
  }
}

Arrays vmap_scan(const Node& node, const Arrays& in, const Axes& in_axes, Axes& out_axes) {
  const Scan& s = scan_of(node);
  const int64_t lanes = lane_count(in, in_axes);
  Axes axes = in_axes;
  settle_axes(*s.body, s.body->argument_specs(), axes, s.carries, lanes);
  ArrayList init, rows, constants;
  Axes body_axes;
  for (size_t i = 0; i < in.size(); ++i) {
    if (i < s.carries) init.push_back(axes[i] >= 0 ? lane_first(in[i], in_axes[i], lanes) : in[i]);
    else if (i < s.carries + s.xs) rows.push_back(axes[i] >= 0 && axes[i] != 1 ? moveaxis(in[i], axes[i], 1) : in[i]);
    else constants.push_back(in[i]);
    body_axes.push_back(i < s.carries + s.xs ? (axes[i] >= 0 ? 0 : -1) : axes[i]);
  }
  Axes found;
  const ArrayList out = scan(
      [&](const ArrayList& leaves) {
        ArrayList next = lanes_of(*s.body, joined({&leaves, &constants}), body_axes, found);
        for (size_t i = 0; i < s.carries; ++i)
          if (axes[i] >= 0) next[i] = lane_first(next[i], found[i], lanes);
        return next;
      },
      init, rows, s.length, s.reverse);
  Arrays result;
  out_axes.clear();
  for (size_t i = 0; i < out.size(); ++i) {
    result.push_back(out[i]);
    if (i < s.carries) out_axes.push_back(axes[i] >= 0 ? 0 : -1);
    else out_axes.push_back(found[i] >= 0 ? found[i] + 1 : -1);
  }
  return result;
}

AttrsRef read_scan(TokenReader& in) {
  auto s = make_ref<Scan>();
  s->length = in.count(INT64_MAX);
  s->reverse = in.count(1) != 0;
  s->carries = size_t(in.count());
  s->xs = size_t(in.count());
  s->body = Graph::read(in, {});
  s->shown = s->body->outputs().size();
  return AttrsRef(s);
}
void check_scan(const Attrs* a, const Arrays& in) {
  const Scan& s = *static_cast<const Scan*>(a);
  if (s.carries + s.xs > in.size()) fail(Kind::value, "scan", "wrong number of inputs: got ", in.size(), ", expected ", s.carries + s.xs, " or more");
  Arrays one;
  for (size_t i = 0; i < in.size(); ++i) {
    const bool row = i >= s.carries && i < s.carries + s.xs;
    if (row && (in[i].ndim() == 0 || in[i].shape()[0] != s.length)) fail(Kind::value, "scan", "wrong number of slices: got ", in[i].shape(), ", expected ", s.length);
    one.push_back(row ? constant(0, slice_of(in[i].slot().spec).shape, in[i].dtype()) : in[i]);
  }
  check_takes("scan", *s.body, one, 0);
  check_gives("scan", s.body->output_specs(), s.body->argument_specs(), s.carries);
  for (const Spec& spec : s.body->output_specs()) check_sizes("scan", with_front(s.length, spec.shape));
}

const Op scan_op{.name = "scan", .doc = "A loop over the slices of arrays that carries values along.", .barrier = true,
                 .places = true, .slow = true, .read = read_scan, .check = check_scan, .infer = infer_scan, .vjp = vjp_scan, .jvp = jvp_scan, .keep = keep_scan,
                 .vmap = vmap_scan, .kernel = run_scan};

// ---- while_loop

struct While final : Attrs {
  GraphRef test, body;  // (carry..., constant...) -> bool; -> carry...
  size_t carries;
  bool equal(const Attrs& o) const override { return this == &o; }
  size_t hash() const override { return std::hash<const void*>{}(this); }
  void print(std::ostream& out) const override { out << carries; }
  bool write(Tokens& out) const override {
    out.add(int64_t(carries));
    write_body(*test, out);
    write_body(*body, out);
    return true;
  }
};
const While& while_of(const Node& node) { return static_cast<const While&>(*node.attributes); }

Specs infer_while(const Attrs* attributes, const Arrays&) {
  Specs out;
  for (const Spec& spec : static_cast<const While*>(attributes)->body->output_specs()) out.push_back(spec);
  return out;
}

void run_while(const Call& call) {
  const While& w = while_of(call.node);
  std::vector<Storage> carry = memory_of(call.in, 0, w.carries), out(1);
  const std::vector<Storage> constants = memory_of(call.in, w.carries, call.in.size() - w.carries);
  auto in = [&] {
    std::vector<Storage> all = std::move(carry);
    all.insert(all.end(), constants.begin(), constants.end());
    return all;
  };
  auto holds = [](const Storage& flag) { return static_cast<const bool*>(flag.buffer->data)[flag.offset]; };
  const std::vector<Storage> start = carry;
  Stepper first([&](const ArrayList& x) { return (*w.test)(x); });
  first.run(w.test->argument_specs(), in(), out);
  carry = start;
  Stepper body([&](const ArrayList& x) {
    ArrayList next = (*w.body)(x);
    const ArrayList fixed = part(x, w.carries, x.size() - w.carries), go = (*w.test)(joined({&next, &fixed}));
    next.push_back(go[0]);
    return next;
  });
  while (holds(out.back())) {
    out.assign(w.carries + 1, {});
    body.run(w.body->argument_specs(), in(), out);
    carry.assign(out.begin(), out.begin() + w.carries);
    poll();
  }
  for (size_t i = 0; i < w.carries; ++i) call.placed[i] = std::move(carry[i]);
}

Arrays vjp_while(const Node&, const Arrays&, const Needs&) {
  fail(Kind::value, "while_loop", "has no reverse derivative, since its number of steps is not known: got a gradient for its "
       "result, expected fori_loop with bounds that are numbers, scan, or jvp");
}

Arrays jvp_while(const Node& node, const Arrays& tangents) {
  const While& w = while_of(node);
  const ArrayList inputs = as_list(node.inputs);
  ArrayList init = part(inputs, 0, w.carries);
  const ArrayList constants = part(inputs, w.carries, inputs.size() - w.carries);
  for (size_t i = 0; i < w.carries; ++i)
    if (is_inexact(inputs[i].dtype())) init.push_back(or_zeros(tangents[i], inputs[i].slot().spec));
  const ArrayList out = while_loop(
      [&](const ArrayList& leaves) {
        const ArrayList carry = part(leaves, 0, w.carries);
        return (*w.test)(joined({&carry, &constants}));
      },
      [&](const ArrayList& leaves) {
        ArrayList primals = part(leaves, 0, w.carries), moved;
        size_t at = w.carries;
        for (const array& a : primals) moved.push_back(is_inexact(a.dtype()) ? leaves[at++] : array());
        for (size_t i = w.carries; i < inputs.size(); ++i) {
          primals.push_back(inputs[i]);
          moved.push_back(tangents[i]);
        }
        return jvp_of(*w.body, primals, moved);
      },
      init);
  Arrays result;
  size_t at = w.carries;
  for (size_t i = 0; i < w.carries; ++i) result.push_back(is_inexact(node.out[i].spec.type) ? out[at++] : array());
  return result;
}

// A bool for each lane, in the shape of a value with lanes in front.
array for_lanes(const array& flags, const array& like) {
  Shape shape(like.ndim(), 1);
  shape[0] = flags.size();
  return reshape(flags, shape);
}

Arrays vmap_while(const Node& node, const Arrays& in, const Axes& in_axes, Axes& out_axes) {
  const While& w = while_of(node);
  const int64_t lanes = lane_count(in, in_axes);
  const ArrayList constants = part(as_list(in), w.carries, in.size() - w.carries);
  const Axes constant_axes(in_axes.begin() + w.carries, in_axes.end());
  Axes axes = in_axes;
  settle_axes(*w.body, w.body->argument_specs(), axes, w.carries, lanes);
  // Is the test mapped?
  Axes tested;
  {
    std::vector<Spec> specs;
    Axes at;
    for (size_t i = 0; i < in.size(); ++i) {
      const Spec& spec = w.test->argument_specs()[i];
      specs.push_back(axes[i] >= 0 ? stacked(spec, lanes) : spec);
      at.push_back(axes[i] >= 0 ? 0 : -1);
    }
    const Graph trial([&](const ArrayList& leaves) { return lanes_of(*w.test, leaves, at, tested); }, specs, "vmap");
  }
  const bool each = tested[0] >= 0;
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
  for (size_t i = 0; i < w.carries; ++i) init.push_back(axes[i] >= 0 ? lane_first(in[i], in_axes[i], lanes) : in[i]);
  ArrayList out;
  if (!each) {
    out = while_loop([&](const ArrayList& leaves) { return ArrayList{test(leaves)}; }, body, init);
  } else {  // lanes that are done keep their values while others go on
    init.insert(init.begin(), test(init));
    out = while_loop(
        [&](const ArrayList& leaves) { return ArrayList{any(leaves[0])}; },
        [&](const ArrayList& leaves) {
          const ArrayList old = part(leaves, 1, w.carries);
          ArrayList next = body(old);
          for (size_t i = 0; i < next.size(); ++i) next[i] = where(for_lanes(leaves[0], next[i]), next[i], old[i]);
          next.insert(next.begin(), logical_and(leaves[0], test(next)));
          return next;
        },
        init);
    out.erase(out.begin());
  }
  out_axes = carry_axes;
  return as_inputs(out);
}

AttrsRef read_while(TokenReader& in) {
  auto w = make_ref<While>();
  w->carries = size_t(in.count());
  w->test = Graph::read(in, {});
  w->body = Graph::read(in, {});
  return AttrsRef(w);
}
void check_while(const Attrs* a, const Arrays& in) {
  const While& w = *static_cast<const While*>(a);
  check_takes("while_loop", *w.test, in, 0);
  check_takes("while_loop", *w.body, in, 0);
  check_gives("while_loop", w.test->output_specs(), {Spec{{}, bool_}}, 1);
  check_gives("while_loop", w.body->output_specs(), w.body->argument_specs(), w.carries);
  if (w.carries == 0 || w.body->outputs().size() != w.carries) fail(Kind::value, "while_loop", "the body gives other arrays than it should");
}

const Op while_op{.name = "while_loop", .doc = "A loop that goes on while its test holds.", .barrier = true, .places = true,
                  .slow = true, .read = read_while, .check = check_while, .infer = infer_while, .vjp = vjp_while, .jvp = jvp_while, .vmap = vmap_while,
                  .kernel = run_while};

// ---- cond

struct Branches final : Attrs {
  GraphRef yes, no;  // (operand..., constant...) -> output...
  bool equal(const Attrs& o) const override { return this == &o; }
  size_t hash() const override { return std::hash<const void*>{}(this); }
  void print(std::ostream&) const override {}
  bool write(Tokens& out) const override {
    write_body(*yes, out);
    write_body(*no, out);
    return true;
  }
};
const Branches& branches_of(const Node& node) { return static_cast<const Branches&>(*node.attributes); }

Specs infer_cond(const Attrs* attributes, const Arrays&) {
  Specs out;
  for (const Spec& spec : static_cast<const Branches*>(attributes)->yes->output_specs()) out.push_back(spec);
  return out;
}

void run_cond(const Call& call) {
  const Branches& b = branches_of(call.node);
  ArrayList out = (live(call.in[0]).item<bool>() ? *b.yes : *b.no)(live(call.in, 1, call.in.size() - 1));
  eval(out);
  for (size_t i = 0; i < out.size(); ++i) call.placed[i] = out[i].slot().storage;
}

// The cotangents of wanted inputs: each branch computes its values again and goes back.
Arrays vjp_cond(const Node& node, const Arrays& cts, const Needs& needs) {
  const Branches& b = branches_of(node);
  const ArrayList inputs = part(as_list(node.inputs), 1, node.inputs.size() - 1);
  auto way = [&](const Graph& graph) {
    return [&](const ArrayList& in) {
      const ArrayList grads = vjp([&](const ArrayList& x) { return graph(x); }, in, [&](const ArrayList&) { return as_list(cts); }).second;
      ArrayList out;
      for (size_t i = 0; i < grads.size(); ++i)
        if (needs[i + 1]) out.push_back(grads[i]);
      return out;
    };
  };
  const ArrayList out = cond(node.inputs[0], way(*b.yes), way(*b.no), inputs);
  Arrays result;
  result.resize(node.inputs.size());
  size_t at = 0;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (needs[i + 1]) result[i + 1] = out[at++];
  return result;
}

Arrays jvp_cond(const Node& node, const Arrays& tangents) {
  const Branches& b = branches_of(node);
  ArrayList inputs = part(as_list(node.inputs), 1, node.inputs.size() - 1);
  const size_t n = inputs.size();
  for (size_t i = 0; i < n; ++i)
    if (tangents[i + 1]) inputs.push_back(tangents[i + 1]);
  auto way = [&](const Graph& graph) {
    return [&](const ArrayList& in) {
      ArrayList moved;
      size_t at = n;
      for (size_t i = 0; i < n; ++i) moved.push_back(tangents[i + 1] ? in[at++] : array());
      const ArrayList both = jvp_of(graph, part(in, 0, n), moved);
      return part(both, node.out.size(), both.size() - node.out.size());
    };
  };
  const ArrayList out = cond(node.inputs[0], way(*b.yes), way(*b.no), inputs);
  Arrays result;
  size_t at = 0;
  for (const Slot& slot : node.out) result.push_back(is_inexact(slot.spec.type) ? out[at++] : array());
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
    const ArrayList yes = lanes_of(*b.yes, inputs, axes, yes_axes), no = lanes_of(*b.no, inputs, axes, no_axes);
    Arrays out;
    for (size_t i = 0; i < n; ++i) {
      const array x = lane_first(yes[i], yes_axes[i], lanes), y = lane_first(no[i], no_axes[i], lanes);
      out.push_back(where(for_lanes(in[0], x), x, y));
    }
    out_axes = Axes(n, 0);
    return out;
  }
  auto way = [&](const Graph& graph) {
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
  b->yes = Graph::read(in, {});
  b->no = Graph::read(in, {});
  return AttrsRef(b);
}
void check_cond(const Attrs* a, const Arrays& in) {
  const Branches& b = *static_cast<const Branches*>(a);
  if (in.empty() || in[0].dtype() != bool_ || in[0].ndim()) fail(Kind::value, "cond", "the predicate must be a 0-d bool");
  check_takes("cond", *b.yes, in, 1);
  check_takes("cond", *b.no, in, 1);
  check_gives("cond", b.no->output_specs(), b.yes->output_specs(), std::max(b.yes->outputs().size(), b.no->outputs().size()));
}

const Op cond_op{.name = "cond", .doc = "The results of one of two functions.", .barrier = true, .places = true, .slow = true,
                 .read = read_cond, .check = check_cond, .infer = infer_cond, .vjp = vjp_cond, .jvp = jvp_cond, .vmap = vmap_cond,
                 .kernel = run_cond};

std::vector<Spec> specs_of(const ArrayList& arrays) {
  std::vector<Spec> out;
  for (const array& a : arrays) out.push_back(a.slot().spec);
  return out;
}

// Two graphs of the same arguments, closed over what both capture.
ArrayList close_both(GraphRef& a, GraphRef& b) {
  const ArrayList of_a = a->captures(), of_b = b->captures();
  const int64_t n = int64_t(a->arguments()), x = int64_t(of_a.size()), y = int64_t(of_b.size());
  // Renumbered so that both take all: arguments, then those of a, then those of b.
  auto widened = [&](const GraphRef& graph, int64_t from) {
    const GraphRef closed = graph->closed();
    std::vector<Spec> specs = graph->argument_specs();
    for (const ArrayList* list : {&of_a, &of_b})
      for (const array& c : *list) specs.push_back(c.slot().spec);
    const int64_t own = int64_t(closed->arguments()), shift = n + x + y - own;
    auto moved = [&](Graph::Operand o) {
      if (o.value >= own) o.value += shift;
      else if (o.value >= n) o.value += from;
      return o;
    };
    std::vector<Graph::Step> steps = closed->steps();
    for (auto& step : steps)
      for (auto& o : step.in) o = moved(o);
    std::vector<Graph::Operand> outputs;
    for (const auto& o : closed->outputs()) outputs.push_back(moved(o));
    return make_ref<const Graph>(std::move(specs), std::move(steps), std::move(outputs));
  };
  a = widened(a, 0);
  b = widened(b, x);
  return joined({&of_a, &of_b});
}

// Products of slices alone (x @ w, not of the carry) are made of all slices at once, before the loop: rows that
// the body reads. Only where these are not much larger than xs.
GraphRef before_loop(GraphRef body, ArrayList& xs, size_t carries, ArrayList& constants, int64_t length) {
  constexpr int64_t much = 8;
  const int64_t first_constant = int64_t(carries + xs.size()), n = int64_t(body->arguments());
  std::vector<char> from(carries, 1);
  const std::vector<char> of_carry = followers(*body, from);
  std::vector<char> heavy(body->values(), 0), wanted(body->values(), 0);
  for (const auto& step : body->steps()) {
    bool product = step.op->flops != nullptr, own = !step.op->barrier;
    for (const auto& o : step.in)
      if (o.value >= 0) product |= bool(heavy[o.value]), own &= !of_carry[o.value];
    for (size_t k = 0; k < step.specs.size(); ++k) heavy[step.first + int64_t(k)] = product && own;
  }
  auto want = [&](const Graph::Operand& o) {
    if (o.value >= 0 && heavy[o.value]) wanted[o.value] = 1;
  };
  std::vector<Spec> specs = body->argument_specs();
  for (const auto& step : body->steps()) {
    specs.insert(specs.end(), step.specs.begin(), step.specs.end());
    bool stays = false;
    for (size_t k = 0; k < step.specs.size(); ++k) stays |= !heavy[step.first + int64_t(k)];
    if (stays)
      for (const auto& o : step.in) want(o);
  }
  for (const auto& o : body->outputs()) want(o);
  std::vector<int64_t> made;
  std::vector<Graph::Operand> made_operands;
  int64_t bytes = 0, before = 0;
  for (int64_t v = 0; v < body->values(); ++v)
    if (wanted[v]) {
      made.push_back(v);
      made_operands.push_back({v, {}});
      bytes += size_of(specs[v].shape) * size_of(specs[v].type);
    }
  for (int64_t i = int64_t(carries); i < first_constant; ++i) before += size_of(specs[i].shape) * size_of(specs[i].type);
  if (made.empty() || bytes > much * before) return body;

  Axes axes, found;
  for (int64_t i = int64_t(carries); i < n; ++i) axes.push_back(i < first_constant ? 0 : -1);
  ArrayList rows = lanes_of(*body->part(numbers(int64_t(carries), n), made_operands), joined({&xs, &constants}), axes, found);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = lane_first(rows[i], found[i], length);
  // What nothing else reads is not an input of the loop.
  std::vector<char> read(body->values(), 0);
  const GraphRef rest = [&] {
    std::vector<int64_t> all = numbers(0, first_constant);
    all.insert(all.end(), made.begin(), made.end());
    for (int64_t i = first_constant; i < n; ++i) all.push_back(i);
    return body->part(all, body->outputs());
  }();
  for (const auto& step : rest->steps())
    for (const auto& o : step.in)
      if (o.value >= 0) read[o.value] = 1;
  for (const auto& o : rest->outputs())
    if (o.value >= 0) read[o.value] = 1;
  std::vector<int64_t> arguments = numbers(0, int64_t(carries));
  ArrayList used, fixed;
  for (int64_t i = int64_t(carries); i < int64_t(rest->arguments()); ++i) {
    if (!read[i]) continue;
    arguments.push_back(i);
    const int64_t row = i - first_constant, constant = row - int64_t(made.size());
    if (constant >= 0) fixed.push_back(constants[size_t(constant)]);
    else used.push_back(row < 0 ? xs[size_t(i) - carries] : rows[size_t(row)]);
  }
  xs = std::move(used);
  constants = std::move(fixed);
  return rest->part(arguments, rest->outputs());
}

}  // namespace

OpList loop_ops() { return {&scan_op, &while_op, &cond_op}; }

ArrayList scan(const Function& f, const ArrayList& init, const ArrayList& slices, int64_t length, bool reverse) {
  ArrayList xs = slices;
  if (length < 0) fail(Kind::value, "scan", "negative length: got ", length);
  std::vector<Spec> specs = specs_of(init);
  for (const array& x : xs) {
    if (x.ndim() == 0 || x.shape()[0] != length)
      fail(Kind::value, "scan", "arrays to loop over differ in their first axis: got shape ", x.shape(), ", expected ", length, " slices");
    specs.push_back(slice_of(x.slot().spec));
  }
  const Graph traced(f, specs, "scan", hoist_all);
  const auto outputs = traced.output_specs();
  if (outputs.size() < init.size())
    fail(Kind::value, "scan", "the function gives fewer values than it carries: got ", outputs.size(), ", expected at least ", init.size());
  check_carry("scan", outputs, init);
  auto attributes = make_ref<Scan>();
  ArrayList constants = traced.captures();
  attributes->body = before_loop(traced.closed(), xs, init.size(), constants, length);
  attributes->length = length;
  attributes->reverse = reverse;
  attributes->carries = init.size();
  attributes->xs = xs.size();
  attributes->shown = outputs.size();
  const ArrayList inputs = joined({&init, &xs, &constants});
  if (outputs.empty()) return {};
  return as_list(record_all(scan_op, AttrsRef(std::move(attributes)), as_inputs(inputs), stream_of(inputs)));
}

ArrayList while_loop(const Function& test, const Function& body, const ArrayList& init) {
  const auto specs = specs_of(init);
  GraphRef go = make_ref<const Graph>(test, specs, "while_loop", hoist_all);
  GraphRef step = make_ref<const Graph>(body, specs, "while_loop", hoist_all);
  const auto tested = go->output_specs();
  if (tested.size() != 1 || !tested[0].shape.empty() || tested[0].type != bool_)
    fail(Kind::value, "while_loop", "the test must give one 0-d bool: got ",
         tested.size() == 1 ? tested[0].type : bool_, tested.empty() ? Shape{0} : tested[0].shape, " (", tested.size(), " values)");
  if (step->outputs().size() != init.size())
    fail(Kind::value, "while_loop", "the body must give what it takes: got ", step->outputs().size(), " values, expected ", init.size());
  check_carry("while_loop", step->output_specs(), init);
  auto attributes = make_ref<While>();
  const ArrayList constants = close_both(go, step), inputs = joined({&init, &constants});
  attributes->test = go;
  attributes->body = step;
  attributes->carries = init.size();
  if (init.empty()) fail(Kind::value, "while_loop", "nothing is carried: got no arrays, expected at least one");
  return as_list(record_all(while_op, AttrsRef(std::move(attributes)), as_inputs(inputs), stream_of(inputs)));
}

ArrayList fori_loop(int64_t lower, int64_t upper, const Function& body, const ArrayList& init) {
  const int64_t length = std::max<int64_t>(0, upper - lower);
  return scan(
      [&](const ArrayList& leaves) {
        ArrayList in{leaves.back()};
        in.insert(in.end(), leaves.begin(), leaves.end() - 1);
        return body(in);
      },
      init, {length ? arange(lower, upper, 1, int32) : zeros({0}, int32)}, length);
}

ArrayList cond(const array& predicate, const Function& yes, const Function& no, const ArrayList& operands) {
  if (!predicate.shape().empty() || predicate.dtype() != bool_)
    fail(Kind::value, "cond", "the predicate must be a 0-d bool: got ", predicate.dtype(), predicate.shape());
  const auto specs = specs_of(operands);
  GraphRef a = make_ref<const Graph>(yes, specs, "cond");
  GraphRef b = make_ref<const Graph>(no, specs, "cond");
  const auto x = a->output_specs(), y = b->output_specs();
  if (x.size() != y.size())
    fail(Kind::value, "cond", "the two functions give different numbers of arrays: got ", x.size(), " and ", y.size());
  for (size_t i = 0; i < x.size(); ++i)
    if (x[i].shape != y[i].shape || x[i].type != y[i].type)
      fail(Kind::value, "cond", "the two functions give different results: got ", x[i].type, x[i].shape, " and ", y[i].type, y[i].shape,
           " for value ", i);
  if (x.empty()) return {};
  auto attributes = make_ref<Branches>();
  const ArrayList constants = close_both(a, b), first{predicate}, inputs = joined({&first, &operands, &constants});
  attributes->yes = a;
  attributes->no = b;
  return as_list(record_all(cond_op, AttrsRef(std::move(attributes)), as_inputs(inputs), stream_of(inputs)));
}

}  // namespace lazulite
