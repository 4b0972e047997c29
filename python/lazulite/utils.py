"""Functions on trees.

A tree is a nesting of dicts, lists and tuples with any other object (an array, a number, None) at
its leaves: the parameters of a model, the state of an optimizer, the arguments of a function.

All walks here keep their own stack, so the depth of a tree is not limited by Python's recursion.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable, Iterator, Optional, Union

__all__ = [
    "tree_flatten",
    "tree_map",
    "tree_map_with_path",
    "tree_merge",
    "tree_reduce",
    "tree_unflatten",
]

_CONTAINERS = (dict, list, tuple)


def tree_map(
    fn: Callable, tree: Any, *rest: Any, is_leaf: Optional[Callable[[Any], bool]] = None
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
    return _rebuild(lambda path, *leaves: fn(*leaves), tree, rest, is_leaf, None)


def tree_map_with_path(
    fn: Callable,
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
    if path is None and not _is_branch(tree, is_leaf):
        return fn(None, tree, *rest)
    return _rebuild(fn, tree, rest, is_leaf, path or "")


def tree_flatten(
    tree: Any,
    prefix: str = "",
    is_leaf: Optional[Callable[[Any], bool]] = None,
    destination: Optional[Union[list, dict]] = None,
) -> Union[list, dict]:
    """List the leaves of ``tree`` as pairs ``("path.to.leaf", leaf)``, in the order of the tree.

    Empty containers vanish; None is a leaf; a leaf alone has the empty path.

    Args:
        tree: what to flatten.
        prefix: what every path begins with; one leading dot is dropped.
        is_leaf: when given, a container for which it returns True is a leaf.
        destination: a list or dict to extend and return, instead of a new list.

    Raises:
        ValueError: ``destination`` is neither a list nor a dict.

    Example:
        >>> from lazulite.utils import tree_flatten
        >>> tree_flatten({"a": [1, {"b": 2}], "c": ()})
        [('a.0', 1), ('a.1.b', 2)]
        >>> tree_flatten([1, 2], prefix="x", destination={})
        {'x.0': 1, 'x.1': 2}
    """
    pairs = _leaves(tree, prefix[1:] if prefix.startswith(".") else prefix, is_leaf)
    if destination is None:
        return list(pairs)
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

    A level whose keys are all numbers becomes a list, with ``{}`` where a number is missing;
    tuples thus come back as lists.

    Args:
        tree: pairs of path and leaf, or a dict of them.

    Raises:
        ValueError: one path is the beginning of another, so that a leaf would hold leaves.

    Example:
        >>> from lazulite.utils import tree_unflatten
        >>> tree_unflatten([("a.0", 1), ("a.1.b", 2)])
        {'a': [1, {'b': 2}]}
    """
    pairs = list(tree.items() if isinstance(tree, dict) else tree)
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
        entries = {
            name: closed.pop(id(value)) if isinstance(value, _Level) else value
            for name, value in level.items()
        }
        closed[id(level)] = _as_list(entries) if all(map(str.isdecimal, entries)) else entries
    return closed[id(root)]


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
    for _, leaf in _leaves(tree, "", is_leaf):
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
    root = [None]
    tasks = [(root, 0, tree_a, tree_b)]
    while tasks:
        into, key, a, b = tasks.pop()
        if key is _CLOSE:
            into[a] = b(into[a])
        elif _is_absent(b):
            into[key] = a if a is not None or b is None else b
        elif _is_absent(a):
            into[key] = b
        elif isinstance(a, dict) and isinstance(b, dict):
            into[key] = merged = {name: None for name in (*a, *b)}
            tasks += [(merged, name, a.get(name), b.get(name)) for name in reversed(merged)]
        elif isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
            into[key] = merged = [None] * max(len(a), len(b))
            if isinstance(a, tuple) and isinstance(b, tuple):
                tasks.append((into, _CLOSE, key, tuple))
            tasks += [
                (merged, i, a[i] if i < len(a) else None, b[i] if i < len(b) else None)
                for i in reversed(range(len(merged)))
            ]
        elif merge_fn is not None:
            into[key] = merge_fn(a, b)
        else:
            raise ValueError(
                "[tree_merge] both trees have something at one place: "
                f"got {type(a).__name__} and {type(b).__name__}, expected a merge_fn to decide"
            )
    return root[0]


class _Level(dict):
    """A level that tree_unflatten is building; a leaf may be a plain dict, never one of these."""


_CLOSE = object()  # a task's key: all items of a container are done, give it its final type


def _is_branch(tree: Any, is_leaf: Optional[Callable[[Any], bool]]) -> bool:
    return isinstance(tree, _CONTAINERS) and not (is_leaf is not None and is_leaf(tree))


def _is_absent(tree: Any) -> bool:
    return tree is None or (isinstance(tree, _CONTAINERS) and not tree)


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _as_list(entries: dict[str, Any]) -> list:
    by_index = {int(name): value for name, value in entries.items()}
    return [by_index.get(i, {}) for i in range(max(by_index, default=-1) + 1)]


def _closing(kind: type) -> Optional[Callable[[list], Any]]:
    """How to make a container of ``kind`` from a list of its items; None where a list will do."""
    if not issubclass(kind, tuple):
        return None
    return (lambda items: kind(*items)) if hasattr(kind, "_fields") else kind


def _leaves(
    tree: Any, path: str, is_leaf: Optional[Callable[[Any], bool]]
) -> Iterator[tuple[str, Any]]:
    stack = [(path, tree)]
    while stack:
        path, node = stack.pop()
        if not _is_branch(node, is_leaf):
            yield path, node
        elif isinstance(node, dict):
            stack += [(_join(path, key), node[key]) for key in reversed(node)]
        else:
            stack += [(_join(path, i), node[i]) for i in reversed(range(len(node)))]


def _rebuild(
    fn: Callable,
    tree: Any,
    rest: tuple,
    is_leaf: Optional[Callable[[Any], bool]],
    path: Optional[str],
) -> Any:
    """``fn(path, leaf, *others)`` of every leaf, in a tree of the same form.

    Every task fills one slot; a container opens empty slots for its items. Tuples are filled as
    lists and closed by a task of their own, after their items. ``path=None`` makes no paths.
    """
    root = [None]
    tasks = [(root, 0, path, tree, rest)]
    while tasks:
        into, slot, path, node, others = tasks.pop()
        if slot is _CLOSE:
            into[node] = others(into[node])
            continue
        if not _is_branch(node, is_leaf):
            into[slot] = fn(path, node, *others)
            continue
        if isinstance(node, dict):
            keys = list(node)
            into[slot] = items = dict.fromkeys(keys)
        else:
            keys = range(len(node))
            into[slot] = items = [None] * len(node)
            if (close := _closing(type(node))) is not None:
                tasks.append((into, _CLOSE, None, slot, close))
        for key in reversed(keys):
            child_path = None if path is None else _join(path, key)
            tasks.append((items, key, child_path, node[key], [other[key] for other in others]))
    return root[0]
