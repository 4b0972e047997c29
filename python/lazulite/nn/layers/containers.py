"""Modules made of other modules."""

from typing import Any, Callable, Union

from lazulite._arguments import checked
from lazulite.nn.module import Module

__all__ = ["Sequential"]


class Sequential(Module):
    """Calls its modules one after another, each with what the one before returned.

    Args:
        modules: modules or plain functions; they stand in the list ``layers``.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.Sequential(nn.ReLU(), lambda x: x + 1)(mx.array([-1.0, 2.0]))
        array([1, 3], dtype=float32)
    """

    @checked
    def __init__(self, *modules: Union[Module, Callable[..., Any]]) -> None:
        super().__init__()
        self.layers = list(modules)

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x
