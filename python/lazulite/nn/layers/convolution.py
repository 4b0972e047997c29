"""Convolutions of channels-last inputs, and the layers that go the other way."""

import math
from typing import Any, Callable, Sequence, Union

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.nn.module import Module

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
]

Sizes = Union[int, Sequence[int]]


def _for_axes(op: str, name: str, sizes: Sizes, axes: int) -> tuple[int, ...]:
    """One whole number for each axis."""
    given = (sizes,) * axes if isinstance(sizes, int) else tuple(sizes)
    if len(given) != axes or not all(isinstance(n, int) for n in given):
        raise ValueError(f"[{op}] {name}: got {sizes!r}, expected an int or {axes} of them")
    return given


class _Convolution(Module):
    """What all of them share: ``weight`` (out_channels, taps of each axis, in_channels / groups),
    uniform in +-1/sqrt(what a result sums), and a ``bias`` that begins at zero."""

    axes: int
    groups: int

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, groups: int, bias: bool
    ) -> None:
        super().__init__()
        op = type(self).__name__
        taps = _for_axes(op, "kernel_size", kernel_size, self.axes)
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"[{op}] groups: got {groups}, expected a divisor of in_channels {in_channels} "
                f"and of out_channels {out_channels}"
            )
        bound = 1 / math.sqrt(max(in_channels // groups * math.prod(taps), 1))
        shape = (out_channels, *taps, in_channels // groups)
        self.weight = mx.random.uniform(-bound, bound, shape)
        if bias:
            self.bias = mx.zeros((out_channels,))
        self.groups = groups

    def _sizes(self, name: str, sizes: Sizes) -> Any:
        """As given for one axis, a tuple for several."""
        given = _for_axes(type(self).__name__, name, sizes, self.axes)
        return given[0] if self.axes == 1 else given

    def _shown(self, **more: Any) -> str:
        out_channels, *taps, own = self.weight.shape
        sizes = {"kernel_size": taps[0] if self.axes == 1 else tuple(taps), **more}
        text = ", ".join(f"{name}={value}" for name, value in sizes.items())
        return f"{own * self.groups}, {out_channels}, {text}, bias={'bias' in self}"

    def _convolved(self, x: mx.array, weight: mx.array) -> mx.array:
        raise NotImplementedError

    def _with_bias(self, y: mx.array) -> mx.array:
        return y + self.bias if "bias" in self else y

    def __call__(self, x: mx.array) -> mx.array:
        return self._with_bias(self._convolved(x, self.weight))


class _Forward(_Convolution):
    convolve: Callable[..., mx.array]

    @checked
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, groups, bias)
        self.stride = self._sizes("stride", stride)
        self.padding = self._sizes("padding", padding)
        self.dilation = self._sizes("dilation", dilation)

    def _extra_repr(self) -> str:
        return self._shown(
            stride=self.stride, padding=self.padding, dilation=self.dilation, groups=self.groups
        )

    def _convolved(self, x: mx.array, weight: mx.array) -> mx.array:
        convolve = type(self).convolve
        return convolve(x, weight, self.stride, self.padding, self.dilation, self.groups)


class _Transposed(_Convolution):
    convolve: Callable[..., mx.array]

    @checked
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        output_padding: Sizes = 0,
        bias: bool = True,
        groups: int = 1,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, groups, bias)
        self.stride = self._sizes("stride", stride)
        self.padding = self._sizes("padding", padding)
        self.dilation = self._sizes("dilation", dilation)
        self.output_padding = self._sizes("output_padding", output_padding)

    def _extra_repr(self) -> str:
        return self._shown(
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            output_padding=self.output_padding,
            groups=self.groups,
        )

    def _convolved(self, x: mx.array, weight: mx.array) -> mx.array:
        return type(self).convolve(
            x,
            weight,
            self.stride,
            self.padding,
            self.dilation,
            self.output_padding,
            self.groups,
        )


class Conv1d(_Forward):
    """Convolution over one axis of ``(batch, length, channels)``.

    ``weight`` has shape ``(out_channels, *kernel_size, in_channels / groups)`` and begins uniform
    in +-1/sqrt(the number of products in a sum); ``bias`` begins at zero. Sizes are numbers, or
    one for each axis. See :func:`lazulite.core.conv1d`.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: taps along each axis.
        stride: steps between outputs.
        padding: zeros at both ends of each axis.
        dilation: steps between taps.
        groups: how many groups the channels are split into, each with weights of its own.
        bias: whether there is a ``bias``.

    Raises:
        ValueError: for groups that do not divide the channels; called, for other channels.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.Conv1d(3, 4, kernel_size=3)(mx.zeros((2, 10, 3))).shape
        (2, 8, 4)
    """

    axes = 1
    convolve = staticmethod(mx.conv1d)


class Conv2d(_Forward):
    """Convolution over two axes of ``(batch, height, width, channels)``.

    ``weight`` has shape ``(out_channels, *kernel_size, in_channels / groups)`` and begins uniform
    in +-1/sqrt(the number of products in a sum); ``bias`` begins at zero. Sizes are numbers, or
    one for each axis. See :func:`lazulite.core.conv2d`.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: taps along each axis.
        stride: steps between outputs.
        padding: zeros at both ends of each axis.
        dilation: steps between taps.
        groups: how many groups the channels are split into, each with weights of its own.
        bias: whether there is a ``bias``.

    Raises:
        ValueError: for groups that do not divide the channels; called, for other channels.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.Conv2d(3, 4, kernel_size=3)(mx.zeros((2, 10, 9, 3))).shape
        (2, 8, 7, 4)
    """

    axes = 2
    convolve = staticmethod(mx.conv2d)


class Conv3d(_Forward):
    """Convolution over three axes of ``(batch, depth, height, width, channels)``.

    ``weight`` has shape ``(out_channels, *kernel_size, in_channels / groups)`` and begins uniform
    in +-1/sqrt(the number of products in a sum); ``bias`` begins at zero. Sizes are numbers, or
    one for each axis. See :func:`lazulite.core.conv3d`.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: taps along each axis.
        stride: steps between outputs.
        padding: zeros at both ends of each axis.
        dilation: steps between taps.
        bias: whether there is a ``bias``.
        groups: how many groups the channels are split into, each with weights of its own.

    Raises:
        ValueError: for groups that do not divide the channels; called, for other channels.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.Conv3d(3, 4, kernel_size=3)(mx.zeros((2, 5, 6, 7, 3))).shape
        (2, 3, 4, 5, 4)
    """

    axes = 3
    convolve = staticmethod(mx.conv3d)

    @checked
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        bias: bool = True,
        groups: int = 1,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias
        )


class ConvTranspose1d(_Transposed):
    """What has the shapes of a :class:`Conv1d` that goes the other way, over one axis.

    An axis of ``n`` elements becomes ``(n - 1) * stride - 2 * padding + dilation * (kernel_size -
    1) + output_padding + 1``. ``weight`` has shape ``(out_channels, *kernel_size, in_channels /
    groups)``; both parameters begin as those of :class:`Conv1d`. See
    :func:`lazulite.core.conv_transpose1d`.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: taps along each axis.
        stride: steps between what neighbouring inputs add to.
        padding: what is left out at both ends of each axis.
        dilation: steps between taps.
        output_padding: what is added at the end of each axis.
        bias: whether there is a ``bias``.
        groups: how many groups the channels are split into, each with weights of its own.

    Raises:
        ValueError: for groups that do not divide the channels; called, for other channels.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.ConvTranspose1d(4, 3, kernel_size=3)(mx.zeros((2, 8, 4))).shape
        (2, 10, 3)
    """

    axes = 1
    convolve = staticmethod(mx.conv_transpose1d)


class ConvTranspose2d(_Transposed):
    """What has the shapes of a :class:`Conv2d` that goes the other way, over two axes.

    An axis of ``n`` elements becomes ``(n - 1) * stride - 2 * padding + dilation * (kernel_size -
    1) + output_padding + 1``. ``weight`` has shape ``(out_channels, *kernel_size, in_channels /
    groups)``; both parameters begin as those of :class:`Conv2d`. See
    :func:`lazulite.core.conv_transpose2d`.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: taps along each axis.
        stride: steps between what neighbouring inputs add to.
        padding: what is left out at both ends of each axis.
        dilation: steps between taps.
        output_padding: what is added at the end of each axis.
        bias: whether there is a ``bias``.
        groups: how many groups the channels are split into, each with weights of its own.

    Raises:
        ValueError: for groups that do not divide the channels; called, for other channels.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.ConvTranspose2d(4, 3, kernel_size=3)(mx.zeros((2, 8, 7, 4))).shape
        (2, 10, 9, 3)
    """

    axes = 2
    convolve = staticmethod(mx.conv_transpose2d)


class ConvTranspose3d(_Transposed):
    """What has the shapes of a :class:`Conv3d` that goes the other way, over three axes.

    An axis of ``n`` elements becomes ``(n - 1) * stride - 2 * padding + dilation * (kernel_size -
    1) + output_padding + 1``. ``weight`` has shape ``(out_channels, *kernel_size, in_channels /
    groups)``; both parameters begin as those of :class:`Conv3d`. See
    :func:`lazulite.core.conv_transpose3d`.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: taps along each axis.
        stride: steps between what neighbouring inputs add to.
        padding: what is left out at both ends of each axis.
        dilation: steps between taps.
        output_padding: what is added at the end of each axis.
        bias: whether there is a ``bias``.
        groups: how many groups the channels are split into, each with weights of its own.

    Raises:
        ValueError: for groups that do not divide the channels; called, for other channels.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.ConvTranspose3d(4, 3, kernel_size=3)(mx.zeros((2, 3, 4, 5, 4))).shape
        (2, 5, 6, 7, 3)
    """

    axes = 3
    convolve = staticmethod(mx.conv_transpose3d)
