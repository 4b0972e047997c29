// What scan, while_loop and cond share: the functions that they run, as graphs. transform/ only.
#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "eval/prepared.h"
#include "ops/lanes.h"
#include "transform/function_graph.h"

namespace lazulite::bodies {

using GraphRef = Ref<const FunctionGraph>;
const FunctionGraph::Options hoist_all{
    .fold_bytes = INT64_MAX};  // what a body computes of captured arrays alone is computed once

inline Spec slice_of(const Spec& whole) {
  return {Shape(whole.shape.begin() + 1, whole.shape.end()), whole.type};
}
inline Spec stacked(const Spec& one, int64_t length) {
  return {with_front(length, one.shape), one.type};
}

// Lists of arrays.
ArrayList part(const ArrayList& list, size_t from, size_t count);
ArrayList joined(std::initializer_list<const ArrayList*> lists);
Arrays as_inputs(const ArrayList& list);
ArrayList as_list(const Arrays& arrays);
Stream stream_of(const ArrayList& inputs);
array zeros_as(const Spec& spec);
array or_zeros(const array& a, const Spec& spec);  // of its dtype
array for_lanes(
    const array& flags,
    const array& like);  // a bool for each lane, to stand beside a value with lanes in front
std::vector<int64_t> value_range(int64_t from, int64_t until);

// A carry must keep its shape and dtype. The first `own` of its values are not the user's.
void check_carry(const char* name, const std::vector<Spec>& got, const ArrayList& init,
                 size_t own = 0);

// Values of a running kernel, as arrays and as memory.
array live(const TensorView& b);
ArrayList live(const SmallVector<TensorView, 3>& in, size_t from, size_t count);
std::vector<Storage> memory_of(const SmallVector<TensorView, 3>& in, size_t from, size_t count);

// Files: a body has no captured arrays; what it takes and gives fits the op's inputs.
void write_body(const FunctionGraph& body, Tokens& out);
void check_takes(const char* op, const FunctionGraph& graph, const std::vector<Spec>& given);
std::vector<Spec> specs_from(const Arrays& in, size_t from = 0);
void check_gives(const char* op, const std::vector<Spec>& got, const std::vector<Spec>& wanted,
                 size_t count);

// Two graphs of the same arguments, closed over what both capture, which is returned.
ArrayList close_both(GraphRef& a, GraphRef& b);
// Which values follow from given arguments: `from[i]` for argument i.
std::vector<char> followers(const FunctionGraph& graph, std::vector<char> from);
// Derivatives follow inexact values, and with `integers` all (Follow, active.h).
inline bool follows(Dtype type, bool integers) { return integers || is_inexact(type); }
bool any_integer(const Arrays& in, const Arrays& tangents);
bool any_integer(const Arrays& in, const Needs& needs);
// The values of a graph, then the tangents of those that are followed.
ArrayList jvp_of(const FunctionGraph& graph, const ArrayList& primals, const ArrayList& tangents,
                 bool integers);
// The graph over lanes. Outputs as they come, their axes in `axes`.
ArrayList lanes_of(const FunctionGraph& graph, const ArrayList& inputs, const Axes& in_axes,
                   Axes& axes);
// The axes of a graph's outputs over lanes (-1: not mapped), where argument i is mapped if axes[i]
// >= 0.
Axes mapped_outputs(const FunctionGraph& graph, const Axes& axes, int64_t lanes);
// Which carries are mapped: those that begin so, or come to be so. Found by tracing until it stays.
void settle_axes(const FunctionGraph& graph, Axes& axes, size_t carries, int64_t lanes);

// The graph that steps evaluate: what a body reads from where it just wrote is the value.
GraphRef to_run(const GraphRef& body);

// Runs a graph again and again: planned at the first step, and whenever inputs lie otherwise in
// memory.
class Stepper {
 public:
  explicit Stepper(Function graph) : graph_(std::move(graph)) {}
  // `specs`: of the inputs. As Prepared::run.
  void run(const std::vector<Spec>& specs, std::vector<Storage>& in, std::vector<Storage>& out);
  // Whether it would run these without another plan.
  bool fits(const std::vector<Storage>& in) const { return !prepared_ || prepared_->fits(in); }
  double shared_ns() const { return prepared_ ? prepared_->shared_ns() : 0; }
  void rest() {  // until the next run nothing is held but constants
    if (prepared_) prepared_->rest();
  }

 private:
  void one_by_one(const std::vector<Spec>& specs, const std::vector<Storage>& in,
                  std::vector<Storage>& out) const;
  const Function graph_;
  std::optional<Prepared> prepared_;
};

// Steppers of one graph between their runs, the last used at the end. Any thread.
class Steppers {
 public:
  Steppers() = default;
  Steppers(const Steppers&) {}  // attributes that are copied begin anew
  // One that has a plan for inputs that lie so; null: there is none.
  std::unique_ptr<Stepper> take(const std::vector<Storage>& in);
  void give(std::unique_ptr<Stepper>);

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Stepper>> idle_;
};
// Whether plans of such a graph are worth keeping: of small arrays. With large ones planning costs
// nothing beside them, and their constants take memory.
bool worth_keeping(const FunctionGraph& graph);
// The same of the body of a loop that other graphs than the one that runs will run.
inline bool comes_again(const Attrs& loop, const FunctionGraph& body) {
  return loop.refs.load() > 1 && worth_keeping(body);
}

}  // namespace lazulite::bodies
