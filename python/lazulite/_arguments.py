"""One check of arguments for constructors, losses and initialisers, made from annotations."""

from __future__ import annotations

import functools
import operator
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Literal,
    Sequence,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import lazulite.core as mx
from lazulite.core._trees import tracing

F = TypeVar("F", bound=Callable[..., Any])

_REFUSED = object()  # what a converter returns for a value of another kind
_NUMBER = (int, float)


if TYPE_CHECKING:
    constructor = classmethod
else:

    class constructor(classmethod):  # used as a decorator, as classmethod is
        """A class method that makes instances. `inspect.signature` shows it where it lies in its
        class, too: what walks over classes finds it there and takes it for no function."""

        def __call__(self, *args, **kwargs):
            return self.__func__(*args, **kwargs)


def checked(function: F) -> F:
    """``function``, with its arguments converted to what their annotations say.

    Raises TypeError for an argument of another type, ValueError for an unknown choice of a Literal:
    ``[Linear] input_dims: got '3', expected an int``. Sizes may be NumPy's integers and arrays of
    one element, factors NumPy's numbers and such arrays; other libraries' arrays become ours.
    """
    code: Any = getattr(function, "__code__")
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    method = names[:1] == ("self",)
    star = code.co_varnames[len(names)] if code.co_flags & 0x04 else None
    converters: dict[str, tuple[Callable[[Any], Any], str]] = {}

    def convert(op: str, name: str, value: Any) -> Any:
        converter = converters.get(name)
        if converter is None:
            return value
        result = converter[0](value)
        if result is _REFUSED:
            choice = converter[1].startswith("'")  # of a Literal
            got = f"got {_shown(value)}, expected {converter[1]}"
            raise (ValueError if choice else TypeError)(f"[{op}] {name}: {got}")
        return result

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not converters:  # at the first call: annotations may name what is defined further down
            for name, hint in get_type_hints(function).items():
                converters[name] = (_converter(hint), _expected(hint))
        op = _owner(function, args[0]) if method and args else _name(function)
        positional = [
            convert(op, names[i] if i < len(names) else star or "", value)
            for i, value in enumerate(args)
        ]
        return function(*positional, **{k: convert(op, k, v) for k, v in kwargs.items()})

    return wrapper  # type: ignore[return-value]


def _owner(function: Callable[..., Any], instance: Any) -> str:
    """The class that the user made: of ours the one of the object, else the one of ``function``."""
    kind = type(instance)
    ours = kind.__module__.startswith("lazulite.")
    return kind.__name__ if ours else _name(function)


def _name(function: Callable[..., Any]) -> str:
    """The public name: of the class of a method, of the maker of an inner function."""
    return function.__qualname__.partition(".")[0]


def _shown(value: Any) -> str:
    if isinstance(value, mx.array):
        return f"an array of {str(value.dtype).rpartition('.')[2]}, shape {tuple(value.shape)}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _same(value: Any) -> Any:
    return value


def _to_int(value: Any) -> Any:
    if type(value) is int:
        return value
    if isinstance(value, mx.array):
        one = value.size == 1 and mx.issubdtype(value.dtype, mx.integer)
        return int(value.item()) if one else _REFUSED
    try:
        return operator.index(value)
    except TypeError:
        return _REFUSED


def _to_float(value: Any) -> Any:
    """A number; an array of one element as itself where a transform may differentiate it."""
    if isinstance(value, _NUMBER):
        return value
    if isinstance(value, mx.array):
        if value.size != 1 or not mx.issubdtype(value.dtype, mx.number):
            return _REFUSED
        return value if tracing() else value.item()
    if isinstance(value, (str, bytes, complex)) or not hasattr(value, "__float__"):
        return _REFUSED
    if getattr(getattr(value, "dtype", None), "kind", "") == "c":  # NumPy drops half of it
        return _REFUSED
    try:
        return float(value)
    except (TypeError, ValueError):
        return _REFUSED


def _to_bool(value: Any) -> Any:
    """Flags of configurations come as None and 0 too; strings and containers are mistakes."""
    if value is None or isinstance(value, (bool, int)):
        return bool(value)
    if isinstance(value, mx.array) or type(value).__module__ == "numpy":
        return bool(value) if getattr(value, "size", 0) == 1 else _REFUSED
    return _REFUSED


def _to_array(value: Any) -> Any:
    if isinstance(value, mx.array):
        return value
    if hasattr(value, "__array__") or hasattr(value, "__dlpack__"):
        return mx.array(value)
    return _REFUSED


def _to_dtype(value: Any) -> Any:
    if isinstance(value, mx.Dtype):
        return value
    if value is None or isinstance(value, (bool, int, float, mx.array)):
        return _REFUSED
    try:
        return mx.zeros((), dtype=value).dtype
    except (TypeError, ValueError):
        return _REFUSED


def _to_numbers(value: Any) -> Any:
    """A list of numbers, where a rule has several of one kind."""
    if isinstance(value, mx.array) or type(value).__module__ == "numpy":
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        return _REFUSED
    return _REFUSED if any(_to_float(v) is _REFUSED for v in value) else value


def _to_ints(value: Any) -> Any:
    """A tuple of whole numbers: sizes, one for each axis."""
    if isinstance(value, mx.array) or type(value).__module__ == "numpy":
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        return _REFUSED
    ints = tuple(_to_int(v) for v in value)
    return _REFUSED if _REFUSED in ints else ints


_CONVERTERS: dict[Any, tuple[Callable[[Any], Any], str]] = {
    int: (_to_int, "an int"),
    float: (_to_float, "a number"),
    bool: (_to_bool, "a bool"),
    mx.array: (_to_array, "an array"),
    mx.Dtype: (_to_dtype, "a dtype"),
    list[float]: (_to_numbers, "a list of numbers"),
    list[int]: (_to_numbers, "a list of numbers"),
    Sequence[int]: (_to_ints, "a list of ints"),
    Sequence[float]: (_to_numbers, "a list of numbers"),
    tuple[float, float]: (_to_numbers, "a list of numbers"),
}


def _converter(hint: Any) -> Callable[[Any], Any]:
    if hint in _CONVERTERS:
        return _CONVERTERS[hint][0]
    kind, inside = get_origin(hint), get_args(hint)
    if kind is Union:
        options = [_converter(part) for part in inside]

        def first_that_fits(value: Any) -> Any:
            return next((r for to in options if (r := to(value)) is not _REFUSED), _REFUSED)

        return first_that_fits
    if kind is Literal:
        return lambda value: value if isinstance(value, str) and value in inside else _REFUSED
    if hint is type(None):
        return lambda value: None if value is None else _REFUSED
    if hint is Callable or getattr(kind, "__name__", "") == "Callable":
        return lambda value: value if callable(value) else _REFUSED
    if kind in (list, dict):
        item = _converter(inside[-1])

        def each(value: Any) -> Any:
            if not isinstance(value, (list, tuple) if kind is list else dict):
                return _REFUSED
            items = value.values() if isinstance(value, dict) else value
            return _REFUSED if any(item(v) is _REFUSED for v in items) else value

        return each
    if isinstance(hint, type) and hint is not Any and hint is not object:
        return lambda value: value if isinstance(value, hint) else _REFUSED
    return _same


def _expected(hint: Any) -> str:
    if hint in _CONVERTERS:
        return _CONVERTERS[hint][1]
    kind, inside = get_origin(hint), get_args(hint)
    if kind is Union:
        return " or ".join(dict.fromkeys(_expected(part) for part in inside))
    if kind is Literal:
        return " or ".join(map(repr, inside))
    if hint is type(None):
        return "None"
    if hint is Callable or getattr(kind, "__name__", "") == "Callable":
        return "a function"
    if kind in (list, dict):
        return f"a {kind.__name__} of {_expected(inside[-1]).partition(' ')[2]}s"
    return f"a {getattr(hint, '__name__', hint)}"
