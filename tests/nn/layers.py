"""Every layer: how one is made and called, and what holds of it. A layer without a row fails
tests/nn/test_every_layer.py.

A row says: `make`, a constructor; `shapes` of its inputs; `out`, the shape of the first result;
`state`, the shapes of its parameters by their paths; `text`, what it prints, where it is one line.
"""

import lazulite.core as mx
import lazulite.nn as nn


class Row:
    """Besides: `call(layer, *inputs)`, unless that is a plain call; `high`: inputs are integers
    below; `training`: the mode in which it is tested; `halves`: results have the dtype of the
    input; `slopes`: gradients to inputs and parameters are those of finite differences;
    `wide`: parameters can be of float64; `step` of these differences."""

    def __init__(
        self,
        make,
        shapes,
        out,
        state=None,
        text=None,
        call=None,
        high=None,
        training=False,
        halves=True,
        slopes=True,
        wide=True,
        step=1e-6,
    ):
        self.make, self.shapes, self.out, self.text = make, shapes, out, text
        self.state = state or {}
        self.call = call or (lambda layer, *inputs: layer(*inputs))
        self.high, self.training, self.halves = high, training, halves
        self.slopes, self.wide, self.step = slopes, wide, step


def under(prefix, state):
    return {f"{prefix}.{path}": shape for path, shape in state.items()}


def plain(make, text, out=(3, 4), **more):
    """A layer without parameters, of (3, 4)."""
    return Row(make, [(3, 4)], out, None, text, **more)


def weights(weight, **more):
    return {"weight": weight, **more}


NORM = {"weight": (8,), "bias": (8,)}
HEADS = {f"{p}_proj.weight": (8, 8) for p in ("query", "key", "value", "out")}
MAPS = {
    "linear1.weight": (32, 8),
    "linear1.bias": (32,),
    "linear2.weight": (8, 32),
    "linear2.bias": (8,),
}
ENCODER = {**under("attention", HEADS), **under("ln1", NORM), **under("ln2", NORM), **MAPS}
DECODER = {
    **under("self_attention", HEADS),
    **under("cross_attention", HEADS),
    **under("ln1", NORM),
    **under("ln2", NORM),
    **under("ln3", NORM),
    **MAPS,
}
LINEAR = {"weight": (3, 4), "bias": (3,)}
SEQUENCE = [(2, 5, 8)]
PAIR = [(2, 5, 8), (2, 3, 8)]
PACKED = {"scales": (3, 1), "biases": (3, 1)}


def convolution(kind, axes, given=4, made=6):
    sizes = (7, 6, 5)[:axes]
    layer = getattr(nn, f"{kind}{axes}d")
    if kind == "Conv":
        out = [(n - 1) // 2 + 1 for n in sizes]
        return Row(
            lambda: layer(given, made, 3, stride=2, padding=1, groups=2),
            [(2, *sizes, given)],
            (2, *out, made),
            {"weight": (made, *[3] * axes, given // 2), "bias": (made,)},
        )
    return Row(
        lambda: layer(given, made, 3, stride=2, padding=1, output_padding=1),
        [(2, *sizes, given)],
        (2, *[2 * n for n in sizes], made),
        {"weight": (made, *[3] * axes, given), "bias": (made,)},
    )


def pool(kind, axes):
    sizes = (8, 6, 4)[:axes]
    twos, zeros = (str(tuple([n] * axes)) for n in (2, 0))
    return Row(
        lambda: getattr(nn, f"{kind}{axes}d")(2),
        [(2, *sizes, 3)],
        (2, *[n // 2 for n in sizes], 3),
        None,
        f"{kind}{axes}d(kernel_size={twos}, stride={twos}, padding={zeros})",
    )


def recurrent(kind, text, state, steps=(2, 4, 3)):
    return Row(lambda: kind(3, 5), [steps], (2, 4, 5), state, text)


TABLE = {
    # Linear maps
    "Identity": plain(nn.Identity, "Identity()"),
    "Linear": Row(
        lambda: nn.Linear(4, 3),
        [(2, 5, 4)],
        (2, 5, 3),
        LINEAR,
        "Linear(input_dims=4, output_dims=3, bias=True)",
    ),
    "AllToShardedLinear": Row(
        lambda: nn.AllToShardedLinear(4, 3),
        [(2, 4)],
        (2, 3),
        LINEAR,
        "AllToShardedLinear(input_dims=4, output_dims=3, bias=True)",
    ),
    "ShardedToAllLinear": Row(
        lambda: nn.ShardedToAllLinear(4, 3),
        [(2, 4)],
        (2, 3),
        LINEAR,
        "ShardedToAllLinear(input_dims=4, output_dims=3, bias=True)",
    ),
    "FullyShardedModule": Row(
        lambda: nn.FullyShardedModule(nn.Linear(4, 3)),
        [(2, 4)],
        (2, 3),
        {"module.weight": (3, 4), "module.bias": (3,)},
    ),
    "Bilinear": Row(
        lambda: nn.Bilinear(4, 5, 3), [(2, 4), (2, 5)], (2, 3), {"weight": (3, 5, 4), "bias": (3,)}
    ),
    "Embedding": Row(
        lambda: nn.Embedding(7, 4),
        [(2, 3)],
        (2, 3, 4),
        {"weight": (7, 4)},
        "Embedding(7, 4)",
        high=7,
    ),
    "MLP": Row(
        lambda: nn.MLP(4, [6, 3], activation=nn.gelu),
        [(2, 4)],
        (2, 3),
        {
            "layers.0.weight": (6, 4),
            "layers.0.bias": (6,),
            "layers.1.weight": (3, 6),
            "layers.1.bias": (3,),
        },
    ),
    "Sequential": Row(
        lambda: nn.Sequential(nn.Linear(4, 3), nn.Tanh()),
        [(2, 4)],
        (2, 3),
        under("layers.0", LINEAR),
    ),
    # Of packed weights
    "QuantizedLinear": Row(
        lambda: nn.QuantizedLinear(64, 3),
        [(2, 64)],
        (2, 3),
        {"weight": (3, 8), **PACKED, "bias": (3,)},
        "QuantizedLinear(input_dims=64, output_dims=3, bias=True, group_size=64, bits=4, "
        "mode=affine)",
        wide=False,
        step=1.0,  # it is linear
    ),
    **{
        name: Row(
            lambda kind=kind: kind(64, 3),
            [(2, 64)],
            (2, 3),
            {"weight": (3, 8), **PACKED, "bias": (3,)},
            f"{name}(input_dims=64, output_dims=3, bias=True, group_size=64, bits=4, mode=affine)",
            wide=False,
            step=1.0,
        )
        for name, kind in (
            ("QuantizedAllToShardedLinear", nn.QuantizedAllToShardedLinear),
            ("QuantizedShardedToAllLinear", nn.QuantizedShardedToAllLinear),
        )
    },
    "QuantizedEmbedding": Row(
        lambda: nn.QuantizedEmbedding(3, 64),
        [(2, 3)],
        (2, 3, 64),
        {"weight": (3, 8), **PACKED},
        "QuantizedEmbedding(3, 64, group_size=64, bits=4, mode=affine)",
        high=3,
        wide=False,
    ),
    "QQLinear": Row(
        lambda: nn.QQLinear(32, 3),
        [(2, 32)],
        (2, 3),
        {"weight": (3, 4), "scales": (3, 2)},
        "QQLinear(input_dims=32, output_dims=3, group_size=16, bits=4, mode=nvfp4)",
        slopes=False,  # it rounds its input
        wide=False,
    ),
    # Norms and dropout
    "LayerNorm": Row(
        lambda: nn.LayerNorm(8), SEQUENCE, (2, 5, 8), NORM, "LayerNorm(8, eps=1e-05, affine=True)"
    ),
    "RMSNorm": Row(
        lambda: nn.RMSNorm(8), SEQUENCE, (2, 5, 8), {"weight": (8,)}, "RMSNorm(8, eps=1e-05)"
    ),
    "InstanceNorm": Row(
        lambda: nn.InstanceNorm(8, affine=True),
        SEQUENCE,
        (2, 5, 8),
        NORM,
        "InstanceNorm(8, eps=1e-05, affine=True)",
    ),
    "GroupNorm": Row(lambda: nn.GroupNorm(2, 8), SEQUENCE, (2, 5, 8), NORM),
    "BatchNorm": Row(
        lambda: nn.BatchNorm(8),
        SEQUENCE,
        (2, 5, 8),
        {**NORM, "running_mean": (8,), "running_var": (8,)},
    ),
    "Dropout": plain(lambda: nn.Dropout(0.25), "Dropout(p=0.25)"),
    "Dropout2d": Row(
        lambda: nn.Dropout2d(0.25), [(2, 3, 4, 5)], (2, 3, 4, 5), None, "Dropout2d(p=0.25)"
    ),
    "Dropout3d": Row(
        lambda: nn.Dropout3d(0.25), [(2, 3, 4, 5, 2)], (2, 3, 4, 5, 2), None, "Dropout3d(p=0.25)"
    ),
    # Convolution, pooling
    **{
        f"{kind}{axes}d": convolution(kind, axes)
        for kind in ("Conv", "ConvTranspose")
        for axes in (1, 2, 3)
    },
    **{f"{kind}{axes}d": pool(kind, axes) for kind in ("MaxPool", "AvgPool") for axes in (1, 2, 3)},
    "Upsample": Row(lambda: nn.Upsample(2, "linear"), [(2, 3, 4, 2)], (2, 6, 8, 2)),
    # Attention, positions
    "MultiHeadAttention": Row(
        lambda: nn.MultiHeadAttention(8, 2),
        SEQUENCE,
        (2, 5, 8),
        HEADS,
        call=lambda layer, x: layer(x, x, x, mask="causal"),
    ),
    "TransformerEncoderLayer": Row(
        lambda: nn.TransformerEncoderLayer(8, 2), SEQUENCE, (2, 5, 8), ENCODER
    ),
    "TransformerEncoder": Row(
        lambda: nn.TransformerEncoder(2, 8, 2),
        SEQUENCE,
        (2, 5, 8),
        {**under("layers.0", ENCODER), **under("layers.1", ENCODER), **under("ln", NORM)},
        call=lambda layer, x: layer(x, "causal"),
    ),
    "TransformerDecoderLayer": Row(
        lambda: nn.TransformerDecoderLayer(8, 2), PAIR, (2, 5, 8), DECODER
    ),
    "TransformerDecoder": Row(
        lambda: nn.TransformerDecoder(1, 8, 2),
        PAIR,
        (2, 5, 8),
        {**under("layers.0", DECODER), **under("ln", NORM)},
        call=lambda layer, x, memory: layer(x, memory, "causal", None),
    ),
    "Transformer": Row(
        lambda: nn.Transformer(8, 2, 1, 1),
        [(2, 3, 8), (2, 5, 8)],
        (2, 5, 8),
        {
            **under("encoder.layers.0", ENCODER),
            **under("encoder.ln", NORM),
            **under("decoder.layers.0", DECODER),
            **under("decoder.ln", NORM),
        },
        call=lambda layer, a, b: layer(a, b, None, "causal", None),
    ),
    "RoPE": Row(
        lambda: nn.RoPE(8), [(2, 3, 5, 8)], (2, 3, 5, 8), None, "RoPE(8, traditional=False)"
    ),
    "ALiBi": Row(lambda: nn.ALiBi(), [(2, 4, 3, 5)], (2, 4, 3, 5), None, "ALiBi()"),
    "SinusoidalPositionalEncoding": Row(
        lambda: nn.SinusoidalPositionalEncoding(6),
        [(2, 3)],
        (2, 3, 6),
        None,
        "SinusoidalPositionalEncoding(6)",
        halves=False,
        wide=False,
        step=1e-2,
    ),
    # Sparse layers
    "SparseLinear": Row(
        lambda: nn.SparseLinear(6, 4, density=0.5),
        [(3, 6)],
        (3, 4),
        {"data": (12,), "indices": (12,), "indptr": (5,), "bias": (4,)},
        "SparseLinear(input_dims=6, output_dims=4, bias=True, density=0.5)",
    ),
    # Recurrent layers
    "RNN": recurrent(nn.RNN, None, {"Wxh": (5, 3), "Whh": (5, 5), "bias": (5,)}),
    "GRU": recurrent(nn.GRU, None, {"Wx": (15, 3), "Wh": (15, 5), "b": (15,), "bhn": (5,)}),
    "LSTM": Row(
        lambda: nn.LSTM(3, 5), [(2, 4, 3)], (2, 4, 5), {"Wx": (20, 3), "Wh": (20, 5), "bias": (20,)}
    ),
    # Activations
    "CELU": plain(nn.CELU, "CELU(alpha=1.0)"),
    "ELU": plain(nn.ELU, "ELU(alpha=1.0)"),
    "GELU": plain(nn.GELU, "GELU(approx='none')"),
    "GLU": plain(nn.GLU, "GLU()", out=(3, 2)),
    "HardShrink": plain(nn.HardShrink, "HardShrink(lambd=0.5)"),
    "HardTanh": plain(nn.HardTanh, "HardTanh()"),
    "Hardswish": plain(nn.Hardswish, "Hardswish()"),
    "LeakyReLU": plain(nn.LeakyReLU, "LeakyReLU(negative_slope=0.01)"),
    "LogSigmoid": plain(nn.LogSigmoid, "LogSigmoid()"),
    "LogSoftmax": plain(nn.LogSoftmax, "LogSoftmax()"),
    "Mish": plain(nn.Mish, "Mish()"),
    "PReLU": Row(nn.PReLU, [(3, 4)], (3, 4), {"weight": (1,)}, "PReLU()"),
    "ReLU": plain(nn.ReLU, "ReLU()"),
    "ReLU2": plain(nn.ReLU2, "ReLU2()"),
    "ReLU6": plain(nn.ReLU6, "ReLU6()"),
    "SELU": plain(nn.SELU, "SELU()"),
    "SiLU": plain(nn.SiLU, "SiLU()"),
    "Sigmoid": plain(nn.Sigmoid, "Sigmoid()"),
    "Softmax": plain(nn.Softmax, "Softmax()"),
    "Softmin": plain(nn.Softmin, "Softmin()"),
    "Softplus": plain(nn.Softplus, "Softplus()"),
    "Softshrink": plain(nn.Softshrink, "Softshrink(lambd=0.5)"),
    "Softsign": plain(nn.Softsign, "Softsign()"),
    "Step": plain(nn.Step, "Step(threshold=0.0)", halves=False),
    "Tanh": plain(nn.Tanh, "Tanh()"),
}
