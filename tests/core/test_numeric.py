"""Counts, histograms, curves and correlations beside NumPy: what the table's cases do not reach."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

import lazulite.core as mx

RNG = np.random.default_rng(0)
DATA = RNG.normal(0, 2, 200).astype(np.float32)
RULES = ["auto", "fd", "doane", "scott", "stone", "rice", "sturges", "sqrt"]


def close(a, b, **options):
    assert np.shape(a) == np.shape(b)
    assert np.allclose(np.array(a), b, equal_nan=True, **options), (np.array(a), b)


# ---- counting
def test_bincount_is_as_long_as_the_largest_number_asks_for():
    x = np.array([3, 1, 1, 7])
    for dtype in ("int8", "uint8", "int32", "uint32", "int64", "uint64"):
        a = mx.array(x, getattr(mx, dtype))
        assert mx.bincount(a).tolist() == np.bincount(x).tolist()
        assert mx.bincount(a, minlength=12).tolist() == np.bincount(x, minlength=12).tolist()
    w = np.array([0.5, 1, 2, 4])
    assert mx.bincount(a, mx.array(w)).tolist() == np.bincount(x, w).tolist()
    assert mx.bincount(a, mx.array(w)).dtype == mx.float32 and mx.bincount(a).dtype == mx.int32
    assert mx.bincount(mx.array([], mx.int32)).tolist() == []
    assert mx.bincount(mx.array([], mx.int32), minlength=2).tolist() == [0, 0]
    assert mx.bincount(a, length=4).tolist() == [0, 2, 0, 1]
    assert mx.bincount(mx.array([-1, 0, 9]), length=2).tolist() == [1, 0]


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: mx.bincount(mx.array([1, -2])), "a negative number: got -2"),
        (lambda: mx.bincount(mx.array([1.5])), "not a vector of integers"),
        (lambda: mx.bincount(mx.ones((2, 2), mx.int32)), "not a vector of integers"),
        (lambda: mx.bincount(mx.array([1]), mx.ones(2)), "weights do not fit"),
        (lambda: mx.bincount(mx.array([1]), minlength=-1), "negative length"),
    ],
)
def test_bincount_refuses(call, text):
    with pytest.raises(ValueError, match=rf"\[bincount\] {text}"):
        call()


@pytest.mark.parametrize("n", [1, 3, 4, 5, 2047, 16385, 131072, 300001])
@pytest.mark.parametrize("top", [1, 2, 10, 1023, 1024, 1025, 40000])
def test_bincount_of_every_size(n, top):
    """Numbers that are few, many, beyond the length and negative, in every layout."""
    rng = np.random.default_rng(n + top)
    x = rng.integers(-3, top + 2, n)
    w = rng.integers(-9, 9, n).astype(np.float32)  # whole numbers: sums have no order
    kept = (x >= 0) & (x < top)
    want, sums = np.bincount(x[kept], minlength=top), np.bincount(x[kept], w[kept], top)
    for dtype in ("int32", "int64") if top > 99 else ("int8", "int16", "int32", "int64"):
        a = mx.array(x, getattr(mx, dtype))
        spread = mx.stack([a, a + 1], 1)[:, 0]
        mx.eval(spread)
        for given in (a, spread, a[::-1]):
            assert mx.bincount(given, length=top).tolist() == want.tolist()
        for t in (mx.float32, mx.float64, mx.complex64):
            got = mx.bincount(a[::-1], mx.array(w, t)[::-1], length=top)
            assert got.dtype == t and (np.asarray(got) == sums).all()
    many = mx.bincount(mx.array(x[kept], mx.uint32)) if kept.any() else mx.zeros(0)
    assert many.tolist() == np.trim_zeros(want, "b").tolist()


def test_weighted_counts_add_in_order_and_halves_are_rounded_once():
    rng = np.random.default_rng(5)
    x, w = rng.integers(0, 7, 40000), rng.normal(size=40000).astype(np.float32)
    want = np.zeros(7, np.float32)
    np.add.at(want, x, w)
    assert np.asarray(mx.bincount(mx.array(x), mx.array(w))).tobytes() == want.tobytes()
    half = mx.array(w).astype(mx.float16)
    sums = mx.bincount(mx.array(x), half.astype(mx.float32))
    assert mx.bincount(mx.array(x), half).tolist() == sums.astype(mx.float16).tolist()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "uint64", "int64"])
def test_the_length_of_bincount_is_read_of_any_layout(dtype):
    """Of few numbers where they lie, of more by a reduction."""
    for n in (1, 2, 63, 511, 512, 513, 3001):
        x = np.random.default_rng(n).integers(0, 100, 2 * n + 1).astype(dtype)
        a = mx.array(x, getattr(mx, dtype))
        for key in (slice(0, n), slice(None, None, 2), slice(None, None, -2), slice(n, None, -1)):
            assert mx.bincount(a[key]).tolist() == np.bincount(x[key].astype(int)).tolist()
            assert mx.bincount(a[key] + 1).tolist() == np.bincount(x[key].astype(int) + 1).tolist()
        one = mx.broadcast_to(a[:1], (n,))
        assert mx.bincount(one).tolist() == [0] * int(x[0]) + [n]
        for at in {0, n // 2, n - 1}:
            if dtype[0] == "i":
                with pytest.raises(ValueError, match="a negative number: got -7"):
                    mx.bincount(mx.where(mx.arange(n) == at, -7, a[:n]).astype(a.dtype))
            if dtype[-2:] == "64":
                top = 2**63 - 1 + (dtype == "uint64")
                with pytest.raises(MemoryError, match="too large"):
                    mx.bincount(mx.where(mx.arange(n) == at, mx.array(top, a.dtype), a[:n]))


def test_bincount_has_derivatives_and_lanes():
    x = mx.array([[0, 3, 3, 9, -1], [2, 2, 0, 1, 3]])
    w = mx.array(np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32))
    f = lambda i, v: mx.bincount(i, v, length=4)  # noqa: E731
    assert mx.vmap(f)(x, w).tolist() == [f(x[k], w[k]).tolist() for k in range(2)]
    assert mx.vmap(f, in_axes=(None, 0))(x[0], w).tolist() == [f(x[0], v).tolist() for v in w]
    assert mx.vmap(f, in_axes=(0, None))(x, w[0]).tolist() == [f(i, w[0]).tolist() for i in x]
    assert mx.vmap(lambda i: mx.bincount(i, length=4), in_axes=1)(x.T).tolist() == [
        [1, 0, 0, 2],
        [1, 1, 2, 1],
    ]
    weights = mx.array([1.0, 10, 100, 1000])
    slope = mx.grad(lambda v: (f(x[0], v) * weights).sum())(w[0])
    assert slope.tolist() == [1, 1000, 1000, 0, 0]
    tangent = mx.jvp(lambda v: f(x[1], v), [w[1]], [mx.ones(5)])[1][0]
    assert tangent.tolist() == [1, 1, 2, 1]
    assert mx.grad(lambda v: mx.bincount(x[0], v, length=0).sum())(w[0]).tolist() == [0] * 5


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("dtype", ["int32", "float16", "float32", "float64"])
def test_digitize_by_edges_of_either_direction(dtype, right):
    x = np.random.default_rng(3).integers(-5, 9, 300).astype(dtype)
    for edges in ([0], [0, 0], [-4, 0, 0, 3, 8], [7, 2, 2, -1], list(range(-3000, 3000))):
        e = np.array(edges, dtype)
        got = mx.digitize(mx.array(x, getattr(mx, dtype)), mx.array(e, getattr(mx, dtype)), right)
        assert got.tolist() == np.digitize(x, e, right).tolist()
    with pytest.raises(ValueError, match=r"\[digitize\] edges are not monotonic"):
        mx.digitize(mx.array(x), mx.array([0, 2, 1]))
    with pytest.raises(ValueError, match=r"\[histogram\] edges must not descend"):
        mx.histogram(mx.array(x), mx.array([2, 1], mx.uint8))


def test_inside_compile_and_vmap_bincount_wants_a_length():
    x = mx.array([[0, 2, 2], [1, 1, 5]])
    with pytest.raises(ValueError, match=r"\[bincount\].*bincount\(x, length=10\)"):
        mx.compile(mx.bincount)(x[0])
    counted = mx.compile(lambda v: mx.bincount(v, length=4))
    assert counted(x[0]).tolist() == [1, 0, 2, 0]
    assert mx.vmap(lambda v: mx.bincount(v, length=4))(x).tolist() == [[1, 0, 2, 0], [0, 2, 0, 0]]


def test_sums_of_weights_have_gradients():
    x = mx.array([0, 2, 2, 9])
    slope = mx.grad(lambda w: (mx.bincount(x, w, length=3) * mx.array([1.0, 2.0, 3.0])).sum())
    assert slope(mx.ones(4)).tolist() == [1, 3, 3, 0]
    a = mx.array([0.1, 0.6, 0.7, 5.0])
    slope = mx.grad(
        lambda w: (mx.histogram(a, 2, (0, 1), weights=w)[0] * mx.array([2.0, 3.0])).sum()
    )
    assert slope(mx.ones(4)).tolist() == [2, 3, 3, 0]


def test_sums_do_not_depend_on_the_number_of_threads():
    program = """
import numpy as np, lazulite.core as mx
r = np.random.default_rng(1)
x = mx.array(r.integers(0, 50, 300_000)); w = mx.array(r.normal(size=300_000).astype("float32"))
for a in (mx.bincount(x, w), mx.histogram(w, 37, weights=w)[0], mx.cov(mx.stack([w, w * w]))):
    print(np.array(a).tobytes().hex())
"""
    made = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "LAZULITE_NUM_THREADS": threads},
            capture_output=True,
            check=True,
        ).stdout
        for threads in ("1", "2", "5")
    }
    assert len(made) == 1


@pytest.mark.filterwarnings("ignore:The number of bins")
@pytest.mark.parametrize("rule", RULES)
def test_rules_find_numpys_number_of_bins(rule):
    for data in (DATA, DATA[:3], DATA[:1], DATA[:0], np.zeros(5, np.float32), np.arange(40) % 7):
        for bounds in (None, (-1.5, 2.0)):
            wanted = np.histogram_bin_edges(
                data.astype(float) if data.dtype.kind == "f" else data, rule, bounds
            )
            close(mx.histogram_bin_edges(mx.array(data), rule, bounds), wanted, atol=1e-5)
            counts, edges = mx.histogram(mx.array(data), rule, bounds)
            assert counts.sum().item() == np.histogram(data, wanted)[0].sum()
    with pytest.raises(ValueError, match=r"\[histogram\].*histogram_bin_edges\(a, 10\)"):
        mx.compile(lambda a: mx.histogram(a, rule)[0])(mx.array(DATA))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_covariance_of_what_is_not_finite_is_that_of_numpy(dtype):
    """A row with an infinity or nan has no covariance; the others have theirs."""
    for size in (5, 40, 5000):
        for bad in (np.inf, -np.inf, np.nan):
            x = RNG.normal(size=(3, size)).astype(dtype)
            x[1, size // 2] = bad
            with np.errstate(all="ignore"):
                wanted = np.cov(x)
            got = np.array(mx.cov(mx.array(x, getattr(mx, dtype))))
            assert (np.isnan(got) == np.isnan(wanted)).all(), (size, bad)
            close(got, wanted, rtol=1e-4, atol=1e-4)


def test_covariance_is_differentiated_twice_batched_and_compiled():
    x = mx.array(RNG.normal(3, 2, (3, 50)).astype(np.float32))
    w = mx.array(RNG.normal(size=(3, 3)).astype(np.float32))

    def f(a):
        return (mx.cov(a) ** 2 * w).sum()

    def g(a):  # the same by its formula
        off = a - a.mean(1, keepdims=True)
        return ((off @ off.T / (a.shape[1] - 1)) ** 2 * w).sum()

    t = mx.array(RNG.normal(size=(3, 50)).astype(np.float32))
    close(mx.grad(f)(x), mx.grad(g)(x), rtol=1e-4, atol=1e-4)
    close(mx.jvp(f, [x], [t])[1][0], mx.jvp(g, [x], [t])[1][0], rtol=1e-4)
    twice = [mx.grad(lambda a, h=h: (mx.grad(h)(a) * t).sum())(x) for h in (f, g)]
    close(twice[0], twice[1], rtol=1e-3, atol=1e-3)
    many = mx.stack([x, x * 2, t])
    close(mx.vmap(mx.cov)(many), np.stack([np.cov(np.array(a)) for a in many]), rtol=1e-4)
    assert bytes(mx.compile(mx.cov)(x)) == bytes(mx.cov(x))


DATA_OF_RULES = {
    "spread": lambda n: RNG.normal(60, 20, n),
    "even": lambda n: RNG.uniform(0, 100, n),
    "one sided": lambda n: RNG.exponential(5, n),
    "few values": lambda n: RNG.integers(0, 3, n) * 1.0,
    "equal": lambda n: np.full(n, 3.0),
    "quartiles that meet": lambda n: np.where(np.arange(n) % 9 == 4, RNG.normal(70, 40, n), 5.0),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8", "int64"])
@pytest.mark.parametrize("rule", RULES)
def test_rules_find_as_many_bins_as_numpy_in_any_range(rule, dtype):
    bounds = [None, (0, 50), (10.5, 61.25), (2, 4), (-10, 200), (3, 3), (500, 600)]
    # By stone's rule, whose losses may be equal but for their rounding, of numbers that differ.
    kinds = {"spread", "even", "one sided"} if rule == "stone" else DATA_OF_RULES
    for name in kinds:
        for n in (20, 37, 100) if rule == "stone" else (1, 2, 3, 5, 10, 37, 100, 1000):
            data = DATA_OF_RULES[name](n).astype(dtype)
            a = mx.array(data, getattr(mx, dtype))
            for between in bounds:
                with np.errstate(all="ignore"), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    wanted = np.histogram_bin_edges(data, rule, between)
                got = mx.histogram_bin_edges(a, rule, between)
                assert got.shape == wanted.shape, (name, n, between)
                close(got, wanted, atol=1e-5 * np.abs(wanted).max())


def test_histograms_count_what_lies_between_edges():
    a = mx.array(DATA)
    for bins in (1, 7, [-1.0, 0.0, 0.5, 4.0], np.array([-3.0, 3.0])):
        for density in (False, True):
            for weights in (None, np.abs(DATA)):
                given = bins if isinstance(bins, (int, list)) else mx.array(bins)
                w = None if weights is None else mx.array(weights)
                made = mx.histogram(a, given, density=density, weights=w)
                wanted = np.histogram(DATA, bins, density=density, weights=weights)
                close(made[0], wanted[0], rtol=1e-4)
                close(made[1], wanted[1], atol=1e-5)
    odd = mx.array([0.0, 1.0, 1.0, mx.nan, mx.inf, -5.0])
    assert mx.histogram(odd, 2, (0, 1))[0].tolist() == [1, 2]
    assert mx.histogram(mx.array([3, 3]), 2)[1].tolist() == [2.5, 3.0, 3.5]
    assert mx.histogram(mx.array([True, False, True]), 2)[0].tolist() == [1, 2]
    compiled = mx.compile(lambda a: mx.histogram(a, 5))
    for x, y in zip(compiled(a), mx.histogram(a, 5)):
        assert mx.array_equal(x, y).item()


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: mx.histogram(DATA, 0), ValueError, "too few bins: got 0"),
        (lambda: mx.histogram(DATA, [1, 0]), ValueError, "edges must not descend"),
        (lambda: mx.histogram(DATA, "wide"), ValueError, "unknown rule: got 'wide'"),
        (lambda: mx.histogram(DATA, 3, (1, 0)), ValueError, "range ends before it begins"),
        (lambda: mx.histogram(DATA, 3, (0, np.inf)), ValueError, "range is not finite"),
        (lambda: mx.histogram(DATA, 3, (0, 1, 2)), ValueError, "expected a pair"),
        (lambda: mx.histogram(DATA, "fd", weights=DATA), TypeError, "rules know no weights"),
        (lambda: mx.histogram(DATA, 3, weights=DATA[:3]), ValueError, "weights do not fit"),
        (lambda: mx.histogram(DATA, 2.5), TypeError, "bins: got 2.5, expected an int, edges"),
        (lambda: mx.histogram(mx.array([1j])), ValueError, "dtype without an order"),
        (lambda: mx.histogram2d(DATA, DATA[:3]), ValueError, "not vectors of one size"),
        (lambda: mx.histogram2d(DATA, DATA, "fd"), TypeError, "a rule: got 'fd'"),
        (lambda: mx.digitize(DATA, mx.ones((2, 2))), ValueError, "edges are no vector"),
        (lambda: mx.digitize(DATA, mx.array([0.0, 2.0, 1.0])), ValueError, "not monotonic"),
    ],
)
def test_histograms_and_bins_refuse(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_digitize_in_a_trace_takes_edges_of_either_direction():
    x = np.array([0.5, 1.0, 2.0, 9.0, -1.0], np.float32)
    compiled = mx.compile(lambda x, e: (mx.digitize(x, e), mx.digitize(x, e, True)))
    for edges in ([0.0, 1.0, 2.0], [2.0, 1.0, 0.0], [1.0]):
        for made, right in zip(compiled(mx.array(x), mx.array(edges)), (False, True)):
            assert made.tolist() == np.digitize(x, edges, right).tolist()
            assert mx.digitize(mx.array(x), mx.array(edges), right).tolist() == made.tolist()


def test_isin_of_numbers_and_of_nan():
    assert mx.isin(3, mx.array([1, 3])).item() is True
    assert mx.isin(mx.array([1.0, mx.nan]), mx.array([mx.nan, 1.0])).tolist() == [True, False]
    assert mx.isin(mx.array([1, 2]), mx.array([1.5, 2.0])).tolist() == [False, True]
    assert mx.isin(mx.array([1, 2]), 2, invert=True).tolist() == [True, False]
    assert mx.isin(mx.array([1, 2]), mx.array([], mx.int32), invert=True).tolist() == [True, True]


# ---- curves
def test_interp_beside_numpy_at_odd_points():
    xp, fp = np.array([0.0, 1.0, 1.0, 3.0]), np.array([1.0, 2.0, 5.0, -1.0])
    x = np.array([-1.0, 0.0, 0.25, 1.0, 1.5, 3.0, 4.0, np.nan, np.inf, -np.inf])
    args = [mx.array(v, mx.float64) for v in (x, xp, fp)]
    close(mx.interp(*args), np.interp(x, xp, fp))
    close(mx.interp(*args, left=-7, right=mx.inf), np.interp(x, xp, fp, -7, np.inf))
    for period in (2.5, -2.5):
        close(mx.interp(*args, period=period)[:7], np.interp(x[:7], xp, fp, period=period))
    top = np.array([0.0, np.inf, np.inf, 2.0])
    close(mx.interp(args[0], args[1], mx.array(top, mx.float64)), np.interp(x, xp, top))
    turned = np.interp(x, xp, fp * 1j)
    close(mx.interp(*args[:2], mx.array(fp * 1j, mx.complex128)), turned)
    for wrong in ((args[0], args[1], args[2][:2]), (args[0], args[1][:0], args[2][:0])):
        with pytest.raises(ValueError, match=r"\[interp\] points"):
            mx.interp(*wrong)
    with pytest.raises(ValueError, match="no period"):
        mx.interp(*args, period=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 2, 3, 100, 5000])
def test_interp_of_every_size_at_and_between_points(n, dtype):
    rng = np.random.default_rng(n)
    xp = np.sort(np.round(rng.uniform(-9, 9, n), 1)).astype(dtype)  # some come twice
    fp = rng.normal(size=n).astype(dtype)
    for size in (0, 1, 63, 64, 65, 1000, 33000):
        x = rng.uniform(-10, 10, size).astype(dtype)
        x[::3] = xp[rng.integers(0, n, len(x[::3]))]
        x[5::7] = np.nan
        args = [mx.array(v, getattr(mx, dtype)) for v in (x, xp, fp)]
        got = mx.interp(*args)
        want = np.interp(x, xp, fp)
        assert got.dtype == getattr(mx, dtype)
        steep = 1e-5 if dtype == "float32" else 1e-12
        near = np.abs(np.asarray(got) - want) <= steep * (1 + np.abs(want)) * 20
        apart = np.diff(xp) == 0  # twice in one place: any value there
        there = np.isin(x, xp[:-1][apart]) | np.isnan(x)
        assert (near | there).all() and np.isnan(np.asarray(got)[np.isnan(x)]).all()
        one = [mx.interp(args[0][k : k + 1], *args[1:]) for k in range(min(size, 70))]
        if one:
            assert np.concatenate(one).tobytes() == np.asarray(got)[: len(one)].tobytes()
        assert np.asarray(mx.interp(args[0][::-1], *args[1:])[::-1]).tobytes() == bytes_of(got)
        assert bytes_of(mx.interp(*args) * 2 + 1) == bytes_of(got * 2 + 1)


def bytes_of(a):
    return np.asarray(a).tobytes()


def test_interp_in_lanes_and_out_of_order():
    rng = np.random.default_rng(1)
    x = mx.array(rng.uniform(-3, 3, (4, 5, 6)).astype(np.float32))
    xp = mx.sort(mx.array(rng.uniform(-2, 2, (4, 9)).astype(np.float32)), axis=1)
    fp = mx.array(rng.normal(size=(4, 9)).astype(np.float32))
    one = lambda *a: mx.interp(*a).tolist()  # noqa: E731
    rows = [one(x[k], xp[k], fp[k]) for k in range(4)]
    assert mx.vmap(mx.interp)(x, xp, fp).tolist() == rows
    assert mx.vmap(mx.interp, in_axes=(1, None, None))(x, xp[0], fp[0]).tolist() == [
        one(x[:, k], xp[0], fp[0]) for k in range(5)
    ]
    assert mx.vmap(mx.interp, in_axes=(None, None, 0))(x[0], xp[0], fp).tolist() == [
        one(x[0], xp[0], f) for f in fp
    ]
    twice = mx.vmap(mx.vmap(mx.interp, (0, None, None)), (0, 0, 0))(x, xp, fp)
    assert twice.tolist() == rows
    slopes = mx.vmap(mx.grad(lambda *a: mx.interp(*a).sum(), argnums=(0, 1, 2)))(x, xp, fp)
    for k in range(4):
        each = mx.grad(lambda *a: mx.interp(*a).sum(), argnums=(0, 1, 2))(x[k], xp[k], fp[k])
        for whole, part in zip(slopes, each):
            close(whole[k], np.asarray(part), rtol=1e-5, atol=1e-6)
    wrong = mx.array([3.0, -1, mx.nan, 7, 0, -mx.inf, 2])  # no line, but nothing else is read
    assert mx.interp(x, wrong, wrong).shape == x.shape


def test_interp_along_a_change_of_all_it_reads():
    """The tangent is what a small step changes, and the gradient is its transpose."""
    rng = np.random.default_rng(2)
    x = mx.array(rng.uniform(-2.5, 2.5, 40), mx.float64)
    xp = mx.array(np.linspace(-2, 2, 7) + rng.uniform(-0.1, 0.1, 7), mx.float64)
    for turn in (1, 1j):
        fp = mx.array(rng.normal(size=7) * turn, mx.float64 if turn == 1 else mx.complex128)
        primals = [x, xp, fp]
        tangents = [mx.array(rng.normal(size=p.shape), mx.float64) for p in primals]
        tangents[2] = tangents[2].astype(fp.dtype)
        out, (along,) = mx.jvp(mx.interp, primals, tangents)
        step = 1e-6
        moved = [mx.interp(*(p + s * t for p, t in zip(primals, tangents))) for s in (step, -step)]
        close(along, np.asarray((moved[0] - moved[1]) / (2 * step)), rtol=1e-5, atol=1e-6)
        ct = mx.array(rng.normal(size=40), mx.float64).astype(fp.dtype)
        _, back = mx.vjp(mx.interp, primals, [ct])
        left = sum((np.conj(np.asarray(b)) * np.asarray(t)).sum() for b, t in zip(back, tangents))
        right = (np.conj(np.asarray(ct)) * np.asarray(along)).sum()
        assert np.isclose(np.real(left), np.real(right))


def test_interp_has_the_slopes_of_its_lines():
    xp, fp = mx.array([0.0, 1.0, 3.0]), mx.array([1.0, 2.0, -2.0])
    x = mx.array([0.5, 2.0, 2.5])
    assert mx.grad(lambda x: mx.interp(x, xp, fp).sum())(x).tolist() == [1, -2, -2]
    assert mx.grad(lambda f: mx.interp(x, xp, f).sum())(fp).tolist() == [0.5, 1.25, 1.25]
    step = 1e-2
    slope = mx.grad(lambda p: mx.interp(x, p, fp).sum())(xp).tolist()
    for k in range(3):
        move = mx.array([step * (k == j) for j in range(3)])
        up, down = (mx.interp(x, xp + s * move, fp).sum().item() for s in (1, -1))
        assert abs((up - down) / (2 * step) - slope[k]) < 1e-2


def test_unwrap_beside_numpy():
    p = np.cumsum(RNG.uniform(-9, 9, (3, 50)), -1)
    for options in ({}, {"discont": 4.0}, {"axis": 0}, {"period": 4}, {"period": 5.5}):
        close(mx.unwrap(mx.array(p, mx.float64), **options), np.unwrap(p, **options), atol=1e-9)
    steps = np.array([0, 2, 4, 6, 3, 0, 7, 1])
    for period in (4, 5, 6):
        made = mx.unwrap(mx.array(steps), period=period)
        assert made.dtype == mx.int64 and made.tolist() == np.unwrap(steps, period=period).tolist()
    whole = mx.grad(lambda p: (mx.unwrap(p) * mx.arange(50)).sum())(mx.array(p[0], mx.float64))
    assert whole.tolist() == list(range(50))


def test_polynomials_are_fitted_as_numpy_does_it():
    x = np.linspace(-1, 2, 12)
    y = 3 * x**2 - x + 0.5 + 0.01 * RNG.normal(size=12)
    a, b, w = (mx.array(v, mx.float64) for v in (x, y, x + 2))
    close(mx.polyfit(a, b, 2), np.polyfit(x, y, 2))
    close(mx.polyfit(a, b, 3, w=w), np.polyfit(x, y, 3, w=x + 2))
    for made, wanted in zip(mx.polyfit(a, b, 2, full=True), np.polyfit(x, y, 2, full=True)):
        close(made, wanted)
    for cov in (True, "unscaled"):
        for made, wanted in zip(mx.polyfit(a, b, 2, cov=cov), np.polyfit(x, y, 2, cov=cov)):
            close(made, wanted)
    both = np.stack([y, -y], 1)
    made = mx.polyfit(a, mx.array(both, mx.float64), 1, cov=True)
    for one, wanted in zip(made, np.polyfit(x, both, 1, cov=True)):
        close(one, wanted)
    with pytest.raises(ValueError, match=r"\[polyfit\] too few numbers"):
        mx.polyfit(a[:3], b[:3], 2, cov=True)
    for call in (
        lambda: mx.polyfit(a, b, -1),
        lambda: mx.polyfit(a[:0], b[:0], 1),
        lambda: mx.polyfit(a, b[:3], 1),
        lambda: mx.polyfit(a, b, 1, w=w[:2]),
        lambda: mx.polyfit(a, b, 1, cov="scaled"),
        lambda: mx.polyval(mx.ones((2, 2)), a),
    ):
        with pytest.raises(ValueError, match=r"\[poly(fit|val)\]"):
            call()


def test_a_fit_and_a_polynomial_have_gradients():
    x = mx.array(np.linspace(-1, 2, 7), mx.float64)
    y = mx.sin(x)
    slope = np.array(mx.grad(lambda y: mx.polyfit(x, y, 2)[0])(y))
    for k in range(7):
        step = np.zeros(7)
        step[k] = 1e-4
        up, down = (np.polyfit(np.array(x), np.array(y) + s * step, 2)[0] for s in (1, -1))
        assert abs((up - down) / 2e-4 - slope[k]) < 1e-6
    p = mx.array([2.0, 1.0, 3.0])
    assert mx.grad(lambda v: mx.polyval(p, v))(mx.array(2.0)).item() == 9
    assert mx.grad(lambda q: mx.polyval(q, 2.0))(p).tolist() == [4, 2, 1]
    assert mx.polyval(mx.array([], mx.float32), mx.ones(2)).tolist() == [0, 0]


# ---- correlations
def test_covariances_beside_numpy():
    m = RNG.normal(size=(3, 20))
    y = RNG.normal(size=(2, 20))
    counts, shares = RNG.integers(1, 5, 20), RNG.uniform(0.5, 2, 20)
    a, b = mx.array(m, mx.float64), mx.array(y, mx.float64)
    f, w = mx.array(counts), mx.array(shares, mx.float64)
    close(mx.cov(a), np.cov(m))
    close(mx.cov(a, b, bias=True), np.cov(m, y, bias=True))
    close(mx.cov(a.T, rowvar=False), np.cov(m))
    close(mx.cov(a[0]), np.cov(m[0]))
    for made in (mx.cov(a[:0], a), mx.corrcoef(a[:0], a)):  # as np.cov(m[:0], m)
        assert made.shape == (0, 0)
    close(mx.cov(a, ddof=3), np.cov(m, ddof=3))
    close(mx.cov(a, fweights=f), np.cov(m, fweights=counts))
    close(mx.cov(a, aweights=w), np.cov(m, aweights=shares))
    close(
        mx.cov(a, fweights=f, aweights=w, ddof=0),
        np.cov(m, fweights=counts, aweights=shares, ddof=0),
    )
    turned = m + 1j * RNG.normal(size=(3, 20))
    close(mx.cov(mx.array(turned, mx.complex128)), np.cov(turned))
    close(mx.corrcoef(mx.array(turned, mx.complex128)), np.corrcoef(turned))
    close(mx.corrcoef(a, b), np.corrcoef(m, y))
    close(mx.corrcoef(a[0]), np.corrcoef(m[0]))
    for call in (
        lambda: mx.cov(mx.ones((2, 2, 2))),
        lambda: mx.cov(a, b[:, :3]),
        lambda: mx.cov(a, fweights=f[:3]),
        lambda: mx.cov(a, aweights=w[:3]),
    ):
        with pytest.raises(ValueError, match=r"\[cov\]"):
            call()
    with pytest.raises(TypeError, match="fweights are not integers"):
        mx.cov(a, fweights=w)


# ---- what is not nan
def test_medians_and_quantiles_leave_out_nan():
    a = RNG.normal(size=(4, 5, 6))
    a[RNG.random(a.shape) < 0.3] = np.nan
    a[1, :, 2] = np.nan
    x = mx.array(a, mx.float64)
    with pytest.warns(RuntimeWarning):
        for axis in (None, 0, 1, (0, 2), -1):
            for keep in (False, True):
                close(mx.nanmedian(x, axis, keep), np.nanmedian(a, axis, keepdims=keep))
                made = mx.nanquantile(x, [0.0, 0.3, 1.0], axis, keepdims=keep)
                close(made, np.nanquantile(a, [0.0, 0.3, 1.0], axis, keepdims=keep))
        for method in ("linear", "lower", "higher", "midpoint", "nearest", "hazen", "inverted_cdf"):
            close(
                mx.nanpercentile(x, 35, 1, method=method), np.nanpercentile(a, 35, 1, method=method)
            )
    assert mx.nanmedian(mx.array([1, 2])).item() == 1.5
    assert mx.nanmedian(mx.array([mx.nan, mx.inf, mx.inf, 1.0])).item() == mx.inf
    slope = mx.grad(lambda v: mx.nanmedian(v))(mx.array([3.0, mx.nan, 1.0]))
    assert slope.tolist() == [0.5, 0, 0.5]


def test_average_returns_a_tuple():
    made = mx.average(mx.array([1.0, 3.0]), weights=mx.array([3.0, 1.0]), returned=True)
    assert isinstance(made, tuple) and [v.item() for v in made] == [1.5, 4]


def test_a_power_that_is_zero_everywhere_has_no_part_in_a_fit():
    fit = mx.polyfit(mx.zeros(3), mx.array([1.0, 2.0, 3.0]), 2)
    assert mx.allclose(fit, mx.array([0.0, 0, 2]), 1e-6, 1e-6)
