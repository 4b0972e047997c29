"""Neural networks: modules, layers, activations, losses and initialisers.

A model is a class that derives from :class:`Module`, holds its layers as attributes and reads like
its formula in ``__call__``::

    class MLP(nn.Module):
        def __init__(self, dims):
            super().__init__()
            self.layers = [nn.Linear(a, b) for a, b in zip(dims, dims[1:])]

        def __call__(self, x):
            for layer in self.layers[:-1]:
                x = nn.relu(layer(x))
            return self.layers[-1](x)
"""

import sys
from typing import TYPE_CHECKING, Any

from lazulite import core
from lazulite.nn import init, losses, utils
from lazulite.nn.layers import *  # noqa: F403
from lazulite.nn.layers import activations
from lazulite.nn.module import Module
from lazulite.nn._summary import summary
from lazulite.nn.transform import value_and_grad
from lazulite.nn.utils import average_gradients

sys.modules.update({f"{__name__}.activations": activations})  # import lazulite.nn.activations


def _quantize_model(model: Any, *args: Any, **kwargs: Any) -> Any:
    from lazulite.nn.quantization import quantize_model

    if len(args) > 1 or not kwargs.keys() <= {"settings"}:
        names = ", ".join(kwargs) or f"{len(args)} arguments"
        raise TypeError(
            f"[quantize] settings: got {names} beside a {type(model).__name__}, expected one dict "
            '({"method": "ptq", "weight_bits": 4}); nn.quantize(model, group_size, bits) packs in '
            "place"
        )
    return quantize_model(model, *args, **kwargs)


core.quantize.of_model = _quantize_model  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from lazulite.nn import quantization
    from lazulite.nn.pruning import Masks, prune
    from lazulite.nn.quantization import quantization_report
else:

    def __getattr__(name: str) -> Any:
        """What few programs use is loaded when it is asked for."""
        if name in ("Masks", "prune"):
            from lazulite.nn import pruning

            return getattr(pruning, name)
        if name not in ("quantization", "quantization_report"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from lazulite.nn.quantization import quantization_report

        globals()["quantization_report"] = quantization_report
        return globals()[name]

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "ALiBi",
    "AllToShardedLinear",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BatchNorm",
    "Bilinear",
    "CELU",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Dropout",
    "Dropout2d",
    "Dropout3d",
    "ELU",
    "Embedding",
    "FullyShardedModule",
    "GELU",
    "GLU",
    "GRU",
    "GroupNorm",
    "HardShrink",
    "HardTanh",
    "Hardswish",
    "Identity",
    "InstanceNorm",
    "KVCache",
    "LSTM",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "MLP",
    "Masks",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "Mish",
    "Module",
    "MultiHeadAttention",
    "PReLU",
    "QQLinear",
    "QuantizedAllToShardedLinear",
    "QuantizedEmbedding",
    "QuantizedLinear",
    "QuantizedShardedToAllLinear",
    "RMSNorm",
    "RNN",
    "ReLU",
    "ReLU2",
    "ReLU6",
    "RoPE",
    "SELU",
    "Sequential",
    "ShardedToAllLinear",
    "SiLU",
    "Sigmoid",
    "SinusoidalPositionalEncoding",
    "Softmax",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "SparseLinear",
    "Step",
    "Tanh",
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "Upsample",
    "activations",
    "average_gradients",
    "celu",
    "elu",
    "fully_shard",
    "gelu",
    "gelu_approx",
    "gelu_fast_approx",
    "glu",
    "hard_shrink",
    "hard_tanh",
    "hardswish",
    "init",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "losses",
    "mish",
    "prelu",
    "prune",
    "quantization",
    "quantization_report",
    "quantize",
    "relu",
    "relu2",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "step",
    "summary",
    "tanh",
    "utils",
    "value_and_grad",
]
