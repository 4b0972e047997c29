"""What the array API standard asks of a namespace about itself."""

from __future__ import annotations

from . import _core
from ._core import Device, Dtype

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KINDS = {
    "bool": ("bool_",),
    "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": ("uint8", "uint16", "uint32", "uint64"),
    "real floating": ("float32", "float64"),
    "complex floating": ("complex64", "complex128"),
}
_KINDS["integral"] = _KINDS["signed integer"] + _KINDS["unsigned integer"]
_KINDS["numeric"] = _KINDS["integral"] + _KINDS["real floating"] + _KINDS["complex floating"]


class ArrayNamespaceInfo:
    """What `__array_namespace_info__` gives: the devices, dtypes and abilities of this package, as
    the array API standard names them."""

    def capabilities(self) -> dict[str, Any]:
        """Boolean masks as indices, shapes that depend on data, and the most axes."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> Device:
        """The device of arrays for which none is named."""
        return _core.default_device()

    def default_dtypes(self, *, device: Any = None) -> dict[str, Dtype]:
        """The dtypes of arrays of Python numbers, and of indices."""
        _check(device, "default_dtypes")
        return {
            "real floating": _core.float32,
            "complex floating": _core.complex64,
            "integral": _core.int32,
            "indexing": _core.int32,
        }

    def devices(self) -> list[Device]:
        """The devices of this machine."""
        return [_core.Device(_core.cpu)]

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, Dtype]:
        """The dtypes of the standard by their names, all of them or those of a kind (or of a tuple
        of kinds)."""
        _check(device, "dtypes")
        kinds = (
            ("bool", "numeric") if kind is None else kind if isinstance(kind, tuple) else (kind,)
        )
        found = {}
        for one in kinds:
            if one not in _KINDS:
                raise ValueError(
                    f"[dtypes] unknown kind: got {one!r}, expected one of {', '.join(_KINDS)}"
                )
            found.update({n.rstrip("_"): getattr(_core, n) for n in _KINDS[one]})
        return found


def _check(device: Any, name: str) -> None:
    if device is not None and device not in ArrayNamespaceInfo().devices():
        raise ValueError(f"[{name}] no such device on this machine: got {device!r}")


def __array_namespace_info__() -> ArrayNamespaceInfo:
    """Questions about this namespace, as the array API standard asks them.

    >>> mx.__array_namespace_info__().default_dtypes()["integral"]
    lazulite.core.int32
    """
    return ArrayNamespaceInfo()
