"""The Transformer (Vaswani et al., 2017): an encoder, a decoder, and both."""

from __future__ import annotations

from typing import Any, Callable, Optional, Union

import lazulite.core as mx
from lazulite._arguments import checked
from lazulite.nn.layers.activations import relu
from lazulite.nn.layers.attention import MultiHeadAttention
from lazulite.nn.layers.dropout import Dropout
from lazulite.nn.layers.linear import Linear
from lazulite.nn.layers.normalization import LayerNorm
from lazulite.nn.module import Module

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]

Mask = Optional[Union[str, mx.array]]


class TransformerEncoderLayer(Module):
    """Attention of a sequence to itself, then two linear maps with an activation between them, each
    beside a way around it.

    Takes ``(B, L, dims)`` and a mask as :class:`MultiHeadAttention` does, or None, and gives
    ``(B, L, dims)``. The layers: ``attention``, ``ln1``, ``ln2``, ``linear1``, ``linear2``,
    ``dropout1``, ``dropout2``.

    Args:
        dims: the last axis.
        num_heads: of the attention.
        mlp_dims: between the linear maps; else four times ``dims``.
        dropout: the probability, of what attention gives and of what the activation gives.
        activation: a function of an array.
        norm_first: layers are normalized where they begin; else where they end.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.TransformerEncoderLayer(8, 2)(mx.zeros((2, 5, 8)), "causal").shape
        (2, 5, 8)
    """

    @checked
    def __init__(
        self,
        dims: int,
        num_heads: int,
        mlp_dims: Optional[int] = None,
        dropout: float = 0.0,
        activation: Callable[[Any], Any] = relu,
        norm_first: bool = True,
    ) -> None:
        super().__init__()
        mlp_dims = mlp_dims or 4 * dims
        self.attention = MultiHeadAttention(dims, num_heads)
        self.ln1 = LayerNorm(dims)
        self.ln2 = LayerNorm(dims)
        self.linear1 = Linear(dims, mlp_dims)
        self.linear2 = Linear(mlp_dims, dims)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.activation = activation
        self.norm_first = norm_first

    def _attended(self, x: mx.array, mask: Mask) -> mx.array:
        return self.dropout1(self.attention(x, x, x, mask))

    def _mapped(self, x: mx.array) -> mx.array:
        return self.linear2(self.dropout2(self.activation(self.linear1(x))))

    def __call__(self, x: mx.array, mask: Mask = None) -> mx.array:
        if self.norm_first:
            x = x + self._attended(self.ln1(x), mask)
            return x + self._mapped(self.ln2(x))
        x = self.ln1(x + self._attended(x, mask))
        return self.ln2(x + self._mapped(x))


class _Stack(Module):
    """Layers one after another, and a norm."""

    _layer: Any  # which

    @checked
    def __init__(
        self,
        num_layers: int,
        dims: int,
        num_heads: int,
        mlp_dims: Optional[int] = None,
        dropout: float = 0.0,
        activation: Callable[[Any], Any] = relu,
        norm_first: bool = True,
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        self.layers = [
            self._layer(dims, num_heads, mlp_dims, dropout, activation, norm_first)
            for _ in range(num_layers)
        ]
        self.ln = LayerNorm(dims)
        self.checkpoint = checkpoint

    def _through(self, x: mx.array, *others: Any) -> mx.array:
        for layer in self.layers:

            def step(x: mx.array, layer: Any = layer) -> mx.array:
                y: mx.array = layer(x, *others)
                return y

            x = mx.checkpoint(step)(x) if self.checkpoint else step(x)
        return self.ln(x)


class TransformerEncoder(_Stack):
    """Layers of :class:`TransformerEncoderLayer`, in the list ``layers``, and a norm, ``ln``.

    Args:
        num_layers: how many.
        dims, num_heads, mlp_dims, dropout, activation, norm_first: of each layer.
        checkpoint: on the way back a layer is computed again, instead of kept
            (:func:`mx.checkpoint`).

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.TransformerEncoder(2, 8, 2)(mx.zeros((2, 5, 8)), None).shape
        (2, 5, 8)
    """

    _layer = TransformerEncoderLayer

    def __call__(self, x: mx.array, mask: Mask = None) -> mx.array:
        return self._through(x, mask)


class TransformerDecoderLayer(Module):
    """Attention of a sequence to itself, then to a memory, then two linear maps with an activation
    between them, each beside a way around it.

    Takes ``(B, L, dims)``, a memory ``(B, S, dims)`` and a mask for either, as
    :class:`MultiHeadAttention` does, or None, and gives ``(B, L, dims)``. The layers:
    ``self_attention``, ``cross_attention``, ``ln1`` to ``ln3``, ``linear1``, ``linear2``,
    ``dropout1`` to ``dropout3``.

    Args:
        dims: the last axis.
        num_heads: of both attentions.
        mlp_dims: between the linear maps; else four times ``dims``.
        dropout: the probability, of what attentions give and of what the activation gives.
        activation: a function of an array.
        norm_first: layers are normalized where they begin; else where they end.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> layer = nn.TransformerDecoderLayer(8, 2)
        >>> layer(mx.zeros((2, 5, 8)), mx.zeros((2, 3, 8)), "causal", None).shape
        (2, 5, 8)
    """

    @checked
    def __init__(
        self,
        dims: int,
        num_heads: int,
        mlp_dims: Optional[int] = None,
        dropout: float = 0.0,
        activation: Callable[[Any], Any] = relu,
        norm_first: bool = True,
    ) -> None:
        super().__init__()
        mlp_dims = mlp_dims or 4 * dims
        self.self_attention = MultiHeadAttention(dims, num_heads)
        self.cross_attention = MultiHeadAttention(dims, num_heads)
        self.ln1 = LayerNorm(dims)
        self.ln2 = LayerNorm(dims)
        self.ln3 = LayerNorm(dims)
        self.linear1 = Linear(dims, mlp_dims)
        self.linear2 = Linear(mlp_dims, dims)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.dropout3 = Dropout(dropout)
        self.activation = activation
        self.norm_first = norm_first

    def _attended(self, x: mx.array, mask: Mask) -> mx.array:
        return self.dropout1(self.self_attention(x, x, x, mask))

    def _crossed(self, x: mx.array, memory: mx.array, mask: Mask) -> mx.array:
        return self.dropout2(self.cross_attention(x, memory, memory, mask))

    def _mapped(self, x: mx.array) -> mx.array:
        return self.linear2(self.dropout3(self.activation(self.linear1(x))))

    def __call__(
        self, x: mx.array, memory: mx.array, x_mask: Mask = None, memory_mask: Mask = None
    ) -> mx.array:
        if self.norm_first:
            x = x + self._attended(self.ln1(x), x_mask)
            x = x + self._crossed(self.ln2(x), memory, memory_mask)
            return x + self._mapped(self.ln3(x))
        x = self.ln1(x + self._attended(x, x_mask))
        x = self.ln2(x + self._crossed(x, memory, memory_mask))
        return self.ln3(x + self._mapped(x))


class TransformerDecoder(_Stack):
    """Layers of :class:`TransformerDecoderLayer`, in the list ``layers``, and a norm, ``ln``.

    Args:
        num_layers: how many.
        dims, num_heads, mlp_dims, dropout, activation, norm_first: of each layer.
        checkpoint: on the way back a layer is computed again, instead of kept
            (:func:`mx.checkpoint`).

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> decoder = nn.TransformerDecoder(2, 8, 2)
        >>> decoder(mx.zeros((2, 5, 8)), mx.zeros((2, 3, 8)), "causal", None).shape
        (2, 5, 8)
    """

    _layer = TransformerDecoderLayer

    def __call__(
        self, x: mx.array, memory: mx.array, x_mask: Mask = None, memory_mask: Mask = None
    ) -> mx.array:
        return self._through(x, memory, x_mask, memory_mask)


class Transformer(Module):
    """An ``encoder`` of one sequence and a ``decoder`` of another, which sees what the first one
    gave.

    Takes a source ``(B, S, dims)``, a target ``(B, L, dims)`` and three masks, as
    :class:`MultiHeadAttention` does, or None: of the source, of the target, and of what the target
    sees of the encoded source. Gives ``(B, L, dims)``.

    Args:
        dims, num_heads, mlp_dims, dropout, activation, norm_first: of each layer.
        num_encoder_layers: of the encoder.
        num_decoder_layers: of the decoder.
        custom_encoder: stands in for the encoder; called with the source and its mask.
        custom_decoder: stands in for the decoder; called as :class:`TransformerDecoder`.
        checkpoint: on the way back a layer is computed again, instead of kept.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> model = nn.Transformer(8, 2, 1, 1)
        >>> model(mx.zeros((2, 5, 8)), mx.zeros((2, 3, 8)), None, "causal", None).shape
        (2, 3, 8)
    """

    @checked
    def __init__(
        self,
        dims: int = 512,
        num_heads: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        mlp_dims: Optional[int] = None,
        dropout: float = 0.0,
        activation: Callable[[Any], Any] = relu,
        custom_encoder: Optional[Callable[..., Any]] = None,
        custom_decoder: Optional[Callable[..., Any]] = None,
        norm_first: bool = True,
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        options = (dims, num_heads, mlp_dims, dropout, activation, norm_first, checkpoint)
        if custom_encoder is None:
            custom_encoder = TransformerEncoder(num_encoder_layers, *options)
        if custom_decoder is None:
            custom_decoder = TransformerDecoder(num_decoder_layers, *options)
        self.encoder = custom_encoder
        self.decoder = custom_decoder

    def __call__(
        self,
        src: mx.array,
        tgt: mx.array,
        src_mask: Mask = None,
        tgt_mask: Mask = None,
        memory_mask: Mask = None,
    ) -> mx.array:
        return self.decoder(tgt, self.encoder(src, src_mask), tgt_mask, memory_mask)
