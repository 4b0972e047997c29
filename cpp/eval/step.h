// A step of a fresh plan: its nodes say where its memory is, and get their results.
#pragma once
#include "eval/plan.h"

namespace lazulite {

// `spoilt` is set as soon as an input may have been written over: then the unit cannot run again.
void run_unit(const Unit&, bool& spoilt);

}  // namespace lazulite
