"""custom_function, checkpoint, jacobians."""

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn


def make():
    @mx.custom_function
    def f(x, y):
        return mx.sin(x) * y

    @f.vjp
    def f_vjp(primals, cotangent, output):
        x, y = primals
        assert output.shape == cotangent.shape
        return cotangent * 10 * y, cotangent * 100 * x

    return f


X, Y = mx.array([0.5, 1.0]), mx.array([2.0, 3.0])


def test_the_rule_is_used_by_gradients():
    f = make()
    assert f(X, Y).tolist() == (mx.sin(X) * Y).tolist()
    gx, gy = mx.grad(lambda x, y: f(x, y).sum(), argnums=(0, 1))(X, Y)
    assert gx.tolist() == [20, 30] and gy.tolist() == [50, 100]
    outputs, (gx, gy) = mx.vjp(f, [X, Y], [mx.ones(2)])
    assert gx.tolist() == [20, 30] and outputs[0].tolist() == f(X, Y).tolist()
    assert mx.grad(lambda x: (f(x, Y) * x).sum())(X).tolist() == pytest.approx(
        [0.5 * 20 + np.sin(0.5) * 2, 30 + np.sin(1) * 3], rel=1e-6
    )


def test_without_a_rule_the_ops_inside_give_it():
    f = make()
    _, (t,) = mx.jvp(f, [X, Y], [mx.ones(2), mx.zeros(2)])
    np.testing.assert_allclose(np.array(t), np.cos(np.array(X)) * np.array(Y), rtol=1e-6)
    got = mx.vmap(f)(mx.stack([X, Y]), mx.stack([Y, X]))
    np.testing.assert_allclose(np.array(got), np.array(mx.stack([f(X, Y), f(Y, X)])), rtol=1e-6)


def test_the_rule_survives_other_transforms():
    f = make()
    xs, wanted = mx.stack([X, Y]), [[20, 30], [20, 30]]
    assert mx.vmap(mx.grad(lambda x: f(x, Y).sum()))(xs).tolist() == wanted
    assert mx.grad(lambda xs: mx.vmap(lambda x: f(x, Y))(xs).sum())(xs).tolist() == wanted
    shared = mx.grad(lambda y: mx.vmap(lambda x: f(x, y))(xs).sum())(Y)
    assert shared.tolist() == pytest.approx([100 * (0.5 + 2.0), 100 * (1.0 + 3.0)])
    assert mx.compile(mx.grad(lambda x: f(x, Y).sum()))(X).tolist() == [20, 30]
    assert mx.grad(mx.compile(lambda x: f(x, Y).sum()))(X).tolist() == [20, 30]
    # 10 y x is linear in x here: the second derivative is that of the rule.
    assert mx.grad(lambda x: (mx.grad(lambda x: f(x, Y).sum())(x) * x).sum())(X).tolist() == [
        20,
        30,
    ]
    assert mx.checkpoint(lambda x: f(x, Y).sum())(X).item() == f(X, Y).sum().item()
    assert mx.grad(mx.checkpoint(lambda x: f(x, Y).sum()))(X).tolist() == [20, 30]


def test_jvp_and_vmap_rules():
    @mx.custom_function
    def g(x):
        return x * 2

    @g.jvp
    def g_jvp(primal, tangent):
        return tangent * 7

    @g.vmap
    def g_vmap(x, axis):
        assert axis == 1
        return mx.moveaxis(x, axis, 0) * 5, 0

    _, (t,) = mx.jvp(g, [X], [mx.ones(2)])
    assert t.tolist() == [7, 7]
    assert mx.vmap(g, in_axes=1)(mx.ones((2, 3))).tolist() == [[5, 5]] * 3
    assert g(X).tolist() == [1, 2]


def test_trees_and_several_outputs():
    @mx.custom_function
    def h(p, scale=2.0):
        return {"a": p["w"] * scale, "b": [p["v"]]}

    @h.vjp
    def h_vjp(p, ct, out):
        return {"w": ct["a"] * 3, "v": ct["b"][0] * 4}

    tree = {"w": X, "v": Y}
    grads = mx.grad(lambda p: h(p)["a"].sum() + h(p, scale=5.0)["b"][0].sum())(tree)
    assert grads["w"].tolist() == [3, 3] and grads["v"].tolist() == [4, 4]


def test_rules_that_return_the_wrong_thing():
    f = mx.custom_function(lambda x, y: x * y)
    f.vjp(lambda primals, ct, out: ct)
    with pytest.raises(ValueError, match="custom_function"):
        mx.grad(lambda x: f(x, Y).sum())(X)
    f.vjp(lambda primals, ct, out: (ct[:1], ct))
    with pytest.raises(ValueError, match="shape"):
        mx.grad(lambda x: f(x, Y).sum())(X)


def test_checkpoint_gives_the_same_gradients_and_captures_parameters():
    mx.random.seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 1))
    x = mx.random.normal((5, 4))

    def loss(m, wrap):
        return (wrap(lambda x: m(x))(x) ** 2).sum()

    _, plain = nn.value_and_grad(model, lambda m: loss(m, lambda f: f))(model)
    _, saved = nn.value_and_grad(model, lambda m: loss(m, mx.checkpoint))(model)
    from lazulite.utils import tree_flatten

    for (k, a), (_, b) in zip(tree_flatten(plain), tree_flatten(saved)):
        assert a.tolist() == b.tolist(), k
        assert mx.abs(a).max().item() > 0


def test_checkpoint_needs_less_memory():
    w = [mx.random.normal((128, 128), key=mx.random.key(k)) * 0.05 for k in range(24)]
    x = mx.random.normal((4096, 128))
    mx.eval(w, x)

    def layers(x, w):
        for p in w:
            x = mx.tanh(x @ p)
        return x

    def peak(wrap):
        def loss(w):
            y = x
            for k in range(0, 24, 6):
                y = wrap(lambda y, *part: layers(y, part))(y, *w[k : k + 6])
            return (y * y).mean()

        mx.clear_cache()
        mx.reset_peak_memory()
        start = mx.get_active_memory()
        mx.eval(mx.value_and_grad(loss)(w))
        return mx.get_peak_memory() - start

    assert peak(lambda f: f) > 2 * peak(mx.checkpoint)


def test_jacobians():
    rng = np.random.default_rng(0)
    a = mx.array(rng.standard_normal((3, 2)), mx.float64)
    x = mx.array(rng.standard_normal(2), mx.float64)
    f = lambda x: mx.tanh(a @ x)  # noqa: E731
    wanted = (1 - np.array(f(x)) ** 2)[:, None] * np.array(a)
    for jac in (mx.jacrev, mx.jacfwd):
        np.testing.assert_allclose(np.array(jac(f)(x)), wanted, rtol=1e-12)
        np.testing.assert_allclose(np.array(mx.compile(jac(f))(x)), wanted, rtol=1e-12)
        j0, j1 = jac(lambda x, y: x * y.sum(), argnums=(0, 1))(x, x)
        np.testing.assert_allclose(np.array(j0), np.eye(2) * np.array(x).sum(), rtol=1e-12)
        np.testing.assert_allclose(np.array(j1), np.outer(np.array(x), np.ones(2)), rtol=1e-12)
        assert jac(lambda m: m.T)(a).shape == (2, 3, 3, 2)
    h = mx.hessian(lambda x: (mx.sin(a @ x) ** 2).sum())(x)
    np.testing.assert_allclose(np.array(h), np.array(h).T, rtol=1e-10)
    with pytest.raises(TypeError):
        mx.jacrev(f)(mx.array([1, 2]))
    with pytest.raises(ValueError):
        mx.jacfwd(f, argnums=3)(x)


def test_linearize_gives_the_value_and_a_derivative_that_is_reused():
    w = mx.random.normal((3, 3))
    ran = []

    def f(x, p):
        ran.append(1)
        return {"y": mx.tanh(x @ w) * p["s"]}

    x, p = mx.array([1.0, -2.0, 0.5]), {"s": mx.array(2.0)}
    value, derivative = mx.linearize(f, x, p)
    assert mx.array_equal(value["y"], f(x, p)["y"]).item()
    ran.clear()
    for k in (0.5, 1.0, -3.0):
        tx, ts = mx.array([k, 1.0, k]), mx.array(k)
        expected = mx.jvp(lambda a, s: f(a, {"s": s})["y"], [x, p["s"]], [tx, ts])[1][0]
        np.testing.assert_allclose(
            np.array(derivative(tx, {"s": ts})["y"]), np.array(expected), rtol=1e-6
        )
    assert len(ran) == 3  # by jvp alone
    mx.eval(derivative(x, p))
    assert "tanh" not in {op for step in mx.plan(derivative(x, p)).steps for op in step.ops}
    with pytest.raises(ValueError, match="tangent"):
        derivative(mx.ones(2), p)
    with pytest.raises(ValueError, match="structure"):
        derivative(x)
    with pytest.raises(TypeError):
        mx.linearize(lambda x: x, mx.array(1))
    hessian_vector = mx.linearize(mx.grad(lambda x: (x**3).sum()), x)[1]
    np.testing.assert_allclose(np.array(hessian_vector(mx.ones(3))), 6 * np.array(x), rtol=1e-6)


def peak_of_training(act, splits):
    """Peak bytes of value and gradients of 24 layers act(x @ w), with nested checkpoints."""
    keys = mx.random.split(mx.random.key(0), 24)
    ws = [mx.random.normal((32, 32), key=k) * 0.1 for k in keys]
    x = mx.random.normal((8192, 32))
    mx.eval(ws, x)

    def block(x, *ws):
        for w in ws:
            x = act(x @ w)
        return x

    def level(splits):
        if not splits:
            return block
        inner = mx.checkpoint(level(splits[1:]))

        def f(x, *ws):
            k = len(ws) // splits[0]
            for i in range(0, len(ws), k):
                x = inner(x, *ws[i : i + k])
            return x

        return f

    def loss(ws, x):
        return (level(splits)(x, *ws) ** 2).mean()

    import gc

    gc.collect()
    mx.clear_cache()
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    value, grads = mx.value_and_grad(loss)(ws, x)
    mx.eval(value, grads)
    return mx.get_peak_memory() - before, grads


@pytest.mark.parametrize("act, splits", [
    (lambda x: 0.5 * x * (1 + mx.erf(x / 1.4142135)), (6,)),
    (mx.tanh, (4, 3)),
], ids=["gelu", "tanh, nested"])
def test_checkpoints_of_24_layers_need_a_third_of_the_memory(act, splits):
    plain, expected = peak_of_training(act, ())
    less, grads = peak_of_training(act, splits)
    assert less * 3 <= plain, f"{plain / less:.2f}"
    for g, e in zip(grads, expected):
        np.testing.assert_allclose(np.array(g), np.array(e), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("compiled", [False, True])
def test_arguments_that_a_checkpointed_function_puts_away_are_the_arguments_after_it(compiled):
    """As programs do whose inner function takes a module's parameters and updates the module."""
    mx.random.seed(0)
    layer, x = nn.Linear(3, 3), mx.random.normal((2, 3))

    def inner(parameters, x):
        layer.update(parameters)
        return mx.tanh(layer(x))

    def loss(x):
        for _ in range(2):  # the second call takes what the first one left
            x = mx.checkpoint(inner)(layer.trainable_parameters(), x)
        return x.sum()

    def plain(x):
        return mx.tanh(layer(mx.tanh(layer(x)))).sum()

    expected = nn.value_and_grad(layer, plain)(x)
    step = nn.value_and_grad(layer, loss)
    value, grads = (mx.compile(step, inputs=layer.state) if compiled else step)(x)
    assert value.item() == expected[0].item()
    for name in ("weight", "bias"):
        assert grads[name].tolist() == expected[1][name].tolist()
    assert layer.weight.shape == (3, 3) and np.isfinite(np.array(layer.weight)).all()
    held = []
    mx.grad(mx.checkpoint(lambda x: held.append(x) or x.sum()))(x)
    assert held[0].tolist() == x.tolist()
