// Runs under way: who waits for whom, what stops them, and what a forked child finds of them.
#pragma once
#include "eval/gil.h"

namespace lazulite {

// What this thread is running, the innermost first: kernels, signal handlers and finalizers
// evaluate in turn.
struct Running;
extern constinit LAZULITE_THREAD_LOCAL Running* innermost_run;
struct Running {
  const Run* const run;
  Running* const outer;
  explicit Running(const Run* r) : run(r), outer(innermost_run) { innermost_run = this; }
  ~Running() { innermost_run = outer; }
  Running(const Running&) = delete;
};

// Thrown where a run ends before its time and nothing has failed: what it had claimed is pending
// again.
struct Interrupted {};  // a run of another thread, whose results were needed, has: try again
struct Cancelled {};    // nobody waits for this background run any longer
void check_cancelled();  // throws Cancelled

// Under the plan lock.
void enlist(Run&, Plan&);
void unlist(Run&);
void release_claims(Plan&, size_t from);   // from unit `from` on, all is pending again
bool waits_for_itself(const Plan&);        // what it waits for waits in turn for this thread

void wait_for(Run& earlier, bool background, Unlocked& mine);
void cancel_stream(uint32_t stream);       // its background runs

}  // namespace lazulite
