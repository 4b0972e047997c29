// The ops of the rows in arithmetic.h, and the functions that apply them.
#define LAZULITE_ROWS arithmetic
#include "ops/elementwise/rules.h"

#include "ops/elementwise/arithmetic.h"

namespace lazulite {
OpList rows_in_arithmetic() { return ops_of<RowSet::arithmetic>(arithmetic_rows{}); }
}  // namespace lazulite
