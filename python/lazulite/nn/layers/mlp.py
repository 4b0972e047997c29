"""Linear layers one after another."""

from typing import Callable, Sequence

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.nn.layers.activations import relu
from lazulite.nn.layers.dropout import Dropout
from lazulite.nn.layers.linear import Linear
from lazulite.nn.module import Module

__all__ = ["MLP"]


class MLP(Module):
    """Linear layers with an activation between them, and none after the last.

    ``layers`` has the linear layers. Takes ``(..., input_dims)`` and gives ``(..., dims[-1])``.

    Args:
        input_dims: the size of the last axis of the input.
        dims: the sizes after each layer: the hidden ones, and that of the output.
        activation: the function between layers.
        dropout: the probability with which hidden values are dropped in training.
        bias: whether the layers have a ``bias``.

    Raises:
        ValueError: ``dims`` is empty.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.MLP(8, [32, 4])(mx.zeros((5, 8))).shape
        (5, 4)
    """

    @checked
    def __init__(
        self,
        input_dims: int,
        dims: Sequence[int],
        activation: Callable[[mx.array], mx.array] = relu,
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if not dims:
            raise ValueError("[MLP] dims: got none, expected one size or more")
        sizes = [input_dims, *dims]
        self.layers = [Linear(a, b, bias) for a, b in zip(sizes, sizes[1:])]
        self.activation = activation
        if dropout:
            self.dropout = Dropout(dropout)

    def __call__(self, x: mx.array) -> mx.array:
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
            if "dropout" in self:
                x = self.dropout(x)
        return self.layers[-1](x)
