"""`load`: which format a file has, and the module that reads it, loaded when it is needed."""

from __future__ import annotations

import os

from ._io import bad, opened

TYPE_CHECKING = False  # importing typing would take longer than all of this package
if TYPE_CHECKING:
    from typing import Any

_INDEX = "safetensors.index.json"
_FORMATS = ("npy", "npz", "safetensors", "gguf", _INDEX)


def _format_of_path(path: str) -> str:
    name = os.path.basename(path)
    return _INDEX if name.endswith("." + _INDEX) else os.path.splitext(name)[1][1:]


def _format_of_bytes(data) -> str:
    start = bytes(data[:9])
    if start[:6] == b"\x93NUMPY":
        return "npy"
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "npz"
    if start[:4] == b"GGUF":
        return "gguf"
    return "safetensors" if start[8:] == b"{" else ""


def _position(file: Any) -> Any:
    """Where an object like a file is read next, if that can be set."""
    can_seek = getattr(file, "seekable", None)
    return file.tell() if callable(can_seek) and can_seek() else None


def load(
    file: Any, /, format: Any = None, return_metadata: bool = False, *, stream: Any = None
):
    """Reads .npy (an array), .npz, .safetensors or .gguf (a dict of arrays), or all files that an
    index (model.safetensors.index.json) names.

    `file` is a path, whose ending tells the format, a file object with `format=`, or the bytes of a
    file; with `return_metadata` the pair (arrays, metadata) is returned. Only headers are read, and
    compared with the size of the file; the data of an array is read, or inflated, when the array is
    evaluated (at once from pipes, objects like files, and what is compressed in other ways than
    "deflate", or where the system has no zlib). Until then the file must stay as it is: `save`
    under the same name is fine, as it makes a new file. An object like a file stands behind the
    array of .npy afterwards: several that were saved to it are loaded one after the other. A model
    in the place of `format` gets the weights of the file, by `model.load_weights`, and is returned.
    Raises `FileError` where there is no file, and `FormatError`, which is both ValueError and
    RuntimeError, for a file that is truncated or not of the format.
    """
    if hasattr(format, "load_weights"):
        if return_metadata:
            raise TypeError("[load] return_metadata: got it with a model, expected one of them")
        return format.load_weights(file)
    held = isinstance(file, (bytes, bytearray, memoryview))
    if not isinstance(file, (str, os.PathLike)) and not held and not hasattr(file, "read"):
        raise TypeError(
            f"[load] file: got {type(file).__name__}, expected a path, a file or bytes"
        )
    if isinstance(file, os.PathLike) and not isinstance(os.fspath(file), str):
        raise TypeError("[load] file: got a path of bytes, expected one of str")
    if format is None:
        if held:
            format = _format_of_bytes(file)
        else:
            name = file if isinstance(file, (str, os.PathLike)) else getattr(file, "name", "")
            is_name = isinstance(name, (str, os.PathLike)) and isinstance(os.fspath(name), str)
            format = _format_of_path(os.fspath(name)) if is_name else ""
    if format not in _FORMATS:
        what = f"bytes {bytes(file[:16])!r}" if held and not format else repr(format)
        bad("load", f"format not known: got {what}, expected {', '.join(_FORMATS)}")
    metadata: dict = {}
    if format == _INDEX:
        from ._safetensors import read_index

        result, metadata = read_index(file)
        return (result, metadata) if return_metadata else result
    begin = _position(file)
    source, at = opened(file)
    if format == "npy":
        from ._npy import read_npy

        result, end = read_npy(source, at, source.size, source.name)
        if begin is not None:
            file.seek(begin + end - at)
    elif format == "npz":
        from ._npy import read_npz

        result = read_npz(source, source.name)
    elif format == "safetensors":
        from ._safetensors import read_safetensors

        result, metadata = read_safetensors(source, at)
    else:
        from ._gguf import read_gguf

        result, metadata = read_gguf(source, at)
    return (result, metadata) if return_metadata else result
