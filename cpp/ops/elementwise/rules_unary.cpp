// The ops of the rows in unary.h, and the functions that apply them.
#define LAZULITE_ROWS unary
#include "ops/elementwise/rules.h"

#include "ops/elementwise/unary.h"

namespace lazulite {
OpList rows_in_unary() { return ops_of<RowSet::unary>(unary_rows{}); }
}  // namespace lazulite
