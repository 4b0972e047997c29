"""Functions on trees, and the state of a run as one file (:func:`save_state`).

A tree is a nesting of dicts, lists and tuples (and of dataclasses known to
``lazulite.core.register_tree``) with any other object (an array, a number, None) at its leaves: the
parameters of a model, the state of an optimizer, the arguments of a function.

All walks here keep their own stack, so a tree may be 10,000 levels deep. Trees that are deeper, or
contain themselves, are a ValueError. Subclasses of tuple keep their type.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable, Optional, Union

from lazulite._state import load_state, save_state
from lazulite.core._trees import (
    Ancestors,
    bare_leaves,
    entry,
    is_branch,
    is_sequence,
    leaves,
    rebuild,
    seen_entries,
    walk,
)

__all__ = [
    "load_state",
    "save_state",
    "tree_flatten",
    "tree_map",
    "tree_map_with_path",
    "tree_merge",
    "tree_reduce",
    "tree_unflatten",
]


def tree_map(
    fn: Callable[..., Any], tree: Any, *rest: Any, is_leaf: Optional[Callable[[Any], bool]] = None
) -> Any:
    """Apply ``fn`` to every leaf of ``tree`` and return the results as a tree of the same form.

    With ``rest``, ``fn(leaf, *others)`` also gets what stands at the same place in the other
    trees. These may hold more entries than ``tree`` and are not walked below its leaves.

    Args:
        fn: the function of the leaves.
        tree: the tree whose form decides.
        rest: further trees.
        is_leaf: when given, a container for which it returns True is a leaf.

    Raises:
        KeyError, IndexError: one of ``rest`` lacks an entry of ``tree``.

    Example:
        >>> from lazulite.utils import tree_map
        >>> tree_map(lambda x, y: x + y, {"a": [1, 2]}, {"a": [10, 20], "b": 0})
        {'a': [11, 22]}
    """
    return walk(fn, tree, rest, is_leaf, name="tree_map")


def tree_map_with_path(
    fn: Callable[..., Any],
    tree: Any,
    *rest: Any,
    is_leaf: Optional[Callable[[Any], bool]] = None,
    path: Optional[str] = None,
) -> Any:
    """Like :func:`tree_map` with ``fn(path, leaf, *others)``; the path joins keys with dots.

    Args:
        fn: the function of path and leaves.
        tree: the tree whose form decides.
        rest: further trees.
        is_leaf: when given, a container for which it returns True is a leaf.
        path: what every path begins with.

    Raises:
        KeyError, IndexError: one of ``rest`` lacks an entry of ``tree``.

    Example:
        >>> from lazulite.utils import tree_map_with_path
        >>> tree_map_with_path(lambda path, x: f"{path}={x}", {"a": [1, 2]})
        {'a': ['a.0=1', 'a.1=2']}
    """
    if path is None and (not is_branch(tree) or (is_leaf is not None and is_leaf(tree))):
        return fn(None, tree, *rest)
    return walk(fn, tree, rest, is_leaf, path or "", name="tree_map_with_path")


def tree_flatten(
    tree: Any,
    prefix: str = "",
    is_leaf: Optional[Callable[[Any], bool]] = None,
    destination: Optional[Union[list[Any], dict[str, Any]]] = None,
) -> Any:
    """List the leaves of ``tree`` as pairs ``("path.to.leaf", leaf)``, in the order of the tree.

    Empty containers vanish; None is a leaf; a leaf alone has the empty path.

    Args:
        tree: what to flatten.
        prefix: what every path begins with; one leading dot is dropped.
        is_leaf: when given, a container for which it returns True is a leaf.
        destination: a list or dict to extend and return, instead of a new list.

    Raises:
        ValueError: ``destination`` is neither a list nor a dict.
        TypeError: ``prefix`` is not a string.

    Example:
        >>> from lazulite.utils import tree_flatten
        >>> tree_flatten({"a": [1, {"b": 2}], "c": ()})
        [('a.0', 1), ('a.1.b', 2)]
        >>> tree_flatten([1, 2], prefix="x", destination={})
        {'x.0': 1, 'x.1': 2}
    """
    if not isinstance(prefix, str):
        raise TypeError(f"[tree_flatten] prefix: got {type(prefix).__name__}, expected a str")
    path = prefix[1:] if prefix.startswith(".") else prefix
    pairs = leaves(tree, path, is_leaf, "tree_flatten")
    if destination is None:
        return pairs
    if isinstance(destination, dict):
        destination.update(pairs)
    elif isinstance(destination, list):
        destination.extend(pairs)
    else:
        raise ValueError(
            "[tree_flatten] bad destination: "
            f"got {type(destination).__name__}, expected a list or a dict"
        )
    return destination


def tree_unflatten(tree: Union[Iterable[tuple[str, Any]], dict[str, Any]]) -> Any:
    """The inverse of :func:`tree_flatten`.

    A level whose keys are all numbers, as a list's places are written, becomes a list, with ``{}``
    where a number is missing; tuples thus come back as lists. Any other key (``"01"``, ``"+1"``,
    ``"x"``) makes the level a dict.

    Args:
        tree: pairs of path and leaf, or a dict of them.

    Raises:
        ValueError: one path is the beginning of another, so that a leaf would hold leaves; or a
            number is far beyond the entries of its level, of which there may be one in four.
        TypeError: neither a dict nor pairs, or a path is not a string.

    Example:
        >>> from lazulite.utils import tree_unflatten
        >>> tree_unflatten([("a.0", 1), ("a.1.b", 2)])
        {'a': [1, {'b': 2}]}
    """
    pairs = _pairs_of(tree)
    if len(pairs) == 1 and pairs[0][0] == "":
        return pairs[0][1]

    root = _Level()
    levels = [root]  # parents come before their children
    for path, leaf in pairs:
        *parents, last = path.split(".")
        level = root
        for name in parents:
            if name not in level:
                level[name] = _Level()
                levels.append(level[name])
            level = level[name]
            if not isinstance(level, _Level):
                raise ValueError(f"[tree_unflatten] a leaf holds leaves: got {path!r} below one")
        if isinstance(level.get(last), _Level):
            raise ValueError(f"[tree_unflatten] a leaf holds leaves: got {path!r} above one")
        level[last] = leaf

    closed: dict[int, Any] = {}
    for level in reversed(levels):
        items = {
            name: closed.pop(id(value)) if isinstance(value, _Level) else value
            for name, value in level.items()
        }
        closed[id(level)] = _as_list(items) if all(map(_is_place, items)) else items
    return closed[id(root)]


def _pairs_of(tree: Any) -> list[tuple[str, Any]]:
    def refuse(got: str) -> None:
        raise TypeError(f"[tree_unflatten] tree: got {got}, expected pairs of path and leaf")

    if isinstance(tree, (str, bytes)) or not hasattr(tree, "__iter__"):
        refuse(type(tree).__name__)
    pairs = list(tree.items() if isinstance(tree, dict) else tree)
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            refuse(f"{type(pair).__name__} inside")
        if not isinstance(pair[0], str):
            refuse(f"a path of {type(pair[0]).__name__}")
    return pairs


def tree_reduce(
    fn: Callable[[Any, Any], Any],
    tree: Any,
    initializer: Any = None,
    is_leaf: Optional[Callable[[Any], bool]] = None,
) -> Any:
    """Combine all leaves from left to right: ``fn(...fn(fn(initializer, a), b)..., z)``.

    Args:
        fn: the function of what is accumulated and a leaf.
        tree: the tree of the leaves.
        initializer: what to begin with; None begins with the first leaf.
        is_leaf: when given, a container for which it returns True is a leaf.

    Example:
        >>> from lazulite.utils import tree_reduce
        >>> tree_reduce(lambda total, x: total + x, {"a": [1, 2], "b": 3}, 10)
        16
    """
    result = initializer
    for leaf in bare_leaves(tree, is_leaf, "tree_reduce"):
        result = leaf if result is None else fn(result, leaf)
    return result


def tree_merge(
    tree_a: Any, tree_b: Any, merge_fn: Optional[Callable[[Any, Any], Any]] = None
) -> Any:
    """The union of two trees. None and empty containers count as absent.

    Args:
        tree_a: the first tree.
        tree_b: the second tree.
        merge_fn: ``merge_fn(a, b)`` decides where both trees have something that is not two
            containers of one kind.

    Raises:
        ValueError: both have something at one place and there is no ``merge_fn``.

    Example:
        >>> from lazulite.utils import tree_merge
        >>> tree_merge({"a": [1, None]}, {"a": [None, 2], "b": 3})
        {'a': [1, 2], 'b': 3}
        >>> tree_merge({"a": 1}, {"a": 2}, lambda a, b: a + b)
        {'a': 3}
    """
    root: list[Any] = [None]
    ancestors = Ancestors("tree_merge")
    tasks: list[Any] = [(root, 0, tree_a, tree_b, 0)]
    merged: Any
    while tasks:
        into, key, a, b, depth = tasks.pop()
        if key is _CLOSE:
            into[a] = rebuild(b, into[a], None if is_sequence(b) else seen_entries(b))
        elif a is not None and b is not None and _is_absent(a) and _is_absent(b):
            if _kind(a) is not _kind(b):
                raise ValueError(
                    "[tree_merge] empty containers of two kinds at one place: "
                    f"got {type(a).__name__} and {type(b).__name__}, expected one kind"
                )
            into[key] = a
        elif _is_absent(b):
            into[key] = a if a is not None or b is None else b
        elif _is_absent(a):
            into[key] = b
        elif isinstance(a, dict) and isinstance(b, dict):
            ancestors.enter(a, depth)
            into[key] = merged = {name: None for name in (*a, *b)}
            tasks += [(merged, k, a.get(k), b.get(k), depth + 1) for k in reversed(merged)]
        elif isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
            ancestors.enter(a, depth)
            into[key] = merged = [None] * max(len(a), len(b))
            if isinstance(a, tuple):
                tasks.append((into, _CLOSE, key, a if len(a) == len(merged) else (), depth))
            places = reversed(range(len(merged)))
            tasks += [(merged, i, _at(a, i), _at(b, i), depth + 1) for i in places]
        elif is_branch(a) and type(a) is type(b):  # a class known to register_tree
            ancestors.enter(a, depth)
            names = seen_entries(a)
            into[key] = merged = [None] * len(names)
            tasks.append((into, _CLOSE, key, a, depth))
            both = [(i, entry(a, n), entry(b, n)) for i, n in enumerate(names)]
            tasks += [(merged, i, x, y, depth + 1) for i, x, y in reversed(both)]
        elif merge_fn is not None:
            into[key] = merge_fn(a, b)
        else:
            raise ValueError(
                "[tree_merge] both trees have something at one place: "
                f"got {type(a).__name__} and {type(b).__name__}, expected a merge_fn to decide"
            )
    return root[0]


class _Level(dict[str, Any]):
    """A level that tree_unflatten is building; a leaf may be a plain dict, never one of these."""


_CLOSE = object()  # a task's key: all items of a container are done, give it its final type


def _kind(tree: Any) -> type:
    """What two branches must share to be merged."""
    return next((kind for kind in (dict, list, tuple) if isinstance(tree, kind)), type(tree))


def _at(items: Any, i: int) -> Any:
    return items[i] if i < len(items) else None


def _is_absent(tree: Any) -> bool:
    return tree is None or (isinstance(tree, (dict, list, tuple)) and not tree)


def _is_place(name: str) -> bool:
    """Whether a key is a list's place as tree_flatten writes it: no sign, space or leading zero."""
    return name.isascii() and name.isdecimal() and (name == "0" or not name.startswith("0"))


def _as_list(items: dict[str, Any]) -> list[Any]:
    bound = 4 * len(items) + 1000  # what a few letters ask for is not made in memory
    for name in items:
        if len(name) > 18 or int(name) >= bound:
            raise ValueError(
                f"[tree_unflatten] a place far beyond the others: got {name[:40]} for a list of "
                f"{len(items)} entries, expected less than {bound}"
            )
    by_index = {int(name): value for name, value in items.items()}
    return [by_index.get(i, {}) for i in range(max(by_index, default=-1) + 1)]
