"""What is made of bounds and comparisons: clip, isclose, isfinite, nan_to_num."""

import numpy as np
import pytest

import lazulite.core as mx

ENDS = [0.0, -0.0, 1.0, -1.0, 3e38, -3e38, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int32"])
def test_two_bounds_in_one_pass_have_the_bits_of_one_after_the_other(dtype):
    rng = np.random.default_rng(0)
    v = rng.uniform(-9, 9, 5000)
    a = mx.array(v, mx.float32).astype(getattr(mx, dtype))
    if dtype != "int32":
        a = mx.concatenate([a, mx.array(ENDS, mx.float32).astype(a.dtype)])
    low, high = a[::-1], mx.roll(a, 7)
    mx.eval(a, low, high)
    for outer in (mx.maximum, mx.minimum):
        for inner in (mx.maximum, mx.minimum):
            made = inner(a, low)
            mx.eval(made)
            for one, both in (
                (outer(made, high), outer(inner(a, low), high)),
                (outer(high, made), outer(high, inner(a, low))),
                (outer(made, 2), outer(inner(a, low), 2)),
            ):
                as_bits = getattr(mx, f"int{8 * one.dtype.size}")
                same = mx.view(one, as_bits) == mx.view(both, as_bits)
                assert mx.all(same | (one != one)).item()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_infinities_are_close_to_themselves_alone(dtype):
    pairs = [(a, b) for a in ENDS for b in ENDS]
    with np.errstate(over="ignore"):
        a, b = (np.array(v).astype(dtype) for v in zip(*pairs))
    for rtol, atol in ((1e-5, 1e-8), (0.0, 0.0), (0.5, 10.0)):
        with np.errstate(all="ignore"):
            near = np.abs(a.astype("f8") - b.astype("f8")) <= atol + rtol * np.abs(b.astype("f8"))
            expected = near & np.isfinite(a) & np.isfinite(b) | (a == b)
        x, y = (mx.array(v, getattr(mx, dtype)) for v in (a, b))
        assert np.array_equal(mx.isclose(x, y, rtol, atol), expected)
        both = expected | np.isnan(a) & np.isnan(b)
        assert np.array_equal(mx.isclose(x, y, rtol, atol, equal_nan=True), both)


def test_isclose_of_integers_bools_and_mixed_dtypes():
    a, b = mx.array([1, 2, 100000]), mx.array([1, 3, 100001])
    assert mx.isclose(a, b).tolist() == [True, False, True]
    assert mx.isclose(a, mx.array([1.0, 2.1, 1e5])).tolist() == [True, False, True]
    assert mx.isclose(mx.array([True, False]), True).tolist() == [True, False]
    assert mx.isclose(a, 2).tolist() == [False, True, False]
    assert mx.isclose(mx.array([1 + 1j]), mx.array([1 + 1.000001j])).tolist() == [True]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "complex64"])
def test_isfinite_at_the_ends(dtype):
    a = mx.array(ENDS).astype(getattr(mx, dtype))
    wide = np.asarray(a.astype(mx.complex64 if dtype == "complex64" else mx.float64))
    assert np.array_equal(mx.isfinite(a), np.isfinite(wide))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_nan_to_num_replaces_what_it_is_told_and_passes_gradients_of_the_rest(dtype):
    with np.errstate(over="ignore"):
        ends = np.array(ENDS).astype(dtype)
    top = np.finfo(dtype).max
    v = np.concatenate([ends, [top, -top]]).astype(dtype)
    a = mx.array(v, getattr(mx, dtype))
    for given in ({}, {"nan": 2.0}, {"posinf": 5.0}, {"neginf": -5.0}, {"nan": -0.0}):
        got, expected = np.asarray(mx.nan_to_num(a, **given)), np.nan_to_num(v, **given)
        assert got.tobytes() == expected.astype(dtype).tobytes(), given
        slope = mx.grad(lambda a: mx.sum(mx.nan_to_num(a, **given)))(a)
        assert np.array_equal(slope, np.isfinite(v)), given
