"""Trees: lists, tuples and dicts (Modules too) with arrays and other values as leaves."""

from __future__ import annotations


from ._core import array

TYPE_CHECKING = False  # importing typing would take longer than all of this package
if TYPE_CHECKING:
    from typing import Any, Callable


def named_like(fun: Callable, wrapper: Callable) -> Callable:
    """`wrapper` with the name, documentation and signature of `fun`, as functools.wraps makes it."""
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        try:
            setattr(wrapper, name, getattr(fun, name))
        except AttributeError:  # a callable object
            pass
    wrapper.__wrapped__ = fun
    return wrapper


def check_callable(name: str, fun: Any) -> None:
    if not callable(fun):
        raise TypeError(f"[{name}] not a function: got {type(fun).__name__}")


class Leaf:
    """Stands for array number `index` in a template."""

    __slots__ = ("index",)

    def __init__(self, index: int):
        self.index = index


def rebuild_sequence(like, items):
    """A list or tuple of `items` of the class of `like`; namedtuples too."""
    if isinstance(like, tuple):
        return type(like)(*items) if hasattr(like, "_fields") else tuple(items)
    return list(items)


def template(tree: Any, arrays: list) -> Any:
    """`tree` with each array replaced by a Leaf; the arrays are appended to `arrays` in order."""
    if isinstance(tree, array):
        arrays.append(tree)
        return Leaf(len(arrays) - 1)
    if isinstance(tree, dict):
        return {key: template(value, arrays) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return rebuild_sequence(tree, [template(value, arrays) for value in tree])
    return tree


def fill(tree: Any, values: list) -> Any:
    """The inverse of template, with other values."""
    if isinstance(tree, Leaf):
        return values[tree.index]
    if isinstance(tree, dict):
        return {key: fill(value, values) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return rebuild_sequence(tree, [fill(value, values) for value in tree])
    return tree


def map_leaves(fn: Callable, tree: Any) -> Any:
    """`fn` of every leaf (array or not), in the same structure."""
    if isinstance(tree, dict):
        return {key: map_leaves(fn, value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return rebuild_sequence(tree, [map_leaves(fn, value) for value in tree])
    return fn(tree)
