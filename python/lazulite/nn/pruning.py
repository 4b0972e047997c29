"""Magnitude pruning: masks over the weights of a model, and what keeps them while it is trained."""

from __future__ import annotations

import re
from typing import Any, Callable, Literal, Optional, Sequence

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.nn.layers.embedding import Embedding
from lazulite.nn.module import Module
from lazulite.utils import tree_flatten, tree_map_with_path

__all__ = ["MaskedOptimizer", "Masks", "prune"]

Chosen = Callable[[str, mx.array], bool]


class Masks(Module):
    """Which weights of a model are kept: an array of bools for each, by the path of the weight.

    Made by :func:`prune`. A module of its own, all frozen: it is saved and loaded as others, and
    ``masks.state`` stands among the inputs of a compiled step whose masks will change.

    Raises:
        TypeError: the masks are no dict of arrays.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> layer = nn.Linear(4, 2, bias=False)
        >>> layer.weight = mx.array([[1.0, -3, 2, 0], [0, 1, 4, -5]])
        >>> masks = nn.prune(layer, 0.5)
        >>> masks.masks["weight"]
        array([[False, True, True, False],
               [False, False, True, True]], dtype=bool)
    """

    def __init__(self, masks: dict[str, mx.array]) -> None:
        super().__init__()
        if not isinstance(masks, dict):
            raise TypeError(f"[Masks] masks: got {type(masks).__name__}, expected a dict of arrays")
        for path, mask in masks.items():
            if not isinstance(path, str) or not isinstance(mask, mx.array):
                raise TypeError(
                    f"[Masks] masks: got {type(path).__name__}: {type(mask).__name__}, expected "
                    "paths of weights and arrays"
                )
        self.masks = dict(masks)
        self.freeze()

    def apply_to(self, model: Module) -> Module:
        """Sets what the masks leave out to zero, whatever is there (nan too); returns the model.
        Recorded as any other function: also inside a compiled step.

        Raises:
            ValueError: the model has no such weight, or one of another shape.
        """
        held = dict(tree_flatten(model.parameters()))
        for path, mask in self.masks.items():
            weight = held.get(path)
            if weight is None or weight.shape != mask.shape:
                got = "nothing" if weight is None else f"shape {tuple(weight.shape)}"
                raise ValueError(
                    f"[Masks] {path!r} does not fit: got {got}, expected shape {tuple(mask.shape)}"
                )
        model.update(self._masked(model.parameters(), model))
        return model

    def _masked(self, tree: Any, model: Any) -> Any:
        """A tree of parameters, all or some, with zeros where masks leave something out. One weight
        in two places has one mask."""
        first = _first_paths(model)
        masks = {first.get(path, path): mask for path, mask in self.masks.items()}

        def masked(path: str, weight: mx.array) -> mx.array:
            mask = masks.get(first.get(path, path))
            return weight if mask is None else mx.where(mask, weight, mx.zeros((), weight.dtype))

        return tree_map_with_path(masked, tree)

    def hold(self, optimizer: Any) -> MaskedOptimizer:
        """An optimizer that stands where the given one stood, and sets what is left out to zero
        again after each step.

        Example:
            >>> import lazulite.core as mx, lazulite.nn as nn, lazulite.optimizers as optim
            >>> layer = nn.Linear(2, 1, bias=False)
            >>> layer.weight = mx.array([[3.0, 1.0]])
            >>> optimizer = nn.prune(layer, 0.5).hold(optim.SGD(0.5))
            >>> optimizer.update(layer, {"weight": mx.array([[2.0, 2.0]])})
            >>> layer.weight
            array([[2, 0]], dtype=float32)
        """
        return MaskedOptimizer(self, optimizer)

    def sparsity(self) -> float:
        """The part of the weights with a mask that is left out."""
        total = sum(mask.size for mask in self.masks.values())
        kept = sum(int(mx.sum(mask).item()) for mask in self.masks.values())
        return 1 - kept / total if total else 0.0

    def _extra_repr(self) -> str:
        return f"weights={len(self.masks)}, sparsity={self.sparsity():.4g}"


class MaskedOptimizer:
    """What :meth:`Masks.hold` returns: an optimizer whose steps keep the masks. ``state``,
    ``learning_rate`` and all else are the optimizer's."""

    masks: Masks
    optimizer: Any  # of lazulite.optimizers

    def __init__(self, masks: Masks, optimizer: Any) -> None:
        self.__dict__.update(masks=masks, optimizer=optimizer)

    def update(self, model: Module, gradients: dict[str, Any]) -> Any:
        """A step of the optimizer, after which what the masks leave out is zero; returns what the
        optimizer does."""
        made = self.optimizer.update(model, gradients)
        self.masks.apply_to(model)
        return made

    def apply_gradients(
        self, gradients: dict[str, Any], parameters: dict[str, Any]
    ) -> dict[str, Any]:
        """The parameters after such a step."""
        made = self.optimizer.apply_gradients(gradients, parameters)
        return self.masks._masked(made, parameters)  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.optimizer, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.optimizer, name, value)


def _first_paths(model: Any) -> dict[str, str]:
    """Of each path of a parameter the first path of the same one: modules may be in two places."""
    found: dict[str, str] = {}
    first: dict[int, str] = {}
    if not isinstance(model, Module):
        return found
    for path, module in reversed(model.named_modules()):
        begin = first.setdefault(id(module), path)
        for name in module._own_parameter_names():
            found[f"{path}.{name}".lstrip(".")] = f"{begin}.{name}".lstrip(".")
    return found


def _chosen(model: Module) -> Chosen:
    tables = {path for path, module in model.named_modules() if isinstance(module, Embedding)}

    def chosen(path: str, weight: mx.array) -> bool:
        owner, _, name = path.rpartition(".")
        return name == "weight" and weight.ndim >= 2 and owner not in tables

    return chosen


def _largest(scores: mx.array, kept: int) -> mx.array:
    """True at the ``kept`` largest of the last axis; of equal ones the first."""
    order = mx.argsort(-scores, axis=-1)[..., :kept]
    return mx.put_along_axis(mx.zeros(scores.shape, mx.bool_), order, mx.array(True), axis=-1)


def _kept(size: int, sparsity: float) -> int:
    return size - round(sparsity * size)


def _size_of(weight: mx.array) -> mx.array:
    return mx.abs(weight).astype(mx.float64 if weight.dtype == mx.float64 else mx.float32)


def _few_of_each(path: str, weight: mx.array, kept: int, of: int) -> mx.array:
    if weight.shape[-1] % of:
        raise ValueError(
            f"[prune] {path!r} does not fit: got shape {tuple(weight.shape)}, expected a last axis "
            f"of groups of {of}"
        )
    return _largest(_size_of(weight).reshape(-1, of), kept).reshape(weight.shape)


def _blocks(path: str, weight: mx.array, block: tuple[int, int]) -> mx.array:
    """Means of sizes in blocks of the weight as a matrix of its first axis by all others."""
    rows, columns = weight.shape[0], weight.size // max(weight.shape[0], 1)
    high, wide = block
    if rows % high or columns % wide:
        raise ValueError(
            f"[prune] {path!r} does not fit: got {rows} by {columns}, expected blocks of {block}"
        )
    return mx.mean(
        _size_of(weight).reshape(rows // high, high, columns // wide, wide), axis=(1, 3)
    )


def _spread(mask: mx.array, weight: mx.array, block: tuple[int, int]) -> mx.array:
    return mx.repeat(mx.repeat(mask, block[0], 0), block[1], 1).reshape(weight.shape)


@checked
def prune(
    model: Module,
    sparsity: float = 0.5,
    pattern: str = "unstructured",
    block: Sequence[int] = (4, 4),
    scope: Literal["layer", "global"] = "layer",
    chosen: Optional[Chosen] = None,
) -> Masks:
    """Sets the smallest weights of a model to zero, in place, and returns the masks of the others.

    Args:
        model: any module. Its parameters called ``weight`` with two axes or more are pruned, but
            for tables of embeddings.
        sparsity: the part of the weights that becomes zero.
        pattern: ``"unstructured"``; ``"2:4"``, or any ``"n:m"``, which keeps the n largest of each
            m neighbours of the last axis, whatever ``sparsity`` says; or ``"block"``, whole blocks
            by the mean of their absolute values, of the weight as a matrix of its first axis by
            the others.
        block: the shape of a block.
        scope: whether ``sparsity`` holds for each weight, or for all together.
        chosen: says of a path and a weight whether it is pruned, in place of the rule above.

    Raises:
        ValueError: a sparsity outside of 0 to 1, an unknown pattern, weights that groups or blocks
            do not divide, and no weight to prune.

    Source: magnitude pruning after Han et al. (2015), "Learning both Weights and Connections for
    Efficient Neural Networks"; n:m after Mishra et al. (2021), "Accelerating Sparse Deep Neural
    Networks".

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> model = nn.MLP(16, [32, 8])
        >>> nn.prune(model, pattern="2:4")
        Masks(weights=2, sparsity=0.5)
    """
    if not 0 <= sparsity <= 1:
        raise ValueError(f"[prune] sparsity: got {sparsity}, expected 0 to 1")
    groups = re.fullmatch(r"(\d+):(\d+)", pattern)
    if groups is None and pattern not in ("unstructured", "block"):
        raise ValueError(
            f"[prune] pattern: got {pattern!r}, expected 'unstructured', 'block' or 'n:m'"
        )
    shape = tuple(int(n) for n in block)
    if len(shape) != 2 or min(shape) < 1:
        raise ValueError(f"[prune] block: got {block!r}, expected two sizes of 1 or more")
    take = chosen or _chosen(model)
    first = _first_paths(model)
    weights = {
        first.get(p, p): w
        for p, w in tree_flatten(model.parameters())
        if take(p, w) and w.ndim >= 2
    }
    if not weights:
        raise ValueError("[prune] nothing to prune: got no parameter that is chosen")
    if groups is not None:
        few, of = (int(n) for n in groups.groups())
        if not 0 < few <= of:
            raise ValueError(f"[prune] pattern: got {pattern!r}, expected n of m, m or less")
        masks = {p: _few_of_each(p, w, few, of) for p, w in weights.items()}
    else:
        blocks = pattern == "block"
        scores = {
            p: _blocks(p, w, shape) if blocks else _size_of(w) for p, w in weights.items()
        }
        if scope == "global":
            flat = mx.concatenate([s.reshape(-1) for s in scores.values()])
            all_kept = _largest(flat, _kept(flat.size, sparsity))
            found, at = {}, 0
            for path, s in scores.items():
                found[path] = all_kept[at : at + s.size].reshape(s.shape)
                at += s.size
        else:
            found = {
                p: _largest(s.reshape(-1), _kept(s.size, sparsity)).reshape(s.shape)
                for p, s in scores.items()
            }
        masks = {p: _spread(m, weights[p], shape) if blocks else m for p, m in found.items()}
    made = Masks(masks)
    made.apply_to(model)
    mx.eval(made.masks, model.parameters())
    return made
