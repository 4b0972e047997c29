"""What a function puts into a module reaches the caller's module, or is refused: it is never lost,
whichever transform calls the function with the module, and it happens once."""

import copy
import threading

import pytest

import lazulite.core as mx
import lazulite.nn as nn

X = mx.array([3.0, 4.0])
BOTH = mx.stack([X, X + 1])


class Counter(nn.Module):
    """Adds up what it gives: in an array, in a list, in place; counts its calls."""

    def __init__(self):
        super().__init__()
        self.weight = mx.array([1.0, 2.0])
        self.total = mx.zeros(2)
        self.held = [mx.array(0.0), {"largest": mx.array(0.0)}]
        self.places = mx.zeros(2)
        self.calls, self.sizes = 0, (0,)

    def __call__(self, x):
        y = self.weight * x
        self.total = self.total + mx.stop_gradient(y)
        self.held[0] = self.held[0] + 1
        self.held[1]["largest"] = mx.stop_gradient(y).max()
        self.places[0] = 7
        self.calls += 1
        self.sizes = x.shape
        return y.sum()


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [Counter(), mx.tanh]

    def __call__(self, x):
        return self.layers[0](x)


def counter(model):
    return model.layers[0] if isinstance(model, Outer) else model


def seen(model):
    c = counter(model)
    return [
        c.weight.tolist(), c.total.tolist(), c.held[0].item(), c.held[1]["largest"].item(),
        c.places.tolist(), c.calls, c.sizes,
    ]


def call(m, x):
    return m(x)


zero = mx.array(0.0)
ONCE = {
    "plain": lambda m: m(X),
    "grad": lambda m: mx.grad(call)(m, X),
    "grad by another": lambda m: mx.grad(call, 1)(m, X),
    "vjp": lambda m: mx.vjp(call, [m, X], [mx.array(1.0)]),
    "jvp": lambda m: mx.jvp(call, [m, X], [{}, X]),
    "nn": lambda m: nn.value_and_grad(m, call)(m, X),
    "custom_function": lambda m: mx.grad(mx.custom_function(call))(m, X),
    "custom_function by another": lambda m: mx.grad(mx.custom_function(call), 1)(m, X),
    "custom_function by name": lambda m: mx.grad(
        lambda x: mx.custom_function(lambda *, m, x: m(x))(m=m, x=x))(X),
    "custom_function in a tree": lambda m: mx.grad(
        lambda x: mx.custom_function(lambda t: t["m"][0](t["x"]))({"m": (m,), "x": x}))(X),
    "linearize": lambda m: mx.linearize(call, m, X),
    "jacrev": lambda m: mx.jacrev(call)(m, X),
    "jacrev by another": lambda m: mx.jacrev(call, 1)(m, X),
    "jacrev captured": lambda m: mx.jacrev(m)(X),
    "jacfwd": lambda m: mx.jacfwd(call, (0, 1))(m, X),
    "jacfwd captured": lambda m: mx.jacfwd(m)(X),
    "hessian": lambda m: mx.hessian(call)(m, X),
    "hessian captured": lambda m: mx.hessian(m)(X),
    "jacrev of grad": lambda m: mx.jacrev(lambda x: mx.grad(call, 1)(m, x))(X),
    "grad of jacrev": lambda m: mx.grad(lambda x: mx.jacrev(call, 1)(m, x).sum())(X),
}


@pytest.mark.parametrize("kind", [Counter, Outer])
@pytest.mark.parametrize("way", ONCE)
def test_derivatives_change_the_callers_module_once(kind, way):
    model, expected = kind(), kind()
    ONCE["plain"](expected)
    weight = counter(model).weight
    ONCE[way](model)
    assert seen(model) == seen(expected)
    assert counter(model).weight is weight  # what the function left alone is the very object


LOST = {
    "vmap": lambda m: mx.vmap(call, (None, 0))(m, BOTH),
    "vmap of grad": lambda m: mx.vmap(lambda m, x: mx.grad(call, 1)(m, x), (None, 0))(
        m, BOTH),
    "vmap in a tree": lambda m: mx.vmap(lambda t: t["m"](t["x"]), {"m": None, "x": 0})(
        {"m": m, "x": BOTH}),
    "scan over modules": lambda m: mx.scan(
        lambda c, layer: (c + layer(X), None), zero, stacked(m)),
    "scan": lambda m: mx.scan(lambda c, x: ((replica(m), c[1] + c[0](x)), x), (m, zero), BOTH),
    "fori_loop": lambda m: mx.fori_loop(
        0, 2, lambda i, c: (replica(m), c[1] + c[0](X)), (m, zero)),
    "fori_loop to an array": lambda m: mx.fori_loop(
        0, mx.array(2), lambda i, c: (replica(m), c[1] + c[0](X)), (m, zero)),
    "while_loop": lambda m: mx.while_loop(
        lambda c: c[1] < 3, lambda c: (replica(m), c[1] + c[0](X)), (m, zero)),
    "while_loop's test": lambda m: mx.while_loop(
        lambda c: c[0](X) + c[1] < 3, lambda c: (c[0], c[1] + 1), (m, zero)),
    "cond": lambda m: mx.cond(mx.array(True), call, lambda m, x: x.sum(), m, X),
    "cond's other": lambda m: mx.cond(mx.array(True), lambda m, x: x.sum(), call, m, X),
}


def replica(m):
    other = copy.deepcopy(m)
    counter(other).sizes = X.shape
    return other


def stacked(m):
    """Two of it, as one whose arrays have an axis more."""
    other = copy.deepcopy(m)
    c = counter(other)
    for name in ("weight", "total", "places"):
        c[name] = mx.stack([c[name]] * 2)
    c.held[0] = mx.stack([c.held[0]] * 2)
    c.held[1]["largest"] = mx.stack([c.held[1]["largest"]] * 2)
    return other


@pytest.mark.parametrize("kind", [Counter, Outer])
@pytest.mark.parametrize("way", LOST)
def test_arrays_put_into_copies_that_do_not_come_back_are_refused(kind, way):
    model = kind()
    counter(model).sizes = X.shape
    before = seen(model)
    with pytest.raises(ValueError, match=r"^\[\w+\] what the function puts into a module would be"):
        LOST[way](model)
    assert seen(model) == before


class Total(nn.Module):
    def __init__(self):
        super().__init__()
        self.total, self.calls = mx.zeros(2), 0

    def __call__(self, x):
        self.total = self.total + x
        self.calls += 1
        return x.sum()


def test_modules_that_come_back_hold_what_was_put_there():
    both = lambda m, x: (m(x), m)
    y, m = mx.vmap(both, (None, 0))(Total(), BOTH)
    assert y.tolist() == [7, 9] and m.total.tolist() == BOTH.tolist()
    m, y = mx.scan(lambda m, x: both(m, x)[::-1], Total(), BOTH)
    assert y.tolist() == [7, 9] and m.total.tolist() == [7, 9]
    m = mx.fori_loop(0, 3, lambda i, m: both(m, X)[1], Total())
    assert m.total.tolist() == [9, 12]
    m = mx.while_loop(lambda m: m.total[0] < 7, lambda m: both(m, X)[1], Total())
    assert m.total.tolist() == [9, 12]
    m = mx.cond(mx.array(False), lambda m: m, lambda m: both(m, X)[1], Total())
    assert m.total.tolist() == [3, 4]
    # By themselves, without the module.
    y, total = mx.vmap(lambda m, x: (m(x), m.total), (None, 0))(Total(), BOTH)
    assert total.tolist() == BOTH.tolist()
    # An ensemble in training.
    norm = nn.BatchNorm(2)
    for name, a in norm.items():
        norm[name] = mx.stack([a, a])
    batch = mx.random.normal((2, 5, 2))
    _, after = mx.vmap(lambda m, x: (m(x), m))(norm, batch)
    for k in range(2):
        one = nn.BatchNorm(2)
        one(batch[k])
        assert mx.allclose(after.running_mean[k], one.running_mean)
        assert mx.allclose(after.running_var[k], one.running_var)
    with pytest.raises(ValueError, match="another 'running_mean' of BatchNorm"):
        mx.vmap(lambda m, x: m(x))(norm, batch)
    mx.vmap(lambda m, x: m.eval()(x))(norm, batch)
    assert not norm.training


class Notes(nn.Module):
    """What is no array is the same in every lane and step."""

    def __init__(self):
        super().__init__()
        self.weight, self.sizes, self.calls, self.log = mx.array(2.0), (), 0, [1]
        self.gone = (5,)

    def __call__(self, x):
        self.calls += 1
        self.sizes, self.form = x.shape, "seen"
        self.log.append(2)
        if "gone" in self:
            del self.gone
        return self.weight * x.sum()


@pytest.mark.parametrize("way", ["vmap", "scan", "while_loop", "cond", "grad"])
def test_what_is_no_array_reaches_the_callers_module(way):
    m = Notes()
    if way == "vmap":
        mx.vmap(call, (None, 0))(m, BOTH)
    elif way == "scan":
        layers = copy.deepcopy(m)
        layers.weight = mx.ones(2)
        mx.scan(lambda c, layer: (c + layer(X), None), zero, m := layers)
    elif way == "while_loop":
        mx.while_loop(lambda c: c[0] < m(X), lambda c: (c[0] + 1,), (zero,))
    elif way == "cond":
        mx.cond(mx.array(True), call, lambda m, x: x.sum(), m, X)
    else:
        mx.grad(call)(m, X)
    assert m.calls == 1 and m.sizes == X.shape and m.form == "seen" and m.log == [1, 2]
    assert "gone" not in m and not mx.any(m.weight == 0)
    mx.eval(m)


def test_jacobians_call_their_function_once():
    calls = []

    def f(x):
        calls.append(x.shape)
        return x * mx.random.normal((2,))

    for matrix in (mx.jacrev, mx.jacfwd):
        calls.clear()
        mx.random.seed(3)
        g = matrix(f)(X)
        state = mx.random.state[0].tolist()
        mx.random.seed(3)
        y = f(mx.ones(2))
        assert len(calls) == 2 and mx.allclose(g, mx.diag(y))
        assert mx.random.state[0].tolist() == state


def test_threads_that_take_every_derivative_of_one_module():
    """Each sees its own arrays in the module; none waits for another."""
    model = nn.Linear(2, 2)
    weight = model.weight
    f = lambda m, x: mx.square(m(x)).sum()
    ways = [
        lambda: mx.grad(f)(model, X)["weight"],
        lambda: mx.grad(lambda x: mx.custom_function(f)(model, x))(X),
        lambda: mx.jacrev(f)(model, X)["weight"],
        lambda: mx.jacfwd(f, 1)(model, X),
        lambda: mx.hessian(f)(model, X)["bias"]["bias"],
        lambda: mx.linearize(f, model, X)[1]({}, X),
        lambda: mx.vmap(f, (None, 0))(model, BOTH),
    ]
    wanted = [way().tolist() for way in ways]
    wrong = []

    def run(way, value):
        for _ in range(100):
            if way().tolist() != value:
                wrong.append(value)

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in zip(ways, wanted)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong and not any(thread.is_alive() for thread in threads)
    assert model.weight is weight
