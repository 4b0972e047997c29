// The arrays of trees that a function of Python is given: lists, tuples, dicts, modules.
#pragma once
#include <vector>

#include "graph/array.h"

namespace lazulite {

struct Trees {
  std::vector<array> arrays;
};

}  // namespace lazulite
