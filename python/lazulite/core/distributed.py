"""Work of several processes: there is no back end here, so each process is a group of its own.

Programs that are written for several run: what is exchanged in a group of one is what it was."""

from __future__ import annotations as _annotations

from . import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, Optional, Sequence

__all__ = [
    "Group",
    "all_gather",
    "all_max",
    "all_min",
    "all_sum",
    "init",
    "is_available",
    "recv",
    "recv_like",
    "send",
    "sum_scatter",
]

_BACKENDS = ("any", "mpi", "ring", "nccl", "jaccl")


class Group:
    """Processes that work together: here always one, this process.

    >>> mx.distributed.init()
    Group(rank=0, size=1)
    """

    def rank(self) -> int:
        """The number of this process: 0.

        >>> mx.distributed.init().rank()
        0
        """
        return 0

    def size(self) -> int:
        """How many processes there are: 1.

        >>> mx.distributed.init().size()
        1
        """
        return 1

    def split(self, color: int, key: int = -1) -> Group:
        """The group of the processes that gave the same color: this one alone.

        >>> mx.distributed.init().split(color=3)
        Group(rank=0, size=1)
        """
        return Group()

    def __repr__(self) -> str:
        return "Group(rank=0, size=1)"


_world = Group()


def is_available(backend: str = "any") -> bool:
    """Whether there is a back end that connects processes: never.

    >>> mx.distributed.is_available()
    False
    """
    _check_backend("is_available", backend)
    return False


def init(strict: bool = False, backend: str = "any", *, all_gather_factory: Any = None) -> Group:
    """The group of all processes: of this one, as there is no back end; RuntimeError where `strict`
    asks for one.

    >>> group = mx.distributed.init()
    >>> group.rank(), group.size()
    (0, 1)
    """
    _check_backend("init", backend)
    if strict:
        raise RuntimeError(
            f"[init] no back end connects processes: got strict=True and backend={backend!r}, "
            "expected strict=False, which gives a group of this process alone"
        )
    return _world


def all_sum(x: Any, *, group: Optional[Group] = None, stream: Any = None) -> _core.array:
    """The sum of what all processes give: of one, x itself.

    >>> mx.distributed.all_sum(mx.array([1, 2]))
    array([1, 2], dtype=int32)
    """
    return _alone("all_sum", x, group)


def all_max(x: Any, *, group: Optional[Group] = None, stream: Any = None) -> _core.array:
    """The maximum of what all processes give: of one, x itself.

    >>> mx.distributed.all_max(mx.array([1, 2]))
    array([1, 2], dtype=int32)
    """
    return _alone("all_max", x, group)


def all_min(x: Any, *, group: Optional[Group] = None, stream: Any = None) -> _core.array:
    """The minimum of what all processes give: of one, x itself.

    >>> mx.distributed.all_min(mx.array([1, 2]))
    array([1, 2], dtype=int32)
    """
    return _alone("all_min", x, group)


def all_gather(x: Any, *, group: Optional[Group] = None, stream: Any = None) -> _core.array:
    """What all processes give, one after another along the first axis: of one, x itself.

    >>> mx.distributed.all_gather(mx.array([1, 2]))
    array([1, 2], dtype=int32)
    """
    return _alone("all_gather", x, group)


def sum_scatter(x: Any, *, group: Optional[Group] = None, stream: Any = None) -> _core.array:
    """The sum of what all processes give, of which each gets its part: of one, x itself.

    >>> mx.distributed.sum_scatter(mx.array([1, 2]))
    array([1, 2], dtype=int32)
    """
    return _alone("sum_scatter", x, group)


def send(x: Any, dst: int, *, group: Optional[Group] = None, stream: Any = None) -> NoReturn:
    """Sends x to another process: ValueError, since there is none.

    >>> try:
    ...     mx.distributed.send(mx.array(1), 1)
    ... except ValueError as error:
    ...     print(str(error)[:33])
    [send] no other process: got 1, e
    """
    _nobody("send", dst, group)


def recv(
    shape: Sequence[int], dtype: Any, src: int, *, group: Optional[Group] = None, stream: Any = None
) -> NoReturn:
    """What another process sends: ValueError, since there is none.

    >>> try:
    ...     mx.distributed.recv((2,), mx.float32, 0)
    ... except ValueError as error:
    ...     print(str(error)[:33])
    [recv] no other process: got 0, e
    """
    _nobody("recv", src, group)


def recv_like(x: Any, src: int, *, group: Optional[Group] = None, stream: Any = None) -> NoReturn:
    """What another process sends, of the shape and dtype of x: ValueError, since there is none.

    >>> try:
    ...     mx.distributed.recv_like(mx.array(1), 0)
    ... except ValueError as error:
    ...     print(str(error)[:38])
    [recv_like] no other process: got 0, e
    """
    _nobody("recv_like", src, group)


def _check_backend(op: str, backend: str) -> None:
    if backend not in _BACKENDS:
        raise ValueError(
            f"[{op}] backend: got {backend!r}, expected one of {', '.join(map(repr, _BACKENDS))}"
        )


def _check_group(op: str, group: Optional[Group]) -> None:
    if not isinstance(group, (Group, type(None))):
        raise TypeError(f"[{op}] group: got {type(group).__name__}, expected a Group or None")


def _alone(op: str, x: Any, group: Optional[Group]) -> _core.array:
    _check_group(op, group)
    return x if isinstance(x, _core.array) else _core.array(x)


def _nobody(op: str, process: int, group: Optional[Group]) -> NoReturn:
    _check_group(op, group)
    raise ValueError(
        f"[{op}] no other process: got {process}, expected a group of more than one (its size() "
        "can be asked for)"
    )
