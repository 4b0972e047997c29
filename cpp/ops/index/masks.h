// Values by a mask's own order, for indexing.cpp.
#pragma once
#include "ops/index/index.h"

namespace lazulite {

// Result (shape of the mask, then the other axes of values): at the k-th True values[k]; what
// stands elsewhere is of no use. More values than True elements are left; fewer raise a value
// error, at once or when the mask is computed.
array values_at_mask(const array& mask, const array& values, Stream s = default_stream());

}  // namespace lazulite
