"""Functions of core.fast that are written in Python."""

from __future__ import annotations

from typing import Any, Optional

from . import array, bool_, expand_dims, float32, float64, floating, issubdtype
from . import matmul, moveaxis, repeat, result_type, stack, where, zeros
from ._loops import scan

_NAME = "gated_delta_update"


def _check(q: array, k: array, v: array, gamma: array, beta: array) -> None:
    for name, a in (("q", q), ("k", k), ("v", v)):
        if a.ndim != 4:
            raise ValueError(
                f"[{_NAME}] {name}: got shape {tuple(a.shape)}, expected (batch, steps, heads, depth)"
            )
        if not issubdtype(a.dtype, floating):
            raise ValueError(f"[{_NAME}] {name}: got {a.dtype}, expected a floating dtype")
    lead, heads = tuple(v.shape[:2]), v.shape[2]
    if k.shape != q.shape or tuple(q.shape[:2]) != lead:
        raise ValueError(
            f"[{_NAME}] shapes do not fit: got {tuple(q.shape)}, {tuple(k.shape)} and {tuple(v.shape)}"
        )
    if heads % q.shape[2] if q.shape[2] else heads:
        raise ValueError(
            f"[{_NAME}] heads: got {heads} of v and {q.shape[2]} of k, expected a multiple of these"
        )
    for name, a in (("gamma", gamma), ("beta", beta)):
        each = name == "gamma" and tuple(a.shape) == (*lead, heads, q.shape[3])
        if tuple(a.shape) != (*lead, heads) and not each:
            raise ValueError(
                f"[{_NAME}] {name}: got shape {tuple(a.shape)}, expected {(*lead, heads)}"
            )


def gated_delta_update(
    q: array,
    k: array,
    v: array,
    gamma: array,
    beta: array,
    initial_state: Optional[array] = None,
    mask: Optional[array] = None,
    stream: Any = None,
) -> tuple[array, array]:
    """The gated delta rule (Yang et al., 2024), step by step: a state S of each head, (value depth,
    depth), forgets, learns what it did not know of a key's value, and answers a query:

        S = gamma S;   S = S + beta (v - S k) k^T;   y = S q

    q and k of shape (batch, steps, key heads, depth), v (batch, steps, heads, value depth), where
    neighbouring heads share a key head; gamma and beta (batch, steps, heads), gamma also with an
    axis of depth. Returns y, (batch, steps, heads, value depth) in q's dtype, and the last state,
    (batch, heads, value depth, depth), in that of `initial_state` (zeros, float32). Where `mask`,
    (batch, steps), is False a step leaves the state as it was. States are float32, of float64
    arrays float64.

    >>> one = mx.ones((1, 2, 1, 1))
    >>> y, state = mx.fast.gated_delta_update(one, one, 3 * one, one[..., 0], 0.5 * one[..., 0])
    >>> y.flatten().tolist(), state.item()
    ([1.5, 2.25], 2.25)
    """
    if stream is not None:
        from . import stream as within

        with within(stream):
            return gated_delta_update(q, k, v, gamma, beta, initial_state, mask)
    _check(q, k, v, gamma, beta)
    batch, steps, heads, width = v.shape
    shape = (batch, heads, width, q.shape[3])
    wide = float64 if result_type(q, k, v, gamma, beta) == float64 else float32
    dtype = q.dtype
    state = zeros(shape, wide) if initial_state is None else initial_state
    if tuple(state.shape) != shape:
        raise ValueError(
            f"[{_NAME}] initial_state: got shape {tuple(state.shape)}, expected {shape}"
        )
    if mask is not None and (tuple(mask.shape) != (batch, steps) or mask.dtype != bool_):
        raise ValueError(
            f"[{_NAME}] mask: got {mask.dtype} of shape {tuple(mask.shape)}, "
            f"expected bool of {(batch, steps)}"
        )
    # Steps in front; what no step before decides is made of all at once.
    q, k, v, gamma, beta = (moveaxis(a.astype(wide), 1, 0) for a in (q, k, v, gamma, beta))
    if q.shape[2] and heads != q.shape[2]:
        q, k = (repeat(a, heads // a.shape[2], axis=2) for a in (q, k))
    keep = gamma if gamma.ndim == 4 else expand_dims(gamma, -1)
    both = stack([keep * k, keep * q], axis=-1)
    meet = (k * q).sum(-1, keepdims=True)
    beta = expand_dims(beta, -1)
    xs = [k, v, keep, both, meet, beta]
    if mask is not None:
        xs.append(moveaxis(mask, 1, 0).reshape(steps, batch, 1, 1, 1))

    def step(state: array, x: list[array]) -> tuple[array, array]:
        k, v, keep, both, meet, beta = x[:6]
        known = matmul(state, both)  # of the key and of the query, after forgetting
        new = beta * (v - known[..., 0])
        y = known[..., 1] + new * meet
        after = state * expand_dims(keep, -2) + expand_dims(new, -1) * expand_dims(k, -2)
        return (where(x[6], after, state) if len(x) > 6 else after), y

    last = state.astype(wide)
    if steps == 1:  # one token at a time
        last, y = step(last, [x[0] for x in xs])
        y = y[None]
    else:
        last, y = scan(step, last, xs)
    return moveaxis(y, 0, 1).astype(dtype), last.astype(state.dtype)
