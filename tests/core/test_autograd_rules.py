"""grad and its relatives: the caller's containers, integers, argnums, rules of custom functions."""

from typing import NamedTuple

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn


class Pair(NamedTuple):
    a: object
    b: object


def test_containers_are_the_callers_own_and_hold_their_own_arrays_afterwards():
    model = nn.Linear(2, 1)
    tree = {
        "list": [mx.array(1.0), {"deep": mx.array(2.0)}],
        "pair": Pair(mx.array(3.0), [mx.array(4.0)]),
    }
    pair, deep, inner = tree["pair"], tree["list"][1], tree["pair"].b
    before = [tree["list"][0], deep["deep"], pair.a, inner[0], model.weight, model.bias]

    def loss(q, m, *, named):
        assert (
            q is tree and q["list"][1] is deep and type(q["pair"]) is Pair and q["pair"].b is inner
        )
        assert m is model and named is tree["list"]
        assert q["list"][0] is not before[0] and m.weight is not before[4]
        return q["list"][0] * deep["deep"] * q["pair"].a * inner[0] + m(mx.ones(2)).sum()

    (g, h), _ = mx.grad(loss, argnums=(0, 1), argnames="named")(tree, model, named=tree["list"])
    assert g["pair"].a.item() == 8 and type(g["pair"]) is Pair and g["pair"].b[0].item() == 6
    assert type(h) is dict and h["weight"].tolist() == [[1, 1]]
    after = [tree["list"][0], deep["deep"], tree["pair"].a, inner[0], model.weight, model.bias]
    assert all(a is b for a, b in zip(after, before)) and tree["pair"] is pair
    with pytest.raises(ZeroDivisionError):
        mx.grad(lambda q: 1 / 0)(tree)
    assert all(
        a is b for a, b in zip([tree["list"][0], deep["deep"], tree["pair"].a, inner[0]], before)
    )


def test_what_the_function_puts_into_a_container_stays():
    q = {"w": mx.array(2.0), "n": mx.array(0.0), "same": mx.array(1.0), "parts": [mx.array(1.0)]}
    w, same = q["w"], q["same"]

    def loss(q):
        q["n"] = q["n"] + 1
        q["new"] = q["w"] * 10
        q["alias"] = q["w"]
        q["parts"].append(q["w"] + 5)
        q["parts"][0] += 3
        return q["w"] ** 2

    assert mx.grad(loss)(q)["w"].item() == 4
    assert mx.grad(lambda q: loss(q) * 1)(q)["w"].item() == 4
    assert q["w"] is w and q["same"] is same and q["alias"] is w
    assert q["n"].item() == 2 and q["new"].item() == 20
    assert [a.item() for a in q["parts"]] == [7, 7, 7]

    def fails(q, extra):
        q["n"] = q["n"] * 0
        extra["x"] = q["w"]
        raise KeyError

    extra = {"y": mx.array(1.0)}
    with pytest.raises(KeyError):
        mx.value_and_grad(fails, argnums=(0, 1))(q, extra)
    assert q["w"] is w and q["n"].item() == 0 and extra["x"] is w


def test_nested_gradients_leave_containers_alone():
    q = {"w": mx.array(2.0)}
    w = q["w"]
    inner = mx.grad(lambda q: q["w"] ** 3)
    assert mx.grad(lambda q: inner(q)["w"])(q)["w"].item() == 12 and q["w"] is w
    shared = [q, q]
    assert (
        sum(g["w"].item() for g in mx.grad(lambda s: s[0]["w"] * s[1]["w"])(shared)) == 4
        and q["w"] is w
    )


def test_a_module_to_differentiate_keeps_what_its_call_updates():
    model = nn.BatchNorm(3)
    running = model.running_mean
    x = mx.arange(12.0).reshape(4, 3)
    g = mx.grad(lambda m: (m(x) ** 2).sum())(model)
    assert type(g) is dict and set(g) == {"weight", "bias", "running_mean", "running_var"}
    assert model.running_mean is not running and np.allclose(
        np.array(model.running_mean), 0.1 * np.array(x).mean(0)
    )


def test_integers_inside_trees_have_integer_gradients():
    tree = {
        "x": mx.array([1.0, 2.0]),
        "i": mx.array([3, 4]),
        "flag": mx.array([True, False]),
        "at": mx.array(1),
        "unused": mx.array([7], mx.uint8),
    }

    def loss(t):
        return (
            (t["x"] * t["i"] * t["i"]).sum()
            + t["x"][t["at"]]
            + mx.where(t["flag"], t["x"], 0).sum()
        )

    value, g = mx.value_and_grad(loss)(tree)
    assert g["x"].tolist() == [10, 17] and g["i"].tolist() == [6, 16] and g["i"].dtype == mx.int32
    assert g["at"].item() == 0 and g["at"].dtype == mx.int32
    assert (
        g["flag"].dtype == mx.bool_
        and g["unused"].tolist() == [0]
        and g["unused"].dtype == mx.uint8
    )
    with pytest.raises(TypeError):
        mx.grad(lambda i: (i * 1.0).sum())(mx.array([1, 2]))
    assert mx.grad(lambda t: (t[0] * 2.0).sum())([mx.array([1, 2])])[0].tolist() == [2, 2]


@pytest.mark.parametrize(
    "f, tangent, cotangent",
    [
        (mx.sum, 6, [1, 1, 1, 1]),
        (mx.prod, 18, [6, 0, 0, 0]),
        (mx.min, 3, [1, 0, 0, 0]),
        (mx.max, 0, [0, 0, 0, 1]),
        (lambda x: (x * x).sum(), 8, [0, 2, 4, 6]),
        (lambda x: (x[::-1] @ x), 28, [6, 4, 2, 0]),
        (lambda x: mx.concatenate([x, mx.arange(3)]).sum(), 6, [1, 1, 1, 1]),
        (lambda x: mx.where(x > 1, x * 3, -x).sum(), -2, [-1, -1, 3, 3]),
        (lambda x: mx.take(mx.arange(10), x).sum(), 0, [0, 0, 0, 0]),
        (lambda x: x[mx.array([0, 0, 3])].sum(), 6, [2, 0, 0, 1]),
        (lambda x: mx.checkpoint(lambda y: (y * y).sum())(x), 8, [0, 2, 4, 6]),
        (lambda x: mx.max(mx.stack([x[3], x[3], x[0]])), 0, None),
    ],
)
def test_derivatives_of_integer_functions_are_integer_arithmetic(f, tangent, cotangent):
    x, t = mx.arange(4), mx.array([3, 2, 1, 0])
    (y,), (out,) = mx.jvp(f, [x], [t])
    assert out.item() == tangent and out.dtype == y.dtype
    if cotangent is not None:
        (y,), (out,) = mx.vjp(f, [x], [mx.array(1)])
        assert out.tolist() == cotangent and out.dtype == mx.int32


@pytest.mark.parametrize("dtype", [mx.float16, mx.int32, mx.float32, mx.uint8])
def test_the_tangent_of_a_comparison_has_the_compared_dtype(dtype):
    a = mx.array([1, 2, 3]).astype(dtype)
    for f in (mx.less, mx.equal, mx.greater_equal):
        (y,), (t,) = mx.jvp(f, [a, a], [a, a])
        assert y.dtype == mx.bool_ and t.dtype == dtype and t.tolist() == [0, 0, 0]


def test_the_gradient_through_an_integer_dtype_is_zero():
    assert mx.grad(lambda x: x.astype(mx.int32).astype(mx.float32).sum())(
        mx.array([1.5, 2.5])
    ).tolist() == [0, 0]
    g = mx.grad(lambda t: (t[0].astype(mx.int32) * t[1]).astype(mx.float32).sum())(
        [mx.array([1.5, 2.5]), mx.array([3, 4])]
    )
    assert g[0].tolist() == [0, 0] and g[1].tolist() == [1, 2]
    (y,), (t,) = mx.jvp(lambda x: x.astype(mx.int32), [mx.array([1.5])], [mx.array([1.0])])
    assert t.tolist() == [0]


def test_the_remainder_of_divmod_has_the_derivative_of_remainder():
    f = lambda x: mx.divmod(x, 3.0)[1].sum() + divmod(x, 2.0)[1].sum() + mx.divmod(7.0, x)[1].sum()
    assert mx.grad(f)(mx.array([4.0, 5.0])).tolist() == [2 - 1, 2 - 1]


def test_argnums_and_argnames_are_checked():
    f = lambda x, y=None: x.sum()
    x = mx.ones(2)
    for bad in (1.0, "0", (0, "1"), [None], True):
        with pytest.raises(TypeError):
            mx.grad(f, argnums=bad)
    for bad in ((), (0, 0), -1, (0, -1)):
        with pytest.raises(ValueError):
            mx.grad(f, argnums=bad)
    for bad in ((1,), [None], 3):
        with pytest.raises(TypeError):
            mx.grad(f, argnames=bad)
    with pytest.raises(ValueError):
        mx.grad(f, argnames=("x", "x"))
    assert mx.grad(f, argnums=np.int64(0))(x).tolist() == [1, 1]


def test_one_number_in_a_tuple_gives_the_gradient_itself():
    f = lambda x, y: (x * y).sum()
    x, y = mx.array([1.0, 2.0]), mx.array([3.0, 4.0])
    assert mx.grad(f, argnums=(1,))(x, y).tolist() == [1, 2]
    assert mx.value_and_grad(f, argnums=[0])(x, y)[1].tolist() == [3, 4]
    both = mx.grad(f, argnums=(0, 1))(x, y)
    assert isinstance(both, tuple) and len(both) == 2
    assert mx.grad(f, argnums=(0,), argnames="y")(x, y=y)[0].tolist() == [3, 4]


def test_rules_of_a_custom_function_run_only_for_its_arguments():
    ran = []
    w = mx.array(3.0)

    def make(w):
        @mx.custom_function
        def f(x):
            return x * w

        @f.vjp
        def f_vjp(x, cotangent, output):
            ran.append("vjp")
            return cotangent * 100

        @f.jvp
        def f_jvp(x, tangent):
            ran.append("jvp")
            return tangent * 100

        return f

    assert mx.grad(lambda w: make(w)(mx.array(2.0)))(w).item() == 0 and not ran
    assert (
        mx.jvp(lambda w: make(w)(mx.array(2.0)), [w], [mx.array(1.0)])[1][0].item() == 0 and not ran
    )
    assert mx.grad(lambda w: make(w)(mx.array(2.0)) + w)(w).item() == 1 and not ran
    assert mx.grad(lambda w: make(w)(w))(w).item() == 100 and ran == ["vjp"]
    assert mx.jvp(lambda w: make(w)(w), [w], [mx.array(1.0)])[1][0].item() == 100 and ran == [
        "vjp",
        "jvp",
    ]


def test_integers_in_updates_have_the_tangents_of_integer_arithmetic():
    x, i = mx.array([3, 1, 2, 2]), mx.array([0, 0])
    tangent = lambda f, p, t: mx.jvp(f, [mx.array(p)], [mx.array(t)])[1][0].tolist()
    assert tangent(lambda v: x.at[i].multiply(v), 1, 2) == [12, 0, 0, 0]
    assert tangent(lambda v: x.at[mx.array([0, 1])].multiply(v), [2, 5], [1, 1]) == [3, 1, 0, 0]
    assert tangent(lambda v: x.at[i].divide(v), 1, 2)[1:] == [0, 0, 0]


def test_what_a_split_gave_is_put_together_by_one_concatenation():
    x = mx.array(np.arange(24.0, dtype=np.float32).reshape(2, 12))

    def f(x):
        a, b, c = mx.split(x, [3, 7], axis=1)
        return (a.sum() + (b * b).sum()) * 2 + (c[:, 1:] * c[:, :-1]).sum()

    slope = mx.grad(f)(x)
    ops = str(mx.plan(slope))
    assert "concatenate" in ops
    wide = np.arange(24.0).reshape(2, 12)
    expected = np.zeros((2, 12))
    expected[:, :3] = 2
    expected[:, 3:7] = 4 * wide[:, 3:7]
    expected[:, 8:] += wide[:, 7:11]
    expected[:, 7:11] += wide[:, 8:]
    np.testing.assert_allclose(np.array(slope), expected)
    # parts that meet twice, or leave something out, are added up as before
    for parts in ([(0, 5), (4, 12)], [(0, 5), (6, 12)], [(6, 12), (0, 6)], [(0, 12), (0, 12)]):
        got = mx.grad(lambda x: sum((k + 1) * x[:, a:b].sum() for k, (a, b) in enumerate(parts)))(x)
        expected = np.zeros((2, 12))
        for k, (a, b) in enumerate(parts):
            expected[:, a:b] += k + 1
        assert np.array_equal(np.array(got), expected)
