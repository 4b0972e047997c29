"""Bodies of loops take whatever layout inner results have, and another one at the next step."""

import numpy as np
import pytest

import lazulite.core as mx


def unrolled(body, carry, rows):
    made = []
    for row in rows:
        carry, y = body(carry, row)
        made.append(y)
    return carry, mx.stack(made)


def pick(flag, yes, no, *operands):
    return (yes if flag.item() else no)(*operands)


def branches(n):
    """Pairs of functions of an (n, n) array whose results lie in memory in different ways."""
    return {
        "broadcast": (lambda v: mx.broadcast_to(mx.mean(v, 0), (n, n)), lambda v: v * 2),
        "transposed": (lambda v: v.T, lambda v: v + 1),
        "reversed": (lambda v: v[::-1], lambda v: v[:, ::-1]),
        "part": (
            lambda v: mx.concatenate([v, v])[1 : n + 1],
            lambda v: mx.stack([v, v], 2)[:, :, 1],
        ),
        "itself": (lambda v: v, lambda v: mx.full((n, n), 0.5)),
    }


@pytest.mark.parametrize("n", [3, 23, 70])
@pytest.mark.parametrize("kind", list(branches(2)))
def test_a_branch_inside_a_scan_may_change_its_layout_from_step_to_step(kind, n):
    yes, no = branches(n)[kind]

    def body(choose):
        def step(c, x):
            a = choose(x[0, 0] > 0, yes, no, c * x)
            b = choose(x[0, 0] < 0.25, no, yes, c)
            return a * 0.5 + b * x, a + b
        return step

    rows = mx.random.uniform(-1, 1, (6, n, n), key=mx.random.key(1))
    start = mx.random.uniform(-1, 1, (n, n), key=mx.random.key(2))
    for got, want in zip(mx.scan(body(mx.cond), start, rows), unrolled(body(pick), start, rows)):
        assert np.array_equal(np.array(got), np.array(want))


@pytest.mark.parametrize("kind", list(branches(2)))
def test_a_while_loop_inside_a_scan_may_give_any_layout(kind):
    n = 5
    yes, no = branches(n)[kind]

    def inner(v):
        def body(s):
            i, v = s
            return i + 1, yes(v) if kind != "itself" else v * 1.5
        return mx.while_loop(lambda s: s[0] < 3, body, (mx.array(0), v))[1]

    def eager(v):
        for _ in range(3):
            v = yes(v) if kind != "itself" else v * 1.5
        return v

    rows = mx.random.uniform(-1, 1, (4, n, n), key=mx.random.key(1))
    start = mx.ones((n, n))
    got = mx.scan(lambda c, x: (inner(c + x) * x, inner(c)), start, rows)
    want = unrolled(lambda c, x: (eager(c + x) * x, eager(c)), start, rows)
    for g, w in zip(got, want):
        assert np.array_equal(np.array(g), np.array(w))


def test_gradients_of_a_scan_over_branches_are_the_same_from_run_to_run():
    w = mx.random.normal((40, 40), key=mx.random.key(3)) * 0.1

    def loss(x):
        def step(c, r):
            return (
                mx.cond(
                    r.sum() > 0,
                    lambda a: mx.tanh(a @ w),
                    lambda a: mx.broadcast_to(a.mean(1), (40, 40)),
                    c * r,
                ),
                c.T,
            )
        return (mx.scan(step, x, mx.stack([x, -x, x * x]))[1] ** 2).sum()

    x = mx.random.normal((40, 40), key=mx.random.key(4))
    first = np.array(mx.grad(loss)(x))
    for _ in range(5):
        assert np.array_equal(np.array(mx.grad(loss)(x)), first)


def test_second_derivatives_of_a_branch_with_a_product():
    rng = np.random.default_rng(0)
    x = mx.array(rng.random((3, 3)), dtype=mx.float64)
    w = mx.array(rng.random((3, 3)), dtype=mx.float64)

    def loss(x, choose):
        c = x
        for i in range(3) if choose is pick else [None]:
            if i is None:
                c = mx.fori_loop(
                    0, 3, lambda i, c: mx.cond(i > 1, lambda a: a.T @ w, lambda a: a * a, c), c
                )
            else:
                c = c.T @ w if i > 1 else c * c
        return (c ** 2).sum()

    def second(choose):
        return mx.grad(lambda x: (mx.grad(lambda x: loss(x, choose))(x) ** 2).sum())(x)

    assert np.allclose(np.array(second(mx.cond)), np.array(second(pick)), rtol=1e-12)
