"""Helpers of training: derivatives of models, memory for time, gradients of several processes."""

from __future__ import annotations

from typing import Any, Callable, Optional

import lazulite.core as mx
from lazulite.nn.module import Module
from lazulite.nn.transform import value_and_grad

__all__ = ["average_gradients", "checkpoint", "clip_grad_norm_sharded", "value_and_grad"]


def checkpoint(module: Module, fn: Optional[Callable[..., Any]] = None) -> Callable[..., Any]:
    """A function that calls ``module`` (or ``fn``) and keeps nothing inside it for the gradient.

    What is inside is computed again on the way back. Gradients of the module's parameters are those
    of the module.

    Args:
        module: the module.
        fn: a function that uses it; by default the module itself.

    Raises:
        TypeError: neither a module nor a function.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> from lazulite.nn.utils import checkpoint
        >>> layer = nn.Linear(2, 1, bias=False)
        >>> loss = nn.value_and_grad(layer, lambda x: checkpoint(layer)(x).sum())
        >>> loss(mx.array([3.0, 4.0]))[1]["weight"]
        array([[3, 4]], dtype=float32)
    """
    function = module if fn is None else fn
    if not isinstance(module, Module) or not callable(function):
        got = f"({type(module).__name__}, {type(fn).__name__})"
        raise TypeError(f"[checkpoint] got {got}, expected a Module and maybe a function")
    return mx.checkpoint(lambda *args, **kwargs: function(*args, **kwargs))


def average_gradients(
    gradients: Any,
    group: Optional[mx.distributed.Group] = None,
    all_reduce_size: int = 32 * 1024**2,
    communication_stream: Any = None,
) -> Any:
    """The mean of the gradients of all processes: of one, the gradients themselves.

    Args:
        gradients: a tree of arrays.
        group: the processes; by default all.
        all_reduce_size: bytes that would be exchanged at once.
        communication_stream: where they would be exchanged.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.average_gradients({"w": mx.array([1.0])})
        {'w': array([1], dtype=float32)}
    """
    _check(group, "average_gradients")
    return gradients


def clip_grad_norm_sharded(
    gradients: Any, max_norm: float, group: Optional[mx.distributed.Group] = None
) -> tuple[Any, mx.array]:
    """:func:`~lazulite.optimizers.clip_grad_norm` of gradients that are shared out among processes:
    their norm is that of all parts, of which one process has all.

    Args:
        gradients: a tree of this process's parts of gradients.
        max_norm: the largest norm, 0 or more.
        group: the processes; by default all.

    Returns:
        The scaled tree, and the norm before scaling.

    Raises:
        TypeError: a leaf is not an array, or ``max_norm`` not a number.
        ValueError: ``max_norm`` is negative.

    Example:
        >>> import lazulite.core as mx
        >>> from lazulite.nn.utils import clip_grad_norm_sharded
        >>> clip_grad_norm_sharded({"w": mx.array([3.0, 4.0])}, max_norm=50.0)
        ({'w': array([3, 4], dtype=float32)}, array(5, dtype=float32))
    """
    from lazulite.optimizers import clip_grad_norm

    _check(group, "clip_grad_norm_sharded")
    return clip_grad_norm(gradients, max_norm)


def _check(group: Any, function: str) -> None:
    if group is not None and not isinstance(group, mx.distributed.Group):
        raise TypeError(f"[{function}] group: got {type(group).__name__}, expected a Group")
