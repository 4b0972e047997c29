"""Values that went wrong once: found by the fuzzer and by tables past the first block."""

import numpy as np
import pytest

import lazulite.core as mx


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32, mx.float64])
def test_floor_division_takes_the_floor_of_the_exact_quotient(dtype):
    rng = np.random.default_rng(0)
    b = mx.array(rng.uniform(0.3, 9, 4000) * rng.choice([-1, 1], 4000), dtype)
    a = mx.array(np.round(rng.uniform(-9, 9, 4000)), dtype)
    x, y = (np.array(v.astype(mx.float64)) for v in (a, b))
    np.testing.assert_array_equal(
        np.array((a // b).astype(mx.float32)), np.floor_divide(x, y).astype(np.float32)
    )


def test_floor_division_and_remainder_belong_together():
    a, b = mx.array([12.0, -1.0, 1.0, -1e-40, 0.0, -0.0]), mx.array(
        [0.3, mx.inf, -mx.inf, 1e30, 2.0, 2.0]
    )
    assert (a // b).tolist() == [39.0, -1.0, -1.0, -1.0, 0.0, 0.0]
    assert (a % b)[0].item() == pytest.approx(0.3, rel=1e-5)


@pytest.mark.parametrize("dtype", [mx.complex64, mx.complex128])
def test_logsumexp_of_complex_numbers_is_a_principal_logarithm(dtype):
    z = mx.array([1 + 3j, 1 + 3.1j, 2 + 2j, 1 + 3.1j], dtype)
    wanted = np.log(np.exp(np.array(z)).sum())
    assert abs(mx.logsumexp(z).item() - wanted) < 1e-5
    assert (
        abs(
            mx.logsumexp(mx.array([1000 + 3j, 1000 - 3j], dtype)).item().real
            - (1000 + np.log(2 * abs(np.cos(3))))
        )
        < 1e-3
    )


def test_a_fractional_factor_makes_addmm_compute_in_floats():
    a, b, c = mx.full((1, 2), 8, mx.uint8), mx.full((2, 1), 10, mx.uint8), mx.array([1], mx.uint8)
    assert mx.addmm(c, a, b, 2.0, 0.5).tolist() == [[320.5]]  # 2 * 160, not 2 * 160 modulo 256


@pytest.mark.parametrize("dtype", [mx.complex64, mx.complex128])
@pytest.mark.parametrize("columns", [1, 2, 3, 5, 8, 17, 40])
def test_products_of_complex_numbers_round_each_step(dtype, columns):
    rng = np.random.default_rng(columns)
    v = np.array(
        mx.array(rng.uniform(-2, 2, (2, columns)) + 1j * rng.uniform(-2, 2, (2, columns)), dtype)
    )
    (a, b), (c, d) = (v[0].real, v[0].imag), (v[1].real, v[1].imag)
    for got in (mx.prod(mx.array(v, dtype), 0), mx.prod(mx.contiguous(mx.array(v, dtype).T), 1)):
        got = np.array(got)
        assert (got.real == a * c - b * d).all() and (got.imag == a * d + b * c).all()
