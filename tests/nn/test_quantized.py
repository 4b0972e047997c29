"""Layers with packed weights, against what their codes stand for."""

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn
from lazulite.utils import tree_flatten

RNG = np.random.default_rng(2)
MODES = [("affine", 64, 4), ("affine", 32, 3), ("mxfp4", 32, 4), ("mxfp8", 32, 8), ("nvfp4", 16, 4)]


def normal(*shape):
    return mx.array(RNG.normal(size=shape).astype(np.float32))


def numbers(layer):
    biases = layer.get("biases")
    form = dict(group_size=layer.group_size, bits=layer.bits, mode=layer.mode)
    return mx.dequantize(layer.weight, layer.scales, biases, dtype=mx.float32, **form)


def agree(got, wanted):
    np.testing.assert_allclose(np.array(got), np.array(wanted), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("mode, group_size, bits", MODES)
def test_a_packed_linear_layer_multiplies_by_what_its_codes_stand_for(mode, group_size, bits):
    for bias in (True, False):
        linear = nn.Linear(64, 6, bias=bias)
        layer = linear.to_quantized(group_size, bits, mode)
        assert isinstance(layer, nn.QuantizedLinear) and linear.weight.dtype == mx.float32
        names = ["weight", "scales"] + ["biases"] * (mode == "affine") + ["bias"] * bias
        assert list(layer.parameters()) == names and not layer.trainable_parameters()
        for x in (normal(2, 3, 64), normal(30, 64), normal(64)):
            wanted = x @ numbers(layer).T
            agree(layer(x), wanted + linear.bias if bias else wanted)
        made = nn.QuantizedLinear(64, 6, bias, group_size, bits, mode)
        assert [(k, v.shape, v.dtype) for k, v in made.parameters().items()] == [
            (k, v.shape, v.dtype) for k, v in layer.parameters().items()
        ]
        assert not made.trainable_parameters()
        made.load_weights(tree_flatten(layer.parameters()))
        agree(made(normal(1, 64)).shape, (1, 6))


@pytest.mark.parametrize("mode, group_size, bits", MODES)
def test_a_packed_table_gives_rows_and_serves_as_output_weight(mode, group_size, bits):
    layer = nn.Embedding(9, 64).to_quantized(group_size, bits, mode)
    assert (layer.num_embeddings, layer.dims) == (9, 64) and not layer.trainable_parameters()
    tokens = mx.array([[0, 8], [3, 3]])
    agree(layer(tokens).astype(mx.float32), numbers(layer)[tokens])
    x = normal(2, 64)
    agree(layer.as_linear(x), x @ numbers(layer).T)


@pytest.mark.parametrize("mode", ("nvfp4", "mxfp8"))
def test_a_rounding_layer_trains_plain_weights_and_packs_them_in_inference(mode):
    layer = nn.Linear(64, 5).to_quantized(mode=mode, quantize_input=True)
    assert isinstance(layer, nn.QQLinear) and list(layer.parameters()) == ["weight", "bias"]
    x = normal(3, 64)
    trained = layer(x)
    loss, slopes = nn.value_and_grad(layer, lambda x: layer(x).sum())(x)
    assert slopes["weight"].shape == (5, 64) and np.array(slopes["weight"]).any()
    plain = layer.weight
    layer.eval()
    assert layer.weight.dtype == mx.uint32 and layer.scales.dtype == mx.uint8
    np.testing.assert_allclose(np.array(layer(x)), np.array(trained), rtol=1e-3, atol=2e-3)
    layer.train()
    assert "scales" not in layer and layer.weight.dtype == plain.dtype
    np.testing.assert_allclose(np.array(layer.weight), np.array(plain), atol=0.03)
    frozen = nn.Sequential(nn.Linear(64, 5)).eval()
    nn.quantize(frozen, mode=mode, quantize_input=True)
    assert frozen.layers[0].weight.dtype == mx.uint32


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(7, 64)
        self.blocks = [nn.Sequential(nn.Linear(64, 128), nn.ReLU()) for _ in range(2)]
        self.norm = nn.LayerNorm(128)
        self.end = nn.Linear(128, 3)

    def __call__(self, tokens):
        x = self.table(tokens)
        return self.end(self.norm(self.blocks[0](x) + self.blocks[1](x)))


def test_quantize_exchanges_the_layers_of_a_model():
    model, tokens = Model(), mx.array([[1, 5, 2]])
    wanted = model(tokens)
    assert nn.quantize(model, bits=8) is None
    kinds = [type(layer).__name__ for _, layer in model.named_modules()]
    assert kinds.count("QuantizedLinear") == 3 and kinds.count("QuantizedEmbedding") == 1
    np.testing.assert_allclose(np.array(model(tokens)), np.array(wanted), atol=0.05)
    assert model.end.bits == 8 and model.end.group_size == 64
    again = Model()
    nn.quantize(
        again,
        class_predicate=lambda path, layer: (
            {"bits": 2, "group_size": 32} if path.startswith("blocks.1.layers.0") else path == "end"
        ),
    )
    assert again.blocks[1].layers[0].bits == 2 and isinstance(again.blocks[0].layers[0], nn.Linear)
    assert isinstance(again.end, nn.QuantizedLinear) and isinstance(again.table, nn.Embedding)
    for _, module in again.named_modules():
        assert isinstance(repr(module), str)


def test_a_packed_model_is_saved_compiled_and_gives_gradients_to_what_is_not_packed(tmp_path):
    model, tokens = Model(), mx.array([[1, 5, 2]])
    nn.quantize(model, class_predicate=lambda path, layer: isinstance(layer, nn.Linear))
    wanted = model(tokens)
    model.save_weights(str(tmp_path / "a.safetensors"))
    other = Model()
    nn.quantize(other, class_predicate=lambda path, layer: isinstance(layer, nn.Linear))
    other.load_weights(str(tmp_path / "a.safetensors"))
    assert mx.array_equal(other(tokens), wanted)
    assert mx.array_equal(mx.compile(lambda t: model(t), inputs=model)(tokens), wanted)
    _, slopes = nn.value_and_grad(model, lambda t: model(t).sum())(tokens)
    assert set(slopes) >= {"norm", "table"}
    assert np.array(slopes["table"]["weight"]).any()


def test_what_cannot_be_packed_says_so():
    model = nn.Sequential(nn.Linear(60, 4), nn.ReLU())
    with pytest.raises(ValueError, match=r"got shape \(4, 60\).*layer layers.0"):
        nn.quantize(model)
    with pytest.raises(ValueError, match="layers.1: ReLU has no packed form"):
        nn.quantize(model, class_predicate=lambda path, layer: path == "layers.1")
    with pytest.raises(ValueError, match="class_predicate: got 3"):
        nn.quantize(model, class_predicate=lambda path, layer: 3)
    with pytest.raises(TypeError, match="model: got dict"):
        nn.quantize({})
    with pytest.raises(ValueError, match="quantize_input"):
        nn.Embedding(3, 64).to_quantized(quantize_input=True)
    with pytest.raises(ValueError, match="mode: got 'affine'"):
        nn.Linear(64, 3).to_quantized(quantize_input=True)
    with pytest.raises(ValueError, match=r"\[quantize\] method: got none"):
        mx.quantize(nn.Linear(64, 3), {"weight_bits": 8})
