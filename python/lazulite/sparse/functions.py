"""What the functions of `lazulite.core` do with sparse matrices."""

from __future__ import annotations

from typing import Any, Callable

import lazulite.core as mx
from lazulite.sparse import arithmetic
from lazulite.sparse.arrays import SparseMatrix

# f(0) = 0: applied to the values.
_AT_PLACES = """
    abs absolute arcsin arcsinh arctan arctanh ceil conj conjugate deg2rad degrees erf expm1 fix
    floor imag log1p nan_to_num negative positive rad2deg radians real rint round sign sin sinh
    sqrt square tan tanh trunc
""".split()
_LINEAR = "negative positive real imag conj conjugate".split()
_REDUCTIONS = "sum mean max min".split()


def _at_places(name: str) -> Callable[..., Any]:
    def call(a: SparseMatrix, *args: Any, **kwargs: Any) -> SparseMatrix:
        function = getattr(mx, name)
        if name in _LINEAR:
            return a._with(function(a.data, *args, **kwargs))
        return a.apply(lambda data: function(data, *args, **kwargs))

    return call


def _reduction(name: str) -> Callable[..., Any]:
    def call(a: SparseMatrix, axis: Any = None, keepdims: bool = False) -> mx.array:
        found: mx.array = getattr(a, name)(axis, keepdims)
        return found

    return call


def _transpose(a: SparseMatrix, axes: Any = None) -> SparseMatrix:
    if axes is None or [int(n) % 2 for n in axes] == [1, 0]:
        return a.T
    if [int(n) % 2 for n in axes] == [0, 1]:
        return a
    raise ValueError(f"[transpose] axes do not fit: got {axes!r} for 2 axes")


def _divide(a: Any, b: Any) -> Any:
    return arithmetic.divide(a, b) if isinstance(a, SparseMatrix) else NotImplemented


def _power(a: Any, b: Any) -> Any:
    return a.__pow__(b) if isinstance(a, SparseMatrix) else NotImplemented


def _multiply(a: Any, b: Any) -> Any:
    return arithmetic.multiply(a, b) if isinstance(a, SparseMatrix) else arithmetic.multiply(b, a)


def _astype(a: SparseMatrix, dtype: mx.Dtype) -> SparseMatrix:
    return a.astype(dtype)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: _at_places(name) for name in _AT_PLACES if hasattr(mx, name)},
    **{name: _reduction(name) for name in _REDUCTIONS},
    "add": arithmetic.add,
    "astype": _astype,
    "divide": _divide,
    "matmul": arithmetic.matmul,
    "matrix_transpose": _transpose,
    "multiply": _multiply,
    "power": _power,
    "subtract": arithmetic.subtract,
    "transpose": _transpose,
}


def call(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The function `name` of these arguments; NotImplemented: it has no sparse form."""
    function = _FUNCTIONS.get(name)
    if function is None:
        return NotImplemented
    stream = kwargs.pop("stream", None)
    if stream is None:
        return function(*args, **kwargs)
    with mx.stream(stream):
        return function(*args, **kwargs)
