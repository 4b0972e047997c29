"""Gradients of one model from several threads at once: each thread's are those that it computes
alone, and the model holds its own arrays afterwards."""

import gc
import sys
import threading

import pytest

import lazulite.core as mx
import lazulite.nn as nn
from lazulite.utils import tree_flatten, tree_map
from together import together

XS = [mx.random.normal((5, 4), key=mx.random.key(k)) for k in range(4)]


class Parts(nn.Module):
    """Layers in lists, dicts and tuples, one of them twice, in a checkpoint and in a loop."""

    def __init__(self):
        super().__init__()
        self.blocks = [{"map": nn.Linear(4, 4)}, nn.LayerNorm(4)]
        self.again = self.blocks[0]["map"]
        self.pair = (nn.Linear(4, 4), mx.ones(4))
        self.last = nn.Linear(4, 1)
        self.inner = mx.checkpoint(self.middle)

    def middle(self, x):
        return mx.tanh(self.again(x)) * self.pair[1]

    def __call__(self, x):
        x = self.inner(self.blocks[1](self.blocks[0]["map"](x)))
        x, _ = mx.scan(lambda c, _: (mx.tanh(self.pair[0](c)), None), x, length=2)
        return self.last(x)


def sequence(norm):
    return nn.Sequential(nn.Linear(4, 8), norm(8), mx.tanh, nn.Linear(8, 1))


MODELS = {
    "sequence": lambda: sequence(nn.LayerNorm), "statistics": lambda: sequence(nn.BatchNorm),
    "parts": Parts,
}


def loss(model, x):
    return mx.square(model(x)).sum()


def second(model, x):
    """The gradient of the size of a gradient."""
    def size(x):
        _, grads = nn.value_and_grad(model, lambda x: loss(model, x))(x)
        return sum(mx.square(g).sum() for _, g in tree_flatten(grads) if isinstance(g, mx.array))

    return nn.value_and_grad(model, size)(x)


WAYS = {
    "value_and_grad of nn": lambda m, x: nn.value_and_grad(m, lambda x: loss(m, x))(x),
    "value_and_grad": lambda m, x: mx.value_and_grad(loss)(m, x),
    "grad": lambda m, x: mx.grad(loss, (0, 1))(m, x),
    "vjp": lambda m, x: mx.vjp(loss, [m, x], [mx.array(1.0)]),
    "jvp": lambda m, x: mx.jvp(loss, [m, x], [{"last": {"weight": mx.ones((1, 4))}}
                                              if isinstance(m, Parts) else {}, x]),
    "jacrev": lambda m, x: mx.jacrev(loss)(m, x),
    "grad of x": lambda m, x: mx.grad(lambda x: loss(m, x))(x),
    "vmap": lambda m, x: mx.vmap(lambda x: m(x), out_axes=1, in_axes=1)(mx.stack([x, x], 1)),
    "second": second,
    "call": lambda m, x: m(x),
}


def pairs(tree):
    return [(name, a) for name, a in tree_flatten(tree) if isinstance(a, mx.array)]


def check(got, want):
    got, want = pairs(got), pairs(want)
    assert [name for name, _ in got] == [name for name, _ in want]
    for (name, a), (_, b) in zip(got, want):
        if "running" not in name:
            assert mx.allclose(a, b, 1e-3, 1e-4), name


@pytest.fixture
def quick_switches():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def ways_of(kind):
    """Those that a model knows: the lanes of vmap have no statistics in common."""
    return [way for way in WAYS if (kind, way) != ("statistics", "vmap")]


@pytest.mark.parametrize(
    "kind, way", [(kind, way) for kind in MODELS for way in [*ways_of(kind), "all"]]
)
def test_each_thread_has_its_own_gradients(kind, way, quick_switches):
    model = MODELS[kind]()
    names = ways_of(kind) if way == "all" else [way]
    held = dict(pairs(dict(model)))
    want = {(name, k): WAYS[name](model, x) for name in names for k, x in enumerate(XS)}
    mx.eval(want)

    def work(i):
        for k in range(12 if len(names) == 1 else 20):
            name, at = names[(i + k) % len(names)], (i + k) % len(XS)
            got = WAYS[name](model, XS[at])
            mx.eval(got)
            check(got, want[name, at])

    together(4, work)
    now = dict(pairs(dict(model)))
    assert all(now[name] is held[name] for name in held if "running" not in name)
    mx.eval(now)


@pytest.mark.parametrize("first", ["outer", "inner"])
@pytest.mark.parametrize("other", ["value_and_grad of nn", "grad", "second"])
def test_whichever_thread_ends_first(first, other):
    """One begins while the other's function runs, and ends before it or after it."""
    model = Parts()
    held = dict(pairs(dict(model)))
    want = [WAYS["value_and_grad of nn"](model, XS[0]), WAYS[other](model, XS[1])]
    inside, go_on = threading.Event(), threading.Event()
    made = []

    def waits(x):
        value = model.blocks[0]["map"](x).sum()
        inside.set()
        assert go_on.wait(60)
        return value + loss(model, x)

    def work():
        made.append(nn.value_and_grad(model, waits)(XS[2]))

    alone = nn.value_and_grad(
        model, lambda x: model.blocks[0]["map"](x).sum() + loss(model, x))(XS[2])
    thread = threading.Thread(target=work)

    def outer(x):
        y = loss(model, x)
        thread.start()
        assert inside.wait(60)
        if first == "inner":
            go_on.set()
            thread.join()
        return y + 0 * loss(model, x)

    got = nn.value_and_grad(model, outer)(XS[0])
    go = WAYS[other](model, XS[1])  # in between
    go_on.set()
    thread.join()
    check(got, want[0])
    check(go, want[1])
    check(made[0], alone)
    assert all(a is held[name] for name, a in pairs(dict(model)))


DERIVATIVES = {
    "value_and_grad of nn": lambda m, f: nn.value_and_grad(m, lambda: f(m))()[1],
    "grad": lambda m, f: mx.grad(f)(m),
    "vjp": lambda m, f: mx.vjp(f, [m], [mx.array(1.0)])[1],
    "jvp": lambda m, f: mx.jvp(f, [m], [tree_map(lambda a: a + 1, m.parameters())])[1],
    "jacrev": lambda m, f: mx.jacrev(f)(m),
}
# What the function runs in: transforms that put arrays of their own into the model or not.
AROUND = {
    "nothing": lambda m, f: f(m),
    "checkpoint": lambda m, f: mx.checkpoint(lambda: f(m))(),
    "checkpoint with the model": lambda m, f: mx.checkpoint(f)(m),
    "value_and_grad of nn": lambda m, f: nn.value_and_grad(m, lambda: f(m))()[0],
    "value_and_grad": lambda m, f: mx.value_and_grad(f)(m)[0],
    "gradient": lambda m, f: sum(mx.square(g).sum() for _, g in pairs(mx.grad(f)(m))),
}


@pytest.mark.parametrize("ends", ["first", "last"])
@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("way", DERIVATIVES)
def test_threads_that_begin_one_after_the_other(way, around, ends):
    """Whenever one has begun, all that did read the model, which holds that one's arrays."""
    count = 4
    model = nn.Sequential(nn.Linear(4, 3), mx.tanh, nn.Linear(3, 1))
    model.again = model.layers[0]  # in two places
    held = dict(pairs(dict(model)))
    barrier, ended = threading.Barrier(count), [threading.Event() for _ in range(count)]
    ended.append(threading.Event())
    ended[-1].set()  # stands before the first and after the last

    def step():
        barrier.wait(60)

    def read(m, phase):
        return loss(m, XS[phase % 4]) * 2 ** phase

    def derived(k, alone):
        def reads(m):
            total = 0
            for phase in range(k, count):
                if phase > k and not alone:
                    step()
                if not alone:
                    step()
                total = total + read(m, phase)
            return total

        def run(m):
            y = AROUND[around](m, reads) + loss(m, XS[k])
            before = k + 1 if ends == "last" and k + 1 < count else k - 1 if ends == "first" else -1
            assert alone or ended[before].wait(60)
            return y + loss(m, XS[k])

        return DERIVATIVES[way](model, run)

    want = [derived(k, True) for k in range(count)]
    mx.eval(want)

    def work(k):
        try:
            for _ in range(2 * k + 1):
                step()
            check(derived(k, False), want[k])
        except BaseException:
            barrier.abort()
            raise
        finally:
            ended[k].set()

    together(count, work)
    assert all(a is held[name] for name, a in pairs(dict(model)))


def test_an_array_beside_the_model_stays_a_constant():
    """Also where it is the very array that the model holds, and while other threads are at it."""
    model = nn.Linear(4, 1)
    target = nn.Linear(4, 1).update(model.parameters())

    def difference(x):
        return mx.square(model(x) - target(x) + 1).sum()

    want = nn.value_and_grad(model, difference)(XS[0])
    results = []

    def outer(x):
        y = difference(x)
        t = threading.Thread(
            target=lambda: results.append(nn.value_and_grad(model, difference)(XS[0])))
        t.start()
        t.join()
        return y + 0 * difference(x)

    check(nn.value_and_grad(model, outer)(XS[0]), want)
    check(results[0], want)


def test_errors_in_one_thread_leave_the_others_alone(quick_switches):
    model = Parts()
    held = dict(pairs(dict(model)))
    want = [WAYS["value_and_grad of nn"](model, x) for x in XS]
    mx.eval(want)

    def fails(x):
        model(x)
        raise RuntimeError("here")

    def work(i):
        for k in range(20):
            if i % 2:
                with pytest.raises(RuntimeError, match="here"):
                    nn.value_and_grad(model, fails)(XS[k % 4])
            else:
                check(WAYS["value_and_grad of nn"](model, XS[k % 4]), want[k % 4])

    together(4, work)
    assert all(a is held[name] for name, a in pairs(dict(model)))


def test_what_threads_met_is_not_kept():
    """Arrays of old parameters do not stay when all transforms have ended."""
    model = nn.Linear(256, 256)
    x = mx.ones((1, 256))

    def work(i):
        for _ in range(10):
            model_loss = lambda x: model(x).sum()
            mx.eval(nn.value_and_grad(model, model_loss)(x))

    together(4, work)
    mx.eval(mx.grad(lambda m: m(x).sum())(model))
    gc.collect()
    before = mx.get_active_memory()
    for _ in range(5):
        model.update({"weight": model.weight * 1.5})
        mx.eval(model.parameters())
        together(4, work)
        mx.eval(mx.grad(lambda m: m(x).sum())(model))
    gc.collect()
    assert mx.get_active_memory() - before < 2 * 256 * 256 * 4


def test_arrays_that_a_helper_makes_are_still_refused():
    model = nn.Linear(4, 1)

    def f(x):
        made = []
        t = threading.Thread(target=lambda: made.append(model.weight * 2))
        t.start()
        t.join()
        return made[0].sum()

    with pytest.raises(ValueError, match="another thread"):
        nn.value_and_grad(model, f)(XS[0])
