// The ops behind softmax, for the list of the room.
#pragma once
#include "graph/node.h"

namespace lazulite {

const Op& softmax_op();
const Op& softmax_slope_op();

}  // namespace lazulite
