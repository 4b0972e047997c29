"""Embeddings: a row of a table for each token."""

import math

import lazulite.core as mx
from lazulite._arguments import checked
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
