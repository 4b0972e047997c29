"""Metal's language as C++: what the words of a source become in front of _metal.h and
_metal_threads.h."""

from __future__ import annotations

import re

from ._core import Dtype
from ._kernels import Kernel, Language, mentions, names_of, read, type_name
from ._metal_whole import whole_kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence

_TOKEN = re.compile(
    r"""(?P<skip>//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\s+)
    |(?P<line>\#[^\n]*(?:\\\n[^\n]*)*)
    |(?P<number>0[xX][0-9a-fA-F]+[uUlL]*
        |(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?[a-zA-Z]*|\d+[eE][+-]?\d+[a-zA-Z]*|\d+[a-zA-Z]*)
    |(?P<word>[A-Za-z_]\w*)
    |(?P<sign>.)""",
    re.S | re.X,
)
_ELSEWHERE = re.compile(
    r"texture\w+|depth(?:2d|cube)\w*|sampler|simdgroup_matrix|simdgroup_(?:float|half|bfloat)\d\w*"
    r"|simdgroup_(?:load|store|multiply\w*)|make_filled_simdgroup_matrix|intersector|ray_data"
    r"|visible_function_table|intersection_function_table|imageblock|threadgroup_imageblock"
    r"|render_grid_size|mesh|object_data|raytracing|tensor_ops|simdgroup_async_copy\w*"
    r"|simdgroup_event|command_buffer|render_command|os_log\w*"
)
_TOGETHER = re.compile(r"\b(?:threadgroup_barrier|simdgroup_barrier|simd_\w+|quad_\w+)\s*[(<]")
_SWIZZLE = re.compile(r"\.\s*([xyzw]{2,4}|[rgba]{2,4})\b")
_SWIZZLES = re.compile(
    r"\.\s*([xyzw]{2,4}|[rgba]{2,4})\s*\.\s*([xyzw]{1,4}|[rgba]{1,4})\b(?!\s*\()"
)
_INDEX = "lz_i"
_GROUP = "lz_g.size[0] * lz_g.size[1] * lz_g.size[2]"
_ALL = "lz_sizes[3] * lz_sizes[4] * lz_sizes[5]"
_NUMBERS = {
    "thread_index_in_threadgroup": _INDEX,
    "thread_index_in_simdgroup": f"{_INDEX} % 32",
    "simdgroup_index_in_threadgroup": f"{_INDEX} / 32",
    "simdgroups_per_threadgroup": f"({_GROUP} + 31) / 32",
    "dispatch_simdgroups_per_threadgroup": f"({_ALL} + 31) / 32",
    "threads_per_simdgroup": "32",
    "thread_execution_width": "32",
    "thread_index_in_quadgroup": f"{_INDEX} % 4",
    "quadgroup_index_in_threadgroup": f"{_INDEX} / 4",
    "quadgroup_index_in_simdgroup": f"{_INDEX} % 32 / 4",
    "quadgroups_per_threadgroup": f"({_GROUP} + 3) / 4",
}
_PLACES = {
    "thread_position_in_grid": "lz_x, lz_y, lz_z",
    "thread_position_in_threadgroup": "lz_x - lz_g.first[0], lz_y - lz_g.first[1], lz_z - lz_g.first[2]",
    "threadgroup_position_in_grid": "lz_g.at[0], lz_g.at[1], lz_g.at[2]",
    "threads_per_grid": "lz_sizes[0], lz_sizes[1], lz_sizes[2]",
    "grid_size": "lz_sizes[0], lz_sizes[1], lz_sizes[2]",
    "grid_origin": "0, 0, 0",
    "threads_per_threadgroup": "lz_g.size[0], lz_g.size[1], lz_g.size[2]",
    "dispatch_threads_per_threadgroup": "lz_sizes[3], lz_sizes[4], lz_sizes[5]",
    "threadgroups_per_grid": ", ".join(
        f"(lz_sizes[{i}] + lz_sizes[{i + 3}] - 1) / lz_sizes[{i + 3}]" for i in range(3)
    ),
}


def _tokens(text: str) -> list[tuple[str, str]]:
    return [(m.lastgroup or "", m[0]) for m in _TOKEN.finditer(text)]


def _number(text: str) -> str:
    """Metal knows no float64: a literal with a point is a float; h and bf end those of 16 bits."""
    if text[:2] in ("0x", "0X") or not re.search(r"[.eE]", text) and not text.endswith(("h", "H")):
        return text
    for ending, kind in (("bf", "bfloat"), ("BF", "bfloat"), ("h", "half"), ("H", "half")):
        if text.endswith(ending):
            digits = text[: -len(ending)]
            return f"{kind}({digits if re.search('[.eE]', digits) else digits + '.0'}f)"
    return text if text[-1] in "fF" else text + "f"


def _joined(m: re.Match[str]) -> str:
    """v.wzyx.x is v.w."""
    places = [("xyzw" if m[2][0] in "xyzw" else "rgba").index(c) for c in m[2]]
    return "." + "".join(m[1][p] for p in places) if max(places) < len(m[1]) else m[0]


def _declares(tokens: Sequence[tuple[str, str]], at: int) -> bool:
    """Whether `threadgroup` at a statement's begin names memory, not what a pointer points to."""
    before = [t for t in tokens[:at] if t[0] != "skip" and t[1].strip()]
    if before and before[-1][0] != "line" and before[-1][1] not in ("{", "}", ";", ")", ":"):
        return False
    depth = 0
    for kind, text in tokens[at + 1 :]:
        depth += (text in "<(") - (text in ">)") if kind == "sign" else 0
        if depth == 0 and kind == "sign" and text in "*&":
            return False
        if depth < 0:
            return False
        if depth == 0 and kind == "sign" and text in ";[=,{":
            return True
    return False


class Metal(Language):
    """Metal: source in its own words, pointers into memory of the device, threadgroups."""

    most_threads = 1024
    shape, stride, count = "const int*", "const int64_t*", "const int"

    def prelude(self) -> str:
        return ""

    def translate(self, function: str, name: str, text: str, names: Sequence[str]) -> str:
        tokens = _tokens(_SWIZZLES.sub(_joined, text))
        own = {*names}
        out = []
        for at, (kind, word) in enumerate(tokens):
            if kind == "number":
                word = _number(word)
            elif kind == "line" and re.match(r"#\s*include\s*<(?:metal|simd)", word):
                word = ""
            elif kind == "word" and word not in own:
                if _ELSEWHERE.fullmatch(word):
                    raise RuntimeError(
                        f"[{function}] {name}: {word} has no form on the CPU: got a source with it, "
                        "expected buffers, threadgroup memory, barriers, simdgroup functions, atomics "
                        "and mathematics"
                    )
                if word in ("device", "thread"):
                    word = ""
                elif word == "constant":
                    near = [t[1] for t in tokens[max(0, at - 2) : at + 3]]
                    word = "" if "const" in near or "constexpr" in near else "const"
                elif word == "threadgroup":
                    word = "static thread_local" if _declares(tokens, at) else ""
            out.append(word)
        return "".join(out)

    def parameter(
        self, kernel: Kernel, name: str, at: int, spec: tuple[Dtype, int]
    ) -> tuple[str, str]:
        is_input, kind = at < len(kernel.input_names), type_name(spec[0])
        if not is_input:
            kind = f"atomic<{kind}>" if kernel.atomic_outputs else kind
            return f"{kind}* {name}", f"static_cast<metal::{kind}*>(lz_a{at})" if (
                kernel.atomic_outputs
            ) else f"static_cast<{kind}*>(lz_a{at})"
        value = f"static_cast<const {kind}*>(lz_a{at})"
        return (
            (f"const {kind}* {name}", value) if spec[1] else (f"const {kind}& {name}", f"*{value}")
        )

    def shape_value(self, at: int, ndim: int) -> str:
        return f"lazulite::Ints<{ndim}>(lz_s{at}).at"

    def words(self, kernel: Kernel) -> list[tuple[str, str]]:
        out = [
            (f"metal::uint3 {word}", f"metal::uint3({value})")
            for word, value in _PLACES.items()
            if mentions(kernel.source, word)
        ]
        return out + [
            (f"uint {word}", f"uint({value})")
            for word, value in _NUMBERS.items()
            if mentions(kernel.source, word)
        ]

    def frame(self, kernel: Kernel, header: str, signature: str, body: str, call: str) -> str:
        text = _SWIZZLES.sub(_joined, kernel.header + "\n" + kernel.source)
        together = "true" if _TOGETHER.search(text) else "false"
        swizzles = sorted(set(_SWIZZLE.findall(text)))
        macros = ""
        for n in (2, 3, 4):
            members = []
            for s in swizzles:
                places = [("xyzw" if s[0] in "xyzw" else "rgba").index(c) for c in s]
                if max(places) < n:
                    members.append(f"Swizzle<T, {3 if n == 3 else n}, {', '.join(map(str, places))}> {s};")
            macros += f"#define LAZULITE_SWIZZLES_{n} {' '.join(members)}\n"
        words = read("_metal.h") + read("_metal_threads.h")
        return f"""{read("_kernel.h")}{macros}{words}namespace metal {{
{header}
{signature} {body}
}}  // namespace metal
extern "C" void lazulite_kernel(void* const* lz_arrays, const int64_t* const* lz_shapes,
                                const int64_t* const* lz_strides, const int64_t* lz_sizes,
                                int64_t lz_begin, int64_t lz_end) {{
  using namespace metal;
{self.operands(kernel)}
  lazulite::each_group<uint32_t>(lz_sizes, lz_begin, lz_end, [=](const lazulite::Group<uint32_t> lz_g) {{
    lazulite::each_thread<{together}>(lz_g, [=](uint32_t lz_x, uint32_t lz_y, uint32_t lz_z, uint32_t lz_i) {{
      metal::{call}
    }});
  }});
}}
"""


def metal_kernel(
    name: str,
    input_names: Sequence[str],
    output_names: Sequence[str],
    source: str,
    header: str = "",
    ensure_row_contiguous: bool = True,
    atomic_outputs: bool = False,
    compile_options: Any = None,
) -> Kernel:
    """A kernel in Metal's language, run on the CPU: compiled as C++ behind a header that has
    Metal's words, so that it can be tested where there is no Metal (`mx.metal.is_available()` stays
    False).

    The parameters and the call are those of the reference; see docs/custom-kernels.md for what a
    source can use. The source may be a whole kernel, too, whose buffers are the inputs and then the
    outputs: `kernel void f(device const float* a [[buffer(0)]], ..., uint i
    [[thread_position_in_grid]]) { ... }`. `compile_options` changes nothing.

    Raises RuntimeError when it is called: where there is no C++ compiler, where it refuses the
    source, and for words that have no form on the CPU (textures, matrices of simdgroups).

    >>> kernel = mx.fast.metal_kernel(
    ...     "myexp", ["inp"], ["out"],
    ...     "uint elem = thread_position_in_grid.x; out[elem] = metal::exp(T(inp[elem]));",
    ... )
    >>> kernel(
    ...     inputs=[mx.array([0.0, 1.0])], template=[("T", mx.float32)], grid=(2, 1, 1),
    ...     threadgroup=(2, 1, 1), output_shapes=[(2,)], output_dtypes=[mx.float32],
    ... )
    [array([1, 2.71828], dtype=float32)]
    """
    if not isinstance(source, str):
        raise TypeError(f"[metal_kernel] source: got {type(source).__name__}, expected text")
    if isinstance(header, str):
        names = names_of("metal_kernel", "input_names", input_names)
        names = names + names_of("metal_kernel", "output_names", output_names)
        source, header = whole_kernel(name, source, header, names)
    return Kernel(
        "metal_kernel", name, input_names, output_names, source, header, ensure_row_contiguous,
        Metal(), atomic_outputs,
    )  # fmt: skip
