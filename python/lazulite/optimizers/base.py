"""The base of all optimizers, and small helpers of their rules."""

from __future__ import annotations

import math
import numbers
from typing import Any, Optional, Union

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.core._trees import (
    bare_leaves,
    entry,
    has_state,
    is_branch,
    seen_entries,
    walk,
)
from lazulite.nn import Module
from lazulite.optimizers.schedulers import Schedule
from lazulite.utils import tree_unflatten

LearningRate = Union[mx.array, float, Schedule]
State = dict[str, mx.array]  # of one parameter


class Optimizer:
    """The base of all optimizers.

    A new rule gives :meth:`init_single` and :meth:`apply_single`, for one parameter each. The
    state is a dict with ``step`` (uint64), ``learning_rate`` (float32) and, in the form of the
    parameters, a dict of arrays for each of them. It is the same dict always and may be captured
    by :func:`lazulite.core.compile`. Parameters and what is remembered of them keep their dtype,
    but that float16, in which squares of gradients and small terms such as ``eps`` vanish, is
    computed and remembered in float32. Integers and bools, such as positions that a module keeps,
    stay as they are.

    All raise ValueError for numbers without sense: a learning rate or a weight decay that is
    negative, infinite or nan, betas outside of [0, 1). What schedules give, and learning rates that
    are arrays, are not looked at.

    Args:
        schedulers: functions of the step by the name of the entry of ``state`` that they set
            before each step.

    Example:
        >>> import lazulite.core as mx, lazulite.optimizers as optim
        >>> class SignDescent(optim.Optimizer):
        ...     def __init__(self, learning_rate):
        ...         super().__init__()
        ...         self.learning_rate = learning_rate
        ...     def init_single(self, parameter, state):
        ...         pass
        ...     def apply_single(self, gradient, parameter, state):
        ...         return parameter - self.learning_rate * mx.sign(gradient)
        >>> SignDescent(0.5).apply_gradients({"w": mx.array([7.0])}, {"w": mx.array([2.0])})
        {'w': array([1.5], dtype=float32)}
    """

    @checked
    def __init__(self, schedulers: Optional[dict[str, Schedule]] = None) -> None:
        if not isinstance(schedulers, (dict, type(None))):
            got = type(schedulers).__name__
            raise TypeError(f"[{type(self).__name__}] schedulers: got {got}, expected a dict")
        self._state: dict[str, Any] = {"step": mx.array(0, mx.uint64)}
        self._schedulers = dict(schedulers or {})

    @property
    def state(self) -> dict[str, Any]:
        """The dict of all that changes from step to step."""
        return self._state

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self._state = state

    @property
    def step(self) -> mx.array:
        """How many steps have been taken."""
        step: mx.array = self.state["step"]
        return step

    @property
    def learning_rate(self) -> mx.array:
        """The step size, of the last step taken where it follows a schedule; may be set."""
        rate: mx.array = self.state["learning_rate"]
        return rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: LearningRate) -> None:
        self._maybe_schedule("learning_rate", learning_rate)

    def _maybe_schedule(self, name: str, value: LearningRate) -> None:
        """Keep a number in the state, or a schedule with its value at the present step."""
        if callable(value):
            self._schedulers[name] = value
            value = value(self.step)
        elif name == "learning_rate" and isinstance(value, numbers.Real):
            _check_not_negative(type(self).__name__, learning_rate=value)
        self.state[name] = _as_float(value)

    def _rate(self, dtype: mx.Dtype) -> mx.array:
        """The learning rate in the dtype of a gradient, so that halves stay halves."""
        return self.learning_rate.astype(dtype)

    def init(self, parameters: dict[str, Any]) -> None:
        """Make the state of all parameters that have none yet; updates do this by themselves.

        Args:
            parameters: the tree of parameters, or of their gradients.

        Raises:
            ValueError: a parameter has the name of another entry of the state, such as ``step``.
        """
        if not has_state(parameters, self.state):
            self._init_tree(parameters, self.state, "")

    def _init_tree(self, parameters: Any, state: Any, path: str, depth: int = 0) -> Any:
        if depth == 64:
            bare_leaves(parameters, None, type(self).__name__)  # raises where one holds itself
        if isinstance(state, mx.array):
            raise ValueError(f"[{type(self).__name__}] {path!r} is taken: got a parameter with it")
        if isinstance(parameters, dict):
            state = {} if state is None else state
            for key, item in parameters.items():
                state[key] = self._init_tree(item, state.get(key), _join(path, key), depth + 1)
        elif isinstance(parameters, (list, tuple)):
            old = list(state or [])
            state = old + [None] * (len(parameters) - len(old))
            for i, item in enumerate(parameters):
                state[i] = self._init_tree(item, state[i], _join(path, i), depth + 1)
        elif is_branch(parameters):  # a class known to register_tree: as a dict of its fields
            fields = {name: entry(parameters, name) for name in seen_entries(parameters)}
            state = self._init_tree(fields, state, path, depth)
        elif not state:
            state = {}
            if _is_moved(parameters):
                self.init_single(_wide(parameters), state)
        return state

    def init_single(self, parameter: mx.array, state: State) -> None:
        """Fill the empty ``state`` of one parameter."""
        raise NotImplementedError(f"{type(self).__name__} has no init_single")

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        """Take a step for one parameter: change ``state``, return the new parameter."""
        raise NotImplementedError(f"{type(self).__name__} has no apply_single")

    def apply_gradients(
        self, gradients: dict[str, Any], parameters: dict[str, Any]
    ) -> dict[str, Any]:
        """Take a step and return the new parameters, in the form of ``gradients``.

        Args:
            gradients: a tree of gradients.
            parameters: a tree or module that has these parameters, and maybe more.

        Raises:
            KeyError, IndexError: a gradient has no parameter.
        """
        if isinstance(gradients, (list, tuple, mx.array)):  # its state is a dict of names
            raise TypeError(
                f"[{type(self).__name__}] gradients: got {type(gradients).__name__}, expected a "
                "dict of gradients by name, which may hold lists"
            )
        self.init(gradients)
        for name, schedule in self._schedulers.items():
            self.state[name] = _as_float(schedule(self.step))
        self.state["step"] = self.step + 1

        def apply(gradient: Any, parameter: Any, state: State) -> mx.array:
            if _is_plain(gradient) and _is_plain(parameter):
                return self.apply_single(gradient, parameter, state)
            if not (_is_moved(parameter) and _is_moved(gradient)):
                return parameter  # type: ignore[no-any-return]
            new = self.apply_single(_wide(gradient), _wide(parameter), state)
            return new.astype(parameter.dtype) if parameter.dtype == mx.float16 else new

        new: dict[str, Any] = walk(
            apply, gradients, (parameters, self.state), name=type(self).__name__
        )
        return new

    def update(self, model: Module, gradients: dict[str, Any]) -> None:
        """Take a step and put the new parameters into ``model``.

        Raises:
            TypeError: not a model and a tree of gradients.

        Example:
            >>> import lazulite.core as mx, lazulite.nn as nn, lazulite.optimizers as optim
            >>> layer = nn.Linear(1, 1).apply(mx.ones_like)
            >>> optim.SGD(0.5).update(layer, {"bias": mx.array([1.0])})
            >>> layer.bias
            array([0.5], dtype=float32)
        """
        swapped = isinstance(gradients, Module) and not isinstance(model, Module)
        if swapped or not isinstance(model, dict):
            raise TypeError(
                f"[{type(self).__name__}] "
                + ("arguments swapped: " if swapped else "not a model and gradients: ")
                + f"got update({type(model).__name__}, {type(gradients).__name__}), "
                "expected update(model, gradients)"
            )
        model.update(self.apply_gradients(gradients, model))


# Floats that rules compute in as they are.
_PLAIN = frozenset({mx.float32, mx.float64, mx.bfloat16})


def _is_plain(leaf: Any) -> bool:
    return isinstance(leaf, mx.array) and leaf.dtype in _PLAIN


def _is_moved(leaf: Any) -> bool:
    """Whether steps change it: not integers and bools."""
    return not isinstance(leaf, mx.array) or mx.issubdtype(leaf.dtype, mx.inexact)


def _wide(leaf: Any) -> Any:
    return leaf.astype(mx.float32) if getattr(leaf, "dtype", None) == mx.float16 else leaf


def _as_float(value: Union[float, mx.array]) -> mx.array:
    if isinstance(value, mx.array) and mx.issubdtype(value.dtype, mx.floating):
        return value
    return value.astype(mx.float32) if isinstance(value, mx.array) else mx.array(value, mx.float32)


def _check_optimizer(op: str, name: str, value: Any) -> None:
    """One of ours, or what stands where one stood, such as those that hold masks."""
    if not all(hasattr(value, part) for part in ("init", "apply_gradients", "state")):
        raise TypeError(
            f"[{op}] {name}: got {type(value).__name__}, expected an Optimizer"
        )


def _rms(x: mx.array) -> mx.array:
    return mx.sqrt(mx.mean(mx.square(x)))


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _nested(leaves: dict[str, mx.array]) -> dict[str, Any]:
    return tree_unflatten(leaves) if leaves else {}


def _check_not_negative(op: str, **values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < math.inf:
            raise ValueError(f"[{op}] bad {name}: got {value}, expected a finite number >=0")


def _check_share(op: str, **values: float) -> None:
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ValueError(f"[{op}] bad {name}: got {value}, expected a number in [0, 1]")


def _check_positive_eps(op: str, eps: float) -> None:
    if not 0 < eps < math.inf:
        raise ValueError(f"[{op}] eps: got {eps}, expected a finite number >0")


def _check_betas(op: str, betas: list[float]) -> None:
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise ValueError(f"[{op}] bad betas: got {betas}, expected two numbers in [0, 1)")
