// Arrays of NumPy, read where they lie.
#pragma once
#include "bind/array_class.h"

namespace lazulite::bind {

// A copy of a numpy.ndarray of a native dtype, dense in row-major order; null for what is something
// else, which then takes the way of every buffer.
array from_ndarray(PyObject*);

}  // namespace lazulite::bind
