"""GGUF files, versions 2 and 3: tensors and metadata of language models."""

from __future__ import annotations


import math
import struct

from . import _core
from ._core import array
from ._io import _array_at, _bad, _bytes_of, _check_named, _code_of, _created, _is_size

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
# blocks of 32 numbers: bytes of a block
_BLOCKS = {2: 18, 3: 20, 8: 34}
_GROUP = 32
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


class _Reader:
    """A cursor over the header, which reads ahead."""

    def __init__(self, source, at: int):
        self._source, self._at, self._ahead = source, at, b""

    @property
    def position(self) -> int:
        return self._at - len(self._ahead)

    def bytes(self, n: int) -> bytes:
        left = self._source.size - self.position
        if n > left:
            _bad(
                "load",
                f"truncated gguf header: {self._source.name}: got {left} bytes, expected {n} more",
            )
        if n > len(self._ahead):
            more = self._source.read(self._at, max(n - len(self._ahead), 1 << 16))
            self._at += len(more)
            self._ahead += more
        found, self._ahead = self._ahead[:n], self._ahead[n:]
        if len(found) != n:
            _bad("load", f"truncated gguf header: {self._source.name}")
        return found

    def number(self, code: str):
        return struct.unpack("<" + code, self.bytes(struct.calcsize("<" + code)))[0]

    def text(self) -> str:
        found = self.bytes(self.number("Q"))
        try:
            return found.decode("utf-8")
        except UnicodeDecodeError:
            _bad("load", f"not a text in a gguf header: {self._source.name}: got {found[:40]!r}")

    def value(self, kind: int):
        if kind == _TEXT:
            return self.text()
        if kind == _LIST:
            of, n = self.number("I"), self.number("Q")
            if of == _TEXT:
                return [self.text() for _ in range(n)]
            if of not in _NUMBERS:
                _bad(
                    "load", f"unknown kind of list in a gguf header: {self._source.name}: got {of}"
                )
            return self._numbers(of, n, (n,))
        if kind not in _NUMBERS:
            _bad("load", f"unknown kind of value in a gguf header: {self._source.name}: got {kind}")
        return self._numbers(kind, 1, ())

    def _numbers(self, kind: int, n: int, shape) -> array:
        dtype = _NUMBERS[kind][1]
        data = self.bytes(n * dtype.size)
        if n == 0:
            return _core.zeros(shape, dtype)
        flat = _core.array(data)
        return (flat.astype(dtype) if dtype == _core.bool_ else flat.view(dtype)).reshape(shape)


def _quantized(raw: array, kind: int, rows):
    """Blocks of 32 as (packed, scales, biases) in the layout of affine quantization."""
    n = raw.shape[0]
    scales = raw[:, :2].view(_core.float16)
    if kind == 8:  # signed bytes
        packed, biases = _core.bitwise_xor(raw[:, 2:], 128), scales * -128
    else:  # the low halves of the bytes are the first 16 numbers, the high halves the others
        biases = scales * -8 if kind == 2 else raw[:, 2:4].view(_core.float16)
        halves = raw[:, _BLOCKS[kind] - 16:]
        numbers = _core.concatenate(
            [_core.bitwise_and(halves, 15), _core.right_shift(halves, 4)], axis=1
        ).reshape(n, 16, 2)
        packed = _core.bitwise_or(numbers[:, :, 0], _core.left_shift(numbers[:, :, 1], 4))
    groups = [*rows[:-1], rows[-1] // _GROUP]
    return (
        _core.contiguous(packed).view(_core.uint32).reshape([*rows[:-1], -1]),
        scales.reshape(groups),
        biases.reshape(groups),
    )


def read_gguf(source, at: int):
    name = source.name
    reader = _Reader(source, at)
    if source.read(at, 4) != _MAGIC:
        _bad("load", f"not a gguf file: {name}")
    reader.bytes(4)
    version = reader.number("I")
    if version not in (2, 3):
        _bad("load", f"version of gguf not supported: {name}: got {version}, expected 2 or 3")
    tensors, pairs = reader.number("Q"), reader.number("Q")
    metadata: Dict[str, Any] = {}
    for _ in range(pairs):
        key = reader.text()
        if key in metadata:
            _bad("load", f"a name appears twice in a gguf header: {name}: {key}")
        metadata[key] = reader.value(reader.number("I"))
    alignment = metadata.get("general.alignment", 32)
    if isinstance(alignment, array):
        alignment = alignment.item() if alignment.size == 1 else 0
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        _bad("load", f"not an alignment: {name}: got {alignment}, expected a power of two")
    entries = []
    for _ in range(tensors):
        key, axes = reader.text(), reader.number("I")
        if axes > 8:
            _bad("load", f"too many axes: {name}: {key} has {axes}, expected 8 at most")
        shape = [reader.number("Q") for _ in range(axes)][::-1]
        entries.append((key, shape, reader.number("I"), reader.number("Q")))
    begin = at + -(-(reader.position - at) // alignment) * alignment
    found: Dict[str, array] = {}
    for key, shape, kind, offset in entries:
        if not all(map(_is_size, shape)):
            _bad("load", f"unreadable shape: {name}: {key}: got {shape}")
        if kind not in _TYPES and kind not in _BLOCKS:
            _bad(
                "load",
                f"type not supported: {name}: {key}: got number {kind} of gguf, "
                "expected F32, F16, BF16, F64, I8 to I64, Q4_0, Q4_1 or Q8_0",
            )
        count = math.prod(shape)
        if kind in _BLOCKS and (not shape or shape[-1] % _GROUP):
            _bad(
                "load",
                f"blocks do not fit: {name}: {key}: got shape {shape}, "
                f"expected a last axis of a multiple of {_GROUP}",
            )
        size = count // _GROUP * _BLOCKS[kind] if kind in _BLOCKS else count * _TYPES[kind].size
        if offset % alignment or begin + offset + size > source.size:
            _bad(
                "load",
                f"truncated gguf data: {name}: {key}: got {source.size} bytes in the file, "
                f"expected {size} at {begin + offset}",
            )
        if kind in _TYPES:
            made = {key: _array_at(source, begin + offset, _TYPES[kind], shape, name)}
        else:
            raw = _array_at(
                source, begin + offset, _core.uint8, [count // _GROUP, _BLOCKS[kind]], name
            )
            stem = key[:-len("weight")] if key.endswith(".weight") else key + "."
            made = dict(
                zip(
                    (stem + "weight", stem + "scales", stem + "biases"),
                    _quantized(raw, kind, shape),
                )
            )
        for part in made:
            if part in found:
                _bad("load", f"a name appears twice in a gguf header: {name}: {part}")
        found.update(made)
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
            data = bytes(_bytes_of(value))
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
    numbers, arrays of one axis), in the format GGUF, version 3.

    >>> import io
    >>> import lazulite.core as mx
    >>> f = io.BytesIO()
    >>> mx.save_gguf(f, {"a": mx.arange(3)}, {"general.name": "three"})
    >>> _ = f.seek(0)
    >>> mx.load(f, format="gguf", return_metadata=True)
    ({'a': array([0, 1, 2], dtype=int32)}, {'general.name': 'three'})
    """
    _check_named("save_gguf", arrays)
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
    _core.eval(list(arrays.values()))
    offset = 0
    for key, a in arrays.items():
        kind = _code_of(a.dtype, _TYPES)
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
    out, close = _created(file, "save_gguf", ".gguf")
    try:
        out.write(text + bytes(-len(text) % alignment))
        for a in arrays.values():
            out.write(_bytes_of(a))
            out.write(bytes(-a.nbytes % alignment))
    finally:
        if close:
            out.close()
