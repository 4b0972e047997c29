"""Training with numbers as their codes will give them, and what is made of it afterwards."""

from __future__ import annotations

import copy
from typing import Any, Optional

import lazulite.core as mx
from lazulite.nn.layers.convolution import _Convolution
from lazulite.nn.layers.embedding import Embedding
from lazulite.nn.layers.quantized import QuantizedEmbedding, QuantizedLinear
from lazulite.nn.module import Module
from lazulite.nn.quantization.calibration import copied, exchanged, kind_of, ranges_of
from lazulite.nn.quantization.convolution import QuantizedConv
from lazulite.nn.quantization.linear import Int8Linear
from lazulite.nn.quantization.packed import group_for
from lazulite.nn.quantization.rounding import (
    FakeRounding,
    channel_scales,
    fake_channels,
    fake_packed,
)
from lazulite.nn.quantization.settings import Settings
from lazulite.utils import tree_map_with_path

__all__ = ["FakeQuantizedConv", "FakeQuantizedEmbedding", "FakeQuantizedLinear", "convert"]


def fake_quantized(model: Module, settings: Settings) -> Module:
    """Exchanges the layers of a model for those of training."""
    known = settings.rounded_bits is not None and settings.calibration_data is not None
    ranges = ranges_of(model, settings) if known else {}

    def make(path: str, layer: Any) -> Optional[Module]:
        bits, width = settings.weight_bits, layer.weight.shape[-1]
        group_size = group_for(width, settings.group_size)
        if kind_of(layer) is Embedding:
            return FakeQuantizedEmbedding(layer, bits, group_size) if group_size else None
        rounding = None
        if settings.rounded_bits is not None:
            rounding = FakeRounding(settings.rounded_bits, *ranges.get(path, ()))
        if kind_of(layer) is _Convolution:
            return FakeQuantizedConv(layer, bits, rounding)
        return FakeQuantizedLinear(layer, bits, rounding, None if rounding else group_size)

    return exchanged(model, settings, make)


class _Fake(Module):
    """What layers in training for quantization share: :meth:`converted` makes the final one."""

    bits: int

    def _add_rounding(self, rounding: Optional[FakeRounding]) -> None:
        if rounding is not None:
            self.rounding = rounding

    def _rounded(self, x: mx.array) -> mx.array:
        return self.rounding(x) if "rounding" in self else x

    def _found(self) -> Any:
        return self.rounding.found() if "rounding" in self else None

    def _extra_repr(self) -> str:
        return f"bits={self.bits}"

    def unfreeze(self, *args: Any, **kwargs: Any) -> Any:
        """Scales stay what they are, unless they are named."""
        super().unfreeze(*args, **kwargs)
        return self if kwargs.get("keys") else self.freeze(recurse=False, keys="scales")

    def converted(self) -> Module:
        """The layer with codes, which gives what this one gives in inference."""
        raise NotImplementedError


class FakeQuantizedLinear(_Fake):
    r"""A :class:`Linear` in training for quantization: :math:`y = \hat x \hat W^\top + b`.

    Input and weight are what their codes will stand for; gradients pass straight through the
    rounding. With a ``rounding`` of the input, the codes are those of :class:`Int8Linear`, with
    ``scales`` that are frozen; without one those of :class:`QuantizedLinear`.

    Args:
        layer: the linear layer, which stays as it is.
        bits: of a weight.
        rounding: of the input, or None.
        group_size: of packed weights; None for a scale for each output.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> from lazulite.nn.quantization import FakeQuantizedLinear, FakeRounding
        >>> layer = FakeQuantizedLinear(nn.Linear(3, 2), 4, FakeRounding(8))
        >>> list(layer.trainable_parameters())
        ['weight', 'bias', 'rounding']
    """

    def __init__(
        self,
        layer: Any,
        bits: int,
        rounding: Optional[FakeRounding] = None,
        group_size: Optional[int] = None,
    ) -> None:
        super().__init__()
        self.weight = layer.weight
        if "bias" in layer:
            self.bias = layer.bias
        self.bits, self.group_size = bits, group_size
        self._add_rounding(rounding)
        if group_size is None:
            self.scales = channel_scales(layer.weight, bits)
        self.freeze(recurse=False, keys=["scales", *layer._no_grad])

    def __call__(self, x: mx.array) -> mx.array:
        weight = (
            fake_channels(self.weight, self.scales, self.bits)
            if self.group_size is None
            else fake_packed(self.weight, self.group_size, self.bits)
        )
        y = self._rounded(x) @ weight.T
        return y + self.bias if "bias" in self else y

    def converted(self) -> Module:
        """The :class:`Int8Linear` or :class:`QuantizedLinear` of the trained weight."""
        if self.group_size is not None:
            return QuantizedLinear.from_linear(self, self.group_size, self.bits)
        return Int8Linear(self.weight, self.get("bias"), self.bits, self._found(), self.scales)


class FakeQuantizedConv(_Fake):
    r"""A convolution in training for quantization:
    :math:`y = \text{conv}(\hat x, \hat W) + b`.

    Args:
        layer: the convolution, which stays as it is.
        bits: of a weight.
        rounding: of the input, or None.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> layer = nn.quantization.FakeQuantizedConv(nn.Conv1d(3, 4, 3), 4)
        >>> layer(mx.zeros((2, 10, 3))).shape
        (2, 8, 4)
    """

    def __init__(self, layer: Any, bits: int, rounding: Optional[FakeRounding] = None) -> None:
        super().__init__()
        self.layer: Any = copy.copy(layer)
        self.bits = bits
        self._add_rounding(rounding)
        self.scales = channel_scales(layer.weight, bits)
        self.freeze(recurse=False, keys="scales")

    def __call__(self, x: mx.array) -> mx.array:
        weight = fake_channels(self.layer.weight, self.scales, self.bits)
        y: mx.array = self.layer._with_bias(self.layer._convolved(self._rounded(x), weight))
        return y

    def converted(self) -> Module:
        """The :class:`QuantizedConv` of the trained weight."""
        return QuantizedConv(self.layer, self.bits, self._found(), self.scales)


class FakeQuantizedEmbedding(_Fake):
    r"""An :class:`Embedding` in training for quantization: :math:`y = \hat W_x`.

    Args:
        layer: the embedding, which stays as it is.
        bits: of a number.
        group_size: numbers that share a scale.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> layer = nn.quantization.FakeQuantizedEmbedding(nn.Embedding(10, 64), 4, 64)
        >>> layer(mx.array([1, 2])).shape
        (2, 64)
    """

    def __init__(self, layer: Any, bits: int, group_size: int) -> None:
        super().__init__()
        self.weight = layer.weight
        self.bits, self.group_size = bits, group_size
        self.freeze(recurse=False, keys=list(layer._no_grad))

    def __call__(self, x: mx.array) -> mx.array:
        return fake_packed(self.weight, self.group_size, self.bits)[x]

    def as_linear(self, x: mx.array) -> mx.array:
        r"""The table as the weight of a linear layer: :math:`x \hat W^\top`.

        Example:
            >>> import lazulite.core as mx, lazulite.nn as nn
            >>> layer = nn.quantization.FakeQuantizedEmbedding(nn.Embedding(10, 64), 4, 64)
            >>> layer.as_linear(mx.zeros((2, 64))).shape
            (2, 10)
        """
        return x @ fake_packed(self.weight, self.group_size, self.bits).T

    def converted(self) -> Module:
        """The :class:`QuantizedEmbedding` of the trained table."""
        return QuantizedEmbedding.from_embedding(self, self.group_size, self.bits)


def convert(model: Module) -> Module:
    """The quantized form of a model that was trained after ``mx.quantize(model, {"method": "qat",
    ...})``; the given one stays as it was.

    Args:
        model: the model.

    Raises:
        TypeError: not a model.
        ValueError: no layer of it is in training for quantization.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> settings = {"method": "qat", "weight_bits": 4, "activation_bits": None}
        >>> trained = mx.quantize(nn.Sequential(nn.Linear(64, 2)), settings)
        >>> nn.quantization.convert(trained)
        Sequential(
          (layers.0): QuantizedLinear(input_dims=64, output_dims=2, bias=True, group_size=64, \
bits=4, mode=affine)
        )
    """
    made = copied(model)
    fakes = {id(m): m for m in made.modules() if isinstance(m, _Fake)}
    if not fakes:
        raise ValueError(
            "[convert] model: got no layer in training for quantization, expected a model of "
            "mx.quantize(model, {'method': 'qat', ...})"
        )
    final = {key: fake.converted().train(fake.training) for key, fake in fakes.items()}
    if id(made) in final:
        return final[id(made)]
    chosen = made.filter_and_map(
        made.valid_child_filter,
        is_leaf_fn=lambda module, name, value: isinstance(value, Module)
        and (id(value) in final or not value._named_children()),
    )
    return made.update_modules(
        tree_map_with_path(
            lambda path, m: final.get(id(m), m), chosen, is_leaf=lambda m: isinstance(m, Module)
        )
    )
