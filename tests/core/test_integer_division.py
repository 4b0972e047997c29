"""`//`, `%` and divmod of integers: Python's rules, at each instruction-set level, in every
layout."""

import numpy as np
import pytest

import lazulite.core as mx
import levels

DTYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DIVISORS = (0, 1, -1, 2, -2, 3, -3, 7, -7, 10, 64, -64, 100, 127, -128, 641, 10**4, -(10**9), 2**62)


def wrap(value, dtype):
    width = np.dtype(dtype).itemsize * 8
    value &= 2**width - 1
    return value - 2**width if dtype[0] == "i" and value >> (width - 1) else value


def expected(a, b):
    """Quotients and rests, in Python's own integers."""
    dtype = str(a.dtype)
    a, b = np.broadcast_arrays(a, b)
    pairs = [
        (wrap(x // y, dtype), x % y) if y else (0, x)
        for x, y in zip(a.ravel().tolist(), b.ravel().tolist())
    ]
    return [np.array([p[i] for p in pairs], dtype).reshape(a.shape) for i in (0, 1)]


def sample(rng, dtype, *shape):
    """Of all sizes, with the ends, 0, 1 and -1."""
    info = np.iinfo(dtype)
    v = rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    v >>= rng.integers(0, info.bits, shape).astype(dtype)
    ends = np.array([info.min, info.max, 0, 1, 2, 3 if dtype[0] == "u" else -1], dtype)
    return np.where(rng.random(shape) < 0.2, rng.choice(ends, shape), v)


def assert_divides(a, b, of_a, of_b):
    quotients, rests = expected(of_a, of_b)
    got = mx.divmod(a, b)
    for result, wanted in ((a // b, quotients), (a % b, rests), *zip(got, (quotients, rests))):
        assert str(result.dtype).endswith(str(wanted.dtype))
        assert np.array_equal(np.asarray(result), wanted), (of_a.dtype, of_a.shape)


def check_all():
    rng = np.random.default_rng(5)
    for dtype in DTYPES:
        for n in (1, 7, 16, 63, 64, 65, 130, 1031):
            x, y = sample(rng, dtype, n), sample(rng, dtype, n)
            assert_divides(mx.array(x), mx.array(y), x, y)
        x, y = sample(rng, dtype, 33, 70), sample(rng, dtype, 33, 70)
        a, b = mx.array(x), mx.array(y)
        layouts = (
            lambda v: v[::-1, ::2],
            lambda v: v.T,
            lambda v: v[3:, 1:],
            lambda v: v[:, ::-3],
        )
        for layout in layouts:
            assert_divides(layout(a), layout(b), layout(x), layout(y))
        assert_divides(a, b[0], x, y[0])  # a row, a column, one number
        assert_divides(a, b[:, :1], x, y[:, :1])
        assert_divides(a[0], b, x[0], y)
        info = np.iinfo(dtype)
        for d in {*DIVISORS, info.min, info.max, info.max - 1, info.max // 2 + 1}:
            if info.min <= d <= info.max:
                one = np.array(d, dtype)
                assert_divides(a, d, x, one)
                assert_divides(a, mx.array(one), x, one)
                assert_divides(a.T, mx.array(one), x.T, one)
                assert_divides(mx.array(one), b, one, y)
        # Within a program, and as large as threads share.
        got = mx.compile(lambda a, b: ((a ^ b) // 7 % b) // b[0, 0])(a, b)
        first = expected(x ^ y, np.array(7, dtype))[0]
        wanted = expected(expected(first, y)[1], y[0, 0])[0]
        assert np.array_equal(np.asarray(got), wanted), dtype
        x, y = sample(rng, dtype, 300_007), sample(rng, dtype, 300_007)
        a, b = mx.array(x), mx.array(y)
        q, r = np.asarray(a // b), np.asarray(a % b)
        # Each by the piece of it alone: a block has other neighbours.
        for start in (0, 65_000, 299_990):
            part = slice(start, start + 500)
            wanted = expected(x[part], y[part])
            assert np.array_equal(q[part], wanted[0]) and np.array_equal(r[part], wanted[1])
        assert np.array_equal(q * y + r, x), dtype


@pytest.mark.parametrize("threads", ("1", "2"))
@pytest.mark.parametrize("level", levels.LOWER)
def test_division_at_each_level(level, threads):
    code = "import test_integer_division as t\nt.check_all()"
    levels.run(level, "-c", code, LAZULITE_NUM_THREADS=threads)


def test_division():
    check_all()


@pytest.mark.parametrize("dtype", ("int8", "uint8"))
def test_all_pairs_of_bytes(dtype):
    every = np.arange(256, dtype="uint8").view(dtype)
    assert_divides(mx.array(every[:, None]), mx.array(every), every[:, None], every)
    for d in every:  # each as one divisor
        wanted = expected(every, d)
        assert np.array_equal(np.asarray(mx.array(every) // int(d)), wanted[0]), d
        assert np.array_equal(np.asarray(mx.array(every) % int(d)), wanted[1]), d
