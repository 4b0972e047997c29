// Loops and branches as single ops: their functions are traced once, not unrolled. Lazy,
// differentiable (while_loop: forward only), batchable; inside them arrays have no values. What the
// functions capture is evaluated once, before the loop.
#pragma once
#include "transform/transform.h"

namespace lazulite {

// f(carry..., x...) gives the next carry... and y...; the x are the slices of xs along their first
// axis, the y are stacked. Returns the last carry... and ys... Raises when a carry changes its
// shape or dtype; `name` (static) is the function that errors name.
ArrayList scan(const Function& f, const ArrayList& init, const ArrayList& xs, int64_t length,
               bool reverse = false, const char* name = "scan");

// carry = body(carry) while test(carry), a bool. No reverse derivative: its number of steps is not
// known.
ArrayList while_loop(const Function& test, const Function& body, const ArrayList& init,
                     const char* name = "while_loop",
                     size_t counters = 0);  // carried values before the user's

// carry = body(i, carry...) for i from lower to upper - 1, an int32.
ArrayList fori_loop(int64_t lower, int64_t upper, const Function& body, const ArrayList& init);

// yes(operands) where the 0-d bool holds, else no(operands): only one of them runs. In vmap over
// the bool both run.
ArrayList cond(const array& predicate, const Function& yes, const Function& no,
               const ArrayList& operands);

}  // namespace lazulite
