"""Promotion, weak numbers, conversion of Python data: the tables of the semantics."""

import copy
import pickle

import numpy as np
import pytest

import lazulite.core as mx

NAMES = [
    "bool_",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
    "complex128",
]
SHORT = {
    "b": "bool_",
    "u8": "uint8",
    "u16": "uint16",
    "u32": "uint32",
    "u64": "uint64",
    "i8": "int8",
    "i16": "int16",
    "i32": "int32",
    "i64": "int64",
    "f16": "float16",
    "bf16": "bfloat16",
    "f32": "float32",
    "f64": "float64",
    "c64": "complex64",
    "c128": "complex128",
}
# Upper triangle, row by row, without complex128.
TABLE = """
b u8 u16 u32 u64 i8 i16 i32 i64 f16 bf16 f32 f64 c64
u8 u16 u32 u64 i16 i16 i32 i64 f16 bf16 f32 f64 c64
u16 u32 u64 i32 i32 i32 i64 f16 bf16 f32 f64 c64
u32 u64 i64 i64 i64 i64 f16 bf16 f32 f64 c64
u64 f32 f32 f32 f32 f16 bf16 f32 f64 c64
i8 i16 i32 i64 f16 bf16 f32 f64 c64
i16 i32 i64 f16 bf16 f32 f64 c64
i32 i64 f16 bf16 f32 f64 c64
i64 f16 bf16 f32 f64 c64
f16 f32 f32 f64 c64
bf16 f32 f64 c64
f32 f64 c64
f64 c128
c64
"""


def d(name):
    return getattr(mx, SHORT.get(name, name))


def test_promotion_table():
    rows = TABLE.split("\n")[1:-1]
    for i, row in enumerate(rows):
        for j, wanted in enumerate(row.split(), start=i):
            a, b = mx.zeros(1, d(NAMES[i])), mx.zeros(1, d(NAMES[j]))
            assert (a + b).dtype == d(wanted), (NAMES[i], NAMES[j])
            assert (b + a).dtype == d(wanted)
            assert mx.result_type(a, d(NAMES[j])) == d(wanted)
    for name in NAMES:
        assert mx.result_type(d(name), mx.complex128) == mx.complex128


WEAK = """
b b i32 f32 c64
u8 u8 u8 f32 c64
i8 i8 i8 f32 c64
u64 u64 u64 f32 c64
i64 i64 i64 f32 c64
f16 f16 f16 f16 c64
bf16 bf16 bf16 bf16 c64
f32 f32 f32 f32 c64
f64 f64 f64 f64 c128
c64 c64 c64 c64 c64
"""


def test_weak_numbers():
    for row in WEAK.split("\n")[1:-1]:
        name, *wanted = row.split()
        for number, w in zip([True, 2, 2.0, 2j], wanted):
            assert (mx.ones(1, d(name)) * number).dtype == d(w), (name, number)
            assert (number * mx.ones(1, d(name))).dtype == d(w)
    for number, w in [(True, "b"), (1, "i32"), (1.0, "f32"), (1j, "c64")]:
        assert mx.add(number, number).dtype == d(w)
    assert mx.sqrt(4).dtype == mx.float32


def test_numbers_are_exact():
    assert (mx.array(1.0, mx.float64) * 0.1).item() == 0.1
    assert (mx.array(1.0, mx.float64) * (2**53 + 1)).item() == float(2**53 + 1)
    assert (mx.array([1], mx.int64) * 2**40).item() == 2**40
    assert (mx.array([1], mx.uint64) * (2**64 - 1)).item() == 2**64 - 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: mx.array([1], mx.uint8) + 300,
        lambda: mx.array([1], mx.uint8) - (-1) + (-1),
        lambda: mx.array([1], mx.uint64) + -1,
        lambda: mx.array([1], mx.int32) * 2**40,
        lambda: mx.array(2**64),
        lambda: mx.array([1, 2**70]),
        lambda: mx.array(300, mx.int8),
        lambda: mx.array(float("nan"), mx.int32),
        lambda: mx.full((2,), 2**40, mx.int32),
    ],
)
def test_a_number_that_does_not_fit_raises(make):
    with pytest.raises(OverflowError):
        make()
    with pytest.raises(ValueError):
        make()


def test_in_place_too():
    x = mx.array([1], mx.uint8)
    with pytest.raises(OverflowError):
        x += 300
    with pytest.raises(OverflowError):
        x[0] = 2**40
    assert x.tolist() == [1]


def test_large_numbers_become_infinite_in_floats():
    half = mx.array([1.0], mx.float16)
    assert (half + 2**40).item() == float("inf") and (half * 1e9).dtype == mx.float16


def test_making_arrays():
    for value, dtype in [
        (True, "b"),
        (1, "i32"),
        (1.0, "f32"),
        (1j, "c64"),
        (2**31, "i64"),
        ([2**40], "i64"),
        (2**63, "u64"),
        ([1, 2.0], "f32"),
        ([1, True], "i32"),
        ([1.5, 1j], "c64"),
        ([2**31, 1.0], "f32"),
        ([], "f32"),
        ([[]], "f32"),
        (np.float64(1), "f32"),
        (np.int64(1), "i64"),
        (np.float32(1), "f32"),
        (np.zeros(2), "f32"),
        (np.zeros(2, complex), "c64"),
        (np.zeros(2, np.int64), "i64"),
        (np.zeros(2, np.float16), "f16"),
        (b"ab", "u8"),
        (bytearray(b"ab"), "u8"),
        (range(3), "i32"),
        ([np.uint8(1)], "u8"),
        ([np.zeros(2), mx.ones(2)], "f32"),
    ]:
        assert mx.array(value).dtype == d(dtype), value
    assert mx.array([[]]).shape == (1, 0)
    assert mx.array(np.arange(3, dtype=">i4")).tolist() == [0, 1, 2]
    assert mx.array(np.arange(6)[::-2]).tolist() == [5, 3, 1]
    assert mx.array([[1, 2], mx.array([3, 4]), np.array([5, 6])]).tolist() == [
        [1, 2],
        [3, 4],
        [5, 6],
    ]
    one = mx.array(np.array([0.1]), mx.float64)
    assert one.item() == 0.1 and one.dtype == mx.float64
    assert mx.array([mx.array(1.0, mx.float16), mx.array(2, mx.int32)]).dtype == mx.float16
    assert mx.array(mx.array([1.9]), mx.int32).item() == 1


@pytest.mark.parametrize(
    "bad, error",
    [
        ([[1, 2], [3]], ValueError),
        ("text", ValueError),
        (None, TypeError),
        ({}, ValueError),
        (["a"], ValueError),
        (np.array(["a"]), TypeError),
        (np.array([object()]), TypeError),
        ([[1], 2], ValueError),
    ],
)
def test_what_no_array_can_be_made_of(bad, error):
    with pytest.raises(error, match="array"):
        mx.array(bad)


def test_dtype_objects():
    assert repr(mx.float32) == "lazulite.core.float32" and repr(mx.bool_) == "lazulite.core.bool"
    assert mx.float32.size == 4 and mx.complex128.size == 16
    assert {mx.float32: 1}[mx.float32] == 1 and mx.float32 != mx.float64 and mx.float32 != "float32"
    for name in NAMES:
        t = d(name)
        assert pickle.loads(pickle.dumps(t)) is t and copy.deepcopy(t) is t
    for given, wanted in [
        ("float32", "f32"),
        (float, "f32"),
        (int, "i32"),
        (bool, "b"),
        (np.float16, "f16"),
        (np.dtype("int8"), "i8"),
    ]:
        assert mx.zeros(1, given).dtype == d(wanted)
    with pytest.raises(TypeError):
        mx.zeros(1, "float3")


def test_categories():
    for name, inside in [
        ("float16", ["floating", "inexact", "number", "generic"]),
        ("complex64", ["complexfloating", "inexact", "number"]),
        ("int8", ["signedinteger", "integer", "number"]),
        ("uint8", ["unsignedinteger", "integer"]),
        ("bool_", ["generic"]),
    ]:
        for category in ["floating", "complexfloating", "signedinteger", "unsignedinteger"]:
            assert mx.issubdtype(d(name), getattr(mx, category)) == (category in inside)
        for category in inside:
            assert mx.issubdtype(d(name), getattr(mx, category))
    assert mx.issubdtype(mx.floating, mx.inexact) and not mx.issubdtype(mx.inexact, mx.floating)
    assert not mx.issubdtype(mx.bool_, mx.number)
    assert mx.can_cast(mx.int32, mx.float16) and not mx.can_cast(mx.float32, mx.int32)


def test_limits():
    for name in ["float16", "float32", "float64"]:
        ours, theirs = mx.finfo(d(name)), np.finfo(name)
        assert (ours.min, ours.max, ours.eps, ours.smallest_normal, ours.bits) == (
            float(theirs.min),
            float(theirs.max),
            float(theirs.eps),
            float(theirs.smallest_normal),
            theirs.bits,
        )
        assert ours.dtype == d(name)
    for name in ["uint8", "uint64", "int8", "int64", "int32"]:
        assert (mx.iinfo(d(name)).min, mx.iinfo(d(name)).max) == (
            np.iinfo(name).min,
            np.iinfo(name).max,
        )
    assert mx.finfo(mx.bfloat16).eps == 2.0**-7
    with pytest.raises(ValueError):
        mx.finfo(mx.int32)
    with pytest.raises(ValueError):
        mx.iinfo(mx.float32)


def test_casts():
    floats = mx.array([1.9, -1.9, 300.0, -1.0, float("nan"), 3e9], mx.float32)
    assert floats.astype(mx.int32).tolist()[:3] == [1, -1, 300]
    assert floats.astype(mx.int32).tolist()[5] == -(2**31)
    assert floats.astype(mx.uint8).tolist()[:4] == [1, 255, 44, 255]
    assert mx.array([300, -1]).astype(mx.int8).tolist() == [44, -1]
    assert mx.array([0.0, 0.5, float("nan")]).astype(mx.bool_).tolist() == [False, True, True]
    assert mx.array([1 + 2j]).astype(mx.float32).tolist() == [1.0]


def test_numpy_scalars_are_weak_and_arrays_strong():
    half = mx.ones(2, mx.float16)
    for result in (half + np.float32(1), np.float32(1) * half, half * np.int32(3)):
        assert isinstance(result, mx.array) and result.dtype == mx.float16
    assert isinstance(np.ones(2) + half, mx.array) and (half + np.ones(2)).dtype == mx.float32
    assert isinstance(np.exp(half), np.ndarray)
    assert mx.where(mx.array(True), half, 2.0).dtype == mx.float16
    assert mx.clip(mx.array([1]), 1.5, 3).dtype == mx.float32
    assert mx.maximum(mx.array([1], mx.int8), 2.5).dtype == mx.float32
