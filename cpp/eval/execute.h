// The executor: runs one step over its memory, for fresh plans and for kept ones.
#pragma once
#include "device/program.h"
#include "eval/memory.h"

namespace lazulite {

// A group, whose loads and results are in the order of its program's ports. `planned`: of programs
// that run many times. `absorber`: the kernel that the program's last store is formed for.
struct GroupProgram {
  BlockProgram code;
  const Node* absorber = nullptr;
  std::shared_ptr<const PlannedProgram> planned;
};
void run_group(const GroupProgram&, StepMemory&);

// One op that is not elementwise: a constant, a view, a kernel. Results that were given a place go
// there, unless they show or overwrite an input.
void run_single(const Node&, StepMemory&);

}  // namespace lazulite
