"""Kernels that a program brings along: C++ or Metal source, or the address of a function."""

from __future__ import annotations

import ctypes
import os
import re
import threading

from . import _compiler, _core
from ._core import Dtype, array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Sequence, Union

    Template = Sequence[tuple[str, Union[Dtype, int, bool]]]

_TYPES = {
    "bool_": "bool",
    "bool": "bool",
    "float16": "float16_t",
    "bfloat16": "bfloat16_t",
    "float32": "float",
    "float64": "double",
    "complex64": "complex64_t",
    "complex128": "complex128_t",
    **{f"{sign}int{bits}": f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The parameters that a source may use, and what stands for them in the walk over the grid.
POSITIONS = {
    "thread_position_in_grid": "{lz_x, lz_y, lz_z}",
    "thread_position_in_threadgroup": "{lz_x - lz_g.first[0], lz_y - lz_g.first[1], lz_z - lz_g.first[2]}",
    "threadgroup_position_in_grid": "{lz_g.at[0], lz_g.at[1], lz_g.at[2]}",
    "threads_per_grid": "{lz_sizes[0], lz_sizes[1], lz_sizes[2]}",
    "threads_per_threadgroup": "{lz_g.size[0], lz_g.size[1], lz_g.size[2]}",
}
WORDS = {*POSITIONS, "threadgroups_per_grid", "thread_index_in_threadgroup"}
_held: list[Any] = []  # function pointers that kernels were made of: nodes hold their addresses


def type_name(dtype: Dtype) -> str:
    """What a kernel's source calls a dtype."""
    return _TYPES[dtype.name]


def read(header: str) -> str:
    """The text of one of the headers beside this file."""
    with open(os.path.join(os.path.dirname(__file__), header), encoding="utf-8") as file:
        return file.read()


def mentions(source: str, word: str) -> bool:
    """The source has it, as a word."""
    return re.search(rf"\b{word}\b", source) is not None


def names_of(function: str, what: str, names: Any) -> list[str]:
    if isinstance(names, str) or not hasattr(names, "__iter__"):
        raise TypeError(f"[{function}] {what}: got {names!r}, expected a list of names")
    names = list(names)
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name.startswith("lz_"):
            raise ValueError(f"[{function}] {what}: got {name!r}, expected a name of C++")
    return names


def _is_cffi_function(pointer: Any) -> bool:
    import _cffi_backend

    try:
        return _cffi_backend.FFI().typeof(pointer).kind == "function"
    except (AttributeError, TypeError):
        return False


def _address(function: str, pointer: Any) -> int:
    """Of an int, a Numba cfunc, a ctypes or cffi function pointer."""
    if isinstance(pointer, int) and not isinstance(pointer, bool):
        address: Any = pointer
    elif isinstance(getattr(pointer, "address", None), int):
        address = pointer.address
    elif isinstance(pointer, ctypes.c_void_p):
        address = pointer.value
    elif isinstance(pointer, ctypes._CFuncPtr):
        kept = getattr(pointer, "_objects", None) or {}
        if any(type(o).__name__ == "CThunkObject" for o in kept.values()):
            _refuse_python(function)
        address = ctypes.cast(pointer, ctypes.c_void_p).value
    elif type(pointer).__module__ == "_cffi_backend" and _is_cffi_function(pointer):
        import _cffi_backend  # type: ignore[import-not-found]

        if " calling " in repr(pointer):
            _refuse_python(function)
        address = int(_cffi_backend.FFI().cast("uintptr_t", pointer))
    else:
        raise TypeError(
            f"[{function}] source: got {type(pointer).__name__}, expected text, or a function pointer "
            "of Numba, ctypes or cffi, or an address"
        )
    if not address or not 0 < address < 1 << 64:
        raise ValueError(f"[{function}] source: got the address {address}, expected a function's")
    return int(address)


def _refuse_python(function: str) -> None:
    raise TypeError(
        f"[{function}] source: got a callback into Python, expected compiled code: kernels run on "
        "threads that know no Python"
    )


def _sizes(name: str, what: str, given: Any) -> tuple[int, int, int]:
    try:
        numbers = [n.__index__() for n in given] if hasattr(given, "__iter__") else None
    except (AttributeError, TypeError):
        numbers = None
    if numbers is None or len(numbers) != 3:
        raise ValueError(f"[{name}] {what}: got {given!r}, expected three ints")
    if min(numbers) < (0 if what == "grid" else 1) or max(numbers) >= 1 << 32:
        raise ValueError(f"[{name}] {what}: got {tuple(numbers)}, expected sizes below 2^32")
    return tuple(numbers)  # type: ignore[return-value]


class Language:
    """C++: how a source becomes a unit to compile."""

    most_threads = 1 << 40  # of a threadgroup
    position, integer, shape, stride, count = (
        "const lazulite::Place", "int64_t", "const int64_t*", "const int64_t*", "const int"
    )

    def translate(self, function: str, name: str, text: str, names: Sequence[str]) -> str:
        """The source in C++'s words."""
        return text

    def parameter(
        self, kernel: Kernel, name: str, at: int, spec: tuple[Dtype, int]
    ) -> tuple[str, str]:
        """An operand as the source sees it, and what it gets."""
        const = "const " if at < len(kernel.input_names) else ""
        kind = f"{const}{type_name(spec[0])}*"
        return f"{kind} __restrict {name}", f"static_cast<{kind}>(lz_a{at})"

    def shape_value(self, at: int, ndim: int) -> str:
        """What the parameter of an operand's shape gets."""
        return f"lz_s{at}"

    def words(self, kernel: Kernel) -> list[tuple[str, str]]:
        """The parameters that name places in the grid, where the source mentions them."""
        out = []
        for word, value in POSITIONS.items():
            if mentions(kernel.source, word):
                out.append((f"{self.position} {word}", f"{{{value[1:-1]}}}"))
        if mentions(kernel.source, "threadgroups_per_grid"):
            each = ", ".join(
                f"(lz_sizes[{i}] + lz_sizes[{i + 3}] - 1) / lz_sizes[{i + 3}]" for i in range(3)
            )
            out.append((f"{self.position} threadgroups_per_grid", f"{{{each}}}"))
        if mentions(kernel.source, "thread_index_in_threadgroup"):
            index = (
                "lz_x - lz_g.first[0] + lz_g.size[0] * (lz_y - lz_g.first[1] + lz_g.size[1] * "
                "(lz_z - lz_g.first[2]))"
            )
            out.append((f"const {self.integer} thread_index_in_threadgroup", index))
        return out

    def unit(self, kernel: Kernel, template: Any, specs: Any) -> str:
        """All that the compiler reads."""
        parameters = []
        names = [*kernel.input_names, *kernel.output_names]
        for at, (name, spec) in enumerate(zip(names, specs)):
            parameters.append(self.parameter(kernel, name, at, spec))
            for suffix, kind, value in (
                ("shape", self.shape, self.shape_value(at, spec[1])),
                ("strides", self.stride, f"lz_t{at}"),
                ("ndim", self.count, str(spec[1])),
            ):
                if mentions(kernel.source, f"{name}_{suffix}"):
                    parameters.append((f"{kind} {name}_{suffix}", value))
        parameters += self.words(kernel)
        kinds = ", ".join(
            f"{'typename' if isinstance(v, Dtype) else type(v).__name__} {n}" for n, v in template
        )
        values = ", ".join(
            type_name(v) if isinstance(v, Dtype) else str(v).lower() for _, v in template
        )
        body = self.translate(kernel.function, kernel.name, kernel.source, names)
        header = self.translate(kernel.function, kernel.name, kernel.header, names)
        return self.frame(
            kernel,
            header=f'#line 1 "header of {kernel.name}"\n{header}\n',
            signature=(f"template <{kinds}>\n" if template else "")
            + f"inline __attribute__((always_inline)) void lz_kernel_{kernel.name}("
            + ", ".join(p for p, _ in parameters)
            + ")",
            body=f'{{\n#line 1 "source of {kernel.name}"\n{body}\n}}\n#line 1 "the grid"\n',
            call=f"lz_kernel_{kernel.name}{f'<{values}>' if template else ''}("
            + ", ".join(v for _, v in parameters)
            + ");",
        )

    def operands(self, kernel: Kernel) -> str:
        """Local names of what the grid is walked with: nothing that is stored could change them."""
        lines = []
        for at in range(len(kernel.input_names) + len(kernel.output_names)):
            lines.append(f"  void* const lz_a{at} = lz_arrays[{at}];")
            lines.append(f"  const int64_t* const lz_s{at} = lz_shapes[{at}];")
            lines.append(f"  const int64_t* const lz_t{at} = lz_strides[{at}];")
        return "\n".join(lines)

    def frame(self, kernel: Kernel, header: str, signature: str, body: str, call: str) -> str:
        """The unit out of its parts."""
        return f"""{read("_kernel.h")}{header}
namespace {{
{signature} {body}
}}  // namespace
extern "C" void lazulite_kernel(void* const* lz_arrays, const int64_t* const* lz_shapes,
                                const int64_t* const* lz_strides, const int64_t* lz_sizes,
                                int64_t lz_begin, int64_t lz_end) {{
{self.operands(kernel)}
  lazulite::each_group<int64_t>(lz_sizes, lz_begin, lz_end, [=](const lazulite::Group<int64_t> lz_g) {{
    const int64_t lz_end_x = lz_g.first[0] + lz_g.size[0], lz_end_y = lz_g.first[1] + lz_g.size[1],
                  lz_end_z = lz_g.first[2] + lz_g.size[2];
    for (int64_t lz_z = lz_g.first[2]; lz_z < lz_end_z; ++lz_z)
      for (int64_t lz_y = lz_g.first[1]; lz_y < lz_end_y; ++lz_y)
        for (int64_t lz_x = lz_g.first[0]; lz_x < lz_end_x; ++lz_x)
          {call}
  }});
}}
"""


class Kernel:
    """A kernel: called with arrays, a grid and the shapes and dtypes of its results."""

    def __init__(
        self,
        function: str,
        name: str,
        input_names: Sequence[str],
        output_names: Sequence[str],
        source: Any,
        header: str,
        ensure_row_contiguous: bool,
        language: Language,
        atomic_outputs: bool = False,
        vjp: Callable[..., Any] | None = None,
    ):
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"[{function}] name: got {name!r}, expected a name of C++")
        self.function, self.name = function, name
        self.input_names = names_of(function, "input_names", input_names)
        self.output_names = names_of(function, "output_names", output_names)
        both = [*self.input_names, *self.output_names]
        for n in both:
            if both.count(n) > 1 or n in WORDS:
                raise ValueError(f"[{function}] names: got {n!r} twice, expected a name for each")
        if not self.output_names:
            raise ValueError(f"[{function}] output_names: got none, expected one or more")
        if not isinstance(header, str):
            raise TypeError(f"[{function}] header: got {type(header).__name__}, expected text")
        if vjp is not None and not callable(vjp):
            raise TypeError(f"[{function}] vjp: got {type(vjp).__name__}, expected a function")
        self.source, self.header, self.language = source, header, language
        self.dense, self.atomic_outputs, self.vjp = (
            bool(ensure_row_contiguous), bool(atomic_outputs), vjp
        )
        self._made: dict[Any, Any] = {}
        self._lock = threading.Lock()
        self._pointer = None
        if not isinstance(source, str):
            self._pointer = _core._Foreign(name, _address(function, source))
            _held.append(source)

    def __repr__(self) -> str:
        return f"<{self.function} {self.name}>"

    def _compiled(self, template: Any, specs: Any, verbose: bool) -> Any:
        if self._pointer:
            return self._pointer
        key = (tuple((n, str(v), type(v)) for n, v in template), tuple(specs))
        with self._lock:
            found = self._made.get(key)
            if found is None or verbose:
                unit = self.language.unit(self, template, specs)
                if verbose:
                    print(unit[unit.index("#line 1") :], end="")
            if found is None:
                opened = _compiler.library(self.function, self.name, unit)
                address = ctypes.cast(opened.lazulite_kernel, ctypes.c_void_p).value
                found = self._made[key] = _core._Foreign(self.name, address)
        return found

    def _template(self, template: Any) -> list[Any]:
        found = []
        for pair in template or ():
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise ValueError(f"[{self.name}] template: got {pair!r}, expected (name, value)")
            name, value = pair
            names_of(self.name, "template", [name])
            if not isinstance(value, (bool, Dtype)):
                try:
                    value = int(value.__index__())
                except AttributeError:
                    raise TypeError(
                        f"[{self.name}] template {name}: got {type(value).__name__}, expected a dtype, "
                        "an int or a bool"
                    ) from None
                if not -(1 << 31) <= value < 1 << 31:
                    raise ValueError(
                        f"[{self.name}] template {name}: got {value}, expected an int of 32 bits"
                    )
            found.append((name, value))
        if found and self._pointer:
            raise ValueError(f"[{self.name}] template: got {template!r}, expected none for a pointer")
        return found

    def __call__(
        self,
        *,
        inputs: Sequence[Any],
        output_shapes: Sequence[Sequence[int]],
        output_dtypes: Sequence[Dtype],
        grid: Sequence[int],
        threadgroup: Sequence[int] | None = None,
        template: Template | None = None,
        init_value: float | None = None,
        verbose: bool = False,
        stream: Any = None,
    ) -> list[array]:
        """The outputs, one for each of their names."""
        for what, given, names in (
            ("inputs", inputs, self.input_names),
            ("output_shapes", output_shapes, self.output_names),
            ("output_dtypes", output_dtypes, self.output_names),
        ):
            if isinstance(given, (str, array)) or not hasattr(given, "__len__"):
                raise TypeError(
                    f"[{self.name}] {what}: got {type(given).__name__}, expected a list"
                )
            if len(given) != len(names):
                raise ValueError(f"[{self.name}] {what}: got {len(given)}, expected {len(names)}")
        arrays = [a if isinstance(a, array) else array(a) for a in inputs]
        sizes = _sizes(self.name, "grid", grid)
        if threadgroup is None:
            group = (1, 1, 1) if self._pointer else (max(1, min(sizes[0], 256)), 1, 1)
        else:
            group = _sizes(self.name, "threadgroup", threadgroup)
        if group[0] * group[1] * group[2] > self.language.most_threads:
            raise ValueError(
                f"[{self.name}] threadgroup: got {group}, expected {self.language.most_threads} threads "
                "or fewer"
            )
        units = 1
        for size, part in zip(sizes, group):
            units *= -(-size // part)
        if units >= 1 << 62:
            raise ValueError(f"[{self.name}] grid: got {sizes}, expected fewer threadgroups")
        for dtype in output_dtypes:
            if not isinstance(dtype, Dtype):
                raise TypeError(f"[{self.name}] output_dtypes: got {dtype!r}, expected dtypes")
        specs = [(a.dtype, a.ndim) for a in arrays]
        specs += [(t, len(tuple(s))) for t, s in zip(output_dtypes, output_shapes)]
        compiled = self._compiled(self._template(template), specs, verbose)

        def run(*given: array) -> Any:
            return compiled(
                list(given), (*sizes, *group), units, list(output_shapes), list(output_dtypes),
                self.dense, init_value, stream,
            )  # fmt: skip

        if self.vjp is None:
            return run(*arrays)
        custom = _core_custom(run)
        custom.vjp(self.vjp)
        return custom(*arrays)


def _core_custom(f: Callable[..., Any]) -> Any:
    from ._custom import custom_function

    return custom_function(f)


def cpu_kernel(
    name: str,
    input_names: Sequence[str],
    output_names: Sequence[str],
    source: Any,
    header: str = "",
    ensure_row_contiguous: bool = True,
    *,
    vjp: Callable[..., Any] | None = None,
) -> Kernel:
    """A kernel in C++, compiled by the system's compiler when it is first called, or a compiled
    function that is there.

    `source` is the body of a function that is called for each thread of a grid, on the threads of
    the pool: `input_names` and `output_names` are pointers in it, `thread_position_in_grid` (`.x`,
    `.y`, `.z`) its place; `x_shape`, `x_strides` and `x_ndim` belong to the operand `x`. `header`
    stands before the function. The call takes `inputs`, `output_shapes`, `output_dtypes`, `grid`,
    and optionally `threadgroup`, `template`, `init_value`, `verbose` and `stream`, and gives a list
    of arrays. See docs/custom-kernels.md, also for function pointers of Numba, ctypes and cffi as
    `source`.

    * `ensure_row_contiguous`: inputs are copied where they are not dense.
    * `vjp`: `vjp(primals, cotangents, outputs)`, as in `custom_function`.

    Raises RuntimeError where there is no compiler, or where it refuses the source.

    >>> twice = mx.fast.cpu_kernel(
    ...     "twice", ["x"], ["y"], "auto i = thread_position_in_grid.x; y[i] = 2 * x[i];"
    ... )
    >>> twice(
    ...     inputs=[mx.array([1.0, 2.0])], grid=(2, 1, 1),
    ...     output_shapes=[(2,)], output_dtypes=[mx.float32],
    ... )
    [array([2, 4], dtype=float32)]
    """
    return Kernel(
        "cpu_kernel", name, input_names, output_names, source, header, ensure_row_contiguous,
        Language(), vjp=vjp,
    )  # fmt: skip
