"""Layers that subtract a mean and divide by a standard deviation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Optional, Union

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.nn.module import Module

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["BatchNorm", "GroupNorm", "InstanceNorm", "LayerNorm", "RMSNorm"]


def _check_positive(op: str, **values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"[{op}] {name} must be positive: got {value}")


def _wide(x: mx.array) -> mx.array:
    """Halves and integers as float32: squares of halves overflow."""
    return x.astype(mx.result_type(x, mx.float32))


def _standardize(x: mx.array, axes: tuple[int, ...], eps: float) -> mx.array:
    """In float32 for halves."""
    x = _wide(x)
    mean = mx.mean(x, axis=axes, keepdims=True)
    variance = mx.var(x, axis=axes, keepdims=True)
    return (x - mean) * mx.rsqrt(variance + eps)


class _Norm(Module):
    """The affine map that most norms end with: a factor and a bias for each feature."""

    def _add_affine(self, dims: int) -> None:
        self.weight = mx.ones((dims,))
        self.bias = mx.zeros((dims,))

    def _affine(self, normalized: mx.array, like: mx.array, *others: mx.array) -> mx.array:
        """The affine map of what came of ``like``, rounded once to the dtype of all operands."""
        dtype = like.dtype if mx.issubdtype(like.dtype, mx.floating) else normalized.dtype
        if "weight" in self:
            normalized = self.weight * normalized + self.bias
            others = (*others, self.weight, self.bias)
        return normalized.astype(mx.result_type(dtype, *others))


class LayerNorm(Module):
    r"""Layer normalization (Ba et al., 2016) of the last axis.

    .. math:: y = \frac{x - E[x]}{\sqrt{Var[x] + \epsilon}} \gamma + \beta

    ``weight`` (gamma, ones at first) and ``bias`` (beta, zeros) have shape ``(dims,)``. The shape
    ``(..., dims)`` and the dtype stay; halves are accumulated in float32.

    Args:
        dims: the size of the last axis.
        eps: epsilon.
        affine: whether there is a ``weight``.
        bias: whether there is a ``bias``, when ``affine``.

    Raises:
        ValueError: when called with another last axis.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.LayerNorm(2, eps=1e-30)(mx.array([[1.0, 3.0], [20.0, 10.0]]))
        array([[-1, 1],
               [1, -1]], dtype=float32)
    """

    @checked
    def __init__(
        self, dims: int, eps: float = 1e-5, affine: bool = True, bias: bool = True
    ) -> None:
        super().__init__()
        _check_positive("LayerNorm", eps=eps)
        if affine:
            self.weight = mx.ones((dims,))
            if bias:
                self.bias = mx.zeros((dims,))
        self.dims = dims
        self.eps = eps

    def _extra_repr(self) -> str:
        return f"{self.dims}, eps={self.eps}, affine={'weight' in self}"

    def __call__(self, x: mx.array) -> mx.array:
        return mx.fast.layer_norm(x, self.get("weight"), self.get("bias"), self.eps)


class RMSNorm(Module):
    r"""Root mean square normalization (Zhang and Sennrich, 2019) of the last axis.

    .. math:: y = \frac{x}{\sqrt{E[x^2] + \epsilon}} \gamma

    ``weight`` (gamma, ones at first) has shape ``(dims,)``. The shape ``(..., dims)`` and the
    dtype stay; halves are accumulated in float32.

    Args:
        dims: the size of the last axis.
        eps: epsilon.

    Raises:
        ValueError: when called with another last axis.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.RMSNorm(2, eps=1e-30)(mx.array([3.0, -3.0]))
        array([1, -1], dtype=float32)
    """

    @checked
    def __init__(self, dims: int, eps: float = 1e-5) -> None:
        super().__init__()
        _check_positive("RMSNorm", eps=eps)
        self.weight = mx.ones((dims,))
        self.eps = eps

    def _extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, eps={self.eps}"

    def __call__(self, x: mx.array) -> mx.array:
        return mx.fast.rms_norm(x, self.weight, self.eps)


class InstanceNorm(_Norm):
    r"""Instance normalization (Ulyanov et al., 2016): each channel of each sample by itself.

    .. math:: y = \frac{x - E[x]}{\sqrt{Var[x] + \epsilon}} \gamma + \beta

    Mean and variance are over all axes but the first and the last. The shape ``(N, ..., dims)``
    stays.

    Args:
        dims: the number of channels.
        eps: epsilon.
        affine: whether there are ``weight`` (ones at first) and ``bias`` (zeros), ``(dims,)``.

    Raises:
        ValueError: when called with fewer than 3 axes.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> x = mx.array([[[1.0, 30.0], [3.0, 10.0]]])
        >>> nn.InstanceNorm(2, eps=1e-30)(x).round().tolist()
        [[[-1.0, 1.0], [1.0, -1.0]]]
    """

    @checked
    def __init__(self, dims: int, eps: float = 1e-5, affine: bool = False) -> None:
        super().__init__()
        _check_positive("InstanceNorm", eps=eps)
        if affine:
            self._add_affine(dims)
        self.dims = dims
        self.eps = eps

    def _extra_repr(self) -> str:
        return f"{self.dims}, eps={self.eps}, affine={'weight' in self}"

    def __call__(self, x: mx.array) -> mx.array:
        if x.ndim < 3:
            raise ValueError(
                f"[InstanceNorm] bad number of axes: got {x.ndim}, expected (N, ..., C) or 3 and up"
            )
        return self._affine(_standardize(x, tuple(range(1, x.ndim - 1)), self.eps), x)


class GroupNorm(_Norm):
    r"""Group normalization (Wu and He, 2018): groups of channels of each sample.

    .. math:: y = \frac{x - E[x]}{\sqrt{Var[x] + \epsilon}} \gamma + \beta

    The shape ``(N, ..., dims)`` stays.

    Args:
        num_groups: how many groups; it divides ``dims``.
        dims: the number of channels.
        eps: epsilon.
        affine: whether there are ``weight`` (ones at first) and ``bias`` (zeros), ``(dims,)``.
        pytorch_compatible: a group is of neighbouring channels, as in PyTorch; otherwise channel c
            belongs to group ``c % num_groups``.

    Raises:
        ValueError: ``num_groups`` does not divide ``dims``, or the input has another last axis.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> norm = nn.GroupNorm(2, 4, eps=1e-30, pytorch_compatible=True)
        >>> norm(mx.array([[1.0, 3.0, 20.0, 10.0]])).round().tolist()
        [[-1.0, 1.0, 1.0, -1.0]]
    """

    @checked
    def __init__(
        self,
        num_groups: int,
        dims: int,
        eps: float = 1e-5,
        affine: bool = True,
        pytorch_compatible: bool = False,
    ) -> None:
        super().__init__()
        _check_positive("GroupNorm", eps=eps, num_groups=num_groups, dims=dims)
        if dims % num_groups:
            raise ValueError(
                f"[GroupNorm] groups do not divide channels: "
                f"got {num_groups} groups of {dims} channels, expected a divisor"
            )
        if affine:
            self._add_affine(dims)
        self.num_groups = num_groups
        self.dims = dims
        self.eps = eps
        self.pytorch_compatible = pytorch_compatible

    def _extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.dims}, eps={self.eps}, affine={'weight' in self}, "
            f"pytorch_compatible={self.pytorch_compatible}"
        )

    def __call__(self, x: mx.array) -> mx.array:
        if x.ndim < 2 or x.shape[-1] != self.dims:
            raise ValueError(
                f"[GroupNorm] bad shape: got {tuple(x.shape)}, expected (N, ..., {self.dims})"
            )
        size, places = self.dims // self.num_groups, math.prod(x.shape[1:-1])
        if self.pytorch_compatible:
            groups, axes = x.reshape(x.shape[0], places, self.num_groups, size), (1, 3)
        else:
            groups, axes = x.reshape(x.shape[0], places, size, self.num_groups), (1, 2)
        return self._affine(_standardize(groups, axes, self.eps).reshape(x.shape), x)


class BatchNorm(_Norm):
    r"""Batch normalization (Ioffe and Szegedy, 2015): each feature over the whole batch.

    .. math:: y = \frac{x - E[x]}{\sqrt{Var[x] + \epsilon}} \gamma + \beta

    In training, mean and variance are those of the batch, over all axes but the last, and
    ``running_mean`` and ``running_var`` follow them:
    :math:`r \leftarrow (1 - \mu) r + \mu s`, with the unbiased variance. In inference the running
    ones are used. They are parameters that are never trainable. The shape stays: ``(N, C)``,
    ``(N, L, C)`` or ``(N, H, W, C)``.

    Args:
        num_features: the number of features C.
        eps: epsilon.
        momentum: mu.
        affine: whether there are ``weight`` (ones at first) and ``bias`` (zeros), ``(C,)``.
        track_running_stats: whether there are running statistics; without them the batch's own
            are used in inference too.

    Raises:
        ValueError: the input has other than 2 to 4 axes or another last axis, or is in training
            but a single value for each feature.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> norm = nn.BatchNorm(1, momentum=0.5, eps=1e-30)
        >>> norm(mx.array([[1.0], [3.0]])).tolist()
        [[-1.0], [1.0]]
        >>> norm.running_mean
        array([1], dtype=float32)
    """

    @checked
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        _check_positive("BatchNorm", eps=eps)
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.track_running_stats = track_running_stats
        if affine:
            self._add_affine(num_features)
        if track_running_stats:
            self.running_mean = mx.zeros((num_features,))
            self.running_var = mx.ones((num_features,))
            self._freeze_statistics()

    def _extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={'weight' in self}, track_running_stats={self.track_running_stats}"
        )

    def _freeze_statistics(self) -> None:
        self.freeze(recurse=False, keys=["running_mean", "running_var"])

    def unfreeze(
        self,
        *,
        recurse: bool = True,
        keys: Optional[Union[str, list[str]]] = None,
        strict: bool = False,
    ) -> Self:
        """As :meth:`Module.unfreeze`, but the running statistics stay frozen."""
        super().unfreeze(recurse=recurse, keys=keys, strict=strict)
        self._freeze_statistics()
        return self

    def __call__(self, x: mx.array) -> mx.array:
        if not 2 <= x.ndim <= 4 or x.shape[-1] != self.num_features:
            raise ValueError(
                f"[BatchNorm] bad shape: got {tuple(x.shape)}, "
                f"expected 2 to 4 axes with the last of size {self.num_features}"
            )
        if self.training or not self.track_running_stats:
            mean, variance = self._batch_statistics(x)
            return self._affine(self._normalize(x, mean, variance), x)
        mean, variance = self.running_mean, self.running_var
        return self._affine(self._normalize(x, mean, variance), x, mean, variance)

    def _normalize(self, x: mx.array, mean: mx.array, variance: mx.array) -> mx.array:
        return (_wide(x) - mean) * mx.rsqrt(_wide(variance) + self.eps)

    def _batch_statistics(self, x: mx.array) -> tuple[mx.array, mx.array]:
        x, axes = _wide(x), tuple(range(x.ndim - 1))
        mean, variance = mx.mean(x, axis=axes), mx.var(x, axis=axes)
        if self.training:
            count = x.size // self.num_features
            if count <= 1:
                raise ValueError(
                    "[BatchNorm] a batch of one has no variance: "
                    f"got shape {tuple(x.shape)} in training, expected two values or more"
                )
            if self.track_running_stats:
                self._follow("running_mean", mean)
                self._follow("running_var", variance * (count / (count - 1)))
        return mean, variance

    def _follow(self, name: str, value: mx.array) -> None:
        """Move a running statistic towards that of the batch, outside of any derivative."""
        running = self[name]
        value = mx.stop_gradient(value).astype(running.dtype)
        setattr(self, name, (1 - self.momentum) * running + self.momentum * value)
