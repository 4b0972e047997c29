// Waves: units of a kept plan that are small and need nothing of each other run side by side, each
// on one thread. (A large unit has work for all threads itself.)
#pragma once
#include <cstdint>
#include <vector>

#include "eval/plan.h"

namespace lazulite {

struct Wave {
  size_t units = 1;  // neighbours
  double ahead =
      0;  // estimated nanoseconds, of this wave and of all later ones of two units or more
};
// Draws small units forward, beside an earlier one, where all they need is there by then; the order
// of the others stays. The waves of the new order.
std::vector<Wave> arrange_waves(std::vector<Unit>&);

}  // namespace lazulite
