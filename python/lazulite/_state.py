"""A run as one file: what it takes to go on where it was."""

from __future__ import annotations

import json
import os
from typing import Any, Callable, Union

import numpy as np

import lazulite.core as mx
from lazulite.core import _io
from lazulite.core._trees import leaves

__all__ = ["load_state", "save_state"]

_FORMAT = "lazulite.state 1"
_PLAIN = (bool, int, float, str, type(None))
_NUMERIC = "?bBhHiIlLqQefdFD"  # dtypes of NumPy, by their letters
_DEEPEST = 100  # containers in one another, which Python's and JSON's recursion bear
_LAST = ["model", "state_dict", "generator", "state"]  # the last one refuses nothing


def save_state(path: Union[str, os.PathLike[str]], *, random: bool = True, **parts: Any) -> None:
    """Write all that a run needs to go on: models, optimizers, positions in data, numbers.

    The file takes its name when it is whole and on the disk: a process that is killed at any
    moment, also while it saves, leaves the file of before or the new one. It is a .safetensors
    file, and ``lazulite.core.load`` reads its arrays.

    Args:
        path: the file, under exactly this name.
        random: whether the state of ``lazulite.core.random`` is written.
        parts: by name, what there is to keep: models (their parameters), optimizers and whatever
            else has a dict ``state``, loaders and whatever else has ``state_dict`` and
            ``load_state_dict``, generators of NumPy, and trees of arrays, numbers and strings.

    Raises:
        TypeError: a part that is none of these.
        ValueError: a container contains itself, or more than 100 are in one another.
        FileError: the folder is not there.

    Example:
        >>> import os, tempfile
        >>> import lazulite.nn as nn, lazulite.optimizers as optim
        >>> from lazulite.utils import load_state, save_state
        >>> model, optimizer = nn.Linear(2, 1), optim.Adam(1e-3)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "run.state")
        ...     save_state(path, model=model, optimizer=optimizer, step=7)
        ...     load_state(path, model=model, optimizer=optimizer)
        {'step': 7}
    """
    arrays: dict[str, mx.array] = {}
    forms = {
        name: [_kind(part), _written(_taken(part), name, arrays)] for name, part in parts.items()
    }
    head = {"format": _FORMAT, "parts": forms}
    if random:
        head["random"] = _written(mx.random.state[0], "random", arrays)
    mx.eval(list(arrays.values()))
    with _Whole(path, "save_state", "", arrays.values()) as out:
        mx.save_safetensors(out, arrays, metadata={"lazulite": json.dumps(head)})


def load_state(
    path: Union[str, os.PathLike[str]], *, random: bool = True, **parts: Any
) -> dict[str, Any]:
    """Bring a run back to where :func:`save_state` was called; all of it, or nothing.

    Models, optimizers, loaders and generators that are given by the names under which they were
    saved are changed in place: a compiled step that captured their ``state`` goes on with it.

    Args:
        path: the file.
        random: whether to bring back the state of ``lazulite.core.random``.
        parts: what to change, by name.

    Returns:
        The parts that were not given, such as numbers, by name; what had a state, as a tree.

    Raises:
        FileError: no such file.
        FormatError: not such a file, or one that is damaged.
        ValueError: a part that the file does not have, or that does not fit: a model with other
            parameters, a loader of another order.
    """
    found, metadata = mx.load(os.fspath(path), "safetensors", return_metadata=True)
    try:
        head = json.loads(metadata["lazulite"])
        if head["format"] != _FORMAT:
            raise ValueError(f"format {head['format']!r}")
        trees = {name: _read(form, found) for name, (_, form) in head["parts"].items()}
        kinds = {name: kind for name, (kind, _) in head["parts"].items()}
        key = _read(head["random"], found) if "random" in head else None
        if key is not None and (key.shape != (2,) or key.dtype != mx.uint32):
            raise ValueError(f"a random state of shape {key.shape}")
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise mx.FormatError(
            f"[load_state] not a file of save_state, or damaged ({error}): {os.fspath(path)}"
        ) from None
    mx.eval(list(found.values()))  # read now: the file may be another one soon
    for name, part in parts.items():
        if name not in trees:
            raise ValueError(f"[load_state] no part {name!r}: the file has {', '.join(trees)}")
        if kinds[name] == "tree":
            raise ValueError(
                f"[load_state] {name}: got {type(part).__name__} to change, expected nothing by "
                "this name: it was saved as a tree, which is returned"
            )
        if _kind(part) != kinds[name] or kinds[name] not in _LAST:
            got = f"got {type(part).__name__} for what was saved of a {kinds[name]}"
            raise ValueError(f"[load_state] {name}: {got}, expected the same kind of object")
    undo: list[Callable[[], Any]] = []
    try:
        # What may refuse comes first, so that nothing is changed then.
        for name in sorted(parts, key=lambda name: _LAST.index(kinds[name])):
            undo.append(_put(kinds[name], parts[name], trees[name]))
    except BaseException:
        for back in reversed(undo):
            back()
        raise
    if random and key is not None:
        mx.random.state[0] = key
    return {name: tree for name, tree in trees.items() if name not in parts}


class _Whole(_io.Created):
    """A file that is made beside its place. What processes that were killed left there is
    removed."""

    def _temporary_name(self, path: str) -> str:
        folder, name = os.path.split(path)
        for entry in os.scandir(folder):
            begin, _, owner = entry.name[:-4].rpartition(".")
            if entry.name.endswith(".tmp") and begin == f".{name}" and not _is_running(owner):
                try:
                    os.unlink(entry.path)
                except OSError:  # another process was quicker
                    pass
        return os.path.join(folder, f".{name}.{os.getpid()}-{os.urandom(8).hex()}.tmp")


def _is_running(owner: str) -> bool:
    process = owner.partition("-")[0]
    if not process.isdecimal():
        return True  # not a name of ours
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass
    return True


def _kind(part: Any) -> str:
    if hasattr(part, "parameters") and hasattr(part, "load_weights"):
        return "model"
    if hasattr(part, "state_dict") and hasattr(part, "load_state_dict"):
        return "state_dict"
    if hasattr(getattr(part, "bit_generator", None), "state"):
        return "generator"
    if isinstance(getattr(part, "state", None), dict):
        return "state"
    return "tree"


def _taken(part: Any) -> Any:
    kind = _kind(part)
    if kind == "model":
        return part.parameters()
    if kind == "state_dict":
        return part.state_dict()
    if kind == "generator":
        return part.bit_generator.state
    return part.state if kind == "state" else part


def _put(kind: str, part: Any, tree: Any) -> Callable[[], Any]:
    """Give a part its state; returns a function that takes it back."""
    if kind == "model":
        before = part.parameters()
        part.load_weights(leaves(tree))
        return lambda: part.update(before)
    if kind == "state_dict":
        old = part.state_dict()
        part.load_state_dict(tree)
        return lambda: part.load_state_dict(old)
    if kind == "generator":
        of_before = part.bit_generator.state
        part.bit_generator.state = tree
        return lambda: setattr(part.bit_generator, "state", of_before)
    _exchange(part.state, tree)
    return lambda: None


def _exchange(old: Any, new: Any) -> Any:
    """``new``, in the dicts and lists of ``old``, which others may hold."""
    if isinstance(old, dict) and isinstance(new, dict):
        items = {key: _exchange(old.get(key), value) for key, value in new.items()}
        old.clear()
        old.update(items)
        return old
    if isinstance(old, list) and isinstance(new, list):
        old[:] = [_exchange(old[i] if i < len(old) else None, v) for i, v in enumerate(new)]
        return old
    return new


# A tree as JSON: plain values are themselves, all else is a list that begins with what it is.


def _written(
    value: Any, path: str, arrays: dict[str, mx.array], line: tuple[int, ...] = ()
) -> Any:
    """``line``: the containers that this one is in."""
    if isinstance(value, mx.array):
        name = path
        while name in arrays or name == "__metadata__":  # keys may have dots in them
            name += "'"
        if value.dtype == mx.complex128:  # which the file does not have
            arrays[name] = value.reshape(-1).view(mx.float64)
            return ["complex128", [name, list(value.shape)]]
        arrays[name] = value
        return ["array", name]
    if type(value) is complex:
        return ["complex", [value.real, value.imag]]
    if type(value) in _PLAIN:
        return value
    if isinstance(value, (dict, list, tuple)):
        if id(value) in line:
            got = f"got a {type(value).__name__} that contains itself"
            raise ValueError(f"[save_state] {path[:80]}: {got}, expected a tree")
        if len(line) == _DEEPEST:
            raise ValueError(
                f"[save_state] {path[:80]}: got more than {_DEEPEST} containers in one another, "
                "expected fewer"
            )
        line = (*line, id(value))
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError(f"[save_state] {path}: got keys {list(value)!r:.60}, expected strings")
        return ["dict", {k: _written(v, f"{path}.{k}", arrays, line) for k, v in value.items()}]
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return [kind, [_written(v, f"{path}.{i}", arrays, line) for i, v in enumerate(value)]]
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.char in _NUMERIC:
        if not value.shape:
            return _written(value.item(), path, arrays)
        native = value.astype(value.dtype.newbyteorder("="), order="C")  # a copy
        return _written(mx.from_dlpack(native), path, arrays)
    got = type(value).__name__
    if isinstance(value, np.ndarray):
        got += f" of {value.dtype}"
    raise TypeError(
        f"[save_state] {path}: got {got}, expected a model, an optimizer, a loader, a generator of "
        "NumPy, or a tree of arrays, numbers and strings"
    )


def _read(form: Any, arrays: dict[str, mx.array]) -> Any:
    if type(form) in _PLAIN:
        return form
    kind, value = form
    if kind == "array":
        return arrays[value]
    if kind == "complex128":
        name, shape = value
        return arrays[name].view(mx.complex128).reshape(shape)
    if kind == "complex":
        return complex(*value)
    if kind == "dict":
        return {key: _read(item, arrays) for key, item in value.items()}
    if kind not in ("list", "tuple"):
        raise ValueError(f"unknown kind {kind!r}")
    items = [_read(item, arrays) for item in value]
    return tuple(items) if kind == "tuple" else items
