"""What arguments of sparse matrices are, and errors where they are not."""

from __future__ import annotations

import operator
from typing import Any, Optional

import numpy as np

import lazulite.core as mx


def fail(name: str, text: str) -> ValueError:
    return ValueError(f"[sparse.{name}] {text}")


def known(a: mx.array) -> Optional[np.ndarray]:
    """The elements of an array; None where they are not known while a function is traced."""
    try:
        return np.array(a)
    except mx.TracerError:
        return None


def known_or_fail(name: str, hint: str, *arrays: mx.array) -> list[np.ndarray]:
    values = [known(a) for a in arrays]
    if any(v is None for v in values):
        raise mx.TracerError(
            f"[sparse.{name}] how many elements the result has depends on where elements stand, "
            "which is not known while a function is traced: got no size, expected one, as in "
            f"{hint}"
        )
    return values  # type: ignore[return-value]


def index_dtype(*sizes: int) -> mx.Dtype:
    """int32 where places of these numbers of rows, columns and elements fit."""
    return mx.int64 if max(sizes, default=0) >= 2**31 else mx.int32


def as_indices(name: str, what: str, given: Any, dtype: mx.Dtype) -> mx.array:
    a = given if isinstance(given, mx.array) else mx.array(given)
    if a.size == 0 and not isinstance(given, mx.array):
        a = a.astype(dtype)
    if not mx.issubdtype(a.dtype, mx.integer):
        raise TypeError(f"[sparse.{name}] {what}: got {a.dtype}, expected integers")
    if a.ndim != 1:
        raise fail(name, f"{what}: got shape {tuple(a.shape)}, expected one axis")
    return a if a.dtype in (mx.int32, mx.int64) else a.astype(dtype)


def as_shape(name: str, shape: Any) -> tuple[int, int]:
    try:
        rows, columns = (operator.index(n) for n in shape)
    except (TypeError, ValueError):
        raise fail(name, f"shape: got {shape!r}, expected two sizes") from None
    if rows < 0 or columns < 0:
        raise fail(name, f"shape: got {(rows, columns)}, expected two sizes of 0 or more")
    return rows, columns


def check_size(name: str, size: Any) -> int:
    try:
        number = operator.index(size)
    except TypeError:
        raise TypeError(
            f"[sparse.{name}] size: got {type(size).__name__}, expected an int"
        ) from None
    if number < 0:
        raise fail(name, f"size: got {number}, expected 0 or more")
    return number


def check_below(name: str, what: str, values: np.ndarray, size: int) -> None:
    if values.size and not (values.min() >= 0 and values.max() < size):
        bad = values[(values < 0) | (values >= size)][0]
        raise mx.ArrayIndexError(
            f"[sparse.{name}] {what} out of range: got {bad}, expected 0 to {size - 1}"
        )


def same_type(name: str, *arrays: mx.array) -> list[mx.array]:
    """Index arrays of one dtype."""
    wide = any(a.dtype == mx.int64 for a in arrays)
    return [a.astype(mx.int64) if wide else a for a in arrays]


def is_number(a: Any) -> bool:
    return isinstance(a, (bool, int, float, complex, np.number, np.bool_)) or (
        isinstance(a, (mx.array, np.ndarray)) and a.ndim == 0
    )


def is_dense(a: Any) -> bool:
    return isinstance(a, (mx.array, np.ndarray))


def as_array(a: Any) -> mx.array:
    return a if isinstance(a, mx.array) else mx.array(a)
