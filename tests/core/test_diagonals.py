"""Diagonals are views of any layout: NumPy's elements, no copy, and rules."""

import itertools

import numpy as np
import pytest

import lazulite.core as mx

OFFSETS = [0, 1, -1, 2, -2, 7, -7, 10**6, -(10**6), 2**62, -(2**62)]


def layouts(shape):
    x = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    a = mx.array(x)
    wide = mx.repeat(a, 2, axis=-1)
    mx.eval(a, wide)
    yield x, a
    yield x.T, a.T
    yield x, wide[..., ::2]
    yield x[::-1], a[::-1]
    yield x[..., ::-1], a[..., ::-1]
    yield np.broadcast_to(x, (2, *shape)), mx.broadcast_to(a, (2, *shape))
    yield x + 1, a + 1  # not there yet


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 5), (5, 2), (4, 3, 5), (2, 3, 1, 4), (0, 3)])
def test_every_diagonal_of_every_layout(shape):
    for x, a in layouts(shape):
        for i, k in itertools.permutations(range(-x.ndim, 0), 2):
            for offset in OFFSETS:
                near = max(min(offset, 999), -999)
                want = np.diagonal(x, near, i, k)
                got = mx.diagonal(a, offset, i, k)
                assert got.shape == want.shape and got.tolist() == want.tolist()
                assert mx.trace(a, offset, i, k).tolist() == np.trace(x, near, i, k).tolist()
                assert (got * 2 + 1).tolist() == (want * 2 + 1).tolist()


def test_no_layout_is_copied():
    a = mx.zeros((1000, 2000)) + 1
    for view in (a, a.T, a[:, ::2], a[::-1], mx.broadcast_to(a[0], (300, 2000))):
        mx.eval(view)
        mx.reset_peak_memory()
        before = mx.get_active_memory()
        d = mx.diagonal(view, 1)
        mx.eval(d)
        assert mx.get_peak_memory() - before < 100_000


def test_rules():
    rng = np.random.default_rng(0)
    a = mx.array(rng.normal(size=(2, 3, 4, 5)).astype(np.float32))
    for offset, (i, k) in itertools.product((0, 1, -2, 4, 9), itertools.permutations(range(3), 2)):
        f = lambda v: mx.diagonal(v, offset, i, k)  # noqa: B023, E731
        assert mx.vmap(f)(a).tolist() == [f(a[n]).tolist() for n in range(2)]
        moved = mx.vmap(f, in_axes=3)(a).tolist()
        assert moved == [f(a[..., n]).tolist() for n in range(5)]
        weights = mx.array(rng.normal(size=f(a[0]).shape).astype(np.float32))
        slope = np.zeros(a.shape[1:], np.float32)
        at = np.moveaxis(slope, (i, k), (-2, -1))
        for n in range(weights.shape[-1]):
            at[..., n + max(-offset, 0), n + max(offset, 0)] = np.asarray(weights)[..., n]
        got = mx.grad(lambda v: (f(v) * weights).sum())(a[0])  # noqa: B023
        assert got.tolist() == slope.tolist()
        assert mx.jvp(f, [a[0]], [a[1]])[1][0].tolist() == f(a[1]).tolist()
        assert mx.compile(f)(a[0]).tolist() == f(a[0]).tolist()
    with pytest.raises(ValueError, match=r"\[diagonal\] the two axes are the same: got 1"):
        mx.diagonal(a, 0, 1, -3)
