"""LAMB: Adam with a step of its own size for each parameter."""

from __future__ import annotations

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.optimizers.base import LearningRate, State, _check_not_negative
from lazulite.optimizers.optimizers import Adam

__all__ = ["LAMB"]


class LAMB(Adam):
    r"""LAMB (You et al., 2020), for large batches.

    With m and v of :class:`Adam`, corrected for their beginning,

    .. math::

        r &= \frac{m}{\sqrt v + \epsilon} + \lambda w \\
        w &\leftarrow w - \alpha \frac{\lVert w \rVert}{\lVert r \rVert} r

    The quotient of the norms is 1 where one of them is 0.

    Args:
        learning_rate: alpha, a number or a schedule.
        betas: beta 1 and beta 2.
        eps: epsilon.
        weight_decay: lambda.
        bias_correction: whether m and v are corrected, as in the paper.

    Raises:
        ValueError: a beta is outside of [0, 1), or ``eps`` is negative.

    Example:
        >>> import lazulite.core as mx, lazulite.optimizers as optim
        >>> rule = optim.LAMB(0.5)
        >>> rule.apply_gradients({"w": mx.array([8.0, 8.0])}, {"w": mx.array([3.0, 4.0])})
        {'w': array([1.23223, 2.23223], dtype=float32)}
    """

    @checked
    def __init__(
        self,
        learning_rate: LearningRate,
        betas: list[float] = [0.9, 0.999],
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        bias_correction: bool = True,
    ) -> None:
        super().__init__(learning_rate, betas, eps, bias_correction)
        _check_not_negative(type(self).__name__, weight_decay=weight_decay)
        self.weight_decay = weight_decay

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        b1, b2 = self.betas
        m = state["m"] = b1 * state["m"] + (1 - b1) * gradient
        v = state["v"] = b2 * state["v"] + (1 - b2) * mx.square(gradient)
        if self.bias_correction:
            m = m * (1 / (1 - b1**self.step)).astype(m.dtype)
            v = v * (1 / (1 - b2**self.step)).astype(v.dtype)
        r = m / (mx.sqrt(v) + self.eps) + self.weight_decay * parameter
        size, norm = _norm(parameter), _norm(r)
        ratio = mx.where((size > 0) & (norm > 0), size / mx.where(norm > 0, norm, 1), 1)
        return parameter - (self.learning_rate * ratio).astype(r.dtype) * r


def _norm(x: mx.array) -> mx.array:
    """The length of all of x, in float32 or more."""
    return mx.sqrt(mx.sum(mx.square(x.astype(mx.result_type(x, mx.float32)))))
