"""Sparse matrices as arrays of the lazy graph: CSR, COO and blocks (BSR).

`import lazulite.sparse as sparse`, or `mx.sparse`, which has the same names. Matrices are trees of
arrays (values, and where they stand) with a fixed shape: eval, grad, vmap and compile take them,
and so do `mx.matmul`, `@` and the other functions that docs/sparse.md lists.
"""

from lazulite.core import _core
from lazulite.sparse.arrays import BSR, COO, CSR, SparseMatrix
from lazulite.sparse.files import load, save
from lazulite.sparse.make import diagonal, from_dense, from_scipy, normal

product = _core.sparse.product
sampled_product = _core.sparse.sampled_product
group = _core.sparse.group
row_numbers = _core.sparse.row_numbers
product_pattern = _core.sparse.product_pattern
product_at = _core.sparse.product_at

__all__ = [
    "BSR",
    "COO",
    "CSR",
    "SparseMatrix",
    "diagonal",
    "from_dense",
    "from_scipy",
    "group",
    "load",
    "normal",
    "product",
    "product_at",
    "product_pattern",
    "row_numbers",
    "sampled_product",
    "save",
]
