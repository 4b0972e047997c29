"""grad, vjp, jvp, vmap: forms of calls, nesting, errors."""

import numpy as np
import pytest

import lazulite.core as mx


def close(a, b, rtol=1e-5):
    np.testing.assert_allclose(np.array(a), np.array(b), rtol=rtol, atol=1e-6)


def test_grad_nests():
    x = mx.array(2.0)
    f = lambda x: x**4  # noqa: E731
    assert (
        mx.grad(f)(x).item() == 32
        and mx.grad(mx.grad(f))(x).item() == 48
        and mx.grad(mx.grad(mx.grad(f)))(x).item() == 48
    )


def test_hessian_in_all_ways():
    a = mx.array(np.random.default_rng(0).standard_normal((3, 3)).astype(np.float32))
    x = mx.array([0.3, -0.5, 0.8])

    def f(x):
        return mx.sin(a @ x).sum() * (x * x).sum()

    eye = mx.eye(3)
    forward_over_reverse = mx.vmap(lambda t: mx.jvp(mx.grad(f), [x], [t])[1][0])(eye)
    reverse_over_reverse = mx.vmap(lambda t: mx.vjp(mx.grad(f), [x], [t])[1][0])(eye)
    rows = mx.stack([mx.grad(lambda y, k=k: mx.grad(f)(y)[k])(x) for k in range(3)])
    compiled = mx.compile(
        lambda x: mx.stack(
            [mx.grad(lambda y, k=k: mx.grad(mx.compile(f))(y)[k])(x) for k in range(3)]
        )
    )(x)
    close(forward_over_reverse, rows)
    close(reverse_over_reverse, rows)
    close(compiled, rows)
    close(rows, rows.T)


def test_per_example_gradients():
    w = mx.array([1.0, 2.0])
    xs = mx.array([[1.0, 0.0], [0.5, 2.0], [3.0, 1.0]])
    loss = lambda w, x: mx.tanh((w * x).sum())  # noqa: E731
    got = mx.vmap(mx.grad(loss), in_axes=(None, 0))(w, xs)
    close(got, mx.stack([mx.grad(loss)(w, x) for x in xs]))
    total = mx.grad(lambda w: mx.vmap(loss, (None, 0))(w, xs).sum())(w)
    close(total, got.sum(0))


def test_argnums_argnames_and_trees():
    f = lambda a, b, scale=1.0, *, c: (a * b * c).sum() * scale  # noqa: E731
    a, b, c = mx.array([2.0]), mx.array([3.0]), mx.array([5.0])
    assert mx.grad(f, argnums=1)(a, b, c=c).item() == 10
    assert [g.item() for g in mx.grad(f, argnums=(0, 1))(a, b, c=c)] == [15, 10]
    positional, named = mx.grad(f, argnames="c")(a, b, c=c)
    assert positional is None and named["c"].item() == 6
    positional, named = mx.grad(f, argnums=0, argnames=["c"])(a, b, 2.0, c=c)
    assert positional.item() == 30 and named["c"].item() == 12
    tree = {"w": [a, b], "t": (c,)}
    value, grads = mx.value_and_grad(lambda p: (p["w"][0] * p["w"][1] * p["t"][0]).sum())(tree)
    assert value.item() == 30 and grads["w"][0].item() == 15 and isinstance(grads["t"], tuple)
    (value, extra), grad = mx.value_and_grad(lambda x: ((x * x).sum(), "extra"))(a)
    assert extra == "extra" and grad.item() == 4


@pytest.mark.parametrize("call, error", [
    (lambda: mx.grad(lambda x: x)(mx.ones(2)), ValueError),
    (lambda: mx.grad(lambda x: (x.sum(), 1))(mx.ones(2)), ValueError),
    (lambda: mx.grad(lambda x: 1.0)(mx.ones(2)), ValueError),
    (lambda: mx.grad(lambda x: x * 1.0)(1.0), ValueError),
    (lambda: mx.grad(lambda x: x.sum() * 1.0)(mx.array([1, 2])), TypeError),
    (lambda: mx.grad(lambda x: x.sum(), argnums=-1)(mx.ones(2)), ValueError),
    (lambda: mx.grad(lambda x: x.sum(), argnums=2)(mx.ones(2)), ValueError),
    (lambda: mx.vjp(mx.sin, [mx.ones(2)], [mx.ones(3)]), ValueError),
    (lambda: mx.vjp(mx.sin, [mx.ones(2)], []), ValueError),
    (lambda: mx.jvp(mx.sin, [mx.ones(2)], []), ValueError),
    (lambda: mx.vmap(mx.add)(mx.ones(2), mx.ones(3)), ValueError),
    (lambda: mx.vmap(mx.add, in_axes=(0, 5))(mx.ones(2), mx.ones(2)), IndexError),
    (lambda: mx.vmap(mx.add, in_axes=(None, None))(mx.ones(2), mx.ones(2)), ValueError),
])
def test_misuse(call, error):
    with pytest.raises(error):
        mx.eval(call())


def test_complex_gradients_follow_pytorch():
    assert mx.grad(lambda z: mx.real(z * z))(mx.array(1 + 2j)).item() == 2 - 4j
    close(mx.grad(mx.abs)(mx.array(3 + 4j)).item(), 0.6 + 0.8j)
    _, (g,) = mx.vjp(lambda z: z * (1 + 2j), [mx.array(1 + 1j)], [mx.array(1 + 0j)])
    assert g.item() == 1 - 2j
    _, (t,) = mx.jvp(lambda z: z * (1 + 2j), [mx.array(1 + 1j)], [mx.array(1 + 0j)])
    assert t.item() == 1 + 2j


def test_points_without_a_derivative():
    zero = mx.array(0.0)
    for f, wanted in [
        (lambda x: mx.maximum(x, 0), 0.0),
        (mx.abs, 0.0),
        (mx.sqrt, float("inf")),
        (lambda x: mx.maximum(x, 0) * 1, 0.0),
    ]:
        assert mx.grad(f)(zero).item() == wanted
    assert mx.grad(lambda x: x.max())(mx.array([1.0, 1.0, 0.0])).tolist() == [0.5, 0.5, 0.0]
    assert mx.grad(lambda x: x.prod())(mx.array([0.0, 2.0, 3.0])).tolist() == [6.0, 0.0, 0.0]


def test_evaluation_inside_grad():
    def f(x):
        y = x * x
        mx.eval(y)
        if y.sum().item() > 0:
            return (y * y).sum()
        return y.sum()

    assert mx.grad(f)(mx.array([2.0])).item() == 32
    assert mx.grad(mx.grad(lambda x: f(x)))(mx.array(2.0)).item() == 48


def test_in_place_inside_transforms_leaves_the_caller_alone():
    x = mx.array([1.0, 2.0])

    def f(x):
        x[0] = 5
        x += 1
        return (x * x).sum()

    assert mx.grad(f)(x).tolist() == [0.0, 6.0] and x.tolist() == [1.0, 2.0]
    xs = mx.ones((3, 2))
    assert mx.vmap(f)(xs).tolist() == [40.0] * 3 and xs.tolist() == [[1, 1]] * 3


def test_vmap_axes():
    x = mx.arange(24, dtype=mx.float32).reshape(2, 3, 4)
    f = lambda a: a.sum(0)  # noqa: E731
    for axis in range(-3, 3):
        for out in (0, 1, -1):
            got = mx.vmap(f, axis, out)(x)
            wanted = mx.stack([f(p) for p in mx.unstack(x, axis=axis)], out)
            assert got.tolist() == wanted.tolist()
    tree = mx.vmap(lambda t, y: {"s": t["a"] + y, "n": 3}, in_axes=({"a": 0, "b": None}, None))
    out = tree({"a": mx.arange(3), "b": mx.ones(2)}, mx.array(1))
    assert out["s"].tolist() == [1, 2, 3] and out["n"].tolist() == [3, 3, 3]
    assert mx.vmap(lambda x: (x, mx.array(7)), out_axes=(0, None))(mx.arange(2))[1].item() == 7
    assert mx.vmap(lambda x: x * 2)(mx.zeros((0, 3))).shape == (0, 3)
    nested = mx.vmap(mx.vmap(mx.multiply, (None, 0)), (0, None))(mx.arange(2), mx.arange(3))
    assert nested.tolist() == [[0, 0, 0], [0, 1, 2]]


def test_vmap_and_random_numbers():
    keys = mx.random.split(mx.random.key(1), 3)
    got = mx.vmap(lambda k: mx.random.normal((4,), key=k))(keys)
    for lane in range(3):
        assert got[lane].tolist() == mx.random.normal((4,), key=keys[lane]).tolist()
    same = mx.vmap(lambda x: x * 0 + mx.random.uniform(shape=(2,)))(mx.zeros((3, 2)))
    assert same[0].tolist() == same[1].tolist() == same[2].tolist()


def test_reading_under_vmap_and_compile_says_so():
    for transform in (mx.vmap, mx.compile):
        with pytest.raises(ValueError, match="traced"):
            transform(lambda x: x * x.sum().item())(mx.ones((2, 2)))
        with pytest.raises(ValueError, match="traced"):
            transform(lambda x: x if x.sum() > 0 else -x)(mx.ones((2, 2)))


def test_stop_gradient_of_trees():
    g = mx.grad(lambda x: (x * mx.stop_gradient({"a": [x, 1]})["a"][0]).sum())(mx.array([3.0]))
    assert g.item() == 3


def test_gradients_keep_the_dtype():
    for t in (mx.float16, mx.bfloat16, mx.float32, mx.float64):
        g = mx.grad(lambda x: (mx.exp(x) * 2.0).sum())(mx.ones(3, t))
        assert g.dtype == t


def test_what_would_escape_raises():
    kept = []

    def leaky(x):
        kept.append(x * 2)
        return x

    for transform in (mx.vmap, mx.compile):
        kept.clear()
        transform(leaky)(mx.ones(3))
        with pytest.raises(ValueError, match="traced"):
            kept[0].tolist()
        outside = mx.array([1.0, 2.0])

        def changes_outside(x):
            nonlocal outside
            outside += x
            return outside

        def writes_outside(x):
            outside[0] = x.sum()
            return outside

        for f in (changes_outside, writes_outside):
            with pytest.raises(ValueError, match="in place"):
                transform(f)(mx.ones(2))
        assert outside.tolist() == [1.0, 2.0]
    kept.clear()
    mx.grad(lambda x: leaky(x).sum())(mx.ones(3))
    assert kept[0].tolist() == [2, 2, 2]


def test_an_unmapped_argument_may_be_changed_in_place():
    def f(x, y):
        y += x
        y[0] = 0
        return y

    y = mx.array([1.0, 2.0])
    assert mx.vmap(f, (0, None))(mx.array([1.0, 2.0]), y).tolist() == [
        [0, 3],
        [0, 4],
    ] and y.tolist() == [1, 2]


def test_an_array_of_another_thread_is_not_silently_constant():
    import threading

    def f(x):
        made = []
        t = threading.Thread(target=lambda: made.append(x * 2))
        t.start()
        t.join()
        return made[0].sum()

    with pytest.raises(ValueError, match="thread|history"):
        mx.grad(f)(mx.ones(2))


def test_gradients_of_many_parts_of_one_array():
    x = mx.arange(12.0).reshape(3, 4)
    parts = [
        np.s_[0:2],
        np.s_[1:3],
        np.s_[:, ::2],
        np.s_[::-1, 1:3],
        np.s_[2],
        np.s_[[0, 0, 2]],
        np.s_[..., -1],
    ]

    def f(x):
        return sum(((k + 1) * x[p] ** 2).sum() for k, p in enumerate(parts))

    expected = np.zeros((3, 4))
    for k, p in enumerate(parts):
        np.add.at(expected, p, 2 * (k + 1) * np.arange(12.0).reshape(3, 4)[p])
    np.testing.assert_allclose(np.array(mx.grad(f)(x)), expected, rtol=1e-6)
    np.testing.assert_allclose(
        np.array(mx.grad(f)(x.astype(mx.float16)).astype(mx.float32)), expected, rtol=1e-2
    )
    np.testing.assert_allclose(
        np.array(mx.vmap(mx.grad(f))(mx.stack([x, x]))[1]), expected, rtol=1e-6
    )
    second = mx.grad(lambda x: mx.grad(f)(x).square().sum())(x)
    np.testing.assert_allclose(
        np.array(second),
        2 * expected**2 / np.maximum(np.arange(12.0).reshape(3, 4), 1e-9),
        rtol=1e-4,
        atol=1e-3,
    )


def test_the_gradient_of_a_loop_over_slices_is_written_in_place():
    x = mx.random.normal((200, 64))

    def f(x):
        return sum((x[i] * (i + 1)).sum() for i in range(200))

    plan = mx.plan(mx.grad(f)(x))
    assert plan.peak_bytes < 3 * x.nbytes
    np.testing.assert_array_equal(np.array(mx.grad(f)(x))[:, 0], np.arange(1, 201))


@pytest.mark.parametrize(
    "call",
    [
        lambda: mx.grad(3),
        lambda: mx.value_and_grad(None),
        lambda: mx.vmap("f"),
        lambda: mx.compile(3),
        lambda: mx.checkpoint(3),
        lambda: mx.custom_function(3),
        lambda: mx.jacrev(3),
        lambda: mx.jacfwd(3),
        lambda: mx.hessian(3),
        lambda: mx.linearize(3, mx.array(1.0)),
        lambda: mx.scan(3, 0, mx.ones(2)),
        lambda: mx.while_loop(3, 3, 0),
        lambda: mx.fori_loop(0, 1, 3, 0),
        lambda: mx.cond(True, 3, 3),
        lambda: mx.export_function("f", 3, mx.array(1)),
    ],
)
def test_what_is_no_function_is_refused_at_once(call):
    with pytest.raises(TypeError, match="not a function"):
        call()


@pytest.mark.parametrize(
    "axes",
    [
        {"a": 0, "b": (1, 1)},
        ({"a": 0, "b": (1, 1)},),
        [{"a": 0, "b": 1}],
        {"a": np.int64(0), "b": [1, 1]},
    ],
)
def test_in_axes_may_be_the_tree_of_a_single_argument(axes):
    x, y = mx.arange(6.0).reshape(3, 2), mx.arange(6.0).reshape(2, 3)
    got = mx.vmap(lambda t: t["a"] + t["b"][0] * t["b"][1], in_axes=axes)({"a": x, "b": (y, y)})
    assert np.array_equal(np.array(got), np.array(x + y.T * y.T))


def test_in_axes_of_a_tuple_and_of_what_is_not_mapped():
    x, y = mx.arange(6.0).reshape(3, 2), mx.arange(6.0).reshape(2, 3)
    for axes in ((0, 1), ((0, 1),), [(0, 1)]):
        assert np.array_equal(
            np.array(mx.vmap(lambda t: t[0] * t[1], in_axes=axes)((x, y))), np.array(x * y.T)
        )
    got = mx.vmap(lambda t: t["a"] @ t["b"], in_axes={"a": 0, "b": None})({"a": x, "b": y})
    assert np.array_equal(np.array(got), np.array(x @ y))
    assert np.array_equal(np.array(mx.vmap(lambda t: t[0], in_axes=(1,))((x,))), np.array(x.T))


@pytest.mark.parametrize(
    "axes",
    [
        {"a": 0},
        {"a": 0, "b": 0, "c": 0},
        {"a": (0,), "b": 0},
        {"a": {"x": 0}, "b": 0},
        "0",
        0.0,
        (0, 0),
    ],
)
def test_in_axes_that_fit_no_tree_are_refused(axes):
    with pytest.raises(ValueError):
        mx.vmap(lambda t: t["a"] + t["b"], in_axes=axes)({"a": mx.ones(2), "b": mx.ones(2)})


def test_out_axes_of_a_single_array_may_stand_in_a_tuple():
    x = mx.arange(6.0).reshape(3, 2)
    assert np.array_equal(np.array(mx.vmap(lambda r: r * 2, out_axes=(1,))(x)), np.array(x.T * 2))
    with pytest.raises(ValueError):
        mx.vmap(lambda r: r, out_axes=(0, 1))(x)


def test_a_tracer_that_escaped_is_a_value_and_a_runtime_error():
    for transform in (mx.compile, mx.vmap):
        held = []

        def f(x):
            held.append(x * 2)
            return x

        transform(f)(mx.ones(3))
        for use in (
            lambda t: t.tolist(),
            lambda t: mx.eval(t + 1),
            lambda t: mx.grad(lambda x: (x * t).sum())(mx.ones(3)).tolist(),
        ):
            for kind in (ValueError, RuntimeError):
                with pytest.raises(kind):
                    use(held[0])


@pytest.mark.parametrize("what", [None, 3, "ab", [1.0], np.ones(2)], ids=repr)
def test_primals_cotangents_and_tangents_are_arrays(what):
    x = mx.ones(2)
    for call in (
        lambda: mx.vjp(mx.sin, [what], [x]),
        lambda: mx.vjp(mx.sin, [x], [what]),
        lambda: mx.jvp(mx.sin, [what], [x]),
        lambda: mx.jvp(mx.sin, [x], [what]),
        lambda: mx.vjp(what, [x], [x]),
        lambda: mx.jvp(what, [x], [x]),
    ):
        with pytest.raises(TypeError, match=r"\[[vj]"):
            call()


def reading(x):
    return x + x.sum().item()


wrong_calls = {
    "hessian": [
        lambda: mx.hessian(3),
        lambda: mx.hessian(lambda x: [x])(mx.ones(2)),
        lambda: mx.hessian(lambda x: x)(1.0),
        lambda: mx.hessian(lambda x: x)(mx.array([1])),
        lambda: mx.hessian(lambda x: x, argnums=3)(mx.ones(2)),
        lambda: mx.hessian(lambda x: x, argnums="a"),
    ],
    "jacrev": [
        lambda: mx.jacrev(lambda x: [x])(mx.ones(2)),
        lambda: mx.jacrev(lambda x: x, -1),
        lambda: mx.jacrev(lambda x: x, (0, 1.5)),
    ],
    "jacfwd": [lambda: mx.jacfwd(lambda x: 2.0)(mx.ones(2)), lambda: mx.jacfwd(lambda x: x, True)],
    "vjp": [
        lambda: mx.vjp(lambda x: 3.0, [mx.ones(2)], [mx.ones(2)]),
        lambda: mx.vjp(lambda x: x, mx.ones(2), [mx.ones(2)]),
    ],
    "jvp": [
        lambda: mx.jvp(lambda x: "a", [mx.ones(2)], [mx.ones(2)]),
        lambda: mx.jvp(lambda x: x, [mx.ones(2)], [mx.ones(3)]),
    ],
    "depends": [
        lambda: mx.depends(3, mx.ones(2)),
        lambda: mx.depends("a", mx.ones(2)),
        lambda: mx.depends(["a"], mx.ones(2)),
        lambda: mx.depends(mx.ones(2), 4),
        lambda: mx.depends(mx.ones(2), [None]),
    ],
    "stop_gradient": [lambda: mx.stop_gradient(mx.ones(2), stream="a")],
    "vmap": [
        lambda: mx.vmap(reading)(mx.ones(2)),
        lambda: mx.vmap(lambda x: x, in_axes=2)(mx.ones(2)),
    ],
    "compile": [lambda: mx.compile(reading)(mx.ones(2)), lambda: mx.compile(lambda x: x)(object())],
    "checkpoint": [lambda: mx.grad(mx.checkpoint(reading))(mx.array(1.0))],
    "scan": [lambda: mx.scan(lambda c, _: (reading(c), c), mx.ones(2), length=2)],
    "while_loop": [lambda: mx.while_loop(lambda v: v.sum() < 3, reading, mx.ones(2))],
    "fori_loop": [
        lambda: mx.fori_loop(0, 3, lambda i, v: reading(v), mx.ones(2)),
        lambda: mx.fori_loop(0, mx.array(3), lambda i, v: reading(v), mx.ones(2)),
        lambda: mx.fori_loop(0, 3, lambda i, v: "a", mx.ones(2)),
        lambda: mx.fori_loop(0, mx.array(3), lambda i, v: (v, v), mx.ones(2)),
    ],
    "cond": [lambda: mx.cond(mx.array(True), reading, lambda x: x, mx.ones(2))],
}


@pytest.mark.parametrize(
    "name, call", [(n, c) for n, calls in wrong_calls.items() for c in calls]
)
def test_errors_name_the_transform_that_was_called(name, call):
    with pytest.raises((TypeError, ValueError)) as raised:
        call()
    assert str(raised.value).startswith(f"[{name}] ")


integer_functions = {
    "bits": lambda m, i: (i & 3) | (i ^ 1) | ~i,
    "flags": lambda m, i: (m & True) | ~m,
    "shifts": lambda m, i: (i << 1) + (i >> 1),
    "bytes": lambda m, i: i.view(mx.uint8),
    "a view as floats": lambda m, i: i.view(mx.float32) * 0,
    "a key": lambda m, i: mx.random.uniform(key=i[:2].astype(mx.uint32)),
    "a comparison": lambda m, i: i > 2,
    "indices": lambda m, i: mx.arange(9.0)[i],
    "a mask": lambda m, i: mx.where(m, 1.5, 0.0),
    "a quotient": lambda m, i: i // 2,
}


@pytest.mark.parametrize("name", integer_functions)
def test_integers_inside_a_tree_stop_no_derivative(name):
    f = integer_functions[name]
    m, i = mx.array([True, False, True]), mx.array([1, 0, 2])
    value = f(m, i)

    def loss(tree):
        return (f(tree["m"], tree["i"]).astype(mx.float32) * tree["w"]).sum()

    gradient = mx.grad(loss)({"m": m, "i": i, "w": mx.array(1.0)})
    assert gradient["i"].tolist() == [0, 0, 0] and gradient["m"].tolist() == [False] * 3
    assert gradient["w"].item() == value.astype(mx.float32).sum().item()
    grads = mx.vjp(f, [m, i], [mx.ones_like(value)])[1]
    assert [g.tolist() for g in grads] == [[False] * 3, [0, 0, 0]]
    moved = mx.jvp(f, [m, i], [mx.ones_like(m), mx.ones_like(i)])[1][0]
    assert moved.shape == value.shape and not mx.any(moved).item()


@pytest.mark.parametrize("dtype", [mx.bool_, mx.uint8, mx.int32, mx.int64, mx.uint64])
@pytest.mark.parametrize("find", [mx.max, mx.min])
def test_ties_of_integers_share_all_of_a_cotangent(find, dtype):
    x = mx.array([[1, 0, 1, 1], [1, 1, 1, 1], [0, 1, 0, 0]]).astype(dtype)
    for axis in (None, 0, 1, (0, 1)):
        value = find(x, axis=axis)
        for n in (1, 5, 12) if dtype != mx.bool_ else (1,):
            cotangent = (mx.ones_like(value).astype(mx.int32) * n).astype(dtype)
            (grad,) = mx.vjp(lambda a: find(a, axis=axis), [x], [cotangent])[1]
            assert grad.dtype == dtype
            hit = np.asarray(x) == np.asarray(find(x, axis=axis, keepdims=True))
            grad, along = np.asarray(grad).astype(int), axis
            assert (grad[~hit] == 0).all() and (grad.sum(axis=along) == n).all()
            spread = np.where(hit, grad, grad.max()).min(axis=along)
            assert (np.asarray(spread) >= n // hit.sum(axis=along)).all()


def test_bool_arithmetic_has_derivatives():
    a, b = mx.array([True, False, True]), mx.array([True, True, False])
    for f, moved, grads in (
        (lambda x, y: x + y, [True, True, True], [[True] * 3] * 2),
        (lambda x, y: x - y, [True, True, True], [[True] * 3] * 2),
        (lambda x, y: x * y, [True, False, False], [[True, True, False], [True, False, True]]),
    ):
        tangents = [mx.array([True, False, True]), mx.array([False, True, False])]
        assert mx.jvp(f, [a, b], tangents)[1][0].tolist() == moved
        assert [g.tolist() for g in mx.vjp(f, [a, b], [mx.ones(3, mx.bool_)])[1]] == grads
    loss = lambda t: (t["m"] - t["m"]).astype(mx.float32).sum() * t["w"]  # noqa: E731
    assert mx.grad(loss)({"m": a, "w": mx.array(1.0)})["w"].item() == 0


def test_integers_follow_through_mapped_checkpoints():
    x = mx.array([[1, 2], [3, 4], [5, 6]])
    f = lambda v: v * v + v[0]  # noqa: E731
    for g in (mx.vmap(mx.checkpoint(f)), mx.vmap(mx.compile(mx.checkpoint(f)))):
        for call in (g, mx.compile(lambda v, g=g: mx.vjp(g, [v], [mx.ones_like(v)])[1][0])):
            got = call(x) if call is not g else mx.vjp(g, [x], [mx.ones_like(x)])[1][0]
            assert got.tolist() == mx.vjp(mx.vmap(f), [x], [mx.ones_like(x)])[1][0].tolist()
            assert got.tolist() == [[4, 4], [8, 8], [12, 12]]
