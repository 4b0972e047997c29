// Python objects to arrays and back: numbers, nested lists, buffers (NumPy), DLPack.
#include <cstring>
#include <memory>

#include "bind/array_class.h"
#include "bind/def.h"
#include "eval/eval.h"
#include "ops/elementwise/elementwise.h"
#include "ops/shape/shape.h"

namespace lazulite::bind {

bool is_number(PyObject* o) {
  if (is_operand_number(o)) return true;
  // NumPy's scalars: they have a dtype, no axes and no buffer of their own that we would want.
  const char* name = Py_TYPE(o)->tp_name;
  return std::strncmp(name, "numpy.", 6) == 0 && std::strcmp(name, "numpy.ndarray") != 0 &&
         (PyIndex_Check(o) || PyNumber_Check(o)) && PyObject_HasAttrString(o, "item");
}

Scalar to_scalar(PyObject* o, const char* op) {
  if (PyBool_Check(o)) return Scalar(o == Py_True);
  if (PyLong_Check(o)) {
    int overflow = 0;
    const long long v = PyLong_AsLongLongAndOverflow(o, &overflow);
    if (!overflow) return Scalar(int64_t(v));
    if (overflow > 0) {
      const unsigned long long u = PyLong_AsUnsignedLongLong(o);
      if (!PyErr_Occurred()) return Scalar(uint64_t(u));
      PyErr_Clear();
    }
    fail(Kind::overflow, op, "number does not fit in 64 bits");
  }
  if (PyFloat_Check(o)) return Scalar(PyFloat_AS_DOUBLE(o));
  if (PyComplex_Check(o)) return Scalar(std::complex<double>(PyComplex_RealAsDouble(o), PyComplex_ImagAsDouble(o)));
  if (is_array(o)) return unwrap(o).item();
  if (is_number(o)) {
    PyObject* plain = PyObject_CallMethod(o, "item", nullptr);
    if (!plain) throw PythonError{};
    const bool known = is_operand_number(plain);
    if (known) {
      Scalar s = to_scalar(plain, op);
      Py_DECREF(plain);
      return s;
    }
    Py_DECREF(plain);
  }
  fail(Kind::type, op, "not a number: got ", Py_TYPE(o)->tp_name);
}

Operand to_operand(PyObject* o, const char* op) {
  if (is_array(o)) return unwrap(o);
  if (is_operand_number(o) || is_number(o)) return to_scalar(o, op);
  if (PyList_Check(o) || PyTuple_Check(o))
    fail(Kind::value, op, "a list in place of an array: got ", Py_TYPE(o)->tp_name, ", expected an array or a number");
  return make_array(o, std::nullopt);
}

array to_array(PyObject* o, const char* op) {
  if (is_array(o)) return unwrap(o);
  const Operand x = to_operand(o, op);
  return x.is_array() ? x.get() : as_array(x, x.natural(), op);
}

PyObject* to_number(const Scalar& s) {
  switch (s.kind()) {
    case 'b': return PyBool_FromLong(s.truth());
    case 'i': return PyLong_FromLongLong(s.wrapped());
    case 'u': return PyLong_FromUnsignedLongLong(uint64_t(s.wrapped()));
    case 'f': return PyFloat_FromDouble(s.real());
    default: return PyComplex_FromDoubles(s.complex().real(), s.complex().imag());
  }
}

namespace {

PyObject* list_of(const array& a, const char* data, int axis) {
  if (axis == a.ndim()) return to_number(Scalar::read(a.dtype(), data));
  const int64_t n = a.shape()[axis], step = a.strides()[axis] * size_of(a.dtype());
  PyObject* list = PyList_New(Py_ssize_t(n));
  for (int64_t i = 0; list && i < n; ++i) {
    PyObject* item = list_of(a, data + i * step, axis + 1);
    if (!item) {
      Py_DECREF(list);
      throw PythonError{};
    }
    PyList_SET_ITEM(list, Py_ssize_t(i), item);
  }
  return list;
}

std::optional<Dtype> dtype_of_format(const char* format, Py_ssize_t itemsize, bool& swapped) {
  swapped = false;
  if (!format) return uint8;
  if (*format == '>' || *format == '!') {
    swapped = itemsize > 1;
    ++format;
  } else if (*format == '<' || *format == '=' || *format == '@' || *format == '|') {
    ++format;
  }
  if (*format == 'Z') {
    if (format[1] == 'f') return complex64;
    if (format[1] == 'd') return complex128;
    return std::nullopt;
  }
  if (format[0] && format[1]) return std::nullopt;
  switch (*format) {
    case '?': return bool_;
    case 'e': return float16;
    case 'f': return float32;
    case 'd': return float64;
    case 'b': case 'h': case 'i': case 'l': case 'q': case 'n':
      return itemsize == 1 ? int8 : itemsize == 2 ? int16 : itemsize == 4 ? int32 : int64;
    case 'B': case 'H': case 'I': case 'L': case 'Q': case 'N': case 'c':
      return itemsize == 1 ? uint8 : itemsize == 2 ? uint16 : itemsize == 4 ? uint32 : uint64;
    default: return std::nullopt;
  }
}

struct Held {
  Py_buffer view{};
  bool ok = false;
  ~Held() {
    if (ok) PyBuffer_Release(&view);
  }
};

void gather(const Py_buffer& view, int axis, const char* from, char*& to, bool swapped, Py_ssize_t unit) {
  if (axis == view.ndim) {
    if (swapped)
      for (Py_ssize_t part = 0; part < view.itemsize; part += unit)
        for (Py_ssize_t i = 0; i < unit; ++i) to[part + i] = from[part + unit - 1 - i];
    else
      std::memcpy(to, from, size_t(view.itemsize));
    to += view.itemsize;
    return;
  }
  for (Py_ssize_t i = 0; i < view.shape[axis]; ++i) {
    const char* at = from + i * view.strides[axis];
    if (view.suboffsets && view.suboffsets[axis] >= 0) at = *reinterpret_cast<char* const*>(at) + view.suboffsets[axis];
    gather(view, axis + 1, at, to, swapped, unit);
  }
}

// A buffer as an array of its own dtype; float64 and complex128 narrow unless `dtype` is given.
array from_view(PyObject* o, std::optional<Dtype> dtype) {
  Held held;
  if (PyObject_GetBuffer(o, &held.view, PyBUF_FULL_RO) < 0) throw PythonError{};
  held.ok = true;
  const Py_buffer& view = held.view;
  bool swapped;
  const auto type = dtype_of_format(view.format, view.itemsize, swapped);
  if (!type)
    fail(Kind::type, "array", "dtype not supported: got buffer format '", view.format ? view.format : "", "', expected numbers or bool");
  Shape shape;
  for (int i = 0; i < view.ndim; ++i) shape.push_back(view.shape[i]);
  auto buffer = allocate(size_of(shape) * size_of(*type));
  if (size_of(shape)) {
    if (!swapped && PyBuffer_IsContiguous(&view, 'C')) {
      std::memcpy(buffer->data, view.buf, size_t(view.len));
    } else {
      char* to = static_cast<char*>(buffer->data);
      gather(view, 0, static_cast<const char*>(view.buf), to, swapped, is_complex(*type) ? view.itemsize / 2 : view.itemsize);
    }
  }
  array made = from_buffer(std::move(buffer), shape, *type);
  const Dtype wanted = dtype ? *dtype : *type == float64 ? float32 : *type == complex128 ? complex64 : *type;
  return astype(made, wanted);
}

// Lists: shape first, then the leaves.
struct Leaves {
  std::vector<PyObject*> numbers;
  std::vector<array> arrays;
  bool any_array = false;
};

array from_sequence(PyObject* o, std::optional<Dtype> dtype, int depth) {
  if (depth > 64) fail(Kind::value, "array", "lists nested deeper than 64");
  PyObject* items = PySequence_Fast(o, "");
  if (!items) throw PythonError{};
  struct Drop {
    PyObject* o;
    ~Drop() { Py_DECREF(o); }
  } drop{items};
  const Py_ssize_t n = PySequence_Fast_GET_SIZE(items);
  if (n == 0) return constant(0, {0}, dtype.value_or(float32));
  bool numbers = true;
  for (Py_ssize_t i = 0; i < n && numbers; ++i) numbers = is_operand_number(PySequence_Fast_GET_ITEM(items, i));
  if (numbers) {
    std::vector<Scalar> values;
    values.reserve(size_t(n));
    Dtype natural = bool_;
    for (Py_ssize_t i = 0; i < n; ++i) {
      values.push_back(to_scalar(PySequence_Fast_GET_ITEM(items, i), "array"));
      natural = promote(natural, values.back().natural());
    }
    const Dtype t = dtype.value_or(natural);
    auto buffer = allocate(n * size_of(t));
    for (Py_ssize_t i = 0; i < n; ++i) {
      const Scalar& v = values[size_t(i)];
      v.check_fits(t, "array");
      if (is_integral(t) && !is_bool(t) && v.kind() == 'f' && !(v.real() >= -0x1p63 && v.real() < 0x1p64))
        fail(Kind::overflow, "array", "number does not fit: got ", v, ", expected a value of ", t);
      if (!is_complex(t) && v.kind() == 'c') fail(Kind::type, "array", "complex number for dtype ", t);
      v.write(t, static_cast<char*>(buffer->data) + i * size_of(t));
    }
    return from_buffer(std::move(buffer), {n}, t);
  }
  std::vector<array> parts;
  std::vector<bool> weak;
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyObject* item = PySequence_Fast_GET_ITEM(items, i);
    parts.push_back(PyList_Check(item) || PyTuple_Check(item) ? from_sequence(item, dtype, depth + 1) : make_array(item, dtype));
    if (parts.back().shape() != parts[0].shape())
      fail(Kind::value, "array", "ragged list: got parts of shapes ", parts[0].shape(), " and ", parts.back().shape(), ", expected one shape");
  }
  return stack(parts, 0);
}

}  // namespace

PyObject* to_list(const array& a) { return list_of(a, static_cast<const char*>(a.raw()), 0); }

array make_array(PyObject* o, std::optional<Dtype> dtype, bool) {
  if (is_array(o)) return dtype ? astype(unwrap(o), *dtype) : unwrap(o);
  if (is_operand_number(o)) {
    const Scalar s = to_scalar(o, "array");
    const Dtype t = dtype.value_or(s.natural());
    if (!is_complex(t) && s.kind() == 'c') fail(Kind::type, "array", "complex number for dtype ", t);
    if (is_integer(t) && s.kind() == 'f' && !(s.real() >= -0x1p63 && s.real() < 0x1p64))
      fail(Kind::overflow, "array", "number does not fit: got ", s, ", expected a value of ", t);
    return array(s, t);
  }
  if (PyList_Check(o) || PyTuple_Check(o) || PyRange_Check(o)) return from_sequence(o, dtype, 0);
  if (PyObject_CheckBuffer(o)) {
    // NumPy refuses dtypes that the protocol does not know (bfloat16 of ml_dtypes): by its bytes.
    if (PyObject_HasAttrString(o, "dtype")) {
      PyObject* t = PyObject_GetAttrString(o, "dtype");
      PyObject* text = t ? PyObject_Str(t) : nullptr;
      const bool brain = text && PyUnicode_CompareWithASCIIString(text, "bfloat16") == 0;
      Py_XDECREF(t);
      Py_XDECREF(text);
      if (brain) {
        PyObject* bits = PyObject_CallMethod(o, "view", "s", "uint16");
        if (!bits) throw PythonError{};
        struct Drop {
          PyObject* o;
          ~Drop() { Py_DECREF(o); }
        } drop{bits};
        const array made = view(from_view(bits, uint16), bfloat16);
        return dtype ? astype(made, *dtype) : made;
      }
    }
    return from_view(o, dtype);
  }
  if (has_dlpack(o)) {
    const array made = from_dlpack(o, true);
    return dtype ? astype(made, *dtype) : made;
  }
  if (o == Py_None || !PyObject_HasAttrString(o, "__array__"))
    fail(o == Py_None ? Kind::type : Kind::value, "array", "cannot make an array: got ", Py_TYPE(o)->tp_name,
         ", expected numbers, nested lists, or an object with the buffer protocol or DLPack");
  PyObject* made = PyObject_CallMethod(o, "__array__", nullptr);
  if (!made) throw PythonError{};
  struct Drop {
    PyObject* o;
    ~Drop() { Py_DECREF(o); }
  } drop{made};
  return from_view(made, dtype);
}

// ---- asarray: the memory of somebody else
namespace {
void release_view(Buffer* buffer) {
  release_python([](void* owner) {
    auto* view = static_cast<Py_buffer*>(owner);
    PyBuffer_Release(view);
    delete view;
  }, buffer->owner);
}
}  // namespace

array share_array(PyObject* o, std::optional<Dtype> dtype, std::optional<bool> copy) {
  if (is_array(o)) {
    const array made = dtype ? astype(unwrap(o), *dtype) : unwrap(o);
    return copy == true ? contiguous(made) : made;
  }
  if (copy == true || is_number(o)) return make_array(o, dtype);
  auto refused = [&](const char* why) {
    if (copy == false) fail(Kind::value, "asarray", "the memory cannot be shared: ", why);
  };
  if (PyObject_CheckBuffer(o) && !PyBytes_Check(o)) {
    auto view = std::make_unique<Py_buffer>();
    if (PyObject_GetBuffer(o, view.get(), PyBUF_FULL_RO) == 0) {
      bool swapped = false;
      const auto type = dtype_of_format(view->format, view->itemsize, swapped);
      Strides strides;
      Shape shape;
      bool fits = type && !swapped && !view->suboffsets;
      for (int i = 0; fits && i < view->ndim; ++i) {
        shape.push_back(view->shape[i]);
        fits = view->strides[i] % view->itemsize == 0 && view->strides[i] >= 0;
        strides.push_back(view->strides[i] / view->itemsize);
      }
      // The memory must be as the array wants it: dtype, alignment; float64 narrows unless asked for.
      fits = fits && reinterpret_cast<uintptr_t>(view->buf) % size_t(view->itemsize) == 0 &&
             (dtype ? *dtype == *type : *type != float64 && *type != complex128);
      if (fits) {
        const bool writable = !view->readonly;
        void* data = view->buf;
        const int64_t bytes = view->len;
        Storage storage{foreign_buffer(data, bytes, writable, view.release(), release_view), 0, strides};
        return from_storage(Spec{shape, *type}, std::move(storage));
      }
      PyBuffer_Release(view.get());
    } else {
      PyErr_Clear();
    }
    refused("another dtype, byte order or layout");
    return make_array(o, dtype);
  }
  if (has_dlpack(o)) {
    const array made = from_dlpack(o, copy);
    if (dtype && *dtype != made.dtype()) refused("another dtype");
    return dtype ? astype(made, *dtype) : made;
  }
  refused("the object has neither a buffer nor DLPack");
  return make_array(o, dtype);
}

// ---- the buffer protocol: shared, writable memory; foreign to us from then on
namespace {
struct Exported {
  Ref<Node> node;
  Py_ssize_t shape[64], strides[64];
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
    default: return nullptr;
  }
}
}  // namespace

// Others may write to it from now on: never donated, and no longer known to hold one number.
void make_shareable(array& a) {
  a.eval();
  if (is_constant(a)) a = from_storage(a.slot().spec, a.slot().storage);
  a.slot().storage.buffer->foreign = true;
}

int get_buffer(PyObject* self, Py_buffer* out, int flags) {
  try {
    array& a = unwrap(self);
    const char* format = format_of(a.dtype());
    if (!format) fail(Kind::value, "buffer", "no buffer format for ", a.dtype());
    if (a.ndim() > 64) fail(Kind::value, "buffer", "too many axes: got ", a.ndim());
    if (!(flags & PyBUF_STRIDES) && !is_dense(a.shape(), a.strides())) fail(Kind::value, "buffer", "the array is not contiguous");
    make_shareable(a);
    void* data = const_cast<void*>(a.raw());
    Buffer& buffer = *a.slot().storage.buffer;
    auto* exported = new Exported{a.node(), {}, {}};
    const int64_t bytes = size_of(a.dtype());
    for (int i = 0; i < a.ndim(); ++i) {
      exported->shape[i] = Py_ssize_t(a.shape()[i]);
      exported->strides[i] = Py_ssize_t(a.strides()[i] * bytes);
    }
    out->buf = data;
    out->obj = Py_NewRef(self);
    out->len = Py_ssize_t(a.nbytes());
    out->itemsize = Py_ssize_t(bytes);
    out->readonly = !buffer.writable || overlaps_itself(a.shape(), a.strides());
    out->ndim = a.ndim();
    out->format = flags & PyBUF_FORMAT ? const_cast<char*>(format) : nullptr;
    out->shape = flags & PyBUF_ND ? exported->shape : nullptr;
    out->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? exported->strides : nullptr;
    out->suboffsets = nullptr;
    out->internal = exported;
    if ((flags & PyBUF_WRITABLE) && out->readonly) {
      release_buffer(self, out);
      Py_CLEAR(out->obj);
      fail(Kind::value, "buffer", "the memory of the array is read-only");
    }
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
