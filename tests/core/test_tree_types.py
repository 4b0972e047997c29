"""Trees wherever they go in or come out: types that are kept, containers that contain themselves,
registered classes."""

import collections
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim
from lazulite.utils import (
    tree_flatten,
    tree_map,
    tree_map_with_path,
    tree_merge,
    tree_reduce,
    tree_unflatten,
)


class Pair(NamedTuple):
    a: Any
    b: Any


class Plain(tuple):
    """A subclass of tuple without names."""


class Strict(tuple):
    """A subclass of tuple whose constructor is not tuple's, with an attribute of its own."""

    def __new__(cls, a, b, label):
        self = super().__new__(cls, (a, b))
        self.label = label
        return self


@mx.register_tree
@dataclass
class Point:
    x: Any
    y: Any = None
    tag: str = "t"


@mx.register_tree
@dataclass(frozen=True)
class Frozen:
    x: Any
    y: Any = field(default=None, compare=False)

    def __post_init__(self):
        assert isinstance(self.x, mx.array)


def x():
    return mx.array([1.0, 2.0])


TREES = {
    "namedtuple": lambda: Pair(x(), x() * 2),
    "tuple subclass": lambda: Plain((x(), x() * 2)),
    "tuple subclass with a constructor": lambda: Strict(x(), x() * 2, "mine"),
    "nested": lambda: Pair([Plain((x(),))], {"k": Pair(x(), Plain((x(), x())))}),
    "dataclass": lambda: Point(x(), x() * 2),
    "frozen dataclass": lambda: Frozen(x(), Pair(x(), [Point(x(), x())])),
}


def form(tree):
    """The tree with its types, and the leaves that are no arrays."""
    if isinstance(tree, dict):
        return {k: form(v) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree), [form(v) for v in tree], getattr(tree, "label", None)
    if isinstance(tree, (Point, Frozen)):
        return type(tree), form(vars(tree))
    return "array" if isinstance(tree, mx.array) else tree


def total(tree):
    return tree_reduce(
        lambda s, a: s + a.sum() if isinstance(a, mx.array) else s, tree, mx.array(0.0)
    )


def scaled(tree):
    """Checks what arrives, and returns it scaled."""
    seen.append(form(tree))
    return tree_map(lambda a: a * 3 if isinstance(a, mx.array) else a, tree)


seen: list = []


@mx.custom_function
def custom(tree):
    return scaled(tree)


@custom.vjp
def custom_vjp(primal, cotangent, output):
    assert form(primal) == form(cotangent) == form(output)
    return cotangent


WAYS = {
    "compile": lambda t: mx.compile(scaled)(t),
    "compile, second call": lambda t: (f := mx.compile(scaled), f(t), f(t))[2],
    "vmap": lambda t: mx.vmap(scaled)(t),
    "checkpoint": lambda t: (
        out := mx.checkpoint(scaled)(t),
        mx.grad(lambda t: total(mx.checkpoint(scaled)(t)))(t) if arrays_only(t) else None,
    )[0],
    "custom_function": lambda t: custom(t),
    "grad through custom_function": lambda t: (
        mx.grad(lambda t: total(custom(t)))(t) if arrays_only(t) else scaled(t)
    ),
    "grad": lambda t: (
        mx.grad(lambda t: (scaled(t), total(t))[1])(t) if arrays_only(t) else scaled(t)
    ),
    "value_and_grad": lambda t: (
        mx.value_and_grad(lambda t: (total(t), scaled(t)))(t)[0][1] if arrays_only(t) else scaled(t)
    ),
    "argnames": lambda t: (
        mx.grad(lambda *, t: (scaled(t), total(t))[1], argnums=None, argnames="t")(t=t)[1]["t"]
        if arrays_only(t)
        else scaled(t)
    ),
    "scan": lambda t: (
        mx.scan(lambda c, _: (scaled(c), None), t, length=1)[0] if arrays_only(t) else scaled(t)
    ),
    "cond": lambda t: (
        mx.cond(mx.array(True), scaled, lambda t: t, t) if arrays_only(t) else scaled(t)
    ),
    "tree_map": lambda t: scaled(t),
    "tree_map_with_path": lambda t: (scaled(t), tree_map_with_path(lambda p, a: a, t))[1],
    "tree_merge": lambda t: (
        scaled(t),
        tree_merge(
            t, tree_map(lambda a: None if isinstance(a, mx.array) else a, t), lambda a, b: a
        ),
    )[1],
    "stop_gradient": lambda t: (scaled(t), mx.stop_gradient(t))[1],
}


def arrays_only(tree):
    return all(isinstance(leaf, mx.array) for _, leaf in tree_flatten(tree))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", TREES)
def test_a_tree_keeps_its_types_going_in_and_coming_out(way, name):
    tree = TREES[name]()
    seen.clear()
    result = WAYS[way](tree)
    assert form(result) == form(tree)
    assert seen and all(s == form(tree) for s in seen)


def test_tuples_made_in_c_are_kept_too():
    moment = time.gmtime(0)
    assert type(tree_map(lambda v: v + 1, moment)) is time.struct_time


def test_gradients_of_a_dataclass_are_one():
    gradient = mx.grad(lambda p: (p.x * p.y).sum())(Frozen(x(), x() * 2))
    assert type(gradient) is Frozen
    assert gradient.x.tolist() == [2, 4] and gradient.y.tolist() == [1, 2]


def test_a_registered_class_is_state_of_compile():
    state = Point(mx.array(0.0), [mx.array(10.0)])
    step = mx.compile(lambda: bump(state), inputs=state, outputs=state)
    for n in (1, 2, 3):
        step()
        assert state.x.item() == n and state.y[0].item() == 10 + 2 * n


def bump(state):
    state.x = state.x + 1
    state.y[0] = state.y[0] + 2


def test_compile_knows_classes_and_their_constants_apart():
    traces = []
    f = mx.compile(lambda p: (traces.append(1), p.x * len(p.tag))[1])
    assert f(Point(x(), x(), "ab")).tolist() == [2, 4]
    assert f(Point(x(), x(), "ab")).tolist() == [2, 4]
    assert f(Point(x(), x(), "abc")).tolist() == [3, 6]
    assert f(Point(x(), None, "abc")).tolist() == [3, 6]
    assert len(traces) == 3


def test_eval_and_flatten_find_arrays_in_registered_classes():
    point = Point(x() + 1, {"z": [x() + 2]}, 7)
    mx.eval(point, Frozen(x() * 3))
    assert [path for path, _ in tree_flatten(point)] == ["x", "y.z.0", "tag"]
    mx.eval(point)
    assert mx.get_array_buffer_size([point]) == 16


def test_only_dataclasses_are_registered():
    class Other:
        pass

    for bad in (Other, 3, Point(x()), dict):
        with pytest.raises(TypeError, match=r"\[register_tree\]"):
            mx.register_tree(bad)

    @dataclass
    class Unknown:
        x: Any

    leaf = Unknown(x())
    assert tree_flatten(leaf) == [("", leaf)]
    with pytest.raises(ValueError, match="register_tree"):
        mx.compile(lambda d: d.x)(leaf)


def cyclic_list():
    tree: list = [mx.array(1.0)]
    tree.append(tree)
    return tree


def cyclic_dict():
    tree: dict = {"a": mx.array(1.0)}
    tree["b"] = [(tree,)]
    return tree


def cyclic_dataclass():
    tree = Point(mx.array(1.0))
    tree.y = [tree]
    return tree


def cyclic_and_wide():
    tree: list = []
    tree += [tree] * 500
    return tree


def nested(depth, make=lambda inner: [inner]):
    tree = mx.array(1.0)
    for _ in range(depth):
        tree = make(tree)
    return tree


def identity(t):
    return t


WALKERS = {
    "tree_map": lambda t: tree_map(identity, t),
    "tree_map_with_path": lambda t: tree_map_with_path(lambda p, a: a, t),
    "tree_flatten": tree_flatten,
    "tree_reduce": lambda t: tree_reduce(lambda a, b: a, t),
    "tree_merge": lambda t: tree_merge(t, t, lambda a, b: a),
    "eval": mx.eval,
    "async_eval": mx.async_eval,
    "print_graph": mx.print_graph,
    "plan": mx.plan,
    "grad": lambda t: mx.grad(total)(t),
    "value_and_grad by name": lambda t: mx.grad(lambda t: total(t), argnums=None, argnames="t")(
        t=t
    ),
    "vmap": lambda t: mx.vmap(identity)(t),
    "output of vmap": lambda t: mx.vmap(lambda a: t)(x()),
    "compile": lambda t: mx.compile(identity)(t),
    "compile by name": lambda t: mx.compile(lambda t: t)(t=t),
    "output of compile": lambda t: mx.compile(lambda a: t)(x()),
    "inputs of compile": lambda t: mx.compile(lambda: 1, inputs=t)(),
    "checkpoint": lambda t: mx.grad(lambda a: (mx.checkpoint(lambda a, t: a)(a, t)).sum())(x()),
    "custom_function": lambda t: mx.grad(lambda a: mx.custom_function(lambda a, t: a)(a, t).sum())(
        x()
    ),
    "linearize": lambda t: mx.linearize(identity, t),
    "stop_gradient": mx.stop_gradient,
    "get_array_buffer_size": mx.get_array_buffer_size,
    "init of an optimizer": lambda t: optim.SGD(0.1).init({"t": t}),
    "clip_grad_norm": lambda t: optim.clip_grad_norm(t, 1.0),
    "scan": lambda t: mx.scan(lambda c, _: (c, None), t, length=2),
    "cond": lambda t: mx.cond(mx.array(True), identity, identity, t),
}


@pytest.mark.parametrize("make", [cyclic_list, cyclic_dict, cyclic_dataclass, cyclic_and_wide])
@pytest.mark.parametrize("walker", WALKERS)
def test_a_container_that_contains_itself_is_a_value_error(walker, make):
    with pytest.raises(ValueError):
        WALKERS[walker](make())


@pytest.mark.parametrize("walker", ["tree_map", "tree_flatten", "eval", "compile", "grad", "plan"])
def test_deep_trees_are_walked_up_to_a_limit(walker):
    WALKERS[walker](nested(9_000))
    WALKERS[walker](
        nested(1_000, lambda inner: {"k": Pair(inner, None)} if walker != "grad" else (inner,))
    )
    with pytest.raises(ValueError):
        WALKERS[walker](nested(10_200))


def test_deep_trees_need_no_deep_stack():
    """The stack of a thread may be small."""
    code = f"""
import sys, threading
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_tree_types import WALKERS, mx, nested
def walk():
    for walker in ("tree_map", "tree_flatten", "eval", "compile", "compile by name", "grad", "plan"):
        WALKERS[walker](nested(9_000))
    mx.compile(lambda: mx.ones(1), inputs=nested(200))()
    print("done")
threading.stack_size(1 << 18)
thread = threading.Thread(target=walk)
thread.start()
thread.join()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout == "done\n", (done.returncode, done.stderr[-2000:])


def test_a_shared_container_is_no_cycle():
    shared = [mx.array(1.0)]
    tree = [shared] * 200
    assert len(tree_flatten(tree)) == 200
    mx.eval(tree, nested(100, lambda inner: [inner, shared]))
    assert len(tree_flatten(nested(100, lambda inner: [shared, inner, shared]))) == 201


@pytest.mark.parametrize("evaluate", [mx.eval, mx.async_eval])
def test_eval_says_what_was_meant_by_what_holds_no_array(evaluate):
    model = nn.Linear(2, 2)
    for value, text in [
        (model.parameters, r"got parameters, .* was parameters\(\) meant"),
        (lambda: x(), "function"),
        (len, "len"),
        (nn.Linear, "Linear"),
        ([model, model.parameters], "parameters"),
        ((a for a in [x()]), r"generator.*list\(...\)"),
        ({"a": x()}.values(), r"dict_values.*list\(...\)"),
        (iter([x()]), "list_iterator"),
        ({1, 2}, "set"),
    ]:
        with pytest.raises(TypeError, match=text):
            evaluate(value)
    evaluate(
        None, 3, "a", 2.5, model, model.state, optim.SGD(0.1).state, mx.random.state, mx.float32
    )
    evaluate(nn.Sequential(nn.ReLU()), [])


def test_compile_says_what_was_meant_by_state_that_is_no_tree():
    model, rule = nn.Sequential(nn.Linear(2, 2), lambda a: a), optim.SGD(0.1)

    @dataclass
    class Unknown:
        x: Any

    for where in ("inputs", "outputs"):
        for value, text in [
            (Unknown(x()), "Unknown holds arrays but is no tree.*register_tree"),
            ([model, rule], r"SGD holds arrays.*SGD\.state"),
            (model.parameters, r"parameters.* was parameters\(\) meant"),
            ({"a": [lambda: 1]}, "function"),
        ]:
            with pytest.raises(TypeError, match=rf"\[compile\] {where}: .*{text}"):
                mx.compile(lambda: 1, **{where: value})
        mx.compile(
            lambda: 1, **{where: [model, model.state, rule.state, mx.random.state, 3, "a", None]}
        )()


def test_a_walk_may_change_nothing_of_a_defaultdict():
    tree = collections.defaultdict(list, a=x())
    mx.eval(tree)
    tree_map(identity, tree)
    assert list(tree) == ["a"]


def test_cycles_are_found_in_threads_with_small_stacks():
    old = threading.stack_size(256 * 1024)
    failed = []

    def work():
        for walker in ("eval", "compile", "tree_map", "grad", "inputs of compile"):
            with pytest.raises(ValueError):
                WALKERS[walker](cyclic_list())
        failed.append(False)

    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(old)
    assert failed == [False]


def test_registered_classes_are_prefixes_of_axes():
    s = Point(mx.ones(2), mx.ones((3, 2)))
    assert mx.vmap(lambda s: s.x + s.y, in_axes=Point(0, 1))(s).shape == (2, 3)
    out = mx.vmap(lambda x: Point(x, x), out_axes=Point(0, 1))(mx.ones((2, 3)))
    assert out.x.shape == (2, 3) and out.y.shape == (3, 2)
    assert mx.vmap(lambda x: x, in_axes=mx.array(1))(mx.ones((2, 3))).shape == (3, 2)


class Net(nn.Module):
    """Parts in a list, a tuple and a dict, one of them twice, and attributes that are no arrays."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm(4), nn.tanh)
        self.parts = [nn.Linear(4, 4), {"last": nn.Linear(4, 2)}]
        self.pair = (nn.Linear(4, 4), mx.ones(4))
        self.again = self.parts[0]
        self.scale, self.name = 0.5, "net"

    def __call__(self, x):
        y = (
            self.again(self.parts[0](self.first(x)))
            + self.pair[0](x @ mx.ones((3, 4))) * self.pair[1]
        )
        assert self.name == "net" and type(self.first) is nn.Sequential
        return self.scale * self.parts[1]["last"](y)


CALLS = {
    "positional": lambda way, net, x: way(lambda net, x: net(x))(net, x),
    "by name": lambda way, net, x: way(lambda x, net: net(x))(x, net=net),
    "closure": lambda way, net, x: way(lambda x: net(x))(x),
    "itself": lambda way, net, x: way(lambda net, x, again: net(x) + 0 * again(x))(net, x, net),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("call", CALLS)
def test_checkpoint_takes_modules_as_the_function_has_them(call, training):
    """With and without a gradient: values, gradients, running statistics, and no tracer left."""
    net, plain = Net().train(training), Net().train(training)
    plain.update(net.parameters())
    plain.pair = net.pair  # tuples are no parameters
    x = mx.random.normal((5, 3))

    def loss(net, way):
        return nn.value_and_grad(net, lambda x: CALLS[call](way, net, x).square().sum())(x)

    (value, grads), (wanted, theirs) = loss(net, mx.checkpoint), loss(plain, lambda f: f)
    assert mx.allclose(value, wanted, 1e-5)
    found = dict(tree_flatten(grads))
    assert len(found) == len(tree_flatten(theirs)) > 0
    for name, g in tree_flatten(theirs):
        assert mx.allclose(found[name], g, 1e-4, 1e-5), name
    stats = plain.first.layers[1].running_mean
    assert mx.allclose(net.first.layers[1].running_mean, stats, 1e-5)
    assert mx.array_equal(stats, mx.zeros(4)) != training
    assert mx.allclose(CALLS[call](mx.checkpoint, net, x), CALLS[call](lambda f: f, plain, x), 1e-5)


def test_vmap_maps_modules_and_gives_them_as_modules():
    """Of an ensemble, whose arrays are stacked; or the same one in each lane."""
    nets = [Net().eval() for _ in range(3)]
    x = mx.random.normal((5, 3))
    stacked = Net().eval().update(
        tree_map(lambda *w: mx.stack(w), *(net.parameters() for net in nets))
    )
    for net in (stacked, *nets):
        net.pair = nets[0].pair
    axes = {**tree_map(lambda _: 0, dict(stacked)), "pair": None}
    each = mx.stack([net(x) for net in nets])
    call, row = (lambda net, x: net(x)), (lambda net, x: net(x[None])[0])
    for way in (lambda f: f, mx.compile):
        across = way(lambda x: mx.vmap(call, in_axes=(axes, None))(stacked, x))
        assert mx.allclose(across(x), each, 1e-5)
        lanes = way(lambda x: mx.vmap(row, in_axes=(None, 0))(nets[0], x))
        assert mx.allclose(lanes(x), nets[0](x), 1e-5)
    grads = nn.value_and_grad(nets[0], lambda x: mx.vmap(row, (None, 0))(nets[0], x).sum())(x)[1]
    wanted = nn.value_and_grad(nets[0], lambda x: nets[0](x).sum())(x)[1]
    for (name, g), (_, w) in zip(tree_flatten(grads), tree_flatten(wanted)):
        assert mx.allclose(g, w, 1e-4, 1e-5), name
    mx.eval(nets[0].state, stacked.state)  # the callers' own hold no tracers


class Counted(nn.Module):
    """Keeps what it met, in attributes and in place."""

    def __init__(self):
        super().__init__()
        self.inner = nn.BatchNorm(3)
        self.calls, self.last, self.least = mx.array(0), mx.zeros(3), mx.array(mx.inf)

    def __call__(self, x):
        self.calls = self.calls + 1
        self.least = mx.minimum(self.least, mx.stop_gradient(x).min())
        self.last = mx.stop_gradient(self.inner(x).sum(0))
        return mx.exp(self.inner(x) * self.last.sum())


SEEN = Counted()  # found as a global


@pytest.mark.parametrize("way", ["plain", "nested", "compiled", "jvp", "in a module"])
def test_what_modules_keep_in_a_checkpoint_has_values(way):
    """The same as without checkpoint, whichever way the function finds the module."""
    rows = mx.random.normal((3, 5, 3), key=mx.random.key(3))
    found = []
    for checkpoint in (mx.checkpoint, lambda f: f):
        net = nn.Sequential(SEEN, nn.Linear(3, 1))
        net.update(tree_map(mx.ones_like, net.parameters()))
        SEEN.calls, SEEN.least = mx.array(0), mx.array(mx.inf)
        block = checkpoint(lambda x: SEEN(x))
        if way == "nested":
            inner = block
            block = checkpoint(lambda x: inner(x) * 2)
        if way == "in a module":
            SEEN.forward = checkpoint(SEEN.__call__)  # a bound method
            block = SEEN.forward
        loss = lambda x: net.layers[1](block(x)).square().mean()
        step = nn.value_and_grad(net, loss)
        if way == "jvp":
            step = lambda x: mx.jvp(loss, [x], [mx.ones_like(x)])
        if way == "compiled":
            state = net.state
            step = mx.compile(step, inputs=state, outputs=state)
        out = [step(x) for x in rows]
        kept = net.parameters()
        mx.eval(out, kept)
        found.append([leaf.tolist() for _, leaf in tree_flatten([out, kept])])
    assert SEEN.calls.item() == 3
    for ours, plain in zip(*found):
        assert mx.allclose(mx.array(ours), mx.array(plain), 1e-4, 1e-5)
