// How many nodes have no value yet: counted by each thread, summed now and then.
#pragma once
#include <cstdint>

#include "base/ref.h"

namespace lazulite {

extern constinit LAZULITE_THREAD_LOCAL int
    records_left;  // nodes that this thread may record until it looks

void count_pending(int n);  // nodes more (or, below 0, less) without a value
int64_t pending_nodes();    // of all threads: about how many there are

}  // namespace lazulite
