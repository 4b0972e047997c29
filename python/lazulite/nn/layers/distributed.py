"""Linear layers whose weights are shared out among processes: with one process, all are its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Literal, Optional, Union

import lazulite.core as mx
from lazulite._arguments import checked, constructor
from lazulite.nn.layers.linear import Linear
from lazulite.nn.layers.quantized import Mode, QuantizedLinear
from lazulite.nn.module import Module
from lazulite.utils import tree_flatten, tree_unflatten

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "AllToShardedLinear",
    "FullyShardedModule",
    "QuantizedAllToShardedLinear",
    "QuantizedShardedToAllLinear",
    "ShardedToAllLinear",
    "fully_shard",
]

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

    @constructor
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


class _SharedPacked(QuantizedLinear):
    """A packed linear layer whose constructor takes the processes."""

    @checked
    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        bias: bool = True,
        group_size: Optional[int] = 64,
        bits: Optional[int] = 4,
        mode: Mode = "affine",
        group: Optional[mx.distributed.Group] = None,
    ) -> None:
        super().__init__(input_dims, output_dims, bias, group_size, bits, mode)

    @constructor
    def from_quantized_linear(
        cls,
        quantized_linear_layer: Module,
        *,
        segments: Union[int, list[Any]] = 1,
        group: Optional[mx.distributed.Group] = None,
    ) -> Self:
        """The layer with this process's part of the weights of a packed one: with all of them."""
        _check(group)
        if not isinstance(quantized_linear_layer, QuantizedLinear):
            raise TypeError(
                f"[{cls.__name__}] quantized_linear_layer: got "
                f"{type(quantized_linear_layer).__name__}, expected a QuantizedLinear"
            )
        other = quantized_linear_layer
        made = cls.__new__(cls)
        made._set_format(other.mode, other.group_size, other.bits)
        for name, parameter in other.parameters().items():
            setattr(made, name, parameter)
        return made.train(other.training).freeze()


class QuantizedAllToShardedLinear(_SharedPacked):
    """A :class:`QuantizedLinear` of which each process computes a part of the outputs.

    Args:
        input_dims: the size of the last axis of the input, a multiple of ``group_size``.
        output_dims: the size of the last axis of the output, of all processes together.
        bias: whether there is a ``bias``.
        group_size: numbers that share a scale.
        bits: of a number.
        mode: the format, as of :func:`lazulite.core.quantize`.
        group: the processes; by default all.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.QuantizedAllToShardedLinear(64, 2)(mx.zeros((5, 64))).shape
        (5, 2)
    """


class QuantizedShardedToAllLinear(_SharedPacked):
    """A :class:`QuantizedLinear` of which each process sees a part of the inputs.

    Args:
        input_dims: the size of the last axis of the input, of all processes together, a multiple
            of ``group_size``.
        output_dims: the size of the last axis of the output.
        bias: whether there is a ``bias``.
        group_size: numbers that share a scale.
        bits: of a number.
        mode: the format, as of :func:`lazulite.core.quantize`.
        group: the processes; by default all.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.QuantizedShardedToAllLinear(64, 2)(mx.zeros((5, 64))).shape
        (5, 2)
    """


def _own_parameter(module: Module, name: str, value: Any) -> bool:
    """What a module inside shards is its own."""
    if isinstance(value, FullyShardedModule):
        return False
    return Module.valid_parameter_filter(module, name, value)


class FullyShardedModule(Module):
    """A module of which each process keeps a part of every parameter, and sees all of them while
    it is called: with one process, all of them at all times.

    With a ``compute_dtype`` the parameters that are floats are cast to it for a call; those that
    are kept, and their gradients, stay as they are. A ``FullyShardedModule`` inside does so for
    itself.

    Args:
        module: the module, which keeps its parameters.
        group: the processes; by default all.
        compute_dtype: floats that the call computes with; by default those of the parameters.

    Raises:
        ValueError: a parameter is a scalar, which has no parts.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> model = nn.FullyShardedModule(nn.Linear(3, 2), compute_dtype=mx.bfloat16)
        >>> model(mx.zeros((5, 3), mx.bfloat16)).dtype, model.module.weight.dtype
        (lazulite.core.bfloat16, lazulite.core.float32)
    """

    module: Module

    @checked
    def __init__(
        self,
        module: Module,
        group: Optional[mx.distributed.Group] = None,
        compute_dtype: Optional[mx.Dtype] = None,
    ) -> None:
        super().__init__()
        self.module = module
        self._compute_dtype = compute_dtype
        for path, parameter in self._own().items():
            if parameter.ndim == 0:
                raise ValueError(
                    f"[FullyShardedModule] a scalar has no parts: got {path} of shape (), "
                    "expected an axis"
                )

    def _own(self) -> dict[str, mx.array]:
        return dict(tree_flatten(self.module.filter_and_map(_own_parameter)))

    def _extra_repr(self) -> str:
        return f"num_sharded_params={len(self._own())}"

    def _called(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        dtype = self._compute_dtype
        if dtype is None:
            return function(*args, **kwargs)

        def cast(parameter: mx.array) -> mx.array:
            is_float = mx.issubdtype(parameter.dtype, mx.floating)
            return parameter.astype(dtype) if is_float else parameter

        kept = self._own()
        seen = {path: cast(parameter) for path, parameter in kept.items()}
        self.module.update(tree_unflatten(list(seen.items())))
        try:
            return function(*args, **kwargs)
        finally:
            # What the call itself has written (running statistics) stays, as it was kept.
            back = [
                (path, kept[path] if now is seen[path] else now.astype(kept[path].dtype))
                for path, now in self._own().items()
                if path in kept
            ]
            self.module.update(tree_unflatten(back))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._called(self.module, *args, **kwargs)

    def as_linear(self, *args: Any, **kwargs: Any) -> Any:
        """``as_linear`` of the module, such as an :class:`Embedding` has it.

        Example:
            >>> import lazulite.core as mx, lazulite.nn as nn
            >>> nn.FullyShardedModule(nn.Embedding(10, 3)).as_linear(mx.zeros((5, 3))).shape
            (5, 10)
        """
        return self._called(self.module.as_linear, *args, **kwargs)


def fully_shard(
    module: Module,
    *,
    group: Optional[mx.distributed.Group] = None,
    compute_dtype: Optional[mx.Dtype] = None,
) -> Module:
    """A :class:`FullyShardedModule` where there are several processes; with one, the module.

    Args:
        module: the module.
        group: the processes; by default all.
        compute_dtype: floats that a call computes with, where there are several processes.

    Example:
        >>> import lazulite.nn as nn
        >>> nn.fully_shard(nn.Linear(3, 2))
        Linear(input_dims=3, output_dims=2, bias=True)
    """
    _check(group)
    if not isinstance(module, Module):
        raise TypeError(f"[fully_shard] module: got {type(module).__name__}, expected a Module")
    return module


def shard_linear(
    module: Module,
    sharding: Literal["all-to-sharded", "sharded-to-all"],
    *,
    segments: Union[int, list[Any]] = 1,
    group: Optional[mx.distributed.Group] = None,
) -> Module:
    """A linear layer whose weights are shared out among processes.

    A layer that is neither a :class:`~lazulite.nn.Linear` nor a
    :class:`~lazulite.nn.QuantizedLinear` is returned as it is: one process has all of its weights.

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
    to_sharded = sharding == "all-to-sharded"
    if type(module) is QuantizedLinear:
        packed = QuantizedAllToShardedLinear if to_sharded else QuantizedShardedToAllLinear
        return packed.from_quantized_linear(module, segments=segments, group=group)
    if type(module) is not Linear:
        return module
    kind = AllToShardedLinear if to_sharded else ShardedToAllLinear
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
