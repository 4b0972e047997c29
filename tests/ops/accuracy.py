"""Points at which elementwise functions are hard, and what they are there in exact arithmetic. As a
program: the bits of all of them at the level of this process, as JSON."""

import hashlib
import json

import mpmath as mp
import numpy as np

import lazulite.core as mx
from lazulite.core import _core
from table import ROWS, dtype_of

DTYPES = {"float32": np.float32, "float64": np.float64}
# Zeros, poles, maxima and ends of ranges of some function or other.
MARKS = [1e-10, 0.1, 0.25, 0.36787944117144233, 0.5, 0.75, 1.0, 1.4616321449683623, 1.5, 2.0]
MARKS += [2.5, 3.0, 0.504083008264455, 2.457024738220801, 2.7476826467274127, 3.143580888349977]
MARKS += [4.653237761743142, 8.0, 9.2, 10.5, 14.3, 16.0, 24.5, 26.5, 38.4, 40.0, 87.33, 88.72]
MARKS += [103.9, 126.0, 149.0, 708.39, 709.78, 713.9, 745.13, 1022.0, 65536.5, 1e5, 8388608.5]
MARKS += [1e10, 4503599627370495.5, 1e15, 1e22, 1e30]
MARKS += [k * np.pi / 4 for k in (1, 2, 3, 4, 6, 8, 22, 710)]


def points(row, dtype, count=40):
    """Marks with both neighbours and both signs, the ends of the dtype, and chance."""
    t = DTYPES[dtype]
    info = np.finfo(t)
    rng = np.random.default_rng(7)
    marks = [t(m) for m in MARKS if m < info.max]
    marks += [info.smallest_subnormal, info.tiny / 2, info.tiny, info.eps, info.max / 2, info.max]
    marks = np.array(marks, t)
    with np.errstate(over="ignore"):
        near = [marks, np.nextafter(marks, t(0)), np.nextafter(marks, t(np.inf))]
    near = np.concatenate(near)
    powers = 2.0 ** rng.uniform(info.minexp, info.maxexp, count)
    chance = rng.uniform(row.low, row.high, 2 * count)
    x = np.concatenate([near, -near, powers, -powers, chance]).astype(t)
    return x[np.isfinite(x) & (x != 0)]


def arguments(row, dtype):
    x = points(row, dtype)
    if row.operands == 1:
        return [x]
    rng = np.random.default_rng(8)
    chance = rng.uniform(row.low, row.high, x.shape).astype(x.dtype)
    firsts = [x, rng.permutation(x), x, chance, chance]
    seconds = [rng.permutation(x), x, chance, x, rng.permutation(chance)]
    return [np.concatenate(firsts), np.concatenate(seconds)]


def results(row, dtype):
    arrays = [mx.array(x, dtype_of(dtype)) for x in arguments(row, dtype)]
    return np.array(row.function(*arrays))


def is_counted(row):
    """An elementwise function of real numbers with a real result."""
    if not row.elementwise or any(dtype not in row.types for dtype in DTYPES):
        return False
    return row.function(*[mx.array([1.5])] * row.operands).dtype == mx.float32


COUNTED = [row for row in ROWS if is_counted(row)]


# ---- in exact arithmetic; None: not asked there --------------------------------------------------


def exact(row):
    name = row.name
    for known in (globals().get("_" + name), getattr(mp, name, None)):
        if known:
            return known
    if name.startswith("arc"):
        return getattr(mp, "a" + name[3:])
    raise AssertionError(f"no exact {name}: add _{name} to {__name__}.py")


def _abs(x):
    return abs(x)


def _negative(x):
    return -x


def _square(x):
    return x * x


def _rsqrt(x):
    return 1 / mp.sqrt(x)


def _reciprocal(x):
    return 1 / x


def _log2(x):
    return mp.log(x) / mp.log(2)


def _log1p(x):
    return mp.log1p(x)


def _tan(x):
    return mp.sin(x) / mp.cos(x)


def _erfinv(x):
    return mp.erfinv(x) if abs(x) <= 1 else mp.nan


def _sigmoid(x):
    return 1 / (1 + mp.exp(-x))


_expit = _sigmoid


def _trunc(x):
    return mp.floor(x) if x > 0 else mp.ceil(x)


def _ndtr(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def _logit(x):
    return mp.log(x / (1 - x)) if 0 < x < 1 else None


def _entr(x):
    return -x * mp.log(x) if x > 0 else None


def _gammaln(x):
    if x == mp.floor(x) and x <= 0:
        return None
    return mp.log(abs(mp.gamma(x))) if -1e4 < x < 20 else mp.re(mp.loggamma(x)) if x > 0 else None


_lgamma = _gammaln


def _digamma(x):
    return None if x == mp.floor(x) and x <= 0 or x < -1e4 else mp.digamma(x)


def _i0(x):
    return mp.besseli(0, x) if abs(x) < 720 else mp.inf


def _i1(x):
    return mp.besseli(1, x) if abs(x) < 720 else mp.sign(x) * mp.inf


def _add(a, b):
    return a + b


def _subtract(a, b):
    return a - b


def _multiply(a, b):
    return a * b


def _divide(a, b):
    return a / b


def _floor_divide(a, b):
    with mp.workprec(4600):
        return mp.floor(a / b)


def _remainder(a, b):
    with mp.workprec(4600):
        return a - b * mp.floor(a / b)


def _maximum(a, b):
    return max(a, b)


def _minimum(a, b):
    return min(a, b)


def _arctan2(a, b):
    return mp.atan2(a, b)


_atan2 = _arctan2


def _power(a, b):
    if a < 0 and b != mp.floor(b):
        return mp.nan
    if abs(b * mp.log(abs(a))) > 1e5:
        return (mp.inf if b * mp.log(abs(a)) > 0 else mp.mpf(0)) * (
            -1 if a < 0 and mp.fmod(b, 2) != 0 else 1
        )
    return mp.power(a, b)


_pow = _power


def _logaddexp(a, b):
    big, small = max(a, b), min(a, b)
    return big + mp.log1p(mp.exp(small - big))


def _copysign(a, b):
    return abs(a) if b > 0 else -abs(a)


def _nextafter(a, b):
    return None  # of the dtype, not of exact arithmetic: beside NumPy's


def _xlogy(a, b):
    return a * mp.log(b) if b > 0 else mp.nan


def _zeta(s, q):
    if not (1 < s < 200 and 1e-3 < q < 200):
        return None
    with mp.workprec(120 + int(abs(s * mp.log(q + 2)) * 2)):
        return mp.zeta(s, q)


def cancels(row, values):
    """Sums whose terms may be larger than they are: their error is counted in those."""
    return max(map(abs, values)) if row.name == "logaddexp" else 0


if __name__ == "__main__":
    found = {
        f"{row!r}({dtype})": hashlib.blake2b(
            np.where(np.isnan(y), np.nan, y).astype(dtype).tobytes(), digest_size=8
        ).hexdigest()
        for row in COUNTED
        for dtype in DTYPES
        for y in [results(row, dtype)]
    }
    print(json.dumps({"level": _core._level(), "bits": found}))
