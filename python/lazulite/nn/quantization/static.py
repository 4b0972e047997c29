"""Weights as int8 codes; inputs are rounded in ranges that calibration found."""

from __future__ import annotations

from lazulite.nn.module import Module
from lazulite.nn.quantization.calibration import exchanged, ranges_of
from lazulite.nn.quantization.dynamic import rounding_layer
from lazulite.nn.quantization.settings import Settings

__all__ = ["quantize_static"]


def quantize_static(model: Module, settings: Settings) -> Module:
    """Exchanges the layers of a model; one that calibration did not reach rounds each token by
    itself."""
    ranges = ranges_of(model, settings)
    return exchanged(
        model, settings, lambda path, layer: rounding_layer(layer, settings, ranges.get(path))
    )
