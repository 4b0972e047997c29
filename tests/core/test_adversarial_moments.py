"""Sums, variances and standard deviations of data that lose digits: beside NumPy's errors, at
every instruction-set level."""

import numpy as np
import pytest

import lazulite.core as mx
import levels

DTYPES = ["float32", "float64", "complex64", "complex128", "float16", "bfloat16"]
SIZES = [1, 2, 5, 31, 32, 33, 1000, 4095, 4096, 4097, 3 * 4096 + 50, 200_003]
# A lane of the fixed tree takes 128 terms in order, and their roundings may all go one way: near a
# huge element, or where a sum's last place is larger than what differs (7 to 9 eps were seen).
ROUNDINGS = 16


def spread(scale, offset):
    return lambda rng, shape: offset + scale * rng.standard_normal(shape)


def alternating(rng, shape):
    n = int(np.prod(shape))
    signs = np.where(np.arange(n) % 2, -1.0, 1.0).reshape(shape)
    return 1e4 * signs + rng.standard_normal(shape)


def one_huge(rng, shape):
    x = rng.standard_normal(shape)
    x.flat[x.size // 3] = 3e4
    return x


def stepping(rng, shape):
    """Each chunk far from the others."""
    n = int(np.prod(shape))
    return (np.arange(n) // 4096 % 7 * 1e3).reshape(shape) + rng.standard_normal(shape)


KINDS = {
    "near 1e3": spread(1, 1e3),
    "near 1e6": spread(1, 1e6),
    "nearer 1e6": spread(0.1, -1e6),
    "near 1e8": spread(20, 1e8),
    "alternating": alternating,
    "one huge": one_huge,
    "stepping": stepping,
}
HALF_KINDS = ["near 1e3", "alternating", "one huge", "stepping"]  # by 100: 1e6 is no float16


def data(kind, shape, dtype):
    """The array, and the same numbers in NumPy: halves as float32."""
    rng = np.random.default_rng([7, len(shape), int(np.prod(shape))])
    x = KINDS[kind](rng, shape)
    if dtype.startswith("complex"):
        x = x + 1j * KINDS[kind](rng, shape)
    if dtype in ("float16", "bfloat16"):
        x = x / 100
    ours = mx.array(x, getattr(mx, dtype))
    same = np.asarray(ours.astype(mx.float32) if dtype in ("float16", "bfloat16") else ours)
    return ours, same


def exact_var(x, axis=None):
    n = x.size if axis is None else x.shape[axis]
    total = 0
    for part in (x.real, x.imag) if np.iscomplexobj(x) else (x,):
        part = part.astype(np.longdouble)
        off = part - part.mean(axis=axis, keepdims=True)
        total = total + ((off * off).sum(axis=axis) - off.sum(axis=axis) ** 2 / n) / n
    return total


def eps_of(dtype):
    return float(mx.finfo(getattr(mx, dtype)).eps)


def check_var(ours, x, dtype, axis=None):
    want = exact_var(x, axis)
    for name, exact in (("var", want), ("std", np.sqrt(want))):
        got = np.asarray(getattr(mx, name)(ours, axis=axis).astype(mx.float64))
        theirs = getattr(np, name)(x, axis=axis)
        error, theirs_off = np.abs(got - exact).max(), np.abs(theirs - exact).max()
        limit = max(2 * float(theirs_off), ROUNDINGS * eps_of(dtype) * float(np.max(exact)))
        assert got.shape == np.shape(exact) and error <= limit, (name, got, theirs, exact)


def kinds_of(dtype):
    return HALF_KINDS if dtype in ("float16", "bfloat16") else KINDS


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_variances_of_hard_data(size, dtype):
    for kind in kinds_of(dtype):
        ours, x = data(kind, (size,), dtype)
        check_var(ours, x, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(70, 9000), (9000, 70), (33, 20, 31), (5, 300, 64), (4100, 3)])
def test_variances_of_hard_data_along_axes(shape, dtype):
    for kind in kinds_of(dtype):
        ours, x = data(kind, shape, dtype)
        for axis in range(len(shape)):
            check_var(ours, x, dtype, axis)


def exact_cov(x):
    """Of rows, by sums of longer numbers."""
    x = x.astype(np.clongdouble if np.iscomplexobj(x) else np.longdouble)
    off = x - x.mean(1, keepdims=True)
    off = off - off.mean(1, keepdims=True)
    return (off[:, None] * off[None].conj()).sum(-1) / (x.shape[1] - 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 2, 33, 1000, 4097, 70_001])
def test_variances_of_hard_data_without_nans(size, dtype):
    """Of rows and of columns, of which every third element but the first is a nan."""
    for kind in kinds_of(dtype):
        rows, x = data(kind, (3, size), dtype)
        there = np.arange(size) % 3 != 1
        ours = mx.where(mx.array(there), rows, mx.nan)
        want = exact_var(x[:, there], 1)
        theirs = np.abs(np.nanvar(np.where(there, x, np.nan).astype(x.dtype), axis=1) - want).max()
        limit = max(2 * float(theirs), ROUNDINGS * eps_of(dtype) * float(want.max()))
        for got in (mx.nanvar(ours, axis=1), mx.nanvar(mx.contiguous(ours.T), axis=0)):
            error = np.abs(np.asarray(got.astype(mx.float64)) - want).max()
            assert error <= limit, (kind, error, limit)
        got = np.asarray(mx.nanstd(ours, axis=1).astype(mx.float64))
        assert (np.abs(got**2 - want) <= limit + 8 * eps_of(dtype) * want).all(), kind


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("size", [2, 33, 1000, 4097, 30_001])
def test_covariances_of_hard_data(size, dtype):
    for kind in KINDS:
        ours, x = data(kind, (4, size), dtype)
        want = exact_cov(x)
        spread = np.sqrt(np.diagonal(want).real)
        scale = spread[:, None] * spread
        few = np.abs(np.cov(x) - want).max()
        # NumPy's is of float64; ours is a product of float32, whose roundings add up.
        limit = np.maximum(2 * few, (ROUNDINGS + np.sqrt(size)) * eps_of(dtype) * scale)
        assert (np.abs(np.asarray(mx.cov(ours)) - want) <= limit).all(), kind
        # Weights of one, and twice the same.
        again = mx.cov(ours, aweights=mx.ones((size,)), ddof=1)
        assert (np.abs(np.asarray(again) - want) <= limit).all(), kind
        if size > 2:
            got = np.asarray(mx.corrcoef(ours))
            off = np.abs(np.corrcoef(x) - want / scale).max()
            assert np.abs(got - want / scale).max() <= max(
                2 * off, 3 * (ROUNDINGS + np.sqrt(size)) * eps_of(dtype)
            )


def test_what_is_constant_has_no_variance_without_nans():
    for n in (3, 100, 5000):
        x = mx.where(mx.arange(n) % 4 == 1, mx.nan, mx.full((n,), 0.1))
        assert 0 <= float(mx.nanvar(x)) <= (2.0**-23 * 0.1) ** 2
        c = mx.cov(mx.full((n,), 1e6 + 0.3))
        assert 0 <= float(c) <= (2.0**-22 * 1e6) ** 2 / n


@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_of_variances_in_any_layout(dtype):
    """Rows, columns, reversed and with gaps: the corrections are summed in the same order."""
    for n in (1, 7, 16, 31, 32, 45, 96, 127, 128, 129, 4000, 4097, 9001):
        ours, _ = data("near 1e3", (5, n), dtype)
        want = bytes(mx.var(ours, axis=1))
        columns = mx.contiguous(ours.T)
        gaps = mx.contiguous(mx.stack([ours, ours * 2], -1))[..., 0]
        wide = mx.contiguous(mx.concatenate([columns] * 14, 1))
        turned = mx.contiguous(ours[:, ::-1])[:, ::-1]
        for other in (columns.T, gaps, turned, wide[:, :5].T, ours * 1):
            assert bytes(mx.var(other, axis=1)) == want, n
        assert bytes(mx.var(wide, axis=0)) == 14 * want, n


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", SIZES)
def test_sums_of_hard_data(size, dtype):
    """Relative to the sum of all magnitudes, which is what rounding can take from."""
    for kind in KINDS:
        ours, x = data(kind, (size,), dtype)
        wide = x.astype(np.longdouble)
        want, terms = wide.sum(), float(np.abs(wide).sum())
        for name, exact in (("sum", want), ("mean", want / size)):
            got, theirs = float(getattr(mx, name)(ours)), getattr(np, name)(x)
            least = ROUNDINGS * eps_of(dtype) * terms / (1 if name == "sum" else size)
            assert abs(got - exact) <= max(2 * abs(theirs - exact), least), (kind, name)


def test_a_shift_changes_a_variance_by_nothing():
    """Whole numbers near 2**23, which every shift leaves what they are."""
    x = np.random.default_rng(2).integers(-50, 50, 100_000)
    want = exact_var(x.astype(np.float64))
    for shift in (0, 10**4, 10**6, 2**23, -(2**23) - 77):
        got = float(mx.var(mx.array((x + shift).astype(np.float32))))
        assert abs(got - want) <= 1e-6 * want, shift


@pytest.mark.parametrize("n", [1, 2, 3, 7, 33, 100, 5000, 70_000])
def test_variances_of_equal_numbers_are_nothing(n):
    for value in (0.1, 1 / 3, 1e6 + 0.3, -7e7, 3e-20):
        got = float(mx.var(mx.full((n,), value, mx.float32)))
        assert 0 <= got <= (2.0**-23 * value) ** 2, value


def test_what_is_not_finite_is_as_in_numpy():
    for n in (3, 40, 4096, 5000, 20_000):
        for special in (np.inf, -np.inf, np.nan):
            x = np.ones(n, np.float32)
            x[n // 2] = special
            assert np.isnan(float(mx.var(mx.array(x)))), (n, special)
        large = np.where(np.arange(n) % 3, 3e38, 1e37).astype(np.float32)  # its squares overflow
        assert float(mx.var(mx.array(large))) == np.inf, n
        assert float(mx.var(mx.array(np.full(n, 1e15, np.float32)))) <= 1e15


@pytest.mark.parametrize("level", levels.LOWER)
def test_all_of_this_holds_at_every_level(level):
    levels.run(level, "-m", "pytest", "-q", "-x", __file__, "-k", "not every_level")
