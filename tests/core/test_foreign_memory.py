"""Memory of others in the forms that C's libraries give: buffers without strides, DLPack tensors
that break its rules."""

import ctypes as C

import numpy as np
import pytest

import lazulite.core as mx

INTS = [3, -1, 2**30, 7, 0, 5]


def filled(kind, *shape):
    whole = kind
    for n in reversed(shape):
        whole = whole * n
    made = whole()
    flat = (kind * len(INTS)).from_buffer(made)
    flat[:] = INTS
    return made


@pytest.mark.parametrize("shape", [(6,), (2, 3), (1, 3, 2)])
@pytest.mark.parametrize("kind, dtype", [
    (C.c_int32, mx.int32),
    (C.c_int32.__ctype_be__, mx.int32),
    (C.c_int64, mx.int64),
    (C.c_int64.__ctype_be__, mx.int64),
    (C.c_float, mx.float32),
    (C.c_double, mx.float64),
    (C.c_double.__ctype_be__, mx.float64),
])
def test_arrays_of_ctypes_whose_buffers_have_no_strides(kind, dtype, shape):
    given = filled(kind, *shape)
    want = np.array(INTS).reshape(shape).tolist()
    for make in (mx.array, mx.asarray):
        made = make(given, dtype=dtype)
        assert made.dtype == dtype and made.shape == shape
        assert made.astype(mx.int64).tolist() == want
    assert (mx.zeros(shape, dtype) + given).shape == shape


def test_arrays_of_ctypes_are_shared():
    given = filled(C.c_int32, 2, 3)
    shared = mx.asarray(given, copy=False)
    given[1][0] = 50
    assert shared[1, 0].item() == 50
    with pytest.raises(ValueError, match="cannot be shared"):
        mx.asarray(filled(C.c_int32.__ctype_be__, 6), copy=False)


def test_nothing_and_one_number_of_ctypes():
    assert mx.asarray((C.c_int * 0)()).shape == (0,)
    assert mx.asarray((C.c_float * 2 * 0)()).shape == (0, 2)
    assert mx.asarray(C.c_int(3)).item() == 3
    assert mx.arange(10)[(C.c_int * 2)(1, 4)].tolist() == [1, 4]


# ---- DLPack --------------------------------------------------------------------------------------


class Device(C.Structure):
    _fields_ = [("kind", C.c_int32), ("number", C.c_int32)]


class Type(C.Structure):
    _fields_ = [("code", C.c_uint8), ("bits", C.c_uint8), ("lanes", C.c_uint16)]


class Tensor(C.Structure):
    _fields_ = [
        ("data", C.c_void_p),
        ("device", Device),
        ("ndim", C.c_int32),
        ("dtype", Type),
        ("shape", C.POINTER(C.c_int64)),
        ("strides", C.POINTER(C.c_int64)),
        ("offset", C.c_uint64),
    ]


class Managed(C.Structure):
    _fields_ = [("tensor", Tensor), ("context", C.c_void_p), ("deleter", C.c_void_p)]


capsule_of = C.pythonapi.PyCapsule_New
capsule_of.restype = C.py_object
capsule_of.argtypes = [C.c_void_p, C.c_char_p, C.c_void_p]
numbers = np.arange(12, dtype=np.float32)


alive: list = []  # tensors without a deleter are never done with


class Foreign:
    """Says by DLPack what it is told to."""

    def __init__(self, shape, strides=None, *, ndim=None, data=True, named=True, lanes=1, offset=0):
        sizes = (C.c_int64 * max(1, len(shape)))(*shape)
        self.tensor = Managed()
        t = self.tensor.tensor
        t.data = numbers.ctypes.data if data else None
        t.device = Device(1, 0)
        t.ndim = len(shape) if ndim is None else ndim
        t.dtype = Type(2, 32, lanes)
        t.offset = offset
        if named:
            t.shape = sizes
        if strides is not None:
            t.strides = (C.c_int64 * max(1, len(strides)))(*strides)
        alive.append((self.tensor, sizes))

    def __dlpack__(self, **options):
        return capsule_of(C.addressof(self.tensor), b"dltensor", None)

    def __dlpack_device__(self):
        return (1, 0)


WAYS = [mx.from_dlpack, mx.array, mx.asarray]


@pytest.mark.parametrize("read", WAYS)
@pytest.mark.parametrize("given, match", [
    (dict(shape=(3,), data=False), r"no memory: got a null pointer for shape \(3,\)"),
    (dict(shape=(), data=False), "no memory"),
    (dict(shape=(3,), ndim=-1), "number of axes: got -1"),
    (dict(shape=(3,), ndim=2**31 - 1), "number of axes"),
    (dict(shape=(1,) * 65), "too many axes: got 65"),
    (dict(shape=(3,), named=False), "no shape"),
    (dict(shape=(-3,)), r"negative size: got shape \(-3,\)"),
    (dict(shape=(3,), strides=(2**62,)), "strides beyond all memory"),
    (dict(shape=(3, 2), strides=(2**61, 2**60)), "strides beyond all memory"),
    (dict(shape=(3,), lanes=4), "dtype not supported"),
])
def test_dlpack_tensors_that_break_its_rules(read, given, match):
    with pytest.raises(ValueError, match=match):
        read(Foreign(**given))


@pytest.mark.parametrize("read", WAYS)
def test_dlpack_tensors_that_keep_them(read):
    for given, want in (
        (dict(shape=(0, 3), data=False), np.zeros((0, 3))),
        (dict(shape=()), np.float32(0)),
        (dict(shape=(), named=False), np.float32(0)),
        (dict(shape=(3, 4)), numbers.reshape(3, 4)),
        (dict(shape=(4,), strides=(-1,), offset=44), numbers[11:7:-1]),
        (dict(shape=(3, 2), strides=(0, 1)), np.stack([numbers[:2]] * 3)),
    ):
        foreign = Foreign(**given)
        made = read(foreign)
        assert made.dtype == mx.float32 and made.shape == want.shape
        assert made.tolist() == want.tolist()
