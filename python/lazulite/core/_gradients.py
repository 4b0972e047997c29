"""What grad and value_and_grad of nn share."""

from __future__ import annotations

from . import _core
from ._core import array  # type: ignore[import-not-found]
from ._trees import Leaf, bare_leaves, is_module

TYPE_CHECKING = False  # importing typing would take longer than all of this package
if TYPE_CHECKING:
    from typing import Any, Callable, Sequence

# Of a flat function from a list of arrays to one, its arguments, and a function from its outputs to
# their cotangents: the outputs and the cotangents of the arguments.
vector_jacobian_product: Callable[..., Any] = _core._vjp


def check_differentiable(
    name: str, where: str, leaves_template: Any, leaves: Sequence[array]
) -> None:
    for leaf in bare_leaves(leaves_template, is_module, fixed=True):
        if not isinstance(leaf, Leaf) and not is_module(leaf):
            raise ValueError(
                f"[{name}] {where} is not made of arrays: got {type(leaf).__name__}, "
                "expected an array or a tree of arrays"
            )
    if isinstance(leaves_template, Leaf) and not _core.issubdtype(leaves[0].dtype, _core.inexact):
        raise TypeError(
            f"[{name}] {where} cannot be differentiated: got {leaves[0].dtype}, "
            "expected a floating or complex dtype"
        )


def loss_of(name: str, value: Any, scalar_only: bool = False) -> array:
    """What of a function's value is differentiated: the value, or the first of several."""
    loss = value
    if not scalar_only and isinstance(value, (tuple, list)) and value:
        loss = value[0]
    if not isinstance(loss, array) or loss.ndim != 0:
        got = f"an array of shape {loss.shape}" if isinstance(loss, array) else type(loss).__name__
        raise ValueError(f"[{name}] the function must return a scalar array: got {got}")
    return loss


def ones_for(outputs: list[array]) -> list[array]:
    """The cotangents of a loss."""
    return [_core.ones_like(outputs[0])]
