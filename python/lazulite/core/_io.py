"""Files: .npy, .npz and .safetensors. Everything is checked before it is believed; nothing is executed."""

from __future__ import annotations


import io
import math
import os
import struct

from . import _core
from ._core import array

TYPE_CHECKING = False  # importing typing would take longer than all of this package
if TYPE_CHECKING:
    from typing import Any, Dict, Optional


_MAGIC = b"\x93NUMPY"
_HEADER_LIMIT = 100 * 1024 * 1024

# numpy's type codes; bfloat16 has none there and is kept as two raw bytes
_NUMPY_CODES = {
    "|b1": _core.bool_, "|u1": _core.uint8, "<u2": _core.uint16, "<u4": _core.uint32, "<u8": _core.uint64,
    "|i1": _core.int8, "<i2": _core.int16, "<i4": _core.int32, "<i8": _core.int64,
    "<f2": _core.float16, "<f4": _core.float32, "<f8": _core.float64,
    "<c8": _core.complex64, "<c16": _core.complex128, "<V2": _core.bfloat16, "|V2": _core.bfloat16,
}
_SAFETENSORS_CODES = {
    "BOOL": _core.bool_, "U8": _core.uint8, "U16": _core.uint16, "U32": _core.uint32, "U64": _core.uint64,
    "I8": _core.int8, "I16": _core.int16, "I32": _core.int32, "I64": _core.int64,
    "F16": _core.float16, "BF16": _core.bfloat16, "F32": _core.float32, "F64": _core.float64,
    "C64": _core.complex64,
}


class _FormatError(ValueError, RuntimeError):
    """A file that cannot be read."""


def _bad(op: str, text: str):
    raise _FormatError(f"[{op}] {text}")


def _code_of(dtype, codes) -> Optional[str]:
    return next((code for code, known in codes.items() if known == dtype), None)


def _bytes_of(a: array) -> memoryview:
    if a.size == 0:
        return memoryview(b"")
    return memoryview(a.reshape(-1).view(_core.uint8)).cast("B")


def _array_of(data, dtype, shape) -> array:
    if math.prod(shape) == 0:
        return _core.zeros(shape, dtype)
    flat = _core.array(data)
    return (flat.astype(dtype) if dtype == _core.bool_ else flat.view(dtype)).reshape(shape)


# ---- npy, npz ------------------------------------------------------------------------------------


def _write_npy(file, a: array):
    header = repr({"descr": _code_of(a.dtype, _NUMPY_CODES), "fortran_order": False, "shape": tuple(a.shape)})
    room = -(len(_MAGIC) + 4 + len(header) + 1) % 64
    header = (header + " " * room + "\n").encode("latin1")
    file.write(_MAGIC + b"\x01\x00" + struct.pack("<H", len(header)) + header)
    file.write(_bytes_of(a))


def _read_npy(data: bytes, name: str) -> array:
    if data[:6] != _MAGIC or len(data) < 10:
        _bad("load", f"not an npy file: {name}")
    wide = data[6] >= 2
    if wide and len(data) < 12:
        _bad("load", f"truncated npy header: {name}")
    length = struct.unpack_from("<I" if wide else "<H", data, 8)[0]
    begin = (12 if wide else 10) + length
    if begin > len(data) or length > _HEADER_LIMIT:
        _bad("load", f"truncated npy header: {name}")
    try:
        import ast

        header = ast.literal_eval(data[begin - length:begin].decode("utf-8" if wide else "latin1"))
        code, fortran, shape = header["descr"], header["fortran_order"], header["shape"]
    except (ValueError, SyntaxError, KeyError, TypeError, RecursionError, MemoryError):
        _bad("load", f"unreadable npy header: {name}")
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        _bad("load", f"unreadable npy shape: {name}: got {shape!r}")
    big = isinstance(code, str) and code.startswith(">")
    dtype = _NUMPY_CODES.get("<" + code[1:] if big else code) if isinstance(code, str) else None
    if dtype is None:
        _bad("load", f"dtype not supported: {name}: got {code!r}, expected a number or bool")
    size = math.prod(shape) * dtype.size
    body = memoryview(data)[begin:]
    if len(body) < size:
        _bad("load", f"truncated npy data: {name}: got {len(body)} bytes, expected {size}")
    body = body[:size]
    if big:
        unit = dtype.size // 2 if code[1] == "c" else dtype.size
        swapped = bytearray(size)
        for i in range(unit):
            swapped[i::unit] = body[unit - 1 - i::unit]
        body = memoryview(swapped)
    if fortran:
        return _array_of(body, dtype, shape[::-1]).transpose()
    return _array_of(body, dtype, shape)


def _read_npz(file, name: str) -> Dict[str, array]:
    import zipfile

    try:
        with zipfile.ZipFile(file) as archive:
            found = {}
            for member in archive.namelist():
                key = member[:-4] if member.endswith(".npy") else member
                found[key] = _read_npy(archive.read(member), f"{name}:{member}")
            return found
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError) as e:
        _bad("load", f"unreadable npz file: {name}: {e}")


def _opened(file, mode: str, ending: str = ""):
    """(file object, whether to close it, name)"""
    if isinstance(file, (str, os.PathLike)):
        path = os.fspath(file)
        if "w" in mode and ending and not path.endswith(ending):
            path += ending
        return open(path, mode), True, path
    if hasattr(file, "write" if "w" in mode else "read"):
        return file, False, getattr(file, "name", type(file).__name__)
    raise TypeError(f"[{'save' if 'w' in mode else 'load'}] not a path or a file: got {type(file).__name__}")


def save(file: Any, arr: array) -> None:
    """Writes one array as .npy (the ending is added to a path that lacks it). bfloat16 is kept as raw
    bytes (type code V2).

    >>> import io
    >>> import lazulite.core as mx
    >>> f = io.BytesIO(); mx.save(f, mx.arange(3)); _ = f.seek(0)
    >>> mx.load(f, format="npy")
    array([0, 1, 2], dtype=int32)
    """
    out, close, _ = _opened(file, "wb", ".npy")
    try:
        _write_npy(out, _core.array(arr) if not isinstance(arr, array) else arr)
    finally:
        if close:
            out.close()


def _savez(file, args, kwargs, compressed):
    import zipfile

    named = dict(kwargs)
    for i, a in enumerate(args):
        if f"arr_{i}" in named:
            raise ValueError(f"[savez] the name arr_{i} is used twice")
        named[f"arr_{i}"] = a
    for name, a in named.items():
        if not isinstance(a, array):
            raise TypeError(f"[savez] {name} is not an array: got {type(a).__name__}")
    _core.eval(list(named.values()))
    out, close, _ = _opened(file, "wb", ".npz")
    try:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
            for name, a in named.items():
                with archive.open(name + ".npy", "w", force_zip64=True) as member:
                    _write_npy(member, a)
    finally:
        if close:
            out.close()


def savez(file: Any, *args: array, **kwargs: array) -> None:
    """Writes arrays as .npz: positional ones as arr_0, arr_1, ..., others by their names."""
    _savez(file, args, kwargs, compressed=False)


def savez_compressed(file: Any, *args: array, **kwargs: array) -> None:
    """savez with compression."""
    _savez(file, args, kwargs, compressed=True)


# ---- safetensors ---------------------------------------------------------------------------------


def save_safetensors(file: Any, arrays: Dict[str, array], metadata: Optional[Dict[str, str]] = None) -> None:
    """Writes a dict of arrays, and a dict of strings, in the safetensors format."""
    header: dict = {}
    if metadata:
        for k, v in metadata.items():
            if not isinstance(k, str) or not isinstance(v, str):
                raise TypeError("[save_safetensors] metadata must map strings to strings")
        header["__metadata__"] = dict(metadata)
    _core.eval(list(arrays.values()))
    offset = 0
    for name, a in arrays.items():
        code = _code_of(a.dtype, _SAFETENSORS_CODES)
        if code is None:
            raise ValueError(f"[save_safetensors] dtype not supported: {name}: got {a.dtype}")
        header[name] = {"dtype": code, "shape": list(a.shape), "data_offsets": [offset, offset + a.nbytes]}
        offset += a.nbytes
    import json

    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    out, close, _ = _opened(file, "wb", ".safetensors")
    try:
        out.write(struct.pack("<Q", len(text)) + text)
        for a in arrays.values():
            out.write(_bytes_of(a))
    finally:
        if close:
            out.close()


def _no_duplicates(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name appears twice")
    return found


def _read_safetensors(file, name: str):
    prefix = file.read(8)
    if len(prefix) != 8:
        _bad("load", f"truncated safetensors file: {name}")
    length = struct.unpack("<Q", prefix)[0]
    if length > _HEADER_LIMIT:
        _bad("load", f"safetensors header too long: {name}: got {length} bytes")
    text = file.read(length)
    if len(text) != length:
        _bad("load", f"truncated safetensors header: {name}")
    try:
        import json

        header = json.loads(text.decode("utf-8"), object_pairs_hook=_no_duplicates)
        if not isinstance(header, dict):
            raise ValueError("not an object")
        metadata = header.pop("__metadata__", {})
        entries = []
        for key, entry in header.items():
            begin, end = entry["data_offsets"]
            shape, dtype = entry["shape"], _SAFETENSORS_CODES[entry["dtype"]]
            if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in [begin, end, *shape]):
                raise ValueError(f"{key}: sizes must be whole numbers")
            if end - begin != math.prod(shape) * dtype.size:
                raise ValueError(f"{key}: {end - begin} bytes for shape {shape}")
            entries.append((begin, end, key, dtype, shape))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        _bad("load", f"unreadable safetensors header: {name}: {e}")
    found: Dict[str, array] = {}
    at = 0
    for begin, end, key, dtype, shape in sorted(entries, key=lambda e: e[:2]):
        if begin != at:
            _bad("load", f"safetensors data overlap or leave a gap: {name}: {key} begins at {begin}, expected {at}")
        data = file.read(end - begin)
        if len(data) != end - begin:
            _bad("load", f"truncated safetensors data: {name}: {key}")
        found[key] = _array_of(data, dtype, shape)
        at = end
    return {key: found[key] for key in header}, metadata


def load(file: Any, /, format: Optional[str] = None, return_metadata: bool = False, *, stream: Any = None):
    """Reads .npy (an array), .npz or .safetensors (a dict of arrays).

    `file` is a path, whose ending tells the format, or a file object with `format=`; with
    `return_metadata` the pair (arrays, metadata) is returned. Raises FileNotFoundError, and an error
    that is both ValueError and RuntimeError for a file that is truncated or not of the format.
    """
    if format is None:
        name = file if isinstance(file, (str, os.PathLike)) else getattr(file, "name", "")
        format = os.path.splitext(os.fspath(name))[1][1:] if isinstance(name, (str, os.PathLike)) else ""
    if format not in ("npy", "npz", "safetensors"):
        raise _FormatError(f"[load] format not known: got {format!r}, expected npy, npz or safetensors")
    try:
        source, close, name = _opened(file, "rb")
    except FileNotFoundError as e:
        raise _core.FileError(e.errno, f"[load] no such file: {file}", os.fspath(file)) from None
    try:
        metadata: Dict[str, str] = {}
        if format == "npy":
            result: Any = _read_npy(source.read(), name)
        elif format == "npz":
            result = _read_npz(source if source.seekable() else io.BytesIO(source.read()), name)
        else:
            result, metadata = _read_safetensors(source, name)
        return (result, metadata) if return_metadata else result
    finally:
        if close:
            source.close()
