"""Axes of few elements, wherever they stand: moved, read, gathered, joined and reduced to the bits
of NumPy, and, where sums have an order of their own, to those of the same columns alone."""

import hashlib

import numpy as np
import pytest

import lazulite.core as mx
from levels import HERE, LOWER, run

DTYPES = ["uint8", "int16", "float16", "float32", "float64", "complex128"]
FEW = [1, 2, 3, 4, 5, 7, 8, 9, 12, 17]


def bits(a):
    return np.ascontiguousarray(a).tobytes()


def values(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    v = rng.integers(0, 200, shape)
    return v.astype(dtype) * np.array(0.5 - 1j if dtype == "complex128" else 1, dtype)


def given(x):
    return mx.array(x, mx.bool_ if x.dtype == bool else getattr(mx, x.dtype.name))


def turns(axes):
    """Orders of axes in which each stands last."""
    return [tuple(axes[k:] + axes[:k]) for k in range(len(axes))] + [tuple(axes[::-1])]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", FEW)
def test_layouts(dtype, n):
    for shape in [(37, n, 70), (n, 300), (300, n), (5, n, 3, 33), (2, 3, n, 2), (1, n, 1, 90)]:
        x = values(shape, dtype, n)
        a = given(x)
        for order in turns(list(range(x.ndim))):
            want = x.transpose(order)
            view = a.transpose(order)
            assert bits(mx.contiguous(view)) == bits(want)
            other = values(want.shape, dtype, 1)
            assert bits(view + given(other)) == bits(want + other)
            for axis in range(x.ndim):
                assert bits(mx.contiguous(mx.flip(view, axis))) == bits(np.flip(want, axis))
            part = want[..., 1:] if want.shape[-1] > 1 else want
            assert bits(mx.contiguous(view[..., want.shape[-1] - part.shape[-1] :])) == bits(part)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", FEW)
def test_what_is_put_beside(dtype, n):
    for shape in [(3000, n), (11, 7, 30, n), (2, 40_000, n), (700, n, 5)]:
        x = values(shape, dtype, n)
        a = given(x)
        for axis in range(x.ndim):
            wide = [(0, 0)] * x.ndim
            wide[axis] = (1, 2)
            assert bits(mx.pad(a, wide)) == bits(np.pad(x, wide))
            parts = [x, x[(slice(None),) * axis + (slice(0, 1),)], x]
            got = mx.concatenate([given(p) for p in parts], axis)
            assert bits(got) == bits(np.concatenate(parts, axis))
            changed = x.copy()
            place = (slice(None),) * axis + (slice(x.shape[axis] // 2, None),)
            changed[place] = 7
            got = mx.contiguous(a)
            got[place] = 7
            assert bits(got) == bits(changed) and bits(a) == bits(x)


@pytest.mark.parametrize("width", [1, 8, 30, 33, 255, 256, 257, 1000])
def test_rows_of_several_operands_beyond_the_caches(width):
    """Each row of the result has parts of several operands, of which some are no runs."""
    x = values((200_000 // width, 2 * width), "float32", width)
    parts = [x[:, :width], x[:, width:], x[:, :1], np.ascontiguousarray(x[:, ::2])]
    for dense in (True, False):
        operands = (
            [given(p) for p in parts]
            if dense
            else [given(x)[:, :width], given(x)[:, width:], given(x)[:, :1], given(x)[:, ::2]]
        )
        assert bits(mx.concatenate(operands, 1)) == bits(np.concatenate(parts, 1))
        lead = [p.reshape(2, -1, p.shape[1]) for p in parts] if x.shape[0] % 2 == 0 else []
        if lead:
            got = mx.concatenate([g.reshape(2, -1, g.shape[1]) for g in operands], -1)
            assert bits(got) == bits(np.concatenate(lead, -1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [1, 2, 3, 15, 16, 17, 63, 64, 65])
def test_few_of_each_row(dtype, count):
    for shape in [(1, 5), (3, 2), (4000, 9), (30, 40, 70), (7, 2100, 3)]:
        x = values(shape, dtype, count)
        index = np.random.default_rng(count).integers(-shape[-1], shape[-1], count)
        a, i = given(x), mx.array(index.astype(np.int32))
        assert bits(mx.take(a, i, -1)) == bits(np.take(x, index, -1))
        assert bits(a[..., i] + a[..., i]) == bits(np.take(x, index, -1) * np.array(2, dtype))
        every = a[:, ::2] if len(shape) == 2 else a[:, ::2, :]
        if every.shape[-1] == shape[-1]:  # rows with gaps
            assert bits(mx.take(every, i, -1)) == bits(np.take(x[:, ::2], index, -1))
        for beyond in (shape[-1], -shape[-1] - 1):
            bad = np.append(index, beyond)
            with pytest.raises(IndexError, match="out of range"):
                mx.eval(mx.take(a, mx.array(bad), -1))


@pytest.mark.parametrize(
    "dtype", ["uint8", "int64", "float16", "bfloat16", "float32", "float64", "complex64"]
)
@pytest.mark.parametrize(
    "rows", [1, 2, 7, 8, 9, 16, 17, 24, 25, 31, 32, 33, 40, 63, 64, 65, 96, 97, 127, 128, 129]
)
def test_columns_of_few_rows(dtype, rows):
    """The order in which rows meet is that of each column alone."""
    rng = np.random.default_rng(rows)
    for width in (1, 3, 7, 8, 15, 16, 17, 31, 33, 64, 65, 79, 130, 1025):
        x = rng.normal(size=(rows, width)) * 4
        a = mx.array(np.abs(x) if dtype == "uint8" else x).astype(getattr(mx, dtype))
        for f in (mx.sum, mx.prod, mx.max, mx.min, mx.any, mx.nansum):
            if f is mx.nansum and dtype == "complex64":
                continue
            got = f(a, axis=0)
            alone = f(mx.contiguous(a.T), axis=1)
            assert bits(got) == bits(alone), (f.__name__, width)
            # as columns among others, which have gaps
            beside = mx.concatenate([a, a[:, :1]], 1)
            mx.eval(beside)
            assert bits(f(beside[:, :width], axis=0)) == bits(alone), (f.__name__, width)


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8, 16, 20, 31, 32, 33])
@pytest.mark.parametrize(
    "dtype", ["int16", "int32", "uint64", "bfloat16", "float32", "float64", "complex64"]
)
def test_columns_of_small_planes(dtype, rows):
    for width in (1, 2, 3, 4, 7, 8, 15, 16):
        for count in (7, 8, 31, 33):
            x = np.random.default_rng(rows * width + count).normal(size=(count, rows, width)) * 9
            x = x + 1j * x[::-1] if dtype == "complex64" else x
            if dtype in ("float32", "float64") and rows > 1:
                x[3, rows // 2, width // 2] = np.nan
                x[count // 2] = -0.0
            a = mx.array(np.abs(x) if dtype[0] == "u" else x).astype(getattr(mx, dtype))
            turned = mx.contiguous(a.transpose(0, 2, 1))
            apart = mx.contiguous(mx.concatenate([a, a], 1))[:, :rows]
            mx.eval(a, turned, apart)
            for f in (mx.sum, mx.prod, mx.max, mx.min, mx.mean, mx.nansum):
                alone = [f(mx.contiguous(t), 1) for t in turned]  # rows of one plane
                want = mx.stack(alone).astype(mx.complex64 if dtype == "complex64" else mx.float64)
                for laid in (a, apart):
                    got = f(laid, 1).astype(want.dtype)
                    assert mx.array_equal(got, want, equal_nan=True), (f, width, count)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float16", "float32", "complex64"])
@pytest.mark.parametrize("shape", [(1,), (1, 700), (700, 1), (3, 1, 90), (4, 1, 1, 5), (1, 1)])
def test_axes_of_one_element(dtype, shape):
    x = values(shape, "int64", 3).astype(dtype)
    a = given(x)
    ones = tuple(k for k, n in enumerate(shape) if n == 1)
    for axes in {ones, ones[:1], ones[-1:]}:
        for f, g in (
            (mx.sum, np.sum),
            (mx.prod, np.prod),
            (mx.max, np.max),
            (mx.min, np.min),
            (mx.all, np.all),
            (mx.any, np.any),
        ):
            for view, held in ((a, x), (a.T, x.T)):
                at = axes if view is a else tuple(len(shape) - 1 - k for k in axes)
                got = f(view, axis=at, keepdims=True)
                assert got.shape == held.shape
                assert bits(got) == bits(
                    g(held, axis=at, keepdims=True).astype(np.asarray(got).dtype)
                )
        if len(axes) == 1:
            assert not np.asarray(mx.argmax(a, axis=axes[0])).any()
            assert mx.argmin(a, axis=axes[0]).dtype == mx.uint32
    if dtype == "float32":  # the sign of zero, and both of one pass
        zero = mx.array(np.full(shape, -0.0, np.float32))
        least, most = mx.min(zero, axis=ones), mx.max(zero, axis=ones)
        mx.eval(least, most)
        assert np.signbit(np.asarray(mx.sum(zero, axis=ones))).all()
        assert np.signbit(np.asarray(least)).all() and np.signbit(np.asarray(most)).all()
        assert np.isnan(
            np.asarray(mx.max(mx.array(np.full(shape, np.nan, np.float32)), axis=ones))
        ).all()


def made():
    """A digest of all of it, of one level and one number of threads."""
    out = hashlib.sha256()
    for n in (2, 3, 5, 8):
        a = mx.array(values((90, n, 300), "float32", n)) * 0.1
        index = mx.array([n - 1, 0, 1])
        for y in (
            a.transpose(0, 2, 1) + 1,
            mx.contiguous(mx.flip(a.transpose(2, 0, 1), 2)),
            mx.take(mx.contiguous(a.transpose(0, 2, 1)), index, -1),
            mx.sum(a, axis=0),
            mx.sum(a.astype(mx.bfloat16), axis=0),
            mx.prod(a * 0.01, axis=(0, 1)),
            mx.pad(a, [(0, 0), (1, 0), (0, 0)]),
            mx.concatenate([a, a, a], 1),
            *(f(mx.contiguous(a[:, :, :3]), 1) for f in (mx.sum, mx.prod, mx.max)),
        ):
            out.update(np.asarray(y.astype(mx.float32)).tobytes())
    return out.hexdigest()


def test_threads_and_levels_change_no_bits():
    code = "import test_short_axes; print(test_short_axes.made())"
    folder = __file__.rsplit("/", 1)[0]
    code = f"import sys; sys.path.insert(0, {folder!r}); " + code
    found = {
        run(level, "-c", code, LAZULITE_NUM_THREADS=str(threads))
        for level in (HERE, *LOWER)
        for threads in (1, 2)
    }
    assert len(found) == 1
