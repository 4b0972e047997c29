#include <algorithm>
#include <functional>

#include "eval/eval.h"
#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/lanes.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"
#include "transform/control_flow/bodies.h"
#include "transform/find_op.h"
#include "transform/control_flow/loops.h"

namespace lazulite {

using namespace bodies;

namespace {

struct Scan final : OwnAttrs {
  GraphRef body;        // (carry..., x..., constant...) -> (carry..., y...)
  int64_t length;
  bool reverse;
  size_t carries, xs;   // how many; the other inputs are constants
  // On a tape that is walked backward the last y are what `back` wants besides:
  size_t shown;         // outputs before them
  GraphRef back;  // (cotangents of the outputs shown..., x..., constant..., kept...) -> those of
                  // the inputs...; of the inexact ones, or with `integers` of all
  bool integers = false;
  void print(std::ostream& out) const override {
    out << "length=" << length << ", reverse=" << (reverse ? "true" : "false");
  }
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
  for (size_t i = 0; i < specs.size(); ++i)
    out.push_back(i < s.carries ? specs[i] : stacked(specs[i], s.length));
  return out;
}

void run_scan(const KernelCall& call) {
  const Scan& s = scan_of(call.node);
  const size_t rows = call.node.out.size() - s.carries;
  std::vector<Storage> carry = memory_of(call.in, 0, s.carries), ys, out;
  const std::vector<Storage> constants =
      memory_of(call.in, s.carries + s.xs, call.in.size() - s.carries - s.xs);
  for (size_t k = 0; k < rows; ++k) {
    const Spec& spec = call.node.out[s.carries + k].spec;
    ys.push_back(
        {allocate(size_of(spec.shape) * size_of(spec.type)), 0, dense_strides(spec.shape)});
  }
  Stepper body([&](const ArrayList& in) { return (*s.body)(in); });
  for (int64_t step = 0; step < s.length; ++step) {
    const int64_t i = s.reverse ? s.length - 1 - step : step;
    std::vector<Storage> in = std::move(carry);
    for (size_t k = 0; k < s.xs; ++k) {
      const Storage& x = *call.in[s.carries + k].storage;
      in.push_back(
          {x.buffer, x.offset + i * x.strides[0], Strides(x.strides.begin() + 1, x.strides.end())});
    }
    in.insert(in.end(), constants.begin(), constants.end());
    out.assign(call.node.out.size(), {});
    for (size_t k = 0; k < rows; ++k) {  // rows on whole cache lines are written in place
      const Spec row = slice_of(call.node.out[s.carries + k].spec);
      const int64_t n = size_of(row.shape);
      if (n * size_of(row.type) % 64 == 0)
        out[s.carries + k] = {ys[k].buffer, i * n, dense_strides(row.shape)};
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
    if (step % 16 == 15) poll();
  }
  for (size_t i = 0; i < s.carries; ++i) call.placed[i] = std::move(carry[i]);
  for (size_t k = 0; k < rows; ++k) call.placed[s.carries + k] = std::move(ys[k]);
}

// The same loop, whose last ys are the values that its derivative needs; `back` is that derivative.
Ref<Scan> keeping(const Scan& plain, bool integers) {
  const GraphRef body = plain.body;
  const size_t n = body->arguments();
  const auto outputs = body->output_specs();
  std::vector<Spec> specs = body->argument_specs();
  for (const Spec& spec : outputs)
    if (follows(spec.type, integers)) specs.push_back(spec);
  const FunctionGraph joint(
      [&](const ArrayList& leaves) {
        auto [values, grads] =
            vjp([&](const ArrayList& in) { return (*body)(in); }, part(leaves, 0, n),
                [&](const ArrayList& out) {
                  ArrayList cotangents;
                  size_t next = n;
                  for (const array& o : out)
                    cotangents.push_back(follows(o.dtype(), integers) ? leaves[next++] : array());
                  return cotangents;
                },
                integers);
        for (const array& g : grads)
          if (g) values.push_back(g);
        return values;
      },
      specs, "scan");
  // What depends on cotangents goes back; what it needs besides comes as x or constant, is formed
  // again of these (views too), or is kept.
  const auto& steps = joint.steps();
  std::vector<int> step_of(joint.values(), -1);
  std::vector<char> late(joint.values(), 0), fixed(joint.values(), 0);
  // What a rule made of arrays of its own is formed on the way back: this loop does not take those.
  std::vector<char> foreign(joint.values(), 0);
  for (size_t i = 0; i < specs.size(); ++i)
    late[i] = i >= n, fixed[i] = i >= plain.carries + plain.xs && i < n;
  for (size_t s = 0; s < steps.size(); ++s) {
    bool is_late = false, is_fixed = !steps[s].op->barrier;
    bool is_foreign = false;
    for (const auto& o : steps[s].in)
      if (o.value >= 0) {
        is_late |= bool(late[o.value]), is_fixed &= bool(fixed[o.value]);
        is_foreign |= bool(foreign[o.value]);
      } else {
        is_foreign = true;
      }
    for (size_t k = 0; k < steps[s].specs.size(); ++k) {
      step_of[steps[s].first + int64_t(k)] = int(s);
      late[steps[s].first + int64_t(k)] = is_late;
      foreign[steps[s].first + int64_t(k)] = is_foreign;
      fixed[steps[s].first + int64_t(k)] = is_fixed && !is_late;
    }
  }
  const std::vector<FunctionGraph::Operand> results(joint.outputs().begin(),
                                            joint.outputs().begin() + outputs.size());
  const std::vector<FunctionGraph::Operand> grads(joint.outputs().begin() + outputs.size(),
                                          joint.outputs().end());
  std::vector<int64_t> kept, stack;
  std::vector<char> seen(joint.values(), 0);
  auto need = [&](const FunctionGraph::Operand& o) {
    if (o.value < 0 || seen[o.value]) return;
    seen[o.value] = 1;
    const int step = step_of[o.value];
    if (step < 0) {
      if (size_t(o.value) < plain.carries) kept.push_back(o.value);
    } else if (late[o.value] || fixed[o.value] || foreign[o.value] ||
               (steps[step].op->kind == OpKind::view && !steps[step].op->barrier)) {
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
  // Of these, elementwise values that follow from others that are kept, or there anyway, are formed
  // again: 1 - y * y beside y.
  std::sort(kept.begin(), kept.end(), std::greater<>());
  std::vector<char> there(joint.values(), 0);
  for (int64_t v : kept) there[v] = 1;
  for (size_t i = plain.carries; i < n; ++i) there[i] = 1;
  std::erase_if(kept, [&](int64_t v) {
    const int step = step_of[v];
    if (step < 0 || steps[step].op->kind != OpKind::elementwise) return false;
    for (const auto& o : steps[step].in) {
      const bool number = o.value >= 0 && step_of[o.value] >= 0 &&
                          steps[step_of[o.value]].op->kind == OpKind::constant;
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
  std::vector<FunctionGraph::Operand> all = results;
  for (int64_t v : kept) all.push_back({v, {}});
  auto made = make_ref<Scan>(plain);
  made->body = joint.part(forward, all);
  made->shown = outputs.size();
  made->back = joint.part(backward, grads);
  made->integers = integers;
  return made;
}

size_t keep_scan(AttrsRef& attributes, const Arrays&) {
  const Scan& s = static_cast<const Scan&>(*attributes);
  if (s.back) return SIZE_MAX;
  const size_t shown = s.body->outputs().size();
  bool inexact = false;
  for (const Spec& spec : s.body->output_specs()) inexact |= is_inexact(spec.type);
  if (inexact) attributes = keeping(s, false);
  return shown;
}

Arrays vjp_scan(const Node& node, const Arrays& cts, const Needs& needs) {
  const Scan* s = &scan_of(node);
  ArrayList outputs;
  for (uint32_t i = 0; i < node.out.size(); ++i) outputs.push_back(recorded(node, i));
  const bool integers = any_integer(node.inputs, needs);
  bool complete = s->back && s->integers == integers;
  for (size_t i = s->shown; i < cts.size(); ++i) complete &= !cts[i];
  Ref<Scan> made;
  if (!complete) {  // recorded without, or its kept values are differentiated themselves
    made = keeping(*s, integers);
    s = made.get();
    outputs = as_list(record_all(*node.op, AttrsRef(made), node.inputs, node.stream));
  }
  const ArrayList kept = part(outputs, s->shown, outputs.size() - s->shown);
  const ArrayList inputs = as_list(node.inputs);
  const ArrayList xs = part(inputs, s->carries, s->xs),
                  constants = part(inputs, s->carries + s->xs, inputs.size() - s->carries - s->xs);

  // Carried: cotangents of the carry, sums of those of constants. Read: cotangents of ys, xs, kept.
  ArrayList init, rows;
  size_t carried = 0, given = 0;
  for (size_t i = 0; i < s->shown; ++i) {
    const Spec& spec = node.out[i].spec;
    if (!follows(spec.type, integers)) continue;
    (i < s->carries ? init : rows).push_back(or_zeros(i < cts.size() ? cts[i] : array(), spec));
    ++(i < s->carries ? carried : given);
  }
  const size_t inexact_carries = carried;
  std::vector<size_t> wanted_xs, wanted_constants;   // inexact inputs whose cotangents are wanted
  std::vector<FunctionGraph::Operand> of_xs, of_constants;   // and these, in `back`
  size_t at = inexact_carries;
  for (size_t i = 0; i < xs.size() + constants.size(); ++i) {
    if (!follows(inputs[s->carries + i].dtype(), integers)) continue;
    const FunctionGraph::Operand& grad = s->back->outputs()[at++];
    if (!needs[s->carries + i]) continue;
    (i < xs.size() ? wanted_xs : wanted_constants).push_back(i < xs.size() ? i : i - xs.size());
    (i < xs.size() ? of_xs : of_constants).push_back(grad);
  }
  rows.insert(rows.end(), xs.begin(), xs.end());
  rows.insert(rows.end(), kept.begin(), kept.end());

  // A constant's cotangent is the sum over the steps. Where the op that gives it can sum over lanes
  // (products can), the loop gives what that op takes, and it is done once, afterwards.
  const int64_t cotangents = int64_t(carried + given),
                first_constant = cotangents + int64_t(xs.size()),
                first_kept = first_constant + int64_t(constants.size());
  std::vector<char> from(size_t(cotangents), 1);
  const std::vector<char> late = followers(*s->back, from);
  std::vector<const FunctionGraph::Step*> later(wanted_constants.size(), nullptr);
  std::vector<int64_t> emitted;  // late values that such ops take
  for (size_t i = 0; i < wanted_constants.size(); ++i) {
    for (const auto& step : s->back->steps())
      if (of_constants[i].value == step.first && step.op->sum_lanes &&
          step.specs[0].shape.size() == 2)
        later[i] = &step;
    if (!later[i]) continue;
    for (const auto& o : later[i]->in)
      if (late[o.value] && std::find(emitted.begin(), emitted.end(), o.value) == emitted.end())
        emitted.push_back(o.value);
  }
  std::vector<FunctionGraph::Operand> results(s->back->outputs().begin(),
                                      s->back->outputs().begin() + inexact_carries);
  std::vector<size_t> summed;
  for (size_t i = 0; i < wanted_constants.size(); ++i)
    if (!later[i]) {
      summed.push_back(i);
      results.push_back(of_constants[i]);
      init.push_back(zeros_as(constants[wanted_constants[i]].slot().spec));
    }
  results.insert(results.end(), of_xs.begin(), of_xs.end());
  for (int64_t v : emitted) results.push_back({v, {}});
  const GraphRef body = s->back->part(value_range(0, int64_t(s->back->arguments())), results);
  const size_t carry_count = init.size();
  const ArrayList out = scan(
      [&](const ArrayList& leaves) {
        const ArrayList of_carry = part(leaves, 0, carried),
                        of_rows = part(leaves, carry_count, given),
                        x = part(leaves, carry_count + given, xs.size()),
                        more = part(leaves, carry_count + given + xs.size(), kept.size());
        ArrayList next = (*body)(joined({&of_carry, &of_rows, &x, &constants, &more}));
        for (size_t k = 0; k < summed.size(); ++k)
          next[carried + k] = add(leaves[carried + k], next[carried + k], default_stream());
        return next;
      },
      init, rows, s->length, !s->reverse);

  Arrays result;
  result.resize(node.inputs.size());
  at = 0;
  for (size_t i = 0; i < s->carries; ++i)
    if (follows(node.inputs[i].dtype(), integers)) result[i] = out[at++];
  for (size_t k : summed) result[s->carries + s->xs + wanted_constants[k]] = out[at++];
  for (size_t i : wanted_xs) result[s->carries + i] = out[at++];
  const ArrayList taken = part(out, at, emitted.size());
  for (size_t i = 0; i < later.size(); ++i) {
    if (!later[i]) continue;
    std::vector<int64_t> places = value_range(cotangents, first_kept + int64_t(kept.size()));
    places.insert(places.end(), emitted.begin(), emitted.end());
    Axes axes, found;
    for (int64_t p : places) axes.push_back(p >= first_constant && p < first_kept ? -1 : 0);
    const ArrayList operands = lanes_of(*s->back->part(places, later[i]->in),
                                        joined({&xs, &constants, &kept, &taken}), axes, found);
    result[s->carries + s->xs + wanted_constants[i]] =
        later[i]->op->sum_lanes(as_inputs(operands), found, node.stream);
  }
  return result;
}

Arrays jvp_scan(const Node& node, const Arrays& tangents) {
  const Scan& s = scan_of(node);
  const ArrayList inputs = as_list(node.inputs);
  ArrayList init = part(inputs, 0, s.carries), rows = part(inputs, s.carries, s.xs);
  const bool integers = any_integer(node.inputs, tangents);
  for (size_t i = 0; i < s.carries; ++i)
    if (follows(inputs[i].dtype(), integers))
      init.push_back(or_zeros(tangents[i], inputs[i].slot().spec));
  for (size_t i = 0; i < s.xs; ++i)
    if (tangents[s.carries + i]) rows.push_back(tangents[s.carries + i]);
  const size_t carried = init.size();
  const ArrayList out = scan(
      [&](const ArrayList& leaves) {
        ArrayList primals = part(leaves, 0, s.carries), moved;
        size_t at = s.carries;
        for (const array& a : primals)
          moved.push_back(follows(a.dtype(), integers) ? leaves[at++] : array());
        size_t row = carried + s.xs;
        for (size_t i = 0; i < s.xs; ++i) {
          primals.push_back(leaves[carried + i]);
          moved.push_back(tangents[s.carries + i] ? leaves[row++] : array());
        }
        for (size_t i = s.carries + s.xs; i < inputs.size(); ++i) {
          primals.push_back(inputs[i]);
          moved.push_back(tangents[i]);
        }
        const ArrayList both = jvp_of(*s.body, primals, moved, integers);
        // Carries, their tangents, ys, their tangents.
        const size_t n = node.out.size();
        ArrayList next = part(both, 0, s.carries);
        size_t of_carry = 0;
        for (size_t i = 0; i < s.carries; ++i) of_carry += follows(node.out[i].spec.type, integers);
        const ArrayList a = part(both, n, of_carry), b = part(both, s.carries, n - s.carries),
                        c = part(both, n + of_carry, both.size() - n - of_carry);
        return joined({&next, &a, &b, &c});
      },
      init, rows, s.length, s.reverse);
  Arrays result;
  size_t carry_at = s.carries, row_at = carried + node.out.size() - s.carries;
  for (size_t i = 0; i < node.out.size(); ++i) {
    if (!follows(node.out[i].spec.type, integers)) result.push_back(array());
    else result.push_back(out[i < s.carries ? carry_at++ : row_at++]);
  }
  return result;
}

Arrays vmap_scan(const Node& node, const Arrays& in, const Axes& in_axes, Axes& out_axes) {
  const Scan& s = scan_of(node);
  const int64_t lanes = lane_count(in, in_axes);
  Axes axes = in_axes;
  settle_axes(*s.body, axes, s.carries, lanes);
  ArrayList init, rows, constants;
  Axes body_axes;
  for (size_t i = 0; i < in.size(); ++i) {
    if (i < s.carries) init.push_back(axes[i] >= 0 ? lane_first(in[i], in_axes[i], lanes) : in[i]);
    else if (i < s.carries + s.xs)
      rows.push_back(axes[i] >= 0 && axes[i] != 1 ? moveaxis(in[i], axes[i], 1) : in[i]);
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
  s->body = FunctionGraph::read(in, {});
  s->shown = s->body->outputs().size();
  return AttrsRef(s);
}
void check_scan(const Attrs* a, const Arrays& in) {
  const Scan& s = *static_cast<const Scan*>(a);
  if (s.carries + s.xs > in.size())
    fail(Kind::value, "scan", "wrong number of inputs: got ", in.size(), ", expected ",
         s.carries + s.xs, " or more");
  Arrays one;
  for (size_t i = 0; i < in.size(); ++i) {
    const bool row = i >= s.carries && i < s.carries + s.xs;
    if (row && (in[i].ndim() == 0 || in[i].shape()[0] != s.length))
      fail(Kind::value, "scan", "wrong number of slices: got ", in[i].shape(), ", expected ",
           s.length);
    one.push_back(row ? constant(0, slice_of(in[i].slot().spec).shape, in[i].dtype()) : in[i]);
  }
  check_takes("scan", *s.body, one, 0);
  check_gives("scan", s.body->output_specs(), s.body->argument_specs(), s.carries);
  for (const Spec& spec : s.body->output_specs())
    check_sizes("scan", with_front(s.length, spec.shape));
}

const Op scan_op{.name = "scan",
                 .doc = "A loop over the slices of arrays that carries values along.",
                 .barrier = true,
                 .places = true,
                 .slow = true,
                 .evaluates = true,
                 .read = read_scan,
                 .check = check_scan,
                 .infer = infer_scan,
                 .vjp = vjp_scan,
                 .jvp = jvp_scan,
                 .keep = keep_scan,
                 .vmap = vmap_scan,
                 .kernel = run_scan};

// Products of slices alone (x @ w, not of the carry) are made of all slices at once, before the
// loop: rows that the body reads. Only where these are not much larger than xs.
GraphRef before_loop(GraphRef body, ArrayList& xs, size_t carries, ArrayList& constants,
                     int64_t length) {
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
  auto want = [&](const FunctionGraph::Operand& o) {
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
  std::vector<FunctionGraph::Operand> made_operands;
  int64_t bytes = 0, before = 0;
  for (int64_t v = 0; v < body->values(); ++v)
    if (wanted[v]) {
      made.push_back(v);
      made_operands.push_back({v, {}});
      bytes += size_of(specs[v].shape) * size_of(specs[v].type);
    }
  for (int64_t i = int64_t(carries); i < first_constant; ++i)
    before += size_of(specs[i].shape) * size_of(specs[i].type);
  ArrayList rows;
  if (made.empty() || bytes > much * before) {
    made.clear();
  } else {
    Axes axes, found;
    for (int64_t i = int64_t(carries); i < n; ++i) axes.push_back(i < first_constant ? 0 : -1);
    rows = lanes_of(*body->part(value_range(int64_t(carries), n), made_operands),
                    joined({&xs, &constants}), axes, found);
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = lane_first(rows[i], found[i], length);
  }
  // What nothing else reads is not an input of the loop.
  std::vector<char> read(body->values(), 0);
  const GraphRef rest = [&] {
    std::vector<int64_t> all = value_range(0, first_constant);
    all.insert(all.end(), made.begin(), made.end());
    for (int64_t i = first_constant; i < n; ++i) all.push_back(i);
    return body->part(all, body->outputs());
  }();
  for (const auto& step : rest->steps())
    for (const auto& o : step.in)
      if (o.value >= 0) read[o.value] = 1;
  for (const auto& o : rest->outputs())
    if (o.value >= 0) read[o.value] = 1;
  std::vector<int64_t> arguments = value_range(0, int64_t(carries));
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

OpList scan_ops() { return {&scan_op}; }

ArrayList scan(const Function& f, const ArrayList& init, const ArrayList& slices, int64_t length,
               bool reverse, const char* name) {
  ArrayList xs = slices;
  if (length < 0) fail(Kind::value, name, "negative length: got ", length);
  std::vector<Spec> specs = specs_of(init);
  for (const array& x : xs) {
    if (x.ndim() == 0 || x.shape()[0] != length)
      fail(Kind::value, name, "arrays to loop over differ in their first axis: got shape ",
           x.shape(), ", expected ", length, " slices");
    specs.push_back(slice_of(x.slot().spec));
  }
  const FunctionGraph traced(f, specs, name, hoist_all);
  const auto outputs = traced.output_specs();
  if (outputs.size() < init.size())
    fail(Kind::value, name, "the function gives fewer values than it carries: got ",
         outputs.size(), ", expected at least ", init.size());
  check_carry(name, outputs, init);
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
  return as_list(
      record_all(scan_op, AttrsRef(std::move(attributes)), as_inputs(inputs), stream_of(inputs)));
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

}  // namespace lazulite
