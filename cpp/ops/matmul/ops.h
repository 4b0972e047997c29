// The op of this room: for the files of this room.
#pragma once
#include "ops/matmul/matmul.h"
#include "ops/rooms.h"

namespace lazulite {

extern const Op matmul_op;

}  // namespace lazulite
