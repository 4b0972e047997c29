"""The classes of sparse matrices, and what Python's operators do with them."""

from __future__ import annotations

import operator
from typing import Any, Optional, Sequence, TypeVar

import numpy as np

import lazulite.core as mx
from lazulite.core import _core
from lazulite.core._trees import register_record
from lazulite.sparse.checks import (
    as_indices,
    as_shape,
    check_below,
    check_size,
    fail,
    index_dtype,
    known,
    known_or_fail,
    same_type,
)

_native = _core.sparse
Self = TypeVar("Self", bound="SparseMatrix")
InRows = TypeVar("InRows", bound="CSR")



class SparseMatrix:
    """What CSR, COO and BSR share. Values are in ``data``; ``shape`` never changes.

    Where several elements stand in one place, they add up. What was made by a ``size=`` has room
    for so many values: what is left over stands behind the last row and is no element.
    """

    __array_ufunc__ = None  # NumPy's operators leave the work to ours
    __array_priority__ = 1000
    __iter__ = None
    __hash__ = object.__hash__
    format: str
    data: mx.array
    shape: tuple[int, int]
    _unique: bool  # in rising order by row and column, no place twice
    _room: bool = False  # values may stand behind the last row, which are none of the matrix

    # ---- what it is

    @property
    def dtype(self) -> mx.Dtype:
        """That of the values."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """Always 2."""
        return 2

    @property
    def size(self) -> int:
        """The number of elements of the dense matrix."""
        return self.shape[0] * self.shape[1]

    @property
    def nnz(self) -> int:
        """The number of stored values, zeros among them, and room that was made by ``size=``."""
        return int(self.data.size)

    @property
    def density(self) -> float:
        """``nnz`` by ``size``."""
        return self.nnz / self.size if self.size else 0.0

    @property
    def nbytes(self) -> int:
        """Bytes of the values and of where they stand."""
        return sum(int(a.nbytes) for a in self._arrays())

    def _arrays(self) -> list[mx.array]:
        raise NotImplementedError

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(shape={self.shape}, nnz={self.nnz}, dtype={self.dtype.name})"
        )

    def __bool__(self) -> bool:
        raise ValueError("[sparse] a matrix has no truth value: expected all, any or nnz of it")

    def _there(self) -> Optional[mx.array]:
        """Which of ``coordinates()`` are elements; None: all."""
        return None

    def _cut(self: Self) -> Self:
        """Without the room, where it is known how much that is."""
        return self

    # ---- other forms

    def with_data(self: Self, data: mx.array) -> Self:
        """The same places with other values, of the same shape.

        >>> s = mx.sparse.from_dense(mx.array([[0.0, 2.0]]))
        >>> s.with_data(mx.array([5.0])).to_dense()
        array([[0, 5]], dtype=float32)
        """
        if data.shape != self.data.shape:
            raise fail(
                "with_data",
                f"got shape {tuple(data.shape)}, expected {tuple(self.data.shape)}",
            )
        return self._with(data)

    def _with(self: Self, data: mx.array) -> Self:
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.data = data
        return made

    def astype(self: Self, dtype: mx.Dtype) -> Self:
        """With values of another dtype."""
        return self._with(self.data.astype(dtype))

    def coordinates(self) -> tuple[mx.array, mx.array, mx.array]:
        """``(data, rows, columns)`` of every stored value."""
        raise NotImplementedError

    def to_csr(self) -> CSR:
        raise NotImplementedError

    def to_coo(self) -> COO:
        """As coordinates."""
        data, rows, columns = self.coordinates()
        return COO._of(data, rows, columns, self.shape, self._unique and not isinstance(self, BSR))

    def to_bsr(self, block: Sequence[int], size: Optional[int] = None) -> BSR:
        """As blocks of the given shape, which divides that of the matrix.

        Blocks that hold a value are counted now, unless ``size`` says how many there may be, as
        ``compile`` needs it where places are arguments: fewer leave room, more are a ValueError
        where the blocks are used."""
        high, wide = as_shape("to_bsr", block)
        if not high or not wide or self.shape[0] % high or self.shape[1] % wide:
            raise fail("to_bsr", f"block: got {(high, wide)}, expected divisors of {self.shape}")
        if size is not None:
            return self._bsr_of(high, wide, check_size("to_bsr", size))
        data, rows, columns = self._cut().coordinates()
        r, c = known_or_fail("to_bsr", "s.to_bsr(block, size=1000)", rows, columns)
        across = self.shape[1] // wide
        keys, at = np.unique(
            r.astype(np.int64) // high * across + c // wide, return_inverse=True
        )
        wide_type = index_dtype(len(keys), *self.shape)
        blocks = _scattered(
            data,
            (len(keys), high, wide),
            mx.array(at.reshape(-1)),
            rows.astype(mx.int64) % high,
            columns.astype(mx.int64) % wide,
        )
        begin = np.searchsorted(keys, np.arange(self.shape[0] // high + 1) * across)
        return BSR._of(
            blocks,
            mx.array(keys % across if across else keys).astype(wide_type),
            mx.array(begin).astype(wide_type),
            self.shape,
            True,
        )

    def _bsr_of(self, high: int, wide: int, size: int) -> BSR:
        """As blocks, of which there is room for so many."""
        data, rows, columns = self.coordinates()
        down, across = self.shape[0] // high, self.shape[1] // wide
        keys = rows.astype(mx.int64) // high * across + columns // wide
        places, order, at = _ranked(keys, self._there(), down * across, size)
        blocks = mx.zeros((size, high, wide), data.dtype)
        if size:
            blocks = _scattered(
                data[order],
                (size, high, wide),
                mx.minimum(at, size - 1),
                rows[order] % high,
                columns[order] % wide,
            )
        kind = index_dtype(size, *self.shape)
        begin = mx.searchsorted(places, mx.arange(down + 1, dtype=mx.int64) * across)
        indices = (places[:size] % max(across, 1)).astype(kind)
        return BSR._of(blocks, indices, begin.astype(kind), self.shape, True, True)

    def to_dense(self) -> mx.array:
        """The matrix as an array.

        >>> mx.sparse.COO([1.0, 2.0], [0, 1], [1, 1], (2, 2)).to_dense()
        array([[0, 1],
               [0, 2]], dtype=float32)
        """
        return _scattered(*_of_values(self.coordinates(), self.shape))

    def toarray(self) -> mx.array:
        """The same, by the name that SciPy and ``mx.array`` know."""
        return self.to_dense()

    def to_scipy(self) -> Any:
        """SciPy's matrix of the same format, over the same memory where the dtype is one of
        NumPy's. Needs SciPy."""
        raise NotImplementedError

    def coalesce(self: Self) -> Self:
        """In the order of rows and columns, every place once, and without room.

        Looks at the places now. Where they are not known, inside ``compile``, there stays room for
        as many values as there were."""
        if self._cut() is not self:
            return self._cut().coalesce()
        if self._unique:
            return self
        data, rows, columns = self.coordinates()
        r, c = known(rows), known(columns)
        if r is None or c is None:
            return self._coalesced(data, rows, columns)
        keys, at = np.unique(r.astype(np.int64) * self.shape[1] + c, return_inverse=True)
        if len(keys) == len(at) and np.array_equal(at.reshape(-1), np.arange(len(at))):
            made = self._with(self.data)
            made._unique = True
            return made
        summed = _scattered(data, (len(keys),), mx.array(at.reshape(-1)))
        return self._like(_from_keys(summed, keys, self.shape))

    def _coalesced(self: Self, data: mx.array, rows: mx.array, columns: mx.array) -> Self:
        across, count = self.shape[1], int(data.size)
        keys = rows.astype(mx.int64) * across + columns
        places, order, at = _ranked(keys, self._there(), self.size, count)
        kind = index_dtype(count, *self.shape)
        begin = mx.searchsorted(places, mx.arange(self.shape[0] + 1, dtype=mx.int64) * across)
        made = CSR._of(
            _scattered(data[order], (count,), at),
            (places % max(across, 1)).astype(kind),
            begin.astype(kind),
            self.shape,
            True,
            True,
        )
        return self._like(made)

    def _like(self: Self, csr: CSR) -> Self:
        return csr if isinstance(self, CSR) else csr.to_coo()  # type: ignore[return-value]

    @property
    def T(self: Self) -> Self:
        """The transposed matrix."""
        return self.transpose()

    def transpose(self: Self) -> Self:
        raise NotImplementedError

    # ---- sums

    def _axis(self, name: str, axis: Any) -> Optional[int]:
        if axis is None or (
            isinstance(axis, (tuple, list)) and sorted(a % 2 for a in axis) == [0, 1]
        ):
            return None
        if isinstance(axis, (tuple, list)) and len(axis) == 1:
            axis = axis[0]
        number: int = operator.index(axis)
        if not -2 <= number < 2:
            raise mx.ArrayIndexError(f"[sparse.{name}] axis out of range: got {number} for 2 axes")
        return number % 2

    def sum(self, axis: Any = None, keepdims: bool = False) -> mx.array:
        """Of all elements, or along an axis: a dense array.

        >>> mx.sparse.from_dense(mx.array([[0.0, 2.0], [3.0, 0.0]])).sum(axis=0)
        array([3, 2], dtype=float32)
        """
        axis = self._axis("sum", axis)
        data, rows, columns = self.coordinates()
        if self.dtype == mx.bool_:  # two in one place are one True
            data, rows, columns = self.coalesce().coordinates()
        small = self.dtype == mx.bool_ or (
            mx.issubdtype(self.dtype, mx.integer) and self.dtype.size < 4
        )
        if small:  # as mx.sum
            data = data.astype(mx.sum(mx.zeros(1, self.dtype)).dtype)
        if axis is None:
            total = mx.sum(data)
            return total.reshape(1, 1) if keepdims else total
        length = self.shape[1 - axis]
        out = _scattered(data, (length,), columns if axis == 0 else rows)
        return mx.expand_dims(out, axis) if keepdims else out

    def mean(self, axis: Any = None, keepdims: bool = False) -> mx.array:
        """The sum by the number of elements, zeros among them."""
        of = self._axis("mean", axis)
        count = self.size if of is None else self.shape[of]
        values = self if mx.issubdtype(self.dtype, mx.inexact) else self.astype(mx.float32)
        return values.sum(axis, keepdims) / count

    def _extreme(self, name: str, axis: Any, keepdims: bool) -> mx.array:
        axis = self._axis(name, axis)
        whole = self.coalesce()
        (data, rows, columns), there = whole.coordinates(), whole._there()
        shape = self.shape if axis is None else (self.shape[axis],)
        if 0 in shape:
            raise fail(name, f"no elements: got shape {self.shape}")
        pick = mx.maximum if name == "max" else mx.minimum
        find = mx.max if name == "max" else mx.min
        zero = mx.zeros((), data.dtype)
        if axis is None:
            out = find(data) if data.size else zero
            if there is None:
                out = out if data.size == self.size else pick(out, zero)
            elif data.size:
                every = find(mx.where(there, data, data[0]))
                full = mx.sum(there) == self.size
                out = mx.where(full, every, pick(out, zero))
            return out.reshape(1, 1) if keepdims else out
        at = columns if axis == 0 else rows
        length = self.shape[1 - axis]
        if there is not None:  # room counts for a line of its own
            at, length = mx.where(there, at, length), length + 1
        full = mx.zeros((length,), mx.int64).at[at].add(1) == self.shape[axis]
        rank = _native.group(at, length)
        order, begin = rank[1], rank[0]
        # The first value of a row, or zero, and then all the others.
        first = data[order[mx.minimum(begin[:-1], max(data.size - 1, 0))]] if data.size else zero
        start = mx.where(full, first, zero) if data.size else mx.zeros((length,), data.dtype)
        change = start.at[at]
        out = change.maximum(data) if name == "max" else change.minimum(data)
        out = out if there is None else out[:-1]
        return mx.expand_dims(out, axis) if keepdims else out

    def max(self, axis: Any = None, keepdims: bool = False) -> mx.array:
        """The largest element of all or along an axis; zeros that are not stored count."""
        return self._extreme("max", axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> mx.array:
        """The smallest element of all or along an axis; zeros that are not stored count."""
        return self._extreme("min", axis, keepdims)

    # ---- element by element

    def apply(self: Self, function: Any) -> Self:
        """``function(data)`` at the same places: for functions with f(0) = 0, such as
        ``mx.tanh``."""
        whole = self.coalesce()
        data = function(whole.data)
        if not isinstance(data, mx.array) or data.shape != whole.data.shape:
            raise fail("apply", "the function must return an array of the shape of the values")
        return whole._with(data)

    def __neg__(self: Self) -> Self:
        return self._with(-self.data)

    def __pos__(self: Self) -> Self:
        return self

    def __abs__(self: Self) -> Self:
        return self.apply(mx.abs)

    def __pow__(self: Self, power: Any) -> Self:
        if not isinstance(power, (int, float)) or not power > 0:
            return NotImplemented
        return self.apply(lambda data: data**power)

    def __matmul__(self, other: Any) -> Any:
        return _arithmetic().matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return _arithmetic().matmul(other, self)

    def __add__(self, other: Any) -> Any:
        return _arithmetic().add(self, other)

    def __radd__(self, other: Any) -> Any:
        return _arithmetic().add(other, self)

    def __sub__(self, other: Any) -> Any:
        return _arithmetic().subtract(self, other)

    def __rsub__(self, other: Any) -> Any:
        return _arithmetic().add(other, -self)

    def __mul__(self, other: Any) -> Any:
        return _arithmetic().multiply(self, other)

    def __rmul__(self, other: Any) -> Any:
        return _arithmetic().multiply(self, other)

    def __truediv__(self, other: Any) -> Any:
        return _arithmetic().divide(self, other)

    def matmul(self, other: Any, size: Optional[int] = None) -> Any:
        """``self @ other``. Of two sparse ones ``size`` says how many values the product has room
        for, as ``compile`` needs it where places are arguments: fewer leave room, more are a
        ValueError where the product is computed.

        >>> s = mx.sparse.diagonal(mx.array([2.0, 3.0]))
        >>> mx.compile(lambda s: s.matmul(s, size=4).to_dense())(s)
        array([[4, 0],
               [0, 9]], dtype=float32)
        """
        return _arithmetic().matmul(self, other, size)

    def take_rows(self, rows: Any, size: Optional[int] = None) -> CSR:
        """``self[rows]``: of a slice, or of the numbers of rows. ``size`` says how many values the
        result has room for, as ``compile`` needs it where places, or the numbers of rows, are
        arguments: fewer leave room, more are a ValueError where the result is used.

        >>> s = mx.sparse.diagonal(mx.array([2.0, 3.0, 4.0]))
        >>> mx.compile(lambda s, i: s.take_rows(i, size=2).to_dense())(s, mx.array([2, 0]))
        array([[0, 0, 4],
               [2, 0, 0]], dtype=float32)
        """
        from lazulite.sparse.slices import take_rows

        return take_rows(self.to_csr(), rows, size=size)

    def __getitem__(self, key: Any) -> Any:
        from lazulite.sparse.slices import get_item

        return get_item(self, key)

    def __lazulite_function__(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        from lazulite.sparse.functions import call

        return call(name, args, kwargs)


def _arithmetic() -> Any:
    from lazulite.sparse import arithmetic

    return arithmetic


class CSR(SparseMatrix):
    """Compressed rows: row i has the values ``data[p]`` in the columns ``indices[p]``, for p from
    ``indptr[i]`` to ``indptr[i + 1]``.

    ``data`` has shape (nnz,), ``indices`` (nnz,) and ``indptr`` (rows + 1,), int32 or int64. They
    are looked at once, here, and wherever they are read by: ValueError for sizes and an ``indptr``
    that do not fit, IndexError for columns that are out of range.

    >>> s = mx.sparse.CSR([1.0, 2.0], [1, 0], [0, 1, 2], (2, 2))
    >>> s @ mx.array([10.0, 1.0])
    array([1, 20], dtype=float32)
    """

    format = "csr"
    indices: mx.array
    indptr: mx.array

    def __init__(self, data: Any, indices: Any, indptr: Any, shape: Sequence[int]):
        self.shape = as_shape("CSR", shape)
        self.data = data if isinstance(data, mx.array) else mx.array(data)
        self._set_pattern("CSR", indices, indptr, self.shape)
        if self.data.ndim != 1 or self.data.shape != self.indices.shape:
            raise fail(
                "CSR",
                f"data does not fit: got shape {tuple(self.data.shape)} for "
                f"{tuple(self.indices.shape)} indices",
            )

    def _set_pattern(self, name: str, indices: Any, indptr: Any, sizes: tuple[int, int]) -> None:
        """Of so many rows and columns (of blocks)."""
        dtype = index_dtype(*self.shape)
        indices = as_indices(name, "indices", indices, dtype)
        indptr = as_indices(name, "indptr", indptr, dtype)
        self.indices, self.indptr = same_type(name, indices, indptr)
        if self.indptr.size != sizes[0] + 1:
            raise fail(
                name,
                f"indptr does not fit: got {self.indptr.size} elements, expected {sizes[0] + 1}",
            )
        columns, begin = known(self.indices), known(self.indptr)
        self._unique = False
        if columns is None or begin is None:
            return
        if begin[0] != 0 or begin[-1] != len(columns) or (np.diff(begin) < 0).any():
            raise fail(
                name,
                f"indptr does not fit: got {begin[0]} to {begin[-1]}, expected numbers that rise "
                f"from 0 to {len(columns)}, that of indices",
            )
        check_below(name, "indices", columns, sizes[1])
        rising = np.diff(columns) > 0
        inner = begin[1:-1]  # where rows begin
        rising[inner[(inner > 0) & (inner < len(columns))] - 1] = True
        self._unique = bool(rising.all())

    @classmethod
    def _of(
        cls: type[InRows],
        data: mx.array,
        indices: mx.array,
        indptr: mx.array,
        shape: Any,
        unique: bool,
        room: bool = False,
    ) -> InRows:
        made = object.__new__(cls)
        made.data, made.indices, made.indptr = data, indices, indptr
        made.shape, made._unique, made._room = tuple(shape), unique, room
        return made

    def _arrays(self) -> list[mx.array]:
        return [self.data, self.indices, self.indptr]

    def _used(self) -> Optional[mx.array]:
        """Which of ``indices`` are of rows; None: all."""
        return mx.arange(self.indices.size) < self.indptr[-1] if self._room else None

    def _there(self) -> Optional[mx.array]:
        return self._used()

    def _cut(self: InRows) -> InRows:
        begin = known(self.indptr) if self._room else None
        if begin is None:
            return self
        used = int(begin[-1])
        made = self._with(self.data[:used])
        made.indices, made._room = self.indices[:used], False
        return made

    def coordinates(self) -> tuple[mx.array, mx.array, mx.array]:
        data, columns, used = self.data, self.indices, self._used()
        if used is not None:  # zeros, which may stand anywhere
            data = mx.where(used, data, mx.zeros((), data.dtype))
            columns = mx.where(used, columns, 0)
        return data, _native.row_numbers(self.indptr, self.indices.size), columns

    def to_csr(self) -> CSR:
        """As it is."""
        return self

    def transpose(self) -> CSR:
        data, rows, columns = self.coordinates()
        indptr, order = grouped(columns, self.shape[1], self._used())
        turned = self.shape[::-1]
        return CSR._of(data[order], rows[order], indptr, turned, self._unique, self._room)

    def to_scipy(self) -> Any:
        import scipy.sparse  # type: ignore[import-untyped]

        arrays = tuple(np.asarray(a) for a in self._cut()._arrays())
        return scipy.sparse.csr_array(arrays, shape=self.shape, copy=False)


class COO(SparseMatrix):
    """Coordinates: the values ``data[p]`` at row ``rows[p]`` and column ``columns[p]``, in any
    order. Errors as of CSR. Products are made by its CSR form.

    >>> mx.sparse.COO([1.0, 2.0, 4.0], [0, 1, 1], [1, 0, 0], (2, 2)).to_dense()
    array([[0, 1],
           [6, 0]], dtype=float32)
    """

    format = "coo"
    rows: mx.array
    columns: mx.array

    def __init__(self, data: Any, rows: Any, columns: Any, shape: Sequence[int]):
        self.shape = as_shape("COO", shape)
        self.data = data if isinstance(data, mx.array) else mx.array(data)
        dtype = index_dtype(*self.shape)
        self.rows, self.columns = same_type(
            "COO",
            as_indices("COO", "rows", rows, dtype),
            as_indices("COO", "columns", columns, dtype),
        )
        if not self.data.shape == self.rows.shape == self.columns.shape:
            raise fail(
                "COO",
                f"sizes differ: got data {tuple(self.data.shape)}, rows {tuple(self.rows.shape)} "
                f"and columns {tuple(self.columns.shape)}",
            )
        r, c = known(self.rows), known(self.columns)
        self._unique = False
        if r is None or c is None:
            return
        check_below("COO", "rows", r, self.shape[0])
        check_below("COO", "columns", c, self.shape[1])
        keys = r.astype(np.int64) * self.shape[1] + c
        self._unique = bool((np.diff(keys) > 0).all())

    @classmethod
    def _of(
        cls, data: mx.array, rows: mx.array, columns: mx.array, shape: Any, unique: bool
    ) -> COO:
        made = object.__new__(cls)
        made.data, made.rows, made.columns = data, rows, columns
        made.shape, made._unique = tuple(shape), unique
        return made

    def _arrays(self) -> list[mx.array]:
        return [self.data, self.rows, self.columns]

    def coordinates(self) -> tuple[mx.array, mx.array, mx.array]:
        return self.data, self.rows, self.columns

    def to_coo(self) -> COO:
        """As it is."""
        return self

    def to_csr(self) -> CSR:
        """As compressed rows; within a row in the order in which values stand here."""
        indptr, order = _native.group(self.rows, self.shape[0])
        return CSR._of(
            self.data[order], self.columns[order], indptr, self.shape, self._unique
        )

    def transpose(self) -> COO:
        return COO._of(self.data, self.columns, self.rows, self.shape[::-1], False)

    def to_scipy(self) -> Any:
        import scipy.sparse

        data, rows, columns = (np.asarray(a) for a in self._arrays())
        return scipy.sparse.coo_array((data, (rows, columns)), shape=self.shape, copy=False)


class BSR(CSR):
    """Rows of blocks: ``data`` has shape (count, r, c), and ``indices`` and ``indptr`` count in
    blocks, whose shape divides that of the matrix. Errors as of CSR.

    >>> s = mx.sparse.BSR(mx.ones((1, 2, 2)), [1], [0, 1], (2, 4))
    >>> s.to_dense()
    array([[0, 0, 1, 1],
           [0, 0, 1, 1]], dtype=float32)
    """

    format = "bsr"

    def __init__(self, data: Any, indices: Any, indptr: Any, shape: Sequence[int]):
        self.shape = as_shape("BSR", shape)
        self.data = data if isinstance(data, mx.array) else mx.array(data)
        if self.data.ndim != 3 or 0 in self.data.shape[1:]:
            raise fail(
                "BSR", f"data: got shape {tuple(self.data.shape)}, expected (count, rows, columns)"
            )
        high, wide = self.block
        if self.shape[0] % high or self.shape[1] % wide:
            raise fail("BSR", f"blocks of {(high, wide)} do not divide {self.shape}")
        self._set_pattern(
            "BSR", indices, indptr, (self.shape[0] // high, self.shape[1] // wide)
        )
        if self.data.shape[0] != self.indices.size:
            raise fail(
                "BSR", f"data does not fit: got {self.data.shape[0]} blocks for "
                f"{self.indices.size} indices"
            )

    @property
    def block(self) -> tuple[int, int]:
        """The shape of a block."""
        return tuple(int(n) for n in self.data.shape[-2:])  # type: ignore[return-value]

    def _there(self) -> Optional[mx.array]:
        used = self._used()
        return None if used is None else mx.repeat(used, self.block[0] * self.block[1])

    def _blocks(self) -> mx.array:
        """The blocks, with zeros for room."""
        used = self._used()
        if used is None:
            return self.data
        return mx.where(used[:, None, None], self.data, mx.zeros((), self.data.dtype))

    def coordinates(self) -> tuple[mx.array, mx.array, mx.array]:
        high, wide = self.block
        rows = _native.row_numbers(self.indptr, self.indices.size)
        used = self._used()
        columns = self.indices if used is None else mx.where(used, self.indices, 0)

        def each(number: mx.array, size: int, axis: int) -> mx.array:
            inside = mx.expand_dims(mx.arange(size, dtype=number.dtype), axis)
            places = number[:, None, None] * size + inside
            return mx.broadcast_to(places, (self.indices.size, high, wide)).reshape(-1)

        return self._blocks().reshape(-1), each(rows, high, 1), each(columns, wide, 0)

    def to_csr(self) -> CSR:
        """As compressed rows, with every value of a block."""
        data, rows, columns = self.coordinates()
        indptr, order = grouped(rows, self.shape[0], self._there())
        return CSR._of(
            data[order], columns[order], indptr, self.shape, self._unique, self._room
        )

    def to_dense(self) -> mx.array:
        high, wide = self.block
        rows = _native.row_numbers(self.indptr, self.indices.size)
        used = self._used()
        columns = self.indices if used is None else mx.where(used, self.indices, 0)
        down, across = self.shape[0] // high, self.shape[1] // wide
        blocks = _scattered(self._blocks(), (down, across, high, wide), rows, columns)
        return blocks.transpose(0, 2, 1, 3).reshape(self.shape)

    def transpose(self) -> BSR:
        rows = _native.row_numbers(self.indptr, self.indices.size)
        indptr, order = grouped(self.indices, self.shape[1] // self.block[1], self._used())
        data = self.data[order].transpose(0, 2, 1)
        return BSR._of(
            data, rows[order], indptr, self.shape[::-1], self._unique, self._room
        )

    def _like(self, csr: CSR) -> BSR:
        return csr.to_bsr(self.block, int(self.indices.size) if csr._room else None)

    def to_scipy(self) -> Any:
        import scipy.sparse

        arrays = tuple(np.asarray(a) for a in self._cut()._arrays())
        return scipy.sparse.bsr_array(arrays, shape=self.shape, copy=False)


for _class, _places in ((CSR, ("indices", "indptr")), (BSR, ("indices", "indptr")),
                        (COO, ("rows", "columns"))):
    register_record(_class, ("data", *_places), _places, ("shape", "_unique", "_room"))


# ---- helpers


def _of_values(
    coordinates: tuple[mx.array, mx.array, mx.array], shape: tuple[int, int]
) -> tuple[Any, ...]:
    data, rows, columns = coordinates
    return data, shape, rows, columns


def _scattered(data: mx.array, shape: Any, *places: mx.array) -> mx.array:
    """Zeros with values added at places; of bools: whether there is one."""
    if data.dtype == mx.bool_:
        return _scattered(data.astype(mx.int32), shape, *places) != 0
    out = mx.zeros(shape, data.dtype)
    return out.at[places].add(data) if data.size and out.size else out


def grouped(
    numbers: mx.array, size: int, there: Optional[mx.array]
) -> tuple[mx.array, mx.array]:
    """Where each number below ``size`` stands, as (indptr, order); what is not there is last."""
    if there is None:
        return _native.group(numbers, size)  # type: ignore[no-any-return]
    indptr, order = _native.group(mx.where(there, numbers, size), size + 1)
    return indptr[:-1], order


def _ranked(
    keys: mx.array, there: Optional[mx.array], none: int, least: int
) -> tuple[mx.array, mx.array, mx.array]:
    """The different keys in rising order, and then ``none``, of which there are ``least`` or more
    and as many as keys; the order of the keys; and for each key in that order which one it is."""
    if there is not None:
        keys = mx.where(there, keys, none)
    order = mx.argsort(keys, stable=True)
    keys = keys[order]
    new = mx.concatenate([mx.zeros((min(keys.size, 1),), mx.bool_), keys[1:] != keys[:-1]])
    at = mx.cumsum(new.astype(mx.int64))
    places = mx.full((max(least, int(keys.size)),), none, mx.int64)
    return (places.at[at].minimum(keys) if keys.size else places), order, at


def _from_keys(data: mx.array, keys: np.ndarray, shape: tuple[int, int]) -> CSR:
    """Of values at row * columns + column, in rising order."""
    rows, columns = shape
    dtype = index_dtype(len(keys), *shape)
    begin = np.searchsorted(keys, np.arange(rows + 1, dtype=np.int64) * columns)
    indices = keys % columns if columns else keys
    return CSR._of(
        data, mx.array(indices).astype(dtype), mx.array(begin).astype(dtype), shape, True
    )
