"""Convolutions whose weight is int8 codes, with inputs rounded or not."""

from __future__ import annotations

import copy
import functools
from typing import Any, Callable, Optional

import lazulite.core as mx
from lazulite.nn.layers.convolution import _Convolution, _Transposed
from lazulite.nn.module import Module
from lazulite.nn.quantization.linear import Rounding
from lazulite.nn.quantization.rounding import channel_codes, channel_scales

__all__ = ["QuantizedConv"]


def arguments_of(layer: Any) -> tuple[Any, ...]:
    """What a layer is as `mx.conv_general`: stride, padding, both dilations, groups and flip."""

    def each(sizes: Any) -> tuple[int, ...]:
        return (sizes,) * layer.axes if isinstance(sizes, int) else tuple(sizes)

    padding, dilation = each(layer.padding), each(layer.dilation)
    if not isinstance(layer, _Transposed):
        return each(layer.stride), (padding, padding), dilation, 1, layer.groups, False
    taps = layer.weight.shape[1:-1]
    low = tuple((k - 1) * d - p for k, d, p in zip(taps, dilation, padding))
    high = tuple(a + b for a, b in zip(low, each(layer.output_padding)))
    return 1, (low, high), dilation, each(layer.stride), layer.groups, True


@functools.lru_cache(maxsize=None)
def sums_of_codes(arguments: tuple[Any, ...]) -> Callable[..., mx.array]:
    """The convolution of whole numbers, less a zero that may be given, with int8 codes; of the sums
    of integers there is no derivative, so they have that of floats."""
    sides = tuple(list(side) for side in arguments[1])
    stride, _, dilation, spread, groups, flip = (
        list(a) if isinstance(a, tuple) else a for a in arguments
    )
    kind: Any = (stride, sides, dilation, spread, groups, flip)

    @mx.custom_function
    def sums(codes: mx.array, weight: mx.array, *zero: mx.array) -> mx.array:
        input_zero = zero[0].astype(mx.int8) if zero else None
        y = mx.int8_conv(codes.astype(mx.int8), weight, None, None, *kind, input_zero=input_zero)
        return y.astype(mx.float32)

    @sums.vjp
    def slope(primals: Any, cotangent: mx.array, output: mx.array) -> Any:
        codes, weight, *zero = primals
        weight = weight.astype(mx.float32)
        _, slopes = mx.vjp(lambda q: mx.conv_general(q, weight, *kind), [codes], [cotangent])
        return (slopes[0], None, *[None for _ in zero])

    @sums.jvp
    def tangent(primals: tuple[mx.array, ...], tangents: Any) -> mx.array:
        moved = mx.zeros_like(primals[0]) if tangents[0] is None else tangents[0]
        return mx.conv_general(moved, primals[1].astype(mx.float32), *kind)

    return sums


class QuantizedConv(Module):
    r"""A convolution, or a transposed one, whose weight is int8 codes with a scale for each output
    channel.

    .. math:: y = s_x s_w \, \text{conv}(q_x - z, W_q) + b

    ``rounding`` gives the codes of the input, as in :class:`Int8Linear`; a dynamic one has a scale
    for each image. The sums are of integers then (:func:`lazulite.core.int8_conv`), and inputs have
    gradients, straight through the rounding. Without it the input stays as it is, and the codes are
    multiplied as floats. ``layer`` is the convolution with the codes as its weight.

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

    _fixed = True

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
        self.layer._fixed = True
        self.bits = bits
        if rounding is not None:
            self.rounding = rounding
        self.freeze()

    def _extra_repr(self) -> str:
        return f"bits={self.bits}"

    def __call__(self, x: mx.array) -> mx.array:
        if "rounding" in self:
            q, scale, zero = self.rounding(x)
            sums = sums_of_codes(arguments_of(self.layer))
            y: mx.array = sums(q, self.layer.weight, *([] if zero is None else [zero]))
            y = y * (self.scales * scale)
        else:
            weight = self.layer.weight.astype(mx.float32)
            y = self.layer._convolved(x.astype(mx.float32), weight) * self.scales
        return self.layer._with_bias(y).astype(x.dtype)  # type: ignore[no-any-return]
