"""One step of an optimizer for several batches."""

from __future__ import annotations

from typing import Any

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.core._trees import tracing
from lazulite.nn import Module
from lazulite.optimizers.base import LearningRate, _check_optimizer
from lazulite.utils import tree_flatten, tree_map, tree_map_with_path, tree_merge

__all__ = ["GradientAccumulation"]


class GradientAccumulation:
    """An optimizer that takes a step with the mean of several gradients.

    Stands where the optimizer stood. Gradients are summed in float32 at least. The function that
    gives loss and gradients may be compiled; ``update`` itself, which acts in every n-th call
    alone, may not.

    Args:
        optimizer: takes the steps.
        steps: how many gradients make one step.

    Raises:
        ValueError: ``steps`` is not positive; or when called in a function that is compiled.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn, lazulite.optimizers as optim
        >>> layer = nn.Linear(1, 1).apply(mx.ones_like)
        >>> optimizer = optim.GradientAccumulation(optim.SGD(0.5), steps=2)
        >>> optimizer.update(layer, {"bias": mx.array([1.0])})
        False
        >>> optimizer.update(layer, {"bias": mx.array([3.0])}), layer.bias
        (True, array([0], dtype=float32))
    """

    @checked
    def __init__(self, optimizer: Any, steps: int) -> None:
        _check_optimizer("GradientAccumulation", "optimizer", optimizer)
        if steps < 1:
            raise ValueError(f"[GradientAccumulation] steps: got {steps}, expected 1 or more")
        self.optimizer = optimizer
        self.steps = steps
        self._state: dict[str, Any] = {"count": mx.array(0, mx.uint32), "sum": {}}

    @property
    def state(self) -> dict[str, Any]:
        """The dict of the sum, of how many gradients are in it, and of the optimizer's state."""
        self._state["optimizer"] = self.optimizer.state
        return self._state

    @property
    def learning_rate(self) -> mx.array:
        """That of the optimizer; may be set."""
        rate: mx.array = self.optimizer.learning_rate
        return rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: LearningRate) -> None:
        self.optimizer.learning_rate = learning_rate

    def update(self, model: Module, gradients: dict[str, Any]) -> bool:
        """Add gradients; with the last of ``steps``, take a step. Returns whether it was taken."""
        if tracing():
            raise ValueError(
                "[GradientAccumulation] update inside of a compiled function: it acts in every "
                f"{self.steps}th call alone; compile the function that gives loss and gradients"
            )
        state = self._state
        count = int(state["count"]) + 1

        def wide(g: mx.array) -> mx.array:
            return g.astype(mx.result_type(g, mx.float32))

        if count == 1:
            state["sum"] = tree_map(wide, gradients)
        else:
            # a parameter that was frozen or made meanwhile has fewer of them
            state["sum"] = tree_merge(state["sum"], tree_map(wide, gradients), mx.add)
        mx.eval(state["sum"])  # the graph behind each batch ends here, and its memory is free
        state["count"] = mx.array(count % self.steps, mx.uint32)
        if count < self.steps:
            return False
        kinds = dict(tree_flatten(gradients))

        def mean_of(path: str, total: mx.array) -> mx.array:
            mean = total / count
            return mean.astype(kinds[path].dtype) if path in kinds else mean

        mean = tree_map_with_path(mean_of, state["sum"])
        state["sum"] = {}
        self.optimizer.update(model, mean)
        return True
