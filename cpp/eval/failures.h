// Failures: what an exception means to the nodes of a step, and which nobody has heard of yet.
#pragma once
#include "eval/plan.h"

namespace lazulite {

// Thrown by a step whose input has failed: so have those that need it.
struct Inherited {
  Ref<Failure> failure;
};
Ref<Failure> failure_in_flight();  // of the exception that is being handled; null: it is no error

// Under the plan lock: the members of a unit have failed, and what later ones need of them has too.
void fail_unit(Plan&, size_t unit, const Ref<Failure>&);

// Of background work. Noted under the plan lock, before the failed state of a node tells anybody:
// who hears of it takes it out.
void note_failure(uint32_t stream, const Ref<Failure>&);
Ref<Failure> take_failure(uint32_t stream);
[[noreturn]] void throw_failure(const Ref<Failure>&);  // somebody hears of it
void throw_failures(const array* roots, size_t count);

}  // namespace lazulite
