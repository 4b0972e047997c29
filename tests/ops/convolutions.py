"""Convolutions in NumPy, tap by tap: the references of that room."""

import itertools

import numpy as np


def _for_axes(sizes, axes):
    sizes = np.atleast_1d(sizes).tolist()
    return sizes * axes if len(sizes) == 1 else sizes


def _convolved(x, w, stride, low, high, dilation, spread, groups, flip):
    axes = x.ndim - 2
    sizes = [(n - 1) * s + 1 if n else 0 for n, s in zip(x.shape[1:-1], spread)]
    padded = np.zeros(
        (x.shape[0], *[n + a + b for n, a, b in zip(sizes, low, high)], x.shape[-1]),
        np.result_type(x, w),
    )
    whole = np.zeros((x.shape[0], *sizes, x.shape[-1]), padded.dtype)
    whole[(slice(None), *[slice(None, None, s) for s in spread])] = x
    kept = [slice(max(0, -a), n - max(0, -b)) for n, a, b in zip(sizes, low, high)]
    to = [slice(max(0, a), m - max(0, b)) for m, a, b in zip(padded.shape[1:-1], low, high)]
    padded[(slice(None), *to)] = whole[(slice(None), *kept)]
    if flip:
        w = np.flip(w, tuple(range(1, axes + 1)))
    outs = [
        (m - (k - 1) * d - 1) // s + 1
        for m, k, d, s in zip(padded.shape[1:-1], w.shape[1:-1], dilation, stride)
    ]
    per_group = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    out = np.zeros((x.shape[0], *outs, groups, per_group.shape[1]), padded.dtype)
    for tap in itertools.product(*map(range, w.shape[1:-1])):
        seen = padded[
            (
                slice(None),
                *[
                    slice(t * d, t * d + (o - 1) * s + 1, s)
                    for t, d, o, s in zip(tap, dilation, outs, stride)
                ],
            )
        ]
        seen = seen.reshape(*seen.shape[:-1], groups, w.shape[-1])
        of_tap = per_group[(slice(None), slice(None), *tap)]
        if groups > 8:
            out += np.einsum("...gc,goc->...go", seen, of_tap)
        else:  # kernels of 64 x 64 and more are drawn, too
            for g in range(groups):
                out[..., g, :] += seen[..., g, :] @ of_tap[g].T
    return out.reshape(*out.shape[:-2], w.shape[0])


def conv_general(
    x, w, stride=1, padding=0, kernel_dilation=1, input_dilation=1, groups=1, flip=False
):
    axes = x.ndim - 2
    low, high = padding if isinstance(padding, tuple) else (padding, padding)
    return _convolved(
        x,
        w,
        *[
            _for_axes(v, axes)
            for v in (stride, low, high, kernel_dilation, input_dilation)
        ],
        groups,
        flip,
    )


def int8_conv(
    x,
    w,
    x_scale=None,
    w_scale=None,
    stride=1,
    padding=0,
    kernel_dilation=1,
    input_dilation=1,
    groups=1,
    flip=False,
    input_zero=None,
):
    zero = 0 if input_zero is None else int(np.asarray(input_zero).reshape(()))
    out = conv_general(
        x.astype(np.int64) - zero,
        w.astype(np.int64),
        stride,
        padding,
        kernel_dilation,
        input_dilation,
        groups,
        flip,
    ).astype(np.int32)
    if x_scale is not None:
        out = out * np.reshape(x_scale, (-1, *[1] * (out.ndim - 1)))
    return out if w_scale is None else out * w_scale


def conv(x, w, stride=1, padding=0, dilation=1, groups=1):
    return conv_general(x, w, stride, padding, dilation, 1, groups)


def conv_transpose(x, w, stride=1, padding=0, dilation=1, output_padding=0, groups=1):
    axes = x.ndim - 2
    low = [
        (k - 1) * d - p
        for k, d, p in zip(w.shape[1:-1], _for_axes(dilation, axes), _for_axes(padding, axes))
    ]
    high = [a + b for a, b in zip(low, _for_axes(output_padding, axes))]
    return conv_general(x, w, 1, (low, high), dilation, stride, groups, True)
