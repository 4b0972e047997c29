"""One op over a few elements runs without a block program: the bits of the same op over many."""

import numpy as np
import pytest

import lazulite.core as mx

SIZES = [1, 2, 31, 63, 64, 65, 127, 128, 129, 1000, 1023, 1024, 1025, 2047, 2048, 2049]
TYPES = [mx.float32, mx.float64, mx.int8, mx.uint16, mx.int32, mx.int64, mx.complex64]
TYPES += [mx.complex128, mx.bool_, mx.float16, mx.bfloat16]
MANY = 3000


def numbers(n, dtype, seed=0):
    x = np.random.default_rng(seed).integers(-5, 6, n).astype(np.float64)
    if mx.issubdtype(dtype, mx.inexact):
        x[::7], x[1::11], x[2::13] = 0.5, np.nan, -np.inf
    elif mx.issubdtype(dtype, mx.unsignedinteger):
        x = np.abs(x)
    out = mx.array(x).astype(dtype)
    mx.eval(out)
    return out


def parts(a):
    """Real and imaginary parts, or numbers, with one nan for all of them."""
    x = np.array(a.astype(mx.float32) if a.itemsize == 2 else a)
    x = x.view(x.real.dtype)
    return np.where(np.isnan(x), np.nan, x)


def same(a, b):
    """The same bits, whichever nan: of two the one or the other goes on."""
    if mx.issubdtype(a.dtype, mx.inexact):
        return a.dtype == b.dtype and bytes(parts(a)) == bytes(parts(b))
    return bytes(a) == bytes(b)


OPS = {
    "add": lambda a, b: a + b,
    "multiply": lambda a, b: a * b,
    "equal": lambda a, b: a == b,
    "where": lambda a, b: mx.where(a == b, a, b),
    "clip": lambda a, b: mx.maximum(a, b),
    "a number": lambda a, b: a + 1,
    "a number first": lambda a, b: 1 - a if a.dtype != mx.bool_ else a,
    "negative": lambda a, b: -a if a.dtype != mx.bool_ else ~a,
    "cast": lambda a, b: a.astype(mx.float64 if a.dtype != mx.complex64 else mx.complex128),
}


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("name", OPS)
def test_few_elements_have_the_bits_of_many(name, dtype):
    if name == "cast" and dtype == mx.complex128:
        return
    f = OPS[name]
    a, b = numbers(MANY, dtype), numbers(MANY, dtype, 1)
    want = f(a, b)
    mx.eval(want)
    for n in SIZES:
        for start in (0, 3):
            part = slice(start, start + n)
            assert same(f(a[part], b[part]), want[part])


VIEWS = {
    "turned": lambda a, r, c: mx.contiguous(a.reshape(c, r)).T,
    "every other": lambda a, r, c: mx.repeat(a, 2).reshape(r, 2 * c)[:, ::2],
    "reversed": lambda a, r, c: a.reshape(r, c)[::-1, ::-1],
    "a row": lambda a, r, c: mx.broadcast_to(a[:c], (r, c)),
    "a column": lambda a, r, c: mx.broadcast_to(a[:r].reshape(r, 1), (r, c)),
    "one number": lambda a, r, c: mx.broadcast_to(a[3], (r, c)),
    "dense": lambda a, r, c: a.reshape(r, c),
}


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("shape", [(1, 7), (5, 13), (8, 8), (32, 33), (16, 129), (47, 45)])
def test_few_elements_of_views_have_the_bits_of_copies(shape, dtype):
    n = shape[0] * shape[1]
    a, b = numbers(max(n, 8), dtype), numbers(max(n, 8), dtype, 1)
    for one in VIEWS.values():
        for two in VIEWS.values():
            x, y = one(a[:n], *shape), two(b[:n], *shape)
            u, v = mx.contiguous(x), mx.contiguous(y)
            mx.eval(x, y, u, v)
            assert same(x + y, u + v)
            assert same(mx.where(x == y, x, y), mx.where(u == v, u, v))
        if mx.issubdtype(dtype, mx.inexact):
            assert same(mx.exp(x), mx.exp(u))


def test_a_few_are_written_over_operands_that_die():
    for n in SIZES:
        x = mx.arange(n, dtype=mx.float32)
        mx.eval(x)
        for k in range(3):
            x = x * 2 + 1
            mx.eval(x)
            x = x + x
            mx.eval(x)
        want = np.arange(n, dtype=np.float32)
        for _ in range(3):
            want = want * 2 + 1
            want = want + want
        np.testing.assert_array_equal(np.array(x), want)
