"""The safetensors format: arrays by name, a dict of strings, several files by an index."""

from __future__ import annotations

import math
import os
import struct

from . import _core
from ._core import array
from ._io import Created, bad, check_named, code_of, is_size, opened, write_array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional


_HEADER_LIMIT = 100 * 1024 * 1024
_CODES = {
    "BOOL": _core.bool_,
    "U8": _core.uint8,
    "U16": _core.uint16,
    "U32": _core.uint32,
    "U64": _core.uint64,
    "I8": _core.int8,
    "I16": _core.int16,
    "I32": _core.int32,
    "I64": _core.int64,
    "F16": _core.float16,
    "BF16": _core.bfloat16,
    "F32": _core.float32,
    "F64": _core.float64,
    "C64": _core.complex64,
}
# floats of 8 bits are kept as their bits
_EIGHT = ("F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ")
_READABLE = {**_CODES, **dict.fromkeys(_EIGHT, _core.uint8)}


def save_safetensors(
    file: Any, arrays: Dict[str, array], metadata: Optional[Dict[str, str]] = None
) -> None:
    """Writes a dict of arrays, and a dict of strings, in the safetensors format. No array may be
    named `__metadata__`. Arrays are evaluated and written one after the other; as with `save`, the
    file takes its name when it is whole."""
    header: dict = {}
    check_named("save_safetensors", arrays)
    if "__metadata__" in arrays:
        raise ValueError(
            "[save_safetensors] a name is taken: got an array __metadata__, expected another name"
        )
    if not _is_texts({} if metadata is None else metadata):
        raise TypeError(
            f"[save_safetensors] metadata: got {metadata!r:.60}, expected a dict of strings"
        )
    if metadata:
        header["__metadata__"] = dict(metadata)
    offset = 0
    for name, a in arrays.items():
        code = code_of(a.dtype, _CODES)
        if code is None:
            raise ValueError(
                f"[save_safetensors] dtype not supported: {name}: got {a.dtype}, "
                f"expected one of {', '.join(_CODES)}"
            )
        header[name] = {
            "dtype": code,
            "shape": list(a.shape),
            "data_offsets": [offset, offset + a.nbytes],
        }
        offset += a.nbytes
    import json

    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with Created(file, "save_safetensors", ".safetensors", arrays.values()) as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for a in arrays.values():
            write_array(out, a)


def _is_texts(metadata) -> bool:
    return isinstance(metadata, dict) and all(
        isinstance(text, str) for pair in metadata.items() for text in pair
    )


def _no_duplicates(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name appears twice")
    return found


def _whole(text: str) -> int:
    if len(text) > 24:  # Python takes a time that grows with the square of the digits
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _object_of(text: bytes) -> dict:
    """A JSON object; ValueError or RecursionError where it is none."""
    import json

    found = json.loads(text.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_int=_whole)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def read_safetensors(source, at: int):
    name = source.name
    prefix = source.read(at, 8)
    if len(prefix) != 8:
        bad("load", f"truncated safetensors file: {name}")
    length = struct.unpack("<Q", prefix)[0]
    if length > _HEADER_LIMIT:
        bad("load", f"safetensors header too long: {name}: got {length} bytes")
    begin_data = at + 8 + length
    text = source.read(at + 8, length) if begin_data <= source.size else b""
    if len(text) != length or not length:
        bad("load", f"truncated safetensors header: {name}")
    try:
        header = _object_of(text)
        metadata = header.pop("__metadata__", {})
        if not _is_texts(metadata):
            raise ValueError("__metadata__ does not map strings to strings")
        entries = []
        for key, entry in header.items():
            begin, end = entry["data_offsets"]
            shape, dtype = entry["shape"], _READABLE.get(entry["dtype"])
            if dtype is None:
                raise ValueError(
                    f"{key}: dtype not supported: got {entry['dtype']!r}, "
                    f"expected one of {', '.join(_READABLE)}"
                )
            if not isinstance(shape, list) or not all(map(is_size, [begin, end, *shape])):
                raise ValueError(f"{key}: sizes must be whole numbers")
            if end - begin != math.prod(shape) * dtype.size:
                raise ValueError(f"{key}: {end - begin} bytes for shape {shape}")
            entries.append((begin, end, key, dtype, shape))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        bad("load", f"unreadable safetensors header: {name}: {e}")
    found: Dict[str, array] = {}
    last = 0
    for begin, end, key, dtype, shape in sorted(entries, key=lambda e: e[:2]):
        if begin != last:
            bad(
                "load",
                f"safetensors data overlap or leave a gap: {name}: {key} begins at {begin}, "
                f"expected {last}",
            )
        if begin_data + end > source.size:
            bad("load", f"truncated safetensors data: {name}: {key}")
        found[key] = source.array(begin_data + begin, dtype, shape)
        last = end
    if begin_data + last != source.size:
        bad(
            "load",
            f"bytes behind the last tensor of a safetensors file: {name}: "
            f"got {source.size - begin_data - last}, expected none",
        )
    return {key: found[key] for key in header}, metadata


def read_index(file):
    """All arrays that an index names, from the files beside it; and its metadata."""
    if not isinstance(file, (str, os.PathLike)):
        raise TypeError(
            f"[load] an index names files beside it: got {type(file).__name__}, expected its path"
        )
    source, _ = opened(file)
    if source.size > _HEADER_LIMIT:
        bad("load", f"index too long: {source.name}: got {source.size} bytes")
    try:
        index = _object_of(source.read(0, source.size))
        places, metadata = index["weight_map"], index.get("metadata", {})
        if not _is_texts(places) or not isinstance(metadata, dict):
            raise ValueError("weight_map does not map names to files")
    except (ValueError, KeyError, RecursionError) as e:
        bad("load", f"unreadable index: {source.name}: {e}")
    folder = os.path.dirname(source.name)
    parts: Dict[str, dict] = {}
    for part in dict.fromkeys(places.values()):
        if part != os.path.basename(part) or part in ("", ".", "..") or "\0" in part:
            bad("load", f"an index names a file that is not beside it: {source.name}: {part!r}")
        parts[part] = read_safetensors(*opened(os.path.join(folder, part)))[0]
    for key, part in places.items():
        if key not in parts[part]:
            bad("load", f"an index names an array that is not there: {source.name}: {key} in {part}")
    return {key: parts[part][key] for key, part in places.items()}, metadata
