"""Rows, columns and elements of sparse matrices."""

from __future__ import annotations

import operator
from typing import Any, Optional

import numpy as np

import lazulite.core as mx
from lazulite.sparse.arrays import CSR, SparseMatrix
from lazulite.sparse.checks import check_size, fail, known, known_or_fail

_HINT = "s.take_rows(slice(1, 3), size=1000)"


def get_item(s: SparseMatrix, key: Any) -> Any:
    """``s[i]`` (a dense row), ``s[i, j]`` (an element), ``s[rows]`` and ``s[rows, columns]`` with
    slices, masks and lists of integers: CSR, whose size is found now."""
    keys = key if isinstance(key, tuple) else (key,)
    if Ellipsis in [k for k in keys if not isinstance(k, (mx.array, np.ndarray))]:
        i = [k is Ellipsis for k in keys].index(True)
        keys = (*keys[:i], *[slice(None)] * (3 - len(keys)), *keys[i + 1 :])
    if len(keys) > 2:
        raise mx.ArrayIndexError(f"[sparse] too many indices: got {len(keys)} for 2 axes")
    rows, columns = (*keys, slice(None))[:2]
    made = s.to_csr()
    row, column = _number(rows, 0, s), _number(columns, 1, s)
    if row is not None and known(made.indptr) is None:
        return _dense_row(made, row)[columns if column is None else column]
    if row is not None:
        made = _slice_rows(made, row, row + 1)
    elif not (isinstance(rows, slice) and rows == slice(None)):
        made = take_rows(made, rows)
    if column is not None:
        line = mx.where(made.indices == column, made.data, mx.zeros((), made.data.dtype))
        dense = made._with(line).sum(1).astype(s.dtype)
        return dense[0] if row is not None else dense
    if not (isinstance(columns, slice) and columns == slice(None)):
        made = take_rows(made.transpose(), columns, 1).transpose()
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


def _dense_row(s: CSR, row: int) -> mx.array:
    """Where it is not known how many elements a row has."""
    data, rows, columns = s.coordinates()
    here = mx.where(rows == row, data, mx.zeros((), data.dtype))
    return s._with(here).sum(0).astype(s.dtype)


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


def take_rows(s: CSR, key: Any, axis: int = 0, size: Optional[int] = None) -> CSR:
    numbers: Optional[np.ndarray]
    if isinstance(key, slice):
        first, until, step = key.indices(s.shape[0])
        if step == 1 and size is None:
            return _slice_rows(s, first, max(first, until))
        numbers = np.arange(first, until, step)
    else:
        numbers = known(key) if isinstance(key, mx.array) else np.asarray(key)
        if numbers is None:
            return _traced_rows(s, key, size)
        numbers = _checked(numbers, key, axis, s.shape[0])
    if size is not None:
        return _rows_in_room(s, mx.array(numbers), check_size("take_rows", size))
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


def _checked(numbers: np.ndarray, key: Any, axis: int, size: int) -> np.ndarray:
    """The numbers of rows that a list, a mask or an array of integers names."""
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
    return np.where(numbers < 0, numbers + size, numbers)


def _traced_rows(s: CSR, key: mx.array, size: Optional[int]) -> CSR:
    """Of numbers that are not known while a function is traced."""
    if key.ndim != 1 or not mx.issubdtype(key.dtype, mx.integer):
        raise mx.TracerError(
            f"[sparse.take_rows] which rows there are is not known while a function is traced: got "
            f"{key.dtype} of shape {tuple(key.shape)}, expected integers of one axis; of a mask, as "
            "in s.take_rows(mx.nonzero(mask, size=10)[0], size=1000)"
        )
    if size is None:
        known_or_fail("slice", "s.take_rows(rows, size=1000)", key)
    return _rows_in_room(s, mx.where(key < 0, key + s.shape[0], key), check_size("take_rows", size))


def _rows_in_room(s: CSR, numbers: mx.array, size: int) -> CSR:
    """The rows of these numbers, with room for so many values."""
    dtype, count = s.indptr.dtype, int(numbers.size)
    shape = (count, s.shape[1])
    if count and not s.shape[0]:
        raise fail("take_rows", f"no rows: got shape {s.shape}")
    if not count or not s.data.size or not size:
        lengths = (s.indptr[1:] - s.indptr[:-1])[numbers] if count else mx.zeros((0,), dtype)
        data, indices = mx.zeros((size,), s.dtype), mx.zeros((size,), dtype)
        ends = mx.cumsum(lengths)
    else:
        begin = s.indptr[:-1][numbers]
        ends = mx.cumsum(s.indptr[1:][numbers] - begin)
        line = mx.arange(size, dtype=dtype)
        row = mx.minimum(mx.searchsorted(ends, line, side="right"), count - 1)
        there = line < ends[-1]
        before = mx.concatenate([mx.zeros((1,), dtype), ends[:-1].astype(dtype)])
        at = mx.where(there, begin[row] + (line - before[row]), 0)
        data = mx.where(there, s.data[at], mx.zeros((), s.dtype))
        indices = mx.where(there, s.indices[at], 0)
    indptr = mx.concatenate([mx.zeros((1,), dtype), ends.astype(dtype)])
    return CSR._of(data, indices, indptr, shape, s._unique, True)
