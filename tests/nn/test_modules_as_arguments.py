"""Modules as arguments of compiled functions: what the function gets, what stays in them, and what
asks for another trace."""

import threading

import pytest

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim
from lazulite.utils import tree_flatten

X = mx.array([[1.0, -2.0], [3.0, 4.0], [0.5, 0.25]])


def seen(function):
    """It compiled, and the list of its traces."""
    traces = []

    def call(*args, **kwargs):
        traces.append(1)
        return function(*args, **kwargs)

    return mx.compile(call), traces


def test_a_function_gets_the_module_that_it_is_given():
    got = []
    f = mx.compile(lambda model, x: (got.append(model), model(x))[1])
    for model in (nn.Linear(2, 3), nn.Linear(2, 3)):
        before = dict(model)
        assert mx.array_equal(f(model, X), model(X))
        assert mx.array_equal(f(model=model, x=X), model(X))
        assert all(model[key] is before[key] for key in before)
    assert [type(m) for m in got] == [nn.Linear] * 2


@pytest.mark.parametrize("place", ["list", "dict", "tuple", "nest", "keyword"])
def test_modules_in_trees(place):
    a, b = nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    want = b(a(X))
    if place == "list":
        got = mx.compile(lambda m, x: m[1](m[0](x)))([a, b], X)
    elif place == "dict":
        got = mx.compile(lambda m, x: m["b"](m["a"](x)))({"b": b, "a": a}, X)
    elif place == "tuple":
        got = mx.compile(lambda m, x: m[1](m[0](x)))((a, b), X)
    elif place == "nest":
        got = mx.compile(lambda m, x: m[1]["b"](m[0](x)))((a, {"b": b, "n": 3}), X)
    else:
        got = mx.compile(lambda x, **m: m["b"](m["a"](x)))(X, b=b, a=a)
    assert mx.allclose(got, want)


def test_modules_alike_share_a_trace_and_others_do_not():
    f, traces = seen(lambda model, x: model(x))
    models = [nn.Sequential(nn.Linear(2, 2), mx.tanh, nn.LeakyReLU(0.1)) for _ in range(3)]
    for model in models:
        assert mx.array_equal(f(model, X), model(X))
    assert len(traces) == 1
    changes = [
        lambda m: m.layers.__setitem__(1, mx.sin),
        lambda m: m.layers.__setitem__(2, nn.LeakyReLU(0.3)),
        lambda m: m.layers[2].__setattr__("negative_slope", 0.5),
        lambda m: m.layers.append(nn.ReLU()),
        lambda m: m.layers[0].__delattr__("bias"),
        lambda m: m.set_dtype(mx.float64),
        lambda m: m.eval(),
        lambda m: m.freeze(),
        lambda m: m.__setattr__("note", "a"),
    ]
    for k, change in enumerate(changes):
        change(models[0])
        for _ in range(2):
            assert mx.allclose(f(models[0], X), models[0](X))
        assert len(traces) == k + 2
    assert mx.array_equal(f(models[1], X), models[1](X)) and len(traces) == len(changes) + 1


def test_values_of_parameters_are_read_at_each_call():
    model = nn.Linear(2, 2)
    f, traces = seen(lambda model, x: model(x))
    for k in range(3):
        model.weight = model.weight * 0 + k
        model.bias += k
        assert mx.array_equal(f(model, X), model(X))
    assert len(traces) == 1


class Keeper(nn.Module):
    """It changes in every way when it is called."""

    def __init__(self):
        super().__init__()
        self.count = mx.array(0)
        self.total = mx.zeros((2,))
        self.log = [mx.zeros((2,))]
        self.inner = nn.BatchNorm(2)
        self.pair = (mx.array(1.0), nn.BatchNorm(2))
        self.last = mx.array(0.0)
        self.calls = 0

    def __call__(self, x):
        self.count += 1
        self.total = self.total + x.sum(axis=0)
        self.log.append(self.total)
        self.log[0] = self.log[0] - 1
        self.seen = {"x": x, "shape": x.shape}
        self.pair[0].__iadd__(2)
        if "last" in self:
            del self["last"]
        self.calls += 1
        return self.pair[1](self.inner(x)) * self.count


def test_what_a_call_leaves_in_a_module_is_what_a_plain_call_leaves():
    plain, compiled = Keeper(), Keeper()
    f = mx.compile(lambda model, x: model(x))
    alias, count = compiled.log, compiled.count
    for k in range(3):
        x = X + k
        assert mx.allclose(f(compiled, x), plain(x))
        assert list(compiled) == list(plain)
        assert compiled.log is alias and compiled.count is count
        for (name, a), (other, b) in zip(pairs(compiled), pairs(plain)):
            assert name == other and mx.allclose(a, b), name
        assert compiled.seen["shape"] == (3, 2) and "last" not in compiled
    assert compiled.calls == 0 and plain.calls == 3  # Python's own effects happen in traces alone


def pairs(model):
    return [(name, a) for name, a in tree_flatten(dict(model)) if isinstance(a, mx.array)]


def test_a_module_twice_and_one_that_is_state_too():
    model = Keeper()
    other = Keeper()
    assert mx.allclose(mx.compile(lambda a, b, x: a(b(x)))(model, model, X), other(other(X)))
    assert model.count.item() == 2
    f = mx.compile(lambda m, x: m(x), inputs=model, outputs=model)
    assert mx.allclose(f(model, X), other(X))
    assert model.count.item() == 3 and mx.allclose(model.inner.running_mean,
                                                   other.inner.running_mean)


def test_a_training_step_over_its_arguments():
    def made():
        mx.random.seed(3)
        model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm(4), nn.ReLU(), nn.Linear(4, 1))
        return model, optim.Adam(0.05)

    def step(model, optimizer, x):
        loss, grads = nn.value_and_grad(model, lambda x: (model(x) ** 2).mean())(x)
        optimizer.update(model, grads)
        return loss

    model, optimizer = made()
    other, other_optimizer = made()
    optimizer.init(model.trainable_parameters())
    other_optimizer.init(other.trainable_parameters())
    compiled = mx.compile(lambda model, x: step(model, optimizer, x),
                          inputs=optimizer.state, outputs=optimizer.state)
    for _ in range(4):
        loss = compiled(model, X)
        want = step(other, other_optimizer, X)
        assert mx.allclose(loss, want, atol=1e-6)
    for (name, a), (_, b) in zip(pairs(model), pairs(other)):
        assert mx.allclose(a, b, atol=1e-5), name


def test_an_exception_leaves_the_module_as_it_was():
    model = Keeper()
    before = pairs(model)

    def fails(model, x):
        model(x)
        raise RuntimeError("here")

    with pytest.raises(RuntimeError, match="here"):
        mx.compile(fails)(model, X)
    after = pairs(model)
    assert [n for n, _ in after] == [n for n, _ in before]
    assert all(a is b for (_, a), (_, b) in zip(after, before)) and model.count.item() == 0
    mx.eval(model)


def test_methods_that_a_module_keeps_are_of_this_module():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(2, 2)
            self.again = mx.checkpoint(self.forward)

        def forward(self, x):
            return self.inner(x)

        def __call__(self, x):
            return self.again(x)

    f = mx.compile(lambda model, x: model(x))
    for model in (Own(), Own()):
        for k in range(3):
            model.inner.weight = model.inner.weight + k
            assert mx.array_equal(f(model, X), model.inner(X))


def test_threads_with_one_module_and_several():
    shared, f = nn.Linear(2, 2), mx.compile(lambda model, x: model(x))
    wrong = []

    def work(i):
        own = nn.Linear(2, 2)
        for k in range(40):
            x = mx.ones((1 + (i + k) % 7, 2))
            for model in (own, shared):
                if not mx.array_equal(f(model, x), x @ model.weight.T + model.bias):
                    wrong.append((i, k))

    expected = nn.Linear(2, 2)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong and mx.array_equal(expected(X), f(expected, X))


def test_transforms_around_and_inside():
    model = nn.Linear(2, 2)
    f = mx.compile(lambda m, x: mx.tanh(m(x)).sum())
    g = mx.compile(lambda m, x: mx.grad(f)(m, x))
    want = mx.grad(lambda m, x: mx.tanh(m(x)).sum())(model, X)
    for got in (mx.grad(f)(model, X), g(model, X)):
        assert all(mx.allclose(got[key], want[key], atol=1e-6) for key in want)
    lanes = mx.vmap(f, in_axes=(None, 0))(model, X)
    assert mx.allclose(lanes.sum(), f(model, X), atol=1e-5)
    assert "ops" in str(f.plan(model, X))


def test_linearize_of_a_function_of_a_module():
    model = nn.Linear(2, 2)
    y, derivative = mx.linearize(lambda m, x: mx.tanh(m(x)), model, X)
    assert mx.array_equal(y, mx.tanh(model(X)))
    moved = derivative(model.parameters(), mx.zeros_like(X))
    slope = 1 - y * y
    assert mx.allclose(moved, slope * model(X), atol=1e-5)
