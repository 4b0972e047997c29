// The ops of the rows in binary.h, and the functions that apply them.
#define LAZULITE_ROWS binary
#include "ops/elementwise/rules.h"

#include "ops/elementwise/binary.h"

namespace lazulite {
OpList rows_in_binary() { return ops_of<RowSet::binary>(binary_rows{}); }
}  // namespace lazulite
