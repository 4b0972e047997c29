"""Derivatives with respect to the parameters of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

import lazulite.core as mx
from lazulite.core import _core
from lazulite.core._gradients import (
    check_differentiable,
    loss_of,
    ones_for,
    vector_jacobian_product,
)
from lazulite.core._trees import Transformed, fill, template
from lazulite.nn.module import Module

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    P = ParamSpec("P")

__all__ = ["value_and_grad"]


def value_and_grad(model: Module, fn: Callable[P, Any]) -> Callable[P, tuple[Any, dict[str, Any]]]:
    """A function that gives the value of ``fn`` and its gradient in ``model``'s parameters.

    Args:
        model: whose trainable parameters are differentiated.
        fn: takes anything and returns a scalar loss, or a tuple that begins with one.

    Returns:
        A function of the arguments of ``fn`` that returns ``(value, gradients)``; the gradients
        have the form of ``model.trainable_parameters()``.

    Raises:
        TypeError: not a model and a function.
        ValueError: when called while no parameter of the model is trainable.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> model = nn.Linear(2, 1, bias=False)
        >>> loss, grads = nn.value_and_grad(model, lambda x: model(x).sum())(mx.array([3.0, 4.0]))
        >>> grads["weight"]
        array([[3, 4]], dtype=float32)
    """

    if not isinstance(model, Module) or not callable(fn):
        swapped = callable(model) and isinstance(fn, Module)
        raise TypeError(
            "[value_and_grad] "
            + ("arguments swapped: " if swapped else "not a model and a function: ")
            + f"got ({type(model).__name__}, {type(fn).__name__}), expected (model, function)"
        )

    def value_and_gradients(*args: P.args, **kwargs: P.kwargs) -> tuple[Any, dict[str, Any]]:
        originals: list[mx.array] = []
        form = template(model.trainable_parameters(), originals)
        check_differentiable("value_and_grad", "a trainable parameter", form, originals)
        if not originals:
            raise ValueError(
                "[value_and_grad] nothing to differentiate: "
                f"got a {type(model).__name__} without trainable parameters, expected one or more"
            )
        value: Any = None
        exchanged = _core._Exchanged()

        def loss(traced: list[mx.array]) -> list[mx.array]:
            nonlocal value
            # No traced array stays in the model; what fn puts in its place does, and what it
            # changes in place. Other threads may do the same meanwhile.
            try:
                exchanged.put(model, form, traced)
                value = fn(*args, **kwargs)
            finally:
                exchanged.put_back()
            return [loss_of("value_and_grad", value)]

        gradients = vector_jacobian_product(loss, originals, ones_for)[1]
        return value, fill(form, gradients)

    return Transformed("value_and_grad", fn, value_and_gradients)
