"""L-BFGS, whose steps know the curvature along the steps before."""

from __future__ import annotations

from typing import Any, Callable, Literal, Optional

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.core._trees import walk
from lazulite.nn import Module
from lazulite.optimizers.base import (
    LearningRate,
    Optimizer,
    _check_not_negative,
    _is_moved,
    _wide,
)
from lazulite.optimizers.search import strong_wolfe
from lazulite.utils import tree_flatten

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    r"""L-BFGS (Liu and Nocedal, 1989), with PyTorch's rules for steps and for when to stop.

    :meth:`minimize` evaluates the loss as often as it needs, on the same data each time;
    :meth:`~Optimizer.update` takes one iteration with the gradients that it is given and no search
    along the line. Numbers are looked at on the way, so neither can be compiled; the function that
    gives loss and gradients can.

    The state has ``direction``, the gradient before, and the lists ``s`` and ``y`` of the last
    differences of parameters and of gradients, each as one vector of all parameters.

    Args:
        learning_rate: the length of a step, or that with which a search begins.
        max_iter: iterations of one call of :meth:`minimize`.
        max_eval: evaluations of one call; a quarter more than ``max_iter`` by default.
        tolerance_grad: stop where no element of the gradient is larger.
        tolerance_change: stop where a step changes parameters and loss by less.
        history_size: how many steps are remembered.
        line_search: ``"strong_wolfe"``, or None for steps of fixed length.

    Raises:
        ValueError: ``max_iter``, ``max_eval`` or ``history_size`` is not positive, or a tolerance
            negative.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn, lazulite.optimizers as optim
        >>> mx.random.seed(0)
        >>> x = mx.arange(6).reshape(6, 1) / 6
        >>> y = 3 * x - 1
        >>> model = nn.Linear(1, 1)
        >>> step = nn.value_and_grad(model, lambda: nn.losses.mse_loss(model(x), y))
        >>> loss = optim.LBFGS(line_search="strong_wolfe").minimize(model, step)
        >>> mx.allclose(model(x), y, atol=1e-3).item()
        True
    """

    @checked
    def __init__(
        self,
        learning_rate: LearningRate = 1.0,
        max_iter: int = 20,
        max_eval: Optional[int] = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search: Optional[Literal["strong_wolfe"]] = None,
    ) -> None:
        super().__init__()
        if max_iter < 1 or history_size < 1:
            raise ValueError(
                "[LBFGS] max_iter and history_size: "
                f"got {max_iter} and {history_size}, expected 1 or more"
            )
        _check_not_negative(
            "LBFGS", tolerance_grad=tolerance_grad, tolerance_change=tolerance_change
        )
        if max_eval is not None and max_eval < 1:
            raise ValueError(f"[LBFGS] max_eval: got {max_eval}, expected 1 or more")
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
        self.tolerance_grad = tolerance_grad
        self.tolerance_change = tolerance_change
        self.history_size = history_size
        self.line_search = line_search

    def init(self, parameters: dict[str, Any]) -> None:
        """Nothing: what is remembered is of all parameters together."""

    def apply_gradients(
        self, gradients: dict[str, Any], parameters: dict[str, Any]
    ) -> dict[str, Any]:
        """Take one iteration, a step of fixed length, and return the new parameters."""
        values = walk(lambda g, p: p, gradients, (parameters,), name="LBFGS")
        g = _flat(gradients)
        if not self._stops(g):
            self._turn(g)
            values = _moved(values, self._first_length(g), self.state["direction"])
        return values  # type: ignore[no-any-return]

    def minimize(
        self, model: Module, loss_and_grad: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> mx.array:
        """Take up to ``max_iter`` iterations, and put the parameters into ``model``.

        Args:
            model: whose trainable parameters change.
            loss_and_grad: what ``nn.value_and_grad(model, ...)`` gave; called with the rest.

        Returns:
            The loss before the first iteration.
        """
        evaluations = 0

        def evaluate(values: dict[str, Any]) -> tuple[float, mx.array]:
            nonlocal evaluations
            evaluations += 1
            model.update(values)
            loss, gradients = loss_and_grad(*args, **kwargs)
            g = _flat(gradients)
            mx.eval(loss, g)
            return float(loss), g

        values = model.trainable_parameters()
        loss, g = evaluate(values)
        first = mx.array(loss)
        if self._stops(g):
            return first
        for iteration in range(self.max_iter):
            before = loss
            self._turn(g)
            direction, length = self.state["direction"], self._first_length(g)
            slope = float(mx.sum(g * direction))
            if slope > -self.tolerance_change:
                break  # not downhill any more
            if self.line_search is None:
                values = _moved(values, length, direction)
                model.update(values)
                if iteration + 1 < self.max_iter:
                    loss, g = evaluate(values)
            else:
                start = values
                loss, g, length = strong_wolfe(
                    lambda t: evaluate(_moved(start, t, direction)),
                    length,
                    direction,
                    loss,
                    g,
                    slope,
                )
                self.state["length"] = mx.array(length, g.dtype)
                values = _moved(start, length, direction)
                model.update(values)
            change = float(mx.max(mx.abs(direction * length)))
            small = change <= self.tolerance_change or abs(loss - before) < self.tolerance_change
            if evaluations >= self.max_eval or self._stops(g) or small:
                break
        mx.eval(model.parameters(), self.state)
        return first

    def _stops(self, g: mx.array) -> bool:
        return g.size == 0 or float(mx.max(mx.abs(g))) <= self.tolerance_grad

    def _first_length(self, g: mx.array) -> float:
        """The learning rate; less in the first step of all, whose direction is the gradient."""
        length = float(self.learning_rate)
        if int(self.step) == 1:
            length *= min(1.0, 1 / float(mx.sum(mx.abs(g))))
        self.state["length"] = mx.array(length, g.dtype)
        return length

    def _turn(self, g: mx.array) -> None:
        """The direction of the next step, from the gradient and what is remembered."""
        for name, schedule in self._schedulers.items():
            self.state[name] = mx.array(float(schedule(self.step)), mx.float32)
        state = self.state
        if int(self.step) == 0:
            state.update(direction=-g, s=[], y=[], scale=mx.ones((), g.dtype))
        else:
            y, s = g - state["gradient"], state["direction"] * state["length"]
            curvature = float(mx.sum(y * s))
            if curvature > 1e-10:
                state["y"] = [*state["y"], y][-self.history_size :]
                state["s"] = [*state["s"], s][-self.history_size :]
                state["scale"] = mx.sum(y * s) / mx.sum(y * y)
            state["direction"] = _two_loops(-g, state["s"], state["y"], state["scale"])
        state["gradient"] = g
        state["step"] = self.step + 1
        mx.eval(state)


def _two_loops(q: mx.array, s: list[mx.array], y: list[mx.array], scale: mx.array) -> mx.array:
    """The inverse of the curvature times q: from the last step to the first, and back."""
    weights = []
    rates = [1 / mx.sum(a * b) for a, b in zip(s, y)]
    for a, b, rate in zip(reversed(s), reversed(y), reversed(rates)):
        weight = mx.sum(a * q) * rate
        weights.append(weight)
        q = q - weight * b
    q = q * scale
    for a, b, rate, weight in zip(s, y, rates, reversed(weights)):
        q = q + (weight - mx.sum(b * q) * rate) * a
    return q


def _flat(tree: Any) -> mx.array:
    """All of a tree as one vector; of float16, whose products vanish or overflow, in float32."""
    leaves = [leaf.reshape(-1) for _, leaf in tree_flatten(tree) if _is_moved(leaf)]
    leaves = [_wide(leaf) for leaf in leaves]
    return mx.concatenate(leaves) if leaves else mx.zeros((0,))


def _moved(values: Any, length: float, direction: mx.array) -> Any:
    """The parameters a step further."""
    at = 0

    def moved(value: mx.array) -> mx.array:
        nonlocal at
        if not _is_moved(value):
            return value
        part = direction[at : at + value.size].reshape(value.shape)
        at += value.size
        return value + (length * part).astype(value.dtype)

    return walk(moved, values, name="LBFGS")
