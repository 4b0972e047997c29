"""Attention of many heads, and the keys and values that it has met."""

from __future__ import annotations

import math
from typing import Any, Optional, Union

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.nn.layers.linear import Linear
from lazulite.nn.module import Module

__all__ = ["KVCache", "MultiHeadAttention"]


class KVCache:
    """Keys and values of what was generated so far, in memory that is written in place and grows
    by ``step`` places.

    Args:
        step: how many places are added when there is no room.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> cache = nn.KVCache()
        >>> x = mx.ones((1, 2, 3, 4))
        >>> cache.update_and_fetch(x, x)[0].shape
        (1, 2, 3, 4)
        >>> cache.update_and_fetch(x[:, :, :1], x[:, :, :1])[0].shape, cache.offset
        ((1, 2, 4, 4), 4)
    """

    @checked
    def __init__(self, step: int = 256) -> None:
        if step < 1:
            raise ValueError(f"[KVCache] step: got {step}, expected 1 or more")
        self.step = step
        self.offset = 0
        self.keys: Optional[mx.array] = None
        self.values: Optional[mx.array] = None

    def _with_room(self, kept: Optional[mx.array], new: mx.array) -> mx.array:
        wanted = self.offset + new.shape[2]
        if kept is not None and kept.shape[2] >= wanted:
            return kept
        room = -(-wanted // self.step) * self.step - self.offset
        more = mx.zeros((*new.shape[:2], room, new.shape[3]), new.dtype)
        return more if kept is None else mx.concatenate([kept[:, :, : self.offset], more], axis=2)

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        """Adds keys and values, ``(B, heads, places, D)``, and gives all that there are."""
        self.keys = self._with_room(self.keys, keys)
        self.values = self._with_room(self.values, values)
        end = self.offset + keys.shape[2]
        self.keys[:, :, self.offset : end] = keys
        self.values[:, :, self.offset : end] = values
        self.offset = end
        return self.keys[:, :, :end], self.values[:, :, :end]


class MultiHeadAttention(Module):
    r"""Attention of many heads (Vaswani et al., 2017):
    :math:`\text{softmax}(Q K^\top / \sqrt{d}) V` of each head, of linear maps of queries, keys and
    values; a linear map of all heads follows.

    Takes queries ``(B, L, query_input_dims)``, keys ``(B, S, key_input_dims)`` and values
    ``(B, S, value_input_dims)`` and gives ``(B, L, value_output_dims)``. ``query_proj``,
    ``key_proj``, ``value_proj`` and ``out_proj`` are :class:`Linear`. No array of all scores is
    made (:func:`mx.fast.scaled_dot_product_attention`).

    Called with ``mask``: ``"causal"``, or an array that broadcasts to ``(B, heads, L, S)``, added
    to scores, or of bools, True where a key counts; and with ``cache``: what has
    ``update_and_fetch(keys, values)``, as :class:`KVCache`, whose keys stand in front of these.

    Args:
        dims: of queries and keys of all heads together.
        num_heads: how many heads; it divides ``dims`` and ``value_dims``.
        query_input_dims: the last axis of queries; else ``dims``.
        key_input_dims: the last axis of keys; else ``dims``.
        value_input_dims: the last axis of values; else ``key_input_dims``.
        value_dims: of values of all heads together; else ``dims``.
        value_output_dims: the last axis of the result; else ``dims``.
        bias: whether the linear maps have one.

    Raises:
        ValueError: ``num_heads`` does not divide ``dims`` or ``value_dims``.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> x = mx.zeros((2, 5, 8))
        >>> nn.MultiHeadAttention(8, 2)(x, x, x, mask="causal").shape
        (2, 5, 8)
    """

    @checked
    def __init__(
        self,
        dims: int,
        num_heads: int,
        query_input_dims: Optional[int] = None,
        key_input_dims: Optional[int] = None,
        value_input_dims: Optional[int] = None,
        value_dims: Optional[int] = None,
        value_output_dims: Optional[int] = None,
        bias: bool = False,
    ) -> None:
        super().__init__()
        value_dims = value_dims or dims
        key_input_dims = key_input_dims or dims
        for name, size in (("dims", dims), ("value_dims", value_dims)):
            if num_heads < 1 or size % num_heads:
                raise ValueError(
                    f"[MultiHeadAttention] heads do not divide {name}: "
                    f"got {num_heads} heads of {size}, expected a divisor"
                )
        self.num_heads = num_heads
        self.query_proj = Linear(query_input_dims or dims, dims, bias=bias)
        self.key_proj = Linear(key_input_dims, dims, bias=bias)
        self.value_proj = Linear(value_input_dims or key_input_dims, value_dims, bias=bias)
        self.out_proj = Linear(value_dims, value_output_dims or dims, bias=bias)

    def _heads(self, x: mx.array) -> mx.array:
        size = x.shape[2] // self.num_heads  # not -1, which an empty batch leaves open
        return x.reshape(*x.shape[:2], self.num_heads, size).transpose(0, 2, 1, 3)

    def __call__(
        self,
        queries: mx.array,
        keys: mx.array,
        values: mx.array,
        mask: Optional[Union[str, mx.array]] = None,
        *,
        cache: Any = None,
    ) -> mx.array:
        q = self._heads(self.query_proj(queries))
        k, v = self._heads(self.key_proj(keys)), self._heads(self.value_proj(values))
        if cache is not None:
            k, v = cache.update_and_fetch(k, v)
        scale = 1 / math.sqrt(max(q.shape[-1], 1))
        y = mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=mask)
        return self.out_proj(y.transpose(0, 2, 1, 3).flatten(-2))

    @staticmethod
    def create_additive_causal_mask(N: int, dtype: mx.Dtype = mx.float32) -> mx.array:
        """A mask ``(N, N)`` to add to scores: 0 for keys up to a query's own place, and behind it
        the lowest number of the dtype. ``mask="causal"`` hides the same keys without an array.

        Example:
            >>> import lazulite.nn as nn
            >>> (nn.MultiHeadAttention.create_additive_causal_mask(2) < 0).tolist()
            [[False, True], [False, False]]
        """
        places = mx.arange(N)
        behind = places[:, None] < places
        return behind.astype(dtype) * mx.finfo(dtype).min
