// The Python type `array`, by hand against the C API, and conversions of numbers and dtypes.
// Everything here wants the GIL.
#pragma once
#include <Python.h>

#include <atomic>
#include <optional>
#include <string>
#include <utility>

#include "graph/array.h"
#include "graph/node.h"

#if PY_VERSION_HEX < 0x030a0000  // Python 3.9 has no such function
inline PyObject* Py_NewRef(PyObject* o) {
  Py_INCREF(o);
  return o;
}
#endif

namespace lazulite::bind {

struct PyArray {
  PyObject_HEAD
  array value;
  PyObject* weak_references;
};

extern PyTypeObject* array_type;
inline bool is_array(PyObject* o) { return Py_TYPE(o) == array_type; }  // it cannot be subclassed
// Whether some hold leaves of a function that is traced (bind/lent.h); what an object holds on this
// thread then.
extern std::atomic<bool> any_lent;
array& place_here(PyObject*);
inline array& value_here(PyObject* o) {
  if (any_lent.load(std::memory_order_relaxed)) [[unlikely]] return place_here(o);
  return reinterpret_cast<PyArray*>(o)->value;
}
// The array of an object, as a handle of one's own: while something is evaluated, or Python code
// runs, another thread may give the object another value. `const`, so that nobody assigns to the
// copy.
inline const array unwrap(PyObject* o) { return value_here(o); }
// For a look at shape and dtype, and to record a node: valid until anything is evaluated or runs
// Python code.
inline const array& peek(PyObject* o) { return value_here(o); }
// In-place syntax: the object has another value from now on.
inline void retarget(PyObject* o, array value) {
  std::swap(value_here(o), value);
}
PyObject* wrap(array);  // new reference; null with an error set
inline bool is_operand_number(PyObject* o) {
  return PyBool_Check(o) || PyLong_Check(o) || PyFloat_Check(o) || PyComplex_Check(o);
}

// Objects of Python that die with a buffer or a node: at once where the thread holds the GIL and
// evaluates nothing, else when Python's main thread or the next call of any function here gets to
// it. No worker waits for the GIL.
void release_python(void (*release)(void*), void* object);
void release_waiting();
extern std::atomic<bool> any_waiting;

// Thrown when a Python error is set already.
struct PythonError {};
// Sets the Python error of the exception in flight, under the name of the function that was called.
void set_error(const char* function = "");
template <class F>
PyObject* guarded(F&& f, const char* function = "") {
  if (any_waiting.load(std::memory_order_relaxed)) release_waiting();
  try {
    return f();
  } catch (...) {
    set_error(function);
    return nullptr;
  }
}
extern PyObject *argument_error, *index_error, *overflow_error, *file_error, *format_error,
    *linalg_error, *element_error;
void make_errors(PyObject* module);

// What an object is given for: the function that the user called and its parameter, for error
// texts.
struct Argument {
  const char* function;
  const char* name = nullptr;
  const char* hint = nullptr;  // said when the kind of object is wrong
  bool size = false;           // a number of elements: too large is a memory error
  bool ends = false;           // the least and the largest number stand for all beyond them
  Argument(const char* f, const char* n = nullptr, const char* h = nullptr)
      : function(f), name(n), hint(h) {}
};
std::string describe(PyObject*);  // str 'a', 3, None, dict
[[noreturn]] void wrong_kind(PyObject* got, const Argument&, const char* expected);
std::string text_of(PyObject* str, const Argument&);  // a str that UTF-8 can hold
bool is_whole(PyObject*);  // one integer: an int, NumPy's, a 0-d array
// New references to the items of a list, tuple or sized sequence, which may change while items are
// looked at.
struct Items {
  explicit Items(PyObject* o, const Argument&, const char* expected, Py_ssize_t most = 1 << 20);
  Items(Items&& o) noexcept : tuple(std::exchange(o.tuple, nullptr)) {}
  ~Items() { Py_XDECREF(tuple); }
  Py_ssize_t size() const { return PyTuple_GET_SIZE(tuple); }
  PyObject* operator[](Py_ssize_t i) const { return PyTuple_GET_ITEM(tuple, i); }
  PyObject* tuple;
};

// Numbers: bool, int, float, complex, NumPy scalars (weak), objects with __index__ or __float__.
bool is_number(PyObject*);
Scalar to_scalar(PyObject*, const Argument&);
// An array, a number, or anything that make_array takes but a list.
Operand to_operand(PyObject*, const Argument&);
array to_array(PyObject*, const Argument&);
std::optional<Dtype> to_dtype(
    PyObject*, const Argument& = "dtype");  // Dtype, "float32", float, np.float32; None: nothing
std::optional<Dtype> dtype_by_name(std::string_view);
PyObject* from_dtype(Dtype);               // new reference
Stream to_stream(PyObject*, const Argument& = "stream");  // None: the default
PyObject* from_device(Device::Type);       // new reference

// mx.array(value, dtype): lists, NumPy arrays, buffers, DLPack.
array make_array(PyObject* value, std::optional<Dtype> dtype, bool copy = true);
// DLPack: an object's memory as an array (shared or copied), and a capsule of an array's.
bool has_dlpack(PyObject*);
array from_dlpack(PyObject*, std::optional<bool> copy, bool ask_for_cpu = false);
PyObject* to_dlpack(PyObject* array, bool versioned, bool copy);
// A copy in memory of its own, made at once (but in transforms): what others write to shared memory
// does not show.
array own_copy(const array&);
// While __array__ answers: the buffer that it asks for is evaluated then (see get_buffer).
struct AnsweringArray {
  AnsweringArray() : before(std::exchange(now, true)) {}
  ~AnsweringArray() { now = before; }
  const bool before;
  static thread_local bool now;
};
array shareable(PyObject* array);  // evaluated; its memory may be written by others from now on
// The memory of a buffer or DLPack object, shared where it can be.
array share_array(PyObject*, std::optional<Dtype> dtype, std::optional<bool> copy);
PyObject* to_list(const array&);
PyObject* to_number(const Scalar&);
std::string print_array(const array&);
int get_precision();
void set_precision(int);

// a[key], a[key] = value and at[key]
array get_item(const array&, PyObject* key);
array set_item(const array&, PyObject* key, PyObject* value);
PyObject* make_at(PyObject* array);

PyObject* make_array_type(PyObject* module);
int get_buffer(PyObject*, Py_buffer*, int flags);
void release_buffer(PyObject*, Py_buffer*);

}  // namespace lazulite::bind
