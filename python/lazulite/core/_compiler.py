"""The system's C++ compiler: source text becomes a shared object in a private folder, once."""

from __future__ import annotations

import atexit
import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import tempfile
import threading
import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FLAGS = (
    "-std=c++20 -O3 -march=native -fPIC -shared -pthread -ffp-contract=off -fno-math-errno -fwrapv "
    "-fno-strict-aliasing -w"
).split()
LONGEST_COMPLAINT = 4000  # characters of what the compiler says that an error repeats

_lock = threading.Lock()
_opened: dict[str, Any] = {}  # libraries by key; never closed, since nodes hold addresses in them


def find(function: str) -> list[str]:
    """The command of the compiler: $CXX, else the first of c++, g++, clang++ on PATH."""
    asked = os.environ.get("CXX", "").strip()
    try:
        words = shlex.split(asked)
    except ValueError:
        words = []
    for command in [words] if asked else [["c++"], ["g++"], ["clang++"]]:
        path = shutil.which(command[0]) if command else None
        if path:
            return [path, *command[1:]]
    got = f"CXX={asked!r}" if asked else "none of c++, g++, clang++ on PATH"
    raise RuntimeError(
        f"[{function}] no C++ compiler: got {got}, expected one to be installed (CXX names another); "
        "kernels given as function pointers need none"
    )


@functools.lru_cache(maxsize=None)
def _version(command: tuple[str, ...], changed: int) -> str:
    done = subprocess.run(
        [*command, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    return done.stdout + done.stderr


@functools.lru_cache(maxsize=None)
def _machine() -> str:
    """What -march=native depends on: homes may be shared between machines."""
    words = [platform.machine()]
    try:
        with open("/proc/cpuinfo") as info:
            for line in info:
                if line.split(":")[0].strip() in ("flags", "Features", "model name", "CPU part"):
                    words.append(line)
                if not line.strip():
                    break
    except OSError:
        pass
    return "".join(words)


def _is_private(path: str, kind: Any) -> bool:
    """Ours, of this kind, no link, and not to be written by others."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return kind(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


@functools.lru_cache(maxsize=None)
def _temporary() -> str:
    path = tempfile.mkdtemp(prefix="lazulite-")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def folder() -> str:
    """Where objects are kept: $XDG_CACHE_HOME/lazulite or ~/.cache/lazulite. One that is not
    private is left alone; objects then live as long as the process."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(home):
        home = os.path.join(os.path.expanduser("~"), ".cache")
    path = os.path.join(home, "lazulite")
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError:
        return _temporary()
    if _is_private(path, stat.S_ISDIR) and os.access(path, os.W_OK | os.X_OK):
        return path
    warnings.warn(
        f"[cpu_kernel] the folder of compiled kernels is not private: got {path}, expected a folder "
        "that is yours and that others cannot write to; kernels are compiled anew in each process",
        RuntimeWarning,
        stacklevel=2,
    )
    return _temporary()


def library(function: str, name: str, source: str) -> Any:
    """The source as an opened library. RuntimeError where there is no compiler, or it refuses."""
    command = find(function)
    version = _version(tuple(command), os.stat(command[0]).st_mtime_ns)
    parts = [source, *command, *FLAGS, version, _machine()]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    with _lock:
        if key not in _opened:
            place = folder()
            path = os.path.join(place, f"{key}.so")
            if not _is_private(path, stat.S_ISREG):
                _compile(function, name, source, command, place, path)
            _opened[key] = ctypes.CDLL(path)
        return _opened[key]


def _compile(
    function: str, name: str, source: str, command: list[str], place: str, path: str
) -> None:
    """No shell, and nothing that a user wrote on the command line: the source is a file."""
    with tempfile.TemporaryDirectory(prefix="building-", dir=place) as room:
        text, made = os.path.join(room, "kernel.cpp"), os.path.join(room, "kernel.so")
        with open(text, "w", encoding="utf-8") as file:
            file.write(source)
        done = subprocess.run(
            [*command, *FLAGS, text, "-o", made],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=room,
            env={**os.environ, "LC_ALL": "C"},
        )
        if done.returncode or not os.path.exists(made):
            said = done.stdout.decode(errors="replace").replace(room + os.sep, "").strip()
            if len(said) > LONGEST_COMPLAINT:
                said = said[:LONGEST_COMPLAINT] + "\n..."
            raise RuntimeError(
                f"[{function}] {name} does not compile: {os.path.basename(command[0])} says\n{said}"
            )
        os.chmod(made, 0o700)
        os.replace(made, path)
