"""Statistics made of other functions: without nan, weighted, differences and areas."""

import numpy as np
import pytest

import lazulite.core as mx

RNG = np.random.default_rng(8)
# nansum, nanmax ...: those whose name without nan is a function of an array and axes, too
NAN = [
    n
    for n in dir(mx)
    if n.startswith("nan") and hasattr(mx, n[3:]) and hasattr(np, n)
    if n not in ("nanquantile", "nanpercentile")
]


def with_nan(*shape):
    x = RNG.normal(size=shape)
    x[RNG.uniform(size=shape) < 0.3] = np.nan
    return x


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 2)])
@pytest.mark.parametrize("dtype", [mx.float64, mx.float32, mx.complex128])
def test_what_leaves_out_nan_agrees_with_numpy(axis, dtype):
    x = with_nan(5, 40, 3)
    x[..., 0] = 1.5
    if dtype == mx.complex128:
        x = x + 1j * np.nan_to_num(with_nan(5, 40, 3))
    a = mx.array(x, dtype)
    rtol = 2e-5 if dtype == mx.float32 else 1e-12
    for name in NAN:
        for keepdims in (False, True):
            got = getattr(mx, name)(a, axis, keepdims=keepdims)
            expected = getattr(np, name)(x, axis, keepdims=keepdims)
            np.testing.assert_allclose(
                np.array(got), expected, rtol=rtol, atol=1e-30, err_msg=name
            )


def test_the_functions_without_nan_are_these():
    assert len(NAN) >= 7 and "nansum" in NAN and "nanstd" in NAN


def test_where_all_are_nan():
    nan, inf = float("nan"), float("inf")
    a = mx.array([[nan, nan], [1.0, nan], [-inf, nan], [inf, nan]])
    assert mx.nansum(a, 1).tolist() == [0, 1, -inf, inf]
    for name in ("nanmax", "nanmin", "nanmean"):
        got = getattr(mx, name)(a, 1).tolist()
        assert np.isnan(got[0]) and got[1:] == [1, -inf, inf], name
    got = mx.nanvar(a, 1, ddof=1).tolist()
    assert np.isnan(got).all()
    with pytest.raises(ValueError, match="nanmax"):
        mx.nanmax(mx.zeros((0,)))
    assert np.isnan(mx.nanmean(mx.zeros((0,))).item())


def test_dtypes_without_nan_are_those_of_the_usual_functions():
    for dtype in (mx.int8, mx.uint32, mx.bool_, mx.float16, mx.bfloat16):
        a = mx.array([[1, 0], [1, 1]]).astype(dtype)
        for name in NAN:
            usual, got = getattr(mx, name[3:])(a, 0), getattr(mx, name)(a, 0)
            assert got.dtype == usual.dtype, name
            np.testing.assert_allclose(
                np.array(got.astype(mx.float32)), np.array(usual.astype(mx.float32)), rtol=1e-2
            )


def test_nan_has_no_derivative():
    x = with_nan(4, 6)
    x[:, 0] = 1.25
    a = mx.array(x, mx.float64)
    for name in NAN:
        g = np.array(mx.grad(lambda v: mx.sum(getattr(mx, name)(v, 1)))(a))
        told = ~np.isnan(x)
        assert (g[~told] == 0).all() and np.isfinite(g[np.isfinite(g) | told]).all(), name
        if name != "nanstd":
            h, t = 1e-6, RNG.normal(size=x.shape)

            def f(v):
                return getattr(np, name)(v, 1).sum()

            wanted = (f(x + h * t) - f(x - h * t)) / (2 * h)
            np.testing.assert_allclose((g * t)[told].sum(), wanted, rtol=1e-6, atol=1e-7)


def test_averages():
    x, w = RNG.normal(size=(4, 5)), RNG.uniform(1, 2, 5)
    a = mx.array(x, mx.float64)
    np.testing.assert_allclose(
        np.array(mx.average(a, 1, mx.array(w, mx.float64))), np.average(x, 1, w), rtol=1e-12
    )
    for options in ({}, {"weights": w}):
        got = mx.average(a, 1, returned=True, **{k: mx.array(v) for k, v in options.items()})
        wanted = np.average(x, 1, returned=True, **options)
        for g, e in zip(got, wanted):
            assert g.shape == e.shape
            np.testing.assert_allclose(np.array(g), e, rtol=1e-6)
    assert mx.average(mx.array([1, 2, 4])).dtype == mx.float32
    assert mx.average(a, 0, mx.ones(4), keepdims=True).shape == (1, 5)
    with pytest.raises(ValueError, match="weights"):
        mx.average(a, 1, mx.ones(4))
    with pytest.raises(ValueError, match="weights"):
        mx.average(a, None, mx.ones(5))


def test_differences_with_more_before_and_behind():
    x = RNG.normal(size=(3, 5))
    a = mx.array(x, mx.float64)
    for axis in (0, 1):
        more = RNG.normal(size=(2, 5) if axis == 0 else (3, 2))
        for options in (
            {"prepend": 0.0},
            {"append": 2.0},
            {"prepend": more, "append": more, "n": 2},
            {"prepend": 1.0, "append": more},
        ):
            own = {k: mx.array(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
            own = {
                k: v.astype(mx.float64) if isinstance(v, mx.array) else v for k, v in own.items()
            }
            np.testing.assert_allclose(
                np.array(mx.diff(a, axis=axis, **own)),
                np.diff(x, axis=axis, **options),
                rtol=1e-5,
                atol=1e-6,
            )
    assert mx.diff(mx.array([1, 2, 4]), prepend=0).tolist() == [1, 1, 2]
    assert mx.diff(mx.array([1, 2, 4]), prepend=mx.array([0.5])).dtype == mx.float32
    assert mx.diff(a, 0, prepend=3.0).shape == (3, 5)
    with pytest.raises(ValueError):
        mx.diff(a, prepend=mx.ones((7, 7)))


def test_areas():
    y, x = RNG.normal(size=(3, 6)), np.sort(RNG.normal(size=6))
    a = mx.array(y, mx.float64)
    np.testing.assert_allclose(np.array(mx.trapezoid(a)), np.trapezoid(y), rtol=1e-12)
    np.testing.assert_allclose(
        np.array(mx.trapezoid(a, dx=0.5, axis=0)), np.trapezoid(y, dx=0.5, axis=0)
    )
    np.testing.assert_allclose(
        np.array(mx.trapezoid(a, mx.array(x, mx.float64))), np.trapezoid(y, x), rtol=1e-10
    )
    assert mx.trapezoid(mx.array([1, 2, 4])).item() == 4.5
    assert mx.trapezoid(mx.array([2.0])).item() == 0
    with pytest.raises(ValueError, match="trapezoid"):
        mx.trapezoid(a, mx.ones(4))
