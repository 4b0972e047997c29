"""Named tuples of arrays, as the array API standard names what linear algebra gives."""

from __future__ import annotations

from typing import NamedTuple

from ._core import array


class EighResult(NamedTuple):
    """What `linalg.eigh` gives."""

    eigenvalues: array
    eigenvectors: array


class EigResult(NamedTuple):
    """What `linalg.eig` gives."""

    eigenvalues: array
    eigenvectors: array


class QRResult(NamedTuple):
    """What `linalg.qr` gives."""

    Q: array
    R: array


class SlogdetResult(NamedTuple):
    """What `linalg.slogdet` gives."""

    sign: array
    logabsdet: array


class SVDResult(NamedTuple):
    """What `linalg.svd` gives."""

    U: array
    S: array
    Vh: array
