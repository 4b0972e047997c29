"""The levels of instruction sets: the one that runs here, and those below it."""

from lazulite.core import _core

ALL = ("generic", "avx2", "avx512", "avx512_bf16", "amx")
HERE = _core._level()
LOWER = ALL[: ALL.index(HERE)] if HERE in ALL else ()
