"""Every optimizer with parameters of all kinds: halves, integers, none, one, frozen ones."""

import copy
import pickle

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim
from lazulite.utils import tree_flatten, tree_map

ALL = {
    "SGD": lambda: optim.SGD(0.1),
    "SGD with momentum": lambda: optim.SGD(0.1, momentum=0.9, weight_decay=0.1, nesterov=True),
    "RMSprop": lambda: optim.RMSprop(1e-2),
    "Adagrad": lambda: optim.Adagrad(1e-2),
    "AdaDelta": lambda: optim.AdaDelta(1.0),
    "Adam": lambda: optim.Adam(1e-2),
    "Adam, corrected": lambda: optim.Adam(1e-2, bias_correction=True),
    "AdamW": lambda: optim.AdamW(1e-2),
    "Adamax": lambda: optim.Adamax(1e-2),
    "Lion": lambda: optim.Lion(1e-2, weight_decay=0.1),
    "Adafactor": lambda: optim.Adafactor(),
    "Adafactor with a rate": lambda: optim.Adafactor(
        1e-2, relative_step=False, scale_parameter=False, beta_1=0.9, weight_decay=0.1
    ),
    "Muon": lambda: optim.Muon(1e-2),
    "LAMB": lambda: optim.LAMB(1e-2, weight_decay=0.1),
    "LBFGS": lambda: optim.LBFGS(),
    "MultiOptimizer": lambda: optim.MultiOptimizer(
        [optim.Adam(1e-2), optim.SGD(0.1)], [lambda path, weight: "a" in path]
    ),
    "masked": lambda: nn.prune(nn.Linear(2, 2), 0.5).hold(optim.Adam(1e-2)),
}


def test_every_optimizer_is_here():
    kinds = {
        name
        for name in optim.__all__
        if isinstance(getattr(optim, name), type)
        and issubclass(getattr(optim, name), optim.Optimizer)
    }
    tested = {type(make()).__name__ for make in ALL.values()}
    assert kinds - {"Optimizer"} <= tested, kinds - tested


def trained(make, parameters, gradients, steps=3):
    rule = make()
    for _ in range(steps):
        parameters = rule.apply_gradients(gradients, parameters)
    mx.eval(parameters)
    return rule, parameters


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32, mx.float64])
def test_no_gradient_makes_no_nan(name, dtype):
    """Rows of a table that no batch has, units that are off: 0 by the root of 0."""
    w = {"a": mx.ones((4, 3), dtype), "b": mx.zeros((3,), dtype)}
    _, new = trained(ALL[name], w, tree_map(mx.zeros_like, w))
    for key, x in new.items():
        assert x.dtype == dtype and bool(mx.isfinite(x).all()), (key, x)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", [1e-4, 3e-6, 1e-2, 200.0])
def test_float16_steps_are_those_of_float32(name, size):
    """The squares of these leave its range."""
    w = {"a": mx.array(np.linspace(0.5, 1, 12).reshape(4, 3)).astype(mx.float16)}
    g = {"a": (mx.array(np.linspace(-1, 1, 12).reshape(4, 3)) * size).astype(mx.float16)}
    _, half = trained(ALL[name], w, g)
    _, full = trained(ALL[name], *(tree_map(lambda x: x.astype(mx.float32), t) for t in (w, g)))
    assert half["a"].dtype == mx.float16
    scale = max(1.0, float(mx.abs(full["a"]).max()))
    np.testing.assert_allclose(
        np.array(half["a"], np.float32), np.array(full["a"]), atol=3e-3 * scale
    )


@pytest.mark.parametrize("name", ALL)
def test_integers_and_bools_stay_as_they_are(name):
    """Positions and masks that a module keeps without an underscore."""
    w = {"a": mx.ones((4, 3)), "i": mx.arange(5), "k": mx.array([True, False]),
         "u": mx.array([3], mx.uint8)}
    g = {**tree_map(mx.zeros_like, w), "a": mx.ones((4, 3))}
    rule, new = trained(ALL[name], w, g)
    for key in "iku":
        assert new[key].dtype == w[key].dtype and new[key].tolist() == w[key].tolist()
    assert not mx.array_equal(new["a"], w["a"])
    mx.eval(rule.state)


class Placed(nn.Module):
    def __init__(self):
        super().__init__()
        self.places = mx.arange(3)
        self.table = nn.Embedding(4, 4)
        self.shown = mx.array([True, False, True])

    def __call__(self):
        return self.table(self.places) * self.shown[:, None]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", [n for n in ALL if n not in ("LBFGS", "masked")])
def test_a_model_that_keeps_integers_is_trained(name, compiled):
    model, rule = Placed(), ALL[name]()
    loss_and_grad = nn.value_and_grad(model, lambda: model().square().mean())
    state = [model.state, rule.state]

    def step():
        loss, grads = loss_and_grad()
        rule.update(model, grads)
        return loss

    step = mx.compile(step, inputs=state, outputs=state) if compiled else step
    losses = [step().item() for _ in range(4)]
    assert losses[-1] < losses[0]
    assert model.places.dtype == mx.int32 and model.places.tolist() == [0, 1, 2]
    assert model.shown.tolist() == [True, False, True]


class Kinds(nn.Module):
    """Of every dtype one parameter, which the loss depends on where it has a derivative."""

    def __init__(self):
        super().__init__()
        self.halves = mx.ones((3,), mx.float16)
        self.brains = mx.ones((3,), mx.bfloat16)
        self.singles = mx.ones((3,))
        self.doubles = mx.ones((3,), mx.float64)
        self.whole = [mx.array([1, 0, 1]).astype(d) for d in INTEGERS]

    def __call__(self, x):
        parts = (self.halves, self.brains, self.singles, self.doubles, *self.whole)
        return sum((p.astype(mx.float32) * x.astype(mx.float32) * 1e-3).sum() for p in parts)


INTEGERS = [mx.bool_, mx.uint8, mx.int8, mx.uint16, mx.int16, mx.uint32, mx.int32, mx.int64]


@pytest.mark.parametrize("scale", [1.0, 2.0**15, 2.0**20])
@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_mixed_precision_of_parameters_of_every_dtype(dtype, scale):
    """A mask of bools is no reason to leave out steps, and no scale makes gradients 0."""
    model = Kinds()
    before = dict(tree_flatten(model.parameters()))
    mixed = optim.MixedPrecision(model, optim.SGD(0.5), dtype, scale)
    grads = mixed.value_and_grad(model)(mx.array([1.0, 2.0, -1.0]))[1]
    for name, g in tree_flatten(grads):
        if "whole" not in name:
            found = np.array(g.astype(mx.float64))
            np.testing.assert_allclose(found, [1e-3, 2e-3, -1e-3], rtol=1e-2)
        assert g.dtype == before[name].dtype
    assert mixed.update(grads).item() and mixed.update(tree_map(mx.ones_like, grads)).item()
    for name, w in tree_flatten(model.parameters()):
        assert w.dtype == before[name].dtype, name
        assert mx.array_equal(w, before[name]) == ("whole" in name), name


@pytest.mark.parametrize("of", ["nn", "MixedPrecision"])
def test_models_may_be_arguments_of_the_loss(of):
    """``loss_fn(model, x)``, as most programs have it, in containers and by name too."""
    model, other = nn.Linear(3, 1), nn.Linear(3, 1)
    mixed = optim.MixedPrecision(model, optim.SGD(0.1), mx.bfloat16)

    def loss_fn(net, x, more, *, teacher):
        assert net is model and more["nets"][0] is model and teacher is other
        return (net(x) - teacher(x)).square().mean()

    wrapped = mixed.value_and_grad(loss_fn) if of != "nn" else nn.value_and_grad(model, loss_fn)
    loss, grads = wrapped(model, mx.ones((2, 3)), {"nets": [model]}, teacher=other)
    assert loss.item() > 0 and set(grads) == {"weight", "bias"}
    assert other.weight.dtype == mx.float32 == model.weight.dtype


@pytest.mark.parametrize("line_search", [None, "strong_wolfe"])
@pytest.mark.parametrize("dtype", [mx.float32, mx.float16])
def test_lbfgs_of_such_a_model(line_search, dtype):
    model = Placed().set_dtype(dtype)
    loss_and_grad = nn.value_and_grad(model, lambda: model().astype(mx.float32).square().mean())
    rule = optim.LBFGS(0.5, line_search=line_search, max_iter=5)
    first = rule.minimize(model, loss_and_grad)
    assert loss_and_grad()[0].item() < first.item()
    assert model.places.tolist() == [0, 1, 2] and model.table.weight.dtype == dtype


@pytest.mark.parametrize("name", ALL)
def test_parameters_without_elements_of_one_and_of_many_axes(name):
    shapes = {"a": (0, 3), "b": (), "c": (1, 1), "d": (2, 3, 4), "e": (3, 0), "f": (0,)}
    w = {key: mx.ones(shape) for key, shape in shapes.items()}
    _, new = trained(ALL[name], w, w)
    for key, shape in shapes.items():
        assert new[key].shape == shape and bool(mx.isfinite(new[key]).all()), key


@pytest.mark.parametrize("wrap", [
    lambda rule, model: optim.GradientAccumulation(rule, 1),
    lambda rule, model: optim.MixedPrecision(model, rule, mx.bfloat16),
    lambda rule, model: optim.MultiOptimizer([rule, optim.SGD(0.1)], [lambda p, w: p == "weight"]),
])
def test_optimizers_that_hold_masks_stand_in_others(wrap):
    model = nn.Linear(4, 4)
    masks = nn.prune(model, 0.5)
    rule = wrap(masks.hold(optim.Adam(1e-1)), model)
    of = rule if isinstance(rule, optim.MixedPrecision) else nn
    args = () if of is rule else (model,)
    loss_and_grad = of.value_and_grad(*args, lambda x: (model(x) - 1).square().mean())
    before = model.weight
    for _ in range(3):
        _, grads = loss_and_grad(mx.random.normal((5, 4)))
        rule.update(grads) if of is rule else rule.update(model, grads)
    kept = masks.masks["weight"]
    assert bool((mx.where(kept, 0, model.weight) == 0).all())
    assert not mx.array_equal(before, model.weight)


@pytest.mark.parametrize("make", [
    lambda: optim.GradientAccumulation(3, 1), lambda: optim.MixedPrecision(nn.Linear(1, 1), None),
    lambda: optim.MultiOptimizer([optim.SGD(0.1), "SGD"], [lambda *_: True]),
])
def test_what_takes_no_steps_is_refused(make):
    with pytest.raises(TypeError, match=r"^\[\w+\] optimizers?: got .*expected an Optimizer"):
        make()


@pytest.mark.parametrize("tree", [[mx.ones(2)], (mx.ones(2),), mx.ones(2)])
def test_gradients_without_names_are_refused(tree):
    with pytest.raises(TypeError, match=r"^\[Adam\] gradients: got .*expected a dict"):
        optim.Adam(0.1).apply_gradients(tree, tree)


@pytest.mark.parametrize("schedule", [
    optim.cosine_decay(0.1, 10, 0.01), optim.linear_schedule(0.0, 1.0, 3),
    optim.exponential_decay(0.1, 0.9), optim.step_decay(0.1, 0.5, 3),
    optim.join_schedules([optim.linear_schedule(0.0, 1.0, 3), optim.cosine_decay(0.1, 10)], [3]),
])
def test_optimizers_with_schedules_are_pickled_and_copied(schedule):
    rule = optim.MultiOptimizer([optim.Adam(schedule)])
    w = {"a": mx.ones(2)}
    w = rule.apply_gradients(w, w)
    for other in (pickle.loads(pickle.dumps(rule)), copy.deepcopy(rule)):
        here, there = copy.deepcopy(rule), w
        for _ in range(5):
            w_here, there = here.apply_gradients(w, w), other.apply_gradients(w, w)
            assert mx.array_equal(w_here["a"], there["a"])


def test_layers_are_frozen_and_thawed_while_gradients_are_summed():
    model, x = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)), mx.ones((2, 4))
    loss_and_grad = nn.value_and_grad(model, lambda x: model(x).square().mean())
    rule, first = optim.GradientAccumulation(optim.SGD(1.0), 2), model.layers[0].weight
    model.layers[0].freeze()
    assert not rule.update(model, loss_and_grad(x)[1])
    model.unfreeze()
    grads = loss_and_grad(x)[1]
    assert rule.update(model, grads)  # the mean of none and this one
    wanted = first - grads["layers"][0]["weight"] / 2
    np.testing.assert_allclose(np.array(model.layers[0].weight), np.array(wanted), rtol=1e-6)
    assert not rule.update(model, loss_and_grad(x)[1])
    model.layers[1].freeze()
    assert rule.update(model, loss_and_grad(x)[1])


def test_averages_take_layers_that_were_added():
    model = nn.Sequential(nn.Linear(2, 2))
    average = optim.ExponentialMovingAverage(model, 0.5)
    average.update(model)
    model.layers.append(nn.Linear(2, 2))
    average.update(model)
    added = average.parameters["layers"][1]["weight"]
    assert mx.array_equal(added, model.layers[1].weight)


@pytest.mark.parametrize("init, end, steps", [(0.3, 0.1, 7), (0.0, 0.7, 3), (1e-5, 3e-4, 1000)])
def test_a_line_ends_exactly_at_its_end(init, end, steps):
    line = optim.linear_schedule(init, end, steps)
    for step in (steps, steps + 1, 10**6):
        for kind in (lambda n: n, lambda n: mx.array(n, mx.uint64)):
            assert line(kind(step)).item() == np.float32(end)
    assert line(0).item() == np.float32(init)
