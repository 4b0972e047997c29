"""Names of Metal's module, for programs that call them: memory functions work, Metal itself is not
there."""

from ._core import (
    clear_cache,
    get_active_memory,
    get_cache_memory,
    get_peak_memory,
    reset_peak_memory,
    set_cache_limit,
    set_memory_limit,
    set_wired_limit,
)
from ._core import device_info as _device_info

__all__ = [
    "clear_cache",
    "device_info",
    "get_active_memory",
    "get_cache_memory",
    "get_peak_memory",
    "is_available",
    "reset_peak_memory",
    "set_cache_limit",
    "set_memory_limit",
    "set_wired_limit",
    "start_capture",
    "stop_capture",
]


def is_available() -> bool:
    """Whether the Metal back end is there: never.

    >>> mx.metal.is_available()
    False
    """
    return False


def device_info() -> dict:
    """Facts about the CPU; see mx.device_info."""
    return _device_info()


def start_capture(path: str) -> None:
    """Does nothing but warn: there is no Metal to capture."""
    import warnings

    warnings.warn(
        f"[metal] nothing is captured to {path!r}: there is no Metal on this machine", stacklevel=2
    )


def stop_capture() -> None:
    """Does nothing: there is no Metal to capture, as start_capture said."""
