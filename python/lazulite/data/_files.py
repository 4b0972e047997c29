"""What all readers of files share: whole files, and errors that help."""

from __future__ import annotations

import errno
import gzip
import importlib
import os
import zlib
from pathlib import Path
from typing import Any, NoReturn, Union

import lazulite.core as mx

Path_ = Union[str, "os.PathLike[str]"]


def missing(op: str, path: Path_, help: str) -> NoReturn:
    """Raises FileError: no such file, and where to get it."""
    raise mx.FileError(errno.ENOENT, f"[{op}] no such file: {os.fspath(path)}\n{help}", path)


def bad(op: str, path: Path_, problem: str, help: str = "") -> NoReturn:
    """Raises FormatError."""
    raise mx.FormatError(f"[{op}] {problem}: {os.fspath(path)}" + (f"\n{help}" if help else ""))


def first_there(op: str, root: Path_, names: list[str], help: str) -> Path:
    """The first of several names that is there below ``root``, as it is or compressed."""
    for name in names:
        for ending in ("", ".gz"):
            path = Path(root) / (name + ending)
            if path.is_file():
                return path
    missing(op, Path(root) / names[0], help)


def read(op: str, path: Path_, help: str, most: int) -> bytes:
    """A whole file of ``most`` bytes at the most; of one that ends in .gz, what it holds."""
    try:
        with open(path, "rb") as plain:
            if not os.fspath(path).endswith(".gz"):
                return _at_most(op, path, plain, most)
            with gzip.GzipFile(fileobj=plain) as packed:
                return _at_most(op, path, packed, most)
    except (FileNotFoundError, NotADirectoryError):
        missing(op, path, help)
    except IsADirectoryError:
        bad(op, path, "a folder, not a file", help)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        bad(op, path, f"truncated or damaged gzip ({error})")


def _at_most(op: str, path: Path_, file: Any, most: int) -> bytes:
    data: bytes = file.read(most + 1)
    if len(data) > most:
        bad(op, path, f"too large: got more than {most} bytes")
    return data


def package(op: str, name: str, install: str) -> Any:
    """A package that this reader needs; ImportError says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"[{op}] needs the package {install}: got {error}, expected it installed, "
            f"for example by `pip install {install}`"
        ) from error
