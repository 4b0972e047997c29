"""Arrays from nothing: ramps and bands."""

import numpy as np
import pytest

import lazulite.core as mx

NUMBERS = ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16",
           "float32", "float64", "complex64", "complex128"]  # fmt: skip


@pytest.mark.parametrize("dtype", NUMBERS)
def test_ramps_are_those_of_numpy_in_every_dtype(dtype):
    n = 100 if dtype.endswith("int8") else 17000 if dtype.endswith("16") else 40001
    if dtype == "float16":
        n = 2000
    got = np.asarray(mx.arange(0, n, 1, getattr(mx, dtype)))
    assert got.tobytes() == np.arange(n).astype(dtype).tobytes()
    if dtype[0] in "fc":
        got = np.asarray(mx.arange(-1.5, n / 7, 1 / 7, getattr(mx, dtype)))
        steps = -1.5 + np.arange(got.size) * (1 / 7)
        assert got.tobytes() == steps.astype(dtype).tobytes()


def test_ramps_of_large_integers_neither_wrap_nor_round_before_they_are_converted():
    big = 2**62
    got = np.asarray(mx.arange(big, big + 40000, 3))
    assert (got == np.arange(big, big + 40000, 3)).all() and got.dtype == np.int64
    floats = np.asarray(mx.arange(big, big + 2**20, 2**10, mx.float64))
    assert (floats == np.arange(big, big + 2**20, 2**10).astype(np.float64)).all()
    down = np.asarray(mx.arange(2**63 - 1, 2**63 - 40000, -7, mx.uint64))
    assert (down == np.arange(2**63 - 1, 2**63 - 40000, -7, dtype=np.int64).astype("u8")).all()
    assert (np.asarray(mx.arange(-(2**53), -(2**53) + 5, 1, mx.float64))
            == np.arange(-(2**53), -(2**53) + 5).astype(float)).all()  # fmt: skip


@pytest.mark.parametrize("dtype", ["bool", *NUMBERS])
def test_eyes_and_triangles_of_every_dtype(dtype):
    t = mx.bool_ if dtype == "bool" else getattr(mx, dtype)
    for n, m in ((3, 3), (5, 2), (2, 70), (301, 129), (0, 4), (4, 0)):
        for k in (0, 1, -1, 2, -4, 69, 10**18, -(10**18)):
            ours = min(max(k, -n), m)
            assert np.array_equal(mx.eye(n, m, k, t), np.eye(n, m, ours, dtype))
            assert np.array_equal(mx.tri(n, m, k, t), np.tri(n, m, ours, dtype))


def test_triangles_of_matrices_and_their_gradients():
    a = mx.array(np.random.default_rng(0).normal(size=(2, 65, 33)).astype(np.float32))
    for k in (0, 3, -7, 100, -100):
        for f, g in ((mx.tril, np.tril), (mx.triu, np.triu)):
            assert np.array_equal(f(a, k), g(np.asarray(a), k))
            slope = mx.grad(lambda a: mx.sum(f(a, k) * 3))(a)
            assert np.array_equal(slope, g(np.full(a.shape, 3, np.float32), k))


def test_a_band_in_a_compiled_function_is_made_once_for_each_shape():
    f = mx.compile(lambda a: a * mx.tri(a.shape[0], a.shape[1]) + mx.eye(*a.shape, k=1))
    for shape in ((3, 4), (70, 3)):
        a = mx.ones(shape)
        assert np.array_equal(f(a), np.tri(*shape) + np.eye(*shape, k=1))


def test_large_bands_are_made_by_threads():
    assert np.array_equal(mx.tri(700, 1100, 5), np.tri(700, 1100, 5, np.float32))
    assert np.array_equal(mx.eye(1100, 700, -3), np.eye(1100, 700, -3, np.float32))


@pytest.mark.parametrize("dtype", ["bool", *NUMBERS])
def test_one_value_in_every_place_of_every_dtype(dtype):
    t = mx.bool_ if dtype == "bool" else getattr(mx, dtype)
    for value in (0, 1, 85, -1 if dtype[0] in "ifc" else 1, 2.5 - 1j if dtype[0] == "c" else 3):
        for n in (0, 1, 63, 64, 65, 1025, 70001):
            got = np.asarray(mx.full((n,), value, t))
            assert got.tobytes() == np.full(n, value).astype(dtype).tobytes()
    a = mx.zeros((3, 1000), t) + mx.broadcast_to(mx.array(1, t), (3, 1000))
    one, both = mx.ones((3, 1000), t), a
    mx.eval(one, both)
    assert np.array_equal(one, both)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "uint64", "int64"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30, 300.0 * 2**60])
def test_numbers_that_no_integer_is_are_refused_wherever_one_is_written(value, dtype):
    """As `array(value, dtype)` refuses them; arrays are cast instead."""
    t = getattr(mx, dtype)
    a = mx.zeros((3,), t)
    for write in (
        lambda: mx.array(value, t),
        lambda: mx.full(2, value, t),
        lambda: mx.full_like(a, value),
        lambda: mx.pad(a, 1, constant_values=value),
        lambda: a.at[0].add(value),
        lambda: a.__setitem__(0, value),
    ):
        with pytest.raises(OverflowError, match="number does not fit: got .*" + dtype):
            write()
    assert a.tolist() == [0, 0, 0]
    assert mx.full(2, mx.array(value), t).dtype == t
    assert mx.full(2, 2.7, t).tolist() == [2, 2] and mx.full(2, value, mx.bool_).tolist() == [1, 1]
    with pytest.raises(TypeError, match="complex number"):
        mx.full(2, 1 + 2j, t)
    with pytest.raises(TypeError, match="complex number"):
        mx.full(2, 1 + 2j, mx.float32)
