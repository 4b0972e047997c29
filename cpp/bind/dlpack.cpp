// DLPack: the structures of the public ABI (version 1.0 and the older one), import and export.
#include <Python.h>

#include <cstring>

#include "bind/array_class.h"
#include "eval/eval.h"
#include "graph/trace.h"
#include "ops/shape/shape.h"

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

struct Imported {
  Managed* plain = nullptr;
  ManagedVersioned* versioned = nullptr;
};
void release_imported(Buffer* buffer) {  // deleters of Python's libraries want the GIL
  release_python([](void* owner) {
    auto* imported = static_cast<Imported*>(owner);
    if (imported->plain && imported->plain->deleter) imported->plain->deleter(imported->plain);
    if (imported->versioned && imported->versioned->deleter)
      imported->versioned->deleter(imported->versioned);
    delete imported;
  }, buffer->owner);
}

}  // namespace

bool has_dlpack(PyObject* o) {
  return PyObject_HasAttrString(reinterpret_cast<PyObject*>(Py_TYPE(o)), "__dlpack__");
}

namespace {
// PyTorch exports no tensor that wants a gradient: its values are asked for. A new reference.
PyObject* values_of(PyObject* o) {
  PyObject* wants = PyObject_GetAttrString(o, "requires_grad");
  const bool detach = wants && PyObject_IsTrue(wants) == 1 && PyObject_HasAttrString(o, "detach");
  Py_XDECREF(wants);
  PyErr_Clear();
  PyObject* values = detach ? PyObject_CallMethod(o, "detach", nullptr) : Py_NewRef(o);
  if (!values) throw PythonError{};
  return values;
}
}  // namespace

namespace {
// A capsule, asked for in the newest way that the object knows.
PyObject* capsule_of(PyObject* o, std::optional<bool> copy, bool ask_for_cpu) {
  PyObject* method = PyObject_GetAttrString(o, "__dlpack__");
  if (!method) throw PythonError{};
  PyObject* capsule = nullptr;
  PyObject* none = PyTuple_New(0);
  for (int age = copy == false || ask_for_cpu ? 0 : 1; age < 3; ++age) {
    PyObject* options = PyDict_New();
    auto add = [&](const char* name, PyObject* value) {
      PyDict_SetItemString(options, name, value);
      Py_DECREF(value);
    };
    if (age < 2) add("max_version", Py_BuildValue("(ii)", 1, 0));
    if (age < 1 && ask_for_cpu) add("dl_device", Py_BuildValue("(ii)", int(device_cpu), 0));
    if (age < 1 && copy == false) add("copy", Py_NewRef(Py_False));
    capsule = PyObject_Call(method, none, options);
    Py_DECREF(options);
    if (capsule || !PyErr_ExceptionMatches(PyExc_TypeError) || age == 2) break;
    PyErr_Clear();
  }
  Py_DECREF(none);
  Py_DECREF(method);
  if (!capsule) throw PythonError{};
  return capsule;
}
}  // namespace

array from_dlpack(PyObject* given, std::optional<bool> copy, bool ask_for_cpu) {
  if (is_array(given)) return copy == true ? own_copy(unwrap(given)) : unwrap(given);
  if (!has_dlpack(given))
    fail(Kind::type, "from_dlpack", "no DLPack: got ", Py_TYPE(given)->tp_name,
         ", expected an object with __dlpack__");
  struct Drop {
    PyObject* o;
    ~Drop() { Py_DECREF(o); }
  };
  const Drop values{values_of(given)};
  PyObject* const o = values.o;
  PyObject* const capsule = capsule_of(o, copy, ask_for_cpu);
  const Drop drop{capsule};
  auto imported = new Imported;
  const DLTensor* tensor = nullptr;
  bool writable = true;
  if (PyCapsule_IsValid(capsule, "dltensor_versioned")) {
    imported->versioned =
        static_cast<ManagedVersioned*>(PyCapsule_GetPointer(capsule, "dltensor_versioned"));
    if (imported->versioned->major > 1) {
      delete imported;
      fail(Kind::value, "from_dlpack", "unknown version of DLPack");
    }
    tensor = &imported->versioned->tensor;
    writable = !(imported->versioned->flags & 1);
    PyCapsule_SetName(capsule, "used_dltensor_versioned");
  } else if (PyCapsule_IsValid(capsule, "dltensor")) {
    imported->plain = static_cast<Managed*>(PyCapsule_GetPointer(capsule, "dltensor"));
    tensor = &imported->plain->tensor;
    PyCapsule_SetName(capsule, "used_dltensor");
  } else {
    delete imported;
    fail(Kind::value, "from_dlpack", "not a DLPack capsule");
  }
  // From here on the buffer owns the tensor.
  const auto type = dtype_of_type(tensor->type);
  Shape shape;
  Strides strides;
  bool forward = true;
  for (int i = 0; i < tensor->ndim; ++i) shape.push_back(tensor->shape[i]);
  if (tensor->strides)
    for (int i = 0; i < tensor->ndim; ++i) {
      strides.push_back(tensor->strides[i]);
      forward &= tensor->strides[i] >= 0;
    }
  else strides = dense_strides(shape);
  char* data = static_cast<char*>(tensor->data) + tensor->byte_offset;
  int64_t extent = type ? size_of(*type) : 0;
  for (size_t i = 0; i < shape.size(); ++i)
    extent += shape[i] > 0 && type ? (shape[i] - 1) * strides[i] * size_of(*type) : 0;
  if (type) check_shape(shape, *type, "from_dlpack");
  const DLType got = tensor->type;
  const DLDevice device = tensor->device;
  Storage storage{foreign_buffer(data, extent, writable, imported, release_imported), 0, strides};
  if (device.type != device_cpu)
    fail(Kind::value, "from_dlpack", "memory of another device: got device type ", device.type,
         ", expected the CPU (1)");
  if (!type)
    fail(Kind::value, "from_dlpack", "dtype not supported: got code ", int(got.code), " with ",
         int(got.bits), " bits");
  const bool aligned = reinterpret_cast<uintptr_t>(data) % size_t(size_of(real_type(*type))) == 0;
  const bool sound =
      !is_bool(*type) || (is_dense(shape, strides) &&
                          are_bools(reinterpret_cast<const uint8_t*>(data), size_of(shape)));
  if (copy == false && !(aligned && forward && sound))
    fail(Kind::value, "from_dlpack",
         "the memory cannot be shared: unaligned, a negative stride, or bools of other bytes than "
         "0 and 1");
  array made = from_storage(Spec{shape, *type}, std::move(storage));
  if (copy == true || !aligned || !forward || !sound) {
    // Into memory of ours, at once: who gave it may write to it later.
    auto buffer = allocate(size_of(shape) * size_of(*type));
    const Storage dense{buffer, 0, dense_strides(shape)};
    const Slot& slot = made.slot();
    if (size_of(shape))
      copy_strided(TensorView{&slot.spec, &slot.storage, data},
                   TensorView{&slot.spec, &dense, static_cast<char*>(buffer->data)});
    if (is_bool(*type)) make_bools(static_cast<uint8_t*>(buffer->data), buffer->bytes);
    made = from_buffer(std::move(buffer), shape, *type);
  }
  return made;
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
