"""The classes of sparse matrices, and what Python's operators do with them."""

from __future__ import annotations

import operator
from typing import Any, Optional, Sequence, TypeVar, Union

import numpy as np

import lazulite.core as mx
from lazulite.core import _core
from lazulite.core._trees import register_record

_native = _core.sparse
Self = TypeVar("Self", bound="SparseMatrix")
Scalar = Union[int, float, complex, bool]


def _fail(name: str, text: str) -> ValueError:
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
            f"which is not known while a function is traced: {hint}"
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
        raise _fail(name, f"{what}: got shape {tuple(a.shape)}, expected one axis")
    return a if a.dtype in (mx.int32, mx.int64) else a.astype(dtype)


def as_shape(name: str, shape: Any) -> tuple[int, int]:
    try:
        rows, columns = (operator.index(n) for n in shape)
    except (TypeError, ValueError):
        raise _fail(name, f"shape: got {shape!r}, expected two sizes") from None
    if rows < 0 or columns < 0:
        raise _fail(name, f"shape: got {(rows, columns)}, expected two sizes of 0 or more")
    return rows, columns


def check_below(name: str, what: str, values: np.ndarray, size: int) -> None:
    if values.size and not (values.min() >= 0 and values.max() < size):
        bad = values[(values < 0) | (values >= size)][0]
        raise mx.ArrayIndexError(
            f"[sparse.{name}] {what} out of range: got {bad}, expected 0 to {size - 1}"
        )


def _same_type(name: str, *arrays: mx.array) -> list[mx.array]:
    """Index arrays of one dtype."""
    wide = any(a.dtype == mx.int64 for a in arrays)
    return [a.astype(mx.int64) if wide else a for a in arrays]


class SparseMatrix:
    """What CSR, COO and BSR share. Values are in ``data``; ``shape`` never changes.

    Where several elements stand in one place, they add up.
    """

    __array_ufunc__ = None  # NumPy's operators leave the work to ours
    __array_priority__ = 1000
    __iter__ = None
    __hash__ = object.__hash__
    format: str
    data: mx.array
    shape: tuple[int, int]
    _unique: bool  # in rising order by row and column, no place twice

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
        """The number of stored values, zeros among them."""
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

    # ---- other forms

    def with_data(self: Self, data: mx.array) -> Self:
        """The same places with other values, of the same shape.

        >>> s = mx.sparse.from_dense(mx.array([[0.0, 2.0]]))
        >>> s.with_data(mx.array([5.0])).to_dense()
        array([[0, 5]], dtype=float32)
        """
        if data.shape != self.data.shape:
            raise _fail(
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

    def to_bsr(self, block: Sequence[int]) -> BSR:
        """As blocks of the given shape, which divides that of the matrix. Blocks that hold a value
        are found now: TracerError inside ``compile`` where the places are its arguments."""
        high, wide = as_shape("to_bsr", block)
        if not high or not wide or self.shape[0] % high or self.shape[1] % wide:
            raise _fail("to_bsr", f"block: got {(high, wide)}, expected divisors of {self.shape}")
        data, rows, columns = self.coordinates()
        r, c = known_or_fail("to_bsr", "make blocks before", rows, columns)
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
        """In the order of rows and columns, every place once. Looks at the places now, unless it
        is known that nothing changes."""
        if self._unique:
            return self
        data, rows, columns = self.coordinates()
        r, c = known_or_fail("coalesce", "coalesce before", rows, columns)
        keys, at = np.unique(r.astype(np.int64) * self.shape[1] + c, return_inverse=True)
        if len(keys) == len(at) and np.array_equal(at.reshape(-1), np.arange(len(at))):
            made = self._with(self.data)
            made._unique = True
            return made
        summed = _scattered(data, (len(keys),), mx.array(at.reshape(-1)))
        return self._like(_from_keys(summed, keys, self.shape))

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
        axis = operator.index(axis)
        if not -2 <= axis < 2:
            raise mx.ArrayIndexError(f"[sparse.{name}] axis out of range: got {axis} for 2 axes")
        return axis % 2

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
        data, rows, columns = self.coalesce().coordinates()
        shape = self.shape if axis is None else (self.shape[axis],)
        if 0 in shape:
            raise _fail(name, f"no elements: got shape {self.shape}")
        pick = mx.maximum if name == "max" else mx.minimum
        find = mx.max if name == "max" else mx.min
        zero = mx.zeros((), data.dtype)
        if axis is None:
            out = find(data) if data.size else zero
            out = out if data.size == self.size else pick(out, zero)
            return out.reshape(1, 1) if keepdims else out
        at = columns if axis == 0 else rows
        length = self.shape[1 - axis]
        full = mx.zeros((length,), mx.int64).at[at].add(1) == self.shape[axis]
        rank = _native.group(at, length)
        order, begin = rank[1], rank[0]
        # The first value of a row, or zero, and then all the others.
        first = data[order[mx.minimum(begin[:-1], max(data.size - 1, 0))]] if data.size else zero
        start = mx.where(full, first, zero) if data.size else mx.zeros((length,), data.dtype)
        change = start.at[at]
        out = change.maximum(data) if name == "max" else change.minimum(data)
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
            raise _fail("apply", "the function must return an array of the shape of the values")
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
        return matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return matmul(other, self)

    def __add__(self, other: Any) -> Any:
        return add(self, other)

    def __radd__(self, other: Any) -> Any:
        return add(other, self)

    def __sub__(self, other: Any) -> Any:
        return add(self, -other) if is_operand(other) else NotImplemented

    def __rsub__(self, other: Any) -> Any:
        return add(other, -self)

    def __mul__(self, other: Any) -> Any:
        return multiply(self, other)

    def __rmul__(self, other: Any) -> Any:
        return multiply(self, other)

    def __truediv__(self, other: Any) -> Any:
        return divide(self, other)

    def __getitem__(self, key: Any) -> Any:
        from lazulite.sparse.slices import get_item

        return get_item(self, key)

    def __lazulite_function__(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        from lazulite.sparse.functions import call

        return call(name, args, kwargs)


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
            raise _fail(
                "CSR",
                f"data does not fit: got shape {tuple(self.data.shape)} for "
                f"{tuple(self.indices.shape)} indices",
            )

    def _set_pattern(self, name: str, indices: Any, indptr: Any, sizes: tuple[int, int]) -> None:
        """Of so many rows and columns (of blocks)."""
        dtype = index_dtype(*self.shape)
        indices = as_indices(name, "indices", indices, dtype)
        indptr = as_indices(name, "indptr", indptr, dtype)
        self.indices, self.indptr = _same_type(name, indices, indptr)
        if self.indptr.size != sizes[0] + 1:
            raise _fail(
                name,
                f"indptr does not fit: got {self.indptr.size} elements, expected {sizes[0] + 1}",
            )
        columns, begin = known(self.indices), known(self.indptr)
        self._unique = False
        if columns is None or begin is None:
            return
        if begin[0] != 0 or begin[-1] != len(columns) or (np.diff(begin) < 0).any():
            raise _fail(
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
        cls, data: mx.array, indices: mx.array, indptr: mx.array, shape: Any, unique: bool
    ) -> Any:
        made = object.__new__(cls)
        made.data, made.indices, made.indptr = data, indices, indptr
        made.shape, made._unique = tuple(shape), unique
        return made

    def _arrays(self) -> list[mx.array]:
        return [self.data, self.indices, self.indptr]

    def coordinates(self) -> tuple[mx.array, mx.array, mx.array]:
        return self.data, _native.row_numbers(self.indptr, self.indices.size), self.indices

    def to_csr(self) -> CSR:
        """As it is."""
        return self

    def transpose(self) -> CSR:
        data, rows, columns = self.coordinates()
        indptr, order = _native.group(columns, self.shape[1])
        turned = self.shape[::-1]
        return CSR._of(data[order], rows[order], indptr, turned, self._unique)

    def to_scipy(self) -> Any:
        import scipy.sparse

        arrays = tuple(np.asarray(a) for a in self._arrays())
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
        self.rows, self.columns = _same_type(
            "COO",
            as_indices("COO", "rows", rows, dtype),
            as_indices("COO", "columns", columns, dtype),
        )
        if not self.data.shape == self.rows.shape == self.columns.shape:
            raise _fail(
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
            raise _fail(
                "BSR", f"data: got shape {tuple(self.data.shape)}, expected (count, rows, columns)"
            )
        high, wide = self.block
        if self.shape[0] % high or self.shape[1] % wide:
            raise _fail("BSR", f"blocks of {(high, wide)} do not divide {self.shape}")
        self._set_pattern(
            "BSR", indices, indptr, (self.shape[0] // high, self.shape[1] // wide)
        )
        if self.data.shape[0] != self.indices.size:
            raise _fail(
                "BSR", f"data does not fit: got {self.data.shape[0]} blocks for "
                f"{self.indices.size} indices"
            )

    @property
    def block(self) -> tuple[int, int]:
        """The shape of a block."""
        return tuple(int(n) for n in self.data.shape[-2:])  # type: ignore[return-value]

    def coordinates(self) -> tuple[mx.array, mx.array, mx.array]:
        high, wide = self.block
        rows = _native.row_numbers(self.indptr, self.indices.size)

        def each(number: mx.array, size: int, axis: int) -> mx.array:
            inside = mx.expand_dims(mx.arange(size, dtype=number.dtype), axis)
            places = number[:, None, None] * size + inside
            return mx.broadcast_to(places, (self.indices.size, high, wide)).reshape(-1)

        return self.data.reshape(-1), each(rows, high, 1), each(self.indices, wide, 0)

    def to_csr(self) -> CSR:
        """As compressed rows, with every value of a block."""
        made: CSR = COO._of(*self.coordinates(), self.shape, False).to_csr()
        made._unique = self._unique
        return made

    def to_dense(self) -> mx.array:
        high, wide = self.block
        rows = _native.row_numbers(self.indptr, self.indices.size)
        down, across = self.shape[0] // high, self.shape[1] // wide
        blocks = _scattered(self.data, (down, across, high, wide), rows, self.indices)
        return blocks.transpose(0, 2, 1, 3).reshape(self.shape)

    def transpose(self) -> BSR:
        rows = _native.row_numbers(self.indptr, self.indices.size)
        indptr, order = _native.group(self.indices, self.shape[1] // self.block[1])
        data = self.data[order].transpose(0, 2, 1)
        return BSR._of(data, rows[order], indptr, self.shape[::-1], self._unique)

    def _like(self, csr: CSR) -> BSR:
        return csr.to_bsr(self.block)

    def to_scipy(self) -> Any:
        import scipy.sparse

        arrays = tuple(np.asarray(a) for a in self._arrays())
        return scipy.sparse.bsr_array(arrays, shape=self.shape, copy=False)


for _class, _places in ((CSR, ("indices", "indptr")), (BSR, ("indices", "indptr")),
                        (COO, ("rows", "columns"))):
    register_record(_class, ("data", *_places), _places, ("shape", "_unique"))


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
    return out.at[places].add(data) if data.size else out


def _from_keys(data: mx.array, keys: np.ndarray, shape: tuple[int, int]) -> CSR:
    """Of values at row * columns + column, in rising order."""
    rows, columns = shape
    dtype = index_dtype(len(keys), *shape)
    begin = np.searchsorted(keys, np.arange(rows + 1, dtype=np.int64) * columns)
    indices = keys % columns if columns else keys
    return CSR._of(
        data, mx.array(indices).astype(dtype), mx.array(begin).astype(dtype), shape, True
    )


def is_number(a: Any) -> bool:
    return isinstance(a, (bool, int, float, complex, np.number, np.bool_)) or (
        isinstance(a, (mx.array, np.ndarray)) and a.ndim == 0
    )


def is_dense(a: Any) -> bool:
    return isinstance(a, (mx.array, np.ndarray))


def is_operand(a: Any) -> bool:
    return is_number(a) or is_dense(a) or isinstance(a, SparseMatrix)


def _as_array(a: Any) -> mx.array:
    return a if isinstance(a, mx.array) else mx.array(a)


# ---- products, sums, quotients


def matmul(a: Any, b: Any) -> Any:
    """The product where one side, or both, are sparse: of two sparse ones CSR."""
    if isinstance(a, SparseMatrix) and isinstance(b, SparseMatrix):
        return _sparse_by_sparse(a, b)
    if isinstance(a, SparseMatrix):
        if not is_dense(b):
            return NotImplemented
        x = _as_array(b)
        inner = x.shape[0 if x.ndim == 1 else -2] if x.ndim else 0
        if x.ndim == 0 or inner != a.shape[1]:
            raise ValueError(
                f"[matmul] inner sizes differ: got shapes {a.shape} and {tuple(x.shape)}"
            )
        s = a if isinstance(a, CSR) else a.to_csr()
        return _native.product(s.data, s.indices, s.indptr, x)
    if not is_dense(a):
        return NotImplemented
    x = _as_array(a)
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


def _sparse_by_sparse(a: SparseMatrix, b: SparseMatrix) -> CSR:
    if a.shape[1] != b.shape[0]:
        raise ValueError(f"[matmul] inner sizes differ: got shapes {a.shape} and {b.shape}")
    x, y = a.to_csr(), b.to_csr()
    indices, indptr = _native.product_pattern(
        x.indices, x.indptr, y.indices, y.indptr, b.shape[1]
    )
    data = _native.product_at(
        x.data, x.indices, x.indptr, y.data, y.indices, y.indptr, indices, indptr, b.shape[1]
    )
    return CSR._of(data, indices, indptr, (a.shape[0], b.shape[1]), True)


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
    dtype = mx.result_type(a.dtype, b.dtype)
    parts = [s.astype(dtype).coordinates() for s in (a, b)]
    data, rows, columns = (
        mx.concatenate(_same_type("add", *both) if i else list(both))
        for i, both in enumerate(zip(*parts))
    )
    both = COO._of(data, rows, columns, a.shape, False)
    if known(rows) is None or known(columns) is None:  # what stands in one place adds up
        return both.to_csr()
    return both.coalesce().to_csr()


def values_at(s: SparseMatrix, places: CSR) -> mx.array:
    """What a matrix has at the places of another one."""
    x, n = s.to_csr(), s.shape[0]
    line = mx.arange(n + 1, dtype=x.indptr.dtype)
    return _native.product_at(
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
    x = _as_array(b)
    if mx.broadcast_shapes(a.shape, x.shape) != a.shape:
        raise ValueError(
            f"[{function.__name__}] shapes do not fit: got {a.shape} and {tuple(x.shape)}, "
            "expected one that broadcasts to the sparse one"
        )
    _, rows, columns = a.coordinates()
    found = mx.broadcast_to(x, a.shape)[rows, columns].reshape(a.data.shape)
    return a._with(function(a.data, found))
