// Evaluation: from pending arrays to values. Any thread; see core.md rule 5 in docs/architecture.md.
#pragma once
#include <string>
#include <vector>

#include "graph/array.h"

namespace lazulite {

// Returns when all are ready; raises the first failure. Runs on the calling thread.
void eval(const Arrays&);
void eval(const std::vector<array>&);
// Claims now, runs on the stream's background thread; a failure is raised by whoever reads.
void async_eval(const std::vector<array>&);
void synchronize(Stream = default_stream());

// What would run, in order: units (fused groups or single ops) with shapes and dtypes.
std::string plan_text(const std::vector<array>&);

// Set by the bindings: called around a wait or long work, so that the GIL is not held.
struct WaitHooks {
  void* (*release)() = nullptr;   // null result: nothing was held
  void (*acquire)(void*) = nullptr;
  void (*poll)() = nullptr;       // between steps; may throw (Ctrl-C)
};
void set_wait_hooks(WaitHooks);

}  // namespace lazulite
