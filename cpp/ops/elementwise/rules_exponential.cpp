// The ops of the rows in exponential.h, and the functions that apply them.
#define LAZULITE_ROWS exponential
#include "ops/elementwise/rules.h"

#include "ops/elementwise/exponential.h"

namespace lazulite {
OpList rows_in_exponential() { return ops_of<RowSet::exponential>(exponential_rows{}); }
}  // namespace lazulite
