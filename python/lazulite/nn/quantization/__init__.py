"""Models in few bits: `mx.quantize(model, settings)`, one file for each method, and the layers that
they put in."""

from __future__ import annotations

from typing import Any

from lazulite.nn.module import Module
from lazulite.nn.quantization.calibration import copied as _copied
from lazulite.nn.quantization.calibration import layers_of as _layers_of
from lazulite.nn.quantization.convolution import QuantizedConv
from lazulite.nn.quantization.dynamic import quantize_dynamic as _dynamic
from lazulite.nn.quantization.linear import Int8Linear
from lazulite.nn.quantization.packed import ScaledQuantizedLinear
from lazulite.nn.quantization.ptq import quantize_weights as _weights
from lazulite.nn.quantization.qat import (
    FakeQuantizedConv,
    FakeQuantizedEmbedding,
    FakeQuantizedLinear,
    _Fake,
    convert,
)
from lazulite.nn.quantization.qat import fake_quantized as _fake_quantized
from lazulite.nn.quantization.report import QuantizationReport, ReportRow, quantization_report
from lazulite.nn.quantization.rounding import (
    DynamicRounding,
    FakeRounding,
    StaticRounding,
    fake_quantize,
)
from lazulite.nn.quantization.settings import Settings
from lazulite.nn.quantization.static import quantize_static as _static

__all__ = [
    "DynamicRounding",
    "FakeQuantizedConv",
    "FakeQuantizedEmbedding",
    "FakeQuantizedLinear",
    "FakeRounding",
    "Int8Linear",
    "QuantizationReport",
    "QuantizedConv",
    "ReportRow",
    "ScaledQuantizedLinear",
    "Settings",
    "StaticRounding",
    "convert",
    "fake_quantize",
    "quantization_report",
    "quantize_model",
]

_METHODS = {
    "static": _static,
    "dynamic": _dynamic,
    "ptq": _weights,
    "qat": _fake_quantized,
}


def quantize_model(model: Module, settings: Any = None) -> Module:
    """What ``mx.quantize(model, settings)`` gives: a model in few bits, or, with method ``qat``,
    one that is to be trained before :func:`convert`. The given one stays as it was.

    Linear layers, convolutions and embeddings are exchanged; other layers stay.

    Args:
        model: the model.
        settings: a dict with the names of :class:`Settings`.

    Raises:
        TypeError: not a model, or settings that are no dict.
        ValueError: unknown settings, or a model in which there is nothing to quantize.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> mx.quantize(nn.Sequential(nn.Linear(3, 2)), {"method": "dynamic"})
        Sequential(
          (layers.0): Int8Linear(input_dims=3, output_dims=2, bias=True, bits=8
            (rounding): DynamicRounding(bits=8)
          )
        )
    """
    wanted = Settings.of(settings)
    made = _copied(model)
    if any(isinstance(module, _Fake) for module in made.modules()):
        raise ValueError(
            "[quantize] model: got layers in training for quantization, expected a model of plain "
            "layers: nn.quantization.convert finishes this one"
        )
    if not _layers_of(made, wanted):
        raise ValueError(
            "[quantize] model: got no layer to quantize, expected linear layers, convolutions or "
            "embeddings of floats"
        )
    return _METHODS[wanted.method](made, wanted)
