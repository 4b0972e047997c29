// The elementwise ops that are no rows: for the files of this room.
#pragma once
#include "ops/elementwise/elementwise.h"

namespace lazulite {

extern const Op cast_op, select_op;

}  // namespace lazulite
