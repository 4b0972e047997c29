"""Where elements of a sequence stand, told to a network."""

from __future__ import annotations

import math
from typing import Optional, Union

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.nn.module import Module

__all__ = ["ALiBi", "RoPE", "SinusoidalPositionalEncoding"]


class RoPE(Module):
    r"""Rotary positions (Su et al., 2021): pairs of numbers turned by angles that grow with the
    place.

    Pair i of the element at place t is turned by
    :math:`(t + \text{offset}) \cdot \text{scale} \cdot \text{base}^{-2i/\text{dims}}`, so that
    products of queries and keys depend on how far they stand apart. Shape ``(B, ..., T, D)`` and
    dtype stay.

    Args:
        dims: how many numbers, the first ones, are turned; even. The others stay.
        traditional: pairs are neighbours; else a number of the first half of ``dims`` and one of
            the second.
        base: of the angles' frequencies.
        scale: of places.

    Raises:
        ValueError: ``dims`` is odd, or more than the last axis has.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> x = mx.random.normal((1, 4, 8))
        >>> rope = nn.RoPE(8)
        >>> bool(mx.allclose(rope(x)[:, 2:], rope(x[:, 2:], offset=2), atol=1e-5))
        True
    """

    @checked
    def __init__(
        self, dims: int, traditional: bool = False, base: float = 10000, scale: float = 1.0
    ) -> None:
        super().__init__()
        self.dims = dims
        self.traditional = traditional
        self.base = base
        self.scale = scale

    def _extra_repr(self) -> str:
        return f"{self.dims}, traditional={self.traditional}"

    def __call__(self, x: mx.array, offset: Union[int, mx.array] = 0) -> mx.array:
        return mx.fast.rope(
            x,
            self.dims,
            traditional=self.traditional,
            base=self.base,
            scale=self.scale,
            offset=offset,
        )


class SinusoidalPositionalEncoding(Module):
    r"""Sines and cosines of places (Vaswani et al., 2017), with frequencies from ``max_freq`` down
    to ``min_freq`` in equal steps of their logarithms.

    Takes places of any shape ``(...)`` and gives ``(..., dims)``.

    Args:
        dims: the size of the last axis: half sines, half cosines; even.
        min_freq: the smallest frequency.
        max_freq: the largest one.
        scale: a factor; without one :math:`\sqrt{2 / \text{dims}}`, which makes vectors of
            length 1.
        cos_first: cosines in front of sines.
        full_turns: frequencies count turns, not radians.

    Raises:
        ValueError: ``dims`` is not even and positive.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.SinusoidalPositionalEncoding(4, scale=1.0)(mx.array([0.0])).tolist()
        [[0.0, 0.0, 1.0, 1.0]]
    """

    @checked
    def __init__(
        self,
        dims: int,
        min_freq: float = 0.0001,
        max_freq: float = 1,
        scale: Optional[float] = None,
        cos_first: bool = False,
        full_turns: bool = False,
    ) -> None:
        super().__init__()
        if dims < 2 or dims % 2:
            raise ValueError(
                f"[SinusoidalPositionalEncoding] dims: got {dims}, expected a positive even number"
            )
        down = 1 - mx.arange(0, dims // 2) / max(dims // 2 - 1, 1)
        low, high = math.log(min_freq), math.log(max_freq)
        frequencies = mx.exp(down * (high - low) + low)
        self._sigmas = frequencies * (2 * math.pi) if full_turns else frequencies
        self.scale = scale or math.sqrt(2 / dims)
        self.cos_first = cos_first

    def _extra_repr(self) -> str:
        return f"{2 * self._sigmas.size}"

    def __call__(self, x: mx.array) -> mx.array:
        angles = mx.expand_dims(x, -1) * self._sigmas
        parts = [mx.sin(angles), mx.cos(angles)]
        return mx.concatenate(parts[::-1] if self.cos_first else parts, axis=-1) * self.scale


class ALiBi(Module):
    r"""Attention with linear biases (Press et al., 2022): a score loses in proportion to how far
    query and key stand apart, with a slope for each head.

    Takes scores ``(B, heads, queries, keys)``; their shape and dtype stay.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.ALiBi()(mx.zeros((1, 1, 2, 2)))[0, 0].tolist()
        [[0.0, -0.00390625], [-0.00390625, 0.0]]
    """

    @staticmethod
    def create_alibi_slope(num_heads: int, dtype: mx.Dtype = mx.float32) -> mx.array:
        r"""The slopes of heads, ``(num_heads, 1, 1)``: head h has :math:`2^{-8 h / n}` from h = 1.

        Example:
            >>> import lazulite.nn as nn
            >>> nn.ALiBi.create_alibi_slope(2).flatten().tolist()
            [0.0625, 0.00390625]
        """
        heads = mx.arange(1, num_heads + 1).astype(mx.float32)
        return mx.power(2.0, heads * (-8 / max(num_heads, 1))).reshape(-1, 1, 1).astype(dtype)

    @staticmethod
    def create_alibi_matrix(
        q_sequence_length: int,
        k_sequence_length: int,
        num_heads: int,
        offset: int = 0,
        dtype: mx.Dtype = mx.float32,
    ) -> mx.array:
        """What is added to scores: ``(1, num_heads, q_sequence_length - offset,
        k_sequence_length)``, for queries that stand at places from ``offset`` on.

        Example:
            >>> import lazulite.nn as nn
            >>> nn.ALiBi.create_alibi_matrix(3, 3, 2, offset=2).shape
            (1, 2, 1, 3)
        """
        queries, keys = mx.arange(offset, q_sequence_length), mx.arange(0, k_sequence_length)
        apart = mx.abs(queries[:, None] - keys).astype(mx.float32)
        return (-apart * ALiBi.create_alibi_slope(num_heads))[None].astype(dtype)

    def __call__(
        self, attention_scores: mx.array, offset: int = 0, mask: Optional[mx.array] = None
    ) -> mx.array:
        _, heads, queries, keys = attention_scores.shape
        bias = self.create_alibi_matrix(
            queries + offset, keys, heads, offset, attention_scores.dtype
        )
        return attention_scores + (bias if mask is None else bias + mask)
