// Evaluation: from pending arrays to values. Any thread; see core.md rule 5 in
// docs/architecture.md.
#pragma once
#include <string>
#include <vector>

#include "graph/array.h"

namespace lazulite {

// Returns when all are ready; raises the first failure. Runs on the calling thread.
void eval(const Arrays&);
void eval(const std::vector<array>&);
// Claims now, runs in the background, in the order of the stream; a failure is raised by whoever
// reads, and by who synchronizes before that, as a runtime error.
void async_eval(const std::vector<array>&);
void synchronize(Stream = default_stream());
bool evaluating();  // true on a thread that runs something now

// What would run, in order.
struct PlanStep {
  std::vector<std::string> ops;      // one, or the members of a fused group
  std::vector<std::string> attributes;  // of each: "axes=(0), keepdims=false"; may be empty
  std::vector<bool> stored;          // which of them are written to memory
  bool fused = false;
  size_t before = 0, after = 0;      // of a fused group: ops [before, after) are kernels
  std::vector<std::string> results;  // dtype and shape of what is left: "float32(2, 3)"
  uint32_t stream = 0;
  int64_t bytes = 0;                 // allocated when it runs
  std::string print() const;
};
struct PlanSummary {
  std::vector<PlanStep> steps;
  int64_t peak_bytes = 0;            // predicted, beyond what is alive now
  std::string print() const;         // a line per step
};
int default_plan_width();            // from the environment; 0: the planner's own order
PlanSummary plan(const std::vector<array>&, int width = default_plan_width());
std::string graph_text(const std::vector<array>&);  // what is pending, in order of evaluation
std::string graph_dot(const std::vector<array>&);   // the same in Graphviz's language

// Bools of others may have any byte but 0 for True; ours are 0 and 1.
bool are_bools(const uint8_t* bytes, int64_t n);
void make_bools(uint8_t* bytes, int64_t n);

// Called now and then by kernels that evaluate: lets a Ctrl-C through, as an exception. What it
// stops is pending again.
void poll();

// Set by the bindings: called around a wait or long work, so that the GIL is not held.
struct WaitHooks {
  void* (*release)() = nullptr;   // null result: nothing was held
  void (*acquire)(void*) = nullptr;
  void (*poll)() = nullptr;       // between steps; may throw (Ctrl-C)
};
void set_wait_hooks(WaitHooks);

}  // namespace lazulite
