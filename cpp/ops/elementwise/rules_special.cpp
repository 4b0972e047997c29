// The ops of the rows in special.h, and the functions that apply them.
#define LAZULITE_ROWS special
#include "ops/elementwise/rules.h"

#include "ops/elementwise/special.h"

namespace lazulite {
OpList rows_in_special() { return ops_of<RowSet::special>(special_rows{}); }
}  // namespace lazulite
