"""Sparse matrices from dense ones, from SciPy's and from random numbers."""

from __future__ import annotations

from typing import Any, Optional, Sequence

import numpy as np

import lazulite.core as mx
from lazulite.core import _core
from lazulite.sparse.arrays import BSR, COO, CSR, SparseMatrix, grouped
from lazulite.sparse.checks import as_shape, index_dtype, known

_FORMATS = ("csr", "coo", "bsr")


def _in_format(csr: CSR, form: str, name: str, block: Any) -> SparseMatrix:
    if form not in _FORMATS:
        raise ValueError(f"[{name}] format: got {form!r}, expected 'csr', 'coo' or 'bsr'")
    if form == "coo":
        return csr.to_coo()
    if form == "csr":
        return csr
    if block is None:
        raise ValueError(f"[{name}] block: got None, expected two sizes for format 'bsr'")
    return csr.to_bsr(block)


def from_dense(
    a: mx.array,
    format: str = "csr",
    nnz: Optional[int] = None,
    block: Optional[Sequence[int]] = None,
) -> SparseMatrix:
    """A sparse matrix of the elements of ``a`` that are not zero (nan is none).

    Their number is looked at now, unless ``nnz`` gives it: then the first ``nnz`` in the order of
    rows are taken, and what is left over is room (in format ``"coo"`` zeros in the first place);
    ``compile`` needs that.
    ``block`` is the shape of the blocks of format ``"bsr"``.

    Raises ValueError for anything but two axes, TracerError inside ``compile`` without ``nnz``.

    >>> mx.sparse.from_dense(mx.array([[0.0, 2.0], [0.0, 3.0]]))
    CSR(shape=(2, 2), nnz=2, dtype=float32)
    """
    a = a if isinstance(a, mx.array) else mx.array(a)
    if a.ndim != 2:
        raise ValueError(f"[sparse.from_dense] got shape {tuple(a.shape)}, expected two axes")
    dtype = index_dtype(*a.shape, nnz or 0)
    mask = a != 0
    rows, columns = mx.nonzero(mask) if nnz is None else mx.nonzero(mask, size=nnz)
    if a.size == 0:
        data = mx.zeros((rows.size,), a.dtype)
        rows, columns = rows[:0], columns[:0]
        data = data[:0]
    else:
        data = a[rows, columns]
    rows, columns = rows.astype(dtype), columns.astype(dtype)
    if nnz is not None and a.size:
        there = mx.arange(nnz) < mx.sum(mask.astype(mx.int64))
        data = mx.where(there, data, mx.zeros((), a.dtype))
        if format != "coo":
            indptr, _ = grouped(rows, a.shape[0], there)
            room = CSR._of(data, columns, indptr, a.shape, True, True)
            return _in_format(room, format, "sparse.from_dense", block)
    made = COO._of(data, rows, columns, a.shape, nnz is None)
    return _in_format(made.to_csr(), format, "sparse.from_dense", block)


def from_scipy(matrix: Any) -> SparseMatrix:
    """Of a matrix of SciPy, with the same format for CSR, COO and BSR, else CSR. Values and indices
    are read where they lie, without a copy, where the dtype is one of ours and memory can be
    written to: what changes there changes here.

    >>> import scipy.sparse
    >>> mx.sparse.from_scipy(scipy.sparse.eye_array(3, format="csr"))
    CSR(shape=(3, 3), nnz=3, dtype=float64)
    """
    form = getattr(matrix, "format", None)
    if form is None or not hasattr(matrix, "tocsr"):
        raise TypeError(
            f"[sparse.from_scipy] got {type(matrix).__name__}, expected a sparse matrix of SciPy"
        )
    if len(matrix.shape) != 2:
        raise ValueError(f"[sparse.from_scipy] got shape {matrix.shape}, expected two axes")
    if form not in _FORMATS:
        matrix, form = matrix.tocsr(), "csr"
    if form == "coo":
        rows, columns = matrix.coords if hasattr(matrix, "coords") else (matrix.row, matrix.col)
        return COO(shared(matrix.data), shared(rows), shared(columns), matrix.shape)
    made = CSR if form == "csr" else BSR
    count = int(matrix.indptr[-1])  # SciPy may hold more than it uses
    data, indices = matrix.data[:count], matrix.indices[:count]
    return made(shared(data), shared(indices), shared(matrix.indptr), matrix.shape)


def shared(a: np.ndarray) -> mx.array:
    """An array over NumPy's memory, where that can be."""
    try:
        return mx.from_dlpack(a)
    except (BufferError, TypeError, ValueError, RuntimeError):
        return mx.array(a)


def diagonal(values: Any) -> CSR:
    """The square matrix with ``values`` on its diagonal.

    >>> mx.sparse.diagonal(mx.array([2.0, 3.0])).to_dense()
    array([[2, 0],
           [0, 3]], dtype=float32)
    """
    data = values if isinstance(values, mx.array) else mx.array(values)
    if data.ndim != 1:
        raise ValueError(f"[sparse.diagonal] got shape {tuple(data.shape)}, expected one axis")
    n = int(data.size)
    line = mx.arange(n + 1, dtype=index_dtype(n))
    return CSR._of(data, line[:-1], line, (n, n), True)


_MOST_PERMUTED = 1 << 22  # of places that are permuted as a whole


def _distinct_places(size: int, count: int, key: Optional[mx.array]) -> mx.array:
    """``count`` different numbers below ``size``, in order; every choice is as likely."""
    if size <= _MOST_PERMUTED:
        return mx.sort(mx.random.permutation(size, key=key)[:count]).astype(mx.int64)
    left = min(count, size - count)  # those that are taken, or those that are not
    found = np.zeros(0, np.int64)
    if key is None:
        key = mx.random.key(int(mx.random.randint(0, 2**31 - 1, ()).item()))
    while len(found) < left:
        key, own = mx.random.split(key)
        more = left - len(found) + left // 64 + 16
        drawn = known(mx.random.randint(0, size, (more,), dtype=mx.int64, key=own))
        if drawn is None:
            raise mx.TracerError(
                "[random.sparse_normal] as many places are drawn until they differ, which needs "
                f"values while a function is traced: got {size} elements, expected "
                f"{_MOST_PERMUTED} at most, or a matrix that is made before"
            )
        fresh = np.concatenate([found, drawn])
        _, first = np.unique(fresh, return_index=True)
        found = fresh[np.sort(first)][:left]
    found = np.sort(found)
    if left < count:
        found = np.setdiff1d(np.arange(size), found, assume_unique=True)
    return mx.array(found)


def normal(
    shape: Sequence[int],
    density: float = 0.1,
    dtype: mx.Dtype = mx.float32,
    loc: float = 0.0,
    scale: float = 1.0,
    key: Optional[mx.array] = None,
    format: str = "csr",
    block: Optional[Sequence[int]] = None,
) -> SparseMatrix:
    """Normal numbers, with mean ``loc`` and standard deviation ``scale``, at random places: at
    ``round(density * rows * columns)`` of them, each choice of which is as likely. Also
    ``mx.random.sparse_normal``.

    Format ``"bsr"`` fills whole blocks of the shape ``block``, so many of all blocks.

    Raises ValueError for a shape that is not two sizes, and a density outside of 0 to 1.

    >>> mx.random.sparse_normal((1000, 1000), density=0.1)
    CSR(shape=(1000, 1000), nnz=100000, dtype=float32)
    """
    name = "random.sparse_normal"
    try:
        rows, columns = as_shape("normal", shape)
    except ValueError as error:
        raise ValueError(str(error).replace("sparse.normal", name)) from None
    if not 0 <= density <= 1:
        raise ValueError(f"[{name}] density: got {density}, expected 0 to 1")
    if format not in _FORMATS:
        raise ValueError(f"[{name}] format: got {format!r}, expected 'csr', 'coo' or 'bsr'")
    if not mx.issubdtype(dtype, mx.floating):
        raise TypeError(f"[{name}] dtype: got {dtype}, expected a floating dtype")
    high, wide = 1, 1
    if format == "bsr":
        if block is None:
            raise ValueError(f"[{name}] block: got None, expected two sizes for format 'bsr'")
        high, wide = as_shape("normal", block)
        if not high or not wide or rows % high or columns % wide:
            raise ValueError(
                f"[{name}] block: got {(high, wide)}, expected divisors of {(rows, columns)}"
            )
    down, across = rows // high, columns // wide
    count = round(density * down * across)
    own, other = (None, None) if key is None else mx.random.split(key)
    places = _distinct_places(down * across, count, own)
    kind = index_dtype(rows, columns, count)
    size = (count, high, wide) if format == "bsr" else (count,)
    data = mx.random.normal(size, dtype=dtype, loc=loc, scale=scale, key=other)
    across = max(across, 1)
    indices = (places % across).astype(kind)
    indptr, _ = _core.sparse.group((places // across).astype(kind), down)
    made = (BSR if format == "bsr" else CSR)._of(data, indices, indptr, (rows, columns), True)
    return made.to_coo() if format == "coo" else made


sparse_normal = normal  # as lazulite.core.random names it
