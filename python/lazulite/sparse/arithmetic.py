"""Products, sums and quotients of sparse matrices."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

import lazulite.core as mx
from lazulite.core import _core
from lazulite.sparse.arrays import BSR, COO, CSR, SparseMatrix, grouped
from lazulite.sparse.checks import as_array, check_size, is_dense, is_number, known, same_type

_native = _core.sparse


def is_operand(a: Any) -> bool:
    return is_number(a) or is_dense(a) or isinstance(a, SparseMatrix)


def matmul(a: Any, b: Any, size: Optional[int] = None) -> Any:
    """The product where one side, or both, are sparse: of two sparse ones CSR."""
    if isinstance(a, SparseMatrix) and isinstance(b, SparseMatrix):
        return _sparse_by_sparse(a, b, None if size is None else check_size("matmul", size))
    if size is not None:
        raise ValueError(
            f"[sparse.matmul] size: got {size} for a product with {type(b).__name__}, expected "
            "a sparse matrix"
        )
    if isinstance(a, SparseMatrix):
        if not is_dense(b):
            return NotImplemented
        x = as_array(b)
        inner = x.shape[0 if x.ndim == 1 else -2] if x.ndim else 0
        if x.ndim == 0 or inner != a.shape[1]:
            raise ValueError(
                f"[matmul] inner sizes differ: got shapes {a.shape} and {tuple(x.shape)}"
            )
        s = a if isinstance(a, CSR) else a.to_csr()
        return _native.product(s.data, s.indices, s.indptr, x)
    if not is_dense(a):
        return NotImplemented
    x = as_array(a)
    if x.ndim == 0 or x.shape[-1] != b.shape[0]:
        raise ValueError(
            f"[matmul] inner sizes differ: got shapes {tuple(x.shape)} and {b.shape}"
        )
    if x.ndim == 1:
        return matmul(b.T, x)
    flat = x.reshape(-1, x.shape[-1]) if x.size else x.reshape(
        int(np.prod(x.shape[:-1])), x.shape[-1]
    )
    return matmul(b.T, flat.T).T.reshape(*x.shape[:-1], b.shape[1])


def _sparse_by_sparse(a: SparseMatrix, b: SparseMatrix, size: Optional[int]) -> CSR:
    if a.shape[1] != b.shape[0]:
        raise ValueError(f"[matmul] inner sizes differ: got shapes {a.shape} and {b.shape}")
    x, y = a.to_csr(), b.to_csr()
    indices, indptr = _native.product_pattern(
        x.indices, x.indptr, y.indices, y.indptr, b.shape[1], size=size
    )
    data = _native.product_at(
        x.data, x.indices, x.indptr, y.data, y.indices, y.indptr, indices, indptr, b.shape[1]
    )
    return CSR._of(data, indices, indptr, (a.shape[0], b.shape[1]), True, size is not None)


def _same_places(a: SparseMatrix, b: SparseMatrix) -> bool:
    """Whether both have the very arrays of places."""
    return (
        type(a) is type(b)
        and a.data.shape == b.data.shape
        and all(x is y for x, y in zip(a._arrays()[1:], b._arrays()[1:]))
    )


def _check_shapes(name: str, a: SparseMatrix, b: SparseMatrix) -> None:
    if a.shape != b.shape:
        raise ValueError(f"[{name}] shapes differ: got {a.shape} and {b.shape}")


def add(a: Any, b: Any) -> Any:
    """Of two sparse matrices CSR, with the places of both; with anything dense a dense array."""
    if not (isinstance(a, SparseMatrix) and isinstance(b, SparseMatrix)):
        if not (is_operand(a) and is_operand(b)):
            return NotImplemented
        x, y = (s.to_dense() if isinstance(s, SparseMatrix) else s for s in (a, b))
        return x + y
    _check_shapes("add", a, b)
    if _same_places(a, b):
        return a._with(a.data + b.data)
    a, b = a._cut(), b._cut()
    dtype = mx.result_type(a.dtype, b.dtype)
    parts = [s.astype(dtype).coordinates() for s in (a, b)]
    data, rows, columns = (
        mx.concatenate(same_type("add", *both) if i else list(both))
        for i, both in enumerate(zip(*parts))
    )
    if a._room or b._room:
        there = [mx.ones((s.data.size,), mx.bool_) if s._there() is None else s._there()
                 for s in (a, b)]
        indptr, order = grouped(rows, a.shape[0], mx.concatenate(there))
        return CSR._of(data[order], columns[order], indptr, a.shape, False, True)
    both = COO._of(data, rows, columns, a.shape, False)
    if known(rows) is None or known(columns) is None:  # what stands in one place adds up
        return both.to_csr()
    return both.coalesce().to_csr()


def subtract(a: Any, b: Any) -> Any:
    """The sum with what has the other sign."""
    return add(a, -b) if is_operand(b) else NotImplemented


def values_at(s: SparseMatrix, places: CSR) -> mx.array:
    """What a matrix has at the places of another one."""
    x, n = s.to_csr(), s.shape[0]
    line = mx.arange(n + 1, dtype=x.indptr.dtype)
    found: mx.array = _native.product_at(
        mx.ones((n,), s.dtype),
        line[:-1],
        line,
        x.data,
        x.indices,
        x.indptr,
        places.indices,
        places.indptr,
        s.shape[1],
    )
    return found


def multiply(a: SparseMatrix, b: Any) -> Any:
    """Element by element, at the places of the sparse side (of two: of that with fewer)."""
    if isinstance(b, SparseMatrix):
        _check_shapes("multiply", a, b)
        few, many = (a, b) if a.nnz <= b.nnz else (b, a)
        if few is not many and _same_places(few, many) and few._unique:
            return few._with(few.data * many.data)
        if isinstance(few, BSR):
            few = few.to_csr()
        few = few.coalesce()
        places = few.to_csr()
        return places._with(places.data * values_at(many, places))
    if not is_operand(b):
        return NotImplemented
    return _with_dense(a, b, mx.multiply)


def divide(a: SparseMatrix, b: Any) -> Any:
    """By a number or a dense array, at the places of the sparse side: what is not stored stays
    zero, whatever it is divided by."""
    if isinstance(b, SparseMatrix) or not is_operand(b):
        return NotImplemented
    return _with_dense(a, b, mx.divide)


def _with_dense(a: SparseMatrix, b: Any, function: Any) -> Any:
    if is_number(b):
        return a._with(function(a.data, b))
    x = as_array(b)
    if mx.broadcast_shapes(a.shape, x.shape) != a.shape:
        raise ValueError(
            f"[{function.__name__}] shapes do not fit: got {a.shape} and {tuple(x.shape)}, "
            "expected one that broadcasts to the sparse one"
        )
    if not a.size:
        return a._with(function(a.data, mx.zeros((), x.dtype)))
    _, rows, columns = a.coordinates()
    found = mx.broadcast_to(x, a.shape)[rows, columns].reshape(a.data.shape)
    return a._with(function(a.data, found))
