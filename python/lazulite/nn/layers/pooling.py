"""Maxima and means of windows of channels-last inputs."""

from typing import Optional

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.nn.layers.convolution import Sizes, _for_axes
from lazulite.nn.module import Module

__all__ = ["AvgPool1d", "AvgPool2d", "AvgPool3d", "MaxPool1d", "MaxPool2d", "MaxPool3d"]


class _Pool(Module):
    axes: int

    @checked
    def __init__(
        self, kernel_size: Sizes, stride: Optional[Sizes] = None, padding: Sizes = 0
    ) -> None:
        super().__init__()
        op = type(self).__name__
        self._size = _for_axes(op, "kernel_size", kernel_size, self.axes)
        self._stride = self._size if stride is None else _for_axes(op, "stride", stride, self.axes)
        self._padding = _for_axes(op, "padding", padding, self.axes)
        if min(*self._size, *self._stride) < 1:
            raise ValueError(
                f"[{op}] got kernel_size={self._size}, stride={self._stride}, expected 1 or more"
            )
        if any(p < 0 or 2 * p > k for p, k in zip(self._padding, self._size)):
            raise ValueError(
                f"[{op}] padding: got {self._padding}, expected at most half of {self._size}"
            )

    def _extra_repr(self) -> str:
        return f"kernel_size={self._size}, stride={self._stride}, padding={self._padding}"

    def _fitting(self, x: mx.array) -> mx.array:
        if x.ndim != self.axes + 2:
            raise ValueError(
                f"[{type(self).__name__}] got an input of shape {x.shape}, expected (batch, "
                f"{self.axes} {'axis' if self.axes == 1 else 'axes'}, channels)"
            )
        for size, n, p in zip(self._size, x.shape[1:-1], self._padding):
            if n + 2 * p < size:
                raise ValueError(
                    f"[{type(self).__name__}] windows reach beyond the input: got shape {x.shape} "
                    f"for kernel_size={self._size}, padding={self._padding}"
                )
        return x


class _MaxPool(_Pool):
    def __call__(self, x: mx.array) -> mx.array:
        return mx.fast.max_pool(self._fitting(x), self._size, self._stride, self._padding)


class _AvgPool(_Pool):
    def __call__(self, x: mx.array) -> mx.array:
        return mx.fast.avg_pool(self._fitting(x), self._size, self._stride, self._padding)


class MaxPool1d(_MaxPool):
    """The maxima of windows of ``(batch, length, channels)``.

    Args:
        kernel_size: the size of a window, a number or one for each axis.
        stride: steps between windows; None: ``kernel_size``.
        padding: what is put at both ends of each axis (minus infinity), at most half a window.

    Raises:
        ValueError: for sizes that do not fit each other or, when called, the input.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.MaxPool1d(2)(mx.zeros((2, 10, 3))).shape
        (2, 5, 3)
    """

    axes = 1


class MaxPool2d(_MaxPool):
    """The maxima of windows of ``(batch, height, width, channels)``.

    Args:
        kernel_size: the size of a window, a number or one for each axis.
        stride: steps between windows; None: ``kernel_size``.
        padding: what is put at both ends of each axis (minus infinity), at most half a window.

    Raises:
        ValueError: for sizes that do not fit each other or, when called, the input.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.MaxPool2d(2)(mx.zeros((2, 8, 6, 3))).shape
        (2, 4, 3, 3)
    """

    axes = 2


class MaxPool3d(_MaxPool):
    """The maxima of windows of ``(batch, depth, height, width, channels)``.

    Args:
        kernel_size: the size of a window, a number or one for each axis.
        stride: steps between windows; None: ``kernel_size``.
        padding: what is put at both ends of each axis (minus infinity), at most half a window.

    Raises:
        ValueError: for sizes that do not fit each other or, when called, the input.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.MaxPool3d(2)(mx.zeros((2, 4, 6, 2, 3))).shape
        (2, 2, 3, 1, 3)
    """

    axes = 3


class AvgPool1d(_AvgPool):
    """The means of windows of ``(batch, length, channels)``.

    Args:
        kernel_size: the size of a window, a number or one for each axis.
        stride: steps between windows; None: ``kernel_size``.
        padding: what is put at both ends of each axis (zeros, which count), at most half a window.

    Raises:
        ValueError: for sizes that do not fit each other or, when called, the input.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.AvgPool1d(2)(mx.zeros((2, 10, 3))).shape
        (2, 5, 3)
    """

    axes = 1


class AvgPool2d(_AvgPool):
    """The means of windows of ``(batch, height, width, channels)``.

    Args:
        kernel_size: the size of a window, a number or one for each axis.
        stride: steps between windows; None: ``kernel_size``.
        padding: what is put at both ends of each axis (zeros, which count), at most half a window.

    Raises:
        ValueError: for sizes that do not fit each other or, when called, the input.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.AvgPool2d(2)(mx.zeros((2, 8, 6, 3))).shape
        (2, 4, 3, 3)
    """

    axes = 2


class AvgPool3d(_AvgPool):
    """The means of windows of ``(batch, depth, height, width, channels)``.

    Args:
        kernel_size: the size of a window, a number or one for each axis.
        stride: steps between windows; None: ``kernel_size``.
        padding: what is put at both ends of each axis (zeros, which count), at most half a window.

    Raises:
        ValueError: for sizes that do not fit each other or, when called, the input.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.AvgPool3d(2)(mx.zeros((2, 4, 6, 2, 3))).shape
        (2, 2, 3, 1, 3)
    """

    axes = 3
