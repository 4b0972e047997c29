// What other libraries ask of an array: NumPy's protocols, the buffer protocol, DLPack, pickle.
#include <dlfcn.h>
#include <pybind11/pybind11.h>
#include <unwind.h>

#include <cstring>

#include "bind/array_slots.h"
#include "bind/def.h"
#include "bind/owned.h"
#include "eval/eval.h"
#include "ops/cpu.h"
#include "ops/elementwise/elementwise.h"
#include "ops/shape/shape.h"

namespace py = pybind11;

namespace lazulite::bind {

namespace {
// NumPy has bfloat16 only from ml_dtypes; null without it.
py::object numpy_bfloat16() {
  const auto module = py::reinterpret_steal<py::object>(PyImport_ImportModule("ml_dtypes"));
  PyErr_Clear();
  return module ? py::object(module.attr("bfloat16")) : py::object();
}
}  // namespace

PyObject* array_as_numpy(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"dtype", "copy", nullptr};
  PyObject *dtype = Py_None, *copy = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO", const_cast<char**>(names), &dtype, &copy))
    return nullptr;
  return guarded([&] {
    const py::module_ numpy = py::module_::import("numpy");
    // NumPy makes a dtype of much else, and does not survive what changes while it is asked.
    if (dtype != Py_None && !PyType_Check(dtype) && !PyUnicode_Check(dtype) &&
        Py_TYPE(dtype) != Py_TYPE(owned(from_dtype(float32)).ptr()) &&
        !py::isinstance(dtype, numpy.attr("dtype")))
      fail(Kind::type, "array.__array__", "dtype: got ", Py_TYPE(dtype)->tp_name,
           ", expected a dtype of NumPy");
    const array a = unwrap(self);
    py::object source = py::reinterpret_borrow<py::object>(self), brain;
    if (a.dtype() == bfloat16) {  // by its bytes, or as float32
      brain = numpy_bfloat16();
      source = owned(wrap(brain ? lazulite::view(a, uint16) : astype(a, float32)));
    }
    const AnsweringArray answering;
    py::object made = numpy.attr("asarray")(owned(PyMemoryView_FromObject(source.ptr())));
    if (brain) made = made.attr("view")(brain);
    if (dtype != Py_None) made = made.attr("astype")(py::handle(dtype));
    else if (copy == Py_True) made = made.attr("copy")();
    return made.release().ptr();
  });
}

// ---- NumPy's protocol for its functions: what stands for an operator gives our arrays, anything
// else (with out=, reductions, functions of one array) is NumPy's own, of arrays that show our
// memory.
namespace {
py::object as_numpy(py::handle o) {
  return is_array(o.ptr()) ? o.attr("__array__")() : py::reinterpret_borrow<py::object>(o);
}
// Keywords of a function of NumPy's with its arrays for ours.
py::dict numpy_keywords(PyObject* kwargs) {
  py::dict options;
  if (!kwargs) return options;
  for (auto [key, value] : py::reinterpret_borrow<py::dict>(kwargs)) {
    if (PyTuple_Check(value.ptr()))  // out=
      for (py::handle item : value)
        if (is_array(item.ptr()))
          fail(Kind::type, "out",
               "got a Lazulite array, expected a NumPy array: x[...] = value writes to ours");
    options[key] = as_numpy(value);
  }
  return options;
}
}  // namespace

PyObject* array_for_ufunc(PyObject*, PyObject* args, PyObject* kwargs) {
  const Py_ssize_t n = PyTuple_GET_SIZE(args);
  if (n < 2 || !PyUnicode_Check(PyTuple_GET_ITEM(args, 1))) {
    PyErr_SetString(PyExc_TypeError, "__array_ufunc__(ufunc, method, *inputs, **kwargs)");
    return nullptr;
  }
  PyObject *ufunc = PyTuple_GET_ITEM(args, 0), *method = PyTuple_GET_ITEM(args, 1);
  const bool plain = (!kwargs || PyDict_GET_SIZE(kwargs) == 0) &&
                     PyUnicode_CompareWithASCIIString(method, "__call__") == 0;
  if (plain && n == 4) {
    PyObject* name = PyObject_GetAttrString(ufunc, "__name__");
    if (!name) return nullptr;
    const binaryfunc call = operator_named(name);
    Py_DECREF(name);
    if (call) return call(PyTuple_GET_ITEM(args, 2), PyTuple_GET_ITEM(args, 3));
  }
  return guarded([&] {
    py::tuple inputs(n - 2);
    for (Py_ssize_t i = 2; i < n; ++i) inputs[size_t(i - 2)] = as_numpy(PyTuple_GET_ITEM(args, i));
    return py::handle(ufunc).attr(method)(*inputs, **numpy_keywords(kwargs)).release().ptr();
  });
}

// ---- DLPack
namespace {
// None, or a tuple of two ints.
std::optional<std::pair<int64_t, int64_t>> pair_of(PyObject* o, const Argument& at) {
  if (o == Py_None) return std::nullopt;
  if (!PyTuple_Check(o) || PyTuple_GET_SIZE(o) != 2) wrong_kind(o, at, "a tuple of two ints");
  return std::pair(From<int64_t>::of(PyTuple_GET_ITEM(o, 0), at),
                   From<int64_t>::of(PyTuple_GET_ITEM(o, 1), at));
}
}  // namespace
PyObject* array_as_dlpack(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"stream", "max_version", "dl_device", "copy", nullptr};
  PyObject *stream = Py_None, *version = Py_None, *device = Py_None, *copy = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$OOOO:__dlpack__", const_cast<char**>(names),
                                   &stream, &version, &device, &copy))
    return nullptr;
  return guarded([&]() -> PyObject* {
    if (stream != Py_None) {
      PyErr_SetString(PyExc_BufferError,
                      "[__dlpack__] stream: memory of the CPU has none: expected None");
      return nullptr;
    }
    if (copy != Py_None && !PyBool_Check(copy))
      wrong_kind(copy, {"__dlpack__", "copy"}, "True, False or None");
    const auto place = pair_of(device, {"__dlpack__", "dl_device"});
    if (place && *place != std::pair<int64_t, int64_t>(1, 0)) {
      PyErr_Format(PyExc_BufferError,
                   "[__dlpack__] dl_device: got (%lld, %lld), expected (1, 0), the CPU",
                   static_cast<long long>(place->first), static_cast<long long>(place->second));
      return nullptr;
    }
    const auto newest = pair_of(version, {"__dlpack__", "max_version"});
    return to_dlpack(self, newest && newest->first >= 1, copy == Py_True);
  });
}

// ---- Arrow: what pyarrow.array asks for
PyObject* array_as_arrow(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"type", nullptr};
  PyObject* type = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:__arrow_array__", const_cast<char**>(names),
                                   &type))
    return nullptr;
  return guarded([&] {
    const py::object make = py::module_::import("lazulite.core._arrow").attr("arrow_array");
    return make(py::handle(self), py::handle(type)).release().ptr();
  });
}

// ---- pickle: the constructor over raw bytes.
PyObject* array_reduced(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* {
    const array a = contiguous(unwrap(self));
    PyObject* bytes =
        PyBytes_FromStringAndSize(static_cast<const char*>(a.raw()), Py_ssize_t(a.nbytes()));
    PyObject* module = PyImport_ImportModule("lazulite.core._core");
    PyObject* build = module ? PyObject_GetAttrString(module, "_unpickle") : nullptr;
    Py_XDECREF(module);
    if (!build) return nullptr;
    PyObject* shape = shape_tuple(a);
    PyObject* out = Py_BuildValue("N(NsN)", build, bytes, name_of(a.dtype()), shape);
    return out;
  });
}
PyObject* array_with_state(PyObject* self, PyObject* state) {
  PyObject *build, *arguments;
  if (!PyArg_ParseTuple(state, "OO", &build, &arguments)) return nullptr;
  PyObject* made = PyObject_CallObject(build, arguments);
  if (!made) return nullptr;
  if (is_array(made)) retarget(self, unwrap(made));
  Py_DECREF(made);
  Py_RETURN_NONE;
}

// ---- the buffer protocol: shared, writable memory; foreign to us from then on
namespace {
struct Exported {
  Ref<Node> node;
  Py_ssize_t shape[max_axes], strides[max_axes];
};
const char* format_of(Dtype t) {
  switch (t) {
    case bool_: return "?";
    case uint8: return "B";
    case uint16: return "H";
    case uint32: return "I";
    case uint64: return "Q";
    case int8: return "b";
    case int16: return "h";
    case int32: return "i";
    case int64: return "q";
    case float16: return "e";
    case float32: return "f";
    case float64: return "d";
    case complex64: return "Zf";
    case complex128: return "Zd";
    case bfloat16: return "bfloat16";  // the protocol has none; the reference's name for it
    default: return nullptr;
  }
}
// NumPy asks an object for its buffer before it asks for __array__, and raises for a format that it
// does not know; its frombuffer, which asks in the same way, looks at no format. Who asks can only
// be seen from the machine's stack.
struct Frames {
  void* frombuffer;
  int left = 10;
  bool numpy = false, bytes = false;
};
_Unwind_Reason_Code visit_frame(_Unwind_Context* context, void* out) {
  auto& frames = *static_cast<Frames*>(out);
  void* const at = reinterpret_cast<void*>(_Unwind_GetIP(context));
  Dl_info info;
  if (dladdr(at, &info) && info.dli_fname)
    frames.numpy |= std::strstr(info.dli_fname, "_multiarray_umath") != nullptr;
  frames.bytes |= frames.frombuffer && _Unwind_FindEnclosingFunction(at) == frames.frombuffer;
  return --frames.left ? _URC_NO_REASON : _URC_NORMAL_STOP;
}
void* address_of_frombuffer() {
  for (const char* name : {"numpy._core._multiarray_umath", "numpy.core._multiarray_umath"}) {
    PyObject* modules = PyImport_GetModuleDict();
    PyObject* module = PyDict_GetItemString(modules, name);
    PyObject* function = module ? PyObject_GetAttrString(module, "frombuffer") : nullptr;
    PyErr_Clear();
    void* address = function && PyCFunction_Check(function)
                        ? reinterpret_cast<void*>(PyCFunction_GetFunction(function))
                        : nullptr;
    Py_XDECREF(function);
    if (address) return address;
  }
  return nullptr;
}
bool numpy_asks_for_array() {
  Frames frames{address_of_frombuffer()};
  _Unwind_Backtrace(visit_frame, &frames);
  return frames.numpy && !frames.bytes;
}
}  // namespace

// Others may write to it from now on: never donated. What shares memory with a constant gets its
// own, since equal constants are one node; its broadcast axes stay.
thread_local bool AnsweringArray::now = false;

array shareable(PyObject* self) {
  const array known = unwrap(self);
  array a = known;
  a.eval();
  if (is_constant(a) || a.slot().storage.buffer->constant) {
    const Slot slot = a.slot();
    Spec part = slot.spec;
    for (size_t i = 0; i < part.shape.size(); ++i)
      if (slot.storage.strides[i] == 0) part.shape[i] = std::min<int64_t>(part.shape[i], 1);
    Storage own{allocate(size_of(part.shape) * size_of(part.type)), 0, dense_strides(part.shape)};
    char* data =
        static_cast<char*>(slot.storage.buffer->data) + slot.storage.offset * size_of(part.type);
    if (size_of(part.shape))
      copy_strided(TensorView{&part, &slot.storage, data},
                   TensorView{&part, &own, static_cast<char*>(own.buffer->data)});
    for (size_t i = 0; i < part.shape.size(); ++i)
      if (part.shape[i] != slot.spec.shape[i]) own.strides[i] = 0;
    a = from_storage(slot.spec, std::move(own));
    if (peek(self).same(known)) retarget(self, a);
  }
  a.slot().storage.buffer->foreign = true;
  return a;
}

namespace {

[[noreturn]] void refuse_buffer(const char* why) {
  PyErr_SetString(PyExc_BufferError, why);
  throw PythonError{};
}

// Whether the array lies as who asks for its buffer wants it.
void check_layout(const array& a, int flags) {
  auto asked = [flags](int flag) { return (flags & flag) == flag; };
  const bool rows = is_dense(a.shape(), a.strides());
  const bool columns = is_dense(Shape(a.shape().rbegin(), a.shape().rend()),
                                Strides(a.strides().rbegin(), a.strides().rend()));
  if (!rows && (!asked(PyBUF_STRIDES) || asked(PyBUF_C_CONTIGUOUS)))
    refuse_buffer("the array is not contiguous in row-major order");
  if (!columns && asked(PyBUF_F_CONTIGUOUS))
    refuse_buffer("the array is not contiguous in column-major order");
  if (!rows && !columns && asked(PyBUF_ANY_CONTIGUOUS))
    refuse_buffer("the array is not contiguous");
}

// Not every array has a buffer for everyone who asks.
void check_asked(const array& a, int flags) {
  const bool unknown = a.dtype() == bfloat16 && (flags & PyBUF_FORMAT) && numpy_asks_for_array();
  if (!format_of(a.dtype()) || unknown)
    fail(Kind::value, "buffer", "no buffer format for ", a.dtype());
  if (a.ndim() > 64) fail(Kind::value, "buffer", "too many axes: got ", a.ndim());
  // NumPy drops what the buffer protocol raises, Ctrl-C too, and asks __array__ next: let that one
  // wait.
  if (!AnsweringArray::now && a.node()->state.load(std::memory_order_acquire) != State::ready &&
      numpy_asks_for_array())
    fail(Kind::value, "buffer", "not evaluated yet");
}

}  // namespace

int get_buffer(PyObject* self, Py_buffer* out, int flags) {
  try {
    check_asked(unwrap(self), flags);
    const array a = shareable(self);
    check_layout(a, flags);
    const bool readonly =
        !a.slot().storage.buffer->writable || overlaps_itself(a.shape(), a.strides());
    if (readonly && (flags & PyBUF_WRITABLE)) refuse_buffer("the memory of the array is read-only");
    auto* exported = new Exported{a.node(), {}, {}};
    const int64_t bytes = size_of(a.dtype());
    for (int i = 0; i < a.ndim(); ++i) {
      exported->shape[i] = Py_ssize_t(a.shape()[i]);
      exported->strides[i] = Py_ssize_t(a.strides()[i] * bytes);
    }
    out->buf = const_cast<void*>(a.raw());
    out->obj = Py_NewRef(self);
    out->len = Py_ssize_t(a.nbytes());
    out->itemsize = Py_ssize_t(bytes);
    out->readonly = readonly;
    out->ndim = a.ndim();
    out->format = flags & PyBUF_FORMAT ? const_cast<char*>(format_of(a.dtype())) : nullptr;
    out->shape = flags & PyBUF_ND ? exported->shape : nullptr;
    out->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? exported->strides : nullptr;
    out->suboffsets = nullptr;
    out->internal = exported;
    return 0;
  } catch (...) {
    set_error();
    out->obj = nullptr;
    return -1;
  }
}

void release_buffer(PyObject*, Py_buffer* view) {
  delete static_cast<Exported*>(view->internal);
  view->internal = nullptr;
}

}  // namespace lazulite::bind
