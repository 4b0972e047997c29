"""Sparse matrices and their numbers, as the tests of lazulite.sparse make and compare them."""

import numpy as np

import lazulite.core as mx
import lazulite.sparse as sparse

KINDS = ["csr", "coo", "bsr"]
FLOATS = [mx.float16, mx.bfloat16, mx.float32, mx.float64]
TOLERANCE = {mx.float16: 4e-3, mx.bfloat16: 4e-2, mx.float32: 2e-5, mx.float64: 1e-12}


def numbers(rows, columns, density=0.3, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, columns))
    return values * (rng.uniform(size=values.shape) < density)


def made(dense, kind="csr", dtype=mx.float64, block=(2, 3)):
    return sparse.from_dense(mx.array(dense, dtype), kind, block=block if kind == "bsr" else None)


def as_numpy(a):
    a = a.to_dense() if isinstance(a, sparse.SparseMatrix) else a
    return np.array(a.astype(mx.float64) if a.dtype in FLOATS else a)


def close(got, wanted, rtol=1e-12):
    np.testing.assert_allclose(as_numpy(got), wanted, rtol=rtol, atol=rtol * 10)
