"""Weights as int8 codes; each token is rounded by its own scale."""

from __future__ import annotations

from typing import Any, Optional

from lazulite.nn.layers.convolution import _Convolution
from lazulite.nn.layers.embedding import Embedding
from lazulite.nn.layers.quantized import QuantizedEmbedding
from lazulite.nn.module import Module
from lazulite.nn.quantization.calibration import exchanged, kind_of
from lazulite.nn.quantization.convolution import QuantizedConv
from lazulite.nn.quantization.linear import Int8Linear
from lazulite.nn.quantization.packed import group_for
from lazulite.nn.quantization.rounding import DynamicRounding, StaticRounding
from lazulite.nn.quantization.settings import Settings

__all__ = ["quantize_dynamic"]


def quantize_dynamic(model: Module, settings: Settings) -> Module:
    """Exchanges the layers of a model; tables are packed."""
    return exchanged(model, settings, lambda path, layer: rounding_layer(layer, settings, None))


def rounding_layer(
    layer: Any, settings: Settings, found: Optional[tuple[float, float]]
) -> Optional[Module]:
    """The layer with int8 codes: its input in a range that was found, or by itself."""
    kind, bits = kind_of(layer), settings.weight_bits
    if kind is Embedding:
        return packed_table(layer, settings)
    rounding: Any = (
        DynamicRounding(settings.activation_bits or 8, getattr(layer, "axes", 0) + 1)
        if found is None
        else StaticRounding(*found, settings.activation_bits or 8)
    )
    if kind is _Convolution:
        return QuantizedConv(layer, bits, rounding)
    return Int8Linear(layer.weight, layer.get("bias"), bits, rounding)


def packed_table(layer: Any, settings: Settings) -> Optional[Module]:
    """A packed embedding; None where its rows have no whole groups."""
    group_size = group_for(layer.weight.shape[-1], settings.group_size)
    if group_size is None:
        return None
    return QuantizedEmbedding.from_embedding(layer, group_size, settings.weight_bits)
