"""Embeddings: a row of a table for each token."""

import math
from typing import Optional

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.nn.layers.quantized import QuantizedEmbedding
from lazulite.nn.module import Module

__all__ = ["Embedding"]


class Embedding(Module):
    r"""A table with a row for each token: :math:`y = W_x`.

    ``weight`` has shape ``(num_embeddings, dims)`` and begins normal with standard deviation
    :math:`1/\sqrt{\text{dims}}`. Takes integers of any shape ``(...)`` and gives ``(..., dims)``.

    Args:
        num_embeddings: how many tokens there are.
        dims: the size of a row.

    Raises:
        IndexError: when called with a token that is not in the table.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.Embedding(10, 4)(mx.array([[1, 2, 3]])).shape
        (1, 3, 4)
    """

    @checked
    def __init__(self, num_embeddings: int, dims: int) -> None:
        super().__init__()
        self.weight = mx.random.normal((num_embeddings, dims), scale=1 / math.sqrt(max(dims, 1)))

    def _extra_repr(self) -> str:
        num_embeddings, dims = self.weight.shape
        return f"{num_embeddings}, {dims}"

    def __call__(self, x: mx.array) -> mx.array:
        return self.weight[x]

    def as_linear(self, x: mx.array) -> mx.array:
        r"""The table as the weight of a linear layer: :math:`x W^\top`, for tied outputs.

        Takes ``(..., dims)`` and gives ``(..., num_embeddings)``.

        Example:
            >>> import lazulite.core as mx, lazulite.nn as nn
            >>> nn.Embedding(10, 4).as_linear(mx.zeros((2, 4))).shape
            (2, 10)
        """
        return x @ self.weight.T

    def to_quantized(
        self,
        group_size: Optional[int] = None,
        bits: Optional[int] = None,
        mode: str = "affine",
        quantize_input: bool = False,
    ) -> QuantizedEmbedding:
        """The layer with its table packed; this one stays as it is.

        Args:
            group_size: numbers that share a scale; by default that of the mode.
            bits: of a number; by default those of the mode.
            mode: the format, as of :func:`lazulite.core.quantize`.
            quantize_input: there is nothing to round in tokens: must be False.

        Raises:
            ValueError: sizes that do not fit the mode, or ``quantize_input``.

        Example:
            >>> import lazulite.nn as nn
            >>> nn.Embedding(10, 64).to_quantized(mode="mxfp8")
            QuantizedEmbedding(10, 64, group_size=32, bits=8, mode=mxfp8)
        """
        if quantize_input:
            raise ValueError("[Embedding] quantize_input: got True, expected False: inputs are tokens")
        return QuantizedEmbedding.from_embedding(self, group_size, bits, mode)
