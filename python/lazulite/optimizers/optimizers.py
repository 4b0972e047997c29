"""Optimizers, each as its formula in ``apply_single``."""

from __future__ import annotations

import math
from typing import Any, Callable, Optional

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.core._trees import bare_leaves, walk
from lazulite.optimizers.base import (
    LearningRate,
    Optimizer,
    State,
    _check_betas,
    _check_not_negative,
    _check_optimizer,
    _check_positive_eps,
    _check_share,
    _nested,
    _rms,
)
from lazulite.utils import tree_flatten

__all__ = [
    "AdaDelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "MultiOptimizer",
    "Muon",
    "Optimizer",
    "RMSprop",
    "SGD",
    "clip_grad_norm",
]


class SGD(Optimizer):
    r"""Stochastic gradient descent with momentum (Sutskever et al., 2013).

    .. math::

        g &\leftarrow g + \lambda w \\
        v &\leftarrow \mu v + (1 - \tau) g \\
        w &\leftarrow w - \alpha v

    With ``nesterov`` the last line has :math:`g + \mu v` in place of v.

    Args:
        learning_rate: alpha, a number or a schedule.
        momentum: mu.
        weight_decay: lambda.
        dampening: tau.
        nesterov: whether to look ahead.

    Raises:
        ValueError: ``nesterov`` without momentum or with dampening; a negative ``momentum``.

    Example:
        >>> import lazulite.core as mx, lazulite.optimizers as optim
        >>> optim.SGD(0.5).apply_gradients({"w": mx.array([1.0])}, {"w": mx.array([2.0])})
        {'w': array([1.5], dtype=float32)}
    """

    @checked
    def __init__(
        self,
        learning_rate: LearningRate,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        dampening: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__()
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError(
                "[SGD] nesterov needs a momentum and no dampening: "
                f"got momentum {momentum} and dampening {dampening}"
            )
        _check_not_negative("SGD", momentum=momentum, weight_decay=weight_decay)
        if not math.isfinite(dampening):
            raise ValueError(f"[SGD] bad dampening: got {dampening}, expected a finite number")
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.dampening = dampening
        self.nesterov = nesterov

    def init_single(self, parameter: mx.array, state: State) -> None:
        state["v"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        rate = self._rate(gradient.dtype)
        if self.weight_decay != 0:
            gradient = gradient + self.weight_decay * parameter
        if self.momentum <= 0:
            return parameter - rate * gradient
        v = state["v"] = self.momentum * state["v"] + (1 - self.dampening) * gradient
        return parameter - rate * (gradient + self.momentum * v if self.nesterov else v)


class RMSprop(Optimizer):
    r"""RMSprop (Tieleman and Hinton, 2012).

    .. math::

        v &\leftarrow \rho v + (1 - \rho) g^2 \\
        w &\leftarrow w - \alpha \frac{g}{\sqrt v + \epsilon}

    Args:
        learning_rate: a number or a schedule.
        alpha: rho.
        eps: epsilon.

    Raises:
        ValueError: ``alpha`` is outside of [0, 1], or ``eps`` not positive.

    Example:
        >>> import lazulite.core as mx, lazulite.optimizers as optim
        >>> rule = optim.RMSprop(1.0, alpha=0.75, eps=1e-9)
        >>> rule.apply_gradients({"w": mx.array([8.0])}, {"w": mx.array([5.0])})
        {'w': array([3], dtype=float32)}
    """

    @checked
    def __init__(self, learning_rate: LearningRate, alpha: float = 0.99, eps: float = 1e-8) -> None:
        super().__init__()
        _check_share("RMSprop", alpha=alpha)
        _check_positive_eps("RMSprop", eps)
        self.learning_rate = learning_rate
        self.alpha = alpha
        self.eps = eps

    def init_single(self, parameter: mx.array, state: State) -> None:
        state["v"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        rate = self._rate(gradient.dtype)
        v = state["v"] = self.alpha * state["v"] + (1 - self.alpha) * mx.square(gradient)
        return parameter - rate * gradient / (mx.sqrt(v) + self.eps)


class Adagrad(Optimizer):
    r"""Adagrad (Duchi et al., 2011).

    .. math::

        v &\leftarrow v + g^2 \\
        w &\leftarrow w - \alpha \frac{g}{\sqrt v + \epsilon}

    Args:
        learning_rate: alpha, a number or a schedule.
        eps: epsilon.

    Raises:
        ValueError: ``eps`` is not positive.

    Example:
        >>> import lazulite.core as mx, lazulite.optimizers as optim
        >>> rule = optim.Adagrad(1.0, eps=1e-9)
        >>> rule.apply_gradients({"w": mx.array([8.0])}, {"w": mx.array([5.0])})
        {'w': array([4], dtype=float32)}
    """

    @checked
    def __init__(self, learning_rate: LearningRate, eps: float = 1e-8) -> None:
        super().__init__()
        _check_positive_eps("Adagrad", eps)
        self.learning_rate = learning_rate
        self.eps = eps

    def init_single(self, parameter: mx.array, state: State) -> None:
        state["v"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        rate = self._rate(gradient.dtype)
        v = state["v"] = state["v"] + mx.square(gradient)
        return parameter - rate * gradient / (mx.sqrt(v) + self.eps)


class AdaDelta(Optimizer):
    r"""AdaDelta (Zeiler, 2012).

    .. math::

        v &\leftarrow \rho v + (1 - \rho) g^2 \\
        d &= \frac{\sqrt{u + \epsilon}}{\sqrt{v + \epsilon}} g \\
        u &\leftarrow \rho u + (1 - \rho) d^2 \\
        w &\leftarrow w - \alpha d

    Args:
        learning_rate: alpha, a number or a schedule.
        rho: rho.
        eps: epsilon.

    Raises:
        ValueError: ``rho`` is outside of [0, 1], or ``eps`` not positive.

    Example:
        >>> import lazulite.core as mx, lazulite.optimizers as optim
        >>> rule = optim.AdaDelta(1.0, rho=0.0, eps=1.0)
        >>> rule.apply_gradients({"w": mx.array([0.0])}, {"w": mx.array([5.0])})
        {'w': array([5], dtype=float32)}
    """

    @checked
    def __init__(self, learning_rate: LearningRate, rho: float = 0.9, eps: float = 1e-6) -> None:
        super().__init__()
        _check_share("AdaDelta", rho=rho)
        _check_positive_eps("AdaDelta", eps)
        self.learning_rate = learning_rate
        self.rho = rho
        self.eps = eps

    def init_single(self, parameter: mx.array, state: State) -> None:
        state["v"] = mx.zeros_like(parameter)
        state["u"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        rate = self._rate(gradient.dtype)
        u = state["u"]
        v = state["v"] = self.rho * state["v"] + (1 - self.rho) * mx.square(gradient)
        d = mx.sqrt(u + self.eps) / mx.sqrt(v + self.eps) * gradient
        state["u"] = self.rho * u + (1 - self.rho) * mx.square(d)
        return parameter - rate * d


class Adam(Optimizer):
    r"""Adam (Kingma and Ba, 2015).

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        w &\leftarrow w - \alpha \frac{m}{\sqrt v + \epsilon}

    With ``bias_correction``, at step t, m is divided by :math:`1 - \beta_1^t` and v by
    :math:`1 - \beta_2^t` in the last line, as in the paper; without it the first steps are larger.

    Args:
        learning_rate: alpha, a number or a schedule.
        betas: beta 1 and beta 2.
        eps: epsilon.
        bias_correction: whether to correct.

    Raises:
        ValueError: a beta is outside of [0, 1), or ``eps`` is negative.

    Example:
        >>> import lazulite.core as mx, lazulite.optimizers as optim
        >>> rule = optim.Adam(1.0, betas=[0.5, 0.75], eps=0)
        >>> rule.apply_gradients({"w": mx.array([8.0])}, {"w": mx.array([5.0])})
        {'w': array([4], dtype=float32)}
    """

    @checked
    def __init__(
        self,
        learning_rate: LearningRate,
        betas: list[float] = [0.9, 0.999],
        eps: float = 1e-8,
        bias_correction: bool = False,
    ) -> None:
        super().__init__()
        _check_betas(type(self).__name__, betas)
        _check_not_negative(type(self).__name__, eps=eps)
        self.learning_rate = learning_rate
        self.betas = betas
        self.eps = eps
        self.bias_correction = bias_correction

    def init_single(self, parameter: mx.array, state: State) -> None:
        state["m"] = mx.zeros_like(parameter)
        state["v"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        b1, b2 = self.betas
        m = state["m"] = b1 * state["m"] + (1 - b1) * gradient
        v = state["v"] = b2 * state["v"] + (1 - b2) * mx.square(gradient)
        if not self.bias_correction:
            return parameter - self._rate(gradient.dtype) * m / (mx.sqrt(v) + self.eps)
        rate = (self.learning_rate / (1 - b1**self.step)).astype(gradient.dtype)
        root = mx.rsqrt(1 - b2**self.step).astype(gradient.dtype)
        return parameter - rate * m / (mx.sqrt(v) * root + self.eps)


class AdamW(Adam):
    r"""Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    :math:`w \leftarrow (1 - \alpha \lambda) w` before the step of :class:`Adam`.

    Args:
        learning_rate: alpha, a number or a schedule.
        betas: beta 1 and beta 2.
        eps: epsilon.
        weight_decay: lambda.
        bias_correction: whether to correct.

    Raises:
        ValueError: a beta is outside of [0, 1), or ``eps`` is negative.

    Example:
        >>> import lazulite.core as mx, lazulite.optimizers as optim
        >>> rule = optim.AdamW(0.5, eps=1.0, weight_decay=0.5)
        >>> rule.apply_gradients({"w": mx.array([0.0])}, {"w": mx.array([4.0])})
        {'w': array([3], dtype=float32)}
    """

    @checked
    def __init__(
        self,
        learning_rate: LearningRate,
        betas: list[float] = [0.9, 0.999],
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        bias_correction: bool = False,
    ) -> None:
        super().__init__(learning_rate, betas, eps, bias_correction)
        _check_not_negative(type(self).__name__, weight_decay=weight_decay)
        self.weight_decay = weight_decay

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        decay = 1 - self._rate(gradient.dtype) * self.weight_decay
        return super().apply_single(gradient, parameter * decay, state)


class Adamax(Adam):
    r"""Adamax (Kingma and Ba, 2015): Adam with the maximum norm, without bias correction.

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow \max(\beta_2 v, |g|) \\
        w &\leftarrow w - \alpha \frac{m}{v + \epsilon}

    Args:
        learning_rate: alpha, a number or a schedule.
        betas: beta 1 and beta 2.
        eps: epsilon.

    Raises:
        ValueError: a beta is outside of [0, 1), or ``eps`` is negative.

    Example:
        >>> import lazulite.core as mx, lazulite.optimizers as optim
        >>> rule = optim.Adamax(1.0, betas=[0.5, 0.5], eps=0)
        >>> rule.apply_gradients({"w": mx.array([8.0])}, {"w": mx.array([5.0])})
        {'w': array([4.5], dtype=float32)}
    """

    @checked
    def __init__(
        self,
        learning_rate: LearningRate,
        betas: list[float] = [0.9, 0.999],
        eps: float = 1e-8,
    ) -> None:
        super().__init__(learning_rate, betas, eps)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        b1, b2 = self.betas
        m = state["m"] = b1 * state["m"] + (1 - b1) * gradient
        v = state["v"] = mx.maximum(b2 * state["v"], mx.abs(gradient))
        return parameter - self._rate(gradient.dtype) * m / (v + self.eps)


class Lion(Optimizer):
    r"""Lion (Chen et al., 2023): steps of one size, by the sign of a momentum.

    .. math::

        c &= \beta_1 m + (1 - \beta_1) g \\
        m &\leftarrow \beta_2 m + (1 - \beta_2) g \\
        w &\leftarrow (1 - \alpha \lambda) w - \alpha \, \text{sign}(c)

    Wants a learning rate three to ten times smaller than Adam's, and a weight decay as much larger.

    Args:
        learning_rate: alpha, a number or a schedule.
        betas: beta 1 and beta 2.
        weight_decay: lambda.

    Raises:
        ValueError: a beta is outside of [0, 1).

    Example:
        >>> import lazulite.core as mx, lazulite.optimizers as optim
        >>> optim.Lion(0.5).apply_gradients({"w": mx.array([8.0])}, {"w": mx.array([5.0])})
        {'w': array([4.5], dtype=float32)}
    """

    @checked
    def __init__(
        self,
        learning_rate: LearningRate,
        betas: list[float] = [0.9, 0.99],
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__()
        _check_betas("Lion", betas)
        _check_not_negative("Lion", weight_decay=weight_decay)
        self.learning_rate = learning_rate
        self.betas = betas
        self.weight_decay = weight_decay

    def init_single(self, parameter: mx.array, state: State) -> None:
        state["m"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        rate = self._rate(gradient.dtype)
        b1, b2 = self.betas
        m = state["m"]
        state["m"] = b2 * m + (1 - b2) * gradient
        if self.weight_decay > 0:
            parameter = (1 - rate * self.weight_decay) * parameter
        return parameter - rate * mx.sign(b1 * m + (1 - b1) * gradient)


class Adafactor(Optimizer):
    r"""Adafactor (Shazeer and Stern, 2018): second moments of matrices as a row and a column.

    The squares :math:`g^2 + \epsilon_1` are averaged with :math:`\beta_2 = 1 - t^{c}` over rows
    (r) and over columns (s); the step is g divided by the root of :math:`r s^\top / E[r]`, clipped
    to the root mean square ``clip_threshold``. Parameters with fewer than 2 axes keep all squares.

    Args:
        learning_rate: a number or a schedule; needed without ``relative_step``.
        eps: epsilon 1, and the least scale of a parameter.
        clip_threshold: the largest root mean square of a step before scaling.
        decay_rate: c.
        beta_1: with it, steps are averaged as in Adam.
        weight_decay: parameters shrink by this times the learning rate.
        scale_parameter: whether steps are multiplied by the root mean square of the parameter.
        relative_step: use the learning rate :math:`\min(10^{-2}, 1 / \sqrt t)` and not the given.
        warmup_init: with ``relative_step``, begin with :math:`10^{-6} t` in place of 0.01.

    Raises:
        ValueError: neither ``learning_rate`` nor ``relative_step``; or ``eps`` is not a positive
            number and one of 0 or more.

    Example:
        >>> import lazulite.core as mx, lazulite.optimizers as optim
        >>> rule = optim.Adafactor(0.5, relative_step=False, scale_parameter=False)
        >>> rule.apply_gradients({"w": mx.array([8.0])}, {"w": mx.array([5.0])})
        {'w': array([4.5], dtype=float32)}
    """

    @checked
    def __init__(
        self,
        learning_rate: Optional[LearningRate] = None,
        eps: tuple[float, float] = (1e-30, 1e-3),
        clip_threshold: float = 1.0,
        decay_rate: float = -0.8,
        beta_1: Optional[float] = None,
        weight_decay: float = 0.0,
        scale_parameter: bool = True,
        relative_step: bool = True,
        warmup_init: bool = False,
    ) -> None:
        super().__init__()
        if learning_rate is not None:
            self.learning_rate = learning_rate
        elif not relative_step:
            raise ValueError(
                "[Adafactor] no step size: got neither learning_rate nor relative_step"
            )
        if len(eps) != 2:
            raise ValueError(f"[Adafactor] eps: got {len(eps)} numbers, expected two")
        _check_positive_eps("Adafactor", eps[0])
        _check_not_negative("Adafactor", eps=eps[1], weight_decay=weight_decay)
        if not clip_threshold > 0:
            got = f"got {clip_threshold}, expected a number >0"
            raise ValueError(f"[Adafactor] bad clip_threshold: {got}")
        if not -math.inf < decay_rate <= 0:
            got = f"got {decay_rate}, expected a finite number <=0"
            raise ValueError(f"[Adafactor] bad decay_rate: {got}")
        if beta_1 is not None and not 0 <= beta_1 < 1:
            raise ValueError(f"[Adafactor] bad beta_1: got {beta_1}, expected a number in [0, 1)")
        self.eps = eps
        self.clip_threshold = clip_threshold
        self.decay_rate = decay_rate
        self.beta_1 = beta_1
        self.weight_decay = weight_decay
        self.scale_parameter = scale_parameter
        self.relative_step = relative_step
        self.warmup_init = warmup_init

    def init_single(self, parameter: mx.array, state: State) -> None:
        if parameter.ndim >= 2:
            *leading, rows, columns = parameter.shape
            state["exp_avg_sq_row"] = mx.zeros((*leading, rows), parameter.dtype)
            state["exp_avg_sq_col"] = mx.zeros((*leading, columns), parameter.dtype)
        else:
            state["exp_avg_sq"] = mx.zeros_like(parameter)
        if self.beta_1 is not None:
            state["exp_avg"] = mx.zeros_like(parameter)

    def _scaled_rate(self, parameter: mx.array) -> mx.array:
        if self.relative_step:
            ceiling = 1e-6 * self.step if self.warmup_init else 1e-2
            rate = mx.minimum(ceiling, mx.rsqrt(self.step))
        else:
            rate = self.learning_rate
        rate = rate.astype(parameter.dtype)
        return rate * mx.maximum(self.eps[1], _rms(parameter)) if self.scale_parameter else rate

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        b2 = (1 - self.step**self.decay_rate).astype(gradient.dtype)

        def average(name: str, value: mx.array) -> mx.array:
            state[name] = b2 * state[name] + (1 - b2) * value
            return state[name]

        squares = mx.square(gradient) + self.eps[0]
        if gradient.ndim >= 2:
            r = average("exp_avg_sq_row", mx.mean(squares, axis=-1))
            s = average("exp_avg_sq_col", mx.mean(squares, axis=-2))
            r = mx.rsqrt(r / mx.mean(r, axis=-1, keepdims=True))
            update = gradient * mx.expand_dims(r, -1) * mx.expand_dims(mx.rsqrt(s), -2)
        else:
            update = gradient * mx.rsqrt(average("exp_avg_sq", squares))
        rate = self._scaled_rate(parameter)
        update = rate * update / mx.maximum(1, _rms(update) / self.clip_threshold)

        if self.beta_1 is not None:
            state["exp_avg"] = self.beta_1 * state["exp_avg"] + (1 - self.beta_1) * update
            update = state["exp_avg"]
        if self.weight_decay != 0:
            parameter = parameter - self.weight_decay * rate * parameter
        return parameter - update


class Muon(Optimizer):
    r"""Muon (Jordan et al., 2024): momentum steps of matrices, made orthogonal.

    The steps of :class:`SGD` with momentum, :math:`v \leftarrow \mu v + (1 - \mu) (g + \lambda w)`,
    with all singular values brought near 1 by ``ns_steps`` Newton-Schulz iterations of the fifth
    order, times :math:`\sqrt{\max(1, \text{rows} / \text{columns})}`. Further axes count as
    columns; parameters with fewer than 2 axes take the step as it is.

    Args:
        learning_rate: a number or a schedule.
        momentum: mu.
        weight_decay: lambda.
        nesterov: step by :math:`(1 - \mu) g + \mu v` in place of v.
        ns_steps: how many iterations.

    Example:
        >>> import lazulite.core as mx, lazulite.optimizers as optim
        >>> rule = optim.Muon(0.1, weight_decay=0.0)
        >>> new = rule.apply_gradients({"w": 5 * mx.eye(2)}, {"w": mx.zeros((2, 2))})["w"]
        >>> 0.05 < -new[0, 0].item() < 0.15
        True
    """

    @checked
    def __init__(
        self,
        learning_rate: LearningRate,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
        nesterov: bool = True,
        ns_steps: int = 5,
    ) -> None:
        super().__init__()
        _check_share("Muon", momentum=momentum)
        _check_not_negative("Muon", weight_decay=weight_decay, ns_steps=ns_steps)
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.nesterov = nesterov
        self.ns_steps = ns_steps

    def init_single(self, parameter: mx.array, state: State) -> None:
        state["v"] = mx.zeros_like(parameter)

    def _orthogonalize(self, matrix: mx.array) -> mx.array:
        a, b, c = 3.4445, -4.7750, 2.0315  # steep at 0: a singular value of 0.01 arrives in 5 steps
        wide = matrix.shape[0] <= matrix.shape[1]
        x = matrix if wide else matrix.T
        x = x / (mx.sqrt(mx.sum(mx.square(x))) + 1e-7)
        for _ in range(self.ns_steps):
            gram = x @ x.T
            x = a * x + (b * gram + c * (gram @ gram)) @ x
        return x if wide else x.T

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        rate = self._rate(gradient.dtype)
        mu = self.momentum
        if self.weight_decay != 0:
            gradient = gradient + self.weight_decay * parameter
        v = state["v"] = mu * state["v"] + (1 - mu) * gradient
        update = (1 - mu) * gradient + mu * v if self.nesterov else v
        if update.ndim >= 2:
            matrix = update.reshape(update.shape[0], math.prod(update.shape[1:]))
            rows, columns = matrix.shape
            scale = math.sqrt(max(1, rows / max(columns, 1)))
            update = scale * self._orthogonalize(matrix).reshape(update.shape)
        return parameter - rate * update


def _every(path: str, weight: mx.array) -> bool:
    return True


class MultiOptimizer(Optimizer):
    """Different optimizers for different parameters.

    Args:
        optimizers: the optimizers.
        filters: functions of path and parameter, one for each optimizer but the last. A parameter
            belongs to the first optimizer whose filter returns True, else to the last.

    Raises:
        ValueError: there is not one filter fewer than optimizers.

    Example:
        >>> import lazulite.core as mx, lazulite.optimizers as optim
        >>> rule = optim.MultiOptimizer(
        ...     [optim.SGD(1.0), optim.SGD(0.5)], [lambda path, weight: "bias" in path]
        ... )
        >>> ones = {"weight": mx.array([1.0]), "bias": mx.array([1.0])}
        >>> rule.apply_gradients(ones, ones)
        {'weight': array([0.5], dtype=float32), 'bias': array([0], dtype=float32)}
    """

    @checked
    def __init__(
        self,
        optimizers: list[Any],
        filters: list[Callable[[str, mx.array], bool]] = [],
    ) -> None:
        super().__init__()
        for one in optimizers:
            _check_optimizer("MultiOptimizer", "optimizers", one)
        if len(filters) != len(optimizers) - 1:
            raise ValueError(
                f"[MultiOptimizer] wrong number of filters: got {len(filters)} for "
                f"{len(optimizers)} optimizers, expected {len(optimizers) - 1}"
            )
        self.optimizers = list(optimizers)
        self.filters: list[Callable[[str, mx.array], bool]] = [*filters, _every]

    @property
    def state(self) -> dict[str, Any]:
        """``{"states": [...]}`` of the optimizers."""
        return {"states": [optimizer.state for optimizer in self.optimizers]}

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        if len(state.get("states", ())) != len(self.optimizers):
            raise ValueError(
                "[MultiOptimizer] bad state: "
                f"expected a dict with 'states', a list of {len(self.optimizers)}"
            )
        for optimizer, one in zip(self.optimizers, state["states"]):
            optimizer.state = one

    @property
    def step(self) -> mx.array:
        """How many steps have been taken."""
        step: mx.array = self.optimizers[0].step
        return step

    @property
    def learning_rate(self) -> mx.array:
        """That of the first optimizer; setting it sets it in all."""
        rate: mx.array = self.optimizers[0].learning_rate
        return rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: LearningRate) -> None:
        for optimizer in self.optimizers:
            optimizer.learning_rate = learning_rate

    def _split(self, tree: dict[str, Any], parameters: dict[str, Any]) -> list[dict[str, mx.array]]:
        """Leaves of ``tree`` by path, for each optimizer; the filters see the parameters."""
        parts: list[dict[str, mx.array]] = [{} for _ in self.optimizers]

        def assign(path: str, leaf: mx.array, parameter: mx.array) -> None:
            owner = next(i for i, mine in enumerate(self.filters) if mine(path, parameter))
            parts[owner][path] = leaf

        walk(assign, tree, (parameters,), path="", name="MultiOptimizer")
        return parts

    def init(self, parameters: dict[str, Any]) -> None:
        """Make the state of all parameters, each in its optimizer."""
        for optimizer, part in zip(self.optimizers, self._split(parameters, parameters)):
            optimizer.init(_nested(part))

    def apply_gradients(
        self, gradients: dict[str, Any], parameters: dict[str, Any]
    ) -> dict[str, Any]:
        """Take a step of each optimizer and return the new parameters, as ``gradients``."""
        name = "MultiOptimizer"
        values = walk(lambda g, parameter: parameter, gradients, (parameters,), name=name)
        new: dict[str, mx.array] = {}
        for optimizer, gradient, value in zip(
            self.optimizers, self._split(gradients, values), self._split(values, values)
        ):
            updated = optimizer.apply_gradients(_nested(gradient), _nested(value))
            tree_flatten(updated, destination=new)
        result: dict[str, Any] = walk(lambda path, _: new[path], gradients, path="", name=name)
        return result


@checked
def clip_grad_norm(grads: Any, max_norm: float) -> tuple[Any, mx.array]:
    r"""Scale all gradients down so that their common norm is ``max_norm`` at most.

    .. math:: g \leftarrow g \cdot \min(1, \text{max\_norm} / (n + 10^{-6})),
        \quad n = \sqrt{\textstyle\sum |g|^2}

    Halves are squared and summed in float32, and stay halves; integers give float32.

    Args:
        grads: a tree of gradients.
        max_norm: the largest norm, 0 or more.

    Returns:
        The scaled tree, and the norm n before scaling.

    Raises:
        TypeError: a leaf is not an array, or ``max_norm`` not a number.
        ValueError: ``max_norm`` is negative.

    Example:
        >>> import lazulite.core as mx, lazulite.optimizers as optim
        >>> grads, norm = optim.clip_grad_norm({"w": mx.array([3.0, 4.0])}, max_norm=50.0)
        >>> grads, norm
        ({'w': array([3, 4], dtype=float32)}, array(5, dtype=float32))
    """
    if not (isinstance(max_norm, mx.array) or max_norm >= 0):
        raise ValueError(f"[clip_grad_norm] max_norm: got {max_norm}, expected a number >=0")

    total = mx.array(0.0)
    for g in bare_leaves(grads, name="clip_grad_norm"):
        if not isinstance(g, mx.array):
            raise TypeError(f"[clip_grad_norm] grads: got {g!r}, expected a tree of arrays")
        total = total + mx.sum(mx.square(mx.abs(g.astype(mx.result_type(g, mx.float32)))))

    def scaled(g: mx.array) -> mx.array:
        return g * scale.astype(g.dtype if mx.issubdtype(g.dtype, mx.inexact) else scale.dtype)

    norm = mx.sqrt(total)
    scale = mx.minimum(max_norm / (norm + 1e-6), 1)
    return walk(scaled, grads, name="clip_grad_norm"), norm
