"""Derivatives with respect to the parameters of a model."""

from functools import wraps
from typing import Any, Callable

import lazulite.core as mx
from lazulite.nn.module import Module
from lazulite.utils import tree_flatten


def value_and_grad(model: Module, fn: Callable) -> Callable:
    """A function that gives the value of ``fn`` and its gradient in ``model``'s parameters.

    Args:
        model: whose trainable parameters are differentiated.
        fn: takes anything and returns a scalar loss, or a tuple that begins with one.

    Returns:
        A function of the arguments of ``fn`` that returns ``(value, gradients)``; the gradients
        have the form of ``model.trainable_parameters()``.

    Raises:
        ValueError: when called while no parameter of the model is trainable.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> model = nn.Linear(2, 1, bias=False)
        >>> loss, grads = nn.value_and_grad(model, lambda x: model(x).sum())(mx.array([3.0, 4.0]))
        >>> grads["weight"]
        array([[3, 4]], dtype=float32)
    """

    def of_parameters(parameters: dict, *args: Any, **kwargs: Any) -> Any:
        model.update(parameters)
        return fn(*args, **kwargs)

    differentiate = mx.value_and_grad(of_parameters)

    @wraps(fn)
    def value_and_gradients(*args: Any, **kwargs: Any) -> tuple[Any, dict]:
        parameters = model.trainable_parameters()
        if not tree_flatten(parameters):
            raise ValueError(
                "[value_and_grad] nothing to differentiate: "
                f"got a {type(model).__name__} without trainable parameters, expected one or more"
            )
        try:
            return differentiate(parameters, *args, **kwargs)
        finally:
            model.update(parameters)  # the traced arrays must not stay in the model

    return value_and_gradients
