"""Dropout (Srivastava et al., 2014): noise in training, nothing in inference."""

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.nn.module import Module

__all__ = ["Dropout", "Dropout2d", "Dropout3d"]


class Dropout(Module):
    r"""In training, sets each element to zero with probability ``p`` and scales the others.

    :math:`y = x m / (1 - p)` with :math:`m` drawn from Bernoulli(:math:`1 - p`), so that the
    expected value of ``y`` is ``x``. In inference returns ``x``. Any shape.

    Args:
        p: the probability, in [0, 1).

    Raises:
        ValueError: ``p`` is outside of [0, 1).

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> layer = nn.Dropout(0.5)
        >>> set(layer(mx.ones((64,))).tolist()) <= {0.0, 2.0}
        True
        >>> layer.eval()(mx.ones((3,)))
        array([1, 1, 1], dtype=float32)
    """

    @checked
    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"[{type(self).__name__}] bad probability: got {p}, expected [0, 1)")
        self.p = p

    def _extra_repr(self) -> str:
        return f"p={self.p}"

    def _mask_shape(self, x: mx.array) -> tuple[int, ...]:
        """The shape of what is drawn; its axes of size 1 are dropped or kept together."""
        return x.shape

    def __call__(self, x: mx.array) -> mx.array:
        shape = self._mask_shape(x)
        if not self.training or self.p == 0:
            return x
        keep = 1 - self.p
        return mx.where(mx.random.bernoulli(keep, shape), x * (1 / keep), 0)


class Dropout2d(Dropout):
    """Dropout of whole channels of images: ``(N, H, W, C)`` or ``(H, W, C)``.

    Neighbouring pixels are alike, so that dropping single ones would hardly hide anything.

    Args:
        p: the probability with which a channel of an image is set to zero, in [0, 1).

    Raises:
        ValueError: ``p`` is outside of [0, 1), or the input has other than 3 or 4 axes.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> channels = nn.Dropout2d(0.5)(mx.ones((4, 5, 5, 8))).mean(axis=(1, 2))
        >>> set(channels.flatten().tolist()) <= {0.0, 2.0}
        True
    """

    spatial_axes = 2

    def _mask_shape(self, x: mx.array) -> tuple[int, ...]:
        axes = self.spatial_axes
        if x.ndim not in (axes + 1, axes + 2):
            raise ValueError(
                f"[{type(self).__name__}] bad number of axes: "
                f"got {x.ndim}, expected {axes + 1} or {axes + 2}"
            )
        return (*x.shape[: -axes - 1], *[1] * axes, x.shape[-1])


class Dropout3d(Dropout2d):
    """Dropout of whole channels of volumes: ``(N, D, H, W, C)`` or ``(D, H, W, C)``.

    Args:
        p: the probability with which a channel of a volume is set to zero, in [0, 1).

    Raises:
        ValueError: ``p`` is outside of [0, 1), or the input has other than 4 or 5 axes.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> channels = nn.Dropout3d(0.5)(mx.ones((2, 3, 3, 3, 8))).max(axis=(1, 2, 3))
        >>> set(channels.flatten().tolist()) <= {0.0, 2.0}
        True
    """

    spatial_axes = 3
