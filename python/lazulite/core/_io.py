"""Files: .npy, .npz, .safetensors and .gguf. Headers are checked before they are believed, against
the size of the file; nothing is executed. What the header describes is read when an array is
evaluated. Here is what all formats share (where bytes come from, how a file is made); the formats
have modules of their own, and `load` is in _load."""

from __future__ import annotations

import io
import os
import stat
from abc import ABC, abstractmethod

from . import _core
from ._core import array

TYPE_CHECKING = False  # importing typing would take longer than all of this package
if TYPE_CHECKING:
    from typing import Any, NoReturn, Optional


def bad(op: str, text: str) -> NoReturn:
    raise _core.FormatError(f"[{op}] {text}")


def code_of(dtype, codes):
    return next((code for code, known in codes.items() if known == dtype), None)


def bytes_of(a: array) -> memoryview:
    if a.size == 0:
        return memoryview(b"")
    # A view of uint8 as uint8 is the array as it lies: reversed, say.
    return memoryview(_core.contiguous(a.reshape(-1).view(_core.uint8))).cast("B")


def is_size(n) -> bool:
    return isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 1 << 62


# ---- where bytes come from


class Source(ABC):
    """Bytes by position. Arrays are read when they are evaluated."""

    name: str
    size: int
    _file: _core._File

    @abstractmethod
    def read(self, at: int, n: int) -> bytes: ...

    @abstractmethod
    def stream(self) -> io.IOBase: ...

    def array(self, at: int, dtype, shape, swap: int = 0) -> array:
        """An array whose bytes are known to be there; of no elements, its shape may still be
        none."""
        return self._made(self._file.array, at, tuple(shape), dtype, swap)

    def blocks(self, at: int, shape, kind: str) -> array:
        return self._made(self._file.blocks, at, tuple(shape), kind)

    def _made(self, make, *arguments):
        try:
            return make(*arguments)
        except (ValueError, MemoryError, OverflowError) as e:
            bad("load", f"unreadable shape: {self.name}: {e}")


class _Disk(Source):
    """A regular file."""

    def __init__(self, fd: int, name: str, size: int):
        self.name, self.size = name, size
        self._fd, self._file = fd, _core._File(fd, name)  # which closes fd

    def read(self, at: int, n: int) -> bytes:
        found = os.pread(self._fd, n, at)
        while len(found) < n and (part := os.pread(self._fd, n - len(found), at + len(found))):
            found += part
        return found

    def stream(self):
        return os.fdopen(os.dup(self._fd), "rb")


class Memory(Source):
    """Bytes that are there: given, or read of a pipe or of an object like a file."""

    def __init__(self, data: bytes, name: str):
        self.name, self.size, self._data = name, len(data), data
        self._file = _core._File(data, name)

    def read(self, at: int, n: int) -> bytes:
        return self._data[at : at + n]

    def stream(self):
        return io.BytesIO(self._data)


def opened(file, op: str = "load"):
    """(source, position in it) of a path, of bytes, or of an object like a file, opened for reading
    bytes."""
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
            bad(op, f"a folder, not a file: {path}")
        with os.fdopen(fd, "rb") as pipe:
            return Memory(pipe.read(), path), 0
    if isinstance(file, (bytes, bytearray, memoryview)):
        return Memory(bytes(file), type(file).__name__), 0
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
    data = file.read()
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"[{op}] file: read() gave {type(data).__name__}, expected bytes")
    return Memory(bytes(data), name), 0


# ---- how a file is made


class Created:
    """A file that takes its name when it is whole: `with Created(...) as out` writes to another one
    in the same folder, which is brought to the disk and renamed. When anything fails, the old file
    is as it was, and nothing else is left. Arrays that were loaded from the old one keep it open,
    and can still be read. An object like a file is written to as it is. `arrays` will be written.
    """

    def __init__(self, file, op: str, ending: str, arrays):
        self._file, self._op, self._ending, self._arrays = file, op, ending, arrays
        self._out = self._temporary = None

    def __enter__(self):
        file = self._file
        if not isinstance(file, (str, os.PathLike)):
            if hasattr(file, "write"):
                return file
            raise TypeError(f"[{self._op}] not a path or a file: got {type(file).__name__}")
        path = os.fspath(file)
        if not isinstance(path, str):
            raise TypeError(f"[{self._op}] file: got a path of bytes, expected one of str")
        if not path.endswith(self._ending):
            path += self._ending
        try:
            return self._open(path)
        except (FileNotFoundError, NotADirectoryError) as e:
            raise _core.FileError(
                e.errno, f"[{self._op}] no such folder: {path}", path
            ) from None

    def _open(self, path):
        self._path = os.path.realpath(path)
        try:
            old = os.stat(self._path)
        except FileNotFoundError:
            old = None
        if old and not (stat.S_ISREG(old.st_mode) and os.access(self._path, os.W_OK)):
            self._out = open(self._path, "wb")  # a pipe, a device; or what may not be written
            return self._out
        name = self._temporary_name(self._path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        try:
            fd = os.open(name, flags, 0o666)
        except OSError:
            if not old:
                raise
            # Of a folder that may not be changed: written over, when nothing has to be read of it.
            _core.eval(list(self._arrays))
            self._out = open(self._path, "wb")
            return self._out
        self._temporary = name
        self._out = os.fdopen(fd, "wb")
        if old:
            self._take_over(fd, old)
        return self._out

    def _temporary_name(self, path):
        return os.path.join(os.path.dirname(path), f".{os.urandom(8).hex()}.tmp")

    @staticmethod
    def _take_over(fd, old):
        now = os.fstat(fd)
        if (now.st_uid, now.st_gid) != (old.st_uid, old.st_gid):
            try:
                os.fchown(fd, old.st_uid, old.st_gid)
            except OSError:  # only root gives files away
                pass
        os.fchmod(fd, stat.S_IMODE(old.st_mode))

    def __exit__(self, kind, error, trace):
        if self._out is None:
            return
        try:
            if self._temporary is None:
                self._out.close()
                return
            if kind is None:
                self._out.flush()
                os.fsync(self._out.fileno())
            self._out.close()
            if kind is None:
                os.replace(self._temporary, self._path)
                self._temporary = None
                self._keep_name()
        finally:
            if self._temporary is not None:
                self._discard()

    def _discard(self):
        try:
            self._out.close()  # may find no room for what it holds
        except OSError:
            pass
        os.unlink(self._temporary)

    def _keep_name(self):
        """Brings the folder to the disk, where that can be done."""
        try:
            fd = os.open(os.path.dirname(self._path), os.O_RDONLY)
        except OSError:
            return
        try:
            os.fsync(fd)
        except OSError:
            pass
        finally:
            os.close(fd)


def write_array(out, a: array) -> None:
    """The bytes of an array, which is evaluated now, after what was written before it."""
    _core.eval(a)
    data = bytes_of(a)
    for at in range(0, len(data), 1 << 26):
        out.write(data[at : at + (1 << 26)])


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


def check_named(op: str, arrays: Any) -> None:
    """A dict of arrays by names; before anything is computed or written."""
    if not isinstance(arrays, dict):
        raise TypeError(f"[{op}] arrays: got {type(arrays).__name__}, expected a dict of arrays")
    for name, a in arrays.items():
        if not isinstance(name, str):
            raise TypeError(f"[{op}] arrays: got a name of {type(name).__name__}, expected str")
        if not isinstance(a, array):
            raise TypeError(f"[{op}] {name!r}: got {type(a).__name__}, expected an array")
