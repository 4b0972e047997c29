"""Packed weights whose codes were chosen with calibration data."""

from __future__ import annotations

from typing import Any, Optional

import lazulite.core as mx
from lazulite.nn.layers.quantized import QuantizedLinear
from lazulite.nn.module import Module

__all__ = ["ScaledQuantizedLinear", "group_for", "packed_linear", "words_of"]


def group_for(width: int, group_size: int) -> Optional[int]:
    """The largest group up to a size that divides a width, None where none does."""
    return next((g for g in (128, 64, 32) if g <= group_size and width % g == 0), None)


def words_of(codes: mx.array, bits: int) -> mx.array:
    """Codes along the last axis as 32-bit words, filled from the low bits up.

    Example:
        >>> import lazulite.core as mx
        >>> from lazulite.nn.quantization.packed import words_of
        >>> words_of(mx.array([[1, 2, 3, 0, 0, 0, 0, 0]]), 4)
        array([[801]], dtype=uint32)
    """
    numbers = codes.astype(mx.uint32)[..., None] >> mx.arange(bits, dtype=mx.uint32)
    each = (numbers & mx.array(1, mx.uint32)).reshape(*codes.shape[:-1], -1, 32)
    return mx.sum(each << mx.arange(32, dtype=mx.uint32), axis=-1).astype(mx.uint32)


def packed_linear(
    layer: Any, codes: mx.array, scales: mx.array, biases: mx.array, group_size: int, bits: int
) -> QuantizedLinear:
    """A :class:`QuantizedLinear` of codes that are given."""
    made = QuantizedLinear.__new__(QuantizedLinear)
    made._set_format("affine", group_size, bits)
    made.weight, made.scales, made.biases = words_of(codes, bits), scales, biases
    if "bias" in layer:
        made.bias = layer.bias
    return made.freeze()


class ScaledQuantizedLinear(Module):
    r"""A :class:`QuantizedLinear` whose inputs are divided first: :math:`y = (x / f) W^\top + b`.

    The weight was multiplied by ``factors`` before it was packed, so that inputs that are large
    meet weights that are rounded finely (activation-aware weight quantization, Lin et al., 2023).

    Args:
        layer: the linear layer of floats, which stays as it is.
        factors: one for each input, of shape ``(input_dims,)``.
        group_size: numbers that share a scale.
        bits: of a number.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> layer = nn.quantization.ScaledQuantizedLinear(nn.Linear(64, 2), mx.ones(64), 64, 4)
        >>> layer(mx.zeros((5, 64))).shape
        (5, 2)
    """

    _fixed = True

    def __init__(self, layer: Any, factors: mx.array, group_size: int, bits: int) -> None:
        super().__init__()
        self.factors = factors
        self.layer = QuantizedLinear.__new__(QuantizedLinear)
        self.layer._set_format("affine", group_size, bits)
        self.layer._pack(layer.weight * factors.astype(layer.weight.dtype))
        if "bias" in layer:
            self.layer.bias = layer.bias
        self.freeze()

    def __call__(self, x: mx.array) -> mx.array:
        return self.layer(x / self.factors.astype(x.dtype))
