"""compile: keys, state, captures, bits."""

import collections
import functools
import gc
import weakref
from functools import partial

import numpy as np
import pytest

import lazulite.core as mx
from lazulite import nn


def counted(f):
    calls = []

    def g(*args, **kwargs):
        calls.append(1)
        return f(*args, **kwargs)

    g.calls = calls
    return g


def test_traces_are_kept_by_structure_shape_dtype_and_constants():
    f = counted(lambda x, n, flag=None: x * n)
    c = mx.compile(f)
    a = mx.ones(3)
    assert c(a, 2).tolist() == [2, 2, 2] and c(a * 2, 2).tolist() == [4, 4, 4] and len(f.calls) == 1
    for args in [(a, 2.0), (a, 3), (mx.ones(4), 2), (a.astype(mx.float16), 2)]:
        c(*args)
    assert len(f.calls) == 5
    assert c(a, 2.0).dtype == mx.float32
    c(x=a, n=2)
    traces = len(f.calls)
    c(n=2, x=a)
    assert len(f.calls) == traces
    with pytest.raises(ValueError):
        c(object(), 2)


def test_trees_and_constants_come_back():
    @mx.compile
    def f(tree, name):
        """Doc."""
        return {"sum": tree["a"] + tree["b"][0], "name": name, "list": [tree["a"], 3, None]}

    out = f({"b": (mx.array(2),), "a": mx.array(1)}, "x")
    assert out["sum"].item() == 3 and out["name"] == "x" and out["list"][1:] == [3, None]
    assert f.__name__ == "f" and f.__doc__ == "Doc."


def test_captured_state():
    state = {"n": mx.array(0), "items": []}

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x):
        state["n"] = state["n"] + 1
        if len(state["items"]) < 2:
            state["items"].append(x * 2)
        return x + state["n"]

    assert [step(mx.array(10)).item() for _ in range(4)] == [11, 12, 13, 14]
    assert state["n"].item() == 4 and [i.item() for i in state["items"]] == [20, 20]


def test_state_changed_in_place_stays_the_same_object():
    z, w = mx.array([1.0, 2.0]), mx.array(0.0)
    old = w
    state = [z, {"w": w}]

    @partial(mx.compile, inputs=state, outputs=state)
    def f(x):
        z[0] = x
        state[1]["w"] = state[1]["w"] + 1
        return z.sum()

    assert [f(mx.array(float(k))).item() for k in (5, 6)] == [7, 8]
    assert state[0] is z and z.tolist() == [6, 2] and state[1]["w"].item() == 2 and old.item() == 0


def test_random_numbers_differ_from_call_to_call():
    @mx.compile
    def draw():
        return mx.random.uniform(shape=(3,))

    mx.random.seed(4)
    a, b = draw().tolist(), draw().tolist()
    mx.random.seed(4)
    assert a != b and [mx.random.uniform(shape=(3,)).tolist() for _ in range(2)] == [a, b]
    captured = mx.compile(
        lambda: mx.random.normal(()), inputs=mx.random.state, outputs=mx.random.state
    )
    mx.random.seed(4)
    first = captured().item()
    mx.random.seed(4)
    assert mx.random.normal(()).item() == first and captured().item() != first


def test_closures():
    y = mx.array(1.0) * 3  # still lazy
    f = mx.compile(lambda x: x + y)
    assert f(mx.array(1.0)).item() == 4
    y = mx.array(10.0)
    assert f(mx.array(1.0)).item() == 11
    z = mx.array(2.0)

    @partial(mx.compile, inputs=[z])
    def g(x):
        return x * z

    assert g(mx.array(4.0)).item() == 8


def test_the_caller_is_not_changed():
    @mx.compile
    def f(x):
        x[0] = 7
        x += 1
        return x

    a = mx.array([1, 2])
    for _ in range(2):
        assert f(a).tolist() == [8, 3] and a.tolist() == [1, 2]


def test_errors_leave_nothing_behind():
    state = [mx.array(1.0)]

    @partial(mx.compile, inputs=state, outputs=state)
    def f(x):
        state[0] = state[0] + x
        raise KeyError("inside")

    with pytest.raises(KeyError):
        f(mx.array(1.0))
    assert state[0].item() == 1.0 and (mx.ones(2) + 1).tolist() == [2, 2]
    with pytest.raises(TypeError):
        mx.compile(3)


def test_the_cache_is_bounded():
    f = counted(lambda x, n: x + n)
    c = mx.compile(f, cache_size=4)
    for n in range(10):
        c(mx.array(1), n)
    assert c.cache_info()[0] == 4 and len(f.calls) == 10
    c(mx.array(1), 9)
    assert len(f.calls) == 10


def test_compile_can_be_switched_off():
    f = counted(lambda x: x + 1)
    c = mx.compile(f)
    mx.disable_compile()
    try:
        c(mx.array(1))
        c(mx.array(1))
        assert len(f.calls) == 2
    finally:
        mx.enable_compile()
    c(mx.array(1))
    c(mx.array(1))
    assert len(f.calls) == 3


def test_bits_are_those_of_the_uncompiled_function():
    rng = np.random.default_rng(0)
    x = mx.array(rng.standard_normal((33, 65)).astype(np.float32))
    w = mx.array(rng.standard_normal((65, 65)).astype(np.float32))

    def f(x, w):
        h = x @ w
        h = h * 0.5 * (1 + mx.erf(h / 2**0.5))
        p = mx.softmax(h - mx.logsumexp(h, -1, keepdims=True), -1)
        return (p * x).sum(), mx.grad(lambda w: mx.tanh(x @ w).mean())(w)

    for a, b in zip(f(x, w), mx.compile(f)(x, w)):
        assert bytes(a) == bytes(b)


def test_no_process_and_no_file(tmp_path, monkeypatch):
    import subprocess

    def refuse(*args, **kwargs):
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.chdir(tmp_path)
    mx.eval(mx.compile(lambda x: mx.exp(x) * 2 + 1)(mx.ones(10)))
    assert not list(tmp_path.iterdir())


def test_results_die_without_the_garbage_collector():
    state = {"w": mx.ones((250_000,))}

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x):
        state["w"] = state["w"] * 0.5 + x
        return mx.exp(state["w"])

    x = mx.ones((250_000,))
    mx.eval(x, step(x))
    gc.collect()
    gc.disable()
    try:
        start = mx.get_active_memory()
        for _ in range(5):
            mx.eval(step(x), state)
            mx.eval(mx.vmap(mx.grad(lambda w: (w * w).sum()))(x.reshape(10, -1)))
        assert mx.get_active_memory() == start
    finally:
        gc.enable()


def test_dynamic_arguments_are_traced_once():
    f = counted(lambda x, n, scale=1.0: x * n * scale)
    c = mx.compile(f, dynamic=(1, "scale"))
    assert c(mx.ones(2), 3, scale=2.0).tolist() == [6, 6] and c(
        mx.ones(2), 4, scale=0.5
    ).tolist() == [2, 2]
    assert len(f.calls) == 1
    c = mx.compile(f, dynamic=1)
    c(mx.ones(2), 3)
    c(mx.ones(2), 5)
    assert len(f.calls) == 2


def test_many_traces_warn_once_and_name_the_argument():
    c = mx.compile(lambda x, n: x + n)
    with pytest.warns(UserWarning, match="argument 1 keeps changing") as seen:
        for n in range(70):
            c(mx.ones(1), n)
    assert len(seen) == 1


def test_reading_while_tracing_names_the_line():
    def f(x):
        if x.sum() > 0:
            return x
        return -x

    with pytest.raises(ValueError, match=r"test_compile.py, line \d+.*where"):
        mx.compile(f)(mx.ones(2))


def test_the_plan_shows_the_graph_before_and_after():
    w = mx.array([1.0, 2.0, 3.0])

    @mx.compile
    def f(x):
        mx.cos(x)
        return (mx.exp(x) * mx.sin(w * 2) + (mx.exp(x) + 1)).sum()

    plan = f.plan(mx.ones(3))
    assert (plan.dead, plan.merged, plan.folded) == (1, 1, 2)
    assert plan.before.count("exp") == 2 and "cos" in plan.before and "sin" in plan.before
    assert plan.after.count("exp") == 1 and "cos" not in plan.after and "sin" not in plan.after
    assert any("sum" in step.ops for step in plan.evaluation.steps)
    assert "recorded: 11 ops" in str(
        plan
    ) and "replayed: 5 ops (1 dead, 1 merged, 2 folded)" in str(plan)
    assert f.cache_info()[0] == 0


def test_what_depends_on_no_argument_is_computed_once():
    w = mx.random.normal((64, 64))
    f = mx.compile(lambda x: x + w @ w)
    x = mx.ones((64, 64))
    first = f(x)
    assert "matmul" in {op for step in mx.plan(first).steps for op in step.ops}
    mx.eval(first)
    again = f(x)
    assert "matmul" not in {op for step in mx.plan(again).steps for op in step.ops}
    assert mx.array_equal(first, again).item()


def test_folded_values_are_bounded():
    big = mx.ones((1024, 1024))  # 4 MB each: four may be kept
    f = mx.compile(lambda x: x + mx.stack([mx.exp(big * k).sum() for k in range(8)]).sum())
    plan = f.plan(mx.array(0.0))
    assert 0 < plan.folded < 17


def test_random_draws_are_never_folded():
    mx.random.seed(0)
    f = mx.compile(lambda: mx.random.uniform(shape=(3,)))
    assert f().tolist() != f().tolist()


def test_a_cache_of_a_thousand_entries():
    f = mx.compile(lambda x, n: x * n, cache_size=1000)
    x = mx.array(2.0)
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert [f(x, n).item() for n in range(1000)] == [2.0 * n for n in range(1000)]
        assert f.cache_info() == (1000, 1000)
        assert f(x, 1000).item() == 2000 and f.cache_info() == (1000, 1000)


def test_the_entry_used_longest_ago_makes_room():
    traced = []
    f = mx.compile(lambda x, n: traced.append(n) or x * n, cache_size=2)
    x = mx.array(1.0)
    for n in (1, 2, 1, 3, 1, 2):
        f(x, n)
    assert traced == [1, 2, 3, 2]


def test_results_of_every_kind_of_tree():
    from collections import namedtuple

    Pair = namedtuple("Pair", "a b")
    f = mx.compile(lambda x: {"t": (x, [x + 1, None]), "p": Pair(x * 2, "s"), "c": 3.5})
    for _ in range(2):
        out = f(mx.array(1.0))
        assert out["t"][0].item() == 1 and out["t"][1][0].item() == 2 and out["t"][1][1] is None
        assert (
            isinstance(out["p"], Pair)
            and out["p"].a.item() == 2
            and out["p"].b == "s"
            and out["c"] == 3.5
        )
    out["t"][1].append(1)
    assert len(f(mx.array(1.0))["t"][1]) == 2


def test_constants_of_different_types_have_traces_of_their_own():
    f = mx.compile(lambda x, k: x * k)
    x = mx.array(3)
    assert (
        f(x, 2).dtype == mx.int32 and f(x, 2.0).dtype == mx.float32 and f(x, True).dtype == mx.int32
    )
    assert f(x, -0.0).item() == 0 and f(x, 0.0).item() == 0
    assert f.cache_info()[0] == 5
    assert mx.compile(lambda x, k: x)(x, 1 << 100).item() == 3


@pytest.mark.parametrize("kind", [
    np.float16,
    np.float32,
    np.float64,
    np.int8,
    np.uint64,
    np.complex64,
    np.bool_,
])
def test_numbers_of_numpy_are_constants_by_type_and_value(kind):
    runs = []
    f = mx.compile(lambda x, k: (runs.append(k), x * k["k"][0])[1])
    x = mx.array([1.5, -2.0])
    for number in (kind(1), kind(0), kind(1), kind(0)):
        got = f(x, {"k": (number,)})
        assert got.dtype == (x * number).dtype and got.tolist() == (x * number).tolist()
    assert len(runs) == 2
    f(x, {"k": (kind(1).item(),)})
    assert len(runs) == 3
    if kind not in (np.bool_, np.int8, np.uint64):
        assert np.signbit(f(x, {"k": (kind(-0.0),)}).tolist()[0].real) and len(runs) == 4


def test_a_compiled_function_can_be_collected():

    class Big:
        pass

    big = Big()
    ref = weakref.ref(big)

    def make(big):
        def f(x):
            return x + (1 if big else 0)

        c = mx.compile(f)
        f.self = c
        c(mx.array(1))

    make(big)
    del big
    gc.collect()
    assert ref() is None


def test_rebound_cells_of_functions_inside_are_noticed():
    def make():
        w = mx.array(2.0)

        def loss(x):
            return (x * w).sum()

        def rebind(v):
            nonlocal w
            w = mx.array(v)

        return mx.compile(mx.value_and_grad(loss)), rebind

    f, rebind = make()
    x = mx.array([1.0, 2.0])
    assert [a.tolist() for a in f(x)] == [6, [2, 2]]
    rebind(3.0)
    assert [a.tolist() for a in f(x)] == [9, [3, 3]]


def test_dynamic_arguments_are_known_by_name_and_by_position():
    for dynamic in ("s", ("s",), 1, [1], (1, "s")):
        f = counted(lambda x, s: x * s)
        scaled = mx.compile(lambda x, s: f(x, s), dynamic=dynamic)
        a = mx.ones(2)
        assert (
            scaled(a, 2.0).tolist() == [2, 2]
            and scaled(a, 3.0).tolist() == [3, 3]
            and scaled(a, s=4.0).tolist() == [4, 4]
        )
        assert scaled(a, s=5.0).tolist() == [5, 5] and len(f.calls) == 2
    for dynamic in ("t", 2, -1, ("s", "t")):
        with pytest.raises(ValueError, match="dynamic"):
            mx.compile(lambda x, s: x * s, dynamic=dynamic)
    assert (
        mx.compile(lambda *args, **kwargs: args[1] * kwargs["k"], dynamic=(1, "k"))(
            mx.ones(1), 2.0, k=3.0
        ).item()
        == 6
    )


class Holder:
    def __init__(self, value):
        self.value = value


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


holding = {
    "an attribute": Holder,
    "a slot": Slotted,
    "an attribute of an attribute": lambda y: Holder([{"a": Holder(y)}]),
    "a closure": lambda y: lambda: y * 2,
    "a default": lambda y: lambda z=y: z,
    "a method": lambda y: Holder(y).__init__,
    "a partial": lambda y: functools.partial(max, y),
    "a generator": lambda y: (z for z in [y]),
    "a map": lambda y: map(abs, [y]),
    "a set": lambda y: {y},
    "a dict's values": lambda y: {"a": y}.values(),
    "an object array": lambda y: collections.deque([1, y]),
}


@pytest.mark.parametrize("name", holding)
def test_no_array_of_a_trace_escapes_in_what_is_no_tree(name):
    hold = holding[name]
    f = mx.compile(lambda x: (x, {"held": hold(x + 1)}))
    for _ in range(2):
        with pytest.raises(ValueError, match=r"\[compile\] the result holds arrays in a .*no tree"):
            f(mx.ones(2))
    # One that has its value is a constant.
    known = mx.array([1.0, 2.0])
    constant = mx.compile(lambda x: (x, hold(known * 2)))
    assert type(constant(mx.ones(2))[1]) is type(hold(known))


def test_constants_of_all_kinds_are_returned():
    things = [None, 1, 2.5, "a", b"a", 1j, mx.float32, np.float32(2), print, Holder, np, range(3)]
    things += [Holder(np.ones(2)), len, mx.compile(mx.exp), mx.grad(mx.sum), (x for x in "a"), {1}]
    f = mx.compile(lambda x: [x * 2, things])
    for _ in range(2):
        value, found = f(mx.array(2.0))
        assert value.item() == 4 and all(a is b for a, b in zip(found, things))


def test_what_escapes_all_the_same_raises_wherever_it_is_used():
    held = []
    f = mx.compile(lambda x: (held.append(x + 1), x * 2)[1])
    f(mx.ones(2))
    (y,) = held
    for use in (
        lambda: y.tolist(),
        lambda: repr(y),
        lambda: np.asarray(y),
        lambda: list(y)[0].item(),
        lambda: bool(y[0] > 0),
        lambda: mx.eval(y),
        lambda: mx.eval(y[0] + 1),
        lambda: mx.async_eval(y),
        lambda: y.__iadd__(1).tolist(),
        lambda: mx.eval(f(y)),
        lambda: mx.eval(mx.compile(lambda x: x * y)(mx.ones(2))),
        lambda: mx.grad(lambda x: (x * y).sum())(mx.ones(2)).tolist(),
        lambda: mx.vmap(lambda x: x * 2)(y).tolist(),
        lambda: mx.scan(lambda c, x: (c + x, x), y, mx.ones((2, 2)))[0].tolist(),
        lambda: mx.cond(y[0] > 0, lambda x: x, lambda x: x * 2, y).tolist(),
        lambda: memoryview(y),
        lambda: mx.save("nothing.npy", y),
    ):
        with pytest.raises(mx.TracerError, match=r"^\[compile\] "):
            use()


@pytest.mark.parametrize("transform", ["compile", "vmap"])
def test_what_is_read_inside_is_told_from_what_escaped(transform):
    wrap, held = getattr(mx, transform), []
    wrap(lambda x: (held.append(x), x)[1])(mx.ones(2))
    escaped = rf"^\[{transform}\] an array escaped from a traced function .*: .*got an attempt"
    inside = rf"^\[{transform}\] an array of the traced function was read: .*use where"
    for read in (lambda: held[0].tolist(), lambda: mx.eval(held[0] + 1)):
        with pytest.raises(mx.TracerError, match=escaped):
            read()
        with pytest.raises(mx.TracerError, match=escaped):  # also in another trace
            wrap(lambda x: (read(), x)[1])(mx.ones(2))
    for read in (lambda x: x.tolist(), lambda x: bool((x + 1).sum() > 0)):
        with pytest.raises(mx.TracerError, match=inside):
            wrap(read)(mx.ones(2))
    with pytest.raises(mx.TracerError, match=inside):  # of the outer one
        wrap(lambda x: (wrap(lambda y: (x.tolist(), y)[1])(mx.ones(2)), x)[1])(mx.ones(2))


def short_lived(kind, factor):
    """Something of a class that goes with it."""
    if kind == "model":
        return type("Given", (nn.Module,), {"factor": factor})()
    if kind == "named tuple":
        return type("Given", (collections.namedtuple("Base", "x"),), {"factor": factor})(3)
    return type("Given", ({"number": int, "text": str}[kind],), {"factor": factor})(3)


@pytest.mark.parametrize("kind", ["number", "text", "named tuple", "model"])
def test_classes_that_are_gone_are_not_mistaken_for_new_ones(kind):
    """A class goes with what is given; the next one may come to stand where it stood."""
    state = []
    f = mx.compile(lambda x, t: x * type(state[0] if state else t).factor, inputs=state)
    for factor in range(40):
        given = short_lived(kind, factor)
        if kind == "model":
            state[:], given = [given], None
        assert f(mx.array(2.0), given).item() == 2 * factor
        state.clear()
        del given
        gc.collect()
