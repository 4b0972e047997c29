// Functions of objects of Python's own: memory of others, and pickle.
#include "bind/def.h"
#include "ops/elementwise/elementwise.h"

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

// An array with the object that holds it, which a result may be.
struct Given {
  PyObject* object;
  array value;
};
struct Made {
  PyObject* object;
};
PyObject* to_py(Made made) { return made.object; }

Made in_dtype(const Given& a, Dtype t, bool copy, Stream s) {
  if (!copy && is_array(a.object) && t == a.value.dtype()) return {Py_NewRef(a.object)};
  return {wrap(astype(a.value, t, s))};
}

}  // namespace

template <>
struct From<Given> {
  static Given of(PyObject* o, const Argument& at) { return {o, From<array>::of(o, at)}; }
};
template <>
std::string type_name<Given>() {
  return "array";
}
template <>
std::string type_name<Made>() {
  return "array";
}

namespace {

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
  m.def("astype(a, dtype, /, *, copy=True, stream=None)",
        [](const Given& a, Dtype t, bool copy, Stream s) { return in_dtype(a, t, copy, s); },
        "The values in another dtype: floats truncate towards zero, integers wrap, what is "
        "not zero is True. copy=False gives an array that has the dtype already itself.\n\n"
        ">>> mx.astype(mx.array([1.9, -1.9]), mx.int32)\n"
        "array([1, -1], dtype=int32)")
      .also("stream", "device")
      .cases({"x(2, 3), mx.float64"}, "lambda a, t: a.real.astype('float64')")
      .large({"x(2, chunk + 1), mx.float64"});
  m.methods()
      .def("astype(a, dtype, stream=None, *, copy=True)",
           [](const Given& a, Dtype t, Stream s, bool copy) { return in_dtype(a, t, copy, s); },
           "The values in another dtype; see mx.astype.")
      .also("stream", "device");
}};

}  // namespace
}  // namespace lazulite::bind
