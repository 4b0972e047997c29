"""Arrays of other libraries, NumPy's protocols and operators with foreign objects."""


import inspect
import operator

import numpy as np
import pytest

import lazulite.core as mx


class Dlpack:
    """An object that has DLPack and nothing else, as tensors of other libraries."""

    def __init__(self, a):
        self.a = a

    def __dlpack__(self, **kwargs):
        return self.a.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self.a.__dlpack_device__()


class WantsGradient(Dlpack):
    """A tensor that cannot be exported before it is detached."""

    requires_grad = True

    def __dlpack__(self, **kwargs):
        raise BufferError("cannot export a tensor that requires a gradient, use detach()")

    def detach(self):
        return Dlpack(self.a)


class Array:
    def __init__(self, a):
        self.a = a

    def __array__(self, dtype=None, copy=None):
        return self.a


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.arange(3, dtype=np.int32),
        lambda: mx.arange(3),
        lambda: Dlpack(np.arange(3, dtype=np.int32)),
    ],
)
def test_asarray_without_a_copy_refuses_another_dtype(make):
    with pytest.raises(ValueError, match="cannot be shared"):
        mx.asarray(make(), dtype=mx.int64, copy=False)
    assert mx.asarray(make(), dtype=mx.int32, copy=False).tolist() == [0, 1, 2]


@pytest.mark.parametrize("value", [3, 2.5, True, np.float32(1), [1, 2]])
def test_asarray_without_a_copy_refuses_what_has_no_memory(value):
    with pytest.raises(ValueError, match="cannot be shared"):
        mx.asarray(value, copy=False)


def test_asarray_shares_an_array_that_has_the_dtype():
    a = mx.array([1, 2, 3])
    shared = mx.asarray(a, dtype=mx.int32, copy=False)
    np.asarray(shared)[0] = 9
    assert a.tolist() == [9, 2, 3]


@pytest.mark.parametrize("wrap", [lambda a: a, memoryview, Dlpack, WantsGradient, Array])
@pytest.mark.parametrize("wide,narrow", [("float64", mx.float32), ("complex128", mx.complex64)])
def test_foreign_doubles_narrow_whatever_the_protocol(wrap, wide, narrow):
    a = np.ones(3, wide)
    assert mx.array(wrap(a)).dtype == narrow and mx.asarray(wrap(a)).dtype == narrow
    full = getattr(mx, wide)
    assert mx.array(wrap(a), dtype=full).dtype == full
    if wrap in (Dlpack, WantsGradient):
        assert mx.from_dlpack(wrap(a)).dtype == full
        with pytest.raises(ValueError, match="another dtype"):
            mx.asarray(wrap(a), copy=False)


def test_tensors_that_want_a_gradient_are_taken_as_their_values():
    tensor = WantsGradient(np.arange(3, dtype=np.float32))
    for make in (mx.array, mx.asarray, mx.from_dlpack):
        assert make(tensor).tolist() == [0, 1, 2]
    assert (mx.ones(3) + tensor).tolist() == [1, 2, 3]


class Capsule:
    """Exports a float32 array as a DLPack type that no dtype matches: its code is overwritten."""

    def __init__(self, code, bits):
        self.a, self.code, self.bits = np.zeros(4, np.float32), code, bits

    def __dlpack__(self, **kwargs):
        import ctypes

        capsule = self.a.__dlpack__()
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        # data, device (type, id), ndim, then the type: code, bits, lanes
        at = pointer(capsule, b"dltensor") + 8 + 8 + 4
        ctypes.c_uint8.from_address(at).value, ctypes.c_uint8.from_address(at + 1).value = (
            self.code,
            self.bits,
        )
        return capsule

    def __dlpack_device__(self):
        return (1, 0)


@pytest.mark.parametrize("make", [mx.array, mx.asarray, mx.from_dlpack])
@pytest.mark.parametrize("code,bits", [(5, 32), (10, 8), (2, 8)])
def test_dlpack_types_that_no_dtype_matches_raise_value_error(make, code, bits):
    with pytest.raises(ValueError, match="dtype not supported"):
        make(Capsule(code, bits))


def test_bfloat16_has_a_buffer():
    a = mx.array([[1, 2, 3], [4, 5, 6]], dtype=mx.bfloat16)
    view = memoryview(a)
    assert (view.format, view.itemsize, view.strides, view.readonly) == (
        "bfloat16",
        2,
        (6, 2),
        False,
    )
    assert np.frombuffer(a, np.uint16).tolist() == [16256, 16384, 16448, 16512, 16544, 16576]
    assert memoryview(a).cast("B").nbytes == 12
    np.frombuffer(a, np.uint16)[0] = 0
    assert a.tolist() == [[0, 2, 3], [4, 5, 6]]
    assert (
        np.array(a).astype(np.float32).tolist()
        == np.asarray(a).astype(np.float32).tolist()
        == a.tolist()
    )


def test_dtypes_are_dtypes_of_numpy():
    for t in (mx.bool_, mx.uint8, mx.int64, mx.float16, mx.float32, mx.float64, mx.complex64):
        assert np.dtype(t) == np.zeros(1, np.asarray(mx.zeros(1, t)).dtype).dtype
    assert (
        np.zeros(2, dtype=mx.int8).dtype == np.int8
        and np.ones(2).astype(mx.float16).dtype == np.float16
    )
    assert np.dtype(mx.bfloat16).itemsize == 2


# ---- NumPy's protocol for its functions

N = np.array([1.0, 2.0, 3.0])
BINARY = "add sub mul truediv floordiv mod pow lt le gt ge eq ne".split()


@pytest.mark.parametrize("name", BINARY + ["and_", "or_", "xor", "lshift", "rshift", "matmul"])
def test_operators_of_numpy_arrays_give_lazulite_arrays(name):
    f = getattr(operator, name)
    whole = name not in BINARY and name != "matmul"
    n = N.astype(np.int32) if whole else N
    a = mx.array([3, 2, 1]) if whole else mx.array([3.0, 2.0, 1.0])
    for out in (f(n, a), f(a, n)):
        assert type(out) is mx.array
    np.testing.assert_allclose(np.array(f(n, a)), f(n, np.array(a)), rtol=1e-6)
    assert type(f(n.dtype.type(2), a)) is mx.array if name != "matmul" else True


def test_in_place_operators_of_numpy_arrays_write_to_them():
    for dtype in (np.float32, np.float64):
        n = np.array([1, 2, 3], dtype)
        other = n
        n += mx.array([1.0, 2.0, 3.0])
        n *= mx.array(2)
        assert other is n and n.dtype == dtype and other.tolist() == [4, 8, 12]


def test_functions_of_numpy_compute_in_numpy():
    a = mx.array([1.0, 2.0, 3.0])
    y = np.zeros(3)
    assert np.add(N, a, out=y) is y and y.tolist() == [2, 4, 6]
    assert type(np.exp(a)) is np.ndarray and np.exp(a).dtype == np.float32
    assert np.add.reduce(a) == 6 and isinstance(np.add.reduce(a), np.floating)
    assert np.add.outer(a, N).shape == (3, 3)
    np.add.at(y, [0, 0], mx.array(1.0))
    assert y.tolist() == [4, 4, 6]
    assert np.multiply(N, a, where=mx.array([True, False, True]), out=np.zeros(3)).tolist() == [
        1,
        0,
        9,
    ]
    assert [type(x) for x in np.modf(a)] == [np.ndarray, np.ndarray]
    with pytest.raises(TypeError, match="NumPy array"):
        np.add(N, N, out=mx.zeros(3))


@pytest.mark.parametrize("name", "all any sum prod mean std var max min".split())
def test_reductions_of_numpy_take_arrays(name):
    x = np.arange(12, dtype=np.float32).reshape(3, 4) + 1
    f = getattr(np, name)
    for options in ({}, {"axis": 0}, {"axis": (0, 1), "keepdims": True}, {"axis": -1, "out": None}):
        np.testing.assert_allclose(np.array(f(mx.array(x), **options)), f(x, **options), rtol=1e-6)
    if "dtype" in inspect.signature(f).parameters:
        out = f(mx.arange(4), dtype=np.float64)
        assert out.dtype == mx.float64 and float(out) == pytest.approx(
            float(f(np.arange(4), dtype=np.float64))
        )
    if name in ("std", "var"):
        assert float(f(mx.array(x), ddof=1)) == pytest.approx(float(f(x, ddof=1)))
    with pytest.raises(TypeError, match="out"):
        getattr(mx.array(x), name)(out=np.zeros(()))


def test_comparisons_of_numpy_arrays_can_be_reduced_by_numpy():
    assert bool(np.all(N == mx.array(N)))


# ---- operators with foreign objects

OPERATORS = "add sub mul truediv floordiv mod pow and_ or_ xor lshift rshift matmul".split()
IN_PLACE = ["i" + name.rstrip("_") for name in OPERATORS]
ORDERS = "lt le gt ge".split()


class Nothing:
    pass


@pytest.mark.parametrize("value", ["x", [1], (1,), {}, {1}, range(2), Nothing(), object])
def test_operators_with_what_is_no_number_raise_value_error(value):
    for name in OPERATORS + IN_PLACE + ORDERS:
        with pytest.raises(ValueError):
            getattr(operator, name)(mx.array([1, 2]), value)
    for name in OPERATORS + ORDERS:
        if (value, name) != ("x", "mod"):  # str formats
            with pytest.raises(ValueError):
                getattr(operator, name)(value, mx.array([1, 2]))
    assert (mx.array([1, 2]) == value) is False and (mx.array([1, 2]) != value) is True


def test_operators_with_none_raise_type_error():
    for name in OPERATORS + IN_PLACE + ORDERS:
        with pytest.raises(TypeError):
            getattr(operator, name)(mx.array([1, 2]), None)


def test_a_class_with_the_reflected_operator_answers():
    class Answers:
        def __radd__(self, other):
            return "radd"

        def __gt__(self, other):
            return "gt"

        def __eq__(self, other):
            return "eq"

    a = mx.array([1, 2])
    assert a + Answers() == "radd" and (a < Answers()) == "gt" and (a == Answers()) == "eq"
    with pytest.raises(ValueError):
        a - Answers()


@pytest.mark.parametrize("wrap", [Dlpack, WantsGradient, Array, memoryview])
def test_operators_take_what_functions_take(wrap):
    n = np.array([1, 2, 3], np.float32)
    a = mx.array([2.0, 2.0, 2.0])
    for out in (a + wrap(n), wrap(n) + a, mx.add(a, wrap(n))):
        assert type(out) is mx.array and out.tolist() == [3, 4, 5]
    assert (a < wrap(n)).tolist() == [False, False, True]
    a *= wrap(n)
    assert a.tolist() == [2, 4, 6]


def test_labelled_arrays_keep_their_labels():
    class Series:  # as pandas: it holds an array, and its own operators label the result
        __pandas_priority__ = 3000

        def __init__(self, values):
            self.values = values

        def __array__(self, dtype=None, copy=None):
            return np.asarray(self.values)

        def __add__(self, other):
            return Series(self.values + other)

        __radd__ = __add__

    values = np.arange(3.0)
    assert isinstance(Series(values) + mx.arange(3), Series) and isinstance(
        mx.arange(3) + Series(values), Series
    )
    assert mx.array(Series(values)).tolist() == [0, 1, 2]


def test_none_among_numbers_is_a_value_error_and_a_type_error():
    for value in ([1, None], [None], [[1], [None]], (1.0, None)):
        for kind in (ValueError, TypeError):
            with pytest.raises(kind, match="None"):
                mx.array(value)


LAYOUTS = {
    "rows": lambda a: a,
    "columns": np.asfortranarray,
    "strided": lambda a: a[:, ::2],
    "reversed": lambda a: a[::-1],
    "repeated": lambda a: np.broadcast_to(a, (3, *a.shape)),
    "one row": lambda a: a[1:2],
    "one column": lambda a: a[:, 1:2],
    "a number": lambda a: a[1, 1:2].reshape(()),
    "nothing": lambda a: a[:0],
    "nothing wide": lambda a: a[:, :0],
    "swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "matrix": lambda a: a.view(np.matrix),
    "masked": np.ma.masked_array,
    "unaligned": lambda a: np.frombuffer(b"x" + a.tobytes(), np.uint8)[1:].view(a.dtype),
}


@pytest.mark.parametrize("code", "?bBhHiIlLqQefdFD")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_of_numpy_of_every_dtype_and_layout(layout, code):
    given = LAYOUTS[layout](np.arange(12).reshape(3, 4).astype(code))
    narrow = {"float64": "float32", "complex128": "complex64"}
    wanted = narrow.get(given.dtype.name, given.dtype.name)
    for made in (
        mx.array(given),
        mx.array(val=given),
        mx.array(given, None),
        mx.array(given, dtype=None),
    ):
        assert str(made.dtype).endswith(wanted) and made.shape == given.shape
        assert made.tolist() == np.asarray(given).tolist()
    kept = mx.array(given, dtype=mx.float64)
    assert kept.dtype == mx.float64 and kept.tolist() == np.asarray(given).real.tolist()


def test_a_copy_of_a_numpy_array_is_one():
    given = np.ones((4, 4), np.float32)
    made = mx.array(given)
    given[:] = 2
    assert made.tolist() == [[1.0] * 4] * 4
    odd = np.array([0, 1, 2, 255], np.uint8).view(bool)
    assert mx.array(odd).astype(mx.int32).tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize(
    "call",
    [
        lambda: mx.array(),
        lambda: mx.array(1, mx.float32, 2),
        lambda: mx.array(1, type=mx.int8),
        lambda: mx.array(dtype=mx.int8),
        lambda: mx.array(1, val=2),
        lambda: mx.array(1, mx.int8, dtype=mx.int8),
    ],
)
def test_the_constructor_refuses_other_arguments(call):
    with pytest.raises(TypeError):
        call()
    assert mx.array(val=1, dtype=mx.int8).dtype == mx.array(dtype=mx.int8, val=1).dtype == mx.int8


@pytest.mark.parametrize("code", "?bBhHiIlLqQefdFD")
def test_lists_of_every_dtype(code):
    given = np.array([[0, 1, 2], [3, 250, 7]]).astype(code)
    keep = {"d": mx.float64, "D": mx.complex128}.get(code)
    keys = np.s_[:], np.s_[::-1, ::2], np.s_[1], np.s_[:, 1], np.s_[1, 2], np.s_[:0], np.s_[:, :0]
    for key in keys:
        ours, theirs = mx.array(given, dtype=keep)[key].tolist(), given[key].tolist()
        assert ours == theirs and repr(ours) == repr(theirs)


def test_lists_of_floats_alone_are_what_lists_with_other_numbers_are():
    values = [0.1, -0.0, 1e300, -1e300, 1e-46, float("nan"), float("inf"), 16777217.0]
    plain, mixed = mx.array(values), mx.array([*values, 1])
    assert plain.dtype == mixed.dtype == mx.float32
    assert np.array(plain).tobytes() == np.array(mixed)[:-1].tobytes()
    assert mx.array(values[:3], dtype=mx.float64).tolist() == values[:3]
    assert mx.array((0.5, 1.5), dtype=mx.int8).tolist() == [0, 1]
    assert mx.array([[0.5], [1.5]]).tolist() == [[0.5], [1.5]]
