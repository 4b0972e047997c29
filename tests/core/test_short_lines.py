"""Many lines of up to 16 elements, on any axis: sorted, their order, the largest of them, and where
the largest and least of rows of up to 32 stand, beside NumPy."""

import hashlib

import numpy as np
import pytest

import lazulite.core as mx
from levels import HERE, LOWER, run

DTYPES = ["bool", "uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
          "float16", "float32", "float64"]  # fmt: skip
# Blocks of lines end inside of each and between two; axes that are one, and that are not.
SHAPES = [(1, 3), (3, 1), (5, 2), (200, 3), (3, 200), (129, 5), (5, 129), (300, 16), (16, 300),
          (300, 17), (2, 7, 150), (7, 2, 150), (150, 2, 7), (4, 5, 6, 7), (128, 8), (17, 1, 4),
          (1, 1), (33, 32), (40, 33)]  # fmt: skip


def values(shape, dtype, seed=0):
    """With ties, both zeros, infinities and nans."""
    rng = np.random.default_rng(seed)
    if dtype[0] != "f":
        return rng.integers(0, 30, shape).astype(dtype)
    v = rng.integers(-9, 9, shape).astype(dtype)
    for step, special in ((7, np.nan), (11, -0.0), (13, np.inf), (17, -np.inf)):
        v.flat[step // 2 :: step] = special
    return v


def given(x):
    return mx.array(x, mx.bool_ if x.dtype == bool else getattr(mx, x.dtype.name))


def views(x):
    """An array and NumPy's beside it, in several layouts."""
    a = given(x)
    order = tuple(range(x.ndim))[::-1]
    for v, b in ((x, a), (x.transpose(order), a.transpose(order))):
        yield v, b
        yield v[..., ::2], b[..., ::2]
        yield v[..., ::-1], b[..., ::-1]


def places(v, axis):
    n = v.shape[axis]
    return np.arange(n).reshape([n if k == axis else 1 for k in range(v.ndim)])


def same(got, want):
    got = np.asarray(got)
    assert got.shape == want.shape
    np.testing.assert_array_equal(got, want)
    if want.dtype.kind == "f":
        assert np.array_equal(np.isnan(got), np.isnan(want))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_sorted(dtype, shape):
    for v, a in views(values(shape, dtype, len(shape))):
        for axis in range(v.ndim):
            want = np.sort(v, axis, kind="stable")
            same(mx.sort(a, axis), want)
            same(mx.sort(a, axis, descending=True), np.flip(want, axis))
            order = np.asarray(mx.argsort(a, axis))
            assert order.dtype == np.uint32
            same(order, np.argsort(v, axis, kind="stable").astype(np.uint32))
            down = np.asarray(mx.argsort(a, axis, descending=True)).astype(np.int64)
            same(np.take_along_axis(v, down, axis), np.flip(want, axis))
            ahead, rows = (
                np.moveaxis(np.take_along_axis(w, down, axis), axis, -1)
                for w in (v, np.broadcast_to(places(v, axis), v.shape))
            )
            tied = (ahead[..., 1:] == ahead[..., :-1]) | (ahead != ahead)[..., :-1] & (
                ahead != ahead
            )[..., 1:]
            assert (np.diff(rows, axis=-1)[tied] > 0).all()
            n = v.shape[axis]
            for k in {1, n // 2, n} - {0}:
                same(mx.topk(a, k, axis), np.take(want, range(n - k, n), axis))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_medians(dtype, shape):
    x = values(shape, dtype, 7)
    numbers = np.where(x == x, x, x.dtype.type(3))
    for v, a in (pair for each in (x, numbers) for pair in views(each)):
        for axis in range(v.ndim):
            got = mx.median(a, axis)
            want = np.median(v.astype(np.float64), axis)
            same(got.astype(mx.float64), want)
            same(mx.median(a, axis, keepdims=True).squeeze(axis).astype(mx.float64), want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_where_the_largest_and_the_least_stand(dtype, shape):
    for v, a in views(values(shape, dtype, 5)):
        for axis in range(v.ndim):
            for f, g in ((mx.argmax, np.argmax), (mx.argmin, np.argmin)):
                want = g(v, axis).astype(np.uint32)
                same(f(a, axis), want)
                same(f(mx.where(a == a, a, a), axis), want)  # formed as it is read


def made():
    out = hashlib.sha256()
    for dtype in ("int16", "float32", "float64"):
        for shape, axis in (((4001, 3), 1), ((5, 3000), 0), ((900, 16), 1), ((2, 9, 700), 1)):
            a = given(values(shape, dtype))
            for y in (mx.sort(a, axis), mx.argsort(a, axis), mx.topk(a, 2, axis),
                      mx.argmax(a, axis), mx.argmin(a, axis), mx.median(a, axis)):  # fmt: skip
                out.update(np.asarray(y).tobytes())
    return out.hexdigest()


def test_threads_and_levels_change_no_bits():
    folder = __file__.rsplit("/", 1)[0]
    code = (
        f"import sys; sys.path.insert(0, {folder!r}); import test_short_lines as t; print(t.made())"
    )
    found = {
        run(level, "-c", code, LAZULITE_NUM_THREADS=str(threads))
        for level in (HERE, *LOWER)
        for threads in (1, 2)
    }
    assert len(found) == 1
