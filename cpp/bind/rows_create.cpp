// Arrays from nothing, and from objects of others.
#include "bind/def.h"
#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/shape/shape.h"

namespace lazulite::bind {

namespace {

using A = const array&;
using O = const Operand&;
using S = Stream;
using OptionalDtype = const std::optional<Dtype>&;

array filled(const Shape& shape, O value, OptionalDtype t, S s) { return t ? full(shape, value, *t, s) : full(shape, value, s); }

array range(PyObject* first, PyObject* second, PyObject* third, OptionalDtype t, S s) {
  // Ends and steps are weak, NumPy's too: an int8 that is a bound says nothing about the numbers below it.
  auto given = [](PyObject* o, const char* name) { return to_scalar(o, {"arange", name}).untyped(); };
  auto number = [&](PyObject* o, int otherwise, const char* name) { return o == Py_None ? Scalar(otherwise) : given(o, name); };
  Scalar start = 0, stop = 0;
  if (second == Py_None) {
    if (first == Py_None) fail(Kind::type, "arange", "no stop: expected arange(stop) or arange(start, stop, step)");
    stop = given(first, "stop");
  } else {
    start = number(first, 0, "start");
    stop = given(second, "stop");
  }
  const Scalar step = number(third, 1, "step");
  return t ? arange(start, stop, step, *t, s) : arange(start, stop, step, s);
}

bool matrix_order(const std::string& indexing) {
  if (indexing != "xy" && indexing != "ij") fail(Kind::value, "meshgrid", "unknown indexing: got '", indexing, "', expected 'xy' or 'ij'");
  return indexing == "ij";
}

std::optional<bool> optional_bool(PyObject* o, const Argument& at) {
  if (o == Py_None) return std::nullopt;
  const bool number = is_number(o);
  if (number && to_scalar(o, at).kind() == 'b') return to_scalar(o, at).truth();
  wrong_kind(o, at, "True, False or None");
}

array imported(PyObject* o, PyObject* device, PyObject* copy) {
  if (device != Py_None) to_stream(device, {"from_dlpack", "device"});  // raises for others than the CPU
  return from_dlpack(o, optional_bool(copy, {"from_dlpack", "copy"}), device != Py_None);
}

array unpickled(PyObject* data, Dtype t, const Shape& shape) {
  char* bytes = nullptr;
  Py_ssize_t length = 0;
  if (PyBytes_AsStringAndSize(data, &bytes, &length) < 0) throw PythonError{};
  for (int64_t n : shape)
    if (n < 0) fail(Kind::value, "array", "negative size: got ", shape);
  check_shape(shape, t, "array");
  if (length != size_of(shape) * size_of(t))
    fail(Kind::value, "array", "pickled data does not fit: got ", length, " bytes for ", t, " of shape ", shape);
  return array(bytes, shape, t, t);
}

const Register rows{"", {
    def("_unpickle(data, dtype, shape)", unpickled, "The array that pickle wrote."),
    def("full(shape, vals, dtype=None, *, stream=None)", filled,
        "One value (or an array that broadcasts) in every place; by default of the dtype that array(vals) has.\n\n"
        ">>> mx.full((2,), 7)\narray([7, 7], dtype=int32)").cases({"(2, 3), 1.5", "(2, 3), x(3)"})
        .large({"(block + 1, 3), x(3)", "(2, chunk + 1), 1.5"}).hint("dtype", "a shape is one argument: full((2, 3), 1)"),
    def("full_like(a, vals, dtype=None, *, stream=None)", [](A a, O v, OptionalDtype t, S s) { return full(a.shape(), v, t.value_or(a.dtype()), s); },
        "One value in every place, in the shape and dtype of a.\n\n>>> mx.full_like(mx.array([1, 2]), 7)\narray([7, 7], dtype=int32)").cases({"x(2, 3), 1.5"})
        .large({"x(2, chunk + 1), 1.5"}),
    def("zeros(shape, dtype=float32, *, stream=None)", [](const Shape& shape, OptionalDtype t, S s) { return zeros(shape, t.value_or(float32), s); },
        "Zeros. Sizes must not be negative (ValueError).\n\n>>> mx.zeros(2)\narray([0, 0], dtype=float32)").cases({"(2, 3)", "()"})
        .large({"(2, chunk + 1)"}).hint("dtype", "a shape is one argument: zeros((2, 3))"),
    def("ones(shape, dtype=float32, *, stream=None)", [](const Shape& shape, OptionalDtype t, S s) { return ones(shape, t.value_or(float32), s); },
        "Ones. Sizes must not be negative (ValueError).\n\n>>> mx.ones(2)\narray([1, 1], dtype=float32)").cases({"(2, 3)", "0"})
        .large({"(2, chunk + 1)"}).hint("dtype", "a shape is one argument: ones((2, 3))"),
    def("empty(shape, dtype=float32, *, stream=None)", [](const Shape& shape, OptionalDtype t, S s) { return zeros(shape, t.value_or(float32), s); },
        "An array whose values are not yet wanted: zeros here.\n\n>>> mx.empty((2, 3)).shape\n(2, 3)").hint("dtype", "a shape is one argument: empty((2, 3))"),
    def("empty_like(a, /, dtype=None, *, stream=None)", [](A a, OptionalDtype t, S s) { return zeros(a.shape(), t.value_or(a.dtype()), s); },
        "An array of the shape of a whose values are not yet wanted: zeros here.\n\n>>> mx.empty_like(mx.ones(3)).shape\n(3,)")
        .cases({"x(2, 3)"}, "np.zeros_like"),
    def("arange(start=None, stop=None, step=None, dtype=None, *, stream=None)", range,
        "arange(stop) or arange(start, stop, step): start, start + step, ... before stop; ceil((stop - start) / step) numbers.\n"
        "int32 (int64 beyond it) for ints, float32 for floats. Step 0, nan and infinite ends raise ValueError; an infinite step\n"
        "reaches one number at most. For an integer dtype the first two numbers are\n"
        "rounded towards zero, as in NumPy, and the others follow at their distance.\n\n"
        ">>> mx.arange(1, 7, 2)\narray([1, 3, 5], dtype=int32)").pair("start", "stop").cases({"5", "1, 7, 2", "5, 0, -2", "0, 1, 0.25"})
        .large({"chunk + 1", "0, 3 * grain + 1, 2", "0, grain + 1, 0.5"}),
    def("linspace(start, stop, num=50, endpoint=True, dtype=float32, stream=None)",
        [](const Scalar& a, const Scalar& b, int64_t n, bool end, OptionalDtype t, S s) { return linspace(a, b, n, end, t.value_or(float32), s); },
        "num numbers at equal distances from start to stop; stop itself is left out unless endpoint.\n\n"
        ">>> mx.linspace(0, 1, 5)\narray([0, 0.25, 0.5, 0.75, 1], dtype=float32)").cases({"0, 1, 5", "0, 1, 5, False", "2, 3, 1"})
        .large({"0, 1, grain + 1"}),
    def("eye(n, m=None, k=0, dtype=float32, *, stream=None)",
        [](int64_t n, const std::optional<int64_t>& m, int64_t k, OptionalDtype t, S s) { return eye(n, m.value_or(n), k, t.value_or(float32), s); },
        "Ones on the k-th diagonal of an n x m matrix.\n\n>>> mx.eye(2)\narray([[1, 0],\n       [0, 1]], dtype=float32)").cases({"3", "3, 4, 1", "3, 2, -1"})
        .large({"tile + 1, inner + 1, 3"}),
    def("identity(n, dtype=float32, *, stream=None)", [](int64_t n, OptionalDtype t, S s) { return eye(n, n, 0, t.value_or(float32), s); },
        "The identity matrix.\n\n>>> mx.identity(1)\narray([[1]], dtype=float32)").cases({"3"})
        .large({"inner + 1"}),
    def("tri(n, m=None, k=0, dtype=None, *, stream=None)",
        [](int64_t n, const std::optional<int64_t>& m, int64_t k, OptionalDtype t, S s) { return tri(n, m.value_or(n), k, t.value_or(float32), s); },
        "Ones on and below the k-th diagonal.\n\n>>> mx.tri(2)\narray([[1, 0],\n       [1, 1]], dtype=float32)").cases({"3", "3, 4, 1"})
        .large({"tile + 1, inner + 1, -2"}),
    def("tril(x, k=0, *, stream=None)", [](A a, int64_t k, S s) { return tril(a, k, s); },
        "The elements on and below the k-th diagonal, zeros above.\n\n>>> mx.tril(mx.ones((2, 2)))\narray([[1, 0],\n       [1, 1]], dtype=float32)")
        .cases({"x(3, 4)", "x(2, 3, 3), -1"})
        .large({"x(tile + 1, inner + 1), 3"}),
    def("triu(x, k=0, *, stream=None)", [](A a, int64_t k, S s) { return triu(a, k, s); },
        "The elements on and above the k-th diagonal, zeros below.\n\n>>> mx.triu(mx.ones((2, 2)))\narray([[1, 1],\n       [0, 1]], dtype=float32)")
        .cases({"x(3, 4)", "x(2, 3, 3), 1"})
        .large({"x(tile + 1, inner + 1), -3"}),
    def("diag(a, /, k=0, *, stream=None)", [](A a, int64_t k, S s) { return diag(a, k, s); },
        "A square with the vector a on its k-th diagonal; of a matrix, its k-th diagonal.\n\n>>> mx.diag(mx.array([1, 2]))\narray([[1, 0],\n       [0, 2]], dtype=int32)")
        .method().cases({"x(3)", "x(3), 1", "x(3), -2", "x(3, 4), 1"})
        .large({"x(inner + 1), 1", "x(tile + 1, inner + 1)"}),
    def("meshgrid(*arrays, sparse=False, indexing='xy', stream=None)",
        [](const std::vector<array>& arrays, bool sparse, const std::string& indexing, S s) -> ArrayTuple {
          return meshgrid(arrays, sparse, matrix_order(indexing), s);
        },
        "A tuple of coordinate arrays from vectors (other arrays are flattened); indexing 'xy' exchanges the first two axes, 'ij' keeps them.\n\n"
        ">>> [g.shape for g in mx.meshgrid(mx.arange(2), mx.arange(3))]\n[(3, 2), (3, 2)]").cases({"x(2), x(3)", "x(2), x(3), x(4), indexing='ij'", "x(2), x(3), sparse=True", "x(2, 2), x(), x(3)"})
        .large({"x(tile + 1), x(inner + 1)"}),
    def("hanning(M, *, stream=None)", [](int64_t m, S s) { return hanning(m, s); },
        "The Hann window of M samples: 0.5 - 0.5 cos(2 pi n / (M - 1)).\n\n>>> mx.hanning(3)\narray([0, 1, 0], dtype=float32)").cases({"1", "8"})
        .large({"grain + 1"}),
    def("hamming(M, *, stream=None)", [](int64_t m, S s) { return hamming(m, s); },
        "The Hamming window of M samples: 0.54 - 0.46 cos(2 pi n / (M - 1)).\n\n>>> mx.hamming(3)\narray([0.08, 1, 0.08], dtype=float32)").cases({"1", "8"})
        .large({"grain + 1"}),
    def("blackman(M, *, stream=None)", [](int64_t m, S s) { return blackman(m, s); },
        "The Blackman window of M samples: 0.42 - 0.5 cos(2 pi n / (M - 1)) + 0.08 cos(4 pi n / (M - 1)).\n\n>>> mx.blackman(1)\narray([1], dtype=float32)").cases({"1", "8"})
        .large({"grain + 1"}),
    def("bartlett(M, *, stream=None)", [](int64_t m, S s) { return bartlett(m, s); },
        "The Bartlett (triangular) window of M samples: 1 - |2 n / (M - 1) - 1|.\n\n>>> mx.bartlett(3)\narray([0, 1, 0], dtype=float32)").cases({"1", "8"})
        .large({"grain + 1"}),
    def("asarray(a, dtype=None, *, copy=None)", [](PyObject* o, OptionalDtype t, PyObject* copy) { return share_array(o, t, optional_bool(copy, {"asarray", "copy"})); },
        "An array that shares the memory of a buffer or DLPack object where dtype and layout allow it, and copies otherwise;\n"
        "copy=True always copies, copy=False raises ValueError where sharing is not possible.\n\n>>> mx.asarray([1, 2])\narray([1, 2], dtype=int32)"),
    def("from_dlpack(x, /, *, device=None, copy=None)", imported,
        "An array on the memory of an object with __dlpack__ (shared unless copy=True, copied where it cannot be shared unless\n"
        "copy=False). `device` may name the CPU, which asks objects on other devices for a copy there. TypeError for other objects.\n\n"
        ">>> mx.from_dlpack(mx.ones(2))\narray([1, 1], dtype=float32)"),
}};

}  // namespace
}  // namespace lazulite::bind
