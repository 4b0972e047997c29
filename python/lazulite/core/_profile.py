"""profile: what ran, how long it took, and which line of Python made it."""

from __future__ import annotations

from . import _core
from ._io import write_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Union


class ProfileRow:
    """One kind of step: an op or fused group (`text`: with its attributes), what it makes, and the
    line that recorded it; sums over its calls."""

    __slots__ = ("name", "text", "result", "line", "calls", "seconds", "bytes", "flops")

    def __init__(
        self,
        name: str,
        text: str,
        result: str,
        line: str,
        calls: int,
        seconds: float,
        bytes: int,
        flops: float,
    ):
        self.name, self.text, self.result, self.line = name, text, result, line
        self.calls, self.seconds, self.bytes, self.flops = calls, seconds, bytes, flops

    def __repr__(self) -> str:
        return "ProfileRow(" + ", ".join(f"{k}={getattr(self, k)!r}" for k in self.__slots__) + ")"


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


class profile:
    """A context manager that times every step of every evaluation inside it, in all threads.

    `print(p)` shows a table, the slowest first: op or fused group, what it makes, calls,
    milliseconds (of the step alone, without those of a loop's body), share, GB/s of memory read and
    written, GFLOP/s (products count two operations per multiplication, others one per element and
    op), and the Python line that recorded it. `rows()` gives the same as data, `save(file)` writes
    a trace in the Chrome format, which Perfetto and chrome://tracing open. Arrays are lazy:
    evaluate inside the block what is to be seen. One profile runs at a time (RuntimeError); where
    none runs, a step costs one comparison more.

    >>> with mx.profile() as p:
    ...     mx.eval(mx.exp(mx.ones(1000)) + 1)
    >>> p.rows()[0].name, p.rows()[0].result
    ('fused {exp add}', 'float32(1000,)')
    """

    def __init__(self):
        self._profile = _core._Profile()

    def __enter__(self) -> profile:
        self._profile.start()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._profile.stop()

    def rows(self) -> list:
        """A ProfileRow for each kind of step, the slowest first."""
        kinds: dict = {}
        for name, text, result, line, _, _, own, size, flops, _ in self._profile.events():
            row = kinds.setdefault((name, text, result, line), [0, 0, 0, 0.0])
            for i, v in enumerate((1, own, size, flops)):
                row[i] += v
        rows = [
            ProfileRow(*key, calls, own / 1e9, size, flops)
            for key, (calls, own, size, flops) in kinds.items()
        ]
        return sorted(rows, key=lambda row: -row.seconds)

    def __str__(self) -> str:
        rows = self.rows()
        if not rows:
            return "nothing ran inside the block: arrays are lazy, and what was evaluated before it does not run again"
        total = sum(row.seconds for row in rows)
        head = ("op", "result", "calls", "ms", "share", "GB/s", "GFLOP/s", "line")
        table = [head]
        for row in rows[:50]:
            per = row.seconds or 1e-9
            file = row.line.rsplit("/", 1)[-1].removeprefix(" at ")
            table.append(
                (
                    _short(row.text, 48),
                    _short(row.result, 32),
                    str(row.calls),
                    f"{row.seconds * 1e3:.3f}",
                    f"{100 * row.seconds / (total or 1e-9):.1f}%",
                    f"{row.bytes / per / 1e9:.2f}" if row.bytes else "",
                    f"{row.flops / per / 1e9:.2f}" if row.flops else "",
                    file,
                )
            )
        widths = [max(len(r[i]) for r in table) for i in range(len(head))]
        left = (0, 1, len(head) - 1)
        lines = [
            "  ".join(
                c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths))
            ).rstrip()
            for r in table
        ]
        if len(rows) > 50:
            lines.append(f"... and {len(rows) - 50} more kinds of steps")
        calls = sum(row.calls for row in rows)
        lines.append(
            f"{calls} steps, {total * 1e3:.3f} ms"
            + ("; more happened than is kept" if self._profile.full() else "")
        )
        return "\n".join(lines)

    def save(self, file: Union[str, Any]) -> None:
        """Writes a Chrome trace (JSON) to a path or an open text file; FileNotFoundError where the
        folder is missing."""
        found = self._profile.events()
        events = [
            {
                "name": text,
                "ph": "X",
                "ts": start / 1e3,
                "dur": spent / 1e3,
                "pid": 1,
                "tid": thread,
                "args": {
                    "result": result,
                    "line": line.removeprefix(" at "),
                    "bytes": size,
                    "flops": flops,
                },
            }
            for _, text, result, line, start, spent, _, size, flops, thread in found
        ]
        import json  # takes longer to import than all of this package

        trace = {"traceEvents": events, "displayTimeUnit": "ns"}
        write_text(file, "profile.save", json.dumps(trace))
