// The ops of the rows in trigonometric.h, and the functions that apply them.
#define LAZULITE_ROWS trigonometric
#include "ops/elementwise/rules.h"

#include "ops/elementwise/trigonometric.h"

namespace lazulite {
OpList rows_in_trigonometric() { return ops_of<RowSet::trigonometric>(trigonometric_rows{}); }
}  // namespace lazulite
