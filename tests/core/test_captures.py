"""What functions reach besides their arguments: state, captured arrays, other threads' arrays,
rules."""

import functools
import gc
import itertools
import threading
import weakref

import numpy as np
import pytest

import lazulite.core as mx


def in_thread(f):
    made = []
    thread = threading.Thread(target=lambda: made.append(f()))
    thread.start()
    thread.join()
    return made[0]


@pytest.mark.parametrize("evaluated", [False, True])
@pytest.mark.parametrize("transform", [
    lambda f: mx.grad(f)(mx.array(2.0)),
    lambda f: mx.value_and_grad(f)(mx.array(2.0)),
    lambda f: mx.vjp(f, [mx.array(2.0)], [mx.array(1.0)]),
    lambda f: mx.jvp(f, [mx.array(2.0)], [mx.array(1.0)]),
    lambda f: mx.grad(lambda x: mx.grad(f)(x * x))(mx.array(2.0)),
])
def test_a_value_that_another_thread_computed_is_an_error_not_zero(transform, evaluated):
    def square(x):
        y = x * x
        if evaluated:
            mx.eval(y)
        return y

    with pytest.raises(ValueError):
        transform(lambda x: in_thread(lambda: square(x)))
    with pytest.raises(ValueError):
        transform(lambda x: x + in_thread(lambda: square(x)))


def test_vmap_and_compile_refuse_values_of_other_threads():
    for f in (mx.vmap, mx.compile, lambda f: mx.grad(lambda x: mx.checkpoint(f)(x).sum())):
        with pytest.raises(ValueError, match="another thread"):
            f(lambda x: in_thread(lambda: x * x))(mx.ones(3))


def test_compiled_state_may_hold_one_array_twice():
    w = mx.array(1.0)
    state = {"a": w, "b": w}

    def step(x):
        state["a"] = state["b"] = state["a"] + x
        return state["a"] * state["b"]

    compiled = mx.compile(step, inputs=state, outputs=state)
    assert [compiled(mx.array(1.0)).item() for _ in range(3)] == [4, 9, 16]
    assert state["a"] is state["b"] and compiled.cache_info()[0] == 1
    state["b"] = mx.array(10.0)  # no longer tied: another trace
    apart = mx.compile(lambda x: state["a"] * state["b"] + x, inputs=state)
    assert apart(mx.array(0.0)).item() == 40
    state["b"] = state["a"]
    assert apart(mx.array(0.0)).item() == 16
    state["b"] = mx.array(2.0)
    assert apart(mx.array(0.0)).item() == 8


@pytest.mark.parametrize("in_place", [False, True])
def test_one_container_may_be_named_twice(in_place):
    held = [mx.array(1.0)]

    def step(x):
        if in_place:
            held[0] += x
        else:
            held[0] = held[0] + x
        return held[0]

    compiled = mx.compile(step, inputs=[held, held], outputs=[held, held])
    assert [compiled(mx.array(1.0)).item() for _ in range(3)] == [2, 3, 4]
    assert held[0].item() == 4


def test_tied_weights_of_a_module_in_a_compiled_step():
    import lazulite.nn as nn
    import lazulite.optimizers as optim

    def train(wrap):
        mx.random.seed(3)
        a, b = nn.Linear(4, 4), nn.Linear(4, 4)
        b.weight = a.weight
        model = nn.Sequential(a, b)
        opt = optim.SGD(0.1)
        state = [model.state, opt.state]

        def step(x):
            loss, g = nn.value_and_grad(model, lambda x: (model(x) ** 2).sum())(x)
            opt.update(model, g)
            return loss

        f = mx.compile(step, inputs=state, outputs=state) if wrap else step
        return [f(mx.ones((2, 4))).item() for _ in range(4)]

    assert np.allclose(train(True), train(False), rtol=1e-5)


def test_threads_may_trace_with_the_same_state():
    state = {"n": mx.array(0)}

    def step(x):
        state["n"] = state["n"] + 1
        return x + state["n"]

    compiled = mx.compile(step, inputs=state, outputs=state)
    errors = []

    def run(k):
        try:
            for i in range(1, 30):
                compiled(mx.zeros((i, k)))
        except Exception as e:
            errors.append(e)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(1, 5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors and state["n"].item() == 4 * 29


module_level = mx.array([1.0, 2.0])


def test_a_captured_array_that_is_changed_in_place_is_seen():
    c = mx.array([1.0, 2.0])
    f = mx.compile(lambda x: x + c * 2)
    assert f(mx.zeros(2)).tolist() == [2, 4]
    c += 10
    assert f(mx.zeros(2)).tolist() == [22, 24]
    c[0] = 0
    assert f(mx.zeros(2)).tolist() == [0, 24] and f(mx.zeros(2)).tolist() == [0, 24]
    assert f.cache_info()[0] == 1

    global module_level
    g = mx.compile(lambda x: x + module_level)
    held = {"w": mx.array([5.0, 5.0])}
    h = mx.compile(lambda x: x * held["w"])
    assert g(mx.zeros(2)).tolist() == [1, 2] and h(mx.ones(2)).tolist() == [5, 5]
    module_level *= 3
    held["w"] -= 1
    assert g(mx.zeros(2)).tolist() == [3, 6] and h(mx.ones(2)).tolist() == [4, 4]


def test_state_that_one_compiled_function_writes_is_seen_by_another_that_captured_it():
    w = mx.array(1.0)
    state = [w]

    def add(x):
        state[0] += x

    step = mx.compile(add, inputs=state, outputs=state)
    look = mx.compile(lambda x: x * w)
    assert look(mx.array(2.0)).item() == 2
    step(mx.array(4.0))
    assert w.item() == 5 and look(mx.array(2.0)).item() == 10


def test_rebound_cells_are_noticed_whatever_they_hold():
    k, table, traces = 1, [2.0], 0

    def f(x):
        nonlocal traces
        traces += 1
        return x * k + table[0]

    compiled = mx.compile(f)
    assert compiled(mx.array(1.0)).item() == 3 and compiled(mx.array(1.0)).item() == 3
    assert traces == 1  # what the function itself binds is a side effect of tracing
    k = 5
    assert compiled(mx.array(1.0)).item() == 7 and traces == 2
    table = [3.0]
    assert compiled(mx.array(1.0)).item() == 8 and traces == 3
    k = 1.0
    assert compiled(mx.array(1.0)).item() == 4 and traces == 4


@pytest.mark.parametrize("evaluated", [False, True])
@pytest.mark.parametrize("way", ["grad", "vmap", "both"])
def test_a_custom_function_whose_result_is_reachable_from_its_rule_is_freed(evaluated, way):
    class Owner:
        pass

    def build():
        owner = Owner()

        @mx.custom_function
        def f(x):
            return x * 2

        @f.vjp
        def f_vjp(primal, cotangent, output):
            return owner and cotangent * 2

        @f.jvp
        def f_jvp(primal, tangent):
            return owner and tangent * 2

        def loss(x):
            owner.y = f(x)
            return owner.y.sum()

        if way == "grad":
            made = mx.grad(loss)(mx.ones(2))
        elif way == "vmap":
            owner.z = made = mx.vmap(f)(mx.ones((3, 2)))
        else:
            made = owner.z = mx.vmap(mx.grad(loss))(mx.ones((3, 2)))
        if evaluated:
            mx.eval(made)
        return weakref.ref(owner)

    gone = build()
    gc.collect()
    assert gone() is None


def ruled(owner=None):
    """2x, whose rules say otherwise: vjp 100, jvp 10; they reach `owner`."""

    @mx.custom_function
    def f(x):
        return x * 2

    @f.vjp
    def f_vjp(primal, cotangent, output):
        return cotangent * 100 if owner is not f else None

    @f.jvp
    def f_jvp(primal, tangent):
        return tangent * 10 if owner is not f else None

    return f


def in_scan(f, x):
    return mx.scan(lambda c, _: (f(c), f(c)), x, length=1)[1][0]


def in_while(f, x):
    return mx.while_loop(lambda v: v[0] < 1, lambda v: (v[0] + 1, f(v[1])), (mx.array(0), x))[1]


def in_fori(f, x):
    return mx.fori_loop(0, 1, lambda i, v: f(v), x)


def in_cond(f, x):
    return mx.cond(x.sum() > -1e9, f, lambda v: v * 3, x)


def in_checkpoint(f, x):
    return mx.checkpoint(f)(x)


places = {
    "alone": lambda f, x: f(x),
    "scan": in_scan,
    "while_loop": in_while,
    "fori_loop": in_fori,
    "cond": in_cond,
    "checkpoint": in_checkpoint,
    "cond in scan": lambda f, x: in_scan(lambda v: in_cond(f, v), x),
    "scan in while_loop": lambda f, x: in_while(lambda v: in_scan(f, v), x),
    "scan in checkpoint": lambda f, x: in_checkpoint(lambda v: in_scan(f, v), x),
    "checkpoint in cond": lambda f, x: in_cond(lambda v: in_checkpoint(f, v), x),
}
around = {
    "plain": lambda g: g,
    "compile": mx.compile,
    "vmap": lambda g: lambda x: mx.vmap(g)(mx.stack([x, x])),
    "grad": lambda g: lambda x: mx.value_and_grad(lambda v: g(v).sum())(x),
    "jvp": lambda g: lambda x: mx.jvp(g, [x], [x]),
    "linearize": lambda g: lambda x: mx.linearize(g, x)[0],
    "compiled grad": lambda g: mx.compile(mx.value_and_grad(lambda v: g(v).sum())),
    "grad of compile": lambda g: mx.value_and_grad(lambda v: mx.compile(g)(v).sum()),
    "vmap of grad": lambda g: lambda x: mx.vmap(mx.grad(lambda v: g(v).sum()))(mx.stack([x, x])),
    "grad of vmap": lambda g: mx.grad(lambda v: mx.vmap(g)(mx.stack([v, v])).sum()),
}


@pytest.mark.parametrize("evaluated", [False, True])
@pytest.mark.parametrize("way", around)
@pytest.mark.parametrize("place", places)
def test_rules_are_freed_wherever_their_function_was_called(place, way, evaluated):
    if "while" in place and "grad" in way:
        return

    class Owner:
        pass

    def build():
        owner = Owner()
        f = ruled(owner)
        owner.call = around[way](lambda v: places[place](f, v))
        owner.made = owner.call(mx.ones(2))
        if evaluated:
            mx.eval(owner.made)
        return weakref.ref(owner)

    gone = build()
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("place", places)
def test_rules_are_asked_wherever_their_function_is_called(place):
    f = ruled()
    x = mx.array([1.0, 2.0])

    def g(v):
        return places[place](f, v)

    def check(got, expected):
        assert got.tolist() == (mx.ones_like(got) * expected).tolist()

    loss = lambda v: g(v).sum()  # noqa: E731
    tangent = lambda v: mx.jvp(g, [v], [mx.ones_like(v)])[1][0]  # noqa: E731
    many = mx.stack([x, x + 1])
    for made in (tangent, mx.compile(tangent), lambda v: mx.linearize(g, v)[1](mx.ones_like(v))):
        check(made(x), 10)
        check(mx.vmap(made)(many), 10)
    check(mx.jvp(mx.compile(g), [x], [mx.ones(2)])[1][0], 10)
    check(mx.jvp(mx.vmap(g), [many], [mx.ones((2, 2))])[1][0], 10)
    if "while" not in place:
        for made in (mx.grad(loss), mx.compile(mx.grad(loss)), mx.grad(mx.compile(loss))):
            check(made(x), 100)
            check(mx.vmap(made)(many), 100)
        check(mx.grad(lambda v: mx.vmap(g)(v).sum())(many), 100)
        check(mx.grad(lambda v: mx.vmap(mx.compile(g))(v).sum())(many), 100)
        check(mx.compile(mx.grad(lambda v: mx.vmap(mx.compile(g))(v).sum()))(many), 100)


def test_a_derivative_from_linearize_keeps_the_rules_that_it_needs():
    inner = ruled()

    @mx.custom_function
    def f(x):
        return x * 3

    @f.jvp
    def f_jvp(primal, tangent):
        return inner(tangent)

    _, derivative = mx.linearize(f, mx.array(1.0))
    assert derivative(mx.array(1.0)).item() == 2
    assert mx.grad(derivative)(mx.array(1.0)).item() == 100
    assert mx.grad(mx.compile(derivative))(mx.array(1.0)).item() == 100


def plainly(make):
    """What a program gives, plain and with its function compiled over its state."""
    found = []
    for transform in (
        lambda f, state: f,
        lambda f, state: mx.compile(f, inputs=state, outputs=state),
    ):
        state, f, calls = make()
        call = transform(f, state)
        found.append([call(*given).tolist() for given in calls])
        found[-1].append([leaf.tolist() for leaf in leaves_of(state)])
    return found


def leaves_of(tree):
    if isinstance(tree, mx.array):
        return [tree]
    parts = tree.values() if isinstance(tree, dict) else tree
    return [leaf for part in parts for leaf in leaves_of(part)]


def tied_in_a_tuple():
    w = mx.ones(2)
    state = [w, (w,)]

    def f():
        state[0] *= 2
        return state[1][0] * 1

    return state, f, [()] * 3


def tied_by_the_function():
    state = {"a": mx.zeros(2), "b": mx.ones(2)}

    def f(x, tie):
        if tie:
            state["b"] = state["a"]
        state["a"] += x
        return state["b"] * 1

    return state, f, [(mx.array(1.0), True), (mx.array(1.0), False), (mx.array(1.0), False)]


def swapped():
    state = [mx.zeros(2), mx.ones(2)]

    def f():
        state[0], state[1] = state[1], state[0]
        state[0] += 1
        return state[0] * 1

    return state, f, [()] * 3


@pytest.mark.parametrize("make", [tied_in_a_tuple, tied_by_the_function, swapped])
def test_state_that_shares_arrays_goes_as_without_compile(make):
    plain, compiled = plainly(make)
    assert compiled == plain


class Callable:
    def __init__(self, f):
        self.f = f

    def __call__(self, x):
        return self.f(x)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda f: functools.partial(f),
        lambda f: functools.partial(functools.partial(f)),
        lambda f: functools.lru_cache(lambda x: f(x)),
        lambda f: mx.compile(f),
        lambda f: lambda x: mx.compile(f)(x),
        lambda f: mx.custom_function(f),
        lambda f: mx.grad(functools.partial(f)),
        lambda f: (lambda fs: lambda x: fs[0](x))([f]),
        lambda f: (lambda fs: lambda x: fs[0][0](x))(((f,),)),
        lambda f: lambda x, g=f: g(x),
        lambda f: lambda x: (lambda y: (lambda z: f(z))(y))(x),
        lambda f: mx.checkpoint(mx.checkpoint(f)),
    ],
)
def test_a_rebound_cell_is_noticed_behind_what_wraps_its_function(wrap):
    k = 2.0

    def f(x):
        return x * x * k

    g = mx.compile(wrap(f))
    before = g(mx.array(1.0)).item()
    k = 3.0
    assert g(mx.array(1.0)).item() == pytest.approx(1.5 * before)


def changes_its_argument(x, y, s):
    x += 1
    return x * y


def changes_state(x, y, s):
    s[0] += 1
    return x * y + s[1]


def replaces_state(x, y, s):
    y *= 2
    s[1] = x + s[0]
    s[0] = s[0] * 3
    return x - y


def changes_an_element(x, y, s):
    s[0][0] = 7
    x[1] = y[0]
    return x + y + s[1]


def asks_who_is_who(x, y, s):
    s[1] *= x
    x -= 1
    return (x is y), (x is s[0]), (y is s[1]), x + s[0], s[1] * 1


def exchanges_state(x, y, s):
    s[0], s[1] = s[1], s[0]
    s[0] += x
    return y * 1


def keeps_its_arguments(x, y, s):
    s[0], s[1] = x, y
    s[0] += 1
    return x * y


def differentiates(x, y, s):
    s[1] += 1
    return mx.grad(lambda a, b: (a * b * s[0]).sum(), argnums=(0, 1))(x, y)


@pytest.mark.parametrize("size, more", [(2, 0), (1000, 0), (2, 10)])
@pytest.mark.parametrize(
    "body",
    [
        changes_its_argument,
        changes_state,
        replaces_state,
        changes_an_element,
        asks_who_is_who,
        exchanges_state,
        keeps_its_arguments,
        differentiates,
    ],
)
def test_one_array_given_twice_is_one_array(body, size, more):
    patterns = [
        p
        for p in itertools.product(range(4), repeat=4)
        if all(k == 0 or k - 1 in p[:i] for i, k in enumerate(p))
    ]
    assert len(patterns) == 15
    # Arguments alone, in a tree, by keyword, and in state: plain and compiled.
    for pattern in patterns:
        found = []
        for compiled in (False, True):
            base = [mx.arange(1.0, size + 1) * (k + 1) for k in range(4)]
            x, y, *s = [base[k] for k in pattern]
            rest = [mx.ones(2) for _ in range(more)]

            def f(tree, *rest, y):
                return body(tree["x"][0], y, s)

            call = mx.compile(f, inputs=s, outputs=s) if compiled else f
            seen = [str(call({"x": [x]}, *rest, y=y)), str(s)]
            # The state that came about, given as an argument.
            for i, k in ((0, 1), (0, 0), (2, 0), (1, 0)):
                given = [*s, mx.ones(size)]
                seen += [str(call({"x": [given[i]]}, *rest, y=given[k])), str(s)]
            found.append(seen)
        assert found[0] == found[1], pattern


def test_traces_of_one_array_given_twice_serve_nothing_else():
    def f(x, y):
        x += 1
        return y * 1

    g = mx.compile(f)
    a, b = mx.ones(2), mx.ones(2)
    assert g(a, a).tolist() == [2, 2] and g(a, b).tolist() == [1, 1]
    assert g(b, b).tolist() == [2, 2] and g.cache_info()[0] == 2
    assert a.tolist() == [1, 1]  # the caller's array stays
