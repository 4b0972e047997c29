// Which sizes of a traced function are free, and its graph as formulas of them. transform/ only.
#pragma once
#include "transform/export/exported.h"

namespace lazulite {

// Tokens of the function's graph for arguments of these sizes, which capture no other arrays than
// at the example's.
using TraceAt = std::function<Tokens(const std::vector<Spec>&)>;
// Whether a graph of tokens, read at `sizes`, is this one.
using SameAt = std::function<bool(const Tokens&, const std::vector<int64_t>& sizes, const Tokens&)>;

struct FreeSizes {
  Tokens graph;                    // with formulas
  std::vector<std::string> fixed;  // why sizes are fixed: "argument 0, axis 1: ..."
  int64_t sizes = 0;               // how many are free
  std::vector<std::vector<int64_t>> excluded;  // of each: small ones at which it is another graph
};
// `graph`: what `trace` gives for the specs of the example.
FreeSizes free_sizes(const std::vector<Spec>& specs, const Tokens& graph, const TraceAt& trace,
                     const SameAt& same);

}  // namespace lazulite
