// DLPack: the structures of the public ABI (version 1.0 and the older one), import and export.
#include <pybind11/pybind11.h>

#include <algorithm>
#include <memory>

#include "bind/array_class.h"
#include "bind/owned.h"
#include "eval/eval.h"
#include "graph/trace.h"
#include "ops/cpu.h"
#include "ops/shape/shape.h"

namespace py = pybind11;

namespace lazulite::bind {

namespace {

struct DLDevice {
  int32_t type, id;
};
struct DLType {
  uint8_t code, bits;
  uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLType type;
  int64_t* shape;
  int64_t* strides;
  uint64_t byte_offset;
};
struct Managed {
  DLTensor tensor;
  void* context;
  void (*deleter)(Managed*);
};
struct ManagedVersioned {
  uint32_t major, minor;
  void* context;
  void (*deleter)(ManagedVersioned*);
  uint64_t flags;  // 1: read-only, 2: copied
  DLTensor tensor;
};
enum : uint8_t {
  code_int = 0,
  code_uint = 1,
  code_float = 2,
  code_bfloat = 4,
  code_complex = 5,
  code_bool = 6
};
constexpr int32_t device_cpu = 1;

DLType type_of_dtype(Dtype t) {
  const uint8_t bits = uint8_t(size_of(t) * 8);
  switch (kind_of(t)) {
    case 'b': return {code_bool, 8, 1};
    case 'u': return {code_uint, bits, 1};
    case 'i': return {code_int, bits, 1};
    case 'c': return {code_complex, bits, 1};
    default: return {uint8_t(t == bfloat16 ? code_bfloat : code_float), bits, 1};
  }
}
std::optional<Dtype> dtype_of_type(DLType type) {
  for (int i = 0; i < dtype_count; ++i) {
    const DLType known = type_of_dtype(Dtype(i));
    if (known.code == type.code && known.bits == type.bits && type.lanes == 1) return Dtype(i);
  }
  return std::nullopt;
}

// What an exported capsule keeps alive.
struct Exported {
  Ref<Node> node;
  Ref<Buffer> buffer;
  Shape shape;
  Strides strides;
  Managed plain;
  ManagedVersioned versioned;
};
void delete_plain(Managed* m) { delete static_cast<Exported*>(m->context); }
void delete_versioned(ManagedVersioned* m) { delete static_cast<Exported*>(m->context); }

// A capsule that nobody took over is renamed by nobody: its tensor goes with it.
void drop_plain(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, "dltensor")) return;
  auto* m = static_cast<Managed*>(PyCapsule_GetPointer(capsule, "dltensor"));
  m->deleter(m);
}
void drop_versioned(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, "dltensor_versioned")) return;
  auto* m = static_cast<ManagedVersioned*>(PyCapsule_GetPointer(capsule, "dltensor_versioned"));
  m->deleter(m);
}

// A tensor that was taken out of its capsule. Deleters of Python's libraries want the GIL.
struct Imported {
  Managed* plain = nullptr;
  ManagedVersioned* versioned = nullptr;
  Imported() = default;
  Imported(const Imported&) = delete;
  ~Imported() {
    if (plain && plain->deleter) plain->deleter(plain);
    if (versioned && versioned->deleter) versioned->deleter(versioned);
  }
  const DLTensor& tensor() const { return plain ? plain->tensor : versioned->tensor; }
  bool writable() const { return plain || !(versioned->flags & 1); }
};
void release_imported(Buffer* buffer) {
  release_python([](void* owner) { delete static_cast<Imported*>(owner); }, buffer->owner);
}

std::unique_ptr<Imported> taken_from(PyObject* capsule) {
  auto out = std::make_unique<Imported>();
  if (PyCapsule_IsValid(capsule, "dltensor_versioned")) {
    auto* tensor =
        static_cast<ManagedVersioned*>(PyCapsule_GetPointer(capsule, "dltensor_versioned"));
    if (tensor->major > 1) fail(Kind::value, "from_dlpack", "unknown version of DLPack");
    out->versioned = tensor;
    PyCapsule_SetName(capsule, "used_dltensor_versioned");
  } else if (PyCapsule_IsValid(capsule, "dltensor")) {
    out->plain = static_cast<Managed*>(PyCapsule_GetPointer(capsule, "dltensor"));
    PyCapsule_SetName(capsule, "used_dltensor");
  } else {
    fail(Kind::value, "from_dlpack", "not a DLPack capsule");
  }
  return out;
}

}  // namespace

bool has_dlpack(PyObject* o) {
  return PyObject_HasAttrString(reinterpret_cast<PyObject*>(Py_TYPE(o)), "__dlpack__");
}

namespace {

// PyTorch exports no tensor that wants a gradient, nor one that is to be conjugated or negated as
// it is read: its values are asked for.
py::object values_of(PyObject* o) {
  for (const char* name : {"conj", "neg"}) {
    const py::handle h(o);
    const std::string is = std::string("is_") + name;
    if (!PyObject_HasAttrString(o, is.c_str()) || !PyObject_HasAttrString(o, "resolve_conj")) break;
    if (h.attr(is.c_str())().equal(py::bool_(true)))
      return values_of(h.attr((std::string("resolve_") + name).c_str())().ptr());
  }
  const auto wants = py::reinterpret_steal<py::object>(PyObject_GetAttrString(o, "requires_grad"));
  const bool detach =
      wants && PyObject_IsTrue(wants.ptr()) == 1 && PyObject_HasAttrString(o, "detach");
  PyErr_Clear();
  return owned(detach ? PyObject_CallMethod(o, "detach", nullptr) : Py_NewRef(o));
}

// A capsule, asked for in the newest way that the object knows.
py::object capsule_of(py::handle o, std::optional<bool> copy, bool ask_for_cpu) {
  const py::object method = owned(PyObject_GetAttrString(o.ptr(), "__dlpack__"));
  const py::tuple none;
  for (int age = copy == false || ask_for_cpu ? 0 : 1;; ++age) {
    py::dict options;
    if (age < 2) options["max_version"] = py::make_tuple(1, 0);
    if (age < 1 && ask_for_cpu) options["dl_device"] = py::make_tuple(int(device_cpu), 0);
    if (age < 1 && copy == false) options["copy"] = false;
    PyObject* const capsule = PyObject_Call(method.ptr(), none.ptr(), options.ptr());
    if (capsule || age == 2 || !PyErr_ExceptionMatches(PyExc_TypeError)) return owned(capsule);
    PyErr_Clear();
  }
}

Dtype checked_dtype(const DLTensor& tensor) {
  if (tensor.device.type != device_cpu)
    fail(Kind::value, "from_dlpack", "memory of another device: got device type ",
         tensor.device.type, ", expected the CPU (1)");
  const auto type = dtype_of_type(tensor.type);
  if (!type)
    fail(Kind::value, "from_dlpack", "dtype not supported: got code ", int(tensor.type.code),
         " with ", int(tensor.type.bits), " bits");
  return *type;
}

Shape checked_shape(const DLTensor& tensor, Dtype type) {
  if (tensor.ndim < 0 || tensor.ndim > 1 << 20)
    fail(Kind::value, "from_dlpack", "no number of axes: got ", tensor.ndim);
  if (tensor.ndim > 0 && !tensor.shape)
    fail(Kind::value, "from_dlpack", "no shape: got a null pointer for ", tensor.ndim, " axes");
  Shape shape(tensor.shape, tensor.shape + tensor.ndim);
  check_shape(shape, type, "from_dlpack");
  if (!tensor.data && size_of(shape) > 0)
    fail(Kind::value, "from_dlpack", "no memory: got a null pointer for shape ", shape);
  return shape;
}

// Bytes from the first element to behind the last.
int64_t extent_of(const Shape& shape, const Strides& strides, Dtype type) {
  int64_t extent = 1;
  bool fits = true;
  for (size_t i = 0; i < shape.size(); ++i) {
    int64_t along;
    if (shape[i] > 0)
      fits &= !__builtin_mul_overflow(shape[i] - 1, strides[i], &along) &&
              !__builtin_add_overflow(extent, along, &extent);
  }
  if (!fits || __builtin_mul_overflow(extent, int64_t(size_of(type)), &extent))
    fail(Kind::value, "from_dlpack", "strides beyond all memory: got ", strides, " for shape ",
         shape);
  return extent;
}

// In memory of ours, at once: who gave it may write to it later.
array packed(const array& a, const char* data) {
  const Slot& slot = a.slot();
  auto buffer = allocate(size_of(a.shape()) * size_of(a.dtype()));
  const Storage dense{buffer, 0, dense_strides(a.shape())};
  if (a.size())
    copy_strided(TensorView{&slot.spec, &slot.storage, const_cast<char*>(data)},
                 TensorView{&slot.spec, &dense, static_cast<char*>(buffer->data)});
  if (is_bool(a.dtype())) make_bools(static_cast<uint8_t*>(buffer->data), buffer->bytes);
  return from_buffer(std::move(buffer), a.shape(), a.dtype());
}

}  // namespace

array from_dlpack(PyObject* given, std::optional<bool> copy, bool ask_for_cpu) {
  if (is_array(given)) return copy == true ? own_copy(unwrap(given)) : unwrap(given);
  if (!has_dlpack(given))
    fail(Kind::type, "from_dlpack", "no DLPack: got ", Py_TYPE(given)->tp_name,
         ", expected an object with __dlpack__");
  const py::object o = values_of(given), capsule = capsule_of(o, copy, ask_for_cpu);
  auto imported = taken_from(capsule.ptr());
  const DLTensor& tensor = imported->tensor();
  const Dtype type = checked_dtype(tensor);
  const Shape shape = checked_shape(tensor, type);
  const Strides strides = tensor.strides
                              ? Strides(tensor.strides, tensor.strides + tensor.ndim)
                              : dense_strides(shape);
  char* const data = static_cast<char*>(tensor.data) + tensor.byte_offset;
  const bool aligned = reinterpret_cast<uintptr_t>(data) % size_t(size_of(real_type(type))) == 0;
  const bool forward =
      std::all_of(strides.begin(), strides.end(), [](int64_t step) { return step >= 0; });
  const bool sound =
      !is_bool(type) || (is_dense(shape, strides) &&
                         are_bools(reinterpret_cast<const uint8_t*>(data), size_of(shape)));
  const bool fits = aligned && forward && sound, writable = imported->writable();
  if (copy == false && !fits)
    fail(Kind::value, "from_dlpack",
         "the memory cannot be shared: unaligned, a negative stride, or bools of other bytes than "
         "0 and 1");
  const int64_t extent = extent_of(shape, strides, type);
  const array shared = from_storage(
      Spec{shape, type},
      Storage{foreign_buffer(data, extent, writable, imported.release(), release_imported), 0,
              strides});
  return copy == true || !fits ? packed(shared, data) : shared;
}

array own_copy(const array& a) {
  array made = copy(a);
  if (!current_trace()) made.eval();
  return made;
}

PyObject* to_dlpack(PyObject* self, bool versioned, bool copy) {
  array a = copy ? own_copy(unwrap(self)) : shareable(self);
  a.eval();
  char* data = static_cast<char*>(const_cast<void*>(a.raw()));
  Ref<Buffer> buffer = a.slot().storage.buffer;
  if (!versioned && !buffer->writable) {
    PyErr_SetString(PyExc_BufferError, "[__dlpack__] the memory of the array is read-only: "
                                       "expected max_version=(1, 0), which can say so, or copy=True");
    throw PythonError{};
  }
  auto* out = new Exported{a.node(), buffer, a.shape(), a.strides(), {}, {}};
  // The tensor begins at its element 0, wherever the buffer is aligned.
  const DLTensor tensor{data,
                        {device_cpu, 0},
                        int32_t(a.ndim()),
                        type_of_dtype(a.dtype()),
                        out->shape.begin(),
                        out->strides.begin(),
                        0};
  if (versioned) {
    out->versioned = {
        1,
        0,
        out,
        delete_versioned,
        uint64_t(!buffer->writable || overlaps_itself(a.shape(), a.strides())) | (copy ? 2u : 0u),
        tensor};
    return PyCapsule_New(&out->versioned, "dltensor_versioned", drop_versioned);
  }
  out->plain = {tensor, out, delete_plain};
  return PyCapsule_New(&out->plain, "dltensor", drop_plain);
}

}  // namespace lazulite::bind
