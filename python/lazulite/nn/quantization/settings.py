"""What `mx.quantize` of a model is asked for, checked before anything is done."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Callable, Optional

from lazulite.nn.module import Module

__all__ = ["Settings"]

METHODS = ("static", "dynamic", "ptq", "qat")
OBSERVERS = ("min_max", "percentile", "mse")
CORRECTIONS = (None, "gptq", "awq")
WEIGHT_BITS = (2, 3, 4, 5, 6, 8)
GROUPS = (32, 64, 128)
FLOATS = (None, 16, 32)  # activations that are not rounded


@dataclass(frozen=True)
class Settings:
    """The settings of :func:`lazulite.core.quantize` of a model, with their defaults.

    Attributes:
        method: ``static``, ``dynamic``, ``ptq`` or ``qat``.
        weight_bits: bits of a weight: 2, 3, 4, 5, 6 or 8.
        activation_bits: bits of an input of a layer, 2 to 8. With ``qat``, None (or 16, 32) leaves
            inputs as they are, as ``ptq`` always does.
        calibration_data: an array or an iterable of batches: what the model is called with. Of a
            tuple or list, such as images and labels, the model is given the first items, as many as
            its call requires; a dict gives keywords.
        observer: how a range is found in calibration: ``min_max``, ``percentile`` or ``mse``, the
            one of least squared error.
        percentile: of the observer of that name: how many percent of the values lie below the end
            of the range, and above its beginning.
        group_size: of packed weights, how many share a scale, or fewer where it does not divide.
        error_correction: of ``ptq``: None, ``gptq`` or ``awq``.
        predicate: called with path and layer, says which layers are quantized: by default all that
            can be.

    Example:
        >>> import lazulite.nn as nn
        >>> nn.quantization.Settings.of({"method": "dynamic", "weight_bits": 4}).activation_bits
        8
    """

    method: str
    weight_bits: int = 8
    activation_bits: Optional[int] = 8
    calibration_data: Any = None
    observer: str = "min_max"
    percentile: float = 99.9
    group_size: int = 64
    error_correction: Optional[str] = None
    predicate: Optional[Callable[[str, Module], bool]] = None

    @classmethod
    def of(cls, settings: Any) -> Settings:
        """The settings of a dict.

        Raises:
            TypeError: not a dict.
            ValueError: an unknown name, a value that is not among the possible ones, or
                calibration data missing where the method needs them.
        """
        if isinstance(settings, cls):
            return settings
        if not isinstance(settings, dict):
            raise TypeError(f"[quantize] settings: got {type(settings).__name__}, expected a dict")
        names = [field.name for field in fields(cls)]
        for name in settings:
            if name not in names:
                raise ValueError(
                    f"[quantize] settings: got {name!r}, expected {_choices(names)}"
                )
        if "method" not in settings:
            raise ValueError(f"[quantize] method: got none, expected {_choices(METHODS)}")
        return cls(**settings)

    def __post_init__(self) -> None:
        rounds = self.method in ("static", "dynamic")
        _check("method", self.method, METHODS)
        _check("weight_bits", self.weight_bits, WEIGHT_BITS)
        bits = tuple(range(2, 9))
        if rounds and self.activation_bits in FLOATS:
            raise ValueError(
                f"[quantize] activation_bits: got {self.activation_bits!r}, expected 2 to 8: "
                "'ptq' leaves activations as they are"
            )
        _check("activation_bits", self.activation_bits, bits if rounds else bits + FLOATS)
        _check("observer", self.observer, OBSERVERS)
        _check("group_size", self.group_size, GROUPS)
        _check("error_correction", self.error_correction, CORRECTIONS)
        number = isinstance(self.percentile, (int, float)) and not isinstance(self.percentile, bool)
        if not (number and 50 < self.percentile <= 100):
            raise ValueError(
                f"[quantize] percentile: got {self.percentile!r}, expected more than 50, at most 100"
            )
        if self.error_correction and self.method != "ptq":
            raise ValueError(
                f"[quantize] error_correction: got {self.error_correction!r} with method "
                f"{self.method!r}, expected method 'ptq'"
            )
        if self.predicate is not None and not callable(self.predicate):
            raise TypeError(
                f"[quantize] predicate: got {type(self.predicate).__name__}, expected a function"
            )
        if (self.method == "static" or self.error_correction) and self.calibration_data is None:
            what = repr(self.error_correction or self.method)
            raise ValueError(
                f"[quantize] calibration_data: got None, expected batches of inputs for {what}"
            )

    @property
    def rounded_bits(self) -> Optional[int]:
        """Bits of activations, None where they are not rounded."""
        floats = self.method == "ptq" or self.activation_bits in FLOATS
        return None if floats else self.activation_bits


def _choices(values: Any) -> str:
    texts = [repr(value) for value in values]
    return ", ".join(texts[:-1]) + f" or {texts[-1]}"


def _check(name: str, value: Any, expected: tuple[Any, ...]) -> None:
    known = not isinstance(value, bool) and any(value is e or value == e for e in expected)
    if not isinstance(value, (str, int, type(None))) or not known:
        raise ValueError(f"[quantize] {name}: got {value!r}, expected {_choices(expected)}")
