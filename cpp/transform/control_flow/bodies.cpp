#include "transform/control_flow/bodies.h"

#include "eval/compare.h"
#include "ops/elementwise/elementwise.h"
#include "ops/lanes.h"
#include "ops/shape/shape.h"

namespace lazulite::bodies {

ArrayList part(const ArrayList& list, size_t from, size_t count) {
  return {list.begin() + from, list.begin() + from + count};
}
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
array or_zeros(const array& a, const Spec& spec) {
  return a ? astype(a, spec.type) : zeros_as(spec);
}

Stream stream_of(const ArrayList& inputs) {
  return inputs.empty() ? default_stream() : inputs[0].node()->stream;
}

void check_carry(const char* name, const std::vector<Spec>& got, const ArrayList& init,
                 size_t own) {
  for (size_t i = 0; i < init.size(); ++i)
    if (got[i].shape != init[i].shape() || got[i].type != init[i].dtype())
      fail(Kind::value, name, "the carried value ", i - std::min(i, own),
           " changes its shape or dtype: got ", got[i].type, got[i].shape,
           " from the function, expected ", init[i].dtype(), init[i].shape(), " as at the start");
}

array live(const TensorView& b) { return from_storage(*b.spec, *b.storage); }
ArrayList live(const SmallVector<TensorView, 3>& in, size_t from, size_t count) {
  ArrayList out;
  for (size_t i = 0; i < count; ++i) out.push_back(live(in[from + i]));
  return out;
}

void write_body(const FunctionGraph& body, Tokens& out) {
  ArrayList none;
  body.write(out, none);
}
void check_takes(const char* op, const FunctionGraph& graph, const std::vector<Spec>& given) {
  const auto& takes = graph.argument_specs();
  bool fits = takes.size() == given.size();
  for (size_t i = 0; fits && i < takes.size(); ++i)
    fits = takes[i].type == given[i].type && takes[i].shape == given[i].shape;
  if (!fits) fail(Kind::value, op, "the body takes other arrays than it is given");
}
std::vector<Spec> specs_from(const Arrays& in, size_t from) {
  std::vector<Spec> out;
  for (size_t i = from; i < in.size(); ++i) out.push_back(in[i].slot().spec);
  return out;
}
void check_gives(const char* op, const std::vector<Spec>& got, const std::vector<Spec>& wanted,
                 size_t count) {
  bool fits = got.size() >= count && wanted.size() >= count;
  for (size_t i = 0; fits && i < count; ++i)
    fits = got[i].type == wanted[i].type && got[i].shape == wanted[i].shape;
  if (!fits) fail(Kind::value, op, "the body gives other arrays than it should");
}

GraphRef to_run(const GraphRef& body) {
  const auto& steps = body->steps();
  const bool updates =
      std::any_of(steps.begin(), steps.end(), [](const auto& step) { return step.op->update; });
  return updates ? body->forwarded() : body;
}

void Stepper::run(const std::vector<Spec>& specs, std::vector<Storage>& in,
                  std::vector<Storage>& out) {
  if (runs_bodies_openly()) return one_by_one(specs, in, out);
  if (!prepared_ || !prepared_->fits(in)) {
    ArrayList leaves;
    for (size_t i = 0; i < in.size(); ++i)
      leaves.push_back(from_storage(specs[i], {{}, 0, in[i].strides}));
    prepared_.emplace(leaves, graph_(leaves));
  }
  prepared_->run(in, out);
}

namespace {
constexpr size_t most_idle = 8;
constexpr double small = 32768;  // elements of a step, on average
}  // namespace

std::unique_ptr<Stepper> Steppers::take(const std::vector<Storage>& in) {
  std::lock_guard lock(mutex_);
  for (size_t i = idle_.size(); i-- > 0;) {
    if (!idle_[i]->fits(in)) continue;
    auto one = std::move(idle_[i]);
    idle_.erase(idle_.begin() + ptrdiff_t(i));
    return one;
  }
  return {};
}

void Steppers::give(std::unique_ptr<Stepper> one) {
  one->rest();
  std::unique_ptr<Stepper> oldest;  // dies without the lock
  std::lock_guard lock(mutex_);
  idle_.push_back(std::move(one));
  if (idle_.size() <= most_idle) return;
  oldest = std::move(idle_.front());
  idle_.erase(idle_.begin());
}

bool worth_keeping(const FunctionGraph& graph) {
  double elements = 0;
  for (const FunctionGraph::Step& step : graph.steps())
    for (const Spec& spec : step.specs) elements += double(size_of(spec.shape));
  return elements <= small * double(graph.steps().size());
}

// Evaluated as any other graph.
void Stepper::one_by_one(const std::vector<Spec>& specs, const std::vector<Storage>& in,
                         std::vector<Storage>& out) const {
  ArrayList leaves;
  for (size_t i = 0; i < in.size(); ++i) leaves.push_back(from_storage(specs[i], in[i]));
  const ArrayList results = graph_(leaves);
  eval(results);
  for (size_t i = 0; i < out.size(); ++i) out[i] = results[i].slot().storage;
}

std::vector<Storage> memory_of(const SmallVector<TensorView, 3>& in, size_t from, size_t count) {
  std::vector<Storage> out;
  for (size_t i = 0; i < count; ++i) out.push_back(*in[from + i].storage);
  return out;
}

ArrayList lanes_of(const FunctionGraph& graph, const ArrayList& inputs, const Axes& in_axes,
                   Axes& axes) {
  bool any = false;
  for (int axis : in_axes) any |= axis >= 0;
  if (!any) {
    const ArrayList out = graph(inputs);
    axes = Axes(out.size(), -1);
    return out;
  }
  return vmap([&](const ArrayList& in) { return graph(in); }, inputs, in_axes, axes);
}

std::vector<char> followers(const FunctionGraph& graph, std::vector<char> from) {
  from.resize(graph.values(), 0);
  for (const auto& step : graph.steps())
    for (const auto& o : step.in)
      if (o.value >= 0 && from[o.value])
        for (size_t k = 0; k < step.specs.size(); ++k) from[step.first + int64_t(k)] = 1;
  return from;
}
std::vector<int64_t> value_range(int64_t from, int64_t until) {
  std::vector<int64_t> out;
  for (; from < until; ++from) out.push_back(from);
  return out;
}

bool any_integer(const Arrays& in, const Arrays& tangents) {
  for (size_t i = 0; i < in.size(); ++i)
    if (tangents[i] && !is_inexact(in[i].dtype())) return true;
  return false;
}
bool any_integer(const Arrays& in, const Needs& needs) {
  for (size_t i = 0; i < in.size(); ++i)
    if (needs[i] && !is_inexact(in[i].dtype())) return true;
  return false;
}

ArrayList jvp_of(const FunctionGraph& graph, const ArrayList& primals, const ArrayList& tangents,
                 bool integers) {
  auto [values, out] =
      jvp([&](const ArrayList& in) { return graph(in); }, primals, tangents, integers);
  for (size_t i = 0; i < out.size(); ++i)
    if (follows(values[i].dtype(), integers))
      values.push_back(astype(out[i], values[i].dtype()));
  return values;
}

Axes mapped_outputs(const FunctionGraph& graph, const Axes& axes, int64_t lanes) {
  std::vector<Spec> specs = graph.argument_specs();
  Axes at, found;
  for (size_t i = 0; i < specs.size(); ++i) {
    if (axes[i] >= 0) specs[i] = stacked(specs[i], lanes);
    at.push_back(axes[i] >= 0 ? 0 : -1);
  }
  const FunctionGraph trial(
      [&](const ArrayList& leaves) { return lanes_of(graph, leaves, at, found); }, specs, "vmap");
  return found;
}

void settle_axes(const FunctionGraph& graph, Axes& axes, size_t carries, int64_t lanes) {
  for (bool changed = true; changed;) {
    changed = false;
    const Axes found = mapped_outputs(graph, axes, lanes);
    for (size_t i = 0; i < carries; ++i)
      if (found[i] >= 0 && axes[i] < 0) axes[i] = 0, changed = true;
  }
}

array for_lanes(const array& flags, const array& like) {
  Shape shape(like.ndim(), 1);
  shape[0] = flags.size();
  return reshape(flags, shape);
}

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
    auto moved = [&](FunctionGraph::Operand o) {
      if (o.value >= own) o.value += shift;
      else if (o.value >= n) o.value += from;
      return o;
    };
    std::vector<FunctionGraph::Step> steps = closed->steps();
    for (auto& step : steps)
      for (auto& o : step.in) o = moved(o);
    std::vector<FunctionGraph::Operand> outputs;
    for (const auto& o : closed->outputs()) outputs.push_back(moved(o));
    return make_ref<const FunctionGraph>(std::move(specs), std::move(steps), std::move(outputs));
  };
  a = widened(a, 0);
  b = widened(b, x);
  return joined({&of_a, &of_b});
}

}  // namespace lazulite::bodies
