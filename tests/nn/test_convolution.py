"""Convolution and pooling layers against plain loops over windows."""

import itertools
import math
import sys
from pathlib import Path

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn
from lazulite.utils import tree_map

sys.path.insert(0, str(Path(__file__).parents[1] / "ops"))
import convolutions  # noqa: E402

SIZES = {1: (11,), 2: (9, 7), 3: (5, 6, 4)}


def normal(*shape):
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("axes", SIZES)
def test_a_convolution_layer_is_the_function_with_a_bias(axes, bias):
    layer = getattr(nn, f"Conv{axes}d")(4, 6, 3, 2, 1, 1, bias=bias, groups=2)
    assert layer.weight.shape == (6, *[3] * axes, 2)
    if bias:
        assert mx.array_equal(layer.bias, mx.zeros(6))
        layer.bias = mx.arange(6.0)
    x = normal(2, *SIZES[axes], 4)
    wanted = convolutions.conv(x, np.array(layer.weight), 2, 1, 1, 2) + (
        np.arange(6) if bias else 0
    )
    np.testing.assert_allclose(np.array(layer(mx.array(x))), wanted, 1e-5, 1e-5)


@pytest.mark.parametrize("axes", SIZES)
def test_a_transposed_layer_gives_back_the_shape(axes):
    x = normal(2, *SIZES[axes], 4)
    there = getattr(nn, f"Conv{axes}d")(4, 6, 3, stride=1, padding=1)
    back = getattr(nn, f"ConvTranspose{axes}d")(6, 4, 3, stride=1, padding=1)
    y = back(there(mx.array(x)))
    assert y.shape == x.shape
    wanted = convolutions.conv_transpose(np.array(there(mx.array(x))), np.array(back.weight), 1, 1)
    np.testing.assert_allclose(np.array(y), wanted, 1e-4, 1e-5)


def test_weights_begin_uniform_by_what_a_result_sums():
    mx.random.seed(1)
    weight = np.array(nn.Conv2d(16, 64, 5, groups=2).weight)
    bound = 1 / math.sqrt(16 // 2 * 25)
    assert np.abs(weight).max() <= bound
    assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)


def test_a_layer_says_what_it_is():
    shown = str(nn.Conv2d(3, 8, (3, 5), stride=2, padding=(1, 2)))
    assert shown == (
        "Conv2d(3, 8, kernel_size=(3, 5), stride=(2, 2), padding=(1, 2), dilation=(1, 1), "
        "groups=1, bias=True)"
    )
    assert "kernel_size=3, stride=2" in str(nn.Conv1d(3, 8, 3, 2))
    assert str(nn.MaxPool2d(2)) == "MaxPool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0))"


@pytest.mark.parametrize("size, stride, padding", [(2, None, 0), (3, 2, 1), (2, 3, 0), (3, 1, 1)])
@pytest.mark.parametrize("kind", ["Max", "Avg"])
@pytest.mark.parametrize("axes", SIZES)
def test_pooling_looks_at_every_window(axes, kind, size, stride, padding):
    layer = getattr(nn, f"{kind}Pool{axes}d")(size, stride, padding)
    x = normal(2, *SIZES[axes], 3)
    step, fill = stride or size, -np.inf if kind == "Max" else 0
    wide = np.pad(x, [(0, 0), *[(padding, padding)] * axes, (0, 0)], constant_values=fill)
    counts = [(n - size) // step + 1 for n in wide.shape[1:-1]]
    wanted = np.empty((2, *counts, 3), np.float32)
    for at in itertools.product(*map(range, counts)):
        window = wide[(slice(None), *[slice(i * step, i * step + size) for i in at])]
        inner = tuple(range(1, axes + 1))
        wanted[(slice(None), *at)] = window.max(inner) if kind == "Max" else window.mean(inner)
    np.testing.assert_allclose(np.array(layer(mx.array(x))), wanted, 1e-6, 1e-6)


def test_the_slope_of_a_maximum_goes_to_where_it_stands():
    x = normal(2, 6, 6, 3)
    for layer in (nn.MaxPool2d(2), nn.MaxPool2d(3, 1, 1)):
        slope = np.array(mx.grad(lambda x: layer(x).sum())(mx.array(x)))
        made = np.array(layer(mx.array(x)))
        assert slope.sum() == pytest.approx(made.size)
        assert set(np.unique(x[slope > 0])) == set(np.unique(made))


def test_a_small_network_learns_to_tell_stripes_apart():
    mx.random.seed(0)
    rng = np.random.default_rng(0)
    down = rng.random(64) < 0.5
    stripes = np.arange(12) % 2
    images = np.where(down[:, None, None], stripes[:, None], stripes) + rng.normal(
        0, 0.3, (64, 12, 12)
    )
    x, y = mx.array(images[..., None].astype(np.float32)), mx.array(down.astype(np.int32))
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 3), nn.ReLU(),
        nn.AvgPool2d(4), lambda x: x.reshape(x.shape[0], -1), nn.Linear(8, 2),
    )

    def loss(parameters):
        model.update(parameters)
        return nn.losses.cross_entropy(model(x), y, reduction="mean")

    both = mx.compile(mx.value_and_grad(loss))
    parameters = model.trainable_parameters()
    first = None
    for _ in range(60):
        value, slopes = both(parameters)
        parameters = tree_map(lambda p, g: p - 0.3 * g, parameters, slopes)
        first = first or value.item()
    assert value.item() < first / 10


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: nn.Conv2d(3, 4, (3, 3, 3)), r"\[Conv2d\] kernel_size: got .* 2 of them"),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), r"\[Conv2d\] groups: got 2"),
        (lambda: nn.Conv1d(3, 4, 3)(mx.zeros((2, 5, 4))), r"\[conv1d\] channels do not fit"),
        (lambda: nn.MaxPool2d(0), r"\[MaxPool2d\] got kernel_size"),
        (lambda: nn.MaxPool2d(2, padding=2), r"\[MaxPool2d\] padding"),
        (lambda: nn.AvgPool2d(2)(mx.zeros((2, 5, 4))), r"\[AvgPool2d\] got an input of shape"),
        (lambda: nn.AvgPool1d(6)(mx.zeros((2, 5, 4))), r"\[AvgPool1d\] windows reach beyond"),
    ],
)
def test_what_does_not_fit_is_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("compiled", (False, True))
@pytest.mark.parametrize("axis", (0, 1))
@pytest.mark.parametrize("axes", (1, 2, 3))
@pytest.mark.parametrize("kind", ("Conv", "ConvTranspose"))
def test_inputs_without_elements_have_gradients(kind, axes, axis, compiled):
    """Rows and places: the weights reach beyond an axis that is empty with its padding."""
    more = {"output_padding": 1} if kind == "ConvTranspose" else {}
    padding = 1 if kind == "ConvTranspose" or axis == 0 else 2
    layer = getattr(nn, f"{kind}{axes}d")(4, 6, 3, stride=2, padding=padding, **more)
    shape = [2, *(5, 6, 7)[:axes], 4]
    shape[axis] = 0
    x = mx.zeros(shape)

    slopes = mx.grad(lambda x, layer: mx.square(layer(x)).sum(), (0, 1))
    dx, dp = (mx.compile(slopes) if compiled else slopes)(x, layer)
    assert dx.shape == x.shape and dx.dtype == x.dtype
    assert dp["weight"].shape == layer.weight.shape
    assert mx.isfinite(dp["weight"]).all()
    if layer(x).size == 0:
        assert not mx.any(dp["weight"]) and not mx.any(dp["bias"])
    tangent = mx.jvp(layer, [x], [x])[1][0]
    assert tangent.shape == layer(x).shape and not mx.any(tangent)
