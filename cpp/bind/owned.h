// New references of the C API as objects.
#pragma once
#include <pybind11/pybind11.h>

#include "bind/array_class.h"

namespace lazulite::bind {

// Raises what Python raised where there is none.
inline pybind11::object owned(PyObject* o) {
  if (!o) throw PythonError{};
  return pybind11::reinterpret_steal<pybind11::object>(o);
}

}  // namespace lazulite::bind
