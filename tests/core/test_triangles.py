"""tril and triu beside NumPy: sizes, layouts, dtypes, what runs behind them, and their rules."""

import numpy as np
import pytest

import lazulite.core as mx

DTYPES = ["bool", "uint8", "int16", "float16", "float32", "float64", "complex128"]
SHAPES = [(1, 1), (3, 5), (5, 3), (2, 4, 4), (1, 300), (300, 1), (130, 129), (3, 2, 70, 65), (0, 4)]


def values(shape, dtype):
    rng = np.random.default_rng(len(shape))
    return rng.integers(0, 2, shape).astype(bool) if dtype == "bool" else np.round(
        rng.uniform(1, 99, shape)
    ).astype(dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_diagonal_in_every_layout(shape, dtype):
    x = values(shape, dtype)
    a = mx.array(x, mx.bool_ if dtype == "bool" else getattr(mx, dtype))
    wide = mx.repeat(a, 2, axis=-1)
    mx.eval(wide)
    turned = (np.swapaxes(x, -1, -2), mx.swapaxes(a, -1, -2))
    views = [(x, a), turned, (x, wide[..., ::2]), (x[..., ::-1, :], a[..., ::-1, :])]
    views.append((x[..., ::-1], a[..., ::-1]))
    views.append((np.broadcast_to(x, (2, *shape)), mx.broadcast_to(a, (2, *shape))))
    for k in (0, 1, -1, 2, -3, 64, -64, 500, -500, 2**62, -(2**62)):
        near = max(min(k, 999), -999)
        for want, got in views:
            for name in ("tril", "triu"):
                found = np.asarray(getattr(mx, name)(got, k))
                assert found.tobytes() == getattr(np, name)(want, near).tobytes(), (name, k)


def test_what_is_before_and_behind_a_triangle():
    x = np.random.default_rng(0).normal(size=(300, 257)).astype(np.float32)
    a = mx.array(x)
    want = np.tril(np.abs(x) + np.float32(1)) * np.float32(3) + x
    assert np.asarray(mx.tril(mx.abs(a) + 1) * 3 + a).tobytes() == want.tobytes()
    assert np.asarray(mx.tril(a) + mx.triu(a, 1)).tobytes() == x.tobytes()
    nan = mx.full((4, 4), float("nan"))
    assert mx.triu(nan, 1).tolist()[3] == [0, 0, 0, 0]


def test_rules():
    a = mx.array(np.random.default_rng(1).normal(size=(3, 4, 5)).astype(np.float32))
    ones = mx.ones((4, 5))
    for f in (lambda v: mx.tril(v, 1), lambda v: mx.triu(v, -1)):
        assert mx.vmap(f)(a).tolist() == f(a).tolist()
        assert mx.vmap(f, in_axes=2)(a).tolist() == [f(a[:, :, k]).tolist() for k in range(5)]
        kept = f(ones)
        assert mx.grad(lambda v, f=f: (f(v) * 3).sum())(a[0]).tolist() == (kept * 3).tolist()
        assert mx.jvp(f, [a[0]], [ones * 2])[1][0].tolist() == (kept * 2).tolist()
        assert mx.compile(f)(a).tolist() == f(a).tolist()
    with pytest.raises(ValueError, match=r"\[tril\] too few axes: got shape \(3,\)"):
        mx.tril(mx.ones(3))
    with pytest.raises(ValueError, match=r"\[triu\] too few axes"):
        mx.triu(mx.ones(3))
