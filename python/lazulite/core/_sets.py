"""The different elements of an array, as the array API standard names them."""

from __future__ import annotations

from typing import NamedTuple

from . import _core
from ._core import array


class UniqueAll(NamedTuple):
    """What `unique_all` gives."""

    values: array
    indices: array
    inverse_indices: array
    counts: array


class UniqueCounts(NamedTuple):
    """What `unique_counts` gives."""

    values: array
    counts: array


class UniqueInverse(NamedTuple):
    """What `unique_inverse` gives."""

    values: array
    inverse_indices: array


def unique_all(x: array, /, *, size: int | None = None) -> UniqueAll:
    """The different elements, where each comes first, which of them each element of x is, and how
    often each is there. Each nan is one of its own; `size` is that of `unique`.

    >>> mx.unique_all(mx.array([3, 1, 3])).counts
    array([1, 2], dtype=int32)
    """
    values, first, which, counts = _core.unique(x, size, True, True, True, equal_nan=False)
    return UniqueAll(values, first.astype(_core.int64), which.astype(_core.int64), counts)


def unique_counts(x: array, /, *, size: int | None = None) -> UniqueCounts:
    """The different elements and how often each is there. Each nan is one of its own; `size` is
    that of `unique`.

    >>> mx.unique_counts(mx.array([3, 1, 3])).values
    array([1, 3], dtype=int32)
    """
    return UniqueCounts(*_core.unique(x, size, return_counts=True, equal_nan=False))


def unique_inverse(x: array, /, *, size: int | None = None) -> UniqueInverse:
    """The different elements and which of them each element of x is. Each nan is one of its own;
    `size` is that of `unique`.

    >>> mx.unique_inverse(mx.array([3, 1, 3])).inverse_indices
    array([1, 0, 1], dtype=int64)
    """
    values, which = _core.unique(x, size, return_inverse=True, equal_nan=False)
    return UniqueInverse(values, which.astype(_core.int64))


def unique_values(x: array, /, *, size: int | None = None) -> array:
    """The different elements. Each nan is one of its own; `size` is that of `unique`.

    >>> mx.unique_values(mx.array([3, 1, 3]))
    array([1, 3], dtype=int32)
    """
    return _core.unique(x, size, equal_nan=False)
