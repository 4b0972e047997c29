"""Block programs over rows that end inside of a group of elements, and beside rows and matrices
that begin anew: the bits of NumPy, which rounds each of these ops as well."""

import numpy as np
import pytest

import lazulite.core as mx
from levels import HERE, LOWER, run

WIDTHS = [63, 64, 65, 100, 127, 129, 200, 255, 257, 511, 513, 575, 577, 999, 1023, 1025, 4097, 9001]
DTYPES = ["bool", "int16", "int32", "float16", "float32", "float64", "complex128"]


def bits(a):
    return np.asarray(a).tobytes()


def values(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    v = rng.uniform(-9, 9, shape)
    return (v + 1j * rng.uniform(-9, 9, shape) if dtype == "complex128" else v).astype(dtype)


def given(x):
    return mx.array(x, mx.bool_ if x.dtype == bool else getattr(mx, x.dtype.name))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", WIDTHS)
def test_neighbours_in_rows(dtype, width):
    x = values((2, 40000 // width // 2 + 2, width + 1), dtype, width)
    a = given(x)
    assert bits(a[..., 1:] + a[..., :-1]) == bits(x[..., 1:] + x[..., :-1])
    assert bits(a[..., :-1] + a[..., :1]) == bits(x[..., :-1] + x[..., :1])
    assert bits(a[:, 1:, 1:] + a[:, :-1, :-1]) == bits(x[:, 1:, 1:] + x[:, :-1, :-1])


@pytest.mark.parametrize("width", WIDTHS)
def test_neighbours_in_several_results_and_long_programs(width):
    x = values((40000 // width + 2, width + 2), "float32", width)
    a = mx.array(x)
    left, right = a[:, :-2] * 2 + a[:, 2:], a[:, 1:-1] - a[:, 2:] * 3
    mx.eval(left, right)
    assert bits(left) == bits(x[:, :-2] * np.float32(2) + x[:, 2:])
    assert bits(right) == bits(x[:, 1:-1] - x[:, 2:] * np.float32(3))
    want, got = x[:, :-2], a[:, :-2]
    for k in range(20):  # abs between them: each its own instruction
        want, got = np.abs(want - np.float32(k)), mx.abs(got - k)
    assert bits(got) == bits(want)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("size", [1, 64, 100, 2049, 33000])
def test_what_is_written_over_is_read_once(width, size):
    """Rows and runs whose result takes the place of an operand: no element is made twice."""
    x = values((max(size // width, 1), width), "float32", width)
    a = mx.array(x) * 1
    mx.eval(a)
    before = a
    del before
    a = a * 3 + a[:, :1]
    mx.eval(a)
    assert bits(a) == bits(x * np.float32(3) + x[:, :1])
    v = mx.array(x.ravel()) + 0
    mx.eval(v)
    v = mx.abs(v * 3) + 1
    mx.eval(v)
    assert bits(v) == bits(np.abs(x.ravel() * np.float32(3)) + np.float32(1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [*range(2, 9), 12, 15, 16, 17, 31, 33, 48, 63, 65, 100, 300])
def test_rows_and_columns_beside_short_rows(dtype, width):
    n = 70000 // width + 5
    x, row, column = (values(s, dtype, width) for s in ((n, width), (width,), (n, 1)))
    a, r, c = given(x), given(row), given(column)
    assert bits(a + r) == bits(x + row)
    assert bits(c + r) == bits(column + row)
    assert bits(a + c) == bits(x + column)
    if dtype != "bool":
        assert bits((a + r) - (r + c)) == bits((x + row) - (row + column))
    every = given(np.repeat(column, 3, 1))[:, ::3]  # a column whose elements lie apart
    assert bits(a + every[:, 1:2] if every.shape[1] > 1 else a + every) == bits(x + column)


@pytest.mark.parametrize("shape", [(3, 5), (7, 9), (2, 100), (31, 33), (40, 50), (64, 64)])
def test_a_matrix_that_begins_anew(shape):
    x, m = values((90, *shape), "float32"), values(shape, "float32", 1)
    row, column = m[:1], m[:, :1]
    a, b = mx.array(x), mx.array(m)
    assert bits(a + b) == bits(x + m)
    assert bits(a * b + b[:1]) == bits(x * m + row)
    assert bits((a + b[:, :1]) * b) == bits((x + column) * m)
    turned = mx.array(np.ascontiguousarray(m.T)).T
    assert bits(a + turned) == bits(x + m)
    both = mx.array(x)[::2] + b[None] * mx.array(x)[::2]
    assert bits(both) == bits(x[::2] + m[None] * x[::2])


@pytest.mark.parametrize("width", [3, 7, 30, 100, 999])
def test_reductions_and_norms_of_such_programs(width):
    """Programs that run in pieces of a reduction, before and behind it."""
    x, row = values((300, width), "float32", width), values((width,), "float32", 1)
    a, r = mx.array(x), mx.array(row)
    stored = mx.array(x + row)
    assert bits(mx.sum(a + r, axis=1)) == bits(mx.sum(stored, axis=1))
    assert bits(mx.sum(a + r, axis=0)) == bits(mx.sum(stored, axis=0))
    got, want = mx.softmax(a, axis=1), mx.softmax(mx.array(x), axis=1)
    mx.eval(want)
    assert bits(got * r + a) == bits(np.asarray(want) * row + x)


def test_threads_and_levels_change_no_bits():
    code = f"""
import sys; sys.path[:0] = {[__file__.rsplit('/', 1)[0]]!r}
import hashlib, numpy as np, lazulite.core as mx
from test_row_ends import values
out = hashlib.sha256()
for width in (3, 7, 16, 30, 65, 100, 129, 575, 999, 4097):
    x = mx.array(values((90000 // width + 3, width), "float32", width))
    r, c = x[:1], x[:, :1]
    for y in (x[:, :-1] + x[:, 1:], x * r + c, c * r, mx.exp(x[:, 1:]) * x[:, :-1],
              mx.softmax(x + r, axis=1) * r):
        out.update(np.asarray(y).tobytes())
print(out.hexdigest())
"""
    found = {
        run(level, "-c", code, LAZULITE_NUM_THREADS=str(threads))
        for level in (HERE, *LOWER)
        for threads in (1, 2)
    }
    assert len(found) == 1


def test_rows_of_norms_have_the_bits_of_each_level():
    """Ends of rows that fill no register, with each number of elements in them."""
    code = f"""
import sys; sys.path[:0] = {[__file__.rsplit('/', 1)[0]]!r}
import hashlib, numpy as np, lazulite.core as mx
from test_row_ends import values
out = hashlib.sha256()
for dtype in (mx.float32, mx.float64, mx.float16, mx.bfloat16):
    for n in [*range(1, 68), 100, 127, 129, 255, 257, 300, 513, 4100]:
        x = mx.array(values((7, n), "float64", n), dtype)
        w = x[0] * 0.5
        for y in (mx.softmax(x, axis=1), mx.fast.layer_norm(x, w, w, 1e-5),
                  mx.fast.rms_norm(x, w, 1e-5),
                  *mx.grad(lambda x, w: (mx.fast.layer_norm(x, w, w, 1e-5) * x).sum(),
                           (0, 1))(x, w),
                  mx.grad(lambda x: (mx.softmax(x, axis=1) * x).sum())(x)):
            out.update(np.asarray(y.astype(mx.float64)).tobytes())
print(out.hexdigest())
"""
    assert len({run(level, "-c", code) for level in (HERE, *LOWER)}) == 1


@pytest.mark.parametrize("n", [*range(1, 40), 63, 64, 65, 100, 257])
def test_softmax_reads_and_writes_its_rows_alone(n):
    """What lies behind a row, an infinity or nan, is no part of it, nor written. Rows are computed
    to the bits of one alone, also in place."""
    for rows in (1, 9, 67):
        x = values((rows, n), "float32", n)
        wide = np.full((rows, n + 5), np.nan, np.float32)
        wide[:, :n] = x
        got = np.asarray(mx.softmax(mx.array(wide)[:, :n], axis=1))
        assert got.tobytes() == np.asarray(mx.softmax(mx.array(x), axis=1)).tobytes()
        e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
        assert np.allclose(got, e / e.sum(1, keepdims=True), rtol=1e-6)
        for r in {0, rows // 2, rows - 1}:
            alone = np.asarray(mx.softmax(mx.array(x[r])))
            assert alone.tobytes() == got[r].tobytes()
        for t in (mx.float16, mx.bfloat16, mx.float64):
            a = mx.array(x, t)
            turned = mx.softmax(mx.contiguous(a.T), axis=0).T
            got = mx.softmax(a, axis=1)
            stepped = mx.softmax(mx.contiguous(mx.concatenate([a, a], 0))[:rows:2], axis=1)
            assert mx.array_equal(got, turned) and mx.array_equal(got[::2], stepped)
    x = values((9, n), "float32", n)
    odd = x.copy()
    odd[0, n // 2], odd[1, -1], odd[2] = np.nan, np.inf, -np.inf
    assert np.isnan(np.asarray(mx.softmax(mx.array(odd), axis=1))[:3]).any(1).all()


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64], ids=str)
@pytest.mark.parametrize("n", [*range(1, 40), 63, 64, 65])
def test_the_slope_of_softmax_has_the_bits_of_columns(dtype, n):
    """In short rows, which are turned, of operands that lie as they should, apart and otherwise."""
    for rows in (1, 9, 67):
        x, t = (mx.array(values((rows, n), "float64", n + k), dtype) for k in (0, 1))
        slope = lambda x, t, axis: mx.vjp(lambda x: mx.softmax(x, axis=axis), [x], [t])[1][
            0
        ]  # noqa: E731
        want = bits(mx.contiguous(slope(mx.contiguous(x.T), mx.contiguous(t.T), 0).T))
        apart = mx.contiguous(mx.concatenate([t, t], 1))[:, :n]
        turned = mx.contiguous(t.T).T
        for given in (t, apart, turned, t[::-1][::-1], t * 1):
            mx.eval(given)
            assert bits(slope(x, given, 1)) == want, (rows, n)
        row = mx.broadcast_to(t[:1], (rows, n))
        assert bits(slope(x, row, 1)) == bits(slope(x, mx.contiguous(row), 1))
        y, t = (np.asarray(v).astype(np.float64) for v in (mx.softmax(x, axis=1), t))
        exact = y * (t - (t * y).sum(1, keepdims=True))
        assert np.allclose(np.asarray(slope(x, mx.array(t, dtype), 1)), exact, atol=1e-6)


def test_rows_of_reductions_have_the_bits_of_each_level():
    code = f"""
import sys; sys.path[:0] = {[__file__.rsplit('/', 1)[0]]!r}
import hashlib, numpy as np, lazulite.core as mx
from test_row_ends import values
out = hashlib.sha256()
for t in ("uint8", "int16", "int32", "int64", "float32", "float64", "float16", "bfloat16"):
    for n in [*range(1, 68), 100, 127, 129, 255, 257, 300, 513, 4100]:
        x = mx.array(np.abs(values((67 if n < 70 else 7, n), "float64", n))).astype(getattr(mx, t))
        fs = (mx.sum, mx.max, mx.min, mx.prod, mx.any, mx.var, mx.argmax, mx.argmin)
        made = [f(x, axis=1) for f in fs]
        if "float" in t:
            odd = mx.where(x > 5, mx.array(float("nan")).astype(x.dtype), x)
            made += [mx.logsumexp(x, axis=1), mx.softmax(x, axis=1), mx.nansum(odd, axis=1), mx.nanmean(odd, axis=1)]
        for y in made:
            out.update(np.asarray(y.astype(mx.float64)).tobytes())
print(out.hexdigest())
"""
    assert len({run(level, "-c", code) for level in (HERE, *LOWER)}) == 1


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("n", [*range(1, 70), 100, 197, 255, 257])
@pytest.mark.parametrize("rows", [1, 9, 50])
def test_reductions_read_their_rows_alone(dtype, n, rows):
    x = np.round(values((rows, n), "float64", n)).astype(dtype)
    wide = np.full((rows, n + 5), 10**6, dtype)
    wide[:, :n] = x
    a = given(wide)[:, :n]
    for name in ("sum", "max", "min"):
        assert np.array_equal(np.asarray(getattr(mx, name)(a, axis=1)), getattr(x, name)(1))
    if "float" in dtype:
        top = x.max(1, keepdims=True)
        want = np.log(np.exp((x - top).astype(np.float64)).sum(1)) + top[:, 0]
        got = np.asarray(mx.logsumexp(a, axis=1))
        assert np.allclose(got, want, rtol=1e-6, atol=1e-6)  # the largest and the rest may cancel
        assert np.allclose(np.asarray(mx.var(a, axis=1)), x.astype(np.float64).var(1), rtol=1e-5)
