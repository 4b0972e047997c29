// More elements around an array: NumPy's modes.
#pragma once
#include <string>

#include "ops/compose/shape.h"

namespace lazulite {

// What modes ask for besides widths. Values are one number, or numbers that broadcast to (axes, 2):
// in front of each axis and behind it.
struct Padding {
  Operand constant_values = 0;  // constant
  Operand end_values = 0;       // linear_ramp: of the outermost elements
  Widths stat_length = {};      // maximum, mean, median, minimum: of how many at an end; of all
  std::string reflect_type = "even";  // reflect, symmetric; "odd": on the other side of the edge
};

// Modes: constant, edge, empty (zeros), linear_ramp, maximum, mean, median, minimum, reflect,
// symmetric, wrap. Axes are padded one after the other, each as the ones before left it.
array pad(const array&, const Widths&, const std::string& mode, const Padding&,
          Stream s = default_stream());

}  // namespace lazulite
