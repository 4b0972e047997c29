"""Activation functions, and each as a layer.

All take arrays of any shape and keep it (:func:`glu` halves an axis). Floating dtypes stay;
integers give float32 where the formula needs it. Each is a plain formula that the core fuses.
"""

import math

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.nn.module import Module

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "HardShrink",
    "HardTanh",
    "Hardswish",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "ReLU",
    "ReLU2",
    "ReLU6",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Step",
    "Tanh",
    "celu",
    "elu",
    "gelu",
    "gelu_approx",
    "gelu_fast_approx",
    "glu",
    "hard_shrink",
    "hard_tanh",
    "hardswish",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "prelu",
    "relu",
    "relu2",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "step",
    "tanh",
]

# Rectifiers


def relu(x: mx.array) -> mx.array:
    r""":math:`\max(x, 0)`.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.relu(mx.array([-1.0, 2.0]))
        array([0, 2], dtype=float32)
    """
    return mx.maximum(x, 0)


def relu2(x: mx.array) -> mx.array:
    r""":math:`\max(x, 0)^2` (So et al., 2021).

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.relu2(mx.array([-1.0, 3.0]))
        array([0, 9], dtype=float32)
    """
    return mx.square(mx.maximum(x, 0))


def relu6(x: mx.array) -> mx.array:
    r""":math:`\min(\max(x, 0), 6)`.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.relu6(mx.array([-1.0, 7.0]))
        array([0, 6], dtype=float32)
    """
    return mx.minimum(mx.maximum(x, 0), 6.0)


def leaky_relu(x: mx.array, negative_slope: float = 0.01) -> mx.array:
    r""":math:`x` where it is positive, :math:`\text{negative\_slope} \cdot x` elsewhere.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.leaky_relu(mx.array([-2.0, 2.0]), 0.5)
        array([-1, 2], dtype=float32)
    """
    return mx.where(x >= 0, x, mx.multiply(negative_slope, x))


def prelu(x: mx.array, alpha: mx.array) -> mx.array:
    r""":math:`\max(x, 0) + \alpha \min(x, 0)` (He et al., 2015); alpha broadcasts.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.prelu(mx.array([-2.0, 2.0]), mx.array([0.5]))
        array([-1, 2], dtype=float32)
    """
    return mx.maximum(x, 0) + alpha * mx.minimum(x, 0)


def elu(x: mx.array, alpha: float = 1.0) -> mx.array:
    r""":math:`x` where it is positive, :math:`\alpha (e^x - 1)` elsewhere (Clevert et al., 2015).

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.elu(mx.array([-100.0, 2.0]), 3.0)
        array([-3, 2], dtype=float32)
    """
    return mx.where(x > 0, x, alpha * mx.expm1(_negative_part(x)))


def _negative_part(x: mx.array) -> mx.array:
    """min(x, 0) with slope 1 (not 0) at 0: it keeps exp from overflowing in the unused branch."""
    return mx.where(x > 0, 0, x)


def celu(x: mx.array, alpha: float = 1.0) -> mx.array:
    r""":math:`\max(x, 0) + \min(\alpha (e^{x / \alpha} - 1), 0)` (Barron, 2017).

    Unlike :func:`elu` its slope is continuous for every alpha.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.celu(mx.array([-100.0, 2.0]), 3.0)
        array([-3, 2], dtype=float32)
    """
    return mx.where(x > 0, x, alpha * mx.expm1(_negative_part(x) / alpha))


def selu(x: mx.array) -> mx.array:
    r""":math:`\lambda \, \text{elu}(x, \alpha)` (Klambauer et al., 2017).

    With :math:`\lambda \approx 1.0507` and :math:`\alpha \approx 1.67326`, mean 0 and variance 1
    of the input stay.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.selu(mx.array([-100.0, 1.0]))
        array([-1.7581, 1.0507], dtype=float32)
    """
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


# Smooth rectifiers


def gelu(x: mx.array) -> mx.array:
    r""":math:`x \Phi(x)` with the normal distribution function (Hendrycks and Gimpel, 2016).

    :math:`\Phi(x) = (1 + \text{erf}(x / \sqrt 2)) / 2`.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.gelu(mx.array([-10.0, 0.0, 10.0])) + 0
        array([0, 0, 10], dtype=float32)
    """
    return x * (1 + mx.erf(x / math.sqrt(2))) / 2


def gelu_approx(x: mx.array) -> mx.array:
    r""":func:`gelu` by a tanh, to 0.0005: what GPT-2 and others were trained with.

    .. math:: \frac x 2 \left(1 + \tanh(\sqrt{2 / \pi} (x + 0.044715 x^3))\right)

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.gelu_approx(mx.array([1.0]))
        array([0.841192], dtype=float32)
    """
    c = math.sqrt(2 / math.pi)
    near = mx.clip(x, -20, 20)  # where tanh is 1 or -1; further out the cube of a half overflows
    return 0.5 * x * (1 + mx.tanh(c * (near + 0.044715 * near * near * near)))


def gelu_fast_approx(x: mx.array) -> mx.array:
    r""":func:`gelu` by a sigmoid, to 0.02: :math:`x \sigma(1.702 x)`.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.gelu_fast_approx(mx.array([1.0]))
        array([0.845796], dtype=float32)
    """
    return x * mx.sigmoid(1.702 * x)


def silu(x: mx.array) -> mx.array:
    r""":math:`x \sigma(x)`, also called swish.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.silu(mx.array([0.0, 1.0]))
        array([0, 0.731059], dtype=float32)
    """
    return x * mx.sigmoid(x)


def hardswish(x: mx.array) -> mx.array:
    r""":math:`x \min(\max(x + 3, 0), 6) / 6` (Howard et al., 2019).

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.hardswish(mx.array([1.0, 3.0, 6.0]))
        array([0.666667, 3, 6], dtype=float32)
    """
    return x * mx.minimum(mx.maximum(x + 3, 0), 6) / 6


def mish(x: mx.array) -> mx.array:
    r""":math:`x \tanh(\text{softplus}(x))` (Misra, 2019).

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.mish(mx.array([0.0, 20.0]))
        array([0, 20], dtype=float32)
    """
    return x * mx.tanh(softplus(x))


def softplus(x: mx.array) -> mx.array:
    r""":math:`\log(1 + e^x)`.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.softplus(mx.array([0.0, 100.0]))
        array([0.693147, 100], dtype=float32)
    """
    return mx.logaddexp(x, 0)


# Squashing functions


def sigmoid(x: mx.array) -> mx.array:
    r""":math:`\sigma(x) = 1 / (1 + e^{-x})`.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.sigmoid(mx.array([0.0, 100.0]))
        array([0.5, 1], dtype=float32)
    """
    return mx.sigmoid(x)


def log_sigmoid(x: mx.array) -> mx.array:
    r""":math:`\log \sigma(x) = -\text{softplus}(-x)`.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.log_sigmoid(mx.array([-100.0, 0.0]))
        array([-100, -0.693147], dtype=float32)
    """
    return -softplus(-x)


def tanh(x: mx.array) -> mx.array:
    r""":math:`\tanh(x)`.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.tanh(mx.array([0.0, 100.0]))
        array([0, 1], dtype=float32)
    """
    return mx.tanh(x)


def hard_tanh(x: mx.array, min_val: float = -1.0, max_val: float = 1.0) -> mx.array:
    r""":math:`\min(\max(x, \text{min\_val}), \text{max\_val})`.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.hard_tanh(mx.array([-2.0, 0.5, 2.0]))
        array([-1, 0.5, 1], dtype=float32)
    """
    return mx.minimum(mx.maximum(x, min_val), max_val)


def softsign(x: mx.array) -> mx.array:
    r""":math:`x / (1 + |x|)`.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.softsign(mx.array([-1.0, 3.0]))
        array([-0.5, 0.75], dtype=float32)
    """
    return x / (1 + mx.abs(x))


# Functions that drop something


def softshrink(x: mx.array, lambd: float = 0.5) -> mx.array:
    r""":math:`x - \lambda \, \text{sign}(x)` where :math:`|x| > \lambda`, 0 elsewhere.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.softshrink(mx.array([-2.0, 0.5, 2.0]))
        array([-1.5, 0, 1.5], dtype=float32)
    """
    return mx.where(mx.abs(x) > lambd, x - lambd * mx.sign(x), 0)


def hard_shrink(x: mx.array, lambd: float = 0.5) -> mx.array:
    r""":math:`x` where :math:`|x| > \lambda`, 0 elsewhere.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.hard_shrink(mx.array([-2.0, 0.5, 2.0]))
        array([-2, 0, 2], dtype=float32)
    """
    return mx.where(mx.abs(x) > lambd, x, 0)


def step(x: mx.array, threshold: float = 0.0) -> mx.array:
    r"""1 where :math:`x \ge \text{threshold}`, 0 elsewhere; int32.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.step(mx.array([-1.0, 0.0, 1.0]))
        array([0, 1, 1], dtype=int32)
    """
    return mx.where(x >= threshold, 1, 0)


def glu(x: mx.array, axis: int = -1) -> mx.array:
    r"""Gated linear unit :math:`a \, \sigma(b)` of the halves a, b of an axis (Dauphin, 2016).

    Raises:
        ValueError: the axis has an odd size.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.glu(mx.array([1.0, 2.0, 0.0, 100.0]))
        array([0.5, 2], dtype=float32)
    """
    a, b = mx.split(x, 2, axis=axis)
    return a * mx.sigmoid(b)


# Distributions over an axis


def softmax(x: mx.array, axis: int = -1) -> mx.array:
    r""":math:`e^{x_i} / \sum_j e^{x_j}` along an axis.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.softmax(mx.array([5.0, 5.0]))
        array([0.5, 0.5], dtype=float32)
    """
    return mx.softmax(x, axis=axis)


def softmin(x: mx.array, axis: int = -1) -> mx.array:
    r""":math:`e^{-x_i} / \sum_j e^{-x_j}` along an axis.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.softmin(mx.array([0.0, 1000.0]))
        array([1, 0], dtype=float32)
    """
    return mx.softmax(-x, axis=axis)


def log_softmax(x: mx.array, axis: int = -1) -> mx.array:
    r""":math:`x_i - \log \sum_j e^{x_j}` along an axis.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.log_softmax(mx.array([5.0, 5.0]))
        array([-0.693147, -0.693147], dtype=float32)
    """
    wide = x.astype(mx.result_type(x, mx.float32))  # halves are rounded once, at the end
    wide = wide - mx.stop_gradient(mx.max(wide, axis=axis, keepdims=True))  # lost in no offset
    y = wide - mx.log(mx.sum(mx.exp(wide), axis=axis, keepdims=True))
    return y.astype(x.dtype) if mx.issubdtype(x.dtype, mx.floating) else y


# The same as layers


class ReLU(Module):
    """:func:`relu` as a layer: ``nn.ReLU()(x)``."""

    def __call__(self, x: mx.array) -> mx.array:
        return relu(x)


class ReLU2(Module):
    """:func:`relu2` as a layer: ``nn.ReLU2()(x)``."""

    def __call__(self, x: mx.array) -> mx.array:
        return relu2(x)


class ReLU6(Module):
    """:func:`relu6` as a layer: ``nn.ReLU6()(x)``."""

    def __call__(self, x: mx.array) -> mx.array:
        return relu6(x)


class LeakyReLU(Module):
    """:func:`leaky_relu` as a layer.

    Args:
        negative_slope: the slope where x is negative.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.LeakyReLU(0.5)(mx.array([-2.0, 2.0]))
        array([-1, 2], dtype=float32)
    """

    @checked
    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def _extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"

    def __call__(self, x: mx.array) -> mx.array:
        return leaky_relu(x, self.negative_slope)


class PReLU(Module):
    """:func:`prelu` with a slope that is learnt: ``weight``, of shape ``(num_parameters,)``.

    Args:
        num_parameters: 1, or the size of the last axis for a slope of each feature.
        init: the slope at first.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.PReLU(init=0.5)(mx.array([-2.0, 2.0]))
        array([-1, 2], dtype=float32)
    """

    @checked
    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        super().__init__()
        self.weight = mx.full((num_parameters,), init)

    def __call__(self, x: mx.array) -> mx.array:
        return prelu(x, self.weight)


class ELU(Module):
    """:func:`elu` as a layer.

    Args:
        alpha: the limit is -alpha.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.ELU(3.0)(mx.array([-100.0, 2.0]))
        array([-3, 2], dtype=float32)
    """

    @checked
    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def _extra_repr(self) -> str:
        return f"alpha={self.alpha}"

    def __call__(self, x: mx.array) -> mx.array:
        return elu(x, self.alpha)


class CELU(Module):
    """:func:`celu` as a layer.

    Args:
        alpha: the limit is -alpha.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.CELU(3.0)(mx.array([-100.0, 2.0]))
        array([-3, 2], dtype=float32)
    """

    @checked
    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def _extra_repr(self) -> str:
        return f"alpha={self.alpha}"

    def __call__(self, x: mx.array) -> mx.array:
        return celu(x, self.alpha)


class SELU(Module):
    """:func:`selu` as a layer: ``nn.SELU()(x)``."""

    def __call__(self, x: mx.array) -> mx.array:
        return selu(x)


class GELU(Module):
    """:func:`gelu` as a layer, exact or approximated.

    Args:
        approx: "none" for :func:`gelu`, "precise" or "tanh" for :func:`gelu_approx`, "fast" for
            :func:`gelu_fast_approx`.

    Raises:
        ValueError: ``approx`` is none of these.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.GELU("tanh")(mx.array([1.0]))
        array([0.841192], dtype=float32)
    """

    _FUNCTIONS = {
        "none": gelu,
        "precise": gelu_approx,
        "tanh": gelu_approx,
        "fast": gelu_fast_approx,
    }

    @checked
    def __init__(self, approx: str = "none") -> None:
        super().__init__()
        if approx not in self._FUNCTIONS:
            raise ValueError(
                f"[GELU] unknown approx: got {approx!r}, expected one of {list(self._FUNCTIONS)}"
            )
        self.approx = approx

    def _extra_repr(self) -> str:
        return f"approx={self.approx!r}"

    def __call__(self, x: mx.array) -> mx.array:
        return self._FUNCTIONS[self.approx](x)


class SiLU(Module):
    """:func:`silu` as a layer: ``nn.SiLU()(x)``."""

    def __call__(self, x: mx.array) -> mx.array:
        return silu(x)


class Hardswish(Module):
    """:func:`hardswish` as a layer: ``nn.Hardswish()(x)``."""

    def __call__(self, x: mx.array) -> mx.array:
        return hardswish(x)


class Mish(Module):
    """:func:`mish` as a layer: ``nn.Mish()(x)``."""

    def __call__(self, x: mx.array) -> mx.array:
        return mish(x)


class Softplus(Module):
    """:func:`softplus` as a layer: ``nn.Softplus()(x)``."""

    def __call__(self, x: mx.array) -> mx.array:
        return softplus(x)


class Sigmoid(Module):
    """:func:`sigmoid` as a layer: ``nn.Sigmoid()(x)``."""

    def __call__(self, x: mx.array) -> mx.array:
        return sigmoid(x)


class LogSigmoid(Module):
    """:func:`log_sigmoid` as a layer: ``nn.LogSigmoid()(x)``."""

    def __call__(self, x: mx.array) -> mx.array:
        return log_sigmoid(x)


class Tanh(Module):
    """:func:`tanh` as a layer: ``nn.Tanh()(x)``."""

    def __call__(self, x: mx.array) -> mx.array:
        return tanh(x)


class HardTanh(Module):
    """:func:`hard_tanh` between -1 and 1 as a layer: ``nn.HardTanh()(x)``."""

    def __call__(self, x: mx.array) -> mx.array:
        return hard_tanh(x)


class Softsign(Module):
    """:func:`softsign` as a layer: ``nn.Softsign()(x)``."""

    def __call__(self, x: mx.array) -> mx.array:
        return softsign(x)


class Softshrink(Module):
    """:func:`softshrink` as a layer.

    Args:
        lambd: how far x moves towards 0.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.Softshrink(1.0)(mx.array([-2.0, 0.5, 2.0]))
        array([-1, 0, 1], dtype=float32)
    """

    @checked
    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def _extra_repr(self) -> str:
        return f"lambd={self.lambd}"

    def __call__(self, x: mx.array) -> mx.array:
        return softshrink(x, self.lambd)


class HardShrink(Module):
    """:func:`hard_shrink` as a layer.

    Args:
        lambd: up to where x becomes 0.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.HardShrink(1.0)(mx.array([-2.0, 0.5, 2.0]))
        array([-2, 0, 2], dtype=float32)
    """

    @checked
    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def _extra_repr(self) -> str:
        return f"lambd={self.lambd}"

    def __call__(self, x: mx.array) -> mx.array:
        return hard_shrink(x, self.lambd)


class Step(Module):
    """:func:`step` as a layer.

    Args:
        threshold: from where on the result is 1.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.Step(1.0)(mx.array([0.0, 1.0]))
        array([0, 1], dtype=int32)
    """

    @checked
    def __init__(self, threshold: float = 0.0) -> None:
        super().__init__()
        self.threshold = threshold

    def _extra_repr(self) -> str:
        return f"threshold={self.threshold}"

    def __call__(self, x: mx.array) -> mx.array:
        return step(x, self.threshold)


class GLU(Module):
    """:func:`glu` as a layer.

    Args:
        axis: the axis to halve.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.GLU()(mx.array([1.0, 2.0, 0.0, 100.0]))
        array([0.5, 2], dtype=float32)
    """

    @checked
    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis = axis

    def _extra_repr(self) -> str:
        return "" if self.axis == -1 else f"axis={self.axis}"

    def __call__(self, x: mx.array) -> mx.array:
        return glu(x, self.axis)


class Softmax(Module):
    """:func:`softmax` of the last axis as a layer: ``nn.Softmax()(x)``."""

    def __call__(self, x: mx.array) -> mx.array:
        return softmax(x)


class Softmin(Module):
    """:func:`softmin` of the last axis as a layer: ``nn.Softmin()(x)``."""

    def __call__(self, x: mx.array) -> mx.array:
        return softmin(x)


class LogSoftmax(Module):
    """:func:`log_softmax` of the last axis as a layer: ``nn.LogSoftmax()(x)``."""

    def __call__(self, x: mx.array) -> mx.array:
        return log_softmax(x)
