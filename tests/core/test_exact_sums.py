"""Sums, means and variances of data that lose digits: no worse than NumPy's."""

import math

import numpy as np
import pytest

import lazulite.core as mx

MANY = 10**7


def hard(kind, dtype):
    rng = np.random.default_rng(3)
    if kind == "near 1e6":
        return (1e6 + rng.standard_normal(MANY)).astype(dtype)
    if kind == "cancelling":
        x = (1e6 * rng.standard_normal(MANY // 2)).astype(dtype)
        return rng.permutation(np.concatenate([x, -x * dtype(1 - 2**-10)]))
    return (10.0 ** rng.uniform(-6, 6, MANY)).astype(dtype)


def exact_moments(x):
    """Sum, mean and variance in twice the precision of doubles, or so."""
    total = math.fsum(x.astype(np.float64))
    mean = total / x.size
    apart = x.astype(np.longdouble) - np.longdouble(mean)
    return {"sum": total, "mean": mean, "var": float((apart * apart).sum() / x.size)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["near 1e6", "cancelling", "of many sizes"])
def test_moments_of_hard_data_are_no_worse_than_those_of_numpy(kind, dtype):
    """But for chance: of what a sum's terms lose, and of what their variance takes from the
    mean."""
    x = hard(kind, dtype)
    eps, exact = float(np.finfo(dtype).eps), exact_moments(x)
    ours = mx.array(x, mx.float32 if dtype is np.float32 else mx.float64)
    terms = float(np.abs(x).sum(dtype=np.float64)) / MANY**0.5
    apart = exact["var"] ** 0.5
    chance = {
        "sum": 4 * eps * terms,
        "mean": 4 * eps * terms / MANY,
        "var": eps * apart * (4 * apart + abs(exact["mean"]) / 1024),
    }
    for name, want in exact.items():
        got, theirs = (float(getattr(of, name)(a)) for of, a in ((mx, ours), (np, x)))
        least = eps * abs(want) + chance[name]
        assert abs(got - want) <= max(abs(theirs - want), least), (name, got, theirs, want)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", ["sum", "mean", "var"])
def test_moments_along_axes_are_no_worse_than_those_of_numpy(name, axis):
    x = (1e6 + np.random.default_rng(4).standard_normal((3000, 1000))).astype(np.float32)
    want = getattr(np, name)(x.astype(np.float64), axis=axis)
    got = np.abs(np.array(getattr(mx, name)(mx.array(x), axis=axis)) - want)
    theirs = np.abs(getattr(np, name)(x, axis=axis) - want)
    assert got.max() <= max(2 * theirs.max(), np.abs(want).max() * 2.0**-23), name
