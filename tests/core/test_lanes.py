"""apply_along_axis and vectorize: functions over parts of arrays."""

import numpy as np
import pytest

import lazulite.core as mx

A = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize(
    "theirs, ours",
    [
        (np.sort, mx.sort),
        (np.sum, mx.sum),
        (lambda v: np.outer(v, v), lambda v: mx.outer(v, v)),
        (lambda v: [v.min(), v.max()], lambda v: [v.min(), v.max()]),
        (lambda v: 3, lambda v: 3),
        (lambda v: float(v[0]), lambda v: float(v[0])),  # reads values
        (lambda v: v if v[0] > 0 else -v, lambda v: v if v[0] > 0 else -v),
        (np.cumsum, lambda v: np.cumsum(np.asarray(v))),
    ],
)
def test_functions_along_an_axis_give_what_numpy_gives(axis, theirs, ours):
    wanted = np.apply_along_axis(theirs, axis, A)
    got = np.array(mx.apply_along_axis(ours, axis, mx.array(A)))
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_arguments_go_on_and_mistakes_are_named():
    a = mx.array(A)
    assert mx.allclose(mx.apply_along_axis(lambda v, k, s=1: v * k + s, 1, a, 2, s=3), 2 * a + 3)
    assert mx.apply_along_axis(mx.sum, 0, mx.arange(4)).item() == 6
    for error, call in (
        (TypeError, lambda: mx.apply_along_axis(3, 0, a)),
        (ValueError, lambda: mx.apply_along_axis(mx.sum, 0, mx.array(1))),
        (ValueError, lambda: mx.apply_along_axis(mx.sum, 0, mx.ones((2, 0)))),
        (IndexError, lambda: mx.apply_along_axis(mx.sum, 3, a)),
        (TypeError, lambda: mx.apply_along_axis(mx.sum, 1.5, a)),
    ):
        with pytest.raises(error, match=r"^\[apply_along_axis\]"):
            call()


def test_what_is_mapped_is_traced_once_and_differentiated():
    calls = []

    def f(v):
        calls.append(1)
        return (v * v).sum()

    a = mx.array(A)
    g = mx.grad(lambda a: mx.apply_along_axis(f, -1, a).sum())(a)
    assert len(calls) == 1 and mx.allclose(g, 2 * a)
    assert mx.compile(lambda a: mx.apply_along_axis(mx.sort, 0, a))(a).shape == a.shape


def test_functions_of_numbers_become_functions_of_arrays():
    f = lambda a, b: a - b if a > b else a + b  # noqa: E731
    a, b = np.arange(6).reshape(2, 3), np.array([1, 2, 3])
    assert np.array_equal(
        np.array(mx.vectorize(f)(mx.array(a), mx.array(b))), np.vectorize(f)(a, b)
    )
    total, product = mx.vectorize(lambda a, b: (a + b, a * b))(mx.ones((3, 1)), mx.arange(2))
    assert total.shape == product.shape == (3, 2) and total[0].tolist() == [1, 2]
    assert mx.vectorize(f, otypes=[mx.float64])(mx.array(a), 1).dtype == mx.float64
    poly = mx.vectorize(lambda p, x: sum(c * x**i for i, c in enumerate(p)), excluded={0, "p"})
    assert poly([1, 2, 3], mx.array([0.0, 1.0])).tolist() == [1, 6]
    assert poly(p=[1, 2], x=mx.array([0.0, 1.0])).tolist() == [1, 3]


def test_signatures_name_the_axes_of_the_function():
    dot = mx.vectorize(lambda a, b: (a * b).sum(), signature="(n),(n)->()")
    assert mx.allclose(dot(mx.array(A), mx.ones(4)), mx.array(A.sum(-1)), atol=1e-5)
    full = mx.vectorize(mx.convolve, signature="(n),(m)->(k)")
    wanted = np.vectorize(np.convolve, signature="(n),(m)->(k)")(np.eye(4), [1, 2, 1])
    assert np.allclose(np.array(full(mx.eye(4), mx.array([1.0, 2.0, 1.0]))), wanted)
    for error, call in (
        (ValueError, lambda: dot(mx.ones(3), mx.ones(4))),
        (ValueError, lambda: dot(mx.ones(3), mx.ones(()))),
        (TypeError, lambda: dot(mx.ones(3))),
        (ValueError, lambda: mx.vectorize(mx.sort, signature="(n)->()")(mx.ones(3))),
        (ValueError, lambda: mx.vectorize(mx.sort, signature="n->n")),
        (TypeError, lambda: mx.vectorize(3)),
        (ValueError, lambda: mx.vectorize(mx.sin, otypes=[mx.int32, mx.int32])(mx.ones(2))),
    ):
        with pytest.raises(error, match=r"^\[vectorize\]"):
            call()


def test_it_decorates_and_keeps_the_name():
    @mx.vectorize(otypes=mx.float32)
    def larger(a, b):
        """The larger one."""
        return a if a > b else b

    assert larger(mx.array([1, 5]), 3).tolist() == [3, 5]
    assert larger.__name__ == "larger" and larger.__doc__ == "The larger one."


@pytest.mark.parametrize("excluded", [range(10**12), 3, "a", [[1]], [2.5], iter([1])])
def test_what_cannot_be_excluded_is_told_at_once(excluded):
    with pytest.raises((TypeError, ValueError)):
        mx.vectorize(lambda a: a, excluded=excluded)
