"""Layers whose weights are packed in a few bits."""

import math
from typing import Any, Callable, Literal, Optional, Union

import lazulite.core as mx
from lazulite._arguments import checked, constructor
from lazulite.nn.module import Module
from lazulite.utils import tree_map_with_path

__all__ = ["QQLinear", "QuantizedEmbedding", "QuantizedLinear", "quantize"]

Mode = Literal["affine", "mxfp4", "mxfp8", "nvfp4"]
_DEFAULTS = {"affine": (64, 4), "mxfp4": (32, 4), "mxfp8": (32, 8), "nvfp4": (16, 4)}


class _Packed(Module):
    """What layers with a packed ``weight`` share: its format, ``scales`` and ``biases``."""

    weight: mx.array
    scales: mx.array
    group_size: int
    bits: int
    mode: str
    _modes: tuple[str, ...] = tuple(_DEFAULTS)

    def _set_format(self, mode: str, group_size: Optional[int], bits: Optional[int]) -> None:
        if mode not in self._modes:
            expected = " or ".join(map(repr, self._modes))
            raise ValueError(f"[{type(self).__name__}] mode: got {mode!r}, expected {expected}")
        default_group_size, default_bits = _DEFAULTS[mode]
        self.group_size, self.bits = group_size or default_group_size, bits or default_bits
        self.mode = mode

    def _pack(self, weight: mx.array) -> None:
        self.weight, self.scales, *biases = mx.quantize(
            weight, self.group_size, self.bits, self.mode
        )
        if biases:
            self.biases = biases[0]

    def _format(self) -> dict[str, Any]:
        return {"group_size": self.group_size, "bits": self.bits, "mode": self.mode}

    def _product(self, x: mx.array) -> mx.array:
        return mx.quantized_matmul(
            x, self.weight, self.scales, self.get("biases"), transpose=True, **self._format()
        )

    def _format_repr(self) -> str:
        return f"group_size={self.group_size}, bits={self.bits}, mode={self.mode}"

    def _width(self) -> int:
        return self.weight.shape[-1] * 32 // self.bits


class QuantizedLinear(_Packed):
    r"""A :class:`Linear` whose weight is packed: :math:`y = x W^\top + b`.

    ``weight`` (uint32), ``scales`` and, in mode ``affine``, ``biases`` are what
    :func:`lazulite.core.quantize` gives for a weight of shape ``(output_dims, input_dims)``;
    ``bias`` has shape ``(output_dims,)`` and begins at zero. All of them are frozen. Takes
    ``(..., input_dims)`` and gives ``(..., output_dims)``.

    Args:
        input_dims: the size of the last axis of the input, a multiple of ``group_size``.
        output_dims: the size of the last axis of the output.
        bias: whether there is a ``bias``.
        group_size: numbers that share a scale; by default that of the mode.
        bits: of a number; by default those of the mode.
        mode: the format, as of :func:`lazulite.core.quantize`.

    Raises:
        ValueError: sizes that do not fit the mode.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.QuantizedLinear(64, 2)(mx.zeros((5, 64))).shape
        (5, 2)
    """

    _fixed = True

    @checked
    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        bias: bool = True,
        group_size: Optional[int] = None,
        bits: Optional[int] = None,
        mode: Mode = "affine",
    ) -> None:
        super().__init__()
        self._set_format(mode, group_size, bits)
        bound = 1 / math.sqrt(max(input_dims, 1))
        self._pack(mx.random.uniform(-bound, bound, (output_dims, input_dims)))
        if bias:
            self.bias = mx.zeros((output_dims,))
        self.freeze()

    def _extra_repr(self) -> str:
        return (
            f"input_dims={self._width()}, output_dims={self.weight.shape[0]}, "
            f"bias={'bias' in self}, {self._format_repr()}"
        )

    def __call__(self, x: mx.array) -> mx.array:
        y = self._product(x)
        return y + self.bias if "bias" in self else y

    @constructor
    def from_linear(
        cls,
        linear_layer: Module,
        group_size: Optional[int] = None,
        bits: Optional[int] = None,
        mode: str = "affine",
    ) -> "QuantizedLinear":
        """The packed form of a :class:`Linear`, which stays as it is.

        Example:
            >>> import lazulite.nn as nn
            >>> nn.QuantizedLinear.from_linear(nn.Linear(64, 2), bits=8)
            QuantizedLinear(input_dims=64, output_dims=2, bias=True, group_size=64, bits=8, \
mode=affine)
        """
        layer = cls.__new__(cls)
        layer._set_format(mode, group_size, bits)
        layer._pack(linear_layer.weight)
        if "bias" in linear_layer:
            layer.bias = linear_layer.bias
        return layer.freeze()


class QuantizedEmbedding(_Packed):
    r"""An :class:`Embedding` whose table is packed: :math:`y = W_x`.

    ``weight`` (uint32), ``scales`` and, in mode ``affine``, ``biases`` are what
    :func:`lazulite.core.quantize` gives for a table of shape ``(num_embeddings, dims)``. All of
    them are frozen. Takes integers of any shape ``(...)`` and gives ``(..., dims)``.

    Args:
        num_embeddings: how many tokens there are.
        dims: the size of a row, a multiple of ``group_size``.
        group_size: numbers that share a scale; by default that of the mode.
        bits: of a number; by default those of the mode.
        mode: the format, as of :func:`lazulite.core.quantize`.

    Raises:
        IndexError: when called with a token that is not in the table.
        ValueError: sizes that do not fit the mode.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.QuantizedEmbedding(10, 64)(mx.array([[1, 2, 3]])).shape
        (1, 3, 64)
    """

    _fixed = True

    @checked
    def __init__(
        self,
        num_embeddings: int,
        dims: int,
        group_size: Optional[int] = None,
        bits: Optional[int] = None,
        mode: Mode = "affine",
    ) -> None:
        super().__init__()
        self._set_format(mode, group_size, bits)
        self._pack(mx.random.normal((num_embeddings, dims), scale=1 / math.sqrt(max(dims, 1))))
        self.freeze()

    @property
    def num_embeddings(self) -> int:
        """How many tokens there are."""
        return self.weight.shape[0]

    @property
    def dims(self) -> int:
        """The size of a row."""
        return self._width()

    def _extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.dims}, {self._format_repr()}"

    def __call__(self, x: mx.array) -> mx.array:
        biases = self.biases[x] if "biases" in self else None
        return mx.dequantize(self.weight[x], self.scales[x], biases, **self._format())

    def as_linear(self, x: mx.array) -> mx.array:
        r"""The table as the weight of a linear layer: :math:`x W^\top`, for tied outputs.

        Takes ``(..., dims)`` and gives ``(..., num_embeddings)``.

        Example:
            >>> import lazulite.core as mx, lazulite.nn as nn
            >>> nn.QuantizedEmbedding(10, 64).as_linear(mx.zeros((2, 64))).shape
            (2, 10)
        """
        return self._product(x)

    @constructor
    def from_embedding(
        cls,
        embedding_layer: Module,
        group_size: Optional[int] = None,
        bits: Optional[int] = None,
        mode: str = "affine",
    ) -> "QuantizedEmbedding":
        """The packed form of an :class:`Embedding`, which stays as it is.

        Example:
            >>> import lazulite.nn as nn
            >>> nn.QuantizedEmbedding.from_embedding(nn.Embedding(10, 64))
            QuantizedEmbedding(10, 64, group_size=64, bits=4, mode=affine)
        """
        layer = cls.__new__(cls)
        layer._set_format(mode, group_size, bits)
        layer._pack(embedding_layer.weight)
        return layer.freeze()


class QQLinear(_Packed):
    r"""A linear layer that rounds input and weight to the codes of a mode: :math:`y = x W^\top`.

    In training ``weight`` is a plain matrix, rounded in each call, and has a gradient; in
    inference (:meth:`eval`) it is packed, beside its ``scales``. Takes ``(..., input_dims)`` and
    gives ``(..., output_dims)``.

    Args:
        input_dims: the size of the last axis of the input, a multiple of ``group_size``.
        output_dims: the size of the last axis of the output.
        group_size: numbers that share a scale; by default that of the mode.
        bits: of a number; by default those of the mode.
        mode: the format, as of :func:`lazulite.core.qqmm`.

    Raises:
        ValueError: sizes that do not fit the mode, when called.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> nn.QQLinear(32, 2)(mx.zeros((5, 32))).shape
        (5, 2)
    """

    _modes = ("nvfp4", "mxfp8")

    @checked
    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        group_size: Optional[int] = None,
        bits: Optional[int] = None,
        mode: Literal["nvfp4", "mxfp8"] = "nvfp4",
    ) -> None:
        super().__init__()
        self._set_format(mode, group_size, bits)
        bound = 1 / math.sqrt(max(input_dims, 1))
        self.weight = mx.random.uniform(-bound, bound, (output_dims, input_dims))

    def _extra_repr(self) -> str:
        input_dims = self._width() if "scales" in self else self.weight.shape[1]
        return (
            f"input_dims={input_dims}, output_dims={self.weight.shape[0]}, {self._format_repr()}"
        )

    def quantize(self) -> None:
        """Pack the weight, if it is not packed already.

        Example:
            >>> import lazulite.nn as nn
            >>> layer = nn.QQLinear(32, 2)
            >>> layer.quantize()
            >>> layer.weight.shape, layer.scales.shape
            ((2, 4), (2, 2))
        """
        if "scales" not in self:
            self._dtype = self.weight.dtype
            self._pack(self.weight)

    def dequantize(self) -> None:
        """Make the weight a plain matrix, of the numbers that its codes stand for.

        Example:
            >>> import lazulite.nn as nn
            >>> layer = nn.QQLinear(32, 2).eval()
            >>> layer.dequantize()
            >>> layer.weight.shape
            (2, 32)
        """
        if "scales" in self:
            dtype = getattr(self, "_dtype", mx.float32)
            self.weight = mx.dequantize(self.weight, self.scales, dtype=dtype, **self._format())
            del self.scales

    def _set_training_mode(self, mode: bool) -> None:
        super()._set_training_mode(mode)
        if mode:
            self.dequantize()
        else:
            self.quantize()

    def __call__(self, x: mx.array) -> mx.array:
        y = mx.qqmm(x, self.weight, self.get("scales"), **self._format())
        return y + self.bias if "bias" in self else y

    @constructor
    def from_linear(
        cls,
        linear_layer: Module,
        group_size: Optional[int] = None,
        bits: Optional[int] = None,
        mode: str = "nvfp4",
    ) -> "QQLinear":
        """The rounding form of a :class:`Linear`: packed where that is in inference.

        Example:
            >>> import lazulite.nn as nn
            >>> nn.QQLinear.from_linear(nn.Linear(32, 2, bias=False))
            QQLinear(input_dims=32, output_dims=2, group_size=16, bits=4, mode=nvfp4)
        """
        layer = cls.__new__(cls)
        layer._set_format(mode, group_size, bits)
        layer.weight = linear_layer.weight
        if "bias" in linear_layer:
            layer.bias = linear_layer.bias
        return layer.train(linear_layer.training)


def quantize(
    model: Module,
    group_size: Optional[int] = None,
    bits: Optional[int] = None,
    *,
    mode: str = "affine",
    quantize_input: bool = False,
    class_predicate: Optional[Callable[[str, Module], Union[bool, dict[str, Any]]]] = None,
) -> None:
    """Exchange layers of a model, in place, for their packed forms: what has ``to_quantized``.

    Args:
        model: the model; what it is itself is not exchanged.
        group_size: numbers that share a scale; by default that of the mode.
        bits: of a number; by default those of the mode.
        mode: the format, as of :func:`lazulite.core.quantize`.
        quantize_input: round the inputs of linear layers too (:class:`QQLinear`).
        class_predicate: called with path and layer: True for the layers to exchange, or a dict of
            arguments for their ``to_quantized``.

    Raises:
        ValueError: a layer that is to be exchanged has no packed form, or does not fit the mode.

    Example:
        >>> import lazulite.nn as nn
        >>> model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))
        >>> nn.quantize(model, bits=8, class_predicate=lambda path, layer: path == "layers.0")
        >>> model
        Sequential(
          (layers.0): QuantizedLinear(input_dims=64, output_dims=64, bias=True, group_size=64, \
bits=8, mode=affine)
          (layers.1): ReLU()
          (layers.2): Linear(input_dims=64, output_dims=3, bias=True)
        )
    """
    if not isinstance(model, Module):
        raise TypeError(f"[quantize] model: got {type(model).__name__}, expected a Module")
    given: dict[str, Any] = {"group_size": group_size, "bits": bits, "mode": mode}
    if quantize_input:
        given["quantize_input"] = True

    def exchanged(path: str, layer: Any) -> Any:
        wanted = (
            hasattr(layer, "to_quantized")
            if class_predicate is None
            else class_predicate(path, layer)
        )
        if not isinstance(wanted, (bool, dict)):
            raise ValueError(
                f"[quantize] class_predicate: got {wanted!r} for {path}, expected a bool or a dict "
                "of arguments for to_quantized"
            )
        if wanted is False:
            return layer
        if not hasattr(layer, "to_quantized"):
            raise ValueError(f"[quantize] {path}: {type(layer).__name__} has no packed form")
        if id(layer) not in made:  # one layer in two places stays one
            arguments = given if wanted is True else wanted
            try:
                made[id(layer)] = layer.to_quantized(**arguments)
            except ValueError as error:
                raise ValueError(f"{error}; layer {path}") from None
        return made[id(layer)]

    made: dict[int, Module] = {}
    leaves = model.leaf_modules()
    model.update_modules(tree_map_with_path(exchanged, leaves, is_leaf=Module.is_module))
