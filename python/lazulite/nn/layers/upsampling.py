"""Arrays made larger, or smaller, along the axes between batch and channels."""

import math
from typing import Any, Literal, Sequence, Union

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.nn.module import Module

__all__ = ["Upsample"]


class Upsample(Module):
    """Every axis between the first and the last made ``scale_factor`` times as long.

    An input ``(batch, 1 to 3 axes or more, channels)``; an axis of n elements becomes one of
    ``int(n * scale_factor)``. ``nearest`` repeats elements, ``linear`` weighs the two around a
    place (bilinear over two axes, trilinear over three), ``cubic`` the four around it (Keys, 1981,
    a = -0.75). With ``align_corners`` the first and the last elements keep their places, otherwise
    the centres of both arrays lie on each other. With ``antialias`` an axis that is made shorter is
    weighed over all elements that a new one stands for (and cubic weights have a = -0.5).

    Args:
        scale_factor: a number for all axes, or one for each.
        mode: "nearest", "linear" or "cubic".
        align_corners: of "linear" and "cubic": whether the ends keep their places.
        antialias: of "linear" and "cubic", not with ``align_corners``: see above.

    Raises:
        ValueError: for another mode or factors that are not positive; called, for another number of
            axes.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.Upsample(2, mode="linear")(mx.array([[[1.0], [3]]])).squeeze()
        array([1, 1.5, 2.5, 3], dtype=float32)
    """

    @checked
    def __init__(
        self,
        scale_factor: Union[float, Sequence[float]],
        mode: Literal["nearest", "linear", "cubic"] = "nearest",
        align_corners: bool = False,
        antialias: bool = False,
    ) -> None:
        super().__init__()
        if antialias and (mode == "nearest" or align_corners):
            raise ValueError(
                "[Upsample] antialias: got True, expected False for mode='nearest' and for "
                "align_corners=True"
            )
        several = not isinstance(scale_factor, (int, float))
        given: Any = scale_factor if several else (scale_factor,)
        factors = tuple(map(float, given))
        if not factors or not all(0 < f < math.inf for f in factors):
            raise ValueError(
                f"[Upsample] scale_factor: got {scale_factor}, expected positive numbers"
            )
        self._scale_factor = factors if several else factors[0]
        self._mode, self._align_corners, self._antialias = mode, align_corners, antialias

    @property
    def scale_factor(self) -> Any:
        return self._scale_factor

    def _extra_repr(self) -> str:
        text = (
            f"scale_factor={self._scale_factor}, mode={self._mode!r}, "
            f"align_corners={self._align_corners}"
        )
        return text + ", antialias=True" if self._antialias else text

    def __call__(self, x: mx.array) -> mx.array:
        axes = x.ndim - 2
        factors = self._scale_factor
        factors = factors if isinstance(factors, tuple) else (factors,) * max(axes, 0)
        if axes < 1 or len(factors) != axes:
            raise ValueError(
                f"[Upsample] got an input of shape {x.shape}, expected (batch, "
                + (f"{len(factors)} axes" if isinstance(self._scale_factor, tuple) else "axes")
                + ", channels)"
            )
        chosen = self._mode == "nearest" and not mx.issubdtype(x.dtype, mx.floating)
        sizes = [int(f * n) for f, n in zip(factors, x.shape[1:-1])]
        if not chosen and all(f * n == m for f, n, m in zip(factors, x.shape[1:-1], sizes)):
            options = (self._mode, self._align_corners, self._antialias)
            return mx.fast.resample(x, sizes, list(range(1, axes + 1)), *options)
        for axis in range(axes, 0, -1):  # short rows first, while there are few of them
            factor = factors[axis - 1]
            size = sizes[axis - 1]
            if chosen:  # other dtypes stay what they are
                places = mx.arange(x.shape[axis], dtype=mx.float64)
                index = mx.fast.resample(places, size, 0, "nearest").astype(mx.int64)
                x = mx.take(x, index, axis=axis)
                continue
            x = mx.fast.resample(
                x, size, axis, self._mode, self._align_corners, self._antialias, factor
            )
        return x
