"""Packed numbers in NumPy: the references of that room."""

import numpy as np

E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])
E4M3 = np.array(
    [
        (1 - 2 * (c >> 7))
        * (
            np.nan
            if c & 127 == 127
            else (c & 7) * 2.0**-9 if c & 120 == 0 else (8 + (c & 7)) * 2.0 ** ((c >> 3 & 15) - 10)
        )
        for c in range(256)
    ]
)
DEFAULTS = {"affine": (64, 4), "mxfp4": (32, 4), "mxfp8": (32, 8), "nvfp4": (16, 4)}


def pack(codes, bits):
    """Codes along the last axis as a stream of bits in little-endian words."""
    stream = codes[..., None] >> np.arange(bits) & 1
    stream = stream.reshape(*codes.shape[:-1], -1, 32).astype(np.uint64)
    return (stream << np.arange(32, dtype=np.uint64)).sum(-1).astype(np.uint32)


def unpack(words, bits):
    stream = words[..., None].astype(np.uint64) >> np.arange(32, dtype=np.uint64) & np.uint64(1)
    stream = stream.reshape(*words.shape[:-1], -1, bits).astype(np.int64)
    return (stream << np.arange(bits)).sum(-1)


def quantize(w, group=64, bits=4):
    """Affine, in the arithmetic of w's own dtype."""
    top, one = w.dtype.type(2**bits - 1), w.dtype.type
    v = w.reshape(*w.shape[:-1], -1, group)
    low, high = v.min(-1, keepdims=True), v.max(-1, keepdims=True)
    scale = np.maximum((high - low) / top, one(1e-7))
    below = abs(low) > abs(high)
    edge = np.where(below, low, high)
    scale = np.where(below, scale, -scale)
    steps = np.rint(edge / scale)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(steps != 0, edge / steps, scale)
    bias = np.where(steps != 0, edge, one(0))
    codes = np.clip(np.rint((v - bias) / scale), 0, top).astype(np.int64).reshape(w.shape)
    return pack(codes, bits), scale[..., 0], bias[..., 0]


def numbers(words, scales, biases=None, group=None, bits=None, mode="affine"):
    group, bits = group or DEFAULTS[mode][0], bits or DEFAULTS[mode][1]
    codes = unpack(np.asarray(words), bits)
    if mode == "affine":
        v = codes * np.repeat(scales, group, -1)
        return v + np.repeat(biases, group, -1)
    if mode == "nvfp4":
        scale = E4M3[np.asarray(scales).astype(int)]
    else:
        scale = np.where(scales == 255, np.nan, 2.0 ** (scales.astype(float) - 127))
    return (E4M3 if bits == 8 else E2M1)[codes] * np.repeat(scale, group, -1)


def dequantize(
    words, scales, biases=None, group=None, bits=None, mode="affine", factor=None, dtype=None
):
    return numbers(words, scales, biases, group, bits, mode)


def quantized_matmul(
    x, words, scales, biases=None, transpose=True, group=None, bits=None, mode="affine"
):
    w = numbers(words, scales, biases, group, bits, mode)
    return x @ (np.swapaxes(w, -1, -2) if transpose else w)


def gather_qmm(
    x, words, scales, biases, lhs, rhs, transpose=True, group=None, bits=None, mode="affine"
):
    w = numbers(words, scales, biases, group, bits, mode)
    w = np.swapaxes(w, -1, -2) if transpose else w
    w = w.reshape(-1, *w.shape[-2:])
    x = x.reshape(-1, *x.shape[-2:])
    if lhs is None:
        lhs = np.arange(len(x))
    return x[lhs] @ w[rhs]


def from_fp8(x, dtype=None):
    return E4M3[np.asarray(x).astype(int)]


def int8_matmul(a, b, a_scale=None, b_scale=None):
    out = a.astype(np.int32) @ b.astype(np.int32)
    if a_scale is not None:
        out = out * (a_scale[..., None] if a_scale.ndim else a_scale)
    return out if b_scale is None else out * b_scale
