"""Constants convert as arrays do."""

import numpy as np
import pytest

import lazulite.core as mx

VALUES = [
    0.0,
    -0.0,
    1.9,
    -1.9,
    -1.0,
    -300.7,
    255.5,
    256.0,
    70000.0,
    3e9,
    -3e9,
    5e9,
    1e19,
    1.8446744073709552e19,
    -1e19,
    1e300,
    -1e300,
    float("nan"),
    float("inf"),
    -float("inf"),
    2.0**31,
    2.0**63,
    -(2.0**63),
    1e-9,
    65504.0,
    65520.0,
]
FLOATS = [mx.float16, mx.bfloat16, mx.float32, mx.float64, mx.complex64, mx.complex128]
ALL = FLOATS + [
    mx.bool_,
    mx.uint8,
    mx.uint16,
    mx.uint32,
    mx.uint64,
    mx.int8,
    mx.int16,
    mx.int32,
    mx.int64,
]


def same(a, b):
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(
        np.array(a.astype(mx.float32) if a.dtype == mx.bfloat16 else a),
        np.array(b.astype(mx.float32) if b.dtype == mx.bfloat16 else b),
    )


@pytest.mark.parametrize("source", FLOATS, ids=repr)
@pytest.mark.parametrize("target", ALL, ids=repr)
def test_a_constant_is_cast_as_an_array_of_that_value(source, target):
    for value in VALUES:
        constant = mx.full((3,), value, source)
        data = mx.array(np.full(3, value, np.float64), mx.float64).astype(source)
        mx.eval(data)
        data = data[mx.array([0, 1, 2])]
        same(constant.astype(target), data.astype(target))
        strided = mx.array(np.full(6, value), mx.float64).astype(source)
        mx.eval(strided)
        same(constant.astype(target), strided[::2].astype(target))


@pytest.mark.parametrize("target", ALL, ids=repr)
def test_full_and_assignments_convert_a_float_as_astype(target):
    """What fits; what does not is refused, as `array(value, target)` refuses it."""
    for value in VALUES:
        if mx.issubdtype(target, mx.integer):
            info = mx.iinfo(target)
            if not info.min - 1 < value < info.max + 1:
                for write in (
                    lambda: mx.array(value, target),
                    lambda: mx.full((1,), value, target),
                    lambda: mx.zeros(2, target).__setitem__(0, value),
                    lambda: mx.zeros(2, target).__setitem__([0, 1], value),
                    lambda: mx.zeros(2, target).at[0].set(value),
                ):
                    with pytest.raises(OverflowError, match="does not fit"):
                        write()
                continue
        if target in (mx.float16, mx.bfloat16):
            data = mx.array([value], mx.float64).astype(target)
        else:
            data = mx.array(np.full(1, value), mx.float64).astype(target)
        mx.eval(data)
        same(mx.full((1,), value, target), data)
        x = mx.zeros(2, target)
        x[0] = value
        same(x[:1], data)
        y = mx.zeros(3, target)
        y[mx.array([True, False, True])] = value
        same(y[:1], data)
        z = mx.zeros(3, target)
        z[[0, 2]] = value
        same(z[:1], data)
        same(mx.zeros(2, target).at[0].set(value)[:1], data)


@pytest.mark.parametrize("source", [mx.int64, mx.uint64, mx.int32, mx.uint8], ids=repr)
@pytest.mark.parametrize("target", ALL, ids=repr)
def test_integer_constants_are_cast_as_arrays(source, target):
    low, high = mx.iinfo(source).min, mx.iinfo(source).max
    for value in (low, high, 0, 1, high // 2 + 1, high - 1, 16777217, 2**53 + 1, 200):
        if not low <= value <= high:
            continue
        data = mx.array([value, value], source)
        same(mx.full((2,), value, source).astype(target), data[mx.array([0, 1])].astype(target))


def test_python_values_that_do_not_fit_are_refused_by_array():
    for value, dtype in (
        (3e9, mx.int32),
        (-1.0, mx.uint8),
        (300.7, mx.uint8),
        (float("nan"), mx.int32),
        (float("inf"), mx.int64),
        (2.0**63, mx.int64),
        (2.0**64, mx.uint64),
        (300, mx.int8),
    ):
        for given in (value, [value], [[value, 0]], (1, value)):
            with pytest.raises(OverflowError):
                mx.array(given, dtype)
            with pytest.raises(ValueError):
                mx.array(given, dtype)
    for given in (1j, [1j]):
        with pytest.raises(TypeError):
            mx.array(given, mx.float32)
    assert mx.array([-0.9, 255.9], mx.uint8).tolist() == [0, 255]
    assert mx.array(1.9, mx.int32).item() == 1
    assert mx.array(float("nan"), mx.bool_).item() is True


def test_a_mask_without_true_leaves_the_array():
    x = mx.arange(4)
    x[mx.array([False] * 4)] = mx.array([7, 8])
    assert x.tolist() == [0, 1, 2, 3]
    x[x > 10] = mx.array([[1]])[0]
    assert x.tolist() == [0, 1, 2, 3]
    m = mx.ones((2, 3))
    m[mx.array([False, False])] = mx.ones((2, 3)) * 5
    assert m.tolist() == [[1] * 3] * 2
    m[mx.array([True, False])] = mx.array([[7, 8, 9], [1, 2, 3]], mx.float32)
    assert m.tolist() == [[7, 8, 9], [1, 1, 1]]
    with pytest.raises(ValueError):
        x[mx.array([True, True, True, False])] = mx.array([1, 2])
