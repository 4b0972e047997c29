"""Parameters collected and replaced by the core, as the functions of Python do it: every kind of
module and of tree."""

import collections
import copy

import pytest

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim
from lazulite.nn import module as rules
from lazulite.utils import tree_flatten, tree_map


class Holder(nn.Module):
    """Has what it is given."""

    def __init__(self, **entries):
        super().__init__()
        for name, value in entries.items():
            setattr(self, name, value)


class Backwards(nn.Module):
    """A module whose entries have an order of their own."""

    def __iter__(self):
        return iter(sorted(super().__iter__(), reverse=True))


def array(value=1.0):
    return mx.array([value])


def backwards():
    module = Backwards()
    module.a, module.b, module.c = array(), array(), nn.Linear(1, 1)
    return module


def numbered():
    module = Holder(a=array())
    module[3] = 4  # no entry of parameters
    return module


def nested(depth, make=lambda inner: [inner]):
    tree = array()
    for _ in range(depth):
        tree = make(tree)
    return Holder(tree=tree)


def frozen_inside():
    module = Holder(layers=[array(), nn.Linear(1, 1), {"k": array(), "l": array()}], b=array())
    module.freeze(keys=["layers.0", "layers.2.k", "weight"])
    return module


MODELS = {
    "a layer": lambda: nn.Linear(2, 3),
    "an empty one": lambda: nn.Sequential(),
    "layers": lambda: nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.BatchNorm(3)),
    "dicts and lists": lambda: Holder(
        named={"a.b": [array(), 3, None, "s"], 7: {"deep": nn.Linear(1, 1)}}, last=[[], {}, [[]]]
    ),
    "tuples": lambda: Holder(pair=(array(), nn.Linear(1, 1)), inside=[(array(),), array()]),
    "hidden": lambda: Holder(_hidden=array(), _layers=[nn.Linear(1, 1)], shown={"_k": array()}),
    "frozen": lambda: nn.Sequential(nn.Linear(2, 2).freeze(), nn.Linear(2, 2)),
    "frozen by name": lambda: nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)).freeze(keys="bias"),
    "frozen in lists": frozen_inside,
    "all frozen": lambda: nn.Sequential(nn.Linear(2, 2), nn.BatchNorm(2)).freeze(),
    "shared": lambda: (lambda layer: Holder(a=layer, b=[layer, layer]))(nn.Linear(1, 1)),
    "own order": backwards,
    "numbers as names": numbered,
    "ordered dicts": lambda: Holder(d=collections.OrderedDict(b=array(), a=nn.Linear(1, 1))),
    "default dicts": lambda: Holder(d=collections.defaultdict(list, b=[array()])),
    "integers": lambda: Holder(n=mx.array([1]), w=array()),
    "63 levels": lambda: nested(62),
    "66 levels": lambda: nested(66, lambda inner: {"k": inner}),
    "modules 70 deep": lambda: nested(70, lambda inner: Holder(h=inner)),
    "recurrent": lambda: nn.LSTM(2, 3),
    "a transformer": lambda: nn.TransformerEncoder(1, 4, 2),
    "quantized": lambda: nn.QuantizedLinear(64, 32),
}


def same(a, b):
    """Trees of the same form, order and types, with the same objects at their leaves."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a is b


def general(model, filter_fn, map_fn=None):
    """filter_and_map without help: a filter of its own is no known one."""
    return model.filter_and_map(lambda *item: filter_fn(*item), map_fn)


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_what_their_filters_choose(name):
    model = MODELS[name]()
    for frozen in (False, True):
        assert same(model.parameters(), general(model, model.valid_parameter_filter))
        trainable = general(model, model.trainable_parameter_filter)
        assert same(model.trainable_parameters(), trainable)
        calls: list = []
        made = model.filter_and_map(
            nn.Module.trainable_parameter_filter, lambda a: calls.append(a) or [a]
        )
        assert same(made, general(model, model.trainable_parameter_filter, lambda a: [a]))
        assert [id(a) for a in calls] == [id(a) for _, a in tree_flatten(trainable)]
        try:
            model.freeze()
        except AttributeError:
            break


def cycles():
    tree = [array()]
    tree.append(tree)
    yield Holder(a=tree)
    inside = {"k": array()}
    inside["again"] = [inside] * 300
    yield Holder(a=inside)
    holder = Holder(a=array())
    holder.again = holder
    yield holder


@pytest.mark.parametrize("model", list(cycles()))
@pytest.mark.parametrize(
    "walk",
    [nn.Module.parameters, nn.Module.trainable_parameters, lambda m: m.apply(lambda x: x),
     lambda m: nn.value_and_grad(m, lambda: mx.array(1.0))()],
)
def test_modules_that_contain_themselves_are_refused(walk, model):
    with pytest.raises(ValueError, match=r"^\[Module\] a (list|dict|Holder) contains itself"):
        walk(model)


def test_names_of_parameters_are_strings():
    module = Holder()
    module[3] = array()
    with pytest.raises(AttributeError, match="startswith"):
        module.parameters()


def test_parameters_of_classes_with_methods_of_their_own():
    class Chosen(nn.Linear):
        @staticmethod
        def valid_parameter_filter(module, key, value):
            return key == "bias"

    class Renamed(nn.Linear):
        def filter_and_map(self, *args):
            return {"all": super().filter_and_map(*args)}

    assert list(Chosen(1, 1).parameters()) == ["bias"]
    assert list(Renamed(1, 1).parameters()) == ["all"]
    assert list(nn.Sequential(Chosen(1, 1)).parameters()["layers"][0]) == ["weight", "bias"]


# Each with what it changes; `new` are arrays in the form of what is there.
UPDATES = [
    lambda p: tree_map(lambda a: a + 1, p),
    lambda p: {},
    lambda p: {k: v for k, v in tree_map(lambda a: a + 1, p).items() if k == "b"},
    lambda p: {"unknown": array()},
    lambda p: {"unknown": [], "more": {}},
    lambda p: {**tree_map(lambda a: a + 1, p), "unknown": array()},
    lambda p: tree_map(lambda a: 3.0, p),
    lambda p: {"layers": [{}, {"weight": array(5.0)}]},
    lambda p: {"layers": ({}, {"weight": array(5.0)})},
    lambda p: {"layers": {"1": {"weight": array(5.0)}}},
    lambda p: {"layers": [{"weight": [array()]}]},
    lambda p: {"layers": array()},
    lambda p: {"layers": [{}] * 9},
    lambda p: {"layers": [{"weight": array(5.0)}] * 9},
    lambda p: {"layers": {"x": array()}},
    lambda p: [p],
    lambda p: array(),
    lambda p: 3,
    lambda p: None,
    lambda p: collections.OrderedDict(reversed(tree_map(lambda a: a + 1, p).items())),
    lambda p: nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)),
    lambda p: {"pair": (array(7.0),)},
    lambda p: {"pair": [array(7.0)]},
    lambda p: {"tree": p.get("tree", array())},
]
MODELS_TO_UPDATE = [name for name in MODELS if "deep" not in name] + ["pairs"]
MODELS["pairs"] = lambda: Holder(pair=(array(), array()), b=array(), layers=[{"weight": array()}])


def outcome(model, change):
    """The model's leaves after a change, or what it raises."""
    try:
        change(model)
        error = None
    except Exception as e:  # of any kind: it must be the same one
        error = type(e), str(e)
    # `nested` models are compared to the level that repr could go to
    return error, [(path, a.tolist() if isinstance(a, mx.array) else a)
                   for path, a in tree_flatten(dict(model))]


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("name", MODELS_TO_UPDATE)
def test_updates_are_those_of_the_general_rule(name, strict):
    for make in UPDATES:
        model = MODELS[name]()
        other = copy.deepcopy(model)
        new = make(model.parameters())
        assert outcome(model, lambda m: m.update(new, strict)) == outcome(
            other, lambda m: rules._replace(
                m, new, lambda value: isinstance(value, mx.array), "array", strict
            )
        )


def test_an_update_writes_through_the_module():
    written = []

    class Noted(nn.Module):
        def __setitem__(self, key, value):
            written.append(key)
            super().__setitem__(key, value)

    module = Noted()
    module.a, module.b = array(), [array()]
    written.clear()
    module.update({"b": [array(2.0)], "a": array(3.0)})
    assert written[-1] == "a" and module.a.item() == 3 and module.b[0].item() == 2


def test_a_tree_that_contains_itself_is_no_update():
    tree: dict = {"a": array()}
    tree["d"] = tree
    model = Holder(a=array(), d={})
    model.d["d"] = model.d["a"] = array()
    with pytest.raises(ValueError):
        model.update(tree)
    knot: dict = {}
    knot["d"] = knot
    with pytest.raises(ValueError):
        Holder(d=knot).update({"d": knot})


# Gradients and steps


def trained(model, loss):
    return nn.value_and_grad(model, loss)


def test_gradients_have_the_form_of_the_trainable_parameters():
    model = Holder(
        a=array(2.0), b=[array(3.0), (array(),), {"c": array(4.0)}], d=array().astype(int)
    )
    model.layers = [nn.Linear(1, 1).freeze(), nn.ReLU()]
    value, grads = trained(model, lambda: (model.a * model.b[0] * model.b[2]["c"]).sum())()
    assert value.item() == 24
    got = tree_map(lambda g: g.tolist(), grads)
    assert got == {"a": [12], "b": [[8], {}, {"c": [6]}], "d": [0], "layers": [{}, {}]}
    assert list(grads) == list(model.trainable_parameters())


@pytest.mark.parametrize("fails", [False, True])
def test_no_traced_array_stays_in_a_model(fails):
    model = Holder(a=array(2.0), b=[array(3.0)], c=nn.Linear(1, 1))
    before = model.parameters()

    def loss():
        model.moved = model.a  # an array of the model under another name
        model.computed = model.a * 0 + 5
        model.b.append(model.b[0])
        model.c.weight = model.c.bias
        if fails:
            raise OSError
        return (model.a * model.b[0]).sum()

    try:
        value, grads = trained(model, loss)()
        assert not fails and value.item() == 6
        assert list(grads) == ["a", "b", "c"] and len(grads["b"]) == 1
    except OSError:
        assert fails
    assert model.a is before["a"] and model.moved is before["a"]
    assert len(model.b) == 2 and model.b[0] is before["b"][0] and model.b[1] is before["b"][0]
    assert model.c.bias is before["c"]["bias"] and model.c.weight is before["c"]["bias"]
    assert fails or model.computed.item() == 5


def test_losses_of_models_are_scalars_and_parameters_arrays():
    model = nn.Linear(1, 1)
    for value, got in [(array(), r"an array of shape \(1,\)"), (3.0, "float"), ((), "tuple")]:
        with pytest.raises(ValueError, match=rf"^\[value_and_grad\] the function .*: got {got}"):
            trained(model, lambda: value)()

    class Odd(nn.Linear):
        def trainable_parameters(self):
            return {"weight": self.weight, "name": "x"}

    with pytest.raises(ValueError, match=r"\[value_and_grad\] .* not made of arrays: got str"):
        trained(Odd(1, 1), lambda: mx.array(1.0))()
    assert trained(model, lambda *, parameters, traced: parameters.sum())(
        parameters=mx.ones(2), traced=1
    )[0].item() == 2


def test_a_state_grows_with_the_parameters():
    rule = optim.Adam(0.1)
    ones = {"w": array(), "l": [array()]}
    for grads in (
        {}, {"w": array()}, ones, ones, {**ones, "l": [array(), array()]},
        {**ones, "d": {"k": array(), "n": mx.array([1])}}, {"d": {"n": mx.array([1])}}, {"e": {}},
    ):
        values = rule.apply_gradients(grads, {**ones, "l": [array(), array()], **grads})
        assert list(values) == list(grads)
    state = rule.state
    assert rule.step.item() == 8 and len(state["l"]) == 2 and set(state["d"]["k"]) == {"m", "v"}
    assert state["d"]["n"] == {} and state["e"] == {}
    for name in ("step", "learning_rate"):
        with pytest.raises(ValueError, match=rf"\[Adam\] '{name}' is taken"):
            rule.apply_gradients({name: array()}, {name: array()})
    knot: dict = {"w": array()}
    knot["k"] = knot
    with pytest.raises(ValueError, match="contains itself"):
        rule.init(knot)


def test_a_rule_without_state_is_asked_every_time():
    asked = []

    class Late(optim.Optimizer):
        def init_single(self, parameter, state):
            asked.append(parameter)
            if len(asked) == 3:
                state["late"] = parameter

        def apply_single(self, gradient, parameter, state):
            return parameter

    rule = Late()
    for _ in range(5):
        rule.apply_gradients({"w": array()}, {"w": array()})
    assert len(asked) == 3


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32, mx.float64, mx.complex64])
def test_steps_keep_the_dtype_of_parameters(dtype):
    seen = []

    class Noted(optim.SGD):
        def apply_single(self, gradient, parameter, state):
            seen.append((gradient.dtype, parameter.dtype))
            return super().apply_single(gradient, parameter, state)

    value = array().astype(dtype)
    new = Noted(0.5).apply_gradients({"w": value, "n": mx.array([1])}, {"w": value, "n": value})
    wide = mx.float32 if dtype == mx.float16 else dtype
    assert seen == [(wide, wide)] and new["w"].dtype == dtype and new["n"] is value
    assert new["w"].item() == 0.5
