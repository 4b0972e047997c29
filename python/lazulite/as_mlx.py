"""Runs programs that were written for MLX, without a change in them.

    python -m lazulite.as_mlx script.py args...
    python -m lazulite.as_mlx -m package args...

or, at the beginning of a program or in a session::

    import lazulite.as_mlx
    lazulite.as_mlx.install()

answer ``import mlx.core``, ``mlx.nn``, ``mlx.optimizers`` and ``mlx.utils``, and what is in them,
with Lazulite. Nothing is changed on the disk, and :func:`uninstall` takes it back. An MLX that is
installed is not touched: it is what ``import mlx`` finds where :func:`install` was not called.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import runpy
import sys
import types
from typing import Any, Iterable, Optional, Sequence

__all__ = ["install", "is_installed", "uninstall"]

VERSION = "0.32.4"  # of MLX, whose names and meanings these are

_PARTS = ("core", "nn", "optimizers", "utils")
# Where modules of ours have other names.
_MOVED = {
    "nn.layers.base": "nn.module",
    "nn.layers.convolution_transpose": "nn.layers.convolution",
    "nn.layers.positional_encoding": "nn.layers.positional",
    "nn.layers.upsample": "nn.layers.upsampling",
}
_DOCS = (
    "docs/differences.md (`Not there yet`) of Lazulite lists what is missing, and "
    "docs/coming-from-mlx.md how programs are run"
)


def install() -> None:
    """Answer imports of MLX with Lazulite from now on, in this process. Calling it again does
    nothing.

    Raises:
        RuntimeError: MLX itself was imported before.

    Example:
        >>> import lazulite.as_mlx
        >>> lazulite.as_mlx.install()
        >>> import mlx.core
        >>> mlx.core.arange(3) + 1
        array([1, 2, 3], dtype=int32)
        >>> lazulite.as_mlx.uninstall()
    """
    if is_installed():
        return
    there = [name for name in sys.modules if _is_mlx(name)]
    if there:
        raise RuntimeError(
            f"[as_mlx] MLX itself was imported before: got {there[0]} in sys.modules, expected "
            "install() to be called first"
        )
    sys.meta_path.insert(0, _finder)


def uninstall() -> None:
    """Take :func:`install` back: ``import mlx`` finds again what it would find without it.

    Names that programs have imported stay what they are.
    """
    if is_installed():
        sys.meta_path.remove(_finder)
        for name in [name for name in sys.modules if _is_mlx(name)]:
            del sys.modules[name]


def is_installed() -> bool:
    """Whether imports of MLX are answered with Lazulite.

    Example:
        >>> import lazulite.as_mlx
        >>> lazulite.as_mlx.is_installed()
        False
    """
    return _finder in sys.meta_path


def _is_mlx(name: str) -> bool:
    return name == "mlx" or name.startswith("mlx.")


def _ours(name: str) -> str:
    """Our module for ``mlx.a.b``."""
    below = name.partition(".")[2]
    return f"lazulite.{_MOVED.get(below, below)}"


class _Alias(types.ModuleType):
    """A module of ours under its name in MLX: names are looked up in ours, and a missing one says
    where to read on."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__all__", "__array_namespace_info__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        try:
            value = getattr(self.__dict__["_lazulite"], name)
        except AttributeError:
            raise AttributeError(
                f"module {self.__name__!r} has no attribute {name!r} in Lazulite, which stands for "
                f"it here: {_DOCS}"
            ) from None
        if isinstance(value, types.ModuleType) and value.__name__.startswith("lazulite."):
            value = importlib.import_module(f"{self.__name__}.{name}")
        self.__dict__[name] = value
        return value

    def __dir__(self) -> Iterable[str]:
        ours = dir(self.__dict__["_lazulite"])
        return sorted({*ours, *self.__dict__} - {"_lazulite"})


class _Package(_Alias):
    """``mlx`` itself: has the parts that are there, loaded when they are asked for."""

    def __getattr__(self, name: str) -> Any:
        if name not in _PARTS:
            raise AttributeError(f"module 'mlx' has no attribute {name!r} in Lazulite: {_DOCS}")
        return importlib.import_module(f"mlx.{name}")

    def __dir__(self) -> Iterable[str]:
        return sorted({*self.__dict__, *_PARTS})


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules of MLX in ours."""

    def find_spec(
        self, name: str, path: Optional[Sequence[str]] = None, target: Any = None
    ) -> Optional[importlib.machinery.ModuleSpec]:
        if not _is_mlx(name):
            return None
        if name != "mlx" and (name.split(".")[1] not in _PARTS or not _is_there(_ours(name))):
            raise ModuleNotFoundError(
                f"No module named {name!r} in Lazulite, which stands for MLX here: {_DOCS}",
                name=name,
            )
        return importlib.machinery.ModuleSpec(name, self, origin="lazulite", is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return (_Package if spec.name == "mlx" else _Alias)(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        module.__version__ = VERSION  # type: ignore[attr-defined]
        if module.__name__ == "mlx":
            module.__doc__ = "Lazulite under the names of MLX."
            return
        ours = importlib.import_module(_ours(module.__name__))
        module.__dict__["_lazulite"] = ours
        module.__doc__ = ours.__doc__
        module.__file__ = getattr(ours, "__file__", None)

    def find_distributions(self, context: Any = None) -> Iterable[importlib.metadata.Distribution]:
        """For programs that ask which version of MLX is installed."""
        if context is None or context.name in (None, "mlx"):
            yield _Distribution()


def _is_there(name: str) -> bool:
    if name in sys.modules:
        return True
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and name.startswith(error.name):
            return False
        raise
    return True


class _Distribution(importlib.metadata.Distribution):
    """MLX as packages are asked for."""

    def read_text(self, filename: str) -> Optional[str]:
        if filename not in ("METADATA", "PKG-INFO"):
            return None
        return f"Metadata-Version: 2.1\nName: mlx\nVersion: {VERSION}\nSummary: Lazulite\n"

    def locate_file(self, path: Any) -> Any:
        return os.path.join(os.path.dirname(__file__), path)


_finder = _Finder()


def _main(arguments: list[str]) -> None:
    """What `python -m lazulite.as_mlx ...` does."""
    usage = "usage: python -m lazulite.as_mlx [-m package | script.py | -c code] arguments..."
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage)
        sys.exit(0 if arguments else 2)
    kind, rest = (arguments[0], arguments[1:]) if arguments[0] in ("-m", "-c") else ("", arguments)
    if not rest:
        sys.exit(usage)
    # The module that runs as __main__ is another one than lazulite.as_mlx, which programs import.
    importlib.import_module("lazulite.as_mlx").install()
    if kind == "-m":
        sys.argv = ["-m", *rest[1:]]
        sys.path[0] = os.getcwd()
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv = ["-c", *rest[1:]]
        sys.path[0] = ""
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        exec(compile(rest[0], "<string>", "exec"), main.__dict__)
    else:
        sys.argv = rest
        sys.path[0] = os.path.dirname(os.path.abspath(rest[0]))
        runpy.run_path(rest[0], run_name="__main__")


if __name__ == "__main__":
    _main(sys.argv[1:])
