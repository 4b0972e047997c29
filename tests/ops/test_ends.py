"""Complex functions at zeros, infinities and nans: as C (annex G), the Array API and NumPy have
them."""

import numpy as np
import pytest

import lazulite.core as mx
from table import COMPLEX_UNARY, complex_ends, dtype_of

BOTH = pytest.mark.parametrize("dtype", ["complex64", "complex128"])


# ---- where NumPy departs from C or from the Array API --------------------------------------------


def _expm1(z):  # NumPy: nan where 0 meets an infinity
    return np.where(np.abs(z.real) < 1, np.expm1(z), np.exp(z) - 1)


def _log1p(z):  # NumPy: adds 1 first
    return np.where((np.abs(z) < 1e-20) & (z.real != 0), z, np.log1p(z))


def _square(z):  # NumPy: infinities by way of a fused step
    return _joined(z.real * z.real - z.imag * z.imag, z.real * z.imag + z.real * z.imag, z.dtype)


def _sign(z):  # NumPy: a unit also for an infinity beside a nan
    return np.where(np.isnan(z.real) | np.isnan(z.imag), complex(np.nan, np.nan), np.sign(z))


def _reciprocal(z):  # NumPy: nan at 0 and where both parts are infinite
    out = np.reciprocal(z)
    out[z == 0] = complex(np.inf, np.nan)
    out[np.isinf(z.real) & np.isinf(z.imag)] = 0
    return out


def _rsqrt(z):
    return _reciprocal(np.sqrt(z))


OWN = {f.__name__[1:]: f for f in (_expm1, _log1p, _square, _sign, _reciprocal, _rsqrt)}
# Products and quotients of zeros and infinities: their signs are those of no rule.
ANY_SIGN = {f.__name__[1:] for f in (_expm1, _square, _reciprocal, _rsqrt)}


def _joined(re, im, dtype):
    out = np.empty(re.shape, dtype)
    out.real, out.imag = re, im
    return out


def agrees(got, want, loose, rtol):
    """By element; `loose`: of any sign."""
    got, want = np.where(loose, np.abs(got), got), np.where(loose, np.abs(want), want)
    near = (got == want) | (np.abs(got - want) <= rtol * np.abs(want))
    return np.isnan(got) & np.isnan(want) | near & (np.signbit(got) == np.signbit(want))


@BOTH
@pytest.mark.parametrize("row", COMPLEX_UNARY, ids=repr)
def test_values_at_the_ends_are_those_of_c(row, dtype):
    z = complex_ends(dtype)
    got = np.array(row.function(mx.array(z, dtype_of(dtype))))
    with np.errstate(all="ignore"):
        want = OWN.get(row.name, getattr(np, row.name, None))(z)
        if got.dtype.kind != "c":
            np.testing.assert_allclose(got, want, 1e-6)
            return
        rtol = 2e-6 if dtype == "complex64" else 1e-13
        # C leaves signs open beside a nan, and of zeros where no part of z is finite.
        none = ~np.isfinite(z.real) & ~np.isfinite(z.imag)
        loose_re = np.isnan(want.imag) | (none & (want.real == 0)) | (row.name in ANY_SIGN)
        loose_im = np.isnan(want.real) | (none & (want.imag == 0)) | (row.name in ANY_SIGN)
        same = agrees(got.real, want.real, loose_re, rtol)
        same &= agrees(got.imag, want.imag, loose_im, rtol)
    assert same.all(), [(z[i], got[i], want[i]) for i in np.flatnonzero(~same)[:5]]


@BOTH
def test_a_nan_stays_a_nan(dtype):
    z = complex_ends(dtype)
    z = z[np.isnan(z) & ~np.isinf(z.real) & ~np.isinf(z.imag)]
    for row in COMPLEX_UNARY:
        got = np.array(row.function(mx.array(z, dtype_of(dtype))))
        assert got.dtype == bool or np.isnan(got).all(), row


@BOTH
def test_powers_at_the_ends(dtype):
    z = complex_ends(dtype)
    a = mx.array(z, dtype_of(dtype))

    def power(exponent):
        return np.array(a ** mx.array(exponent, dtype_of(dtype)))

    infinite = np.isinf(z)
    zero = z == 0
    unusual = infinite | np.isnan(z)
    np.testing.assert_array_equal(power(0), np.ones_like(z))
    np.testing.assert_array_equal(power(1)[unusual], z[unusual])
    assert np.isinf(power(2.5)[infinite]).all() and (power(2.5)[zero] == 0).all()
    known = infinite & ~np.isnan(z.real) & ~np.isnan(z.imag)
    assert (power(-1)[known] == 0).all() and np.isinf(power(-1)[zero]).all()
    for exponent in (2, -1, 0.5, 1j, 1 + 1j):
        got = power(exponent)
        assert np.isnan(got[np.isnan(z) & ~infinite]).all()
        assert np.isnan(np.array(mx.array(exponent, dtype_of(dtype)) ** a))[
            np.isnan(z) & ~infinite
        ].all()


@BOTH
def test_logaddexp_takes_minus_infinity_at_any_angle_for_nothing(dtype):
    t = dtype_of(dtype)
    for angle in (0.0, 1.0, np.inf, np.nan):
        nothing = np.array([complex(-np.inf, angle)], dtype)
        for there in (0j, 1 + 1j, -3j):
            some = mx.array([there], t)
            got = np.array([mx.logaddexp(mx.array(nothing, t), some), mx.logaddexp(some, nothing)])
            np.testing.assert_allclose(got.ravel(), [there, there], rtol=1e-6)


@BOTH
def test_inverse_functions_of_the_largest_numbers(dtype):
    top = float(np.finfo(dtype).max)
    z = np.array([complex(a, b) for a in (top, -top, 0.5, 0.0) for b in (top, -top, 0.25)], dtype)
    wide = z.astype(np.clongdouble)
    for row in COMPLEX_UNARY:
        if row.name.startswith(("arc", "log", "sqrt")):
            got = np.array(row.function(mx.array(z, dtype_of(dtype))))
            np.testing.assert_allclose(got, getattr(np, row.name)(wide), 2e-6, err_msg=row.name)
