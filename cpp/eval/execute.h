// The executor: runs one step over its memory, for fresh plans and for kept ones.
#pragma once
#include "device/program.h"
#include "eval/memory.h"

namespace lazulite {

struct Unit;
struct Source;

// The program of elementwise members, whose loads and results are in the order of its ports.
// `planned`: of programs that run many times.
struct Program {
  BlockProgram code;
  std::shared_ptr<const PlannedProgram> planned;
};
// A group, with its kernels. What is formed for them is the last store of `before`; load `value` of
// `behind` is what the kernel makes.
struct GroupProgram {
  Program before;
  std::unique_ptr<Program> behind;
  size_t value = 0;
};
void build_group(const Unit&, GroupProgram&, SmallVector<Source, 8>& before,
                 SmallVector<Source, 8>& behind);
// For programs that run again and again; they stay where they are from then on.
void plan_group(GroupProgram&);
void run_group(const Unit&, const GroupProgram&, StepMemory&);

// One op that is not elementwise: a constant, a view, a kernel. Results that were given a place go
// there, unless they show or overwrite an input.
void run_single(const Node&, StepMemory&);

}  // namespace lazulite
