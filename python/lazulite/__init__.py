"""Lazulite: lazy arrays, composable transforms and training on every core of a CPU.

`import lazulite.core as mx` gives the arrays and functions; `lazulite.nn`, `lazulite.optimizers`
and
`lazulite.utils` are Python over them.
"""

from ._version import __version__

__all__ = ["__version__"]
