"""What quantization costs, layer by layer."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import lazulite.core as mx
from lazulite.nn._summary import _bytes
from lazulite.nn.module import Module
from lazulite.nn.quantization.calibration import batches_of, called, kind_of, watched
from lazulite.utils import tree_flatten

__all__ = ["QuantizationReport", "ReportRow", "quantization_report"]


@dataclass
class ReportRow:
    """One layer: where it is, what it became, and how far what it gives is from what it gave.

    ``own_error`` is that of the layer alone, given the same inputs; ``error`` is that in the model,
    with all layers before it quantized too. Both are root mean squares of differences over those
    of what the layer gave: 0.01 is one percent, nan is that of a layer that was not called.
    """

    name: str
    before: str
    after: str
    own_error: float
    error: float
    bytes_before: int
    bytes_after: int


@dataclass
class QuantizationReport:
    """What :func:`quantization_report` found; ``str`` gives the table.

    ``error`` is that of what the model gives, and both bytes are those of all its parameters.
    """

    rows: list[ReportRow] = field(default_factory=list)
    error: float = math.nan
    bytes_before: int = 0
    bytes_after: int = 0

    def __repr__(self) -> str:
        return f"QuantizationReport({len(self.rows)} layers, error {_percent(self.error)})"

    def __str__(self) -> str:
        lines = [("layer", "was", "is", "own error", "error", "size")]
        lines += [
            (
                row.name or "model",
                row.before,
                row.after,
                _percent(row.own_error),
                _percent(row.error),
                f"{_bytes(row.bytes_before)} -> {_bytes(row.bytes_after)}",
            )
            for row in self.rows
        ]
        widths = [max(map(len, column)) for column in zip(*lines)]
        table = [
            "  ".join(
                cell.ljust(width) if i < 3 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths))
            )
            for line in lines
        ]
        rule = "-" * max(map(len, table))
        return "\n".join(
            [
                table[0],
                rule,
                *table[1:],
                rule,
                f"error  {_percent(self.error)} of what the model gives",
                f"size   {_bytes(self.bytes_before)} -> {_bytes(self.bytes_after)}",
            ]
        )


class _Error:
    """Sums of squares of what was expected and of what is off."""

    def __init__(self) -> None:
        self._off = self._all = 0.0

    def add(self, got: Any, expected: Any) -> None:
        for (_, y), (_, wanted) in zip(tree_flatten(got), tree_flatten(expected)):
            if isinstance(y, mx.array) and isinstance(wanted, mx.array):
                wanted = wanted.astype(mx.float32)
                self._off += mx.sum(mx.square(y.astype(mx.float32) - wanted)).item()
                self._all += mx.sum(mx.square(wanted)).item()

    @property
    def relative(self) -> float:
        if self._all == 0:
            return math.nan if self._off == 0 else math.inf
        return math.sqrt(self._off / self._all)


def quantization_report(model: Module, quantized: Module, data: Any) -> QuantizationReport:
    """The error by layer of a quantized model: printed, a table.

    Both models are called with each batch, in inference; afterwards they are what they were.

    Args:
        model: the model of floats.
        quantized: what ``mx.quantize`` made of it.
        data: an array or an iterable of batches, as ``calibration_data`` of the settings.

    Raises:
        TypeError: not models, or no batches.
        ValueError: no layer of one is quantized in the other, or there is no batch.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> mx.random.seed(0)
        >>> model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4))
        >>> quantized = mx.quantize(model, {"method": "ptq", "weight_bits": 4})
        >>> report = nn.quantization_report(model, quantized, mx.random.normal((8, 64)))
        >>> [row.name for row in report.rows], 0 < report.error < 0.3
        (['layers.0', 'layers.2'], True)
    """
    for name, given in (("model", model), ("quantized", quantized)):
        if not isinstance(given, Module):
            raise TypeError(
                f"[quantization_report] {name}: got {type(given).__name__}, expected a Module"
            )
    pairs = _pairs(model, quantized)
    if not pairs:
        raise ValueError(
            "[quantization_report] quantized: got no quantized layer, expected what mx.quantize "
            "made of the model"
        )
    own, whole = {path: _Error() for path in pairs}, {path: _Error() for path in pairs}
    gave: dict[str, list[Any]] = {}
    error, count = _Error(), 0

    def of_floats(path: str, after: Module) -> Any:
        def seen(x: mx.array, y: Any) -> None:
            gave.setdefault(path, []).append(y)
            own[path].add(after(x), y)

        return seen

    def of_codes(path: str) -> Any:
        def seen(x: mx.array, y: Any) -> None:
            if gave.get(path):
                whole[path].add(y, gave[path].pop(0))

        return seen

    floats = {id(before): of_floats(path, after) for path, (before, after) in pairs.items()}
    codes = {id(after): of_codes(path) for path, (_, after) in pairs.items()}
    for batch in batches_of(data, "data"):
        gave.clear()
        with watched(quantized, {}), watched(model, floats):
            expected = called(model, batch)
            mx.eval(expected)
        with watched(quantized, codes):
            error.add(called(quantized, batch), expected)
        count += 1
    if count == 0:
        raise ValueError("[quantization_report] data: got no batch, expected one or more")
    return QuantizationReport(
        [
            ReportRow(
                path,
                type(before).__name__,
                type(after).__name__,
                own[path].relative,
                whole[path].relative,
                _size(before),
                _size(after),
            )
            for path, (before, after) in pairs.items()
        ],
        error.relative,
        _size(model),
        _size(quantized),
    )


def _pairs(model: Module, quantized: Module) -> dict[str, tuple[Module, Module]]:
    """Layers of floats, in order, with what stands in their place, each pair once."""
    others = dict(quantized.named_modules())
    found: dict[str, tuple[Module, Module]] = {}
    ids = set()
    for path, layer in reversed(model.named_modules()):
        other = others.get(path)
        if kind_of(layer) is None or other is None or type(other) is type(layer):
            continue
        if (id(layer), id(other)) not in ids:
            ids.add((id(layer), id(other)))
            found[path] = layer, other
    return found


def _size(model: Module) -> int:
    arrays = {id(a): a for _, a in tree_flatten(model.parameters()) if isinstance(a, mx.array)}
    return sum(a.nbytes for a in arrays.values())


def _percent(error: float) -> str:
    return f"{100 * error:.2f} %" if math.isfinite(error) else "-"
