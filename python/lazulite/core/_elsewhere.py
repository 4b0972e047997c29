"""Names of core.fast that are made on first use: kernels that programs bring along, and those of
devices that are not here, which say so when they are called."""

from __future__ import annotations

from ._kernels import cpu_kernel  # noqa: F401
from ._metal import metal_kernel  # noqa: F401

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, Sequence


def _refuse(function: str, device: str) -> NoReturn:
    raise RuntimeError(
        f"[{function}] no {device} back end: got a call on a machine of CPUs, expected "
        f"mx.{device.lower()}.is_available() to be asked before"
    )


def cuda_kernel(
    name: str,
    input_names: Sequence[str],
    output_names: Sequence[str],
    source: str,
    header: str = "",
    ensure_row_contiguous: bool = True,
    shared_memory: int = 0,
) -> NoReturn:
    """A kernel in CUDA's language: RuntimeError, since there is no CUDA back end.

    >>> try:
    ...     mx.fast.cuda_kernel("f", ["x"], ["y"], "")
    ... except RuntimeError as error:
    ...     print(str(error)[:33])
    [cuda_kernel] no CUDA back end: g
    """
    _refuse("cuda_kernel", "CUDA")


def precompiled_cuda_kernel(
    *,
    name: str,
    compiled_source: bytes,
    inputs: Sequence[Any],
    output_shapes: Sequence[Sequence[int]],
    output_dtypes: Sequence[Any],
    scalars: Sequence[Any],
    grid: tuple[int, int, int],
    threadgroup: tuple[int, int, int],
    shared_memory: int = 0,
    init_value: float | None = None,
    ensure_row_contiguous: bool = False,
    stream: Any = None,
) -> NoReturn:
    """A CUDA kernel that was compiled before: RuntimeError, since there is no CUDA back end.

    >>> try:
    ...     mx.fast.precompiled_cuda_kernel(
    ...         name="f", compiled_source=b"", inputs=[], output_shapes=[], output_dtypes=[],
    ...         scalars=[], grid=(1, 1, 1), threadgroup=(1, 1, 1),
    ...     )
    ... except RuntimeError as error:
    ...     print(str(error)[:43])
    [precompiled_cuda_kernel] no CUDA back end:
    """
    _refuse("precompiled_cuda_kernel", "CUDA")
