"""Elements at masks of their own shape: read to the front, written in order, without places."""

import numpy as np
import pytest

import lazulite.core as mx
import levels

TYPES = ["bool", "int8", "uint16", "float32", "int64", "complex64", "float16", "complex128"]
SIZES = [1, 7, 8, 15, 16, 17, 63, 64, 65, 1000, 16383, 16384, 16385, 50_001]
DENSITIES = [0.0, 0.03, 0.5, 0.97, 1.0]


def numbers(shape, dtype, seed=0):
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(dtype)


def ours(x):
    return mx.array(x, getattr(mx, "bool_" if x.dtype == bool else str(x.dtype)))


def mask_of(shape, density, seed=1):
    return np.random.default_rng(seed).random(shape) < density


def same(got, want):
    got = np.array(got)
    assert got.dtype == want.dtype and got.shape == want.shape
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", TYPES)
def test_masks_read_and_write_at_every_size(dtype, threads):
    for n in SIZES:
        x = numbers(n, dtype)
        for density in DENSITIES:
            mask = mask_of(n, density)
            count = int(mask.sum())
            a, m = ours(x), mx.array(mask)
            same(a[m], x[mask])
            for more in (0, 5):
                values = numbers(count + more, dtype, 2)
                want = x.copy()
                want[mask] = values[:count]
                got = ours(x)
                got[m] = ours(values)
                same(got, want)
            same(a, x)


LAYOUTS = [
    ((40, 33), lambda a: a.T),
    ((64, 128), lambda a: a[::-1, ::2]),
    ((3, 50, 24), lambda a: a.transpose(1, 2, 0)),
    ((5, 4, 3), lambda a: a[1:, :, ::-1]),
    ((300, 200), lambda a: a),
]


@pytest.mark.parametrize("shape, view", LAYOUTS)
def test_masks_over_several_axes_of_views(shape, view, threads):
    x, mask = numbers(shape, "float32"), mask_of(shape, 0.4)
    a, m = view(mx.array(x)), view(mx.array(mask))
    want = view(x)[view(mask)]
    same(a[m], want)
    same((a * 2)[m & (a > 0)], (view(x) * 2)[view(mask) & (view(x) > 0)])  # neither is there yet
    y = view(x).copy()
    y[view(mask)] = -want
    a[m] = mx.array(-want)
    same(a, y)
    for got, places in zip(mx.nonzero(m), np.nonzero(view(mask))):
        same(got, places)
    same(mx.argwhere(m), np.argwhere(view(mask)))


@pytest.mark.parametrize("shape", [(700, 23), (700, 24), (30, 20, 50), (40_000, 2), (2, 40_000)])
@pytest.mark.parametrize("density", DENSITIES)
def test_places_of_several_axes(shape, density, threads):
    mask = mask_of(shape, density)
    for got, want in zip(mx.nonzero(mx.array(mask)), np.nonzero(mask)):
        same(got, want)
    count = int(mask.sum())
    for size in (count // 2, count + 3):
        places = mx.nonzero(mx.array(mask), size=size, fill_value=-7)
        for got, want in zip(places, np.nonzero(mask)):
            filled = np.full(size, -7)
            filled[: min(count, size)] = want[:size]
            same(got, filled)


def test_too_few_values_are_refused_at_once_or_when_the_mask_is_known():
    m, a = mx.array([True, False, True, True]), mx.zeros(4)
    mx.eval(m)
    with pytest.raises(ValueError, match="too few values for a mask: got 2, expected 3"):
        a[m] = mx.ones(2)
    later = m & mx.array([True, True, True, True])
    b = mx.zeros(4)
    b[later] = mx.ones(2)
    with pytest.raises(ValueError, match="too few values for a mask: got 2, expected 3"):
        mx.eval(b)


def test_derivatives_are_those_of_gathers():
    rng = np.random.default_rng(0)
    x, t = (mx.array(rng.normal(size=(6, 7))) for _ in range(2))
    mask = mx.array(rng.random((6, 7)) < 0.5)
    count = int(np.array(mask).sum())
    v, w = (mx.array(rng.normal(size=count + 2)) for _ in range(2))
    places = mx.nonzero(mask)

    def put(a, values):
        a = a + 0
        a[mask] = values
        return a

    def scattered(a, values):
        return a.at[places].multiply(0).at[places].add(values[:count])

    close = lambda a, b: np.testing.assert_allclose(np.array(a), np.array(b), rtol=1e-12)
    for f, g in ((lambda a: a[mask], lambda a: a[places]),):
        loss = lambda h: lambda a: mx.sum(h(mx.sin(a)) ** 3)
        close(mx.grad(loss(f))(x), mx.grad(loss(g))(x))
        again = lambda h: lambda a: mx.sum(mx.grad(loss(h))(a) ** 2)
        close(mx.grad(again(f))(x), mx.grad(again(g))(x))
        close(mx.jvp(f, [x], [t])[1][0], mx.jvp(g, [x], [t])[1][0])
        close(mx.vmap(f)(mx.stack([x, t])), mx.stack([g(x), g(t)]))
    loss = lambda h: lambda a, b: mx.sum(h(a, mx.sin(b)) ** 3 * t)
    for k in (0, 1):
        close(mx.grad(loss(put), k)(x, v), mx.grad(loss(scattered), k)(x, v))
    close(mx.jvp(put, [x, v], [t, w])[1][0], mx.jvp(scattered, [x, v], [t, w])[1][0])
    two = mx.stack([v, w])
    close(mx.vmap(put, in_axes=(None, 0))(x, two), mx.stack([put(x, v), put(x, w)]))
    # A mask of each lane's own, whose values are many enough.
    masks, whole = mx.stack([mask, x > 0, mx.zeros((6, 7), mx.bool_)]), mx.arange(42.0)

    def put_own(m):
        a = x + 0
        a[m] = whole.astype(a.dtype)
        return a

    close(mx.vmap(put_own)(masks), mx.stack([put_own(m) for m in masks]))


PROGRAM = """
import hashlib
import numpy as np
import lazulite.core as mx
rng = np.random.default_rng(0)
sums = hashlib.sha256()
for dtype in ("bool", "int8", "uint16", "float32", "int64", "complex128"):
    for n in (1, 15, 16, 17, 64, 1000, 16385):
        for density in (0.05, 0.5, 1.0):
            x, mask = rng.integers(0, 9, n).astype(dtype), rng.random(n) < density
            type_ = mx.bool_ if dtype == "bool" else getattr(mx, dtype)
            a, m = mx.array(x, type_), mx.array(mask)
            mx.eval(a, m)
            sums.update(bytes(a[m]))
            a[m] = a[m][::-1]
            sums.update(bytes(a))
            m = mx.array(mask.reshape(1, n))
            sums.update(b"".join(map(bytes, mx.nonzero(m))))
print(sums.hexdigest())
"""


@pytest.mark.parametrize("side", ["end", "start"])
def test_every_level_gives_the_same_within_the_memory_of_arrays(side):
    every = (*levels.LOWER, levels.HERE)
    assert len({levels.run(level, "-c", PROGRAM, LAZULITE_GUARD=side) for level in every}) == 1
