// Ops by name, for graphs from files: those of the rooms, and the loops.
#pragma once
#include <string_view>

#include "ops/rooms.h"

namespace lazulite {

OpList scan_ops();
OpList while_ops();
OpList cond_ops();

const Op* find_op(std::string_view name);  // null: there is none of that name

}  // namespace lazulite
