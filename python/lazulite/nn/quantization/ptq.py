"""Weights alone, packed in a few bits; inputs stay as they are."""

from __future__ import annotations

from typing import Any, Optional

from lazulite.nn.layers.convolution import _Convolution
from lazulite.nn.layers.embedding import Embedding
from lazulite.nn.layers.linear import Linear
from lazulite.nn.layers.quantized import QuantizedLinear
from lazulite.nn.module import Module
from lazulite.nn.quantization.calibration import calibrate, exchanged, kind_of, layers_of
from lazulite.nn.quantization.convolution import QuantizedConv
from lazulite.nn.quantization.correction import awq, gptq
from lazulite.nn.quantization.dynamic import packed_table
from lazulite.nn.quantization.linear import Int8Linear
from lazulite.nn.quantization.packed import group_for
from lazulite.nn.quantization.ranges import Gram
from lazulite.nn.quantization.settings import Settings

__all__ = ["quantize_weights"]


def quantize_weights(model: Module, settings: Settings) -> Module:
    """Exchanges the layers of a model."""
    inputs = _inputs_of_layers(model, settings) if settings.error_correction else {}
    return exchanged(
        model, settings, lambda path, layer: packed_layer(layer, settings, inputs.get(path))
    )


def packed_layer(layer: Any, settings: Settings, inputs: Optional[Gram] = None) -> Optional[Module]:
    """The layer with its weight packed by groups; by output, where it has no whole groups."""
    bits = settings.weight_bits
    if kind_of(layer) is Embedding:
        return packed_table(layer, settings)
    if kind_of(layer) is _Convolution:
        return QuantizedConv(layer, bits)
    group_size = group_for(layer.weight.shape[-1], settings.group_size)
    if group_size is None:
        return Int8Linear(layer.weight, layer.get("bias"), bits)
    if inputs is None or inputs.count == 0:
        return QuantizedLinear.from_linear(layer, group_size, bits)
    if settings.error_correction == "gptq":
        return gptq(layer, inputs, group_size, bits)
    return awq(layer, inputs, group_size, bits)


def _inputs_of_layers(model: Module, settings: Settings) -> dict[str, Gram]:
    """Products of the inputs of each linear layer whose weight has whole groups."""
    found = {
        path: (layer, Gram())
        for path, layer in layers_of(model, settings)
        if kind_of(layer) is Linear
        and group_for(layer["weight"].shape[-1], settings.group_size) is not None
    }

    def seen(gram: Gram) -> Any:
        return lambda x, y: gram.see(x)

    calibrate(
        model,
        settings.calibration_data,
        {id(layer): seen(gram) for layer, gram in found.values()},
    )
    return {path: gram for path, (_, gram) in found.items()}
