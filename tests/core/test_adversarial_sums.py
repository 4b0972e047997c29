"""Sums of data that lose digits, in every layout: beside NumPy's errors, within a bound that no
length, order or sign of the elements moves, and with the same bits everywhere."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

import lazulite.core as mx
from lazulite.core import _core
import levels

LONG = _core._limits()["long"]  # from so many elements on, what rounding takes is kept
TREE = _core._limits()["tree"]
SIZES = [1, 7, 32, 33, 100, LONG - 1, LONG, LONG + 96, 2 * LONG, TREE, TREE + 1, 20_011]
TRIALS = 12


def normal(scale, offset):
    return lambda rng, n: offset + scale * rng.standard_normal(n)


def changing_sign(every):
    def make(rng, n):
        return np.where(np.arange(n) // every % 2, -1e4, 1e4) + rng.standard_normal(n)

    return make


def huge_at(part):
    def make(rng, n):
        x = rng.standard_normal(n)
        x[int(part * (n - 1))] = 3e4
        return x

    return make


def cancelling(distance):
    """Each number and its opposite."""

    def make(rng, n):
        x = 100 * rng.standard_normal(n)
        whole = n // (2 * distance) * 2 * distance
        pairs = x[:whole].reshape(-1, 2, distance)
        pairs[:, 1] = -pairs[:, 0]
        return x

    return make


KINDS = {
    "normal": normal(1, 0),
    "near 1e3": normal(1, 1e3),
    "near 1e6": normal(1, 1e6),
    "near 1e8": normal(20, 1e8),
    "sorted": lambda rng, n: np.sort(rng.standard_normal(n)),
    "rising": lambda rng, n: np.sort(rng.exponential(size=n)),
    "falling": lambda rng, n: -np.sort(-rng.exponential(size=n)),
    "growing": lambda rng, n: 2.0 ** np.linspace(-12, 12, n) * rng.uniform(0.5, 1, n),
    "growing, both signs": lambda rng, n: 2.0 ** np.linspace(-12, 12, n) * rng.standard_normal(n),
    "of all sizes": lambda rng, n: np.exp(3 * rng.standard_normal(n)) * rng.choice([-1, 1], n),
    **{f"huge at {part:.1f}": huge_at(part) for part in (0, 0.3, 0.5, 1)},
    **{f"signs by {n}": changing_sign(n) for n in (1, 2, 8, 16, 64, 128, TREE)},
    **{f"pairs at {n}": cancelling(n) for n in (1, 8, 32, 64, 128, 512, TREE)},
}
HALVES = ("float16", "bfloat16")
DTYPES = ["float32", "float64", *HALVES, "complex64", "complex128"]


def data(kind, n, dtype, trials=TRIALS):
    """Rows, and the same numbers in NumPy: halves as float32."""
    rng = np.random.default_rng([3, n])
    x = np.stack([KINDS[kind](rng, n) for _ in range(trials)])
    if dtype.startswith("complex"):
        x = x + 1j * np.stack([KINDS[kind](rng, n) for _ in range(trials)])
    if dtype == "float16":  # whose sums end at 65504
        x = x * (5e4 / max(5e4, np.abs(x).sum(1).max()))
    ours = mx.array(x, getattr(mx, dtype))
    return ours, np.asarray(ours.astype(mx.float32) if dtype in HALVES else ours)


def exact_sums(x):
    if np.iscomplexobj(x):
        return exact_sums(x.real) + 1j * exact_sums(x.imag)
    return np.array([math.fsum(row) for row in x.astype(np.float64)])


def unit(dtype):
    """Half a unit in the last place of 1."""
    return float(mx.finfo(getattr(mx, dtype)).eps) / 2


def in_layouts(x):
    """The sums of rows, by every way of asking for them."""
    columns, gaps = mx.contiguous(x.T), mx.contiguous(mx.stack([x, -x], -1))
    wide = mx.contiguous(mx.concatenate([columns] * 9, 1))
    apart = mx.contiguous(mx.stack([x, x * 2], 1))
    return {
        "rows": mx.sum(x, axis=1),
        "columns": mx.sum(columns, axis=0),
        "many columns": mx.sum(wide, axis=0)[-x.shape[0] :],
        "some columns": mx.sum(wide[:, : x.shape[0]], axis=0),
        "transposed": mx.sum(columns.T, axis=1),
        "with gaps": mx.sum(gaps[..., 0], axis=1),
        "reversed twice": mx.sum(mx.contiguous(x[:, ::-1])[:, ::-1], axis=1),
        "in the middle": mx.sum(mx.swapaxes(apart, 1, 2), axis=1)[:, 0],
        "alone": mx.stack([mx.sum(row) for row in x]),
        "two axes": mx.sum(x.reshape(x.shape[0], 1, -1), axis=(1, 2)),
        "of an expression": mx.sum(x * 1, axis=1),
        "columns of an expression": mx.sum(columns * 1, axis=0),
        "in a batch": mx.vmap(mx.sum)(x),
        "compiled": mx.compile(lambda v: mx.sum(v * 1, axis=1))(x),
        "times ones": mx.vmap(mx.sum, in_axes=1)(columns),
    }


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_every_layout_has_the_same_bits(n, dtype):
    for kind in ("normal", "signs by 1", "growing, both signs"):
        x, _ = data(kind, n, dtype, 5)
        ways = in_layouts(x)
        want = bytes(ways["rows"])
        for name, got in ways.items():
            assert bytes(got) == want, (kind, name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_errors_are_within_a_bound_and_beside_those_of_numpy(n, dtype):
    accumulator = "float32" if dtype in HALVES else dtype
    last = unit(dtype)
    for kind in KINDS:
        ours, x = data(kind, n, dtype)
        want, terms = exact_sums(x), np.abs(x.astype(np.complex128)).sum(1)
        got = mx.sum(ours, axis=1)
        sums = np.asarray(got.astype(mx.float32) if dtype in HALVES else got)
        off = np.abs(sums - want)
        # The result is rounded once, an element four times before what is rounded off is kept; in
        # short sums 15 times, and five times where lanes are folded.
        roundings = 4.01 if n >= LONG else 20
        parts = 2 if dtype.startswith("complex") else 1
        bound = parts * (last * np.abs(want) * 1.01 + roundings * unit(accumulator) * terms)
        if dtype == "float16":
            bound += 2.0**-25
        assert (off <= bound).all(), (kind, off / bound)
        theirs = np.abs(x.sum(1) - want)
        # Chance apart, which decides below what a third of a rounding of every element does, in
        # short sums two roundings.
        ours_rms, theirs_rms = np.sqrt((off**2).mean()), np.sqrt((theirs**2).mean())
        chance = unit(accumulator) * np.sqrt((terms**2).mean()) * (0.35 if n >= LONG else 2)
        least = max(last * np.abs(want).max(), chance, 2.0**-25 if dtype == "float16" else 0)
        assert ours_rms <= max(1.05 * theirs_rms, least), (kind, ours_rms, theirs_rms, least)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "float16", "bfloat16"])
def test_means_near_a_million(dtype):
    """A rounding of the mean and four of its terms, however many there are."""
    near = 1e3 if dtype == "float16" else 1e6
    x = np.random.default_rng(1).standard_normal(3 * 10**5) + near
    ours = mx.array(x, getattr(mx, dtype))
    same = np.asarray(ours.astype(mx.float64)) if dtype != "complex64" else np.asarray(ours).real
    limit = (1.01 * unit(dtype) + 5 * unit("float32" if dtype in HALVES else dtype)) * near * 1.01
    for shape, axis in (
        ((3 * 10**5,), 0),
        ((3, 10**5), 1),
        ((10**5, 3), 0),
        ((30, 100, 100), (0, 2)),
    ):
        got = mx.mean(ours.reshape(shape), axis=axis)
        got = np.asarray(got).real if dtype == "complex64" else np.asarray(got.astype(mx.float64))
        want = same.reshape(shape).astype(np.longdouble).mean(axis)
        assert (np.abs(got - want) <= limit).all(), (shape, got, want)


@pytest.mark.much_data
@pytest.mark.parametrize("shape, axis", [((10**8,), 0), ((4, 25_000_000), 1), ((12_500_000, 8), 0)])
def test_a_hundred_million_numbers_near_a_million(shape, axis):
    x = np.random.default_rng(5).standard_normal(shape, np.float32)
    x += np.float32(1e6)
    ours = mx.array(x)
    sums = x.sum(axis, np.float64)  # exact: 53 bits hold 1e8 steps of 1/16 near 1e6
    count = x.shape[axis]
    total = np.asarray(mx.sum(ours, axis=axis))
    assert (np.abs(total - sums) <= 5 * unit("float32") * np.abs(sums)).all()
    mean = np.asarray(mx.mean(ours, axis=axis))
    assert (np.abs(mean - sums / count) <= 6 * unit("float32") * 1e6).all()
    # Squares of what is left of the numbers without their mean, which are exact in float64.
    squares = sum(
        ((part.astype(np.float64) - 1e6) ** 2).sum(axis)
        for part in np.array_split(x, 50, axis=axis)
    )
    variances = squares / count - (sums / count - 1e6) ** 2
    ours_off = np.abs(np.asarray(mx.var(ours, axis=axis)) - variances)
    theirs_off = np.abs(x.var(axis) - variances)
    assert (ours_off <= np.maximum(theirs_off, 1e-6)).all(), (ours_off, theirs_off)


@pytest.mark.parametrize("n", [LONG - 1, LONG, TREE + 1, 50_000])
def test_what_is_not_finite_and_zeros_are_as_in_numpy(n):
    for dtype in ("float32", "float64"):
        x = np.ones(n, dtype)
        for special in (np.inf, -np.inf, np.nan):
            x[n // 2] = special
            for axis, a in ((0, x[:, None]), (1, x[None])):
                got = float(mx.sum(mx.array(a, getattr(mx, dtype)), axis=axis).item())
                np.testing.assert_equal(got, special)
        x[0] = -np.inf
        x[-1] = np.inf
        assert np.isnan(float(mx.sum(mx.array(x, getattr(mx, dtype)))))
        large = np.full(n, np.finfo(dtype).max / 4)
        assert float(mx.sum(mx.array(large, getattr(mx, dtype)))) == np.inf
        zero = mx.sum(mx.full((n,), -0.0, getattr(mx, dtype)))
        assert np.signbit(np.asarray(zero)) and float(zero) == 0
        tiny = np.full(n, np.finfo(dtype).smallest_subnormal, dtype)
        assert float(mx.sum(mx.array(tiny, getattr(mx, dtype)))) == n * tiny[0].astype(float)


@pytest.mark.parametrize("level", levels.LOWER)
def test_all_of_this_holds_at_every_level(level):
    levels.run(level, "-m", "pytest", "-q", "-x", __file__, "-k", "not (every_level or hundred)")


def test_levels_and_threads_give_the_same_bits():
    program = (
        "import numpy as np, lazulite.core as mx\n"
        "for t in (mx.float32, mx.float64, mx.float16, mx.bfloat16, mx.complex64, mx.complex128):\n"
        "    for shape in ((7, 5000), (5000, 7), (1, 140_001), (700, 513), (140_001, 1)):\n"
        "        x = np.random.default_rng(4).standard_normal(shape)\n"
        "        x = x + 1j * x[::-1] if t in (mx.complex64, mx.complex128) else x\n"
        "        x = mx.array(x).astype(t)\n"
        "        for axis in (0, 1, None):\n"
        "            print(bytes(mx.sum(x, axis)).hex(), bytes(mx.sum(x * x, axis)).hex())\n"
    )
    answers = set()
    for level in (*levels.LOWER, levels.HERE):
        for threads in "1", "3":
            done = subprocess.run(
                [sys.executable, "-c", program],
                env={**os.environ, "LAZULITE_ISA": level, "LAZULITE_THREADS": threads},
                capture_output=True,
                text=True,
                check=True,
            )
            answers.add(done.stdout)
    assert len(answers) == 1
