"""Every transform with every kind of module, against the same function of a dict of its arrays."""

import collections
import copy

import pytest

import lazulite.core as mx
import lazulite.nn as nn

X = mx.array([[0.5, -2.0, 0.25], [1.5, 0.75, -0.5]])


class Attributes(dict):
    """A dict that is no module, with attributes for its entries."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Row(list):
    """A list with a method and an attribute."""

    power = 2

    def total(self):
        return sum((a ** self.power).sum() for a in self)


class User(nn.Module):
    """Layers in lists and dicts, numbers and functions beside them."""

    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(3, 3), {"last": nn.Linear(3, 3, bias=False)}, mx.tanh]
        self.sizes = [3, 4]
        self.form = (2, "x", None)
        self.pair = (mx.array([1.5, 0.5, 1.0]), nn.Linear(3, 3))
        self.scale, self.name = 0.5, "user"
        self._hidden = mx.array([0.25, 0.5, 0.75])

    def __call__(self, x):
        assert self.sizes == [3, 4] and self.form == (2, "x", None) and self.name == "user"
        y = self.layers[2](self.layers[0](x)) + self.pair[1](x) * self.pair[0]
        return self.layers[1]["last"](y) * self.scale + self._hidden


class Keeps(nn.Module):
    """Its own methods, in an attribute, a list and a transform."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)
        self.calls = [self.forward]
        self.again = mx.checkpoint(self.forward)
        self.plain = self.forward

    def forward(self, x):
        return mx.tanh(self.inner(x))

    def __call__(self, x):
        return self.plain(x) + 2 * self.again(x) + 3 * self.calls[0](x)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.inside = [{"again": self.first}]

    def __call__(self, x):
        return self.first(mx.tanh(self.inside[0]["again"](x)))


class Empty(nn.Module):
    def __init__(self):
        super().__init__()
        self.power, self.sizes = 2, [1, 2]

    def __call__(self, x):
        return x ** self.power


def frozen():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model.layers[0].freeze()
    model.layers[1].freeze(keys="bias")
    return model


KINDS = {
    "linear": lambda: nn.Linear(3, 3),
    "sequential": lambda: nn.Sequential(
        nn.Linear(3, 3), nn.Sequential(nn.ReLU(), nn.Linear(3, 3), mx.tanh), nn.LayerNorm(3)
    ),
    "user": User, "methods": Keeps, "twice": Twice, "frozen": frozen, "empty": Empty,
}
PLACES = {
    "itself": (lambda m: m, lambda t: t),
    "in a tree": (lambda m: {"a": [1 * X[0], (m,)]}, lambda t: t["a"][1][0]),
}


def arrays(tree, path=()):
    """{path: array} of a tree, in which modules are dicts."""
    if isinstance(tree, mx.array):
        return {path: tree}
    items = tree.items() if isinstance(tree, dict) else (
        enumerate(tree) if isinstance(tree, (list, tuple)) else ()
    )
    return {k: v for key, part in items for k, v in arrays(part, (*path, key)).items()}


def put(tree, path, value):
    """The tree with another array there."""
    if not path:
        return value
    part = put(tree[path[0]], path[1:], value)
    if isinstance(tree, tuple):
        return tuple(part if k == path[0] else v for k, v in enumerate(tree))
    tree[path[0]] = part
    return tree


def explicit(model, f):
    """`f` of a model over {path: array}."""

    def call(flat, *args):
        other = copy.deepcopy(structure)
        for path, value in flat.items():
            put(other, path, value)
        return f(other, *args)

    structure = copy.deepcopy(model)
    return call


def distinct(model):
    """{path: array} without the second of two that are one, and the path that stands for each."""
    seen, flat, same = {}, {}, {}
    for path, a in arrays(model).items():
        same[path] = seen.setdefault(id(a), path)
        flat[same[path]] = a
    return flat, same


def summed(model, tree):
    """{path: array} of derivatives, of an array in two places their sum."""
    _, same = distinct(model)
    out = {}
    found = arrays(tree)
    assert found.keys() == same.keys()
    for path, a in found.items():
        out[same[path]] = a if same[path] not in out else out[same[path]] + a
    return out


def check(got, want):
    assert got.keys() == want.keys()
    for path in want:
        assert got[path].shape == want[path].shape and got[path].dtype == want[path].dtype, path
        assert mx.allclose(got[path], want[path], 1e-4, 1e-5), path


def loss(model, x):
    return mx.square(model(x)).sum() + mx.sin(model(x)).sum()


def values(model):
    return {path: mx.array(a) for path, a in arrays(model).items()}


@pytest.fixture(params=KINDS)
def model(request):
    made = KINDS[request.param]()
    mx.eval(dict(made))
    before, held = values(made), arrays(made)
    yield made
    assert all(arrays(made)[path] is held[path] for path in held)  # the caller's own are untouched
    check(values(made), before)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("way", ["grad", "vjp", "jvp", "linearize", "jacrev", "jacfwd", "hessian"])
def test_derivatives(model, place, way):
    inside, out_of = PLACES[place]
    tree, (flat, same) = inside(model), distinct(model)
    f = lambda t, x: loss(out_of(t), x)
    plain = explicit(model, loss)
    if way == "grad":
        if not flat and place == "itself":
            assert mx.grad(f)(model, X) == {"sizes": [{}, {}]}
            return
        check(summed(model, out_of(mx.grad(f)(tree, X))), mx.grad(plain)(flat, X))
        return
    if way == "vjp":
        c = mx.array(1.5)
        (y,), (g, gx) = mx.vjp(f, [tree, X], [c])
        (want,), (w, wx) = mx.vjp(plain, [flat, X], [c])
        check(summed(model, out_of(g)), w)
        assert mx.allclose(y, want, 1e-5) and mx.allclose(gx, wx, 1e-4, 1e-5)
    elif way in ("jvp", "linearize"):
        moves = {path: mx.cos(a) for path, a in arrays(model).items()}
        given = copy.deepcopy(tree)
        for path, a in moves.items():
            put(out_of(given), path, a)
        if place == "in a tree":
            given["a"][0] = 0 * X[0]
        moved = {path: moves[path] for path in flat}
        (want,), (w,) = mx.jvp(plain, [flat, X], [moved, X])
        if way == "jvp":
            (y,), (t,) = mx.jvp(f, [tree, X], [given, X])
        else:
            y, derivative = mx.linearize(f, tree, X)
            t = derivative(given, X)
        assert mx.allclose(y, want, 1e-5) and mx.allclose(t, w, 1e-4, 1e-5)
    elif way == "hessian":
        if not flat:
            return
        row = next(iter(flat))
        got = out_of(mx.hessian(f)(tree, X))
        for k in row:
            got = got[k]
        if same != {path: path for path in flat}:
            return  # of an array in two places rows are parts
        got = arrays(out_of(got))
        want = mx.hessian(plain)(flat, X)[row]
        check(got, want)
        size = mx.grad(lambda w: mx.grad(plain)({**flat, row: w}, X)[row].sum())(flat[row])
        axes = list(range(flat[row].ndim))
        assert mx.allclose(want[row].sum(axes), size, 1e-3, 1e-4)
    else:
        matrix = getattr(mx, way)
        g, gx = matrix(lambda t, x: out_of(t)(x), (0, 1))(tree, X)
        w, wx = matrix(explicit(model, lambda m, x: m(x)), (0, 1))(flat, X)
        check(summed(model, out_of(g)), w)
        assert mx.allclose(gx, wx, 1e-4, 1e-5)


def test_tangents_and_cotangents_of_a_module_may_leave_arrays_out():
    model = frozen()
    moves = model.trainable_parameters()
    first, last = ({k: 0 * v for k, v in layer.items()} for layer in model.layers)
    all_moves = {"layers": [first, {**last, **moves["layers"][1]}]}
    got = mx.jvp(lambda m: m(X), [model], [moves])[1][0]
    assert mx.allclose(got, mx.jvp(lambda m: m(X), [model], [all_moves])[1][0], 1e-5)
    out, back = mx.vjp(lambda m: m, [model], [{"layers": [{}, {"weight": mx.ones((3, 3))}]}])
    assert type(out[0]) is nn.Sequential and type(out[0].layers[1]) is nn.Linear
    assert back[0]["layers"][1]["weight"].sum().item() == 9
    assert back[0]["layers"][0]["weight"].sum().item() == 0
    number = {"layers": [{}, {"weight": 2}]}
    for wrong in ({"other": X}, {"layers": X}, {"layers": [{}]}, [X], X, number):
        with pytest.raises((TypeError, ValueError), match=r"^\[jvp\] tangent"):
            mx.jvp(lambda m: m(X), [model], [wrong])
        with pytest.raises((TypeError, ValueError), match=r"^\[vjp\] cotangent"):
            mx.vjp(lambda m: m, [model], [wrong])


def test_vjp_and_jvp_of_functions_that_give_trees():
    f = lambda t: ({"y": t["x"] * 2, "z": [t["x"].sum()]}, t["x"] + 1)
    x, c = mx.array([1.0, 2.0]), mx.array([3.0, 4.0])
    out, (g,) = mx.vjp(f, [{"x": x}], [{"y": c, "z": [mx.array(5.0)]}, c])
    assert out[0]["z"][0].item() == 3 and g["x"].tolist() == [14, 17]
    out, moved = mx.jvp(f, [{"x": x}], [{"x": c}])
    assert moved[0]["y"].tolist() == [6, 8] and moved[0]["z"][0].item() == 7
    assert moved[1].tolist() == [3, 4]
    with pytest.raises(ValueError, match=r"^\[vjp\] got 1 cotangents for 2 outputs"):
        mx.vjp(f, [{"x": x}], [c])
    with pytest.raises(ValueError, match=r"^\[vjp\] cotangents of another structure"):
        mx.vjp(f, [{"x": x}], [{"y": c}, c])


def attributes(module):
    return {k: v for k, v in module.__dict__.items() if not callable(v)}


def like(got, model):
    """The same classes and attributes, the same leaves but for arrays."""
    if isinstance(model, mx.array):
        return isinstance(got, mx.array)
    if isinstance(model, nn.Module):
        if type(got) is not type(model) or attributes(got) != attributes(model):
            return False
    if isinstance(model, dict):
        return got.keys() == model.keys() and all(like(got[k], model[k]) for k in model)
    if isinstance(model, (list, tuple)):
        return type(got) is type(model) and len(got) == len(model) and all(map(like, got, model))
    return callable(got) if callable(model) else got == model


def doubled(model):
    """The model with its arrays doubled, in place of the old ones."""
    for path, a in distinct(model)[0].items():
        put(model, path, a * 2)
    return model


def none(tree):
    """Cotangents of nothing in the module."""
    return {} if isinstance(tree, nn.Module) else {"n": [{}]}


GIVERS = {
    "compile": lambda f, m: mx.compile(f)(m),
    "compile again": lambda f, m: (g := mx.compile(f), g(copy.deepcopy(m)), g(m))[2],
    "compile of a captured one": lambda f, m: mx.compile(lambda: f(copy.deepcopy(m)))(),
    "vmap": lambda f, m: mx.vmap(lambda x, m: f(m), in_axes=(0, None), out_axes=None)(X, m),
    "scan": lambda f, m: mx.scan(lambda m, _: (f(m), None), m, length=1)[0],
    "fori_loop": lambda f, m: mx.fori_loop(0, 1, lambda i, m: f(m), m),
    "fori_loop of an array": lambda f, m: mx.fori_loop(0, mx.array(1), lambda i, m: f(m), m),
    "while_loop": lambda f, m: mx.while_loop(
        lambda s: s[0] < 1, lambda s: (s[0] + 1, f(s[1])), (mx.array(0), m))[1],
    "cond": lambda f, m: mx.cond(mx.array(True), f, lambda m: m, m),
    "checkpoint": lambda f, m: mx.value_and_grad(
        lambda x: (x, mx.checkpoint(lambda x: f(copy.deepcopy(m)))(x)))(mx.array(1.0))[0][1],
    "custom_function": lambda f, m: mx.value_and_grad(
        lambda x: (x, mx.custom_function(lambda m, x: f(m))(m, x)))(mx.array(1.0))[0][1],
    "vjp": lambda f, m: mx.vjp(lambda x: f(copy.deepcopy(m)), [X], [none(m)])[0][0],
    "jvp": lambda f, m: mx.jvp(lambda m: f(copy.deepcopy(m)), [m], [none(m)])[0][0],
    "linearize": lambda f, m: mx.linearize(lambda x: f(copy.deepcopy(m)), X)[0],
    "stop_gradient": lambda f, m: f(mx.stop_gradient(m)),
}


@pytest.mark.parametrize("give", GIVERS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("nest", [False, True])
def test_what_gives_a_module_gives_one_of_its_class(give, kind, nest):
    model = KINDS[kind]()
    want = doubled(copy.deepcopy(model))
    given = copy.deepcopy(model)
    if nest:
        got = GIVERS[give](lambda t: {"n": [doubled(t["n"][0])]}, {"n": [given]})["n"][0]
    else:
        got = GIVERS[give](doubled, given)
    assert like(got, want)
    if kind != "twice":  # of two places one was doubled
        check(values(got), values(want))
        assert mx.allclose(got(X), want(X), 1e-5)
    else:
        first = got.first.weight
        assert mx.allclose(first, want.first.weight)
    mx.eval(values(given), values(got))  # no tracer is left


LANES = 3


def stacked(model):
    """A model whose arrays have a first axis of lanes, and the models of the lanes."""
    lanes = []
    for k in range(LANES):
        lane = copy.deepcopy(model)
        for path, a in distinct(lane)[0].items():
            put(lane, path, a * (1 + 0.25 * k))
        lanes.append(lane)
    whole = copy.deepcopy(model)
    for path in distinct(whole)[0]:
        put(whole, path, mx.stack([arrays(lane)[path] for lane in lanes]))
    return whole, lanes


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("axes", ["number", "module", "dict", "parameters", "tree", "none"])
@pytest.mark.parametrize("kind", [k for k in KINDS if k != "empty"])
def test_vmap_over_the_arrays_of_modules(kind, axes, compiled):
    whole, lanes = stacked(KINDS[kind]())
    call = lambda m, x: m(x)
    wrap = mx.compile if compiled else lambda f: f
    if axes == "none":
        got = wrap(mx.vmap(call, in_axes=(None, 0)))(lanes[1], mx.stack([X, X + 1]))
        want = mx.stack([lanes[1](X), lanes[1](X + 1)])
    else:
        want = mx.stack([lane(X) for lane in lanes])
        zeros = copy.deepcopy(whole)
        for path in arrays(zeros):
            put(zeros, path, 0)
        if axes == "number":
            got = wrap(mx.vmap(call, in_axes=(0, None)))(whole, X)
        elif axes == "module":
            got = wrap(mx.vmap(call, in_axes=(zeros, None)))(whole, X)
        elif axes == "dict":
            got = wrap(mx.vmap(call, in_axes=(dict(zeros), None)))(whole, X)
        elif axes == "parameters":
            only = {k: 0 for k, v in whole.items() if arrays(v)}
            got = wrap(mx.vmap(call, in_axes=(only, None)))(whole, X)
        else:
            got = wrap(mx.vmap(lambda t: t["m"][0](t["x"]), in_axes=({"m": [0], "x": None},)))(
                {"m": [whole], "x": X})
    assert mx.allclose(got, want, 1e-4, 1e-5)
    mx.eval(values(whole))


@pytest.mark.parametrize("kind", KINDS)
def test_vmap_gives_modules_of_the_axes_that_are_asked_for(kind):
    whole, lanes = stacked(KINDS[kind]())
    if kind == "empty":
        got = mx.vmap(lambda m, x: (m, x), in_axes=(0, 0))(whole, X)[0]
        assert like(got, whole)
        return
    for out_axes in (0, 1, whole and -1):
        got = mx.vmap(lambda m: m, out_axes=out_axes)(whole)
        assert like(got, whole)
        check(values(got), {p: mx.moveaxis(a, 0, out_axes) for p, a in arrays(whole).items()})
    first = next(k for k, v in whole.items() if arrays(v))
    prefix = {k: 1 if k == first else 0 for k in whole}
    got = mx.vmap(lambda m: m, out_axes=prefix)(whole)
    for path, a in arrays(whole).items():
        assert mx.array_equal(arrays(got)[path], mx.moveaxis(a, 0, 1) if path[0] == first else a)


def test_axes_of_a_module_that_do_not_fit_are_refused():
    model = nn.Linear(3, 3)
    for axes in ({"weight": 0}, {"weight": 0, "bias": 0, "other": 0}, {}, [0, 0], {"weight": "a"}):
        with pytest.raises(ValueError, match=r"^\[vmap\] in_axes"):
            mx.vmap(lambda m, x: m(x), in_axes=(axes, None))(model, X)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loop", ["scan", "fori_loop", "while_loop", "cond", "captured"])
def test_loops_carry_modules_as_trees_of_arrays(kind, loop):
    """Some steps of descent, against the same over {path: array}."""
    model = KINDS[kind]()
    flat, same = distinct(model)
    plain = explicit(model, loss)
    steps = 3

    def step(m):
        g = summed(model, mx.grad(loss)(m, X)) if flat else {}
        for path, a in distinct(m)[0].items():
            put(m, path, a - 0.01 * g[same[path]])
        return m

    def plain_step(f):
        g = mx.grad(plain)(f, X) if f else {}
        return {path: f[path] - 0.01 * g[path] for path in f}

    want = flat
    for _ in range(1 if loop == "cond" else 0 if loop == "captured" else steps):
        want = plain_step(want)
    if kind == "twice" and loop != "captured":
        return  # the two places are carried apart
    if loop == "scan":
        got, ys = mx.scan(lambda m, _: (step(m), m(X)), model, length=steps)
        assert mx.allclose(ys[-1], explicit(model, lambda m, x: m(x))(want, X), 1e-4, 1e-5)
    elif loop == "fori_loop":
        got = mx.fori_loop(0, steps, lambda i, m: step(m), model)
    elif loop == "while_loop":
        got = mx.while_loop(lambda s: s[0] < steps, lambda s: (s[0] + 1, step(s[1])),
                            (mx.array(0), model))[1]
    elif loop == "cond":
        got = mx.cond(mx.array(False), lambda m: m, step, model)
    else:
        got = model
        y, _ = mx.scan(lambda c, _: (model(c), None), X, length=2)
        assert mx.allclose(y, model(model(X)), 1e-4, 1e-5)
        f = lambda m: mx.scan(lambda c, _: (m(c), None), X, length=2)[0].sum()
        other = explicit(model, f)
        if flat:
            check(summed(model, mx.grad(f)(model)), mx.grad(other)(flat))
        y = mx.cond(mx.array(True), lambda c: model(c), lambda c: c, X)
        assert mx.allclose(y, model(X), 1e-5)
    assert like(got, model)
    check({p: a for p, a in values(got).items() if p in want}, want)
    mx.eval(values(model))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_checkpoint_and_custom_functions(kind, place):
    inside, out_of = PLACES[place]
    model = KINDS[kind]()
    flat, _ = distinct(model)
    want = mx.grad(explicit(model, loss))(flat, X) if flat else {}
    f = lambda t, x: loss(out_of(t), x)
    met = []

    @mx.custom_function
    def custom(t, x):
        return f(t, x)

    @custom.vjp
    def rule(primals, cotangent, output):
        t, x = primals
        met.append(type(out_of(t)))
        gt, gx = mx.grad(f, (0, 1))(t, x)
        return gt, gx * cotangent

    for way in (mx.checkpoint(f), custom, mx.compile(f), mx.compile(mx.checkpoint(f))):
        if flat or place != "itself":
            check(summed(model, out_of(mx.grad(lambda t: way(t, X))(inside(model)))), want)
        else:
            assert mx.allclose(way(inside(model), X), f(inside(model), X))
    assert all(one is type(model) for one in met)


def test_rules_may_give_part_of_the_cotangents_of_a_module():
    @mx.custom_function
    def f(m, x):
        return m(x)

    @f.vjp
    def rule(primals, cotangent, output):
        m, x = primals
        assert type(m) is nn.Linear
        return {"weight": 2 * cotangent.T @ x}, None

    @f.vmap
    def lanes(inputs, axes):
        m, x = inputs
        assert type(m) is nn.Linear and axes == ({"weight": None, "bias": None}, 0)
        return m(x) + 100, 0

    model = nn.Linear(3, 2)
    g = mx.grad(lambda m: f(m, X).sum())(model)
    assert mx.allclose(g["weight"], 2 * mx.ones((2, 2)) @ X) and g["bias"].tolist() == [0, 0]
    assert mx.allclose(mx.vmap(lambda x: f(model, x))(X[:, None])[:, 0], model(X) + 100, 1e-5)


def test_other_subclasses_of_dict_and_list_keep_their_class():
    made = {
        "attributes": lambda: Attributes(w=X[0], n=3),
        "ordered": lambda: collections.OrderedDict(w=X[0], b=X[1]),
        "default": lambda: collections.defaultdict(list, w=X[0]),
        "row": lambda: Row([X[0], X[1]]),
    }
    for name, make in made.items():
        kind, seen = type(make()), []

        def f(t):
            seen.append(type(t))
            if name == "default":
                assert t["new"] == []
            return t.total() if name == "row" else (t.w if name == "attributes" else t["w"]).sum()

        want = f(make())
        for way in (
            lambda: mx.compile(f)(make()),
            lambda: mx.vmap(lambda x, t: f(t), in_axes=(0, None))(X, make())[0],
            lambda: mx.checkpoint(f)(make()),
            lambda: mx.vjp(lambda x: f(make()) + 0 * x.sum(), [X], [mx.array(1.0)])[0][0],
            lambda: mx.scan(lambda t, _: (t, f(t)), make(), length=1)[1][0]
            if name in ("row", "ordered") else want,
            lambda: mx.value_and_grad(
                lambda x: mx.custom_function(lambda t, x: f(t) + x)(make(), x))(mx.array(0.0))[0],
        ):
            assert mx.allclose(way(), want)
        assert set(seen) == {kind}
        assert type(mx.compile(lambda t: t)(make())) is kind
        assert type(mx.vmap(lambda x, t: t, in_axes=(0, None), out_axes=None)(X, make())) is kind


def test_compile_knows_subclasses_and_their_attributes_apart():
    traces = []
    f = mx.compile(lambda t: (traces.append(1), t.total())[1])
    for power in (2, 3, 2):
        row = Row([X[0]])
        row.power = power
        assert mx.allclose(f(row), (X[0] ** power).sum(), 1e-5)
    assert len(traces) == 2
