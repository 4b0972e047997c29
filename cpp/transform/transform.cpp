#include "transform/transform.h"

#include <cstdio>
#include <optional>
#include <unordered_map>

#include "base/env.h"
#include "ops/elementwise/elementwise.h"
#include "ops/lanes.h"
#include "transform/active.h"

namespace lazulite {

namespace {

array zeros_of(const array& a) { return constant(0, a.shape(), a.dtype(), a.node()->stream); }

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

bool any_integer(const ArrayList& list) {
  for (const array& a : list)
    if (!is_inexact(a.dtype())) return true;
  return false;
}
// What a rule gives for a value of integers is one of integers.
array as_integer(const array& a, Dtype type) {
  return !a || is_inexact(type) || a.dtype() == type ? a : astype(a, type);
}

// Rules of arithmetic subtract and negate, which bool does not.
Arrays as_numbers(const Node& node, const Arrays& values) {
  Arrays out = values;
  if (node.op->kind == OpKind::elementwise)
    for (array& a : out)
      if (a && is_bool(a.dtype())) a = astype(a, int32);
  return out;
}

array lookup(const Values& values, const array& key) {
  auto it = values.find(key.node().get());
  return it == values.end() || it->second.size() <= key.index() ? array() : it->second[key.index()];
}

// What ran between the leaves and the outputs of a function whose derivatives are taken: walked as
// often as there are cotangents or tangents.
struct Ran {
  Ran(const char* name, bool back, const Function& f, const ArrayList& primals, bool follow)
      : integers(follow && any_integer(primals)), leaves(make_leaves(primals)), trace(name) {
    trace.reverse = back;
    outputs = f(leaves);
  }
  // Called once: nothing is recorded on the tape from now on.
  void stop() {
    active.emplace(trace, leaves, outputs, trace.name,
                   integers ? Follow::integers : Follow::inexact);
    trace.stop();
  }
  ArrayList cotangents(const ArrayList& given) const;
  ArrayList tangents(const ArrayList& given) const;

  bool integers;
  ArrayList leaves, outputs;
  Trace trace;
  std::optional<const Active> active;
};

ArrayList Ran::cotangents(const ArrayList& given) const {
  Values found;
  for (size_t i = 0; i < outputs.size(); ++i)
    if (i < given.size() && given[i] && active->has(outputs[i]))
      accumulate(found, active->key(outputs[i]), given[i]);
  for (size_t i = trace.tape.size(); i-- > 0;) {
    const Node& node = *trace.tape[i];
    auto it = found.find(&node);
    if (it == found.end()) continue;
    const Arrays cts = std::move(it->second);
    found.erase(it);
    Needs needs;
    bool inexact = false;
    for (const array& input : node.inputs) {
      needs.push_back(active->has(input) && (integers || is_inexact(input.dtype())));
      inexact |= needs.back() && is_inexact(input.dtype());
    }
    if (!node.op->vjp && !inexact) continue;  // keys, places, bits
    if (!node.op->vjp)
      fail(Kind::value, node.op->name, "has no derivative: got a gradient for its output, expected "
           "stop_gradient around it or an op that can be differentiated");
    StreamScope scope(node.stream);
    if (node.op->vjp_onto && needs[0] && cts[0]) {
      const array& onto = active->key(node.inputs[0]);
      if (const array sum = lookup(found, onto)) {
        found[onto.node().get()][onto.index()] = node.op->vjp_onto(node, cts[0], sum);
        continue;
      }
    }
    const Arrays grads = node.op->vjp(node, integers ? as_numbers(node, cts) : cts, needs);
    for (size_t k = 0; k < node.inputs.size() && k < grads.size(); ++k)
      if (grads[k] && needs[k])
        accumulate(found, active->key(node.inputs[k]),
                   as_integer(grads[k], node.inputs[k].dtype()));
  }
  ArrayList result;
  for (const array& leaf : leaves) {
    const bool wanted = integers || is_inexact(leaf.dtype());
    array ct = wanted ? as_integer(lookup(found, leaf), leaf.dtype()) : array();
    if (!ct && wanted) ct = zeros_of(leaf);
    result.push_back(std::move(ct));
  }
  return result;
}

ArrayList Ran::tangents(const ArrayList& given) const {
  Values found;
  for (size_t i = 0; i < leaves.size(); ++i)
    if (given[i] && (integers || is_inexact(leaves[i].dtype())))
      accumulate(found, leaves[i], given[i]);
  for (const auto& ref : trace.tape) {
    const Node& node = *ref;
    if (!active->has(node)) continue;
    Arrays in;
    bool any = false, inexact = false;
    for (const array& input : node.inputs) {
      in.push_back(lookup(found, active->key(input)));
      any |= bool(in.back());
      inexact |= in.back() && is_inexact(input.dtype());
    }
    if (!any || (!node.op->jvp && !node.op->linear && !inexact)) continue;
    StreamScope scope(node.stream);
    Arrays out;
    if (node.op->jvp) {
      out = node.op->jvp(node, integers ? as_numbers(node, in) : in);
    } else if (node.op->linear) {
      for (size_t k = 0; k < in.size(); ++k)
        if (!in[k]) in[k] = zeros_of(node.inputs[k]);
      out = record_all(*node.op, node.attributes, in, node.stream);
    } else {
      fail(Kind::value, node.op->name, "has no forward derivative");
    }
    if (integers)
      for (size_t i = 0; i < out.size(); ++i) out[i] = as_integer(out[i], node.out[i].spec.type);
    found[&node] = std::move(out);
  }
  ArrayList result;
  for (const array& out : outputs) {
    if (array tangent = lookup(found, active->key(out))) {
      result.push_back(std::move(tangent));
      continue;
    }
    // The tangent of a comparison is of the dtype that is compared.
    const Node& node = *out.node();
    const bool compares =
        is_bool(out.dtype()) && node.op->kind == OpKind::elementwise && node.inputs.size() == 2;
    result.push_back(
        constant(0, out.shape(), compares ? node.inputs[0].dtype() : out.dtype(), node.stream));
  }
  return result;
}

}  // namespace

std::pair<ArrayList, ArrayList> vjp(const Function& f, const ArrayList& primals,
                                    const std::function<ArrayList(const ArrayList&)>& cotangents,
                                    bool integers) {
  Ran ran("vjp", true, f, primals, integers);
  const ArrayList given = cotangents(ran.outputs);
  ran.stop();
  return {ran.outputs, ran.cotangents(given)};
}

std::pair<ArrayList, ArrayList> jvp(const Function& f, const ArrayList& primals,
                                    const ArrayList& tangents, bool integers) {
  Ran ran("jvp", false, f, primals, integers);
  ran.stop();
  return {ran.outputs, ran.tangents(tangents)};
}

std::pair<ArrayList, ArrayList> vjp_of_each(
    const Function& f, const ArrayList& primals,
    const std::function<ArrayList(const ArrayList&)>& rows) {
  Ran ran("vjp", true, f, primals, true);
  const ArrayList given = rows(ran.outputs);
  ran.stop();
  const auto back = [&](const ArrayList& row) { return ran.cotangents(row); };
  const auto first = [](const ArrayList& lane) { return Axes(lane.size(), 0); };
  return {ran.outputs, vmap(back, given, Axes(given.size(), 0), first)};
}

std::pair<ArrayList, std::vector<ArrayList>> jvp_of_each(const Function& f,
                                                         const ArrayList& primals,
                                                         const ArrayList& rows) {
  Ran ran("jvp", false, f, primals, true);
  ran.stop();
  std::vector<ArrayList> columns;
  for (size_t k = 0; k < primals.size(); ++k) {
    const auto along = [&](const ArrayList& row) {
      ArrayList given(primals.size());
      given[k] = row[0];
      return ran.tangents(given);
    };
    const auto last = [](const ArrayList& lane) {
      Axes axes;
      for (const array& a : lane) axes.push_back(static_cast<int>(a.ndim()));
      return axes;
    };
    columns.push_back(vmap(along, {rows[k]}, Axes{0}, last));
  }
  return {ran.outputs, columns};
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
Arrays loop_lanes(const Node& node, const Arrays& in, const Axes& axes, int64_t lanes,
                  Axes& out_axes) {
  if (lanes == 0) fail(Kind::value, node.op->name, "has no batching rule for an axis of size 0");
  if (env::flag("LAZULITE_DEBUG_VMAP"))
    std::fprintf(stderr, "[vmap] %s has no batching rule: its %lld lanes run one by one\n",
                 node.op->name, static_cast<long long>(lanes));
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

ArrayList vmap(const Function& f, const ArrayList& inputs, const Axes& in_axes, Axes& out_axes) {
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
      leaves.push_back(
          alias_leaf(inputs[i]));  // an argument of its own, which may be changed in place
    }
  }
  if (lanes < 0)
    fail(Kind::value, "vmap", "nothing to map over: got no array with an axis in in_axes");
  Trace trace("vmap", true);
  const ArrayList outputs = [&] {
    const Leaves running(leaves);
    return f(leaves);
  }();
  ArrayList mapped;
  for (size_t i = 0; i < leaves.size(); ++i)
    if (in_axes[i] >= 0) mapped.push_back(leaves[i]);
  const Active active(trace, mapped, outputs, "vmap", Follow::all);
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
    Lane lane;
    bool mapped = false;
    for (int axis : axes) mapped |= axis >= 0;
    if (!mapped) {  // of what no lane changes: the same for all
      lane.values = record_all(*node.op, node.attributes, std::move(in), node.stream);
      lane.axes = Axes(lane.values.size(), -1);
    } else {
      lane.values = node.op->vmap ? node.op->vmap(node, in, axes, lane.axes)
                                  : loop_lanes(node, in, axes, lanes, lane.axes);
    }
    batched[&node] = std::move(lane);
  }
  ArrayList result;
  out_axes.clear();
  for (const array& out : outputs) {
    int axis;
    result.push_back(replace(out, axis));
    out_axes.push_back(axis);
  }
  return result;
}

ArrayList vmap(const Function& f, const ArrayList& inputs, const Axes& in_axes,
               const std::function<Axes(const ArrayList&)>& out_axes) {
  ArrayList lane;
  Axes axes;
  ArrayList values =
      vmap([&](const ArrayList& leaves) { return lane = f(leaves); }, inputs, in_axes, axes);
  const Axes wanted = out_axes(lane);
  int64_t lanes = 0;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (in_axes[i] >= 0) lanes = inputs[i].shape()[in_axes[i]];
  for (size_t i = 0; i < values.size(); ++i) {
    if (wanted[i] < 0) {
      if (axes[i] >= 0)
        fail(Kind::value, "vmap",
             "an output with out_axes None depends on the mapped axis: output ", i);
      continue;
    }
    values[i] = lane_first(values[i], axes[i], lanes);
    if (wanted[i] > 0) values[i] = moveaxis(values[i], 0, wanted[i]);
  }
  return values;
}

}  // namespace lazulite
