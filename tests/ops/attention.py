"""Attention and position encodings in NumPy, with all scores in memory: the references of that
room."""

import numpy as np


def seen(queries, keys, causal, window):
    """Which keys a query sees."""
    place = np.arange(queries)[:, None] + max(0, keys - queries)
    apart = np.arange(keys) - place
    out = np.ones((queries, keys), bool)
    if causal:
        out &= apart <= 0
    if window is not None:
        out &= np.abs(apart) < window
    return out


def weights(scores, sinks=None):
    if sinks is not None:
        column = np.broadcast_to(sinks[:, None, None], (*scores.shape[:-1], 1))
        return weights(np.concatenate([column, scores], -1))[..., 1:]
    if scores.shape[-1] == 0:
        return scores
    top = scores.max(-1, keepdims=True)
    e = np.exp(scores - np.where(top == -np.inf, 0, top))
    total = e.sum(-1, keepdims=True)
    return e / np.where(total == 0, 1, total)  # nothing has weight where nothing is seen


def scaled_dot_product_attention(
    q, k, v, *, scale, mask=None, sinks=None, force_fused=False, window=None
):
    group = q.shape[1] // max(k.shape[1], 1)
    k, v = np.repeat(k, group, 1), np.repeat(v, group, 1)
    with np.errstate(invalid="ignore", over="ignore"):
        scores = scale * (q @ np.swapaxes(k, -1, -2))
        causal = isinstance(mask, str)
        if causal or window is not None:
            scores = np.where(seen(*scores.shape[-2:], causal, window), scores, -np.inf)
        if mask is not None and not causal:
            mask = np.asarray(mask)
            scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
        return weights(scores, sinks) @ v


def rope(a, dims, *, traditional, base, scale, offset, freqs=None):
    if freqs is None:
        freqs = float(base) ** (np.arange(dims // 2) * 2 / dims)
    freqs = np.asarray(freqs, np.float64)
    place = (np.atleast_1d(offset)[:, None] + np.arange(a.shape[-2])) * scale
    angle = place[..., None] / freqs
    angle = angle.reshape(len(angle), *[1] * (a.ndim - 3), *angle.shape[1:])
    firsts, seconds = (
        (slice(0, dims, 2), slice(1, dims, 2))
        if traditional
        else (slice(0, dims // 2), slice(dims // 2, dims))
    )
    x, y = a[..., firsts], a[..., seconds]
    out = a.copy()
    out[..., firsts] = x * np.cos(angle) - y * np.sin(angle)
    out[..., seconds] = x * np.sin(angle) + y * np.cos(angle)
    return out
