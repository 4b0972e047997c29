"""Reading and writing by index, beside NumPy."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import lazulite.core as mx

SHAPE = (3, 4, 5)
BASE = np.arange(60, dtype=np.float32).reshape(SHAPE)


def fresh():
    return mx.array(BASE)


@st.composite
def keys(draw, arrays=True):
    """A key for an array of SHAPE, as NumPy takes it."""
    items, axis, ellipsis = [], 0, False
    common = draw(st.sampled_from([(2,), (2, 3), ()]))
    while axis < 3 and draw(st.integers(0, 9)) > 0:
        n = SHAPE[axis]
        kinds = (
            ["int", "slice", "none"]
            + (["array"] if arrays else [])
            + ([] if ellipsis else ["ellipsis"])
        )
        kind = draw(st.sampled_from(kinds))
        if kind == "none":
            items.append(None)
            if len(items) > 6:
                break
            continue
        if kind == "ellipsis":
            ellipsis = True
            items.append(...)
            axis += draw(st.integers(0, 3 - axis))
            continue
        if kind == "int":
            items.append(draw(st.integers(-n, n - 1)))
        elif kind == "slice":
            bound = st.one_of(st.none(), st.integers(-n - 2, n + 2))
            step = st.one_of(st.none(), st.sampled_from([1, 2, 3, -1, -2, -7]))
            items.append(slice(draw(bound), draw(bound), draw(step)))
        else:
            items.append(
                np.array(
                    draw(
                        st.lists(
                            st.integers(-n, n - 1),
                            min_size=int(np.prod(common)),
                            max_size=int(np.prod(common)),
                        )
                    ),
                    dtype=np.int32,
                ).reshape(common)
            )
        axis += 1
    return tuple(items)


def ours(key):
    return tuple(mx.array(k) if isinstance(k, np.ndarray) else k for k in key)


def valid(key):
    """After an ellipsis, entries count from the end: indices may then be out of range for NumPy
    too."""
    try:
        return BASE[key]
    except IndexError:
        return None


@settings(max_examples=400, deadline=None)
@given(keys())
def test_reading(key):
    wanted = valid(key)
    if wanted is None:
        with pytest.raises(IndexError):
            mx.eval(fresh()[ours(key)])
        return
    got = fresh()[ours(key)]
    assert got.shape == wanted.shape
    np.testing.assert_array_equal(np.array(got), wanted)


@settings(max_examples=400, deadline=None)
@given(keys(), st.booleans())
def test_writing(key, whole):
    place = valid(key)
    if place is None:
        return
    value = (
        np.float32(-1)
        if not whole
        else -1 - np.arange(place.size, dtype=np.float32).reshape(place.shape)
    )
    wanted = BASE.copy()
    wanted[key] = value
    a = fresh()
    a[ours(key)] = mx.array(value) if whole else -1.0
    np.testing.assert_array_equal(np.array(a), wanted)


@settings(max_examples=200, deadline=None)
@given(
    keys(),
    st.sampled_from([n for n in dir(mx.zeros(1).at[0]) if not n.startswith("_") and n != "set"]),
)
def test_at_accumulates(key, name):
    place = valid(key)
    if place is None:
        return
    value = 1 + np.arange(place.size, dtype=np.float32).reshape(place.shape) % 3
    wanted = BASE.copy()
    getattr(np, name).at(wanted, key, value)
    got = getattr(fresh().at[ours(key)], name)(mx.array(value))
    np.testing.assert_allclose(np.array(got), wanted, rtol=1e-6)


def test_masks():
    a, n = fresh(), BASE.copy()
    mask = n % 3 == 0
    np.testing.assert_array_equal(np.array(a[mx.array(mask)]), n[mask])
    np.testing.assert_array_equal(np.array(a[mx.array(mask[:, :, 0])]), n[mask[:, :, 0]])
    a[mx.array(mask)] = 7
    n[mask] = 7
    np.testing.assert_array_equal(np.array(a), n)
    rows = np.array([True, False, True])
    a[mx.array(rows)] = mx.array(np.ones((2, 4, 5), np.float32))
    n[rows] = 1
    np.testing.assert_array_equal(np.array(a), n)
    a[a > 50] = mx.array(0.5)
    n[n > 50] = 0.5
    np.testing.assert_array_equal(np.array(a), n)
    b = mx.zeros(3)
    b[True] = 4
    assert b.tolist() == [4, 4, 4]
    b[False] = 5
    assert b.tolist() == [4, 4, 4]
    with pytest.raises(IndexError):
        b[mx.array([True, False])] = 1
    # the first ones, as many as are wanted
    b[mx.array([True, False, True])] = mx.array([1.0, 2.0, 3.0])
    assert b.tolist() == [1, 4, 2]
    with pytest.raises(ValueError):
        b[mx.array([True, True, True])] = mx.array([1.0, 2.0])
    # more values than True: the first ones
    b[mx.array([True, False, True])] = mx.array([1.0, 2.0, 3.0])
    assert b.tolist() == [1, 4, 2]
    b[mx.array([False, False, False])] = mx.array([7.0, 8.0])
    assert b.tolist() == [1, 4, 2]


def test_repeated_indices():
    a = mx.zeros(3)
    a[[0, 0, 1]] += 1
    assert a.tolist() == [1, 1, 0]
    assert mx.zeros(3).at[mx.array([0, 0, 1])].add(1).tolist() == [2, 1, 0]
    a = mx.zeros(2)
    a[mx.array([1, 1, 1])] = mx.array([1.0, 2.0, 3.0])
    assert a.tolist() == [0, 3]
    assert mx.array([8, 9]).at[0].set(3).tolist() == [3, 9]
    assert mx.array([7, 7, -7]).at[:].divide(2).tolist() == [3, 3, -3]
    half = mx.zeros(1, mx.float16).at[mx.zeros(5000, mx.int32)].add(1)
    assert half.item() == 5000  # not 2048, where float16 itself no longer sees 1


def test_values_take_the_dtype():
    a = mx.array([1, 2, 3])
    a[0] = 1.9
    assert a.tolist() == [1, 2, 3] and a.dtype == mx.int32
    a[1:] = [8, 9]
    assert a.tolist() == [1, 8, 9]
    with pytest.raises(TypeError):
        a[0] = 1j
    half = mx.zeros(2, mx.float16)
    half[0] = 1e300
    assert half.tolist() == [float("inf"), 0]


@pytest.mark.parametrize(
    "key, words",
    [
        ((3,), ["3", "axis 0", "size 3"]),
        ((0, -5), ["-5", "axis 1", "size 4"]),
        ((0, 0, 0, 0), ["4", "3 axes"]),
    ],
)
def test_numbers_out_of_range_raise_at_once(key, words):
    for error in (IndexError, ValueError):
        with pytest.raises(error) as raised:
            fresh()[key]
        assert all(w in str(raised.value) for w in words)
    with pytest.raises(IndexError):
        fresh()[key] = 0


def test_arrays_out_of_range_raise_at_evaluation():
    at = mx.array([0, 7])
    for make in (
        lambda a: a[at],
        lambda a: mx.take(a, at, 0),
        lambda a: mx.take_along_axis(a[0], mx.array([[9]]), 0),
        lambda a: a.at[at].add(1),
        lambda a: mx.put_along_axis(a[0], mx.array([[9] * 5]), mx.array(1.0), 0),
        lambda a: mx.slice(a, mx.array([2]), (0,), (2, 4, 5)),
        lambda a: mx.slice(a, mx.array([-1]), (0,), (2, 4, 5)),
    ):
        lazy = make(fresh())
        with pytest.raises(IndexError, match="axis 0 with size"):
            mx.eval(lazy)
        with pytest.raises(IndexError):
            mx.eval(lazy)  # and again
    with pytest.raises(IndexError):
        mx.take(mx.ones(3), 3)


@pytest.mark.parametrize(
    "key, error",
    [
        ("x", ValueError),
        (1.5, ValueError),
        (True, ValueError),
        (mx.array([0.5]), ValueError),
        ((..., ...), IndexError),
        (slice(None, None, 0), ValueError),
        (slice(0.5), TypeError),
        ({}, ValueError),
    ],
)
def test_what_is_no_key(key, error):
    with pytest.raises(error):
        mx.eval(fresh()[key])


def test_empty_and_array_bounds():
    assert fresh()[[]].shape == (0, 4, 5) and fresh()[mx.array([], mx.int32)].shape == (0, 4, 5)
    assert fresh()[np.array([1])].shape == (1, 4, 5) and fresh()[np.int64(1)].shape == (4, 5)
    assert fresh()[mx.array(1) : mx.array(3)].shape == (2, 4, 5)
    a = mx.arange(4)
    with pytest.raises(TypeError):
        del a[0]


def test_derivatives_through_updates():
    x = mx.array([1.0, 2.0, 3.0])

    def f(x):
        y = x * 1
        y[1] = x[0] * x[2]
        y[[0, 0]] = x[:2]
        return (y * mx.array([1.0, 10.0, 100.0])).sum()

    # y = [x1, x0 x2, x2]
    assert mx.grad(f)(x).tolist() == [30.0, 1.0, 110.0]
    assert mx.grad(lambda x: x.at[mx.array([0, 0])].multiply(x[1:]).sum())(x).tolist() == [
        6.0,
        3 + 1,
        2 + 1,
    ]


def test_repeated_axes_of_a_slice_are_refused():
    a = mx.ones((2, 3))
    for axes in ((1, 1), (0, -2), (1, 1, 1, 1, 1, 1)):
        start = mx.zeros((len(axes),), mx.int32)
        with pytest.raises(ValueError):
            mx.slice(a, start, axes, (1, 1))
        with pytest.raises(ValueError):
            mx.slice_update(a, mx.ones((1, 1)), start, axes)


@pytest.mark.parametrize("beyond", [2**63, 2**64 - 1])
def test_an_index_beyond_int64_is_out_of_range(beyond):
    i = mx.array([beyond], mx.uint64)
    x = mx.arange(5)
    for use in (
        lambda: x[i],
        lambda: mx.take(x, i),
        lambda: mx.take_along_axis(x, i, 0),
        lambda: x.at[i].add(10),
        lambda: mx.put_along_axis(x, i, mx.array([1]), 0),
        lambda: x[mx.array(beyond, mx.uint64)],
    ):
        with pytest.raises(IndexError):
            mx.eval(use())
    with pytest.raises(IndexError):
        x[i] = 9
        mx.eval(x)
    x = mx.arange(5)
    assert x[i[0]:].tolist() == [] and x[: i[0]].tolist() == [0, 1, 2, 3, 4]


def test_as_strided_stays_inside_the_array():
    a = mx.arange(6)
    for shape, strides, offset in (
        ((2,), (-1,), 0),
        ((3,), (-1,), 1),
        ((2,), (1,), -1),
        ((3,), (3,), 0),
        ((2, 2), (2**62, 2**62), 0),
    ):
        with pytest.raises(IndexError, match="as_strided"):
            mx.as_strided(a, shape, strides, offset)
    assert mx.as_strided(a, (3,), (-2,), 5).tolist() == [5, 3, 1]
    assert mx.as_strided(a, (0, 9), (100, 100), 77).shape == (0, 9)


def test_roll_takes_its_arguments_by_name():
    assert mx.roll(mx.arange(3), shift=1, axis=0).tolist() == [2, 0, 1]


def message(f):
    with pytest.raises(Exception) as caught:
        mx.eval(f())
    return str(caught.value)


def test_index_errors_of_an_evaluation_name_what_was_called():
    x, far = mx.zeros((3, 4)), mx.array([[9, 9, 9, 9]])
    one = mx.array(9)
    cases = {
        "take": lambda: mx.take(x, far, 0),
        "take_along_axis": lambda: mx.take_along_axis(x, far, 0),
        "put_along_axis": lambda: mx.put_along_axis(x, far, 1.0, 0),
        "index": lambda: x[far],
        "slice": lambda: mx.slice(x, one.reshape(1), 0, (1, 4)),
        "slice_update": lambda: mx.slice_update(x, x[:1], one.reshape(1), 0),
    }
    for name, f in cases.items():
        assert message(f).startswith(f"[{name}] index out of range: got "), (name, message(f))
        compiled = mx.compile(f)
        assert message(compiled).startswith(f"[{name}] index out of range: got "), name
    assert message(lambda: x.at[far].add(1.0)).startswith("[index] index out of range: got 9")
    grads = mx.grad(lambda x: x[far].sum())
    assert message(lambda: grads(x)).startswith("[index] ")
    lanes = mx.vmap(lambda i: mx.take(x, i, 0))
    assert message(lambda: lanes(far)).startswith("[take] ")


def test_sums_at_repeated_places_keep_their_order_for_any_number_of_threads():
    rng = np.random.default_rng(0)
    before = mx.num_threads()
    for rows, shape in ((50_000, ()), (3_000, (7,)), (3_000, (130,)), (900, (3, 5))):
        at = rng.integers(-40, 40, rows).astype(np.int32)
        values = rng.normal(size=(rows, *shape)).astype(np.float32)
        want = np.zeros((40, *shape), np.float32)
        np.add.at(want, at, values)
        for threads in (1, 2, 7):
            mx.set_num_threads(threads)
            try:
                for index in (
                    mx.array(at),
                    mx.array(at).astype(mx.int64),
                    mx.array(at)[::-1][::-1],
                ):
                    got = mx.zeros(want.shape).at[index].add(mx.array(values))
                    assert np.array(got).tobytes() == want.tobytes(), (rows, shape, threads)
            finally:
                mx.set_num_threads(before)


@pytest.mark.parametrize("dtype", ("int8", "float32", "float64", "complex128"))
@pytest.mark.parametrize("shape", ((300, 20), (5, 1000), (70000, 3), (9, 4, 33)))
def test_blocks_at_repeated_places_meet_in_order(dtype, shape):
    rng = np.random.default_rng(5)
    a = rng.integers(-9, 9, shape).astype(dtype)
    at = rng.integers(-shape[0], shape[0], 1003)
    values = (rng.integers(-99, 99, (1003, *shape[1:])) / 7).astype(dtype)
    x, u = (mx.array(v, getattr(mx, dtype)) for v in (a, values))
    want = a.copy()
    np.add.at(want, at, values)
    assert np.array_equal(np.array(x.at[mx.array(at)].add(u)), want)
    last = a.copy()
    last[at] = values
    assert np.array_equal(np.array(x.at[mx.array(at)].set(u)), last)


@pytest.mark.parametrize("dtype", [mx.int8, mx.int32, mx.uint32, mx.int64, mx.uint64], ids=str)
def test_indices_of_any_layout_and_dtype(dtype):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(90, 70)).astype(np.float32)
    for shape, axis in (((90, 5000), 1), ((3000, 70), 0), ((90, 1), 1), ((1, 70), 0)):
        at = rng.integers(0, 60, shape)
        if not mx.issubdtype(dtype, mx.unsignedinteger):
            at -= 60
        for view in (lambda a: a, lambda a: a[::-1], lambda a: a[:, ::-1]):
            index = view(mx.array(at).astype(dtype))
            want = np.take_along_axis(x, view(at), axis)
            assert np.array_equal(mx.take_along_axis(mx.array(x), index, axis), want)
            turned = mx.array(np.ascontiguousarray(x.T)).T
            assert np.array_equal(mx.take_along_axis(turned, index, axis), want)
            assert np.array_equal(mx.take(mx.array(x), index, 1), np.take(x, view(at), 1))


def test_gathers_hold_no_array_of_positions():
    x = mx.arange(1_000_000, dtype=mx.float32).reshape(1000, 1000)
    at = mx.zeros((1000, 1000), mx.int32) + 3
    mx.eval(x, at)
    for f in (lambda: mx.take_along_axis(x, at, 0), lambda: x.reshape(-1)[at]):
        start = mx.get_active_memory()
        mx.reset_peak_memory()
        mx.eval(f())
        assert mx.get_peak_memory() - start <= x.nbytes + 1000


@pytest.mark.parametrize("shape", [(0,), (0, 3), (5, 1, 0), (2, 0, 4)])
def test_masks_without_elements_are_masks(shape):
    """NumPy's too: not lists of no indices, which have no dtype of their own."""
    for axes in range(1, len(shape) + 1):
        mask = np.zeros(shape[:axes], bool)
        if mask.size:
            continue
        ours, numpy = mx.ones((*shape, 2)), np.ones((*shape, 2))
        for key in (mask, mx.array(mask)):
            assert ours[key].shape == numpy[mask].shape
            assert ours[key, ..., 0].shape == numpy[mask, ..., 0].shape
            assert ours.at[key].add(1).shape == numpy.shape
            changed = mx.array(ours)
            changed[key] = 3
            assert changed.shape == numpy.shape
    with pytest.raises(ValueError, match=r"\[index\] indices of float32"):
        mx.ones(3)[np.zeros(0, np.float32)]
    assert mx.ones(3)[[]].shape == (0,) and mx.ones((3, 2))[[[]]].shape == (1, 0, 2)


def test_ranges_are_lists_of_indices():
    a = np.arange(24.0).reshape(4, 6)
    for r in (range(3), range(3, 0, -2), range(0), range(-1, -4, -1)):
        for key in (r, (slice(None), r), (r, 1), (..., r, None)):
            assert np.array_equal(np.array(mx.array(a)[key]), a[key])
        x, y = mx.array(a), a.copy()
        x[:, r] = 7
        y[:, r] = 7
        assert np.array_equal(np.array(x), y)
    with pytest.raises(IndexError):
        mx.eval(mx.array(a)[range(9)])


NUMPY_KEYS = [
    np.True_, np.False_, np.int64(1), np.uint8(2), np.int8(-1), np.array(1), np.array(True),
    (np.int64(1), np.int32(2)), (np.int16(1), slice(None)), (slice(None), np.uint64(3)),
    (np.True_, 1), (np.int64(1), np.True_), (np.False_, slice(None)), (np.True_, [0, 2]),
    (..., np.True_), (None, np.int64(-1)), ([0, 1], np.True_), (np.True_, np.True_),
    (np.False_, np.int64(0)), (np.True_, None, 1), (np.int64(1), ..., np.array(2)),
    slice(np.int64(0), np.uint8(2)), (slice(None, None, np.int64(-1)), np.int64(2)),
]


@pytest.mark.parametrize("key", NUMPY_KEYS, ids=repr)
def test_bools_and_integers_of_numpy_are_indices(key):
    n = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    a, want = mx.array(n), n[key]
    for got in (a[key], mx.compile(lambda a: a[key])(a), (a + 0)[key]):
        assert got.shape == want.shape and np.array_equal(np.array(got), want)
    changed, added = n.copy(), n.copy()
    changed[key] = 7
    added[key] += 2
    assigned = mx.array(n)
    assigned[key] = 7
    assert np.array_equal(np.array(assigned), changed)
    for got, wanted in ((a.at[key].set(7), changed), (a.at[key].add(2), added)):
        assert np.array_equal(np.array(got), wanted)
    grad = np.zeros_like(n)
    grad[key] = 1
    assert np.array_equal(np.array(mx.grad(lambda a: a[key].sum())(a)), grad)


PLACES = [(3, 5), (40, 70), (7, 9, 1), (5, 11, 17), (2, 3, 4, 5), (1, 9, 700), (9, 4, 0)]
SEEN = [lambda a: a, lambda a: a[::-1], lambda a: a.T, lambda a: a[..., ::-1]]


@pytest.mark.parametrize("dtype", ["float32", "uint8", "complex64"])
@pytest.mark.parametrize("shape", PLACES, ids=str)
def test_one_index_array_on_any_axis(shape, dtype, threads):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 100, shape).astype(dtype.strip("_"))
    for see, axis in itertools.product(SEEN, range(len(shape))):
        y, a = see(x), see(mx.array(x, getattr(mx, dtype)))
        for like in ((1,), (5,), (2, 3), (0,)):
            if y.shape[axis] == 0:
                continue
            i = rng.integers(-y.shape[axis], y.shape[axis], like)
            key, ours = ((slice(None),) * axis + (k,) for k in (i, mx.array(i)))
            np.testing.assert_array_equal(np.array(a[ours]), y[key])
            np.testing.assert_array_equal(np.array(mx.take(a, mx.array(i), axis)), y[key])
            v = rng.integers(0, 100, y[key].shape).astype(x.dtype)
            w = mx.array(v, getattr(mx, dtype))
            for update, name in ((np.add, "add"), (np.maximum, "maximum"), (None, None)):
                if name == "maximum" and dtype == "complex64":
                    continue
                want, got = y.copy(), mx.array(a)
                if update:
                    update.at(want, key, v)
                    got = getattr(a.at[ours], name)(w)
                else:
                    want[key] = v
                    got[ours] = w
                np.testing.assert_array_equal(np.array(got), want)


@pytest.mark.parametrize("shape", [(1000, 300), (40, 30, 80), (3, 7, 5), (9000, 33), (2, 4000, 70)])
def test_along_an_axis_by_strips_of_columns(shape, threads):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(np.float32)
    for axis, see in itertools.product(range(len(shape)), (lambda a: a, lambda a: a[::-1])):
        many = shape[:axis] + (37,) + shape[axis + 1 :]
        i = rng.integers(-shape[axis], shape[axis], many)
        v = rng.standard_normal(many).astype(np.float32)
        a, b = see(mx.array(x)), see(x)
        got = mx.take_along_axis(a, mx.array(i), axis)
        np.testing.assert_array_equal(np.array(got), np.take_along_axis(b, i, axis))
        want = b.copy()
        np.put_along_axis(want, i, v, axis)
        got = mx.put_along_axis(a, mx.array(i), mx.array(v), axis)
        np.testing.assert_array_equal(np.array(got), want)
        bad = mx.where(mx.arange(37 if axis == len(shape) - 1 else shape[-1]) == 2, 10**6, i)
        with pytest.raises(IndexError, match="index out of range: got 1000000"):
            mx.eval(mx.take_along_axis(a, bad, axis))


def test_gathers_inside_in_transforms():
    x = mx.array(np.random.default_rng(0).normal(size=(3, 6, 5)))
    i = mx.array([[0, 3, 2], [1, 1, 4]])
    for axis in (0, 1):
        f = lambda a, k: mx.sin(mx.take(a, k, axis))
        for axes in ((0, None), (0, 0), (None, 0)):
            a = x if axes[0] == 0 else x[0]
            k = mx.stack([i, i[::-1], i % 3]) if axes[1] == 0 else i
            got = mx.vmap(f, in_axes=axes)(a, k)
            want = [f(a[n] if axes[0] == 0 else a, k[n] if axes[1] == 0 else k) for n in range(3)]
            np.testing.assert_allclose(np.array(got), np.array(mx.stack(want)))
            g = mx.grad(lambda a, k: mx.sum(f(a, k) ** 2))
            got = mx.vmap(g, in_axes=axes)(a, k)
            want = [g(a[n] if axes[0] == 0 else a, k[n] if axes[1] == 0 else k) for n in range(3)]
            np.testing.assert_allclose(np.array(got), np.array(mx.stack(want)), rtol=1e-12)


@pytest.mark.parametrize("name", ["float32", "float64", "float16", "int32", "complex64", "bool_"])
@pytest.mark.parametrize("count", [1, 2047, 2048, 2049, 5000])
def test_the_largest_at_repeated_places(name, count):
    """As one after the other: a nan that is met stays, and of equal ones the first."""
    rng = np.random.default_rng(count)
    where = rng.integers(0, 40, count)
    values = rng.integers(-9, 9, (2, count)) / 2
    start = rng.integers(-9, 9, (2, 40)) / 2
    for part in (values, start):
        part[0, part[0] == 2] = -0.0
        if name in ("float32", "float64", "float16", "complex64"):
            part[0, :: part.shape[1] // 3 + 1] = np.nan
            part[0, 1 :: part.shape[1] // 5 + 2] = np.inf
    if name == "complex64":
        x, v = (part[0] + 1j * part[1] for part in (start, values))
    else:
        with np.errstate(invalid="ignore"):
            x, v = (part[0].astype(name) for part in (start, values))
    x, v = (part.astype(name) for part in (x, v))
    dtype = getattr(mx, name)
    for largest, theirs in ((True, np.maximum), (False, np.minimum)):
        want = x.copy()
        for i, value in zip(where, v):
            better = want[i] != want[i] or not (value != value or theirs(want[i], value) != want[i])
            want[i] = want[i] if better else value
        at = mx.array(x, dtype).at[mx.array(where)]
        got = np.asarray((at.maximum if largest else at.minimum)(mx.array(v, dtype)))
        assert np.array_equal(got, want, equal_nan=name != "bool_"), largest
        real = np.real(got)
        if name != "bool_":
            assert (np.signbit(real) == np.signbit(np.real(want)))[~np.isnan(real)].all(), largest


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 32, 33, 63, 64, 65])
def test_rows_are_added_in_order(width, threads):
    rng = np.random.default_rng(width)
    where = rng.integers(-40, 40, 500)
    for name in (
        "float32",
        "float64",
        "float16",
        "int32",
        "uint32",
        "int64",
        "uint64",
        "int8",
        "complex64",
    ):
        x = (rng.standard_normal((40, width)) * 50).astype(name)
        v = (rng.standard_normal((500, width)) * 50).astype(name)
        want = x.copy()
        np.add.at(want, where, v)
        dtype = getattr(mx, name)
        got = np.asarray(mx.array(x, dtype).at[mx.array(where)].add(mx.array(v, dtype)))
        if name == "float16":  # rounded once, or with each row
            np.testing.assert_allclose(got, want, rtol=0.02, atol=2)
        else:
            assert got.tobytes() == want.tobytes(), name
        one = np.asarray(mx.array(x, dtype).at[mx.array(where)].add(mx.array(v[0], dtype)))
        want = x.copy()
        np.add.at(want, where, v[0])
        if name != "float16":
            assert one.tobytes() == want.tobytes(), name
