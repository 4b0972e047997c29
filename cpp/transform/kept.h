// Kept plans: a call of a traced function as one op, whose plan is made once for each layout of its
// arguments and run again and again. For functions of small arrays, where recording and planning
// cost more than computing; outside of transforms, since it has no derivative.
#pragma once
#include "transform/control_flow/bodies.h"

namespace lazulite {

class KeptCall final : public OwnAttrs {
 public:
  // Null where nothing is gained: few steps, large arrays (they join groups with what surrounds
  // the call, and plans cost nothing beside them), loops (which keep plans of their own), other
  // streams.
  static Ref<const KeptCall> of(const FunctionGraph& graph);
  ArrayList operator()(const ArrayList& arguments) const;  // records; nothing runs

  const std::vector<Spec>& specs() const { return specs_; }
  void print(std::ostream&) const override;
  void run(std::vector<Storage> in, SmallVector<Storage, 1>& out) const;

 private:
  struct Output {
    bool made;     // by the call; or else an argument or a captured array
    size_t index;  // among those
  };
  ArrayList captured_;
  std::vector<size_t> used_;     // which of the arguments, then of the captured arrays
  Ref<const FunctionGraph> graph_;       // those that are used -> what it makes
  std::vector<Spec> specs_;      // of what it makes
  std::vector<Output> outputs_;  // of the function
  mutable bodies::Steppers plans_;
};

}  // namespace lazulite
