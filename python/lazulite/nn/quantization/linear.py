"""Linear layers whose weight is int8 codes, with inputs rounded or not."""

from __future__ import annotations

import functools
from typing import Any, Callable, Optional, Union

import lazulite.core as mx
from lazulite.core._trees import tracing
from lazulite.nn.module import Module
from lazulite.nn.quantization.rounding import (
    DynamicRounding,
    StaticRounding,
    channel_codes,
    channel_scales,
    dynamic_codes,
    static_codes,
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


def layer_of_codes(
    x: mx.array,
    codes: mx.array,
    scale: mx.array,
    weight: mx.array,
    scales: mx.array,
    bias: Optional[mx.array],
) -> mx.array:
    """What a layer makes of the codes of ``x``, in the dtype of ``x``."""
    y = product_of_codes(codes, weight, scale[..., 0], scales)
    y = y if x.ndim > 1 else y[0]
    return (y if bias is None else y + bias).astype(x.dtype)


@functools.lru_cache(maxsize=None)
def compiled_layer(bits: int, dynamic: bool) -> Callable[..., mx.array]:
    """A layer of one row, where recording one step after another would take longer than they do."""

    if dynamic:

        @mx.compile
        def call(x: mx.array, *rest: Any) -> mx.array:
            codes, scale = dynamic_codes(x if x.ndim > 1 else x[None], bits, 1)
            return layer_of_codes(x, codes, scale, *rest)

    else:

        @mx.compile
        def call(x: mx.array, *rest: Any) -> mx.array:
            *of_weight, scale, zero = rest
            codes = static_codes(x if x.ndim > 1 else x[None], scale, zero, bits)
            return layer_of_codes(x, codes, scale, *of_weight)

    return call


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

    _fixed = True

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
        bias = self.get("bias")
        if "rounding" not in self:
            y = x @ self.weight.astype(x.dtype).T * self.scales
            return (y if bias is None else y + bias).astype(x.dtype)
        rounding, rest = self.rounding, (self.weight, self.scales, bias)
        one_row = 0 < x.size == x.shape[-1] and not tracing()
        if one_row and type(rounding) is DynamicRounding and rounding.axes == 1:
            return compiled_layer(rounding.bits, True)(x, *rest)
        if one_row and type(rounding) is StaticRounding:
            return compiled_layer(rounding.bits, False)(x, *rest, rounding.scale, rounding.zero)
        q, scale, _ = rounding(x if x.ndim > 1 else x[None])
        return layer_of_codes(x, q, scale, *rest)
