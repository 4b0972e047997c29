"""What a model is made of, and what a call of it costs."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Optional

import lazulite.core as mx
from lazulite.core._trees import tracing
from lazulite.nn.module import Module
from lazulite.utils import tree_flatten

__all__ = ["Summary", "SummaryRow", "summary"]

_lock = threading.Lock()  # classes are changed while a model is watched


@dataclass
class SummaryRow:
    """One module: where it is, what it gives, its own parameters, and what its calls cost.

    ``parameters``, ``flops`` and ``memory`` (bytes of its parameters and of its output) leave out
    the modules inside it.
    """

    name: str
    kind: str
    depth: int
    parameters: int
    trainable: int
    parameter_bytes: int
    calls: int = 0
    output: str = ""
    output_bytes: int = 0
    flops: float = 0.0

    @property
    def memory(self) -> int:
        """Bytes of the parameters and of what the last call gave."""
        return self.parameter_bytes + self.output_bytes


@dataclass
class Summary:
    """What :func:`summary` found: ``rows`` and sums of them; ``str`` gives the table."""

    rows: list[SummaryRow] = field(default_factory=list)
    flops: float = 0.0
    parameters: int = 0
    trainable: int = 0
    parameter_bytes: int = 0
    output_bytes: int = 0

    def __repr__(self) -> str:
        return f"Summary({self.parameters:,} parameters, {_short(self.flops)}FLOPs)"

    def __str__(self) -> str:
        lines = [("layer", "output", "parameters", "FLOPs", "memory")]
        for row in self.rows:
            times = f" x{row.calls}" if row.calls > 1 else ""
            name = row.name.rpartition(".")[2] if row.depth else "model"
            lines.append(
                (
                    "  " * row.depth + f"{name}: {row.kind}{times}",
                    row.output or "-",
                    f"{row.parameters:,}" if row.parameters else "-",
                    _short(row.flops).strip() if row.flops else "-",
                    _bytes(row.memory) if row.memory else "-",
                )
            )
        widths = [max(map(len, column)) for column in zip(*lines)]
        table = [
            "  ".join(
                cell.ljust(width) if i < 2 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths))
            ).rstrip()
            for line in lines
        ]
        rule = "-" * max(map(len, table))
        frozen = self.parameters - self.trainable
        return "\n".join(
            [
                table[0],
                rule,
                *table[1:],
                rule,
                f"parameters  {self.parameters:,} ({self.trainable:,} trainable, {frozen:,} not)",
                f"FLOPs       {_short(self.flops).strip()} in one call",
                f"memory      {_bytes(self.parameter_bytes)} of parameters, "
                f"{_bytes(self.output_bytes)} of outputs",
            ]
        )


def summary(model: Module, *inputs: Any, **keywords: Any) -> Summary:
    """Print a table of a model's layers: outputs, parameters, FLOPs and memory; return its numbers.

    The model is called with the inputs, in inference; its parameters, the mode of each module and
    the random state are afterwards what they were. FLOPs are those that
    :class:`lazulite.core.profile` counts: two for each multiplication of a product or convolution,
    one for each element of other ops. Those of a layer with layers inside are in the last lines
    alone.

    Args:
        model: the model.
        inputs: what to call it with; without any, only parameters are counted.
        keywords: further arguments of the call.

    Raises:
        TypeError: not a model.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        >>> found = nn.summary(model, mx.zeros((2, 3)))
        layer              output         parameters  FLOPs  memory
        -----------------------------------------------------------
        model: Sequential  float32(2, 4)           -      -    32 B
          0: Linear        float32(2, 4)          16     56    96 B
          1: ReLU          float32(2, 4)           -      8    32 B
        -----------------------------------------------------------
        parameters  16 (16 trainable, 0 not)
        FLOPs       64 in one call
        memory      64 B of parameters, 96 B of outputs
        >>> found
        Summary(16 parameters, 64 FLOPs)
    """
    if not isinstance(model, Module):
        raise TypeError(f"[summary] model: got {type(model).__name__}, expected a Module")
    rows = {id(module): row for module, row in _walk(model, "", 0)}
    found = Summary(list(rows.values()))
    if inputs or keywords:
        found.flops = _watch(model, rows, inputs, keywords)
    for row in found.rows:
        found.parameters += row.parameters
        found.trainable += row.trainable
        found.parameter_bytes += row.parameter_bytes
        found.output_bytes += row.output_bytes
    print(found)
    return found


def _walk(module: Module, name: str, depth: int) -> Iterator[tuple[Module, SummaryRow]]:
    """Each module once, before those inside it, in the order in which they were set."""
    seen: set[int] = set()
    stack = [(module, name, depth)]
    while stack:
        module, name, depth = stack.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        own = module.filter_and_map(
            lambda m, k, v: not isinstance(v, Module) and m.valid_parameter_filter(m, k, v)
        )
        arrays = {k: a for k, a in tree_flatten(own) if isinstance(a, mx.array)}
        trained = dict(tree_flatten(module.trainable_parameters()))
        yield module, SummaryRow(
            name=name,
            kind=type(module).__name__,
            depth=depth,
            parameters=sum(a.size for a in arrays.values()),
            trainable=sum(a.size for k, a in arrays.items() if k in trained),
            parameter_bytes=sum(a.nbytes for a in arrays.values()),
        )
        inside = module._named_children()
        below = f"{name}." if name else ""
        stack += [(child, below + key, depth + 1) for key, child in reversed(inside)]


def _watch(
    model: Module, rows: dict[int, SummaryRow], inputs: tuple[Any, ...], keywords: dict[str, Any]
) -> float:
    """Call the model once for all of its FLOPs and once for those of each row."""
    modules = [module for _, module in model._reached(tuples=True)]
    modes = [module._training for module in modules]
    before, key = model.parameters(), mx.random.state[0]
    model.eval()
    try:
        mx.eval(before, inputs, keywords)
        with mx.profile() as whole:
            mx.eval(model(*inputs, **keywords))
        with _lock, _Watched({type(m) for m in modules}, rows):
            model(*inputs, **keywords)
    finally:
        model.update(before)
        mx.random.state[0] = key
        for module, mode in zip(modules, modes):
            module._training = mode
    return float(sum(row.flops for row in whole.rows()))


class _Watched:
    """While it is entered, calls of modules of some classes are written into their rows."""

    def __init__(self, kinds: set[type[Module]], rows: dict[int, SummaryRow]) -> None:
        self._kinds, self._rows = kinds, rows
        self._own: dict[type[Module], Optional[Callable[..., Any]]] = {}
        self._running: list[int] = []

    def __enter__(self) -> None:
        for kind in self._kinds:
            self._own[kind] = kind.__dict__.get("__call__")
            setattr(kind, "__call__", self._watching(kind.__call__))

    def __exit__(self, *error: Any) -> None:
        for kind, own in self._own.items():
            if own is None:
                delattr(kind, "__call__")
            else:
                setattr(kind, "__call__", own)

    def _watching(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(module: Module, *args: Any, **kwargs: Any) -> Any:
            row = self._rows.get(id(module))
            if row is None or tracing() or id(module) in self._running:
                return call(module, *args, **kwargs)
            self._running.append(id(module))
            try:
                out = self._measured(row, module, call, args, kwargs)
            finally:
                self._running.pop()
            leaves = [leaf for _, leaf in tree_flatten(out) if isinstance(leaf, mx.array)]
            row.calls += 1
            row.output = ", ".join(map(_shape, leaves))
            row.output_bytes = sum(leaf.nbytes for leaf in leaves)
            return out

        return watched

    @staticmethod
    def _measured(
        row: SummaryRow,
        module: Module,
        call: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        if module._named_children():
            return call(module, *args, **kwargs)
        mx.eval(args, kwargs)
        with mx.profile() as p:
            out = call(module, *args, **kwargs)
            mx.eval(out)
        row.flops += sum(step.flops for step in p.rows())
        return out


def _shape(a: mx.array) -> str:
    return f"{str(a.dtype).rpartition('.')[2]}{tuple(a.shape)}".replace(",)", ")")


def _short(n: float) -> str:
    """A number with the letter of its thousands, and a space before the unit."""
    for letter, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if n >= size:
            return f"{n / size:.2f} {letter}"
    return f"{n:.0f} "


def _bytes(n: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n} B"
