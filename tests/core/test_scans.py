"""Scans (cumsum and its kind): values past every border, layouts, ends, derivatives, bits."""

import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

import lazulite.core as mx

LOOPS = {
    "cumsum": np.add,
    "cumprod": np.multiply,
    "cummax": np.maximum,
    "cummin": np.minimum,
    "logcumsumexp": np.logaddexp,
}
NAMES = list(LOOPS)
SIZES = [1, 2, 15, 16, 17, 63, 64, 65, 1000, 4095, 4096, 4097, 32769, 10**6 + 3]
RNG = np.random.default_rng(3)


def values(name, *shape):
    return RNG.uniform(0.99, 1.01, shape) if name == "cumprod" else RNG.normal(size=shape)


def wanted(name, x, axis, reverse=False, inclusive=True):
    x = np.flip(x, axis) if reverse else x
    out = LOOPS[name].accumulate(x, axis, x.dtype)
    if not inclusive:
        nothing = {"cumsum": 0, "cumprod": 1, "cummax": -np.inf, "cummin": np.inf}.get(
            name, -np.inf
        )
        first = np.full_like(np.take(out, [0], axis), nothing)
        out = np.concatenate([first, np.take(out, range(out.shape[axis] - 1), axis)], axis)
    return np.flip(out, axis) if reverse else out


def close(got, expected, rtol=1e-11):
    np.testing.assert_allclose(np.array(got), expected, rtol=rtol, atol=rtol * 100)


def same(a, b):
    assert a.dtype == b.dtype and a.shape == b.shape
    assert mx.array_equal(a, b, equal_nan=True).item()


# ---- values


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", SIZES)
def test_a_vector_of_any_length_in_all_directions(name, n):
    x = values(name, n)
    a = mx.array(x, mx.float64)
    for reverse in (False, True):
        for inclusive in (False, True):
            got = getattr(mx, name)(a, reverse=reverse, inclusive=inclusive)
            close(got, wanted(name, x, 0, reverse, inclusive))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "shape",
    [
        (3, 33000),
        (5000, 3),
        (2500, 300),
        (2, 1030, 70),
        (4, 5, 6, 7),
        (40000, 2),
        (50, 1, 6),
        (1, 2, 9),
    ],
)
def test_any_axis_of_any_layout(name, shape):
    x = values(name, *shape)
    whole = mx.array(x, mx.float64)
    layouts = {
        "dense": lambda a: a,
        "transposed": lambda a: mx.contiguous(a.T).T,
        "reversed": lambda a: mx.contiguous(a[::-1, ..., ::-1])[::-1, ..., ::-1],
        "strided": lambda a: mx.contiguous(mx.repeat(a, 2, -1))[..., ::2],
    }
    for axis in range(x.ndim):
        for reverse in (False, True):
            expected = wanted(name, x, axis, reverse)
            first = getattr(mx, name)(whole, axis, reverse=reverse)
            close(first, expected)
            for layout in layouts.values():
                a = layout(whole)
                mx.eval(a)
                same(getattr(mx, name)(a, axis - x.ndim, reverse=reverse), first)


DTYPES = "bool_ int8 uint16 int32 uint64 float16 bfloat16 float32 float64 complex64".split()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 8, 9, 13, 16, 17, 24, 31, 33, 47, 63, 64, 65, 70])
def test_short_rows_have_the_bits_of_each_row_alone(name, n):
    spread = np.round(3 * RNG.normal(size=(137, n)), 3)
    for dtype in (getattr(mx, t) for t in DTYPES):
        if name == "logcumsumexp" and dtype == mx.complex64:
            continue
        a = mx.array(values(name, 137, n) if name == "cumprod" and n > 9 else spread)
        a = (a > 0 if dtype == mx.bool_ else a).astype(dtype)
        gaps = mx.contiguous(mx.concatenate([a, a], 1))[:, :n]
        for options in ({}, {"reverse": True}, {"inclusive": False}):
            scan = partial(getattr(mx, name), **options)
            some = [0, 1, 2, 30, 31, 63, 64, 100, 120, 135, 136]
            alone = mx.stack([scan(mx.contiguous(a[row])) for row in some])
            whole = scan(a, 1)
            same(whole[mx.array(some)], alone)
            made = mx.where(a == a, a, a)  # a value that nobody else reads: written over
            for rows in (gaps, mx.contiguous(a.T).T, a[::-1][::-1], made):
                same(scan(rows, 1), whole)
            same(mx.concatenate([scan(a[i : i + 5], 1) for i in range(0, 137, 5)]), whole)


@pytest.mark.parametrize("name", NAMES)
def test_of_a_broadcast_array(name):
    x = values(name, 700)
    for shape, axis in (((700, 30), 0), ((30, 700), 1), ((30, 700), 0)):
        view = x[:, None] if shape[0] == 700 else x
        a = mx.broadcast_to(mx.array(view, mx.float64), shape)
        close(getattr(mx, name)(a, axis), wanted(name, np.broadcast_to(view, shape), axis))


@pytest.mark.parametrize("name", NAMES)
def test_a_reversed_scan_is_the_scan_of_the_reversed_array(name):
    for shape, axis in (((70001,), 0), ((3, 5000), 1), ((5000, 33), 0)):
        a = mx.array(values(name, *shape), mx.float32)
        forward = getattr(mx, name)(mx.flip(a, axis), axis)
        same(getattr(mx, name)(a, axis, reverse=True), mx.flip(forward, axis))


def test_sums_are_kept_in_float32_for_halves_and_rounded_where_they_are_stored():
    for dtype in (mx.float16, mx.bfloat16):
        ones = mx.full((40000,), 0.125, dtype)
        got = mx.cumsum(ones)
        assert got.dtype == dtype
        same(got, mx.cumsum(ones.astype(mx.float32)).astype(dtype))
        columns = mx.full((5000, 20), 0.125, dtype)
        same(mx.cumsum(columns, 0), mx.cumsum(columns.astype(mx.float32), 0).astype(dtype))


def test_long_sums_of_float32_lose_little():
    x = RNG.uniform(0, 1, 2_000_000).astype(np.float32)
    exact = np.cumsum(x.astype(np.float64))
    got = np.array(mx.cumsum(mx.array(x)))
    assert np.max(np.abs(got - exact) / exact) < 2e-6
    assert np.max(np.abs(np.cumsum(x) - exact) / exact) > 2e-6  # one by one loses more


def test_dtypes_of_results():
    b, i8, u8 = (
        mx.array([True, False, True]),
        mx.array([100, 100], mx.int8),
        mx.array([200], mx.uint8),
    )
    assert mx.cumsum(b).dtype == mx.int32 and mx.cumsum(b).tolist() == [1, 1, 2]
    assert mx.cumsum(i8).dtype == mx.int8 and mx.cumsum(i8).tolist() == [100, -56]
    assert mx.cumsum(i8, dtype=mx.int32).tolist() == [100, 200]
    assert mx.cumprod(b).dtype == mx.bool_ and mx.cumprod(b).tolist() == [True, False, False]
    assert mx.cummax(b).tolist() == [True, True, True] and mx.cummin(b).tolist() == [
        True,
        False,
        False,
    ]
    assert mx.cummax(b, inclusive=False).tolist() == [False, True, True]
    assert mx.cummin(b, inclusive=False).tolist() == [True, True, False]
    assert mx.logcumsumexp(i8).dtype == mx.float32
    assert mx.cumulative_sum(i8).dtype == mx.int32 and mx.cumulative_sum(u8).dtype == mx.uint32
    assert mx.cumulative_prod(i8, dtype=mx.float64).tolist() == [100.0, 10000.0]
    for dtype in (mx.float16, mx.bfloat16, mx.float32, mx.float64):
        assert mx.logcumsumexp(mx.ones(3, dtype)).dtype == dtype
    assert mx.cumsum(mx.ones(3), dtype=mx.complex64).dtype == mx.complex64


def test_the_initial_element():
    a = mx.array([[1, 2, 3], [4, 5, 6]])
    assert mx.cumulative_sum(a, axis=1, include_initial=True).tolist() == [
        [0, 1, 3, 6],
        [0, 4, 9, 15],
    ]
    assert mx.cumulative_prod(a, axis=0, include_initial=True).tolist() == [
        [1, 1, 1],
        [1, 2, 3],
        [4, 10, 18],
    ]
    got = mx.cumulative_sum(a, axis=1, reverse=True, include_initial=True)
    assert got.tolist() == [[6, 5, 3, 0], [15, 11, 6, 0]]
    assert mx.cumulative_sum(mx.zeros((2, 0)), axis=1, include_initial=True).tolist() == [[0], [0]]
    long = mx.ones((3, 100_000))
    same(mx.cumulative_sum(long, axis=1, include_initial=True)[:, 1:], mx.cumsum(long, 1))


def test_of_nothing_and_of_numbers():
    for name in NAMES:
        f = getattr(mx, name)
        assert f(mx.zeros((0,))).shape == (0,)
        assert f(mx.zeros((0, 3)), 0).shape == (0, 3) and f(mx.zeros((3, 0)), 0).shape == (3, 0)
        assert f(mx.array(2.0)).shape == (1,)
        assert f(mx.ones((2, 3))).shape == (6,)
    assert mx.ones((2, 3)).cumsum(1).tolist() == [[1, 2, 3], [1, 2, 3]]
    np.testing.assert_array_equal(np.cumsum(mx.array([1, 2, 3])), [1, 3, 6])


def test_ends():
    nan, inf = float("nan"), float("inf")
    x = [-inf, 1.0, -inf, 3.0, inf, 2.0]
    a = mx.array(x)
    np.testing.assert_allclose(
        np.array(mx.logcumsumexp(a)), np.logaddexp.accumulate(np.array(x)), rtol=1e-6
    )
    b = mx.array([1.0, nan, 2.0, -inf])
    for name in NAMES:
        got = np.array(getattr(mx, name)(b))
        assert got[0] == 1 and np.isnan(got[1:]).all(), name
    assert mx.logcumsumexp(mx.full((40,), -inf)).tolist() == [-inf] * 40
    assert np.signbit(np.array(mx.cumsum(mx.array([-0.0, -0.0])))).all()
    assert mx.cummax(mx.array([-inf, -inf])).tolist() == [-inf, -inf]
    c = mx.array([complex(inf, 0), complex(1, 1)], mx.complex64)
    assert mx.cumprod(c)[0].item() == complex(inf, 0)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64])
@pytest.mark.parametrize("n", [20, 5000, 100_000])
def test_logcumsumexp_is_exact_where_values_lie_far_apart(dtype, n):
    eps = 1e-6 if dtype == mx.float32 else 1e-14
    for x in (
        np.linspace(-1000, 1000, n),
        np.linspace(1000, -1000, n),
        RNG.normal(size=n) * 300,
        np.where(np.arange(n) % 7, -1e4, RNG.normal(size=n)),
    ):
        x = np.array(mx.array(x, dtype)).astype(np.float64)
        for shape in ((n,), (n, 1), (n // 20, 20)):
            got = np.array(mx.logcumsumexp(mx.array(x.reshape(shape), dtype), 0))
            expected = np.logaddexp.accumulate(x.reshape(shape), 0)
            np.testing.assert_allclose(got, expected, rtol=20 * eps, atol=20 * eps)


def test_errors_name_the_function_and_the_axis():
    a = mx.ones((2, 3))
    for name in NAMES + ["cumulative_sum"]:
        with pytest.raises(IndexError, match="axis"):
            getattr(mx, name)(a, 2)
        with pytest.raises(TypeError):
            getattr(mx, name)(a, "x")


# ---- derivatives


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_first_and_second_derivatives_are_differences(name, reverse, inclusive):
    x = RNG.normal(size=(3, 6))
    if name == "cumprod":
        x[0, 2] = x[1, 1] = x[1, 4] = x[2, 0] = 0  # none, one and two factors of zero
    weights = mx.array(RNG.normal(size=(3, 6)), mx.float64)

    def f(a):
        y = getattr(mx, name)(a, 1, reverse=reverse, inclusive=inclusive)
        finite = mx.where(mx.isfinite(y), y, 0)
        return mx.sum(weights * finite * finite)

    a = mx.array(x, mx.float64)
    g = mx.grad(f)(a)
    t = mx.array(RNG.normal(size=x.shape), mx.float64)
    h = 1e-6
    np.testing.assert_allclose(
        mx.sum(g * t).item(), (f(a + h * t) - f(a - h * t)).item() / (2 * h), rtol=1e-6, atol=1e-7
    )
    second = mx.grad(lambda b: mx.sum(mx.grad(f)(b) * t))(a)
    difference = (mx.grad(f)(a + h * t) - mx.grad(f)(a - h * t)) / (2 * h)
    np.testing.assert_allclose(np.array(second), np.array(difference), rtol=1e-5, atol=1e-6)
    _, along = mx.jvp(mx.grad(f), [a], [t])
    np.testing.assert_allclose(
        np.array(along[0] if isinstance(along, list) else along),
        np.array(difference),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("axis", [0, 1])
def test_derivatives_of_the_initial_form(axis):
    a = mx.array(RNG.normal(size=(4, 5)), mx.float64)
    t = mx.array(RNG.normal(size=(4, 5)), mx.float64)
    for f in (mx.cumulative_sum, mx.cumulative_prod):
        for reverse in (False, True):

            def loss(x):
                y = f(x, axis=axis, reverse=reverse, include_initial=True)
                return mx.sum(y * y)

            h = 1e-6
            np.testing.assert_allclose(
                mx.sum(mx.grad(loss)(a) * t).item(),
                (loss(a + h * t) - loss(a - h * t)).item() / (2 * h),
                rtol=1e-6,
            )
            _, d = mx.jvp(lambda x: [loss(x)], [a], [t])
            np.testing.assert_allclose(d[0].item(), mx.sum(mx.grad(loss)(a) * t).item(), rtol=1e-9)


def test_the_derivative_of_an_extreme_goes_to_the_element_that_won():
    a = mx.array([1.0, 3.0, 2.0, 3.0, 4.0])
    got = mx.grad(lambda x: mx.sum(mx.cummax(x) * mx.array([1.0, 2.0, 4.0, 8.0, 16.0])))(a)
    assert got.tolist() == [1, 6, 0, 8, 16]  # of equal ones to the last
    got = mx.grad(lambda x: mx.sum(mx.cummin(x, reverse=True)))(a)
    assert got.tolist() == [1, 0, 2, 1, 1]


def test_the_derivative_of_a_long_product_with_a_zero():
    x = RNG.uniform(0.999, 1.001, 5000)
    x[1234] = 0
    a = mx.array(x, mx.float64)
    got = np.array(mx.grad(lambda v: mx.sum(mx.cumprod(v)))(a))
    rest = np.where(np.arange(5000) == 1234, 1, x)
    assert got[1234] == pytest.approx(np.cumprod(rest)[1234:].sum(), rel=1e-10)
    assert (got[1235:] == 0).all() and got[0] == pytest.approx(np.cumprod(rest)[:1234].sum() / x[0])


def test_logcumsumexp_has_finite_derivatives_of_large_values():
    a = mx.array([1000.0, -1000.0, 1000.0, float("-inf")])
    got = mx.grad(lambda x: mx.logcumsumexp(x)[-1])(a)
    np.testing.assert_allclose(np.array(got), [0.5, 0, 0.5, 0], atol=5e-5)  # 1000.69 in float32


# ---- nests


@pytest.mark.parametrize("name", NAMES)
def test_compiled_mapped_and_derived_in_every_order(name):
    a = mx.array(values(name, 4, 9), mx.float64)
    f = getattr(mx, name)
    loop = mx.stack([f(row) for row in a])
    np.testing.assert_allclose(np.array(mx.vmap(f)(a)), np.array(loop), rtol=1e-12)
    same(mx.vmap(f)(a), mx.compile(mx.vmap(f))(a))
    same(mx.vmap(mx.compile(f))(a), mx.vmap(f)(a))

    def loss(x):
        return mx.sum(mx.sin(f(x)))

    each = mx.stack([mx.grad(loss)(row) for row in a])
    np.testing.assert_allclose(
        np.array(mx.vmap(mx.grad(loss))(a)), np.array(each), rtol=1e-10, atol=1e-12
    )
    same(mx.compile(mx.vmap(mx.grad(loss)))(a), mx.vmap(mx.grad(loss))(a))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(100_003,), (3, 50_000), (300, 3000), (40_000, 3)])
def test_what_goes_on_from_a_scan_in_one_step_has_its_bits(name, shape):
    a = mx.array(values(name, *shape), mx.float32)
    for axis in range(a.ndim):
        y = getattr(mx, name)(a, axis)
        mx.eval(y)
        same(mx.tanh(getattr(mx, name)(a, axis) * 2) + a, mx.tanh(y * 2) + a)


# ---- bits

PROGRAM = """
import hashlib, sys
import numpy as np
import lazulite.core as mx
rng = np.random.default_rng(5)
digest = hashlib.sha256()
for shape in ((63,), (4097,), (300_003,), (3, 70_001), (9000, 3), (900, 7), (900, 24), (3000, 130), (2, 2100, 70)):
    x = rng.normal(size=shape)
    for dtype in (mx.float32, mx.float64, mx.float16, mx.bfloat16, mx.int16, mx.complex64):
        for axis in range(len(shape)):
            for name in ("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"):
                small = 1 + x / 100 if name == "cumprod" and dtype != mx.int16 else x * 3
                a = mx.array(small).astype(dtype)
                for reverse in (False, True):
                    y = getattr(mx, name)(a, axis, reverse=reverse, inclusive=not reverse)
                    if mx.issubdtype(y.dtype, mx.inexact):
                        y = mx.where(mx.isfinite(y), y, 0)
                    if y.dtype == mx.bfloat16:
                        y = y.astype(mx.float32)
                    digest.update(np.array(y).tobytes())
print(digest.hexdigest())
"""


def test_the_same_bits_on_any_number_of_threads_and_at_every_level():
    settings = [{"LAZULITE_NUM_THREADS": str(n)} for n in (1, 2, 7)]
    settings += [{"LAZULITE_ISA": isa} for isa in ("generic", "avx2")]
    seen = set()
    for setting in settings:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            capture_output=True,
            text=True,
            env={**os.environ, **setting},
        )
        if "LAZULITE_ISA" in setting and "ISA" in done.stderr and not done.stdout:
            continue  # the machine lacks it
        assert not done.returncode, done.stderr
        seen.add(done.stdout)
    assert len(seen) == 1


STARTS = {"sum": 0, "prod": 1, "max": -np.inf, "min": np.inf, "logsumexp": -np.inf}


@pytest.mark.parametrize("name, start", STARTS.items())
@pytest.mark.parametrize("reverse", [False, True])
def test_scans_of_the_array_api_begin_with_what_nothing_combines_to(name, start, reverse):
    old = {"logsumexp": "logcumsumexp"}.get(name, "cum" + name)
    x = mx.array(RNG.uniform(0.5, 1.5, (3, 70)).astype(np.float32))
    got = getattr(mx, "cumulative_" + name)(x, 1, reverse=reverse, include_initial=True)
    plain = getattr(mx, old)(x, 1, reverse=reverse)
    first, rest = (got[:, -1], got[:, :-1]) if reverse else (got[:, 0], got[:, 1:])
    assert got.shape == (3, 71) and mx.array_equal(rest, plain)
    assert mx.array_equal(first, mx.full(3, start, dtype=mx.float32))
    ct = mx.array(RNG.normal(size=(3, 70)).astype(np.float32))

    def slope(f):
        return mx.grad(lambda x: (f(x) * ct).sum())(x)

    initial = getattr(mx, "cumulative_" + name)
    cut = slice(0, 70) if reverse else slice(1, 71)
    with_start = slope(lambda x: initial(x, 1, reverse=reverse, include_initial=True)[:, cut])
    without = slope(lambda x: getattr(mx, old)(x, 1, reverse=reverse))
    assert mx.allclose(with_start, without, rtol=1e-4, atol=1e-4)
    if name in ("max", "min"):
        least = getattr(np.iinfo(np.int8), "min" if name == "max" else "max")
        whole = initial(mx.array([3, 1], mx.int8), include_initial=True)
        assert whole.dtype == mx.int8 and whole[0].item() == least
