"""A linear layer whose weight is sparse."""

import math
from typing import TYPE_CHECKING, Any, Optional, Sequence, Union

import lazulite.core as mx
from lazulite._arguments import checked, constructor
from lazulite.nn.module import Module

if TYPE_CHECKING:
    from lazulite.sparse import BSR, CSR

__all__ = ["SparseLinear"]


class SparseLinear(Module):
    r"""A :class:`Linear` whose weight is a sparse matrix: :math:`y = x W^\top + b`.

    ``data`` are the values, which are trained; ``indices`` and ``indptr`` say where they stand, as
    those of :class:`lazulite.sparse.CSR`, or with a ``block`` of :class:`lazulite.sparse.BSR`, and
    are frozen. Takes ``(..., input_dims)`` and gives ``(..., output_dims)``.

    Args:
        input_dims: the size of the last axis of the input.
        output_dims: the size of the last axis of the output.
        bias: whether there is a ``bias``.
        density: the part of the weight that is there, at random places.
        block: the shape of the blocks that are there, which divides that of the weight.

    Raises:
        ValueError: a density outside of 0 to 1, blocks that do not fit; or when called with another
            last axis.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.SparseLinear(64, 32, density=0.25)(mx.zeros((5, 64))).shape
        (5, 32)
    """

    @checked
    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        bias: bool = True,
        density: float = 0.1,
        block: Optional[Sequence[int]] = None,
    ) -> None:
        super().__init__()
        made = mx.random.sparse_normal(
            (output_dims, input_dims), density, format="bsr" if block else "csr", block=block
        )
        bound = 1 / math.sqrt(max(input_dims * density, 1))
        self._set(made.with_data(mx.random.uniform(-bound, bound, made.data.shape)))
        if bias:
            self.bias = mx.random.uniform(-bound, bound, (output_dims,))

    def _set(self, matrix: Any) -> None:
        self.data, self.indices, self.indptr = matrix.data, matrix.indices, matrix.indptr
        self.output_dims, self.input_dims = matrix.shape
        self.freeze(keys=["indices", "indptr"], recurse=False)

    @property
    def matrix(self) -> "Union[CSR, BSR]":
        """The weight, of shape ``(output_dims, input_dims)``."""
        from lazulite.sparse import BSR, CSR

        kind = BSR if self.data.ndim == 3 else CSR
        shape = (self.output_dims, self.input_dims)
        made: Union[CSR, BSR] = kind._of(self.data, self.indices, self.indptr, shape, False)
        return made

    @constructor
    def from_linear(
        cls, linear_layer: Module, block: Optional[Sequence[int]] = None
    ) -> "SparseLinear":
        """Of a :class:`Linear` with zeros in its weight, such as :func:`prune` leaves; that one
        stays as it is. With a ``block``, of the blocks that hold something.

        Example:
            >>> import lazulite.core as mx, lazulite.nn as nn
            >>> linear = nn.Linear(4, 4)
            >>> linear.weight = mx.eye(4)
            >>> nn.SparseLinear.from_linear(linear)
            SparseLinear(input_dims=4, output_dims=4, bias=True, density=0.25)
        """
        layer = cls.__new__(cls)
        Module.__init__(layer)
        form = "bsr" if block else "csr"
        layer._set(mx.sparse.from_dense(linear_layer.weight, form, block=block))
        if "bias" in linear_layer:
            layer.bias = linear_layer.bias
        return layer

    def _extra_repr(self) -> str:
        of = self.output_dims * self.input_dims
        text = (
            f"input_dims={self.input_dims}, output_dims={self.output_dims}, "
            f"bias={'bias' in self}, density={self.data.size / max(of, 1):.3g}"
        )
        return text + (f", block={tuple(self.data.shape[1:])}" if self.data.ndim == 3 else "")

    def __call__(self, x: mx.array) -> mx.array:
        if x.ndim == 0 or x.shape[-1] != self.input_dims:
            raise ValueError(
                f"[SparseLinear] got shape {tuple(x.shape)}, expected (..., {self.input_dims})"
            )
        rows = x.reshape(math.prod(x.shape[:-1]), self.input_dims)
        y = mx.sparse.product(self.data, self.indices, self.indptr, rows.T).T
        y = y.reshape(*x.shape[:-1], self.output_dims)
        return y + self.bias if "bias" in self else y
