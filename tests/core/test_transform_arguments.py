"""What transforms are given besides functions: cotangents and tangents of other dtypes, numbers of
arguments, bounds of loops."""

import numpy as np
import pytest

import lazulite.core as mx

X = mx.array([0.5, -2.0])
FUNCTIONS = [
    lambda a: a,
    lambda a: mx.stop_gradient(a) * 0 + a,
    lambda a: a * 2,
    mx.sin,
    lambda a: a[::-1],
    lambda a: mx.scan(lambda c, r: (c + r, c * r), a, mx.stack([a, a]))[0],
    mx.checkpoint(lambda a: a * a),
    mx.compile(lambda a: a.reshape(1, 2)[0]),
    mx.custom_function(lambda a: a),
]


@pytest.mark.parametrize("f", FUNCTIONS)
@pytest.mark.parametrize("primal", [mx.float16, mx.float32, mx.float64, mx.complex64])
@pytest.mark.parametrize("given", [mx.int32, mx.bool_, mx.float16, mx.float64, mx.complex64])
def test_cotangents_and_tangents_have_the_dtype_of_what_they_belong_to(f, primal, given):
    x, w = X.astype(primal), mx.array([3.0, 1.0]).astype(given)
    (y,), (back,) = mx.vjp(lambda a: f(a), [x], [w])
    assert y.dtype == back.dtype == primal
    want = mx.vjp(lambda a: f(a), [x], [w.astype(primal)])[1][0]
    np.testing.assert_array_equal(np.array(back), np.array(want))
    if given == mx.complex64 and primal != mx.complex64:
        with pytest.raises(ValueError, match=r"\[jvp\] tangent of .*complex64 for a primal of"):
            mx.jvp(lambda a: f(a), [x], [w])
        return
    (y,), (along,) = mx.jvp(lambda a: f(a), [x], [w])
    assert y.dtype == along.dtype == primal
    want = mx.jvp(lambda a: f(a), [x], [w.astype(primal)])[1][0]
    np.testing.assert_array_equal(np.array(along), np.array(want))


@pytest.mark.parametrize("matrix", [mx.jacrev, mx.jacfwd])
def test_numbers_of_arguments_of_jacobians(matrix):
    f = lambda a, b: a * b
    with pytest.raises(ValueError, match="repeated argument"):
        matrix(f, argnums=(0, 0))
    with pytest.raises(ValueError, match="nothing to differentiate"):
        matrix(f, argnums=())
    with pytest.raises(ValueError, match="must not be negative"):
        matrix(f, argnums=(0, -1))
    a, b = matrix(f, argnums=(1, 0))(X, X * 3)
    assert a.tolist() == [[0.5, 0], [0, -2]] and b.tolist() == [[1.5, 0], [0, -6]]


def test_the_number_of_the_argument_of_a_hessian():
    for wrong in ((0, 1), (0,), "0", 1.0, None):
        with pytest.raises(TypeError, match=r"\[hessian\] argnums must be integers"):
            mx.hessian(lambda a, b: (a * b).sum(), argnums=wrong)
    got = mx.hessian(lambda a, b: (a * b * b).sum(), argnums=np.int64(1))(X, X)
    assert got.tolist() == [[1, 0], [0, -4]]


@pytest.mark.parametrize("lower, upper, dtype", [
    (0, 3, mx.int32),
    (-(2**31), -(2**31) + 2, mx.int32),
    (2**31 - 3, 2**31 - 1, mx.int32),
    (2**31 - 2, 2**31, mx.int64),
    (2**31 - 1, 2**31 + 2, mx.int64),
    (-(2**31) - 1, -(2**31) + 1, mx.int64),
    (2**62, 2**62 + 2, mx.int64),
    (2**63 - 3, 2**63 - 1, mx.int64),
    (-(2**63), -(2**63) + 2, mx.int64),
    (7, 7, mx.int32),
    (7, -(2**63), mx.int32),
])
def test_loops_count_as_far_as_their_bounds(lower, upper, dtype):
    seen = []

    def body(i, carried):
        seen.append(i.dtype)
        last, count = carried
        return i.astype(mx.int64), count + 1

    start = (mx.array(-1, mx.int64), mx.array(0))
    for loop in (
        lambda s: mx.fori_loop(lower, upper, body, s),
        mx.compile(lambda s: mx.fori_loop(lower, upper, body, s)),
    ):
        last, count = loop(start)
        steps = max(0, upper - lower)
        assert count.item() == steps and last.item() == (upper - 1 if steps else -1)
    assert set(seen) == {dtype}


@pytest.mark.parametrize("lower, upper", [(0, 2**63), (-(2**63) - 1, 0), (2**70, 2**70 + 1)])
def test_bounds_of_loops_beyond_64_bits(lower, upper):
    with pytest.raises(OverflowError, match=r"\[fori_loop\] bounds beyond 64 bits") as caught:
        mx.fori_loop(lower, upper, lambda i, v: v, mx.array(0))
    assert isinstance(caught.value, ValueError)
