"""Reductions that leave nan out are ops of their own: sizes past every border of the tree, layouts,
dtypes, ends, and the bits of the usual reductions where no nan is."""

import numpy as np
import pytest

import lazulite.core as mx

RNG = np.random.default_rng(71)
DTYPES = [mx.float32, mx.float64, mx.float16, mx.bfloat16]
EXTREMES, SUMS = ("nanmax", "nanmin"), ("nansum", "nanmean")
# Around lanes, the border of long sums, a chunk, a group of chunks.
LENGTHS = [1, 2, 31, 32, 33, 512, 513, 4096, 4097, 8 * 4096 + 1]


def with_nan(*shape, share=0.3):
    x = RNG.normal(size=shape)
    x[RNG.uniform(size=shape) < share] = np.nan
    return x


def numpy_of(a):
    return np.array(a.astype(mx.float64))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.filterwarnings("ignore")
def test_sizes_and_layouts(n, dtype):
    rtol = {mx.float64: 1e-12, mx.float32: 3e-6, mx.float16: 2e-3, mx.bfloat16: 2e-2}[dtype]
    a = mx.array(with_nan(3, n)).astype(dtype)
    x = numpy_of(a)
    layouts = [(a, x, 1), (a.T, x.T, 0), (a[:, ::-1], x[:, ::-1], 1), (a[None], x[None], (0, 2))]
    if n > 1:
        layouts.append((a[:, 1::2], x[:, 1::2], 1))
    for b, y, axis in layouts:
        for name in (*EXTREMES, *SUMS, "nanvar"):
            got, want = numpy_of(getattr(mx, name)(b, axis)), getattr(np, name)(y, axis)
            scale = np.sqrt(y.size) if name in SUMS else 1e-6
            if name == "nanmean":
                scale /= y.size
            np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * scale, err_msg=name)


@pytest.mark.parametrize("dtype", DTYPES)
def test_without_nan_the_bits_are_those_of_the_usual_ones(dtype):
    x = RNG.normal(size=(2, 5000))
    x[:, ::7] = 0.0
    x[:, 3::11] = -0.0
    a = mx.array(x).astype(dtype)
    zeros = mx.array([[0.0, -0.0], [-0.0, 0.0]]).astype(dtype)
    for b in (a, a[:, :100], a[:, :7], zeros):
        for axis in (0, 1, None):
            for name in ("sum", "max", "min"):
                usual = np.array(getattr(mx, name)(b, axis).astype(mx.float32))
                got = np.array(getattr(mx, "nan" + name)(b, axis).astype(mx.float32))
                assert usual.tobytes() == got.tobytes(), (name, axis)


@pytest.mark.parametrize("dtype", [*DTYPES, mx.complex64, mx.complex128])
def test_ends(dtype):
    nan, inf = float("nan"), float("inf")
    for n in (1, 40, 600, 5000):
        rows = np.full((5, n), nan)
        rows[1, n // 2] = -inf
        rows[2, n - 1] = inf
        rows[3, 0] = -3
        rows[4, 0] = -0.0
        a = mx.array(rows).astype(dtype)
        for name, want in (
            ("nanmax", [nan, -inf, inf, -3, 0]),
            ("nanmin", [nan, -inf, inf, -3, 0]),
            ("nansum", [0, -inf, inf, -3, 0]),
            ("nanmean", [nan, -inf, inf, -3, 0]),
        ):
            got = np.array(getattr(mx, name)(a, 1).astype(mx.complex128)).real
            np.testing.assert_array_equal(got, want, err_msg=name)
    both = mx.array([[inf, -inf, nan]]).astype(dtype)
    assert np.isnan(np.array(mx.nansum(both).astype(mx.complex64)))


def test_no_axes_and_nothing():
    nan = float("nan")
    a = mx.array([1.0, nan])
    np.testing.assert_array_equal(np.array(mx.nansum(a, ())), [1, 0])
    np.testing.assert_array_equal(np.array(mx.nanmax(a, ())), [1, nan])
    np.testing.assert_array_equal(np.array(mx.nanmean(a, ())), [1, nan])
    assert mx.nansum(mx.zeros((0, 3)), 0).tolist() == [0, 0, 0]
    assert np.isnan(mx.nanmean(mx.zeros((0, 3)), 0).tolist()).all()
    with pytest.raises(ValueError, match="nanmin"):
        mx.nanmin(mx.zeros((3, 0)), 1)
    for dtype in (mx.int8, mx.uint64, mx.bool_):
        b = mx.array([[3, 0], [1, 1]]).astype(dtype)
        for name in ("nansum", "nanmax", "nanmin"):
            got, usual = getattr(mx, name)(b, 0), getattr(mx, name[3:])(b, 0)
            assert got.dtype == usual.dtype and got.tolist() == usual.tolist()


def test_transforms():
    x = with_nan(4, 700)
    x[2] = np.nan
    x[0, :3] = 9.0  # ties share
    a = mx.array(x, mx.float64)
    for name in (*EXTREMES, *SUMS):
        f = getattr(mx, name)
        alone = [f(row) for row in a]
        np.testing.assert_array_equal(
            np.array(mx.vmap(f)(a)), np.array([v.item() for v in alone]), err_msg=name
        )
        g = np.array(mx.grad(lambda v: mx.sum(f(v, 1)[mx.array([0, 1, 3])]))(a))
        assert np.isfinite(g).all() and (g[np.isnan(x)] == 0).all()
        sums = {"nansum": (~np.isnan(x)).sum(1)}.get(name, np.ones(4))
        np.testing.assert_allclose(g.sum(1)[[0, 1, 3]], sums[[0, 1, 3]], rtol=1e-12)
        t = np.nan_to_num(with_nan(4, 700))
        told = mx.jvp(lambda v: f(v, 1), [a], [mx.array(t, mx.float64)])[1][0]
        np.testing.assert_allclose(np.array(told)[[0, 1, 3]], (g * t).sum(1)[[0, 1, 3]], rtol=1e-9)
    g = np.array(mx.grad(lambda v: mx.sum(mx.nanmax(v, 1)))(a))
    np.testing.assert_allclose(g[0, :3], 1 / 3)
    assert (g[2] == 0).all()


def test_areas_of_long_rows():
    for n in (2, 3, 600, 4099):
        y = RNG.normal(size=(2, n))
        for axis, v in ((1, y), (0, y.T)):
            got = mx.trapezoid(mx.array(v, mx.float64), dx=0.25, axis=axis)
            np.testing.assert_allclose(
                np.array(got), np.trapezoid(v, dx=0.25, axis=axis), rtol=1e-9, atol=1e-12
            )
    half = mx.full((3, 70000), 2.0, mx.float16)
    got = mx.trapezoid(half, dx=2.0**-10)
    assert got.dtype == mx.float16 and np.isinf(np.array(got)).all()  # as a sum of halves is
    np.testing.assert_allclose(np.array(mx.trapezoid(half[:, :3000])), 5998, rtol=1e-3)
    ends = mx.array([float("inf"), 1.0, 2.0])
    assert mx.trapezoid(ends).item() == float("inf")
    assert np.isnan(mx.trapezoid(mx.array([float("inf"), 1.0, -float("inf")])).item())
