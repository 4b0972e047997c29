"""Initialisers: functions that make a new array of the shape of a given one.

Example:
    >>> import lazulite.core as mx, lazulite.nn as nn
    >>> model = nn.Linear(4, 4)
    >>> model.apply(nn.init.constant(0.5), lambda module, name, value: name == "bias").bias
    array([0.5, 0.5, 0.5, 0.5], dtype=float32)
"""

import math
from typing import Callable, Literal, Union

import lazulite.core as mx
from lazulite._arguments import checked

__all__ = [
    "constant",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "normal",
    "orthogonal",
    "sparse",
    "uniform",
]

Initializer = Callable[..., mx.array]


@checked
def constant(value: Union[mx.array, float], dtype: mx.Dtype = mx.float32) -> Initializer:
    """All elements are ``value``.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.init.constant(0.5)(mx.zeros((2,)))
        array([0.5, 0.5], dtype=float32)
    """

    @checked
    def initializer(a: mx.array) -> mx.array:
        return mx.full(a.shape, value, dtype=dtype)

    return initializer


@checked
def normal(mean: float = 0.0, std: float = 1.0, dtype: mx.Dtype = mx.float32) -> Initializer:
    """Normal with the given mean and standard deviation.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.init.normal(5.0, 0.0)(mx.zeros((2,)))
        array([5, 5], dtype=float32)
    """

    @checked
    def initializer(a: mx.array) -> mx.array:
        return mx.random.normal(a.shape, dtype=dtype, loc=mean, scale=std)

    return initializer


@checked
def uniform(low: float = 0.0, high: float = 1.0, dtype: mx.Dtype = mx.float32) -> Initializer:
    """Uniform in [low, high).

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> a = nn.init.uniform(2.0, 3.0)(mx.zeros((100,)))
        >>> 2 <= a.min().item() and a.max().item() < 3
        True
    """

    @checked
    def initializer(a: mx.array) -> mx.array:
        return mx.random.uniform(low, high, a.shape, dtype=dtype)

    return initializer


@checked
def identity(dtype: mx.Dtype = mx.float32) -> Initializer:
    """The identity matrix.

    Raises:
        ValueError: the array is not a square matrix.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.init.identity()(mx.zeros((2, 2)))
        array([[1, 0],
               [0, 1]], dtype=float32)
    """

    @checked
    def initializer(a: mx.array) -> mx.array:
        if a.ndim != 2 or a.shape[0] != a.shape[1]:
            raise ValueError(
                f"[identity] bad shape: got {tuple(a.shape)}, expected a square matrix"
            )
        return mx.eye(a.shape[0], dtype=dtype)

    return initializer


@checked
def glorot_normal(dtype: mx.Dtype = mx.float32) -> Initializer:
    r"""Normal with :math:`\sigma = \gamma \sqrt{2 / (n_{in} + n_{out})}` (Glorot and Bengio, 2010).

    The initializer takes ``(a, gain=1.0)``; a is a weight ``(out, ..., in)``.

    Raises:
        ValueError: the array has fewer than 2 axes.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> abs(nn.init.glorot_normal()(mx.zeros((300, 100))).std().item() - 0.005**0.5) < 0.005
        True
    """

    @checked
    def initializer(a: mx.array, gain: float = 1.0) -> mx.array:
        fan_in, fan_out = _fans(a)
        std = gain * math.sqrt(2 / (fan_in + fan_out))
        return mx.random.normal(a.shape, dtype=dtype, scale=std)

    return initializer


@checked
def glorot_uniform(dtype: mx.Dtype = mx.float32) -> Initializer:
    r"""Uniform in :math:`\pm \gamma \sqrt{6 / (n_{in} + n_{out})}` (Glorot and Bengio, 2010).

    The initializer takes ``(a, gain=1.0)``; a is a weight ``(out, ..., in)``.

    Raises:
        ValueError: the array has fewer than 2 axes.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> mx.abs(nn.init.glorot_uniform()(mx.zeros((4, 2)))).max().item() <= 1
        True
    """

    @checked
    def initializer(a: mx.array, gain: float = 1.0) -> mx.array:
        fan_in, fan_out = _fans(a)
        bound = gain * math.sqrt(6 / (fan_in + fan_out))
        return mx.random.uniform(-bound, bound, a.shape, dtype=dtype)

    return initializer


@checked
def he_normal(dtype: mx.Dtype = mx.float32) -> Initializer:
    r"""Normal with :math:`\sigma = \gamma / \sqrt{n}` (He et al., 2015).

    The initializer takes ``(a, mode="fan_in", gain=1.0)``; n is the number of inputs, or of
    outputs for ``mode="fan_out"``; a is a weight ``(out, ..., in)``.

    Raises:
        ValueError: the array has fewer than 2 axes, or the mode is unknown.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> abs(nn.init.he_normal()(mx.zeros((300, 100))).std().item() - 0.1) < 0.005
        True
    """

    @checked
    def initializer(
        a: mx.array, mode: Literal["fan_in", "fan_out"] = "fan_in", gain: float = 1.0
    ) -> mx.array:
        std = gain / math.sqrt(_fans(a)[mode == "fan_out"])
        return mx.random.normal(a.shape, dtype=dtype, scale=std)

    return initializer


@checked
def he_uniform(dtype: mx.Dtype = mx.float32) -> Initializer:
    r"""Uniform in :math:`\pm \gamma \sqrt{3 / n}` (He et al., 2015).

    The initializer takes ``(a, mode="fan_in", gain=1.0)``; n is the number of inputs, or of
    outputs for ``mode="fan_out"``; a is a weight ``(out, ..., in)``.

    Raises:
        ValueError: the array has fewer than 2 axes, or the mode is unknown.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> mx.abs(nn.init.he_uniform()(mx.zeros((4, 3)))).max().item() <= 1
        True
    """

    @checked
    def initializer(
        a: mx.array, mode: Literal["fan_in", "fan_out"] = "fan_in", gain: float = 1.0
    ) -> mx.array:
        bound = gain * math.sqrt(3 / _fans(a)[mode == "fan_out"])
        return mx.random.uniform(-bound, bound, a.shape, dtype=dtype)

    return initializer


@checked
def sparse(
    sparsity: float, mean: float = 0.0, std: float = 1.0, dtype: mx.Dtype = mx.float32
) -> Initializer:
    """Normal, with the fraction ``sparsity`` of each row, rounded up, set to zero.

    Which ones is drawn at once, by NumPy.

    Raises:
        ValueError: the array has other than 2 axes, or sparsity is outside of [0, 1].

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> (nn.init.sparse(0.5)(mx.zeros((3, 4))) == 0).sum(axis=1)
        array([2, 2, 2], dtype=int32)
    """
    if not 0 <= sparsity <= 1:
        raise ValueError(f"[sparse] bad sparsity: got {sparsity}, expected 0 to 1")

    @checked
    def initializer(a: mx.array) -> mx.array:
        if a.ndim != 2:
            raise ValueError(f"[sparse] bad shape: got {tuple(a.shape)}, expected 2 axes")
        import numpy as np  # here, so that importing nn does not import NumPy

        order = np.argsort(np.array(mx.random.uniform(shape=a.shape)), axis=1)
        keep = np.ones(a.shape, np.bool_)
        np.put_along_axis(keep, order[:, : math.ceil(sparsity * a.shape[1])], False, axis=1)
        values = mx.random.normal(a.shape, dtype=dtype, loc=mean, scale=std)
        return mx.where(mx.array(keep), values, 0)

    return initializer


@checked
def orthogonal(gain: float = 1.0, dtype: mx.Dtype = mx.float32) -> Initializer:
    """``gain`` times a random matrix with orthonormal rows or columns, whichever are fewer.

    Saxe et al., 2013: the Q of the QR factors of a normal matrix, with the signs that make every
    such matrix equally likely. Computed at once, by NumPy in double precision.

    Raises:
        ValueError: the array has other than 2 axes.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> q = nn.init.orthogonal()(mx.zeros((2, 3)))
        >>> mx.abs(q @ q.T - mx.eye(2)).max().item() < 1e-5
        True
    """

    @checked
    def initializer(a: mx.array) -> mx.array:
        if a.ndim != 2:
            raise ValueError(f"[orthogonal] bad shape: got {tuple(a.shape)}, expected 2 axes")
        import numpy as np  # here, so that importing nn does not import NumPy

        rows, columns = a.shape
        tall = np.array(mx.random.normal((max(rows, columns), min(rows, columns))), np.float64)
        q, r = np.linalg.qr(tall)
        q = q * np.where(np.diagonal(r) < 0, -1, 1)
        return gain * mx.array((q if rows >= columns else q.T).astype(np.float32)).astype(dtype)

    return initializer


def _fans(a: mx.array) -> tuple[int, int]:
    """How many inputs an output sums over, and how many outputs an input reaches."""
    if a.ndim < 2:
        raise ValueError(f"[init] bad shape: got {tuple(a.shape)}, expected 2 axes or more")
    outputs, *kernel, inputs = a.shape
    return inputs * math.prod(kernel), outputs * math.prod(kernel)
