"""Products of matrices of sizes and layouts that take each of the engine's ways."""

import numpy as np
import pytest

import lazulite.core as mx

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
TOLERANCE = {mx.float64: 1e-13, mx.float32: 1e-5, mx.float16: 2e-3, mx.bfloat16: 1e-2}


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
    a, b = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    for dtype, tolerance in TOLERANCE.items():
        x, y = mx.array(a).astype(dtype), mx.array(b).astype(dtype)
        exact = np.asarray(x.astype(mx.float64)) @ np.asarray(y.astype(mx.float64))
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
        got = np.asarray(out.astype(mx.float64))
        assert np.abs(got - exact).max() <= tolerance * (k**0.5 + np.abs(exact).max()), dtype
