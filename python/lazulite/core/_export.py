"""Functions in files: export_function, exporter, import_function. docs/function-files.md describes
the format."""

from __future__ import annotations

from . import _core
from ._core import array
from ._io import path_of
from ._trees import check_callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, Union


def _arguments(name: str, args: tuple, kwargs: dict) -> tuple:
    """Positional arrays, names (sorted) and their arrays; a tuple or list and a dict may stand for
    them."""
    if args and not isinstance(args[0], array) and not kwargs:
        if len(args) == 1 and isinstance(args[0], (tuple, list)):
            args = tuple(args[0])
        elif len(args) == 1 and isinstance(args[0], dict):
            args, kwargs = (), args[0]
        elif len(args) == 2 and isinstance(args[0], (tuple, list)) and isinstance(args[1], dict):
            args, kwargs = tuple(args[0]), args[1]
    for where, value in [*enumerate(args), *kwargs.items()]:
        if not isinstance(value, array):
            raise ValueError(
                f"[{name}] argument {where!r} is not an array: got {type(value).__name__}"
            )
    names = sorted(kwargs)
    return list(args), names, [kwargs[k] for k in names]


def _flat(fun: Callable, positional: int, names: list) -> Callable:
    def flat(leaves):
        out = fun(*leaves[:positional], **dict(zip(names, leaves[positional:])))
        arrays = (
            [out]
            if isinstance(out, array)
            else list(out) if isinstance(out, (list, tuple)) else None
        )
        if arrays is None:
            raise ValueError(
                f"[export_function] the function must return arrays: got {type(out).__name__}, expected an array or a flat tuple"
            )
        for a in arrays:
            if not isinstance(a, array):
                raise ValueError(
                    f"[export_function] the function must return arrays: got {type(a).__name__} in a {type(out).__name__}, "
                    "expected a flat list or tuple of arrays"
                )
        return arrays

    return flat


def _letters(n: int) -> str:
    text = ""
    while n >= 0:
        text = chr(ord("A") + n % 26) + text
        n = n // 26 - 1
    return text


def _tell(callback: Callable, fun: Callable, args: list, names: list, values: list):
    """The graph, told to a callback in dicts: inputs, keyword_inputs, outputs, constants, then each
    primitive."""
    arguments, steps, outputs = _core._describe_graph(_flat(fun, len(args), names), args + values)
    known: dict = {}
    constants: list = []

    def name_of(operand):
        key = operand if isinstance(operand, int) else ("captured", id(operand))
        if key not in known:
            known[key] = _letters(len(known))
        return known[key]

    def entry(operand, spec):
        return (name_of(operand), *spec)

    specs = dict(enumerate(arguments))
    for _, _, made, _ in steps:
        specs.update(made)

    def spec_of(operand):
        return specs[operand] if isinstance(operand, int) else (operand.shape, operand.dtype)

    inputs = [entry(i, spec) for i, spec in enumerate(arguments)]
    results = [entry(o, spec_of(o)) for o in outputs]
    for _, operands, _, _ in steps:
        for o in operands:
            if not isinstance(o, int) and name_of(o) not in [n for n, _ in constants]:
                constants.append((name_of(o), o))
    callback({"type": "inputs", "inputs": inputs})
    callback(
        {
            "type": "keyword_inputs",
            "keywords": [(k, inputs[len(args) + i][0]) for i, k in enumerate(names)],
        }
    )
    callback({"type": "outputs", "outputs": results})
    callback({"type": "constants", "constants": constants})
    for name, operands, made, given in steps:
        callback(
            {
                "type": "primitive",
                "name": name,
                "arguments": given,
                "inputs": [entry(o, spec_of(o)) for o in operands],
                "outputs": [entry(o, spec) for o, spec in made],
            }
        )


class FunctionExporter:
    """What exporter returns: each call with example arguments adds a trace; the file is written at
    the end of the
    `with` block or by close(), which raise ValueError, and write nothing, where it was never
    called."""

    def __init__(
        self, file: Any, fun: Callable, shapeless: bool, metadata: Optional[str],
        name: str = "exporter",
    ):
        self._file = path_of(file, name, "a path" if name == "exporter" else "a path or a callback")
        check_callable(name, fun)
        if metadata is not None and not isinstance(metadata, str):
            raise TypeError(f"[{name}] metadata: got {type(metadata).__name__}, expected a str")
        self._traces = 0
        self._fun = fun
        self._writer: Any = _core._FunctionWriter(shapeless, metadata or "")

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        if self._writer is None:
            raise RuntimeError("[exporter] the file is closed: no trace can be added")
        positional, names, values = _arguments("exporter", args, kwargs)
        self._writer.add(
            _flat(self._fun, len(positional), names), positional + values, len(positional), names
        )
        self._traces += 1

    def close(self) -> None:
        """Writes the file."""
        if self._writer is None:
            return
        if not self._traces:
            raise ValueError(
                "[exporter] nothing to write: got no call, expected one with example arguments at least"
            )
        self._writer.save(self._file)
        self._writer = None

    def __enter__(self) -> FunctionExporter:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self._writer = None


def exporter(
    file: str, fun: Callable, *, shapeless: bool = False, metadata: Optional[str] = None
) -> FunctionExporter:
    """A context manager that exports several traces of one function to one file: call it with
    example arguments. See export_function.

    >>> import tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "sum.lzfn")
    >>> with mx.exporter(path, lambda *args: sum(args)) as export:
    ...     export(mx.array(1))
    ...     export(mx.array(1), mx.array(2))
    >>> mx.import_function(path)(mx.array(3), mx.array(4))
    (array(7, dtype=int32),)
    """
    return FunctionExporter(file, fun, shapeless, metadata)


def export_function(
    file_or_callback: Union[str, Callable], fun: Callable, *args: Any, shapeless: bool = False,
    metadata: Optional[str] = None, **kwargs: Any,
) -> None:
    """Writes a function to a file that import_function (in another process, or the C++ class
    ImportedFunction) loads.

    `fun` takes arrays and returns an array or a flat list or tuple of arrays; it is traced with the
    example arguments (positional and keyword arrays, or one tuple and one dict of them). Arrays
    that it captures are stored with it. The file then takes arguments of the examples' shapes and
    dtypes; with `shapeless` their sizes may be others wherever the function allows it: the function
    is traced at several sizes to see what depends on them, sizes that must be equal stay equal, and
    sizes that its arrays need stay fixed. `metadata` is a text to be kept in the file. With a
    callback in place of a file, the graph is told to it in dicts, and nothing is written.

    Raises ValueError for arguments and results that are no arrays, for what a file cannot hold,
    and, naming the op, where something depends on a size in no simple way.

    >>> import tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "double.lzfn")
    >>> mx.export_function(path, lambda x: x * 2, mx.ones(3), shapeless=True)
    >>> mx.import_function(path)(mx.array([1.0, 2.0]))
    (array([2, 4], dtype=float32),)
    """
    positional, names, values = _arguments("export_function", args, kwargs)
    if callable(file_or_callback) and not hasattr(file_or_callback, "__fspath__"):
        if metadata is not None:
            raise ValueError("[export_function] metadata needs a file: got a callback")
        return _tell(file_or_callback, fun, positional, names, values)
    with FunctionExporter(
        file_or_callback, fun, shapeless, metadata, "export_function"
    ) as export:
        export(tuple(positional), dict(zip(names, values)))


class ImportedFunction:
    """What import_function returns: takes arrays (or a tuple and a dict of them), returns a tuple
    of arrays. It can be differentiated, mapped and compiled like any function."""

    def __init__(self, file: str):
        self._function = _core._ImportedFunction(path_of(file, "import_function"))

    def __call__(self, *args: Any, **kwargs: Any) -> tuple:
        positional, names, values = _arguments("import_function", args, kwargs)
        return tuple(self._function.call(positional, names, values))

    def __repr__(self) -> str:
        return (
            "ImportedFunction(" + " or ".join(f"({s})" for s in self._function.signatures()) + ")"
        )


def import_function(file: str, return_metadata: bool = False) -> Any:
    """The function in a file that export_function wrote; with `return_metadata` a tuple of it and
    its metadata text.

    Loading runs no code: a file that was cut off or altered, or that a newer version wrote, raises
    ValueError (and FileNotFoundError where there is none).

    >>> import tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "add.lzfn")
    >>> mx.export_function(path, lambda x, y: x + y, mx.array(1), y=mx.array(2), metadata="adds")
    >>> add, text = mx.import_function(path, return_metadata=True)
    >>> add(mx.array(3), y=mx.array(4)), text
    ((array(7, dtype=int32),), 'adds')
    """
    function = ImportedFunction(file)
    return (function, function._function.metadata()) if return_metadata else function
