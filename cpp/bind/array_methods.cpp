// Properties and methods of the type `array` that no row of functions makes.
#include "bind/array_slots.h"
#include "ops/elementwise/elementwise.h"
#include "ops/shape/shape.h"

namespace lazulite::bind {

PyObject* repr_array(PyObject* self) {
  return guarded([&] { return PyUnicode_FromString(print_array(unwrap(self)).c_str()); });
}
PyObject* shape_tuple(const array& a) {
  const Shape& shape = a.shape();
  PyObject* tuple = PyTuple_New(Py_ssize_t(shape.size()));
  for (size_t i = 0; i < shape.size(); ++i)
    PyTuple_SET_ITEM(tuple, Py_ssize_t(i), PyLong_FromLongLong(shape[i]));
  return tuple;
}

namespace {

// ---- properties
PyObject* get_shape(PyObject* self, void*) { return shape_tuple(peek(self)); }
PyObject* get_ndim(PyObject* self, void*) { return PyLong_FromLong(peek(self).ndim()); }
PyObject* get_size(PyObject* self, void*) { return PyLong_FromLongLong(peek(self).size()); }
PyObject* get_dtype(PyObject* self, void*) { return from_dtype(peek(self).dtype()); }
PyObject* get_itemsize(PyObject* self, void*) {
  return PyLong_FromLongLong(size_of(peek(self).dtype()));
}
PyObject* get_nbytes(PyObject* self, void*) { return PyLong_FromLongLong(peek(self).nbytes()); }
PyObject* get_T(PyObject* self, void*) {
  return guarded([&] { return wrap(transpose(unwrap(self))); });
}
PyObject* get_mT(PyObject* self, void*) {
  return guarded([&] { return wrap(matrix_transpose(unwrap(self))); });
}
PyObject* get_real(PyObject* self, void*) {
  return guarded([&] { return wrap(real(unwrap(self))); });
}
PyObject* get_imag(PyObject* self, void*) {
  return guarded([&] { return wrap(imag(unwrap(self))); });
}
PyObject* get_numpy_dtype(PyObject* self, void*) {
  PyObject* type = get_dtype(self, nullptr);
  PyObject* made = type ? PyObject_GetAttrString(type, "__numpy_dtype__") : nullptr;
  Py_XDECREF(type);
  return made;
}
PyObject* get_priority(PyObject*, void*) { return PyFloat_FromDouble(1000.0); }


PyObject* method_item(PyObject* self, PyObject*) {
  return guarded([&] { return to_number(unwrap(self).item()); });
}
PyObject* method_tolist(PyObject* self, PyObject*) {
  return guarded([&] { return to_list(unwrap(self)); });
}
PyObject* method_complex(PyObject* self, PyObject*) {
  return guarded([&] {
    const auto c = unwrap(self).item().complex();
    return PyComplex_FromDoubles(c.real(), c.imag());
  });
}
PyObject* method_copy(PyObject* self, PyObject*) { return wrap(unwrap(self)); }
PyObject* method_format(PyObject* self, PyObject* spec) {
  return guarded([&]() -> PyObject* {
    text_of(spec, {"format", "format_spec"});
    const array a = unwrap(self);
    if (a.ndim() == 0 || (a.size() == 1 && PyUnicode_GetLength(spec) > 0)) {
      PyObject* number = to_number(a.item());
      PyObject* text = PyObject_Format(number, spec);
      Py_DECREF(number);
      return text;
    }
    if (PyUnicode_GetLength(spec) > 0)
      fail(Kind::type, "format", "a format for an array of shape ", a.shape(),
           ": expected one element");
    return repr_array(self);
  });
}
PyObject* method_round(PyObject* self, PyObject* args) {
  int decimals = 0;
  if (!PyArg_ParseTuple(args, "|i", &decimals)) return nullptr;
  return guarded([&] { return wrap(round(unwrap(self), decimals)); });
}

PyObject* get_at(PyObject* self, void*) { return guarded([&] { return make_at(self); }); }
PyObject* get_device(PyObject* self, void*) {
  return guarded([&] { return from_device(peek(self).node()->stream.device); });
}
PyObject* method_device(PyObject*, PyObject*) { return Py_BuildValue("(ii)", 1, 0); }
PyObject* method_bytes(PyObject* self, PyObject*) {
  return guarded([&] {
    const array a = contiguous(unwrap(self));
    return PyBytes_FromStringAndSize(static_cast<const char*>(a.raw()), Py_ssize_t(a.nbytes()));
  });
}
// All versions of the standard up to the last one are answered by the same module.
PyObject* method_namespace(PyObject*, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"api_version", nullptr};
  PyObject* version = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$O", const_cast<char**>(names), &version))
    return nullptr;
  return guarded([&]() -> PyObject* {
    if (version != Py_None) {
      const std::string wanted = text_of(version, {"array_namespace", "api_version"});
      bool known = false;
      for (const char* v : {"2021.12", "2022.12", "2023.12", "2024.12", "2025.12"})
        known |= wanted == v;
      if (!known)
        fail(Kind::value, "array_namespace", "unknown api_version: got '", wanted,
             "', expected '2021.12' to '2025.12'");
    }
    return PyImport_ImportModule("lazulite.core");
  });
}
// The array on a device (or stream): there is one memory, so that no data moves.
PyObject* method_to_device(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"device", "stream", nullptr};
  PyObject *device = nullptr, *stream = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$O", const_cast<char**>(names), &device,
                                   &stream))
    return nullptr;
  return guarded([&] {
    if (device == Py_None) wrong_kind(device, {"to_device", "device"}, "a Device");
    to_stream(device, {"to_device", "device"});
    if (stream != Py_None) to_stream(stream, {"to_device", "stream"});
    return wrap(unwrap(self));
  });
}

PyCFunction with_keywords(PyObject* (*method)(PyObject*, PyObject*, PyObject*)) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(method));
}

}  // namespace

PyGetSetDef array_properties[] = {
    {"shape", get_shape, nullptr, "Sizes of the axes.", nullptr},
    {"ndim", get_ndim, nullptr, "Number of axes.", nullptr},
    {"size", get_size, nullptr, "Number of elements.", nullptr},
    {"dtype", get_dtype, nullptr, "Type of the elements.", nullptr},
    {"itemsize", get_itemsize, nullptr, "Bytes of an element.", nullptr},
    {"nbytes", get_nbytes, nullptr, "Bytes of all elements.", nullptr},
    {"T", get_T, nullptr, "Axes reversed.", nullptr},
    {"mT", get_mT, nullptr, "Last two axes exchanged.", nullptr},
    {"real", get_real, nullptr, "Real part.", nullptr},
    {"imag", get_imag, nullptr, "Imaginary part.", nullptr},
    {"at", get_at, nullptr,
     "a.at[key].add(value), subtract, multiply, divide, maximum, minimum, set: a new array; "
     "repeated\nindices accumulate.",
     nullptr},
    {"device", get_device, nullptr, "The device that computes it.", nullptr},
    {"__numpy_dtype__", get_numpy_dtype, nullptr, nullptr, nullptr},
    {"__array_priority__", get_priority, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyMethodDef array_methods[] = {
    {"item", method_item, METH_NOARGS,
     "item($self, /)\n--\n\nThe only element as a Python number; ValueError otherwise."},
    {"tolist", method_tolist, METH_NOARGS,
     "tolist($self, /)\n--\n\nNested lists of Python numbers."},
    {"__complex__", method_complex, METH_NOARGS, nullptr},
    {"__copy__", method_copy, METH_NOARGS, nullptr},
    {"__deepcopy__", method_copy, METH_O, nullptr},
    {"__array__", with_keywords(array_as_numpy),
     METH_VARARGS | METH_KEYWORDS, nullptr},
    {"__array_ufunc__",
     with_keywords(array_for_ufunc),
     METH_VARARGS | METH_KEYWORDS, nullptr},
    {"__reduce__", array_reduced, METH_NOARGS, nullptr},
    {"__format__", method_format, METH_O, nullptr},
    {"__dlpack__", with_keywords(array_as_dlpack),
     METH_VARARGS | METH_KEYWORDS, nullptr},
    {"__arrow_array__", with_keywords(array_as_arrow), METH_VARARGS | METH_KEYWORDS, nullptr},
    {"__dlpack_device__", method_device, METH_NOARGS, nullptr},
    {"__bytes__", method_bytes, METH_NOARGS, nullptr},
    {"__array_namespace__",
     with_keywords(method_namespace),
     METH_VARARGS | METH_KEYWORDS, nullptr},
    {"to_device", with_keywords(method_to_device), METH_VARARGS | METH_KEYWORDS,
     "to_device($self, device, /, *, stream=None)\n--\n\nThe array on a device of this machine; "
     "all of them use one memory."},
    {"__getstate__", array_reduced, METH_NOARGS, nullptr},
    {"__setstate__", array_with_state, METH_O, nullptr},
    {"__div__", divided, METH_O, nullptr},
    {"__rdiv__", [](PyObject* a, PyObject* b) { return divided(b, a); }, METH_O, nullptr},
    {"__round__", method_round, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
PyMemberDef array_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(PyArray, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

}  // namespace lazulite::bind
