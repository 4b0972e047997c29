"""Rows of few elements: reduced, and read beside others, to the bits of the same elements that lie
otherwise."""

import numpy as np
import pytest

import lazulite.core as mx

MONOIDS = (mx.sum, mx.prod, mx.max, mx.min)
DTYPES = ["uint8", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64",
          "complex128"]  # fmt: skip


def bits(a):
    return np.asarray(a).tobytes()


def values(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    v = rng.uniform(-2, 2, shape)
    if dtype.startswith("complex"):
        v = v + 1j * rng.uniform(-2, 2, shape)
    elif "int" in dtype:
        v = np.abs(np.round(v * 3)) if dtype[0] == "u" else np.round(v * 3)
    return mx.array(v, getattr(mx, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 16, 31, 32, 33])
def test_rows_without_gaps_reduce_to_the_bits_of_rows_with_gaps(dtype, n):
    a = values((203, n), dtype, seed=n)
    wide = mx.concatenate([a, a], 1)[:, :n]
    mx.eval(wide)
    for f in MONOIDS:
        assert bits(f(a, axis=1)) == bits(f(wide, axis=1)), f.__name__


def test_nans_of_short_rows_are_found_wherever_they_are():
    for n in (2, 4, 8, 16, 32):
        a = np.random.default_rng(n).normal(size=(64, n)).astype(np.float32)
        a[np.arange(64), np.arange(64) % n] = np.nan
        a[5] = 1
        got = np.asarray(mx.max(mx.array(a), axis=1))
        assert np.isnan(got[[i for i in range(64) if i != 5]]).all() and got[5] == 1


@pytest.mark.parametrize("n", [1, 63, 511, 512, 513, 4095, 4096, 4097, 40000])
def test_one_element_decides_any_and_all_wherever_it_is(n):
    assert not mx.any(mx.zeros(n, mx.bool_)).item() and mx.all(mx.ones(n, mx.bool_)).item()
    for at in sorted({0, n // 2, max(n - 2, 0), n - 1}):
        one = np.zeros(n, bool)
        one[at] = True
        rows = mx.array(np.stack([one, ~one, np.zeros(n, bool), np.ones(n, bool)]))
        assert mx.any(rows, axis=1).tolist() == [True, n > 1, False, True]
        assert mx.all(rows, axis=1).tolist() == [n == 1, False, False, True]


@pytest.mark.parametrize("dtype", ["bool", "int16", "float32", "float64", "complex128"])
@pytest.mark.parametrize("columns", [1, 2, 3, 5, 16, 31, 63, 64, 65, 129, 300, 513])
def test_short_rows_beside_a_row_and_a_column(dtype, columns):
    rows = 20000 // columns + 3
    make = lambda *shape: (  # noqa: E731
        values(shape, "int32") > 0 if dtype == "bool" else values(shape, dtype, seed=columns)
    )
    a, row, column = make(rows, columns), make(1, columns), make(rows, 1)
    n = [np.asarray(v) for v in (a, row, column)]
    assert bits(a + row) == bits(n[0] + n[1])
    assert bits(a + column) == bits(n[0] + n[2])
    assert bits(row + column) == bits(n[1] + n[2])
    assert bits(a[:, ::-1] + row) == bits(n[0][:, ::-1] + n[1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [1, 2, 3, 5, 8, 15, 16, 17, 31, 63, 64, 65, 120, 129, 300])
def test_short_rows_that_lie_apart(dtype, columns):
    rows = 20000 // columns // 7 + 3  # blocks begin and end inside of rows
    for gap in (1, 3):
        wide = values((7, rows + 2, columns + gap), dtype, seed=columns)
        n = np.asarray(wide.astype(mx.float32) if dtype == "bfloat16" else wide)
        for part in (
            np.s_[:, 2:, gap:],
            np.s_[::-1, 2:, :-gap],
            np.s_[::2, -3::-1, :columns],
            np.s_[:, :-2:3, 1 : columns + 1],
        ):
            there, dense = wide[part], mx.array(np.ascontiguousarray(n[part]), wide.dtype)
            assert bits(there + there) == bits(dense + dense)
            assert bits(there * 2 - dense) == bits(dense)
            assert bits(there.astype(mx.complex128)) == bits(dense.astype(mx.complex128))


def test_short_rows_that_repeat_along_several_axes():
    shapes = (7, 1, 3, 1), (1, 911, 1, 5), (3, 5), (911, 5), (4, 1, 5)
    a, b, c, d, e = (values(shape, "float32", len(shape)) for shape in shapes)
    n = [np.asarray(v) for v in (a, b, c, d, e)]
    assert bits(a * b + c) == bits(n[0] * n[1] + n[2])
    assert bits(mx.broadcast_to(d, (4, 911, 5)) + e) == bits(n[3] + n[4])


@pytest.mark.parametrize("shapes", [
    ((17, 3), (85, 5)), ((9, 3), (8, 127)), ((9, 3), (8, 128)), ((3,), (100, 5)), ((9, 2), (7,)),
    ((2, 9, 3), (8, 2)), ((9, 2), (3, 8, 2)), ((), (8, 3)), ((8, 3), ()), ((9, 0), (9, 3)),
    ((8, 1), (8, 1)),
])  # fmt: skip
def test_kron_of_short_rows(shapes):
    a, b = values(shapes[0], "float32", 1), values(shapes[1], "float32", 2)
    assert bits(mx.kron(a, b)) == bits(np.kron(np.asarray(a), np.asarray(b)))
    got = mx.grad(lambda a, b: mx.sum(mx.kron(a, b) * 2), (0, 1))(a, b)
    assert np.allclose(got[0], 2 * np.asarray(b).sum(), atol=1e-3)
    assert np.allclose(got[1], 2 * np.asarray(a).sum(), atol=1e-3)
