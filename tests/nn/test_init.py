"""Initialisers: shapes, dtypes and distributions."""

import math

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn

WEIGHT = mx.zeros((60, 5, 40))  # 200 inputs for an output, 300 outputs for an input


@pytest.fixture(autouse=True)
def seed():
    mx.random.seed(0)


@pytest.mark.parametrize(
    "initializer, std",
    [
        (nn.init.normal(0, 0.3), 0.3),
        (nn.init.uniform(-1, 1), 1 / math.sqrt(3)),
        (nn.init.glorot_normal(), math.sqrt(2 / 500)),
        (nn.init.glorot_uniform(), math.sqrt(2 / 500)),
        (nn.init.he_normal(), math.sqrt(1 / 200)),
        (nn.init.he_uniform(), math.sqrt(1 / 200)),
        (lambda a: nn.init.he_normal()(a, mode="fan_out", gain=2.0), 2 * math.sqrt(1 / 300)),
        (lambda a: nn.init.he_uniform()(a, mode="fan_out", gain=2.0), 2 * math.sqrt(1 / 300)),
        (lambda a: nn.init.glorot_normal()(a, gain=3.0), 3 * math.sqrt(2 / 500)),
    ],
)
def test_random_initialisers_have_the_right_spread(initializer, std):
    values = np.array(initializer(WEIGHT))
    assert values.shape == WEIGHT.shape and values.dtype == np.float32
    assert values.std() == pytest.approx(std, rel=0.03)
    assert abs(values.mean()) < 0.05 * std


@pytest.mark.parametrize("name", nn.init.__all__)
def test_the_dtype_is_the_one_asked_for(name):
    args = {"constant": (1.0,), "sparse": (0.5,)}.get(name, ())
    make = getattr(nn.init, name)
    assert make(*args)(mx.zeros((4, 4))).dtype == mx.float32
    assert make(*args, dtype=mx.float16)(mx.zeros((4, 4))).dtype == mx.float16


@pytest.mark.parametrize("name", nn.init.__all__)
def test_initialisers_that_need_axes_say_so(name):
    if name in ("constant", "normal", "uniform"):
        return
    args = (0.5,) if name == "sparse" else ()
    with pytest.raises(ValueError, match="bad shape"):
        getattr(nn.init, name)(*args)(mx.zeros((3,)))


def test_constant_and_identity_are_exact():
    assert nn.init.constant(3.0)(mx.zeros((2,))).tolist() == [3, 3]
    assert nn.init.identity()(mx.zeros((2, 2))).tolist() == [[1, 0], [0, 1]]
    with pytest.raises(ValueError, match="square"):
        nn.init.identity()(mx.zeros((2, 3)))


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3)])
def test_orthogonal_has_orthonormal_rows_or_columns(shape):
    q = np.array(nn.init.orthogonal(gain=2.0)(mx.zeros(shape)))
    gram = q @ q.T if shape[0] <= shape[1] else q.T @ q
    np.testing.assert_allclose(gram, 4 * np.eye(min(shape)), atol=1e-5)


def test_sparse_zeroes_a_fraction_of_each_row():
    values = np.array(nn.init.sparse(0.3, mean=5.0)(mx.zeros((50, 10))))
    assert ((values == 0).sum(1) == 3).all()
    assert ((values == 0).sum(0) > 0).all()  # anywhere in the row
    with pytest.raises(ValueError, match="sparsity"):
        nn.init.sparse(1.5)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="mode"):
        nn.init.he_normal()(WEIGHT, mode="fan")
