// Sums of products by subscripts (Einstein's summation): "ij,jk->ik" is a product of matrices.
#pragma once
#include <string>
#include <vector>

#include "graph/node.h"

namespace lazulite {

// Which of several operands meet first: "optimal" tries all orders, "greedy" takes the pair that
// saves most, "auto" is optimal for up to 8 operands and greedy above, "left" goes in the order
// given, "path" by `steps`: places in the list of operands, of which the result goes to its end.
struct EinsumOrder {
  std::string method = "auto";
  std::vector<Shape> steps;
};

// Letters name axes, "..." the axes in front that broadcast; sizes of 1 stretch. What the output
// does not name is summed; without "->" it is "..." and, in order, the letters that occur once.
// The dtype is that in which the operands meet (bool: "any of both").
array einsum(const std::string& subscripts, const std::vector<array>& operands,
             const EinsumOrder& = {}, Stream s = default_stream());

struct EinsumPath {
  std::vector<Shape> steps;
  std::string text;  // what the steps cost, beside one sum over all
};
EinsumPath einsum_path(const std::string& subscripts, const std::vector<array>& operands,
                       const EinsumOrder& = {});

}  // namespace lazulite
