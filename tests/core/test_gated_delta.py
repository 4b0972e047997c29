"""The gated delta rule beside a loop over its steps in NumPy."""

import numpy as np
import pytest

import lazulite.core as mx

update = mx.fast.gated_delta_update


def loop(q, k, v, gamma, beta, state=None, mask=None):
    heads, group = v.shape[2], v.shape[2] // k.shape[2]
    q, k = np.repeat(q, group, 2), np.repeat(k, group, 2)
    gamma = gamma if gamma.ndim == 4 else gamma[..., None]
    state = np.zeros((q.shape[0], heads, v.shape[3], q.shape[3])) if state is None else state
    out = np.zeros(v.shape)
    for t in range(v.shape[1]):
        after = state * gamma[:, t, :, None, :]
        known = np.einsum("bhvd,bhd->bhv", after, k[:, t])
        new = beta[:, t, :, None] * (v[:, t] - known)
        after = after + new[..., None] * k[:, t, :, None, :]
        out[:, t] = np.einsum("bhvd,bhd->bhv", after, q[:, t])
        stays = None if mask is None else ~mask[:, t, None, None, None]
        state = after if mask is None else np.where(stays, state, after)
    return out, state


def arguments(batch=2, steps=5, key_heads=2, heads=4, depth=3, width=6, each=False, seed=1):
    rng = np.random.default_rng(seed)
    return [
        rng.standard_normal((batch, steps, key_heads, depth)),
        rng.standard_normal((batch, steps, key_heads, depth)) / 2,
        rng.standard_normal((batch, steps, heads, width)),
        rng.uniform(0.5, 1, (batch, steps, heads, *[depth] * each)),
        rng.uniform(0, 1, (batch, steps, heads)),
    ]


@pytest.mark.parametrize("steps", [0, 1, 2, 40])
@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_steps_are_those_of_a_loop(steps, each, masked):
    args = arguments(steps=steps, each=each)
    rng = np.random.default_rng(2)
    state = rng.standard_normal((2, 4, 6, 3))
    mask = rng.random((2, steps)) < 0.6 if masked else None
    wanted = loop(*args, state, mask)
    given = [mx.array(a, mx.float64) for a in [*args, state]]
    for f in (update, mx.compile(update)):
        got = f(*given, mx.array(mask) if masked else None)
        for g, w in zip(got, wanted):
            assert g.dtype == mx.float64
            np.testing.assert_allclose(np.array(g), w, 1e-12, 1e-12)


def test_tokens_one_by_one_give_what_all_at_once_give():
    args = [mx.array(a) for a in arguments()]
    whole, last = update(*args)
    state, parts = None, []
    for t in range(5):
        y, state = update(*(a[:, t : t + 1] for a in args), state)
        parts.append(y)
    assert mx.allclose(mx.concatenate(parts, 1), whole, 1e-5, 1e-6)
    assert mx.allclose(state, last, 1e-5, 1e-6)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_halves_have_states_of_float32(dtype):
    args = arguments()
    y, state = update(*(mx.array(a, dtype) for a in args))
    assert y.dtype == dtype and state.dtype == mx.float32
    wanted = loop(*(np.array(mx.array(a, dtype).astype(mx.float64)) for a in args))
    np.testing.assert_allclose(np.array(y.astype(mx.float32)), wanted[0], 2e-2, 4e-2)
    np.testing.assert_allclose(np.array(state), wanted[1], 1e-4, 1e-4)


def test_gradients_and_lanes():
    args = [mx.array(a, mx.float64) for a in arguments(batch=1, steps=4)]
    along = [mx.array(a, mx.float64) for a in arguments(batch=1, steps=4, seed=5)]

    def f(*a):
        y, state = update(*a)
        return (y * y).sum() + mx.sin(state).sum()

    slopes = mx.grad(f, (0, 1, 2, 3, 4))(*args)
    ahead = sum((s * d).sum().item() for s, d in zip(slopes, along))
    step = 1e-6
    up, down = (
        f(*(a + sign * step * d for a, d in zip(args, along))).item() for sign in (1, -1)
    )
    assert ahead == pytest.approx((up - down) / (2 * step), 1e-6, 1e-6)
    assert mx.jvp(f, args, along)[1][0].item() == pytest.approx(ahead, 1e-9)
    mapped = mx.vmap(f)(*(mx.stack([a, d]) for a, d in zip(args, along)))
    assert mx.allclose(mapped, mx.stack([f(*args), f(*along)]), 1e-12, 1e-12)


@pytest.mark.parametrize(
    "change, says",
    [
        ({0: (2, 5, 3)}, "q: got shape"),
        ({1: (2, 5, 2, 4)}, "shapes do not fit"),
        ({2: (2, 5, 3, 6), 3: (2, 5, 3), 4: (2, 5, 3)}, "heads: got 3 of v and 2 of k"),
        ({3: (2, 5, 3)}, "gamma: got shape"),
        ({4: (2, 5, 4, 3)}, "beta: got shape"),
        ({5: (2, 4, 3, 6)}, "initial_state: got shape"),
        ({6: (2, 5)}, "mask: got"),
    ],
)
def test_what_does_not_fit_is_refused(change, says):
    args = [mx.array(a) for a in arguments()] + [None, None]
    for i, shape in change.items():
        args[i] = mx.zeros(shape)
    with pytest.raises(ValueError, match=says):
        update(*args)
