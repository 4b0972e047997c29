"""Files: .npy, .npz, .safetensors and .gguf. Headers are checked before they are believed, against
the size of the file; nothing is executed. What the header describes is read when an array is
evaluated."""

from __future__ import annotations


import io
import math
import os
import stat
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
    "|V2": _core.bfloat16,
}
_SAFETENSORS_CODES = {
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
_READABLE = {**_SAFETENSORS_CODES, "F8_E4M3": _core.uint8, "F8_E8M0": _core.uint8}


def _bad(op: str, text: str):
    raise _core.FormatError(f"[{op}] {text}")


def _code_of(dtype, codes):
    return next((code for code, known in codes.items() if known == dtype), None)


def _bytes_of(a: array) -> memoryview:
    if a.size == 0:
        return memoryview(b"")
    return memoryview(a.reshape(-1).view(_core.uint8)).cast("B")


def _is_size(n) -> bool:
    return isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 1 << 62


class _Disk:
    """A regular file: read by position, arrays only when they are evaluated."""

    def __init__(self, fd: int, name: str, size: int):
        self.name, self.size = name, size
        self._fd, self._file = fd, _core._File(fd, name)  # which closes fd

    def read(self, at: int, n: int) -> bytes:
        found = b""
        while len(found) < n and (part := os.pread(self._fd, n - len(found), at + len(found))):
            found += part
        return found

    def array(self, at: int, dtype, shape, swap: int = 0) -> array:
        return self._file.array(at, shape, dtype, swap)

    def stream(self):
        return os.fdopen(os.dup(self._fd), "rb")


class _Memory:
    """What was read of a pipe or of an object like a file."""

    def __init__(self, data: bytes, name: str):
        self.name, self.size, self._data = name, len(data), data

    def read(self, at: int, n: int) -> bytes:
        return self._data[at:at + n]

    def array(self, at: int, dtype, shape, swap: int = 0) -> array:
        if math.prod(shape) == 0:
            return _core.zeros(shape, dtype)
        body = memoryview(self._data)[at:at + math.prod(shape) * dtype.size]
        if swap > 1:
            swapped = bytearray(len(body))
            for i in range(swap):
                swapped[i::swap] = body[swap - 1 - i::swap]
            body = memoryview(swapped)
        flat = _core.array(body)
        return (flat.astype(dtype) if dtype == _core.bool_ else flat.view(dtype)).reshape(shape)

    def stream(self):
        return io.BytesIO(self._data)


def _source(file, op: str = "load"):
    """(source, position in it) of a path or an object like a file, opened for reading bytes."""
    if isinstance(file, (str, os.PathLike)):
        path = os.fspath(file)
        try:
            fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except (FileNotFoundError, NotADirectoryError) as e:
            raise _core.FileError(e.errno, f"[{op}] no such file: {path}", path) from None
        known = os.fstat(fd)
        if stat.S_ISREG(known.st_mode):
            return _Disk(fd, path, known.st_size), 0
        if stat.S_ISDIR(known.st_mode):
            os.close(fd)
            _bad(op, f"a folder, not a file: {path}")
        with os.fdopen(fd, "rb") as pipe:
            return _Memory(pipe.read(), path), 0
    if not hasattr(file, "read"):
        raise TypeError(f"[{op}] not a path or a file: got {type(file).__name__}")
    if isinstance(file, io.TextIOBase):
        raise TypeError(f"[{op}] file: got a {type(file).__name__} of text, expected one of bytes")
    name = str(getattr(file, "name", type(file).__name__))
    if type(file) in (io.BufferedReader, io.FileIO) and file.readable() and file.seekable():
        known = os.fstat(file.fileno())
        if stat.S_ISREG(known.st_mode):
            at = file.tell()
            file.seek(0, os.SEEK_END)
            return _Disk(os.dup(file.fileno()), name, known.st_size), at
    return _Memory(file.read(), name), 0


def _created(file, op: str, ending: str):
    """(file object, whether to close it). A file that is there is not written over: arrays may
    still have to be read from it, which they are, as long as they hold it open."""
    if not isinstance(file, (str, os.PathLike)):
        if hasattr(file, "write"):
            return file, False
        raise TypeError(f"[{op}] not a path or a file: got {type(file).__name__}")
    path = os.fspath(file)
    if not path.endswith(ending):
        path += ending
    real, mode = os.path.realpath(path), None
    if os.path.isfile(real) and os.access(real, os.W_OK):
        mode = stat.S_IMODE(os.stat(real).st_mode)
        try:
            os.unlink(real)
        except OSError:  # of a folder that may not be changed
            mode = None
    try:
        out = open(real, "wb")
    except (FileNotFoundError, NotADirectoryError) as e:
        raise _core.FileError(e.errno, f"[{op}] no such folder: {path}", path) from None
    if mode is not None:
        os.chmod(real, mode)
    return out, True


def path_of(file, op: str, expected: str = "a path"):
    """A path as str or bytes; TypeError for anything else."""
    if not isinstance(file, (str, bytes, os.PathLike)):
        got = repr(file) if isinstance(file, (int, float, type(None))) else type(file).__name__
        raise TypeError(f"[{op}] file: got {got}, expected {expected}")
    return os.fspath(file)


def write_text(file, op: str, text: str) -> None:
    """Writes to a path or an open text file."""
    if hasattr(file, "write"):
        file.write(text)
        return
    path = path_of(file, op, "a path or an open text file")
    try:
        out = open(path, "w")
    except (FileNotFoundError, NotADirectoryError) as e:
        raise _core.FileError(e.errno, f"[{op}] no such folder: {path!s}", path) from None
    with out:
        out.write(text)


# ---- npy, npz ------------------------------------------------------------------------------------


def _write_npy(file, a: array):
    header = repr(
        {"descr": _code_of(a.dtype, _NUMPY_CODES), "fortran_order": False, "shape": tuple(a.shape)}
    )
    room = -(len(_MAGIC) + 4 + len(header) + 1) % 64
    header = (header + " " * room + "\n").encode("latin1")
    file.write(_MAGIC + b"\x01\x00" + struct.pack("<H", len(header)) + header)
    file.write(_bytes_of(a))


def _read_npy(source, at: int, end: int, name: str) -> array:
    start = source.read(at, min(12, end - at))
    if start[:6] != _MAGIC or len(start) < 10:
        _bad("load", f"not an npy file: {name}")
    if start[6] not in (1, 2, 3) or start[7] != 0:
        _bad(
            "load",
            f"version of npy not supported: {name}: got {start[6]}.{start[7]}, expected 1.0 to 3.0",
        )
    wide = start[6] >= 2
    if wide and len(start) < 12:
        _bad("load", f"truncated npy header: {name}")
    length = struct.unpack_from("<I" if wide else "<H", start, 8)[0]
    begin = at + (12 if wide else 10) + length
    if begin > end or length > _HEADER_LIMIT:
        _bad("load", f"truncated npy header: {name}")
    try:
        import ast

        header = ast.literal_eval(
            source.read(begin - length, length).decode("utf-8" if wide else "latin1")
        )
        code, fortran, shape = header["descr"], header["fortran_order"], header["shape"]
    except (ValueError, SyntaxError, KeyError, TypeError, RecursionError, MemoryError):
        _bad("load", f"unreadable npy header: {name}")
    if not isinstance(shape, tuple) or not all(map(_is_size, shape)):
        _bad("load", f"unreadable npy shape: {name}: got {shape!r}")
    big = isinstance(code, str) and code.startswith(">")
    dtype = _NUMPY_CODES.get("<" + code[1:] if big else code) if isinstance(code, str) else None
    if dtype is None:
        _bad("load", f"dtype not supported: {name}: got {code!r}, expected a number or bool")
    size = math.prod(shape) * dtype.size
    if end - begin < size:
        _bad("load", f"truncated npy data: {name}: got {end - begin} bytes, expected {size}")
    swap = 0 if not big else dtype.size // 2 if code[1] == "c" else dtype.size
    return (
        _array_at(source, begin, dtype, shape[::-1], name, swap).transpose()
        if fortran
        else _array_at(source, begin, dtype, shape, name, swap)
    )


def _array_at(source, at: int, dtype, shape, name: str, swap: int = 0) -> array:
    """An array whose bytes are known to be there; of no elements, its shape may still be none."""
    try:
        return source.array(at, dtype, tuple(shape), swap)
    except (ValueError, MemoryError, OverflowError) as e:
        _bad("load", f"unreadable shape: {name}: {e}")


def _read_npz(source, name: str) -> Dict[str, array]:
    import zipfile
    import zlib

    found = {}
    try:
        with source.stream() as stream, zipfile.ZipFile(stream) as archive:
            for entry in archive.infolist():
                member, at = entry.filename, None
                if (
                    entry.compress_type == zipfile.ZIP_STORED
                    and not entry.flag_bits & 0x21
                    and entry.compress_size == entry.file_size
                ):
                    local = source.read(entry.header_offset, 30)
                    if len(local) != 30 or local[:4] != b"PK\x03\x04":
                        _bad("load", f"unreadable npz file: {name}: no entry for {member}")
                    at = entry.header_offset + 30 + sum(struct.unpack_from("<HH", local, 26))
                    if at + entry.file_size > source.size:
                        _bad("load", f"truncated npz file: {name}: {member}")
                    part, end = source, at + entry.file_size
                else:  # compressed: all of it, now
                    part = _Memory(archive.read(entry), member)
                    at, end = 0, part.size
                found[member[:-4] if member.endswith(".npy") else member] = _read_npy(
                    part, at, end, f"{name}:{member}"
                )
    except (
        zipfile.BadZipFile,
        EOFError,
        NotImplementedError,
        OSError,
        zlib.error,
        struct.error,
    ) as e:
        _bad("load", f"unreadable npz file: {name}: {e}")
    except RuntimeError as e:  # of zipfile: encrypted
        if isinstance(e, _core.FormatError):
            raise
        _bad("load", f"unreadable npz file: {name}: {e}")
    return found


def save(file: Any, arr: array) -> None:
    """Writes one array as .npy (the ending is added to a path that lacks it). bfloat16 is kept as
    raw bytes (type code V2).

    >>> import io
    >>> import lazulite.core as mx
    >>> f = io.BytesIO(); mx.save(f, mx.arange(3)); _ = f.seek(0)
    >>> mx.load(f, format="npy")
    array([0, 1, 2], dtype=int32)
    """
    arr = arr if isinstance(arr, array) else _core.array(arr)
    _core.eval(arr)
    out, close = _created(file, "save", ".npy")
    try:
        _write_npy(out, arr)
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
    out, close = _created(file, "savez", ".npz")
    try:
        with zipfile.ZipFile(
            out, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
        ) as archive:
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


def _check_named(op: str, arrays: Any) -> None:
    """A dict of arrays by names; before anything is computed or written."""
    if not isinstance(arrays, dict):
        raise TypeError(f"[{op}] arrays: got {type(arrays).__name__}, expected a dict of arrays")
    for name, a in arrays.items():
        if not isinstance(name, str):
            raise TypeError(f"[{op}] arrays: got a name of {type(name).__name__}, expected str")
        if not isinstance(a, array):
            raise TypeError(f"[{op}] {name!r}: got {type(a).__name__}, expected an array")


def save_safetensors(
    file: Any, arrays: Dict[str, array], metadata: Optional[Dict[str, str]] = None
) -> None:
    """Writes a dict of arrays, and a dict of strings, in the safetensors format. No array may be
    named `__metadata__`."""
    header: dict = {}
    _check_named("save_safetensors", arrays)
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
    _core.eval(list(arrays.values()))
    offset = 0
    for name, a in arrays.items():
        code = _code_of(a.dtype, _SAFETENSORS_CODES)
        if code is None:
            raise ValueError(
                f"[save_safetensors] dtype not supported: {name}: got {a.dtype}, "
                f"expected one of {', '.join(_SAFETENSORS_CODES)}"
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
    out, close = _created(file, "save_safetensors", ".safetensors")
    try:
        out.write(struct.pack("<Q", len(text)) + text)
        for a in arrays.values():
            out.write(_bytes_of(a))
    finally:
        if close:
            out.close()


def _is_texts(metadata) -> bool:
    return isinstance(metadata, dict) and all(
        isinstance(text, str) for pair in metadata.items() for text in pair
    )


def _no_duplicates(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name appears twice")
    return found


def _read_safetensors(source, at: int):
    name = source.name
    prefix = source.read(at, 8)
    if len(prefix) != 8:
        _bad("load", f"truncated safetensors file: {name}")
    length = struct.unpack("<Q", prefix)[0]
    if length > _HEADER_LIMIT:
        _bad("load", f"safetensors header too long: {name}: got {length} bytes")
    begin_data = at + 8 + length
    text = source.read(at + 8, length)
    if len(text) != length:
        _bad("load", f"truncated safetensors header: {name}")
    try:
        import json

        header = json.loads(text.decode("utf-8"), object_pairs_hook=_no_duplicates)
        if not isinstance(header, dict):
            raise ValueError("not an object")
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
            if not all(map(_is_size, [begin, end, *shape])):
                raise ValueError(f"{key}: sizes must be whole numbers")
            if end - begin != math.prod(shape) * dtype.size:
                raise ValueError(f"{key}: {end - begin} bytes for shape {shape}")
            entries.append((begin, end, key, dtype, shape))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        _bad("load", f"unreadable safetensors header: {name}: {e}")
    found: Dict[str, array] = {}
    last = 0
    for begin, end, key, dtype, shape in sorted(entries, key=lambda e: e[:2]):
        if begin != last:
            _bad(
                "load",
                f"safetensors data overlap or leave a gap: {name}: {key} begins at {begin}, "
                f"expected {last}",
            )
        if begin_data + end > source.size:
            _bad("load", f"truncated safetensors data: {name}: {key}")
        found[key] = _array_at(source, begin_data + begin, dtype, shape, name)
        last = end
    if begin_data + last != source.size:
        _bad(
            "load",
            f"bytes behind the last tensor of a safetensors file: {name}: "
            f"got {source.size - begin_data - last}, expected none",
        )
    return {key: found[key] for key in header}, metadata


def load(
    file: Any, /, format: Optional[str] = None, return_metadata: bool = False, *, stream: Any = None
):
    """Reads .npy (an array), .npz, .safetensors or .gguf (a dict of arrays).

    `file` is a path, whose ending tells the format, or a file object with `format=`; with
    `return_metadata` the pair (arrays, metadata) is returned. Only headers are read, and compared
    with the size of the file; the data of an array is read when the array is evaluated (at once
    from compressed files, pipes and objects like files). Until then the file must stay as it is:
    `save` under the same name is fine, as it makes a new file. Raises `FileError` where there is no
    file, and `FormatError`, which is both ValueError and RuntimeError, for a file that is truncated
    or not of the format.
    """
    if not isinstance(file, (str, os.PathLike)) and not hasattr(file, "read"):
        raise TypeError(f"[load] file: got {type(file).__name__}, expected a path or a file")
    if isinstance(file, os.PathLike) and not isinstance(os.fspath(file), str):
        raise TypeError("[load] file: got a path of bytes, expected one of str")
    if format is None:
        name = file if isinstance(file, (str, os.PathLike)) else getattr(file, "name", "")
        format = (
            os.path.splitext(os.fspath(name))[1][1:] if isinstance(name, (str, os.PathLike)) else ""
        )
    if format not in ("npy", "npz", "safetensors", "gguf"):
        raise _core.FormatError(
            f"[load] format not known: got {format!r}, expected npy, npz, safetensors or gguf"
        )
    source, at = _source(file)
    metadata: Dict[str, Any] = {}
    if format == "npy":
        result: Any = _read_npy(source, at, source.size, source.name)
    elif format == "npz":
        result = _read_npz(source, source.name)
    elif format == "safetensors":
        result, metadata = _read_safetensors(source, at)
    else:
        from ._gguf import read_gguf

        result, metadata = read_gguf(source, at)
    return (result, metadata) if return_metadata else result
