"""Elements that take turns, and every other one: sizes past every border, dtypes, layouts, threads,
levels, and no byte beyond the arrays."""

import numpy as np
import pytest

import lazulite.core as mx
import levels

SIZES = (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1000, 70001)
DTYPES = ("bool", "int8", "uint16", "float16", "int32", "float32", "float64", "complex64",
          "complex128")  # fmt: skip


def values(n, name, seed):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(n) * 30).astype(name)


def of(a):
    return mx.array(a, getattr(mx, "bool_" if a.dtype == bool else a.dtype.name))


def check(n, name):
    a, b, c = (values(n, name, seed) for seed in range(3))
    x, y, z = map(of, (a, b, c))
    both = np.stack([a, b], -1)
    assert np.array_equal(mx.stack([x, y], -1), both), (n, name)
    assert np.array_equal(mx.stack([x[::-1], y], -1), np.stack([a[::-1], b], -1)), (n, name)
    assert np.array_equal(mx.stack([x, y, z], -1), np.stack([a, b, c], -1)), (n, name)
    assert np.array_equal(mx.concatenate([x[:, None], y[:, None]], 1), both), (n, name)
    w = of(both.reshape(-1))
    assert np.array_equal(mx.contiguous(w[::2]), a) and np.array_equal(mx.contiguous(w[1::2]), b)
    if n % 4 == 0 and n:
        rows = of(both.reshape(4, -1))
        for k, want in ((0, a), (1, b)):
            assert np.array_equal(mx.contiguous(rows[:, k::2]), want.reshape(4, -1)), (n, name, k)
    if name == "float32":
        even, odd = w[::2], w[1::2]
        assert np.array_equal(even * odd + even, a * b + a), n
        got = mx.stack([even * 2, odd - even], -1).reshape(-1)
        assert np.array_equal(got, np.stack([a * 2, b - a], -1).reshape(-1)), n


def check_all():
    for name in DTYPES:
        for n in SIZES:
            check(n, name)


def test_all(threads):
    check_all()


@pytest.mark.parametrize("level", (levels.HERE, *levels.LOWER))
@pytest.mark.parametrize("end", ["start", "end"])
def test_all_at_each_level_beside_pages_without_access(level, end):
    levels.run(level, "-c", "import test_turns as t\nt.check_all()", LAZULITE_GUARD=end)
