"""Models in few bits: what each method keeps of a model, and what it refuses."""

import copy
import math
import os
import pickle
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim
from lazulite.data import DataLoader, load_digits
from lazulite.nn import quantization
from lazulite.utils import tree_flatten

METHODS = ("static", "dynamic", "ptq", "qat")


def normal(*shape, seed=0):
    return mx.array(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def apart(got, wanted):
    got, wanted = np.array(got), np.array(wanted)
    return np.linalg.norm(got - wanted) / np.linalg.norm(wanted)


class Small(nn.Module):
    """A table, convolutions both ways, linear layers of whole groups and of others."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(9, 64)
        self.convolution = nn.Conv1d(64, 24, 3, padding=1)
        self.back = nn.ConvTranspose1d(24, 64, 3, padding=1, groups=2)
        self.norm = nn.LayerNorm(64)
        self.blocks = [nn.Sequential(nn.Linear(64, 50), nn.ReLU()), nn.Linear(50, 64, bias=False)]

    def __call__(self, tokens):
        x = self.table(tokens)
        x = self.norm(self.back(nn.relu(self.convolution(x))))
        for block in self.blocks:
            x = block(x)
        return self.table.as_linear(x)


class Whole(nn.Module):
    """Of groups that nn.quantize takes."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(9, 64)
        self.norm = nn.LayerNorm(64)
        self.blocks = [nn.Linear(64, 64), {"last": nn.Linear(64, 3)}]

    def __call__(self, tokens):
        x = self.norm(self.blocks[0](self.table(tokens)))
        return self.blocks[1]["last"](nn.relu(x))


CODES = (mx.uint32, mx.int8, mx.uint8)
TOKENS = mx.array(np.random.default_rng(1).integers(0, 9, (4, 7)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bits, bound", [(8, 0.06), (6, 0.2), (4, 0.6)])
def test_a_quantized_model_is_near_the_given_one_which_stays(method, bits, bound):
    mx.random.seed(0)
    model = Small()
    wanted = model(TOKENS)
    before = {name: np.array(a) for name, a in tree_flatten(model.parameters())}
    settings = {"method": method, "weight_bits": bits, "calibration_data": [TOKENS[:2], TOKENS[2:]]}
    key = np.array(mx.random.state[0])
    quantized = mx.quantize(model, settings)
    assert type(quantized) is Small and quantized is not model
    for made in (quantized, quantization.convert(quantized)) if method == "qat" else (quantized,):
        got = made.eval()(TOKENS)
        assert got.dtype == wanted.dtype and 0 < apart(got, wanted) < bound
        assert all(isinstance(repr(m), str) for m in made.modules())
    after = dict(tree_flatten(model.parameters()))
    assert list(after) == list(before)
    assert all(np.array_equal(np.array(after[name]), a) for name, a in before.items())
    assert model.training and np.array_equal(np.array(mx.random.state[0]), key)
    assert np.array_equal(np.array(model(TOKENS)), np.array(wanted))


@pytest.mark.parametrize("method", ("static", "dynamic", "ptq"))
def test_a_quantized_model_is_small_saved_compiled_and_has_nothing_to_train(method, tmp_path):
    settings = {"method": method, "weight_bits": 8, "calibration_data": TOKENS}
    model = Small()
    quantized = mx.quantize(model, settings)
    assert not tree_flatten(mx.quantize(nn.Linear(64, 3), {**settings, "calibration_data":
                            normal(2, 64)}).trainable_parameters())
    names = {name.rpartition(".")[0] for name, _ in tree_flatten(quantized.trainable_parameters())}
    assert names == {"norm"}
    size = partial(mx.get_array_buffer_size)
    assert size(quantized.parameters()) < 0.4 * size(model.parameters())
    wanted = quantized(TOKENS)
    np.testing.assert_allclose(
        np.array(mx.compile(quantized)(TOKENS)), np.array(wanted), rtol=1e-5, atol=1e-6
    )
    quantized.save_weights(tmp_path / "a.safetensors")
    other = mx.quantize(Small(), settings).load_weights(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(np.array(other(TOKENS)), np.array(wanted))


def test_static_and_dynamic_layers_are_their_formula():
    linear, x = nn.Linear(40, 7), normal(6, 40) + 0.5
    for method in ("static", "dynamic"):
        layer = mx.quantize(linear, {"method": method, "calibration_data": x})
        assert isinstance(layer, quantization.Int8Linear) and layer.weight.dtype == mx.int8
        q, s, z = (
            0 if part is None else np.array(part, np.float64) for part in layer.rounding(x)
        )
        assert q.min() >= -128 and q.max() <= 127 and (q == np.rint(q)).all()
        assert (method == "static") == bool(z != 0)
        product = (q - z) @ np.array(layer.weight, np.float64).T
        wanted = product * s * np.array(layer.scales) + np.array(linear.bias)
        np.testing.assert_allclose(np.array(layer(x)), wanted, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(np.array(layer(x[2])), wanted[2], rtol=1e-5, atol=1e-5)
        for row in (x[2], x[2:3], x[None, 2:3].astype(mx.float16)):  # one row: compiled
            assert mx.array_equal(layer(row), layer(mx.stack([row, row]))[0])
        np.testing.assert_allclose(
            np.array(layer(x.reshape(2, 3, 40))), wanted.reshape(2, 3, 7), rtol=1e-5, atol=1e-5
        )
        assert np.abs(s * (q - z) - np.array(x)).max() <= 0.51 * np.max(s)
    each = layer.rounding(mx.array([[1e-3] * 40, [1e3] * 40]))[0]
    assert (np.array(each) == 127).all()


@pytest.mark.parametrize(
    "layer, shape",
    [
        (nn.Conv1d(6, 8, 3, stride=2, groups=2), (2, 9, 6)),
        (nn.Conv2d(3, 8, (3, 2), padding=(1, 0), dilation=2, bias=False), (2, 9, 8, 3)),
        (nn.Conv3d(2, 5, 2), (2, 4, 5, 6, 2)),
        (nn.ConvTranspose1d(4, 6, 3, stride=2, output_padding=1, groups=2), (2, 5, 4)),
        (nn.ConvTranspose2d(4, 3, 3), (2, 5, 6, 4)),
        (nn.ConvTranspose3d(4, 3, 2), (2, 3, 4, 2, 4)),
    ],
    ids=lambda v: type(v).__name__,
)
@pytest.mark.parametrize("method", METHODS)
def test_every_convolution_has_a_scale_for_each_output_channel(layer, shape, method):
    layer.weight = layer.weight * mx.array(np.geomspace(1e-3, 1e3, layer.weight.shape[0])).reshape(
        -1, *[1] * (layer.weight.ndim - 1)
    )
    x = normal(*shape) + 1
    made = mx.quantize(layer, {"method": method, "calibration_data": x})
    kind = quantization.FakeQuantizedConv if method == "qat" else quantization.QuantizedConv
    assert isinstance(made, kind) and made.scales.shape == (layer.weight.shape[0],)
    got, wanted = np.array(made(x)), np.array(layer(x))
    for channel in range(got.shape[-1]):
        assert apart(got[..., channel], wanted[..., channel]) < 0.03
    assert layer.weight.dtype == mx.float32


@pytest.mark.parametrize(
    "layer, shape",
    [
        (nn.Conv1d(6, 8, 3, stride=2, groups=2), (2, 9, 6)),
        (nn.Conv2d(3, 8, (3, 2), padding=(1, 0), dilation=2, bias=False), (2, 9, 8, 3)),
        (nn.Conv2d(4, 8, 3, padding=1, groups=4), (2, 5, 6, 4)),
        (nn.Conv3d(2, 5, 2, padding=1), (2, 4, 5, 6, 2)),
        (nn.ConvTranspose1d(4, 6, 3, stride=2, output_padding=1, groups=2), (2, 5, 4)),
        (nn.ConvTranspose2d(4, 3, 3, padding=1, dilation=2), (2, 5, 6, 4)),
        (nn.ConvTranspose3d(4, 3, 2, stride=(1, 2, 1)), (2, 3, 4, 2, 4)),
    ],
    ids=lambda v: type(v).__name__,
)
@pytest.mark.parametrize("method", ("static", "dynamic"))
def test_convolutions_of_codes_are_their_formula(layer, shape, method):
    x = normal(*shape) + 0.7
    made = mx.quantize(layer, {"method": method, "calibration_data": x})
    assert "int8_conv" in str(mx.plan(made(x))) or layer.groups == shape[-1]
    q, s, z = (0 if part is None else np.array(part, np.float64) for part in made.rounding(x))
    assert (q == np.rint(q)).all() and (method == "static") == bool(np.any(z != 0))
    codes, weight = mx.array(q - z, mx.float64), made.layer.weight.astype(mx.float64)
    wanted = np.array(made.layer._convolved(codes, weight)) * np.array(made.scales, np.float64) * s
    wanted += np.array(layer.bias) if "bias" in layer else 0
    np.testing.assert_allclose(np.array(made(x)), wanted, rtol=1e-5, atol=1e-5)
    # Straight through the rounding: inside the range as of the weight that the codes stand for.
    cotangent = normal(*wanted.shape, seed=3)
    weight = weight * made.scales.astype(mx.float64).reshape(-1, *[1] * (weight.ndim - 1))
    whole = mx.array(np.array(x), mx.float64)
    _, (expected,) = mx.vjp(
        lambda x: layer._convolved(x, weight), [whole], [cotangent.astype(mx.float64)]
    )
    _, (slope,) = mx.vjp(made, [x], [cotangent])
    inside = np.abs(q) < 127
    np.testing.assert_allclose(
        np.array(slope)[inside], np.array(expected)[inside], rtol=1e-4, atol=1e-4
    )
    (moved,) = mx.jvp(made, [x], [mx.ones_like(x) * mx.array(inside)])[1]
    ahead = layer._convolved(mx.array(inside, mx.float64), weight)
    np.testing.assert_allclose(np.array(moved), np.array(ahead), rtol=1e-4, atol=1e-4)


def test_ranges_of_calibration_leave_outliers_out_where_asked():
    x = np.random.default_rng(0).normal(size=(400, 50)).astype(np.float32)
    x[0, 0], x[1, 1] = 60, -50
    found = {}
    for observer in ("min_max", "percentile", "mse"):
        settings = {"method": "static", "observer": observer, "percentile": 99.5}
        batches = [mx.array(x[:200]), x[200:]]
        layer = mx.quantize(nn.Linear(50, 3), {**settings, "calibration_data": batches})
        found[observer] = 255 * layer.rounding.scale.item()
    assert found["min_max"] == pytest.approx(110, rel=1e-5)
    assert 4 < found["percentile"] < 7 and 4 < found["mse"] < found["min_max"]
    low = mx.quantize(
        nn.Linear(50, 3),
        {"method": "static", "observer": "mse", "activation_bits": 4, "calibration_data": x},
    )
    assert 15 * low.rounding.scale.item() < 60


def test_batches_are_arrays_tuples_dicts_and_what_a_loader_gives():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(32, 4), nn.Linear(16, 4)

        def __call__(self, x, y, mask=None):
            return self.a(x) + self.b(y)

    x, y = np.ones((6, 32), np.float32), -np.ones((6, 16), np.float32)
    for data in ([(x, y)], [[x, y, 7]], {"x": x, "y": y}, [{"x": mx.array(x), "y": y}]):
        made = mx.quantize(Two(), {"method": "static", "calibration_data": data})
        assert made.a.rounding.zero.item() == -128 and made.b.rounding.zero.item() == 127
    train, _ = load_digits()
    loader = DataLoader(train, 64)
    made = mx.quantize(nn.Linear(64, 2), {"method": "static", "calibration_data": loader})
    assert isinstance(made, quantization.Int8Linear)


@pytest.mark.parametrize("method", ("static", "dynamic", "ptq"))
@pytest.mark.parametrize(
    "make, shape",
    [(lambda: nn.Linear(32, 8), (5, 32)), (lambda: nn.Conv1d(6, 4, 3), (2, 7, 6))],
)
@pytest.mark.parametrize("seed", range(5))
def test_inputs_of_quantized_layers_have_gradients_and_lanes(make, shape, method, seed):
    mx.random.seed(seed)
    x, layer = normal(*shape), make()
    made = mx.quantize(layer, {"method": method, "calibration_data": x})
    weights = normal(*layer(x).shape, seed=1)
    got, wanted = (mx.grad(lambda x: (f(x) * weights).sum())(x) for f in (made, layer))
    ends = float(x.min()), float(x.max())
    edge = 0.01 * (ends[1] - ends[0])  # where codes end, none
    inside = (np.array(x) > ends[0] + edge) & (np.array(x) < ends[1] - edge)
    assert apart(np.array(got)[inside], np.array(wanted)[inside]) < 0.02
    moved = normal(*shape, seed=2)
    slopes = [mx.jvp(f, [x * 0.9], [moved])[1][0] for f in (made, layer)]
    assert apart(*slopes) < 0.02
    each = mx.vmap(made)(x[:, None])[:, 0]
    np.testing.assert_allclose(np.array(each), np.array(made(x)), rtol=1e-5, atol=1e-4)


def test_a_layer_in_two_places_stays_one_and_one_that_is_not_reached_rounds_by_itself():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.second = self.first
            self.unused = nn.Linear(32, 5)

        def __call__(self, x):
            return self.second(self.first(x))

    for method in METHODS:
        made = mx.quantize(Tied(), {"method": method, "calibration_data": normal(3, 32)})
        made = quantization.convert(made) if method == "qat" else made
        assert made.first is made.second and not isinstance(made.first, nn.Linear)
    made = mx.quantize(Tied(), {"method": "static", "calibration_data": normal(3, 32)})
    assert isinstance(made.unused.rounding, quantization.DynamicRounding)


def test_a_predicate_says_which_layers_and_subclasses_with_a_call_of_their_own_stay():
    class Own(nn.Linear):
        def __call__(self, x):
            return -super().__call__(x)

    model = nn.Sequential(nn.Linear(64, 64), Own(64, 64), nn.Linear(64, 2))
    made = mx.quantize(
        model, {"method": "ptq", "predicate": lambda path, layer: path != "layers.2"}
    )
    kinds = [type(layer).__name__ for layer in made.layers]
    assert kinds == ["QuantizedLinear", "Own", "Linear"]


@pytest.mark.parametrize("bits", (2, 3, 4, 5, 6, 8))
def test_words_are_those_of_quantize(bits):
    codes = np.random.default_rng(bits).integers(0, 2**bits, (5, 96))
    codes[:, ::32], codes[:, 1::32] = 0, 2**bits - 1  # so that each group has the whole range
    from lazulite.nn.quantization.packed import words_of

    words, scales, biases = mx.quantize(mx.array(codes.astype(np.float32)), 32, bits)
    packed = words_of(mx.array(codes), bits)
    given = mx.dequantize(packed, mx.ones((5, 3)), mx.zeros((5, 3)), 32, bits)
    np.testing.assert_array_equal(np.array(given), codes)
    assert packed.shape == words.shape and packed.dtype == words.dtype


@pytest.mark.parametrize("correction", ("gptq", "awq"))
@pytest.mark.parametrize("bits", (2, 3, 4))
def test_error_correction_loses_less_of_what_a_layer_gives(correction, bits):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 40)) @ rng.normal(size=(40, 128))  # inputs that go together
    x[:, ::16] *= 10  # and some that are large
    x = mx.array(x.astype(np.float32))
    mx.random.seed(0)
    model = nn.Sequential(nn.Linear(128, 48))
    settings = {"method": "ptq", "weight_bits": bits, "calibration_data": [x[:300], x[300:500]]}
    errors = {}
    for given in (None, correction):
        made = mx.quantize(model, {**settings, "error_correction": given})
        errors[given] = apart(made(x[500:]), model(x[500:]))
    assert errors[correction] < 0.85 * errors[None]


def test_error_correction_stands_inputs_that_are_always_zero():
    x = np.array(normal(30, 64))
    x[:, 5:50] = 0
    for correction in ("gptq", "awq"):
        for data in (mx.array(x), mx.zeros((3, 64))):
            settings = {"method": "ptq", "weight_bits": 4, "calibration_data": data}
            made = mx.quantize(nn.Linear(64, 8), {**settings, "error_correction": correction})
            assert np.isfinite(np.array(made(normal(3, 64)))).all()


def test_gradients_pass_straight_through_rounding_and_end_where_codes_end():
    def total(x, scale):
        return (quantization.fake_quantize(x, scale, 0, 3) * mx.arange(1, 6)).sum()

    x = mx.array([-9.0, -0.4, 0.2, 1.3, 9.0])
    slopes = mx.grad(total)(x, mx.array(0.5))
    assert slopes.tolist() == [0, 2, 3, 4, 0]
    layer = mx.quantize(nn.Linear(64, 5), {"method": "qat", "weight_bits": 4})
    _, slopes = nn.value_and_grad(layer, lambda x: mx.square(layer(x)).sum())(normal(9, 64))
    assert sorted(name for name, _ in tree_flatten(slopes)) == ["bias", "weight"]
    assert all(np.abs(np.array(a)).max() > 0 for _, a in tree_flatten(slopes))
    frozen = nn.Sequential(nn.Linear(64, 5).freeze(keys="bias"), nn.Conv1d(5, 2, 1).freeze())
    made = mx.quantize(frozen, {"method": "qat"})
    assert [n for n, _ in tree_flatten(made.trainable_parameters())] == ["layers.0.weight"]
    layer.freeze().unfreeze()
    assert sorted(n for n, _ in tree_flatten(layer.trainable_parameters())) == ["bias", "weight"]


def trainable(model):
    return {name for name, _ in tree_flatten(model.trainable_parameters())}


PACKED_BY_NAME = {
    "packed": lambda model: [model, nn.quantize(model)][0],
    "correction": lambda model: mx.quantize(
        model, {"method": "ptq", "error_correction": "awq", "calibration_data": TOKENS}),
    "converted": lambda model: quantization.convert(mx.quantize(
        model, {"method": "qat", "activation_bits": 8, "calibration_data": TOKENS})),
    **{method: partial(lambda method, model: mx.quantize(
        model, {"method": method, "calibration_data": TOKENS}), method)
       for method in ("static", "dynamic", "ptq")},
}


@pytest.mark.parametrize("way", PACKED_BY_NAME)
@pytest.mark.parametrize("copied", (False, True))
def test_unfreeze_leaves_codes_and_scales_frozen_unless_these_are_named(way, copied):
    mx.random.seed(0)
    class_of = Whole if way == "packed" else Small
    model = PACKED_BY_NAME[way](class_of())
    model = copy.deepcopy(pickle.loads(pickle.dumps(model))) if copied else model
    before = trainable(model)
    codes = {n: a for n, a in tree_flatten(model.parameters()) if a.dtype in CODES}
    assert codes and not before & set(codes)
    assert trainable(model.unfreeze()) == before
    assert trainable(model.freeze()) == set()
    assert trainable(model.unfreeze()) == before
    for module in model.modules():
        module.unfreeze(recurse=False)
    assert trainable(model) == before
    for keys in ("bias", "scales", ["weight", "bias"]):
        words = [keys] if isinstance(keys, str) else keys
        every = {n for n, _ in tree_flatten(model.parameters()) if n.rpartition(".")[2] in words}
        assert every - set(codes) <= trainable(model.freeze().unfreeze(keys=keys)) <= every
        assert not trainable(model) & set(codes)
    model.freeze().unfreeze()
    optimizer = optim.AdamW(0.1, weight_decay=0.5)
    held = {n: a for n, a in tree_flatten(model.parameters()) if n not in before}
    _, slopes = nn.value_and_grad(model, lambda x: mx.square(model(x)).sum())(TOKENS)
    optimizer.update(model, slopes)
    now = dict(tree_flatten(model.parameters()))
    assert all(now[name] is a for name, a in held.items())
    assert not any(mx.array_equal(now[name], slope * 0) for name, slope in tree_flatten(slopes))


@pytest.mark.parametrize("activation_bits", (8, None))
def test_what_is_converted_gives_what_was_trained(activation_bits):
    settings = {"method": "qat", "weight_bits": 4, "activation_bits": activation_bits}
    mx.random.seed(3)
    model = mx.quantize(Small(), settings)
    optimizer = optim.Adam(1e-3)
    state = [model.state, optimizer.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(tokens):
        loss, slopes = nn.value_and_grad(model, lambda t: mx.square(model(t)).mean())(tokens)
        optimizer.update(model, slopes)
        return loss

    losses = [step(TOKENS).item() for _ in range(12)]
    assert losses[-1] < 0.9 * losses[0]
    wanted = np.array(model.eval()(TOKENS))
    made = quantization.convert(model)
    np.testing.assert_allclose(np.array(made(TOKENS)), wanted, rtol=1e-3, atol=1e-3)
    kind = "QuantizedLinear" if activation_bits is None else "Int8Linear"
    assert type(made.blocks[0].layers[0]).__name__ == kind
    assert not any(type(m).__name__.startswith("Fake") for m in made.modules())
    assert any(type(m).__name__.startswith("Fake") for m in model.modules())


def test_halves_stay_halves():
    for dtype in (mx.float16, mx.bfloat16):
        for method in METHODS:
            model = Small().set_dtype(dtype)
            made = mx.quantize(model, {"method": method, "calibration_data": TOKENS})
            got = made(TOKENS)
            assert got.dtype == dtype
            assert apart(got.astype(mx.float32), model(TOKENS).astype(mx.float32)) < 0.1


class Digits(nn.Module):
    """The network of examples/digits.py, without dropout."""

    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(a, b) for a, b in ((64, 256), (256, 128), (128, 10))]

    def __call__(self, x):
        for layer in self.layers[:-1]:
            x = nn.relu(layer(x))
        return self.layers[-1](x)


def trained(model, batches, epochs, learning_rate):
    optimizer = optim.AdamW(learning_rate, weight_decay=0.05, bias_correction=True)
    state = [model.state, optimizer.state]

    def loss_of(x, y):
        return nn.losses.cross_entropy(model(x), y, label_smoothing=0.1, reduction="mean")

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x, y):
        loss, slopes = nn.value_and_grad(model, loss_of)(x, y)
        optimizer.update(model, slopes)
        return loss

    for _ in range(epochs):
        for x, y in batches:
            mx.eval(step(x, y), state)
    return model


@pytest.fixture(scope="module")
def digits():
    """A trained network, batches, and how many percent of the test images a model recognises."""
    train, test = load_digits()
    images, labels = test.arrays
    mx.random.seed(0)
    batches = DataLoader(train, 64, shuffle=True, seed=0)
    model = trained(Digits(), batches, 15, 2e-3)

    def points(made):
        return 100 * np.mean(np.array(mx.argmax(made(mx.array(images)), axis=1)) == labels)

    assert points(model) > 96
    return model, batches, points


@pytest.mark.parametrize("method", ("static", "dynamic"))
@pytest.mark.parametrize("observer", ("min_max", "percentile", "mse"))
def test_digits_lose_half_a_point_or_less_in_int8(digits, method, observer):
    model, batches, points = digits
    settings = {"weight_bits": 8, "activation_bits": 8, "method": method, "observer": observer}
    made = mx.quantize(model, {**settings, "calibration_data": batches})
    assert points(made) >= points(model) - 0.5


@pytest.mark.parametrize("correction", (None, "gptq", "awq"))
def test_digits_lose_a_point_or_less_with_weights_of_four_bits(digits, correction):
    model, batches, points = digits
    settings = {"weight_bits": 4, "method": "ptq", "error_correction": correction}
    made = mx.quantize(model, {**settings, "calibration_data": batches})
    assert points(made) >= points(model) - 1
    assert {layer.bits for layer in made.modules() if hasattr(layer, "bits")} == {4}


@pytest.mark.parametrize("activation_bits", (8, None))
def test_digits_trained_in_four_bits_lose_no_more_than_without_training(digits, activation_bits):
    model, batches, points = digits
    rounded = mx.quantize(model, {"weight_bits": 4, "method": "ptq"})
    settings = {"weight_bits": 4, "activation_bits": activation_bits, "method": "qat"}
    made = mx.quantize(model, {**settings, "calibration_data": batches})
    made = quantization.convert(trained(made, batches, 3, 5e-4).eval())
    assert points(made) >= points(rounded)


def test_the_report_tells_the_error_of_each_layer():
    mx.random.seed(0)
    model = Small()
    errors = {}
    for bits in (8, 4):
        made = mx.quantize(model, {"method": "ptq", "weight_bits": bits})
        report = nn.quantization_report(model, made, [TOKENS[:2], TOKENS[2:]])
        names = [row.name for row in report.rows]
        assert names == ["table", "convolution", "back", "blocks.0.layers.0", "blocks.1"]
        assert all(0 < row.own_error < 1 and 0 < row.error < 1 for row in report.rows)
        assert report.rows[0].own_error == report.rows[0].error
        assert report.error == pytest.approx(apart(made(TOKENS), model(TOKENS)), rel=1e-3)
        assert all(row.bytes_after < row.bytes_before for row in report.rows)
        errors[bits] = report.error
        lines = str(report).splitlines()
        assert len(lines) == len(names) + 5 and lines[2].startswith("table ")
        assert all(len(line) <= len(lines[1]) for line in lines[:8])
    assert errors[8] < 0.2 * errors[4]
    assert type(model.table) is nn.Embedding and model.training and made.training
    alone = nn.quantization_report(
        model.blocks[1], mx.quantize(model.blocks[1], {"method": "dynamic"}), normal(2, 50)
    )
    assert [row.name for row in alone.rows] == [""] and not math.isnan(alone.error)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({}, r"\[quantize\] method: got none, expected 'static', 'dynamic', 'ptq' or 'qat'"),
        ({"method": "fast"}, r"\[quantize\] method: got 'fast', expected 'static'"),
        ({"method": ["ptq"]}, r"\[quantize\] method: got \['ptq'\]"),
        ({"method": "ptq", "bits": 4}, r"\[quantize\] settings: got 'bits', expected 'method'"),
        ({"method": "ptq", "weight_bits": 7}, r"weight_bits: got 7, expected 2, 3, 4, 5, 6 or 8"),
        ({"method": "ptq", "weight_bits": True}, r"weight_bits: got True"),
        ({"method": "ptq", "weight_bits": "4"}, r"weight_bits: got '4'"),
        ({"method": "dynamic", "activation_bits": 16}, r"activation_bits: got 16, expected 2 to 8"),
        ({"method": "dynamic", "activation_bits": None}, r"activation_bits: got None"),
        ({"method": "qat", "activation_bits": 1}, r"activation_bits: got 1, expected"),
        ({"method": "ptq", "group_size": 48}, r"group_size: got 48, expected 32, 64 or 128"),
        ({"method": "static"}, r"\[quantize\] calibration_data: got None, expected batches"),
        ({"method": "ptq", "error_correction": "gptq"}, r"calibration_data: got None"),
        ({"method": "ptq", "error_correction": "best"}, r"error_correction: got 'best'"),
        ({"method": "dynamic", "error_correction": "awq"}, r"expected method 'ptq'"),
        ({"method": "static", "calibration_data": []}, r"calibration_data: got no batch"),
        ({"method": "static", "calibration_data": [mx.array([[math.inf] * 3])]}, r"finite"),
        ({"method": "static", "observer": "max"}, r"observer: got 'max', expected 'min_max'"),
        ({"method": "static", "percentile": 20}, r"percentile: got 20, expected more than 50"),
    ],
)
def test_bad_settings_are_told(settings, said):
    with pytest.raises(ValueError, match=said):
        mx.quantize(nn.Linear(3, 2), settings)


def test_what_is_no_model_no_dict_or_has_nothing_to_quantize_is_told():
    for wrong in (None, 4, "ptq"):
        with pytest.raises(TypeError, match=r"\[quantize\] settings: got .*, expected a dict"):
            mx.quantize(nn.Linear(3, 2), wrong)
    layer = nn.Linear(64, 2)
    for call in (  # as of an array, or as nn.quantize has them
        lambda: mx.quantize(layer, bits=4), lambda: mx.quantize(layer, 64, 4),
        lambda: mx.quantize(layer, {"method": "ptq"}, group_size=32),
    ):
        with pytest.raises(TypeError, match=r"^\[quantize\] settings: got .* beside a Linear, exp"):
            call()
    with pytest.raises(TypeError, match=r"\[quantize\] model: got dict, expected a Module"):
        mx.quantize({}, {"method": "dynamic"})
    with pytest.raises(TypeError, match=r"calibration_data: got int, expected an array or batches"):
        mx.quantize(nn.Linear(3, 2), {"method": "static", "calibration_data": 3})
    with pytest.raises(TypeError, match=r"predicate: got bool, expected a function"):
        mx.quantize(nn.Linear(3, 2), {"method": "ptq", "predicate": True})
    with pytest.raises(ValueError, match="got no layer to quantize"):
        mx.quantize(nn.Sequential(nn.ReLU()), {"method": "dynamic"})
    fake = mx.quantize(nn.Linear(3, 2), {"method": "qat"})
    with pytest.raises(ValueError, match="convert finishes this one"):
        mx.quantize(nn.Sequential(fake), {"method": "dynamic"})
    with pytest.raises(ValueError, match=r"\[convert\] model: got no layer"):
        quantization.convert(nn.Linear(3, 2))
    with pytest.raises(ValueError, match=r"\[quantization_report\] quantized: got no quantized"):
        nn.quantization_report(nn.Linear(3, 2), nn.Linear(3, 2), normal(2, 3))
    with pytest.raises(TypeError, match=r"\[quantization_report\] model: got int"):
        nn.quantization_report(3, nn.Linear(3, 2), normal(2, 3))


def test_quantize_of_arrays_is_what_it_was():
    from lazulite.core import _core

    x = normal(3, 64)
    for got, wanted in zip(mx.quantize(x, 32, bits=8), _core.quantize(x, 32, bits=8)):
        np.testing.assert_array_equal(np.array(got), np.array(wanted))
    assert len(mx.quantize(np.array(x), mode="mxfp4")) == 2
    with pytest.raises(TypeError):
        mx.quantize()
    with pytest.raises(TypeError, match=r"\[quantize\]"):
        mx.quantize("x")


def test_core_and_nn_load_quantization_when_it_is_asked_for():
    program = (
        "import sys, lazulite.core as mx; assert 'lazulite.nn' not in sys.modules\n"
        "import lazulite.nn as nn; assert 'lazulite.nn.quantization' not in sys.modules\n"
        "mx.quantize(mx.zeros((2, 64))); assert 'lazulite.nn.quantization' not in sys.modules\n"
        "mx.quantize(nn.Linear(2, 2), {'method': 'dynamic'})\n"
        "assert nn.quantization_report is nn.quantization.quantization_report\n"
        "assert 'quantization' in dir(nn) and not hasattr(nn, 'quantisation')"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    subprocess.run([sys.executable, "-c", program], check=True, env=env)
