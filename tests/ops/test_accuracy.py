"""Each elementwise function beside exact arithmetic, at points that are hard, to the units in the
last place that its row promises; and at zeros, infinities and nan beside NumPy and SciPy."""

import json
import os
import subprocess
import sys
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
import scipy.special

import accuracy
import lazulite.core as mx
from accuracy import COUNTED, DTYPES
from lazulite.core import _core
from table import dtype_of
from levels import LOWER

# Where NumPy and SciPy depart from the Array API and from odd functions.


def _floor_divide(a, b):  # nan where an infinity is divided
    return np.where(np.isinf(a) & np.isfinite(b), a / b, np.floor_divide(a, b))


def _erfinv(x):  # 0 for -0
    return np.copysign(scipy.special.erfinv(x), x)


def _gammaln(x):  # -inf at -inf
    return np.where(np.isinf(x), np.inf, scipy.special.gammaln(x))


def _i0(x):  # nan at infinities
    return np.where(np.isinf(x), np.inf, scipy.special.i0(x))


def _i1(x):  # nan at infinities, 0 for -0
    return np.where(np.isinf(x), x, np.copysign(scipy.special.i1(x), x))


def _zeta(s, q):  # inf at poles whatever the other is; nan at s = inf
    bad = np.isnan(s) | np.isnan(q) | (s < 1) | (np.isinf(q) & (q < 0))
    want = np.where(np.isinf(s) & (q > 1), 0, scipy.special.zeta(s, q))
    return np.where(bad, np.nan, want)


DEPARTURES = (_floor_divide, _erfinv, _gammaln, _i0, _i1, _zeta)
OWN = {f.__name__[1:]: f for f in DEPARTURES} | {"lgamma": _gammaln}

EACH = pytest.mark.parametrize("dtype", DTYPES)


def units(got, want, scale, dtype):
    """The distance in units of the last place of what is exact, or of a scale above it."""
    t = DTYPES[dtype]
    info = np.finfo(t)
    if mp.isnan(want) or np.isnan(got):
        return 0 if mp.isnan(want) and np.isnan(got) else np.inf
    top = mp.mpf(float(info.max)) * (1 + mp.mpf(float(info.eps)) / 4)  # above it rounds to inf
    if np.isinf(got) or abs(want) >= top:
        near = abs(want) >= mp.mpf(float(info.max)) * (1 - 4 * mp.mpf(float(info.eps)))
        large = np.isinf(got) or abs(got) >= info.max * (1 - 4 * info.eps)
        return 0 if near and large and (got > 0) == (want > 0) else np.inf
    size = max(abs(want), scale)
    exponent = max(mp.frexp(size)[1] - 1 if size else info.minexp, info.minexp)
    return float(abs(mp.mpf(float(got)) - want) / mp.ldexp(1, int(exponent) - info.nmant))


@EACH
@pytest.mark.parametrize("row", COUNTED, ids=repr)
def test_results_are_as_near_to_exact_ones_as_the_row_says(row, dtype):
    inputs, got = accuracy.arguments(row, dtype), accuracy.results(row, dtype)
    exact, worst, compared = accuracy.exact(row), (0, None), 0
    with mp.workprec(240):
        for k in range(len(got)):
            values = [mp.mpf(float(x[k])) for x in inputs]
            try:
                want = exact(*values)
            except (ZeroDivisionError, ValueError, OverflowError):  # at a pole
                continue
            if want is None:
                continue
            want = mp.nan if isinstance(want, mp.mpc) and want.imag else mp.re(want)
            distance = units(got[k], want, accuracy.cancels(row, values), dtype)
            if distance > worst[0]:
                worst = (distance, [float(x[k]) for x in inputs], got[k], want)
            compared += 1
    assert worst[0] <= max(row.ulp, 0.5001), worst
    assert compared > 100 or accuracy.exact(row)(*values) is None


@EACH
@pytest.mark.parametrize("row", COUNTED, ids=repr)
def test_zeros_infinities_and_nan_give_what_numpy_gives(row, dtype):
    ends = np.array([0.0, -0.0, 1.0, -1.0, 2.0, -3.0, 0.5, np.inf, -np.inf, np.nan], dtype)
    inputs = [g.ravel() for g in np.meshgrid(*[ends] * row.operands)]
    got = np.array(row.function(*[mx.array(x, dtype_of(dtype)) for x in inputs]))
    with np.errstate(all="ignore"):
        want = OWN.get(row.name, row.reference())(*inputs)
        near = (got == want) | (np.abs(got - want) <= 1e-5 * np.abs(want))
    same = np.isnan(got) & np.isnan(want) | near & (np.signbit(got) == np.signbit(want))
    same |= (got == 0) & (want == 0) & (row.operands == 2)  # a zero of either sign
    assert same.all(), [(*(x[i] for x in inputs), got[i], want[i]) for i in np.flatnonzero(~same)]


def bits_at(**environment):
    done = subprocess.run(
        [sys.executable, str(Path(accuracy.__file__))],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("level", LOWER)
def test_every_level_gives_the_same_bits_at_these_points(level):
    here, there = bits_at(), bits_at(LAZULITE_ISA=level)
    assert (here["level"], there["level"]) == (_core._level(), level)
    assert {k for k, v in there["bits"].items() if here["bits"][k] != v} == set()
