"""Numbers of Python and NumPy beside arrays: large ints, NumPy's scalars, by every way in."""

import operator

import numpy as np
import pytest

import lazulite.core as mx

FLOATS = [mx.float16, mx.bfloat16, mx.float32, mx.float64]
INTEGERS = [
    mx.int8, mx.int16, mx.int32, mx.int64, mx.uint8, mx.uint16, mx.uint32, mx.uint64,
]
LARGE = [2**64, -(2**63) - 1, 2**70, -(2**70), 10**30, 10**400, -(10**400)]


def nearest(n):
    try:
        return float(n)
    except OverflowError:
        return float("inf") if n > 0 else float("-inf")


def written(dtype, change):
    x = mx.ones(3, dtype)
    change(x)
    return x


# Each takes a number and a dtype, and gives an array of that dtype that holds the number first.
WAYS_IN = {
    "array": lambda n, t: mx.array(n, t),
    "array of a list": lambda n, t: mx.array([n, 1], t),
    "array of nested lists": lambda n, t: mx.array([[n], [1]], t),
    "array of a tuple": lambda n, t: mx.array((n, 1), t),
    "full": lambda n, t: mx.full((2,), n, t),
    "full_like": lambda n, t: mx.full_like(mx.ones(2, t), n),
    "add": lambda n, t: mx.zeros(2, t) + n,
    "add on the left": lambda n, t: n + mx.zeros(2, t),
    "add in place": lambda n, t: written(t, lambda x: operator.iadd(x, n)) - mx.ones(3, t),
    "the function add": lambda n, t: mx.add(n, mx.zeros(2, t)),
    "multiply": lambda n, t: mx.ones(2, t) * n,
    "subtract": lambda n, t: n - mx.zeros(2, t),
    "maximum": lambda n, t: mx.maximum(n, mx.array(n, t)),
    "where": lambda n, t: mx.where(mx.array([True, False]), n, mx.ones(2, t)),
    "where, the other": lambda n, t: mx.where(mx.array([False, True]), mx.ones(2, t), n),
    "clip": lambda n, t: mx.clip(mx.zeros(2, t), n, n),
    "setitem": lambda n, t: written(t, lambda x: x.__setitem__(0, n)),
    "setitem of a slice": lambda n, t: written(t, lambda x: x.__setitem__(slice(0, 2), n)),
    "setitem of a list": lambda n, t: written(t, lambda x: x.__setitem__(slice(0, 2), [n, n])),
    "setitem by a mask": lambda n, t: written(
        t, lambda x: x.__setitem__(mx.array([True, False, False]), n)
    ),
    "at set": lambda n, t: mx.ones(3, t).at[0].set(n),
    "at add": lambda n, t: mx.zeros(3, t).at[0].add(n),
    "at multiply": lambda n, t: mx.ones(3, t).at[0].multiply(n),
    "pad": lambda n, t: mx.pad(mx.ones(1, t), 1, constant_values=n),
    "compile": lambda n, t: mx.compile(lambda x: x * n)(mx.ones(2, t)),
    "compile, an argument": lambda n, t: mx.compile(lambda x, m: x * m)(mx.ones(2, t), n),
    "vmap": lambda n, t: mx.vmap(lambda x: x * n)(mx.ones(2, t)),
}
# a list on the right makes an array of its own first, which needs a dtype
NEEDS_DTYPE = {"setitem of a list"}


@pytest.mark.parametrize("way", WAYS_IN)
def test_ints_beyond_64_bits_are_rounded_beside_floats(way):
    for dtype in FLOATS:
        for n in LARGE:
            if way in NEEDS_DTYPE:
                continue
            got = WAYS_IN[way](n, dtype)
            expected = mx.array(nearest(n), dtype)
            assert got.dtype == dtype
            assert got.reshape(-1)[0].item() == expected.item(), (way, dtype, n)


@pytest.mark.parametrize("way", WAYS_IN)
def test_ints_beyond_64_bits_fit_no_integer_dtype(way):
    for dtype in INTEGERS:
        for n in LARGE:
            with pytest.raises(OverflowError):
                mx.eval(WAYS_IN[way](n, dtype))


def test_large_ints_alone():
    for n in LARGE:
        for make in (
            mx.array,
            lambda n: mx.array([n]),
            lambda n: mx.array([n, 3]),
            lambda n: mx.array([n, -3]),
            lambda n: mx.full((2,), n),
            lambda n: mx.add(n, 1),
            mx.abs,
            lambda n: mx.array(range(n, n + 2)),
            lambda n: mx.arange(n, n + 1),
            lambda n: mx.random.randint(0, n, (2,)),
            lambda n: mx.array([True]) + n,
        ):
            with pytest.raises(OverflowError) as caught:
                make(n)
            assert isinstance(caught.value, ValueError)
    # beside a float they are floats
    assert mx.array([2**70, 1.5]).tolist() == [2.0**70, 1.5]
    assert mx.array([[2**70], [1.5]], mx.float64).tolist() == [[2.0**70], [1.5]]
    assert mx.add(2**70, 1.0).item() == 2.0**70
    assert mx.sqrt(2**70).item() == 2.0**35
    assert mx.linspace(0, 2**70, 3).tolist() == [0, 2.0**69, 2.0**70]
    assert mx.arange(0, 2**70, 2**69, dtype=mx.float32).tolist() == [0, 2.0**69]
    assert mx.full((1,), 2**70, mx.complex64).item() == 2.0**70
    assert (mx.array([1j]) + 2**70).item() == 2.0**70 + 1j
    assert mx.array([2**70], mx.bool_).item() is True
    assert mx.nan_to_num(mx.array([float("nan")]), nan=10**400).item() == float("inf")
    assert mx.random.uniform(0, 2**70, (3,)).shape == (3,)
    assert (mx.ones(2) < 2**70).tolist() == [True, True]
    assert 2**70 not in mx.arange(3) and 2**70 in mx.array([2.0**70])


def test_ints_of_lists_keep_their_digits():
    a = mx.array([2**63, 1])
    assert a.dtype == mx.uint64 and a.tolist() == [2**63, 1]
    assert mx.add(1, 2**63).dtype == mx.uint64 and mx.add(2**40, 1).item() == 2**40 + 1
    assert mx.where(True, 1, 2**40).dtype == mx.int64
    assert mx.arange(2**63, 2**63 + 2).tolist() == [2**63, 2**63 + 1]
    with pytest.raises(OverflowError):
        mx.array([2**63, -1])


# ---- NumPy's scalars: weak beside arrays, of their own dtype where no array stands

SCALARS = [np.bool_(True), np.int8(3), np.int16(3), np.int32(3), np.int64(3), np.uint8(3),
           np.uint16(3), np.uint32(3), np.uint64(3), np.longlong(3), np.float16(3), np.float32(3),
           np.float64(3), np.complex64(3), np.complex128(3)]
NARROW = {"float64": mx.float32, "complex128": mx.complex64}


@pytest.mark.parametrize("number", SCALARS, ids=lambda s: s.dtype.name)
def test_numpy_scalars_alone_have_their_dtype(number):
    own = NARROW.get(number.dtype.name) or mx.array(np.array([number])).dtype
    for make in (mx.array, mx.asarray, lambda n: mx.array([n]), lambda n: mx.array([[n], [n]]),
                 lambda n: mx.full((2,), n), lambda n: mx.stack([n, n]),
                 lambda n: mx.maximum(n, n), lambda n: mx.where(True, n, n), mx.ones_like,
                 lambda n: mx.reshape(n, (1,)), lambda n: mx.square(n)):
        assert make(number).dtype == own, make


@pytest.mark.parametrize("number", SCALARS, ids=lambda s: s.dtype.name)
def test_numpy_scalars_beside_arrays_are_as_numbers_of_python(number):
    plain = number.item()
    for dtype in [mx.bool_, *INTEGERS, *FLOATS, mx.complex64]:
        x = mx.ones(3, dtype)
        for f in (
            lambda n: x * n,
            lambda n: n * x,
            lambda n: mx.where(x, x, n),
            lambda n: mx.maximum(x, n),
            lambda n: mx.clip(x, n, n),
            lambda n: x == n,
            lambda n: x.at[0].add(n),
            lambda n: mx.full_like(x, n),
            lambda n: mx.pad(x, 1, constant_values=n),
        ):
            try:
                expected = f(plain)
            except Exception as error:
                with pytest.raises(type(error)):
                    f(number)
                continue
            got = f(number)
            assert got.dtype == expected.dtype and got.tolist() == expected.tolist()


@pytest.mark.parametrize(
    "number",
    [
        np.int64(300),
        np.float32(300),
        np.float32("nan"),
        np.int64(-200),
        np.complex64(2j),
        np.float64(1.5),
        np.uint64(2**63),
    ],
    ids=repr,
)
def test_numpy_scalars_fit_where_numbers_of_python_fit(number):
    for f in (lambda n: mx.array(n, mx.int8), lambda n: mx.array([n], mx.int8),
              lambda n: mx.array([n, 1], mx.uint8), lambda n: mx.full((2,), n, mx.int8),
              lambda n: mx.ones(2, mx.int8) + n, lambda n: mx.asarray(n, mx.int8),
              lambda n: written(mx.int8, lambda x: x.__setitem__(0, n)),
              lambda n: mx.ones(2, mx.int8).at[0].add(n)):
        try:
            expected = f(number.item())
        except Exception as error:
            with pytest.raises(type(error)):
                f(number)
            continue
        got = f(number)
        assert got.dtype == expected.dtype and str(got) == str(expected)


def test_numpy_scalars_that_are_no_numbers():
    for odd in (np.datetime64("2020"), np.timedelta64(3), np.str_("a")):
        for make in (mx.array, lambda o: mx.array([o]), lambda o: mx.full((2,), o), mx.sin):
            with pytest.raises(TypeError):
                make(odd)
    with pytest.raises(ValueError):
        mx.ones(2) + np.str_("a")


def test_bounds_of_arange_are_weak():
    assert mx.arange(np.uint8(200)).dtype == mx.int32
    assert mx.arange(np.int64(3)).dtype == mx.int32
    assert mx.arange(np.float16(3)).dtype == mx.float32
    assert mx.arange(0, np.uint8(200), np.uint8(100)).tolist() == [0, 100]
