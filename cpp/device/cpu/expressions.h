// Expressions: instructions whose results one other instruction reads become one with it, which
// keeps them in vector registers. What would be written to a block and read again costs more than
// the arithmetic.
#pragma once
#include <memory>
#include <vector>

#include "device/cpu/machine_code.h"
#include "device/program.h"

namespace lazulite::cpu {

struct Joined {
  BlockProgram program;
  std::vector<std::unique_ptr<Micro[]>> code;  // what its instructions refer to
  std::vector<std::shared_ptr<const MachineCode>> machine_code;
};
// Null where the program is best as it is. In proportion to its length.
std::unique_ptr<const Joined> join_expressions(const BlockProgram&);
// Whether programs of so many elements are looked at: for others links need not be known.
bool joins_expressions(int64_t elements);
// For tests: from how many elements on. Returns what was.
int64_t set_least_joined(int64_t elements);

}  // namespace lazulite::cpu
