"""Modules in two places, in dicts and lists, under odd names: through every transform."""

import copy
import pickle

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim
from lazulite.utils import load_state, save_state, tree_flatten


class Shared(nn.Module):
    """One layer called twice."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(32, 32)
        self.inside = [{"again": self.first}]
        self.last = nn.Linear(32, 32)

    def __call__(self, x):
        return self.last(self.inside[0]["again"](nn.relu(self.first(x))))


class Nested(nn.Module):
    """Layers in dicts and lists; keys that have dots, and keys that are numbers."""

    def __init__(self):
        super().__init__()
        self.blocks = [{"map": nn.Linear(32, 32), "norms": [nn.LayerNorm(32)]} for _ in range(2)]
        self.named = {"a.b": nn.Linear(32, 32), "3": nn.Linear(32, 32), "a": nn.Linear(32, 32)}

    def __call__(self, x):
        for block in self.blocks:
            x = block["norms"][0](block["map"](x))
        return self.named["a.b"](self.named["3"](self.named["a"](x)))


def is_one(model):
    return not isinstance(model, Shared) or model.first is model.inside[0]["again"]


def data():
    return mx.random.normal((6, 32), key=mx.random.key(3))


def step_of(model, rule):
    loss_and_grad = nn.value_and_grad(model, lambda x: model(x).square().mean())

    def step(x):
        loss, grads = loss_and_grad(x)
        rule.update(model, grads)
        return loss

    return step


def copied(model, path):
    return copy.deepcopy(model)


def pickled(model, path):
    return pickle.loads(pickle.dumps(model))


def loaded(ending):
    def through_a_file(model, path):
        model.save_weights(str(path / f"w.{ending}"))
        return type(model)().load_weights(str(path / f"w.{ending}"))

    return through_a_file


def restored(model, path):
    rule = optim.Adam(1e-2)
    step_of(model, rule)(data())
    save_state(path / "run", model=model, rule=rule)
    other, again = type(model)(), optim.Adam(1e-2)
    load_state(path / "run", model=other, rule=again)
    x = data()
    assert step_of(copy.deepcopy(model), copy.deepcopy(rule))(x).item() == (
        step_of(copy.deepcopy(other), again)(x).item()
    )
    return other


def averaged(model, path):
    average = optim.ExponentialMovingAverage(model, 0.5)
    average.update(model)
    with average.applied(model):
        return copy.deepcopy(model)


KEPT = {
    "deepcopy": copied, "pickle": pickled, "safetensors": loaded("safetensors"),
    "npz": loaded("npz"), "state of a run": restored, "average": averaged,
}


@pytest.mark.parametrize("kind", [Shared, Nested])
@pytest.mark.parametrize("name", KEPT)
def test_what_copies_a_model_gives_the_same_model(kind, name, tmp_path):
    model = kind()
    other = KEPT[name](model, tmp_path)
    assert is_one(model) and is_one(other)
    assert mx.array_equal(other(data()), model(data()))


PACKED = {
    "nn.quantize": lambda m: nn.quantize(m, group_size=32, bits=8) or m,
    "nn.quantize by path": lambda m: nn.quantize(
        m, group_size=32, bits=8, class_predicate=lambda p, layer: hasattr(layer, "to_quantized")
    ) or m,
    "dynamic": lambda m: mx.quantize(m, {"method": "dynamic"}),
    "ptq": lambda m: mx.quantize(m, {"method": "ptq"}),
    "static": lambda m: mx.quantize(m, {"method": "static", "calibration_data": data()}),
    "qat": lambda m: nn.quantization.convert(mx.quantize(m, {"method": "qat"})),
}


@pytest.mark.parametrize("kind", [Shared, Nested])
@pytest.mark.parametrize("name", PACKED)
def test_quantized_models_keep_their_form(kind, name):
    model = kind()
    wanted = np.array(model(data()))
    packed = PACKED[name](model)
    assert is_one(packed)
    maps = [m for m in packed.modules() if isinstance(m, nn.Linear)]
    assert all(type(m) is not nn.Linear for m in maps)
    assert np.abs(np.array(packed(data())) - wanted).max() < 0.1 * np.abs(wanted).max()


RULES = {
    "SGD": lambda: optim.SGD(0.1, momentum=0.9), "Adam": lambda: optim.Adam(1e-2),
    "AdamW": lambda: optim.AdamW(1e-2), "Lion": lambda: optim.Lion(1e-2),
    "Muon": lambda: optim.Muon(1e-2), "Adafactor": lambda: optim.Adafactor(),
    "accumulated": lambda: optim.GradientAccumulation(optim.Adam(1e-2), 1),
}


@pytest.mark.parametrize("name", RULES)
def test_a_layer_in_two_places_is_trained_as_one(name):
    """As its parameters in a tree that has them once."""
    model, rule, x = Shared(), RULES[name](), data()
    step = step_of(model, rule)
    once, other = Shared(), RULES[name]()
    once.load_weights(tree_flatten(model.parameters()))
    once.inside = [{}]

    def loss(x):
        return once.last(once.first(nn.relu(once.first(x)))).square().mean()

    loss_and_grad = nn.value_and_grad(once, loss)
    for _ in range(3):
        got = step(x)
        wanted, grads = loss_and_grad(x)
        other.update(once, grads)
        assert got.item() == pytest.approx(wanted.item(), rel=1e-5)
    assert is_one(model)
    assert mx.allclose(model.first.weight, once.first.weight, atol=1e-5).item()


@pytest.mark.parametrize("kind", [Shared, Nested])
def test_compiled_steps_are_the_same_steps(kind):
    model = kind()
    other = copy.deepcopy(model)
    rules = optim.Adam(1e-2), optim.Adam(1e-2)
    state = [model.state, rules[0].state]
    compiled = mx.compile(step_of(model, rules[0]), inputs=state, outputs=state)
    plain = step_of(other, rules[1])
    for _ in range(3):
        assert compiled(data()).item() == plain(data()).item()
    assert is_one(model)
    for (_, a), (_, b) in zip(tree_flatten(model.parameters()), tree_flatten(other.parameters())):
        assert mx.array_equal(a, b)


@pytest.mark.parametrize("kind, maps", [(Shared, 2), (Nested, 5)])
@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("compiled", [False, True])
def test_masks_count_a_layer_once_and_hold(kind, maps, scope, compiled):
    model = kind()
    masks = nn.prune(model, 0.5, scope=scope)
    assert len(masks.masks) == maps and masks.sparsity() == pytest.approx(0.5, abs=1e-3)
    weights = {
        id(m): m for m in model.modules() if isinstance(m, nn.Linear)
    }.values()
    zeros = [m.weight == 0 for m in weights]
    assert sum(z.sum().item() for z in zeros) == pytest.approx(maps * 512, abs=2)
    rule = masks.hold(optim.Adam(1e-2))
    state, step = [model.state, rule.state], step_of(model, rule)
    step = mx.compile(step, inputs=state, outputs=state) if compiled else step
    for _ in range(3):
        step(data())
    assert is_one(model)
    for m, z in zip(weights, zeros):
        assert mx.array_equal(m.weight == 0, z)
    path = next(iter(masks.masks))
    new = rule.apply_gradients(model.parameters(), model)
    assert bool((dict(tree_flatten(new))[path] == 0).any())


@pytest.mark.parametrize("name", ["keys", "values", "items", "get", "pop", "update", "copy",
                                  "parameters", "children", "train", "apply", "freeze"])
@pytest.mark.parametrize("value", [lambda: nn.Linear(2, 2), lambda: mx.ones(2), list, dict])
def test_names_that_would_never_be_read_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"^\[Sequential\] '{name}' is a method"):
        setattr(nn.Sequential(), name, value())


def test_models_are_called_with_what_overflows_in_halves():
    """Activations of large numbers are what they tend to."""
    for name in nn.activations.__all__:
        function = getattr(nn.activations, name)
        if not callable(function) or isinstance(function, type) or name in ("glu", "step", "prelu"):
            continue
        for dtype in (mx.float16, mx.bfloat16, mx.float32):
            x = mx.array([-6e4, -1e3, -20.0, 20.0, 1e3, 6e4], dtype)
            y, slope = mx.vjp(function, [x], [mx.ones_like(x)])
            for found in (*y, *slope):
                assert not bool(mx.isnan(found).any()), (name, dtype, found)
