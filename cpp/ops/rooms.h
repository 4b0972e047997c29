// The ops of all rooms, as the one list (rooms.inc) gives them.
#pragma once
#include <vector>

#include "graph/node.h"

namespace lazulite {

using OpList = std::vector<const Op*>;
const OpList& ops_of_rooms();

}  // namespace lazulite
