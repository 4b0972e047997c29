"""Loss functions.

Each takes ``reduction``: "none" gives the losses one by one, "mean" and "sum" one number of them.
"""

import math
from typing import Any, Literal, Optional, Union

import lazulite.core as mx
from lazulite._arguments import checked

__all__ = [
    "binary_cross_entropy",
    "cosine_similarity_loss",
    "cross_entropy",
    "gaussian_nll_loss",
    "hinge_loss",
    "huber_loss",
    "kl_div_loss",
    "l1_loss",
    "log_cosh_loss",
    "margin_ranking_loss",
    "mse_loss",
    "nll_loss",
    "smooth_l1_loss",
    "triplet_loss",
]

Reduction = Literal["none", "mean", "sum"]
Operand = Union[mx.array, float]  # of the losses that broadcast
_HALVES = (mx.float16, mx.bfloat16)


def _reduce(loss: mx.array, reduction: Reduction, dtype: Optional[mx.Dtype] = None) -> mx.array:
    if reduction == "mean":
        loss = mx.mean(loss)
    elif reduction == "sum":
        loss = mx.sum(loss)
    return loss if dtype is None else loss.astype(dtype)


def _formed(*operands: Any) -> tuple[Any, ...]:
    """The dtype of a loss, then its operands. With halves among them it is formed in float32 and
    rounded once: their squares and differences may be larger than any half."""
    for x in operands:
        if isinstance(x, mx.array) and x.itemsize == 2 and x.dtype in _HALVES:
            break
    else:
        return None, *operands
    arrays = [x for x in operands if isinstance(x, mx.array)]
    wide = [_wide(x) if isinstance(x, mx.array) else x for x in operands]
    return mx.result_type(*arrays), *wide


def _same_shape(op: str, **arrays: mx.array) -> None:
    if len({tuple(a.shape) for a in arrays.values()}) > 1:
        shapes = ", ".join(f"{name} {tuple(a.shape)}" for name, a in arrays.items())
        raise ValueError(f"[{op}] shapes differ: got {shapes}, expected equal shapes")


def _at_classes(op: str, values: mx.array, classes: mx.array, axis: int) -> mx.array:
    """The value of each given class: ``values`` without ``axis``."""
    shape = list(values.shape)
    del shape[axis]
    if tuple(classes.shape) != tuple(shape):
        raise ValueError(
            f"[{op}] classes do not fit: got targets {tuple(classes.shape)} for "
            f"{tuple(values.shape)}, expected {tuple(shape)}"
        )
    if not mx.issubdtype(classes.dtype, mx.integer):
        raise ValueError(f"[{op}] bad classes: got {classes.dtype}, expected integers")
    return mx.take_along_axis(values, mx.expand_dims(classes, axis), axis).squeeze(axis)


def _wide(x: mx.array) -> mx.array:
    """Halves and integers as float32."""
    return x.astype(mx.result_type(x, mx.float32))


@checked
def cross_entropy(
    logits: mx.array,
    targets: mx.array,
    weights: Optional[mx.array] = None,
    axis: int = -1,
    label_smoothing: float = 0.0,
    reduction: Reduction = "none",
) -> mx.array:
    r"""The negative log likelihood of the targets under softmax of the logits.

    .. math:: \log \sum_j e^{x_j} - \sum_j t_j x_j

    with x relative to the largest logit, so that no common offset of the logits counts, whatever
    the targets sum to; the gradient is :math:`\text{softmax}(x) - t`. Smoothing replaces t by
    :math:`(1 - s) t + s / n` for n classes.

    Args:
        logits: unnormalised; any shape with the classes along ``axis``.
        targets: the index of each class (integers of the shape of ``logits`` without ``axis``),
            or probabilities t of all classes (of the shape of ``logits``).
        weights: a factor for each loss.
        axis: the axis of the classes.
        label_smoothing: s, in [0, 1).
        reduction: "none" gives the shape of ``logits`` without ``axis``.

    Raises:
        ValueError: the shapes of targets or weights do not fit, the indices are not integers, or
            smoothing or reduction is unknown.
        IndexError: an index is not a class.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> logits = mx.array([[0.0, 0.0], [-100.0, 100.0]])
        >>> nn.losses.cross_entropy(logits, mx.array([0, 1]))
        array([0.693147, 0], dtype=float32)
        >>> nn.losses.cross_entropy(logits, mx.array([[0.5, 0.5], [0.0, 1.0]]), reduction="sum")
        array(0.693147, dtype=float32)
    """
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"[cross_entropy] bad smoothing: got {label_smoothing}, expected [0, 1)")
    # Relative to the largest logit, in float32 for halves: nothing is lost at large offsets.
    x = _wide(logits)
    dtype = logits.dtype if mx.issubdtype(logits.dtype, mx.floating) else x.dtype
    x = x - mx.stop_gradient(mx.max(x, axis=axis, keepdims=True))
    if targets.ndim == logits.ndim:
        _same_shape("cross_entropy", logits=logits, targets=targets)
        dtype = mx.result_type(dtype, targets)
        score = mx.sum(x * _wide(targets), axis=axis)
    else:
        score = _at_classes("cross_entropy", x, targets, axis)
    if label_smoothing > 0:
        score = (1 - label_smoothing) * score + label_smoothing * mx.mean(x, axis=axis)
    loss = mx.logsumexp(x, axis=axis) - score
    if weights is not None:
        _same_shape("cross_entropy", weights=weights, loss=loss)
        dtype = mx.result_type(dtype, weights)
        loss = loss * weights
    return _reduce(loss, reduction).astype(dtype)


@checked
def binary_cross_entropy(
    inputs: mx.array,
    targets: mx.array,
    weights: Optional[mx.array] = None,
    with_logits: bool = True,
    reduction: Reduction = "mean",
) -> mx.array:
    r"""The negative log likelihood of two-class targets: :math:`-t \log p - (1 - t) \log (1 - p)`.

    Args:
        inputs: logits x with :math:`p = \sigma(x)`, or probabilities p.
        targets: t, of the same shape.
        weights: a factor for each loss, of the same shape.
        with_logits: whether the inputs are logits; of probabilities the logarithms are kept
            above -100.
        reduction: "none" gives the shape of the inputs.

    Raises:
        ValueError: shapes differ, or the reduction is unknown.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> logits, targets = mx.array([0.0, 100.0]), mx.array([0.0, 1.0])
        >>> nn.losses.binary_cross_entropy(logits, targets, reduction="sum")
        array(0.693147, dtype=float32)
    """
    _same_shape("binary_cross_entropy", inputs=inputs, targets=targets)
    dtype, inputs, targets, weights = _formed(inputs, targets, weights)
    if with_logits:
        loss = mx.logaddexp(inputs, 0) - inputs * targets
    else:
        loss = -(targets * _bounded_log(inputs) + (1 - targets) * _bounded_log(1 - inputs))
    if weights is not None:
        _same_shape("binary_cross_entropy", weights=weights, loss=loss)
        loss = loss * weights
    return _reduce(loss, reduction, dtype)


def _bounded_log(p: mx.array) -> mx.array:
    """max(log p, -100), with a gradient that is finite (0) at p = 0."""
    zero = p == 0
    return mx.where(zero, -100, mx.maximum(mx.log(mx.where(zero, 1, p)), -100))


@checked
def l1_loss(predictions: mx.array, targets: mx.array, reduction: Reduction = "mean") -> mx.array:
    """The absolute difference ``|p - t|``.

    Raises:
        ValueError: shapes differ, or the reduction is unknown.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.losses.l1_loss(mx.array([1.0, 2.0]), mx.array([1.0, 5.0]))
        array(1.5, dtype=float32)
    """
    _same_shape("l1_loss", predictions=predictions, targets=targets)
    dtype, predictions, targets = _formed(predictions, targets)
    return _reduce(mx.abs(predictions - targets), reduction, dtype)


@checked
def mse_loss(predictions: mx.array, targets: mx.array, reduction: Reduction = "mean") -> mx.array:
    """The squared difference ``(p - t)**2``.

    Raises:
        ValueError: shapes differ, or the reduction is unknown.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.losses.mse_loss(mx.array([1.0, 2.0]), mx.array([1.0, 5.0]))
        array(4.5, dtype=float32)
    """
    _same_shape("mse_loss", predictions=predictions, targets=targets)
    dtype, predictions, targets = _formed(predictions, targets)
    return _reduce(mx.square(predictions - targets), reduction, dtype)


@checked
def nll_loss(
    inputs: mx.array, targets: mx.array, axis: int = -1, reduction: Reduction = "none"
) -> mx.array:
    """The negative log likelihood of classes: ``-inputs[target]``.

    Args:
        inputs: log probabilities, with the classes along ``axis``.
        targets: the index of each class; the shape of ``inputs`` without ``axis``.
        axis: the axis of the classes.
        reduction: "none" gives the shape of ``targets``.

    Raises:
        ValueError: the targets do not fit or are not integers, or the reduction is unknown.
        IndexError: an index is not a class.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.losses.nll_loss(mx.array([[-1.0, -2.0], [-3.0, -4.0]]), mx.array([0, 1]))
        array([1, 4], dtype=float32)
    """
    return _reduce(-_at_classes("nll_loss", inputs, targets, axis), reduction)


@checked
def gaussian_nll_loss(
    inputs: mx.array,
    targets: mx.array,
    vars: mx.array,
    full: bool = False,
    eps: float = 1e-6,
    reduction: Reduction = "mean",
) -> mx.array:
    r"""The negative log likelihood of targets under normal distributions.

    .. math:: \tfrac 1 2 \left(\log v + (x - t)^2 / v\right), \quad v = \max(\text{vars}, \epsilon)

    Args:
        inputs: the expected values x.
        targets: t, of the same shape.
        vars: the variances, of the same shape.
        full: whether to add the constant :math:`\tfrac 1 2 \log 2 \pi`.
        eps: the least variance.
        reduction: "none" gives the shape of the inputs.

    Raises:
        ValueError: shapes differ, or the reduction is unknown.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.losses.gaussian_nll_loss(mx.array([1.0]), mx.array([3.0]), mx.array([1.0]))
        array(2, dtype=float32)
    """
    _same_shape("gaussian_nll_loss", inputs=inputs, targets=targets, vars=vars)
    dtype, inputs, targets, vars = _formed(inputs, targets, vars)
    variance = mx.maximum(vars, eps)
    loss = 0.5 * (mx.log(variance) + mx.square(targets - inputs) / variance)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return _reduce(loss, reduction, dtype)


@checked
def kl_div_loss(
    inputs: Operand, targets: Operand, axis: int = -1, reduction: Reduction = "none"
) -> mx.array:
    r"""The Kullback-Leibler divergence :math:`\sum_j e^{t_j} (t_j - x_j)` of log probabilities.

    Args:
        inputs: log probabilities x.
        targets: log probabilities t.
        axis: the axis of the classes.
        reduction: "none" gives the shape of ``inputs`` without ``axis``.

    Raises:
        ValueError: the shapes do not broadcast, or the reduction is unknown.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> p, q = mx.log(mx.array([0.5, 0.5])), mx.array([0.0, -1000.0])
        >>> nn.losses.kl_div_loss(p, q)
        array(0.693147, dtype=float32)
    """
    dtype, inputs, targets = _formed(inputs, targets)
    return _reduce(mx.sum(mx.exp(targets) * (targets - inputs), axis=axis), reduction, dtype)


@checked
def smooth_l1_loss(
    predictions: mx.array, targets: mx.array, beta: float = 1.0, reduction: Reduction = "mean"
) -> mx.array:
    r"""A parabola below ``beta``, the absolute difference above (Girshick, 2015).

    With :math:`d = |p - t|`: :math:`d^2 / 2 \beta` where :math:`d < \beta`, :math:`d - \beta / 2`
    elsewhere.

    Raises:
        ValueError: shapes differ, beta is not positive, or the reduction is unknown.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> predictions, targets = mx.array([1.0, 4.0]), mx.array([0.0, 0.0])
        >>> nn.losses.smooth_l1_loss(predictions, targets, beta=2.0, reduction="none")
        array([0.25, 3], dtype=float32)
    """
    _same_shape("smooth_l1_loss", predictions=predictions, targets=targets)
    if not beta > 0:
        raise ValueError(f"[smooth_l1_loss] bad beta: got {beta}, expected a positive number")
    dtype, predictions, targets = _formed(predictions, targets)
    d = mx.abs(predictions - targets)
    loss = mx.where(d < beta, mx.square(d) * (0.5 / beta), d - 0.5 * beta)
    return _reduce(loss, reduction, dtype)


@checked
def huber_loss(
    inputs: Operand, targets: Operand, delta: float = 1.0, reduction: Reduction = "none"
) -> mx.array:
    r"""A parabola up to ``delta``, a line beyond (Huber, 1964).

    With :math:`d = |x - t|`: :math:`d^2 / 2` where :math:`d \le \delta`,
    :math:`\delta (d - \delta / 2)` elsewhere.

    Raises:
        ValueError: the shapes do not broadcast, or the reduction is unknown.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.losses.huber_loss(mx.array([1.0, 4.0]), mx.array([0.0, 0.0]), delta=2.0)
        array([0.5, 6], dtype=float32)
    """
    dtype, inputs, targets = _formed(inputs, targets)
    d = mx.abs(inputs - targets)
    loss = mx.where(d <= delta, 0.5 * mx.square(d), delta * (d - 0.5 * delta))
    return _reduce(loss, reduction, dtype)


@checked
def log_cosh_loss(inputs: Operand, targets: Operand, reduction: Reduction = "none") -> mx.array:
    r""":math:`\log \cosh(x - t)`: like a parabola near 0, like a line far away.

    Raises:
        ValueError: the shapes do not broadcast, or the reduction is unknown.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.losses.log_cosh_loss(mx.array([1.0]), mx.array([0.0]))
        array([0.433781], dtype=float32)
    """
    dtype, inputs, targets = _formed(inputs, targets)
    d = inputs - targets
    return _reduce(mx.logaddexp(d, -d) - math.log(2), reduction, dtype)


@checked
def hinge_loss(inputs: Operand, targets: Operand, reduction: Reduction = "none") -> mx.array:
    r""":math:`\max(0, 1 - x t)` for targets -1 and 1.

    Raises:
        ValueError: the shapes do not broadcast, or the reduction is unknown.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.losses.hinge_loss(mx.array([0.5, 3.0]), mx.array([-1.0, 1.0]))
        array([1.5, 0], dtype=float32)
    """
    dtype, inputs, targets = _formed(inputs, targets)
    return _reduce(mx.maximum(1 - inputs * targets, 0), reduction, dtype)


@checked
def margin_ranking_loss(
    inputs1: mx.array,
    inputs2: mx.array,
    targets: mx.array,
    margin: float = 0.0,
    reduction: Reduction = "none",
) -> mx.array:
    r""":math:`\max(0, \text{margin} - t (x_1 - x_2))`; t is 1 where x1 should be higher, else -1.

    Raises:
        ValueError: shapes differ, or the reduction is unknown.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> x1, x2, t = mx.array([3.0, 3.0]), mx.array([1.0, 1.0]), mx.array([1.0, -1.0])
        >>> nn.losses.margin_ranking_loss(x1, x2, t, margin=0.5)
        array([0, 2.5], dtype=float32)
    """
    _same_shape("margin_ranking_loss", inputs1=inputs1, inputs2=inputs2, targets=targets)
    dtype, inputs1, inputs2, targets = _formed(inputs1, inputs2, targets)
    return _reduce(mx.maximum(margin - targets * (inputs1 - inputs2), 0), reduction, dtype)


@checked
def triplet_loss(
    anchors: mx.array,
    positives: mx.array,
    negatives: mx.array,
    axis: int = -1,
    p: float = 2,
    margin: float = 1.0,
    eps: float = 1e-6,
    reduction: Reduction = "none",
) -> mx.array:
    r""":math:`\max(0, \|a - b\|_p - \|a - c\|_p + \text{margin})` for b alike and c unlike a.

    Args:
        anchors: a, with the features along ``axis``.
        positives: b.
        negatives: c.
        axis: the axis of the features.
        p: the order of the norm.
        margin: by how much c should be farther away than b.
        eps: added under the root, so that its slope is finite where b equals a.
        reduction: "none" gives the shape without ``axis``.

    Raises:
        ValueError: the shapes do not broadcast, or the reduction is unknown.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> a, b, c = mx.array([0.0, 0.0]), mx.array([3.0, 4.0]), mx.array([0.0, 2.0])
        >>> nn.losses.triplet_loss(a, b, c)
        array(4, dtype=float32)
    """

    dtype, anchors, positives, negatives = _formed(anchors, positives, negatives)

    def distance(x: mx.array, y: mx.array) -> mx.array:
        total = mx.sum(mx.power(mx.abs(x - y), p), axis=axis)
        return mx.power(total + eps, 1 / p)

    loss = distance(anchors, positives) - distance(anchors, negatives) + margin
    return _reduce(mx.maximum(loss, 0), reduction, dtype)


@checked
def cosine_similarity_loss(
    x1: mx.array,
    x2: mx.array,
    axis: int = 1,
    eps: float = 1e-8,
    reduction: Reduction = "none",
) -> mx.array:
    r"""The cosine between vectors: :math:`x_1 \cdot x_2 / \max(|x_1| |x_2|, \epsilon)`.

    This is the similarity itself: 1 for vectors of the same direction.

    Args:
        x1: vectors along ``axis``.
        x2: vectors along ``axis``.
        axis: the axis of the vectors.
        eps: the least denominator.
        reduction: "none" gives the shape without ``axis``.

    Raises:
        ValueError: the shapes do not broadcast, or the reduction is unknown.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> x1, x2 = mx.array([[1.0, 0.0], [1.0, 0.0]]), mx.array([[5.0, 0.0], [0.0, 5.0]])
        >>> nn.losses.cosine_similarity_loss(x1, x2)
        array([1, 0], dtype=float32)
    """
    dtype, x1, x2 = _formed(x1, x2)
    norms = _norm(x1, axis) * _norm(x2, axis)
    return _reduce(mx.sum(x1 * x2, axis=axis) / mx.maximum(norms, eps), reduction, dtype)


def _norm(x: mx.array, axis: int) -> mx.array:
    """The Euclidean norm, with gradient 0 (not nan) at 0."""
    squares = mx.sum(mx.square(x), axis=axis)
    zero = squares == 0
    return mx.where(zero, 0, mx.sqrt(mx.where(zero, 1, squares)))
