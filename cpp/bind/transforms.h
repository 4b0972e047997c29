// What the units that bind transforms share: lists of arrays, Python functions as functions of
// arrays.
#pragma once
#include <pybind11/pybind11.h>

#include "transform/function_graph.h"

namespace lazulite::bind {

pybind11::list to_list(const ArrayList&);          // a null array is None
// `holes`: None stands for no array, which only cotangents and tangents may be.
ArrayList from_list(const pybind11::handle& list, bool holes = false);
Function flat(pybind11::object fun);               // takes and returns lists; to be called at once

struct PyGraph {
  Ref<const FunctionGraph> graph;
};

}  // namespace lazulite::bind
