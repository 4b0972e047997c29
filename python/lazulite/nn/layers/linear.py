"""Layers that are linear in their input."""

import math
from typing import Any, Optional, Union

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.nn.layers.quantized import QQLinear, QuantizedLinear
from lazulite.nn.module import Module

__all__ = ["Bilinear", "Identity", "Linear"]


def _uniform(fan_in: int, shape: tuple[int, ...]) -> mx.array:
    """Numbers from +-1/sqrt(fan_in), with which sums over fan_in inputs keep their size."""
    bound = 1 / math.sqrt(max(fan_in, 1))
    return mx.random.uniform(-bound, bound, shape)


class Identity(Module):
    """Returns its input; takes and ignores any arguments, to stand in for another layer.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.Identity(3, bias=False)(mx.array([1.0]))
        array([1], dtype=float32)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def __call__(self, x: mx.array) -> mx.array:
        return x


class Linear(Module):
    r"""An affine map of the last axis: :math:`y = x W^\top + b`.

    ``weight`` has shape ``(output_dims, input_dims)`` and ``bias`` ``(output_dims,)``; both begin
    uniform in :math:`\pm 1/\sqrt{\text{input\_dims}}`. Takes ``(..., input_dims)`` and gives
    ``(..., output_dims)``.

    Args:
        input_dims: the size of the last axis of the input.
        output_dims: the size of the last axis of the output.
        bias: whether there is a ``bias``.

    Raises:
        ValueError: when called with another last axis.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.Linear(3, 2)(mx.zeros((5, 3))).shape
        (5, 2)
    """

    @checked
    def __init__(self, input_dims: int, output_dims: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = _uniform(input_dims, (output_dims, input_dims))
        if bias:
            self.bias = _uniform(input_dims, (output_dims,))

    def _extra_repr(self) -> str:
        output_dims, input_dims = self.weight.shape
        return f"input_dims={input_dims}, output_dims={output_dims}, bias={'bias' in self}"

    def __call__(self, x: mx.array) -> mx.array:
        if "bias" in self:
            return mx.addmm(self.bias, x, self.weight.T)
        return x @ self.weight.T

    def to_quantized(
        self,
        group_size: Optional[int] = None,
        bits: Optional[int] = None,
        mode: str = "affine",
        quantize_input: bool = False,
    ) -> Union[QuantizedLinear, QQLinear]:
        """The layer with its weight packed; this one stays as it is.

        Args:
            group_size: numbers that share a scale; by default that of the mode.
            bits: of a number; by default those of the mode.
            mode: the format, as of :func:`lazulite.core.quantize`.
            quantize_input: round the input too (:class:`QQLinear`), in ``nvfp4`` or ``mxfp8``.

        Raises:
            ValueError: sizes that do not fit the mode, or a mode that does not round inputs.

        Example:
            >>> import lazulite.nn as nn
            >>> nn.Linear(64, 2).to_quantized(bits=2)
            QuantizedLinear(input_dims=64, output_dims=2, bias=True, group_size=64, bits=2, \
mode=affine)
        """
        if quantize_input:
            return QQLinear.from_linear(self, group_size, bits, mode)
        return QuantizedLinear.from_linear(self, group_size, bits, mode)


class Bilinear(Module):
    r"""A map of two inputs, linear in each: :math:`y_k = x_1^\top W_k x_2 + b_k`.

    ``weight`` has shape ``(output_dims, input2_dims, input1_dims)`` and ``bias``
    ``(output_dims,)``; both begin uniform in :math:`\pm 1/\sqrt{\text{input1\_dims}}`. Takes
    ``(..., input1_dims)`` and ``(..., input2_dims)`` with equal leading axes and gives
    ``(..., output_dims)``.

    Args:
        input1_dims: the size of the last axis of the first input.
        input2_dims: the size of the last axis of the second input.
        output_dims: the size of the last axis of the output.
        bias: whether there is a ``bias``.

    Raises:
        ValueError: when called with another last axis.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.Bilinear(3, 4, 2)(mx.zeros((5, 3)), mx.zeros((5, 4))).shape
        (5, 2)
    """

    @checked
    def __init__(
        self, input1_dims: int, input2_dims: int, output_dims: int, bias: bool = True
    ) -> None:
        super().__init__()
        self.weight = _uniform(input1_dims, (output_dims, input2_dims, input1_dims))
        if bias:
            self.bias = _uniform(input1_dims, (output_dims,))

    def _extra_repr(self) -> str:
        output_dims, input2_dims, input1_dims = self.weight.shape
        return (
            f"input1_dims={input1_dims}, input2_dims={input2_dims}, "
            f"output_dims={output_dims}, bias={'bias' in self}"
        )

    def __call__(self, x1: mx.array, x2: mx.array) -> mx.array:
        output_dims, input2_dims, input1_dims = self.weight.shape
        rows = x1 @ self.weight.reshape(output_dims * input2_dims, input1_dims).T
        rows = rows.reshape(*x1.shape[:-1], output_dims, input2_dims)
        y = (rows @ mx.expand_dims(x2, -1)).squeeze(-1)
        return y + self.bias if "bias" in self else y
