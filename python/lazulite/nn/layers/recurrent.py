"""Recurrent layers: a loop over the axis before the last, whose products of inputs are one."""

import math
from typing import Any, Callable, Optional

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.nn.module import Module

__all__ = ["GRU", "LSTM", "RNN"]


class _Recurrent(Module):
    hidden_size: int

    def _sizes(self, input_size: int, hidden_size: int) -> None:
        if input_size < 1 or hidden_size < 1:
            raise ValueError(
                f"[{type(self).__name__}] got input_size={input_size}, hidden_size={hidden_size}, "
                "expected 1 or more"
            )
        self.hidden_size = hidden_size

    def _uniform(self, *shape: int) -> mx.array:
        bound = 1 / math.sqrt(self.hidden_size)
        return mx.random.uniform(-bound, bound, shape)

    def _inputs(self, x: mx.array, weight: mx.array, bias: Optional[mx.array]) -> mx.array:
        """Of all steps, which lie along the first axis: x @ weight.T + bias."""
        if x.ndim < 2 or x.shape[-1] != weight.shape[1]:
            raise ValueError(
                f"[{type(self).__name__}] got an input of shape {x.shape}, expected (..., steps, "
                f"{weight.shape[1]})"
            )
        rows = mx.moveaxis(x, -2, 0)
        return rows @ weight.T if bias is None else mx.addmm(bias, rows, weight.T)

    def _states(self, inputs: mx.array, *given: Optional[mx.array]) -> list[mx.array]:
        """What the loop carries, zeros where nothing is given, as wide as what it becomes."""
        own, dtype = self.hidden_size, inputs.dtype
        shape = inputs.shape[1:-1]
        for state in given:
            if state is None:
                continue
            if state.ndim == 0 or state.shape[-1] != own:
                raise ValueError(
                    f"[{type(self).__name__}] got a state of shape {state.shape}, expected "
                    f"(..., {own})"
                )
            shape = mx.broadcast_shapes(shape, state.shape[:-1])
            dtype = mx.result_type(dtype, state.dtype)
        wide = (*shape, own)
        return [
            mx.zeros(wide, dtype) if s is None else mx.broadcast_to(s.astype(dtype), wide)
            for s in given
        ]


def _unrolled(
    step: Callable[..., tuple[mx.array, ...]], inputs: mx.array, states: list[mx.array]
) -> list[mx.array]:
    """The states after each of the steps, which lie along the axis before the last."""
    if inputs.shape[0] == 1:
        return [mx.expand_dims(s, -2) for s in step(inputs[0], *states)]

    def go(carry: tuple[mx.array, ...], x: mx.array) -> tuple[Any, Any]:
        after = step(x, *carry)
        return after, after

    return [mx.moveaxis(s, 0, -2) for s in mx.scan(go, tuple(states), inputs)[1]]


class RNN(_Recurrent):
    """A recurrent layer (Elman, 1990) over ``(batch, steps, inputs)`` or ``(steps, inputs)``.

    ``h = tanh(x @ Wxh.T + h @ Whh.T + bias)`` for one step after the other; the result has the
    states after each of them, ``(batch, steps, hidden_size)``. The parameters ``Wxh``
    ``(hidden_size, input_size)``, ``Whh`` ``(hidden_size, hidden_size)`` and ``bias`` begin uniform
    in +-1/sqrt(hidden_size).

    Args:
        input_size: the last axis of the input.
        hidden_size: the last axis of the states.
        bias: whether there is a ``bias``.
        nonlinearity: a function instead of tanh.

    Raises:
        ValueError: for sizes below 1; called, for an input or a state of another size.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.RNN(3, 4)(mx.zeros((2, 5, 3))).shape
        (2, 5, 4)
    """

    @checked
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: Optional[Callable[..., Any]] = None,
    ) -> None:
        super().__init__()
        self._sizes(input_size, hidden_size)
        self.nonlinearity = nonlinearity or mx.tanh
        self.Wxh = self._uniform(hidden_size, input_size)
        self.Whh = self._uniform(hidden_size, hidden_size)
        self.bias = self._uniform(hidden_size) if bias else None

    def _extra_repr(self) -> str:
        name = getattr(self.nonlinearity, "__name__", None) or type(self.nonlinearity).__name__
        return (
            f"input_dims={self.Wxh.shape[1]}, hidden_size={self.hidden_size}, "
            f"nonlinearity={name}, bias={self.bias is not None}"
        )

    def __call__(self, x: mx.array, hidden: Optional[mx.array] = None) -> mx.array:
        inputs = self._inputs(x, self.Wxh, self.bias)
        weight = mx.contiguous(self.Whh.T)  # once, for all steps

        def step(x: mx.array, h: mx.array) -> tuple[mx.array, ...]:
            return (self.nonlinearity(x + h @ weight),)

        return _unrolled(step, inputs, self._states(inputs, hidden))[0]


class GRU(_Recurrent):
    """Gated recurrent units (Cho et al., 2014) over ``(batch, steps, inputs)`` or ``(steps,
    inputs)``.

    For one step after the other::

        r = sigmoid(x @ Wxr.T + h @ Whr.T + br)
        z = sigmoid(x @ Wxz.T + h @ Whz.T + bz)
        n = tanh(x @ Wxn.T + bn + r * (h @ Whn.T + bhn))
        h = (1 - z) * n + z * h

    The result has the states after each step, ``(batch, steps, hidden_size)``. ``Wx``
    ``(3 * hidden_size, input_size)``, ``Wh`` ``(3 * hidden_size, hidden_size)`` and ``b`` hold what
    belongs to r, z and n, one below the other; ``bhn`` is apart. All begin uniform in
    +-1/sqrt(hidden_size). Without ``hidden`` the first state is zero.

    Args:
        input_size: the last axis of the input.
        hidden_size: the last axis of the states.
        bias: whether there are ``b`` and ``bhn``.

    Raises:
        ValueError: for sizes below 1; called, for an input or a state of another size.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.GRU(3, 4)(mx.zeros((2, 5, 3))).shape
        (2, 5, 4)
    """

    @checked
    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__()
        self._sizes(input_size, hidden_size)
        self.Wx = self._uniform(3 * hidden_size, input_size)
        self.Wh = self._uniform(3 * hidden_size, hidden_size)
        self.b = self._uniform(3 * hidden_size) if bias else None
        self.bhn = self._uniform(hidden_size) if bias else None

    def _extra_repr(self) -> str:
        return (
            f"input_dims={self.Wx.shape[1]}, hidden_size={self.hidden_size}, "
            f"bias={self.b is not None}"
        )

    def __call__(self, x: mx.array, hidden: Optional[mx.array] = None) -> mx.array:
        inputs = self._inputs(x, self.Wx, self.b)
        weight, own = mx.contiguous(self.Wh.T), self.hidden_size

        def step(x: mx.array, h: mx.array) -> tuple[mx.array, ...]:
            of_h = h @ weight
            r = mx.sigmoid(x[..., :own] + of_h[..., :own])
            z = mx.sigmoid(x[..., own : 2 * own] + of_h[..., own : 2 * own])
            last = of_h[..., 2 * own :]
            n = mx.tanh(x[..., 2 * own :] + r * (last if self.bhn is None else last + self.bhn))
            return ((1 - z) * n + z * h,)

        return _unrolled(step, inputs, self._states(inputs, hidden))[0]


class LSTM(_Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997) over ``(batch, steps, inputs)`` or
    ``(steps, inputs)``.

    For one step after the other::

        i, f, g, o = split(x @ Wx.T + h @ Wh.T + bias, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)

    The result is a pair: the hidden states h and the cells c after each step, each of shape
    ``(batch, steps, hidden_size)``. ``Wx`` ``(4 * hidden_size, input_size)``, ``Wh``
    ``(4 * hidden_size, hidden_size)`` and ``bias`` begin uniform in +-1/sqrt(hidden_size). States
    that are not given are zero.

    Args:
        input_size: the last axis of the input.
        hidden_size: the last axis of the states.
        bias: whether there is a ``bias``.

    Raises:
        ValueError: for sizes below 1; called, for an input or a state of another size.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> hidden, cell = nn.LSTM(3, 4)(mx.zeros((2, 5, 3)))
        >>> hidden.shape, cell.shape
        ((2, 5, 4), (2, 5, 4))
    """

    @checked
    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__()
        self._sizes(input_size, hidden_size)
        self.Wx = self._uniform(4 * hidden_size, input_size)
        self.Wh = self._uniform(4 * hidden_size, hidden_size)
        self.bias = self._uniform(4 * hidden_size) if bias else None

    def _extra_repr(self) -> str:
        return (
            f"input_dims={self.Wx.shape[1]}, hidden_size={self.hidden_size}, "
            f"bias={self.bias is not None}"
        )

    def __call__(
        self, x: mx.array, hidden: Optional[mx.array] = None, cell: Optional[mx.array] = None
    ) -> tuple[mx.array, mx.array]:
        inputs = self._inputs(x, self.Wx, self.bias)
        weight = mx.contiguous(self.Wh.T)  # once, for all steps

        def step(x: mx.array, h: mx.array, c: mx.array) -> tuple[mx.array, ...]:
            i, f, g, o = mx.split(x + h @ weight, 4, axis=-1)
            c = mx.sigmoid(f) * c + mx.sigmoid(i) * mx.tanh(g)
            return mx.sigmoid(o) * mx.tanh(c), c

        states = _unrolled(step, inputs, self._states(inputs, hidden, cell))
        return states[0], states[1]
