"""Special functions and the parts of floats: what the tables of tests/ops do not ask."""

import numpy as np
import pytest
import scipy.special

import lazulite.core as mx


def slope(f, x):
    return np.array(mx.grad(lambda a: f(a).sum())(mx.array(x, mx.float64)))


def test_derivatives_are_the_functions_that_mathematics_names():
    x = np.array([-2.3, -0.4, 0.3, 1.0, 2.0, 7.5, 40.0])
    np.testing.assert_allclose(slope(mx.gammaln, x), scipy.special.digamma(x), rtol=1e-13)
    np.testing.assert_allclose(slope(mx.digamma, x), scipy.special.polygamma(1, x), rtol=1e-13)
    second = slope(lambda a: mx.zeta(2.0, a), x[2:])
    np.testing.assert_allclose(second, scipy.special.polygamma(2, x[2:]), rtol=1e-13)
    np.testing.assert_allclose(slope(mx.i0, x[:4]), scipy.special.i1(x[:4]), rtol=1e-13)
    at_zero = [slope(f, np.zeros(1))[0] for f in (mx.i0, mx.i1, mx.erfc, mx.ndtr)]
    np.testing.assert_allclose(at_zero, [0, 0.5, -2 / np.pi**0.5, 1 / (2 * np.pi) ** 0.5], 1e-15)


def test_derivatives_at_zero_are_finite_where_the_function_turns():
    assert slope(lambda a: mx.hypot(a, 0.0), np.zeros(2)).tolist() == [0, 0]
    x, y = mx.zeros((2,)), mx.array([0.0, 2.0])
    first, second = mx.grad(lambda a, b: mx.xlogy(a, b).sum(), argnums=(0, 1))(x, y)
    np.testing.assert_allclose(np.array(first), [0, np.log(2.0)], rtol=1e-6)
    assert np.array(second)[1] == 0


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16"])
def test_frexp_takes_apart_what_ldexp_puts_together(dtype):
    t = getattr(mx, dtype)
    top = {"float16": 15, "float64": 1000}.get(dtype, 120)
    values = [0.0, -0.0, 1.0, -3.5, 2.0**top, -(2.0**-top), 2.0 ** -(top + 5), np.inf, -np.inf]
    x = mx.array(np.array(values), t)
    mantissa, exponent = mx.frexp(x)
    assert (mantissa.dtype, exponent.dtype) == (t, mx.int32)
    back = mx.ldexp(mantissa, exponent)
    assert back.dtype == t
    assert mx.array_equal(back.view(mx.uint8), x.view(mx.uint8))


def test_ldexp_rounds_once_and_ends_in_infinity_and_zero():
    x = np.array([1.5, 1.0000001, 1.9999999, -1.25, 0.0, np.inf], np.float32)
    for n in (-150, -149, -140, -126, 0, 100, 127, 128, 10**6, -(10**6)):
        with np.errstate(all="ignore"):
            want = np.ldexp(x, n)
        np.testing.assert_array_equal(np.array(mx.ldexp(mx.array(x), n)), want)
    with pytest.raises(ValueError, match=r"\[ldexp\].*integers"):
        mx.ldexp(mx.array([1.0]), 0.5)


def test_the_next_half_is_that_of_numpy_for_all_of_them():
    bits = np.arange(2**16, dtype=np.uint16)
    x = bits.view(np.float16)
    for to in (np.inf, -np.inf, 0.0, -0.0, 1.0, 6.1e-5, np.nan):
        to = np.float16(to)
        got = np.array(mx.nextafter(mx.array(x), mx.array(to)))
        with np.errstate(all="ignore"):
            want = np.nextafter(x, to)
        assert np.isnan(got[np.isnan(want)]).all()
        there = ~np.isnan(want) & (x != to)  # equal ones: as C, of the sign of the other zero
        np.testing.assert_array_equal(got.view(np.uint16)[there], want.view(np.uint16)[there])


def test_the_next_bfloat16_is_one_bit_away():
    x = mx.array([1.0, -1.0, 0.0, 3.3895314e38, mx.inf]).astype(mx.bfloat16)
    up = mx.nextafter(x, mx.array(mx.inf, mx.bfloat16)).view(mx.uint16)
    assert up.tolist() == [0x3F81, 0xBF7F, 1, 0x7F80, 0x7F80]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "uint64"])
def test_divisors_and_multiples_are_those_of_numpy_at_the_ends(dtype):
    info = np.iinfo(dtype)
    ends = [0, 1, 2, 3, 12, 18, 100, info.max, info.max - 1, info.min, info.min // 2 + 1]
    a, b = (g.ravel() for g in np.meshgrid(*[np.array(ends, dtype)] * 2))
    t = getattr(mx, dtype)
    np.testing.assert_array_equal(np.array(mx.gcd(mx.array(a, t), mx.array(b, t))), np.gcd(a, b))
    small = (np.abs(a.astype(float)) < 200) & (np.abs(b.astype(float)) < 200)
    if info.max < 200:
        small &= (a < 12) & (b < 12)
    a, b = a[small & (a >= 0) & (b >= 0)], b[small & (a >= 0) & (b >= 0)]
    np.testing.assert_array_equal(np.array(mx.lcm(mx.array(a, t), mx.array(b, t))), np.lcm(a, b))
    with pytest.raises(ValueError, match=r"\[gcd\] dtype"):
        mx.gcd(mx.array([1.0]), mx.array([2.0]))


def test_zeta_of_negative_arguments_is_the_sum_of_its_terms():
    q = np.array([-0.5, -1.25, -3.75, -20.3, -0.01])
    for s in (2, 3, 4, 5):
        head = sum((q + k) ** float(-s) for k in range(30))
        want = head + scipy.special.zeta(s, q + 30)
        got = np.array(mx.zeta(float(s), mx.array(q, mx.float64)))
        np.testing.assert_allclose(got, want, rtol=1e-13)
    ends = mx.zeta(mx.array([1.0, 0.5, 2.0, 2.5, 2.0]), mx.array([2.0, 2.0, -1.0, -0.5, mx.inf]))
    np.testing.assert_array_equal(np.array(ends), [np.inf, np.nan, np.inf, np.nan, 0])


def test_signs_of_zeros_and_nans_are_seen_and_copied():
    x = np.array([0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf, 1.0, -2.0], np.float32)
    assert mx.signbit(mx.array(x)).tolist() == np.signbit(x).tolist()
    assert mx.signbit(mx.array([-1, 0, 3])).tolist() == [True, False, False]
    got = np.array(mx.copysign(mx.array(3.0), mx.array(x)))
    np.testing.assert_array_equal(got, np.copysign(np.float32(3), x))


def test_gammaln_is_exact_next_to_its_roots():
    """Below -2 it has two between neighbours of the integers, where large logarithms cancel."""
    mp = pytest.importorskip("mpmath")
    near = []
    with mp.workprec(240):

        def exact(x):
            return mp.log(abs(mp.gamma(x)))

        for n in range(2, 16):
            for low, high in ((-n - 1, mp.mpf(-n) - 0.5), (mp.mpf(-n) - 0.5, -n)):
                a, b = low + mp.mpf(2) ** -120, high - mp.mpf(2) ** -120
                if exact(a) * exact(b) > 0:
                    continue
                for _ in range(130):
                    middle = (a + b) / 2
                    a, b = (a, middle) if exact(a) * exact(middle) <= 0 else (middle, b)
                root = float(a)
                near += [root, np.nextafter(root, 0), np.nextafter(root, -99), root * (1 + 1e-9)]
        near = [x for x in near if x != round(x)]
        assert len(near) > 80
        got = np.array(mx.gammaln(mx.array(near, mx.float64)))
        for x, y in zip(near, got):
            want = exact(mp.mpf(x))
            assert abs(mp.mpf(float(y)) - want) <= 2 * np.spacing(abs(float(want))), x
