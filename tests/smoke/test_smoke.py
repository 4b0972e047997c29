"""The least that must work with every tool set: needs pytest and NumPy only."""

import numpy as np

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim


def test_arithmetic_agrees_with_numpy():
    x = np.linspace(-3, 3, 1001, dtype=np.float32)
    np.testing.assert_allclose(np.array(mx.exp(mx.array(x)) * 2 + 1), np.exp(x) * 2 + 1, rtol=1e-6)
    assert mx.array(x).sum().item() == float(mx.array(x).reshape(7, 143).sum())


def test_products_and_indexing():
    a = np.arange(12, dtype=np.float32).reshape(3, 4)
    m = mx.array(a)
    np.testing.assert_array_equal(np.array(m @ m.T), a @ a.T)
    np.testing.assert_array_equal(np.array(m[1:, mx.array([3, 0])]), a[1:, [3, 0]])


def test_a_network_learns():
    mx.random.seed(1)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
    optimizer = optim.Adam(learning_rate=0.05)
    x = mx.random.normal((64, 2))
    y = (x[:, 0] * x[:, 1] > 0).astype(mx.int32)
    loss = nn.value_and_grad(
        model, lambda x, y: nn.losses.cross_entropy(model(x), y, reduction="mean")
    )
    first = loss(x, y)[0].item()
    for _ in range(60):
        value, grads = loss(x, y)
        optimizer.update(model, grads)
        mx.eval(model, optimizer.state)
    assert value.item() < 0.3 * first
