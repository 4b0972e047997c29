"""Sparse matrices in files: SciPy's .npz, and .safetensors."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

import lazulite.core as mx
from lazulite.sparse.arrays import BSR, COO, CSR, SparseMatrix
from lazulite.sparse.make import shared

_CLASSES: dict[str, Any] = {"csr": CSR, "bsr": BSR, "coo": COO}
_SUFFIXES = (".npz", ".safetensors")


def _suffix(name: str, file: Any) -> tuple[str, str]:
    path = os.fspath(file)
    for suffix in _SUFFIXES:
        if path.endswith(suffix):
            return path, suffix
    raise ValueError(f"[sparse.{name}] got {path!r}, expected a name in .npz or .safetensors")


def save(file: Any, matrix: SparseMatrix) -> None:
    """Writes a matrix to a path in ``.npz``, which ``scipy.sparse.load_npz`` reads, or in
    ``.safetensors``, which holds bfloat16 too.

    >>> import tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "s.npz")
    >>> mx.sparse.save(path, mx.sparse.diagonal(mx.ones(3)))
    >>> mx.sparse.load(path)
    CSR(shape=(3, 3), nnz=3, dtype=float32)
    """
    if not isinstance(matrix, SparseMatrix):
        raise TypeError(
            f"[sparse.save] got {type(matrix).__name__}, expected a sparse matrix"
        )
    path, suffix = _suffix("save", file)
    places = ("row", "col") if isinstance(matrix, COO) else ("indices", "indptr")
    arrays = dict(zip(("data", *places), matrix._cut()._arrays()))
    if suffix == ".safetensors":
        about = {"format": matrix.format, "shape": json.dumps(matrix.shape)}
        mx.save_safetensors(path, arrays, about)
        return
    if matrix.dtype == mx.bfloat16:
        raise TypeError("[sparse.save] got bfloat16, expected a dtype of NumPy, or .safetensors")
    members: dict[str, Any] = {name: np.asarray(a) for name, a in arrays.items()}
    members["format"] = np.array(matrix.format.encode("ascii"))
    members["shape"] = np.array(matrix.shape, np.int64)
    members["_is_array"] = np.array(True)
    with open(path, "wb") as out:
        np.savez(out, **members)


def load(file: Any) -> SparseMatrix:
    """Reads what ``save`` or ``scipy.sparse.save_npz`` wrote. What stands in the file is checked as
    by the classes; ValueError for a file that holds something else."""
    path, suffix = _suffix("load", file)
    if suffix == ".safetensors":
        arrays, about = mx.load(path, return_metadata=True)
        form, shape = about.get("format"), about.get("shape")
        shape = json.loads(shape) if shape else None
    else:
        with np.load(path, allow_pickle=False) as found:
            held = {name: found[name] for name in found.files}
        form, shape = held.pop("format", None), held.pop("shape", None)
        form = form.item() if form is not None and form.ndim == 0 else None
        form = form.decode("ascii", "replace") if isinstance(form, bytes) else form
        shape = None if shape is None else shape.tolist()
        arrays = {k: shared(v) for k, v in held.items() if v.dtype.kind in "biufc"}
    if form == "csc" and shape is not None and _holds(arrays, "indices", "indptr"):
        turned = CSR(arrays["data"], arrays["indices"], arrays["indptr"], shape[::-1])
        return turned.transpose()
    places = ("row", "col") if form == "coo" else ("indices", "indptr")
    if form not in _CLASSES or shape is None or not _holds(arrays, *places):
        raise ValueError(
            f"[sparse.load] {path!r} holds no sparse matrix: got format {form!r} and "
            f"{sorted(arrays)}, expected 'csr', 'csc', 'coo' or 'bsr', a shape, data and its places"
        )
    made: SparseMatrix = _CLASSES[form](arrays["data"], *(arrays[p] for p in places), shape)
    return made


def _holds(arrays: dict[str, mx.array], *places: str) -> bool:
    return all(name in arrays for name in ("data", *places))
