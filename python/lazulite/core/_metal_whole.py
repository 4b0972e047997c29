"""A whole kernel of Metal, `kernel void f(device const float* a [[buffer(0)]], ...) { ... }`, as
what `metal_kernel` takes: a body over names, and a header."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

_SKIP = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'", re.S)
_KERNEL = re.compile(r"(?:\[\[\s*)?\bkernel\b(?:\s*\]\])?\s+void\s+(\w+)\s*\(")
_ATTRIBUTE = re.compile(r"\[\[\s*(\w+)\s*(?:\(\s*(\d+)\s*\))?\s*\]\]")
_WIDTHS = {"": ".x", "2": ".xy", "3": ""}
# Sizes and places that have three numbers; all others are one.
_WIDE = re.compile(r"(?:thread|threadgroup)_position_in_\w+|threads_per_(?:grid|threadgroup)"
                   # fmt: skip
                   r"|dispatch_threads_per_threadgroup|threadgroups_per_grid|grid_(?:size|origin)")


def _blank(text: str) -> str:
    """The text without what comments and strings say, at the same places."""
    return _SKIP.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def _closing(text: str, at: int) -> int:
    """Where the bracket at `at` is closed, or -1."""
    pairs = {"(": ")", "{": "}"}
    begin, end, depth = text[at], pairs[text[at]], 0
    for i in range(at, len(text)):
        depth += (text[i] == begin) - (text[i] == end)
        if depth == 0:
            return i
    return -1


def _parts(text: str) -> list[str]:
    """Parameters: what stands between commas outside of brackets."""
    out, depth = [""], 0
    for c in text:
        depth += (c in "(<[") - (c in ")>]")
        if c == "," and depth == 0:
            out.append("")
        else:
            out[-1] += c
    return [part.strip() for part in out if part.strip()]


def whole_kernel(name: str, source: str, header: str, names: Sequence[str]) -> tuple[str, str]:
    """Body and header of a source that is a whole kernel; another source stays as it is. Buffers
    are the inputs and then the outputs, in the order of their numbers."""
    plain = _blank(source)
    found = _KERNEL.search(plain)
    if found is None:
        return source, header

    def refused(got: str, expected: str) -> ValueError:
        return ValueError(f"[metal_kernel] {name}: got {got}, expected {expected}")

    if _KERNEL.search(plain, found.end()):
        raise refused("several kernels", "one")
    before = plain[: found.start()].rstrip()
    if before.endswith(">") and "template" in before[before.rfind(";") + 1 :]:
        raise refused("a kernel that is a template", "types, or those that template= names")
    close = _closing(plain, found.end() - 1)
    opened = plain.find("{", close)
    last = _closing(plain, opened) if close >= 0 and opened >= 0 else -1
    if last < 0:
        raise refused("a kernel without an end", "brackets that are closed")
    outer, inner, buffers = [], [], []
    for part in _parts(plain[found.end() : close]):
        attribute = _ATTRIBUTE.search(part)
        text = " ".join(_ATTRIBUTE.sub("", part).split())
        declared = re.fullmatch(r"(.*?)(\w+)", text)
        if declared is None or not declared[1]:
            raise refused(f"a parameter {part!r}", "a type and a name")
        kind, own = declared[1].strip(), declared[2]
        word = attribute[1] if attribute else "buffer"
        if word == "buffer":
            if kind[-1] not in "*&":
                raise refused(f"a parameter {part!r}", "a pointer, a reference or a place")
            at = int(attribute[2]) if attribute and attribute[2] else len(buffers)
            buffers.append((at, kind, own))
        elif word == "threadgroup":
            raise refused(f"a parameter {part!r}", "threadgroup memory that the body declares")
        else:
            outer.append(f"const auto lz_{word} = {word};")
            width = kind[-1] if kind[-1] in "23" else ""
            inner.append(f"{kind} {own} = lz_{word}{_WIDTHS[width] if _WIDE.fullmatch(word) else ''};")
    if len(buffers) != len(names) or len({at for at, *_ in buffers}) != len(buffers):
        numbers = sorted(at for at, *_ in buffers)
        raise refused(f"buffers {numbers}", f"one for each of {', '.join(names)}")
    for n, (_, kind, own) in zip(names, sorted(buffers)):
        outer.append(f"auto* lz_buffer_{n} = buffer_of({n});")
        inner.append(f"{kind} {own} = {'*' if kind[-1] == '&' else ''}lz_buffer_{n};")
    lines = "\n" * source.count("\n", 0, opened)
    body = f"{' '.join(outer)} {{ {' '.join(inner)} {lines}{source[opened + 1 : last]} }}"
    rest = source[: found.start()] + source[last + 1 :]
    return body, header + "\n" + rest
