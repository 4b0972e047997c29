// While a compiled function is traced, the objects of its state hold leaves: in closures and in
// other containers, too. They do so on that thread alone. To all others they are what they were,
// and what these change in place is so when the trace is done.
#pragma once
#include <vector>

#include "bind/array_class.h"
#include "bind/tree_walk.h"

namespace lazulite::bind::lent {

// Each object holds that value on this thread until it calls `take_back`; and so does what it
// stands for, where another thread's transform has put it into its place, for that may end
// meanwhile, and what stands for it.
void lend(const std::vector<std::pair<Object, array>>& state);
// To be called where `object` is put in the place of `old`. By the thread that traces: to others it
// is what `old` is, a leaf of a derivative for good. By another one: to the thread that traces it
// is what `old` is.
void put(PyObject* object, PyObject* old, bool leaf = false);
// Whether another thread has put it there while this one traces.
bool met(PyObject* object);
void take_back();

// What stood where other threads' transforms put this (bind/exchange.cpp).
std::vector<Object> stood_there(PyObject*);
std::vector<Object> standing();  // all that stands for something now

}  // namespace lazulite::bind::lent
