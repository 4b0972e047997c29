"""vmap of what no lane changes, and of carries of which only some are mapped."""

import numpy as np

import lazulite.core as mx


def test_views_of_an_unmapped_carry_are_recorded_unchanged():
    def f(x, c):
        (a, b), ys = mx.scan(lambda cc, xx: ((cc[0] + xx, cc[1] * 2), cc[1]), (mx.array(0.0), c), x)
        return ys[::-1], b.reshape(1, 1) + mx.sum(ys), a

    ys, b, a = mx.vmap(f, in_axes=(0, None))(mx.ones((3, 4)), mx.array(1.0))
    assert np.array_equal(np.array(ys), [[8, 4, 2, 1]] * 3)
    assert np.array_equal(np.array(b), [[[31]]] * 3)
    assert np.array_equal(np.array(a), [4, 4, 4])


def test_while_and_for_loops_with_partly_unmapped_carries():
    def loop(x, n):
        i, s, t = mx.while_loop(
            lambda v: v[0] < 3, lambda v: (v[0] + 1, v[1] + x, v[2] * 2), (n, mx.zeros(2), n + 1.0)
        )
        return mx.broadcast_to(t, (2, 2)).T[::-1], s, mx.stack([i, i])[1]

    x = mx.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    t, s, i = mx.vmap(loop, in_axes=(0, None))(x, mx.array(0))
    assert np.array_equal(np.array(t), np.full((3, 2, 2), 8)) and np.array_equal(
        np.array(s), 3 * np.array(x)
    )
    assert np.array_equal(np.array(i), [3, 3, 3])

    def fori(x, c):
        a, b = mx.fori_loop(0, 3, lambda i, v: (v[0] + x, mx.sin(v[1])[::-1]), (mx.zeros(2), c))
        return mx.concatenate([b[::-1], b]), a

    b, a = mx.vmap(fori, in_axes=(0, None))(x, mx.array([1.0, 2.0]))
    want = np.sin(np.sin(np.sin(np.array([1.0, 2.0], np.float32))))
    assert np.allclose(np.array(b), [np.concatenate([want, want[::-1]])] * 3) and np.array_equal(
        np.array(a), 3 * np.array(x)
    )


def test_a_custom_rule_that_unmaps_its_result():
    @mx.custom_function
    def f(x):
        return mx.sum(x) * 0 + mx.arange(4.0)

    @f.vmap
    def f_vmap(x, axes):
        return mx.arange(4.0), None

    got = mx.vmap(lambda x: (f(x)[::-1], f(x).reshape(2, 2).T))(mx.ones((3, 2)))
    assert np.array_equal(np.array(got[0]), [[3, 2, 1, 0]] * 3)
    assert np.array_equal(np.array(got[1]), [[[0, 2], [1, 3]]] * 3)
    nested = mx.vmap(mx.vmap(lambda x: f(x)[1:]))(mx.ones((5, 3, 2)))
    assert np.array_equal(np.array(nested), np.broadcast_to([1, 2, 3], (5, 3, 3)))


def test_a_custom_function_of_which_a_lane_shares_the_result():
    @mx.custom_function
    def f(u, w):
        return mx.sin(u)

    @f.vjp
    def f_vjp(primals, cotangent, output):
        return cotangent * mx.cos(primals[0]), mx.zeros_like(primals[1])

    @f.jvp
    def f_jvp(primals, tangents):
        return tangents[0] * mx.cos(primals[0])

    u, w = mx.array(0.5), mx.ones(3)
    mapped = lambda u, w: mx.vmap(f, in_axes=(None, 0))(u, w)
    assert np.allclose(np.array(mapped(u, w)), np.sin(0.5))
    assert np.allclose(
        mx.grad(lambda u: (mapped(u, w) * mx.array([1.0, 2.0, 4.0])).sum())(u).item(),
        7 * np.cos(0.5),
    )
    assert np.allclose(np.array(mx.jvp(mapped, [u, w], [u, w])[1][0]), 0.5 * np.cos(0.5))
