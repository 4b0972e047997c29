"""Rows, columns and elements of sparse matrices."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

import lazulite.core as mx
from lazulite.sparse.arrays import CSR, SparseMatrix, known, known_or_fail

_HINT = "take rows before"


def get_item(s: SparseMatrix, key: Any) -> Any:
    """``s[i]`` (a dense row), ``s[i, j]`` (an element), ``s[rows]`` and ``s[rows, columns]`` with
    slices, masks and lists of integers: CSR. The result's size is found now."""
    keys = key if isinstance(key, tuple) else (key,)
    if Ellipsis in [k for k in keys if not isinstance(k, (mx.array, np.ndarray))]:
        i = [k is Ellipsis for k in keys].index(True)
        keys = (*keys[:i], *[slice(None)] * (3 - len(keys)), *keys[i + 1 :])
    if len(keys) > 2:
        raise mx.ArrayIndexError(f"[sparse] too many indices: got {len(keys)} for 2 axes")
    rows, columns = (*keys, slice(None))[:2]
    made = s.to_csr()
    row, column = _number(rows, 0, s), _number(columns, 1, s)
    if row is not None:
        made = _slice_rows(made, row, row + 1)
    elif not (isinstance(rows, slice) and rows == slice(None)):
        made = _take_rows(made, rows)
    if column is not None:
        line = mx.where(made.indices == column, made.data, mx.zeros((), made.data.dtype))
        dense = made._with(line).sum(1).astype(s.dtype)
        return dense[0] if row is not None else dense
    if not (isinstance(columns, slice) and columns == slice(None)):
        made = _take_rows(made.transpose(), columns, 1).transpose()
    return made.to_dense()[0] if row is not None else made


def _number(key: Any, axis: int, s: SparseMatrix) -> Any:
    if isinstance(key, (slice, bool, list, tuple)) or (
        isinstance(key, (mx.array, np.ndarray)) and (key.ndim or key.dtype in (bool, mx.bool_))
    ):
        return None
    try:
        i = operator.index(key)
    except TypeError:
        raise mx.ArrayIndexError(
            f"[sparse] got an index of {type(key).__name__}, expected integers, slices, masks or "
            "lists of integers"
        ) from None
    size = s.shape[axis]
    if not -size <= i < size:
        raise mx.ArrayIndexError(
            f"[sparse] index out of range: got {i} for axis {axis} with size {size}"
        )
    return i % size


def _slice_rows(s: CSR, first: int, until: int) -> CSR:
    (begin,) = known_or_fail("slice", _HINT, s.indptr)
    low, high = int(begin[first]), int(begin[until])
    return CSR._of(
        s.data[low:high],
        s.indices[low:high],
        s.indptr[first : until + 1] - low,
        (until - first, s.shape[1]),
        s._unique,
    )


def _take_rows(s: CSR, key: Any, axis: int = 0) -> CSR:
    size = s.shape[0]
    if isinstance(key, slice):
        first, until, step = key.indices(size)
        if step == 1:
            return _slice_rows(s, first, max(first, until))
        numbers = np.arange(first, until, step)
    else:
        numbers = known(key) if isinstance(key, mx.array) else np.asarray(key)
        if numbers is None:
            known_or_fail("slice", _HINT, key)
        if numbers.size == 0 and not isinstance(key, (mx.array, np.ndarray)):
            numbers = numbers.astype(np.int64)
        if numbers.dtype == bool and numbers.shape == (size,):
            numbers = np.flatnonzero(numbers)
        if numbers.dtype.kind not in "iu" or numbers.ndim != 1:
            raise mx.ArrayIndexError(
                f"[sparse] index does not fit: got {numbers.dtype} of shape {numbers.shape} for "
                f"axis {axis} with size {size}"
            )
        bad = (numbers < -size) | (numbers >= size)
        if bad.any():
            raise mx.ArrayIndexError(
                f"[sparse] index out of range: got {numbers[bad][0]} for axis {axis} with size "
                f"{size}"
            )
        numbers = np.where(numbers < 0, numbers + size, numbers)
    (begin,) = known_or_fail("slice", _HINT, s.indptr)
    lengths = (begin[1:] - begin[:-1])[numbers]
    ends = np.cumsum(lengths, dtype=np.int64)
    count = int(ends[-1]) if len(ends) else 0
    places = np.arange(count) - np.repeat(ends - lengths, lengths)
    places += np.repeat(begin[:-1][numbers].astype(np.int64), lengths)
    at = mx.array(places)
    dtype = s.indptr.dtype
    return CSR._of(
        s.data[at] if count else s.data[:0],
        s.indices[at] if count else s.indices[:0],
        mx.array(np.r_[0, ends]).astype(dtype),
        (len(numbers), s.shape[1]),
        s._unique,
    )
