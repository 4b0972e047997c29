// Functions of objects of Python's own: memory of others, and pickle.
#include "bind/def.h"

namespace lazulite::bind {

namespace {

std::optional<bool> optional_bool(PyObject* o, const Argument& at) {
  if (o == Py_None) return std::nullopt;
  if (is_number(o) && to_scalar(o, at).kind() == 'b') return to_scalar(o, at).truth();
  wrong_kind(o, at, "True, False or None");
}

array imported(PyObject* o, PyObject* device, PyObject* copy) {
  if (device != Py_None) to_stream(device, {"from_dlpack", "device"});  // of others than the CPU
  return from_dlpack(o, optional_bool(copy, {"from_dlpack", "copy"}), device != Py_None);
}

// With copy=False an array is itself, so that what is written into one is seen in the other.
PyObject* as_shared(PyObject* o, const std::optional<Dtype>& t, std::optional<bool> copy) {
  array made = share_array(o, t, copy);
  return copy == false && is_array(o) ? Py_NewRef(o) : wrap(std::move(made));
}

array unpickled(PyObject* data, Dtype t, const Shape& shape) {
  char* bytes = nullptr;
  Py_ssize_t length = 0;
  if (PyBytes_AsStringAndSize(data, &bytes, &length) < 0) throw PythonError{};
  for (int64_t n : shape)
    if (n < 0) fail(Kind::value, "array", "negative size: got ", shape);
  check_shape(shape, t, "array");
  if (length != size_of(shape) * size_of(t))
    fail(Kind::value, "array", "pickled data does not fit: got ", length, " bytes for ", t,
         " of shape ", shape);
  return array(bytes, shape, t, t);
}

const Register rows{[](Functions& m) {
  m.def("_unpickle(data, dtype, shape)", unpickled, "The array that pickle wrote.");
  m.def("asarray(a, dtype=None, *, copy=None, device=None)",
        [](PyObject* o, const std::optional<Dtype>& t, PyObject* copy, PyObject* device) {
          if (device != Py_None) to_stream(device, {"asarray", "device"});  // memory is the CPU's
          return as_shared(o, t, optional_bool(copy, {"asarray", "copy"}));
        },
        "An array that shares the memory of a buffer or DLPack object where dtype and layout allow "
        "it, and copies otherwise;\n"
        "copy=True always copies, copy=False raises ValueError where sharing is not possible, and gives an "
        "array itself.\n\n"
        ">>> mx.asarray([1, 2])\narray([1, 2], dtype=int32)");
  m.def("from_dlpack(x, /, *, device=None, copy=None)", imported,
        "An array on the memory of an object with __dlpack__ (shared unless copy=True, copied "
        "where it cannot be shared unless\n"
        "copy=False). `device` may name the CPU, which asks objects on other devices for a copy "
        "there. TypeError for other objects.\n\n"
        ">>> mx.from_dlpack(mx.ones(2))\narray([1, 1], dtype=float32)");
}};

}  // namespace
}  // namespace lazulite::bind
