"""Powers by numbers that a product or a root gives: the same as by an array of exponents, within
what the row promises, in every dtype, layout, transform and form of the call."""

import numpy as np
import pytest

import lazulite.core as mx

RNG = np.random.default_rng(11)
KNOWN = [1, 2, 3, -1, 0.5, -0.5]


def numbers(size, dtype):
    return mx.array(RNG.uniform(-30, 30, size)).astype(dtype)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32, mx.float64])
@pytest.mark.parametrize("n", KNOWN)
def test_a_known_power_is_the_power_by_an_array(dtype, n):
    x = abs(numbers(1000, dtype)) + 0.1
    for a in (x, x.reshape(25, 40).T, x[::-3]):
        by_array = np.array(mx.power(a, mx.full(a.shape, n, dtype)).astype(mx.float64))
        wanted = np.array(a.astype(mx.float64)) ** n
        of_one = 2.0 ** -{mx.float16: 11, mx.bfloat16: 8, mx.float32: 24, mx.float64: 53}[dtype]
        for y in (a**n, mx.power(a, n), a.power(n) if hasattr(a, "power") else a**n, a ** float(n)):
            assert y.dtype == dtype
            got = np.array(y.astype(mx.float64))
            np.testing.assert_allclose(got, by_array, rtol=8 * of_one)
            np.testing.assert_allclose(got, wanted, rtol=(6 if n == -0.5 else 4) * of_one)
        assert mx.array_equal(mx.compile(lambda a: a**n)(a), a**n)


@pytest.mark.parametrize("dtype", [mx.int8, mx.uint8, mx.int32, mx.uint32, mx.int64, mx.uint64])
def test_integers_wrap_as_their_products_do(dtype):
    x = mx.array(RNG.integers(0, 127, 500)).astype(dtype)
    with np.errstate(over="ignore"):
        for n in (1, 2, 3):
            assert (np.array(x**n) == np.array(x) ** np.array(n, np.array(x).dtype)).all()
    assert (x**2).dtype == dtype
    assert (x**2.0).dtype == (x**mx.array(2.0)).dtype
    if dtype in (mx.int8, mx.int32, mx.int64):
        assert mx.array_equal(x**-1, x ** mx.array(-1, dtype))


@pytest.mark.parametrize("dtype", [mx.complex64, mx.complex128])
def test_complex_numbers(dtype):
    z = (numbers(300, mx.float64) + 1j * numbers(300, mx.float64)).astype(dtype)
    for n in KNOWN:
        got, wanted = np.array(z**n), np.array(z).astype(complex) ** n
        np.testing.assert_allclose(got, wanted, rtol=1e-5 if dtype == mx.complex64 else 1e-13)


def test_ends_are_those_of_roots_and_products():
    inf, nan = np.inf, np.nan
    x = np.array([0.0, -0.0, 1, -1, inf, -inf, nan, 1e-30, 1e30, 1e-45], np.float32)
    with np.errstate(all="ignore"):
        wanted = {2: x * x, 3: x * x * x, -1: 1 / x, 0.5: np.sqrt(x), -0.5: 1 / np.sqrt(x)}
    for n, w in wanted.items():
        got = np.array(mx.array(x) ** n)
        np.testing.assert_allclose(got, w, rtol=3e-7, err_msg=str(n))
        told = ~np.isnan(w)
        assert (np.signbit(got) == np.signbit(w))[told].all(), n


def test_derivatives_of_known_powers():
    x = mx.array([0.7, -1.3, 2.1])
    for n in KNOWN:
        a = abs(x) if n in (0.5, -0.5) else x
        for k, f in enumerate((mx.grad, lambda g: mx.grad(lambda a: mx.grad(g)(a).sum()))):
            slope = np.prod([n - i for i in range(k + 1)]) * np.array(a) ** (n - k - 1.0)
            got = f(lambda a: (a**n).sum())(a)
            np.testing.assert_allclose(np.array(got), slope, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(np.array(mx.vmap(lambda v: v**n)(a)), np.array(a**n))
        tangent = mx.jvp(lambda a: a**n, (a,), (mx.ones_like(a),))[1][0]
        np.testing.assert_allclose(np.array(tangent), n * np.array(a) ** (n - 1.0), rtol=1e-5)


def test_in_place_and_bad_exponents():
    x = mx.array([2.0, 3.0])
    x **= 2
    assert x.tolist() == [4.0, 9.0]
    assert (x ** np.float32(0.5)).tolist() == [2.0, 3.0]
    assert (x ** np.float64(0.5)).dtype == (x * np.float64(0.5)).dtype
    assert (x**True).tolist() == [4.0, 9.0]
    with pytest.raises((ValueError, TypeError)):
        x ** "2"
