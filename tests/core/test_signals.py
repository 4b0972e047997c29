"""Convolution, correlation and Hadamard transforms."""

import numpy as np
import pytest

import lazulite.core as mx


def made(dtype, n, rng):
    if dtype.startswith(("int", "uint", "bool")):
        v = rng.integers(-5, 6, n)
        return v > 0 if dtype == "bool" else v.astype(dtype)
    v = rng.normal(size=n)
    return (v + 1j * rng.normal(size=n) if dtype.startswith("complex") else v).astype(dtype)


def to_mx(v):
    return mx.array(v, mx.bool_ if v.dtype == bool else getattr(mx, str(v.dtype)))


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "int32", "uint8", "int64", "bool", "complex128", "complex64"]
)
def test_vectors_of_any_lengths_give_what_numpy_gives(dtype, mode):
    rng = np.random.default_rng(3)
    single = dtype in ("float32", "complex64")
    for high in (12, 12, 12, 90, 90, 3000):
        for _ in range(6):
            a, v = (made(dtype, int(rng.integers(1, high)), rng) for _ in range(2))
            for ours, theirs in ((mx.convolve, np.convolve), (mx.correlate, np.correlate)):
                wanted = theirs(a, v, mode)
                got = np.array(ours(to_mx(a), to_mx(v), mode))
                assert got.dtype == wanted.dtype and got.shape == wanted.shape
                np.testing.assert_allclose(
                    got, wanted, rtol=1e-4 if single else 1e-9, atol=1e-4 if single else 1e-9
                )


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("terms", [3, 30, 200, 700])
def test_infinities_and_nan_belong_to_the_places_that_numpy_says(dtype, terms):
    """By sums in registers and by transforms, in either operand; signs of infinities too."""
    rng = np.random.default_rng(terms)
    for where_in in ("a", "v", "both"):
        a, v = made(dtype, 5000, rng), made(dtype, terms, rng)
        v[1] = 0  # times an infinity
        for x in (a, v) if where_in == "both" else (a,) if where_in == "a" else (v,):
            for value in (np.inf, -np.inf, np.nan, np.inf):
                x[rng.integers(len(x))] = value
        if dtype.startswith("complex"):
            a[2500] = complex(1, np.inf)
            a[4000] = complex(np.nan, 2)
        for f, g in ((mx.convolve, np.convolve), (mx.correlate, np.correlate)):
            for mode in ("full", "same", "valid"):
                with np.errstate(all="ignore"):
                    wanted = g(a, v, mode)
                got = np.array(f(to_mx(a), to_mx(v), mode))
                ends = ~np.isfinite(wanted)
                np.testing.assert_array_equal(~np.isfinite(got), ends)
                limit = 1e-3 if dtype in ("float32", "complex64") else 1e-9
                np.testing.assert_allclose(got[~ends], wanted[~ends], atol=limit)
                if not dtype.startswith("complex"):  # whose products NumPy's BLAS forms its own way
                    np.testing.assert_array_equal(got[ends], wanted[ends])


def test_long_sums_are_as_exact_as_their_dtype():
    rng = np.random.default_rng(0)
    a, v = rng.normal(size=50000) + 1000, rng.normal(size=700) + 1000
    wanted = np.convolve(a, v, "valid")
    for dtype, most in ((mx.float32, 3e-7), (mx.float64, 1e-12)):
        got = np.array(mx.convolve(mx.array(a, dtype), mx.array(v, dtype), "valid"), np.float64)
        exact = np.convolve(*(np.array(mx.array(x, dtype), np.float64) for x in (a, v)), "valid")
        assert np.abs(got / exact - 1).max() < most
    assert np.isfinite(wanted).all()


def test_lengths_that_do_not_fit_and_other_modes_are_refused():
    for name in ("convolve", "correlate"):
        f = getattr(mx, name)
        for a, v, mode in (
            (mx.ones(0), mx.ones(3), "full"),
            (mx.ones((2, 2)), mx.ones(3), "full"),
            (mx.ones(3), mx.ones(3), "all"),
        ):
            with pytest.raises(ValueError, match=rf"^\[{name}\]"):
                f(a, v, mode)


@pytest.mark.parametrize("sizes", [(40, 7), (7, 40), (5000, 5), (6000, 5995), (3000, 200)])
@pytest.mark.parametrize("name", ["convolve", "correlate"])
def test_derivatives_and_batches_of_sums_by_any_way(name, sizes):
    rng = np.random.default_rng(1)
    f = getattr(mx, name)
    a, v = (mx.array(rng.normal(size=n), mx.float64) for n in sizes)
    for mode in ("full", "same", "valid"):
        out = f(a, v, mode)
        ct = mx.array(rng.normal(size=out.shape), mx.float64)
        _, (ga, gv) = mx.vjp(lambda a, v: f(a, v, mode), [a, v], [ct])
        for g, at, other in ((ga, a, lambda d: f(d, v, mode)), (gv, v, lambda d: f(a, d, mode))):
            d = mx.array(rng.normal(size=at.shape), mx.float64)  # linear in each
            np.testing.assert_allclose(
                (g * d).sum().item(), (ct * other(d)).sum().item(), rtol=1e-8, atol=1e-7
            )
    batch = mx.array(rng.normal(size=(3, sizes[0])), mx.float64)
    got = mx.vmap(lambda a: f(a, v, "same"))(batch)
    wanted = mx.stack([f(a, v, "same") for a in batch])
    np.testing.assert_allclose(np.array(got), np.array(wanted), rtol=1e-9, atol=1e-9)


def hadamard(n):
    return np.array(mx.hadamard_transform(mx.eye(n, dtype=mx.float64), 1.0)).T


@pytest.mark.parametrize("n", [1, 2, 8, 64, 12, 24, 20, 40, 28, 56, 224, 320])
def test_hadamard_matrices_have_orthogonal_rows_of_plus_and_minus_one(n):
    h = hadamard(n)
    assert set(np.unique(h)) <= {1.0, -1.0} and np.array_equal(h @ h.T, n * np.eye(n))
    if n & (n - 1) == 0:
        scipy_linalg = pytest.importorskip("scipy.linalg")
        assert np.array_equal(h, scipy_linalg.hadamard(n))


@pytest.mark.parametrize("n", [4, 40, 2048, 28 << 6])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_lines_are_transformed_in_every_dtype_and_back(dtype, n):
    rng = np.random.default_rng(2)
    x = mx.array(rng.normal(size=(3, n)), getattr(mx, dtype))
    got = mx.hadamard_transform(x)
    wanted = np.array(x.astype(mx.float64)) @ hadamard(n).T / np.sqrt(n)
    assert got.dtype == x.dtype
    most = {"float16": 4e-3, "bfloat16": 3e-2, "float32": 1e-5, "float64": 1e-12}[dtype]
    np.testing.assert_allclose(np.array(got.astype(mx.float64)), wanted, atol=most * 4)
    _, [back] = mx.vjp(mx.hadamard_transform, [x], [got])  # the transpose: the inverse
    np.testing.assert_allclose(
        np.array(back.astype(mx.float64)), np.array(x.astype(mx.float64)), atol=most * 8
    )


def test_one_long_line_is_the_same_as_its_parts():
    x = mx.random.normal((1, 1 << 18))
    lines = mx.hadamard_transform(x.reshape(1 << 6, 1 << 12), 1.0)
    both = mx.hadamard_transform(lines.T, 1.0).T.reshape(1, -1)
    assert mx.allclose(mx.hadamard_transform(x, 1.0), both, rtol=1e-4, atol=1e-2)


def test_sizes_without_a_matrix_and_complex_numbers_are_refused():
    for bad in (mx.ones(6), mx.ones(9), mx.ones(0), mx.ones((2, 36)), mx.ones(())):
        with pytest.raises(ValueError, match=r"^\[hadamard_transform\]"):
            mx.hadamard_transform(bad)
    with pytest.raises(ValueError, match="dtype not supported"):
        mx.hadamard_transform(mx.ones(4, mx.complex64))
    assert mx.hadamard_transform(mx.array([1, 2]), 1.0).dtype == mx.float32
