// Python objects to arrays and back: numbers, nested lists, buffers (NumPy), DLPack.
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "bind/array_class.h"
#include "bind/def.h"
#include "bind/ndarray.h"
#include "bind/owned.h"
#include "eval/eval.h"
#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/shape/shape.h"

namespace py = pybind11;

namespace lazulite::bind {

bool is_number(PyObject* o) {
  if (is_operand_number(o)) return true;
  // NumPy's scalars: they have a dtype, no axes and no buffer of their own that we would want.
  const char* name = Py_TYPE(o)->tp_name;
  return std::strncmp(name, "numpy.", 6) == 0 && std::strcmp(name, "numpy.ndarray") != 0 &&
         (PyIndex_Check(o) || PyNumber_Check(o)) && PyObject_HasAttrString(o, "item");
}

namespace {
// What array and asarray make of foreign data: float64 and complex128 narrow unless asked for.
Dtype kept(Dtype type, std::optional<Dtype> dtype) {
  return dtype ? *dtype : type == float64 ? float32 : type == complex128 ? complex64 : type;
}

// The dtype of a scalar of NumPy, which tells where no array does.
std::optional<Dtype> own_dtype(PyObject* o) {
  PyObject* type = PyObject_GetAttrString(o, "dtype");
  PyObject* name = type ? PyObject_GetAttrString(type, "name") : nullptr;
  const char* text = name && PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : nullptr;
  std::optional<Dtype> found = text ? dtype_by_name(text) : std::nullopt;
  Py_XDECREF(name);
  Py_XDECREF(type);
  PyErr_Clear();
  return found ? std::optional<Dtype>(kept(*found, std::nullopt)) : found;
}
}  // namespace

Scalar to_scalar(PyObject* o, const Argument& at) {
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
    const double nearest = PyLong_AsDouble(o);
    if (!PyErr_Occurred()) return Scalar::beyond(nearest);
    PyErr_Clear();
    return Scalar::beyond(overflow > 0 ? HUGE_VAL : -HUGE_VAL);
  }
  if (PyFloat_Check(o)) return Scalar(PyFloat_AS_DOUBLE(o));
  if (PyComplex_Check(o))
    return Scalar(std::complex<double>(PyComplex_RealAsDouble(o), PyComplex_ImagAsDouble(o)));
  if (is_array(o)) return array(unwrap(o)).item();
  if (is_number(o)) {
    PyObject* plain = PyObject_CallMethod(o, "item", nullptr);
    if (!plain) throw PythonError{};
    const bool known = is_operand_number(plain);
    if (known) {
      struct Drop {
        PyObject* o;
        ~Drop() { Py_DECREF(o); }
      } drop{plain};
      // No number: a span of time, say
      if (const auto own = own_dtype(o)) return to_scalar(plain, at).typed(*own);
      wrong_kind(o, at, "a number");
    }
    Py_DECREF(plain);
  }
  wrong_kind(o, at, "a number");
}

Operand to_operand(PyObject* o, const Argument& at) {
  if (is_array(o)) return peek(o);
  if (is_operand_number(o) || is_number(o)) return to_scalar(o, at);
  if (o == Py_None || PyList_Check(o) || PyTuple_Check(o) || PyType_Check(o) ||
      !(PyObject_CheckBuffer(o) || has_dlpack(o) || PyObject_HasAttrString(o, "__array__") ||
        PyObject_HasAttrString(o, "__array_interface__")))
    wrong_kind(o, at, "an array or a number");
  return make_array(o, std::nullopt);
}

array to_array(PyObject* o, const Argument& at) {
  if (is_array(o)) return unwrap(o);
  const Operand x = to_operand(o, at);
  return x.is_array() ? x.get() : as_array(x, x.natural(), at.function);
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

template <class T>
PyObject* number_of(T v) {
  if constexpr (std::is_same_v<T, bool>) return PyBool_FromLong(v);
  else if constexpr (std::is_floating_point_v<T>) return PyFloat_FromDouble(v);
  else if constexpr (std::is_signed_v<T>) return PyLong_FromLongLong(v);
  else return PyLong_FromUnsignedLongLong(v);
}
// The last axis of the types that C has: their items straight into the list.
template <class T>
bool fill_list(PyObject* list, const char* data, int64_t n, int64_t step) {
  for (int64_t i = 0; i < n; ++i) {
    PyObject* item = number_of(*reinterpret_cast<const T*>(data + i * step));
    if (!item) return false;
    PyList_SET_ITEM(list, Py_ssize_t(i), item);
  }
  return true;
}
using Fill = bool (*)(PyObject*, const char*, int64_t, int64_t);
Fill filler(Dtype type) {
  switch (type) {
    case bool_: return fill_list<bool>;
    case uint8: return fill_list<uint8_t>;
    case uint16: return fill_list<uint16_t>;
    case uint32: return fill_list<uint32_t>;
    case uint64: return fill_list<uint64_t>;
    case int8: return fill_list<int8_t>;
    case int16: return fill_list<int16_t>;
    case int32: return fill_list<int32_t>;
    case int64: return fill_list<int64_t>;
    case float32: return fill_list<float>;
    case float64: return fill_list<double>;
    default: return nullptr;
  }
}

PyObject* list_of(const array& a, const char* data, int axis) {
  if (axis == a.ndim()) return to_number(Scalar::read(a.dtype(), data));
  const int64_t n = a.shape()[axis], step = a.strides()[axis] * size_of(a.dtype());
  PyObject* list = PyList_New(Py_ssize_t(n));
  if (const Fill fill = axis + 1 == a.ndim() ? filler(a.dtype()) : nullptr; list && fill) {
    if (fill(list, data, n, step)) return list;
    Py_DECREF(list);
    throw PythonError{};
  }
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
  SmallVector<Py_ssize_t> strides;  // in bytes; those of ctypes come without
  ~Held() {
    if (ok) PyBuffer_Release(&view);
  }
  bool get(PyObject* o) {
    ok = PyObject_GetBuffer(o, &view, PyBUF_FULL_RO) == 0;
    if (!ok) return false;
    strides.resize(size_t(view.ndim));
    Py_ssize_t step = view.itemsize;
    for (int i = view.ndim; i-- > 0; step *= view.shape[i])
      strides[size_t(i)] = view.strides ? view.strides[i] : step;
    return true;
  }
};

void gather(const Held& held, int axis, const char* from, char*& to, bool swapped,
            Py_ssize_t unit) {
  const Py_buffer& view = held.view;
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
    const char* at = from + i * held.strides[size_t(axis)];
    if (view.suboffsets && view.suboffsets[axis] >= 0)
      at = *reinterpret_cast<char* const*>(at) + view.suboffsets[axis];
    gather(held, axis + 1, at, to, swapped, unit);
  }
}

// A buffer as an array.
array from_view(PyObject* o, std::optional<Dtype> dtype) {
  Held held;
  if (!held.get(o)) {
    if (!PyErr_ExceptionMatches(PyExc_ValueError)) throw PythonError{};
    PyErr_Clear();  // dates, say
    wrong_kind(o, {"array", "val"}, "numbers");
  }
  const Py_buffer& view = held.view;
  bool swapped;
  const auto type = dtype_of_format(view.format, view.itemsize, swapped);
  if (!type)
    fail(Kind::type, "array", "dtype not supported: got buffer format '",
         view.format ? view.format : "", "', expected numbers or bool");
  Shape shape;
  for (int i = 0; i < view.ndim; ++i) shape.push_back(view.shape[i]);
  check_shape(shape, *type, "array");
  auto buffer = allocate(size_of(shape) * size_of(*type));
  if (size_of(shape)) {
    if (!swapped && PyBuffer_IsContiguous(&view, 'C')) {
      std::memcpy(buffer->data, view.buf, size_t(view.len));
    } else {
      char* to = static_cast<char*>(buffer->data);
      gather(held, 0, static_cast<const char*>(view.buf), to, swapped,
             is_complex(*type) ? view.itemsize / 2 : view.itemsize);
    }
    if (is_bool(*type)) make_bools(static_cast<uint8_t*>(buffer->data), buffer->bytes);
  }
  return astype(from_buffer(std::move(buffer), shape, *type), kept(*type, dtype));
}

array from_sequence(PyObject* o, std::optional<Dtype> dtype, int depth);

// Floats alone, by far the most frequent lists; null for others.
array from_floats(PyObject* const* items, Py_ssize_t n) {
  for (Py_ssize_t i = 0; i < n; ++i)
    if (!PyFloat_CheckExact(items[i])) return array();
  auto buffer = allocate(n * Py_ssize_t(sizeof(float)));
  auto* to = static_cast<float*>(buffer->data);
  for (Py_ssize_t i = 0; i < n; ++i) to[i] = float(PyFloat_AS_DOUBLE(items[i]));
  return from_buffer(std::move(buffer), {n}, float32);
}

array from_numbers(PyObject* const* items, Py_ssize_t n, std::optional<Dtype> dtype) {
  if (!dtype || *dtype == float32)
    if (array made = from_floats(items, n)) return made;
  std::vector<Scalar> values;
  values.reserve(size_t(n));
  NumbersType natural;
  for (Py_ssize_t i = 0; i < n; ++i) {
    values.push_back(to_scalar(items[i], {"array", "val"}));
    natural.add(values.back());
  }
  const Dtype t = dtype.value_or(natural.type());
  auto buffer = allocate(n * size_of(t));
  for (Py_ssize_t i = 0; i < n; ++i) {
    const Scalar& v = values[size_t(i)];
    v.check_converts(t, "array");
    v.write(t, static_cast<char*>(buffer->data) + i * size_of(t));
  }
  return from_buffer(std::move(buffer), {n}, t);
}

bool is_sequence(PyObject* o) {
  return PyList_Check(o) || PyTuple_Check(o) ||
         (PySequence_Check(o) && !PyUnicode_Check(o) && !PyDict_Check(o) && !PyType_Check(o) &&
          !PyObject_CheckBuffer(o) && !has_dlpack(o) && !PyObject_HasAttrString(o, "__array__") &&
          PyObject_HasAttrString(o, "__len__"));
}

// The arrays of a list's items, one after the other.
array from_parts(const Items& items, std::optional<Dtype> dtype, int depth) {
  std::vector<array> parts;
  for (Py_ssize_t i = 0; i < items.size(); ++i) {
    PyObject* item = items[i];
    if (item == Py_None) {
      PyErr_Format(element_error, "[array] val: got None at place %zd of a list, expected numbers",
                   i);
      throw PythonError{};
    }
    parts.push_back(is_sequence(item) && !PyRange_Check(item)
                        ? from_sequence(item, dtype, depth + 1)
                        : make_array(item, dtype));
    if (parts.back().shape() != parts[0].shape())
      fail(Kind::value, "array", "ragged list: got parts of shapes ", parts[0].shape(), " and ",
           parts.back().shape(), ", expected one shape");
  }
  return stack(parts, 0);
}

array from_sequence(PyObject* o, std::optional<Dtype> dtype, int depth) {
  if (depth > max_axes) fail(Kind::value, "array", "lists nested deeper than ", max_axes);
  auto all = [](PyObject* const* items, Py_ssize_t n, auto number) {
    for (Py_ssize_t i = 0; i < n; ++i)
      if (!number(items[i])) return false;
    return n > 0;
  };
  if (PyList_Check(o) || PyTuple_Check(o)) {
    // No code of others runs while numbers are read: the items stay where they are.
    PyObject* const* items = PySequence_Fast_ITEMS(o);
    const Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
    if (all(items, n, [](PyObject* o) { return is_operand_number(o); }))
      return from_numbers(items, n, dtype);
  }
  const Items items(o, {"array", "val"}, "a sequence", Py_ssize_t(1) << 21);
  const Py_ssize_t n = items.size();
  if (n == 0) return constant(0, {0}, dtype.value_or(float32));
  PyObject* const* held = PySequence_Fast_ITEMS(items.tuple);
  return all(held, n, is_number) ? from_numbers(held, n, dtype) : from_parts(items, dtype, depth);
}

// As arange, however long; null where the numbers are beyond it.
array from_range(PyObject* o, std::optional<Dtype> dtype) {
  const Py_ssize_t n = PyObject_Size(o);
  if (n < 0) {
    PyErr_Clear();
    fail(Kind::memory, "array", "too large: got a range of more than 2^63 numbers");
  }
  if (n < 2) return from_sequence(o, dtype, 0);
  Scalar ends[3] = {0, 0, 0};
  const Py_ssize_t at[3] = {0, 1, n - 1};
  for (int i = 0; i < 3; ++i) {
    const py::object end = owned(PySequence_GetItem(o, at[i]));
    ends[i] = to_scalar(end.ptr(), {"array", "val"});
    if (ends[i].kind() != 'i' || ends[i].wrapped() == INT64_MAX || ends[i].wrapped() == INT64_MIN)
      return array();
  }
  const Dtype t = dtype.value_or(promote(ends[0].natural(), ends[2].natural()));
  for (const Scalar& end : ends) end.check_converts(t, "array");
  int64_t step;
  if (__builtin_sub_overflow(ends[1].wrapped(), ends[0].wrapped(), &step)) return array();
  return astype(arange(ends[0], ends[2].wrapped() + (step > 0 ? 1 : -1), step, int64), t);
}

}  // namespace

PyObject* to_list(const array& a) { return list_of(a, static_cast<const char*>(a.raw()), 0); }

namespace {

// One of ours. What others may write to is copied.
array from_array(const array& a, std::optional<Dtype> dtype) {
  if (dtype && *dtype != a.dtype()) return astype(a, *dtype);
  const bool shared = a.node()->state.load(std::memory_order_acquire) == State::ready &&
                      a.slot().storage.buffer->foreign;
  return shared ? own_copy(a) : a;
}

array from_number(PyObject* o, std::optional<Dtype> dtype) {
  const Scalar s = to_scalar(o, {"array", "val"});
  const Dtype t = dtype.value_or(s.natural());
  s.check_converts(t, "array");
  return array(s, t);
}

// Of ml_dtypes' bfloat16, which the buffer protocol does not know and NumPy refuses to show.
bool is_brain(PyObject* o) {
  if (!PyObject_HasAttrString(o, "dtype")) return false;
  const auto type = py::reinterpret_steal<py::object>(PyObject_GetAttrString(o, "dtype"));
  const auto text =
      py::reinterpret_steal<py::object>(type ? PyObject_Str(type.ptr()) : nullptr);
  return text && PyUnicode_CompareWithASCIIString(text.ptr(), "bfloat16") == 0;
}
array from_brain(PyObject* o, std::optional<Dtype> dtype) {
  const py::object bits = owned(PyObject_CallMethod(o, "view", "s", "uint16"));
  const array made = view(from_view(bits.ptr(), uint16), bfloat16);
  return dtype ? astype(made, *dtype) : made;
}

array from_array_method(PyObject* o, std::optional<Dtype> dtype) {
  if (o == Py_None || PyType_Check(o) || !PyObject_HasAttrString(o, "__array__"))
    wrong_kind(o, {"array", "val"},
               "numbers, nested lists, or an object with the buffer protocol or DLPack");
  const py::object made = owned(PyObject_CallMethod(o, "__array__", nullptr));
  if (!is_array(made.ptr()) && !PyObject_CheckBuffer(made.ptr()))
    wrong_kind(made.ptr(), {"array", "__array__()"}, "an array");
  return make_array(made.ptr(), dtype);
}

}  // namespace

namespace {

bool type_has(PyObject* o, const char* name) {
  return PyObject_HasAttrString(reinterpret_cast<PyObject*>(Py_TYPE(o)), name);
}

// Columns, tensors and numbers of Arrow. NumPy shows them in place where it can; what is null in a
// column of numbers is nan.
array from_arrow(py::handle o, std::optional<Dtype> dtype) {
  if (py::hasattr(o, "combine_chunks")) {
    const py::object whole = o.attr("combine_chunks")();
    return Py_TYPE(whole.ptr()) == Py_TYPE(o.ptr()) ? from_array_method(o.ptr(), dtype)
                                                    : make_array(whole.ptr(), dtype);
  }
  if (py::hasattr(o, "to_numpy_ndarray"))
    return make_array(o.attr("to_numpy_ndarray")().ptr(), dtype);
  if (py::hasattr(o, "as_py")) return make_array(o.attr("as_py")().ptr(), dtype);
  const py::object type = py::getattr(o, "type", py::none());
  if (py::hasattr(type, "list_size")) {  // rows of one length
    if (o.attr("null_count").cast<int64_t>())
      fail(Kind::value, "array",
           "rows that are null: got an Arrow array of lists, expected rows of ",
           type.attr("list_size").cast<int64_t>(), " numbers");
    const array flat = make_array(o.attr("flatten")().ptr(), dtype);
    Shape shape = flat.shape();
    shape[0] = int64_t(py::len(o));
    shape.insert(shape.begin() + 1, type.attr("list_size").cast<int64_t>());
    return reshape(flat, shape);
  }
  return make_array(o.attr("__array__")().ptr(), dtype);
}

// Objects of others that only their own words make arrays: of Arrow, which exports by DLPack what
// has no nulls; matrices of which most is zero (SciPy); images (Pillow). Null: none of these.
array from_others(PyObject* o, std::optional<Dtype> dtype) {
  if (std::strncmp(Py_TYPE(o)->tp_name, "pyarrow.", 8) == 0 && !PyObject_CheckBuffer(o))
    return from_arrow(o, dtype);
  if (type_has(o, "toarray") && type_has(o, "nnz"))
    return make_array(owned(PyObject_CallMethod(o, "toarray", nullptr)).ptr(), dtype);
  if (type_has(o, "__array_interface__") && !type_has(o, "__array__") && !PyObject_CheckBuffer(o))
    return make_array(py::module_::import("numpy").attr("asarray")(py::handle(o)).ptr(), dtype);
  return array();
}

}  // namespace

array make_array(PyObject* o, std::optional<Dtype> dtype, bool) {
  if (const array made = from_ndarray(o)) return astype(made, kept(made.dtype(), dtype));
  if (is_array(o)) return from_array(unwrap(o), dtype);
  if (is_number(o)) return from_number(o, dtype);
  if (!PyList_Check(o) && !PyTuple_Check(o))
    if (const array made = from_others(o, dtype)) return made;
  if (PyRange_Check(o))
    if (array ramp = from_range(o, dtype)) return ramp;
  if (is_sequence(o)) return from_sequence(o, dtype, 0);
  if (PyObject_CheckBuffer(o)) return is_brain(o) ? from_brain(o, dtype) : from_view(o, dtype);
  if (!has_dlpack(o)) return from_array_method(o, dtype);
  const array made = from_dlpack(o, true);
  return astype(made, kept(made.dtype(), dtype));
}

// ---- asarray: the memory of somebody else
namespace {

void release_view(Buffer* buffer) {
  release_python([](void* owner) { delete static_cast<Held*>(owner); }, buffer->owner);
}

// The memory of a buffer where it is as the array wants it: dtype, alignment; float64 narrows
// unless asked for. Null: it is not.
array share_buffer(PyObject* o, std::optional<Dtype> dtype) {
  auto held = std::make_unique<Held>();
  if (!held->get(o)) return PyErr_Clear(), array();
  const Py_buffer& view = held->view;
  bool swapped = false;
  const auto type = dtype_of_format(view.format, view.itemsize, swapped);
  if (!type || swapped || view.suboffsets || kept(*type, dtype) != *type ||
      reinterpret_cast<uintptr_t>(view.buf) % size_t(view.itemsize))
    return array();
  Strides strides;
  Shape shape;
  for (int i = 0; i < view.ndim; ++i) {
    const Py_ssize_t step = held->strides[size_t(i)];
    if (step % view.itemsize || step < 0) return array();
    shape.push_back(view.shape[i]);
    strides.push_back(step / view.itemsize);
  }
  check_shape(shape, *type, "asarray");
  if (is_bool(*type) && !(PyBuffer_IsContiguous(&view, 'A') &&
                          are_bools(static_cast<const uint8_t*>(view.buf), view.len)))
    return array();
  Storage storage{
      foreign_buffer(view.buf, view.len, !view.readonly, held.release(), release_view), 0, strides};
  return from_storage(Spec{shape, *type}, std::move(storage));
}

// What NumPy shows in place of columns and tensors of Arrow without nulls, and of others that only
// their own words make arrays (columns of pandas). None: it shows nothing, or a copy.
py::object shown_by_numpy(py::handle o) {
  try {
    if (std::strncmp(Py_TYPE(o.ptr())->tp_name, "pyarrow.", 8) == 0) {
      if (py::hasattr(o, "num_chunks"))
        return o.attr("num_chunks").cast<int64_t>() == 1 ? shown_by_numpy(o.attr("chunk")(0))
                                                         : py::none();
      if (py::hasattr(o, "to_numpy_ndarray") && o.attr("null_count").cast<int64_t>() == 0)
        return o.attr("to_numpy_ndarray")();
      const py::object type = py::getattr(o, "type", py::none());
      if (py::hasattr(type, "list_size")) {
        if (o.attr("null_count").cast<int64_t>()) return py::none();
        const py::object flat = shown_by_numpy(o.attr("flatten")());
        if (flat.is_none()) return flat;
        py::tuple shape = flat.attr("shape");
        return flat.attr("reshape")(py::make_tuple(py::len(o), type.attr("list_size")) +
                                    py::tuple(shape[py::slice(1, py::ssize_t(py::len(shape)), 1)]));
      }
      return py::hasattr(type, "bit_width") ? py::object(o.attr("to_numpy")(true)) : py::none();
    }
    if (PyObject_HasAttrString(o.ptr(), "__array__"))
      return py::module_::import("numpy").attr("asarray")(o, py::arg("copy") = false);
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_Exception)) throw;
  }
  return py::none();
}

}  // namespace

array share_array(PyObject* o, std::optional<Dtype> dtype, std::optional<bool> copy) {
  auto refused = [&](const char* why) {
    if (copy == false) fail(Kind::value, "asarray", "the memory cannot be shared: ", why);
  };
  if (is_array(o)) {
    if (dtype && *dtype != unwrap(o).dtype()) refused("another dtype");
    const array made = dtype ? astype(unwrap(o), *dtype) : unwrap(o);
    return copy == true ? own_copy(made) : made;
  }
  if (is_number(o)) refused("a number has none");
  if (copy == true || is_number(o)) return make_array(o, dtype);
  if (PyObject_CheckBuffer(o) && !PyBytes_Check(o)) {
    if (array shared = share_buffer(o, dtype)) return shared;
    if (is_brain(o) && dtype.value_or(bfloat16) == bfloat16) {
      const py::object bits = owned(PyObject_CallMethod(o, "view", "s", "uint16"));
      if (array shared = share_buffer(bits.ptr(), uint16)) return view(shared, bfloat16);
    }
    refused("another dtype, byte order or layout");
    return make_array(o, dtype);
  }
  const bool arrow = std::strncmp(Py_TYPE(o)->tp_name, "pyarrow.", 8) == 0;
  if (has_dlpack(o) && !arrow) {
    const array made = from_dlpack(o, copy);
    if (kept(made.dtype(), dtype) != made.dtype()) refused("another dtype");
    return astype(made, kept(made.dtype(), dtype));
  }
  if (!PyType_Check(o) && !is_sequence(o)) {
    const py::object shown = shown_by_numpy(o);
    if (!shown.is_none() && PyObject_CheckBuffer(shown.ptr())) {
      if (array shared = share_buffer(shown.ptr(), dtype)) return shared;
      refused("another dtype, byte order or layout");
    }
  }
  refused("the object has neither a buffer nor DLPack, and nothing else shows its memory");
  return make_array(o, dtype);
}

}  // namespace lazulite::bind
