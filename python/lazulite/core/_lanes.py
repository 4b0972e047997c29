"""Functions over parts of arrays: along an axis, or element by element."""

from __future__ import annotations

import functools
import re

from . import _core
from ._core import array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable


def _as_array(value: Any) -> array:
    """What a function gives, as one array: lists of arrays too."""
    if isinstance(value, array):
        return value
    if isinstance(value, (list, tuple)) and value:
        return _core.stack([_as_array(v) for v in value])
    return _core.array(value)


def _over_lanes(function: Callable[..., list[array]], operands: list[array]) -> list[array]:
    """The function of each lane (the first axis of the operands), its results joined by lanes: by
    vmap, or, where it reads values, lane by lane."""
    from ._transforms import vmap

    try:
        return list(vmap(lambda *lane: function(*lane))(*operands))
    except _core.TracerError:
        made = [function(*[a[k] for a in operands]) for k in range(operands[0].shape[0])]
        if not made:
            raise
        return [_core.stack(list(parts)) for parts in zip(*made)]


def apply_along_axis(
    func1d: Callable[..., Any], axis: int, arr: array, *args: Any, **kwargs: Any
) -> array:
    """func1d(vector, *args, **kwargs) of each vector of arr along an axis; what it gives (a number,
    an array, a list of them) stands in the place of the axis. Vectors are mapped as by vmap; a
    function that reads values (`if`, `item`, NumPy) is called for each of them.

    >>> mx.apply_along_axis(mx.sort, 1, mx.array([[3, 1], [2, 4]]))
    array([[1, 3],
           [2, 4]], dtype=int32)
    """
    if not callable(func1d):
        raise TypeError(
            f"[apply_along_axis] func1d: got {type(func1d).__name__}, expected a function"
        )
    a = arr if isinstance(arr, array) else _core.array(arr)
    if a.ndim == 0:
        raise ValueError("[apply_along_axis] 0-d array: got shape (), expected one axis or more")
    from ._quantiles import _axis

    at = _axis("apply_along_axis", axis, a.ndim)
    around = a.shape[:at] + a.shape[at + 1 :]
    lanes = 1
    for n in around:
        lanes *= n
    if lanes == 0:
        raise ValueError(
            f"[apply_along_axis] no vectors along axis {axis}: got an array of shape {a.shape}"
        )
    lines = _core.moveaxis(a, at, -1).reshape((lanes, a.shape[at]))
    [made] = _over_lanes(lambda line: [_as_array(func1d(line, *args, **kwargs))], [lines])
    own = made.ndim - 1
    made = made.reshape((*around, *made.shape[1:]))
    count = len(around)
    order = [*range(at), *range(count, count + own), *range(at, count)]
    return _core.transpose(made, order) if made.ndim else made


_GROUP = re.compile(r"\(\s*(\w+(?:\s*,\s*\w+)*)?\s*\)")


def _parse(signature: str) -> tuple[list[list[str]], list[list[str]]]:
    """The sizes named in "(m,n),(n)->(m)": of the arguments, of the results."""
    sides = signature.split("->")
    parsed = []
    for side in sides:
        groups = _GROUP.findall(side)
        if re.sub(r"\s", "", _GROUP.sub("_", side)) != ",".join("_" * len(groups)) or not groups:
            sides = []
        parsed.append([re.findall(r"\w+", g) for g in groups])
    if len(sides) != 2:
        raise ValueError(
            f"[vectorize] signature: got {signature!r}, expected one such as '(m,n),(n)->(m)'"
        )
    return parsed[0], parsed[1]


def _parameters(excluded: Any) -> set[Any]:
    """Numbers and names of parameters; no function has a thousand."""
    if excluded is None:
        return set()
    if not isinstance(excluded, (set, frozenset, list, tuple, range)):
        kind = type(excluded).__name__
        raise TypeError(f"[vectorize] excluded: got {kind}, expected a set of numbers and names")
    if len(excluded) > 1000:
        raise ValueError(f"[vectorize] excluded: got {len(excluded)} parameters, expected few")
    names = set(excluded)
    for name in names:
        if not isinstance(name, (int, str)):
            kind = type(name).__name__
            raise TypeError(f"[vectorize] excluded: got {kind}, expected numbers and names")
    return names


class vectorize:
    """A function of numbers (or, with a signature such as '(n),(n)->()', of small arrays) as one of
    arrays that broadcast: it is mapped as by vmap; a function that reads values (`if`, `item`,
    NumPy) is called for each element. A tuple of results gives a tuple.

    otypes: dtypes of the results; without them they are what the function gives. excluded: numbers
    and names of parameters that are handed over as they are. Without a function it is a decorator.
    (cache is there for NumPy: nothing is called twice.)

    >>> step = mx.vectorize(lambda a, b: a - b if a > b else a + b)
    >>> step(mx.array([1, 2, 3, 4]), 2)
    array([3, 4, 1, 2], dtype=int32)
    """

    def __init__(
        self,
        pyfunc: Callable[..., Any] | None = None,
        otypes: Any = None,
        doc: str | None = None,
        excluded: Any = None,
        cache: bool = False,
        signature: str | None = None,
    ):
        if pyfunc is not None and not callable(pyfunc):
            raise TypeError(
                f"[vectorize] pyfunc: got {type(pyfunc).__name__}, expected a function"
            )
        self.pyfunc = pyfunc
        self.otypes = None if otypes is None else self._dtypes(otypes)
        self.excluded = _parameters(excluded)
        self.signature = signature
        self._sizes = None if signature is None else _parse(signature)
        if pyfunc is not None:
            functools.update_wrapper(self, pyfunc)
        self.__doc__ = doc if doc is not None else getattr(pyfunc, "__doc__", None)

    @staticmethod
    def _dtypes(otypes: Any) -> list[Any]:
        if isinstance(otypes, (list, tuple)):
            return [_core.zeros((), t).dtype for t in otypes]
        return [_core.zeros((), otypes).dtype]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.pyfunc is None:
            if len(args) != 1 or kwargs or not callable(args[0]):
                raise TypeError("[vectorize] no function yet: expected one to decorate")
            made = vectorize.__new__(vectorize)
            made.__dict__.update(self.__dict__)
            made.pyfunc = args[0]
            functools.update_wrapper(made, args[0])
            made.__doc__ = self.__doc__ or args[0].__doc__
            return made
        places: list[Any] = [k for k in range(len(args)) if k not in self.excluded]
        places += [name for name in kwargs if name not in self.excluded]
        if not places:
            return self.pyfunc(*args, **kwargs)
        given = [args[p] if isinstance(p, int) else kwargs[p] for p in places]
        operands = [a if isinstance(a, array) else _core.array(a) for a in given]
        own = [0] * len(operands)
        if self._sizes is not None:
            own = self._own_axes(operands)
        outer = [a.shape[: a.ndim - n] for a, n in zip(operands, own)]
        shape = _core.broadcast_shapes(*outer)
        lanes = 1
        for n in shape:
            lanes *= n
        flat = [
            _core.broadcast_to(a, (*shape, *a.shape[a.ndim - n :])).reshape(
                (lanes, *a.shape[a.ndim - n :])
            )
            for a, n in zip(operands, own)
        ]
        several: list[bool] = []

        def call(*lane: array) -> list[array]:
            all_args, all_kwargs = list(args), dict(kwargs)
            for place, value in zip(places, lane):
                if isinstance(place, int):
                    all_args[place] = value
                else:
                    all_kwargs[place] = value
            out = self.pyfunc(*all_args, **all_kwargs)  # type: ignore[misc]
            several.append(isinstance(out, tuple))
            return [_as_array(v) for v in out] if isinstance(out, tuple) else [_as_array(out)]

        made = _over_lanes(call, flat)
        if self._sizes is not None:
            self._check_results(made)
        if self.otypes is not None:
            if len(self.otypes) != len(made):
                raise ValueError(
                    f"[vectorize] otypes: got {len(self.otypes)}, expected {len(made)}, one for "
                    "each result"
                )
            made = [m.astype(t) for m, t in zip(made, self.otypes)]
        made = [m.reshape((*shape, *m.shape[1:])) for m in made]
        return tuple(made) if several[-1] else made[0]

    def _own_axes(self, operands: list[array]) -> list[int]:
        """How many axes of each are the function's, whose sizes agree."""
        wanted, _ = self._sizes  # type: ignore[misc]
        if len(wanted) != len(operands):
            raise TypeError(
                f"[vectorize] got {len(operands)} arguments, expected {len(wanted)}: "
                f"{self.signature}"
            )
        sizes: dict[str, int] = {}
        for a, names in zip(operands, wanted):
            own = a.shape[a.ndim - len(names) :] if len(names) <= a.ndim else None
            fits = own is not None and all(
                sizes.setdefault(name, n) == n for name, n in zip(names, own)
            )
            if not fits:
                raise ValueError(
                    f"[vectorize] shape does not fit the signature: got {a.shape} for "
                    f"({','.join(names)}) of {self.signature}, with {sizes}"
                )
        return [len(names) for names in wanted]

    def _check_results(self, made: list[array]) -> None:
        _, wanted = self._sizes  # type: ignore[misc]
        if len(wanted) != len(made) or any(m.ndim - 1 != len(w) for m, w in zip(made, wanted)):
            raise ValueError(
                f"[vectorize] results do not fit the signature: got shapes "
                f"{[m.shape[1:] for m in made]}, expected {self.signature}"
            )
