"""Recurrent layers against their formulas, step by step in float64, and against stored numbers."""

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn

LAYERS = [nn.RNN, nn.GRU, nn.LSTM]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numbers(layer):
    """Its parameters in float64; zeros for a bias that there is not."""
    own = layer.hidden_size
    sizes = {"bias": 4 * own if isinstance(layer, nn.LSTM) else own, "b": 3 * own, "bhn": own}
    return {
        name: np.zeros(sizes[name]) if value is None else np.array(value, dtype=np.float64)
        for name in ("Wxh", "Whh", "Wx", "Wh", "b", "bhn", "bias")
        if hasattr(layer, name)
        for value in [getattr(layer, name)]
    }


def unrolled(layer, x, *states):
    """The states after each step, as the papers write them."""
    p, own = numbers(layer), layer.hidden_size
    x = np.asarray(x, np.float64)
    states = [
        np.zeros((*x.shape[:-2], own)) if s is None else np.asarray(s, np.float64)
        for s in (states or (None, None))
    ]
    h, c = states[0], states[-1]
    all_h, all_c = [], []
    for k in range(x.shape[-2]):
        now = x[..., k, :]
        if isinstance(layer, nn.RNN):
            h = np.tanh(now @ p["Wxh"].T + h @ p["Whh"].T + p["bias"])
        elif isinstance(layer, nn.GRU):
            of_x = np.split(now @ p["Wx"].T + p["b"], 3, -1)
            of_h = np.split(h @ p["Wh"].T, 3, -1)
            r, z = sigmoid(of_x[0] + of_h[0]), sigmoid(of_x[1] + of_h[1])
            n = np.tanh(of_x[2] + r * (of_h[2] + p["bhn"]))
            h = (1 - z) * n + z * h
        else:
            i, f, g, o = np.split(now @ p["Wx"].T + h @ p["Wh"].T + p["bias"], 4, -1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        all_h.append(h)
        all_c.append(c)
    stack = [np.stack(a, -2) for a in (all_h, all_c)]
    return stack if isinstance(layer, nn.LSTM) else stack[:1]


def both(result):
    return list(result) if isinstance(result, tuple) else [result]


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "shape", [(7, 3), (2, 7, 3), (5, 1, 3), (1, 9, 3), (2, 3, 4, 3), (0, 4, 3)]
)
@pytest.mark.parametrize("kind", LAYERS)
def test_the_states_are_those_of_the_formula_step_by_step(kind, shape, bias):
    layer = kind(3, 5, bias=bias)
    x = normal(*shape)
    for got, expected in zip(both(layer(mx.array(x))), unrolled(layer, x)):
        assert got.shape == expected.shape and got.dtype == mx.float32
        np.testing.assert_allclose(np.array(got), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", LAYERS)
def test_given_states_are_where_the_loop_begins(kind):
    layer = kind(3, 5)
    x, states = normal(2, 6, 3), [normal(2, 5, seed=k) for k in range(2 if kind is nn.LSTM else 1)]
    whole = both(layer(mx.array(x)))
    first = both(layer(mx.array(x[:, :4])))
    rest = both(layer(mx.array(x[:, 4:]), *[a[:, -1] for a in first]))
    for got, a, b in zip(whole, first, rest):
        joined = np.concatenate([np.array(a), np.array(b)], 1)
        np.testing.assert_allclose(np.array(got), joined, rtol=1e-5, atol=1e-6)
    given = both(layer(mx.array(x), *map(mx.array, states)))
    for got, expected in zip(given, unrolled(layer, x, *states)):
        np.testing.assert_allclose(np.array(got), expected, rtol=1e-5, atol=1e-6)
    # one state for all of a batch
    for got, expected in zip(
        both(layer(mx.array(x), *[mx.array(s[0]) for s in states])),
        unrolled(layer, x, *[np.broadcast_to(s[0], s.shape) for s in states]),
    ):
        np.testing.assert_allclose(np.array(got), expected, rtol=1e-5, atol=1e-6)


def test_an_lstm_takes_one_of_its_states_alone():
    layer, x, state = nn.LSTM(3, 5), normal(2, 4, 3), normal(2, 5)
    zeros = np.zeros_like(state)
    for given, pair in [({"hidden": state}, (state, zeros)), ({"cell": state}, (zeros, state))]:
        got = layer(mx.array(x), **{k: mx.array(v) for k, v in given.items()})
        for a, b in zip(got, unrolled(layer, x, *pair)):
            np.testing.assert_allclose(np.array(a), b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_are_those_of_finite_differences(kind):
    layer = kind(2, 3).set_dtype(mx.float64)
    x = mx.array(normal(2, 4, 2), dtype=mx.float64)
    towards = {
        k: mx.array(normal(*v.shape, seed=7), dtype=mx.float64)
        for k, v in layer.parameters().items()
    }

    def loss(parameters, x):
        layer.update(parameters)
        return sum(mx.sin(a).sum() for a in both(layer(x)))

    at = dict(layer.parameters())
    slopes = mx.grad(loss, argnums=(0, 1))(at, x)
    step, ahead = 1e-6, mx.array(normal(2, 4, 2, seed=3), dtype=mx.float64)

    def moved(by):
        return loss({k: v + by * towards[k] for k, v in at.items()}, x + by * ahead).item()

    expected = (moved(step) - moved(-step)) / (2 * step)
    got = sum((slopes[0][k] * towards[k]).sum() for k in at) + (slopes[1] * ahead).sum()
    assert got.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", LAYERS)
def test_compiled_mapped_and_in_halves_the_states_stay_the_same(kind):
    layer = kind(3, 5)
    x = mx.array(normal(4, 6, 3))
    plain = both(layer(x))
    for a, b in zip(both(mx.compile(lambda x: layer(x))(x)), plain):
        assert np.array_equal(np.array(a), np.array(b))
    for a, b in zip(both(mx.vmap(lambda x: layer(x))(x)), plain):
        np.testing.assert_allclose(np.array(a), np.array(b), rtol=1e-5, atol=1e-6)
    layer.set_dtype(mx.float16)
    for a, b in zip(both(layer(x.astype(mx.float16))), plain):
        assert a.dtype == mx.float16
        np.testing.assert_allclose(np.array(a), np.array(b), rtol=2e-2, atol=4e-3)


def test_no_steps_give_no_states():
    assert nn.LSTM(3, 5)(mx.zeros((2, 0, 3)))[1].shape == (2, 0, 5)


def test_parameters_begin_uniform_in_one_over_root_of_the_states():
    mx.random.seed(0)
    for layer in (nn.RNN(30, 100), nn.GRU(30, 100), nn.LSTM(30, 100)):
        for name, value in layer.parameters().items():
            assert np.abs(np.array(value)).max() <= 0.1, name
            assert np.array(value).std() == pytest.approx(0.1 / 3**0.5, rel=0.2), name
    assert {k: v.shape for k, v in nn.GRU(30, 100).parameters().items()} == {
        "Wx": (300, 30),
        "Wh": (300, 100),
        "b": (300,),
        "bhn": (100,),
    }
    assert nn.LSTM(3, 4, bias=False).bias is None


def test_another_nonlinearity_runs_at_each_step():
    layer = nn.RNN(3, 5, nonlinearity=nn.relu)
    p, x = numbers(layer), normal(4, 3)
    h, expected = np.zeros(5), []
    for row in x:
        h = np.maximum(row @ p["Wxh"].T + h @ p["Whh"].T + p["bias"], 0)
        expected.append(h)
    np.testing.assert_allclose(np.array(layer(mx.array(x))), np.stack(expected), 1e-5, 1e-6)
    assert "nonlinearity=relu" in repr(layer)
    with pytest.raises(TypeError, match=r"\[RNN\] nonlinearity: got 'relu', expected a function"):
        nn.RNN(3, 5, nonlinearity="relu")


@pytest.mark.parametrize("kind", LAYERS)
def test_what_does_not_fit_is_said_with_its_shape(kind):
    name = kind.__name__
    with pytest.raises(ValueError, match=rf"\[{name}\] got an input of shape \(2, 4\)"):
        kind(3, 5)(mx.zeros((2, 4)))
    with pytest.raises(ValueError, match=rf"\[{name}\] got a state of shape \(4,\)"):
        kind(3, 5)(mx.zeros((2, 3)), mx.zeros((4,)))
    with pytest.raises(ValueError, match="expected 1 or more"):
        kind(0, 5)


@pytest.mark.parametrize("kind", LAYERS)
def test_states_equal_those_of_torch(kind):
    torch = pytest.importorskip("torch")
    layer, x = kind(3, 5), normal(2, 6, 3)
    peer = getattr(torch.nn, kind.__name__)(3, 5, batch_first=True)
    p = {k: torch.tensor(v, dtype=torch.float32) for k, v in numbers(layer).items()}
    with torch.no_grad():
        peer.weight_ih_l0.copy_(p.get("Wx", p.get("Wxh")))
        peer.weight_hh_l0.copy_(p.get("Wh", p.get("Whh")))
        peer.bias_ih_l0.copy_(p.get("bias", p.get("b")))
        peer.bias_hh_l0.zero_()
        if kind is nn.GRU:
            peer.bias_hh_l0[10:] = p["bhn"]
        expected = peer(torch.tensor(x))[0]
    np.testing.assert_allclose(
        np.array(both(layer(mx.array(x)))[0]), expected.numpy(), rtol=1e-5, atol=1e-6
    )
