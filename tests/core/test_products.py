"""Products of matrices of sizes and layouts that take each of the engine's ways."""

import itertools

import numpy as np
import pytest

import lazulite.core as mx
import levels

SIZES = [
    (64, 8192, 64),
    (90, 3500, 80),
    (2049, 513, 33),
    (700, 300, 67),
    (300, 90, 10),
    (128, 784, 256),
    (784, 128, 256),
    (1500, 800, 1400),
    (8192, 64, 64),
    (13, 700, 900),
    (3, 40965, 33),
    (2, 3, 9000),
    (1, 70000, 1),
    (1030, 5000, 1),
    (1, 5000, 1030),
]
TOLERANCE = {
    mx.float64: 1e-13,
    mx.float32: 1e-5,
    mx.float16: 2e-3,
    mx.bfloat16: 1e-2,
    mx.complex64: 1e-5,
    mx.complex128: 1e-13,
}


def numbers(rng, dtype, *shape):
    x = rng.standard_normal(shape)
    if dtype in (mx.complex64, mx.complex128):
        return mx.array(x + 1j * rng.standard_normal(shape), dtype=dtype)
    return mx.array(x, dtype=dtype)


def exactly(x):
    wide = mx.complex128 if x.dtype in (mx.complex64, mx.complex128) else mx.float64
    return np.asarray(x.astype(wide))


@pytest.fixture
def any_number_of_threads():
    before = mx.num_threads()
    yield (1, 2, 7)
    mx.set_num_threads(before)


@pytest.mark.parametrize("layout", ["nn", "nt", "tn", "tt"])
@pytest.mark.parametrize("m, k, n", SIZES)
def test_a_product_is_right_and_has_the_same_bits_for_any_number_of_threads(
    m, k, n, layout, any_number_of_threads
):
    rng = np.random.default_rng(m + k + n)
    for dtype, tolerance in TOLERANCE.items():
        x, y = numbers(rng, dtype, m, k), numbers(rng, dtype, k, n)
        exact = exactly(x) @ exactly(y)
        if layout[0] == "t":
            x = mx.contiguous(x.T).T
        if layout[1] == "t":
            y = mx.contiguous(y.T).T
        mx.eval(x, y)
        found = set()
        for threads in any_number_of_threads:
            mx.set_num_threads(threads)
            out = x @ y
            found.add(bytes(out))
        assert len(found) == 1, (dtype, layout)
        bound = tolerance * (k**0.5 + np.abs(exact).max())
        assert np.abs(exactly(out) - exact).max() <= bound, dtype


def check_borders():
    """Sizes around blocks, strips and registers of each level, in layouts that no copy comes
    before."""
    rng = np.random.default_rng(0)
    for dtype, tolerance in TOLERANCE.items():
        large = ((261, 290, 65), (300, 515, 96), (580, 270, 544))  # shared among tasks
        small = itertools.product(
            (1, 4, 5, 6, 7, 13, 14, 15, 29), (1, 4, 5, 8, 9, 16, 17, 31, 33), (1, 2, 257, 770)
        )
        for m, n, k in itertools.chain(small, large):
            x, y = numbers(rng, dtype, k, m + 3), numbers(rng, dtype, 2 * n, k)
            x, y = x[:, 1 : m + 1], y[::-2]
            for left, right in ((x.T, y.T), (mx.contiguous(x.T), mx.contiguous(y.T))):
                exact = exactly(left) @ exactly(right)
                bound = tolerance * (k**0.5 + np.abs(exact).max())
                assert np.abs(exactly(left @ right) - exact).max() <= bound, (dtype, m, n, k)


@pytest.mark.parametrize("level", levels.LOWER)
def test_borders_at_each_level(level):
    levels.run(level, "-c", "import test_products as t\nt.check_borders()")


def test_borders():
    check_borders()
