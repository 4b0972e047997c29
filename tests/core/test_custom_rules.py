"""What rules of a custom_function may give: nothing, numbers, other dtypes, any order of keys; the
rest is refused by name."""

import numpy as np
import pytest

import lazulite.core as mx

X = mx.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
Y = mx.array([[2.0, 0.0, 1.0], [1.0, 1.0, 7.0]])


def plain(x, y):
    return x * 2 + y


def ruled(**rules):
    f = mx.custom_function(lambda x, y: plain(x, y))
    for name, rule in rules.items():
        getattr(f, name)(rule)
    return f


def tangent(f, x=X, y=Y):
    return mx.jvp(f, [x, y], [x, y])[1][0]


# ways to a rule: of the whole batch, or of one lane
JVP_WAYS = {
    "plain": tangent,
    "mapped": lambda f: tangent(mx.vmap(f)),
    "mapped twice": lambda f: tangent(mx.vmap(mx.vmap(f))),
    "by lanes": lambda f: mx.vmap(lambda x, y: tangent(f, x, y))(X, Y),
    "compiled lanes": lambda f: mx.compile(lambda x, y: tangent(mx.vmap(f), x, y))(X, Y),
    "checkpoint": lambda f: tangent(mx.checkpoint(f)),
    "linearize": lambda f: mx.linearize(mx.vmap(f), X, Y)[1](X, Y),
    "scan": lambda f: mx.jvp(
        lambda x, y: mx.scan(lambda c, r: (c, f(r[0], r[1])), 0, (x, y))[1], [X, Y], [X, Y]
    )[1][0],
    "cond": lambda f: tangent(lambda x, y: mx.cond(x.sum() > 0, f, plain, x, y)),
}


@pytest.mark.parametrize("way", JVP_WAYS)
def test_a_jvp_rule_may_give_nothing(way):
    got = JVP_WAYS[way](ruled(jvp=lambda primals, tangents: None))
    assert got.dtype == mx.float32 and got.tolist() == np.zeros((2, 3)).tolist()


@pytest.mark.parametrize("way", JVP_WAYS)
@pytest.mark.parametrize("dtype", [mx.float64, mx.int32, mx.complex64])
def test_tangents_have_the_dtype_of_the_result(way, dtype):
    got = JVP_WAYS[way](ruled(jvp=lambda p, t: (p[0] * 2).astype(dtype)))
    assert got.dtype == mx.float32 and got.tolist() == (X * 2).tolist()


def test_several_results_of_which_some_have_no_tangent():
    f = mx.custom_function(lambda x, y: {"a": x * y, "b": x + y, "c": x})
    f.jvp(lambda p, t: {"c": t[0] * 3, "a": None, "b": t[1]})  # in any order
    for call in (f, mx.vmap(f), mx.vmap(mx.vmap(f))):
        keep = lambda x, y: [call(x, y)[k] for k in "abc"]
        moved = mx.jvp(keep, [X, Y], [X, Y])[1]
        assert [m.tolist() for m in moved] == [
            (X * 0).tolist(),
            Y.tolist(),
            (X * 3).tolist(),
        ]


@pytest.mark.parametrize("axis", [0, 1, -1, -2, np.int64(1), None, mx.array(1)])
def test_axes_of_a_vmap_rule(axis):
    def rule(inputs, axes):
        assert axes == (0, 0)
        value = plain(*inputs)
        if axis is None:
            return value[0], None
        return mx.moveaxis(value, 0, int(axis)), axis

    want = plain(X, Y).tolist() if axis is not None else [plain(X, Y)[0].tolist()] * 2
    for others in ({}, {"jvp": lambda p, t: t[0]}, {"vjp": lambda p, c, o: (c, c)}):
        f = mx.vmap(ruled(vmap=rule, **others))
        assert f(X, Y).tolist() == want
        assert mx.compile(f)(X, Y).tolist() == want
        mx.eval(mx.grad(lambda x: f(x, Y).sum())(X), tangent(f))


def test_results_of_a_vmap_rule_in_any_order_of_keys():
    f = mx.custom_function(lambda x: {"a": x, "b": -x})
    f.vmap(lambda x, axis: ({"b": mx.moveaxis(x, axis, -1), "a": x * 5}, {"b": -1, "a": axis}))
    got = mx.vmap(f)(X)
    assert got["a"].tolist() == (X * 5).tolist() and got["b"].tolist() == X.tolist()


@pytest.mark.parametrize("value, want", [
    (lambda x: None, np.zeros((2, 3))),
    (lambda x: x.astype(mx.int32), np.array(X)),
    (lambda x: np.ones((2, 3)), np.ones((2, 3))),
    (lambda x: [x], np.array(X)),
])
def test_values_of_a_vmap_rule(value, want):
    f = ruled(vmap=lambda inputs, axes: (value(inputs[0]), 0))
    got = mx.vmap(lambda x, y: f(x, y) + 0.5)(X, Y)
    assert got.dtype == mx.float32 and got.tolist() == (want + 0.5).tolist()


@pytest.mark.parametrize("made, match", [
    (lambda x: x, r"the vmap rule must give \(outputs, axes\): got array"),
    (lambda x: None, "must give .* got NoneType"),
    (lambda x: (x, 0, 0), "must give .* got 3 values"),
    (lambda x: (x, 2), "vmap rule .* out of range: got 2 for an array with 2 axes"),
    (lambda x: (x, -3), "out of range: got -3"),
    (lambda x: (x, "x"), "vmap rule .* does not fit the tree: got 'x'"),
    (lambda x: (x, 0.0), "does not fit the tree: got 0.0"),
    (lambda x: (x, [0, 0]), "does not fit the tree"),
    (lambda x: (x[:, :1], 0), r"wrong shape from the vmap rule: got \(2, 1\), expected \(2, 3\)"),
    (lambda x: (x[:1], 0), r"got \(1, 3\), expected \(2, 3\)"),
    (lambda x: (x, None), r"got \(2, 3\), expected \(3,\)"),
    (lambda x: ("x", 0), "wrong value from the vmap rule: got str"),
    (lambda x: ({"a": x}, 0), "wrong value from the vmap rule: got dict"),
])
def test_what_a_vmap_rule_may_not_give(made, match):
    f = mx.vmap(ruled(vmap=lambda inputs, axes: made(inputs[0])))
    for call in (lambda: f(X, Y), lambda: mx.grad(lambda x: f(x, Y).sum())(X), lambda: tangent(f)):
        with pytest.raises((ValueError, TypeError), match=match):
            call()


@pytest.mark.parametrize("made, match", [
    (lambda t: "x", "wrong value from the jvp rule: got str"),
    (lambda t: {"a": t}, "wrong value from the jvp rule: got dict"),
    (lambda t: t[..., :1], "wrong shape from the jvp rule"),
])
def test_what_a_jvp_rule_may_not_give(made, match):
    f = ruled(jvp=lambda p, t: made(t[0]))
    for call in (f, mx.vmap(f)):
        with pytest.raises((ValueError, TypeError), match=match):
            tangent(call)


def test_trees_of_rules_that_do_not_fit():
    f = mx.custom_function(lambda x: {"a": x, "b": (x, x)})
    for made, match in (
        ({"a": X}, r"wrong tree from the jvp rule: got keys \['a'\], expected a dict with keys"),
        ({"a": X, "b": X}, "got array, expected 2 values"),
        ({"a": X, "b": (X,)}, "got 1 values, expected 2 values"),
        (X, "got array, expected a dict"),
    ):
        f.jvp(lambda p, t: made)
        with pytest.raises(ValueError, match=match):
            mx.jvp(lambda x: f(x)["a"], [X], [X])


@pytest.mark.parametrize("number", [
    3,
    2.5,
    True,
    1j,
    np.float32(2.5),
    np.int64(3),
    np.bool_(True),
    np.ones(2, np.float32),
])
def test_numbers_and_arrays_of_numpy_in_the_output_of_vmap_are_in_every_lane(number):
    values, given = mx.vmap(lambda x: (x.sum(), number))(X)
    want = np.stack([np.asarray(number)] * 2)
    assert isinstance(given, mx.array) and given.dtype == mx.array(number).dtype
    assert given.tolist() == want.tolist() and values.tolist() == [6, 15]
