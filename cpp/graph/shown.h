// Views that are made where they are asked for, of arrays that have their values already.
#pragma once
#include "graph/node.h"

namespace lazulite {

// True where a view of `base` may be made at once: it is ready, no transform is open on this
// thread, and nobody looks for steps or their lines. Leaves of plans that are kept
// (eval/prepared.h) have a layout and no memory: what shows them stays a step.
bool shows_at_once(const array& base);
array show(Slot&&);  // ready; the storage is a part of some array's

}  // namespace lazulite
