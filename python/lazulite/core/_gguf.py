"""GGUF files, versions 2 and 3: tensors and metadata of language models."""

from __future__ import annotations


import math
import struct

from . import _code_books, _core
from ._core import array
from ._io import Created, bad, bytes_of, check_named, code_of, is_size, write_array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional


_MAGIC = b"GGUF"
_TYPES = {
    0: _core.float32,
    1: _core.float16,
    24: _core.int8,
    25: _core.int16,
    26: _core.int32,
    27: _core.int64,
    28: _core.float64,
    30: _core.bfloat16,
}
# numbers in blocks: dequantised on load, to float16, but for those that affine quantization has
_BLOCKS = {
    2: "Q4_0",
    3: "Q4_1",
    6: "Q5_0",
    7: "Q5_1",
    8: "Q8_0",
    9: "Q8_1",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    15: "Q8_K",
    20: "IQ4_NL",
    23: "IQ4_XS",
    34: "TQ1_0",
    35: "TQ2_0",
    39: "MXFP4",
    40: "NVFP4",
}
_PACKED = {"Q4_0": 4, "Q4_1": 4, "Q8_0": 8}  # bits
_CODE_BOOKS = {
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    21: "IQ3_S",
    22: "IQ2_S",
    29: "IQ1_M",
}
_UNREADABLE = {4: "Q4_2", 5: "Q4_3"}  # what no file has any more
# numbers of the metadata: struct's code and dtype
_NUMBERS = {
    0: ("B", _core.uint8),
    1: ("b", _core.int8),
    2: ("H", _core.uint16),
    3: ("h", _core.int16),
    4: ("I", _core.uint32),
    5: ("i", _core.int32),
    6: ("f", _core.float32),
    7: ("?", _core.bool_),
    10: ("Q", _core.uint64),
    11: ("q", _core.int64),
    12: ("d", _core.float64),
}
_TEXT, _LIST = 8, 9
_MOST_NESTED = 8  # lists in lists


class _Reader:
    """A cursor over the header, which reads ahead."""

    def __init__(self, source, at: int):
        self._source, self._begin, self._ahead, self._next = source, at, b"", 0

    @property
    def position(self) -> int:
        return self._begin + self._next

    def _fill(self, n: int) -> None:
        """At least n bytes more in what was read ahead."""
        left = self._source.size - self.position
        if n <= left:
            at = self.position
            self._ahead = self._source.read(at, max(n, min(left, 1 << 16)))
            self._begin, self._next = at, 0
        if n > left or len(self._ahead) < n:
            bad(
                "load",
                f"truncated gguf header: {self._source.name}: got {left} bytes, expected {n} more",
            )

    def bytes(self, n: int) -> bytes:
        if n > len(self._ahead) - self._next:
            self._fill(n)
        begin = self._next
        self._next += n
        return self._ahead[begin : self._next]

    def number(self, code: str):
        return struct.unpack("<" + code, self.bytes(struct.calcsize("<" + code)))[0]

    def text(self) -> str:
        found = self.bytes(int.from_bytes(self.bytes(8), "little"))
        try:
            return found.decode("utf-8")
        except UnicodeDecodeError:
            bad("load", f"not a text in a gguf header: {self._source.name}: got {found[:40]!r}")

    def value(self, kind: int, depth: int = 0):
        if kind == _TEXT:
            return self.text()
        if kind == _LIST:
            of, n = self.number("I"), self.number("Q")
            if of == _TEXT:
                self._check_count(n, 8)
                return [self.text() for _ in range(n)]
            if of == _LIST:
                if depth == _MOST_NESTED:
                    bad("load", f"lists nested too deep in a gguf header: {self._source.name}")
                self._check_count(n, 12)
                return [self.value(_LIST, depth + 1) for _ in range(n)]
            if of not in _NUMBERS:
                bad("load", f"unknown kind of list in a gguf header: {self._source.name}: got {of}")
            return self._numbers(of, n, (n,))
        if kind not in _NUMBERS:
            bad("load", f"unknown kind of value in a gguf header: {self._source.name}: got {kind}")
        return self._numbers(kind, 1, ())

    def _check_count(self, n: int, least: int) -> None:
        """So many things of that many bytes at least."""
        left = self._source.size - self.position
        if n > left // least:
            bad(
                "load",
                f"truncated gguf header: {self._source.name}: got {left} bytes for {n} entries",
            )

    def check_entries(self, tensors: int, pairs: int) -> None:
        self._check_count(tensors, 24)
        self._check_count(pairs, 13)

    def _numbers(self, kind: int, n: int, shape) -> array:
        dtype = _NUMBERS[kind][1]
        self._check_count(n, dtype.size)
        data = self.bytes(n * dtype.size)
        if n == 0:
            return _core.zeros(shape, dtype)
        flat = _core.array(data)
        return (flat.astype(dtype) if dtype == _core.bool_ else flat.view(dtype)).reshape(shape)


def _in_blocks(source, at: int, key: str, shape, kind: str) -> Dict[str, array]:
    """What a tensor of blocks is loaded as: float16, or the three parts of affine quantization in
    groups of 32."""
    if kind in _code_books.FORMATS:
        blocks = [*shape[:-1], shape[-1] // _code_books.NUMBERS, _code_books.FORMATS[kind].bytes]
        return {key: _code_books.decoded(kind, source.array(at, _core.uint8, blocks))}
    if kind not in _PACKED:
        return {key: source.blocks(at, shape, kind)}
    stem = key[: -len("weight")] if key.endswith(".weight") else key + "."
    rows, columns = shape[:-1], shape[-1]
    groups = [*rows, columns // 32]
    return {
        stem
        + "weight": source.blocks(at, [*rows, columns * _PACKED[kind] // 32], kind + ".weight"),
        stem + "scales": source.blocks(at, groups, kind + ".scales"),
        stem + "biases": source.blocks(at, groups, kind + ".biases"),
    }


def _alignment(metadata, name: str) -> int:
    found = metadata.get("general.alignment", 32)
    if isinstance(found, array):
        found = found.item() if found.size == 1 else 0
    if isinstance(found, bool) or not isinstance(found, int) or found <= 0 or found & (found - 1):
        bad("load", f"not an alignment: {name}: got {found!r:.40}, expected a power of two")
    return found


def _bytes_of_tensor(name: str, key: str, shape, kind: int) -> int:
    if not all(map(is_size, shape)):
        bad("load", f"unreadable shape: {name}: {key}: got {shape}")
    count = math.prod(shape)
    if kind in _TYPES:
        return count * _TYPES[kind].size
    if kind not in _BLOCKS and kind not in _CODE_BOOKS:
        bad(
            "load",
            f"type not supported: {name}: {key}: got "
            f"{_UNREADABLE.get(kind, f'number {kind} of gguf')}, expected F32, F16, BF16, F64, "
            f"I8 to I64, {', '.join([*_BLOCKS.values(), *_CODE_BOOKS.values()])}",
        )
    if kind in _CODE_BOOKS:
        of_block, numbers = _code_books.FORMATS[_CODE_BOOKS[kind]].bytes, _code_books.NUMBERS
    else:
        of_block, numbers = _core._block_sizes(_BLOCKS[kind])
    if not shape or shape[-1] % numbers:
        bad(
            "load",
            f"blocks do not fit: {name}: {key}: got shape {shape}, "
            f"expected a last axis of a multiple of {numbers}",
        )
    return count // numbers * of_block


def read_gguf(source, at: int):
    name = source.name
    reader = _Reader(source, at)
    if source.read(at, 4) != _MAGIC:
        bad("load", f"not a gguf file: {name}")
    reader.bytes(4)
    version = reader.number("I")
    if version not in (2, 3):
        bad("load", f"version of gguf not supported: {name}: got {version}, expected 2 or 3")
    tensors, pairs = reader.number("Q"), reader.number("Q")
    reader.check_entries(tensors, pairs)
    metadata: Dict[str, Any] = {}
    for _ in range(pairs):
        key = reader.text()
        if key in metadata:
            bad("load", f"a name appears twice in a gguf header: {name}: {key}")
        metadata[key] = reader.value(reader.number("I"))
    alignment = _alignment(metadata, name)
    entries = []
    for _ in range(tensors):
        key, axes = reader.text(), reader.number("I")
        if axes > 8:
            bad("load", f"too many axes: {name}: {key} has {axes}, expected 8 at most")
        shape = [reader.number("Q") for _ in range(axes)][::-1]
        entries.append((key, shape, reader.number("I"), reader.number("Q")))
    begin = at + -(-(reader.position - at) // alignment) * alignment
    found: Dict[str, array] = {}
    places = []
    for key, shape, kind, offset in entries:
        size = _bytes_of_tensor(name, key, shape, kind)
        if offset % alignment or begin + offset + size > source.size:
            bad(
                "load",
                f"truncated gguf data: {name}: {key}: got {source.size} bytes in the file, "
                f"expected {size} at {begin + offset}",
            )
        places.append((offset, offset + size, key))
        if kind in _TYPES:
            made = {key: source.array(begin + offset, _TYPES[kind], shape)}
        else:
            of = _BLOCKS.get(kind) or _CODE_BOOKS[kind]
            made = _in_blocks(source, begin + offset, key, shape, of)
        for part in made:
            if part in found:
                bad("load", f"a name appears twice in a gguf header: {name}: {part}")
        found.update(made)
    last = 0
    for first, end, key in sorted(places):
        if first < last and first < end:
            bad("load", f"gguf data overlap: {name}: {key} begins at {first}, expected {last}")
        last = max(last, end)
    return found, metadata


def _text(value: str) -> bytes:
    data = value.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def _value(key: str, value) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", _TEXT) + _text(value)
    if isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value):
        return struct.pack("<IIQ", _LIST, _TEXT, len(value)) + b"".join(map(_text, value))
    if isinstance(value, (bool, int, float)):
        value = _core.array(value)
    if isinstance(value, array) and value.ndim <= 1:
        kind = next((k for k, (_, dtype) in _NUMBERS.items() if dtype == value.dtype), None)
        if kind is not None:
            data = bytes(bytes_of(value))
            return (
                struct.pack("<I", kind) + data
                if value.ndim == 0
                else struct.pack("<IIQ", _LIST, kind, value.size) + data
            )
    raise ValueError(
        f"[save_gguf] metadata not supported: {key}: got {value!r}, expected a text, "
        "a list of texts, a number, or an array of one axis of integers, bool, float32 or float64"
    )


def save_gguf(
    file: Any, arrays: Dict[str, array], metadata: Optional[Dict[str, Any]] = None
) -> None:
    """Writes a dict of arrays (floats and signed integers), and metadata (texts, lists of texts,
    numbers, arrays of one axis), in the format GGUF, version 3. As with `save`, the file takes its
    name when it is whole.

    >>> import io
    >>> import lazulite.core as mx
    >>> f = io.BytesIO()
    >>> mx.save_gguf(f, {"a": mx.arange(3)}, {"general.name": "three"})
    >>> _ = f.seek(0)
    >>> mx.load(f, format="gguf", return_metadata=True)
    ({'a': array([0, 1, 2], dtype=int32)}, {'general.name': 'three'})
    """
    check_named("save_gguf", arrays)
    if not isinstance(metadata, (dict, type(None))):
        raise TypeError(f"[save_gguf] metadata: got {type(metadata).__name__}, expected a dict")
    metadata = dict(metadata or {})
    alignment = 32
    metadata.pop("general.alignment", None)  # of the file that it came from
    head = [_MAGIC, struct.pack("<IQQ", 3, len(arrays), len(metadata))]
    for key, value in metadata.items():
        if not isinstance(key, str):
            raise TypeError(
                f"[save_gguf] metadata: got a key of {type(key).__name__}, expected str"
            )
        head.append(_text(key) + _value(key, value))
    offset = 0
    for key, a in arrays.items():
        kind = code_of(a.dtype, _TYPES)
        if kind is None:
            raise ValueError(
                f"[save_gguf] dtype not supported: {key}: got {a.dtype}, "
                "expected floats or signed integers"
            )
        shape = a.shape[::-1]
        head.append(
            _text(key) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
        )
        offset += -(-a.nbytes // alignment) * alignment
    text = b"".join(head)
    with Created(file, "save_gguf", ".gguf", arrays.values()) as out:
        out.write(text + bytes(-len(text) % alignment))
        for a in arrays.values():
            write_array(out, a)
            out.write(bytes(-a.nbytes % alignment))
