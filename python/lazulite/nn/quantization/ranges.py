"""Ranges of inputs, found in calibration."""

from __future__ import annotations

import math
from typing import Optional

import lazulite.core as mx
from lazulite.nn.quantization.rounding import fake_quantize, scale_and_zero
from lazulite.nn.quantization.settings import Settings

__all__ = ["Gram", "Range", "range_for"]

_OF_A_CALL, _OF_ALL = 1 << 13, 1 << 17  # numbers that are kept for percentiles and errors


class Range:
    """The least and the largest number of all inputs."""

    sampled = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ends: Optional[mx.array] = None
        self._sample = mx.zeros((0,))

    def see(self, x: mx.array) -> None:
        """Takes an input in."""
        if x.size == 0:
            return
        ends = mx.stack([mx.min(x), mx.max(x)]).astype(mx.float32)
        if self._ends is not None:
            low, high = mx.minimum(ends, self._ends)[0], mx.maximum(ends, self._ends)[1]
            ends = mx.stack([low, high])
        self._ends = ends
        if self.sampled:
            step = max(1, x.size // _OF_A_CALL)
            while math.gcd(step, x.shape[-1] if x.ndim else 1) > 1:  # all channels in turn
                step += 1
            self._sample = mx.concatenate([self._sample, x.reshape(-1)[::step].astype(mx.float32)])
            if self._sample.size > _OF_ALL:
                self._sample = self._sample[::2]
        mx.eval(self._ends, self._sample)

    def found(self) -> Optional[tuple[float, float]]:
        """Where the range begins and ends; None where nothing was seen."""
        if self._ends is None:
            return None
        low, high = self._ends.tolist()
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError(
                f"[quantize] calibration_data: got inputs of a layer from {low} to {high}, "
                "expected finite ones"
            )
        return self._narrowed(low, high)

    def _narrowed(self, low: float, high: float) -> tuple[float, float]:
        return low, high


class _Percentile(Range):
    """Without the outermost numbers."""

    sampled = True

    def _narrowed(self, low: float, high: float) -> tuple[float, float]:
        most = self._settings.percentile
        ends = mx.percentile(self._sample, mx.array([100 - most, most]))
        return max(low, ends[0].item()), min(high, ends[1].item())


class _LeastError(Range):
    """The part of the range whose codes are nearest to the numbers, in the mean of squares."""

    sampled = True

    def _narrowed(self, low: float, high: float) -> tuple[float, float]:
        bits = self._settings.activation_bits or 8
        parts = [1 - 0.025 * k for k in range(33)]
        errors = []
        for part in parts:
            scale, zero = scale_and_zero(mx.array(part * low), mx.array(part * high), bits)
            rounded = fake_quantize(self._sample, scale, zero, bits)
            errors.append(mx.mean(mx.square(rounded - self._sample)))
        part = parts[int(mx.argmin(mx.stack(errors)).item())]
        return part * low, part * high


def range_for(settings: Settings) -> Range:
    """The observer of the settings."""
    kinds = {"min_max": Range, "percentile": _Percentile, "mse": _LeastError}
    return kinds[settings.observer](settings)


class Gram:
    """Sums of products of the inputs of a linear layer with each other, and of their sizes."""

    def __init__(self) -> None:
        self.products = mx.array(0.0)
        self.sizes = mx.array(0.0)
        self.count = 0

    def see(self, x: mx.array) -> None:
        """Takes an input in."""
        rows = x.reshape(-1, x.shape[-1]).astype(mx.float32)
        self.products = self.products + rows.T @ rows
        self.sizes = self.sizes + mx.sum(mx.abs(rows), axis=0)
        self.count += rows.shape[0]
        mx.eval(self.products, self.sizes)
