"""Linear layers whose weight is int8 codes, with inputs rounded or not."""

from __future__ import annotations

from typing import Any, Optional, Union

import lazulite.core as mx
from lazulite.nn.module import Module
from lazulite.nn.quantization.rounding import (
    DynamicRounding,
    StaticRounding,
    channel_codes,
    channel_scales,
)

__all__ = ["Int8Linear"]

Rounding = Union[StaticRounding, DynamicRounding]


@mx.custom_function
def product_of_codes(
    codes: mx.array, weight: mx.array, scale: mx.array, scales: mx.array
) -> mx.array:
    """Products of whole numbers with int8 codes, times both scales; of the sums of integers there
    is no derivative, so they have that of floats."""
    return mx.int8_matmul(codes.astype(mx.int8), weight.T, scale, scales)


@product_of_codes.vjp
def _slope_of_codes(primals: Any, cotangent: mx.array, output: mx.array) -> Any:
    _, weight, scale, scales = primals
    return (cotangent * scales * scale[..., None]) @ weight.astype(mx.float32), None, None, None


@product_of_codes.jvp
def _tangent_of_product(primals: tuple[mx.array, ...], tangents: Any) -> mx.array:
    codes, weight, scale, scales = primals
    moved = mx.zeros_like(codes) if tangents[0] is None else tangents[0]
    moved = moved @ weight.astype(mx.float32).T
    return moved * scales * scale[..., None]


class Int8Linear(Module):
    r"""A :class:`Linear` whose weight is int8 codes with a scale for each output.

    .. math:: y = s_x s_w (q_x - z) W_q^\top + b

    ``rounding`` gives the codes of the input, :math:`q_x`, with their scale and zero:
    :class:`StaticRounding` those that calibration found, :class:`DynamicRounding` those of each
    token. The sums are of integers (:func:`lazulite.core.int8_matmul`); ``bias`` has
    :math:`b - s_x s_w z \sum W_q` in it. Without rounding the input stays as it is:
    :math:`y = s_w x W_q^\top + b`. ``weight`` (int8), ``scales`` (float32) and ``bias`` are frozen;
    inputs have gradients, straight through the rounding.

    Args:
        weight: floats of shape ``(output_dims, input_dims)``.
        bias: of shape ``(output_dims,)``, or None.
        bits: of a code, at most 8.
        rounding: of the input.
        scales: of the outputs; by default those of the least error.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> from lazulite.nn.quantization import DynamicRounding, Int8Linear
        >>> linear = nn.Linear(3, 2)
        >>> layer = Int8Linear(linear.weight, linear.bias, rounding=DynamicRounding(8))
        >>> layer(mx.zeros((5, 3))).shape
        (5, 2)
    """

    def __init__(
        self,
        weight: mx.array,
        bias: Optional[mx.array] = None,
        bits: int = 8,
        rounding: Optional[Rounding] = None,
        scales: Optional[mx.array] = None,
    ) -> None:
        super().__init__()
        self.scales = channel_scales(weight, bits) if scales is None else scales
        self.weight = channel_codes(weight, self.scales, bits)
        self.bits = bits
        if rounding is not None:
            self.rounding = rounding
        if isinstance(rounding, StaticRounding):
            sums = self.scales * mx.sum(self.weight.astype(mx.float32), axis=1)
            shift = rounding.scale * rounding.zero * sums
            bias = -shift if bias is None else bias - shift
        if bias is not None:
            self.bias = bias
        self.freeze()

    def _extra_repr(self) -> str:
        output_dims, input_dims = self.weight.shape
        return (
            f"input_dims={input_dims}, output_dims={output_dims}, bias={'bias' in self}, "
            f"bits={self.bits}"
        )

    def __call__(self, x: mx.array) -> mx.array:
        if "rounding" not in self:
            y = x @ self.weight.astype(x.dtype).T * self.scales
        else:
            q, scale, _ = self.rounding(x if x.ndim > 1 else x[None])
            y = product_of_codes(q, self.weight, scale[..., 0], self.scales)
            y = y if x.ndim > 1 else y[0]
        return (y + self.bias if "bias" in self else y).astype(x.dtype)
