"""Sparse matrices in NumPy, as dense ones: the references of that room."""

import numpy as np


def _blocks(data):
    return data if data.ndim == 3 else data.reshape(-1, 1, 1)


def _rows(indptr):
    return np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))


def dense(data, indices, indptr, columns):
    """What the matrix is, of so many columns of blocks; bools are counted."""
    blocks = _blocks(data)
    kind = np.int64 if data.dtype == bool else data.dtype
    out = np.zeros((len(indptr) - 1, blocks.shape[1], columns, blocks.shape[2]), kind)
    for row, column, block in zip(_rows(indptr), indices, blocks):
        out[row, :, column, :] += block
    return out.reshape(out.shape[0] * out.shape[1], out.shape[2] * out.shape[3])


def product(data, indices, indptr, b):
    wide = _blocks(data).shape[2]
    rows = b.shape[0] if b.ndim == 1 else b.shape[-2]
    out = dense(data, indices, indptr, rows // wide) @ b
    return out.astype(bool) if data.dtype == bool else out


def sampled_product(a, b, indices, indptr, block=(1, 1)):
    high, wide = block
    rows = _rows(indptr)
    x = a.reshape(len(indptr) - 1, high, a.shape[1])[rows]
    y = b.reshape(b.shape[0] // wide, wide, b.shape[1])[indices]
    if a.dtype == bool:
        x, y = x.astype(int), y.astype(int)
    out = np.einsum("prk,pck->prc", x, y)
    out = out.astype(bool) if a.dtype == bool else out
    return out.reshape(-1) if block == (1, 1) else out


def group(numbers, size):
    order = np.argsort(numbers, kind="stable")
    return np.searchsorted(numbers[order], np.arange(size + 1)), order


def row_numbers(indptr, size):
    return _rows(indptr)


def product_at(
    data_a, indices_a, indptr_a, data_b, indices_b, indptr_b, indices, indptr, columns
):
    inner = len(indptr_b) - 1
    a, b = dense(data_a, indices_a, indptr_a, inner), dense(data_b, indices_b, indptr_b, columns)
    out = (a @ b)[_rows(indptr), indices]
    return out.astype(bool) if data_a.dtype == bool else out
