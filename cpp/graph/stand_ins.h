// One container of arrays, several threads that differentiate functions of what is in it: while a
// function runs, the container holds leaves of its transform in the places of its arrays, and
// another thread may find them there and put its own over them. A leaf stands for what it was put
// over, and so for what that stands for: a transform that meets the leaf of another thread follows
// this until it comes to one of its own. What a function puts into a container (running statistics)
// is a constant to other threads.
//
// Nothing is kept where one transform is open, of nested ones as long as they are where no other
// thread has one, and else for as long as one is open that may have met it.
#pragma once
#include <optional>

#include "graph/node.h"

namespace lazulite::stand_ins {

void opened(uint64_t trace);  // by its sequence number; on the thread that opens and closes it
void closed(uint64_t trace);
bool others();                // whether another thread has an open transform
uint64_t oldest();            // open transform, of any thread; UINT64_MAX: there is none

void put(const array& leaf, const array& over);
void put(const array& value);  // a constant
// What a node stands for, a null array for a constant; nothing where it is none of these.
std::optional<array> of(const Node&);

}  // namespace lazulite::stand_ins
