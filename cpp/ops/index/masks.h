// Values by a mask's own order, for indexing.cpp.
#pragma once
#include "ops/index/index.h"

namespace lazulite {

// Result (shape of the mask, then the other axes of values): at the k-th True values[k]; what
// stands elsewhere is of no use. More values than True elements are left; fewer raise a value
// error, at once or when the mask is computed.
array values_at_mask(const array& mask, const array& values, Stream s = default_stream());

// The elements of a where a mask of the same shape is true: how many is looked at now, or known.
array elements_at_mask(const array& a, const array& mask, Stream s = default_stream());
array elements_at_mask(const array& a, const array& mask, int64_t size, Stream s);
// a with values (one axis) at the places of a mask of the same shape, as above.
array set_at_mask(const array& a, const array& mask, const array& values,
                  Stream s = default_stream());

}  // namespace lazulite
