// Elementwise ops over a few elements, without a program.
#pragma once
#include "eval/memory.h"

namespace lazulite {

// Runs a group of one op over at most 2,048 elements, whose operands are dense, one number, or
// constants; false: nothing was done. `spoilt` as in StepMemory.
bool run_few(const Unit&, bool& spoilt);

}  // namespace lazulite
