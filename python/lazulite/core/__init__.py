"""Lazy arrays and the functions over them: `import lazulite.core as mx`.

Arrays are recorded when functions are called and computed when their values are wanted (`eval`,
`async_eval`, printing, `item`, `tolist`, NumPy). `grad`, `vmap`, `jvp`, `vjp` and `compile`
transform functions and compose.
"""

import os as _os
import reprlib as _reprlib
import sys as _sys
from builtins import sum as _total

from .._version import __version__  # noqa: F401
from . import _core
from ._core import *  # noqa: F401,F403
from ._core import _depends, _stop_gradient, _unpickle  # noqa: F401
from . import cuda, distributed, metal

# What is written in Python is loaded when it is first asked for: without bytecode caches, reading
# it takes longer than all of _core.
_later = {
    name: module
    for module, names in {
        "_compile": "compile disable_compile enable_compile",
        "_custom": "checkpoint custom_function hessian jacfwd jacrev linearize",
        "_export": "FunctionExporter ImportedFunction export_function exporter import_function",
        "_gguf": "save_gguf",
        "_load": "load",
        "_lanes": "apply_along_axis vectorize",
        "_loops": "cond fori_loop scan while_loop",
        "_namespace": "__array_namespace_info__",
        "_npy": "save savez savez_compressed",
        "_profile": "ProfileRow profile",
        "_quantiles": "nanpercentile nanquantile percentile quantile",
        "_safetensors": "save_safetensors",
        "_sets": "unique_all unique_counts unique_inverse unique_values",
        "_transforms": "grad jvp value_and_grad vjp vmap",
        "_trees": "register_tree",
    }.items()
    for name in names.split()
}


__array_api_version__ = "2025.12"


def __getattr__(name):
    if name == "bool":  # of the array API standard; not among the names, which would hide Python's
        return bool_
    if name not in _later:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(__import__(f"{__name__}.{_later[name]}", fromlist=[name]), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_later})


# OpenBLAS, where the package scipy-openblas32 provides it; opened at the first product.
for _path in _sys.path:
    _path = _os.path.join(_path or ".", "scipy_openblas32", "lib", "libscipy_openblas.so")
    if _os.path.exists(_path):
        _core._set_openblas_hint(_path)
        break
del _path

# Read here, so that bad values are warnings at import.
for _name in ("LAZULITE_DISABLE_COMPILE", "MLX_DISABLE_COMPILE"):
    if _core._environment_flag(_name):
        _core._set_compile(False)
_default_cache_size = _core._environment_integer("LAZULITE_COMPILE_CACHE_SIZE", 64, 1)
_core._check_environment()

random = _core.random
fast = _core.fast
_quantize = _core.quantize
fft = _core.fft
linalg = _core.linalg
sparse = _core.sparse
linalg.LinAlgError = _core.LinAlgError
for _name in ("random", "fast", "fft", "linalg", "sparse"):
    _sys.modules[f"{__name__}.{_name}"] = getattr(_core, _name)
del _name


# The same of sub-modules: names, and the modules of the package that have them. Sparse matrices are
# a room above this one, which nothing here knows but these names.
_later_of = {
    fast: {
        "_fast": "gated_delta_update",
        "_elsewhere": "cpu_kernel metal_kernel cuda_kernel precompiled_cuda_kernel",
    },
    random: {"..sparse.make": "sparse_normal"},
    sparse: {
        "..sparse": "BSR COO CSR SparseMatrix diagonal from_dense from_scipy load normal save",
    },
}


def _loads(module, table):
    found = {name: where for where, names in table.items() for name in names.split()}

    def __getattr__(name):
        if name not in found:
            kind = module.__name__.rpartition(".")[2]
            raise AttributeError(f"module '{__name__}.{kind}' has no attribute {name!r}")
        from importlib import import_module

        where = found[name] if found[name].startswith(".") else f".{found[name]}"
        return getattr(import_module(where, __name__), name)

    module.__getattr__ = __getattr__


for _module, _table in _later_of.items():
    _loads(_module, _table)
del _module, _table, _later_of


def _repr_array(self, x, level, _of_lists=_reprlib.Repr.repr_array):
    """reprlib, and pytest with it, tells arrays by the name of their class alone."""
    return self.repr_instance(x, level) if isinstance(x, array) else _of_lists(self, x, level)


_reprlib.Repr.repr_array = _repr_array


def stop_gradient(a: "T", /, *, stream: "Any" = None) -> "T":
    """The same values, constant to derivatives; of every array in a tree.

    >>> mx.grad(lambda x: x * mx.stop_gradient(x))(mx.array(3.0))
    array(3, dtype=float32)
    """
    if isinstance(a, array):
        return _stop_gradient(a, stream=stream)
    from ._trees import map_leaves

    return map_leaves(
        lambda leaf: _stop_gradient(leaf, stream=stream) if isinstance(leaf, array) else leaf, a
    )


def quantize(*args, **kwargs):
    """Of arrays, what _core has under this name; of a model, which is a dict, a model."""
    try:
        return _quantize(*args, **kwargs)
    except TypeError:  # so that arrays pay for a call alone
        if not (args and isinstance(args[0], dict)):
            raise
        if quantize.of_model is None:
            raise TypeError(
                f"[quantize] w: got {type(args[0]).__name__}, expected an array or a model of "
                "lazulite.nn"
            ) from None
    return quantize.of_model(*args, **kwargs)


quantize.of_model = None  # lazulite.nn tells
quantize.__wrapped__ = _quantize  # for inspect.signature
quantize.__doc__ = _quantize.__doc__.replace(
    "\n\n>>>",
    "\n\nOf a model, quantize(model, settings) gives a model in few bits and leaves the given one as "
    "it was: see\nlazulite.nn.quantization.quantize_model.\n\n>>>",
    1,
)


def depends(inputs: "T", dependencies: "Any") -> "T":
    """The inputs (an array or a list of arrays), to be evaluated only after the dependencies.

    >>> a = mx.array(1)
    >>> mx.depends(a, [mx.exp(mx.array(0.0))])
    array(1, dtype=int32)
    """
    single = isinstance(inputs, array)
    for name, given in (("inputs", inputs), ("dependencies", dependencies)):
        if isinstance(given, str) or not hasattr(given, "__iter__"):
            raise TypeError(
                f"[depends] {name}: got {type(given).__name__}, expected an array or a list of arrays"
            )
    on = [dependencies] if isinstance(dependencies, array) else list(dependencies)
    out = _depends([inputs] if single else list(inputs), on)
    return out[0] if single else out


def export_to_dot(file, *args, **kwargs) -> None:
    """Writes the graph that `args` (arrays and trees of them) still need, in Graphviz's language,
    to a path or an open text file: ops in ellipses, numbered in the order of evaluation, fused
    groups in boxes.

    >>> import io
    >>> out = io.StringIO()
    >>> mx.export_to_dot(out, mx.exp(mx.array([1.0]) + 1))
    >>> print(out.getvalue().splitlines()[0])
    digraph {
    """
    from ._io import write_text

    write_text(file, "export_to_dot", _core._export_to_dot(*args, *kwargs.values()))


def print_graph(*args) -> None:
    """Prints the graph that arrays (and trees of them) still need, a line per op in the order of
    evaluation.

    >>> mx.print_graph(mx.exp(mx.array([1.0]) + 1))
    # group 0
    t0 = add(A, 1)  float32(1,)
    t1 = exp(t0)  float32(1,)
    """
    print(_core._print_graph(*args), end="")


class debug_nans:
    """A context manager that finds the first nan or infinity: inside it, ops run one by one, and
    one that makes such a number out of finite ones raises RuntimeError with its name and the Python
    line that recorded it. Slow; for looking.

    >>> with mx.debug_nans():
    ...     try:
    ...         mx.eval(mx.log(mx.array([1.0, 0.0])) + 1)
    ...     except RuntimeError as error:
    ...         print(str(error)[:40])
    [log] a nan or an infinity from finite i
    """

    def __enter__(self):
        _core._debug_nans(True)

    def __exit__(self, *exc):
        _core._debug_nans(False)


class debug_compare:
    """A context manager that finds the first op whose result depends on how it is run: inside it,
    each step runs as always and then once more op by op, at the generic instruction-set level, on
    one thread and without writing over its inputs. RuntimeError names the op, its Python line, the
    first element that differs and what made the difference
    (the level, fusion, a loop's body, or memory and threads). Products of matrices may differ by
    their error bound, everything else is compared bit by bit. Slow, and takes memory for copies;
    for looking.

    >>> with mx.debug_compare():
    ...     mx.eval(mx.exp(mx.arange(4) / 3).sum())
    """

    def __enter__(self):
        _core._debug_compare(True)

    def __exit__(self, *exc):
        _core._debug_compare(False)


class PrintOptions:
    """How floats print: with `precision` digits after the point; -1 for the default, 6 significant
    digits
    (float64: 8)."""

    def __init__(self, precision: int = -1):
        self._precision = precision

    @property
    def precision(self) -> int:
        """Significant digits."""
        return self._precision

    def __repr__(self):
        return f"PrintOptions(precision={self.precision})"


def _precision_of(name, precision):
    try:
        return precision.__index__()
    except AttributeError:
        kind = type(precision).__name__
        raise TypeError(f"[{name}] precision: got {kind}, expected an int") from None


def set_printoptions(precision: int = -1) -> None:
    """Sets how arrays print: digits after the point, never with an exponent; -1, the default: six
    significant digits."""
    _core._set_precision(_precision_of("set_printoptions", precision))


def get_printoptions() -> PrintOptions:
    """How arrays print."""
    return PrintOptions(_core._get_precision())


class printoptions:
    """A context manager that sets how arrays print inside its block.

    >>> with mx.printoptions(precision=2):
    ...     print(mx.array(3.14159))
    array(3.14, dtype=float32)
    """

    def __init__(self, precision: int = -1):
        self._precision = _precision_of("printoptions", precision)

    def __enter__(self):
        self._before = _core._get_precision()
        _core._set_precision(self._precision)

    def __exit__(self, *exc):
        _core._set_precision(self._before)


def get_array_buffer_size(*args) -> int:
    """Bytes of the distinct arrays in trees.

    >>> mx.get_array_buffer_size(mx.zeros(4))
    16
    """
    from ._trees import bare_leaves

    found = {id(a): a for a in bare_leaves(list(args), fixed=True) if isinstance(a, array)}
    return _total(a.nbytes for a in found.values())


class ArrayLike:
    """Wraps an object that `array` takes; as an annotation it stands for all of them."""

    def __init__(self, arg, /):
        self._array = array(arg)

    def __array__(self, dtype=None, copy=None):
        return self._array.__array__(dtype, copy)


class ArrayIterator:
    """What iter(array) gives: the slices along the first axis."""

    def __init__(self, a):
        self._iterator = iter(a)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._iterator)


__all__ = [_name for _name in __dir__() if not _name.startswith("_")]
