// Copies of strided memory, by all threads.
#pragma once
#include "base/dtype.h"
#include "base/shape.h"

namespace lazulite::engine {

// Memory that holds the elements of a shape: strides in elements, 0 repeats, negative runs back.
struct Strided {
  void* data;  // of the element with index 0 on each axis
  Dtype type;
  Strides strides;
};

// Every element of `to` from the one of `from` at the same index; `to` repeats nothing and does
// not overlap `from`. Dtypes are equal, or both are computed in the same one: halves become float32
// and float32 is rounded to halves. `whole`: bytes of the result of which `to` is a part, where
// that is made at once: what leaves the caches goes around them.
void copy(const Shape& shape, const Strided& from, const Strided& to, int64_t whole = 0);

}  // namespace lazulite::engine
