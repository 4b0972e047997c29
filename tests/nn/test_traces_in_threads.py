"""A function with state is traced in one thread while others use the same model: to them it is what
it was, and what they put into it meanwhile neither gets into the trace nor is lost."""

import copy
import gc
import pickle
import threading

import pytest

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim
from lazulite.utils import tree_map
from test_models_in_threads import MODELS, XS, check, loss, pairs, quick_switches
from test_models_in_threads import WAYS as DERIVED
from together import together

assert quick_switches  # a fixture
LOOKS = {
    **DERIVED,
    "parameters": lambda m, x: [a * 1 for _, a in pairs(m.parameters())],
    "values": lambda m, x: [mx.array(a.tolist()) for _, a in pairs(m.parameters())],
    "copy": lambda m, x: copy.deepcopy(m)(x),
    "pickle": lambda m, x: pickle.loads(pickle.dumps(m.parameters())),
    "evaluation": lambda m, x: [mx.eval(m.parameters()), m(x)],
    "capture": lambda m, x: mx.compile(lambda x: m(x))(x),
    "lazy": lambda m, x: m(x) * 2 - m(x),
    "loop": lambda m, x: mx.fori_loop(0, 2, lambda i, y: mx.tanh(y + m(x).sum()), x),
    "branch": lambda m, x: mx.cond(x[0, 0] > 0, lambda x: m(x), lambda x: -m(x), x),
}


def trained(model, between):
    """A step of training, which puts new arrays into the model."""
    optimizer = optim.Adam(0.1)
    optimizer.init(model.trainable_parameters())

    def run(x):
        between()
        value, grads = nn.value_and_grad(model, lambda x: [loss(model, x), between()][0])(x)
        between()
        optimizer.update(model, grads)
        between()
        return value

    state = [model.state, optimizer.state]
    return mx.compile(run, inputs=state, outputs=state)


def called(model, between):
    return lambda x: [between(), model(x), between()][1]


TRACED = {
    "inputs": lambda m, go: mx.compile(called(m, go), inputs=m),
    "state in a list": lambda m, go: mx.compile(called(m, go), inputs=[m.state]),
    "state that is written": lambda m, go: mx.compile(called(m, go), inputs=m, outputs=m.state),
    "argument": lambda m, go: (lambda f: lambda x: f(m, x))(
        mx.compile(lambda m, x: called(m, go)(x))),
    "gradient": lambda m, go: mx.compile(
        lambda x: nn.value_and_grad(m, lambda x: [go(), loss(m, x), go()][1])(x), inputs=m),
    "gradient of the argument": lambda m, go: (lambda f: lambda x: f(m, x))(
        mx.compile(lambda m, x: mx.value_and_grad(lambda m: [go(), loss(m, x), go()][1])(m))),
    "step": trained,
}


def nothing():
    pass


def made(kind):
    mx.random.seed(4)
    return MODELS[kind]()


def looks_of(kind):
    return [way for way in LOOKS if (kind, way) != ("statistics", "vmap")]


def follows(model, f, way, x=XS[2]):
    """Whether the function that was traced is of the arrays that the model holds now."""
    model.update(tree_map(lambda a: a * 1.5 + 0.1, model.trainable_parameters()))
    mx.eval(model.parameters())
    other = copy.deepcopy(model)
    check(f(x), TRACED[way](other, nothing)(x))


def in_thread(work):
    """The thread that works, and a function that waits for it and raises what it raised."""
    errors = []

    def run():
        try:
            work()
        except BaseException as e:
            errors.append(e)

    thread = threading.Thread(target=run)
    thread.start()

    def join():
        thread.join(60)
        assert not thread.is_alive()
        if errors:
            raise errors[0]

    return join


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("way", TRACED)
@pytest.mark.parametrize("kind", MODELS)
def test_others_look_at_the_model_while_it_is_traced(kind, way, look):
    if look not in looks_of(kind):
        return
    model = made(kind).eval()
    held = dict(pairs(dict(model)))
    want, result = LOOKS[look](model, XS[1]), TRACED[way](made(kind).eval(), nothing)(XS[0])
    mx.eval(want, result)
    results, lazy = [], []

    def other():
        lazy.append(LOOKS[look](model, XS[1]))
        results.append(LOOKS[look](model, XS[1]))
        mx.eval(results[-1])

    f = TRACED[way](model, lambda: in_thread(other)())
    check(f(XS[0]), result)
    assert results
    for got in results + lazy:  # the lazy ones are evaluated when the trace is done
        check(got, want)
    if way != "step":
        assert all(a is held[name] for name, a in pairs(dict(model)))
    follows(model, f, way)


@pytest.mark.parametrize("end", ["within", "after"])
@pytest.mark.parametrize("begin", ["before", "within"])
@pytest.mark.parametrize("way", TRACED)
@pytest.mark.parametrize("kind", ["sequence", "parts"])
def test_a_derivative_begins_and_ends_at_any_time(kind, way, begin, end):
    """That puts its own arrays into the model and takes them away."""
    model = made(kind)
    held = dict(pairs(dict(model)))
    inside, go_on = threading.Event(), threading.Event()

    def waits(x):
        y = loss(model, x)
        inside.set()
        assert go_on.wait(60)
        return y + loss(model, x)

    def alone(x):
        return loss(model, x) + loss(model, x)

    want = nn.value_and_grad(model, alone)(XS[1])
    result = TRACED[way](made(kind), nothing)(XS[0])
    mx.eval(want, result)
    got, joins = [], []

    def start():
        joins.append(in_thread(lambda: got.append(nn.value_and_grad(model, waits)(XS[1]))))
        assert inside.wait(60)

    def between():
        if not joins:
            start()
        elif end == "within" and not go_on.is_set():
            go_on.set()
            joins[0]()

    if begin == "before":
        start()
    f = TRACED[way](model, between)
    check(f(XS[0]), result)
    go_on.set()
    if way == "step" and end == "after":  # other parameters, before it has read them all
        with pytest.raises(ValueError, match="made in another thread"):
            joins[0]()
    else:
        joins[0]()
        check(got[0], want)
    if way != "step":
        assert all(a is held[name] for name, a in pairs(dict(model)))
    mx.eval(model.parameters())
    follows(model, f, way)


@pytest.mark.parametrize("way", [way for way in TRACED if way != "step"])
def test_what_others_change_meanwhile_stays(way):
    model = made("sequence")
    weight, bias = model.layers[0].weight, mx.arange(8.0)

    def other():
        weight[0] = 7.0  # in place
        model.layers[0].bias = bias
        model.update({"layers": [{}, {}, {}, {"bias": mx.array([3.0])}]})

    done = []

    def between():
        if not done:
            done.append(1)
            in_thread(other)()

    f = TRACED[way](model, between)
    f(XS[0])
    assert model.layers[0].weight is weight and weight[0].tolist() == [7.0] * 4
    assert model.layers[0].bias is bias and model.layers[3].bias.tolist() == [3.0]
    check(f(XS[0]), TRACED[way](copy.deepcopy(model), nothing)(XS[0]))
    follows(model, f, way)


@pytest.mark.parametrize("kind", MODELS)
def test_threads_trace_and_look_at_once(kind, quick_switches):
    model = made(kind).eval()
    held = dict(pairs(dict(model)))
    looks, traced = looks_of(kind), [way for way in TRACED if way != "step"]
    want = {(look, k): LOOKS[look](model, x) for look in looks for k, x in enumerate(XS)}
    want |= {(way, k): TRACED[way](model, nothing)(x) for way in traced for k, x in enumerate(XS)}
    mx.eval(want)

    def work(i):
        for k in range(24):
            name = looks[(5 * i + k) % len(looks)] if i % 2 else traced[(i + k) % len(traced)]
            x = XS[(i + k) % 4]
            got = LOOKS[name](model, x) if i % 2 else TRACED[name](model, nothing)(x)
            mx.eval(got)
            check(got, want[name, (i + k) % 4])

    together(4, work)
    assert all(a is held[name] for name, a in pairs(dict(model)))
    mx.eval(model.parameters())


@pytest.mark.parametrize("way", TRACED)
def test_an_array_of_the_trace_that_is_kept_has_escaped(way):
    model, kept = made("sequence"), []
    TRACED[way](model, lambda: kept.append(model.layers[0].weight * 2))(XS[0])
    assert kept
    for a in kept:
        with pytest.raises(ValueError, match="escaped"):
            mx.eval(a)


def test_what_the_function_put_into_the_model_has_escaped():
    model, kept = made("sequence"), []

    def f(x):
        model.layers[0].weight = model.layers[0].weight * 2
        model.update({"layers": [{"bias": model.layers[0].bias + 1}]})
        kept.extend([model.layers[0].weight, model.layers[0].bias])
        in_thread(lambda: check([mx.array(a.tolist()) for a in kept], held))()
        return model(x)

    held = [model.layers[0].weight, model.layers[0].bias]
    mx.compile(f, inputs=model)(XS[0])
    for a in kept:
        with pytest.raises(ValueError, match="escaped"):
            mx.eval(a * 1)


def test_errors_while_tracing_leave_the_model_as_it_was():
    model = made("parts")
    held = dict(pairs(dict(model)))

    def fails():
        in_thread(lambda: LOOKS["values"](model, XS[0]))()
        raise RuntimeError("here")

    for way in TRACED:
        with pytest.raises(RuntimeError, match="here"):
            TRACED[way](model, fails)(XS[0])
        assert all(a is held[name] for name, a in pairs(dict(model)))
        mx.eval([a * 1 for a in held.values()])


def test_what_threads_met_in_traces_is_not_kept():
    model = nn.Linear(256, 256)
    x = mx.ones((1, 256))

    def work(i):
        for _ in range(5):
            mx.eval(mx.compile(lambda x: model(x), inputs=model)(x))
            mx.eval(nn.value_and_grad(model, lambda x: model(x).sum())(x))

    together(4, work)
    gc.collect()
    before = mx.get_active_memory()
    for _ in range(5):
        model.update({"weight": model.weight * 1.5})
        mx.eval(model.parameters())
        together(4, work)
    gc.collect()
    assert mx.get_active_memory() - before < 2 * 256 * 256 * 4
