"""Codes of weights that lose less of what a layer gives, found from its inputs."""

from __future__ import annotations

from typing import Any

import lazulite.core as mx
from lazulite.nn.layers.quantized import QuantizedLinear
from lazulite.nn.quantization.packed import ScaledQuantizedLinear, packed_linear
from lazulite.nn.quantization.ranges import Gram

__all__ = ["awq", "gptq"]

_DAMPING = 0.01  # of the mean of the diagonal
_STEPS = 20
_ROWS = 256  # of a weight, that powers are tried on


def gptq(layer: Any, inputs: Gram, group_size: int, bits: int) -> QuantizedLinear:
    r"""Packs a weight column by column; what a column loses, the later ones make up for (Frantar
    et al., 2022): with :math:`U` the upper Cholesky factor of :math:`(X^\top X)^{-1}`,

    .. math:: e_j = (w_j - \hat w_j) / U_{jj}, \quad w_k \leftarrow w_k - e_j U_{jk}, \ k > j
    """
    weight = mx.contiguous(layer.weight.astype(mx.float32).T)  # a row for each input
    width = weight.shape[0]
    upper = _upper(inputs.products, width)
    high = 2**bits - 1
    codes, scales, biases = [], [], []
    for begin in range(0, width, group_size):
        end = begin + group_size
        rows, lost = weight[:group_size], []
        _, scale, bias = mx.quantize(rows.T, group_size, bits)
        # Scales as they will be stored, so that codes are chosen for them.
        scale, bias = scale.astype(layer.weight.dtype), bias.astype(layer.weight.dtype)
        s, b = scale[:, 0].astype(mx.float32), bias[:, 0].astype(mx.float32)
        by = mx.where(s == 0, 1.0, s)
        for j in range(begin, end):
            code = mx.clip(mx.round((rows[0] - b) / by), 0, high)
            error = (rows[0] - (code * s + b)) / upper[j, j]
            rows = rows[1:] - upper[j, j + 1 : end, None] * error
            codes.append(code)
            lost.append(error)
        weight = weight[group_size:] - upper[begin:end, end:].T @ mx.stack(lost)
        scales.append(scale)
        biases.append(bias)
        mx.eval(weight, codes[begin:], scale, bias)
    return packed_linear(
        layer,
        mx.stack(codes).T,
        mx.concatenate(scales, axis=1),
        mx.concatenate(biases, axis=1),
        group_size,
        bits,
    )


def _upper(products: mx.array, width: int) -> mx.array:
    """The upper Cholesky factor of the inverse of the products, which are damped."""
    diagonal = mx.diagonal(products)
    mean = mx.mean(diagonal)
    damping = mx.where(mean > 0, _DAMPING * mean, 1.0)
    inverse = mx.linalg.inv(products + damping * mx.eye(width))
    return mx.linalg.cholesky((inverse + inverse.T) / 2, upper=True)


def awq(layer: Any, inputs: Gram, group_size: int, bits: int) -> ScaledQuantizedLinear:
    r"""Multiplies a weight by powers of its inputs' sizes before it is packed (Lin et al., 2023):
    :math:`f = \overline{|x|}^\alpha`, with the :math:`\alpha` of the least error of what the layer
    gives for these inputs."""
    rows = layer.weight[:: max(1, layer.weight.shape[0] // _ROWS)].astype(mx.float32)
    sizes = mx.maximum(inputs.sizes / max(inputs.count, 1), 1e-4)
    errors, choices = [], []
    for step in range(_STEPS):
        factors = mx.power(sizes, step / _STEPS)
        factors = factors / mx.sqrt(mx.max(factors) * mx.min(factors))
        words, scales, biases = mx.quantize(rows * factors, group_size, bits)
        off = mx.dequantize(words, scales, biases, group_size, bits) / factors - rows
        errors.append(mx.sum((off @ inputs.products) * off))
        choices.append(factors)
        mx.eval(errors[-1], factors)
    best = int(mx.argmin(mx.stack(errors)).item())
    return ScaledQuantizedLinear(layer, choices[best], group_size, bits)
