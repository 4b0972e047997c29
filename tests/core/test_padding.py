"""pad in NumPy's modes, and what is written on diagonals."""

import numpy as np
import pytest

import lazulite.core as mx

MODES = "constant edge linear_ramp maximum mean median minimum reflect symmetric wrap".split()
DTYPES = ("float64", "float32", "int32", "uint8", "int8", "bool", "complex128")


def pairs(rng, low, high, axes):
    return [tuple(map(int, rng.integers(low, high, 2))) for _ in range(axes)]


@pytest.mark.parametrize("mode", MODES)
def test_random_arrays_are_padded_as_numpy_does_beyond_their_sizes_too(mode):
    rng = np.random.default_rng(7)
    for _ in range(150):
        axes, dtype = int(rng.integers(1, 4)), str(rng.choice(DTYPES))
        a = rng.normal(size=tuple(rng.integers(1, 6, axes))) * 5
        a = a > 0 if dtype == "bool" else (abs(a) if dtype == "uint8" else a).astype(dtype)
        some = rng.random() < 0.5
        options = {}
        if mode == "constant":
            options["constant_values"] = pairs(rng, 0, 3, axes) if some else 1
        elif mode == "linear_ramp":
            options["end_values"] = pairs(rng, 0, 3, axes) if some else 1
        elif mode in ("reflect", "symmetric"):
            options["reflect_type"] = "odd" if some and dtype != "bool" else "even"
        elif mode not in ("edge", "wrap") and some:
            options["stat_length"] = pairs(rng, 1, 4, axes)
        widths = pairs(rng, 0, 13, axes)
        wanted = np.pad(a, widths, mode, **options)
        made = mx.array(a, mx.bool_ if dtype == "bool" else getattr(mx, dtype))
        got = np.array(mx.pad(made, widths, mode, **options))
        assert got.dtype == wanted.dtype
        # NumPy goes from turn to turn in float32, which adds up.
        most = 1e-3 if dtype == "float32" else 1e-9
        np.testing.assert_allclose(got, wanted, most, most, err_msg=str((widths, options)))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda a: mx.pad(a, 1, "mirror"), "unknown mode: got 'mirror', expected one of constant"),
        (lambda a: mx.pad(a, 1, "mean", stat_length=0), "stat_length: got 0"),
        (lambda a: mx.pad(a, 1, "reflect", reflect_type="both"), "reflect_type: got 'both'"),
        (lambda a: mx.pad(a, 1, constant_values=[1, 2, 3]), "pad"),
        (lambda a: mx.pad(a[:0], 1, "edge"), "nothing to repeat along axis 0"),
        (lambda a: mx.pad(a, [(1, 1)] * 3), "widths for 3 axes: expected 2"),
        (lambda a: mx.pad(a, -1, "wrap"), "negative width: got -1"),
    ],
)
def test_what_pad_cannot_do_is_a_value_error_that_says_why(call, message):
    with pytest.raises(ValueError) as raised:
        call(mx.ones((2, 3)))
    assert str(raised.value).startswith("[pad]") and message in str(raised.value)


def test_an_array_without_elements_is_padded_with_numbers_and_along_its_other_axes():
    assert mx.pad(mx.zeros((0, 2)), 1, constant_values=3).tolist() == [[3.0] * 4] * 2
    assert mx.pad(mx.zeros((0, 2)), ((0, 0), (1, 2)), "reflect").shape == (0, 5)
    assert mx.pad(mx.ones(2), 1, "empty").shape == (4,)


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_is_differentiated(mode):
    a = mx.array([[1.0, 4.0, 2.0], [3.0, -1.0, 5.0]], mx.float64)
    w = mx.array(np.random.default_rng(0).normal(size=(8, 9)), mx.float64)

    def f(a):
        return (mx.pad(a, 3, mode) * w).sum()

    got, step = np.array(mx.grad(f)(a)), 1e-6
    for i in range(2):
        for j in range(3):
            e = np.zeros((2, 3))
            e[i, j] = step
            slope = (f(a + mx.array(e, mx.float64)) - f(a - mx.array(e, mx.float64))) / (2 * step)
            assert abs(slope.item() - got[i, j]) < 1e-6


def test_values_of_pads_may_be_arrays_that_are_differentiated():
    g = mx.grad(lambda v: mx.pad(mx.zeros((2, 2)), 1, constant_values=v).sum())(
        mx.array([1.0, 2.0])
    )
    assert g.tolist() == [6.0, 6.0]


def test_diagonals_are_filled_as_numpy_fills_them():
    for shape, values, wrap in [
        ((3, 4), 5, False),
        ((5, 2), [1, 2, 3], False),
        ((7, 2), [1, 2, 3], True),
        ((2, 7), [9], True),
        ((3, 3, 3), [1, 2], False),
    ]:
        wanted = np.zeros(shape, np.int32)
        np.fill_diagonal(wanted, values, wrap)
        given = mx.array(values) if isinstance(values, list) else values
        got = mx.fill_diagonal(mx.zeros(shape, mx.int32), given, wrap)
        assert np.array_equal(np.array(got), wanted)
    for bad in (mx.ones(3), mx.ones((2, 3, 3))):
        with pytest.raises(ValueError, match=r"^\[fill_diagonal\]"):
            mx.fill_diagonal(bad, 0)


def test_where_of_a_condition_alone_is_where_it_holds():
    a = mx.array([[0, 5, 0], [7, 0, 9]])
    assert [i.tolist() for i in mx.where(a)] == [[0, 1, 1], [1, 0, 2]]
    assert isinstance(mx.where(a[0]), tuple) and len(mx.where(a[0])) == 1
    with pytest.raises(ValueError, match=r"\[where\].*where\(a, size=10\)"):
        mx.compile(lambda a: mx.where(a))(a)
    got = mx.compile(lambda a: mx.where(a, size=4, fill_value=-1))(a)
    assert [i.tolist() for i in got] == [[0, 1, 1, -1], [1, 0, 2, -1]]
    with pytest.raises(TypeError, match=r"\[where\] y: got None"):
        mx.where(a, 1)


@pytest.mark.parametrize("dtype", ["bool_", "uint8", "int16", "float32", "int64", "complex128"])
def test_large_arrays_are_padded_without_writing_all_twice(dtype):
    """Sizes at which what lies around is copied in slabs, on each side and on none."""
    t = getattr(mx, dtype)
    for shape in ((300, 257), (3, 70, 129), (70000,), (1, 40000), (40000, 1)):
        a = np.arange(np.prod(shape)).reshape(shape) % 100
        a = np.array(mx.array(a).astype(t))
        for widths in ((1, 1), (0, 3), (2, 0), (0, 0), (33, 17)):
            wanted = np.pad(a, widths, constant_values=1)
            got = mx.pad(mx.array(a, t), widths, constant_values=1)
            assert np.array_equal(np.array(got), wanted), (shape, widths)
            again = mx.compile(lambda x, w=widths: mx.pad(x, w, constant_values=1))
            assert np.array_equal(np.array(again(mx.array(a, t))), wanted), (shape, widths)
    x = mx.zeros((300, 300))
    slope = mx.grad(lambda v: mx.pad(x, 1, constant_values=v).sum())(mx.array(2.0))
    assert slope.item() == 302 * 302 - 300 * 300


@pytest.mark.parametrize("dtype", ["bool_", "uint8", "int16", "float32", "int64", "complex128"])
def test_elements_are_repeated_twice_at_any_size(dtype):
    t = getattr(mx, dtype)
    for n in (*range(0, 140), 4095, 70001):
        a = np.array(mx.array(np.arange(n) % 101).astype(t))
        ours = mx.array(a, t)
        assert np.array_equal(np.array(mx.repeat(ours, 2)), np.repeat(a, 2)), n
        assert np.array_equal(np.array(mx.repeat(ours[1:], 2)), np.repeat(a[1:], 2)), n
        assert np.array_equal(np.array(mx.repeat(ours[::2], 2)), np.repeat(a[::2], 2)), n
