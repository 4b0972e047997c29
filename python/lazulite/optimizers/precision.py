"""Training with halves in the model's call, and float32 in its weights."""

from __future__ import annotations

from functools import reduce
from typing import Any, Callable

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.core import _core
from lazulite.nn import Module, value_and_grad
from lazulite.optimizers.base import _check_optimizer, _is_moved
from lazulite.utils import tree_flatten, tree_map

__all__ = ["MixedPrecision"]


class MixedPrecision:
    """Gradients in half precision, steps in float32 (Micikevicius et al., 2018).

    The model keeps its weights. :meth:`value_and_grad` calls it with copies in ``dtype``, and
    multiplies the loss by a scale, so that small gradients are not lost; gradients come back
    divided by it, in float32. :meth:`update` takes a step only where all of them are finite. Then
    the scale grows after ``growth_interval`` such steps, as PyTorch's; otherwise it falls at once.
    All of it may be compiled, with ``state`` among what the function captures.

    A loss in float32 (``model(x).astype(mx.float32)`` before it) takes a larger scale than one in
    float16.

    Args:
        model: whose weights are trained, in float32.
        optimizer: takes the steps.
        dtype: of the call: float16, or bfloat16, which needs no scale.
        scale: what the loss is multiplied by at the beginning.
        growth_factor: what the scale is multiplied by when it grows.
        backoff_factor: and when it falls.
        growth_interval: after how many steps it grows.

    Raises:
        ValueError: a factor or an interval that does not grow or fall.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn, lazulite.optimizers as optim
        >>> model = nn.Linear(2, 1)
        >>> mixed = optim.MixedPrecision(model, optim.SGD(0.1))
        >>> step = mixed.value_and_grad(lambda x: model(x).square().mean())
        >>> loss, grads = step(mx.ones((3, 2)))
        >>> mixed.update(grads)
        array(True, dtype=bool)
        >>> model.weight.dtype, grads["weight"].dtype, mixed.scale.item()
        (lazulite.core.float32, lazulite.core.float32, 32768.0)
    """

    @checked
    def __init__(
        self,
        model: Module,
        optimizer: Any,
        dtype: mx.Dtype = mx.float16,
        scale: float = 2.0**15,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
    ) -> None:
        _check_optimizer("MixedPrecision", "optimizer", optimizer)
        if not (
            0 < scale < 2.0**128
            and growth_factor >= 1
            and 0 < backoff_factor <= 1
            and growth_interval > 0
        ):
            raise ValueError(
                "[MixedPrecision] scale: got "
                f"{scale}, growing by {growth_factor} after {growth_interval} steps and falling by "
                f"{backoff_factor}, expected finite numbers above 0, 1 or more, and 1 or less"
            )
        self.model = model
        self.optimizer = optimizer
        self.dtype = dtype
        self.growth_factor = growth_factor
        self.backoff_factor = backoff_factor
        self.growth_interval = growth_interval
        self._state: dict[str, Any] = {
            "scale": mx.array(scale, mx.float32),
            "good_steps": mx.array(0, mx.int32),
        }

    @property
    def state(self) -> dict[str, Any]:
        """The dict of the scale, of the steps since it changed, and of the optimizer's state."""
        self._state["optimizer"] = self.optimizer.state
        return self._state

    @property
    def scale(self) -> mx.array:
        """What the loss is multiplied by."""
        scale: mx.array = self._state["scale"]
        return scale

    def value_and_grad(self, fn: Callable[..., Any]) -> Callable[..., tuple[Any, dict[str, Any]]]:
        """Like ``nn.value_and_grad(model, fn)``, with the call in ``dtype``.

        Floating arrays among the arguments are cast too; modules, such as the model, are given as
        they are. The gradients are not scaled; where one left the range of ``dtype``, it is not
        finite. Those of integers and bools mean nothing.
        """

        def low(*args: Any, **kwargs: Any) -> tuple[mx.array, Any]:
            full = {}  # the weights, by the copies that stand for them

            def copy(weight: mx.array) -> mx.array:
                half: mx.array = self._lowered(weight)
                full[id(half)] = (half, weight, _core._copy_handle(half))
                return half

            def back(now: mx.array) -> mx.array:
                half, weight, handle = full.get(id(now), (now, now, now))
                changed = half is not weight and not _core._same_handle(half, handle)
                return half.astype(weight.dtype) if changed else weight

            self.model.apply(copy, _is_lowered)
            try:
                args, kwargs = tree_map(self._lowered, (args, kwargs), is_leaf=_is_module)
                out = fn(*args, **kwargs)
            finally:
                self.model.apply(back)
            loss = out[0] if isinstance(out, tuple) else out
            return loss.astype(mx.float32) * self.scale, out

        differentiated = value_and_grad(self.model, low)

        def value_and_gradients(*args: Any, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
            (_, out), gradients = differentiated(*args, **kwargs)
            return out, tree_map(self._unscaled, gradients)

        return value_and_gradients

    def _unscaled(self, gradient: mx.array) -> mx.array:
        if not _is_moved(gradient):
            return gradient
        return (gradient / self.scale).astype(gradient.dtype)  # float16 may not have the scale

    def _lowered(self, value: Any) -> Any:
        if isinstance(value, mx.array) and mx.issubdtype(value.dtype, mx.floating):
            return value.astype(self.dtype)
        return value

    def update(self, gradients: dict[str, Any]) -> mx.array:
        """Take a step if all gradients are finite; returns whether they are, as an array."""
        leaves = [mx.all(mx.isfinite(g)) for _, g in tree_flatten(gradients) if _is_moved(g)]
        finite: mx.array = reduce(mx.logical_and, leaves, mx.array(True))
        self.optimizer.init(gradients)
        before = tree_map(lambda x: x, self.optimizer.state)
        new = self.optimizer.apply_gradients(gradients, self.model)
        self.model.update(
            tree_map(lambda n, old: mx.where(finite, n, old), new, self.model.parameters())
        )
        _choose(finite, self.optimizer.state, before)

        good, scale = self._state["good_steps"] + 1, self.scale
        grows = good == self.growth_interval
        larger = scale * self.growth_factor  # an infinite one could not fall again
        larger = mx.where(grows & mx.isfinite(larger), larger, scale)
        self._state["scale"] = mx.where(finite, larger, scale * self.backoff_factor)
        self._state["good_steps"] = mx.where(finite & ~grows, good, 0)
        return finite


def _is_module(value: Any) -> bool:
    return isinstance(value, Module)


def _is_lowered(module: Module, key: str, value: Any) -> bool:
    """All parameters, frozen ones too, but what a module keeps frozen itself (running statistics):
    that is not multiplied with anything, and would lose digits from step to step."""
    keeps = type(module).unfreeze is not Module.unfreeze and key in module._no_grad
    return Module.valid_parameter_filter(module, key, value) and not keeps


def _choose(new_ones: mx.array, state: Any, before: Any) -> None:
    """Puts the leaves of ``before`` back into ``state``, unless the new ones are wanted."""
    for key in state if isinstance(state, dict) else range(len(state)):
        value = state[key]
        if isinstance(value, mx.array):
            state[key] = mx.where(new_ones, value, before[key])
        elif isinstance(value, (dict, list)):
            _choose(new_ones, value, before[key])
