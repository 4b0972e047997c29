"""Pooling in NumPy, all windows at once: the references of that room."""

import numpy as np


def _for_axes(sizes, axes):
    sizes = np.atleast_1d(sizes).tolist()
    return sizes * axes if len(sizes) == 1 else sizes


def _seen(x, windows):
    """What windows hold, (batch, windows of the axes, places in them, channels), and where there is
    something. `windows`: for each axis, where each of them begins and ends."""
    axes, index, there = len(windows), [], np.array(True)
    for k, ((begin, end), n) in enumerate(zip(windows, x.shape[1:-1])):
        places = begin[:, None] + np.arange(max((end - begin).max(initial=0), 1))
        shape = [1] * (2 * axes)
        shape[k], shape[axes + k] = places.shape
        index.append(np.minimum(places, max(n - 1, 0)).reshape(shape))
        there = there & (places < end[:, None]).reshape(shape)
    seen = x[(slice(None), *index)]
    shape = (x.shape[0], *seen.shape[1 : 1 + axes], -1, x.shape[-1])
    if not seen.size:
        shape = (*shape[:-2], int(np.prod(seen.shape[1 + axes : -1])), shape[-1])
    seen = seen.reshape(shape)
    there = np.broadcast_to(there, there.shape).reshape(seen.shape[1:-1])[None, ..., None]
    return seen, there


def _windows(x, size, stride, padding):
    axes = x.ndim - 2
    size = _for_axes(size, axes)
    stride = size if stride is None else _for_axes(stride, axes)
    low, high = padding if isinstance(padding, tuple) else (padding, padding)
    ends = zip(x.shape[1:-1], size, stride, _for_axes(low, axes), _for_axes(high, axes))
    windows = []
    for n, k, s, a, b in ends:
        begin = np.arange((n + a + b - k) // s + 1) * s - a
        windows.append((np.clip(begin, 0, n), np.clip(begin + k, 0, n)))
    return size, windows


def _shares(x, size):
    windows = []
    for n, k in zip(x.shape[1:-1], _for_axes(size, x.ndim - 2)):
        o = np.arange(k)
        windows.append((o * n // k, -(-(o + 1) * n // k)))
    return windows


def _largest(x, windows):
    seen, there = _seen(x, windows)
    least = {"b": lambda _: False, "f": lambda _: -np.inf}.get(
        x.dtype.kind, lambda dtype: np.iinfo(dtype).min
    )(x.dtype)
    return np.where(there, seen, np.array(least, x.dtype)).max(-2)


def _mean(x, windows, divisor=None):
    seen, there = _seen(x, windows)
    dtype = np.float32 if x.dtype.kind in "bui" else x.dtype
    total = np.where(there, seen, 0).sum(-2, dtype=dtype)
    return total / (there.sum(-2) if divisor is None else divisor)


def max_pool(x, kernel_size, stride=None, padding=0):
    return _largest(x, _windows(x, kernel_size, stride, padding)[1])


def avg_pool(x, kernel_size, stride=None, padding=0, count_include_pad=True):
    size, windows = _windows(x, kernel_size, stride, padding)
    return _mean(x, windows, np.prod(size) if count_include_pad else None)


def adaptive_max_pool(x, output_size):
    return _largest(x, _shares(x, output_size))


def adaptive_avg_pool(x, output_size):
    return _mean(x, _shares(x, output_size))


def _cubic(x, a):
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def resample(x, size, axis, mode="linear", align_corners=False, antialias=False, scale=None):
    """As a product with the matrix of all weights, for each axis."""
    if not isinstance(axis, int):
        for one, length in zip(axis, size):
            x = resample(x, length, one % x.ndim, mode, align_corners, antialias, scale)
        return x
    n, o = x.shape[axis], np.arange(size)
    x = x.astype(np.float32) if x.dtype.kind in "bui" else x
    matrix = np.zeros((size, max(n, 1)))
    if mode == "nearest" and size:
        step = np.float32(n / size)
        at = o.astype(np.float32) * step
        if size > n:
            at = np.rint((o.astype(np.float32) + np.float32(0.5)) * step - np.float32(0.5))
        matrix[o, np.clip(at.astype(int), 0, n - 1)] = 1
    elif size:
        scale = scale or size / n
        at = (o - (size - 1) / 2) / scale + (n - 1) / 2
        if align_corners:
            at = o * (n - 1) / max(size - 1, 1)
        if mode == "linear" and not antialias:
            at = np.clip(at, 0, n - 1)
        wide = max(1 / scale, 1) if antialias else 1
        for i in range(-4 - n, 2 * n + 5):
            if antialias and not 0 <= i < n:
                continue
            d = np.abs(i - at) / wide
            w = (
                np.maximum(1 - d, 0)
                if mode == "linear"
                else _cubic(d, -0.5 if antialias else -0.75)
            )
            matrix[:, min(max(i, 0), n - 1)] += w
        if antialias:
            matrix /= matrix.sum(1, keepdims=True)
    moved = np.moveaxis(x, axis, -1)
    if n == 0:
        return np.zeros((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype)
    wide = moved.astype(np.result_type(x, np.float64))
    return np.moveaxis(wide @ matrix.T, -1, axis).astype(x.dtype)
