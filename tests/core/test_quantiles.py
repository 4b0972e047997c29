"""Quantiles beside NumPy's, in every method."""

import numpy as np
import pytest

import lazulite.core as mx

METHODS = (
    "linear lower higher midpoint nearest inverted_cdf averaged_inverted_cdf closest_observation "
    "interpolated_inverted_cdf hazen weibull median_unbiased normal_unbiased"
).split()


@pytest.mark.parametrize("method", METHODS)
def test_every_method_agrees_with_numpy(method):
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 4, 5, 8, 20, 101):
        v = rng.standard_normal((3, n, 2))
        a = mx.array(v, mx.float64)
        for q in (0, 0.1, 0.25, 0.5, 0.75, 1, [0.0, 1.0], [[0.3, 0.5, 0.9], [0.2, 0.625, 1]]):
            for axis in (None, 1, -1, (0, 1)):
                for keep in (False, True):
                    wanted = np.quantile(v, q, axis, method=method, keepdims=keep)
                    got = mx.quantile(a, q, axis, method=method, keepdims=keep)
                    assert got.shape == wanted.shape
                    np.testing.assert_allclose(np.array(got), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("f", ["quantile", "nanquantile", "percentile", "nanpercentile"])
def test_no_lines_give_no_quantiles(f):
    v = np.zeros((0, 3, 2))
    for axis in (1, -1, (1, 2), ()):
        for q in (0.5, [0.25, 0.5]):
            for keep in (False, True):
                got = getattr(mx, f)(mx.array(v), q, axis, keepdims=keep)
                assert got.shape == np.shape(q) + v.sum(axis, keepdims=keep).shape
    assert mx.grad(lambda a: mx.quantile(a, 0.5, 1).sum())(mx.array(v)).shape == v.shape
    for axis in (None, 0, (0, 1)):
        with pytest.raises(ValueError, match="of nothing"):
            getattr(mx, f)(mx.array(v), 0.5, axis)


def test_percentiles_dtypes_and_special_values():
    v = np.array([[1, 5, 2, 9], [3, 3, 7, 0]], np.int32)
    for q in (0, 30, [10, 90]):
        np.testing.assert_allclose(
            np.array(mx.percentile(mx.array(v), q, 1)), np.percentile(v, q, 1), rtol=1e-6
        )
    for t in (mx.float16, mx.bfloat16, mx.float32, mx.float64):
        assert mx.quantile(mx.ones(3, t), 0.5).dtype == t
    w = mx.array([[1.0, float("nan"), 2.0], [1.0, 2.0, float("inf")]])
    got = np.array(mx.quantile(w, [0.0, 0.5, 1.0], 1))
    assert np.isnan(got[:, 0]).all() and got[:, 1].tolist() == [1, 2, np.inf]
    same = mx.full((4,), float("inf"))
    assert mx.quantile(same, 0.3).item() == np.inf
    assert np.isnan(mx.quantile(mx.arange(3.0), mx.array(1.5)).item())


def test_quantiles_are_traced_mapped_and_differentiated():
    x = mx.array([[4.0, 1.0, 3.0], [0.0, 8.0, 6.0]])
    f = lambda x, q: mx.quantile(x, q)  # noqa: E731
    q = mx.array([0.25, 0.5])
    wanted = [f(row, q).tolist() for row in x]
    assert mx.vmap(f, in_axes=(0, None))(x, q).tolist() == wanted
    assert mx.compile(f)(x[0], q).tolist() == wanted[0]
    assert mx.grad(lambda x: mx.quantile(x, 0.25))(x[0]).tolist() == [0, 0.5, 0.5]


def test_errors_name_what_is_wrong():
    x = mx.ones(3)
    for call, text in (
        (lambda: mx.quantile(x, 1.5), "q out of range: got 1.5, expected 0 to 1"),
        (lambda: mx.percentile(x, [-1, 50]), "q out of range"),
        (lambda: mx.quantile(x, 0.5, method="best"), "unknown method: got 'best'"),
        (lambda: mx.quantile(x, 0.5, 1), "axis out of range"),
        (lambda: mx.quantile(mx.zeros((0,)), 0.5), "of nothing"),
        (lambda: mx.quantile(x.astype(mx.complex64), 0.5), "dtype without an order"),
    ):
        with pytest.raises((ValueError, IndexError), match=text):
            call()
