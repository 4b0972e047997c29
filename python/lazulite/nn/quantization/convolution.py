"""Convolutions whose weight is int8 codes, with inputs rounded or not."""

from __future__ import annotations

import copy
from typing import Any, Optional

import lazulite.core as mx
from lazulite.nn.layers.convolution import _Convolution
from lazulite.nn.module import Module
from lazulite.nn.quantization.linear import Rounding
from lazulite.nn.quantization.rounding import channel_codes, channel_scales

__all__ = ["QuantizedConv"]


class QuantizedConv(Module):
    r"""A convolution, or a transposed one, whose weight is int8 codes with a scale for each output
    channel.

    .. math:: y = s_x s_w \, \text{conv}(q_x - z, W_q) + b

    ``rounding`` gives the codes of the input, as in :class:`Int8Linear`; a dynamic one has a scale
    for each image. Without it the input stays as it is. The sums are of floats, exact up to
    :math:`2^{24}`. ``layer`` is the convolution with the codes as its weight.

    Args:
        layer: the convolution of floats, which stays as it is.
        bits: of a code, at most 8.
        rounding: of the input.
        scales: of the output channels; by default those of the least error.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> layer = nn.quantization.QuantizedConv(nn.Conv2d(3, 4, kernel_size=3), bits=4)
        >>> layer(mx.zeros((2, 10, 9, 3))).shape
        (2, 8, 7, 4)
    """

    def __init__(
        self,
        layer: _Convolution,
        bits: int = 8,
        rounding: Optional[Rounding] = None,
        scales: Optional[mx.array] = None,
    ) -> None:
        super().__init__()
        self.scales = channel_scales(layer.weight, bits) if scales is None else scales
        self.layer: Any = copy.copy(layer)
        self.layer.weight = channel_codes(layer.weight, self.scales, bits)
        self.bits = bits
        if rounding is not None:
            self.rounding = rounding
        self.freeze()

    def _extra_repr(self) -> str:
        return f"bits={self.bits}"

    def __call__(self, x: mx.array) -> mx.array:
        scales, codes = self.scales, x.astype(mx.float32)
        if "rounding" in self:
            q, scale, zero = self.rounding(x)
            scales = scales * scale
            codes = q if zero is None else q - zero
        y: mx.array = self.layer._convolved(codes, self.layer.weight.astype(mx.float32))
        y = self.layer._with_bias(y * scales)
        return y.astype(x.dtype)
