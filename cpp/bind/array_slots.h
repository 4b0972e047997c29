// What the units of the type `array` give to each other: array_class.cpp has objects and operators,
// array_methods.cpp properties and methods, protocols.cpp what other libraries ask for.
#pragma once
#include "bind/array_class.h"

#include <structmember.h>

namespace lazulite::bind {

// array_class.cpp
binaryfunc operator_named(PyObject* name);  // as NumPy names its functions; null: none of ours
PyObject* divided(PyObject* a, PyObject* b);

// array_methods.cpp
extern PyGetSetDef array_properties[];
extern PyMethodDef array_methods[];
extern PyMemberDef array_members[];
PyObject* repr_array(PyObject*);
PyObject* shape_tuple(const array&);

// protocols.cpp; methods of the names that Python gives them
PyObject* array_as_numpy(PyObject*, PyObject* args, PyObject* kwargs);        // __array__
PyObject* array_for_ufunc(PyObject*, PyObject* args, PyObject* kwargs);  // __array_ufunc__
PyObject* array_as_dlpack(PyObject*, PyObject* args, PyObject* kwargs);  // __dlpack__
PyObject* array_as_arrow(PyObject*, PyObject* args, PyObject* kwargs);   // __arrow_array__
PyObject* array_reduced(PyObject*, PyObject*);                           // __reduce__
PyObject* array_with_state(PyObject*, PyObject* state);                  // __setstate__

}  // namespace lazulite::bind
