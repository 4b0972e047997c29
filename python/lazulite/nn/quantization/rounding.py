"""Numbers as codes of a few bits: of weights with a scale for each output, of inputs with a scale
and a zero."""

from __future__ import annotations

from typing import Any, Optional

import lazulite.core as mx
from lazulite.core._trees import tracing
from lazulite.nn.module import Module

__all__ = ["DynamicRounding", "FakeRounding", "StaticRounding", "fake_quantize"]

_TINY = 1e-30


def channel_scales(weight: mx.array, bits: int) -> mx.array:
    """A scale for each output, axis 0: that of the largest number, or, of fewer than 8 bits, the
    one whose codes are nearest to the numbers."""
    rows = weight.reshape(weight.shape[0], -1).astype(mx.float32)
    high = largest_code(bits)
    whole = mx.maximum(mx.max(mx.abs(rows), axis=1), _TINY) / high
    if bits == 8:
        return whole
    best, least = whole, mx.full(whole.shape, mx.inf)
    for part in range(20):
        scales = whole * (1 - 0.03 * part)
        codes = mx.clip(mx.round(rows / scales[:, None]), -high, high)
        error = mx.sum(mx.square(codes * scales[:, None] - rows), axis=1)
        best, least = mx.where(error < least, scales, best), mx.minimum(error, least)
    return best


def largest_code(bits: int) -> int:
    """Of codes with a sign that are as many above zero as below it."""
    return int(2 ** (bits - 1)) - 1


def by_channel(scales: mx.array, axes: int) -> mx.array:
    """Scales of axis 0, for all other axes."""
    return scales.reshape(-1, *[1] * (axes - 1))


def channel_codes(weight: mx.array, scales: mx.array, bits: int) -> mx.array:
    """The int8 codes of a weight."""
    high = largest_code(bits)
    whole = mx.round(weight.astype(mx.float32) / by_channel(scales, weight.ndim))
    return mx.clip(whole, -high, high).astype(mx.int8)


def straight_through(x: mx.array, rounded: mx.array) -> mx.array:
    """``rounded``, to the bit, with the gradient of ``x``."""
    if not tracing():
        return rounded
    return mx.stop_gradient(rounded) + (x - mx.stop_gradient(x))


def fake_channels(weight: mx.array, scales: mx.array, bits: int) -> mx.array:
    """What the codes of a weight stand for, with gradients for weight and scales."""
    high = largest_code(bits)
    scales = by_channel(scales, weight.ndim)
    inside = mx.clip(weight / scales, -high, high)
    return (scales * straight_through(inside, mx.round(inside))).astype(weight.dtype)


def fake_packed(weight: mx.array, group_size: int, bits: int) -> mx.array:
    """What the packed form of a weight stands for, with the gradient of the weight."""
    words, scales, biases = mx.quantize(mx.stop_gradient(weight), group_size, bits)
    rounded = mx.dequantize(words, scales, biases, group_size, bits)
    return straight_through(weight, rounded.astype(weight.dtype))


def scale_and_zero(low: mx.array, high: mx.array, bits: int) -> tuple[mx.array, mx.array]:
    """Of codes with a sign that reach from low to high; zero, which padding is, has one."""
    low, high = mx.minimum(low, 0.0), mx.maximum(high, 0.0)
    scale = mx.maximum((high - low) / (2**bits - 1), _TINY)
    return scale, mx.round(-(2 ** (bits - 1)) - low / scale)


def fake_quantize(x: mx.array, scale: mx.array, zero: Any, bits: int) -> mx.array:
    r"""What codes of ``x`` stand for: :math:`s (\text{round}(x / s) + z - z)`, kept in the range.

    Its gradient is that of ``x`` inside the range of the codes and zero outside.

    Args:
        x: the numbers.
        scale: between neighbouring codes.
        zero: the code of 0, from :math:`-2^{bits-1}` to :math:`2^{bits-1}-1`.
        bits: of a code.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.quantization.fake_quantize(mx.array([0.2, 0.9, 5.0]), mx.array(0.5), 0, 3)
        array([0, 1, 1.5], dtype=float32)
    """
    least, most = -(2 ** (bits - 1)) - zero, 2 ** (bits - 1) - 1 - zero
    inside = mx.clip(x / scale, least, most)
    return (scale * straight_through(inside, mx.round(inside))).astype(x.dtype)


def static_codes(x: mx.array, scale: mx.array, zero: mx.array, bits: int) -> mx.array:
    """Codes in a range, as whole numbers of a float32, with gradients inside of it."""
    half = 2 ** (bits - 1)
    x = x.astype(mx.float32) / scale
    inside = mx.clip(x, -half - zero, half - 1 - zero)
    return straight_through(inside, mx.round(inside)) + zero


def dynamic_codes(x: mx.array, bits: int, axes: int) -> tuple[mx.array, mx.array]:
    """Codes by the largest number of each token, its last ``axes`` axes, and their scales."""
    x = x.astype(mx.float32)
    largest = mx.max(mx.abs(x), axis=tuple(range(-axes, 0)), keepdims=True)
    scale = mx.stop_gradient(mx.maximum(largest, _TINY) / largest_code(bits))
    codes = x / scale
    return straight_through(codes, mx.round(codes)), scale


class StaticRounding(Module):
    r"""Codes of an input with a scale and a zero that calibration found:
    :math:`q = \text{round}(x / s) + z`.

    Called, it gives ``(q, s, z)``; q, whole numbers of a float32, has the gradient of :math:`x / s`
    inside the range and none outside.

    Args:
        low: where the range of inputs begins.
        high: where it ends.
        bits: of a code.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> x = mx.array([0.0, 1.0, 2.55, 7.0])
        >>> q, s, z = nn.quantization.StaticRounding(0.0, 2.55, 8)(x)
        >>> q, (s * (q - z)).round(2)
        (array([-128, -28, 127, 127], dtype=float32), array([0, 1, 2.55, 2.55], dtype=float32))
    """

    _fixed = True

    def __init__(self, low: Any, high: Any, bits: int) -> None:
        super().__init__()
        self.scale, self.zero = scale_and_zero(mx.array([low]), mx.array([high]), bits)
        self.bits = bits
        self.freeze()

    def _extra_repr(self) -> str:
        return f"bits={self.bits}"

    def __call__(self, x: mx.array) -> tuple[mx.array, mx.array, Optional[mx.array]]:
        return static_codes(x, self.scale, self.zero, self.bits), self.scale, self.zero


class DynamicRounding(Module):
    r"""Codes of an input with a scale for each token, of its largest number:
    :math:`q = \text{round}(x / s)`.

    Called, it gives ``(q, s, None)``; q, whole numbers of a float32, has the gradient of
    :math:`x / s` with s constant. The axes of a token, the last ``axes``, have one element each
    in s.

    Args:
        bits: of a code.
        axes: of a token: 1 for vectors, 3 for images.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> x = mx.array([[1.0, -2.0], [0.5, 0.1]])
        >>> nn.quantization.DynamicRounding(8)(x)[0]
        array([[64, -127],
               [127, 25]], dtype=float32)
    """

    def __init__(self, bits: int, axes: int = 1) -> None:
        super().__init__()
        self.bits, self.axes = bits, axes

    def _extra_repr(self) -> str:
        return f"bits={self.bits}"

    def __call__(self, x: mx.array) -> tuple[mx.array, mx.array, Optional[mx.array]]:
        codes, scale = dynamic_codes(x, self.bits, self.axes)
        return codes, scale, None


class FakeRounding(Module):
    """An input as its codes will give it, with gradients, and a range that follows the batches.

    In training ``range`` (of shape (2,), never trainable) moves towards the least and the largest
    number of each batch; the first batch sets it, where calibration has not.

    Args:
        bits: of a code.
        low: where the range begins.
        high: where it ends; equal to ``low`` where nothing has been seen.
        momentum: how far the range moves.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> rounding = nn.quantization.FakeRounding(2)
        >>> rounding(mx.array([-1.0, 0.4, 2.0])), rounding.range
        (array([-1, 0, 2], dtype=float32), array([-1, 2], dtype=float32))
    """

    def __init__(
        self, bits: int, low: float = 0.0, high: float = 0.0, momentum: float = 0.05
    ) -> None:
        super().__init__()
        self.range = mx.array([low, high])
        self.bits, self.momentum = bits, momentum
        self.freeze()

    def _extra_repr(self) -> str:
        return f"bits={self.bits}, momentum={self.momentum}"

    def unfreeze(self, *args: Any, **kwargs: Any) -> Any:
        """The range stays what it is: no parameter to train."""
        super().unfreeze(*args, **kwargs)
        return self.freeze(recurse=False)

    def __call__(self, x: mx.array) -> mx.array:
        if self.training and x.size:
            batch = mx.stop_gradient(mx.stack([mx.min(x), mx.max(x)]).astype(mx.float32))
            moved = self.range + self.momentum * (batch - self.range)
            self.range = mx.where(self.range[0] == self.range[1], batch, moved)
        scale, zero = scale_and_zero(self.range[0], self.range[1], self.bits)
        seen = self.range[0] != self.range[1]
        return mx.where(seen, fake_quantize(x, scale, zero, self.bits), x)

    def found(self) -> Optional[StaticRounding]:
        """The rounding of the range, None where nothing has been seen.

        Example:
            >>> import lazulite.nn as nn
            >>> nn.quantization.FakeRounding(8).found() is None
            True
        """
        low, high = self.range.tolist()
        return StaticRounding(low, high, self.bits) if low != high else None
