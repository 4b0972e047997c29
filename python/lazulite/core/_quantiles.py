"""Quantiles: elements at places between those in order."""

from __future__ import annotations

import operator
from math import prod

from . import _core
from ._core import array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence

# alpha and beta of the continuous methods: place n * q + alpha + q * (1 - alpha - beta) - 1.
_CONTINUOUS = {
    "interpolated_inverted_cdf": (0.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}


def _place(n: int | array, q: array, method: str) -> tuple[array, array]:
    """Where quantiles lie among n (of each line, where it is an array): a whole number, and the
    weight of the next element."""
    if method in _CONTINUOUS:
        alpha, beta = _CONTINUOUS[method]
        at = n * q + (alpha + q * (1 - alpha - beta)) - 1
    elif method in ("inverted_cdf", "averaged_inverted_cdf"):
        at = n * q - 1
    elif method == "closest_observation":
        at = n * q - 1 - 0.5
    else:
        at = (n - 1) * q
    low = _core.floor(at)
    part = at - low
    if method == "inverted_cdf" or method == "higher":
        part = part > 0
    elif method == "averaged_inverted_cdf":
        part = _core.where(part == 0, 0.5, 1.0)
    elif method == "closest_observation":
        part = _core.logical_not(_core.logical_and(part == 0, low % 2 == 1))
    elif method == "lower":
        part = _core.zeros_like(part)
    elif method == "midpoint":
        part = _core.where(part > 0, 0.5, 0.0)
    elif method == "nearest":
        part = _core.round(at) - low
    return low, part.astype(_core.float64)


_METHODS = (
    "linear",
    "lower",
    "higher",
    "midpoint",
    "nearest",
    "inverted_cdf",
    "averaged_inverted_cdf",
    "closest_observation",
    *_CONTINUOUS,
)


def _quantile(
    name: str, a: array, q: Any, most: float, axis: Any, method: str, keepdims: bool, skip: bool
) -> array:
    if method not in _METHODS:
        raise ValueError(
            f"[{name}] unknown method: got {method!r}, expected one of {', '.join(_METHODS)}"
        )
    a = a if isinstance(a, array) else _core.array(a)
    if _core.issubdtype(a.dtype, _core.complexfloating):
        raise ValueError(f"[{name}] dtype without an order of its own: got {a.dtype}")
    known = not isinstance(q, array)
    at = _core.array(q, _core.float64) if known else q.astype(_core.float64)
    if known and not _core.all(_core.logical_and(at >= 0, at <= most)).item():
        raise ValueError(f"[{name}] q out of range: got {q}, expected 0 to {most:g}")
    at = at / most if most != 1 else at
    every = range(a.ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = sorted({_axis(name, d, a.ndim) for d in tuple(every)})
    kept = [d for d in range(a.ndim) if d not in axes]
    lines = _core.transpose(a, (*kept, *axes)) if a.ndim else a
    n = prod(a.shape[d] for d in axes)
    lines = lines.reshape((*[a.shape[d] for d in kept], n))
    if n == 0:
        raise ValueError(f"[{name}] of nothing: got an array of shape {a.shape}")
    exact = a.dtype if _core.issubdtype(a.dtype, _core.inexact) else _core.float32
    work = _core.float32 if exact in (_core.float16, _core.bfloat16) else exact
    lines = _core.sort(lines, -1).astype(work)
    if skip:  # of each line those before its nan, which stand last
        some = n - _core.count_nonzero(_core.isnan(lines), axis=-1, keepdims=True)
        low, part = _place(some.astype(_core.float64), at.reshape((-1,)), method)
        first = _core.clip(low, 0, _core.maximum(some - 1, 0)).astype(_core.int64)
        last = _core.clip(low + 1, 0, _core.maximum(some - 1, 0)).astype(_core.int64)
        x, y = (_core.take_along_axis(lines, i, -1) for i in (first, last))
    else:
        low, part = _place(n, at.reshape((-1,)), method)
        first = _core.clip(low, 0, n - 1).astype(_core.int64)
        last = _core.clip(low + 1, 0, n - 1).astype(_core.int64)
        x, y = _core.take(lines, first, -1), _core.take(lines, last, -1)
    part = part.astype(work)
    step = y - x
    out = _core.where(part >= 0.5, y - step * (1 - part), x + step * part)
    out = _core.where(_core.logical_or(part == 0, x == y), x, _core.where(part == 1, y, out))
    if not skip:
        out = _core.where(_core.isnan(lines[..., -1:]), float("nan"), out)  # nan stands last
    inside = _core.logical_and(at >= 0, at <= 1).reshape((-1,))
    out = _core.where(inside, out, float("nan")).astype(exact)
    rest = [1 if d in axes else a.shape[d] for d in range(a.ndim)]
    shape = rest if keepdims else [a.shape[d] for d in kept]
    return _core.moveaxis(out, -1, 0).reshape((*at.shape, *shape))


def _axis(name: str, axis: Any, ndim: int) -> int:
    try:
        at = operator.index(axis)
    except TypeError:
        raise TypeError(f"[{name}] no axis: got {type(axis).__name__}, expected an int") from None
    if not -ndim <= at < ndim:
        raise _core.ArrayIndexError(f"[{name}] axis out of range: got {at} for {ndim} axes")
    return at % ndim


def quantile(
    a: array,
    q: array | float | Sequence[float],
    axis: int | Sequence[int] | None = None,
    *,
    method: str = "linear",
    keepdims: bool = False,
) -> array:
    """What lies at the share q (0 to 1) of the elements in order, over axes (all by default); nan
    if any element is.

    `method` is one of NumPy's: linear, lower, higher, midpoint, nearest, inverted_cdf,
    averaged_inverted_cdf, closest_observation, interpolated_inverted_cdf, hazen, weibull,
    median_unbiased, normal_unbiased. The axes of q come first in the result.

    >>> mx.quantile(mx.array([1.0, 2.0, 4.0]), [0.5, 0.75])
    array([2, 3], dtype=float32)
    """
    return _quantile("quantile", a, q, 1.0, axis, method, keepdims, False)


def percentile(
    a: array,
    q: array | float | Sequence[float],
    axis: int | Sequence[int] | None = None,
    *,
    method: str = "linear",
    keepdims: bool = False,
) -> array:
    """What lies at q percent (0 to 100) of the elements in order; see quantile.

    >>> mx.percentile(mx.array([1.0, 2.0, 4.0]), 25)
    array(1.5, dtype=float32)
    """
    return _quantile("percentile", a, q, 100.0, axis, method, keepdims, False)


def nanquantile(
    a: array,
    q: array | float | Sequence[float],
    axis: int | Sequence[int] | None = None,
    *,
    method: str = "linear",
    keepdims: bool = False,
) -> array:
    """quantile of the elements that are not nan; nan where all are.

    >>> mx.nanquantile(mx.array([1.0, 2.0, mx.nan, 4.0]), 0.5)
    array(2, dtype=float32)
    """
    return _quantile("nanquantile", a, q, 1.0, axis, method, keepdims, True)


def nanpercentile(
    a: array,
    q: array | float | Sequence[float],
    axis: int | Sequence[int] | None = None,
    *,
    method: str = "linear",
    keepdims: bool = False,
) -> array:
    """percentile of the elements that are not nan; nan where all are.

    >>> mx.nanpercentile(mx.array([1.0, 2.0, mx.nan, 4.0]), 25)
    array(1.5, dtype=float32)
    """
    return _quantile("nanpercentile", a, q, 100.0, axis, method, keepdims, True)
