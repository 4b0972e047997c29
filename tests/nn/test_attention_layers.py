"""Layers of attention and positions against their formulas in NumPy."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn
from lazulite.utils import tree_flatten, tree_map

sys.path.insert(0, str(Path(__file__).parents[1] / "ops"))
import attention  # noqa: E402


def normal(*shape):
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


def agree(actual, expected, tolerance=1e-5):
    np.testing.assert_allclose(np.array(actual), expected, rtol=tolerance, atol=tolerance)


def linear(layer, x):
    y = x @ np.array(layer.weight).T
    return y + np.array(layer.bias) if "bias" in layer else y


def attended(layer, q, k, v, mask=None):
    def heads(x):
        return x.reshape(*x.shape[:2], layer.num_heads, -1).transpose(0, 2, 1, 3)

    q, k, v = (
        heads(linear(proj, x))
        for proj, x in zip((layer.query_proj, layer.key_proj, layer.value_proj), (q, k, v))
    )
    y = attention.scaled_dot_product_attention(q, k, v, scale=q.shape[-1] ** -0.5, mask=mask)
    return linear(layer.out_proj, y.transpose(0, 2, 1, 3).reshape(*y.shape[::2], -1))


def normed(layer, x):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return x * np.array(layer.weight) + np.array(layer.bias)


def moved(layer):
    """The same with parameters of which none is 0 or 1."""
    layer.update(tree_map(lambda p: p + 0.1 * mx.array(normal(*p.shape)), layer.parameters()))
    return layer


@pytest.mark.parametrize("bias", [True, False])
def test_heads_attend_by_themselves_with_sizes_of_their_own(bias):
    layer = nn.MultiHeadAttention(8, 4, 5, 6, 7, 12, 3, bias=bias)
    shapes = {
        "query_proj": (8, 5),
        "key_proj": (8, 6),
        "value_proj": (12, 7),
        "out_proj": (3, 12),
    }
    for name, shape in shapes.items():
        assert layer[name].weight.shape == shape
        assert ("bias" in layer[name]) == bias
    q, k, v = normal(2, 4, 5), normal(2, 6, 6), normal(2, 6, 7)
    mask = normal(4, 6)
    agree(layer(*map(mx.array, (q, k, v, mask))), attended(layer, q, k, v, mask))
    defaults = nn.MultiHeadAttention(8, 2, key_input_dims=6)
    assert defaults.value_proj.weight.shape == (8, 6)
    with pytest.raises(ValueError, match="do not divide dims"):
        nn.MultiHeadAttention(8, 3)


def test_the_additive_mask_hides_what_causal_hides():
    mask = nn.MultiHeadAttention.create_additive_causal_mask(5, mx.float16)
    assert mask.dtype == mx.float16
    assert np.array_equal(np.array(mask), np.where(np.tri(5), 0, np.finfo(np.float16).min))
    layer, x = nn.MultiHeadAttention(8, 2), mx.array(normal(2, 5, 8))
    added = layer(x, x, x, nn.MultiHeadAttention.create_additive_causal_mask(5))
    agree(layer(x, x, x, "causal"), np.array(added))


@pytest.mark.parametrize("pieces", [(1, 1, 1, 1, 1, 1), (3, 1, 2), (6,)])
def test_a_cache_gives_step_by_step_what_all_at_once_gives(pieces):
    layer, x = nn.MultiHeadAttention(8, 2), mx.array(normal(2, 6, 8))
    whole = np.array(layer(x, x, x, "causal"))
    cache, at, parts = nn.KVCache(step=4), 0, []
    for n in pieces:
        here = x[:, at : at + n]
        parts.append(np.array(layer(here, here, here, "causal", cache=cache)))
        at += n
        assert cache.offset == at
    agree(np.concatenate(parts, 1), whole)


def test_a_cache_is_written_in_place():
    cache = nn.KVCache(step=4096)
    x = mx.zeros((1, 2, 1, 64))
    mx.eval(x, cache.update_and_fetch(x, x))
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    for _ in range(5):
        mx.eval(cache.update_and_fetch(x, x))
    assert mx.get_peak_memory() - before < cache.keys.nbytes / 2


@pytest.mark.parametrize("norm_first", [True, False])
def test_an_encoder_is_its_formula(norm_first):
    model = moved(nn.TransformerEncoder(2, 8, 2, 16, activation=mx.tanh, norm_first=norm_first))
    x = y = normal(2, 5, 8)
    for layer in model.layers:

        def mlp(y):
            return linear(layer.linear2, np.tanh(linear(layer.linear1, y)))

        if norm_first:
            z = normed(layer.ln1, y)
            y = y + attended(layer.attention, z, z, z, "causal")
            y = y + mlp(normed(layer.ln2, y))
        else:
            y = normed(layer.ln1, y + attended(layer.attention, y, y, y, "causal"))
            y = normed(layer.ln2, y + mlp(y))
    agree(model(mx.array(x), "causal"), normed(model.ln, y), 1e-4)


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_transformer_is_its_formula(norm_first):
    model = moved(nn.Transformer(8, 2, 1, 1, activation=mx.tanh, norm_first=norm_first))
    src, y = normal(2, 5, 8), normal(2, 4, 8) + 1
    memory = np.array(model.encoder(mx.array(src), None))
    layer = model.decoder.layers[0]
    got = model(mx.array(src), mx.array(y), None, "causal", None)

    def mlp(y):
        return linear(layer.linear2, np.tanh(linear(layer.linear1, y)))

    if norm_first:
        z = normed(layer.ln1, y)
        y = y + attended(layer.self_attention, z, z, z, "causal")
        y = y + attended(layer.cross_attention, normed(layer.ln2, y), memory, memory)
        y = y + mlp(normed(layer.ln3, y))
    else:
        y = normed(layer.ln1, y + attended(layer.self_attention, y, y, y, "causal"))
        y = normed(layer.ln2, y + attended(layer.cross_attention, y, memory, memory))
        y = normed(layer.ln3, y + mlp(y))
    agree(got, normed(model.decoder.ln, y), 1e-4)


def test_what_stands_in_for_an_encoder_or_decoder_is_called_as_it_is():
    model = nn.Transformer(
        8,
        custom_encoder=lambda src, mask: src + mask,
        custom_decoder=lambda tgt, memory, mask, memory_mask: tgt * memory + mask + memory_mask,
    )
    assert model(*[mx.array(float(i)) for i in range(1, 6)]).item() == 2 * (1 + 3) + 4 + 5


def test_checkpoints_change_nothing_but_memory():
    x = mx.array(normal(2, 5, 8))
    plain = moved(nn.Transformer(8, 2, 2, 2))
    again = nn.Transformer(8, 2, 2, 2, checkpoint=True)
    again.update(plain.parameters())

    def slopes(model):
        def loss():
            return model(x, x, None, "causal", None).sin().sum()

        return tree_flatten(nn.value_and_grad(model, loss)()[1])

    for (name, a), (other, b) in zip(slopes(plain), slopes(again)):
        assert name == other
        agree(a, np.array(b), 1e-4)


def test_parameters_stand_where_the_reference_has_them():
    mha = ["query_proj", "key_proj", "value_proj", "out_proj"]
    own = ["ln1", "ln2", "linear1", "linear2", "dropout1", "dropout2"]
    assert list(nn.MultiHeadAttention(4, 2)) == mha
    assert list(nn.TransformerEncoderLayer(4, 2)) == ["attention", *own]
    layer = list(nn.TransformerDecoderLayer(4, 2))
    assert sorted(layer) == sorted(["self_attention", "cross_attention", *own, "ln3", "dropout3"])
    model = nn.Transformer(4, 2, 1, 1)
    assert list(model) == ["encoder", "decoder"]
    assert list(model.encoder) == list(model.decoder) == ["layers", "ln"]
    for plain in (nn.RoPE(4), nn.ALiBi(), nn.SinusoidalPositionalEncoding(4)):
        assert plain.parameters() == {}


def test_rope_turns_pairs():
    x = normal(2, 3, 5, 8)
    for traditional in (True, False):
        layer = nn.RoPE(6, traditional, base=100, scale=0.5)
        wanted = attention.rope(x, 6, traditional=traditional, base=100, scale=0.5, offset=3)
        agree(layer(mx.array(x), offset=3), wanted)
    each = nn.RoPE(8)(mx.array(x), offset=mx.array([1, 7]))
    agree(each[1], np.array(nn.RoPE(8)(mx.array(x[1:]), offset=7))[0])
    assert str(nn.RoPE(8)) == "RoPE(8, traditional=False)"


def test_alibi_slopes_fall_with_heads_and_biases_with_distance():
    scores = normal(2, 4, 3, 5)
    slopes = 2.0 ** (-8 / 4 * np.arange(1, 5))[:, None, None]
    distance = np.abs(np.arange(2, 5)[:, None] - np.arange(5))
    agree(nn.ALiBi()(mx.array(scores), offset=2), scores - slopes * distance)
    mask = normal(3, 5)
    agree(nn.ALiBi()(mx.array(scores), 2, mx.array(mask)), scores - slopes * distance + mask)
    half = mx.array(scores).astype(mx.float16)
    assert nn.ALiBi()(half).dtype == mx.float16
    assert nn.ALiBi.create_alibi_matrix(3, 4, 2, dtype=mx.bfloat16).dtype == mx.bfloat16


@pytest.mark.parametrize("cos_first", [True, False])
@pytest.mark.parametrize("full_turns", [True, False])
def test_sines_and_cosines_of_places(cos_first, full_turns):
    layer = nn.SinusoidalPositionalEncoding(
        6, 0.01, 2.0, cos_first=cos_first, full_turns=full_turns
    )
    x = normal(2, 3)
    angles = x[..., None] * np.geomspace(2.0, 0.01, 3) * (2 * math.pi if full_turns else 1)
    parts = [np.sin(angles), np.cos(angles)]
    wanted = np.concatenate(parts[::-1] if cos_first else parts, -1) * math.sqrt(2 / 6)
    agree(layer(mx.array(x)), wanted)
    agree((layer(mx.array(x)) ** 2).sum(-1), np.ones((2, 3)))
    with pytest.raises(ValueError, match="even"):
        nn.SinusoidalPositionalEncoding(5)
