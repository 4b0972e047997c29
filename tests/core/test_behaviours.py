"""Behaviours that programs rely on, a sentence each."""

import numpy as np
import pytest

import lazulite.core as mx

INF, NAN = float("inf"), float("nan")


# ---- making arrays


@pytest.mark.parametrize(
    "make",
    [
        lambda: mx.ones((1000,)),
        lambda: mx.zeros((1, 1000)),
        lambda: mx.full((1000, 1), 2.0),
        lambda: mx.arange(1000.0),
        lambda: mx.arange(1000.0) * 1,
        lambda: mx.full((), 3.0),
        lambda: mx.array(3.0),
    ],
)
def test_broadcasting_takes_no_memory(make):
    a = make()
    before = mx.get_active_memory()
    b = mx.broadcast_to(a, (1000, 1000))
    mx.eval(b)
    assert mx.get_active_memory() - before <= 8000
    view = np.array(b, copy=False)
    expected = np.broadcast_to(np.array(a), (1000, 1000))
    assert view.strides == expected.strides
    np.testing.assert_array_equal(view, expected)
    c = mx.broadcast_arrays(make(), mx.zeros((1000, 1000)))[0]
    mx.eval(c)
    assert np.array(c, copy=False).strides == expected.strides


@pytest.mark.parametrize(
    "arguments", [(0, 3, 0.2), (-1, -20, -1.2), (0.5, 7.9, 1.5), (5.9, 0, -1), (0, 3, 1.0)]
)
def test_arange_of_an_integer_dtype_counts_as_numpy(arguments):
    for dtype in ("int32", "int64", "int8"):
        np.testing.assert_array_equal(
            np.array(mx.arange(*arguments, dtype=dtype)), np.arange(*arguments, dtype=dtype)
        )


def test_arange_with_an_infinite_step_reaches_one_number_at_most():
    assert mx.arange(0, 3, INF).tolist() == [0] and mx.arange(3, 0, -INF).tolist() == [3]
    assert mx.arange(0, 3, -INF).tolist() == [] and mx.arange(3, 3, INF).tolist() == []
    assert mx.arange(2, 3, INF, dtype=mx.int32).tolist() == [2]
    for arguments in [
        (INF,),
        (NAN,),
        (0, NAN),
        (0, 1, NAN),
        (-INF, 1, 1),
        (INF, 1, 1),
        (0, INF, INF),
    ]:
        with pytest.raises(ValueError):
            mx.arange(*arguments)


def test_arange_takes_no_start_by_name_without_a_stop():
    for options in ({"start": 3}, {"start": 1, "step": 2}, {"start": 3, "stop": None}):
        with pytest.raises(TypeError, match="stop"):
            mx.arange(**options)
    assert (
        mx.arange(stop=3).tolist()
        == mx.arange(3, None).tolist()
        == mx.arange(3).tolist()
        == [0, 1, 2]
    )
    assert mx.arange(start=1, stop=3).tolist() == [1, 2]


def test_the_dtype_of_finfo_is_that_of_its_numbers():
    assert (
        mx.finfo(mx.complex64).dtype == mx.float32 and mx.finfo(mx.complex128).dtype == mx.float64
    )
    assert (
        mx.finfo(mx.complex64).eps == mx.finfo(mx.float32).eps
        and mx.finfo(mx.float16).dtype == mx.float16
    )


def test_the_version_begins_with_three_integers():
    assert (
        all(part.isdigit() for part in mx.__version__.split(".")[:3])
        and mx.__version__.count(".") >= 2
    )


# ---- shapes


def test_negative_sizes_do_not_broadcast():
    for call in (
        lambda: mx.broadcast_to(mx.array(1), (-1,)),
        lambda: mx.broadcast_to(mx.ones((1,)), (2, -1)),
        lambda: mx.broadcast_shapes((1, -1), (1,)),
        lambda: mx.broadcast_shapes((-1,), (-1,)),
    ):
        with pytest.raises(ValueError):
            call()


def test_concatenate_without_an_axis_flattens():
    a, b = mx.array([[1, 2], [3, 4]]), mx.array(5.5)
    for f in (mx.concatenate, mx.concat):
        assert f([a, b], axis=None).tolist() == [1, 2, 3, 4, 5.5]
        assert f([b], axis=None).tolist() == [5.5]


def test_meshgrid_and_unstack_return_tuples():
    assert isinstance(mx.minmax(mx.arange(3)), tuple)
    for options in ({}, {"sparse": True}, {"indexing": "ij"}):
        assert type(mx.meshgrid(mx.arange(2), mx.arange(3), **options)) is tuple
        assert type(mx.meshgrid(mx.arange(2), **options)) is tuple
    assert type(mx.unstack(mx.ones((2, 3)))) is tuple


@pytest.mark.parametrize(
    "shift,axis",
    [
        ((1, 2), 1),
        (1, (0, 1)),
        ((1, 2), (0, 0)),
        ((1, -1, 2), (1, 1, 0)),
        ((3,), (0, 1)),
        (5, None),
        ((1, 2), None),
        ((7, -9), (-1, 1)),
        (-13, 0),
        ((2**40, 1), (0, 0)),
    ],
)
def test_roll_broadcasts_shifts_against_axes(shift, axis):
    n = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(
        np.array(mx.roll(mx.array(n), shift, axis)), np.roll(n, shift, axis)
    )


def test_roll_refuses_numbers_that_do_not_broadcast():
    with pytest.raises(ValueError):
        mx.roll(mx.ones((2, 2)), (1, 2), (0, 1, 1))


def test_addmm_takes_no_more_axes_or_larger_sizes():
    a, b = mx.ones((3, 2)), mx.ones((2, 4))
    for shape in ((3, 4), (4,), (1,), (), (3, 1), (1, 4)):
        assert mx.addmm(mx.ones(shape), a, b).shape == (3, 4)
    for shape in ((1, 3, 4), (2, 3, 4), (6, 4), (1, 1, 1), (3, 8)):
        with pytest.raises(ValueError):
            mx.addmm(mx.ones(shape), a, b)
    with pytest.raises(ValueError):
        mx.addmm(mx.ones((2,)), mx.ones((1, 2)), mx.ones((2, 1)))


def test_vecdot_wants_equal_sizes_along_the_axis():
    for x, y in [((), ()), ((3,), ()), ((), (3,)), ((3,), (1,)), ((2, 3), (2, 1))]:
        with pytest.raises(ValueError):
            mx.vecdot(mx.ones(x), mx.ones(y))
    assert mx.vecdot(mx.ones((2, 3)), mx.ones((2, 1)), axis=0).tolist() == [2, 2, 2]
    assert mx.vecdot(mx.ones((2, 3)), mx.ones((3,))).tolist() == [3, 3]


def test_taking_from_an_empty_axis_fails_at_the_call():
    index = mx.array([0])
    for call in (
        lambda: mx.take(mx.zeros((0,)), index),
        lambda: mx.take(mx.zeros((3, 0)), index, axis=1),
        lambda: mx.zeros((0,))[index],
        lambda: mx.take(mx.zeros((3, 0)), 0, axis=1),
        lambda: mx.compile(lambda x: mx.take(x, index))(mx.zeros((0,))),
    ):
        with pytest.raises(IndexError, match="size 0"):
            call()
    none = mx.array([], dtype=mx.int32)
    assert mx.take(mx.zeros((0, 3)), none, axis=0).shape == (0, 3) and mx.take(
        mx.zeros((3, 0)), none, axis=1
    ).shape == (3, 0)


@pytest.mark.parametrize("indices", [mx.float32, mx.int8, mx.bool_])
def test_empty_arrays_take_and_put_along_an_axis_whatever_the_dtype_of_indices(indices):
    a = mx.zeros((0, 3), dtype=mx.int8)
    for axis, shape in ((0, (0, 3)), (1, (0, 3)), (None, (0,))):
        put = mx.put_along_axis(a, mx.zeros(shape, indices), mx.zeros(shape), axis=axis)
        assert put.shape == (0, 3) and put.dtype == mx.int8
        taken = mx.take_along_axis(a, mx.zeros(shape, indices), axis=axis)
        assert taken.shape == shape and taken.dtype == mx.int8


# ---- functions


def test_logaddexp_of_complex_numbers():
    rng = np.random.default_rng(3)
    a = (rng.normal(size=500) * 3 + 1j * rng.normal(size=500) * 3).astype(np.complex64)
    b = (rng.normal(size=500) * 3 + 1j * rng.normal(size=500) * 3).astype(np.complex64)
    expected = np.log(np.exp(a.astype(np.complex128)) + np.exp(b.astype(np.complex128)))
    got = np.array(mx.logaddexp(mx.array(a), mx.array(b)))
    keep = np.abs(np.exp(expected)) > 0.05 * np.abs(np.exp(a.astype(np.complex128)))
    # the argument of a sum is known up to a turn
    np.testing.assert_allclose(
        np.exp(got.astype(np.complex128))[keep], np.exp(expected)[keep], rtol=3e-5
    )
    low = mx.array([complex(-INF, 0)])
    assert (
        mx.logaddexp(low, mx.array([0.5 - 1j])).item()
        == 0.5 - 1j
        == mx.logaddexp(mx.array([0.5 - 1j]), low).item()
    )
    assert mx.logaddexp(low, low).item() == complex(-INF, 0)
    big = mx.array([1000 + 1j])
    assert mx.logaddexp(big, big).item() == pytest.approx(complex(1000.6931, 1), rel=1e-6)


def test_median_of_complex_numbers_orders_as_sort():
    def order(v):
        return sorted(v, key=lambda z: (z.real, z.imag))

    rng = np.random.default_rng(4)
    for n in (1, 2, 5, 8):
        v = (rng.integers(-2, 2, n) + 1j * rng.normal(size=n)).astype(np.complex64)
        middle = order(v.tolist())[(n - 1) // 2:n // 2 + 1]
        assert mx.median(mx.array(v)).item() == pytest.approx(sum(middle) / len(middle), rel=1e-6)
    for bad in (complex(NAN, 0), complex(0, NAN)):
        assert np.isnan(mx.median(mx.array([1 + 2j, bad, 3])).item())


# ---- writing by a mask


def write(x, mask, v):
    x = x + 0
    x[mask] = v
    return x


MASKS = np.array([[True, False, True, True], [False] * 4, [True] * 4])


def expected_write(x, mask, v):
    out = np.array(x)
    out[mask] = v[:mask.sum()]
    return out


def test_the_first_values_are_used_and_a_mask_without_true_takes_none():
    for mask in MASKS:
        for n in (4, 6):
            x, v = np.zeros(4, np.float32), np.arange(1, 1 + n, dtype=np.float32)
            for f in (write, mx.compile(write)):
                np.testing.assert_array_equal(
                    np.array(f(mx.array(x), mx.array(mask), mx.array(v))),
                    expected_write(x, mask, v),
                )
    assert write(mx.zeros(4), mx.array([False] * 4), mx.array([])).tolist() == [0] * 4


@pytest.mark.parametrize(
    "axes",
    [
        (0, 0, 0),
        (0, None, None),
        (None, 0, None),
        (None, None, 0),
        (0, 0, None),
        (None, 0, 0),
        (0, None, 0),
    ],
)
def test_masks_write_arrays_inside_vmap_in_any_mix(axes):
    rng = np.random.default_rng(5)
    x, m, v = (
        rng.normal(size=(3, 4)).astype(np.float32),
        MASKS,
        rng.normal(size=(3, 5)).astype(np.float32),
    )
    given = [a if axis == 0 else a[0] for a, axis in zip((x, m, v), axes)]
    lanes = [[a[i] if axis == 0 else a for a, axis in zip(given, axes)] for i in range(3)]
    expected = np.stack([expected_write(*lane) for lane in lanes])
    arrays = [mx.array(a) for a in given]
    for f in (
        mx.vmap(write, in_axes=axes),
        mx.compile(mx.vmap(write, in_axes=axes)),
        mx.vmap(mx.compile(write), in_axes=axes),
    ):
        np.testing.assert_array_equal(np.array(f(*arrays)), expected)
    nested = mx.vmap(mx.vmap(write, in_axes=axes))(*[mx.stack([a, a]) for a in arrays])
    np.testing.assert_array_equal(np.array(nested), np.stack([expected, expected]))


def test_masks_over_leading_axes_write_rows_inside_vmap():
    rng = np.random.default_rng(6)
    x, v = np.zeros((2, 3, 2), np.float32), rng.normal(size=(2, 3, 2)).astype(np.float32)
    m = np.array([[True, False, True], [False, True, False]])
    out = mx.vmap(write)(mx.array(x), mx.array(m), mx.array(v))
    np.testing.assert_array_equal(
        np.array(out), np.stack([expected_write(*lane) for lane in zip(x, m, v)])
    )


def test_gradients_of_what_a_mask_wrote():
    weights = mx.array([1.0, 2.0, 3.0, 4.0])

    def loss(x, m, v):
        return (write(x, m, v) * weights).sum()

    x, m, v = mx.zeros(4), mx.array(MASKS[0]), mx.ones(5)
    assert mx.grad(loss, argnums=2)(x, m, v).tolist() == [1, 3, 4, 0, 0]
    assert mx.grad(loss)(x, m, v).tolist() == [0, 2, 0, 0]
    lanes = mx.vmap(mx.grad(loss, argnums=2), in_axes=(None, 0, None))
    for f in (lanes, mx.compile(lanes)):
        assert f(x, mx.array(MASKS), v).tolist() == [[1, 3, 4, 0, 0], [0] * 5, [1, 2, 3, 4, 0]]


def test_too_few_values_raise_with_both_numbers():
    x, m, v = mx.zeros(4), mx.array(MASKS[0]), mx.array([1.0, 2.0])
    with pytest.raises(ValueError, match="got 2, expected 3"):
        write(x, m, v)
    with pytest.raises(ValueError, match="got 2, expected 3"):
        mx.eval(mx.compile(write)(x, m, v))
    with pytest.raises(ValueError, match="got 2, expected 3"):
        mx.eval(mx.vmap(write, in_axes=(None, 0, None))(x, mx.array(MASKS), v))


@pytest.mark.parametrize("how", ["add", "multiply", "maximum"])
def test_updates_by_a_mask_work_in_traces(how):
    def f(x, m, v):
        return getattr(x.at[m], how)(v)

    x, m, v = mx.array([5.0, 6.0, 7.0, 8.0]), mx.array(MASKS[0]), mx.array([10.0, 0.5, 2.0])
    assert mx.compile(f)(x, m, v).tolist() == f(x, m, v).tolist()


# ---- memory and background work


@pytest.mark.parametrize(
    "make",
    [
        lambda: mx.zeros((1000, 1000)),
        lambda: mx.ones((1000, 1000)),
        lambda: mx.full((1000, 1000), 2.5),
    ],
)
def test_the_memory_of_an_evaluated_constant_is_reused(make):
    before = mx.get_active_memory()
    x = make()
    mx.eval(x)
    mx.reset_peak_memory()
    for _ in range(3):
        x = mx.abs(x)
        mx.eval(x)
        x = mx.stop_gradient(x.reshape(1_000_000).reshape(1000, 1000).T.T)
        mx.eval(x)
    assert mx.get_peak_memory() - before <= 4_001_000


def test_a_constant_that_somebody_else_holds_keeps_its_values():
    x = mx.ones((100, 100))
    mx.eval(x)
    y, view = x, x.T
    z = mx.abs(x) + 1
    mx.eval(z, view)
    del x
    mx.eval(mx.abs(y) * 3)
    assert y.sum().item() == view.sum().item() == 10_000 and z.sum().item() == 20_000


def test_the_peak_is_nothing_after_a_reset_and_then_all_that_is_live():
    a = mx.arange(1000.0) * 2
    mx.eval(a)
    mx.reset_peak_memory()
    assert mx.get_peak_memory() == 0
    b = a + 1
    mx.eval(b)
    assert mx.get_peak_memory() == mx.get_active_memory() >= 8000


@pytest.mark.parametrize("where", [(), (mx.default_stream(mx.cpu),), (mx.cpu,)], ids=str)
def test_synchronize_raises_what_background_work_raised(where):
    x = mx.array([1.0, 2.0])[mx.array([7])]
    mx.async_eval(x)
    with pytest.raises(RuntimeError, match="out of range"):
        mx.synchronize(*where)
    with pytest.raises(IndexError, match="out of range"):
        mx.eval(x)
    mx.synchronize(*where)


# ---- random


def test_random_bools():
    key = mx.random.key(1)
    draws = mx.random.randint(0, 2, (1000,), dtype=mx.bool_, key=key)
    assert draws.dtype == mx.bool_ and 400 < int(draws.sum()) < 600
    assert not mx.any(mx.random.randint(0, 1, (100,), dtype=mx.bool_, key=key))
    assert mx.all(mx.random.randint(1, 2, (100,), dtype=mx.bool_, key=key))
    with pytest.raises(ValueError):
        mx.random.randint(0, 3, (4,), dtype=mx.bool_)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32])
@pytest.mark.parametrize("name", ["normal", "laplace"])
def test_loc_and_scale_are_what_one_would_write(dtype, name):
    key, f = mx.random.key(3), getattr(mx.random, name)
    direct = f((4000,), dtype=dtype, loc=1.7, scale=2.3, key=key)
    assert mx.array_equal(direct, 2.3 * f((4000,), dtype=dtype, key=key) + 1.7)


# ---- printing


@pytest.mark.parametrize(
    "precision,number,text",
    [
        (4, 1.123456789, "1.1235"),
        (2, 1.123456789, "1.12"),
        (2, 0.9, "0.90"),
        (4, 1e10, "10000000000.0000"),
        (0, -0.5, "-0"),
        (3, NAN, "nan"),
        (3, -INF, "-inf"),
        (2, 3, "3"),
        (2, 1.5 - 2j, "1.50-2.00j"),
        (1, 1e-10, "0.0"),
        (-1, 1 / 3, "0.333333"),
        (-1, 1e10, "1e+10"),
        (2, True, "True"),
    ],
)
def test_precision_is_the_number_of_digits_after_the_point(precision, number, text):
    with mx.printoptions(precision=precision):
        assert str(mx.array(number)).startswith(f"array({text}, ")
    mx.set_printoptions(precision=precision)
    try:
        assert repr(mx.array([number])).startswith(f"array([{text}], ")
    finally:
        mx.set_printoptions()
    assert str(mx.array(1 / 3)) == "array(0.333333, dtype=float32)"


def test_many_digits_of_large_numbers_print():
    with mx.printoptions(precision=30):
        assert str(mx.array(1e308, dtype=mx.float64)).endswith("." + "0" * 30 + ", dtype=float64)")


def test_device_types_print_as_names():
    assert repr(mx.cpu) == str(mx.cpu) == "DeviceType.cpu" and repr(mx.gpu) == "DeviceType.gpu"


def test_minmax_gives_a_tuple():
    a = mx.array([[3, 1], [2, 5]])
    low, high = made = mx.minmax(a, 0)
    assert type(made) is tuple and (low.tolist(), high.tolist()) == ([2, 1], [3, 5])


def test_a_size_of_zero_lets_the_others_be_large():
    big = 2**40
    empty = mx.zeros((0,)).reshape(big, big, 0)
    assert empty.shape == (big, big, 0) and empty.size == 0
    assert mx.zeros((0,)).reshape(0, big, big).shape == (0, big, big)
    assert mx.flatten(empty).shape == (0,)
    assert mx.unflatten(mx.zeros((0, 3)), 0, (big, big, 0)).shape == (big, big, 0, 3)
    with pytest.raises((MemoryError, ValueError)):
        mx.zeros((1,)).reshape(big, big, 1)
    with pytest.raises(ValueError):
        mx.zeros((0,)).reshape(big, -1, 0)
def test_arange_of_complex_dtypes():
    for t in (mx.complex64, mx.complex128):
        assert mx.arange(0, 3, dtype=t).tolist() == [0, 1, 2] and mx.arange(3, dtype=t).dtype == t
        assert mx.arange(0, 1, 0.25, t).tolist() == [0, 0.25, 0.5, 0.75]
    with pytest.raises(ValueError):
        mx.arange(3j)


def test_meshgrid_flattens_its_arrays():
    for shapes in ([(2, 2), (3,)], [(), (2, 3)], [(2, 1, 2)], [(0, 3), (2, 2)], [(2, 2), (), (3,)]):
        ours = [mx.arange(int(np.prod(s))).reshape(s) for s in shapes]
        theirs = [np.asarray(a) for a in ours]
        for options in (
            {},
            {"sparse": True},
            {"indexing": "ij"},
            {"sparse": True, "indexing": "ij"},
        ):
            got, expected = mx.meshgrid(*ours, **options), np.meshgrid(*theirs, **options)
            assert [a.tolist() for a in got] == [a.tolist() for a in expected]
