"""The array type: operators, conversions, exchange, printing."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import lazulite.core as mx


def test_operators_with_reflection():
    a = mx.array([7, -7, 7, -7])
    b = mx.array([2, 2, -2, -2])
    assert (a // b).tolist() == [3, -4, -4, 3] and (a % b).tolist() == [1, 1, -1, -1]
    assert (
        (1 - a).tolist() == [-6, 8, -6, 8]
        and (2 ** mx.array([3])).tolist() == [8]
        and (1 << mx.array([3])).tolist() == [8]
    )
    assert (
        (7 // mx.array([2])).item() == 3
        and (7 % mx.array([4])).item() == 3
        and (1 / mx.array([4])).item() == 0.25
    )
    assert [x.tolist() for x in divmod(a, b)] == [[3, -4, -4, 3], [1, 1, -1, -1]]
    assert (a / b).dtype == mx.float32 and (mx.array([1], mx.int64) / 2).dtype == mx.float32
    assert (~mx.array([True, False])).tolist() == [False, True] and (~mx.array([0])).item() == -1
    assert (mx.array([True]) + mx.array([True])).tolist() == [True] and (
        mx.array([True]) * 2
    ).dtype == mx.int32
    assert (mx.array([5]) // 0).item() == 0 and (mx.array([5]) % 0).item() == 5
    least = -(2**31)
    assert (mx.array([least]) // -1).item() == least and (mx.array([least]) % -1).item() == 0
    assert (mx.array([2]) ** -1).item() == 0 and (mx.array([0]) ** 0).item() == 1
    assert (
        abs(mx.array([-128], mx.int8)).item() == -128 and (-mx.array([1], mx.uint8)).item() == 255
    )
    assert (mx.array([1, 2]) @ mx.array([3, 4])).item() == 11
    assert (mx.array([1]) << 40).item() == 0 and (mx.array([-1]) >> 40).item() == -1
    assert (+a).tolist() == a.tolist() and round(mx.array([2.567]), 1).item() == pytest.approx(2.6)


def test_comparison_with_anything():
    a = mx.array([1, 2])
    assert (a == 1).tolist() == [True, False] and (a == "x") is False and (a != "x") is True
    assert (a == None) is False and (a != None) is True  # noqa: E711
    assert 2 in a and 3 not in a
    with pytest.raises(TypeError):
        a + None
    with pytest.raises(ValueError):
        a + [1.0]
    with pytest.raises(ValueError):
        a + "x"
    with pytest.raises(TypeError):
        a < None
    with pytest.raises(ValueError):
        a == mx.ones(3)


def test_in_place_retargets_the_object():
    a = mx.array([1, 2])
    b, before = a, a * 1
    a += 1.5
    assert (
        b is a and b.dtype == mx.float32 and b.tolist() == [2.5, 3.5] and before.tolist() == [1, 2]
    )
    c = mx.array([2])
    c /= 2
    assert c.dtype == mx.float32 and c.item() == 1
    for operator in [
        "-= 1",
        "*= 3",
        "//= 2",
        "%= 2",
        "**= 2",
        "&= 1",
        "|= 6",
        "^= 3",
        "<<= 2",
        ">>= 1",
    ]:
        scope = {"x": mx.array([7]), "y": np.array([7])}
        exec(f"x {operator}; y {operator}", scope)
        assert scope["x"].tolist() == scope["y"].tolist()
    m = mx.eye(2)
    m @= mx.array([[0.0, 1.0], [1.0, 0.0]])
    assert m.tolist() == [[0, 1], [1, 0]]


def test_numbers_of_one_element():
    for a in (mx.array(3.0), mx.array([[3.0]])):
        assert (
            a.item() == 3.0 and float(a) == 3.0 and int(a) == 3 and bool(a) and complex(a) == 3 + 0j
        )
    assert list(range(5))[mx.array(2)] == 2
    with pytest.raises(TypeError):
        list(range(5))[mx.array(2.0)]
    for f in (bool, int, float, lambda a: a.item()):
        with pytest.raises(ValueError):
            f(mx.ones(2))
    assert not mx.array(0) and mx.array(2.5) and mx.array(1 + 2j).item() == 1 + 2j
    assert f"{mx.array(3.14159):.2f}" == "3.14" and f"{mx.array([2])}" == "array([2], dtype=int32)"
    assert "{:.1f}".format(mx.array([2.0])) == "2.0"


def test_length_and_iteration():
    a = mx.arange(6).reshape(2, 3)
    assert (
        len(a) == 2
        and [r.tolist() for r in a] == [[0, 1, 2], [3, 4, 5]]
        and [x.shape for x in a[0]] == [(), (), ()]
    )
    for f in (len, iter, list):
        with pytest.raises(TypeError):
            f(mx.array(1))
    assert hash(a) == hash(a) and {a: 1}[a] == 1


def test_attributes():
    a = mx.zeros((2, 3, 4), mx.float16)
    assert (a.shape, a.ndim, a.size, a.itemsize, a.nbytes, a.dtype) == (
        (2, 3, 4),
        3,
        24,
        2,
        48,
        mx.float16,
    )
    assert a.T.shape == (4, 3, 2) and a.mT.shape == (2, 4, 3) and a.device == mx.Device(mx.cpu)
    z = mx.array([1 + 2j])
    assert z.real.item() == 1 and z.imag.item() == 2
    assert (
        a.reshape(4, -1).shape == (4, 6)
        and a.reshape((6, 4)).shape == (6, 4)
        and a.transpose(2, 0, 1).shape == (4, 2, 3)
    )
    assert (
        a.transpose().shape == (4, 3, 2)
        and a.flatten().shape == (24,)
        and a.astype(mx.int8).dtype == mx.int8
    )
    assert mx.array([3.0, 1.0]).std(correction=1).item() == pytest.approx(2**0.5)


PRINTED = [
    (lambda: mx.array(1), "array(1, dtype=int32)"),
    (lambda: mx.array([1.5, 2]), "array([1.5, 2], dtype=float32)"),
    (lambda: mx.array([True, False]), "array([True, False], dtype=bool)"),
    (lambda: mx.array([1 + 2j]), "array([1+2j], dtype=complex64)"),
    (lambda: mx.array([], mx.int8), "array([], dtype=int8)"),
    (lambda: mx.arange(7), "array([0, 1, 2, ..., 4, 5, 6], dtype=int32)"),
    (lambda: mx.arange(6), "array([0, 1, 2, 3, 4, 5], dtype=int32)"),
    (
        lambda: mx.array([1 / 3, -0.0, mx.inf, -mx.inf, mx.nan]),
        "array([0.333333, -0, inf, -inf, nan], dtype=float32)",
    ),
    (lambda: mx.array([1 / 3], mx.float64), "array([0.33333333], dtype=float64)"),
    (lambda: mx.zeros((2, 2)), "array([[0, 0],\n       [0, 0]], dtype=float32)"),
    (lambda: mx.zeros((2, 1, 2), mx.int8), "array([[[0, 0]],\n       [[0, 0]]], dtype=int8)"),
    (
        lambda: mx.zeros((8, 1), mx.int8),
        "array([[0],\n       [0],\n       [0],\n       ...,\n       [0],\n       [0],\n       [0]], dtype=int8)",
    ),
]


@pytest.mark.parametrize("make, text", PRINTED)
def test_printing(make, text):
    assert repr(make()) == text and str(make()) == text


def test_print_options():
    with mx.printoptions(precision=3):
        assert (
            repr(mx.array(3.14159)) == "array(3.142, dtype=float32)"
            and mx.get_printoptions().precision == 3
        )
    assert mx.get_printoptions().precision == -1


DTYPES = [
    t
    for t in "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 float32 float64 complex64 complex128".split()
]


@pytest.mark.parametrize("name", DTYPES)
def test_exchange_with_numpy(name):
    v = (np.arange(6) % 2 if name == "bool" else np.arange(6)).astype(name).reshape(2, 3)
    a = mx.array(v, getattr(mx, name if name != "bool" else "bool_"))
    assert a.dtype.name == name and np.asarray(a).dtype == v.dtype
    for back in (np.array(a), np.asarray(a.T).T, np.from_dlpack(a), np.asarray(memoryview(a))):
        np.testing.assert_array_equal(back, v)
    np.testing.assert_array_equal(np.array(mx.from_dlpack(v)), v)
    np.testing.assert_array_equal(np.array(mx.array(v[:, ::-1], a.dtype)), v[:, ::-1])
    assert mx.array(memoryview(v)).shape == (2, 3)
    assert a.tolist() == v.tolist()


def test_memory_is_shared_with_numpy():
    a = mx.zeros(4)
    n = np.asarray(a)
    n[1] = 5
    assert a.tolist() == [0, 5, 0, 0]
    assert np.asarray(a).ctypes.data == n.ctypes.data
    b = a[1:] * 1.0
    mx.eval(b)
    # The buffer counts as foreign: it is never written, however lone the array.
    c = a + 1
    del a
    mx.eval(c)
    assert n.tolist() == [0, 5, 0, 0] and c.tolist() == [1, 6, 1, 1]
    view = np.asarray(mx.broadcast_to(mx.array([1.0]), (3,)))
    assert not view.flags.writeable


def test_asarray_shares_and_array_copies():
    v = np.arange(4, dtype=np.float32)
    shared, copied = mx.asarray(v), mx.array(v)
    v[0] = 9
    assert shared.tolist()[0] == 9 and copied.tolist()[0] == 0
    held = weakref.ref(v)
    total = shared + 1
    del v
    gc.collect()
    assert total.tolist() == [10, 2, 3, 4] and held() is not None
    del shared, total
    gc.collect()
    assert mx.asarray(np.arange(3.0)).dtype == mx.float32
    assert mx.asarray(np.arange(3.0), mx.float64).dtype == mx.float64
    with pytest.raises(ValueError):
        mx.asarray(np.arange(3.0), mx.float32, copy=False)
    with pytest.raises(ValueError):
        mx.asarray([1, 2], copy=False)


def test_an_update_never_writes_into_foreign_memory():
    v = np.zeros(4, np.float32)
    a = mx.asarray(v)
    a[1] = 3
    mx.eval(a)
    assert v.tolist() == [0, 0, 0, 0] and a.tolist() == [0, 3, 0, 0]


def test_bfloat16():
    a = mx.array([1.0, 2.5], mx.bfloat16)
    assert a.tolist() == [1.0, 2.5] and pickle.loads(pickle.dumps(a)).dtype == mx.bfloat16
    ml_dtypes = pytest.importorskip("ml_dtypes")
    n = np.array(a)
    assert (
        n.dtype == ml_dtypes.bfloat16
        and mx.array(n).dtype == mx.bfloat16
        and mx.array(n).tolist() == [1.0, 2.5]
    )


def test_array_protocol():
    a = mx.array([1.5, 2.5])
    assert np.array(a, dtype=np.float64).dtype == np.float64 and a.__array__(np.int32).tolist() == [
        1,
        2,
    ]
    assert (
        a.__dlpack_device__() == (1, 0)
        and a.__array_namespace__() is mx
        and bytes(mx.array([1, 2], mx.uint8)) == b"\x01\x02"
    )


def test_dlpack_capsules_that_nobody_takes():
    a = mx.ones(1000)
    for version in (None, (1, 0)):
        capsule = a.__dlpack__(max_version=version)
        del capsule
    gc.collect()
    with pytest.raises(TypeError):
        mx.from_dlpack([1])


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))]
)
def test_copies(duplicate):
    a = mx.arange(6).reshape(2, 3).T
    b = duplicate(a)
    assert b is not a and b.tolist() == a.tolist() and b.dtype == a.dtype
    b += 1
    assert a.tolist() != b.tolist()


def test_weak_references_and_subclass_free_slots():
    a = mx.ones(2)
    r = weakref.ref(a)
    assert r() is a
    del a
    gc.collect()
    assert r() is None
    with pytest.raises(AttributeError):
        mx.ones(2).anything = 1


def test_short_reprs_show_arrays():
    """pytest shows what failed by reprlib, which takes a class named array for a list of
    numbers."""
    import array
    import reprlib

    assert reprlib.repr(mx.array([1, 2])) == "array([1, 2], dtype=int32)"
    assert reprlib.repr({"a": mx.array(1.5)}) == "{'a': array(1.5, dtype=float32)}"
    assert reprlib.repr(array.array("i", range(9))) == "array('i', [0, 1, 2, 3, 4, ...])"


def test_index_and_int_give_ints():
    for value in (mx.array(True), mx.array(2, mx.int8), mx.array(2**63, mx.uint64)):
        assert type(value.__index__()) is int and value.__index__() == value.item()
    assert ["a", "b"][mx.array(True)] == "b"
    with pytest.raises(TypeError, match=r"\[int\] a complex number"):
        int(mx.array(1j))
