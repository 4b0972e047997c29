// What views of shape show, said otherwise: where else the elements are that a view of a step's
// result reads.
#pragma once
#include "graph/op.h"

namespace lazulite {

struct Elsewhere {
  int input = -1;      // of the maker; -1: nowhere
  bool whole = false;  // the view is that input; or else the same view of it shows the same
};

// Of a view of output 0 of a step of `maker`.
Elsewhere elsewhere(const Op& view, const Attrs* attributes, const Op& maker, const Attrs* made);

}  // namespace lazulite
