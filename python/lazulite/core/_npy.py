"""NumPy's files: .npy, one array, and .npz, several by name."""

from __future__ import annotations

import io
import math
import struct

from . import _core
from ._core import array
from ._io import Created, Memory, Source, bad, code_of, is_size, write_array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict


_MAGIC = b"\x93NUMPY"
_HEADER_LIMIT = 10_000  # as NumPy's own

# numpy's type codes; bfloat16 has none there and is kept as two raw bytes, as ml_dtypes has it
_CODES = {
    "|b1": _core.bool_,
    "|u1": _core.uint8,
    "<u2": _core.uint16,
    "<u4": _core.uint32,
    "<u8": _core.uint64,
    "|i1": _core.int8,
    "<i2": _core.int16,
    "<i4": _core.int32,
    "<i8": _core.int64,
    "<f2": _core.float16,
    "<f4": _core.float32,
    "<f8": _core.float64,
    "<c8": _core.complex64,
    "<c16": _core.complex128,
    "<V2": _core.bfloat16,
}
# floats of 8 bits, as ml_dtypes has them, are kept as their bits
_READABLE = {
    **_CODES,
    "|V2": _core.bfloat16,
    **dict.fromkeys(("<V1", "|V1", "<f1", "|f1"), _core.uint8),
}

# The header is a dict as Python writes it, of three keys.
_ITEM = (
    r"""\s*(['"])(descr|fortran_order|shape)\1\s*:\s*"""
    r"""(?:(?:'([^'\\]*)'|"([^"\\]*)")|(True|False)|\(([0-9L,\s]*)\)|(\[.*\]))"""
    r"""\s*(?:,|$)\s*"""
)


def _write_npy(out, a: array):
    header = repr(
        {"descr": code_of(a.dtype, _CODES), "fortran_order": False, "shape": tuple(a.shape)}
    )
    room = -(len(_MAGIC) + 4 + len(header) + 1) % 64
    text = (header + " " * room + "\n").encode("latin1")
    out.write(_MAGIC + b"\x01\x00" + struct.pack("<H", len(text)) + text)
    write_array(out, a)


def _sizes(text: str):
    """The numbers of a tuple: (), (3,), (2, 3), and (2L, 3L) of Python 2."""
    parts = [part.strip() for part in text.split(",")]
    if parts[-1] == "":
        parts.pop()
    elif len(parts) == 1:
        raise ValueError("no tuple")
    sizes = tuple(
        int(part[:-1] if part.endswith("L") else part) for part in parts if len(part) < 24
    )
    if len(sizes) != len(parts):
        raise ValueError("a huge size")
    return sizes


def _parsed(text: str):
    """(descr, fortran_order, shape) of a header; ValueError where it is none. Nothing in it nests,
    so that none can be too deep."""
    import re

    text = text.strip()
    if text[:1] != "{" or text[-1:] != "}":
        raise ValueError("not a dict")
    text, found, at = text[1:-1].strip(), {}, 0
    item = re.compile(_ITEM, re.DOTALL)
    while at < len(text):
        match = item.match(text, at)
        if match is None:
            raise ValueError("not an item")
        key, at = match.group(2), match.end()
        single, double, truth, sizes, fields = match.groups()[2:]
        if key in found:
            raise ValueError("an item twice")
        code = single if single is not None else double
        found[key] = (
            code
            if code is not None
            else truth == "True" if truth else _sizes(sizes) if sizes is not None else [fields]
        )
    return found["descr"], found["fortran_order"], found["shape"]


def read_npy(source, at: int, end: int, name: str) -> tuple[array, int]:
    """The array whose header begins at `at`, and where its data ends."""
    start = source.read(at, min(12, end - at))
    if start[:6] != _MAGIC or len(start) < 10:
        bad("load", f"not an npy file: {name}")
    if start[6] not in (1, 2, 3) or start[7] != 0:
        bad(
            "load",
            f"version of npy not supported: {name}: got {start[6]}.{start[7]}, expected 1.0 to 3.0",
        )
    wide = start[6] >= 2
    if wide and len(start) < 12:
        bad("load", f"truncated npy header: {name}")
    length = struct.unpack_from("<I" if wide else "<H", start, 8)[0]
    begin = at + (12 if wide else 10) + length
    if begin > end:
        bad("load", f"truncated npy header: {name}")
    if length > _HEADER_LIMIT:
        bad("load", f"npy header too long: {name}: got {length} bytes, expected {_HEADER_LIMIT}")
    try:
        text = source.read(begin - length, length).decode("utf-8" if start[6] == 3 else "latin1")
        code, fortran, shape = _parsed(text)
    except (ValueError, KeyError):
        bad("load", f"unreadable npy header: {name}")
    if not isinstance(shape, tuple) or not all(map(is_size, shape)):
        bad("load", f"unreadable npy shape: {name}: got {shape!r}")
    if not isinstance(fortran, bool):
        bad("load", f"unreadable npy header: {name}: got fortran_order {fortran!r}")
    big = isinstance(code, str) and code.startswith(">")
    dtype = _READABLE.get("<" + code[1:] if big else code) if isinstance(code, str) else None
    if dtype is None:
        got = code if isinstance(code, str) else code[0]
        bad("load", f"dtype not supported: {name}: got {got!r:.80}, expected a number or bool")
    size = math.prod(shape) * dtype.size
    if end - begin < size:
        bad("load", f"truncated npy data: {name}: got {end - begin} bytes, expected {size}")
    swap = 0 if not big else dtype.size // 2 if code[1] == "c" else dtype.size
    if fortran:
        return source.array(begin, dtype, shape[::-1], swap).transpose(), begin + size
    return source.array(begin, dtype, shape, swap), begin + size


# ---- npz

_RATIO = 1032  # of deflate: what a byte can stand for at most


def _place(source, entry, name: str):
    """Where the data of a stored entry begins."""
    local = source.read(entry.header_offset, 30) if entry.header_offset >= 0 else b""
    if len(local) != 30 or local[:4] != b"PK\x03\x04":
        bad("load", f"unreadable npz file: {name}: no entry for {entry.filename}")
    at = entry.header_offset + 30 + sum(struct.unpack_from("<HH", local, 26))
    if at + entry.compress_size > source.size:
        bad("load", f"truncated npz file: {name}: {entry.filename}")
    return at


class _Deflated(Source):
    """What compressed bytes stand for. They are inflated as its arrays are evaluated; of its
    beginning, where the header is, so much as is asked for."""

    def __init__(self, source, entry, at: int, name: str):
        self.name, self.size = name, entry.file_size
        self._place = source, at, at + entry.compress_size
        self._file = source._file.inflated(
            at, entry.compress_size, entry.file_size, entry.CRC, name
        )

    def read(self, at: int, n: int) -> bytes:
        import zlib

        source, begin, end = self._place
        made, out = zlib.decompressobj(-zlib.MAX_WBITS), b""
        while len(out) < at + n and begin < end and not made.eof:
            packed = source.read(begin, min(512, end - begin))
            if not packed:
                break
            begin += len(packed)
            out += made.decompress(packed, at + n - len(out))
        return out[at : at + n]

    def stream(self):
        raise io.UnsupportedOperation("a part of an archive")


def _part(source, archive, entry, at: int, name: str):
    """(where the entry's npy file is, its end there): in the archive itself; in what it stands for,
    where it is deflated and the system has zlib; or, where it is packed in other ways, all of it,
    now."""
    if entry.compress_type == 0 and not entry.flag_bits & 0x21:
        if entry.compress_size == entry.file_size:
            return source, at + entry.file_size
    if entry.file_size > entry.compress_size * _RATIO + 64:
        bad(
            "load",
            f"unreadable npz file: {name}: {entry.filename}: got {entry.compress_size} bytes, "
            f"which cannot stand for {entry.file_size}",
        )
    if entry.compress_type == 8 and not entry.flag_bits & 0x21 and _core._can_inflate():
        return _Deflated(source, entry, at, f"{name}:{entry.filename}"), entry.file_size
    part = Memory(archive.read(entry), entry.filename)
    return part, part.size


def _check_apart(places, name: str) -> None:
    """Entries that share bytes: a small file that seems to hold much."""
    last = 0
    for begin, end, member in sorted(places):
        if begin < last:
            bad("load", f"entries of an npz file overlap: {name}: {member}")
        last = end


def read_npz(source, name: str) -> Dict[str, array]:
    import zipfile
    import zlib

    found: Dict[str, array] = {}
    places = []
    try:
        with source.stream() as stream, zipfile.ZipFile(stream) as archive:
            for entry in archive.infolist():
                member = entry.filename
                key = member[:-4] if member.endswith(".npy") else member
                if key in found:
                    bad("load", f"a name appears twice in an npz file: {name}: {key}")
                at = _place(source, entry, name)
                places.append((entry.header_offset, at + entry.compress_size, member))
                part, end = _part(source, archive, entry, at, name)
                at = at if part is source else 0
                found[key] = read_npy(part, at, end, f"{name}:{member}")[0]
    except _core.FormatError:
        raise
    except (  # of zipfile and what it calls
        zipfile.BadZipFile,
        EOFError,
        OSError,
        OverflowError,
        RuntimeError,
        ValueError,
        struct.error,
        zlib.error,
    ) as e:
        bad("load", f"unreadable npz file: {name}: {e}")
    _check_apart(places, name)
    return found


def save(file: Any, arr: array) -> None:
    """Writes one array as .npy (the ending is added to a path that lacks it). The file takes its
    name when it is whole: when anything fails, one that was there before is as it was. bfloat16 is
    kept as raw bytes (type code V2, as by ml_dtypes).

    >>> import io
    >>> import lazulite.core as mx
    >>> f = io.BytesIO(); mx.save(f, mx.arange(3)); _ = f.seek(0)
    >>> mx.load(f, format="npy")
    array([0, 1, 2], dtype=int32)
    """
    arr = arr if isinstance(arr, array) else _core.array(arr)
    with Created(file, "save", ".npy", [arr]) as out:
        _write_npy(out, arr)


def _savez(op, file, args, kwargs, compressed):
    import zipfile

    named = dict(kwargs)
    for i, a in enumerate(args):
        if f"arr_{i}" in named:
            raise ValueError(f"[{op}] the name arr_{i} is used twice")
        named[f"arr_{i}"] = a
    for name, a in named.items():
        if not isinstance(a, array):
            raise TypeError(f"[{op}] {name} is not an array: got {type(a).__name__}")
    how = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with Created(file, op, ".npz", named.values()) as out:
        with zipfile.ZipFile(out, "w", how) as archive:
            for name, a in named.items():
                with archive.open(name + ".npy", "w", force_zip64=True) as member:
                    _write_npy(member, a)


def savez(file: Any, *args: array, **kwargs: array) -> None:
    """Writes arrays as .npz: positional ones as arr_0, arr_1, ..., others by their names. As with
    `save`, the file takes its name when it is whole."""
    _savez("savez", file, args, kwargs, compressed=False)


def savez_compressed(file: Any, *args: array, **kwargs: array) -> None:
    """savez with compression."""
    _savez("savez_compressed", file, args, kwargs, compressed=True)
