// FunctionGraph: a function traced once over abstract arguments, and replayed with others. What
// compile, checkpoint, loops and exported files are made of. Immutable; any thread may replay.
#pragma once
#include "transform/transform.h"

namespace lazulite {

std::vector<Spec> specs_of(const ArrayList&);

class FunctionGraph : public Counted {
 public:
  struct Operand {  // a value by number (arguments first, then outputs of steps), or a captured
                    // array
    int64_t value = -1;
    array captured;
    bool same(const Operand& o) const {
      return value == o.value && (value >= 0 || captured.same(o.captured));
    }
  };
  struct Step {
    const Op* op;
    AttrsRef attributes;
    Stream stream;
    std::vector<Operand> in;
    Specs specs;    // of its outputs
    int64_t first;  // number of its first output
  };
  // What tracing left out.
  struct Report {
    size_t recorded = 0, dead = 0, merged = 0, folded = 0;
    std::string before;  // a line per recorded op, when it was asked for
  };

  struct Options {
    // What depends on no argument becomes a captured array too, computed once, as long as such
    // arrays have at most so many bytes together: the rest, and whatever draws random numbers, is
    // computed by each replay.
    int64_t fold_bytes = 0;
    bool merge = true;    // equal ops over equal values become one
    bool report = false;  // fill Report::before
    bool sources = false; // fill sources()
    bool rules = false;   // transforms may ask replays for rules, after this one too (custom.cpp)
  };

  // Raises when f reads an argument. Argument i of f has specs[i]. Arrays that are older than the
  // trace are captured by reference.
  FunctionGraph(const Function& f, const std::vector<Spec>& specs, const char* transform,
                Options options);
  FunctionGraph(const Function& f, const std::vector<Spec>& specs,
                const char* transform = "compile")
      : FunctionGraph(f, specs, transform, Options()) {}
  // Of given parts, which are checked.
  FunctionGraph(std::vector<Spec> arguments, std::vector<Step> steps, std::vector<Operand> outputs);

  ArrayList operator()(const ArrayList& arguments) const;   // records; nothing runs
  ArrayList captures() const;                               // distinct, in order of use
  Ref<const FunctionGraph> closed() const;                  // captures() are its last arguments
  // The part between: values (by number) to be its arguments, and outputs that follow from them.
  Ref<const FunctionGraph> part(const std::vector<int64_t>& from,
                                const std::vector<Operand>& outputs) const;
  // The same values, where views look past what made their input (`elsewhere`): what is read from
  // where it was just written is the value that was written. For graphs that nobody asks for
  // derivatives: their sums would have another order.
  Ref<const FunctionGraph> forwarded() const;

  size_t arguments() const { return arguments_.size(); }
  const std::vector<Spec>& argument_specs() const { return arguments_; }
  const std::vector<Step>& steps() const { return steps_; }
  const std::vector<Operand>& outputs() const { return outputs_; }
  std::vector<Spec> output_specs() const;
  int64_t values() const { return values_; }
  const Report& report() const { return report_; }
  std::string print() const;
  // What it captured, before anything was computed of it once.
  const ArrayList& sources() const { return sources_; }

  // In tokens; captured arrays by their place in `captured`, which grows. Raises for what no file
  // can hold.
  void write(Tokens& out, ArrayList& captured) const;
  // Checked; ops that do not fit raise. Arguments' sizes may be formulas of the reader's sizes.
  static Ref<const FunctionGraph> read(TokenReader& in, const ArrayList& captured,
                                       bool merge = true);

 private:
  struct Tracer;  // tracing.cpp
  std::vector<Spec> arguments_;
  int64_t values_ = 0;
  std::vector<Step> steps_;
  std::vector<Operand> outputs_;
  Report report_;
  ArrayList sources_;
  std::vector<std::shared_ptr<const void>> rules_;  // Trace::rules of its steps
};

}  // namespace lazulite
