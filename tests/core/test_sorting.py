"""Sorting: sizes past every border, dtypes, layouts, axes, special values, equal keys, derivatives,
threads and levels."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import lazulite.core as mx
from levels import LOWER

INTEGERS = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
FLOATS = ("float16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
# Networks take 8 to 256 keys by level and width, splits 4 blocks; counting begins at 128 and 2^17,
# threads share lines of 2^16.
SIZES = (0, 1, 2, 3, 7, 8, 9, 16, 17, 31, 33, 64, 65, 127, 128, 129, 255, 256, 257, 300, 1023, 5000)
LONG = (32769, 65537, 140000)


def dtype_of(name):
    return mx.bool_ if name == "bool" else getattr(mx, name)


def sample(dtype, n, kind, seed=0):
    """Numbers of a kind: anywhere, many equal ones, or in order."""
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        v = rng.random(n) < 0.5
    elif dtype in INTEGERS:
        ends = np.iinfo(dtype)
        v = rng.integers(ends.min, ends.max, n, dtype=dtype, endpoint=True)
        v = v % 5 if kind == "equal" else v
    else:
        v = rng.standard_normal(n)
        v = np.round(v) if kind == "equal" else v
        if dtype in COMPLEX:
            v = v + 1j * np.round(rng.standard_normal(n), 1)
        v = v.astype(dtype)
        if kind != "order":
            v[::9], v[1::7], v[2::7] = np.nan, 0.0, -0.0
            v[4::8], v[5::16] = np.inf, -np.inf
            if dtype in COMPLEX:
                v[3::11] = complex(1, np.nan)
    return np.sort(v, kind="stable") if kind == "order" else v


def array(v):
    return mx.array(v, dtype_of(v.dtype.name))


def same(got, wanted):
    got = np.array(got)
    assert got.dtype == wanted.dtype and got.shape == wanted.shape
    np.testing.assert_array_equal(got, wanted)


def check_line(v):
    """Every function of one line beside NumPy's stable sort."""
    a, n = array(v), len(v)
    wanted = np.sort(v, kind="stable")
    order = np.argsort(v, kind="stable")
    same(mx.sort(a), wanted)
    same(mx.argsort(a), order.astype(np.uint32))
    same(mx.sort(a, descending=True), wanted[::-1])
    down = np.array(mx.argsort(a, descending=True))
    np.testing.assert_array_equal(v[down], wanted[::-1])
    assert np.array_equal(np.sort(down), np.arange(n))
    for kth in sorted({0, n // 3, n - 1} if n else ()):
        where = np.array(mx.argpartition(a, kth))
        assert np.array_equal(np.sort(where), np.arange(n))
        same(mx.partition(a, kth), v[where])
        np.testing.assert_array_equal(np.sort(v[where][:kth], kind="stable"), wanted[:kth])
        np.testing.assert_array_equal(np.sort(v[where][kth:], kind="stable"), wanted[kth:])
        np.testing.assert_array_equal(v[where][kth], wanted[kth])
    for k in sorted({0, n // 5, n}):
        same(mx.topk(a, k), wanted[n - k :])
    for side in ("left", "right"):
        same(
            mx.searchsorted(array(wanted), a, side),
            np.searchsorted(wanted, v, side).astype(np.uint32),
        )


@pytest.mark.parametrize("kind", ("any", "equal", "order"))
@pytest.mark.parametrize("dtype", INTEGERS + FLOATS + COMPLEX)
def test_lines_of_every_size_agree_with_numpy(dtype, kind):
    for n in SIZES:
        check_line(sample(dtype, n, kind, n))


@pytest.mark.parametrize("dtype", ("bool", "int8", "uint16", "int32", "int64") + FLOATS)
def test_long_lines_agree_with_numpy(dtype):
    for n in LONG:
        for kind in ("any", "equal"):
            check_line(sample(dtype, n, kind, n))


def test_halves_of_the_other_kind_are_sorted():
    v = sample("float32", 5000, "any")
    a = mx.array(v).astype(mx.bfloat16)
    w = np.array(a.astype(mx.float32))
    same(mx.sort(a).astype(mx.float32), np.sort(w, kind="stable"))
    same(mx.argsort(a), np.argsort(w, kind="stable").astype(np.uint32))
    assert mx.sort(a).dtype == mx.bfloat16


def test_keys_that_differ_in_their_lower_halves_alone_keep_a_stable_order():
    """Keys of 64 bits are ordered by their upper halves first."""
    rng = np.random.default_rng(1)
    for spread in (2, 3, 1000, 1 << 31, 1 << 34):
        v = rng.integers(0, spread, 70000) + (1 << 40)
        same(mx.argsort(array(v)), np.argsort(v, kind="stable").astype(np.uint32))
        f = 1 + v % 7 * 2.0**-50
        same(mx.argsort(array(f)), np.argsort(f, kind="stable").astype(np.uint32))


def test_samples_that_mislead_cost_no_square():
    """Few keys below many equal ones, organ pipes, saws."""
    n = 200_000
    up = np.arange(n)
    for v in (
        np.r_[np.zeros(n), -1.0, 1.0],
        np.r_[up, up[::-1]],
        up % 1000,
        np.repeat(up[:300], 700),
        np.where(up % 2, up, 0),
    ):
        for dtype in (np.float32, np.int64):
            w = v.astype(dtype)
            same(mx.sort(array(w)), np.sort(w, kind="stable"))
            same(mx.argsort(array(w)), np.argsort(w, kind="stable").astype(np.uint32))


def test_nan_comes_last_whatever_its_sign_and_zeros_are_equal():
    bits = np.array([0x7FC00001, 0xFFC00001, 0x3F800000, 0xFF800000, 0x7F800000], np.uint32)
    v = bits.view(np.float32)
    got = np.array(mx.sort(mx.array(v)))
    np.testing.assert_array_equal(got, np.float32([-np.inf, 1, np.inf, np.nan, np.nan]))
    assert np.isnan(np.array(mx.sort(mx.array(v), descending=True))[:2]).all()
    zeros = mx.array([0.0, -0.0, 0.0, -0.0])
    assert mx.argsort(zeros).tolist() == [0, 1, 2, 3]
    assert mx.argsort(zeros, descending=True).tolist() == [0, 1, 2, 3]
    assert np.signbit(np.array(mx.sort(zeros))).tolist() == [True, True, False, False]


LAYOUTS = {
    "dense": lambda x: x,
    "turned": lambda x: x.transpose(2, 0, 1),
    "reversed": lambda x: x[::-1, :, ::-1],
    "strided": lambda x: x[:, ::3, 1::2],
    "repeated": lambda x: (mx if isinstance(x, mx.array) else np).broadcast_to(x[:, :1], x.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ("int8", "float16", "float32", "float64", "complex128"))
def test_every_axis_of_every_layout(layout, dtype):
    v = sample(dtype, 7 * 35 * 50, "equal", 3).reshape(7, 35, 50)
    a, w = LAYOUTS[layout](array(v)), LAYOUTS[layout](v)
    for axis in (0, 1, 2, -1, -2):
        n = w.shape[axis]
        wanted = np.sort(w, axis, kind="stable")
        same(mx.sort(a, axis), wanted)
        order = np.argsort(w, axis, kind="stable").astype(np.uint32)
        same(mx.argsort(a, axis), order)
        same(mx.topk(a, 3, axis), np.take(wanted, np.arange(n - 3, n), axis))
        same(
            mx.partition(a, 2, axis),
            np.take_along_axis(w, np.array(mx.argpartition(a, 2, axis)), axis),
        )
    same(mx.sort(a, None), np.sort(w, None, kind="stable"))


def test_nothing_is_sorted_to_nothing():
    for shape in ((0,), (0, 3), (3, 0)):
        for axis in range(len(shape)):
            assert mx.sort(mx.zeros(shape), axis).shape == shape
            assert mx.argsort(mx.zeros(shape), axis).shape == shape
            assert mx.topk(mx.zeros(shape), 0, axis).size == 0
    assert mx.searchsorted(mx.zeros((0,)), mx.ones((2,))).tolist() == [0, 0]
    assert mx.searchsorted(mx.zeros((4,)), mx.ones((0,))).shape == (0,)


def test_errors_name_what_is_wrong():
    a = mx.zeros((3, 4))
    for call, text in (
        (lambda: mx.sort(a, 2), "axis"),
        (lambda: mx.sort(mx.array(1.0)), "axis"),
        (lambda: mx.partition(a, 4), r"kth out of range: got 4 for axis 1 with size 4"),
        (lambda: mx.argpartition(a, -5), "kth out of range"),
        (lambda: mx.topk(a, 5), "k out of range: got 5, expected 0 to 4"),
        (lambda: mx.topk(a, -1), "k out of range"),
        (lambda: mx.searchsorted(a, mx.zeros((2, 2))), "shapes do not fit"),
        (lambda: mx.searchsorted(mx.array(1), 2), "no axis"),
        (lambda: mx.searchsorted(a[0], 2, "middle"), "unknown side: got 'middle'"),
        (lambda: mx.lexsort([]), "no keys"),
        (lambda: mx.lexsort([a, a[0]]), "shapes differ"),
    ):
        with pytest.raises((ValueError, IndexError), match=text):
            call()


def test_values_that_are_searched_have_the_dtype_of_both():
    assert mx.searchsorted(mx.array([1, 2, 4]), 2.5).item() == 2
    assert mx.searchsorted(mx.array([1, 2, 4], mx.uint8), mx.array([-1, 300])).tolist() == [0, 3]
    order = mx.array([2, 0, 1])
    assert mx.searchsorted(mx.array([2, 4, 1]), 3, sorter=order).item() == 2


def test_lexsort_agrees_with_numpy():
    rng = np.random.default_rng(5)
    keys = rng.integers(0, 4, (3, 6, 50)).astype(np.int32)
    for axis in (0, 1, -1):
        got = mx.lexsort([mx.array(k) for k in keys], axis)
        same(got, np.lexsort(keys, axis).astype(np.uint32))


FUNCTIONS = {
    "sort": lambda x, axis: mx.sort(x, axis),
    "down": lambda x, axis: mx.sort(x, axis, descending=True),
    "partition": lambda x, axis: mx.partition(x, 2, axis),
    "topk": lambda x, axis: mx.topk(x, 2, axis),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("axis", (0, 1, -1))
def test_gradients_agree_with_finite_differences(name, axis):
    rng = np.random.default_rng(7)
    x = mx.array(rng.permutation(60).reshape(3, 4, 5) / 7, mx.float64)
    f = lambda x: FUNCTIONS[name](x, axis)  # noqa: E731
    w = mx.array(rng.standard_normal(f(x).shape), mx.float64)
    loss = lambda x: (mx.sin(f(x)) * w).sum()  # noqa: E731
    got = np.array(mx.grad(loss)(x))
    h, wanted = 1e-6, np.zeros(x.shape)
    for i in np.ndindex(*x.shape):
        step = np.zeros(x.shape)
        step[i] = h
        s = mx.array(step, mx.float64)
        wanted[i] = (loss(x + s) - loss(x - s)).item() / (2 * h)
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-8)
    t = mx.array(rng.standard_normal(x.shape), mx.float64)
    _, (d,) = mx.jvp(loss, (x,), (t,))
    assert d.item() == pytest.approx(float((got * np.array(t)).sum()), rel=1e-9)
    np.testing.assert_array_equal(np.array(mx.compile(mx.grad(loss))(x)), got)
    twice = mx.grad(lambda x: (mx.grad(loss)(x) ** 2).sum())(x)
    assert np.isfinite(np.array(twice)).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_vmap_and_compile_nest(name):
    rng = np.random.default_rng(8)
    x = mx.array(rng.standard_normal((4, 5, 6)))
    f = lambda x: FUNCTIONS[name](x, 0)  # noqa: E731
    wanted = mx.stack([mx.stack([f(x[i, :, j]) for j in range(6)]) for i in range(4)])
    nested = mx.vmap(mx.vmap(f, in_axes=1))
    for g in (nested, mx.compile(nested), mx.vmap(mx.compile(mx.vmap(f, in_axes=1)))):
        np.testing.assert_array_equal(np.array(g(x)), np.array(wanted))
    slope = mx.vmap(mx.grad(lambda x: (f(x) ** 2).sum()))(x[:, :, 0])
    loop = [mx.grad(lambda x: (f(x) ** 2).sum())(x[i, :, 0]) for i in range(4)]
    np.testing.assert_array_equal(np.array(slope), np.array(mx.stack(loop)))


def test_searchsorted_is_mapped_over_either_operand():
    rng = np.random.default_rng(9)
    s = mx.sort(mx.array(rng.standard_normal((3, 20))))
    v = mx.array(rng.standard_normal((3, 7)))
    rows = [mx.searchsorted(s[i], v[i]).tolist() for i in range(3)]
    assert mx.vmap(mx.searchsorted)(s, v).tolist() == rows
    assert mx.searchsorted(s, v).tolist() == rows
    one = [mx.searchsorted(s[0], v[i]).tolist() for i in range(3)]
    assert mx.vmap(lambda v: mx.searchsorted(s[0], v))(v).tolist() == one
    other = [mx.searchsorted(s[i], v[0]).tolist() for i in range(3)]
    assert mx.vmap(lambda s: mx.searchsorted(s, v[0]))(s).tolist() == other


PROGRAM = """
import hashlib, json, sys
import numpy as np
import lazulite.core as mx
rng = np.random.default_rng(0)
found = {}
def note(name, a):
    found[name] = hashlib.blake2b(np.array(a).tobytes()).hexdigest()
for dtype in ("int8", "uint16", "int32", "int64", "float16", "float32", "float64"):
    v = np.round(rng.standard_normal(150_000) * 1000)
    v = np.abs(v) if dtype.startswith("u") else v
    v[5::1000] = 0 if "int" in dtype else np.nan
    a = mx.array(v.astype(dtype), getattr(mx, dtype))
    b = a.reshape(300, 500)
    for name, x, axis in (("line", a, -1), ("rows", b, 1), ("columns", b, 0)):
        key = f"{dtype} {name} "
        note(key + "sort", mx.sort(x, axis))
        note(key + "argsort", mx.argsort(x, axis))
        note(key + "partition", mx.partition(x, 100, axis))
        note(key + "argpartition", mx.argpartition(x, 100, axis))
        note(key + "topk", mx.topk(x, 50, axis))
        note(key + "search", mx.searchsorted(mx.sort(a), x))
json.dump(found, sys.stdout)
"""


def bits_with(**settings):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_bits_are_the_same_with_any_number_of_threads_and_at_every_level():
    wanted = bits_with(LAZULITE_NUM_THREADS="1")
    for threads in ("2", "7"):
        assert bits_with(LAZULITE_NUM_THREADS=threads) == wanted
    for level in LOWER:
        assert bits_with(LAZULITE_ISA=level) == wanted, level


# ---- what depends on the data


@pytest.mark.parametrize("dtype", INTEGERS + ("float32", "float64") + COMPLEX)
def test_different_elements_agree_with_numpy(dtype):
    for n in (0, 1, 2, 100, 5000, 70000):
        v = sample(dtype, n, "equal", n)
        if dtype in COMPLEX:  # NumPy takes any nan for the first
            v[np.isnan(v)] = 0
        a = array(v)
        wanted = np.unique(v, True, True, True)
        got = mx.unique(a, None, True, True, True)
        for g, w in zip(got, wanted):
            np.testing.assert_array_equal(np.array(g), w)
        same(mx.unique(a), wanted[0])
        apart = np.unique(v, equal_nan=False)
        same(mx.unique_values(a), apart)
        every = mx.unique_all(a)
        assert every.values.shape == every.indices.shape == every.counts.shape == apart.shape
        np.testing.assert_array_equal(v[np.array(every.indices)], apart)
        np.testing.assert_array_equal(apart[np.array(every.inverse_indices)], v)
        assert mx.unique_counts(a).counts.tolist() == every.counts.tolist()
        assert mx.unique_inverse(a).inverse_indices.tolist() == every.inverse_indices.tolist()


def test_different_elements_of_many_axes_and_their_gradient():
    v = np.array([[3.0, 1, 3], [np.nan, 1, np.nan]], np.float32)
    values, inverse = mx.unique(mx.array(v), return_inverse=True)
    assert inverse.shape == (2, 3)
    np.testing.assert_array_equal(np.array(values)[np.array(inverse)], v)
    for options in ({}, {"return_counts": True}):
        f = (
            lambda x, o=options: (mx.unique(x, **o) if not o else mx.unique(x, **o)[0]) ** 2
        )  # noqa: E731
        assert mx.grad(lambda x: f(x).sum())(mx.array([1.0, 2, 1])).tolist() == [2, 4, 0]


def test_a_size_makes_different_elements_work_in_traces():
    x = mx.array([[5, 2, 5, 7], [1, 1, 1, 1]])
    f = lambda x: mx.unique(x, 3, True, True, True, fill_value=-1)  # noqa: E731
    wanted = [[2, 5, 7], [1, 0, 3], [1, 0, 1, 2], [1, 2, 1]]
    alone = [[1, -1, -1], [0, 0, 0], [0, 0, 0, 0], [4, 0, 0]]
    assert [a.tolist() for a in f(x[0])] == wanted
    assert [a.tolist() for a in mx.compile(f)(x[0])] == wanted
    for g in (mx.vmap(f), mx.compile(mx.vmap(f)), mx.vmap(mx.compile(f))):
        assert [a.tolist() for a in g(x)] == [list(pair) for pair in zip(wanted, alone)]
    assert mx.vmap(lambda x: mx.unique(x, size=2))(x).tolist() == [[2, 5], [1, 1]]
    assert mx.unique(mx.zeros((0,)), 2).tolist() == [0, 0]
    assert mx.unique(mx.zeros((0,)), 2, fill_value=3).tolist() == [3, 3]


@pytest.mark.parametrize("shape", ((5,), (3, 4), (0, 3), (7, 30, 20), (100_000,), (300, 300)))
@pytest.mark.parametrize("share", (0.0, 0.02, 0.5, 1.0))
def test_places_that_are_not_zero_agree_with_numpy(shape, share):
    v = np.random.default_rng(1).random(shape) < share
    for w in (v, v * 2.5, v.T, v[::-1]):
        a = mx.array(np.ascontiguousarray(w))
        for g, n in zip(mx.nonzero(a), np.nonzero(w)):
            same(g, n)
        same(mx.argwhere(a), np.argwhere(w))
        same(mx.flatnonzero(a), np.flatnonzero(w))
        same(
            a[mx.array(np.ascontiguousarray(w != 0))],
            np.ascontiguousarray(w[w != 0], np.array(a).dtype),
        )


def test_a_size_makes_places_work_in_traces():
    x = mx.array([[0, 5, 0, 7], [1, 1, 1, 1]])
    f = lambda x: mx.nonzero(x, size=3, fill_value=-1)[0]  # noqa: E731
    wanted = [[1, 3, -1], [0, 1, 2]]
    for g in (mx.vmap(f), mx.compile(mx.vmap(f)), mx.vmap(mx.compile(f))):
        assert g(x).tolist() == wanted
    assert mx.compile(lambda x: mx.argwhere(x, size=2))(x).tolist() == [[0, 1], [0, 3]]


@pytest.mark.parametrize("transform", (mx.compile, mx.vmap), ids=("compile", "vmap"))
@pytest.mark.parametrize("name", ("unique", "nonzero", "argwhere", "flatnonzero", "unique_all"))
def test_without_a_size_traces_say_that_one_is_needed(name, transform):
    with pytest.raises(mx.TracerError, match=r"expected one, as in \w+\(a, size=10\)"):
        transform(getattr(mx, name))(mx.ones((3, 4)))


def test_places_of_no_axis_are_refused():
    with pytest.raises(ValueError, match="0-d"):
        mx.nonzero(mx.array(1))
    with pytest.raises(ValueError, match="size"):
        mx.nonzero(mx.ones(3), size=-1)
    with pytest.raises(ValueError, match="size"):
        mx.unique(mx.ones(3), -1)


@pytest.mark.parametrize("dtype", ("float32", "float64", "int32"))
def test_medians_are_selected_whatever_the_length(dtype):
    for n in (1, 2, 3, 10, 255, 256, 257, 1000, 5001, 100_000):
        for kind in ("any", "equal", "order"):
            v = np.stack(
                [np.nan_to_num(sample(dtype, n, kind, k), posinf=9, neginf=-9) for k in range(3)]
            )
            v = v // 3 if dtype == "int32" else v  # sums of two fit
            wanted = np.median(v.astype(np.float64), 1)
            np.testing.assert_allclose(np.array(mx.median(array(v), 1)), wanted, rtol=1e-6)
            if dtype != "int32":
                v[1, n // 2] = np.nan
                got = np.isnan(np.array(mx.median(array(v), 1)))
                assert got.tolist() == [False, True, False]
