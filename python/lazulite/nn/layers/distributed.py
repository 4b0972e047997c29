"""Linear layers whose weights are shared out among processes: with one process, all are its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Literal, Optional, Union

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.nn.layers.linear import Linear
from lazulite.nn.module import Module

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AllToShardedLinear", "ShardedToAllLinear"]

Sharding = Union[str, Callable[..., Any]]


def sum_gradients(group: Optional[mx.distributed.Group] = None) -> Callable[[mx.array], mx.array]:
    """The identity, whose gradient is the sum over all processes: of one, the gradient itself.

    Example:
        >>> import lazulite.core as mx
        >>> from lazulite.nn.layers.distributed import sum_gradients
        >>> sum_gradients(mx.distributed.init())(mx.array(2.0))
        array(2, dtype=float32)
    """
    _check(group)
    return lambda x: x


class _Shared(Linear):
    """A linear layer whose constructor takes the processes."""

    @checked
    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        bias: bool = True,
        group: Optional[mx.distributed.Group] = None,
    ) -> None:
        super().__init__(input_dims, output_dims, bias)

    @classmethod
    def from_linear(
        cls,
        linear_layer: Module,
        *,
        segments: Union[int, list[Any]] = 1,
        group: Optional[mx.distributed.Group] = None,
    ) -> Self:
        """The layer with this process's part of the weights of another one: with all of them."""
        made = cls(1, 1, "bias" in linear_layer, group)
        made.update(linear_layer.parameters())
        return made


class AllToShardedLinear(_Shared):
    """A linear layer of which each process computes a part of the outputs.

    Args:
        input_dims: the size of the last axis of the input.
        output_dims: the size of the last axis of the output, of all processes together.
        bias: whether there is a ``bias``.
        group: the processes; by default all.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.AllToShardedLinear(3, 2)(mx.zeros((5, 3))).shape
        (5, 2)
    """


class ShardedToAllLinear(_Shared):
    """A linear layer of which each process sees a part of the inputs.

    Args:
        input_dims: the size of the last axis of the input, of all processes together.
        output_dims: the size of the last axis of the output.
        bias: whether there is a ``bias``.
        group: the processes; by default all.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.ShardedToAllLinear(3, 2)(mx.zeros((5, 3))).shape
        (5, 2)
    """


def shard_linear(
    module: Module,
    sharding: Literal["all-to-sharded", "sharded-to-all"],
    *,
    segments: Union[int, list[Any]] = 1,
    group: Optional[mx.distributed.Group] = None,
) -> Module:
    """A linear layer whose weights are shared out among processes.

    A layer of another class than :class:`~lazulite.nn.Linear`, such as a quantized one, is returned
    as it is: one process has all of its weights.

    Args:
        module: the layer.
        sharding: which side is shared out.
        segments: parts of the weights that are shared out each for itself.
        group: the processes; by default all.

    Raises:
        ValueError: an unknown ``sharding``.

    Example:
        >>> import lazulite.nn as nn
        >>> from lazulite.nn.layers.distributed import shard_linear
        >>> shard_linear(nn.Linear(3, 2), "all-to-sharded")
        AllToShardedLinear(input_dims=3, output_dims=2, bias=True)
    """
    _check_sharding(sharding, "shard_linear")
    _check(group)
    if type(module) is not Linear:
        return module
    kind = AllToShardedLinear if sharding == "all-to-sharded" else ShardedToAllLinear
    return kind.from_linear(module, segments=segments, group=group)


def shard_inplace(
    module: Module,
    sharding: Sharding,
    *,
    segments: Union[int, list[Any]] = 1,
    group: Optional[mx.distributed.Group] = None,
) -> None:
    """Leaves each process its part of a module's parameters: with one process, all of them.

    Args:
        module: the module.
        sharding: which side is shared out, or a function of path and parameter that says so.
        segments: parts of the weights that are shared out each for itself.
        group: the processes; by default all.

    Raises:
        ValueError: an unknown ``sharding``.

    Example:
        >>> import lazulite.nn as nn
        >>> from lazulite.nn.layers.distributed import shard_inplace
        >>> layer = nn.Linear(3, 2)
        >>> shard_inplace(layer, "sharded-to-all")
        >>> layer.weight.shape
        (2, 3)
    """
    if not callable(sharding):
        _check_sharding(sharding, "shard_inplace")
    _check(group)


def _check_sharding(sharding: Any, op: str) -> None:
    if sharding not in ("all-to-sharded", "sharded-to-all"):
        raise ValueError(
            f"[{op}] sharding: got {sharding!r}, expected 'all-to-sharded' or 'sharded-to-all'"
        )


def _check(group: Any) -> None:
    if group is not None and not isinstance(group, mx.distributed.Group):
        raise TypeError(f"[shard] group: got {type(group).__name__}, expected a Group")
