// debug_nans: whether finite inputs have become a nan or an infinity.
#pragma once
#include "eval/plan.h"

namespace lazulite {

void check_finite(const Unit&);  // after it ran: raises where they have

}  // namespace lazulite
