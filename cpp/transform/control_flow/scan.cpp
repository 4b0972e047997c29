#include <algorithm>

#include "device/cpu/pool.h"
#include "eval/eval.h"
#include "ops/create/create.h"
#include "ops/lanes.h"
#include "ops/shape/shape.h"
#include "transform/control_flow/loops.h"
#include "transform/control_flow/scan.h"
#include "transform/find_op.h"

namespace lazulite {

using namespace bodies;

namespace {

Specs infer_scan(const Scan& s, const Arrays& in) {
  if (s.carries + s.xs > in.size())
    fail(Kind::value, "scan", "wrong number of inputs: got ", in.size(), ", expected ",
         s.carries + s.xs, " or more");
  std::vector<Spec> step;  // what the body is given
  for (size_t i = 0; i < in.size(); ++i) {
    const bool row = i >= s.carries && i < s.carries + s.xs;
    if (row && (in[i].ndim() == 0 || in[i].shape()[0] != s.length))
      fail(Kind::value, "scan", "wrong number of slices: got ", in[i].shape(), ", expected ",
           s.length);
    step.push_back(row ? slice_of(in[i].slot().spec) : in[i].slot().spec);
  }
  const auto specs = s.body->output_specs();
  check_takes("scan", *s.body, step);
  check_gives("scan", specs, s.body->argument_specs(), s.carries);
  Specs out;
  for (size_t i = 0; i < specs.size(); ++i)
    out.push_back(i < s.carries ? specs[i] : stacked(specs[i], s.length));
  return out;
}

void run_scan(const KernelCall& call) {
  const Scan& s = scan_of(call.node);
  const size_t rows = call.node.out.size() - s.carries;
  std::vector<Storage> carry = memory_of(call.in, 0, s.carries), ys, in, out;
  const std::vector<Storage> constants =
      memory_of(call.in, s.carries + s.xs, call.in.size() - s.carries - s.xs);
  for (size_t k = 0; k < rows; ++k) {
    const Spec& spec = call.node.out[s.carries + k].spec;
    ys.push_back(
        {allocate(size_of(spec.shape) * size_of(spec.type)), 0, dense_strides(spec.shape)});
  }
  std::unique_ptr<Stepper> body;
  std::optional<cpu::Ahead> ahead;  // the steps together are worth a wake-up
  for (int64_t step = 0; step < s.length; ++step) {
    const int64_t i = s.reverse ? s.length - 1 - step : step;
    in.clear();
    for (Storage& storage : carry) in.push_back(std::move(storage));
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
    if (!body) body = s.plans.take(in);
    if (!body)
      body = std::make_unique<Stepper>(
          [graph = to_run(s.body)](const ArrayList& leaves) { return (*graph)(leaves); });
    body->run(s.body->argument_specs(), in, out);
    if (!ahead) ahead.emplace(body->shared_ns() * double(s.length - 1));
    for (size_t k = 0; k < rows; ++k) {
      const Spec row = slice_of(call.node.out[s.carries + k].spec);
      const Storage& made = out[s.carries + k];
      const int64_t at = i * size_of(row.shape);
      if (made.buffer == ys[k].buffer && made.offset == at) continue;
      copy_dense(bound(row, made), {ys[k].buffer, at, dense_strides(row.shape)});
    }
    for (size_t k = 0; k < s.carries; ++k) carry[k] = std::move(out[k]);
    if (step % 16 == 15) poll();
  }
  if (body && comes_again(s, *s.body)) s.plans.give(std::move(body));
  for (size_t i = 0; i < s.carries; ++i) call.placed[i] = std::move(carry[i]);
  for (size_t k = 0; k < rows; ++k) call.placed[s.carries + k] = std::move(ys[k]);
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
const Op scan_op =
    op<Scan>("scan", "A loop over the slices of arrays that carries values along.",
             {.barrier = true,
              .places = true,
              .slow = true,
              .evaluates = true,
              .read = read_scan,
              .infer = typed<infer_scan>,
              .vjp = vjp_scan,
              .jvp = jvp_scan,
              .keep = keep_scan,
              .vmap = vmap_scan,
              .kernel = run_scan});

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
