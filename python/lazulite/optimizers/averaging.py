"""Averages of weights over the steps of training."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.nn import Module
from lazulite.utils import tree_flatten, tree_map, tree_map_with_path

__all__ = ["ExponentialMovingAverage"]


class ExponentialMovingAverage:
    r"""The exponential moving average of a model's weights, which often predicts better than they.

    .. math:: a \leftarrow d a + (1 - d) w

    The first update copies. Parameters that are not trainable or not floating, such as running
    statistics, are copied always. Averages of halves are kept in float32: a thousandth of a
    difference is less than a half of bfloat16's last digit, and they would stand still.

    Args:
        model: whose weights are averaged.
        decay: d.

    Attributes:
        state: the dict of the average and of the number of updates; the same dict always, for
            ``lazulite.core.compile`` and ``lazulite.utils.save_state``.

    Raises:
        ValueError: ``decay`` is outside of [0, 1].

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn, lazulite.optimizers as optim
        >>> model = nn.Linear(1, 1, bias=False).update({"weight": mx.array([[2.0]])})
        >>> average = optim.ExponentialMovingAverage(model, decay=0.75)
        >>> for weight in (4.0, 8.0):
        ...     average.update(model.update({"weight": mx.array([[weight]])}))
        >>> with average.applied(model):
        ...     model.weight
        array([[5]], dtype=float32)
        >>> model.weight
        array([[8]], dtype=float32)
    """

    @checked
    def __init__(self, model: Module, decay: float = 0.999) -> None:
        if not 0 <= decay <= 1:
            raise ValueError(
                f"[ExponentialMovingAverage] decay: got {decay}, expected a number in [0, 1]"
            )
        self.decay = decay
        self.state: dict[str, Any] = {
            "step": mx.array(0, mx.uint64),
            "average": tree_map(_wide, model.parameters()),
        }

    @property
    def parameters(self) -> dict[str, Any]:
        """The averaged parameters, in the form of ``model.parameters()``, in float32 at least."""
        average: dict[str, Any] = self.state["average"]
        return average

    def update(self, model: Module) -> None:
        """Take the model's parameters into the average; after each step of the optimizer."""
        trained = {path for path, _ in tree_flatten(model.trainable_parameters())}
        first = self.state["step"] == 0
        known = dict(tree_flatten(self.state["average"]))

        def follow(path: str, new: mx.array) -> mx.array:
            old = known.get(path)  # None: of a layer that was added since
            if old is None or path not in trained or not mx.issubdtype(new.dtype, mx.floating):
                return _wide(new)
            new = new.astype(old.dtype)
            moved: mx.array = mx.where(first, new, old + (1 - self.decay) * (new - old))
            return moved

        self.state["average"] = tree_map_with_path(follow, model.parameters())
        self.state["step"] = self.state["step"] + 1

    @contextmanager
    def applied(self, model: Module) -> Iterator[Module]:
        """A block in which ``model`` has the averaged parameters, in the dtypes of its own."""
        before = model.parameters()
        model.update(tree_map(lambda w, a: a.astype(w.dtype), before, self.parameters))
        try:
            yield model
        finally:
            model.update(before)


def _wide(w: mx.array) -> mx.array:
    """Halves as float32, all else as it is."""
    return w.astype(mx.float32) if w.dtype in (mx.float16, mx.bfloat16) else w
