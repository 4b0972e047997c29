"""The levels of instruction sets: the one that runs here, and those below it."""

import os
import subprocess
import sys

from lazulite.core import _core

ALL = ("generic", "avx2", "avx512", "avx512_bf16", "amx")
HERE = _core._level()
LOWER = ALL[: ALL.index(HERE)] if HERE in ALL else ()


def run(level, *arguments, **environment):
    """What Python prints with these arguments at a level; modules of tests are found."""
    settings = {"PYTHONPATH": os.pathsep.join(sys.path), "LAZULITE_ISA": level, **environment}
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout
