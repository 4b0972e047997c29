// The bound on pending work. A loop that never asks for a value would otherwise keep a node for
// each of its steps, and the data that they read.
#pragma once
#include "graph/array.h"
#include "graph/pending.h"

namespace lazulite {

// True now and then: time to call bound_pending.
inline bool pending_due() { return records_left <= 0; }
// With more than the limit pending, or with much new data since it last looked, computes `newest`,
// and so all that it follows from. Only where a function gives an array to its user: inside of one,
// values may not be there. Nothing happens while a transform is open. What fails is kept in the
// nodes, for those who read them.
void bound_pending(const array& newest);

// In nodes; 0: no bound. At the start LAZULITE_PENDING_LIMIT, or 32768.
int64_t get_pending_limit();
int64_t set_pending_limit(int64_t nodes);  // the old one

}  // namespace lazulite
